"""The compiled pass of products: linear log-densities together, the other parts beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mixtura import _kernel
from mixtura.families import linear
from mixtura.families.linear import Coefficients, Terms
from mixtura.families.natural import ExponentialFamily
from mixtura.families.part import Part
from mixtura.stats import Array, IntArray, Rows, Stats, tree_sum

if TYPE_CHECKING:
    from mixtura.source import Block


@dataclass(frozen=True, eq=False)
class PartsPass:
    """The data pass of a product.

    Parameters
    ----------
    parts : tuple of Part
        All of them.
    sizes : tuple of int
        Size of each part's own statistics.
    """

    parts: tuple[Part, ...]
    sizes: tuple[int, ...]

    def expect(
        self, params: Sequence[Any], log_weights: Array, block: Block, n_threads: int
    ) -> Stats:
        """E step and statistics of one block, in the order of the parts."""
        by, others = self._prepared(params, log_weights)
        stats = linear.expect(self._linear, by, block, n_threads, others)
        return replace(stats, total=np.ascontiguousarray(stats.total[:, self._places]))

    def posterior(
        self, params: Sequence[Any], log_weights: Array, X: Rows, n_threads: int
    ) -> tuple[Array, Array]:
        """Log-density of the mixture (n,) in nats and responsibilities (n, K)."""
        by, others = self._prepared(params, log_weights)
        return linear.posterior(self._linear, by, X, n_threads, others)

    def _prepared(
        self, params: Sequence[Any], log_weights: Array
    ) -> tuple[Coefficients, OtherParts | None]:
        """What multiplies the terms of linear parts, and the other parts, if there are any."""
        pairs = list(zip(self.parts, params, strict=True))
        own = [own for part, own in pairs if part.family.is_linear]
        rest = [pair for pair in pairs if not pair[0].family.is_linear]
        others = OtherParts(*zip(*rest, strict=True)) if rest else None
        return self._linear.coefficients(own, log_weights), others

    @cached_property
    def _linear(self) -> LinearParts:
        return LinearParts(tuple(part for part in self.parts if part.family.is_linear))

    @cached_property
    def _places(self) -> IntArray:
        return places(self.parts, self.sizes)


@dataclass(frozen=True)
class LinearParts:
    """The parts of a product whose log-densities are linear in features, as one family of them.

    Parameters
    ----------
    parts : tuple of Part
        Their families have `terms`.
    """

    parts: tuple[Part, ...]

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """Levels of the columns of codes of all parts."""
        return tuple(level for part in self.parts for level in _formulas(part).code_levels)

    def terms(self, X: Rows) -> Terms:
        """Terms of all parts, side by side."""
        if not self.parts:
            return Terms(X[:, :0], X[:, :0], None)
        each = [_formulas(part).terms(X[:, list(part.columns)]) for part in self.parts]
        bases = [terms.base for terms in each if terms.base is not None]
        return Terms(
            np.hstack([terms.plain for terms in each]),
            np.hstack([terms.codes for terms in each]),
            np.sum(bases, axis=0) if bases else None,
        )

    def coefficients(self, params: Sequence[Any], log_weights: Array) -> Coefficients:
        """What multiplies the terms, from the parameters of each part."""
        constants = log_weights
        plain, codes = [np.empty((len(log_weights), 0))], [np.empty((len(log_weights), 0))]
        for part, own in zip(self.parts, params, strict=True):
            family = _formulas(part)
            eta, A = family.natural(own)
            constants = constants - A
            n_plain = eta.shape[1] - sum(family.code_levels)
            plain.append(eta[:, :n_plain])
            codes.append(eta[:, n_plain:])
        return Coefficients(constants, np.hstack(plain + codes), self.levels)


@dataclass(frozen=True, eq=False)
class OtherParts:
    """The parts of a product that compute their own log-densities and statistics."""

    parts: tuple[Part, ...]
    params: tuple[Any, ...]

    def log_density(self, X: Rows) -> Array:
        """Sum over parts, (n, K), in nats."""
        terms = [
            part.family.log_density(own, part.of(X))
            for part, own in zip(self.parts, self.params, strict=True)
        ]
        return np.ascontiguousarray(sum(terms[1:], terms[0]))

    def accumulate(self, X: Rows, R: Array) -> Stats:
        """Statistics of all parts, side by side."""
        pieces: list[Stats] = []
        for part, own in zip(self.parts, self.params, strict=True):
            rows = part.of(X)
            step = len(rows) if part.family.sums_leaves else _kernel.CHUNK_ROWS
            pieces.append(
                tree_sum(
                    part.family.accumulate(own, rows[at : at + step], R[at : at + step])
                    for at in range(0, len(rows), step)
                )
            )
        return replace(
            pieces[0],
            total=np.hstack([piece.total for piece in pieces]),
            shared=np.concatenate([piece.shared for piece in pieces]),
        )


def places(parts: Sequence[Part], sizes: Sequence[int]) -> IntArray:
    """Where the pass puts the statistics of parts in order: plain features, codes, others."""
    linear = [part.family.is_linear for part in parts]
    n_codes = [
        sum(_formulas(part).code_levels) if own else 0
        for part, own in zip(parts, linear, strict=True)
    ]
    n_plain = [size - n if own else 0 for size, n, own in zip(sizes, n_codes, linear, strict=True)]
    n_other = [0 if own else size for size, own in zip(sizes, linear, strict=True)]
    ends = np.cumsum([n_plain, n_codes, n_other]).reshape(3, -1)
    found = [
        np.arange(ends[kind, i] - widths[i], ends[kind, i])
        for i in range(len(parts))
        for kind, widths in enumerate((n_plain, n_codes, n_other))
    ]
    return np.concatenate(found).astype(np.int64)


def _formulas(part: Part) -> ExponentialFamily[Any]:
    """The family of a linear part."""
    return cast(ExponentialFamily[Any], part.family)
