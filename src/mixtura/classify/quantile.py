"""Quantiles of a number of every row, by a few passes: the numbers are not kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from mixtura.codec import encodable
from mixtura.executor import Executor
from mixtura.source import Block, DataSource
from mixtura.start.sample import Drawn
from mixtura.stats import Array

#: Bins of one pass.
BINS = 1 << 12

#: So many numbers are sorted; of more, those that matter are looked for first.
FEW = 1 << 16

#: Stands for infinity: bins have finite ends.
LEAST = float(np.finfo(float).max) / 4

#: A number of each row of a block, (n,).
Measure = Callable[[Block], Array]


def quantile(measure: Measure, source: DataSource, share: float, executor: Executor) -> float:
    """The largest number of a row such that rows with smaller ones have at most a share of weight.

    Parameters
    ----------
    measure : callable
        A number of each row of a block; minus infinity is one.
    source : DataSource
        Rows and weights.
    share : float
        From 0 to 1.
    executor : Executor
        Who makes the passes: two; mostly one or two more where there are more than `FEW` rows.

    Examples
    --------
    >>> from mixtura.executor import Local
    >>> from mixtura.source import as_source
    >>> rows = as_source([[4.0], [1.0], [3.0], [2.0]])
    >>> quantile(lambda block: block.X[:, 0], rows, 0.3, Local(1))
    2.0
    """
    low, high, before, target = -LEAST, LEAST, 0.0, np.inf
    edges = np.array([low, high])
    while True:
        found = executor.reduce(partial(_binned, measure, edges), source)
        if target == np.inf:  # the first pass; rounding must not take a row away
            target = share * float(found.weight.sum()) * (1 + 1e-12)
        below = before + np.concatenate([[0.0], np.cumsum(found.weight)[:-1]])
        b = int(np.flatnonzero((found.count > 0) & (below <= target))[-1])
        low, high, before = float(found.low[b]), float(found.high[b]), float(below[b])
        if low == high:
            return _plain(low)
        if found.count[b] <= FEW:
            break
        # the greatest has a bin of its own, so that the least and it are told apart
        edges = np.unique([*np.linspace(low, high, BINS + 1), np.nextafter(high, np.inf)])
    own = executor.reduce(partial(_between, measure, low, high), source)
    values, w = own.X[:, 0], own.w
    order = np.argsort(values, kind="stable")
    below = before + np.cumsum(w[order]) - w[order]
    return _plain(values[order[np.flatnonzero(below <= target)[-1]]])


def _plain(value: float) -> float:
    return -np.inf if value == -LEAST else float(value)


@encodable
@dataclass(frozen=True, eq=False)
class Bins:
    """Weight, number, least and greatest of the numbers in each of some bins, (B,) each."""

    weight: Array
    count: Array
    low: Array
    high: Array

    def __add__(self, other: Bins) -> Bins:
        return Bins(
            self.weight + other.weight, self.count + other.count,
            np.minimum(self.low, other.low), np.maximum(self.high, other.high),
        )  # fmt: skip


def _measured(measure: Measure, block: Block) -> tuple[Array, Array]:
    """Numbers and weights of the rows that have weight."""
    values = np.maximum(measure(block), -LEAST)
    if block.w is None:
        return values, np.ones(len(values))
    return values[block.w > 0], block.w[block.w > 0]


def _binned(measure: Measure, edges: Array, block: Block, n_threads: int = 1) -> Bins:
    """Bins reach from each edge to below the next one; the last one holds its end."""
    del n_threads
    values, w = _measured(measure, block)
    inside = (values >= edges[0]) & (values <= edges[-1])
    values, w = values[inside], w[inside]
    n = len(edges) - 1
    at = np.minimum(np.searchsorted(edges, values, side="right") - 1, n - 1)
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, at, values)
    np.maximum.at(high, at, values)
    count = np.bincount(at, minlength=n).astype(float)
    return Bins(np.bincount(at, w, n).astype(float), count, low, high)


def _between(measure: Measure, low: float, high: float, block: Block, n_threads: int = 1) -> Drawn:
    del n_threads
    values, w = _measured(measure, block)
    inside = (values >= low) & (values <= high)
    return Drawn(values[inside, None], w[inside])
