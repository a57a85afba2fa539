"""Rows of counts: how often each of d outcomes came up in a number of trials."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from scipy.special import gammaln

from mixtura.families.bernoulli import EDGE_WORDS
from mixtura.families.natural import ExponentialFamily, Profile, Support
from mixtura.families.support import Remark
from mixtura.stats import Array, IntArray, Stats

#: Smallest share: keeps log-densities finite where a component never saw an outcome.
SMALLEST_SHARE = 1e-300


class MultinomialParams(NamedTuple):
    """Parameters of K multinomial components."""

    share: Array  # (K, d), probability of each outcome, sum 1


@dataclass(frozen=True)
class Multinomial(ExponentialFamily[MultinomialParams]):
    """Counts of d outcomes given their total N.

    log p(x | N) = log N! + sum_j x_j log(p_j) - log(x_j!). Totals may differ from row to row;
    their own distribution is left aside. Documents as counts of words, or answers
    counted per interval (mixtools' ``multmixEM``), are of this kind.

    Parameters
    ----------
    n_features : int
        Number of outcomes d, one column each.
    trials : int, default=1
        Total of the rows that `sample` draws and `mean` speaks of; fitting sets it to the
        mean total of the data.

    Examples
    --------
    >>> import numpy as np
    >>> family = Multinomial(2)
    >>> params = MultinomialParams(np.array([[0.5, 0.5]]))
    >>> float(np.exp(family.log_density(params, np.array([[1.0, 1.0]])))[0, 0].round(6))
    0.5
    """

    n_features: int
    trials: int = 1
    name: ClassVar[str] = "multinomial"
    support: ClassVar[Support] = Support.COUNTS
    params_type: ClassVar[type] = MultinomialParams
    shown_scale: ClassVar[float | None] = 0.01
    has_box: ClassVar[bool] = False
    needs_profile: ClassVar[bool] = True

    def adapted(self, profile: Profile) -> Self:
        """Take the number of trials from the mean total of the rows."""
        total = float(np.ldexp(profile.mean, profile.exponents).sum())
        return replace(self, trials=max(1, round(total)))

    def features(self, X: Array) -> Array:
        """T(x) = x, (n, d)."""
        return X

    def log_base(self, X: Array) -> Array:
        """Log h(x) = log(N!) - sum_j log(x_j!), (n,)."""
        return np.asarray(gammaln(X.sum(axis=1) + 1.0) - gammaln(X + 1.0).sum(axis=1))

    def natural(self, params: MultinomialParams) -> tuple[Array, Array]:
        """Eta = log p (K, d), A = 0."""
        return np.log(params.share), np.zeros(len(params.share))

    def from_mean(
        self, mean: Array, previous: MultinomialParams | None = None
    ) -> MultinomialParams:
        """Share = count over total, kept positive."""
        total = mean.sum(axis=1, keepdims=True)
        even = np.full_like(mean, 1.0 / self.n_features)  # rows without any trial say nothing
        shares = np.where(total > 0, mean / np.where(total > 0, total, 1.0), even)
        shares = np.maximum(shares, SMALLEST_SHARE)
        return MultinomialParams(shares / shares.sum(axis=1, keepdims=True))

    def mean_features(self, params: MultinomialParams) -> Array:
        """E[x] = trials p."""
        return self.trials * params.share

    def mean(self, params: MultinomialParams) -> Array:
        """E[x] = trials p, (K, d)."""
        return self.trials * params.share

    def sample(
        self, params: MultinomialParams, labels: IntArray, rng: np.random.Generator
    ) -> Array:
        """Counts of the labelled components in `trials` trials, (n, d)."""
        return rng.multinomial(self.trials, params.share[labels]).astype(float)

    def n_free(self, n_components: int) -> int:
        """D - 1 shares per component."""
        return n_components * (self.n_features - 1)

    def score(self, params: MultinomialParams, stats: Stats) -> tuple[Array, ...]:
        """Gradient in log p, (K, d): counts minus their expectation given the totals."""
        return (stats.total - stats.total.sum(axis=1, keepdims=True) * params.share,)

    def standard_errors(self, params: MultinomialParams, weight: Array) -> tuple[Array, ...]:
        """Sqrt(p (1 - p) / (n trials))."""
        n = self.trials * weight[:, None]
        return (np.sqrt(params.share * (1.0 - params.share) / n),)

    def remarks(self, params: MultinomialParams) -> list[Remark]:
        """Components that never saw some outcome."""
        return [
            Remark(k, f"has a share of 0 for {n} of {self.n_features} outcomes: {EDGE_WORDS}")
            for k, n in enumerate((params.share <= 1e-100).sum(axis=1).tolist())
            if n
        ]

    def problem(self, params: MultinomialParams) -> str | None:
        """Shares must be positive and sum to one."""
        found = super().problem(params)
        if found is None and not (params.share > 0).all():
            found = "a share is not positive"
        elif found is None and not np.allclose(params.share.sum(axis=1), 1.0, rtol=0, atol=1e-9):
            found = "the shares of a component do not sum to one"
        return found

    def config(self) -> dict[str, Any]:
        """Arguments that make this family again, as plain JSON values."""
        return {"n_features": self.n_features, "trials": self.trials}
