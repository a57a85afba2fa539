"""Negative binomial counts: Poisson counts with more spread, by a latent rate (door B)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.special import betainc, betaincc, gammaln

from mixtura.families.base import Family
from mixtura.families.gamma import log_gap, shape_of_gap
from mixtura.families.poisson import SMALLEST_RATE
from mixtura.families.rising import log_rising
from mixtura.families.support import Remark, Support
from mixtura.stats import Array, IntArray, Stats

#: Range of estimated sizes; at the greatest the counts are Poisson counts.
SMALLEST_SIZE = 1e-6
GREATEST_SIZE = 1e9

#: Part of the way that a size goes to its estimate from moments when it leaves the Poisson limit.
CAUTION = 0.25

#: Values whose probabilities are added up one by one for the expected information.
EXACT_VALUES = 10_000


class NegativeBinomialParams(NamedTuple):
    """Parameters of K negative binomial components."""

    mean: Array  # (K, d), expected count, > 0
    size: Array  # (K, d), > 0: the variance is mean + mean^2 / size


@dataclass(frozen=True)
class NegativeBinomial(Family[NegativeBinomialParams]):
    r"""Independent counts: log p(x) = sum_j lgamma(x_j + r_j) - lgamma(r_j) - lgamma(x_j + 1)
    + x_j log(m_j / (m_j + r_j)) + r_j log(r_j / (m_j + r_j)), with mean m and size r.

    A count is a Poisson count whose rate has a gamma distribution of mean m and shape r.

    Parameters
    ----------
    n_features : int
        Number of columns d.

    Notes
    -----
    The mean of a component is its weighted mean count, whatever its size. The size is the
    one that the expected rate and log rate make likeliest (door B). Where counts vary
    no more than Poisson counts the likelihood rises up to an infinite size (Levin and
    Reeds 1977); then the size is `GREATEST_SIZE`, and the fit says so.

    Examples
    --------
    >>> import numpy as np
    >>> family = NegativeBinomial(1)
    >>> params = NegativeBinomialParams(np.array([[2.0]]), np.array([[1.0]]))  # geometric
    >>> family.log_density(params, np.array([[0.0], [3.0]])).round(4).ravel().tolist()
    [-1.0986, -2.315]
    """  # noqa: D205 - the formula is long

    n_features: int
    name: ClassVar[str] = "negative_binomial"
    support: ClassVar[Support] = Support.COUNTS
    params_type: ClassVar[type] = NegativeBinomialParams
    independent: ClassVar[bool] = True
    closed_form: ClassVar[bool] = False
    centred: ClassVar[bool] = True

    def log_density(self, params: NegativeBinomialParams, X: Array) -> Array:
        """Log-probability of each row under each component, (n, K), in nats."""
        mean, size = params
        x = X[:, None]
        odds = np.log1p(mean / size)
        each = log_rising(size, x) + x * (np.log(mean) - odds) - size * odds
        return np.asarray(each.sum(axis=2) - gammaln(X + 1.0).sum(axis=1)[:, None])

    def accumulate(self, params: NegativeBinomialParams | None, X: Array, R: Array) -> Stats:
        """Sums of y = x - mean and y^2, of log(r) - E[log rate] - log1p(m / r), and of 1 / r.

        The third is what the expectation of the log rate comes to, up to what follows from
        the mean; the fourth tells the size that it belongs to. Both are zero before there
        are parameters.
        """
        n_components, d = R.shape[1], self.n_features
        if params is None:
            y = np.broadcast_to(X[:, None], (len(X), n_components, d))
            latent = np.zeros((n_components, 2 * d))
        else:
            mean, size = params
            x = X[:, None]
            y = x - mean
            below = log_gap(size + x) - np.log1p(x / size)
            latent = np.hstack([np.einsum("ik,ikj->kj", R, below), R.sum(axis=0)[:, None] / size])
        sums = [np.einsum("ik,ikj->kj", R, y), np.einsum("ik,ikj->kj", R, y * y)]
        return Stats(R.sum(axis=0), np.hstack([*sums, latent]), np.zeros(0), mass=float(R.sum()))

    def maximise(
        self, stats: Stats, previous: NegativeBinomialParams | None = None
    ) -> NegativeBinomialParams:
        """Mean counts, and sizes from the expectations of the latent rates."""
        n = np.where(stats.weight > 0, stats.weight, 1.0)[:, None]
        shift, square, below, inverse = np.split(stats.total / n, 4, axis=1)
        centre = 0.0 if previous is None else previous.mean
        mean = np.maximum(centre + shift, SMALLEST_RATE)
        excess = np.maximum(square - shift * shift, 0.0) - mean
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            by_moments = np.where(excess > 0, mean * mean / excess, GREATEST_SIZE)
            gap = np.log1p(mean * inverse) + below
        size = shape_of_gap(np.maximum(gap, 0.0), np.full(gap.shape, GREATEST_SIZE))
        # from the Poisson limit, where latent rates do not vary, the way leads over the moments
        at_limit = inverse <= 1.5 / GREATEST_SIZE
        first = by_moments if previous is None else by_moments / CAUTION
        size = np.where(at_limit, first, size)
        size = np.where(excess <= 0, GREATEST_SIZE, np.clip(size, SMALLEST_SIZE, GREATEST_SIZE))
        if previous is not None:
            is_used = stats.weight[:, None] > 0
            mean = np.where(is_used, mean, previous.mean)
            size = np.where(is_used, size, previous.size)
        return NegativeBinomialParams(mean, size)

    def recentre(
        self,
        stats: Stats,
        current: NegativeBinomialParams,
        reference: NegativeBinomialParams,
    ) -> Stats:
        """Move sums and squares from the current means to those of the reference."""
        s1, s2, *latent = np.split(stats.total, 4, axis=1)
        n, shift = stats.weight[:, None], current.mean - reference.mean
        moved = [s1 + n * shift, s2 + 2.0 * shift * s1 + n * shift * shift]
        return replace(stats, total=np.hstack([*moved, *latent]))

    def remarks(self, params: NegativeBinomialParams) -> list[Remark]:
        """Which components are Poisson counts."""
        found = super().remarks(params)
        for k, own in enumerate(params.size >= GREATEST_SIZE * (1 - 1e-9)):
            if own.any():
                where = "" if self.n_features == 1 else f" in {own.sum()} column(s)"
                text = f"sits on the boundary{where}: its counts vary no more than Poisson counts"
                found.append(Remark(k, text))
        return found

    def sample(
        self, params: NegativeBinomialParams, labels: IntArray, rng: np.random.Generator
    ) -> Array:
        """Poisson counts of gamma rates, (n, d)."""
        mean, size = params.mean[labels], params.size[labels]
        return rng.poisson(rng.standard_gamma(size) * (mean / size)).astype(float)

    def n_free(self, n_components: int) -> int:
        """A mean and a size per column and component."""
        return 2 * n_components * self.n_features

    def mean(self, params: NegativeBinomialParams) -> Array:
        """Expected counts, (K, d)."""
        return params.mean

    def score(self, params: NegativeBinomialParams, stats: Stats) -> tuple[Array, ...]:
        """Gradient in means and sizes, (K, d) each."""
        mean, size = params
        s1, _, below, _ = np.split(stats.total, 4, axis=1)
        n = stats.weight[:, None]
        # sum of psi(x + r) - psi(r) - log(1 + m / r), and the part of the mean
        psi = n * (log_gap(size) - np.log1p(mean / size)) - below
        return s1 / (mean + mean * mean / size), psi - s1 / (mean + size)

    def standard_errors(self, params: NegativeBinomialParams, weight: Array) -> tuple[Array, ...]:
        """Of means sqrt(variance / n); of sizes from sums over the values (Fisher 1941)."""
        mean, size = params
        of_size = np.array([
            [_information_of_size(m, r) for m, r in zip(*row, strict=True)]
            for row in zip(mean, size, strict=True)
        ])  # fmt: skip
        n = weight[:, None]
        with np.errstate(divide="ignore"):
            return np.sqrt((mean + mean * mean / size) / n), 1.0 / np.sqrt(n * of_size)

    def cdf(self, params: NegativeBinomialParams, x: Array) -> Array:
        """Sum of the probabilities up to x, (n, K)."""
        mean, size = params.mean[:, 0], params.size[:, 0]
        below = np.floor(x)[:, None]
        found = betainc(size, np.maximum(below, 0.0) + 1.0, size / (size + mean))
        return np.asarray(np.where(below < 0, 0.0, found))

    def problem(self, params: NegativeBinomialParams) -> str | None:
        """Means and sizes must be finite and positive."""
        found = super().problem(params)
        if found is None and not ((params.mean > 0).all() and (params.size > 0).all()):
            found = "a mean or size is not positive"
        return found


def _information_of_size(mean: float, size: float) -> float:
    """Expected information of one count about its size: sum_j P(x > j) / (r + j)^2 - m/(r(r+m)).

    Far out the sum is an integral, taken on a geometric grid.
    """
    chance = size / (size + mean)
    j = np.arange(EXACT_VALUES, dtype=float)
    total = float(np.sum(betaincc(size, j + 1.0, chance) / (size + j) ** 2))
    reach = mean + 40.0 * np.sqrt(mean + mean * mean / size) * max(1.0, 1.0 / np.sqrt(size))
    if reach > EXACT_VALUES:
        t = np.geomspace(EXACT_VALUES - 0.5, reach, 20_000)
        values = betaincc(size, t + 1.0, chance) / (size + t) ** 2
        total += float(((values[1:] + values[:-1]) / 2) @ np.diff(t))
    return max(total - mean / (size * (size + mean)), 0.0)
