"""Threads of this process."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

from mixtura.errors import UsageError
from mixtura.executor.base import T, Task
from mixtura.executor.crew import Crew
from mixtura.executor.ledger import settled
from mixtura.source import DataSource, readers_at_once
from mixtura.stats import tree_sum


@dataclass(frozen=True)
class Local:
    """Work in this process, by threads that are joined before it returns.

    Rows in memory are shared out inside of each block. Blocks that have to be read are shared
    out as wholes: each thread reads and works on its own, and one more thread reads meanwhile
    (see `mixtura.executor.crew.Crew`).

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
        if not source.in_memory:
            n_readers = readers_at_once(source.n_features, n_threads)
            share = Crew(source.stretches(), task, n_threads, n_readers).total()
            if share.stop == 0:
                raise source.nothing()
            return settled(share, share.stop, source.count_rows())
        with closing(source.blocks()) as blocks:
            values = (task(block, n_threads) for block in blocks)
            first = next(values, None)
            if first is None:
                raise source.nothing()
            return tree_sum(chain([first], values))


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
