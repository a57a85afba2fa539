"""The Gaussian family: log-density, statistics and M step, all through the compiled kernel."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from scipy import linalg

from mixtura import _kernel
from mixtura.errors import DegenerateComponentError, UsageError
from mixtura.families.base import Family, Profile
from mixtura.families.gaussian import views
from mixtura.families.gaussian.information import errors_of_moments, gradient
from mixtura.families.gaussian.packing import mixed_moments, second_moments
from mixtura.families.gaussian.prior import PseudoScatter, regular, weak_prior
from mixtura.families.gaussian.runs import NEAR, GaussianRunner
from mixtura.families.gaussian.shapes import Geometry, Shape, find_shape
from mixtura.families.gaussian.shown import shown_gaussian
from mixtura.families.priors import NormalInverseWishart, Prior
from mixtura.families.shown import Shown
from mixtura.stats import Array, BoolArray, IntArray, Rows, Stats

if TYPE_CHECKING:
    from mixtura.source import Block

#: The floor of the covariances as a fraction of the data's own covariance.
FLOOR = 1e-6

LOG_2 = float(np.log(2.0))


class GaussianParams(NamedTuple):
    """Parameters of K Gaussian components, in units of 2**exponents of their family."""

    means: Array  # (K, d)
    covariances: Array  # (K or 1, d, d), (K or 1, d) or (K or 1,), after the shape's geometry
    factors: Array  # W with W covariance W' = I, lower triangular; same layout


@dataclass(frozen=True)
class Gaussian(Family[GaussianParams]):
    r"""Gaussian: log p(x) = -1/2 [d log 2 pi + log det S + (x - mu)' S^-1 (x - mu)].

    Distances are taken from x - mu through the inverse Cholesky factor, and
    scatter about the current mean, so data far from the origin lose no digits.

    Parameters
    ----------
    n_features : int
        Number of columns d.
    covariance : str, default="full"
        Shape of the covariances: "full", "tied", "diag", "spherical" or one of
        the 14 names EII ... VVV.
    ridge : float, default=0.0
        Added to every variance after the M step, in squared units of the data.
        A positive value replaces the relative floor.
    exponents : tuple of int
        Columns are handled in units of 2**exponents; empty means 0 everywhere.
    origin : ndarray of shape (d,), optional
        Point about which the first statistics are taken, before there are means.
    floor : ndarray, optional
        Lower bound F of the covariances in the Loewner order: (d, d), (d,) or ().
        `adapted` sets it to `FLOOR` times the covariance of the data.

    Examples
    --------
    >>> import numpy as np
    >>> family = Gaussian(2)
    >>> params = family.params(np.zeros((1, 2)), np.eye(2)[None])
    >>> float(family.log_density(params, np.zeros((1, 2)))[0, 0].round(6))
    -1.837877
    """

    n_features: int
    covariance: str = "full"
    ridge: float = 0.0
    exponents: tuple[int, ...] = ()
    origin: Array | None = field(default=None, compare=False, repr=False)
    floor: Array | None = field(default=None, compare=False, repr=False)
    name: ClassVar[str] = "gaussian"
    params_type: ClassVar[type] = GaussianParams
    bound_words: ClassVar[str] = (
        "sits on the covariance floor: its likelihood is bounded by the floor"
    )
    centred: ClassVar[bool] = True
    sums_leaves: ClassVar[bool] = True
    needs_profile: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "exponents", tuple(map(int, self.exponents)))

    @cached_property
    def shape(self) -> Shape:
        """The covariance shape."""
        return find_shape(self.covariance)

    @property
    def shared_arrays(self) -> tuple[str, ...]:
        """Covariances and factors in the shapes EII, EEI and EEE."""
        return ("covariances", "factors") if self.shape.is_shared else ()

    @property
    def couples(self) -> bool:
        """All shapes but VII, VVI and VVV have something in common."""
        return self.shape.name not in ("VII", "VVI", "VVV")

    @property
    def needs_spread(self) -> bool:
        """Without a ridge or a prior of its own every column must vary."""
        return self.ridge == 0.0 and (self.prior is None or self.prior == "default")

    @property
    def monotone(self) -> bool:
        """An added ridge leaves the path of EM."""
        return self.ridge == 0.0

    @property
    def geometry(self) -> Geometry:
        """Layout of covariances and statistics."""
        return self.shape.geometry

    def params(self, means: Array, covariances: Array) -> GaussianParams:
        """Parameters from means (K, d) and covariances in this shape's layout, in these units.

        Raises
        ------
        DegenerateComponentError
            A covariance is not positive definite.
        UsageError
            An array has the wrong dimensions.
        """
        means = np.ascontiguousarray(means, dtype=float)
        covariances = np.ascontiguousarray(covariances, dtype=float)
        self._check_layout(means, covariances)
        factors, _ = _kernel.cholesky_factors(covariances, int(self.geometry))
        bad = ~np.isfinite(factors).reshape(len(factors), -1).all(axis=1)
        if bad.any():
            raise DegenerateComponentError.not_positive_definite(
                int(np.argmax(bad)), "the covariance"
            )
        return GaussianParams(means, covariances, factors)

    # -- E step ---------------------------------------------------------------

    def log_density(self, params: GaussianParams, X: Array) -> Array:
        """Log-density of each row under each component, (n, K), in nats."""
        out = np.empty((len(X), len(params.means)))
        _kernel.component_log_density(
            self._scaled(X), params.means, params.factors, int(self.geometry), 1, out
        )
        return out - self._log_unit

    def posterior(
        self, params: GaussianParams, log_weights: Array, X: Rows, n_threads: int = 1
    ) -> tuple[Array, Array]:
        """Log-density of the mixture (n,) in nats and responsibilities (n, K)."""
        log_density, R = np.empty(len(X)), np.empty((len(X), len(params.means)))
        _kernel.score(
            self._scaled(X), log_weights, params.means, params.factors, int(self.geometry),
            n_threads, log_density=log_density, responsibilities=R,
        )  # fmt: skip
        return log_density - self._log_unit, R

    def expect(
        self, params: GaussianParams, log_weights: Array, block: Block, n_threads: int = 1
    ) -> Stats:
        """E step and statistics of one block in one compiled pass."""
        weight, total, shared, loglik, entropy, mass = _kernel.em_pass(
            self._scaled(block.X), block.w, block.labels, log_weights,
            params.means, params.factors, int(self.geometry), n_threads,
        )  # fmt: skip
        return Stats(weight, total, shared, loglik - mass * self._log_unit, entropy, mass)

    def accumulate(self, params: GaussianParams | None, X: Array, R: Array) -> Stats:
        """Weights, sums and scatter about the current means, or about the origin at first."""
        R = np.ascontiguousarray(R, dtype=float)
        centres = params.means if params is not None else self._origins(R.shape[1])
        weight, total, shared = _kernel.accumulate(
            self._scaled(X), None, R, centres, int(self.geometry), 1
        )
        return Stats(weight, total, shared, mass=float(R.sum()))

    # -- M step ---------------------------------------------------------------

    def maximise(self, stats: Stats, previous: GaussianParams | None = None) -> GaussianParams:
        """Means and covariances of the shape (Celeux and Govaert 1995), kept above the floor."""
        return self.m_step(stats, previous)

    def m_step(
        self, stats: Stats, previous: GaussianParams | None = None, n_threads: int = 1
    ) -> GaussianParams:
        """M step in compiled code, components of many dimensions spread over threads."""
        centres = previous.means if previous is not None else self._origins(len(stats.weight))
        if self._pseudo is not None:
            stats, centres = self._pseudo.added(stats, centres)
        means, covariances, factors = _kernel.gaussian_m_step(
            self.shape.name, stats.weight, stats.total, stats.shared, centres,
            previous.covariances if previous is not None else None, self.floor,
            n_threads=n_threads,
        )  # fmt: skip
        if self.ridge:
            if self.geometry in (Geometry.DENSE, Geometry.TIED):
                covariances = covariances + self.ridge * np.eye(self.n_features)
            else:
                covariances = covariances + self.ridge
            factors, _ = _kernel.cholesky_factors(covariances, int(self.geometry))
        return GaussianParams(means, covariances, factors)

    def soften(self, stats: Stats) -> Stats:
        """Add a few pseudo-rows of the pooled within-component scatter about each mean.

        A rough start may give a component fewer rows than dimensions; this keeps
        its first covariance regular, in the units of the data.
        """
        weight, total = _kernel.soften(
            stats.weight, stats.total, int(self.geometry), self.n_features
        )
        return replace(stats, weight=weight, total=total)

    def runner(self) -> GaussianRunner | None:
        """Whole runs in the kernel; it knows no ridge and no prior."""
        return None if self.ridge or self.prior is not None else GaussianRunner((self,))

    def default_prior(self, profile: Profile | None, whole: Stats, n_components: int) -> Prior:
        """Return the weak prior of Fraley and Raftery (2007), in units of the data."""
        assert profile is not None
        e = profile.exponents
        covariance = np.ldexp(regular(profile.covariance), e[:, None] + e)
        return weak_prior(np.ldexp(profile.mean, e), covariance, n_components)

    def check_prior(self) -> None:
        """Need a normal-inverse-Wishart prior for as many columns."""
        prior = self.prior
        if prior is not None and not (
            isinstance(prior, NormalInverseWishart) and len(prior.mean) == self.n_features
        ):
            raise UsageError.argument(
                "prior", prior, f"a NormalInverseWishart of {self.n_features} columns"
            )

    def log_prior(self, params: GaussianParams) -> float:
        """Log prior density of means and covariances in nats, up to a constant."""
        if self._pseudo is None:
            return 0.0
        return self._pseudo.log_density(params.means, params.factors)

    @cached_property
    def _pseudo(self) -> PseudoScatter | None:
        if self.prior is None:
            return None
        self.check_prior()
        assert isinstance(self.prior, NormalInverseWishart)
        return PseudoScatter.of(self.prior, self.shape, self.exponents)

    # -- statistics --------------------------------------------------------------------

    def recentre(self, stats: Stats, current: GaussianParams, reference: GaussianParams) -> Stats:
        """Move sums and scatter from the current means to those of the reference."""
        d, weight = self.n_features, stats.weight[:, None]
        shift = current.means - reference.means
        s1 = stats.total[:, :d]
        # scatter of (x - c) + shift: s1 and shift enter twice, crosswise
        moved = s1 + weight * shift
        extra = weight * second_moments(shift, self.geometry)
        extra += mixed_moments(shift, s1, self.geometry)
        if self.geometry is Geometry.TIED:
            return replace(stats, total=moved, shared=stats.shared + extra.sum(axis=0))
        return replace(stats, total=np.hstack([moved, stats.total[:, d:] + extra]))

    def statistic_scale(self, size: int) -> Array:
        """Standard deviations of the data for the sums, their products for the scatter."""
        if self.floor is None:
            return np.ones(size)
        if self.geometry in (Geometry.DENSE, Geometry.TIED):
            variances = np.diagonal(self.floor)
        else:
            variances = np.broadcast_to(self.floor, self.n_features)
        sd = np.sqrt(variances / FLOOR)
        return np.concatenate([sd, second_moments(sd[None], self.geometry)[0]])[:size]

    def adapted(self, profile: Profile) -> Gaussian:
        """Take origin, units and floor from the data."""
        mean, covariance, exponents = profile.mean, profile.covariance, profile.exponents
        if not self.shape.is_scale_free and exponents.any():
            common = np.full_like(exponents, exponents.max())
            shift = exponents - common
            mean = np.asarray(np.ldexp(mean, shift))
            covariance = np.asarray(np.ldexp(covariance, shift[:, None] + shift))
            exponents = common
        floor = None if self.ridge else FLOOR * self._own_layout(regular(covariance))
        return replace(
            self,
            exponents=tuple(exponents) if exponents.any() else (),
            origin=mean,
            floor=floor,
        )

    def at_boundary(self, params: GaussianParams, times: float = 1.0) -> BoolArray:
        """Components whose covariance touches so many times the floor, or is not regular."""
        floor = None if self.floor is None else np.array(times * self.floor, order="C")
        touching = _kernel.at_floor(
            params.covariances, params.factors, floor, int(self.geometry), self.n_features
        )
        return np.broadcast_to(touching, len(params.means)) if len(touching) == 1 else touching

    def near_boundary(self, params: GaussianParams) -> BoolArray:
        """Components at the floor to 5 %: shapes that share axes meet it only nearly."""
        return self.at_boundary(params, NEAR)

    def mean(self, params: GaussianParams) -> Array:
        """Component means in units of the data, (K, d)."""
        return np.ldexp(params.means, self.exponents or 0)

    def covariances(self, params: GaussianParams) -> Array:
        """Covariances in squared units of the data, in the shape's layout."""
        if not self.exponents:
            return params.covariances
        e = np.asarray(self.exponents)
        units = {
            Geometry.DENSE: e[:, None] + e,
            Geometry.TIED: e[:, None] + e,
            Geometry.DIAGONAL: 2 * e,
            Geometry.SPHERICAL: 2 * e[0],
        }
        return np.asarray(np.ldexp(params.covariances, units[self.geometry]))

    def full_covariances(self, params: GaussianParams) -> Array:
        """Covariances as matrices in squared units of the data, (K, d, d)."""
        covariances, n_components = self.covariances(params), len(params.means)
        if self.geometry is Geometry.DIAGONAL:
            covariances = covariances[:, :, None] * np.eye(self.n_features)
        elif self.geometry is Geometry.SPHERICAL:
            covariances = covariances[:, None, None] * np.eye(self.n_features)
        return np.broadcast_to(covariances, (n_components, *covariances.shape[1:]))

    marginal, regions, cdf = views.marginal, views.regions, views.cdf

    def sample(self, params: GaussianParams, labels: IntArray, rng: np.random.Generator) -> Array:
        """Rows mu + L z with z standard normal, (n, d)."""
        rows = rng.standard_normal((len(labels), self.n_features))
        for k in range(len(params.means)):
            own, shared = labels == k, len(params.covariances) == 1
            covariance = params.covariances[0 if shared else k]
            if self.geometry in (Geometry.DENSE, Geometry.TIED):
                rows[own] = rows[own] @ linalg.cholesky(covariance, lower=True).T
            else:
                rows[own] *= np.sqrt(covariance)
        rows += params.means[labels]
        return np.asarray(np.ldexp(rows, self.exponents)) if self.exponents else rows

    def n_free(self, n_components: int) -> int:
        """Means and covariances, (K d) + those of the shape."""
        return n_components * self.n_features + self.shape.n_covariance(
            n_components, self.n_features
        )

    def score(self, params: GaussianParams, stats: Stats) -> tuple[Array, ...]:
        """Gradient in means and covariances, laid out like them, per unit of these units."""
        return gradient(params.means, params.covariances, params.factors, self.geometry, stats)

    def standard_errors(self, params: GaussianParams, weight: Array) -> tuple[Array, ...]:
        """In units of the data: sqrt(S_ii / n) of means, sqrt((S_ii S_jj + S_ij^2) / n) of S_ij."""
        return errors_of_moments(self.full_covariances(params), self.geometry, weight)

    def problem(self, params: GaussianParams) -> str | None:
        """Covariances must be finite, symmetric and positive definite."""
        if not np.isfinite(params.means).all() or not np.isfinite(params.covariances).all():
            return "means or covariances hold values that are not finite"
        if self.geometry in (Geometry.DENSE, Geometry.TIED):
            flipped = params.covariances.transpose(0, 2, 1)
            if not np.allclose(params.covariances, flipped, rtol=1e-8, atol=0):
                return "a covariance is not symmetric"
        return (
            None if np.isfinite(params.factors).all() else "a covariance is not positive definite"
        )

    def adopt(self, params: GaussianParams, other: Family[Any]) -> GaussianParams:
        """Parameters of another Gaussian family in this one's units and shape."""
        super().adopt(params, other)
        assert isinstance(other, Gaussian)
        if other.shape.name == self.shape.name and other.exponents == self.exponents:
            return params
        e = -np.asarray(self.exponents or [0] * self.n_features)
        covariances = np.ldexp(other.full_covariances(params), e[:, None] + e)
        own = [self._own_layout(c) for c in covariances]
        if self.shape.is_shared:
            own = [np.mean(own, axis=0)]
        return self.params(np.ldexp(other.mean(params), e), np.array(own))

    def config(self) -> dict[str, Any]:
        """Arguments that make this family again, as plain JSON values."""
        return {
            "n_features": self.n_features,
            "covariance": self.covariance,
            "ridge": self.ridge,
            "exponents": list(self.exponents),
        }

    def to_arrays(self, params: GaussianParams) -> dict[str, Array]:
        """Means and covariances; the factors follow from them."""
        return {"means": params.means, "covariances": params.covariances}

    def from_arrays(self, arrays: dict[str, Array]) -> GaussianParams:
        """Parameters from means and covariances."""
        return self.params(arrays["means"], arrays["covariances"])

    def shown(
        self, params: GaussianParams, weight: Array | None = None, labels: Any = ()
    ) -> list[Shown]:
        """Means and standard deviations."""
        return shown_gaussian(self, params, weight)

    def describe(self) -> str:
        """Name in words, with the shape's three letters."""
        return f"Gaussian, {self.shape.words} ({self.shape.name})"

    @cached_property
    def _log_unit(self) -> float:
        return LOG_2 * sum(self.exponents)

    def _scaled(self, X: Rows) -> Rows:
        return np.ldexp(X, -np.asarray(self.exponents)) if self.exponents else X

    def _origins(self, n_components: int) -> Array:
        origin = np.zeros(self.n_features) if self.origin is None else self.origin
        return np.repeat(origin[None], n_components, axis=0)

    def _own_layout(self, covariance: Array) -> Array:
        """A (d, d) matrix in this geometry: itself, its diagonal, or its mean variance."""
        if self.geometry in (Geometry.DENSE, Geometry.TIED):
            return covariance
        variances = np.diagonal(covariance).copy()
        return variances if self.geometry is Geometry.DIAGONAL else np.array(variances.mean())

    def _check_layout(self, means: Array, covariances: Array) -> None:
        d, n_components = self.n_features, len(means)
        needed = (1 if self.shape.is_shared else n_components, *self.shape.layout(d))
        if means.shape != (n_components, d):
            raise UsageError.argument("means", means.shape, f"of shape (K, {d})")
        if covariances.shape != needed:
            raise UsageError.argument("covariances", covariances.shape, f"of shape {needed}")
