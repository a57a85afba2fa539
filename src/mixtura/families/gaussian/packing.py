"""The packed layout of second moments: lower triangle, row by row."""

from __future__ import annotations

import numpy as np

from mixtura.families.gaussian.shapes import Geometry
from mixtura.stats import Array


def pack(matrices: Array) -> Array:
    """Lower triangles of (K, d, d) matrices, (K, d (d + 1) / 2)."""
    rows, columns = np.tril_indices(matrices.shape[-1])
    return np.asarray(matrices[:, rows, columns])


def unpack(packed: Array, n_features: int) -> Array:
    """Symmetric matrices (K, d, d) from packed triangles."""
    rows, columns = np.tril_indices(n_features)
    full = np.empty((len(packed), n_features, n_features))
    full[:, rows, columns] = packed
    full[:, columns, rows] = packed
    return full


def second_moments(shift: Array, geometry: Geometry) -> Array:
    """Second moments of single points (K, d) in a geometry's packed layout."""
    if geometry in (Geometry.DENSE, Geometry.TIED):
        return pack(shift[:, :, None] * shift[:, None, :])
    if geometry is Geometry.DIAGONAL:
        return shift * shift
    return np.asarray(np.einsum("kj,kj->k", shift, shift)[:, None])


def mixed_moments(a: Array, b: Array, geometry: Geometry) -> Array:
    """A b' + b a' of points (K, d) in a geometry's packed layout."""
    if geometry in (Geometry.DENSE, Geometry.TIED):
        outer = a[:, :, None] * b[:, None, :]
        return pack(outer + outer.transpose(0, 2, 1))
    if geometry is Geometry.DIAGONAL:
        return 2.0 * a * b
    return np.asarray(2.0 * np.einsum("kj,kj->k", a, b)[:, None])
