"""Yes or no in each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.special import logit

from mixtura.families.natural import ExponentialFamily, Support
from mixtura.families.priors import BetaPrior, Prior, PseudoRows, modal
from mixtura.families.support import Remark
from mixtura.stats import Array, IntArray

#: Smallest chance of either value: keeps log-densities finite where a component saw only
#: one of them. A power of two, so that 1 - SMALLEST_CHANCE is exact.
SMALLEST_CHANCE = 2.0**-50


class BernoulliParams(NamedTuple):
    """Parameters of K Bernoulli components."""

    chance: Array  # (K, d), probability of 1, in (0, 1)


@dataclass(frozen=True)
class Bernoulli(ExponentialFamily[BernoulliParams]):
    """Independent binary columns: log p(x) = sum_j x_j log(p_j) + (1 - x_j) log(1 - p_j).

    ``MixtureModel("bernoulli", 3)`` is latent class analysis of yes-or-no answers, what
    StepMix calls ``measurement="binary"`` and pomegranate a mixture of ``Bernoulli``.

    Parameters
    ----------
    n_features : int
        Number of columns d, of 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> family = Bernoulli(2)
    >>> params = BernoulliParams(np.array([[0.5, 0.25]]))
    >>> float(np.exp(family.log_density(params, np.array([[1.0, 1.0]])))[0, 0].round(6))
    0.125
    """

    n_features: int
    name: ClassVar[str] = "bernoulli"
    support: ClassVar[Support] = Support.BINARY
    params_type: ClassVar[type] = BernoulliParams
    columns_apart: ClassVar[bool] = True
    shown_scale: ClassVar[float | None] = 0.01
    independent: ClassVar[bool] = True

    def features(self, X: Array) -> Array:
        """T(x) = x, (n, d)."""
        return X

    def log_base(self, X: Array) -> Array:
        """Log h(x) = 0, (n,)."""
        return np.zeros(len(X))

    def natural(self, params: BernoulliParams) -> tuple[Array, Array]:
        """Eta = log(p / (1 - p)) (K, d), A = -sum log(1 - p)."""
        return logit(params.chance), -np.log1p(-params.chance).sum(axis=1)

    def pseudo_rows(self, prior: Prior) -> PseudoRows:
        """A beta prior: a - 1 ones and b - 1 zeros in each column."""
        if not isinstance(prior, BetaPrior):
            return super().pseudo_rows(prior)
        ones, zeros = modal("a, b", (prior.a, prior.b), 2) - 1.0
        return PseudoRows(ones + zeros, (ones,) * self.n_features)

    def from_mean(self, mean: Array, previous: BernoulliParams | None = None) -> BernoulliParams:
        """Chance = share of ones, kept off 0 and 1 by `SMALLEST_CHANCE`."""
        return BernoulliParams(np.clip(mean, SMALLEST_CHANCE, 1.0 - SMALLEST_CHANCE))

    def mean_features(self, params: BernoulliParams) -> Array:
        """E[x] = p."""
        return params.chance

    def mean(self, params: BernoulliParams) -> Array:
        """E[x] = p, (K, d)."""
        return params.chance

    def sample(self, params: BernoulliParams, labels: IntArray, rng: np.random.Generator) -> Array:
        """Zeros and ones of the labelled components, (n, d)."""
        return (rng.random((len(labels), self.n_features)) < params.chance[labels]).astype(float)

    def n_free(self, n_components: int) -> int:
        """One chance per column and component."""
        return n_components * self.n_features

    def standard_errors(self, params: BernoulliParams, weight: Array) -> tuple[Array, ...]:
        """Sqrt(p (1 - p) / n)."""
        return (np.sqrt(params.chance * (1.0 - params.chance) / weight[:, None]),)

    def remarks(self, params: BernoulliParams) -> list[Remark]:
        """Components that saw only zeros, or only ones, in some column."""
        edge = np.minimum(params.chance, 1.0 - params.chance) <= SMALLEST_CHANCE
        return [
            Remark(k, f"has a chance of 0 or 1 in {n} of {self.n_features} column(s): {EDGE_WORDS}")
            for k, n in enumerate(edge.sum(axis=1).tolist())
            if n
        ]

    def problem(self, params: BernoulliParams) -> str | None:
        """Chances must lie inside (0, 1)."""
        found = super().problem(params)
        if found is None and not ((params.chance > 0) & (params.chance < 1)).all():
            found = "a chance is not inside (0, 1)"
        return found


#: What follows from an estimate on the edge of its range.
EDGE_WORDS = "it saw no other value, and standard errors mean nothing there"
