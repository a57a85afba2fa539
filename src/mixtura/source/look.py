"""What blocks tell about themselves: counts, extremes and faults, which add up over the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mixtura.codec import encodable
from mixtura.errors import DataError
from mixtura.source.base import LEAF_ROWS, Block, DataSource, Rows
from mixtura.stats import tree_sum

FEW_LEVELS = 10  # whole numbers with at most so many values look like codes
_CHUNK_NUMBERS = 1 << 17  # 1 MB: what is looked at stays in the cache


@encodable
@dataclass(frozen=True, eq=False)
class Faults:
    """Missing and infinite values and unusable weights: how many, and the first place.

    Attributes
    ----------
    missing, infinite : ndarray of shape (d,)
        Values of each column.
    first_missing : tuple of int, or None
        Row and column.
    first_infinite : tuple, or None
        Row, column and value.
    first_weight : tuple, or None
        Row and value.
    """

    missing: npt.NDArray[np.int64]
    infinite: npt.NDArray[np.int64]
    first_missing: tuple[int, int] | None = None
    first_infinite: tuple[int, int, float] | None = None
    first_weight: tuple[int, float] | None = None

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.missing + other.missing,
            self.infinite + other.infinite,
            self.first_missing or other.first_missing,
            self.first_infinite or other.first_infinite,
            self.first_weight or other.first_weight,
        )

    @classmethod
    def of(cls, block: Block) -> Faults:
        """Count the faults of some rows."""
        missing, infinite = np.isnan(block.X), np.isinf(block.X)
        first_missing = first_infinite = first_weight = None
        if missing.any():
            row, j = np.unravel_index(int(np.argmax(missing)), missing.shape)
            first_missing = block.first_row + int(row), int(j)
        if infinite.any():
            row, j = np.unravel_index(int(np.argmax(infinite)), infinite.shape)
            first_infinite = block.first_row + int(row), int(j), float(block.X[row, j])
        if block.w is not None:
            usable = (block.w >= 0) & (block.w < np.inf)
            if not usable.all():
                at = int(np.argmin(usable))
                first_weight = block.first_row + at, float(block.w[at])
        return cls(
            missing.sum(axis=0), infinite.sum(axis=0), first_missing, first_infinite, first_weight
        )

    def refuse(self, source: DataSource, n_rows: int) -> None:
        """Raise the error that says most about `n_rows` rows, if there is a fault."""
        names = source.columns
        if self.first_weight is not None:
            row, weight = self.first_weight
            raise DataError.weights(f"the value at row {row}{source.where(row)} is {weight}")
        if self.first_missing is not None:
            gone = np.flatnonzero(self.missing == n_rows)
            if len(gone):
                raise DataError.all_missing([names[j] for j in gone], n_rows)
            row, j = self.first_missing
            counts = _positive(names, self.missing)
            raise DataError.missing(counts, n_rows, row, names[j], source.where(row))
        if self.first_infinite is not None:
            row, j, value = self.first_infinite
            counts = _positive(names, self.infinite)
            raise DataError.infinite(counts, value, row, names[j], source.where(row))


@encodable
@dataclass(frozen=True, eq=False)
class Look:
    """What some rows tell; adding two looks joins them. Rows of weight zero only count as rows.

    Attributes
    ----------
    n_rows, n_positive : int
        Rows, and those of weight > 0.
    mass : float
        Sum of the weights, in the tree of `mixtura.stats.tree_sum` over leaves of rows.
    min, max : ndarray of shape (d,)
        Extremes of each column.
    pivot : ndarray of shape (d,), or None
        The first row of weight > 0.
    keys : ndarray of uint64
        Hashes of distinct rows, at most `max_distinct` of them.
    levels : dict
        Values of the columns that may be codes, by position.
    faults : Faults or None
        What cannot be used, if anything.
    """

    n_rows: int
    n_positive: int
    mass: float
    min: npt.NDArray[np.float64]
    max: npt.NDArray[np.float64]
    pivot: npt.NDArray[np.float64] | None
    keys: npt.NDArray[np.uint64]
    max_distinct: int
    levels: dict[int, tuple[float, ...]]
    faults: Faults | None = None

    def __add__(self, other: Self) -> Self:
        keys = self.keys
        if len(keys) < self.max_distinct:
            keys = np.union1d(keys, other.keys)[: self.max_distinct]
        joined = {
            j: tuple(sorted({*self.levels[j], *other.levels[j]}))
            for j in self.levels
            if j in other.levels
        }
        faults = self.faults or other.faults
        if self.faults is not None and other.faults is not None:
            faults = self.faults + other.faults
        return type(self)(
            self.n_rows + other.n_rows,
            self.n_positive + other.n_positive,
            self.mass + other.mass,
            np.minimum(self.min, other.min),
            np.maximum(self.max, other.max),
            other.pivot if self.pivot is None else self.pivot,
            keys,
            self.max_distinct,
            {j: values for j, values in joined.items() if len(values) <= FEW_LEVELS},
            faults,
        )


def look_at(max_distinct: int, whole: frozenset[int], block: Block, n_threads: int = 1) -> Look:
    """Look at a block: the task of a pass.

    Parameters
    ----------
    max_distinct : int
        Stop counting distinct rows at this number.
    whole : frozenset of int
        Columns of whole numbers, whose values are collected while they are few.
    block : Block
        The rows.
    n_threads : int
        Not used.
    """
    del n_threads
    d = block.X.shape[1]
    extremes = np.full(d, np.inf), np.full(d, -np.inf)
    n_positive, pivot = 0, None
    faults: Faults | None = None
    keys = np.empty(0, dtype=np.uint64)
    levels: dict[int, tuple[float, ...]] = dict.fromkeys(whole, ())
    for chunk in chunks(block):
        found = faults_of(chunk)
        if found is not None:
            faults = found if faults is None else faults + found
            continue
        X = chunk.X if chunk.w is None else _present(chunk.X, chunk.w)
        if not len(X):
            continue
        n_positive += len(X)
        low, high = column_extremes(X)
        extremes = np.minimum(extremes[0], low), np.maximum(extremes[1], high)
        pivot = X[0].astype(np.float64) if pivot is None else pivot
        keys = _distinct_keys(keys, X, max_distinct)
        levels = _levels(levels, X)
    return Look(
        block.n_rows, n_positive, _mass(block), *extremes, pivot, keys, max_distinct, levels, faults
    )


def faults_of(chunk: Block) -> Faults | None:
    """What cannot be used of some rows, or None."""
    finite = all(np.isfinite(extreme).all() for extreme in column_extremes(chunk.X))
    w = chunk.w
    if finite and (w is None or ((w >= 0) & (w < np.inf)).all()):
        return None
    return Faults.of(chunk)


def chunks(block: Block) -> Iterator[Block]:
    """Short runs of rows; whole leaves, so that sums do not depend on the blocks."""
    leaves = max(1, _CHUNK_NUMBERS // (LEAF_ROWS * max(1, block.X.shape[1])))
    step = leaves * LEAF_ROWS
    for start in range(0, block.n_rows, step):
        yield block.rows(start, min(block.n_rows, start + step))


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


def _mass(block: Block) -> float:
    """Sum of the weights; the number of rows without weights."""
    w = block.w
    if w is None or not len(w):
        return float(block.n_rows)
    return tree_sum(
        float(w[start : start + LEAF_ROWS].sum()) for start in range(0, len(w), LEAF_ROWS)
    )


def _present(X: Rows, w: npt.NDArray[np.float64]) -> Rows:
    """Rows of weight > 0."""
    present = w > 0
    return X if present.all() else X[present]


def _distinct_keys(
    keys: npt.NDArray[np.uint64], X: Rows, max_distinct: int
) -> npt.NDArray[np.uint64]:
    step = LEAF_ROWS  # most data reach the bound within the first rows
    for start in range(0, len(X), step):
        if len(keys) >= max_distinct:
            break
        keys = np.union1d(keys, row_keys(X[start : start + step]))[:max_distinct]
    return keys


def _levels(levels: dict[int, tuple[float, ...]], X: Rows) -> dict[int, tuple[float, ...]]:
    """Values of the columns that may still be codes."""
    kept = {}
    for j, known in levels.items():
        values = np.unique(X[:, j])
        joined = set(known).union(values[: FEW_LEVELS + 1].tolist())
        if len(joined) <= FEW_LEVELS and (values == np.floor(values)).all():
            kept[j] = tuple(sorted(joined))
    return kept


def _positive(names: tuple[str, ...], counts: npt.NDArray[Any]) -> dict[str, int]:
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}
