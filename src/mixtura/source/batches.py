"""Batches that a function gives anew for every pass: data bases, generators, own formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import isroutine
from typing import Any, TypeGuard

from mixtura.errors import DataError, UsageError
from mixtura.source.base import Block, DataSource, Part, regroup

Batches = Callable[[], Iterable[Any]]


def is_batches(data: object) -> TypeGuard[Batches]:
    """Whether data are a function, which is called at the start of every pass."""
    return isroutine(data) or isinstance(data, partial)


class BatchSource(DataSource):
    """Rows of batches from a function that can be called again and gives the same ones.

    Parameters
    ----------
    make : callable
        Gives an iterator of arrays, frames or Arrow batches, all with the same columns.
        It must pickle where a cluster calls it.
    options : dict
        ``columns``, ``drop``, ``levels``, ``weights`` and ``labels`` (names), as for
        `mixtura.source.as_source`.
    block_rows : int, optional
        Rows per block.

    Examples
    --------
    >>> import numpy as np
    >>> def batches():
    ...     for start in range(0, 4, 2):
    ...         yield np.arange(2.0 * start, 2.0 * start + 4).reshape(2, 2)
    >>> [block.X.tolist() for block in BatchSource(batches, {}).blocks()]
    [[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]]
    """

    def __init__(
        self, make: Batches, options: dict[str, Any], block_rows: int | None = None
    ) -> None:
        from mixtura.source.door import as_source

        for name in ("weights", "labels"):
            if options.get(name) is not None and not isinstance(options[name], str):
                raise UsageError.argument(name, "an array", "the name of a column, with batches")
        first = next((batch for batch in make() if len(batch)), None)
        if first is None:
            raise DataError.empty("the batches")
        head = as_source(first, **options)
        super().__init__(
            head.columns, [None], block_rows=block_rows, whole=head.whole, levels=head.levels
        )
        options = {**options, "levels": self.levels or None}  # all batches have those of the first
        self._part = BatchPart(make, options, self.columns, 0, self.block_rows)

    @property
    def has_labels(self) -> bool:
        """Blocks come with labels."""
        return self._part.options.get("labels") is not None

    def identity(self) -> dict[str, Any]:
        """Columns, and the name of the function; what it gives cannot be told beforehand."""
        make = self._part.make
        return {**super().identity(), "function": getattr(make, "__qualname__", repr(make))}

    def stream_parts(self, stream: int, first_row: int) -> Sequence[Part]:
        """All batches: one part."""
        return [self._part]

    def stream_name(self, stream: int) -> str:
        """Name of the data in error messages."""
        return "the batches"


@dataclass(frozen=True)
class BatchPart(Part):
    """All batches of one call."""

    make: Batches
    options: dict[str, Any]
    columns: tuple[str, ...]
    first_row: int
    block_rows: int

    def blocks(self) -> Iterator[Block]:
        """Convert batch by batch, and cut into blocks."""
        return regroup(self._pieces(), self.block_rows, self.first_row)

    def _pieces(self) -> Iterator[Block]:
        from mixtura.source.door import as_source

        for number, batch in enumerate(self.make()):
            if not len(batch):
                continue
            source = as_source(batch, **self.options)
            if source.columns != self.columns:
                found, needed = (", ".join(names) for names in (source.columns, self.columns))
                raise DataError.schema_drift(
                    f"batch {number}", f"the columns {found}", "batch 0", needed
                )
            yield from source.blocks()
