"""What can be said of parts of a Gaussian in closed form: methods of the family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import gammaincinv, ndtr

from mixtura.stats import Array

if TYPE_CHECKING:
    from mixtura.families.gaussian.family import Gaussian, GaussianParams


def marginal(
    self: Gaussian, params: GaussianParams, columns: Sequence[int]
) -> tuple[Gaussian, GaussianParams]:
    """Gaussians again: the chosen entries of means and covariances."""
    own = list(columns)
    exponents = tuple(self.exponents[j] for j in own) if self.exponents else ()
    matrices = replace(self, exponents=()).full_covariances(params)[:, own][:, :, own]
    family: Any = type(self)(len(own), exponents=exponents)
    return family, family.params(params.means[:, own], matrices)


def regions(self: Gaussian, params: GaussianParams, probability: float) -> Array:
    """Covariances times the quantile of chi-squared with d degrees of freedom, (K, d, d)."""
    radius = 2.0 * gammaincinv(self.n_features / 2.0, probability)
    return np.asarray(radius * self.full_covariances(params))


def cdf(self: Gaussian, params: GaussianParams, x: Array) -> Array:
    """Phi((x - mean) / sd), (n, K)."""
    sd = np.sqrt(self.full_covariances(params)[:, 0, 0])
    return np.asarray(ndtr((x[:, None] - self.mean(params)[:, 0]) / sd))
