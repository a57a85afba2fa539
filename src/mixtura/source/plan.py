"""What a pass over a source will cost, before it is made."""

from __future__ import annotations

from dataclasses import dataclass

from mixtura.errors import UsageError
from mixtura.source.base import BLOCK_ROWS, LEAF_ROWS, DataSource

#: Memory of the interpreter with its libraries, bytes.
BASE_BYTES = 220 << 20

#: Bytes for decoding per column, where a file is read: pages, buffers and batches.
DECODING_BYTES = 2 << 20

#: Bytes for decoding at most, whatever the number of threads, if one file does not need more.
ALL_DECODING_BYTES = 1 << 29


@dataclass(frozen=True)
class Plan:
    """Size of a source, and of what reading it needs.

    Attributes
    ----------
    n_files : int
        Streams that are read one after the other.
    n_rows : int or None
        Rows; None until a pass has counted them.
    n_columns : int
        Columns in use.
    n_blocks : int or None
        Blocks of `block_rows` rows.
    block_rows : int
        Rows of a block.
    pass_bytes : int
        Bytes of the files that a pass reads.
    peak_bytes : int
        Memory of the process that reads, at most.
    """

    n_files: int
    n_rows: int | None
    n_columns: int
    n_blocks: int | None
    block_rows: int
    pass_bytes: int
    peak_bytes: int

    def __str__(self) -> str:
        rows = "rows not counted yet" if self.n_rows is None else f"{self.n_rows} rows"
        blocks = "" if self.n_blocks is None else f"{self.n_blocks} "
        files = f"{self.n_files} files, " if self.n_files > 1 else ""
        return (
            f"{files}{rows}, {self.n_columns} columns; {blocks}blocks of {self.block_rows} rows; "
            f"per pass {readable(self.pass_bytes)} read; "
            f"peak memory {readable(self.peak_bytes)}"
        )


def plan_of(source: DataSource, n_threads: int) -> Plan:
    """Plan the passes over a source, by so many threads of one process.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.source import as_source
    >>> print(plan_of(as_source(np.ones((5000, 2)), block_rows=1024), 2))
    5000 rows, 2 columns; 5 blocks of 1024 rows; per pass 0 B read; peak memory 248 MB
    """
    known = source.n_rows is not None
    n_blocks = None
    if known:
        n_blocks = sum(
            -(-(source.offset(s + 1) - source.offset(s)) // source.block_rows)
            for s in range(source.n_streams)
        )
    n_columns = source.n_features
    return Plan(
        source.n_streams, source.n_rows, n_columns, n_blocks, source.block_rows,
        source.pass_bytes(), _peak(source.block_rows, source, n_threads),
    )  # fmt: skip


def block_rows_within(memory: int, source: DataSource, n_threads: int) -> int:
    """Rows per block of a source so that a fit by some threads stays within bytes of memory.

    Raises
    ------
    UsageError
        Even the smallest blocks need more.
    """
    rows = BLOCK_ROWS
    while rows > LEAF_ROWS and _peak(rows, source, n_threads) > memory:
        rows //= 2
    if _peak(rows, source, n_threads) > memory:
        least = readable(_peak(rows, source, n_threads))
        raise UsageError.argument("memory", readable(memory), f"{least} or more for these data")
    return rows


def blocks_at_once(n_threads: int) -> int:
    """Blocks that are read or worked on at the same time: one is read ahead of a single thread."""
    return max(2, n_threads)


def readers_at_once(n_columns: int, n_threads: int) -> int:
    """Places in the files that are read at the same time: fewer where columns are many."""
    most = ALL_DECODING_BYTES // _decoding(n_columns)
    return max(1, min(blocks_at_once(n_threads), most))


def readable(n_bytes: float) -> str:
    """Number of bytes for people, in units of 1000.

    Examples
    --------
    >>> readable(31_400_000_000), readable(512)
    ('31.4 GB', '512 B')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if n_bytes < 1000 or unit == "TB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.3g} {unit}"


def _decoding(n_columns: int) -> int:
    return DECODING_BYTES * (n_columns + 2)  # weights and labels are counted as two more columns


def _peak(block_rows: int, source: DataSource, n_threads: int) -> int:
    n_columns = source.n_features
    n_readers = readers_at_once(n_columns, n_threads)
    # one block more is about to be let go
    n_blocks = blocks_at_once(n_threads) + 1 + n_readers * source.blocks_kept
    block = 8 * block_rows * (n_columns + 2)
    return BASE_BYTES + n_blocks * block + n_readers * _decoding(n_columns)
