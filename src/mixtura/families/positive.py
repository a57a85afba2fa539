"""What families of positive numbers share: units from the range of the data, and floors."""

from __future__ import annotations

import numpy as np

from mixtura.stats import Array

#: Floor of a variance of logarithms, as a fraction of that of numbers spread evenly over
#: the range of the data: the same as that of Gaussian covariances.
FLOOR = 1e-6

#: Least variance of logarithms, where the data have no range: relative steps of float64
#: are not far below its root.
LEAST_VARIANCE = 1e-20


def middle(low: Array, high: Array) -> tuple[float, ...]:
    """Geometric middle of the range of each column, (d,)."""
    return tuple((np.sqrt(low) * np.sqrt(high)).tolist())


def least_variance(log_range: Array, least: float = LEAST_VARIANCE) -> tuple[float, ...]:
    """Floor of the variance of logarithms that range over `log_range` (d,)."""
    return tuple(np.maximum(FLOOR * log_range**2 / 12, least).tolist())


def units(values: tuple[float, ...], n_features: int, default: float = 1.0) -> Array:
    """One number per column, (d,); the default where none were given."""
    return np.array(values) if values else np.full(n_features, default)
