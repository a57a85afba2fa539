"""Where blocks are processed. An executor maps a task over blocks and adds the results.

Which executor runs a pass never changes its result: the values of the blocks are
added in the fixed tree of `mixtura.stats.tree_sum`.
"""

from __future__ import annotations

from mixtura.executor.base import Executor, Task, session
from mixtura.executor.checkpoint import Checkpointed
from mixtura.executor.cluster import Dask, connected
from mixtura.executor.journal import Journal
from mixtura.executor.local import Local, thread_count

__all__ = [
    "Checkpointed",
    "Dask",
    "Executor",
    "Journal",
    "Local",
    "Task",
    "connected",
    "session",
    "thread_count",
]
