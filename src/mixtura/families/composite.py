"""Components of several families in one mixture: each run of components has a family of its own.

It holds what classes with densities of their own need: gamma for one and log-normal for
another, or covariance shapes that are shared within a class and differ between classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mixtura.errors import UsageError
from mixtura.families.base import Family, Profile
from mixtura.families.support import Fault, Remark
from mixtura.stats import Array, BoolArray, IntArray, Stats


class CompositeParams(NamedTuple):
    """Parameters of the parts, each as its own family has them."""

    parts: tuple[Any, ...]


@dataclass(frozen=True)
class Composite(Family[CompositeParams]):
    """Components of part after part: log p_k(x) is that of the part which k belongs to.

    Statistics are those of the parts, filled up with zeros to one width.

    Parameters
    ----------
    n_features : int
        Number of columns d.
    parts : tuple of Family
        Families over the same d columns.
    sizes : tuple of int
        Components of each part.

    Raises
    ------
    UsageError
        No part, or parts over different numbers of columns.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Gaussian, Poisson
    >>> family = Composite(1, (Gaussian(1), Poisson(1)), (1, 2))
    >>> family.n_free(3)
    4
    """

    n_features: int
    parts: tuple[Family[Any], ...]
    sizes: tuple[int, ...]
    name: ClassVar[str] = "composite"
    params_type: ClassVar[type] = CompositeParams

    def __post_init__(self) -> None:
        widths = {part.n_features for part in self.parts}
        if widths != {self.n_features} or len(self.parts) != len(self.sizes) or min(self.sizes) < 1:
            raise UsageError.argument(
                "parts", self.parts, "families over the same columns, each with its components"
            )

    @property
    def closed_form(self) -> bool:  # type: ignore[override]
        """Every part has one."""
        return all(part.closed_form for part in self.parts)

    @property
    def centred(self) -> bool:  # type: ignore[override]
        """Some part has statistics about its current parameters."""
        return any(part.centred for part in self.parts)

    @property
    def needs_profile(self) -> bool:  # type: ignore[override]
        """Some part wants the place and scale of the data."""
        return any(part.needs_profile for part in self.parts)

    @property
    def needs_spread(self) -> bool:
        """Some part has no density where a column is constant."""
        return any(part.needs_spread for part in self.parts)

    @property
    def spread_columns(self) -> BoolArray:
        """Columns that must not be constant for some part, (d,)."""
        return np.asarray(np.logical_or.reduce([part.spread_columns for part in self.parts]))

    @property
    def couples(self) -> bool:
        """Components of some part have something in common."""
        return any(part.couples for part in self.parts)

    @property
    def damped(self) -> bool:
        """A part takes scoring steps."""
        return any(part.damped for part in self.parts)

    @property
    def monotone(self) -> bool:
        """No part lowers the log-likelihood."""
        return all(part.monotone for part in self.parts)

    # -- EM ---------------------------------------------------------------------

    def log_density(self, params: CompositeParams, X: Array) -> Array:
        """Log-density of each row under each component, (n, K), in nats."""
        return np.hstack([part.log_density(own, X) for part, own in self._with(params)])

    def accumulate(self, params: CompositeParams | None, X: Array, R: Array) -> Stats:
        """Statistics of the parts, side by side."""
        pieces = []
        for part, own, columns in zip(
            self.parts, self._params_of(params), self._spans, strict=True
        ):
            pieces.append(part.accumulate(own, X, R[:, columns]))
        return self._joined(
            pieces, Stats(np.zeros(0), np.zeros(0), np.zeros(0), mass=float(R.sum()))
        )

    def maximise(self, stats: Stats, previous: CompositeParams | None = None) -> CompositeParams:
        """M step of each part."""
        return self.m_step(stats, previous)

    def m_step(
        self, stats: Stats, previous: CompositeParams | None = None, n_threads: int = 1
    ) -> CompositeParams:
        """M step of each part, which may use threads."""
        pairs = zip(self.parts, self._split(stats), self._params_of(previous), strict=True)
        return CompositeParams(
            tuple(part.m_step(own, before, n_threads) for part, own, before in pairs)
        )

    def soften(self, stats: Stats) -> Stats:
        """Statistics of a rough start, made safe part by part."""
        softened = [
            part.soften(own) for part, own in zip(self.parts, self._split(stats), strict=True)
        ]
        return self._joined(softened, stats)

    def recentre(self, stats: Stats, current: CompositeParams, reference: CompositeParams) -> Stats:
        """Statistics of each part, moved to its reference."""
        moved = [
            part.recentre(own, now, then)
            for part, own, now, then in zip(
                self.parts, self._split(stats), current.parts, reference.parts, strict=True
            )
        ]
        return self._joined(moved, stats)

    def statistic_scale(self, size: int) -> Array:
        """Typical size of each entry of the statistics, (K, size)."""
        scale = np.ones((sum(self.sizes), size))
        for part, span, (p, _) in zip(self.parts, self._spans, self._widths, strict=True):
            scale[span, :p] = part.statistic_scale(p)
        return scale

    def log_prior(self, params: CompositeParams) -> float:
        """Sum of those of the parts."""
        return float(sum(part.log_prior(own) for part, own in self._with(params)))

    def adapted(self, profile: Profile) -> Composite:
        """Every part adapted to the data."""
        return replace(self, parts=tuple(part.adapted(profile) for part in self.parts))

    def ranged(self, low: Array, high: Array) -> Composite:
        """Every part with what it needs to know of the range of the columns."""
        return replace(self, parts=tuple(part.ranged(low, high) for part in self.parts))

    @property
    def bounded(self) -> bool:
        """The density of some part is zero somewhere."""
        return any(part.bounded for part in self.parts)

    def fault(self, X: Array) -> Fault | None:
        """First value at which the density of some part is zero; None without one."""
        found = (part.fault(X) for part in self.parts if part.bounded)
        return next((fault for fault in found if fault is not None), None)

    @property
    def whole(self) -> BoolArray:
        """Which columns hold whole numbers only, (d,)."""
        return np.asarray(np.logical_and.reduce([part.whole for part in self.parts]))

    # -- what people ask of it ----------------------------------------------------

    def sample(self, params: CompositeParams, labels: IntArray, rng: np.random.Generator) -> Array:
        """One row per label, (n, d)."""
        X = np.empty((len(labels), self.n_features))
        for (part, own), span in zip(self._with(params), self._spans, strict=True):
            rows = (labels >= span.start) & (labels < span.stop)
            X[rows] = part.sample(own, labels[rows] - span.start, rng)
        return X

    def n_free(self, n_components: int) -> int:
        """Free parameters of all parts."""
        if n_components != sum(self.sizes):
            raise UsageError.argument("n_components", n_components, f"{sum(self.sizes)}, by parts")
        return sum(part.n_free(size) for part, size in zip(self.parts, self.sizes, strict=True))

    def mean(self, params: CompositeParams) -> Array:
        """Mean of each component, (K, d)."""
        return np.concatenate([part.mean(own) for part, own in self._with(params)])

    def score(self, params: CompositeParams, stats: Stats) -> tuple[Array, ...]:
        """Gradients of the parts, one after the other."""
        pairs = zip(self._with(params), self._split(stats), strict=True)
        return tuple(g for (part, own), piece in pairs for g in part.score(own, piece))

    def standard_errors(self, params: CompositeParams, weight: Array) -> tuple[Array, ...]:
        """Standard errors of the parts, one after the other."""
        pairs = zip(self._with(params), self._spans, strict=True)
        return tuple(
            e for (part, own), span in pairs for e in part.standard_errors(own, weight[span])
        )

    def at_boundary(self, params: CompositeParams) -> BoolArray:
        """Components on a bound that keeps the likelihood finite, (K,)."""
        return np.concatenate([part.at_boundary(own) for part, own in self._with(params)])

    def remarks(self, params: CompositeParams) -> list[Remark]:
        """What people should know about components of the parts."""
        pairs = zip(self._with(params), self._spans, strict=True)
        return [
            Remark(remark.component + span.start, remark.text)
            for (part, own), span in pairs
            for remark in part.remarks(own)
        ]

    def marginal(self, params: CompositeParams, columns: Sequence[int]) -> tuple[Composite, Any]:
        """Densities of chosen columns, part by part."""
        found = [part.marginal(own, columns) for part, own in self._with(params)]
        family = Composite(len(columns), tuple(part for part, _ in found), self.sizes)
        return family, CompositeParams(tuple(own for _, own in found))

    def regions(self, params: CompositeParams, probability: float) -> Array | None:
        """Ellipsoids of all components, or None where a part has none."""
        found = [part.regions(own, probability) for part, own in self._with(params)]
        known = [one for one in found if one is not None]
        return np.concatenate(known) if len(known) == len(found) else None

    def cdf(self, params: CompositeParams, x: Array) -> Array | None:
        """P(X <= x) of each component, or None where a part has none."""
        found = [part.cdf(own, x) for part, own in self._with(params)]
        known = [one for one in found if one is not None]
        return np.hstack(known) if len(known) == len(found) else None

    def problem(self, params: CompositeParams) -> str | None:
        """First problem of a part."""
        found = (part.problem(own) for part, own in self._with(params))
        return next((problem for problem in found if problem is not None), None)

    def take(self, params: CompositeParams, order: IntArray) -> CompositeParams:
        """Components in another order, which must leave them in their parts.

        Raises
        ------
        UsageError
            A component would leave its part, or the part.
        """
        order = np.asarray(order)
        own_orders = []
        for span in self._spans:
            own = order[span] if len(order) == sum(self.sizes) else np.zeros(0)
            if sorted(own) != list(range(span.start, span.stop)):
                raise UsageError.argument(
                    "order", order.tolist(), "one that leaves components in their classes"
                )
            own_orders.append(own - span.start)
        pairs = zip(self._with(params), own_orders, strict=True)
        return CompositeParams(tuple(part.take(own, at) for (part, own), at in pairs))

    def config(self) -> dict[str, Any]:
        """Names, settings and sizes of the parts, as plain JSON values."""
        return {
            "n_features": self.n_features,
            "parts": [{"family": part.name, "config": part.config()} for part in self.parts],
            "sizes": list(self.sizes),
        }

    def to_arrays(self, params: CompositeParams) -> dict[str, Array]:
        """Arrays of the parts, their names led by the number of the part."""
        return {
            f"{i}.{name}": array
            for i, (part, own) in enumerate(self._with(params))
            for name, array in part.to_arrays(own).items()
        }

    def from_arrays(self, arrays: dict[str, Array]) -> CompositeParams:
        """Parameters from named arrays; the inverse of `to_arrays`."""
        split: list[dict[str, Array]] = [{} for _ in self.parts]
        for key, array in arrays.items():
            i, name = key.split(".", 1)
            split[int(i)][name] = array
        pairs = zip(self.parts, split, strict=True)
        return CompositeParams(tuple(part.from_arrays(own) for part, own in pairs))

    def describe(self) -> str:
        """Names of the parts in words."""
        return "; ".join(dict.fromkeys(part.describe() for part in self.parts))

    # -- inside ---------------------------------------------------------------------

    @cached_property
    def _spans(self) -> tuple[slice, ...]:
        ends = np.cumsum(self.sizes).tolist()
        return tuple(slice(end - size, end) for end, size in zip(ends, self.sizes, strict=True))

    @cached_property
    def _widths(self) -> tuple[tuple[int, int], ...]:
        """Sizes of each part's own statistics and of its shared ones."""
        pairs = zip(self.parts, self.sizes, strict=True)
        return tuple(part.statistic_sizes(size) for part, size in pairs)

    def _with(self, params: CompositeParams) -> Iterator[tuple[Family[Any], Any]]:
        return zip(self.parts, params.parts, strict=True)

    def _params_of(self, params: CompositeParams | None) -> Sequence[Any]:
        return [None] * len(self.parts) if params is None else params.parts

    def _split(self, stats: Stats) -> list[Stats]:
        pieces, at = [], 0
        for span, (p, q) in zip(self._spans, self._widths, strict=True):
            shared = stats.shared[at : at + q]
            weight, total = stats.weight[span], np.ascontiguousarray(stats.total[span, :p])
            pieces.append(Stats(weight, total, shared, mass=stats.mass))
            at += q
        return pieces

    def _joined(self, pieces: list[Stats], whole: Stats) -> Stats:
        total = np.zeros((sum(self.sizes), max(piece.total.shape[1] for piece in pieces)))
        for piece, span in zip(pieces, self._spans, strict=True):
            total[span, : piece.total.shape[1]] = piece.total
        return replace(
            whole,
            weight=np.concatenate([piece.weight for piece in pieces]),
            total=total,
            shared=np.concatenate([piece.shared for piece in pieces]),
        )
