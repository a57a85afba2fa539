"""The contract of data: blocks of rows, read again and again in the same order.

A `DataSource` is a sequence of *streams* (one per file; an array is one stream).
Rows of a stream are cut into blocks of ``block_rows`` rows, so that the grid of
blocks depends on row counts alone, never on how a file happens to be stored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mixtura.errors import DataError, UsageError

Rows = npt.NDArray[np.floating[Any]]
Weights = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]  # int32 (n,), or bool or float64 (n, K)

LEAF_ROWS = 1024  # rows of one leaf of the merge tree: blocks hold LEAF_ROWS * 2**k rows
BLOCK_ROWS = 1 << 17
_BLOCK_NUMBERS = 1 << 23  # 64 MB of float64: wide tables get shorter blocks


#: What may be kept of values computed from the rows of one source.
MEMO_BYTES = 1 << 28  # 256 MB


class Memo:
    """Values computed from the rows of a block, kept while their source is there.

    Parameters
    ----------
    max_bytes : int
        Bound of all that is kept; what was kept first goes first.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: dict[Hashable, tuple[Any, int]] = {}

    def get(self, key: Hashable) -> Any:
        """Value kept under a key, or None."""
        return self._kept.get(key, (None, 0))[0]

    def keep(self, key: Hashable, value: Any, n_bytes: int) -> None:
        """Keep a value of so many bytes, if there is room for it when others go."""
        if n_bytes > self.max_bytes:
            return
        while sum(size for _, size in self._kept.values()) + n_bytes > self.max_bytes:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = value, n_bytes

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes begin with an empty one."""
        return Memo, (self.max_bytes,)


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive rows of a source. Nothing in it may be modified.

    Attributes
    ----------
    X : ndarray of shape (n, d), float64 or float32
        Rows, with any strides; often a view of the caller's own array.
    w : ndarray of shape (n,), float64, or None
        Weight of each row, >= 0; None: all one.
    first_row : int
        Index of the first row among all rows of the source.
    labels : ndarray of shape (n,), int32, or of shape (n, K), bool or float64, or None
        Known component of each row, -1 where unknown; or, for each row and component,
        whether it is allowed, or its prior probability: a factor of its weight.
    memo : Memo or None
        Where values computed from X may be kept for the next pass; None where X itself
        is gone by then.

    Examples
    --------
    >>> import numpy as np
    >>> block = Block(np.zeros((5, 2)), first_row=100)
    >>> block.n_rows, block.rows(3, 5).first_row
    (5, 103)
    """

    X: Rows
    w: Weights | None = None
    first_row: int = 0
    labels: Labels | None = None
    memo: Memo | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    def rows(self, start: int, stop: int) -> Block:
        """Rows start..stop of this block, as views."""
        cut = slice(start, stop)
        return Block(
            self.X[cut],
            None if self.w is None else self.w[cut],
            self.first_row + start,
            None if self.labels is None else self.labels[cut],
        )


class Part(ABC):
    """A run of blocks that another process can read: picklable, readable many times."""

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """Read the blocks, in order."""

    @property
    def n_blocks(self) -> int | None:
        """Number of blocks; None where only reading can tell."""
        return None

    @property
    def promise(self) -> Any:
        """What a cluster computes and sends apart from the part; None: there is no such thing."""
        return None

    def holding(self, content: Any) -> Part:
        """The same part with other contents in place of its promise, if it has one."""
        del content
        return self

    def count(self) -> Count:
        """Read the blocks and count."""
        n_rows = n_blocks = 0
        for block in self.blocks():
            n_rows, n_blocks = n_rows + block.n_rows, n_blocks + 1
        return Count(n_blocks, n_rows, n_rows)


class Stretch(NamedTuple):
    """Consecutive blocks, to be read once, by one thread at a time.

    Attributes
    ----------
    blocks : iterator of Block
        In order.
    n_blocks : int or None
        How many; None where only reading can tell.
    """

    blocks: Iterator[Block]
    n_blocks: int | None


class Count(NamedTuple):
    """What reading a part tells: blocks, rows, and rows before some were left out."""

    n_blocks: int
    n_rows: int
    n_read: int


class DataSource(ABC):
    """Rows that can be read many times, always in the same order.

    Attributes
    ----------
    columns : tuple of str
        Names of the d features.
    whole : frozenset of int
        Positions of features that a table declares as whole numbers.
    levels : dict of str to tuple of str
        Labels of columns of categories, by name; their codes 0, 1, 2, ... are what rows hold.
    block_rows : int
        Rows per block where rows have to be copied: 1024 * 2**k.

    Notes
    -----
    A new kind of source implements `stream_parts` and gives the number of rows
    of each stream (None where only reading can tell) to the constructor.
    """

    def __init__(
        self,
        columns: Sequence[str],
        counts: Sequence[int | None],
        *,
        block_rows: int | None = None,
        whole: frozenset[int] = frozenset(),
        levels: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.levels = dict(levels or {})
        self.columns = tuple(columns)
        self.whole = whole
        self.block_rows = checked_block_rows(block_rows, len(self.columns))
        self._counts = list(counts)

    @property
    def n_features(self) -> int:
        """Number of features, d."""
        return len(self.columns)

    @property
    def n_rows(self) -> int | None:
        """Number of rows; None until a full pass has counted them."""
        known = [count for count in self._counts if count is not None]
        return sum(known) if len(known) == len(self._counts) else None

    @property
    def n_dropped(self) -> int | None:
        """Number of rows left out for missing or infinite values; None until known."""
        return 0

    @property
    def in_memory(self) -> bool:
        """The rows are in memory: passes read nothing."""
        return False

    @property
    def origin(self) -> DataSource:
        """The source whose rows are read: this one, unless it picks rows of another one."""
        return self

    @property
    def picked(self) -> str:
        """What tells the rows that are picked from others of the same origin."""
        return ""

    @property
    def blocks_kept(self) -> int:
        """Blocks' worth of memory that each reader needs besides the block that it gives."""
        return 0

    @property
    def reads_apart(self) -> bool:
        """Several streams may be read at the same time."""
        return True

    @property
    def has_labels(self) -> bool:
        """Blocks come with labels; a source that cannot tell says yes."""
        return True

    @property
    def n_streams(self) -> int:
        """Number of streams (files)."""
        return len(self._counts)

    @abstractmethod
    def stream_parts(self, stream: int, first_row: int) -> Sequence[Part]:
        """Parts of one stream, in order, its first row having the index `first_row`."""

    def stream_blocks(self, stream: int, first_row: int) -> Iterator[Block]:
        """Blocks of one stream, whose number of rows is remembered.

        Raises
        ------
        DataError
            The stream has another number of rows than when it was read before.
        """
        counted = Counted()
        for part in self.stream_parts(stream, first_row):
            yield from map(counted, part.blocks())
        self._remember(stream, counted.n_rows)

    def blocks(self) -> Generator[Block]:
        """All blocks, in order: one pass over the data."""
        first_row = 0
        for stream in range(self.n_streams):
            yield from self.stream_blocks(stream, first_row)
            first_row += self._counts[stream] or 0

    def stretches(self) -> Sequence[Stretch]:
        """All blocks, in order, as stretches that can be read at the same time: one pass.

        One stretch holds all where row counts are not known yet, and where streams are not
        to be read apart.
        """
        if None in self._counts or not self.reads_apart:
            return [Stretch(self.blocks(), None)]
        return [
            stretch
            for stream in range(self.n_streams)
            for stretch in self._stream_stretches(stream)
        ]

    def _stream_stretches(self, stream: int) -> Sequence[Stretch]:
        """Stretches of a stream whose rows are known: its parts, if these know their blocks."""
        first_row = self.offset(stream)
        parts = self.stream_parts(stream, first_row)
        numbers = [part.n_blocks for part in parts]
        if len(parts) > 1 and None not in numbers:
            return [Stretch(part.blocks(), n) for part, n in zip(parts, numbers, strict=True)]
        n_rows = self.offset(stream + 1) - first_row
        n_blocks = numbers[0] if len(parts) == 1 else None
        if n_blocks is None:
            n_blocks = -(-n_rows // self.block_rows)
        return [Stretch(self.stream_blocks(stream, first_row), n_blocks)]

    def parts(self) -> Sequence[Part]:
        """All blocks as picklable parts, in order.

        The first row of every part must be known: if row counts are not, one
        pass over the data takes them first.
        """
        if any(count is None for count in self._counts[:-1]):
            self.count_rows()
        parts: list[Part] = []
        for stream in range(self.n_streams):
            parts.extend(self.stream_parts(stream, self.offset(stream)))
        return parts

    def count_rows(self) -> int:
        """Count the rows, reading the data only if their number is not known yet."""
        if self.n_rows is None:
            for _ in self.blocks():
                pass
        assert self.n_rows is not None
        return self.n_rows

    def counted(self) -> list[Any]:
        """What passes have learned about row counts, as plain numbers and lists; for `recall`."""
        return list(self._counts)

    def recall(self, counted: list[Any]) -> None:
        """Take over what passes of another process have learned."""
        self._counts = list(counted)

    def identity(self) -> dict[str, Any]:
        """What tells these data from others and from themselves after a change.

        Returns
        -------
        dict
            Plain text and numbers; under ``"parts"``, if there are any, a list of dicts
            with a ``"name"`` each.
        """
        return {"columns": list(self.columns), "block_rows": self.block_rows}

    def pass_bytes(self) -> int:
        """Bytes that a pass reads from files, about."""
        return 0

    def nothing(self) -> DataError:
        """Make the error that there is no row."""
        return DataError.empty("the rows without missing values" if self.n_dropped else "the data")

    def learn(self, stream: int, n_rows: int, n_read: int) -> None:
        """Take in how many rows a stream has, and how many before some were left out."""
        del n_read
        self._remember(stream, n_rows)

    def offset(self, stream: int) -> int:
        """Count the rows before a stream; streams not counted yet count as empty."""
        return sum(count or 0 for count in self._counts[:stream])

    def stream_name(self, stream: int) -> str:
        """Name of a stream in error messages."""
        return "the data"

    def where(self, row: int) -> str:
        """Place of a row for error messages, such as ``" (file 'a.csv', line 12)"``."""
        return ""

    def _remember(self, stream: int, n_rows: int) -> None:
        known = self._counts[stream]
        if known is not None and known != n_rows:
            raise DataError.changed(self.stream_name(stream), f"{n_rows} rows instead of {known}")
        self._counts[stream] = n_rows


class Counted:
    """Counts the rows of blocks on their way; unlike a loop, it holds none of them meanwhile."""

    def __init__(self) -> None:
        self.n_rows = 0

    def __call__(self, block: Block) -> Block:
        """Count and pass on."""
        self.n_rows += block.n_rows
        return block


def checked_block_rows(block_rows: int | None, n_features: int) -> int:
    """Rows per block: as asked, or 2**17 and less for wide tables.

    Raises
    ------
    UsageError
        `block_rows` is not 1024 times a power of two.
    """
    if block_rows is None:
        rows = BLOCK_ROWS
        while rows > LEAF_ROWS and rows * n_features > _BLOCK_NUMBERS:
            rows //= 2
        return rows
    leaves, rest = divmod(int(block_rows), LEAF_ROWS)
    if rest or leaves < 1 or leaves & (leaves - 1):
        raise UsageError.argument("block_rows", block_rows, "1024 times a power of two")
    return int(block_rows)


def regroup(pieces: Iterator[Block], block_rows: int, first_row: int) -> Iterator[Block]:
    """Cut consecutive pieces of any length into blocks of `block_rows` rows.

    Only the last block may be shorter. A piece that is a block already is passed on
    without a copy; `first_row` of the pieces is not used.
    """
    held: list[Block] = []
    n_held = 0
    for piece in pieces:
        start = 0
        while start < piece.n_rows:
            stop = min(piece.n_rows, start + block_rows - n_held)
            held.append(piece.rows(start, stop))
            n_held += stop - start
            start = stop
            if n_held == block_rows:
                yield _joined(held, first_row)
                first_row += n_held
                held, n_held = [], 0
    if held:
        yield _joined(held, first_row)


def _joined(pieces: list[Block], first_row: int) -> Block:
    """One block of several pieces, which agree in having weights and labels."""
    if len(pieces) == 1:
        only = pieces[0]
        return Block(only.X, only.w, first_row, only.labels)
    w = [piece.w for piece in pieces if piece.w is not None]
    labels = [piece.labels for piece in pieces if piece.labels is not None]
    return Block(
        np.concatenate([piece.X for piece in pieces]),
        np.concatenate(w) if w else None,
        first_row,
        np.concatenate(labels) if labels else None,
    )
