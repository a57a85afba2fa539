"""Processes and threads that tests start: none outlives its test, whatever becomes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def started(words: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a process; it is killed if it runs still when the block is left."""
    with subprocess.Popen(words, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def with_path() -> dict[str, str]:
    """An environment in which a process imports what this one does."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def alone_again(before: int = 1) -> bool:
    """Whether no more threads run Python code than before, now or in a moment."""
    for _ in range(200):
        if len(sys._current_frames()) <= before:
            return True
        time.sleep(0.005)
    return False
