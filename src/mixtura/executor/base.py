"""The contract of executors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar

from mixtura.source import Block, DataSource
from mixtura.stats import Addable

T = TypeVar("T", bound=Addable)

#: What is done with a block, and with how many threads. Tasks are picklable: partial
#: functions of a module, or methods of values. They depend on the block alone and change nothing:
#: several threads do them at the same time, in any order, and some blocks are seen twice.
Task = Callable[[Block, int], T]


class Executor(Protocol):
    """Anything that can sum a task over the blocks of a source."""

    def threads(self) -> int:
        """Threads that work between two passes may use, in the process of the caller."""
        ...

    def reduce(self, task: Task[T], source: DataSource) -> T:
        """Sum ``task(block, n_threads)`` over all blocks, in block order."""
        ...


def session(
    executor: Executor, source: DataSource, settings: Mapping[str, Any]
) -> AbstractContextManager[Executor]:
    """Open one job over a source, which executors that keep something per job want to know.

    Parameters
    ----------
    executor : Executor
        Its own method ``session``, if it has one, makes the executor of the job.
    source : DataSource
        The rows of the job.
    settings : mapping
        What tells this job from others: any values.

    Returns
    -------
    context manager
        Of the executor to use for the job.
    """
    own = getattr(executor, "session", None)
    return nullcontext(executor) if own is None else own(source, settings)
