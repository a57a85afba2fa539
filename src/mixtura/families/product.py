"""Products: groups of columns that are independent within a component, each of its own family."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mixtura.errors import UsageError
from mixtura.families.base import Family, Profile
from mixtura.families.named import NamedArrays
from mixtura.families.part import Part
from mixtura.families.parts_pass import PartsPass
from mixtura.families.shown import Shown
from mixtura.families.support import Fault, Remark
from mixtura.stats import Array, BoolArray, IntArray, Rows, Stats

if TYPE_CHECKING:
    from mixtura.source import Block


@dataclass(frozen=True)
class Product(Family[NamedArrays]):
    """Independent groups of columns: log p(x) = sum over parts of log p_part(x[columns]).

    Real numbers, counts and categories of one table in one mixture. Statistics are those of
    the parts side by side, so whatever EM does with statistics it does with all of them.

    Parameters
    ----------
    parts : tuple of Part
        Every column in exactly one of them.

    Raises
    ------
    UsageError
        A column is in no part or in two, or a part has another number of columns than its
        family.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Gaussian, Poisson
    >>> family = Product((Part((0, 2), Gaussian(2)), Part((1,), Poisson(1))))
    >>> family.n_features, family.n_free(1)
    (3, 6)
    """

    n_features: int = field(init=False, repr=False)
    parts: tuple[Part, ...]
    name: ClassVar[str] = "product"
    params_type: ClassVar[type] = NamedArrays
    bound_words: ClassVar[str] = "sits on a bound in some columns: its likelihood is bounded by it"

    def __post_init__(self) -> None:
        columns = sorted(j for part in self.parts for j in part.columns)
        sizes = [(len(part.columns), part.family.n_features) for part in self.parts]
        if not columns or columns != list(range(len(columns))) or any(a != b for a, b in sizes):
            raise UsageError.argument(
                "parts", self.parts, "every column in one part, as many as its family has"
            )
        nested = [p.family for p in self.parts if p.family.params_type is NamedArrays]
        if nested:
            raise UsageError.argument(
                "parts", nested[0].name, "families that are not made of others; noise goes outside"
            )
        object.__setattr__(self, "n_features", len(columns))

    @property
    def closed_form(self) -> bool:  # type: ignore[override]
        """Every part has one."""
        return all(part.family.closed_form for part in self.parts)

    @property
    def centred(self) -> bool:  # type: ignore[override]
        """Some part has statistics about its current parameters."""
        return any(part.family.centred for part in self.parts)

    @property
    def needs_profile(self) -> bool:  # type: ignore[override]
        """Some part wants the place and scale of the data."""
        return any(part.family.needs_profile for part in self.parts)

    @property
    def has_box(self) -> bool:  # type: ignore[override]
        """Every part's rows fill a box."""
        return all(part.family.has_box for part in self.parts)

    @property
    def couples(self) -> bool:
        """Components of some part have something in common."""
        return any(part.family.couples for part in self.parts)

    @property
    def needs_spread(self) -> bool:
        """Some part has no density where a column is constant."""
        return any(part.family.needs_spread for part in self.parts)

    @property
    def spread_columns(self) -> BoolArray:
        """Columns of these parts."""
        return self._scattered(lambda family: family.spread_columns)

    @property
    def whole(self) -> BoolArray:
        """Columns of whole numbers."""
        return self._scattered(lambda family: family.whole)

    @property
    def categories(self) -> BoolArray:
        """Columns of codes."""
        return self._scattered(lambda family: family.categories)

    @property
    def damped(self) -> bool:
        """A part takes scoring steps."""
        return any(part.family.damped for part in self.parts)

    @property
    def monotone(self) -> bool:
        """No part's M step lowers the log-likelihood."""
        return all(part.family.monotone for part in self.parts)

    @property
    def bounded(self) -> bool:
        """Some part's density is zero somewhere."""
        return any(part.family.bounded for part in self.parts)

    @property
    def shared_arrays(self) -> tuple[str, ...]:
        """Arrays that the components of a part share."""
        return tuple(
            f"{i}.{name}" for i, part in enumerate(self.parts) for name in part.family.shared_arrays
        )

    def fault(self, X: Array) -> Fault | None:
        """Find the first row at which some part's density is zero."""
        found = []
        for part in self.parts:
            fault = part.family.fault(X[:, part.columns])
            if fault is not None:
                found.append(fault._replace(column=part.columns[fault.column]))
        return min(found, default=None)

    def ranged(self, low: Array, high: Array) -> Product:
        """Every part with the range of its columns."""
        return self._each(lambda p: p.family.ranged(low[list(p.columns)], high[list(p.columns)]))

    def adapted(self, profile: Profile) -> Product:
        """Every part with the place and scale of its columns."""
        return self._each(lambda part: part.adapted(profile))

    def check_prior(self) -> None:
        """Priors belong to the parts."""
        super().check_prior()
        for part in self.parts:
            part.family.check_prior()

    def log_prior(self, params: NamedArrays) -> float:
        """Sum of those of the parts."""
        return float(sum(part.family.log_prior(own) for part, own in self._with(params)))

    def log_density(self, params: NamedArrays, X: Array) -> Array:
        """Log-density of each row under each component, (n, K), in nats."""
        total: Array | None = None
        for part, own in self._with(params):
            term = part.family.log_density(own, part.of(X))
            total = term if total is None else total + term
        assert total is not None
        return total

    def expect(
        self, params: NamedArrays, log_weights: Array, block: Block, n_threads: int = 1
    ) -> Stats:
        """E step and statistics of one block, the linear parts in one compiled pass."""
        own = [own for _, own in self._with(params)]
        return self._pass.expect(own, log_weights, block, n_threads)

    def posterior(
        self, params: NamedArrays, log_weights: Array, X: Rows, n_threads: int = 1
    ) -> tuple[Array, Array]:
        """Log-density of the mixture (n,) in nats and responsibilities (n, K)."""
        own = [own for _, own in self._with(params)]
        return self._pass.posterior(own, log_weights, X, n_threads)

    def accumulate(self, params: NamedArrays | None, X: Array, R: Array) -> Stats:
        """Statistics of the parts, side by side."""
        pieces = [part.family.accumulate(own, part.of(X), R) for part, own in self._with(params)]
        return _joined(pieces, Stats(R.sum(axis=0), R, R, mass=float(R.sum())))

    def maximise(self, stats: Stats, previous: NamedArrays | None = None) -> NamedArrays:
        """M step of each part."""
        return self.m_step(stats, previous)

    def m_step(
        self, stats: Stats, previous: NamedArrays | None = None, n_threads: int = 1
    ) -> NamedArrays:
        """M step of each part, which may use threads."""
        return self.params(
            part.family.m_step(own, before, n_threads)
            for (part, before), own in zip(self._with(previous), self._split(stats), strict=True)
        )

    def params(self, parts: Any) -> NamedArrays:
        """Parameters from those of the parts, in their order."""
        return self._params([array for own in parts for array in own])

    def soften(self, stats: Stats) -> Stats:
        """Statistics of a rough start, made safe part by part."""
        softened = []
        for part, own in zip(self.parts, self._split(stats), strict=True):
            soft = part.family.soften(own)
            # pseudo-rows of one part are none of the others: per row, so that weights stay
            softened.append(replace(soft, total=soft.total * (stats.weight / soft.weight)[:, None]))
        return replace(_joined(softened, stats), weight=stats.weight)

    def start_features(self, X: Array) -> Array:
        """Those of the parts, side by side."""
        return np.hstack([p.family.start_features(p.of(X)) for p in self.parts])

    def recentre(self, stats: Stats, current: NamedArrays, reference: NamedArrays) -> Stats:
        """Statistics of each part, moved to its reference."""
        moved = [
            part.family.recentre(own, now, then)
            for (part, now), (_, then), own in zip(
                self._with(current), self._with(reference), self._split(stats), strict=True
            )
        ]
        return _joined(moved, stats)

    def statistic_scale(self, size: int) -> Array:
        """Typical size of each entry of the statistics."""
        del size
        sizes = zip(self.parts, self._sizes, strict=True)
        return np.concatenate([part.family.statistic_scale(p) for part, (p, _) in sizes])

    # -- what people ask of it -----------------------------------------------------------

    def sample(self, params: NamedArrays, labels: IntArray, rng: np.random.Generator) -> Array:
        """Draw one row per label, (n, d)."""
        X = np.empty((len(labels), self.n_features))
        for part, own in self._with(params):
            X[:, part.columns] = part.family.sample(own, labels, rng)
        return X

    def n_free(self, n_components: int) -> int:
        """Free parameters of all parts."""
        return sum(part.family.n_free(n_components) for part in self.parts)

    def mean(self, params: NamedArrays) -> Array:
        """Mean of each component, (K, d)."""
        pieces = [(part, part.family.mean(own)) for part, own in self._with(params)]
        result = np.empty((len(pieces[0][1]), self.n_features))
        for part, own in pieces:
            result[:, part.columns] = own
        return result

    def score(self, params: NamedArrays, stats: Stats) -> tuple[Array, ...]:
        """Gradients of the parts, one after the other."""
        pairs = zip(self._with(params), self._split(stats), strict=True)
        return tuple(g for (part, own), piece in pairs for g in part.family.score(own, piece))

    def standard_errors(self, params: NamedArrays, weight: Array) -> tuple[Array, ...]:
        """Standard errors of the parts, one after the other."""
        return tuple(
            e for part, own in self._with(params) for e in part.family.standard_errors(own, weight)
        )

    def at_boundary(self, params: NamedArrays) -> BoolArray:
        """Components for which some part is on a bound."""
        found = [part.family.at_boundary(own) for part, own in self._with(params)]
        return np.asarray(np.any(found, axis=0))

    def remarks(self, params: NamedArrays) -> list[Remark]:
        """Those of the parts."""
        return [
            Remark(k, f"({part.family.name}) {text}")
            for part, own in self._with(params)
            for k, text in part.family.remarks(own)
        ]

    def shown(
        self, params: NamedArrays, weight: Array | None = None, labels: Sequence[Sequence[str]] = ()
    ) -> list[Shown]:
        """Parameters of the parts, one after the other."""
        result = []
        for part, own in self._with(params):
            known = [labels[j] for j in part.columns] if labels else ()
            for one in part.family.shown(own, weight, known):
                places = [None if j is None else part.columns[j] for j in one.columns]
                result.append(one._replace(columns=places))
        return result

    def marginal(self, params: NamedArrays, columns: Sequence[int]) -> tuple[Family[Any], Any]:
        """Marginals of the parts that the chosen columns are in."""
        chosen, arrays = [], []
        for part, own in self._with(params):
            places = tuple(i for i, j in enumerate(columns) if j in part.columns)
            if places:
                inner, kept = part.family.marginal(
                    own, [part.columns.index(columns[i]) for i in places]
                )
                chosen.append(Part(places, inner))
                arrays.append(kept)
        if len(chosen) == 1:
            return chosen[0].family, arrays[0]
        family = Product(tuple(chosen))
        return family, family.params(arrays)

    def cdf(self, params: NamedArrays, x: Array) -> Array | None:
        """P(X <= x) of each component, for one column, (n, K)."""
        ((part, own),) = self._with(params)
        return part.family.cdf(own, x)

    def problem(self, params: NamedArrays) -> str | None:
        """First problem of a part, or parts of different numbers of components."""
        sizes = set()
        for part, own in self._with(params):
            found = part.family.problem(own)
            if found is not None:
                return f"{part.family.name}: {found}"
            sizes.add(len(part.family.mean(own)))
        return None if len(sizes) == 1 else "its parts have different numbers of components"

    def adopt(self, params: NamedArrays, other: Family[Any]) -> NamedArrays:
        """Parameters of a product of similar parts."""
        if not isinstance(other, Product) or len(other.parts) != len(self.parts):
            raise UsageError.argument("start", f"a mixture of {other!r}", f"of {self!r}")
        pairs = zip(self.parts, other._with(params), strict=True)
        return self.params(part.family.adopt(own, theirs.family) for part, (theirs, own) in pairs)

    # -- files ----------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Columns and families of the parts, as plain JSON values."""
        return {"parts": [part.document() for part in self.parts]}

    @classmethod
    def from_config(cls, config: Any, n_features: int) -> Product | None:
        """Make the family again from plain values; None if they do not fit."""
        if not isinstance(config, dict) or set(config) != {"parts"}:
            return None
        if not isinstance(config["parts"], list) or not config["parts"]:
            return None
        parts = [Part.restored(one) for one in config["parts"]]
        if not all(parts):
            return None
        made = cls(tuple(part for part in parts if part is not None))
        return made if made.n_features == n_features else None

    def to_arrays(self, params: NamedArrays) -> dict[str, Array]:
        """Arrays of the parts, their names led by the number of the part."""
        return {
            f"{i}.{name}": array
            for i, (part, own) in enumerate(self._with(params))
            for name, array in part.family.to_arrays(own).items()
        }

    def from_arrays(self, arrays: dict[str, Array]) -> NamedArrays:
        """Parameters from named arrays; the inverse of `to_arrays`."""
        return self.params(
            part.family.from_arrays(
                {
                    name.removeprefix(f"{i}."): array
                    for name, array in arrays.items()
                    if name.startswith(f"{i}.")
                }
            )
            for i, part in enumerate(self.parts)
        )

    def describe(self) -> str:
        """Names of the parts in words."""
        return "product of " + ", ".join(part.family.name for part in self.parts)

    # -- inside -----------------------------------------------------------------------------

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(
            f"{i}.{name}"
            for i, part in enumerate(self.parts)
            for name in part.family.params_type._fields  # type: ignore[attr-defined]
        )

    @cached_property
    def _pass(self) -> PartsPass:
        return PartsPass(self.parts, tuple(size for size, _ in self._sizes))

    @cached_property
    def _sizes(self) -> tuple[tuple[int, int], ...]:
        """Sizes of each part's own statistics and of its shared ones."""
        return tuple(part.family.statistic_sizes() for part in self.parts)

    def _params(self, arrays: list[Array]) -> NamedArrays:
        return NamedArrays(self._names, arrays)

    def _with(self, params: NamedArrays | None) -> Iterator[tuple[Part, Any]]:
        """Parts with their parameters."""
        at = 0
        for part in self.parts:
            if params is None:
                yield part, None
                continue
            size = len(part.family.params_type._fields)  # type: ignore[attr-defined]
            yield part, part.family._params(list(params[at : at + size]))
            at += size

    def _split(self, stats: Stats) -> Iterator[Stats]:
        at = shared_at = 0
        for p, q in self._sizes:
            yield replace(
                stats,
                total=np.ascontiguousarray(stats.total[:, at : at + p]),
                shared=stats.shared[shared_at : shared_at + q],
            )
            at, shared_at = at + p, shared_at + q

    def _each(self, change: Any) -> Product:
        return replace(self, parts=tuple(replace(p, family=change(p)) for p in self.parts))

    def _scattered(self, value: Any) -> BoolArray:
        """One truth per column from those of the parts."""
        result = np.zeros(self.n_features, dtype=bool)
        for part in self.parts:
            result[list(part.columns)] = value(part.family)
        return result


def _joined(pieces: list[Stats], whole: Stats) -> Stats:
    """Statistics of the parts side by side; weights are those of the first, which all share."""
    return replace(
        whole,
        weight=pieces[0].weight,
        total=np.hstack([piece.total for piece in pieces]),
        shared=np.concatenate([piece.shared for piece in pieces]),
    )
