"""Door A: exponential families, where a few formulas make the E step and the M step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mixtura.errors import UsageError
from mixtura.families import linear
from mixtura.families.base import Family, P, Profile, Support
from mixtura.families.linear import Coefficients, Terms
from mixtura.families.priors import Prior, PseudoRows
from mixtura.stats import Array, Rows, Stats

if TYPE_CHECKING:
    from mixtura.source import Block

__all__ = ["ExponentialFamily", "Profile", "Support"]


class ExponentialFamily(Family[P]):
    """Door A: log p(x) = T(x) . eta(theta) - A(theta) + log h(x).

    A new family is one file of formulas; see ``poisson.py``.
    """

    #: Each column has parameters of its own, and every parameter array one number per column.
    columns_apart: ClassVar[bool] = False

    @abstractmethod
    def features(self, X: Array) -> Array:
        """Sufficient statistic T(x), (n, p)."""

    @abstractmethod
    def log_base(self, X: Array) -> Array:
        """Log of the base measure log h(x), (n,), in nats."""

    @abstractmethod
    def natural(self, params: P) -> tuple[Array, Array]:
        """Natural parameters eta (K, p) and log-normaliser A (K,)."""

    @abstractmethod
    def from_mean(self, mean: Array, previous: P | None = None) -> P:
        """Parameters whose expected statistic is `mean` (K, p): the maximum-likelihood estimate."""

    @abstractmethod
    def mean_features(self, params: P) -> Array:
        """Expected statistic E[T(x)] (K, p), the gradient of A; inverse of `from_mean`."""

    def log_density(self, params: P, X: Array) -> Array:
        """T(x) . eta - A + log h, (n, K), in nats."""
        eta, A = self.natural(params)
        return self.features(X) @ eta.T - A + self.log_base(X)[:, None]

    @property
    def code_levels(self) -> tuple[int, ...]:
        """Levels of the columns of codes in `terms`."""
        return ()

    def terms(self, X: Rows) -> Terms:
        """T(x) and log h(x) as the compiled pass reads them.

        A family of codes gives the codes in place of the indicators that T(x) has of them,
        which then come last in T(x).
        """
        exact = np.asarray(X, dtype=float)
        T = self.features(exact)
        return Terms(X if T is exact else T, X[:, :0], self.log_base(exact))

    def expect(self, params: P, log_weights: Array, block: Block, n_threads: int = 1) -> Stats:
        """E step and statistics of one block in one compiled pass."""
        if not self.is_linear:
            return super().expect(params, log_weights, block, n_threads)
        return linear.expect(self, self._coefficients(params, log_weights), block, n_threads)

    def posterior(
        self, params: P, log_weights: Array, X: Rows, n_threads: int = 1
    ) -> tuple[Array, Array]:
        """Log-density of the mixture (n,) in nats and responsibilities (n, K)."""
        if not self.is_linear:
            return super().posterior(params, log_weights, X, n_threads)
        return linear.posterior(self, self._coefficients(params, log_weights), X, n_threads)

    def _coefficients(self, params: P, log_weights: Array) -> Coefficients:
        eta, A = self.natural(params)
        return Coefficients(log_weights - A, eta, self.code_levels)

    @property
    def is_linear(self) -> bool:
        """The formulas of this class are all there is to a subclass."""
        own = type(self)
        return (
            own.log_density is ExponentialFamily.log_density
            and own.accumulate is ExponentialFamily.accumulate
        )

    def accumulate(self, params: P | None, X: Array, R: Array) -> Stats:
        """Sums of T(x) weighted by R."""
        return Stats(R.sum(axis=0), R.T @ self.features(X), np.zeros(0), mass=float(R.sum()))

    def pseudo_rows(self, prior: Prior) -> PseudoRows:
        """A prior as rows that were never seen: their number, and the sum of T(x) over them.

        Families with priors of their own (such as the gamma of rates) translate them here.

        Raises
        ------
        UsageError
            The prior is not one of this family.
        """
        if not isinstance(prior, PseudoRows):
            raise UsageError.argument("prior", prior, f"a conjugate prior of {self.describe()}")
        return prior

    def check_prior(self) -> None:
        """Refuse a prior that does not fit the family."""
        _ = self._pseudo

    def default_prior(self, profile: Profile | None, whole: Stats, n_components: int) -> Prior:
        """One row's worth of the mean statistic of all rows."""
        del profile, n_components
        return PseudoRows(1.0, tuple((whole.total[0] / whole.weight[0]).tolist()))

    def log_prior(self, params: P) -> float:
        """Sum over components of total . eta - count A, in nats."""
        if self._pseudo is None:
            return 0.0
        eta, A = self.natural(params)
        count, total = self._pseudo
        return float((eta @ total - count * A).sum())

    @cached_property
    def _pseudo(self) -> tuple[float, Array] | None:
        """Number and total of the prior's pseudo-rows."""
        if self.prior is None:
            return None
        if self.prior == "default":
            raise UsageError.argument("prior", "default", "made from data: fit does so")
        rows = self.pseudo_rows(self.prior)
        return rows.count, np.array(rows.total)

    def maximise(self, stats: Stats, previous: P | None = None) -> P:
        """Match the expected statistic to its weighted mean (Dempster et al. 1977, eq. 2.3).

        The rows of a prior are added to those of every component.
        """
        if self._pseudo is not None:
            count, total = self._pseudo
            stats = replace(stats, weight=stats.weight + count, total=stats.total + total)
        empty = stats.weight <= 0
        mean = stats.total / np.where(empty, 1.0, stats.weight)[:, None]
        if empty.any():
            fallback = self.mean_features(previous) if previous is not None else None
            mean[empty] = mean[~empty].mean(axis=0) if fallback is None else fallback[empty]
        return self.from_mean(mean, previous)

    def marginal(self, params: P, columns: Sequence[int]) -> tuple[Family[Any], Any]:
        """Columns that are independent: parameters and settings of those chosen."""
        if not self.columns_apart:
            return super().marginal(params, columns)
        at = list(columns)
        settings = {
            name: tuple(value[j] for j in at) if isinstance(value, list) and value else value
            for name, value in self.config().items()
        }
        make: Any = type(self)
        family = make(**settings | {"n_features": len(at)})
        return family, self._params([np.asarray(array)[:, at] for array in params])

    def score(self, params: P, stats: Stats) -> tuple[Array, ...]:
        """Gradient in the natural parameters, (K, p): sum of T(x) - E[T(x)]."""
        return (stats.total - stats.weight[:, None] * self.mean_features(params),)
