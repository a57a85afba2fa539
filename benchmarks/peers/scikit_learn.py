"""scikit-learn, with BLAS threads as they come and with BLAS held to one thread."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any, ClassVar

import numpy as np

from benchmarks.cases import Parameters, Question
from benchmarks.peers.base import Choice, Peer, Run, as_matrices, diagonals


@dataclass(frozen=True)
class ScikitLearn(Peer):
    """``sklearn.mixture.GaussianMixture``."""

    name: ClassVar[str] = "scikit-learn"
    answers: ClassVar[frozenset[Question]] = frozenset(Question) - {Question.COLUMNS}
    settings: ClassVar[tuple[str, ...]] = ("default", "blas-1")
    leaves_out: ClassVar[frozenset[str]] = frozenset({"growth-k", "growth-n"})
    statement: ClassVar[str] = "from sklearn.mixture import GaussianMixture"

    def version(self) -> str | None:
        """Installed version."""
        try:
            from sklearn import mixture
        except ImportError:
            return None
        del mixture
        return metadata.version("scikit-learn")

    def fit(
        self, X: np.ndarray, start: Parameters, covariance: str, n_iter: int, threads: int
    ) -> Run:
        """Fit without any tolerance or ridge, from given parameters."""
        del threads
        precisions = _precisions(start.covariances, covariance)
        model = self._model(
            len(start.weights), covariance_type=covariance, tol=0.0, max_iter=n_iter, reg_covar=0.0,
            weights_init=start.weights, means_init=start.means, precisions_init=precisions,
        )  # fmt: skip
        return self._timed(model, X)

    def default_fit(self, X: np.ndarray, n_components: int, threads: int) -> Run:
        """Fit with all defaults."""
        del threads
        return self._timed(self._model(n_components, random_state=0), X)

    def choose(
        self, X: np.ndarray, fold: np.ndarray, sizes: tuple[int, ...], n_starts: int, threads: int
    ) -> Choice:
        """Fit each size to the rows outside each fold and score those inside."""
        del threads
        with self._quiet():
            began = time.perf_counter()
            totals = np.zeros(len(sizes))
            for i, K in enumerate(sizes):
                for f in np.unique(fold):
                    model = self._model(K, n_init=n_starts, random_state=0, **self._stop())
                    model.fit(X[fold != f])
                    totals[i] += model.score_samples(X[fold == f]).sum()
            seconds = time.perf_counter() - began
        return Choice(seconds, tuple(float(t) / len(X) for t in totals))

    def _stop(self) -> dict[str, Any]:
        """When fits of a cross-validation end: by default, at a gain below 1e-3 per row."""
        return {}

    def _model(self, n_components: int, **options: Any) -> Any:
        from sklearn.mixture import GaussianMixture

        return GaussianMixture(n_components, **options)

    def _timed(self, model: Any, X: np.ndarray) -> Run:
        with self._quiet():
            began = time.perf_counter()
            model.fit(X)
            seconds = time.perf_counter() - began
        covariances = as_matrices(
            model.covariances_, model.covariance_type, model.n_components, X.shape[1]
        )
        # Each of its bounds belongs to the parameters before that iteration's M step.
        history = tuple(float(bound) * len(X) for bound in getattr(model, "lower_bounds_", ()))
        parameters = Parameters(model.weights_, model.means_, covariances)
        return Run(seconds, parameters, history, model.n_iter_)

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        """Hold BLAS where the setting says so, and ignore that the iterations ran out."""
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits

        limit = 1 if self.setting == "blas-1" else None
        with warnings.catch_warnings(), threadpool_limits(limits=limit, user_api="blas"):
            warnings.simplefilter("ignore", ConvergenceWarning)
            yield


@dataclass(frozen=True)
class ScikitLearnConverged(ScikitLearn):
    """Fits go on until little is left to gain, as mixtura's do by default."""

    name: ClassVar[str] = "scikit-learn, converged"
    answers: ClassVar[frozenset[Question]] = frozenset({Question.SELECTION})

    def _stop(self) -> dict[str, Any]:
        """Gains below 1e-6 per row and iteration."""
        return {"tol": 1e-6, "max_iter": 1000}


def _precisions(covariances: np.ndarray, covariance: str) -> np.ndarray:
    """Inverses, in the layout that the covariance type asks for."""
    if covariance == "full":
        return np.linalg.inv(covariances)
    if covariance == "tied":
        return np.linalg.inv(covariances.mean(axis=0))
    variances = diagonals(covariances)
    return 1.0 / (variances if covariance == "diag" else variances.mean(axis=1))
