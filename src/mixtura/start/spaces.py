"""Spaces in which distances between rows mean something, whatever the units of the columns."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from mixtura.stats import Array


def standardised(X: Array, w: Array) -> Array:
    """Columns with mean zero and unit variance; constant ones are zero."""
    mass = w.sum()
    Z = X - X[0]
    Z = Z - (w @ Z) / mass
    largest = np.abs(Z).max(axis=0)
    Z = Z / np.where(largest > 0, largest, 1.0)
    scale = np.sqrt((w @ (Z * Z)) / mass)
    return np.asarray(Z / np.where(scale > 0, scale, 1.0))


def whitened(X: Array, w: Array) -> Array:
    """Rows with mean zero and unit covariance, directions without variance left out.

    Distances in this space do not depend on units or on linear relations between
    columns. The covariance is taken of columns scaled to unit variance.
    """
    return _along_axes(X, w, 0.5)


def half_whitened(X: Array, w: Array) -> Array:
    """Rows along their principal axes, each divided by the square root of its standard deviation.

    Half way between columns of unit variance and full whitening: a long axis does not outweigh
    the others, nor do many axes of noise drown a few that separate. Mean square one per axis.
    """
    Z = _along_axes(X, w, 0.25)
    square = (w @ (Z * Z)).mean() / w.sum() if Z.size else 1.0
    return np.asarray(Z / np.sqrt(square))


def _along_axes(X: Array, w: Array, power: float) -> Array:
    """Principal components of standardised columns, divided by a power of their variances."""
    Z = standardised(X, w)
    values, vectors = linalg.eigh((Z * w[:, None]).T @ Z / w.sum())
    used = values > 1e-10 * max(values[-1], 1e-300)
    return np.asarray(Z @ (vectors[:, used] / values[used] ** power))
