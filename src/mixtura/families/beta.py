"""Beta columns: shares and proportions strictly between 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from scipy.special import betaln, digamma, expit, logit, polygamma

from mixtura.families.natural import ExponentialFamily, Support
from mixtura.families.positive import least_variance, units
from mixtura.stats import Array, BoolArray, IntArray

#: Greatest a + b of data without a range: beyond, psi(a) - psi(a + b) keeps few digits.
GREATEST_CONCENTRATION = 1e8

#: Newton steps; about six are usual.
MOST_STEPS = 100


class BetaParams(NamedTuple):
    """Parameters of K beta components."""

    a: Array  # (K, d), > 0
    b: Array  # (K, d), > 0


@dataclass(frozen=True)
class Beta(ExponentialFamily[BetaParams]):
    """Independent beta columns.

    log p(x) = sum_j (a_j - 1) log x_j + (b_j - 1) log(1 - x_j) - log B(a_j, b_j).

    Parameters
    ----------
    n_features : int
        Number of columns d; values lie strictly between 0 and 1.
    greatest : tuple of float
        Greatest a + b of each column, which keeps the likelihood bounded; empty means
        `GREATEST_CONCENTRATION`.

    Examples
    --------
    >>> import numpy as np
    >>> family = Beta(1)
    >>> params = BetaParams(np.array([[2.0]]), np.array([[3.0]]))
    >>> float(np.exp(family.log_density(params, np.array([[0.5]])))[0, 0].round(6))
    1.5
    """

    n_features: int
    greatest: tuple[float, ...] = ()
    name: ClassVar[str] = "beta"
    support: ClassVar[Support] = Support.UNIT
    params_type: ClassVar[type] = BetaParams
    columns_apart: ClassVar[bool] = True
    independent: ClassVar[bool] = True
    bound_words: ClassVar[str] = "has hardly more than one value in a column: a + b is bounded"

    def __post_init__(self) -> None:
        object.__setattr__(self, "greatest", tuple(map(float, self.greatest)))

    def ranged(self, low: Array, high: Array) -> Self:
        """Take the greatest a + b from the range of each column.

        The variance of logit x is about 1 / a + 1 / b >= 4 / (a + b).
        """
        floor = least_variance(logit(high) - logit(low), 4.0 / GREATEST_CONCENTRATION)
        return replace(self, greatest=tuple(4.0 / value for value in floor))

    def features(self, X: Array) -> Array:
        """T(x) = (log x, log(1 - x)), (n, 2d)."""
        return np.hstack([np.log(X), np.log1p(-X)])

    def log_base(self, X: Array) -> Array:
        """Log h(x) = -sum_j log(x_j) + log(1 - x_j), (n,)."""
        return np.asarray(-(np.log(X) + np.log1p(-X)).sum(axis=1))

    def natural(self, params: BetaParams) -> tuple[Array, Array]:
        """Eta = (a, b), A = sum of log B(a, b)."""
        return np.hstack(params), betaln(params.a, params.b).sum(axis=1)

    def from_mean(self, mean: Array, previous: BetaParams | None = None) -> BetaParams:
        """Solve psi(a) - psi(a + b) = mean log x, psi(b) - psi(a + b) = mean log(1 - x)."""
        m1, m2 = np.split(mean, 2, axis=1)
        greatest = np.broadcast_to(
            units(self.greatest, self.n_features, GREATEST_CONCENTRATION), m1.shape
        )
        a, b = _free_solution(m1, m2, greatest)
        over = a + b > greatest
        if over.any():
            a, b = a.copy(), b.copy()
            share = _share_at(greatest[over], (m1 - m2)[over])
            a[over], b[over] = greatest[over] * share, greatest[over] * (1.0 - share)
        return BetaParams(a, b)

    def mean_features(self, params: BetaParams) -> Array:
        """E[log x] = psi(a) - psi(a + b), E[log(1 - x)] = psi(b) - psi(a + b), (K, 2d)."""
        whole = digamma(params.a + params.b)
        return np.hstack([digamma(params.a) - whole, digamma(params.b) - whole])

    def mean(self, params: BetaParams) -> Array:
        """E[x] = a / (a + b), (K, d)."""
        return params.a / (params.a + params.b)

    def sample(self, params: BetaParams, labels: IntArray, rng: np.random.Generator) -> Array:
        """Values of the labelled components, (n, d), off 0 and 1 by the smallest step."""
        drawn = rng.beta(params.a[labels], params.b[labels])
        return np.clip(drawn, np.finfo(float).tiny, np.nextafter(1.0, 0.0))

    def start_features(self, X: Array) -> Array:
        """Logits: distances by ratio of the odds."""
        return np.asarray(logit(X))

    def n_free(self, n_components: int) -> int:
        """Two numbers per column and component."""
        return 2 * n_components * self.n_features

    def standard_errors(self, params: BetaParams, weight: Array) -> tuple[Array, ...]:
        """From the inverse of n [[psi'(a) - c, -c], [-c, psi'(b) - c]] with c = psi'(a + b)."""
        own_a, own_b, det = _information(params.a, params.b)
        c, n = polygamma(1, params.a + params.b), weight[:, None]
        return np.sqrt((own_b - c) / (n * det)), np.sqrt((own_a - c) / (n * det))

    def at_boundary(self, params: BetaParams) -> BoolArray:
        """Components whose a + b is the greatest."""
        greatest = units(self.greatest, self.n_features, GREATEST_CONCENTRATION)
        return np.asarray((params.a + params.b >= greatest * (1 - 1e-9)).any(axis=1))

    def problem(self, params: BetaParams) -> str | None:
        """Both parameters must be finite and positive."""
        found = super().problem(params)
        if found is None and not ((params.a > 0).all() and (params.b > 0).all()):
            found = "a or b is not positive"
        return found

    def config(self) -> dict[str, Any]:
        """Arguments that make this family again, as plain JSON values."""
        return {"n_features": self.n_features, "greatest": list(self.greatest)}


def _information(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Psi'(a), psi'(b), and the determinant of the information of one row."""
    own_a, own_b, c = polygamma(1, a), polygamma(1, b), polygamma(1, a + b)
    return own_a, own_b, own_a * own_b - c * (own_a + own_b)


def _free_solution(m1: Array, m2: Array, greatest: Array) -> tuple[Array, Array]:
    """Both equations by Fisher scoring in log a and log b; a + b stays within 4 `greatest`.

    The start is that of Johnson, Kotz and Balakrishnan (1995, section 25.4).
    """
    g1, g2 = np.exp(m1), np.exp(m2)
    left = 2.0 * np.maximum(1.0 - g1 - g2, 0.5 / greatest)
    a, b = 0.5 + g1 / left, 0.5 + g2 / left
    for _ in range(MOST_STEPS):
        whole = digamma(a + b)
        s1, s2 = m1 - (digamma(a) - whole), m2 - (digamma(b) - whole)
        own_a, own_b, det = _information(a, b)
        c = polygamma(1, a + b)
        step_a = ((own_b - c) * s1 + c * s2) / (det * a)
        step_b = (c * s1 + (own_a - c) * s2) / (det * b)
        new_a, new_b = a * np.exp(np.clip(step_a, -1, 1)), b * np.exp(np.clip(step_b, -1, 1))
        too_large = np.maximum((new_a + new_b) / (4.0 * greatest), 1.0)
        new_a, new_b = new_a / too_large, new_b / too_large
        moved = np.maximum(np.abs(new_a - a) / a, np.abs(new_b - b) / b)
        a, b = new_a, new_b
        if (moved <= 1e-14 * np.maximum(1.0, a + b)).all():
            break
    return a, b


def _share_at(whole: Array, difference: Array) -> Array:
    """Share s = a / whole with psi(a) - psi(whole - a) = difference, by safeguarded Newton."""
    low, high = np.full_like(whole, -700.0), np.full_like(whole, 700.0)  # in logit s
    t = np.clip(difference, -600.0, 600.0)
    for _ in range(MOST_STEPS):
        a, b = whole * expit(t), whole * expit(-t)
        miss = digamma(a) - digamma(b) - difference
        low, high = np.where(miss < 0, t, low), np.where(miss < 0, high, t)
        slope = (polygamma(1, a) + polygamma(1, b)) * a * b / whole
        new = t - miss / slope
        new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
        done = np.abs(new - t) <= 1e-15 * np.maximum(np.abs(t), 1e-3)
        t = new
        if done.all():
            break
    return np.asarray(expit(t))
