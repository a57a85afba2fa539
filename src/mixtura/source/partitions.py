"""Dask collections: partitions as streams, read where they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mixtura.errors import DataError, UsageError
from mixtura.source.base import Block, Count, DataSource, Part, regroup

Collection = Any  # a Dask DataFrame or Array

Missing = Literal["error", "drop"]


def is_collection(data: object) -> bool:
    """Whether data are a Dask DataFrame or Array; Dask is imported already if they are."""
    return "dask" in sys.modules and hasattr(data, "__dask_graph__") and hasattr(data, "to_delayed")


class PartitionSource(DataSource):
    """Rows of a Dask DataFrame or Array, one stream per partition.

    An executor on the cluster leaves the partitions there; `mixtura.Local` fetches one
    after the other in every pass.

    Parameters
    ----------
    collection : dask.dataframe.DataFrame or dask.array.Array
        Rows (n, d).
    options : dict
        ``columns``, ``drop``, ``levels``, ``weights``, ``labels`` (names) and ``missing``, as for
        `mixtura.source.as_source`.
    block_rows : int, optional
        Rows per block.
    """

    def __init__(
        self, collection: Collection, options: dict[str, Any], block_rows: int | None = None
    ) -> None:
        from mixtura.source.door import as_source

        for name in ("weights", "labels"):
            if options[name] is not None and not isinstance(options[name], str):
                raise UsageError.argument(name, "an array", "the name of a column, with Dask data")
        example, counts, partitions = _opened(collection)
        head = as_source(example, **{**options, "missing": "error"})
        super().__init__(
            head.columns, counts, block_rows=block_rows, whole=head.whole, levels=head.levels
        )
        self._partitions = partitions
        self._options = {**options, "levels": self.levels or None}
        self._dropped: list[int | None] = [None] * len(partitions)
        if options["missing"] == "drop":
            self._counts = [None] * len(partitions)

    @property
    def n_dropped(self) -> int | None:
        """Number of rows left out; None until they were counted."""
        if self._options["missing"] == "error":
            return 0
        known = [n for n in self._dropped if n is not None]
        return sum(known) if len(known) == len(self._dropped) else None

    @property
    def reads_apart(self) -> bool:
        """Partitions may be large, and are fetched one after the other."""
        return False

    @property
    def has_labels(self) -> bool:
        """Blocks come with labels."""
        return self._options["labels"] is not None

    def stream_parts(self, stream: int, first_row: int) -> Sequence[Part]:
        """One part per partition."""
        return [
            PartitionPart(
                self._partitions[stream], stream, self._options, self.columns, first_row,
                self.block_rows, self._counts[stream],
            )
        ]  # fmt: skip

    def stream_blocks(self, stream: int, first_row: int) -> Iterator[Block]:
        """Blocks of one partition, which is fetched; its rows are counted."""
        (part,) = self.stream_parts(stream, first_row)
        assert isinstance(part, PartitionPart)
        table = part.fetched()
        n_rows = 0
        for block in table.blocks():
            n_rows += block.n_rows
            yield block
        self.learn(stream, n_rows, len(table.partition))

    def learn(self, stream: int, n_rows: int, n_read: int) -> None:
        """Take in how many rows a partition has."""
        super().learn(stream, n_rows, n_read)
        self._dropped[stream] = n_read - n_rows

    def counted(self) -> list[Any]:
        """Rows that were kept and left out."""
        return [super().counted(), list(self._dropped)]

    def recall(self, counted: list[Any]) -> None:
        """Take over what passes of another process have learned."""
        own, self._dropped = counted
        super().recall(own)

    def identity(self) -> dict[str, Any]:
        """Names that Dask gives to the partitions, which tell their contents."""
        parts = [{"name": str(partition.key)} for partition in self._partitions]
        options = {name: str(value) for name, value in self._options.items()}
        return {**super().identity(), **options, "parts": parts}

    def stream_name(self, stream: int) -> str:
        """Name of a partition in error messages."""
        return f"partition {stream}"

    def where(self, row: int) -> str:
        """Partition of a row, where their sizes are known."""
        for stream, count in enumerate(self._counts):
            if count is None:
                return ""
            if row < count:
                return f" (partition {stream}, row {row})"
            row -= count
        return ""


@dataclass(frozen=True, eq=False)
class PartitionPart(Part):
    """The rows of one partition.

    Attributes
    ----------
    partition : object
        A frame or an array, or its promise (a Dask ``Delayed``); None where it is on its way.
    """

    partition: Any
    stream: int
    options: dict[str, Any]
    columns: tuple[str, ...]
    first_row: int
    block_rows: int
    n_rows: int | None

    def fetched(self) -> PartitionPart:
        """The same with its contents here."""
        if not hasattr(self.partition, "__dask_graph__"):
            return self
        return self.holding(self.partition.compute())

    @property
    def promise(self) -> Any:
        """The partition, which is computed where it is needed."""
        return self.partition

    def holding(self, content: Any) -> PartitionPart:
        """The same with other contents."""
        return replace(self, partition=content)

    @property
    def n_blocks(self) -> int | None:
        """Number of blocks, where the rows are known."""
        return None if self.n_rows is None else -(-self.n_rows // self.block_rows)

    def count(self) -> Count:
        """Count the rows."""
        part = self.fetched()
        found = super(PartitionPart, part).count()
        return found._replace(n_read=len(part.partition))

    def blocks(self) -> Iterator[Block]:
        """Convert the rows, a partition at a time."""
        from mixtura.source.door import as_source

        part = self.fetched()
        if not len(part.partition):
            return
        try:
            source = as_source(part.partition, **self.options)
        except DataError as error:
            raise DataError.unreadable(f"partition {self.stream}", str(error)) from error
        if source.columns != self.columns:
            found, needed = (", ".join(names) for names in (source.columns, self.columns))
            raise DataError.schema_drift(
                f"partition {self.stream}", f"the columns {found}", "the collection", needed
            )
        yield from regroup(source.blocks(), self.block_rows, self.first_row)


def _opened(collection: Collection) -> tuple[Any, list[int | None], list[Any]]:
    """A few rows like those of a collection, rows of its partitions if known, and promises."""
    if hasattr(collection, "_meta_nonempty"):  # a frame
        partitions = list(collection.to_delayed())
        return collection._meta_nonempty, [None] * len(partitions), partitions
    if collection.ndim != 2:
        raise DataError.one_dimensional(collection.ndim)
    collection = collection.rechunk({1: -1})
    counts = [None if n != n else int(n) for n in collection.chunks[0]]
    example = np.ones((2, collection.shape[1]), dtype=collection.dtype)
    return example, counts, list(collection.to_delayed().ravel())
