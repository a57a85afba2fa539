"""Files as streams: which files, which format, which columns; blocks of bounded size."""

from __future__ import annotations

import glob
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mixtura.errors import DataError, UsageError
from mixtura.source.base import Block, DataSource, Part, checked_block_rows, regroup
from mixtura.source.columns import NUMERIC_KINDS, Choice, Request, refuse_text, whole_labels

# pyarrow, its readers, types and record batches: their types are not known to the type checker.
ArrowObject = Any
Batch = Any

STANDARD_INPUT = "<stdin>"


@dataclass(frozen=True)
class DataFile:
    """A file, or bytes that were read from standard input.

    Attributes
    ----------
    name : str
        As the caller wrote it, for messages.
    path : str
        Absolute path; empty for bytes.
    content : bytes or None
        Contents, if they are held in memory.
    size, modified : int
        Bytes, and time of the last change in ns: a change is noticed when the
        file is opened again.
    """

    name: str
    path: str = ""
    content: bytes | None = None
    size: int = 0
    modified: int = 0

    @classmethod
    def at(cls, path: str | Path) -> DataFile:
        """Describe a file that exists.

        Raises
        ------
        DataError
            There is no such file.
        """
        try:
            state = Path(path).stat()
        except OSError:
            raise DataError.not_found(path) from None
        return cls(str(path), str(Path(path).absolute()), None, state.st_size, state.st_mtime_ns)

    @property
    def compression(self) -> str | None:
        """Name of the compression of a text file, by its ending or its first bytes."""
        if self.content is not None:
            return "gzip" if self.content[:2] == b"\x1f\x8b" else None
        return _COMPRESSIONS.get(Path(self.path).suffix.lower())

    def open(self) -> ArrowObject:
        """Open the bytes as pyarrow's random-access file.

        Raises
        ------
        DataError
            The file cannot be opened, or changed since it was first seen.
        """
        pa = pyarrow()
        if self.content is not None:
            return pa.BufferReader(self.content)
        try:
            state = Path(self.path).stat()
            if (state.st_size, state.st_mtime_ns) != (self.size, self.modified):
                raise DataError.changed(self.name, "its size or time is another")
            return pa.OSFile(self.path)
        except OSError as error:
            raise DataError.unreadable(self.name, str(error)) from error

    def open_text(self) -> ArrowObject:
        """Open the bytes of a text file, decompressed, as pyarrow's input stream."""
        return pyarrow().input_stream(self.open(), compression=self.compression)


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


class FileFormat(ABC):
    """How one kind of file is inspected and read. Stateless."""

    endings: tuple[str, ...]

    @abstractmethod
    def inspect(self, file: DataFile) -> Layout:
        """Read names, kinds and, if cheap, the number of rows."""

    @abstractmethod
    def batches(
        self, file: DataFile, layout: Layout, names: Sequence[str], rows: range | None = None
    ) -> Iterator[Batch]:
        """Record batches of the columns `names`, in any order; `rows` None: all."""

    @abstractmethod
    def raw_column(self, file: DataFile, layout: Layout, name: str) -> ArrowObject:
        """One whole column as an Arrow array of its own type."""

    @abstractmethod
    def place(self, file: DataFile, layout: Layout, row: int) -> str:
        """Place of a row inside the file, such as ``"line 12"``."""

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
        first, choice = _agreed(files, layouts, request)
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
            whole=_whole(layouts, self._features),
        )
        if self.n_rows == 0:
            raise DataError.empty(f"'{files[0].name}'" if len(files) == 1 else "the files")

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
                None if stop is None else range(start or 0, stop),
                first_row + (start or 0),
                self.block_rows,
            )
            for start, stop in pairwise(cuts)
        ]

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
    rows: range | None
    first_row: int
    block_rows: int

    def blocks(self) -> Iterator[Block]:
        """Read the rows in blocks; only the needed columns are decoded."""
        names = [*self.features, *(name for name in (self.weight, self.label) if name)]
        if self.layout.n_rows == 0:
            return
        pieces = self._pieces(self.form.batches(self.file, self.layout, names, self.rows))
        yield from regroup(pieces, self.block_rows, self.first_row)

    def _pieces(self, batches: Iterator[Batch]) -> Iterator[Block]:
        at = self.first_row
        for batch in batches:
            if not batch.num_rows:
                continue
            X = np.empty((batch.num_rows, len(self.features)))
            for j, name in enumerate(self.features):
                X[:, j] = _float_column(batch, name)
            w = None if self.weight is None else _float_column(batch, self.weight)
            labels = None
            if self.label is not None:
                labels = whole_labels(_float_column(batch, self.label), at)
            yield Block(X, w, at, labels)
            at += batch.num_rows


def find_files(data: str | Path | Sequence[str | Path]) -> list[str]:
    """Paths of the data files that a path, folder, glob or list of these names.

    Files of a folder (and its subfolders) and of a glob are sorted by name; a
    list keeps its order. In folders, hidden files, names that begin with an
    underscore, and other kinds of files are passed over.

    Raises
    ------
    DataError
        Nothing is found, or a folder or glob mixes formats.
    """
    if not isinstance(data, str | Path):
        if not data:
            raise DataError.not_found(list(data))
        return [path for one in data for path in find_files(one)]
    path = Path(data).expanduser()
    if path.is_dir():
        found = [str(one) for one in path.rglob("*") if one.is_file() and _is_data(one, path)]
    elif path.exists():
        return [str(path)]
    else:
        # Path.glob takes no absolute patterns.
        matches = glob.iglob(str(path), recursive=True)  # noqa: PTH207
        found = [one for one in matches if Path(one).is_file()]
    if not found:
        raise DataError.not_found(data)
    endings = sorted({ending_of(one) or Path(one).suffix for one in found})
    if len({_FORMAT_OF_ENDING.get(ending, ending) for ending in endings}) > 1:
        raise DataError.mixed_formats(data, endings)
    return sorted(found)


def ending_of(path: str | Path) -> str | None:
    """Known ending of a file name, such as ``".csv.gz"``; None if it has none."""
    name = Path(path).name.lower()
    known = [ending for ending in _FORMAT_OF_ENDING if name.endswith(ending)]
    return max(known, key=len, default=None)


def known_endings() -> list[str]:
    """All endings of data files that can be read."""
    return list(_FORMAT_OF_ENDING)


def format_name(file: DataFile) -> str:
    """Name of the format of a file: by its ending, or by the first bytes of standard input.

    Raises
    ------
    DataError
        The ending is not known.
    """
    if file.content is not None:
        start = file.content[:6]
        if start[:4] == b"PAR1":
            return "parquet"
        return "arrow" if start == b"ARROW1" or start[:4] == b"\xff\xff\xff\xff" else "csv"
    ending = ending_of(file.name)
    if ending is None:
        raise DataError.unknown_format(file.name, known_endings())
    return _FORMAT_OF_ENDING[ending]


def read_standard_input(stream: IO[bytes] | None = None) -> DataFile:
    """Read standard input to its end and keep it, since EM reads the rows many times."""
    return DataFile(STANDARD_INPUT, content=(stream or sys.stdin.buffer).read())


def pyarrow() -> ArrowObject:
    """Import pyarrow, or say how to install it."""
    try:
        import pyarrow as pa
    except ImportError:
        raise UsageError.needs_package("reading files", "pyarrow", "cli") from None
    return pa


_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_TEXT = [text + packed for text in (".csv", ".tsv") for packed in ("", *_COMPRESSIONS)]
_FORMAT_OF_ENDING = {
    **dict.fromkeys(_TEXT, "csv"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".arrow", ".arrows", ".feather", ".ipc"), "arrow"),
}


def _is_data(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder).parts
    return ending_of(path) is not None and not any(name[0] in "._" for name in inside)


def _agreed(
    files: Sequence[DataFile], layouts: Sequence[Layout], request: Request
) -> tuple[int, Choice]:
    """First file with columns, and the choice among them, which all other files allow."""
    filled = [at for at, layout in enumerate(layouts) if layout.columns]
    if not filled:
        raise DataError.empty(f"'{files[0].name}'" if len(files) == 1 else "the files")
    first = next((at for at in filled if layouts[at].n_rows != 0), filled[0])
    names, kinds = layouts[first].columns, layouts[first].kinds
    choice = request.choose(names)
    refuse_text(names, kinds, choice)
    if not choice.features:
        raise DataError.empty_array("feature", (layouts[first].n_rows, 0))
    used = [names[at] for at in (*choice.features, choice.weight, choice.label) if at is not None]
    for at in filled:
        _refuse_drift(files[at], layouts[at], files[first], layouts[first], used)
    return first, choice


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
    for name in used:
        kind = layout.kinds[layout.columns.index(name)]
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


def _float_column(batch: Batch, name: str) -> npt.NDArray[np.float64]:
    """Column of a record batch as float64, nulls as NaN."""
    pa = pyarrow()
    column = batch.column(batch.schema.get_field_index(name))
    numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(numbers, dtype=np.float64)
