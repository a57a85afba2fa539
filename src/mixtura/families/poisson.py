"""Poisson counts: the file to copy for a new exponential family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.special import gammaln, pdtr

from mixtura.families.natural import ExponentialFamily, Support
from mixtura.families.priors import GammaPrior, Prior, PseudoRows, modal
from mixtura.stats import Array, IntArray

#: Smallest rate: keeps the natural parameter finite where every count is zero.
SMALLEST_RATE = 1e-300


class PoissonParams(NamedTuple):
    """Parameters of K Poisson components."""

    rate: Array  # (K, d), expected count, > 0


@dataclass(frozen=True)
class Poisson(ExponentialFamily[PoissonParams]):
    """Independent Poisson counts: log p(x) = sum_j x_j log(rate_j) - rate_j - log(x_j!).

    Parameters
    ----------
    n_features : int
        Number of columns d.

    Examples
    --------
    >>> import numpy as np
    >>> family = Poisson(1)
    >>> params = PoissonParams(np.array([[2.0]]))
    >>> float(family.log_density(params, np.array([[3.0]]))[0, 0].round(4))
    -1.7123
    """

    n_features: int
    name: ClassVar[str] = "poisson"
    support: ClassVar[Support] = Support.COUNTS
    params_type: ClassVar[type] = PoissonParams
    independent: ClassVar[bool] = True

    def features(self, X: Array) -> Array:
        """T(x) = x, (n, d)."""
        return X

    def log_base(self, X: Array) -> Array:
        """Log h(x) = -sum_j log(x_j!), (n,)."""
        return np.asarray(-gammaln(X + 1.0).sum(axis=1))

    def natural(self, params: PoissonParams) -> tuple[Array, Array]:
        """Eta = log(rate) (K, d), A = sum of rates (K,)."""
        return np.log(params.rate), params.rate.sum(axis=1)

    def from_mean(self, mean: Array, previous: PoissonParams | None = None) -> PoissonParams:
        """Rate = mean count, kept positive."""
        return PoissonParams(np.maximum(mean, SMALLEST_RATE))

    def pseudo_rows(self, prior: Prior) -> PseudoRows:
        """A gamma prior of the rates: `rate` rows with `shape` - 1 counts in all."""
        if isinstance(prior, GammaPrior):
            excess = modal("shape", prior.shape, self.n_features) - 1.0
            return PseudoRows(prior.rate, tuple(excess.tolist()))
        return super().pseudo_rows(prior)

    def mean_features(self, params: PoissonParams) -> Array:
        """E[x] = rate."""
        return params.rate

    def mean(self, params: PoissonParams) -> Array:
        """E[x] = rate, (K, d)."""
        return params.rate

    def sample(self, params: PoissonParams, labels: IntArray, rng: np.random.Generator) -> Array:
        """Counts of the labelled components, (n, d)."""
        return rng.poisson(params.rate[labels]).astype(float)

    def n_free(self, n_components: int) -> int:
        """One rate per column and component."""
        return n_components * self.n_features

    def standard_errors(self, params: PoissonParams, weight: Array) -> tuple[Array, ...]:
        """Sqrt(rate / n): the information of n counts about their rate is n / rate."""
        return (np.sqrt(params.rate / weight[:, None]),)

    def cdf(self, params: PoissonParams, x: Array) -> Array:
        """Regularised upper incomplete gamma function Q(floor(x) + 1, rate), (n, K)."""
        return np.asarray(pdtr(np.floor(x)[:, None], params.rate[:, 0]))

    def problem(self, params: PoissonParams) -> str | None:
        """Rates must be finite and positive."""
        found = super().problem(params)
        if found is None and not (params.rate > 0).all():
            found = "a rate is not positive"
        return found
