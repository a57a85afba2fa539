"""Many computations over one stream of rows: all of them are answered by the same passes.

A computation that needs passes over data is a coroutine: it yields a task, receives
the sum of the task over all blocks, and goes on. It neither knows the source nor the
executor. One coroutine alone makes a pass for each of its tasks (`answered`); many
advance together, each pass serving the tasks of all (`lockstep`), so that restarts,
folds and numbers of components read the data as often as the longest of them needs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from mixtura.codec import encodable
from mixtura.executor import Executor, Task
from mixtura.source import Block, DataSource

T = TypeVar("T")

#: A coroutine that asks for passes and returns a T.
Asking = Generator[Task[Any], Any, T]


def answered(asking: Asking[T], source: DataSource, executor: Executor) -> T:
    """Run one coroutine to its end; each of its tasks is a pass over the source.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.executor import Local
    >>> from mixtura.source import as_source
    >>> def deviation():
    ...     n = yield lambda block, n_threads: block.n_rows
    ...     total = yield lambda block, n_threads: block.X.sum()
    ...     return total / n
    >>> float(answered(deviation(), as_source(np.array([[1.0], [2.0]])), Local(1)))
    1.5
    """
    answer = None
    while True:
        try:
            task = asking.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer = executor.reduce(task, source)


def lockstep(askings: Iterable[Asking[T]], source: DataSource, executor: Executor) -> list[T]:
    """Run many coroutines to their ends; each pass over the source serves all that go on.

    Sums are those that every coroutine would be given alone, bit by bit. What has
    ended leaves the batch.

    Parameters
    ----------
    askings : iterable of coroutines
        None of them has begun.
    source : DataSource
        Rows; read as often as the longest coroutine asks.
    executor : Executor
        Where blocks are processed.

    Returns
    -------
    list
        What each returns, in order. An exception of one ends all.
    """
    results: dict[int, T] = {}
    going = [(i, asking, None) for i, asking in enumerate(askings)]
    while going:
        asked: list[tuple[int, Asking[T], Task[Any]]] = []
        for i, asking, answer in going:
            try:
                asked.append((i, asking, asking.send(answer)))
            except StopIteration as end:
                results[i] = end.value
        if not asked:
            break
        bundle = executor.reduce(Together(tuple(task for _, _, task in asked)), source)
        going = [
            (i, asking, sum_) for (i, asking, _), sum_ in zip(asked, bundle.parts, strict=True)
        ]
    return [results[i] for i in sorted(results)]


@encodable
@dataclass(frozen=True, eq=False)
class Sums:
    """Several sums side by side; they add one by one."""

    parts: tuple[Any, ...]

    def __add__(self, other: Self) -> Self:
        return type(self)(tuple(a + b for a, b in zip(self.parts, other.parts, strict=True)))


@dataclass(frozen=True, eq=False)
class Together:
    """Several tasks as one, so that a block is read once for all of them."""

    tasks: tuple[Task[Any], ...]

    def __call__(self, block: Block, n_threads: int = 1) -> Sums:
        """Do every task on one block."""
        return Sums(tuple(task(block, n_threads) for task in self.tasks))


@dataclass(frozen=True, eq=False)
class Seen:
    """A task that sees each block as something else, for example without some of its rows."""

    task: Task[Any]
    view: Callable[[Block], Block]

    def __call__(self, block: Block, n_threads: int = 1) -> Any:
        """Do the task on the view of one block."""
        return self.task(self.view(block), n_threads)


def through(view: Callable[[Block], Block], asking: Asking[T]) -> Asking[T]:
    """Let a coroutine see the data through a view of every block.

    `view` must pickle where the executor sends tasks to other processes.
    """
    answer = None
    while True:
        try:
            task = asking.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer = yield Seen(task, view)


def guarded(
    asking: Asking[T], refused: type[Exception] | tuple[type[Exception], ...]
) -> Asking[T | Exception]:
    """Return an exception of these kinds instead of raising it, so that others go on."""
    try:
        return (yield from asking)
    except refused as error:
        return error
