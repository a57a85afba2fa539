"""Rows of classes: in memory, in folds, and counted."""

from __future__ import annotations

import numpy as np

from mixtura.crossval import in_memory
from mixtura.errors import DataError, UsageError
from mixtura.source import DataSource
from mixtura.start import rng_for
from mixtura.stats import Array, IntArray, Rows


def whole(source: DataSource) -> tuple[Rows, IntArray, Array]:
    """All rows of a source, their classes (-1 where unknown) and weights, in memory."""
    X, w = in_memory(source)
    labels = [block.labels for block in source.blocks() if block.labels is not None]
    codes = np.concatenate(labels) if labels else np.full(len(X), -1)
    return X, codes, np.ones(len(X)) if w is None else w


def class_folds(codes: IntArray, n_folds: int, seed: int) -> IntArray:
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
    known = np.flatnonzero(codes >= 0)
    if not 2 <= n_folds <= len(known):
        raise UsageError.argument("n_folds", n_folds, f"from 2 to {len(known)}, the labelled rows")
    folds = np.full(len(codes), -1)
    dealt = 0
    for c in np.unique(codes[known]):
        own = np.flatnonzero(codes == c)
        own = own[rng_for(seed, "class folds", int(c)).permutation(len(own))]
        folds[own] = (dealt + np.arange(len(own))) % n_folds  # go on where the last class ended
        dealt += len(own)
    return folds


def known_classes(source: DataSource, n_classes: int) -> tuple[Array, Array, int]:
    """Weight and number of the rows of each class, and the number of unlabelled rows."""
    weight, rows, unknown = np.zeros(n_classes), np.zeros(n_classes), 0
    for block in source.blocks():
        if block.labels is None:
            raise DataError.labels("a classifier needs the classes of some rows")
        w = np.ones(block.n_rows) if block.w is None else block.w
        known = (block.labels >= 0) & (w > 0)
        weight += np.bincount(block.labels[known], w[known], minlength=n_classes)
        rows += np.bincount(block.labels[known], minlength=n_classes)
        unknown += int(((block.labels < 0) & (w > 0)).sum())
    return weight, rows, unknown
