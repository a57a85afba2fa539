"""Wrappers around sources: rows left out, weights and labels attached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from mixtura.codec import fingerprint
from mixtura.source.arrays import digest, finite_rows
from mixtura.source.base import Block, Count, Counted, DataSource, Labels, Part, Weights, regroup

#: Which rows of a block are wanted, (n,).
Pick = Callable[[Block], npt.NDArray[np.bool_]]

#: What labels become: others, or none.
Relabel = Callable[[Labels], Labels | None]


def every_row(block: Block) -> npt.NDArray[np.bool_]:
    """Choose all rows of a block, so that their number is known."""
    return np.ones(block.n_rows, dtype=bool)


class PickedSource(DataSource):
    """Some rows of a source, chosen again in every pass.

    Rows are numbered, and cut into blocks, as if the others had never been there.

    Parameters
    ----------
    base : DataSource
        All rows.
    pick : callable
        Which rows of a block of `base` are wanted; it must not mind other threads, and can
        travel to other processes.
    relabel : callable, optional
        What the labels of these rows become.

    Examples
    --------
    >>> from mixtura.source import ArraySource
    >>> base = ArraySource(np.arange(4.0)[:, None], ["a"])
    >>> [block.X.ravel().tolist() for block in PickedSource(base, lambda b: b.X[:, 0] > 1).blocks()]
    [[2.0, 3.0]]
    """

    #: Passes tell the base how many rows it has.
    counts_base = False

    def __init__(self, base: DataSource, pick: Pick, relabel: Relabel | None = None) -> None:
        if not self.counts_base:
            base.count_rows()  # places of rows must be known
        counts: list[int | None] = [None] * base.n_streams
        self._base, self._view = base, View(pick, relabel)
        if self._view.keeps_all:
            edges = [base.offset(stream) for stream in range(base.n_streams + 1)]
            counts = [b - a for a, b in pairwise(edges)]
        super().__init__(
            base.columns, counts, block_rows=base.block_rows, whole=base.whole, levels=base.levels
        )

    @property
    def n_dropped(self) -> int | None:
        """Number of rows that the base leaves out."""
        return self._base.n_dropped

    @property
    def in_memory(self) -> bool:
        """Rows have to be chosen in every pass."""
        return False

    @property
    def origin(self) -> DataSource:
        """The source whose rows are read."""
        return self._base.origin

    @cached_property
    def picked(self) -> str:
        """Digest of how rows are picked, here and before."""
        return fingerprint([self._view, self._base.picked])

    @property
    def blocks_kept(self) -> int:
        """The block that is read, the rows chosen of it, and those that wait to be joined."""
        return 3 + self._base.blocks_kept

    @property
    def reads_apart(self) -> bool:
        """Whether streams of the base may be read at the same time."""
        return self._base.reads_apart

    def counted(self) -> list[Any]:
        """Rows that were kept, and what the base has learned."""
        return [super().counted(), self._base.counted()]

    def recall(self, counted: list[Any]) -> None:
        """Take over what passes of another process have learned."""
        own, base = counted
        super().recall(own)
        self._base.recall(base)

    def pass_bytes(self) -> int:
        """Bytes that the base reads."""
        return self._base.pass_bytes()

    @property
    def has_labels(self) -> bool:
        """Blocks come with labels."""
        return self._base.has_labels

    def identity(self) -> dict[str, Any]:
        """That of the base, and how rows are chosen."""
        return {**self._base.identity(), "picked": self.picked}

    def stream_parts(self, stream: int, first_row: int) -> Sequence[Part]:
        """One part per stream, since blocks are cut after rows were left out."""
        start, stop = self._base.offset(stream), self._base.offset(stream + 1)
        parts = self._base.stream_parts(stream, start)
        view = self._view.within(start, stop)
        return [PickedPart(tuple(parts), view, first_row, self.block_rows)]

    def learn(self, stream: int, n_rows: int, n_read: int) -> None:
        """Take in how many rows are left of a stream, and how many the base has."""
        super().learn(stream, n_rows, n_read)
        if self.counts_base:
            self._base.learn(stream, n_read, n_read)

    def stream_blocks(self, stream: int, first_row: int) -> Iterator[Block]:
        """Blocks of one stream; the base learns its own number of rows on the way."""
        counted = Counted()
        raw = self._base.stream_blocks(stream, self._base.offset(stream))
        yield from map(counted, regroup(map(self._view, raw), self.block_rows, first_row))
        self._remember(stream, counted.n_rows)

    def stream_name(self, stream: int) -> str:
        """Name of a stream in error messages."""
        return self._base.stream_name(stream)

    def where(self, row: int) -> str:
        """Place of a row, found by counting through the data again."""
        seen = 0
        for block in self._base.blocks():
            kept = np.flatnonzero(self._view.pick(block))
            if row < seen + len(kept):
                return self._base.where(block.first_row + int(kept[row - seen]))
            seen += len(kept)
        return ""


class DroppingSource(PickedSource):
    """A source without the rows that hold missing or infinite values, or a missing weight.

    Parameters
    ----------
    base : DataSource
        All rows.

    Examples
    --------
    >>> from mixtura.source import ArraySource
    >>> base = ArraySource(np.array([[1.0], [np.nan], [3.0]]), ["a"])
    >>> [block.X.ravel().tolist() for block in DroppingSource(base).blocks()]
    [[1.0, 3.0]]
    """

    counts_base = True

    def __init__(self, base: DataSource) -> None:
        super().__init__(base, complete)

    @property
    def origin(self) -> DataSource:
        """The source itself: the rows left out are no data."""
        return self

    @property
    def picked(self) -> str:
        """Nothing is picked of what counts as data."""
        return ""

    @property
    def n_dropped(self) -> int | None:
        """Number of rows left out; None until a full pass has counted them."""
        if self.n_rows is None or self._base.n_rows is None:
            return None
        return self._base.n_rows - self.n_rows

    def identity(self) -> dict[str, Any]:
        """That of the base, and that rows are left out."""
        return {**self._base.identity(), "missing": "drop"}


@dataclass(frozen=True, eq=False)
class View:
    """Blocks as they are seen: some of their rows, under other labels."""

    pick: Pick
    relabel: Relabel | None = None

    @property
    def keeps_all(self) -> bool:
        """No row is left out."""
        return self.pick is every_row

    def within(self, start: int, stop: int) -> View:
        """The same for some of the rows: what is known row by row need not travel as a whole."""
        cut = getattr(self.pick, "within", None)
        return self if cut is None else replace(self, pick=cut(start, stop))

    def __call__(self, block: Block) -> Block:
        """Leave out, and label anew."""
        keep, labels = self.pick(block), block.labels
        if not keep.all():
            w = None if block.w is None else block.w[keep]
            labels = None if labels is None else labels[keep]
            block = replace(block, X=block.X[keep], w=w, labels=labels, memo=None)
        if labels is None or self.relabel is None:
            return block
        return replace(block, labels=self.relabel(labels))


@dataclass(frozen=True, eq=False)
class PartOver(Part):
    """Some parts of another source, seen otherwise."""

    parts: tuple[Part, ...]

    @property
    def promise(self) -> Any:
        """That of the only part, if it is one."""
        return self.parts[0].promise if len(self.parts) == 1 else None

    def holding(self, content: Any) -> PartOver:
        """The same with other contents."""
        return replace(self, parts=(self.parts[0].holding(content),))


@dataclass(frozen=True, eq=False)
class PickedPart(PartOver):
    """The chosen rows of some parts."""

    view: View
    first_row: int
    block_rows: int

    @property
    def n_blocks(self) -> int | None:
        """Number of blocks, where all rows are chosen of a part that knows it."""
        return self.parts[0].n_blocks if self.view.keeps_all and len(self.parts) == 1 else None

    def blocks(self) -> Iterator[Block]:
        """Read, leave out, and cut into blocks."""
        raw = (block for part in self.parts for block in part.blocks())
        return regroup(map(self.view, raw), self.block_rows, self.first_row)

    def count(self) -> Count:
        """Read, and count rows before and after."""
        n_rows = n_read = 0
        for part in self.parts:
            for block in part.blocks():
                n_read += block.n_rows
                n_rows += int(self.view.pick(block).sum())
        return Count(-(-n_rows // self.block_rows), n_rows, n_read)


class AttachedSource(DataSource):
    """A source whose weights or labels are arrays in memory.

    Parameters
    ----------
    base : DataSource
        Rows; they are counted first if their number is not known.
    w : ndarray of shape (n,), optional
        Row weights, in place of those of `base`.
    labels : ndarray of shape (n,), int32, optional
        Known labels, in place of those of `base`.
    """

    def __init__(self, base: DataSource, w: Weights | None, labels: Labels | None) -> None:
        base.count_rows()
        counts = [base.offset(s + 1) - base.offset(s) for s in range(base.n_streams)]
        super().__init__(
            base.columns, counts, block_rows=base.block_rows, whole=base.whole, levels=base.levels
        )
        self._base, self._w, self._labels = base, w, labels

    @property
    def n_dropped(self) -> int | None:
        """Number of rows left out by the base."""
        return self._base.n_dropped

    @property
    def in_memory(self) -> bool:
        """Whether those of the base are."""
        return self._base.in_memory

    @property
    def blocks_kept(self) -> int:
        """Those of the base."""
        return self._base.blocks_kept

    @property
    def reads_apart(self) -> bool:
        """Whether streams of the base may be read at the same time."""
        return self._base.reads_apart

    def pass_bytes(self) -> int:
        """Bytes that the base reads."""
        return self._base.pass_bytes()

    @property
    def has_labels(self) -> bool:
        """Blocks come with labels."""
        return self._labels is not None or self._base.has_labels

    def identity(self) -> dict[str, Any]:
        """That of the base, and digests of what was attached."""
        known = {"weights": self._w, "labels": self._labels}
        digests = {name: digest(a) for name, a in known.items() if a is not None}
        return {**self._base.identity(), **digests}

    def stream_parts(self, stream: int, first_row: int) -> Sequence[Part]:
        """Parts of the base, each with its piece of the arrays."""
        start = self.offset(stream)
        rows = slice(start, self.offset(stream + 1))
        w = None if self._w is None else self._w[rows]
        labels = None if self._labels is None else self._labels[rows]
        parts = self._base.stream_parts(stream, start)
        return [AttachedPart(tuple(parts), w, labels, start, first_row - start)]

    def stream_name(self, stream: int) -> str:
        """Name of a stream in error messages."""
        return self._base.stream_name(stream)

    def where(self, row: int) -> str:
        """Place of a row."""
        return self._base.where(row)


@dataclass(frozen=True, eq=False)
class AttachedPart(PartOver):
    """Parts of one stream, with the weights and labels of its rows."""

    w: Weights | None
    labels: Labels | None
    start: int  # index in the base of the first of these weights
    shift: int  # of row numbers

    @property
    def n_blocks(self) -> int | None:
        """Number of blocks of the parts."""
        numbers = [part.n_blocks for part in self.parts]
        known = [n for n in numbers if n is not None]
        return sum(known) if len(known) == len(numbers) else None

    def blocks(self) -> Iterator[Block]:
        """Read the base and attach."""
        for part in self.parts:
            for block in part.blocks():
                at = block.first_row - self.start
                rows = slice(at, at + block.n_rows)
                yield Block(
                    block.X,
                    block.w if self.w is None else self.w[rows],
                    block.first_row + self.shift,
                    block.labels if self.labels is None else self.labels[rows],
                )


def complete(block: Block) -> npt.NDArray[np.bool_]:
    """Which rows have all their values and a weight."""
    keep: npt.NDArray[np.bool_] = finite_rows(block.X)
    if block.w is not None:
        keep &= ~np.isnan(block.w)
    return keep
