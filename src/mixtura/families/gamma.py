"""Gamma columns: positive amounts and waiting times with a free shape."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from scipy.special import digamma, gammaln, polygamma

from mixtura.families.natural import ExponentialFamily, Support
from mixtura.families.positive import least_variance, middle, units
from mixtura.stats import Array, BoolArray, IntArray

#: From this shape on, asymptotic series replace differences that would cancel.
LARGE_SHAPE = 200.0

#: Greatest shape of data without a range: its log x has a standard deviation of 1e-5.
GREATEST_SHAPE = 1e10

#: Newton steps; four or five are usual.
MOST_STEPS = 60


class GammaParams(NamedTuple):
    """Parameters of K gamma components."""

    shape: Array  # (K, d), > 0
    scale: Array  # (K, d), in units of the column, > 0


@dataclass(frozen=True)
class Gamma(ExponentialFamily[GammaParams]):
    """Independent gamma columns.

    log p(x) = sum_j (a_j - 1) log x_j - x_j / b_j - a_j log b_j - log Gamma(a_j), with shape
    a and scale b. The shape solves log a - psi(a) = log(mean x) - mean(log x), by Newton's
    method in 1 / a (Minka 2002, "Estimating a gamma distribution").

    Parameters
    ----------
    n_features : int
        Number of columns d; values are > 0.
    unit : tuple of float
        Unit of each column in which statistics are taken; empty means 1.
    floor : tuple of float
        Least variance of log x in each column; bounds the shape by its inverse. Empty
        means 1 / `GREATEST_SHAPE`.

    Examples
    --------
    >>> import numpy as np
    >>> family = Gamma(1)
    >>> params = GammaParams(np.array([[2.0]]), np.array([[3.0]]))
    >>> float(family.log_density(params, np.array([[6.0]]))[0, 0].round(4))
    -2.4055
    """

    n_features: int
    unit: tuple[float, ...] = ()
    floor: tuple[float, ...] = ()
    name: ClassVar[str] = "gamma"
    support: ClassVar[Support] = Support.POSITIVE
    params_type: ClassVar[type] = GammaParams
    columns_apart: ClassVar[bool] = True
    independent: ClassVar[bool] = True
    bound_words: ClassVar[str] = "has hardly more than one value in a column: its shape is bounded"

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit", tuple(map(float, self.unit)))
        object.__setattr__(self, "floor", tuple(map(float, self.floor)))

    def ranged(self, low: Array, high: Array) -> Self:
        """Take units, and the greatest shape, from the range of each column."""
        log_range = np.log(high) - np.log(low)
        return replace(
            self, unit=middle(low, high), floor=least_variance(log_range, 1 / GREATEST_SHAPE)
        )

    def features(self, X: Array) -> Array:
        """T(x) = (t, log t) with t = x / unit, (n, 2d)."""
        t = X / self._units()
        return np.hstack([t, np.log(t)])

    def log_base(self, X: Array) -> Array:
        """Log h(x) = -sum_j log(x_j), (n,)."""
        return np.asarray(-np.log(X).sum(axis=1))

    def natural(self, params: GammaParams) -> tuple[Array, Array]:
        """Eta = (-1 / b, a) with b in units, A = sum of a log b + log Gamma(a)."""
        b = params.scale / self._units()
        A = params.shape * np.log(b) + gammaln(params.shape)
        return np.hstack([-1.0 / b, params.shape]), A.sum(axis=1)

    def from_mean(self, mean: Array, previous: GammaParams | None = None) -> GammaParams:
        """Shape from the mean and the mean logarithm, then scale = mean / shape."""
        t, log_t = np.split(mean, 2, axis=1)
        shape = shape_of_gap(np.log(t) - log_t, self._greatest())
        return GammaParams(shape, t / shape * self._units())

    def mean_features(self, params: GammaParams) -> Array:
        """E[t] = a b and E[log t] = psi(a) + log b, (K, 2d)."""
        b = params.scale / self._units()
        # log a - (log a - psi(a)) keeps the digits that `from_mean` needs
        log_t = np.log(params.shape * b) - log_gap(params.shape)
        return np.hstack([params.shape * b, log_t])

    def mean(self, params: GammaParams) -> Array:
        """E[x] = a b, (K, d)."""
        return params.shape * params.scale

    def sample(self, params: GammaParams, labels: IntArray, rng: np.random.Generator) -> Array:
        """Values of the labelled components, (n, d); not below the smallest normal number."""
        drawn = rng.gamma(params.shape[labels], params.scale[labels])
        return np.maximum(drawn, np.finfo(float).tiny)

    def start_features(self, X: Array) -> Array:
        """Logarithms: distances by ratio."""
        return np.log(X)

    def n_free(self, n_components: int) -> int:
        """Two numbers per column and component."""
        return 2 * n_components * self.n_features

    def standard_errors(self, params: GammaParams, weight: Array) -> tuple[Array, ...]:
        """From the inverse of n [[psi'(a), 1/b], [1/b, a/b^2]]."""
        a, b = params
        excess = weight[:, None] * trigamma_excess(a)
        return np.sqrt(a / excess), b * np.sqrt(polygamma(1, a) / excess)

    def at_boundary(self, params: GammaParams) -> BoolArray:
        """Components whose shape is the greatest."""
        return np.asarray((params.shape >= self._greatest() * (1 - 1e-9)).any(axis=1))

    def problem(self, params: GammaParams) -> str | None:
        """Shapes and scales must be finite and positive."""
        found = super().problem(params)
        if found is None and not ((params.shape > 0).all() and (params.scale > 0).all()):
            found = "a shape or scale is not positive"
        return found

    def config(self) -> dict[str, Any]:
        """Arguments that make this family again, as plain JSON values."""
        return {
            "n_features": self.n_features,
            "unit": list(self.unit),
            "floor": list(self.floor),
        }

    def _units(self) -> Array:
        return units(self.unit, self.n_features)

    def _greatest(self) -> Array:
        return 1.0 / units(self.floor, self.n_features, 1 / GREATEST_SHAPE)


def shape_of_gap(gap: Array, greatest: Array) -> Array:
    """Shape a with log a - psi(a) = gap, at most `greatest`; converges to rounding.

    The right side is decreasing and convex in log a; in 1 / a it is almost straight.
    """
    least = log_gap(np.broadcast_to(greatest, gap.shape))
    s = np.maximum(gap, least)
    a = (3.0 - s + np.sqrt((s - 3.0) ** 2 + 24.0 * s)) / (12.0 * s)
    for _ in range(MOST_STEPS):
        # d/da (log a - psi(a)) = -trigamma_excess(a) / a
        inverse = 1.0 / a - (log_gap(a) - s) / (a * trigamma_excess(a))
        new = 1.0 / np.maximum(inverse, 0.1 / a)
        done = np.abs(new - a) <= 1e-15 * a
        a = new
        if done.all():
            break
    return np.asarray(np.where(gap <= least, greatest, np.minimum(a, greatest)))


def log_gap(a: Array) -> Array:
    """Log a - psi(a) > 0, to full precision for large a (Abramowitz and Stegun 6.3.18)."""
    large = np.maximum(a, LARGE_SHAPE)
    u = 1.0 / (large * large)
    series = 0.5 / large + u * (1 / 12 - u * (1 / 120 - u * (1 / 252 - u / 240)))
    return np.asarray(np.where(a < LARGE_SHAPE, np.log(a) - digamma(a), series))


def trigamma_excess(a: Array) -> Array:
    """Psi'(a) a - 1 > 0, to full precision for large a (Abramowitz and Stegun 6.4.12)."""
    large = np.maximum(a, LARGE_SHAPE)
    v = 1.0 / large
    u = v * v
    series = v * (0.5 + v * (1 / 6 - u * (1 / 30 - u * (1 / 42 - u / 30))))
    return np.asarray(np.where(a < LARGE_SHAPE, a * polygamma(1, a) - 1.0, series))
