"""Directions: rows of length one, spread about a mean direction on the sphere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from mixtura.errors import UsageError
from mixtura.families.bessel import bessel_ratio, log_bessel
from mixtura.families.natural import ExponentialFamily, Support
from mixtura.families.support import Fault
from mixtura.stats import Array, BoolArray, IntArray

#: How far the length of a row may be from one: float32 rows are within.
LENGTH_TOLERANCE = 1e-5

#: Greatest concentration: rows within an angle of about 1e-4 of each other.
GREATEST_CONCENTRATION = 1e8

#: Newton steps; about five are usual.
MOST_STEPS = 60


class VonMisesFisherParams(NamedTuple):
    """Parameters of K von Mises-Fisher components."""

    direction: Array  # (K, d), mean direction, of length one
    concentration: Array  # (K, 1), kappa >= 0; 0 is uniform over the sphere


@dataclass(frozen=True)
class VonMisesFisher(ExponentialFamily[VonMisesFisherParams]):
    """Von Mises-Fisher: log p(x) = kappa m'x - log C, on the sphere of rows of length one.

    With v = d/2 - 1, C = (2 pi)^(d/2) I_v(kappa) / kappa^v; two columns are points of a
    circle (von Mises). The mean resultant r solves I_{v+1}(kappa) / I_v(kappa) = r
    (Banerjee et al. 2005; bounds of Amos 1974).

    Parameters
    ----------
    n_features : int
        Number of columns d >= 2.

    Examples
    --------
    >>> import numpy as np
    >>> family = VonMisesFisher(3)
    >>> params = VonMisesFisherParams(np.array([[0.0, 0.0, 1.0]]), np.array([[0.0]]))
    >>> float(np.exp(family.log_density(params, np.array([[1.0, 0.0, 0.0]])))[0, 0] * 4 * np.pi)
    1.0
    """

    n_features: int
    name: ClassVar[str] = "vonmises-fisher"
    support: ClassVar[Support] = Support.DIRECTIONS
    params_type: ClassVar[type] = VonMisesFisherParams
    has_box: ClassVar[bool] = False
    bound_words: ClassVar[str] = "has hardly more than one direction: its concentration is bounded"

    def __post_init__(self) -> None:
        if self.n_features < 2:
            raise UsageError.argument("n_features", self.n_features, "at least 2 for directions")

    def fault(self, X: Array) -> Fault | None:
        """Find the first row that is not of length one."""
        found = super().fault(X)
        if found is not None:
            return found
        lengths = np.sqrt(np.einsum("ij,ij->i", X, X))
        off = np.flatnonzero(np.abs(lengths - 1.0) > LENGTH_TOLERANCE)
        if not len(off):
            return None
        row = int(off[0])
        needed = f"{self.support.value}, but row {row} has length {lengths[row]:.6g}"
        return Fault(row, int(np.abs(X[row]).argmax()), needed, self.support.hint)

    def features(self, X: Array) -> Array:
        """T(x) = x, (n, d)."""
        return X

    def log_base(self, X: Array) -> Array:
        """Log h(x) = -d/2 log(2 pi), (n,)."""
        return np.full(len(X), -0.5 * self.n_features * np.log(2 * np.pi))

    def natural(self, params: VonMisesFisherParams) -> tuple[Array, Array]:
        """Eta = kappa m (K, d), A = log(I_v(kappa) / kappa^v)."""
        A = log_bessel(self._order, params.concentration[:, 0]) - self._order * np.log(2.0)
        return params.concentration * params.direction, A

    def from_mean(
        self, mean: Array, previous: VonMisesFisherParams | None = None
    ) -> VonMisesFisherParams:
        """Direction of the mean row, and the concentration of its length."""
        length = np.sqrt(np.einsum("kj,kj->k", mean, mean))[:, None]
        direction = mean / np.where(length > 0, length, 1.0)
        direction[length[:, 0] == 0] = np.eye(1, self.n_features)
        return VonMisesFisherParams(direction, concentration_of(length, self.n_features))

    def mean_features(self, params: VonMisesFisherParams) -> Array:
        """E[x], (K, d)."""
        return self.mean(params)

    def mean(self, params: VonMisesFisherParams) -> Array:
        """E[x] = I_{v+1}(kappa) / I_v(kappa) m, (K, d)."""
        return bessel_ratio(self._order, params.concentration) * params.direction

    def sample(
        self, params: VonMisesFisherParams, labels: IntArray, rng: np.random.Generator
    ) -> Array:
        """Rows of the labelled components, (n, d) (Wood 1994)."""
        n, d = len(labels), self.n_features
        cosine = _cosines(params.concentration[labels, 0], d, rng)
        m = params.direction[labels]
        side = rng.standard_normal((n, d))
        side -= np.einsum("ij,ij->i", side, m)[:, None] * m
        side /= np.sqrt(np.einsum("ij,ij->i", side, side))[:, None]
        rows = cosine[:, None] * m + np.sqrt((1.0 - cosine) * (1.0 + cosine))[:, None] * side
        return np.asarray(rows / np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None])

    def n_free(self, n_components: int) -> int:
        """D - 1 for a direction and one for its concentration."""
        return n_components * self.n_features

    def standard_errors(self, params: VonMisesFisherParams, weight: Array) -> tuple[Array, ...]:
        """Sqrt((1 - m_j^2) / (n kappa A)) and 1 / sqrt(n A'), A being the ratio above."""
        n, kappa = weight[:, None], params.concentration
        ratio = bessel_ratio(self._order, kappa)
        with np.errstate(divide="ignore"):  # a uniform has no direction
            spread = np.sqrt(np.maximum(1.0 - params.direction**2, 0.0) / (n * kappa * ratio))
        return spread, 1.0 / np.sqrt(n * ratio_slope(kappa, self.n_features))

    def at_boundary(self, params: VonMisesFisherParams) -> BoolArray:
        """Components of the greatest concentration."""
        return np.asarray(params.concentration[:, 0] >= GREATEST_CONCENTRATION)

    def problem(self, params: VonMisesFisherParams) -> str | None:
        """Directions must have length one, concentrations be finite and not negative."""
        found = super().problem(params)
        if found is not None:
            return found
        if params.concentration.shape != (len(params.direction), 1):
            return f"{params.concentration.shape} concentrations for {len(params.direction)} means"
        if (params.concentration < 0).any():
            return "a concentration is negative"
        lengths = np.einsum("kj,kj->k", params.direction, params.direction)
        return None if np.allclose(lengths, 1.0, rtol=0, atol=1e-9) else "a direction is too long"

    @property
    def _order(self) -> float:
        return self.n_features / 2.0 - 1.0


def concentration_of(length: Array, n_features: int) -> Array:
    """Kappa with the mean resultant length given, at most `GREATEST_CONCENTRATION`.

    Newton's method kept inside the bounds r (d - 2) / (1 - r^2) <= kappa <= r d / (1 - r^2).
    """
    greatest = bessel_ratio(n_features / 2.0 - 1.0, np.array([GREATEST_CONCENTRATION]))[0]
    r = np.minimum(length, greatest)
    rest = (1.0 - r) * (1.0 + r)
    low, high = r * (n_features - 2) / rest, r * n_features / rest
    kappa = r * (n_features - r * r) / rest
    for _ in range(MOST_STEPS):
        miss = bessel_ratio(n_features / 2.0 - 1.0, kappa) - r
        low, high = np.where(miss < 0, kappa, low), np.where(miss > 0, kappa, high)
        new = kappa - miss / ratio_slope(kappa, n_features)
        new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
        done = np.abs(new - kappa) <= 1e-15 * kappa
        kappa = new
        if done.all():
            break
    return np.where(length >= greatest, GREATEST_CONCENTRATION, kappa)


def ratio_slope(kappa: Array, n_features: int) -> Array:
    """Derivative of the Bessel ratio A: 1 - A^2 - (d - 1) A / kappa; the variance of m'x.

    From about kappa = 1e4 d on, where this cancels, (d - 1) / (2 kappa^2).
    """
    d = n_features
    ratio = bessel_ratio(d / 2.0 - 1.0, kappa)
    over = np.where(kappa > 0, ratio / np.where(kappa > 0, kappa, 1.0), 1.0 / d)
    # next term of the expansion in 1 / kappa: (d - 1)(d - 3) / (4 kappa^3)
    far = np.maximum(kappa, 1e4 * d)
    asymptotic = (d - 1) / (2 * far**2) + (d - 1) * (d - 3) / (4 * far**3)
    return np.where(kappa > 1e4 * d, asymptotic, (1.0 - ratio) * (1.0 + ratio) - (d - 1) * over)


def _cosines(kappa: Array, d: int, rng: np.random.Generator) -> Array:
    """Cosine of each row's angle to its mean direction, by rejection (Wood 1994)."""
    b = (d - 1) / (2 * kappa + np.sqrt(4 * kappa**2 + (d - 1) ** 2))
    x0 = (1 - b) / (1 + b)
    bound = kappa * x0 + (d - 1) * np.log(4 * b / (1 + b) ** 2)
    cosine = np.empty(len(kappa))
    left = np.arange(len(kappa))
    while len(left):
        z = rng.beta((d - 1) / 2, (d - 1) / 2, len(left))
        own = b[left]
        w = (1 - (1 + own) * z) / (1 - (1 - own) * z)
        level = kappa[left] * w + (d - 1) * np.log(1 - x0[left] * w) - bound[left]
        taken = level >= np.log(1.0 - rng.random(len(left)))
        cosine[left[taken]] = w[taken]
        left = left[~taken]
    return cosine
