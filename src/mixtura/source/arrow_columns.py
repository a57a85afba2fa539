"""Columns of Arrow record batches as numbers, and their way into the rows of blocks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mixtura.source.base import Block, Labels, Weights
from mixtura.source.paths import ArrowObject, pyarrow

Batch = Any  # of records, from pyarrow


class Columns(NamedTuple):
    """Numbers of a batch, column by column."""

    features: list[npt.NDArray[np.float64]]
    w: Weights | None
    labels: Labels | None

    def copy(self, start: int, block: Block) -> None:
        """Copy the rows from `start` on to where the rows of a block belong."""
        rows = slice(start, start + block.n_rows)
        for j, column in enumerate(self.features):
            block.X[:, j] = column[rows]
        if self.w is not None and block.w is not None:
            block.w[:] = self.w[rows]
        if self.labels is not None and block.labels is not None:
            block.labels[:] = self.labels[rows]


def column_of(batch: Batch, name: str) -> ArrowObject:
    """Column of a record batch, by name."""
    return batch.column(batch.schema.get_field_index(name))


def different_values(column: ArrowObject) -> tuple[list[Any], list[str] | None]:
    """Different values of an Arrow column that are not missing, and the order it declares."""
    declared = None
    if pyarrow().types.is_dictionary(column.type):
        if column.type.ordered:
            declared = [str(label) for label in column.dictionary.to_pylist()]
        column = column.cast(column.type.value_type)
    return [v for v in column.unique().to_pylist() if v is not None and v == v], declared


def numbered_values(column: ArrowObject) -> tuple[list[Any], npt.NDArray[np.intp]]:
    """Different values of an Arrow column, and for each row the place of its own; last: missing."""
    if not pyarrow().types.is_dictionary(column.type):
        column = column.dictionary_encode()
    values = column.dictionary.to_pylist()
    missing = [at for at, value in enumerate(values) if value is None or value != value]
    places = column.indices.fill_null(len(values)).to_numpy(zero_copy_only=False).astype(np.intp)
    places[np.isin(places, missing)] = len(values)
    kept = ["" if at in missing else value for at, value in enumerate(values)]
    return kept, places


def float_column(batch: Batch, name: str) -> npt.NDArray[np.float64]:
    """Column of a record batch as float64, nulls as NaN."""
    values, wanted = column_of(batch, name), pyarrow().float64()
    if values.type != wanted:
        values = values.cast(wanted, safe=False)
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
