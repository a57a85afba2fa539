"""Where blocks are processed. An executor maps a task over blocks and adds the results.

Which executor runs a pass never changes its result: the statistics of the
blocks are added in the fixed tree of `mixtura.stats.tree_sum`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mixtura.errors import UsageError
from mixtura.source import Block, DataSource
from mixtura.stats import Addable, tree_sum

T = TypeVar("T", bound=Addable)

Task = Callable[[Block, int], T]


class Executor(Protocol):
    """Anything that can sum a task over the blocks of a source."""

    def threads(self) -> int:
        """Threads that work between two passes may use, in the process of the caller."""
        ...

    def reduce(self, task: Task[T], source: DataSource) -> T:
        """Sum ``task(block, n_threads)`` over all blocks, in block order."""
        ...


@dataclass(frozen=True)
class Local:
    """Work in this process; threads work inside each block and are joined before it returns.

    Parameters
    ----------
    n_threads : int, optional
        Default: ``MIXTURA_NUM_THREADS``, or the processors this process may use.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.source import as_source
    >>> Local(1).reduce(lambda block, n_threads: len(block.X), as_source(np.ones((5, 2))))
    5
    """

    n_threads: int | None = None

    def threads(self) -> int:
        """Threads that passes, and work between them, use."""
        return thread_count(self.n_threads)

    def reduce(self, task: Task[T], source: DataSource) -> T:
        """Sum ``task(block, n_threads)`` over all blocks, in block order."""
        n_threads = self.threads()
        return tree_sum(task(block, n_threads) for block in source.blocks())


def thread_count(n_threads: int | None = None) -> int:
    """Resolve a number of threads: the argument, ``MIXTURA_NUM_THREADS``, or all processors.

    Raises
    ------
    UsageError
        Not a whole number of at least 1.
    """
    found: object = n_threads
    if found is None:
        found = os.environ.get("MIXTURA_NUM_THREADS")
        if found is None:
            return (
                len(os.sched_getaffinity(0))
                if hasattr(os, "sched_getaffinity")
                else os.cpu_count() or 1
            )
    try:
        count = int(str(found))
    except ValueError:
        count = 0
    if count < 1:
        raise UsageError.argument("n_threads", found, "a whole number >= 1")
    return count
