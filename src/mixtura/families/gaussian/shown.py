"""Gaussian parameters as people read them: means and standard deviations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixtura.families.gaussian.shapes import Geometry
from mixtura.families.shown import Shown
from mixtura.stats import Array

if TYPE_CHECKING:
    from mixtura.families.gaussian.family import Gaussian, GaussianParams


def deviations(family: Gaussian, params: GaussianParams) -> Array:
    """Standard deviations of all components, (K, d), in units of the data.

    Taken before units are applied: the variance of extreme data may not be a float64.
    """
    n_components, d = params.means.shape
    own = params.covariances
    if family.geometry in (Geometry.DENSE, Geometry.TIED):
        own = np.einsum("kii->ki", own)
    elif family.geometry is Geometry.SPHERICAL:
        own = own[:, None]
    exponents = np.array(family.exponents or (0,) * d)
    result: Array = np.ldexp(np.sqrt(np.broadcast_to(own, (n_components, d))), exponents)
    return result


def shown_gaussian(family: Gaussian, params: GaussianParams, weight: Array | None) -> list[Shown]:
    """Means and standard deviations, with standard errors of a single density."""
    sds, columns = deviations(family, params), range(family.n_features)
    of_means = of_sds = None
    if weight is not None:
        of_means, of_variances, *_ = family.standard_errors(params, weight)
        if family.geometry in (Geometry.DENSE, Geometry.TIED):
            of_variances = np.einsum("kii->ki", of_variances)
        elif family.geometry is Geometry.SPHERICAL:
            of_variances = of_variances[:, None]
        # The delta method: d sd = d variance / (2 sd).
        of_sds = np.broadcast_to(of_variances, sds.shape) / (2 * sds)
    return [
        Shown("mean", family.mean(params), columns, (), of_means, sds, short=True),
        Shown("sd", sds, columns, (), of_sds, sds),
    ]
