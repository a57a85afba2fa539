"""Delimited text, read as a stream with every column declared, so that no value is guessed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from mixtura.errors import DataError
from mixtura.source.files import Batch, FileFormat, Layout
from mixtura.source.paths import ArrowObject, DataFile, pyarrow

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "Null", "null", "None")

_NUMBER = re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity|nan)\s*", re.I | re.A)
_WHOLE = re.compile(r"\s*[+-]?\d+\s*", re.A)
_DATE = re.compile(r"\s*\d{4}-\d\d-\d\d([T ].*)?|\s*\d\d?[./]\d\d?[./]\d{4}.*", re.A)
_HEAD_BYTES = 1 << 20
_LONGEST_LINE = 1 << 26
_LOOK_ROWS = 1000
_BLOCK_BYTES = 1 << 20
_PADDED_MISSING = frozenset(pad for one in MISSING for pad in (one, f" {one}", f"{one} "))


@dataclass(frozen=True)
class Dialect:
    """How a text file is laid out.

    Attributes
    ----------
    delimiter : str
        One character.
    header : bool
        Whether the first line holds names.
    blank_lines : int
        Empty lines before it.
    block_bytes : int
        Bytes that are parsed at a time: several of the longest lines seen.
    """

    delimiter: str
    header: bool
    blank_lines: int
    block_bytes: int


class CsvFormat(FileFormat):
    """Text with one delimiter: comma, semicolon or tab, told by the first line.

    The first line holds the names of the columns, unless it holds numbers only:
    then columns are called x0, x1, ...  Columns without a name are called by
    their position in the same way.
    """

    endings = (".csv", ".tsv")

    def inspect(self, file: DataFile) -> Layout:
        """Look at the first rows: names, and which columns are numbers."""
        text, complete = _head(file)
        if not text.strip():
            return Layout((), (), 0)
        blank_lines = len(text) - len(text.lstrip("\r\n"))
        blank_lines = text[:blank_lines].count("\n")
        text = text.lstrip("\r\n")
        delimiter = _delimiter(text)
        records = _records(io.StringIO(text, newline=""), delimiter)
        rows = [record for _, record in islice(records, _LOOK_ROWS + 1)]
        if not complete and len(rows) <= _LOOK_ROWS:
            rows = rows[: max(1, len(rows) - 1)]  # the last one may be cut
        header = not _all_numbers(rows[0])
        names = _names(rows[0]) if header else [f"x{j}" for j in range(len(rows[0]))]
        body = rows[header:]
        kinds = tuple(
            _kind([row[j] for row in body if len(row) == len(names)]) for j in range(len(names))
        )
        n_rows = 0 if complete and not body else None
        longest = max(len(line) for line in text.split("\n"))
        dialect = Dialect(delimiter, header, blank_lines, max(_BLOCK_BYTES, 16 * longest))
        return Layout(tuple(names), kinds, n_rows, dialect)

    def batches(
        self,
        file: DataFile,
        layout: Layout,
        names: Sequence[str],
        rows: range | None = None,
        text: Collection[str] = (),
    ) -> Iterator[Batch]:
        """Parse the whole file, a few megabytes at a time; every column is float64 or text.

        Raises
        ------
        DataError
            A token is no number, or a line has another number of fields: both
            with file and line.
        """
        pa = pyarrow()
        try:
            reader = _open_reader(file, layout, names, pa.float64(), text)
            yield from reader
        except pa.ArrowException as error:
            numbers = [name for name in names if name not in text]
            raise _fault(file, layout, numbers, str(error)) from None
        except OSError as error:
            raise DataError.unreadable(file.name, str(error)) from error

    def raw_column(self, file: DataFile, layout: Layout, name: str) -> ArrowObject:
        """One whole column: whole numbers, numbers or text, as all its values allow."""
        pa = pyarrow()
        try:
            reader = _open_reader(file, layout, [name], pa.string())
            text = pa.Table.from_batches(list(reader), schema=reader.schema).column(name)
        except pa.ArrowException as error:
            raise _fault(file, layout, [], str(error)) from None
        return text

    def place(self, file: DataFile, layout: Layout, row: int) -> str:
        """Line of the text file, counted from 1."""
        records = _text_records(file, layout.detail)
        line, _ = next(islice(records, row + layout.detail.header, None), (0, []))
        return f"line {line}"


def guessed_numbers(text: ArrowObject) -> ArrowObject:
    """Convert a text column to whole numbers or numbers, if all its values are such."""
    pa = pyarrow()
    for dtype in (pa.int64(), pa.float64()):
        try:
            return text.cast(dtype)
        except pa.ArrowInvalid:
            continue
    return text


def _open_reader(
    file: DataFile,
    layout: Layout,
    names: Sequence[str],
    dtype: ArrowObject,
    text: Collection[str] = (),
) -> ArrowObject:
    """Streaming reader of some columns, all of one type but those of text."""
    from pyarrow import csv as arrow_csv

    dialect: Dialect = layout.detail
    return arrow_csv.open_csv(
        file.open_text(),
        read_options=arrow_csv.ReadOptions(
            column_names=list(layout.columns),
            skip_rows=dialect.blank_lines,
            skip_rows_after_names=int(dialect.header),
            block_size=dialect.block_bytes,
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=dialect.delimiter, newlines_in_values=True, ignore_empty_lines=True
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types={n: pyarrow().string() if n in text else dtype for n in names},
            include_columns=list(names),
            null_values=sorted(_PADDED_MISSING),
            strings_can_be_null=True,
        ),
    )


def _fault(file: DataFile, layout: Layout, names: Sequence[str], problem: str) -> DataError:
    """Find the first line that cannot be read, by a slow and careful second reading."""
    positions = layout.positions(names)
    records = _text_records(file, layout.detail)
    try:
        for line, record in islice(records, int(layout.detail.header), None):
            if len(record) != len(layout.columns):
                return DataError.bad_row(file.name, line, len(record), len(layout.columns))
            for at, name in zip(positions, names, strict=True):
                token = record[at]
                if token not in _PADDED_MISSING and not _NUMBER.fullmatch(token):
                    return DataError.bad_token(file.name, line, name, token)
    except csv.Error as error:
        problem = str(error)
    return DataError.unreadable(file.name, problem)


def _head(file: DataFile) -> tuple[str, bool]:
    """First megabyte as text, up to the end of a line; and whether that is all."""
    pa = pyarrow()
    try:
        with file.open_text() as stream:
            raw = stream.read(_HEAD_BYTES)
            complete = len(raw) < _HEAD_BYTES
            while not complete and b"\n" not in raw:
                more = stream.read(_HEAD_BYTES)
                complete, raw = len(more) < _HEAD_BYTES, raw + more
                if len(raw) > _LONGEST_LINE:
                    raise DataError.unreadable(file.name, f"no line ends within {len(raw)} bytes")
    except (pa.ArrowException, OSError) as error:
        raise DataError.unreadable(file.name, str(error)) from error
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in raw[:1000]:
        raise DataError.unreadable(file.name, "it is not UTF-8 text. Save it as CSV in UTF-8.")
    if not complete:
        raw = raw[: raw.rindex(b"\n") + 1]
    return raw.decode("utf-8-sig", errors="replace"), complete


def _text_records(file: DataFile, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every record, header included."""
    with file.open_text() as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        yield from _records(text, dialect.delimiter)


def _records(text: io.TextIOBase, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text, delimiter=delimiter)
    for record in reader:
        if record:
            yield reader.line_num, record


def _delimiter(text: str) -> str:
    """Find the delimiter that the first line uses most outside of quotes; comma if none."""
    line = re.sub(r'"[^"]*"', "", text.split("\n", 1)[0])
    return max(",;\t", key=line.count)


def _names(header: Sequence[str]) -> list[str]:
    return [name.strip() or f"x{j}" for j, name in enumerate(header)]


def _all_numbers(record: Sequence[str]) -> bool:
    present = [token for token in record if token not in _PADDED_MISSING]
    return bool(present) and all(_NUMBER.fullmatch(token) for token in present)


def _kind(tokens: Sequence[str]) -> str:
    """Say what a column holds. A few bad tokens among numbers are faults, not a column of text."""
    present = [token for token in tokens if token not in _PADDED_MISSING]
    if not present:
        return "missing"
    n_numbers = sum(_NUMBER.fullmatch(token) is not None for token in present)
    if 2 * n_numbers > len(present):
        return "integer" if all(_WHOLE.fullmatch(token) for token in present) else "float"
    if all(token.strip().lower() in ("true", "false") for token in present):
        return "boolean"
    return "date" if all(_DATE.fullmatch(token) for token in present) else "text"
