"""Statistics of a data pass: they add and they scale, and nothing else ever travels.

`Stats` is a vector in a small vector space. Adding two of them is all that
threads, blocks, files, folds and machines need; multiplying by a number is a
weight. `tree_sum` is the only place where statistics merge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura.codec import encodable

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

#: Rows as they come in: float64 or float32, any strides.
Rows = NDArray[np.floating[Any]]


@encodable
@dataclass(frozen=True, slots=True, eq=False)
class Stats:
    """Expected sufficient statistics of K components over some rows.

    Attributes
    ----------
    weight : ndarray of shape (K,)
        Responsibilities times row weights, summed over rows; in rows.
    total : ndarray of shape (K, p)
        The family's statistic, weighted in the same way.
    shared : ndarray of shape (q,)
        Statistics that belong to all components together, such as the pooled
        scatter of tied covariances. Often empty.
    loglik : float
        Log-likelihood of the rows under the mixture that made the
        responsibilities, in nats; 0 where responsibilities were given.
    entropy : float
        Entropy of the responsibilities, -sum w r log r, in nats.
    mass : float
        Sum of the row weights.
    """

    weight: Array
    total: Array
    shared: Array
    loglik: float = 0.0
    entropy: float = 0.0
    mass: float = 0.0

    @property
    def expected_complete(self) -> float:
        """Expected complete-data log-likelihood in nats: the bound's first term.

        The bound is this plus `entropy`; with responsibilities from the E step
        it equals `loglik` (Neal and Hinton 1998, lemma 1).
        """
        return self.loglik - self.entropy

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.weight + other.weight,
            self.total + other.total,
            self.shared + other.shared,
            self.loglik + other.loglik,
            self.entropy + other.entropy,
            self.mass + other.mass,
        )

    def __mul__(self, factor: float) -> Self:
        return type(self)(
            self.weight * factor,
            self.total * factor,
            self.shared * factor,
            self.loglik * factor,
            self.entropy * factor,
            self.mass * factor,
        )

    __rmul__ = __mul__


class Addable(Protocol):
    """Anything that adds to its own kind."""

    def __add__(self, other: Self, /) -> Self: ...


A = TypeVar("A", bound=Addable)


def tree_sum(items: Iterable[A]) -> A:
    """Add items in a fixed binary tree over their order.

    The tree is that of a binary counter: two neighbours merge as soon as they
    stand for equally many items, and what is left at the end is folded from
    the small end. It needs O(log n) memory, and the result depends on the order
    of the items only. Splitting the stream into groups of 2**k items, summing
    each and then summing the groups gives the same bits.

    Parameters
    ----------
    items : iterable
        At least one item; all of one kind.

    Returns
    -------
    The sum, of the kind of the items.

    Raises
    ------
    ValueError
        There is no item.

    Examples
    --------
    >>> tree_sum([0.5, 1.5, 2.0])
    4.0
    """
    stack: list[tuple[int, A]] = []
    for item in items:
        level, subtotal = 0, item
        while stack and stack[-1][0] == level:
            subtotal = stack.pop()[1] + subtotal
            level += 1
        stack.append((level, subtotal))
    if not stack:
        raise ValueError("tree_sum needs at least one item")
    _, result = stack.pop()
    while stack:
        result = stack.pop()[1] + result
    return result
