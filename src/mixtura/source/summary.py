"""One pass that looks at the data before anything is fitted."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mixtura.errors import DataError, MixturaWarning
from mixtura.source.base import LEAF_ROWS, Block, DataSource, Rows
from mixtura.source.columns import refuse_weights

_CHUNK_NUMBERS = 1 << 17  # 1 MB: what is looked at stays in the cache
_FEW_LEVELS = 10  # whole numbers with at most so many values look like codes
_EXACT = 2.0**53


@dataclass(frozen=True, eq=False)
class Summary:
    """What one pass tells about the data.

    Attributes
    ----------
    n_rows : int
        Rows, after incomplete ones were left out.
    mass : float
        Sum of the row weights; `n_rows` without weights. The same bits for any
        size of blocks.
    n_positive : int
        Rows with weight > 0. The attributes below are about these rows only.
    min, max : ndarray of shape (d,)
        Extremes of each column.
    pivot : ndarray of shape (d,)
        The first row.
    n_distinct : int
        Distinct rows, told apart by a 64-bit hash of their values; counting
        stops at the bound given to `summarise`.
    n_dropped : int
        Rows left out for missing or infinite values.
    """

    n_rows: int
    mass: float
    n_positive: int
    min: npt.NDArray[np.float64]
    max: npt.NDArray[np.float64]
    pivot: npt.NDArray[np.float64]
    n_distinct: int
    n_dropped: int


def summarise(source: DataSource, *, max_distinct: int = 1000) -> Summary:
    """Look at all rows once: count, extremes, distinct rows; refuse what is not finite.

    Parameters
    ----------
    source : DataSource
        Rows and weights.
    max_distinct : int, default=1000
        Stop counting distinct rows at this number.

    Returns
    -------
    Summary

    Raises
    ------
    DataError
        Missing or infinite values (with counts over all rows and the first
        place), unusable weights, or no rows.

    Warns
    -----
    MixturaWarning
        Rows were dropped; a column of whole numbers looks like codes or exceeds
        the range in which float64 holds every integer.

    Examples
    --------
    >>> from mixtura.source import as_source
    >>> summary = summarise(as_source([[1.0, 5.0], [2.0, 5.0], [1.0, 5.0]]))
    >>> summary.n_rows, summary.n_distinct, summary.max
    (3, 2, array([2., 5.]))
    """
    look = _Look(source, max_distinct)
    for block in source.blocks():
        for chunk in _chunks(block):
            look.at(chunk)
    look.refuse()
    summary = look.summary()
    _warn(source, summary, look.levels)
    return summary


def check_block(block: Block, source: DataSource) -> None:
    """Refuse one block that holds missing or infinite values or unusable weights.

    Parameters
    ----------
    block : Block
        Rows to look at.
    source : DataSource
        Where they come from: names of columns and places of rows.

    Raises
    ------
    DataError
        As `summarise`, with counts over this block.

    Examples
    --------
    >>> from mixtura.source import as_source
    >>> source = as_source([[1.0], [2.0]])
    >>> for block in source.blocks():
    ...     check_block(block, source)
    """
    faults = _Faults(source.n_features)
    for chunk in _chunks(block):
        if not all(np.isfinite(extreme).all() for extreme in column_extremes(chunk.X)):
            faults.add(chunk)
    faults.refuse(source, block.n_rows)
    if block.w is not None:
        _refuse_weights(block, source)


class _Look:
    """Running totals over chunks of rows."""

    def __init__(self, source: DataSource, max_distinct: int) -> None:
        d = source.n_features
        self._source = source
        self._n_rows = self._n_positive = 0
        self._masses: list[float] = []
        self._min, self._max = np.full(d, np.inf), np.full(d, -np.inf)
        self._pivot: npt.NDArray[np.float64] | None = None
        self._faults = _Faults(d)
        self._max_distinct = max_distinct
        self._keys = np.empty(0, dtype=np.uint64)
        self.levels: dict[int, set[float]] = {j: set() for j in source.whole}

    def at(self, chunk: Block) -> None:
        """Take in some rows."""
        self._n_rows += chunk.n_rows
        X = chunk.X
        low, high = column_extremes(X)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            self._faults.add(chunk)
            return
        if chunk.w is None:
            self._masses.append(float(chunk.n_rows))
        else:
            X, low, high = self._weighted(chunk, low, high)
        if not len(X):
            return
        self._n_positive += len(X)
        self._min, self._max = np.minimum(self._min, low), np.maximum(self._max, high)
        if self._pivot is None:
            self._pivot = X[0].astype(np.float64)
        self._count_distinct(X)
        self._count_levels(X)

    def refuse(self) -> None:
        """Raise what was found, now that all rows were seen."""
        self._faults.refuse(self._source, self._n_rows)

    def summary(self) -> Summary:
        """Give the totals as a value."""
        if self._n_rows == 0:
            what = "the rows without missing values" if self._n_dropped else "the data"
            raise DataError.empty(what)
        if self._pivot is None:
            raise DataError.weights("all are zero")
        return Summary(
            n_rows=self._n_rows,
            mass=math.fsum(self._masses),
            n_positive=self._n_positive,
            min=self._min,
            max=self._max,
            pivot=self._pivot,
            n_distinct=min(len(self._keys), self._max_distinct),
            n_dropped=self._n_dropped,
        )

    @property
    def _n_dropped(self) -> int:
        return self._source.n_dropped or 0

    def _weighted(
        self, chunk: Block, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
    ) -> tuple[Rows, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Rows with weight > 0 and their extremes; adds up the weights."""
        w = chunk.w
        assert w is not None
        _refuse_weights(chunk, self._source)
        self._masses.extend(
            float(w[start : start + LEAF_ROWS].sum()) for start in range(0, len(w), LEAF_ROWS)
        )
        present = w > 0
        if present.all():
            return chunk.X, low, high
        X = chunk.X[present]
        return (X, *column_extremes(X)) if len(X) else (X, low, high)

    def _count_distinct(self, X: Rows) -> None:
        step = LEAF_ROWS  # most data reach the bound within the first rows
        for start in range(0, len(X), step):
            if len(self._keys) >= self._max_distinct:
                return
            self._keys = np.union1d(self._keys, row_keys(X[start : start + step]))

    def _count_levels(self, X: Rows) -> None:
        for j in list(self.levels):
            values = np.unique(X[:, j])
            levels = self.levels[j].union(values[: _FEW_LEVELS + 1].tolist())
            if len(levels) > _FEW_LEVELS or (values != np.floor(values)).any():
                del self.levels[j]
            else:
                self.levels[j] = levels


class _Faults:
    """Missing and infinite values: how many in each column, and the first place."""

    def __init__(self, n_features: int) -> None:
        self._missing = np.zeros(n_features, dtype=np.int64)
        self._infinite = np.zeros(n_features, dtype=np.int64)
        self._first_missing: tuple[int, int] | None = None
        self._first_infinite: tuple[int, int, float] | None = None

    def add(self, chunk: Block) -> None:
        """Count the faults of some rows."""
        missing, infinite = np.isnan(chunk.X), np.isinf(chunk.X)
        self._missing += missing.sum(axis=0)
        self._infinite += infinite.sum(axis=0)
        if self._first_missing is None and missing.any():
            row, j = np.unravel_index(int(np.argmax(missing)), missing.shape)
            self._first_missing = chunk.first_row + int(row), int(j)
        if self._first_infinite is None and infinite.any():
            row, j = np.unravel_index(int(np.argmax(infinite)), infinite.shape)
            self._first_infinite = chunk.first_row + int(row), int(j), float(chunk.X[row, j])

    def refuse(self, source: DataSource, n_rows: int) -> None:
        """Raise the error that says most, if there is a fault."""
        names = source.columns
        if self._first_missing is not None:
            gone = np.flatnonzero(self._missing == n_rows)
            if len(gone):
                raise DataError.all_missing([names[j] for j in gone], n_rows)
            row, j = self._first_missing
            counts = _positive(names, self._missing)
            raise DataError.missing(counts, n_rows, row, names[j], source.where(row))
        if self._first_infinite is not None:
            row, j, value = self._first_infinite
            counts = _positive(names, self._infinite)
            raise DataError.infinite(counts, value, row, names[j], source.where(row))


def column_extremes(X: Rows) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Least and greatest value of each column, (d,) each; NaN where a column has one."""
    n, d = X.shape
    fold = 512 // d if X.flags.c_contiguous else 1
    if fold > 1 and n >= 2 * fold:
        # A narrow table is reduced much faster as a wide one, several rows in one.
        head = X[: n - n % fold].reshape(n // fold, fold * d)
        low = head.min(axis=0).reshape(fold, d).min(axis=0)
        high = head.max(axis=0).reshape(fold, d).max(axis=0)
        tail = X[n - n % fold :]
        if len(tail):
            low, high = np.minimum(low, tail.min(axis=0)), np.maximum(high, tail.max(axis=0))
    else:
        low, high = X.min(axis=0), X.max(axis=0)
    return low.astype(np.float64), high.astype(np.float64)


def row_keys(X: Rows) -> npt.NDArray[np.uint64]:
    """Hash each row, shape (n,): equal rows have equal keys, 0.0 and -0.0 are equal.

    Each number is mixed in by the finaliser of SplitMix64 (Steele, Lea and Flood
    2014), so that different rows share a key with probability 2**-64.
    """
    bits = (np.asarray(X, dtype=np.float64) + 0.0).view(np.uint64)
    keys = np.full(len(X), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for j in range(X.shape[1]):
        keys = keys * np.uint64(0x9E3779B97F4A7C15) ^ bits[:, j]
        keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        keys ^= keys >> np.uint64(31)
    return keys


def _refuse_weights(block: Block, source: DataSource) -> None:
    assert block.w is not None
    usable = (block.w >= 0) & np.isfinite(block.w)
    if not usable.all():
        row = block.first_row + int(np.argmin(usable))
        refuse_weights(block.w, block.first_row, source.where(row))


def _chunks(block: Block) -> Iterator[Block]:
    """Short runs of rows; whole leaves, so that sums do not depend on the blocks."""
    leaves = max(1, _CHUNK_NUMBERS // (LEAF_ROWS * max(1, block.X.shape[1])))
    step = leaves * LEAF_ROWS
    for start in range(0, block.n_rows, step):
        yield block.rows(start, min(block.n_rows, start + step))


def _positive(names: tuple[str, ...], counts: npt.NDArray[Any]) -> dict[str, int]:
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}


def _warn(source: DataSource, summary: Summary, levels: dict[int, set[float]]) -> None:
    if summary.n_dropped:
        n_all = summary.n_rows + summary.n_dropped
        warnings.warn(MixturaWarning.rows_dropped(summary.n_dropped, n_all), stacklevel=3)
    for j in sorted(source.whole):
        name, n_levels = source.columns[j], len(levels.get(j, ()))
        if 2 <= n_levels <= _FEW_LEVELS and summary.n_rows > 10 * n_levels:
            warnings.warn(MixturaWarning.looks_categorical(name, n_levels), stacklevel=3)
        if max(summary.max[j], -summary.min[j]) >= _EXACT:
            warnings.warn(MixturaWarning.integers_rounded(name), stacklevel=3)
