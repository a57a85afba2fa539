"""What is known of the mixing weights before the data: nothing, that they are equal, or a prior.

A weighting is a value. It turns the weight of each component's rows into mixing
proportions (the weights' part of the M step), counts what it leaves free, and
adds its log prior to the objective.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mixtura.errors import UsageError
from mixtura.stats import Array, BoolArray, IntArray


class Weighting(ABC):
    """How mixing weights follow from the weight of each component's rows."""

    #: Nothing is known: compiled runs assume this.
    is_plain: ClassVar[bool] = False

    #: The components of a run may become fewer, as a part of the estimate.
    is_sparse: bool = False

    @abstractmethod
    def weights(self, n: Array) -> Array:
        """Mixing weights (K,), from each component's expected number of rows `n` (K,)."""

    @abstractmethod
    def n_free(self, n_components: int) -> int:
        """How many weights are free."""

    def log_prior(self, weights: Array) -> float:
        """Log prior density of the weights in nats, up to a constant."""
        del weights
        return 0.0

    def begin(self, weights: Array) -> Array:
        """Weights of a start, made to agree with this weighting."""
        return weights

    def vanished(self, n: Array) -> BoolArray:
        """Tell which components get no weight at all, (K,); they leave the mixture."""
        return np.zeros(len(n), dtype=bool)

    def take(self, order: IntArray) -> Weighting:
        """Return the weighting of some components, in the order given."""
        del order
        return self

    def check(self, n_components: int) -> None:
        """Refuse a number of components that this weighting is not for."""
        del n_components

    @abstractmethod
    def config(self) -> Any:
        """What `find_weighting` makes it from again: a word or numbers."""


@dataclass(frozen=True)
class Free(Weighting):
    """Weights by maximum likelihood: proportions of rows."""

    is_plain: ClassVar[bool] = True

    def weights(self, n: Array) -> Array:
        """Proportions."""
        return np.asarray(n / n.sum())

    def n_free(self, n_components: int) -> int:
        """K - 1, since they sum to one."""
        return n_components - 1

    def config(self) -> str:
        """The word."""
        return "free"


#: Nothing is known of the weights.
FREE = Free()


@dataclass(frozen=True)
class Equal(Weighting):
    """All weights are 1 / K."""

    def weights(self, n: Array) -> Array:
        """1 / K each."""
        return np.full(len(n), 1.0 / len(n))

    def begin(self, weights: Array) -> Array:
        """1 / K each."""
        return self.weights(weights)

    def n_free(self, n_components: int) -> int:
        """None."""
        del n_components
        return 0

    def config(self) -> str:
        """The word."""
        return "equal"


@dataclass(frozen=True)
class Dirichlet(Weighting):
    """Weights with a Dirichlet prior: log p(weights) = sum_k (a_k - 1) log(weights_k) + const.

    The estimate is proportional to n_k + a_k - 1. Concentrations above one draw
    weights together. Below one they are sparse: a component whose rows do not
    outweigh 1 - a_k vanishes, one at a time, and its rows go to the others.
    Numbers of zero and below give an improper prior that takes more away; 1 - N/2,
    with N parameters per component, is the choice of Figueiredo and Jain (2002).

    Parameters
    ----------
    concentration : float or tuple of float
        One number a for all components, or one a_k for each.

    Examples
    --------
    >>> import numpy as np
    >>> Dirichlet(3.0).weights(np.array([8.0, 0.0])).round(3)
    array([0.833, 0.167])
    >>> Dirichlet(0.5).vanished(np.array([8.0, 0.3]))
    array([False,  True])
    """

    concentration: float | tuple[float, ...]

    @property
    def is_sparse(self) -> bool:  # type: ignore[override]
        """A concentration is below one."""
        return bool((np.asarray(self.concentration) < 1.0).any())

    def weights(self, n: Array) -> Array:
        """Proportions of n_k + a_k - 1; a component that is about to vanish keeps its share."""
        grown = n + np.asarray(self.concentration) - 1.0
        grown = np.where(grown > 0, grown, n)
        return np.asarray(grown / grown.sum())

    def n_free(self, n_components: int) -> int:
        """K - 1, since they sum to one."""
        return n_components - 1

    def log_prior(self, weights: Array) -> float:
        """Sum of (a_k - 1) log(weights_k), in nats."""
        excess = np.broadcast_to(np.asarray(self.concentration) - 1.0, weights.shape)
        used = (weights > 0) & (excess != 0)
        if ((weights <= 0) & (excess > 0)).any():
            return -np.inf
        return float(excess[used] @ np.log(weights[used]))

    def vanished(self, n: Array) -> BoolArray:
        """The lightest of the components without weight; never all of them.

        One at a time: its rows may be what another one needs to stay.
        """
        gone = n + np.asarray(self.concentration) - 1.0 <= 0
        result = np.zeros(len(n), dtype=bool)
        if len(n) > 1 and gone.any():
            result[int(np.argmin(np.where(gone, n, np.inf)))] = True
        return result

    def take(self, order: IntArray) -> Dirichlet:
        """Their concentrations."""
        if isinstance(self.concentration, tuple):
            return Dirichlet(tuple(self.concentration[int(k)] for k in order))
        return self

    def check(self, n_components: int) -> None:
        """Need one concentration per component, or one for all."""
        if isinstance(self.concentration, tuple) and len(self.concentration) != n_components:
            raise UsageError.argument(
                "weighting", list(self.concentration), f"{n_components} numbers, one per component"
            )

    def config(self) -> float | list[float]:
        """The numbers."""
        return (
            list(self.concentration)
            if isinstance(self.concentration, tuple)
            else (self.concentration)
        )


@dataclass(frozen=True)
class ClassShares(Weighting):
    """Components belong to classes whose total weights are given; within a class they are free.

    Parameters
    ----------
    sizes : tuple of int
        Components of each class, side by side.
    shares : tuple of float
        Total weight of each class; they sum to one.

    Examples
    --------
    >>> import numpy as np
    >>> ClassShares((2, 1), (0.5, 0.5)).weights(np.array([1.0, 3.0, 6.0]))
    array([0.125, 0.375, 0.5  ])
    """

    sizes: tuple[int, ...]
    shares: tuple[float, ...]

    def weights(self, n: Array) -> Array:
        """Proportions within each class, times its share."""
        of_class = np.add.reduceat(n, np.cumsum([0, *self.sizes[:-1]]))
        rows = np.repeat(np.where(of_class > 0, of_class, 1.0), self.sizes)
        empty = np.repeat(of_class <= 0, self.sizes)
        within = np.where(empty, 1.0 / np.repeat(self.sizes, self.sizes), n / rows)
        return np.asarray(np.repeat(self.shares, self.sizes) * within)

    def n_free(self, n_components: int) -> int:
        """K less the number of classes."""
        return n_components - len(self.sizes)

    def begin(self, weights: Array) -> Array:
        """Proportions within each class are kept."""
        return self.weights(weights)

    def take(self, order: IntArray) -> ClassShares:
        """What is left of each class, which must stay in one place."""
        left = np.bincount(np.repeat(np.arange(len(self.sizes)), self.sizes)[order])
        shares = np.array(self.shares)[: len(left)][left > 0]
        kept = tuple(left[left > 0].tolist())
        return ClassShares(kept, tuple((shares / shares.sum()).tolist()))

    def check(self, n_components: int) -> None:
        """Need all components of all classes."""
        if sum(self.sizes) != n_components:
            raise UsageError.argument("weighting", self.sizes, f"{n_components} components in all")

    def config(self) -> dict[str, list[float]]:
        """Sizes and shares."""
        return {"sizes": list(self.sizes), "shares": list(self.shares)}


def find_weighting(given: Any) -> Weighting:
    """Make a weighting of a word or numbers.

    Parameters
    ----------
    given : {"free", "equal"}, float, sequence of float or Weighting
        Numbers are concentrations of a Dirichlet prior.

    Raises
    ------
    UsageError
        Anything else.

    Examples
    --------
    >>> find_weighting("equal"), find_weighting(2)
    (Equal(), Dirichlet(concentration=2.0))
    """
    words: dict[str, Weighting] = {"free": FREE, "equal": Equal()}
    if isinstance(given, Weighting):
        return given
    if isinstance(given, str):
        if given in words:
            return words[given]
    else:
        try:
            numbers = np.asarray(given, dtype=float)
        except (TypeError, ValueError):
            numbers = np.array(np.nan)
        if numbers.ndim <= 1 and numbers.size and np.isfinite(numbers).all():
            return Dirichlet(float(numbers) if numbers.ndim == 0 else tuple(numbers.tolist()))
    raise UsageError.argument(
        "weighting", given, "'free', 'equal', or concentrations: one number or one per component"
    )
