"""Reference data sets and what R found on them (tests/data/reference, see its README).

`load("faithful")` gives the rows and the R results with 0-based numbers and NumPy
arrays; `names("gaussian")` lists the data sets of one kind. Log-likelihoods are in
nats. BIC and ICL keep the sign of the files: for Gaussian fits larger is better.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt

FOLDER = Path(__file__).parent / "data" / "reference"

Kind = Literal["gaussian", "count", "binary", "categorical", "regression"]
Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.str_]
Partition = npt.NDArray[np.int64]


class Parameters(NamedTuple):
    """A Gaussian mixture; K components in the order of the file."""

    weights: Array  # (K,), sum to 1
    means: Array  # (K, d)
    covariances: Array  # (K, d, d)


class OneGaussian(NamedTuple):
    """The closed-form fit of one Gaussian."""

    mean: Array  # (d,)
    covariance: Array  # (d, d), divided by n
    loglik: float
    df: int


class Converged(NamedTuple):
    """The EM of a fit left to converge (tolerance 1e-12)."""

    loglik: float | None  # None: it turned singular on the way
    iterations: int
    reached_limit: bool  # stopped by the iteration limit, not by the tolerance
    min_pro: float | None  # smallest mixing proportion
    min_eig: float | None  # smallest eigenvalue relative to the covariance of the data


class Fit(NamedTuple):
    """One model at one number of components. None where mclust found no fit."""

    model: str
    n_components: int
    df: int
    loglik: float | None  # at mclust's own, early stop
    bic: float | None  # larger is better
    icl: float | None  # larger is better
    iterations: int
    converged: Converged
    vve_exact: float | None  # log-likelihood of an exact EM for VVE


class ModelAt(NamedTuple):
    """A model at the K of `Reference.models_at`, left to converge."""

    loglik: float
    parameters: Parameters


class Chosen(NamedTuple):
    """The model chosen by BIC, with the classification at mclust's default stop."""

    model: str
    n_components: int
    df: int
    loglik: float
    bic: float  # larger is better
    icl: float  # larger is better
    classification: Partition  # (n,), 0-based
    uncertainty: Array  # (n,), 1 - max_k r_ik
    converged: ModelAt


class Optimum(NamedTuple):
    """Best known mixture of a count, binary, categorical or regression set at one K."""

    loglik: float
    df: int
    weights: Array  # (K,)
    parameters: Mapping[str, Array]  # 'rate' (K,); 'theta' (K, d); 'coefficients', 'sd'


@dataclass(frozen=True, eq=False)
class Reference:
    """One data set with the results of R; `raw` is the whole JSON, unchanged."""

    name: str
    kind: Kind
    X: Array  # (n, d)
    columns: tuple[str, ...]  # d names
    labels: Labels | None  # (n,) known classes
    weight: Array | None  # (n,) how often each row counts
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def n_effective(self) -> float:
        """Total weight: the n of BIC."""
        return float(len(self.X) if self.weight is None else self.weight.sum())

    @property
    def fits(self) -> tuple[Fit, ...]:
        """Every model at every number of components (Gaussian sets)."""
        return tuple(_fit(entry) for entry in self.raw["fits"])

    def fit(self, model: str, n_components: int) -> Fit:
        """Look up one model at one K; KeyError when it was not fitted."""
        for found in self.fits:
            if (found.model, found.n_components) == (model, n_components):
                return found
        raise KeyError((self.name, model, n_components))

    def initial_partition(self, n_components: int) -> Partition:
        """Give the hard partition (n,) from which all models of this K start, 0-based."""
        return _zero_based(self.raw["initial_partition"][str(n_components)])

    @property
    def one_gaussian(self) -> OneGaussian:
        """The exact fit of one Gaussian (Gaussian sets)."""
        found = self.raw["one_gaussian"]
        return OneGaussian(
            np.array(found["mean"]), np.array(found["cov"]), found["loglik"], found["df"]
        )

    @property
    def models_at(self) -> tuple[int, dict[str, ModelAt]]:
        """One K, and every model left to converge at it (Gaussian sets)."""
        found = self.raw["models_at"]
        models = {
            model: ModelAt(entry["loglik"], _parameters(entry))
            for model, entry in found["fits"].items()
            if entry is not None and entry["loglik"] is not None
        }
        return found["G"], models

    @property
    def best_bic(self) -> Chosen:
        """The model that mclust's BIC chooses (Gaussian sets)."""
        found = self.raw["best_bic"]
        return Chosen(
            model=found["model"],
            n_components=found["G"],
            df=found["df"],
            loglik=found["loglik"],
            bic=found["bic"],
            icl=found["icl"],
            classification=_zero_based(found["classification"]),
            uncertainty=np.array(found["uncertainty"], dtype=np.float64),
            converged=ModelAt(
                found["converged"]["loglik"], _parameters(found["converged"]["parameters"])
            ),
        )

    @property
    def optima(self) -> dict[int, Optimum]:
        """Best known mixture for each K (all kinds but Gaussian)."""
        return {int(key): _optimum(entry) for key, entry in self._optima_raw()}

    def _optima_raw(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name in ("poisson_mixture", "bernoulli_mixture", "multinomial_mixture"):
            yield from self.raw.get(name, {}).items()
        yield from self.raw.get("regression_mixture", {}).get("best_of_starts", {}).items()


def names(kind: Kind | None = None) -> tuple[str, ...]:
    """Names of the data sets, of one kind or all."""
    index = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    return tuple(e["name"] for e in index["datasets"] if kind in (None, e["kind"]))


@cache
def load(name: str) -> Reference:
    """Read one data set; the arrays are read-only, since the result is shared."""
    raw = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    table = dict(zip(header, zip(*rows, strict=True), strict=True))
    label, weight = raw["label_column"], raw["weight_column"]
    return Reference(
        name=name,
        kind=cast(Kind, raw["kind"]),
        X=_frozen(np.array([table[c] for c in raw["columns"]], dtype=np.float64).T.copy()),
        columns=tuple(raw["columns"]),
        labels=None if label is None else np.array(table[label], dtype=np.str_),
        weight=None if weight is None else _frozen(np.array(table[weight], dtype=np.float64)),
        raw=raw,
    )


def _frozen(values: Array) -> Array:
    values.setflags(write=False)
    return values


def _zero_based(numbers: list[int]) -> Partition:
    return np.array(numbers, dtype=np.int64) - 1


def _parameters(entry: Mapping[str, Any]) -> Parameters:
    return Parameters(
        np.array(entry["pro"], dtype=np.float64),
        np.array(entry["mean"], dtype=np.float64),
        np.array(entry["sigma"], dtype=np.float64),
    )


def _fit(entry: Mapping[str, Any]) -> Fit:
    converged, exact = entry["converged"], entry.get("vve_exact")
    return Fit(
        model=entry["model"],
        n_components=entry["G"],
        df=entry["df"],
        loglik=entry["loglik"],
        bic=entry["bic"],
        icl=entry["icl"],
        iterations=entry["iterations"],
        converged=Converged(
            loglik=converged["loglik"],
            iterations=converged["iterations"],
            reached_limit=converged["return_code"] == 1,
            min_pro=converged.get("min_pro"),
            min_eig=converged.get("min_eig"),
        ),
        vve_exact=None if exact is None else exact["loglik"],
    )


def _optimum(entry: Mapping[str, Any]) -> Optimum:
    parameters = {
        key: np.array(entry[key], dtype=np.float64)
        for key in ("rate", "theta", "coefficients", "sd")
        if key in entry
    }
    return Optimum(entry["loglik"], entry["df"], np.array(entry["pro"]), parameters)
