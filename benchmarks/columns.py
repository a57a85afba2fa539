"""Cases whose columns are counts, categories and real numbers, independent within a component."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.special import gammaln, logsumexp

from benchmarks.cases import DRAW_ROWS, Case, Parameters, Question

#: Levels of a column of categories.
N_LEVELS = 4

#: Rows whose log-likelihood is computed at a time.
SLICE_ROWS = 1 << 16


class ColumnParameters(NamedTuple):
    """A mixture as every package can take it: one array per column.

    Those of a count are rates (K, 1), of a category probabilities (K, N_LEVELS), of a real
    number means and standard deviations (K, 2).
    """

    weights: np.ndarray  # (K,)
    columns: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class ColumnCase(Case):
    """A job on independent columns.

    Attributes
    ----------
    kinds : tuple of str
        What each column holds: "count", "category" or "real".
    """

    question: Question = Question.COLUMNS
    group: str = "columns"
    kinds: tuple[str, ...] = ()

    def truth(self) -> Parameters:
        """Not a Gaussian mixture; see `true_columns`."""
        raise NotImplementedError

    def true_columns(self) -> ColumnParameters:
        """The mixture that rows are drawn from."""
        rng, K = self._rng(0), self.n_components
        draw = {
            "count": lambda: rng.uniform(1, 8, (K, 1)),
            "category": lambda: rng.dirichlet(np.ones(N_LEVELS), K),
            "real": lambda: np.stack([2 * rng.standard_normal(K), np.ones(K)], axis=1),
        }
        return ColumnParameters(np.full(K, 1 / K), tuple(draw[kind]() for kind in self.kinds))

    def start_columns(self) -> ColumnParameters:
        """The mixture that every package starts from: near the true one."""
        rng, true = self._rng(1), self.true_columns()
        near = {
            "count": lambda p: p * np.exp(0.3 * rng.standard_normal(p.shape)),
            "category": lambda p: 0.6 * p + 0.4 / N_LEVELS,
            "real": lambda p: p + [0.5, 0.0] * rng.standard_normal(p.shape),
        }
        pairs = zip(self.kinds, true.columns, strict=True)
        return ColumnParameters(true.weights, tuple(near[kind](p) for kind, p in pairs))

    def rows(self) -> np.ndarray:
        """The rows (n, d), float64, C order; categories are codes 0, 1, ..."""
        rng, true = self._rng(2), self.true_columns()
        X = np.empty((self.n_rows, self.n_features))
        for first in range(0, self.n_rows, DRAW_ROWS):
            part = X[first : first + DRAW_ROWS]
            k = rng.integers(self.n_components, size=len(part))
            for j, (kind, p) in enumerate(zip(self.kinds, true.columns, strict=True)):
                if kind == "count":
                    part[:, j] = rng.poisson(p[k, 0])
                elif kind == "real":
                    part[:, j] = p[k, 0] + p[k, 1] * rng.standard_normal(len(part))
                else:
                    edges = p.cumsum(axis=1)[:, :-1]
                    part[:, j] = (rng.random((len(part), 1)) > edges[k]).sum(axis=1)
        return X

    def smaller(self, factor: int) -> Self:
        """Return the same case with fewer rows, but never fewer than the components need."""
        n_rows = min(self.n_rows, max(self.n_rows // factor, 100 * self.n_components))
        return replace(self, n_rows=n_rows)

    @property
    def flops(self) -> None:
        """Not counted."""
        return


def _case(name: str, *kinds: str) -> ColumnCase:
    return ColumnCase(name, 1_000_000, len(kinds), 10, n_iter=3, kinds=kinds)


COLUMN_CASES = {
    case.name: case
    for case in (
        _case("poisson-10", *["count"] * 10),
        _case("categorical-10", *["category"] * 10),
        _case("product-10", *["real"] * 5, *["category"] * 5),
        _case("product-counts-10", *["real"] * 5, *["count"] * 5),
    )
}


def column_log_likelihood(X: np.ndarray, kinds: tuple[str, ...], found: ColumnParameters) -> float:
    """Total log-likelihood in nats, in NumPy and SciPy.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows.
    kinds : tuple of str
        What each column holds.
    found : ColumnParameters
        The mixture.

    Examples
    --------
    >>> one = ColumnParameters(np.ones(1), (np.array([[2.0]]),))
    >>> round(column_log_likelihood(np.array([[3.0]]), ("count",), one), 6)
    -1.712318
    """
    total = 0.0
    for first in range(0, len(X), SLICE_ROWS):
        part = X[first : first + SLICE_ROWS]
        joint: Any = np.log(found.weights)
        for x, kind, p in zip(part.T[:, :, None], kinds, found.columns, strict=True):
            if kind == "count":
                joint = joint + x * np.log(p[:, 0]) - p[:, 0] - gammaln(x + 1)
            elif kind == "category":
                joint = joint + np.log(p.T[x[:, 0].astype(int)])
            else:
                z = (x - p[:, 0]) / p[:, 1]
                joint = joint - 0.5 * z * z - np.log(p[:, 1]) - 0.5 * np.log(2 * np.pi)
        total += float(logsumexp(joint, axis=1).sum())
    return total
