"""Gradient and information of Gaussian components, in the layouts of the shapes."""

from __future__ import annotations

import numpy as np

from mixtura.families.gaussian.packing import unpack
from mixtura.families.gaussian.shapes import Geometry
from mixtura.stats import Array, Stats


def gradient(
    means: Array, covariances: Array, factors: Array, geometry: Geometry, stats: Stats
) -> tuple[Array, Array]:
    """Gradient of the log-likelihood in means and covariances, laid out like them.

    S^-1 sum r (x - mu), and -n/2 S^-1 + 1/2 S^-1 [sum r (x-mu)(x-mu)'] S^-1;
    zero at the fit for means, and for covariances that the shape leaves free.
    """
    n_components, d = means.shape
    s1, weight = stats.total[:, :d], stats.weight
    if geometry in (Geometry.DENSE, Geometry.TIED):
        W = np.broadcast_to(factors, (n_components, d, d))
        precision = W.transpose(0, 2, 1) @ W
        packed = stats.shared[None] if geometry is Geometry.TIED else stats.total[:, d:]
        scatter = unpack(packed, d)
        if geometry is Geometry.TIED:
            precision, weight = precision[:1], weight.sum(keepdims=True)
        inner = precision @ scatter @ precision
        slope = 0.5 * (inner - weight[:, None, None] * precision)
        whole = np.broadcast_to(precision, (n_components, d, d))
        return np.einsum("kij,kj->ki", whole, s1), slope
    size = d if geometry is Geometry.SPHERICAL else 1
    scatter = stats.total[:, d:] if geometry is Geometry.DIAGONAL else stats.total[:, d]
    rows = weight[:, None] if geometry is Geometry.DIAGONAL else weight
    slope = 0.5 * (scatter / covariances - size * rows) / covariances
    if len(covariances) == 1:
        slope = slope.sum(axis=0, keepdims=True)
    return s1 / covariances.reshape(len(covariances), -1), slope


def log_roots(factors: Array, geometry: Geometry, n_features: int) -> Array:
    """Logarithms of the determinants of the factors, (K or 1,): -1/2 log det S."""
    if geometry in (Geometry.DENSE, Geometry.TIED):
        return np.asarray(np.log(np.einsum("kii->ki", factors)).sum(axis=1))
    if geometry is Geometry.DIAGONAL:
        return np.asarray(np.log(factors).sum(axis=1))
    return n_features * np.log(factors)


def errors_of_moments(covariance: Array, geometry: Geometry, weight: Array) -> tuple[Array, Array]:
    """Standard errors of means and covariances of `weight` (K,) rows.

    sqrt(S_ii / n) of means, sqrt((S_ii S_jj + S_ij^2) / n) of S_ij.
    """
    variance = np.einsum("kii->ki", covariance)
    n, d = weight[:, None], covariance.shape[-1]
    means = np.sqrt(variance / n)
    if geometry in (Geometry.DENSE, Geometry.TIED):
        # sd_i sd_j sqrt((1 + correlation^2) / n): no fourth powers of the units
        products = np.sqrt(variance)[:, :, None] * np.sqrt(variance)[:, None, :]
        return means, products * np.sqrt((1.0 + (covariance / products) ** 2) / n[:, None])
    if geometry is Geometry.DIAGONAL:
        return means, variance * np.sqrt(2.0 / n)
    return means, variance[:, 0] * np.sqrt(2.0 / (weight * d))
