"""Small sources in memory: read once, passed over many times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixtura.source.arrays import ArraySource
from mixtura.source.base import MEMO_BYTES, Block, DataSource, Memo, Part


def hold(source: DataSource, max_bytes: int | None = None) -> DataSource:
    """Read a source into memory if it is small enough, so that passes cost no reading.

    Parameters
    ----------
    source : DataSource
        Any source.
    max_bytes : int, optional
        Greatest size of the rows in bytes; a larger source is returned as it is.
        Default: no bound.

    Returns
    -------
    DataSource
        The same blocks, so that sums over them keep every bit; `source` itself if
        it is in memory already, or too large.

    Examples
    --------
    >>> source = ArraySource(np.ones((4096, 2)), ["a", "b"], block_rows=1024)
    >>> hold(source) is source
    True
    """
    if isinstance(source, ArraySource | HeldSource):
        return source
    limit = np.inf if max_bytes is None else max_bytes / (8 * (source.n_features + 2))
    if (source.n_rows or 0) > limit:
        return source
    blocks: list[Block] = []
    n_rows = 0
    for block in source.blocks():
        blocks.append(block)
        n_rows += block.n_rows
        if n_rows > limit:
            return source
    room = MEMO_BYTES // max(1, len(blocks))
    return HeldSource(source, tuple(replace(block, memo=Memo(room)) for block in blocks))


@dataclass(frozen=True, eq=False)
class HeldBlocks(Part):
    """Blocks that are in memory."""

    held: tuple[Block, ...]

    def blocks(self) -> Iterator[Block]:
        """The blocks, in order."""
        return iter(self.held)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.held)


class HeldSource(DataSource):
    """The blocks of another source, in memory; it still knows where its rows came from."""

    def __init__(self, origin: DataSource, held: tuple[Block, ...]) -> None:
        n_rows = sum(block.n_rows for block in held)
        super().__init__(
            origin.columns,
            [n_rows],
            block_rows=origin.block_rows,
            whole=origin.whole,
            levels=origin.levels,
        )
        self._origin = origin
        self._parts = [HeldBlocks((block,)) for block in held]

    @property
    def n_dropped(self) -> int | None:
        """Number of rows left out for missing or infinite values."""
        return self._origin.n_dropped

    @property
    def in_memory(self) -> bool:
        """They are."""
        return True

    @property
    def has_labels(self) -> bool:
        """Blocks come with labels."""
        return self._origin.has_labels

    def identity(self) -> dict[str, Any]:
        """What tells the source that was read from others."""
        return self._origin.identity()

    def stream_parts(self, stream: int, first_row: int) -> Sequence[Part]:
        """One part per block."""
        return self._parts

    def stream_name(self, stream: int) -> str:
        """Name of the data in error messages."""
        return self._origin.stream_name(stream)

    def where(self, row: int) -> str:
        """Place of a row in the source that was read."""
        return self._origin.where(row)
