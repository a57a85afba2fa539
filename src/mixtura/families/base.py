"""What a family of densities must say about itself: the contract and its three doors.

A family is a value without data. Its K parameters live in one NamedTuple of
arrays with leading axis K (or 1, where all components share them), so K
components are one object. There are three doors to EM, and all of them feed the
same loop:

* **A, exponential families** (`natural.ExponentialFamily`): write the statistic T(x),
  the natural parameters and the way back from mean statistics; E and M step
  follow (Dempster, Laird and Rubin 1977, section 2).
* **B, latent scales** (`Family`): `accumulate` receives the current parameters,
  so complete-data statistics that depend on them are still additive.
* **C, a log-density only**: the score and its outer product are additive;
  `maximise` takes one scoring step and `monotone` is False, which tells the
  loop to go back halfway when the objective falls.

A family whose estimate has no additive statistic (a uniform's end points, a
weighted median) does not fit any door and is refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np
from scipy.special import logsumexp

from mixtura.errors import UsageError
from mixtura.families.allowance import restrict
from mixtura.families.config import fits
from mixtura.families.passes import SLICE_ROWS, expect_in_slices
from mixtura.families.priors import Prior
from mixtura.families.shown import Shown, shown_arrays
from mixtura.families.support import Fault, Profile, Remark, Support
from mixtura.stats import Array, BoolArray, IntArray, Rows, Stats

if TYPE_CHECKING:
    from mixtura.families.runs import Runner
    from mixtura.source import Block

__all__ = ["SLICE_ROWS", "Family", "P", "Profile", "Support", "restrict"]

P = TypeVar("P", bound=tuple[Any, ...])


@dataclass(frozen=True)
class Family(ABC, Generic[P]):
    """A parametric family of densities on R^d.

    Attributes
    ----------
    n_features : int
        d, the number of columns.
    prior : Prior, "default" or None
        Conjugate prior of the components' parameters; None is maximum likelihood.
        "default" is a weak one, which a fit takes from the data.
    name : str
        Word by which people and files call it.
    support : Support
        Where the density is positive; checked once, at the data door.
    params_type : type
        NamedTuple of arrays with leading axis K, or 1 where shared.
    bound_words : str
        What is said of a component for which `at_boundary` is true.
    closed_form : bool
        With all labels known, one M step is the maximum-likelihood estimate.
    independent : bool
        Given the component, columns are independent, and column j of every
        parameter array (K, d) belongs to column j of the data.
    centred : bool
        Statistics are taken about the current parameters: an estimate from
        labels is made in two passes, the second about the first's means. Such a
        family says in `recentre` how to move statistics to other parameters.
    sums_leaves : bool
        `accumulate` adds rows leaf by leaf of the merge tree, however many it is given.
    needs_profile : bool
        `adapted` wants the place and scale of the data.
    shown_scale : float or None
        Differences of this size matter in all parameters; None: that depends on their size.
    has_box : bool
        Each column may have any of its values whatever the others are.
    """

    n_features: int
    prior: Prior | Literal["default"] | None = field(default=None, kw_only=True, repr=False)
    name: ClassVar[str]
    support: ClassVar[Support] = Support.REAL
    params_type: ClassVar[type]
    bound_words: ClassVar[str] = "sits on a bound: its likelihood is bounded by it"
    closed_form: ClassVar[bool] = True
    independent: ClassVar[bool] = False
    centred: ClassVar[bool] = False
    sums_leaves: ClassVar[bool] = False
    needs_profile: ClassVar[bool] = False
    has_box: ClassVar[bool] = True
    shown_scale: ClassVar[float | None] = None

    @property
    def is_linear(self) -> bool:
        """Log-densities are linear in features of a row that do not depend on parameters."""
        return False

    @property
    def shared_arrays(self) -> tuple[str, ...]:
        """Names of the parameter arrays that all components share (leading axis 1)."""
        return ()

    @property
    def couples(self) -> bool:
        """The estimate of one component depends on the rows of others, as with shared shapes."""
        return bool(self.shared_arrays)

    @property
    def needs_spread(self) -> bool:
        """A constant column leaves the family without a density."""
        return False

    @property
    def spread_columns(self) -> BoolArray:
        """Which columns must not be constant, (d,)."""
        return np.full(self.n_features, self.needs_spread)

    @property
    def monotone(self) -> bool:
        """The M step never lowers the log-likelihood. False for scoring steps (door C)."""
        return True

    @property
    def damped(self) -> bool:
        """The M step may overshoot: the loop goes back halfway when the objective falls."""
        return False

    @property
    def stretches(self) -> bool:
        """Parameters may be taken beyond a step, `between` with a share above 1."""
        return False

    def between(self, params: P, other: P, share: float) -> P:
        """Parameters part of the way from `params` to others, share > 0."""
        arrays, others = self.to_arrays(params), self.to_arrays(other)
        return self.from_arrays({k: a + share * (others[k] - a) for k, a in arrays.items()})

    @abstractmethod
    def log_density(self, params: P, X: Array) -> Array:
        """Log-density of each row under each component, (n, K), in nats."""

    @abstractmethod
    def accumulate(self, params: P | None, X: Array, R: Array) -> Stats:
        """Statistics of the rows X (n, d) under responsibilities times weights R (n, K).

        `params` are the current ones, None before there are any.
        """

    @abstractmethod
    def maximise(self, stats: Stats, previous: P | None = None) -> P:
        """Parameters that maximise the expected complete-data log-likelihood.

        `previous` are the parameters about which `stats` were accumulated; a
        component without weight keeps them.
        """

    def m_step(self, stats: Stats, previous: P | None = None, n_threads: int = 1) -> P:
        """M step; the door of compiled ones, which may spread components over threads."""
        del n_threads
        return self.maximise(stats, previous)

    @abstractmethod
    def sample(self, params: P, labels: IntArray, rng: np.random.Generator) -> Array:
        """Draw one row per label, (n, d)."""

    @abstractmethod
    def n_free(self, n_components: int) -> int:
        """Free parameters of `n_components` components, without their weights."""

    @abstractmethod
    def mean(self, params: P) -> Array:
        """Mean of each component, (K, d)."""

    @abstractmethod
    def score(self, params: P, stats: Stats) -> tuple[Array, ...]:
        """Gradient of the log-likelihood, from statistics taken at `params`.

        By Fisher's identity the same formula serves one density and a mixture:
        the gradient is the responsibility-weighted sum of component scores.
        """

    @abstractmethod
    def standard_errors(self, params: P, weight: Array) -> tuple[Array, ...]:
        """Standard errors of one density's estimates from `weight` (K,) rows each.

        From the inverse expected information; shaped like the estimates.
        """

    def adapted(self, profile: Profile) -> Self:
        """Return the family with what it needs to know of the data's place and scale."""
        del profile
        return self

    def ranged(self, low: Array, high: Array) -> Self:
        """Return the family with what it needs to know of the range of each column, (d,) each."""
        del low, high
        return self

    @property
    def bounded(self) -> bool:
        """The density is zero somewhere, so rows are checked before they are used."""
        return self.support is not Support.REAL

    def fault(self, X: Array) -> Fault | None:
        """Find the first value of rows X (n, d) at which the density is zero; None without one."""
        inside = self.support.contains(X)
        if inside.all():
            return None
        row, column = map(int, np.argwhere(~inside)[0])
        return Fault(row, column, self.support.value, self.support.hint)

    @property
    def whole(self) -> BoolArray:
        """Which columns hold whole numbers only, (d,)."""
        return np.full(self.n_features, self.support.is_whole)

    @property
    def categories(self) -> BoolArray:
        """Which columns hold codes that may stand for labels, (d,)."""
        return np.full(self.n_features, self.support.is_category)

    @property
    def n_fixed(self) -> int:
        """How many of the components have no parameters: the last ones, in a start."""
        return 0

    def fixed(self, params: P) -> BoolArray:
        """Which components have no parameters, (K,): they may be empty, and come last."""
        return np.zeros(len(self.mean(params)), dtype=bool)

    def start_features(self, X: Array) -> Array:
        """Numbers (n, m) by whose distances a start may part the rows X (n, d)."""
        return X

    def seeded(self, R: Array) -> Array:
        """Responsibilities (n, K) of a start, in which fixed components may have no rows."""
        return R

    def soften(self, stats: Stats) -> Stats:
        """Statistics of a rough start, made safe for components of a few rows."""
        return stats

    def runner(self) -> Runner | None:
        """Compiled code for whole runs on rows in memory, where the family has it."""
        return None

    def default_prior(self, profile: Profile | None, whole: Stats, n_components: int) -> Prior:
        """Weak prior for K components, from the data's profile and the statistics of all rows.

        Raises
        ------
        UsageError
            The family knows no prior of its parameters.
        """
        del profile, whole, n_components
        raise UsageError.argument("prior", "default", f"None: {self.describe()} knows no prior")

    def check_prior(self) -> None:
        """Refuse a prior that does not fit the family.

        Raises
        ------
        UsageError
            It is of another kind, or for another number of columns.
        """
        if self.prior is not None:
            raise UsageError.argument("prior", self.prior, f"None for {self.describe()}")

    def log_prior(self, params: P) -> float:
        """Log prior density of the parameters in nats, up to a constant; 0 without a prior."""
        del params
        return 0.0

    def recentre(self, stats: Stats, current: P, reference: P) -> Stats:
        """Statistics taken at `current` parameters, as if they had been taken at `reference`."""
        del current, reference
        return stats

    def statistic_scale(self, size: int) -> Array:
        """Typical size of each of the `size` entries of a statistic per row."""
        return np.ones(size)

    def statistic_sizes(self, n_components: int = 1) -> tuple[int, int]:
        """Sizes of a component's own statistics and of the shared ones, as a first pass has them.

        They are those of a row without weight, all halves: where the density is zero there, the
        statistic must be finite yet.
        """
        row = np.full((1, self.n_features), 0.5)
        none = self.accumulate(None, row, np.zeros((1, n_components)))
        return none.total.shape[1], len(none.shared)

    def at_boundary(self, params: P) -> BoolArray:
        """Tell which components sit on a bound that keeps the likelihood finite, (K,)."""
        return np.zeros(len(self.mean(params)), dtype=bool)

    def near_boundary(self, params: P) -> BoolArray:
        """Tell which components such a bound holds, or holds all but for rounding, (K,)."""
        return self.at_boundary(params)

    def marginal(self, params: P, columns: Sequence[int]) -> tuple[Family[Any], Any]:
        """Densities of chosen columns: a family over them, and its parameters.

        Raises
        ------
        UsageError
            The family has none in closed form.
        """
        own, d = list(columns), self.n_features
        if own == list(range(d)):
            return self, params
        if not self.independent:
            needed = f"all columns: family '{self.name}' has no marginal densities"
            raise UsageError.argument("columns", own, needed)
        config: dict[str, Any] = {
            name: [value[j] for j in own] if isinstance(value, list) and len(value) == d else value
            for name, value in self.config().items()
        }
        family = type(self)(**{**config, "n_features": len(own)})
        return family, family._params([array[:, own] for array in params])

    def regions(self, params: P, probability: float) -> Array | None:
        """Ellipsoids (x - mean_k)' M_k^-1 (x - mean_k) <= 1 that hold a probability, M (K, d, d).

        None where the densest region of a component is no ellipsoid, NaN where it has none.
        """
        del params, probability
        return None

    def cdf(self, params: P, x: Array) -> Array | None:
        """P(X <= x) of each component at x (n,), for one column: (n, K); None where unknown."""
        del params, x
        return None

    def remarks(self, params: P) -> list[Remark]:
        """What people should know about components, such as those at the boundary."""
        text = f"{self.bound_words}, not by the data"
        return [Remark(int(k), text) for k in np.flatnonzero(self.at_boundary(params))]

    def problem(self, params: P) -> str | None:
        """Say what is wrong with parameters from outside, or None when they are usable."""
        for name, array in zip(params._fields, params, strict=True):  # type: ignore[attr-defined]
            if not np.isfinite(array).all():
                return f"{name} holds values that are not finite"
        return None

    def adopt(self, params: P, other: Family[Any]) -> P:
        """Parameters of a similar family in the terms of this one, for a start."""
        if type(other) is not type(self) or other.n_features != self.n_features:
            raise UsageError.argument("start", f"a mixture of {other!r}", f"of {self!r}")
        return params

    def config(self) -> dict[str, Any]:
        """Arguments that make this family again, as plain JSON values."""
        return {"n_features": self.n_features}

    def document(self) -> dict[str, Any]:
        """Name, settings and prior as plain JSON values, of which `restore_family` makes it."""
        prior = self.prior.config() if isinstance(self.prior, Prior) else None
        return {"family": self.name, "config": self.config(), "prior": prior}

    @classmethod
    def from_config(cls, config: Any, n_features: int) -> Self | None:
        """Make a family for `n_features` columns from settings of a file; None if they do not fit.

        Raises
        ------
        UsageError
            The settings have the right types, and values without meaning.
        """
        if not fits(cls, config, cls(n_features).config(), n_features):
            return None
        if config["n_features"] != n_features:
            return None
        make: Any = cls
        made: Self = make(**{k: tuple(v) if isinstance(v, list) else v for k, v in config.items()})
        return made

    def restored(self, config: Any, n_features: int) -> Self | None:
        """Make this family with the settings of a file, for families that are not registered."""
        return type(self).from_config(config, n_features)

    def to_arrays(self, params: P) -> dict[str, Array]:
        """Parameters as named arrays, for files."""
        return dict(params._asdict())  # type: ignore[attr-defined]

    def from_arrays(self, arrays: dict[str, Array]) -> P:
        """Parameters from named arrays; the inverse of `to_arrays`."""
        return self._params([arrays[name] for name in self.params_type._fields])  # type: ignore[attr-defined]

    def shown(
        self, params: P, weight: Array | None = None, labels: Sequence[Sequence[str]] = ()
    ) -> list[Shown]:
        """Parameters for people.

        Parameters
        ----------
        params : NamedTuple
            K components.
        weight : ndarray of shape (K,), optional
            Rows of each, to give standard errors; None gives none.
        labels : sequence, optional
            Labels of each column's categories, none for a column of numbers.
        """
        del labels
        errors = None if weight is None else self.standard_errors(params, weight)
        shown = shown_arrays(self.to_arrays(params), errors, self.n_features)
        if self.shown_scale is None:
            return shown
        return [one._replace(scales=np.full(one.values.shape, self.shown_scale)) for one in shown]

    def describe(self) -> str:
        """Name in words, for summaries."""
        return self.name

    def take(self, params: P, order: IntArray) -> P:
        """Select components, in the order given; shared arrays stay shared."""
        names = params._fields  # type: ignore[attr-defined]
        shared = self.shared_arrays
        return self._params(
            [a if name in shared else a[order] for name, a in zip(names, params, strict=True)]
        )

    def posterior(
        self, params: P, log_weights: Array, X: Rows, n_threads: int = 1
    ) -> tuple[Array, Array]:
        """Log-density of the mixture (n,) in nats and responsibilities (n, K)."""
        joint = self.log_density(params, np.asarray(X, dtype=float)) + log_weights
        log_density = logsumexp(joint, axis=1)
        return log_density, np.exp(joint - log_density[:, None])

    def expect(self, params: P, log_weights: Array, block: Block, n_threads: int = 1) -> Stats:
        """E step and statistics of one block; the door of compiled kernels.

        Slices are added in order, so threads do not change the result.
        """
        return expect_in_slices(self, params, log_weights, block, n_threads)

    def _params(self, arrays: list[Array]) -> P:
        return self.params_type(*arrays)  # type: ignore[no-any-return]
