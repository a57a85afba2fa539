"""Files as streams: formats, columns in which all files agree, blocks of bounded size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from mixtura.errors import DataError
from mixtura.source.arrow_columns import (
    Batch,
    Columns,
    column_of,
    different_values,
    float_column,
    numbered_values,
)
from mixtura.source.base import Block, Counted, DataSource, Part, checked_block_rows
from mixtura.source.categories import (
    MOST_LEVELS,
    codes_of,
    found_levels,
    label_of,
    wanted_levels,
)
from mixtura.source.columns import NUMERIC_KINDS, Choice, Request, refuse_text, whole_labels
from mixtura.source.paths import ArrowObject, DataFile, find_files, format_name, pyarrow
from mixtura.source.rooms import Rooms

__all__ = [  # the door for readers of files, which need paths as well
    "Batch",
    "DataFile",
    "FileFormat",
    "FilePart",
    "FileSource",
    "Layout",
    "find_files",
    "format_name",
    "pyarrow",
]


@dataclass(frozen=True)
class Layout:
    """What is known about a file before its rows are read.

    Attributes
    ----------
    columns : tuple of str
        Names of all columns; none for a file without a single byte.
    kinds : tuple of str
        What each column holds: 'integer', 'float', 'text', ...
    n_rows : int or None
        Number of rows, if the file says so.
    detail : object
        What the format needs to read the file: a CSV dialect, row groups.
    """

    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    n_rows: int | None
    detail: Any = None

    def positions(self, names: Sequence[str]) -> list[int]:
        """Positions of columns, by name."""
        places = {name: at for at, name in enumerate(self.columns)}
        return [places[name] for name in names]


class FileFormat(ABC):
    """How one kind of file is inspected and read. Stateless."""

    endings: tuple[str, ...]

    @abstractmethod
    def inspect(self, file: DataFile) -> Layout:
        """Read names, kinds and, if cheap, the number of rows."""

    @abstractmethod
    def batches(
        self,
        file: DataFile,
        layout: Layout,
        names: Sequence[str],
        rows: range | None = None,
        text: Collection[str] = (),
    ) -> Iterator[Batch]:
        """Record batches of the columns `names`, in any order; `rows` None: all.

        Columns in `text` are given as text where the file has nothing but text.
        """

    @abstractmethod
    def raw_column(self, file: DataFile, layout: Layout, name: str) -> ArrowObject:
        """One whole column as an Arrow array of its own type."""

    @abstractmethod
    def place(self, file: DataFile, layout: Layout, row: int) -> str:
        """Place of a row inside the file, such as ``"line 12"``."""

    def size(self, file: DataFile, layout: Layout, names: Sequence[str]) -> int:
        """Bytes that are read for some columns."""
        del layout, names
        return file.size

    def cuts(self, layout: Layout, block_rows: int) -> Sequence[int]:
        """First rows, on the grid of blocks, of parts that can be read by themselves."""
        return [0]


class FileSource(DataSource):
    """Rows of files, one stream per file, read in blocks of bounded size.

    Parameters
    ----------
    files : sequence of DataFile
        At least one, in order.
    formats, layouts : sequence
        Format and layout of each file.
    request : Request
        Which columns are used, and how.
    block_rows : int, optional
        Rows per block.

    Raises
    ------
    DataError
        Files disagree about columns, columns in use are not numeric, or there
        is no row at all.
    """

    def __init__(
        self,
        files: Sequence[DataFile],
        formats: Sequence[FileFormat],
        layouts: Sequence[Layout],
        request: Request,
        block_rows: int | None = None,
    ) -> None:
        first, choice, wanted = _agreed(files, layouts, request)
        names = layouts[first].columns
        self._files = list(zip(files, formats, layouts, strict=True))
        self._features = [names[at] for at in choice.features]
        self._weight = None if choice.weight is None else names[choice.weight]
        self._label = None if choice.label is None else names[choice.label]
        counts = [layout.n_rows for layout in layouts]
        super().__init__(
            self._features,
            counts,
            block_rows=checked_block_rows(block_rows, len(choice.features)),
            whole=_whole(layouts, self._features) - {self._features.index(n) for n in wanted},
            levels={name: tuple(given) for name, given in wanted.items() if given is not None},
        )
        self._kinds = dict(zip(names, layouts[first].kinds, strict=True))
        sought = [name for name, given in wanted.items() if given is None]
        if sought:
            found = self._find_levels(sought)
            self.levels |= {name: own for name, own in found.items() if own is not None}
        if self.n_rows == 0:
            raise DataError.empty(f"'{files[0].name}'" if len(files) == 1 else "the files")

    @property
    def has_labels(self) -> bool:
        """Blocks come with labels."""
        return self._label is not None

    def pass_bytes(self) -> int:
        """Bytes of the columns in use, where a format stores columns apart; else of the files."""
        names = [name for name in (*self._features, self._weight, self._label) if name]
        return sum(form.size(file, layout, names) for file, form, layout in self._files)

    def identity(self) -> dict[str, Any]:
        """Columns in use, and name, size and time of every file."""
        parts = [
            {"name": file.path or file.name, "size": file.size, "modified": file.modified}
            for file, _, _ in self._files
        ]
        own = {"weight": self._weight, "label": self._label, "parts": parts}
        return {**super().identity(), **own}

    def stream_parts(self, stream: int, first_row: int) -> Sequence[Part]:
        """Parts of one file: row groups of Parquet, otherwise the file."""
        file, form, layout = self._files[stream]
        cuts: list[int | None] = [*form.cuts(layout, self.block_rows), layout.n_rows]
        return [
            FilePart(
                file,
                form,
                layout,
                tuple(self._features),
                self._weight,
                self._label,
                tuple((n, self._kinds[n], own) for n, own in self.levels.items()),
                None if stop is None else range(start or 0, stop),
                first_row + (start or 0),
                self.block_rows,
            )
            for start, stop in pairwise(cuts)
        ]

    def _find_levels(self, names: list[str]) -> dict[str, tuple[str, ...] | None]:
        """Labels of columns of categories, by one pass over these columns."""
        values: dict[str, dict[Any, None]] = {name: {} for name in names}
        order: dict[str, Sequence[str] | None] = {}
        for file, form, layout in self._files:
            if layout.n_rows == 0 or not layout.columns:
                continue
            for batch in form.batches(file, layout, names, None, frozenset(names)):
                for name in names:
                    different, declared = different_values(column_of(batch, name))
                    values[name] |= dict.fromkeys(different)
                    order.setdefault(name, declared)
                    if len(values[name]) > 2 * MOST_LEVELS:
                        raise DataError.too_many_levels(name, len(values[name]), MOST_LEVELS)
        return {
            name: found_levels(values[name], self._kinds[name], name, order.get(name))
            for name in names
        }

    def stream_name(self, stream: int) -> str:
        """Name of the file."""
        return self._files[stream][0].name

    def where(self, row: int) -> str:
        """File and line (or row) of a row, found by reading the file again."""
        for stream, (file, form, layout) in enumerate(self._files):
            start, count = self.offset(stream), self._counts[stream]
            if count is None or row < start + count:
                return f" (file '{file.name}', {form.place(file, layout, row - start)})"
        return ""


@dataclass(frozen=True)
class FilePart(Part):
    """Consecutive rows of one file."""

    file: DataFile
    form: FileFormat
    layout: Layout
    features: tuple[str, ...]
    weight: str | None
    label: str | None
    levels: tuple[tuple[str, str, tuple[str, ...]], ...]  # name, kind and labels
    rows: range | None
    first_row: int
    block_rows: int

    def blocks(self) -> Iterator[Block]:
        """Read the rows in blocks; only the needed columns are decoded."""
        names = [*self.features, *(name for name in (self.weight, self.label) if name)]
        if self.layout.n_rows == 0:
            return
        text = frozenset(name for name, _, _ in self.levels)
        counted = Counted()
        batches = self.form.batches(self.file, self.layout, names, self.rows, text)
        yield from map(counted, self._filled(batches))
        self.file.refuse_change()
        if self.rows is not None and counted.n_rows != len(self.rows):
            found = f"{counted.n_rows} rows instead of {len(self.rows)}"
            raise DataError.changed(self.file.name, found)

    @property
    def n_blocks(self) -> int | None:
        """Number of blocks, where the file tells its rows."""
        if self.layout.n_rows == 0:
            return 0
        return None if self.rows is None else -(-len(self.rows) // self.block_rows)

    def _filled(self, batches: Iterator[Batch]) -> Iterator[Block]:
        """Copy batches into blocks; a number is copied once, and no block is kept."""
        filling: list[Block] = []
        rooms = Rooms.of(self._shape)
        at, first_row = 0, self.first_row
        for batch in batches:
            columns = self._columns(batch, first_row + at)
            start = 0
            while start < batch.num_rows:
                if not filling:
                    filling.append(self._empty(rooms))
                n = min(batch.num_rows - start, self.block_rows - at)
                columns.copy(start, filling[0].rows(at, at + n))
                start, at = start + n, at + n
                if at == self.block_rows:
                    yield replace(filling.pop(), first_row=first_row)
                    at, first_row = 0, first_row + at
        if at:
            yield replace(filling.pop().rows(0, at), first_row=first_row)

    def _columns(self, batch: Batch, row: int) -> Columns:
        """Columns of a batch as numbers, whose first row has the index `row`."""
        features = [self._numbers(batch, name, row) for name in self.features]
        w = None if self.weight is None else float_column(batch, self.weight)
        labels = None
        if self.label is not None:
            labels = whole_labels(float_column(batch, self.label), row)
        return Columns(features, w, labels)

    @property
    def _shape(self) -> tuple[int, int]:
        """Columns, and rows of a block as far as there may be so many."""
        n = self.block_rows if self.rows is None else min(self.block_rows, len(self.rows))
        return len(self.features), n

    def _empty(self, rooms: Rooms) -> Block:
        """Room for the rows of a block, column by column: that is how they come."""
        _, n = self._shape
        return Block(
            rooms.take().T,
            None if self.weight is None else np.empty(n),
            0,
            None if self.label is None else np.empty(n, dtype=np.int32),
        )

    def _numbers(self, batch: Batch, name: str, row: int) -> npt.NDArray[np.float64]:
        """Numbers of a column; codes where it holds categories."""
        for own, kind, labels in self.levels:
            if own == name:
                return self._codes(batch, name, row, kind, labels)
        return float_column(batch, name)

    def _codes(
        self, batch: Batch, name: str, at: int, kind: str, labels: tuple[str, ...]
    ) -> npt.NDArray[np.float64]:
        """Codes of a column of categories, nulls as NaN."""
        values, places = numbered_values(column_of(batch, name))
        codes = np.append(codes_of(values, kind, labels), np.nan)[places]
        unseen = np.flatnonzero(codes == -1)
        if len(unseen):
            row = int(unseen[0])
            label = label_of(values[places[row]], kind)
            where = f" (file '{self.file.name}')"
            raise DataError.unseen_level(name, label, at + row, labels, where)
        return codes


def _agreed(
    files: Sequence[DataFile], layouts: Sequence[Layout], request: Request
) -> tuple[int, Choice, dict[str, Sequence[str] | None]]:
    """First file with columns, and the choice among them, which all other files allow.

    With it go the columns of categories among them, and their labels where given.
    """
    filled = [at for at, layout in enumerate(layouts) if layout.columns]
    if not filled:
        raise DataError.empty(f"'{files[0].name}'" if len(files) == 1 else "the files")
    first = next((at for at in filled if layouts[at].n_rows != 0), filled[0])
    names, kinds = layouts[first].columns, layouts[first].kinds
    choice = request.choose(names)
    wanted = wanted_levels(request.levels, names, choice.features)
    refuse_text(names, kinds, choice, wanted)
    if not choice.features:
        raise DataError.empty_array("feature", (layouts[first].n_rows, 0))
    used = [names[at] for at in (*choice.features, choice.weight, choice.label) if at is not None]
    categories = {names[at]: levels for at, levels in wanted.items()}
    used = [name for name in used if name not in categories]
    for at in filled:
        _refuse_drift(files[at], layouts[at], files[first], layouts[first], used)
    return first, choice, categories


def _refuse_drift(
    file: DataFile, layout: Layout, first: DataFile, expected: Layout, used: Sequence[str]
) -> None:
    if len(set(layout.columns)) < len(layout.columns):
        Request().choose(layout.columns)  # says which names occur twice
    if set(layout.columns) != set(expected.columns):
        raise DataError.schema_drift(
            file.name,
            f"the columns {', '.join(layout.columns)}",
            first.name,
            ", ".join(expected.columns),
        )
    kinds = dict(zip(layout.columns, layout.kinds, strict=True))
    for name in used:
        kind = kinds[name]
        if layout.n_rows != 0 and kind not in NUMERIC_KINDS:
            raise DataError.schema_drift(
                file.name, f"{kind} in column '{name}'", first.name, "numbers there"
            )


def _whole(layouts: Sequence[Layout], features: Sequence[str]) -> frozenset[int]:
    """Features declared as whole numbers in every file that has rows."""
    filled = [layout for layout in layouts if layout.columns and layout.n_rows != 0]
    kinds = [dict(zip(layout.columns, layout.kinds, strict=True)) for layout in filled]
    return frozenset(
        j for j, name in enumerate(features) if kinds and all(k[name] == "integer" for k in kinds)
    )
