"""The compiled pass of exponential families: log-densities that are linear in features of a row.

A family says in `terms` what the pass reads of rows, and in `natural` what multiplies it.
Features of rows in memory are computed once and kept in the memo of their block; where there is
no room, slices of rows are worked on one after the other.
"""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from mixtura import _kernel
from mixtura.stats import Array, Rows, Stats, tree_sum
from mixtura.threads import in_order

if TYPE_CHECKING:
    from mixtura.source import Block

#: Rows whose features are computed together: 2**k leaves of the merge tree, so that slicing
#: changes no bit.
SLICE_ROWS = 1 << 14


class Terms(NamedTuple):
    """What the pass reads of n rows: log p(x) = plain . eta + eta of the codes + base - A.

    A column of codes 0, 1, 2, ... stands for as many features as it has levels, of which the one
    at the place of the code is 1 and the others are 0.
    """

    plain: Rows  # (n, p) features that are numbers
    codes: Rows  # (n, c)
    base: Array | None  # (n,) log h(x) in nats; None: zero

    def rows(self, start: int, stop: int) -> Terms:
        """Terms of some of the rows, as views."""
        base = None if self.base is None else self.base[start:stop]
        return Terms(self.plain[start:stop], self.codes[start:stop], base)


class Coefficients(NamedTuple):
    """What multiplies the terms, for K components."""

    constants: Array  # (K,) log weight - A, in nats; -inf for an empty component
    eta: Array  # (K, p + levels of all columns of codes)
    levels: tuple[int, ...]  # (c,) levels of each column of codes


class HasTerms(Hashable, Protocol):
    """A family whose log-density is linear in features; equal ones have equal terms."""

    def terms(self, X: Rows) -> Terms:
        """Compute the terms of rows X (n, d)."""
        ...


class Others(Protocol):
    """Columns whose log-density is not linear in features."""

    def log_density(self, X: Rows) -> Array:
        """What they add to the log-density of each component, (n, K), in nats."""
        ...

    def accumulate(self, X: Rows, R: Array) -> Stats:
        """Compute their statistics, under responsibilities times weights R (n, K)."""
        ...


def expect(
    family: HasTerms,
    by: Coefficients,
    block: Block,
    n_threads: int,
    others: Others | None = None,
) -> Stats:
    """E step and statistics of a block: of plain features, then of codes, then of others."""
    terms = _whole_terms(family, block, n_threads)
    if terms is not None and others is None:
        return _pass(by, terms, block, n_threads)
    starts = range(0, block.n_rows, SLICE_ROWS)
    work = partial(_pass_of_slice, family, by, terms, others, block)
    with closing(in_order(work, starts, n_threads)) as parts:
        return tree_sum(parts)


def posterior(
    family: HasTerms,
    by: Coefficients,
    X: Rows,
    n_threads: int,
    others: Others | None = None,
) -> tuple[Array, Array]:
    """Log-density of the mixture (n,) in nats and responsibilities (n, K)."""
    own = X if X.dtype in (np.float64, np.float32) else np.asarray(X, dtype=float)
    plain, codes, base = family.terms(own)
    log_density, R = np.empty(len(X)), np.empty((len(X), len(by.constants)))
    _kernel.linear_score(
        plain, codes, _levels(by), base, by.constants, _flat(by.eta), n_threads, log_density, R,
        None if others is None else others.log_density(own),
    )  # fmt: skip
    return log_density, R


def _pass(
    by: Coefficients,
    terms: Terms,
    block: Block,
    n_threads: int,
    offsets: Array | None = None,
    R: Array | None = None,
) -> Stats:
    weight, total, loglik, entropy, mass = _kernel.linear_pass(
        terms.plain, terms.codes, _levels(by), terms.base, block.w, block.labels, by.constants,
        _flat(by.eta), n_threads, offsets, R,
    )  # fmt: skip
    return Stats(weight, total, np.zeros(0), loglik, entropy, mass)


def _pass_of_slice(
    family: HasTerms,
    by: Coefficients,
    whole: Terms | None,
    others: Others | None,
    block: Block,
    start: int,
) -> Stats:
    part = block.rows(start, start + SLICE_ROWS)
    terms = family.terms(part.X) if whole is None else whole.rows(start, start + SLICE_ROWS)
    if others is None:
        return _pass(by, terms, part, 1)
    R = np.empty((part.n_rows, len(by.constants)))
    stats = _pass(by, terms, part, 1, others.log_density(part.X), R)
    own = others.accumulate(part.X, R)
    return replace(stats, total=np.hstack([stats.total, own.total]), shared=own.shared)


def _levels(by: Coefficients) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(by.levels, dtype=np.int32)


def _flat(eta: Array) -> Array:
    return np.ascontiguousarray(eta, dtype=float)


def _whole_terms(family: HasTerms, block: Block, n_threads: int) -> Terms | None:
    """Terms of all rows, if they take no memory or may be kept; None where they may not."""
    n_bytes = _own_bytes(family, block.X) * block.n_rows
    if n_bytes == 0:
        return family.terms(block.X)
    if block.memo is None or not _is_hashable(family):
        return None
    terms: Terms | None = block.memo.get(family)
    if terms is None and n_bytes <= block.memo.max_bytes:
        terms = _computed(family, block.X, n_threads)
        block.memo.keep(family, terms, n_bytes)
    return terms


def _is_hashable(family: HasTerms) -> bool:
    """Whether equal families can be told; one that holds arrays may not be."""
    try:
        hash(family)
    except TypeError:
        return False
    return True


def _own_bytes(family: HasTerms, X: Rows) -> int:
    """Bytes per row that terms take, but for what is a view of the rows themselves."""
    row = X[:1]
    plain, codes, base = family.terms(row)
    arrays = [a for a in (plain, codes) if a.size and not np.may_share_memory(a, row)]
    copied = 0 if X.dtype == np.float64 else 8 * X.shape[1]  # on the way, for whole blocks
    return sum(a.nbytes for a in arrays) + (0 if base is None else 8) + copied


def _computed(family: HasTerms, X: Rows, n_threads: int) -> Terms:
    """Terms of all rows, slice by slice."""
    slices = [X[at : at + SLICE_ROWS] for at in range(0, len(X), SLICE_ROWS)]
    with closing(in_order(family.terms, slices, n_threads)) as parts:
        return _joined(list(parts), X)


def _joined(parts: list[Terms], X: Rows) -> Terms:
    """One of many; columns that are the rows' own are not copied."""

    def column(arrays: list[Rows]) -> Rows:
        if arrays[0].shape[1] == 0:
            return X[:, :0]
        if np.may_share_memory(arrays[0], X) and arrays[0].shape[1] == X.shape[1]:
            return X
        return np.concatenate(arrays)

    bases = [part.base for part in parts if part.base is not None]
    base = np.concatenate(bases) if bases else None
    return Terms(column([p.plain for p in parts]), column([p.codes for p in parts]), base)
