"""The normal-inverse-Wishart prior of Gaussian components, as rows that were never seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import linalg

from mixtura.families.gaussian.information import log_roots
from mixtura.families.gaussian.packing import pack, second_moments
from mixtura.families.gaussian.shapes import Geometry, Shape
from mixtura.families.priors import NormalInverseWishart
from mixtura.stats import Array, Stats

#: Default prior of Fraley and Raftery (2007), section 3.2: worth of the mean in rows, and
#: degrees of freedom above the number of columns.
SHRINKAGE = 0.01
EXTRA_FREEDOM = 2.0

#: Smallest eigenvalue of the data's correlation matrix that floors and priors respect:
#: keeps them positive definite where columns are collinear.
COLLINEAR = 1e-4


@dataclass(frozen=True, eq=False)
class PseudoScatter:
    """A normal-inverse-Wishart prior in the units and the layout of one Gaussian family."""

    shape: Shape
    mean: Array  # (d,)
    shrinkage: float
    freedom: float
    scale: Array  # packed like second moments of the geometry

    @classmethod
    def of(
        cls, prior: NormalInverseWishart, shape: Shape, exponents: tuple[int, ...]
    ) -> PseudoScatter:
        """Convert from units of the data to units of 2**exponents."""
        e = -np.asarray(exponents or (0,) * len(prior.mean))
        scale = np.ldexp(np.array(prior.scale), e[:, None] + e)
        if shape.geometry in (Geometry.DENSE, Geometry.TIED):
            packed = pack(scale[None])[0]
        elif shape.geometry is Geometry.DIAGONAL:
            packed = np.diagonal(scale).copy()
        else:
            packed = np.array([np.trace(scale)])
        mean = np.ldexp(np.array(prior.mean), e)
        return cls(shape, mean, prior.shrinkage, prior.freedom, packed)

    def added(self, stats: Stats, centres: Array) -> tuple[Stats, Array]:
        """Statistics of the posterior in the form of a likelihood, about the posterior means.

        Their M step is the posterior mode: with n' = n + freedom + d + 2,
        mu = (n m + shrinkage mean) / (n + shrinkage) and scatter
        W + scale + shrinkage n / (n + shrinkage) (m - mean)(m - mean)'.
        """
        n, d, geometry = stats.weight[:, None], len(self.mean), self.shape.geometry
        n_components = len(n)
        s1 = stats.total[:, :d]
        shift = s1 / np.where(n > 0, n, 1.0)
        worth = n + self.shrinkage
        pull = np.where(worth > 0, self.shrinkage / np.where(worth > 0, worth, 1.0), 0.0)
        away = centres + shift - self.mean
        means = centres + shift - pull * away
        extra = pull * n * second_moments(away, geometry) - n * second_moments(shift, geometry)
        share = n_components if self.shape.is_shared else 1
        weight = stats.weight + (self.freedom + d + 1.0) / share + float(self.shrinkage > 0)
        none = np.zeros((n_components, d))
        if geometry is Geometry.TIED:
            shared = stats.shared + extra.sum(axis=0) + self.scale
            return replace(stats, weight=weight, total=none, shared=shared), means
        scatter = stats.total[:, d:] + extra + self.scale / share
        return replace(stats, weight=weight, total=np.hstack([none, scatter])), means

    def log_density(self, means: Array, factors: Array) -> float:
        """Log prior density of all components, up to a constant, in nats."""
        n_components, d = means.shape
        scale, geometry = self.scale, self.shape.geometry
        roots = log_roots(factors, geometry, d)
        away = means - self.mean
        if geometry in (Geometry.DENSE, Geometry.TIED):
            rows, columns = np.tril_indices(d)
            twice = np.where(rows == columns, 1.0, 2.0) * scale
            precision = factors.transpose(0, 2, 1) @ factors
            traces = precision[:, rows, columns] @ twice
            whole = np.broadcast_to(factors, (n_components, d, d))
            distances = (np.einsum("kij,kj->ki", whole, away) ** 2).sum(axis=1)
        elif geometry is Geometry.DIAGONAL:
            traces = factors**2 @ scale
            distances = ((factors * away) ** 2).sum(axis=1)
        else:
            traces = factors**2 * scale[0]
            distances = factors**2 * (away**2).sum(axis=1)
        value = ((self.freedom + d + 1.0) * roots - 0.5 * traces).sum()
        if self.shrinkage > 0:
            value += n_components * roots.mean() - 0.5 * self.shrinkage * distances.sum()
        return float(value)


def weak_prior(mean: Array, covariance: Array, n_components: int) -> NormalInverseWishart:
    """Fraley and Raftery's default: scale = covariance / K^(2/d), freedom d + 2, shrinkage 0.01."""
    d = len(mean)
    return NormalInverseWishart(
        mean=tuple(mean.tolist()),
        shrinkage=SHRINKAGE,
        freedom=d + EXTRA_FREEDOM,
        scale=tuple(map(tuple, (covariance / n_components ** (2.0 / d)).tolist())),
    )


def regular(covariance: Array) -> Array:
    """A covariance whose correlation matrix has no eigenvalue below `COLLINEAR`."""
    return _regular(covariance.tobytes(), len(covariance))


@lru_cache(maxsize=4)
def _regular(numbers: bytes, d: int) -> Array:
    """The same of numbers (d, d); many shapes ask for that of the same data."""
    covariance = np.frombuffer(numbers).reshape(d, d)
    scale = np.sqrt(np.diagonal(covariance))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = linalg.eigh(covariance / (scale[:, None] * scale))
    if values[0] >= COLLINEAR:
        return covariance
    clipped = (vectors * np.maximum(values, COLLINEAR)) @ vectors.T
    return np.asarray(clipped * (scale[:, None] * scale))
