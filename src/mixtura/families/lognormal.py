"""Log-normal columns: sizes, incomes, durations, which are Gaussian as logarithms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from mixtura.families.natural import ExponentialFamily, Support
from mixtura.families.positive import LEAST_VARIANCE, least_variance, middle, units
from mixtura.stats import Array, BoolArray, IntArray

LOG_2PI = float(np.log(2 * np.pi))


class LogNormalParams(NamedTuple):
    """Parameters of K log-normal components."""

    log_mean: Array  # (K, d), mean of log x in log units of the column
    log_sd: Array  # (K, d), standard deviation of log x, > 0


@dataclass(frozen=True)
class LogNormal(ExponentialFamily[LogNormalParams]):
    """Independent log-normal columns: log x is Gaussian with mean m and standard deviation s.

    log p(x) = sum_j -(log x_j - m_j)^2 / (2 s_j^2) - log(s_j x_j) - log(2 pi) / 2.
    Statistics are taken about the middle of the logarithms, so that they lose no digits.

    Parameters
    ----------
    n_features : int
        Number of columns d; values are > 0.
    origin : tuple of float
        Value of each column about whose logarithm statistics are taken; empty means 1.
    floor : tuple of float
        Least variance of log x in each column; empty means LEAST_VARIANCE.

    Examples
    --------
    >>> import numpy as np
    >>> family = LogNormal(1)
    >>> params = LogNormalParams(np.array([[0.0]]), np.array([[1.0]]))
    >>> float(family.log_density(params, np.array([[1.0]]))[0, 0].round(4))
    -0.9189
    """

    n_features: int
    origin: tuple[float, ...] = ()
    floor: tuple[float, ...] = ()
    name: ClassVar[str] = "lognormal"
    support: ClassVar[Support] = Support.POSITIVE
    params_type: ClassVar[type] = LogNormalParams
    columns_apart: ClassVar[bool] = True
    independent: ClassVar[bool] = True
    bound_words: ClassVar[str] = (
        "has hardly more than one value in a column: its log_sd is on the floor"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "origin", tuple(map(float, self.origin)))
        object.__setattr__(self, "floor", tuple(map(float, self.floor)))

    def ranged(self, low: Array, high: Array) -> Self:
        """Take origin and floor from the range of each column."""
        return replace(
            self, origin=middle(low, high), floor=least_variance(np.log(high) - np.log(low))
        )

    def features(self, X: Array) -> Array:
        """T(x) = (t, t^2) with t = log(x / origin), (n, 2d)."""
        t = np.log(X / units(self.origin, self.n_features))
        return np.hstack([t, t * t])

    def log_base(self, X: Array) -> Array:
        """Log h(x) = -sum_j log(x_j) - d/2 log(2 pi), (n,)."""
        return np.asarray(-np.log(X).sum(axis=1) - 0.5 * self.n_features * LOG_2PI)

    def natural(self, params: LogNormalParams) -> tuple[Array, Array]:
        """Eta = (m / s^2, -1 / (2 s^2)) with m about the origin, A = sum m^2/(2 s^2) + log s."""
        m, precision = self._centred(params), params.log_sd**-2
        eta = np.hstack([m * precision, -0.5 * precision])
        return eta, (0.5 * m * m * precision + np.log(params.log_sd)).sum(axis=1)

    def from_mean(self, mean: Array, previous: LogNormalParams | None = None) -> LogNormalParams:
        """Mean and standard deviation of the logarithms, the latter above its floor."""
        m, second = np.split(mean, 2, axis=1)
        variance = np.maximum(second - m * m, units(self.floor, self.n_features, LEAST_VARIANCE))
        return LogNormalParams(m + self._log_origin(), np.sqrt(variance))

    def mean_features(self, params: LogNormalParams) -> Array:
        """E[t] and E[t^2], (K, 2d)."""
        m = self._centred(params)
        return np.hstack([m, m * m + params.log_sd**2])

    def mean(self, params: LogNormalParams) -> Array:
        """E[x] = exp(m + s^2 / 2), (K, d); at most the largest float64."""
        exponent = params.log_mean + 0.5 * params.log_sd**2
        return np.exp(np.minimum(exponent, np.log(np.finfo(float).max)))

    def sample(self, params: LogNormalParams, labels: IntArray, rng: np.random.Generator) -> Array:
        """Values of the labelled components, (n, d)."""
        z = rng.standard_normal((len(labels), self.n_features))
        return np.exp(params.log_mean[labels] + params.log_sd[labels] * z)

    def start_features(self, X: Array) -> Array:
        """Logarithms: distances by ratio."""
        return np.log(X)

    def n_free(self, n_components: int) -> int:
        """Two numbers per column and component."""
        return 2 * n_components * self.n_features

    def standard_errors(self, params: LogNormalParams, weight: Array) -> tuple[Array, ...]:
        """S / sqrt(n) and s / sqrt(2 n)."""
        n = weight[:, None]
        return params.log_sd / np.sqrt(n), params.log_sd / np.sqrt(2.0 * n)

    def at_boundary(self, params: LogNormalParams) -> BoolArray:
        """Components with a standard deviation on the floor."""
        floor = np.sqrt(units(self.floor, self.n_features, LEAST_VARIANCE))
        return np.asarray((params.log_sd <= floor * (1 + 1e-9)).any(axis=1))

    def problem(self, params: LogNormalParams) -> str | None:
        """Standard deviations must be finite and positive."""
        found = super().problem(params)
        if found is None and not (params.log_sd > 0).all():
            found = "a standard deviation is not positive"
        return found

    def config(self) -> dict[str, Any]:
        """Arguments that make this family again, as plain JSON values."""
        return {
            "n_features": self.n_features,
            "origin": list(self.origin),
            "floor": list(self.floor),
        }

    def _log_origin(self) -> Array:
        return np.log(units(self.origin, self.n_features))

    def _centred(self, params: LogNormalParams) -> Array:
        return params.log_mean - self._log_origin()
