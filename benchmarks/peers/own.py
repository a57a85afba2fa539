"""mixtura, through its public interface."""

from __future__ import annotations

import inspect
import time
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from benchmarks.cases import Parameters, Question
from benchmarks.columns import N_LEVELS, ColumnParameters
from benchmarks.peers.base import Choice, ColumnRun, Peer, Run, as_matrices, diagonals


@dataclass(frozen=True)
class Mixtura(Peer):
    """``mixtura.GaussianMixture``; equal iterations mean plain EM."""

    name: ClassVar[str] = "mixtura"
    answers: ClassVar[frozenset[Question]] = frozenset(Question)
    statement: ClassVar[str] = "from mixtura import GaussianMixture"

    def version(self) -> str | None:
        """Installed version."""
        try:
            import mixtura
        except ImportError:
            return None
        assert mixtura.GaussianMixture  # loads the compiled kernel
        return mixtura.__version__

    def facts(self, threads: int) -> dict[str, float | str]:
        """Kernel variant, and what the machine can do in registers."""
        from mixtura import _kernel

        return {"kernel": _kernel.variant(), "fma_peak_gflops": _kernel.fma_peak(threads)}

    def fit(
        self, X: np.ndarray, start: Parameters, covariance: str, n_iter: int, threads: int
    ) -> Run:
        """Fit by plain EM without tolerance from a given mixture."""
        return _iterate(X, start, covariance, n_iter, threads, accelerate=False)

    def reach(
        self, X: np.ndarray, start: Parameters, covariance: str, n_iter: int, threads: int
    ) -> Run:
        """Fit as a plain call does, accelerated, but without tolerance."""
        return _iterate(X, start, covariance, n_iter, threads, accelerate=True)

    def fit_columns(
        self,
        X: np.ndarray,
        kinds: tuple[str, ...],
        start: ColumnParameters,
        n_iter: int,
        threads: int,
    ) -> ColumnRun:
        """Fit a product of the kinds, by plain EM without tolerance."""
        from mixtura import Mixture, MixtureModel

        family, params = _column_family(kinds, start)
        model = MixtureModel(
            family, len(start.weights), start=Mixture(family, start.weights, params), tol=0.0,
            max_iter=n_iter, accelerate=False, n_threads=threads,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            began = time.perf_counter()
            model.fit(X)
            seconds = time.perf_counter() - began
        found = _column_arrays(kinds, model.mixture_.family, model.mixture_.params)
        return ColumnRun(seconds, ColumnParameters(model.mixture_.weights, found))

    def default_fit(self, X: np.ndarray, n_components: int, threads: int) -> Run:
        """Fit with all defaults."""
        return _timed(X, n_components, random_state=0, n_threads=threads)

    def choose(
        self, X: np.ndarray, fold: np.ndarray, sizes: tuple[int, ...], n_starts: int, threads: int
    ) -> Choice:
        """Cross-validate all sizes in one call."""
        from mixtura import Gaussian, Local, as_source, cross_validate

        began = time.perf_counter()
        found = cross_validate(
            Gaussian(X.shape[1]), as_source(X), sizes, folds=fold, n_starts=n_starts,
            executor=Local(threads), **self._stop(),
        )  # fmt: skip
        seconds = time.perf_counter() - began
        return Choice(seconds, tuple(map(float, found.score)))

    def _stop(self) -> dict[str, Any]:
        """When runs of a cross-validation end: by default, when nothing is left to gain."""
        return {}


@dataclass(frozen=True)
class MixturaPlain(Mixtura):
    """Plain EM beside the accelerated run, where only the number of passes differs."""

    name: ClassVar[str] = "mixtura, plain EM"
    answers: ClassVar[frozenset[Question]] = frozenset({Question.TARGET})

    def reach(
        self, X: np.ndarray, start: Parameters, covariance: str, n_iter: int, threads: int
    ) -> Run:
        """Fit by plain EM."""
        return self.fit(X, start, covariance, n_iter, threads)


@dataclass(frozen=True)
class MixturaEarly(Mixtura):
    """Runs end after a few steps, as scikit-learn's default tolerance has it."""

    name: ClassVar[str] = "mixtura, stopped early"
    answers: ClassVar[frozenset[Question]] = frozenset({Question.SELECTION})

    def _stop(self) -> dict[str, Any]:
        """One step to sort the starts, one to compare the best of them, one to end."""
        return {"tol": 1e-3, "max_iter": 1}


def _mixture(start: Parameters, covariance: str) -> Any:
    """The start as a value of mixtura."""
    from mixtura import Gaussian, Mixture

    family = Gaussian(start.means.shape[1], covariance)
    covariances = {
        "full": lambda: start.covariances,
        "tied": lambda: start.covariances.mean(axis=0, keepdims=True),
        "diag": lambda: diagonals(start.covariances),
        "spherical": lambda: diagonals(start.covariances).mean(axis=1),
    }[covariance]()
    return Mixture(family, start.weights, family.params(start.means, covariances))


def _iterate(
    X: np.ndarray, start: Parameters, covariance: str, n_iter: int, threads: int, *,
    accelerate: bool,
) -> Run:  # fmt: skip
    from mixtura import GaussianMixture

    options: dict[str, Any] = {"n_threads": threads, "covariance_type": covariance}
    if "accelerate" in inspect.signature(GaussianMixture).parameters:
        options["accelerate"] = accelerate
    mixture = _mixture(start, covariance)
    return _timed(X, len(start.weights), start=mixture, tol=0.0, max_iter=n_iter, **options)


def _timed(X: np.ndarray, n_components: int, **options: Any) -> Run:
    from mixtura import GaussianMixture

    model = GaussianMixture(n_components, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        model.fit(X)
        seconds = time.perf_counter() - began
    covariances = as_matrices(
        model.covariances_, model.covariance_type, model.n_components, X.shape[1]
    )
    parameters = Parameters(model.weights_, model.means_, covariances)
    return Run(seconds, parameters, tuple(map(float, model.trace_.objective)), model.n_iter_)


def _column_family(kinds: tuple[str, ...], start: ColumnParameters) -> tuple[Any, Any]:
    """Columns of a kind together are one part; one part alone needs no product."""
    from mixtura.families import Categorical, Gaussian, Poisson
    from mixtura.families.part import Part
    from mixtura.families.product import Product

    parts, arrays = [], []
    for kind in dict.fromkeys(kinds):
        columns = tuple(j for j, own in enumerate(kinds) if own == kind)
        own = [start.columns[j] for j in columns]
        family: Any
        if kind == "real":
            family, both = Gaussian(len(columns), "diag"), np.stack(own, axis=1)
            params = family.params(both[:, :, 0], both[:, :, 1] ** 2)
        elif kind == "count":
            family = Poisson(len(columns))
            params = family.params_type(np.hstack(own))
        else:
            family = Categorical(len(columns), (N_LEVELS,) * len(columns))
            params = family.params_type(np.hstack(own))
        parts.append(Part(columns, family))
        arrays.append(params)
    if len(parts) == 1:
        return parts[0].family, arrays[0]
    product = Product(tuple(parts))
    return product, product.params(arrays)


def _column_arrays(kinds: tuple[str, ...], family: Any, params: Any) -> tuple[np.ndarray, ...]:
    """One array per column."""
    columns: dict[int, np.ndarray] = {}
    for j, kind in enumerate(kinds):
        own, one = family.marginal(params, [j]) if kind != "category" else (family, params)
        if kind == "real":
            columns[j] = np.hstack([one.means, np.sqrt(own.full_covariances(one)[:, 0])])
        elif kind == "count":
            columns[j] = one.rate
    codes = _probabilities(family, params)
    at = 0
    for j, kind in enumerate(kinds):
        if kind == "category":
            columns[j] = codes[:, at : at + N_LEVELS]
            at += N_LEVELS
    return tuple(columns[j] for j in range(len(kinds)))


def _probabilities(family: Any, params: Any) -> np.ndarray:
    """Those of all categories, side by side."""
    arrays = family.to_arrays(params)
    names = [name for name in arrays if name.endswith("probability")]
    return np.asarray(arrays[names[0]]) if names else np.empty((0, 0))
