"""What the data look like, column by column, from one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.executor import Executor
from mixtura.source import Block, DataSource
from mixtura.stats import Array


@dataclass(frozen=True, eq=False)
class ColumnProfile:
    """Numbers about each of d columns; values that are not finite count as missing.

    Attributes
    ----------
    n_rows : int
    weight : float
        Sum of the row weights.
    n_missing, count : ndarray of shape (d,)
        Values that are missing, and those that are not.
    mean, scatter : ndarray of shape (d,)
        Of the values, and the sum of squares about it; rows count once each.
    low, high : ndarray of shape (d,)
        Extremes.
    whole : ndarray of shape (d,)
        All values are whole numbers.
    """

    n_rows: int
    weight: float
    n_missing: Array
    count: Array
    mean: Array
    scatter: Array
    low: Array
    high: Array
    whole: Array

    @property
    def sd(self) -> Array:
        """Standard deviation (divided by n) of each column."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt(self.scatter / self.count)

    def __add__(self, other: ColumnProfile) -> ColumnProfile:
        """Profile of both together (Chan, Golub and LeVeque 1983)."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1.0)
        shift = np.where(self.count > 0, other.mean - self.mean, other.mean)
        own = np.where(self.count > 0, self.mean, 0.0)
        shift = np.where(other.count > 0, shift, 0.0)
        return ColumnProfile(
            self.n_rows + other.n_rows,
            self.weight + other.weight,
            self.n_missing + other.n_missing,
            count,
            own + share * shift,
            self.scatter + other.scatter + shift**2 * self.count * share,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.whole * other.whole,
        )


def profile_of(source: DataSource, executor: Executor) -> ColumnProfile:
    """Look at all rows once.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.executor import Local
    >>> from mixtura.source import as_source
    >>> found = profile_of(as_source(np.array([[1.0], [3.0], [np.nan]])), Local())
    >>> float(found.mean[0]), float(found.sd[0]), int(found.n_missing[0])
    (2.0, 1.0, 1)
    """
    return executor.reduce(look_at, source)


def look_at(block: Block, n_threads: int = 1) -> ColumnProfile:
    """Profile of one block."""
    del n_threads
    X = np.asarray(block.X, dtype=float)
    known = np.isfinite(X)
    count = known.sum(axis=0).astype(float)
    values = np.where(known, X, 0.0)
    pivot = np.where(known.any(axis=0), X[known.argmax(axis=0), range(X.shape[1])], 0.0)
    away = np.where(known, X - pivot, 0.0)
    shift = away.sum(axis=0) / np.maximum(count, 1.0)
    scatter = np.where(known, (away - shift) ** 2, 0.0).sum(axis=0)
    return ColumnProfile(
        len(X),
        float(len(X) if block.w is None else np.nansum(block.w)),
        len(X) - count,
        count,
        pivot + shift,
        scatter,
        np.where(known, X, np.inf).min(axis=0, initial=np.inf),
        np.where(known, X, -np.inf).max(axis=0, initial=-np.inf),
        (np.floor(values) == values).all(axis=0).astype(float),
    )
