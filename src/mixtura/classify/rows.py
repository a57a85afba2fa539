"""Rows of classes: picked, in folds, and counted, pass by pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mixtura.codec import encodable
from mixtura.errors import DataError, UsageError
from mixtura.executor import Executor
from mixtura.families.runs import Ints
from mixtura.source import Block, DataSource, PickedSource, hold
from mixtura.source.base import Labels
from mixtura.start import rng_for
from mixtura.stats import Array, BoolArray


def of_class(source: DataSource, c: int) -> DataSource:
    """Rows of one class, of weight > 0, without their labels."""
    return _held_like(PickedSource(source, partial(_is_of_class, c), _no_labels), source)


def of_known_class(source: DataSource) -> DataSource:
    """Rows whose class is known, with their labels."""
    return _held_like(PickedSource(source, _is_known), source)


def of_folds(source: DataSource, folds: Ints, fold: int, *, inside: bool) -> DataSource:
    """Rows that are in one fold, or all others; folds (n,) are those of all rows."""
    return _held_like(PickedSource(source, InFold(folds, fold, inside)), source)


def _held_like(picked: DataSource, source: DataSource) -> DataSource:
    """Picked rows, once and for all where those that they are picked from are in memory."""
    return hold(picked) if source.in_memory else picked


def _is_of_class(c: int, block: Block) -> BoolArray:
    own = codes_of(block) == c
    return np.asarray(own if block.w is None else own & (block.w > 0))


def _is_known(block: Block) -> BoolArray:
    return np.asarray(codes_of(block) >= 0)


@dataclass(frozen=True, eq=False)
class InFold:
    """Picks the rows of a fold, or all others; `folds` are those of the rows from `first` on."""

    folds: Ints
    fold: int
    inside: bool
    first: int = 0

    def __call__(self, block: Block) -> BoolArray:
        """Which rows of a block are wanted."""
        at = block.first_row - self.first
        return np.asarray((self.folds[at : at + block.n_rows] == self.fold) == self.inside)

    def within(self, start: int, stop: int) -> InFold:
        """The same for the rows `start` to `stop` alone."""
        own = self.folds[start - self.first : stop - self.first]
        return replace(self, folds=own, first=start)


def _no_labels(labels: Labels) -> None:
    del labels


def codes_of(block: Block) -> Labels:
    """Class of each row of a block, (n,), -1 where unknown."""
    return np.full(block.n_rows, -1, dtype=np.int32) if block.labels is None else block.labels


def all_codes(source: DataSource, executor: Executor) -> Ints:
    """Classes of all rows, (n,), -1 where unknown: the only thing of each row that is kept."""
    return executor.reduce(_codes_task, source).values


@encodable
@dataclass(frozen=True, eq=False)
class Codes:
    """Numbers of rows, (n,); adding puts one after the other."""

    values: Ints

    def __add__(self, other: Codes) -> Codes:
        return Codes(np.concatenate([self.values, other.values]))


def _codes_task(block: Block, n_threads: int = 1) -> Codes:
    del n_threads
    return Codes(np.asarray(codes_of(block), dtype=np.int32))


def class_folds(codes: Ints, n_folds: int, seed: int) -> Ints:
    """Fold of each row, (n,), every class spread evenly; -1 for rows of unknown class.

    Raises
    ------
    UsageError
        Fewer than two folds, or more than rows of known class.

    Examples
    --------
    >>> folds = class_folds(np.array([0, 1, 0, 1, -1]), 2, 0)
    >>> int(folds[4]), sorted(folds[[0, 2]].tolist()), sorted(folds[[1, 3]].tolist())
    (-1, [0, 1], [0, 1])
    """
    n_known = int((codes >= 0).sum())
    if not 2 <= n_folds <= n_known:
        raise UsageError.argument("n_folds", n_folds, f"from 2 to {n_known}, the labelled rows")
    folds = np.full(len(codes), -1, dtype=np.int32)
    dealt = 0
    for c in np.unique(codes[codes >= 0]):
        own = np.flatnonzero(codes == c)
        rng_for(seed, "class folds", int(c)).shuffle(own)
        deal = np.arange(dealt, dealt + len(own))  # go on where the last class ended
        deal %= n_folds
        folds[own] = deal
        dealt += len(own)
    return folds


@encodable
@dataclass(frozen=True, eq=False)
class ClassCounts:
    """Rows of weight > 0 by class.

    Attributes
    ----------
    weight : ndarray of shape (C,)
        Weight of the rows of each class.
    rows : ndarray of shape (C,)
        Their number.
    unknown : float
        Number of rows whose class is not known.
    labelled : bool
        There are labels at all.
    """

    weight: Array
    rows: Array
    unknown: float
    labelled: bool

    def __add__(self, other: ClassCounts) -> ClassCounts:
        return ClassCounts(
            self.weight + other.weight, self.rows + other.rows, self.unknown + other.unknown,
            self.labelled or other.labelled,
        )  # fmt: skip


def known_classes(source: DataSource, n_classes: int, executor: Executor) -> ClassCounts:
    """Count the rows of each class.

    Raises
    ------
    DataError
        There are no labels.
    """
    found = executor.reduce(partial(_counted, n_classes), source)
    if not found.labelled:
        raise DataError.labels("a classifier needs the classes of some rows")
    return found


def _counted(n_classes: int, block: Block, n_threads: int = 1) -> ClassCounts:
    del n_threads
    codes = codes_of(block)
    w = np.ones(block.n_rows) if block.w is None else block.w
    known = (codes >= 0) & (w > 0)
    return ClassCounts(
        np.bincount(codes[known], w[known], minlength=n_classes).astype(float),
        np.bincount(codes[known], minlength=n_classes).astype(float),
        float(((codes < 0) & (w > 0)).sum()), block.labels is not None,
    )  # fmt: skip
