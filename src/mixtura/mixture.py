"""A mixture is a value: a family, K weights, K parameters. It never changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura.errors import DegenerateComponentError, UsageError
from mixtura.families import Family
from mixtura.families.base import SLICE_ROWS
from mixtura.source import Block
from mixtura.stats import Array, IntArray, Rows, Stats
from mixtura.weighting import FREE, Weighting

if TYPE_CHECKING:
    from mixtura.families.runs import Runner

#: Relative rounding of one operation.
EPSILON = float(np.finfo(float).eps)

#: Responsibilities that are held at once when rows are scored (8 MB).
SLICE_NUMBERS = 1 << 20


@dataclass(frozen=True, eq=False)
class Mixture:
    r"""Density p(x) = sum_k weight_k p(x | params_k).

    Parameters
    ----------
    family : Family
        What the components are.
    weights : ndarray of shape (K,)
        Mixing proportions, >= 0, summing to one.
    params : NamedTuple
        The family's parameters, leading axis K (or 1 where shared).
    weighting : Weighting, optional
        What is known of the weights beforehand. Default: nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Poisson, PoissonParams
    >>> mixture = Mixture(Poisson(1), np.array([0.5, 0.5]), PoissonParams(np.array([[1.0], [8.0]])))
    >>> mixture.predict(np.array([[0.0], [9.0]]))
    array([0, 1])
    """

    family: Family[Any]
    weights: Array
    params: Any
    weighting: Weighting = FREE

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=float)
        if weights.ndim != 1 or not np.isfinite(weights).all() or (weights < 0).any():
            raise UsageError.argument("weights", self.weights, "K finite numbers >= 0")
        excess = abs(weights.sum() - 1.0)
        if excess > 1e-8:
            raise UsageError.argument("weights", self.weights, "numbers that sum to one")
        if excess > len(weights) * EPSILON:  # else dividing would only stir the bits
            weights = weights / weights.sum()
        object.__setattr__(self, "weights", weights)

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    @property
    def n_features(self) -> int:
        """Number of columns, d."""
        return self.family.n_features

    @property
    def n_free(self) -> int:
        """Free parameters: those of the components and of the weights."""
        n_components = self.n_components
        return self.family.n_free(n_components) + self.weighting.n_free(n_components)

    @property
    def log_prior(self) -> float:
        """Log prior density of weights and parameters in nats, up to a constant; 0 without one."""
        return self.weighting.log_prior(self.weights) + self.family.log_prior(self.params)

    @property
    def means(self) -> Array:
        """Component means, (K, d)."""
        return self.family.mean(self.params)

    @cached_property
    def log_weights(self) -> Array:
        """Logarithms of the weights, (K,); -inf for an empty component."""
        with np.errstate(divide="ignore"):
            return np.log(self.weights)

    def expect(self, block: Block, n_threads: int = 1) -> Stats:
        """E step: the statistics of a block under this mixture.

        Compiled passes know rows with one known component; what else is known of rows
        takes the general one, whose densities and statistics are compiled too.
        """
        if block.labels is not None and block.labels.ndim == 2:
            return Family.expect(self.family, self.params, self.log_weights, block, n_threads)
        return self.family.expect(self.params, self.log_weights, block, n_threads)

    def evaluate(self, block: Block, n_threads: int = 1) -> Stats:
        """Statistics of a block with its labels, if any, left aside."""
        return self.expect(replace(block, labels=None), n_threads)

    def maximise(self, stats: Stats, n_threads: int = 1) -> Mixture:
        """M step: the next mixture, from statistics of this one."""
        return from_stats(self.family, stats, self.params, n_threads, self.weighting)

    def toward(self, other: Mixture, share: float) -> Mixture:
        """Return the mixture part of the way to another one of the same family, or beyond."""
        weights = self.weights + min(share, 1.0) * (other.weights - self.weights)
        params = self.family.between(self.params, other.params, share)
        return replace(self, weights=weights, params=params)

    def under(self, weighting: Weighting) -> Mixture:
        """Return the mixture with its weights made to agree with a weighting.

        Raises
        ------
        UsageError
            The weighting is for another number of components.
        """
        weighting.check(self.n_components)
        return replace(self, weights=weighting.begin(self.weights), weighting=weighting)

    def runner(self) -> Runner | None:
        """Compiled code for whole runs, where it knows the family and the weighting."""
        return self.family.runner() if self.weighting.is_plain else None

    def log_density(self, X: Rows, n_threads: int = 1) -> Array:
        """Log-density of each row, (n,), in nats. May be positive: densities exceed one."""
        return np.concatenate([part[1] for part in self.slices(X, n_threads)])

    def responsibilities(self, X: Rows, n_threads: int = 1) -> Array:
        """Probability of each component given each row, (n, K)."""
        return self.posterior(X, n_threads)[1]

    def posterior(self, X: Rows, n_threads: int = 1) -> tuple[Array, Array]:
        """Log-density (n,) and responsibilities (n, K) in one go."""
        return self.family.posterior(self.params, self.log_weights, X, n_threads)

    def predict(self, X: Rows, n_threads: int = 1) -> IntArray:
        """Component with the largest responsibility, (n,), counted from 0."""
        return np.concatenate([part[2].argmax(axis=1) for part in self.slices(X, n_threads)])

    def slices(self, X: Rows, n_threads: int = 1) -> Iterator[tuple[slice, Array, Array]]:
        """Rows, their log-density and responsibilities, for a bounded number of rows at a time."""
        n = SLICE_ROWS * max(1, SLICE_NUMBERS // (SLICE_ROWS * self.n_components))
        for start in range(0, max(len(X), 1), n):
            rows = slice(start, start + n)
            yield rows, *self.posterior(X[rows], n_threads)

    def sample(self, n_rows: int, rng: np.random.Generator) -> tuple[Array, IntArray]:
        """Draw rows (n, d) and the components they came from (n,), in random order."""
        labels = rng.choice(self.n_components, size=n_rows, p=self.weights)
        return self.family.sample(self.params, labels, rng), labels

    def marginal(self, columns: Sequence[int]) -> Mixture:
        """Mixture of chosen columns, in the order given.

        Parameters
        ----------
        columns : sequence of int
            Positions of the columns, counted from 0.

        Raises
        ------
        UsageError
            The family has no marginal densities in closed form.

        Examples
        --------
        >>> import numpy as np
        >>> from mixtura.families import Poisson, PoissonParams
        >>> both = Mixture(Poisson(2), np.ones(1), PoissonParams(np.array([[1.0, 8.0]])))
        >>> both.marginal([1]).means
        array([[8.]])
        """
        family, params = self.family.marginal(self.params, columns)
        return Mixture(family, self.weights, params)

    def take(self, order: IntArray) -> Mixture:
        """Select components in the order given; their weights are scaled to sum to one."""
        weights = self.weights[order]
        return replace(
            self,
            weights=weights / weights.sum(),
            params=self.family.take(self.params, order),
            weighting=self.weighting.take(order),
        )

    def canonical(self) -> Mixture:
        """Components by weight, largest first; equal weights by their means, column by column.

        Those without parameters, such as noise, come last.
        """
        return self.take(self.canonical_order())

    def canonical_order(self) -> IntArray:
        """Order of the components in `canonical`, (K,)."""
        fixed = self.family.fixed(self.params)
        return np.lexsort([*self.means.T[::-1], -self.weights, fixed])

    def score(self, stats: Stats) -> tuple[Array, ...]:
        """Gradient of the log-likelihood in the parameters, from statistics of this mixture."""
        return self.family.score(self.params, stats)


def from_stats(
    family: Family[Any],
    stats: Stats,
    previous: Any = None,
    n_threads: int = 1,
    weighting: Weighting | None = None,
) -> Mixture:
    """M step: the mixture that maximises the expected complete-data log-likelihood.

    Where there are priors, their log-density is part of what is maximised.

    Raises
    ------
    DegenerateComponentError
        No component has any weight.
    """
    total = stats.weight.sum()
    if not total > 0:
        raise DegenerateComponentError.empty(0, 0.0)
    weighting = weighting or FREE
    weights = weighting.weights(stats.weight)
    return Mixture(family, weights, family.m_step(stats, previous, n_threads), weighting)
