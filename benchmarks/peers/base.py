"""What the harness asks of a package."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from benchmarks.cases import Case, Parameters, Question
from benchmarks.columns import ColumnParameters


@dataclass(frozen=True)
class Run:
    """One timed fit.

    Attributes
    ----------
    seconds : float
        Wall time of the fit as a person would wait for it, data in memory.
    parameters : Parameters
        What it ended with.
    history : tuple of float
        Total log-likelihood after 0, 1, 2 ... iterations, where the package tells.
    n_iter : int, optional
        Iterations that were made, where the package tells.
    peak_memory_mb : float, optional
        Peak of the package's own process, where that is not this one.
    """

    seconds: float
    parameters: Parameters
    history: tuple[float, ...] = ()
    n_iter: int | None = None
    peak_memory_mb: float | None = None


@dataclass(frozen=True)
class ColumnRun:
    """One timed fit of independent columns, and what it ended with."""

    seconds: float
    parameters: ColumnParameters
    peak_memory_mb: float | None = None


@dataclass(frozen=True)
class Choice:
    """One timed choice of the number of components.

    Attributes
    ----------
    held_out : tuple of float
        Mean held-out log-density per row of each candidate, in nats.
    """

    seconds: float
    held_out: tuple[float, ...]


@dataclass(frozen=True)
class Peer:
    """A package: its name, its thread settings, and what it can do.

    The heavy import is made by `version`, so that every later figure is free of it.
    """

    name: ClassVar[str]
    answers: ClassVar[frozenset[Question]] = frozenset({Question.ITERATION})
    #: Shapes that the package has.
    covariances: ClassVar[frozenset[str]] = frozenset({"full", "tied", "diag", "spherical"})
    #: Thread settings; the harness keeps the fastest.
    settings: ClassVar[tuple[str, ...]] = ("default",)
    #: Groups of cases that would take too long or too much memory.
    leaves_out: ClassVar[frozenset[str]] = frozenset()
    #: What to import for `Question.IMPORT`.
    statement: ClassVar[str] = ""
    #: The package runs in a process of its own and reads rows from a file.
    external: ClassVar[bool] = False
    #: Relative difference of log-likelihoods that counts as none; float32 cannot do better.
    precision: ClassVar[float] = 1e-8
    setting: str = field(default="default")

    def version(self) -> str | None:
        """Version, or None where the package is not installed."""
        raise NotImplementedError

    def supports(self, case: Case) -> bool:
        """Tell whether the package can do the case in reasonable time."""
        return (
            case.question in self.answers
            and case.covariance in self.covariances
            and case.group not in self.leaves_out
        )

    def fit(
        self, X: np.ndarray, start: Parameters, covariance: str, n_iter: int, threads: int
    ) -> Run:
        """Make exactly `n_iter` EM iterations from `start`."""
        raise NotImplementedError

    def fit_columns(
        self,
        X: np.ndarray,
        kinds: tuple[str, ...],
        start: ColumnParameters,
        n_iter: int,
        threads: int,
    ) -> ColumnRun:
        """Make exactly `n_iter` EM iterations for independent columns of these kinds."""
        raise NotImplementedError

    def reach(
        self, X: np.ndarray, start: Parameters, covariance: str, n_iter: int, threads: int
    ) -> Run:
        """Make `n_iter` passes over the rows in the way that gains most; plain EM by default."""
        return self.fit(X, start, covariance, n_iter, threads)

    def default_fit(self, X: np.ndarray, n_components: int, threads: int) -> Run:
        """Do what a plain call does."""
        raise NotImplementedError

    def choose(
        self, X: np.ndarray, fold: np.ndarray, sizes: tuple[int, ...], n_starts: int, threads: int
    ) -> Choice:
        """Cross-validate each size with full covariances."""
        raise NotImplementedError

    def facts(self, threads: int) -> dict[str, float | str]:
        """Further facts for the result line."""
        del threads
        return {}


def diagonals(covariances: np.ndarray) -> np.ndarray:
    """Diagonals of (K, d, d), as (K, d)."""
    return np.ascontiguousarray(np.einsum("kjj->kj", covariances))


def as_matrices(covariances: np.ndarray, covariance: str, K: int, d: int) -> np.ndarray:
    """Bring covariances in scikit-learn's layout to (K, d, d)."""
    if covariance == "full":
        return np.asarray(covariances)
    if covariance == "tied":
        return np.repeat(np.asarray(covariances)[None], K, axis=0)
    variances = np.asarray(covariances).reshape(K, -1)
    return variances[:, :, None] * np.eye(d)
