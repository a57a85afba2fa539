"""Ratios of gamma functions that keep their digits where the arguments are large."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from mixtura.stats import Array

#: From here on Stirling's series is exact to rounding.
LARGE = 20.0


def log_rising(a: Array, x: Array) -> Array:
    """Log Gamma(a + x) - log Gamma(a) - x log a, for a > 0 and x >= 0.

    It goes to zero as a goes to infinity, where differences of gammaln keep no
    digit (Abramowitz and Stegun 6.1.41).

    Examples
    --------
    >>> log_rising(np.array([4.0]), np.array([2.0])).round(6).tolist()  # log(4 * 5 / 4^2)
    [0.223144]
    """
    a, x = np.broadcast_arrays(a, x)
    small = np.minimum(a, LARGE)
    direct = gammaln(small + x) - gammaln(small) - x * np.log(small)
    large = np.maximum(a, LARGE)
    ratio = np.log1p(x / large)
    series = x * (ratio - 1.0) + (large - 0.5) * ratio + _tail(large + x) - _tail(large)
    # x (log1p - 1) + a log1p cancel where x << a: their sum is x^2 / (2 a) there
    tiny = x < 2e-3 * large
    t = np.where(tiny, x / large, 0.0)
    near = x * t * (0.5 - t * (1 / 6 - t * (1 / 12 - t * (1 / 20 - t / 30)))) - 0.5 * ratio
    near = near + _tail(large + x) - _tail(large)
    return np.asarray(np.where(a < LARGE, direct, np.where(tiny, near, series)))


def _tail(a: Array) -> Array:
    """Stirling's series: log Gamma(a) - (a - 1/2) log a + a - log(2 pi) / 2, for large a."""
    u = 1.0 / (a * a)
    return np.asarray((1 / 12 - u * (1 / 360 - u * (1 / 1260 - u * (1 / 1680 - u / 1188)))) / a)
