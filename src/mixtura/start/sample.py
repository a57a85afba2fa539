"""The rows that starts are made of: distinct ones, all or a random sample."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import partial

import numpy as np

from mixtura.codec import encodable
from mixtura.executor import Executor, Local
from mixtura.source import Block, DataSource, Summary, as_source
from mixtura.stats import Array, IntArray

#: Rows that a start looks at, and at least this many per component.
SAMPLE_ROWS = 10_000
SAMPLE_ROWS_PER_COMPONENT = 50

#: Rows whose random numbers are drawn at a time.
DRAWN_ROWS = 4096


def rng_for(seed: int, *purpose: object) -> np.random.Generator:
    """Random numbers of their own for a seed and a purpose (a counter-based generator)."""
    tag = zlib.crc32("/".join(map(str, purpose)).encode())
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, tag])))


def uniform_at(seed: int, first_row: int, n_rows: int) -> Array:
    """A random number in [0, 1) for each of some consecutive rows, told by its place alone, (n,).

    Examples
    --------
    >>> bool((uniform_at(0, 4000, 200)[100:] == uniform_at(0, 4100, 100)).all())
    True
    """
    chunks = range(first_row // DRAWN_ROWS, -(-(first_row + n_rows) // DRAWN_ROWS))
    drawn = [rng_for(seed, "places", chunk).random(DRAWN_ROWS) for chunk in chunks]
    start = first_row % DRAWN_ROWS
    return np.concatenate([np.zeros(0), *drawn])[start : start + n_rows]


def draw_sample(
    source: DataSource,
    summary: Summary,
    n_components: int,
    seed: int,
    executor: Executor | None = None,
) -> DataSource:
    """Distinct rows of the source, all of them or a random sample, with weights added up.

    Returns
    -------
    DataSource
        In memory, rows in lexicographic order.
    """
    limit = sample_limit(n_components)
    n_rows = summary.n_rows
    if n_rows <= limit:
        chosen = np.arange(n_rows)
    else:
        chosen = rng_for(seed, "sample").choice(n_rows, size=limit, replace=False, shuffle=False)
        chosen.sort()
    drawn = (executor or Local()).reduce(partial(chosen_rows, chosen), source)
    rows, weights = distinct(drawn.X, drawn.w)
    return as_source(rows, weights=weights)


@encodable
@dataclass(frozen=True, eq=False)
class Drawn:
    """Rows (n, d) and their weights (n,); adding puts one after the other."""

    X: Array
    w: Array

    def __add__(self, other: Drawn) -> Drawn:
        return Drawn(np.concatenate([self.X, other.X]), np.concatenate([self.w, other.w]))


def chosen_rows(chosen: IntArray, block: Block, n_threads: int = 1) -> Drawn:
    """Rows of a block whose numbers, counted over the whole source, are in the sorted `chosen`."""
    del n_threads
    first = block.first_row
    own = chosen[np.searchsorted(chosen, first) : np.searchsorted(chosen, first + block.n_rows)]
    own = own - first
    X = np.asarray(block.X[own], dtype=float)
    return Drawn(X, np.ones(len(own)) if block.w is None else block.w[own])


def sample_limit(n_components: int) -> int:
    """Up to how many rows are all of them looked at."""
    return max(SAMPLE_ROWS, SAMPLE_ROWS_PER_COMPONENT * n_components)


def distinct(X: Array, w: Array) -> tuple[Array, Array]:
    """Distinct rows of positive weight, sorted, and the sum of their weights."""
    X, w = X[w > 0], w[w > 0]
    order = np.lexsort(X.T[::-1])
    X, w = X[order], w[order]
    new = np.ones(len(X), dtype=bool)
    new[1:] = (X[1:] != X[:-1]).any(axis=1)
    return np.ascontiguousarray(X[new]), np.add.reduceat(w, np.flatnonzero(new))
