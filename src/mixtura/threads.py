"""Threads of one call, which no Ctrl-C can leave waiting for each other.

A `KeyboardInterrupt` may reach the calling thread between any two steps of Python code. Locks
of `threading` that are written in Python, and `concurrent.futures`, which is made of them, stay
locked if that happens inside of them. So the calling thread only does what is one call of
compiled code each: it starts threads, and uses `queue.SimpleQueue`.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable, Generator, Iterator, Sequence
from contextvars import copy_context
from queue import SimpleQueue
from typing import Generic, TypeVar, cast

S = TypeVar("S")
T = TypeVar("T")


class Helpers(Generic[T]):
    """Threads that all do the same, and give what they make to the one who started them.

    Parameters
    ----------
    work : callable
        What each thread does. It is given a function that takes what is to be handed over, must
        not raise, and must end when it is told to, in a way of its own.
    n_helpers : int
        Threads to start, at least 1.

    Examples
    --------
    >>> helpers = Helpers(lambda give: give(1), 3)
    >>> helpers.start()
    >>> sum(helpers)
    3
    """

    def __init__(self, work: Callable[[Callable[[T], None]], None], n_helpers: int) -> None:
        self._work, self._n_helpers, self._n_started = work, n_helpers, 0
        self._given: SimpleQueue[tuple[T] | None] = SimpleQueue()
        self._ended: list[bool] = []  # said by each thread: a count kept here could miss one

    def start(self) -> None:
        """Start all threads, each in a copy of this one's context.

        Raises
        ------
        RuntimeError
            The system gives no more threads; those that started are at work.
        """
        for _ in range(self._n_helpers):
            _thread.start_new_thread(copy_context().run, (self._help,))
            self._n_started += 1

    def __iter__(self) -> Iterator[T]:
        """What the threads give, as it comes, until all have ended."""
        return self

    def __next__(self) -> T:
        while len(self._ended) < self._n_started or not self._given.empty():
            given = self._given.get()
            if given is not None:
                return given[0]
        raise StopIteration

    def join(self) -> None:
        """Wait until all have ended; what they still give is let go."""
        for _ in self:
            pass

    def _help(self) -> None:
        try:
            self._work(lambda given: self._given.put((given,)))
        finally:
            self._ended.append(True)
            self._given.put(None)


def in_order(
    work: Callable[[S], T], items: Sequence[S], n_threads: int
) -> Generator[T, None, None]:
    """Values of `work` for all items, in their order, while threads work ahead.

    Close it, if it may not come to its end: that ends the threads.

    Raises
    ------
    Exception
        Of the first item that has one.

    Examples
    --------
    >>> list(in_order(abs, [-1, 2, -3], 2))
    [1, 2, 3]
    """
    if n_threads == 1 or len(items) < 2:
        yield from map(work, items)
        return
    todo: SimpleQueue[int] = SimpleQueue()
    for i in range(len(items)):
        todo.put(i)
    stopped: list[bool] = []

    def help_out(give: Callable[[tuple[int, T | None, BaseException | None]], None]) -> None:
        while not stopped and (i := todo.get()) >= 0:
            try:
                give((i, work(items[i]), None))
            except BaseException as error:
                give((i, None, error))
                return

    n_helpers = min(n_threads, len(items))
    for _ in range(n_helpers):
        todo.put(-1)
    helpers = Helpers(help_out, n_helpers)
    early: dict[int, tuple[T | None, BaseException | None]] = {}
    try:
        helpers.start()
        for i in range(len(items)):
            while i not in early:
                j, made, error = next(helpers)
                early[j] = made, error
            value, error = early.pop(i)
            if error is not None:
                raise error
            yield cast("T", value)
    finally:
        stopped.append(True)
        helpers.join()
