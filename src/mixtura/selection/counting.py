"""An executor that counts its passes over the data."""

from __future__ import annotations

from dataclasses import dataclass

from mixtura.executor import Executor, Task
from mixtura.executor.base import T
from mixtura.source import DataSource


@dataclass(eq=False)
class Counting:
    """Another executor's passes, counted.

    Attributes
    ----------
    executor : Executor
        Makes them.
    n_passes : int
        How many there were.
    """

    executor: Executor
    n_passes: int = 0

    def threads(self) -> int:
        """Threads between passes."""
        return self.executor.threads()

    def reduce(self, task: Task[T], source: DataSource) -> T:
        """Sum a task over all blocks."""
        self.n_passes += 1
        return self.executor.reduce(task, source)
