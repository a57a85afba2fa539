"""Threads of one pass over rows that have to be read: each reads a block and works on it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Semaphore
from typing import Generic

from mixtura.executor.base import T, Task
from mixtura.executor.ledger import Gathered, Share
from mixtura.executor.reading import BEFORE_ALL, Reading, Taken
from mixtura.source import Block, Stretch, blocks_at_once
from mixtura.source.base import LEAF_ROWS
from mixtura.threads import Helpers

#: Seconds that one thread may take for a block. Nothing ends it: signals reach the main thread.
LONG = 0.1


class Crew(Generic[T]):
    """Threads that read blocks and work on them, for one pass.

    Each thread reads a block, and works on it while the others do the same with theirs. There
    are two at least, of which one reads ahead if only one may work. A block that would take one
    thread long is left to the caller, who works on it with all threads, and whom signals
    reach; so are blocks that are too few to be shared out.

    Parameters
    ----------
    stretches : sequence of Stretch
        All blocks, in order.
    task : callable
        What is done with each of them; it must not mind other threads.
    n_threads : int
        Threads that work at a time.
    n_readers : int
        Stretches that are read at a time.
    first : int, default=0
        Number of the first block.
    """

    def __init__(
        self,
        stretches: Sequence[Stretch],
        task: Task[T],
        n_threads: int,
        n_readers: int,
        first: int = 0,
    ) -> None:
        self._task, self._n_threads = task, n_threads
        self._reading = Reading(stretches, n_readers, first)
        self._sums: Gathered[T] = Gathered(first)
        n_helpers = blocks_at_once(n_threads)
        self._room: SimpleQueue[bool] = SimpleQueue()  # one for each block that may be in memory
        for _ in range(n_helpers):
            self._room.put(True)
        self._at_work = Semaphore(n_threads)  # of helpers only
        self._helpers: Helpers[Taken] = Helpers(self._help, n_helpers)
        known = [stretch.n_blocks for stretch in stretches]
        n_blocks = math.inf if None in known else sum(n or 0 for n in known)
        self._alone: bool | None = None if n_blocks > n_threads else False

    def total(self) -> Share[T]:
        """Work on all blocks, and sum; no thread is left when it returns.

        Raises
        ------
        Exception
            The first one, in the order of the rows, of reading or of the task.
        """
        try:
            self._helpers.start()
            for taken in self._helpers:
                self._add(taken)
                del taken
                self._room.put(True)
        finally:
            self._room.put(False)
            self._reading.stop()
            self._helpers.join()
        self._reading.refuse()
        return self._sums.share()

    def _help(self, give: Callable[[Taken], None]) -> None:
        """Read and work until nothing is left, or wanted."""
        try:
            line = None
            while self._room.get():
                line, taken = self._reading.take(line)
                if taken is None:
                    break
                if self._alone:
                    with self._at_work:
                        self._work(taken, 1)
                give(taken)
                del taken  # the caller has it, and lets it go
        except BaseException as error:
            self._reading.fail(BEFORE_ALL, error)
        finally:
            self._room.put(False)  # nobody need wait

    def _work(self, taken: Taken, n_threads: int) -> None:
        """Do the task on a block, of which only the value is kept."""
        block, taken.block = taken.block, None
        assert block is not None
        try:
            if self._alone is None:
                self._alone = not self._is_long(block)
            taken.value = self._task(block, n_threads)
        except Exception as error:
            self._reading.fail(taken.place, error)

    def _add(self, taken: Taken) -> None:
        """Take in the value of a block, or work on the block."""
        if taken.block is not None:
            self._work(taken, self._n_threads)
        if taken.value is not None:
            self._sums.add(taken.number, taken.n_rows, taken.value)

    def _is_long(self, block: Block) -> bool:
        """Whether one thread would take long for a block, told by some of its rows."""
        some = block.rows(0, LEAF_ROWS)
        seconds = []
        for _ in range(2):  # the first time may take longer than any other
            began = time.perf_counter()
            self._task(some, 1)
            seconds.append(time.perf_counter() - began)
        return min(seconds) * block.n_rows / max(1, some.n_rows) > LONG
