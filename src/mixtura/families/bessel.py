"""Modified Bessel functions of the first kind where powers and exponentials would overflow."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, ive

from mixtura.stats import Array

#: From this order on, Debye's uniform expansion has full precision for every argument.
LARGE_ORDER = 60.0

#: From this argument on, the expansion in its inverse has (for smaller orders).
LARGE_ARGUMENT = 1e6

_SERIES_TERMS = 40


def log_bessel(order: float, x: Array) -> Array:
    """Log of I_order(x) - order log(x / 2), which is finite also at x = 0.

    Parameters
    ----------
    order : float
        At least 0.
    x : ndarray
        At least 0.

    Returns
    -------
    ndarray
        Of the shape of `x`.

    Examples
    --------
    >>> log_bessel(0.5, np.array([0.0])).round(6)  # 1 / Gamma(3/2)
    array([0.120782])
    """
    x = np.asarray(x, dtype=float)
    if order >= LARGE_ORDER:
        return _debye(order, x)
    small = x * x < 4.0 * (order + 1.0)
    large = x > LARGE_ARGUMENT
    middle = np.where(small | large, 10.0, x)
    with np.errstate(divide="ignore"):
        result = np.log(ive(order, middle)) + middle - order * np.log(middle / 2)
    result = np.where(small, _power_series(order, np.where(small, x, 0.0)), result)
    y = np.where(large, x, LARGE_ARGUMENT)
    far = y - 0.5 * np.log(2 * np.pi * y) + np.log(_hankel(order, y)) - order * np.log(y / 2)
    return np.asarray(np.where(large, far, result))


def bessel_ratio(order: float, x: Array) -> Array:
    """I_{order+1}(x) / I_order(x), in [0, 1).

    Examples
    --------
    >>> bessel_ratio(0.5, np.array([2.0])).round(6)  # coth(2) - 1/2
    array([0.537315])
    """
    x = np.asarray(x, dtype=float)
    if order >= LARGE_ORDER:
        return _debye_ratio(order, x)
    small = x * x < 4.0 * (order + 1.0)
    large = x > LARGE_ARGUMENT
    middle = np.where(small | large, 10.0, x)
    result = ive(order + 1.0, middle) / ive(order, middle)
    y = np.where(small, x, 0.0)
    series = np.exp(_power_series(order + 1.0, y) - _power_series(order, y))
    result = np.where(small, y / 2 * series, result)
    y = np.where(large, x, LARGE_ARGUMENT)
    return np.asarray(np.where(large, _hankel(order + 1.0, y) / _hankel(order, y), result))


def _power_series(order: float, x: Array) -> Array:
    """Log of sum_k (x^2/4)^k / (k! Gamma(order + k + 1)) (DLMF 10.25.2)."""
    q = x * x / 4
    term = total = np.ones_like(x)
    for k in range(1, _SERIES_TERMS):
        term = term * q / (k * (order + k))
        total = total + term
    return np.asarray(np.log(total) - gammaln(order + 1.0))


def _hankel(order: float, x: Array) -> Array:
    """Sum of Hankel's expansion for large x, without exp(x) / sqrt(2 pi x) (DLMF 10.40.1)."""
    mu = 4.0 * order * order
    term = total = np.ones_like(x)
    for k in range(1, 8):
        term = -term * (mu - (2 * k - 1) ** 2) / (k * 8.0 * x)
        total = total + term
    return total


def _debye(order: float, x: Array) -> Array:
    """Debye's expansion, uniform in x >= 0 (DLMF 10.41.3)."""
    root = np.hypot(order, x)
    # root + order log(x / (order + root)) - order log(x / 2), without x = 0 being special
    exponent = root - order * np.log((order + root) / 2)
    sums = _debye_sum(order, order / root)
    return np.asarray(exponent - 0.5 * np.log(2 * np.pi * root) + np.log(sums))


def _debye_ratio(order: float, x: Array) -> Array:
    """Quotient of two of Debye's expansions, its logarithm without cancellation."""
    low, high = np.hypot(order, x), np.hypot(order + 1.0, x)
    gap = (2.0 * order + 1.0) / (low + high)
    power = order * np.log1p((1.0 + gap) / (order + low))
    log_ratio = gap - power - 0.5 * np.log(high / low)
    sums = _debye_sum(order + 1.0, (order + 1.0) / high) / _debye_sum(order, order / low)
    return np.asarray(x / (order + 1.0 + high) * np.exp(log_ratio) * sums)


def _debye_sum(order: float, p: Array) -> Array:
    """Sum of U_k(p) / order^k for k = 0..5 (DLMF 10.41.9 and 10.41.10)."""
    t = p * p
    u1 = p * (3 - 5 * t) / 24
    u2 = t * (81 - t * (462 - 385 * t)) / 1152
    u3 = p * t * (30375 - t * (369603 - t * (765765 - 425425 * t))) / 414720
    u4 = 4465125 - t * (94121676 - t * (349922430 - t * (446185740 - 185910725 * t)))
    u4 = t * t * u4 / 39813120
    u5 = 1519035525 - t * (
        49286948607
        - t * (284499769554 - t * (614135872350 - t * (566098157625 - 188699385875 * t)))
    )
    u5 = p * t * t * u5 / 6688604160
    return np.asarray(1 + (u1 + (u2 + (u3 + (u4 + u5 / order) / order) / order) / order) / order)
