"""Precisions, the inverses of covariances, in the layouts of the shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixtura import _kernel
from mixtura.errors import DegenerateComponentError
from mixtura.families.gaussian.shapes import Geometry
from mixtura.stats import Array

if TYPE_CHECKING:
    from mixtura.families.gaussian.family import Gaussian, GaussianParams


def covariances_from_precisions(precisions: Array, geometry: Geometry) -> Array:
    """Invert precisions: (K, d, d) matrices, (K, d) or (K,) numbers, leading axis 1 if shared.

    Raises
    ------
    DegenerateComponentError
        A precision is not symmetric and positive definite; the message names its component.
    """
    precisions = np.ascontiguousarray(precisions, dtype=float)
    factors, _ = _kernel.cholesky_factors(precisions, int(geometry))
    usable = np.isfinite(factors).reshape(len(factors), -1).all(axis=1)
    is_matrix = geometry in (Geometry.DENSE, Geometry.TIED)
    if is_matrix:
        flipped = precisions.transpose(0, 2, 1)
        usable &= np.isclose(precisions, flipped, rtol=1e-5, atol=1e-8).all(axis=(1, 2))
    if not usable.all():
        raise DegenerateComponentError.not_positive_definite(
            int(np.argmin(usable)), "the precision"
        )
    return np.asarray(factors.transpose(0, 2, 1) @ factors if is_matrix else factors * factors)


def precision_roots(family: Gaussian, params: GaussianParams) -> Array:
    """Roots U with U U' = precision in units of the data: upper triangular, or 1 / sd."""
    roots = params.factors
    exponents = -np.asarray(family.exponents or (0,) * family.n_features)
    if family.geometry in (Geometry.DENSE, Geometry.TIED):
        return np.asarray(np.ldexp(roots.transpose(0, 2, 1), exponents[:, None]))
    if family.geometry is Geometry.DIAGONAL:
        return np.asarray(np.ldexp(roots, exponents))
    return np.asarray(np.ldexp(roots, exponents[0]))
