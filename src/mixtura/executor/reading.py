"""Blocks of one pass, given out to threads that read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from threading import Lock
from typing import Any

from mixtura.errors import LedgerError
from mixtura.source import Block, Stretch

#: Number of a stretch, and of a block in it: in the order of the rows.
Place = tuple[float, int]

BEFORE_ALL: Place = (-1, 0)


@dataclass(eq=False)
class Taken:
    """A block that somebody has read, or the value of a task on it."""

    place: Place
    number: int
    n_rows: int
    block: Block | None
    value: Any = None


@dataclass(eq=False)
class Line:
    """A stretch that is being read, by one thread at a time."""

    at: int
    stretch: Stretch
    first: int  # number of its first block
    lock: Lock = field(default_factory=Lock)
    n_readers: int = 0
    n_read: int = 0
    ended: bool = False

    def end(self) -> None:
        """Close what was read from."""
        self.ended = True
        close = getattr(self.stretch.blocks, "close", None)
        if close is not None:
            close()


class Reading:
    """All blocks of a pass. Threads read stretches of their own as long as there are any.

    Afterwards they share what is left of those of others. After an error, only what comes
    before it in the order of the rows is still read: there may be an earlier one.

    Parameters
    ----------
    stretches : sequence of Stretch
        All blocks, in order.
    n_readers : int
        Stretches that are read at a time.
    first : int
        Number of the first block.
    """

    def __init__(self, stretches: Sequence[Stretch], n_readers: int, first: int = 0) -> None:
        self._lock = Lock()
        firsts = accumulate((stretch.n_blocks or 0 for stretch in stretches), initial=first)
        self._new = (
            Line(at, *both) for at, both in enumerate(zip(stretches, firsts, strict=False))
        )
        self._open: list[Line] = []
        self._n_readers = n_readers
        self._end: Place = (math.inf, 0)  # nothing is read from here on
        self._error: BaseException | None = None

    def take(self, line: Line | None) -> tuple[Line | None, Taken | None]:
        """Read a block of a stretch, or of another one if that has ended; None at the end."""
        while (line := self._next_line(line)) is not None:
            with line.lock:
                taken = self._read(line)
            if taken is not None:
                return line, taken
        return None, None

    def fail(self, place: Place, error: BaseException) -> None:
        """Note an error; only the first one in the order of the rows is kept."""
        with self._lock:
            if place < self._end:
                self._end, self._error = place, error

    def stop(self) -> None:
        """Let nothing be read any more."""
        with self._lock:
            self._end = BEFORE_ALL

    def refuse(self) -> None:
        """Raise the error, if there was one."""
        if self._error is not None:
            raise self._error

    def _next_line(self, line: Line | None) -> Line | None:
        """The same stretch while it lasts, else a new one, else that which fewest read."""
        if line is not None and not line.ended:
            return line
        with self._lock:
            self._open = [one for one in self._open if not one.ended]
            line = next(self._new, None) if len(self._open) < self._n_readers else None
            if line is not None:
                self._open.append(line)
            line = line or min(self._open, key=lambda one: one.n_readers, default=None)
            if line is not None:
                line.n_readers += 1
            return line

    def _read(self, line: Line) -> Taken | None:
        """The next block of a stretch, if it is still wanted."""
        known, blocks = line.stretch.n_blocks, line.stretch.blocks
        place = line.at, line.n_read
        try:
            while not line.ended and place < self._end:
                block = next(blocks, None)
                if block is None:
                    if known is not None and line.n_read != known:
                        next_one = line.first + line.n_read
                        self.fail(place, LedgerError.blocks(next_one, line.first + known))
                    break
                line.n_read += 1
                # more than are known of: reading on tells what has changed
                if known is None or line.n_read <= known:
                    return Taken(place, line.first + place[1], block.n_rows, block)
        except Exception as error:
            self.fail(place, error)
        line.end()
        return None
