"""Background noise: a component of fixed density beside those of any family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from mixtura.errors import UsageError
from mixtura.families.base import Family, Profile
from mixtura.families.named import NamedArrays
from mixtura.families.priors import Prior
from mixtura.families.shown import Shown
from mixtura.families.support import Fault, Remark, Support
from mixtura.stats import Array, BoolArray, IntArray, Stats

#: Share of every row that the noise has in a start.
FIRST_SHARE = 0.05


@dataclass(frozen=True)
class WithNoise(Family[NamedArrays]):
    """K - 1 components of a family, and a last one that is uniform over the box of the data.

    The noise has no parameters but its weight: its density is 1 / V at every row, V being the
    volume of the box that the data fill (Banfield and Raftery 1993; mclust's noise term).
    Rows outside of the box, which only later data can have, get the same density, so that they
    are told from the clusters too; the density is a proper one over the box.

    Parameters
    ----------
    inner : Family
        What the other components are.
    low, high : tuple of float
        The box; empty: the range of the data. Columns of whole numbers have
        high - low + 1 of them.
    log_volume : float, optional
        Log of V. Default: that of the box.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import MixtureModel
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.normal(0, 1, (200, 2)), rng.uniform(-20, 20, (50, 2))])
    >>> model = MixtureModel(n_components=1, noise=True, random_state=0).fit(X)
    >>> model.weights_.round(1)  # the last one is the noise
    array([0.8, 0.2])
    """

    n_features: int = field(init=False, repr=False)
    inner: Family[Any]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    log_volume: float | None = None
    name: ClassVar[str] = "noise"
    params_type: ClassVar[type] = NamedArrays

    def __post_init__(self) -> None:
        if not self.inner.has_box or self.inner.n_fixed:
            raise UsageError.argument(
                "noise", self.inner.name, "a family whose rows fill a box, without noise of its own"
            )
        object.__setattr__(self, "n_features", self.inner.n_features)
        for name in ("low", "high"):
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        if self.prior is None:
            object.__setattr__(self, "prior", self.inner.prior)
        elif self.prior != self.inner.prior:
            object.__setattr__(self, "inner", replace(self.inner, prior=self.prior))

    # -- what the inner family says ------------------------------------------------

    @property
    def support(self) -> Support:  # type: ignore[override]
        """That of the inner family."""
        return self.inner.support

    @property
    def closed_form(self) -> bool:  # type: ignore[override]
        """As the inner family."""
        return self.inner.closed_form

    @property
    def centred(self) -> bool:  # type: ignore[override]
        """As the inner family."""
        return self.inner.centred

    @property
    def needs_profile(self) -> bool:  # type: ignore[override]
        """As the inner family."""
        return self.inner.needs_profile

    @property
    def couples(self) -> bool:
        """As the inner family."""
        return self.inner.couples

    @property
    def needs_spread(self) -> bool:
        """As the inner family."""
        return self.inner.needs_spread

    @property
    def damped(self) -> bool:
        """A part takes scoring steps."""
        return self.inner.damped

    @property
    def monotone(self) -> bool:
        """As the inner family."""
        return self.inner.monotone

    @property
    def bounded(self) -> bool:
        """As the inner family."""
        return self.inner.bounded

    @property
    def whole(self) -> BoolArray:
        """As the inner family."""
        return self.inner.whole

    @property
    def spread_columns(self) -> BoolArray:
        """As the inner family."""
        return self.inner.spread_columns

    @property
    def categories(self) -> BoolArray:
        """As the inner family."""
        return self.inner.categories

    @property
    def n_fixed(self) -> int:
        """The noise."""
        return 1

    @property
    def shared_arrays(self) -> tuple[str, ...]:
        """As the inner family."""
        return self.inner.shared_arrays

    def fault(self, X: Array) -> Fault | None:
        """As the inner family."""
        return self.inner.fault(X)

    def ranged(self, low: Array, high: Array) -> WithNoise:
        """Take the box from the range of each column, where it was not given."""
        inner = self.inner.ranged(low, high)
        if self.low:
            return replace(self, inner=inner)
        return replace(self, inner=inner, low=tuple(low.tolist()), high=tuple(high.tolist()))

    def adapted(self, profile: Profile) -> WithNoise:
        """The inner family adapted to the data."""
        return replace(self, inner=self.inner.adapted(profile))

    def default_prior(self, profile: Profile | None, whole: Stats, n_components: int) -> Prior:
        """That of the inner components."""
        return self.inner.default_prior(profile, whole, max(n_components - 1, 1))

    def check_prior(self) -> None:
        """The prior is that of the inner family."""
        self.inner.check_prior()

    def log_prior(self, params: NamedArrays) -> float:
        """That of the inner components."""
        return self.inner.log_prior(self._inner_of(params))

    # -- EM -----------------------------------------------------------------------

    def log_density(self, params: NamedArrays, X: Array) -> Array:
        """Log-density of each row under each component, (n, K), in nats."""
        noise = self.fixed(params)
        result = np.full((len(X), len(noise)), -self._log_volume)
        if not noise.all():
            result[:, ~noise] = self.inner.log_density(self._inner_of(params), X)
        return result

    def accumulate(self, params: NamedArrays | None, X: Array, R: Array) -> Stats:
        """Statistics of the inner components; zeros for the noise."""
        noise = _last(R.shape[1]) if params is None else self.fixed(params)
        own = None if params is None else self._inner_of(params)
        inner = self.inner.accumulate(own, X, np.ascontiguousarray(R[:, ~noise]))
        whole = Stats(R.sum(axis=0), np.zeros((len(noise), 0)), inner.shared, mass=float(R.sum()))
        return _filled(whole, inner, noise)

    def maximise(self, stats: Stats, previous: NamedArrays | None = None) -> NamedArrays:
        """M step of the inner components."""
        return self.m_step(stats, previous)

    def m_step(
        self, stats: Stats, previous: NamedArrays | None = None, n_threads: int = 1
    ) -> NamedArrays:
        """M step of the inner components, in compiled code where there is some."""
        noise = _last(len(stats.weight)) if previous is None else self.fixed(previous)
        before = None if previous is None else self._inner_of(previous)
        return self.params(self.inner.m_step(_without(stats, noise), before, n_threads), noise)

    def params(self, inner: Any, noise: BoolArray | None = None) -> NamedArrays:
        """Parameters from those of the inner components; the noise is the last one by default."""
        if noise is None:
            noise = _last(len(self.inner.mean(inner)) + 1)
        return NamedArrays((*inner._fields, "noise"), [*inner, noise.astype(float)])

    def soften(self, stats: Stats) -> Stats:
        """As the inner family, for a start, whose noise is the last component."""
        noise = _last(len(stats.weight))
        return _filled(stats, self.inner.soften(_without(stats, noise)), noise)

    def seeded(self, R: Array) -> Array:
        """Give the noise an even share of every row, besides what a start gave it."""
        result: Array = (1.0 - FIRST_SHARE) * self.inner.seeded(R)
        result[:, -1] += FIRST_SHARE * R.sum(axis=1)
        return result

    def start_features(self, X: Array) -> Array:
        """As the inner family."""
        return self.inner.start_features(X)

    def recentre(self, stats: Stats, current: NamedArrays, reference: NamedArrays) -> Stats:
        """Statistics of the inner components, moved; those of the noise stay zero."""
        noise = self.fixed(current)
        moved = self.inner.recentre(
            _without(stats, noise), self._inner_of(current), self._inner_of(reference)
        )
        return _filled(stats, moved, noise)

    def statistic_scale(self, size: int) -> Array:
        """As the inner family."""
        return self.inner.statistic_scale(size)

    # -- what people ask of it -------------------------------------------------------

    def fixed(self, params: NamedArrays) -> BoolArray:
        """Which component is the noise, (K,)."""
        return np.asarray(params[-1] > 0.5)

    def sample(self, params: NamedArrays, labels: IntArray, rng: np.random.Generator) -> Array:
        """Rows of the labelled components, the noise spread evenly over its box, (n, d)."""
        noise = self.fixed(params)
        low, high = self._box
        X = low + (high - low) * rng.random((len(labels), self.n_features))
        steps = np.floor(rng.random(X.shape) * (high - low + 1))
        X[:, self.whole] = (low + steps)[:, self.whole]
        of_inner = ~noise[labels]
        place = np.cumsum(~noise) - 1
        if of_inner.any():
            X[of_inner] = self.inner.sample(self._inner_of(params), place[labels[of_inner]], rng)
        return X

    def n_free(self, n_components: int) -> int:
        """Those of the inner components; the volume is not estimated."""
        return self.inner.n_free(max(n_components - 1, 1))

    def mean(self, params: NamedArrays) -> Array:
        """Means of the inner components, and the middle of the box, (K, d)."""
        noise, (low, high) = self.fixed(params), self._box
        result = np.repeat(((low + high) / 2)[None], len(noise), axis=0)
        result[~noise] = self.inner.mean(self._inner_of(params))
        return result

    def score(self, params: NamedArrays, stats: Stats) -> tuple[Array, ...]:
        """That of the inner components."""
        return self.inner.score(self._inner_of(params), _without(stats, self.fixed(params)))

    def standard_errors(self, params: NamedArrays, weight: Array) -> tuple[Array, ...]:
        """Those of the inner components."""
        return self.inner.standard_errors(self._inner_of(params), weight[~self.fixed(params)])

    def at_boundary(self, params: NamedArrays) -> BoolArray:
        """As the inner family; never the noise."""
        result = self.fixed(params)
        result[~result] = self.inner.at_boundary(self._inner_of(params))
        return result & ~self.fixed(params)

    def remarks(self, params: NamedArrays) -> list[Remark]:
        """Those about inner components."""
        places = np.flatnonzero(~self.fixed(params)).tolist()
        return [Remark(places[k], text) for k, text in self.inner.remarks(self._inner_of(params))]

    def shown(
        self, params: NamedArrays, weight: Array | None = None, labels: Sequence[Sequence[str]] = ()
    ) -> list[Shown]:
        """Parameters of the inner components; the noise has none."""
        noise = self.fixed(params)

        def spread(values: Array) -> Array:
            result = np.full((len(noise), values.shape[1]), np.nan)
            result[~noise] = values
            return result

        own = None if weight is None else weight[~noise]
        return [
            one._replace(
                values=spread(one.values),
                errors=None if one.errors is None else spread(one.errors),
                scales=None if one.scales is None else spread(one.scales),
            )
            for one in self.inner.shown(self._inner_of(params), own, labels)
        ]

    def marginal(
        self, params: NamedArrays, columns: Sequence[int]
    ) -> tuple[Family[Any], NamedArrays]:
        """Marginals of the inner components, and noise over the chosen sides of the box."""
        inner, own = self.inner.marginal(self._inner_of(params), columns)
        low, high = (tuple(values[j] for j in columns) for values in (self.low, self.high))
        family = WithNoise(inner, low, high)
        return family, family.params(own, self.fixed(params))

    def regions(self, params: NamedArrays, probability: float) -> Array | None:
        """Those of the inner components; NaN for the noise, which has no densest region."""
        inner = self.inner.regions(self._inner_of(params), probability)
        if inner is None:
            return None
        result = np.full((len(self.fixed(params)), *inner.shape[1:]), np.nan)
        result[~self.fixed(params)] = inner
        return result

    def cdf(self, params: NamedArrays, x: Array) -> Array | None:
        """P(X <= x) of each component, for one column, (n, K)."""
        noise, (low, high) = self.fixed(params), self._box
        inner = self.inner.cdf(self._inner_of(params), x)
        if inner is None:
            return None
        steps = (np.floor(x) - low + 1) / (high - low + 1)
        even = steps if self.whole[0] else (x - low) / (high - low)
        result = np.repeat(np.clip(even, 0.0, 1.0)[:, None], len(noise), axis=1)
        result[:, ~noise] = inner
        return result

    def problem(self, params: NamedArrays) -> str | None:
        """As the inner family; at most one component is the noise."""
        if not np.isin(params[-1], (0.0, 1.0)).all() or params[-1].sum() > 1:
            return "not exactly one component is the noise"
        return self.inner.problem(self._inner_of(params))

    def adopt(self, params: NamedArrays, other: Family[Any]) -> NamedArrays:
        """Parameters of a similar family with noise."""
        if not isinstance(other, WithNoise):
            raise UsageError.argument("start", f"a mixture of {other!r}", f"of {self!r}")
        return self.params(
            self.inner.adopt(other._inner_of(params), other.inner), self.fixed(params)
        )

    def take(self, params: NamedArrays, order: IntArray) -> NamedArrays:
        """Select components, in the order given."""
        noise = self.fixed(params)
        chosen = noise[order]
        place = np.cumsum(~noise) - 1
        return self.params(
            self.inner.take(self._inner_of(params), place[np.asarray(order)[~chosen]]), chosen
        )

    # -- files ------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """The inner family and the box, as plain JSON values."""
        return {
            "inner": self.inner.document(),
            "low": list(self.low),
            "high": list(self.high),
            "log_volume": self.log_volume,
        }

    @classmethod
    def from_config(cls, config: Any, n_features: int) -> WithNoise | None:
        """Make the family again from plain values; None if they do not fit."""
        from mixtura.families import restore_family

        if not isinstance(config, dict) or set(config) != {"inner", "low", "high", "log_volume"}:
            return None
        inner = restore_family(config["inner"], n_features)
        sides = (config["low"], config["high"])
        if inner is None or not all(_is_side(side, n_features) for side in sides):
            return None
        if not isinstance(config["log_volume"], float | None):
            return None
        return cls(inner, tuple(sides[0]), tuple(sides[1]), config["log_volume"])

    def to_arrays(self, params: NamedArrays) -> dict[str, Array]:
        """Arrays of the inner components, and which one is the noise."""
        return {**self.inner.to_arrays(self._inner_of(params)), "noise": params[-1]}

    def from_arrays(self, arrays: dict[str, Array]) -> NamedArrays:
        """Parameters from named arrays; the inverse of `to_arrays`."""
        own = {name: array for name, array in arrays.items() if name != "noise"}
        return self.params(self.inner.from_arrays(own), arrays["noise"] > 0.5)

    def describe(self) -> str:
        """Name in words."""
        return f"{self.inner.describe()}, with noise"

    # -- inside -------------------------------------------------------------------------

    @cached_property
    def _box(self) -> tuple[Array, Array]:
        if not self.low:
            return np.zeros(self.n_features), np.ones(self.n_features)
        return np.array(self.low), np.array(self.high)

    @cached_property
    def _log_volume(self) -> float:
        if self.log_volume is not None:
            return self.log_volume
        sides = self._box[1] - self._box[0] + self.whole
        return float(np.log(np.where(sides > 0, sides, 1.0)).sum())

    def _inner_of(self, params: NamedArrays) -> Any:
        return self.inner._params(list(params[:-1]))


def _last(n_components: int) -> BoolArray:
    """The last component, unless it is the only one: that is no noise."""
    return np.asarray(np.arange(1, n_components + 1) == max(n_components, 2))


def _without(stats: Stats, noise: BoolArray) -> Stats:
    """Statistics of the other components."""
    return replace(
        stats,
        weight=np.ascontiguousarray(stats.weight[~noise]),
        total=np.ascontiguousarray(stats.total[~noise]),
    )


def _filled(whole: Stats, inner: Stats, noise: BoolArray) -> Stats:
    """Statistics of the inner components with a row of zeros for the noise."""
    weight = whole.weight.copy()
    weight[~noise] = inner.weight
    total = np.zeros((len(noise), inner.total.shape[1]))
    total[~noise] = inner.total
    return replace(whole, weight=weight, total=total, shared=inner.shared)


def _is_side(side: Any, n_features: int) -> bool:
    return (
        isinstance(side, list)
        and len(side) in (0, n_features)
        and all(type(value) in (int, float) for value in side)
    )
