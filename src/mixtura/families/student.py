"""Student's t: Gaussian components with heavier tails, by a latent scale of each row (door B)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.special import digamma, fdtri, stdtr

from mixtura.errors import UsageError
from mixtura.families.base import Family, Profile
from mixtura.families.gamma import shape_of_gap
from mixtura.families.gaussian import Gaussian, GaussianParams
from mixtura.families.gaussian.information import gradient, log_roots
from mixtura.families.gaussian.shapes import Geometry
from mixtura.families.gaussian.shown import shown_gaussian
from mixtura.families.rising import log_rising
from mixtura.families.shown import Shown
from mixtura.families.student_information import errors_of_estimates
from mixtura.families.support import Remark
from mixtura.stats import Array, BoolArray, IntArray, Stats

#: Degrees of freedom before there are any latent scales, and the range of estimates.
START_FREEDOM = 10.0
SMALLEST_FREEDOM = 0.1
GREATEST_FREEDOM = 1e6

#: From here on a component is said to be nearly Gaussian.
NEARLY_GAUSSIAN = 1e3

#: Shapes whose components have covariances of their own: each scales as it likes.
SEPARATE = ("VII", "VVI", "VVV")


class StudentParams(NamedTuple):
    """Parameters of K Student components, in units of 2**exponents of their family."""

    means: Array  # (K, d), the centres
    covariances: Array  # scale matrices, laid out like those of the Gaussian
    factors: Array  # W with W covariance W' = I, lower triangular; same layout
    freedom: Array  # (K,), or (1,) where it is equal or given; degrees of freedom


@dataclass(frozen=True)
class Student(Family[StudentParams]):
    r"""Multivariate t: log p(x) = c - 1/2 log det S - (nu + d)/2 log(1 + (x-mu)' S^-1 (x-mu) / nu).

    A row is Gaussian with covariance S / u, where u has a gamma distribution of mean one
    and shape nu / 2. Its expectation given the row weighs the row down, the more the
    further it is away, so outliers pull little.

    Parameters
    ----------
    n_features : int
        Number of columns d.
    covariance : str, default="full"
        Shape of the scale matrices S: "full", "tied", "diag", "spherical" or one of
        the 14 names EII ... VVV. Under "diag" columns are uncorrelated, but not
        independent: they share u.
    freedom : float, default=0.0
        Degrees of freedom nu > 0 of all components; 0 means that they are estimated.
    equal_freedom : bool, default=False
        Estimate one nu for all components.
    exponents, origin, floor
        As of the Gaussian, which hands them on: units, first centre, bound of S.

    Notes
    -----
    E step: u = (nu + d) / (nu + distance). M step: moments weighted by r u, and the nu
    that the expectations of u and log u make likeliest (Lange, Little and Taylor 1989;
    Peel and McLachlan 2000). Where components have their own S, parameters are expanded
    by a free mean of u, which takes fewer iterations (PX-EM; Liu, Rubin and Wu 1998).

    Examples
    --------
    >>> import numpy as np
    >>> family = Student(1)
    >>> params = family.params(np.zeros((1, 1)), np.ones((1, 1, 1)), np.array([1.0]))
    >>> float(np.exp(family.log_density(params, np.zeros((1, 1)))[0, 0]).round(6))  # 1 / pi
    0.31831
    """

    n_features: int
    covariance: str = "full"
    freedom: float = 0.0
    equal_freedom: bool = False
    exponents: tuple[int, ...] = ()
    origin: Array | None = field(default=None, compare=False, repr=False)
    floor: Array | None = field(default=None, compare=False, repr=False)
    name: ClassVar[str] = "student"
    params_type: ClassVar[type] = StudentParams
    closed_form: ClassVar[bool] = False
    centred: ClassVar[bool] = True
    needs_profile: ClassVar[bool] = True
    bound_words: ClassVar[str] = Gaussian.bound_words

    def __post_init__(self) -> None:
        object.__setattr__(self, "exponents", tuple(map(int, self.exponents)))
        if not (np.isfinite(self.freedom) and self.freedom >= 0):
            raise UsageError.argument(
                "freedom", self.freedom, "a finite number > 0, or 0 to estimate it"
            )

    @cached_property
    def gaussian(self) -> Gaussian:
        """The Gaussian of one row given its u, for u = 1."""
        return Gaussian(
            self.n_features, self.covariance, exponents=self.exponents, origin=self.origin,
            floor=self.floor,
        )  # fmt: skip

    @property
    def shared_arrays(self) -> tuple[str, ...]:
        """Scale matrices of tied shapes, and degrees of freedom that are equal or given."""
        own = ("freedom",) if self._one_freedom else ()
        return self.gaussian.shared_arrays + own

    @property
    def couples(self) -> bool:
        """Degrees of freedom or scale matrices have something in common."""
        return bool(self.shared_arrays) or self.gaussian.couples

    @property
    def geometry(self) -> Geometry:
        """Layout of scale matrices."""
        return self.gaussian.geometry

    @property
    def needs_spread(self) -> bool:
        """Every column must vary."""
        return True

    def params(self, means: Array, covariances: Array, freedom: Array) -> StudentParams:
        """Parameters from centres, scale matrices in the shape's layout, degrees of freedom.

        Raises
        ------
        DegenerateComponentError
            A scale matrix is not positive definite.
        UsageError
            An array has the wrong dimensions.
        """
        base = self.gaussian.params(means, covariances)
        freedom = np.ascontiguousarray(freedom, dtype=float)
        needed = (1,) if self._one_freedom else (len(base.means),)
        if freedom.shape != needed:
            raise UsageError.argument("freedom", freedom.shape, f"of shape {needed}")
        return StudentParams(*base, freedom)

    # -- E step ---------------------------------------------------------------------

    def log_density(self, params: StudentParams, X: Array) -> Array:
        """Log-density of each row under each component, (n, K), in nats."""
        nu, d = params.freedom, self.n_features
        gaussian, distance = self._distances(params, X)
        constant = log_rising(nu / 2, np.array(d / 2))
        far = 0.5 * (nu + d) * np.log1p(distance / nu)
        return np.asarray(gaussian + 0.5 * distance + constant - far)

    def accumulate(self, params: StudentParams | None, X: Array, R: Array) -> Stats:
        """Weights r, then sums of r u, r E[log u], and r u times the Gaussian's statistics.

        Before there are parameters u is one.
        """
        if params is None:
            base = self.gaussian.accumulate(None, X, R)
            scales = np.column_stack([base.weight, np.zeros(len(base.weight))])
            return replace(base, total=np.hstack([scales, base.total]))
        nu, d = params.freedom, self.n_features
        u = (nu + d) / (nu + self._distances(params, X)[1])
        # digamma(a) - log(a), a = (nu + d) / 2, is what E[log u] is below the log of E[u]
        half = 0.5 * (nu + d)
        log_u = np.log(u) + (digamma(half) - np.log(half))
        base = self.gaussian.accumulate(_gaussian(params), X, R * u)
        scales = np.column_stack([base.weight, np.einsum("ik,ik->k", R, log_u)])
        total = np.hstack([scales, base.total])
        return Stats(R.sum(axis=0), total, base.shared, mass=float(R.sum()))

    # -- M step -----------------------------------------------------------------------

    def maximise(self, stats: Stats, previous: StudentParams | None = None) -> StudentParams:
        """Centres, scale matrices and degrees of freedom that make the expectations likeliest."""
        return self.m_step(stats, previous)

    def m_step(
        self, stats: Stats, previous: StudentParams | None = None, n_threads: int = 1
    ) -> StudentParams:
        """Gaussian M step of moments weighted by u, and one equation for nu."""
        is_used = stats.weight > 0
        n = np.where(is_used, stats.weight, 1.0)
        mean_u = np.where(is_used, stats.total[:, 0] / n, 1.0)
        mean_log_u = np.where(is_used, stats.total[:, 1] / n, 0.0)
        before = None if previous is None else _gaussian(previous)
        if self.gaussian.shape.name in SEPARATE:
            base = self.gaussian.m_step(_moments(stats), before, n_threads)
            if not self.gaussian.at_boundary(base).any():
                return self._with_freedom(base, stats, np.log(mean_u) - mean_log_u, previous)
        # sums of r u about the new centres, with sums of r as the number of rows
        moved, centres = self._about_new_centres(stats, before)
        if before is None:  # the M step takes the centres only
            before = GaussianParams(centres, None, None)  # type: ignore[arg-type]
        base = self.gaussian.m_step(moved, before._replace(means=centres), n_threads)
        return self._with_freedom(base, stats, mean_u - 1.0 - mean_log_u, previous)

    def _with_freedom(
        self, base: GaussianParams, stats: Stats, gap: Array, previous: StudentParams | None
    ) -> StudentParams:
        """Degrees of freedom nu with log(nu/2) - psi(nu/2) = gap, in the range."""
        if self.freedom > 0:
            return StudentParams(*base, np.array([self.freedom]))
        if previous is None:
            size = 1 if self.equal_freedom else len(gap)
            return StudentParams(*base, np.full(size, START_FREEDOM))
        if self.equal_freedom:
            gap = np.array([stats.weight @ gap / stats.weight.sum()])
        nu = 2.0 * shape_of_gap(gap, np.array(GREATEST_FREEDOM / 2))
        nu = np.maximum(nu, SMALLEST_FREEDOM)
        if not self.equal_freedom:
            nu = np.where(stats.weight > 0, nu, previous.freedom)
        return StudentParams(*base, nu)

    def _about_new_centres(
        self, stats: Stats, before: GaussianParams | None
    ) -> tuple[Stats, Array]:
        """Gaussian statistics about the u-weighted means, where their sums are zero."""
        d = self.n_features
        base = _moments(stats)
        old = self.gaussian._origins(len(stats.weight)) if before is None else before.means
        u = base.weight[:, None]
        shift = base.total[:, :d] / np.where(u > 0, u, 1.0)
        current, reference = (GaussianParams(c, old, old) for c in (old, old + shift))
        moved = self.gaussian.recentre(base, current, reference)
        total = moved.total.copy()
        total[:, :d] = 0.0
        return replace(moved, weight=stats.weight, total=total), old + shift

    def soften(self, stats: Stats) -> Stats:
        """Add pseudo-rows as the Gaussian does; their u is one."""
        base = _moments(stats)
        soft = self.gaussian.soften(base)
        more = soft.weight - base.weight
        scales = stats.total[:, :2] + np.column_stack([more, np.zeros(len(more))])
        return replace(stats, weight=stats.weight + more, total=np.hstack([scales, soft.total]))

    def recentre(self, stats: Stats, current: StudentParams, reference: StudentParams) -> Stats:
        """Move sums and scatter from the current centres to those of the reference."""
        base = _moments(stats)
        moved = self.gaussian.recentre(base, _gaussian(current), _gaussian(reference))
        return replace(
            stats, total=np.hstack([stats.total[:, :2], moved.total]), shared=moved.shared
        )

    def statistic_scale(self, size: int) -> Array:
        """One for u and log u, then the Gaussian's scales."""
        return np.concatenate([np.ones(2), self.gaussian.statistic_scale(size - 2)])

    def adapted(self, profile: Profile) -> Student:
        """Take origin, units and floor from the data, as the Gaussian does."""
        own = self.gaussian.adapted(profile)
        return replace(self, exponents=own.exponents, origin=own.origin, floor=own.floor)

    def at_boundary(self, params: StudentParams) -> BoolArray:
        """Components whose scale matrix touches the floor."""
        return self.gaussian.at_boundary(_gaussian(params))

    # -- what people ask of it ---------------------------------------------------------

    def remarks(self, params: StudentParams) -> list[Remark]:
        """Add which components are nearly Gaussian."""
        nu = np.broadcast_to(params.freedom, len(params.means))
        large = np.flatnonzero(nu > NEARLY_GAUSSIAN) if self.freedom == 0 else ()
        return super().remarks(params) + [
            Remark(int(k), f"has {nu[k]:.3g} degrees of freedom: it is nearly Gaussian")
            for k in large
        ]

    def mean(self, params: StudentParams) -> Array:
        """Centres in units of the data, (K, d); the means where nu > 1."""
        return self.gaussian.mean(_gaussian(params))

    def covariances(self, params: StudentParams) -> Array:
        """Scale matrices in squared units of the data, in the shape's layout."""
        return self.gaussian.covariances(_gaussian(params))

    def sample(self, params: StudentParams, labels: IntArray, rng: np.random.Generator) -> Array:
        """Rows mu + L z / sqrt(u), (n, d)."""
        centred = _gaussian(params)._replace(means=np.zeros_like(params.means))
        rows = self.gaussian.sample(centred, labels, rng)
        half = np.broadcast_to(params.freedom / 2, len(params.means))[labels]
        u = rng.standard_gamma(half) / half
        return np.asarray(rows / np.sqrt(u)[:, None] + self.mean(params)[labels])

    def n_free(self, n_components: int) -> int:
        """Those of the Gaussian, and the degrees of freedom that are estimated."""
        own = 0 if self.freedom > 0 else 1 if self.equal_freedom else n_components
        return self.gaussian.n_free(n_components) + own

    def score(self, params: StudentParams, stats: Stats) -> tuple[Array, ...]:
        """Gradient in centres, scale matrices and degrees of freedom, in these units."""
        base = replace(stats, total=stats.total[:, 2:])
        own = gradient(
            params.means, params.covariances, params.factors, self.gaussian.geometry, base
        )
        half = params.freedom / 2
        log_gap = np.log(half) - digamma(half)
        slope = 0.5 * (stats.weight * (1.0 + log_gap) + stats.total[:, 1] - stats.total[:, 0])
        if self.freedom > 0:
            slope = np.zeros(1)
        elif self.equal_freedom:
            slope = slope.sum(keepdims=True)
        return (*own, slope)

    def standard_errors(self, params: StudentParams, weight: Array) -> tuple[Array, ...]:
        """Of centres, scale matrices (in units of the data) and degrees of freedom."""
        full = self.gaussian.full_covariances(_gaussian(params))
        return errors_of_estimates(
            full, params.freedom, self.gaussian.geometry, weight, is_given=self.freedom > 0
        )

    def marginal(self, params: StudentParams, columns: Sequence[int]) -> tuple[Family[Any], Any]:
        """Student's t again, with the same degrees of freedom."""
        base, own = self.gaussian.marginal(_gaussian(params), columns)
        family = Student(
            len(columns), freedom=self.freedom, equal_freedom=self.equal_freedom,
            exponents=base.exponents,
        )  # fmt: skip
        return family, StudentParams(*own, params.freedom)

    def regions(self, params: StudentParams, probability: float) -> Array:
        """Scale matrices times d times the quantile of F with d and nu degrees of freedom."""
        d = self.n_features
        radius = d * fdtri(d, params.freedom, probability)
        full = self.gaussian.full_covariances(_gaussian(params))
        return np.asarray(radius[:, None, None] * full)

    def cdf(self, params: StudentParams, x: Array) -> Array:
        """Distribution function of the standardised distance, (n, K)."""
        sd = np.sqrt(self.gaussian.full_covariances(_gaussian(params))[:, 0, 0])
        return np.asarray(stdtr(params.freedom, (x[:, None] - self.mean(params)[:, 0]) / sd))

    def problem(self, params: StudentParams) -> str | None:
        """Scale matrices must be positive definite and degrees of freedom positive."""
        if not (np.isfinite(params.freedom).all() and (params.freedom > 0).all()):
            return "degrees of freedom are not positive and finite"
        return self.gaussian.problem(_gaussian(params))

    def adopt(self, params: StudentParams, other: Family[Any]) -> StudentParams:
        """Parameters of another Student family in this one's units, shape and freedom."""
        super().adopt(params, other)
        base = self.gaussian.adopt(_gaussian(params), other.gaussian)  # type: ignore[attr-defined]
        freedom = params.freedom
        if self.freedom > 0:
            freedom = np.array([self.freedom])
        elif self.equal_freedom:
            freedom = np.exp(np.log(freedom).mean(keepdims=True))
        elif len(freedom) == 1:
            freedom = np.repeat(freedom, len(base.means))
        return StudentParams(*base, freedom)

    def config(self) -> dict[str, Any]:
        """Arguments that make this family again, as plain JSON values."""
        return {
            "n_features": self.n_features,
            "covariance": self.covariance,
            "freedom": float(self.freedom),
            "equal_freedom": self.equal_freedom,
            "exponents": list(self.exponents),
        }

    def to_arrays(self, params: StudentParams) -> dict[str, Array]:
        """Centres, scale matrices, degrees of freedom; the factors follow from them."""
        return {**self.gaussian.to_arrays(_gaussian(params)), "freedom": params.freedom}

    def from_arrays(self, arrays: dict[str, Array]) -> StudentParams:
        """Parameters from centres, scale matrices and degrees of freedom."""
        return self.params(arrays["means"], arrays["covariances"], arrays["freedom"])

    def shown(
        self, params: StudentParams, weight: Array | None = None, labels: Any = ()
    ) -> list[Shown]:
        """Centres, scales and degrees of freedom."""
        del labels
        means, sds = shown_gaussian(self, params, weight)  # type: ignore[arg-type]
        errors = None if weight is None else self.standard_errors(params, weight)[2][:, None]
        nu = np.repeat(params.freedom, len(params.means) // len(params.freedom))[:, None]
        return [
            means._replace(title="centre"),
            sds._replace(title="scale"),
            Shown("degrees of freedom", nu, [None], [""], errors),
        ]

    def describe(self) -> str:
        """Name in words, with the shape's three letters."""
        shape = self.gaussian.shape
        return f"Student's t, {shape.words} ({shape.name})"

    # -- inside ----------------------------------------------------------------------------

    @property
    def _one_freedom(self) -> bool:
        return self.equal_freedom or self.freedom > 0

    def _distances(self, params: StudentParams, X: Array) -> tuple[Array, Array]:
        """Gaussian log-density and squared distance of each row from each component, (n, K)."""
        log_density = self.gaussian.log_density(_gaussian(params), X)
        constant = 0.5 * self.n_features * np.log(2.0 * np.pi) + self.gaussian._log_unit
        at_centre = log_roots(params.factors, self.geometry, self.n_features) - constant
        return log_density, np.maximum(2.0 * (at_centre - log_density), 0.0)


def _moments(stats: Stats) -> Stats:
    """The Gaussian's statistics of rows with weights r u."""
    weight, total = stats.total[:, 0], stats.total[:, 2:]
    return replace(stats, weight=np.ascontiguousarray(weight), total=np.ascontiguousarray(total))


def _gaussian(params: StudentParams) -> GaussianParams:
    return GaussianParams(params.means, params.covariances, params.factors)
