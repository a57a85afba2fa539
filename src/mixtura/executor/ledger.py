"""Sums of parts of a pass, made anywhere in any order, and the proof that none is missing.

A pass over N blocks is one binary tree (`mixtura.stats.tree_sum`). Who sums blocks a to b
gets some whole nodes of it; two neighbours join theirs, and what they give in the end has
the same bits as the sum of all blocks in one place. Every share says which blocks are in
it, so that a block that was lost or counted twice cannot stay unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic

from mixtura.errors import LedgerError
from mixtura.executor.base import T


@dataclass(frozen=True, eq=False)
class Share(Generic[T]):
    """Sum of the blocks ``first`` to ``stop - 1`` of a pass, as nodes of the tree over all.

    Attributes
    ----------
    first, stop : int
        The blocks.
    n_rows : int
        Rows in them.
    nodes : tuple of (start, level, sum)
        Sums of ``2**level`` blocks from ``start`` on, a multiple of ``2**level``.

    Examples
    --------
    >>> left, right = share_of([1.0, 2.0], 0, [1, 1]), share_of([4.0, 8.0, 16.0], 2, [1, 1, 1])
    >>> joined(left, right).nodes
    ((0, 2, 15.0), (4, 0, 16.0))
    >>> settled(joined(left, right), 5, 5)
    31.0
    """

    first: int
    stop: int
    n_rows: int
    nodes: tuple[tuple[int, int, T], ...]


def share_of(values: Iterable[T], first: int, n_rows: Iterable[int]) -> Share[T]:
    """Sum the values of consecutive blocks, the first of which has the number `first`."""
    nodes: list[tuple[int, int, T]] = []
    at, rows = first, 0
    for value, n in zip(values, n_rows, strict=True):
        _push(nodes, (at, 0, value))
        at, rows = at + 1, rows + n
    return Share(first, at, rows, tuple(nodes))


class Gathered(Generic[T]):
    """Sums of consecutive blocks that come in any order.

    Parameters
    ----------
    first : int, default=0
        Number of the first block.

    Examples
    --------
    >>> gathered = Gathered[float]()
    >>> for number, value in [(2, 4.0), (0, 1.0), (1, 2.0)]:
    ...     gathered.add(number, 1, value)
    >>> gathered.share().nodes
    ((0, 1, 3.0), (2, 0, 4.0))
    """

    def __init__(self, first: int = 0) -> None:
        self._first = first
        self._n_blocks = self._n_rows = 0
        self._nodes: dict[tuple[int, int], T] = {}  # by level, and place in it

    def add(self, number: int, n_rows: int, value: T) -> None:
        """Take in the value of a block; two halves of a node become one at once."""
        level, at = 0, number
        while (level, at ^ 1) in self._nodes:
            other = self._nodes.pop((level, at ^ 1))
            value = other + value if at & 1 else value + other
            level, at = level + 1, at >> 1
        self._nodes[level, at] = value
        self._n_blocks, self._n_rows = self._n_blocks + 1, self._n_rows + n_rows

    def share(self) -> Share[T]:
        """Sum of all blocks that came."""
        nodes = [(at << level, level, value) for (level, at), value in self._nodes.items()]
        nodes.sort(key=lambda node: node[0])
        return Share(self._first, self._first + self._n_blocks, self._n_rows, tuple(nodes))


def joined(left: Share[T], right: Share[T]) -> Share[T]:
    """Sum of two neighbours.

    Raises
    ------
    LedgerError
        Blocks are missing between them, or in both.
    """
    if right.first != left.stop:
        raise LedgerError.blocks(left.stop, right.first)
    nodes = list(left.nodes)
    for node in right.nodes:
        _push(nodes, node)
    return Share(left.first, right.stop, left.n_rows + right.n_rows, tuple(nodes))


def join_all(shares: Sequence[Share[T]]) -> Share[T]:
    """Sum of neighbours, in order."""
    result = shares[0]
    for share in shares[1:]:
        result = joined(result, share)
    return result


def settled(share: Share[T], n_blocks: int, n_rows: int) -> T:
    """The sum of a whole pass, if every block entered it exactly once.

    Raises
    ------
    LedgerError
        Not all blocks or rows are there, or more than there are.
    """
    if (share.first, share.stop) != (0, n_blocks):
        raise LedgerError.blocks(n_blocks, share.stop - share.first)
    if share.n_rows != n_rows:
        raise LedgerError.rows(n_rows, share.n_rows)
    *rest, (_, _, result) = share.nodes
    for _, _, value in reversed(rest):
        result = value + result
    return result


def _push(nodes: list[tuple[int, int, T]], node: tuple[int, int, T]) -> None:
    """Add a node to the right; two halves of a larger node become one."""
    start, level, value = node
    while nodes:
        before, same, left = nodes[-1]
        if same != level or before % (2 << level) or before + (1 << level) != start:
            break
        nodes.pop()
        start, level, value = before, level + 1, left + value
    nodes.append((start, level, value))
