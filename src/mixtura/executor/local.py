"""Threads of this process, and a thread that reads ahead."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

from mixtura.errors import UsageError
from mixtura.executor.base import T, Task
from mixtura.source import Block, DataSource
from mixtura.stats import tree_sum


@dataclass(frozen=True)
class Local:
    """Work in this process; threads work inside each block and are joined before it returns.

    Blocks of files are read ahead: one more thread reads the next block while this one
    is processed, so that two blocks are in memory.

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
        blocks = source.blocks() if source.in_memory else ahead(source.blocks())
        with closing(blocks):
            values = (task(block, n_threads) for block in blocks)
            first = next(values, None)
            if first is None:
                raise source.nothing()
            return tree_sum(chain([first], values))


def ahead(blocks: Iterator[Block]) -> Generator[Block]:
    """Read the next block in a thread of its own while the caller uses this one.

    Examples
    --------
    >>> import numpy as np
    >>> [block.n_rows for block in ahead(iter([Block(np.ones((3, 1))), Block(np.ones((2, 1)))]))]
    [3, 2]
    """
    with ThreadPoolExecutor(1, thread_name_prefix="mixtura-read") as reader:
        coming = reader.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = reader.submit(next, blocks, None)
            yield block


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
