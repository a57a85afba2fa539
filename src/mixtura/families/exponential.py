"""Exponential waiting times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from mixtura.families.natural import ExponentialFamily, Support
from mixtura.families.priors import GammaPrior, Prior, PseudoRows, modal
from mixtura.stats import Array, BoolArray, IntArray

#: Smallest mean: keeps the density finite where all values are zero.
SMALLEST_SCALE = 1e-300


class ExponentialParams(NamedTuple):
    """Parameters of K exponential components."""

    scale: Array  # (K, d), mean of each column in its units, > 0


@dataclass(frozen=True)
class Exponential(ExponentialFamily[ExponentialParams]):
    """Independent exponential columns: log p(x) = sum_j -x_j / scale_j - log(scale_j).

    Parameters
    ----------
    n_features : int
        Number of columns d; values are >= 0.

    Examples
    --------
    >>> import numpy as np
    >>> family = Exponential(1)
    >>> params = ExponentialParams(np.array([[2.0]]))
    >>> float(family.log_density(params, np.array([[3.0]]))[0, 0].round(4))
    -2.1931
    """

    n_features: int
    name: ClassVar[str] = "exponential"
    support: ClassVar[Support] = Support.NONNEGATIVE
    params_type: ClassVar[type] = ExponentialParams
    columns_apart: ClassVar[bool] = True
    independent: ClassVar[bool] = True
    bound_words: ClassVar[str] = "has only zeros in a column: its density there is bounded by 1e300"

    def features(self, X: Array) -> Array:
        """T(x) = x, (n, d)."""
        return X

    def log_base(self, X: Array) -> Array:
        """Log h(x) = 0, (n,)."""
        return np.zeros(len(X))

    def natural(self, params: ExponentialParams) -> tuple[Array, Array]:
        """Eta = -1 / scale (K, d), A = sum of log(scale)."""
        return -1.0 / params.scale, np.log(params.scale).sum(axis=1)

    def pseudo_rows(self, prior: Prior) -> PseudoRows:
        """A gamma prior of the rates 1 / scale: `shape` - 1 rows that sum to `rate`."""
        if not isinstance(prior, GammaPrior):
            return super().pseudo_rows(prior)
        return PseudoRows(modal("shape", prior.shape, 1)[0] - 1.0, (prior.rate,) * self.n_features)

    def from_mean(
        self, mean: Array, previous: ExponentialParams | None = None
    ) -> ExponentialParams:
        """Scale = mean, kept positive."""
        return ExponentialParams(np.maximum(mean, SMALLEST_SCALE))

    def mean_features(self, params: ExponentialParams) -> Array:
        """E[x] = scale."""
        return params.scale

    def mean(self, params: ExponentialParams) -> Array:
        """E[x] = scale, (K, d)."""
        return params.scale

    def sample(
        self, params: ExponentialParams, labels: IntArray, rng: np.random.Generator
    ) -> Array:
        """Waiting times of the labelled components, (n, d)."""
        return rng.exponential(params.scale[labels])

    def start_features(self, X: Array) -> Array:
        """Cube roots, which are nearly Gaussian (Wilson and Hilferty 1931)."""
        return np.cbrt(X)

    def n_free(self, n_components: int) -> int:
        """One scale per column and component."""
        return n_components * self.n_features

    def standard_errors(self, params: ExponentialParams, weight: Array) -> tuple[Array, ...]:
        """Scale / sqrt(n): the information of n times about their mean is n / scale^2."""
        return (params.scale / np.sqrt(weight[:, None]),)

    def at_boundary(self, params: ExponentialParams) -> BoolArray:
        """Components with a column of zeros."""
        return np.asarray((params.scale <= SMALLEST_SCALE).any(axis=1))

    def problem(self, params: ExponentialParams) -> str | None:
        """Scales must be finite and positive."""
        found = super().problem(params)
        if found is None and not (params.scale > 0).all():
            found = "a scale is not positive"
        return found
