"""Expected information of Student's t."""

from __future__ import annotations

import numpy as np
from scipy.special import polygamma

from mixtura.families.gaussian.information import errors_of_moments
from mixtura.families.gaussian.shapes import Geometry
from mixtura.stats import Array


def errors_of_estimates(
    covariance: Array, freedom: Array, geometry: Geometry, weight: Array, *, is_given: bool
) -> tuple[Array, Array, Array]:
    """Standard errors of centres, scale matrices and degrees of freedom of `weight` (K,) rows.

    The information of S is a K - b t t', with K that of a Gaussian, t(A) = tr(S^-1 A),
    a = (nu + d) / (nu + d + 2) and b = 1 / (2 (nu + d + 2)); that of nu and S is c t,
    c = -1 / ((nu + d)(nu + d + 2)) (Lange, Little and Taylor 1989, appendix B). Since
    K^-1 t = 2 S, inverses are known.
    """
    d = covariance.shape[-1]
    nu = np.broadcast_to(freedom, len(covariance))
    a, b = (nu + d) / (nu + d + 2), 0.5 / (nu + d + 2)
    c = -1.0 / ((nu + d) * (nu + d + 2))
    of_freedom = information_of_freedom(nu, d)
    means, moments = errors_of_moments(covariance, geometry, weight)
    lost = b if is_given else b + c * c / of_freedom
    common = 4.0 * lost / (a * a) / (1.0 - 2.0 * d * lost / a) / weight
    if geometry in (Geometry.DENSE, Geometry.TIED):
        squares = covariance**2
    else:
        squares = np.einsum("kii->ki", covariance) ** 2
        if geometry is Geometry.SPHERICAL:
            squares = squares[:, 0]
    grown = (slice(None), *(None,) * (moments.ndim - 1))
    variance = moments**2 / a[grown] + common[grown] * squares
    left = of_freedom - c * c * (2.0 * d / a) / (1.0 - 2.0 * d * b / a)
    of_nu = np.zeros(1) if is_given else 1.0 / np.sqrt(weight * left)
    return means / np.sqrt(a)[:, None], np.sqrt(variance), of_nu


def information_of_freedom(nu: Array, d: int) -> Array:
    """Expected information of one row about nu, S and the centre being known."""
    gap = 0.25 * (polygamma(1, nu / 2) - polygamma(1, (nu + d) / 2))
    return np.asarray(gap - 0.5 * d * (nu + d + 4) / (nu * (nu + d) * (nu + d + 2)))
