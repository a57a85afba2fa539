"""Rows that a command line names, and rows of results as CSV or JSON, written as they come."""

from __future__ import annotations

import csv
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from mixtura.atomic import replacing
from mixtura.cli.console import Console, text_on

if TYPE_CHECKING:
    from mixtura.fitting import Fitted
    from mixtura.source.files import DataFile

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows_of(data: tuple[str, ...]) -> str | list[str] | DataFile:
    """What the words of a command line name: standard input, a path, or several."""
    if data != ("-",):
        return data[0] if len(data) == 1 else list(data)
    from mixtura.source import read_standard_input

    return read_standard_input()


def place_of(data: tuple[str, ...]) -> str:
    """Where rows come from, in words.

    Examples
    --------
    >>> place_of(("-",)), place_of(("a.csv", "b.csv", "c.csv", "d.csv"))
    ('standard input', 'a.csv, b.csv, c.csv, ...')
    """
    if data == ("-",):
        return "standard input"
    return ", ".join(data[:3]) + ", ..." * (len(data) > 3)


class RowWriter(ABC):
    """Takes rows, and writes them at once."""

    @abstractmethod
    def write(self, rows: Iterator[Sequence[Any]]) -> None:
        """Write some rows."""

    @abstractmethod
    def close(self) -> None:
        """Write what comes after the last row."""


class CsvRows(RowWriter):
    """CSV with a header; floats with all their digits.

    Parameters
    ----------
    stream : text stream
        Where to.
    columns : sequence of str
        Names of the columns.
    raw_text : bool
        Leave names alone that a spreadsheet would take for a formula.
    """

    def __init__(self, stream: TextIO, columns: Sequence[str], *, raw_text: bool = False) -> None:
        self._writer = csv.writer(stream, lineterminator="\n")
        self._writer.writerow(columns if raw_text else map(guarded, columns))

    def write(self, rows: Iterator[Sequence[Any]]) -> None:
        """Write some rows, whose text is `guarded` already."""
        self._writer.writerows(rows)

    def close(self) -> None:
        """CSV has no end."""


class JsonRows(RowWriter):
    """One JSON document whose last field is the list of rows, each an object.

    Parameters
    ----------
    stream : text stream
        Where to.
    columns : sequence of str
        Keys of each row.
    head : dict
        Fields before the rows, ``schema`` first.
    """

    def __init__(self, stream: TextIO, columns: Sequence[str], head: dict[str, Any]) -> None:
        self._stream, self._columns = stream, list(columns)
        self._separator = "\n"
        start = json.dumps({**head, "columns": self._columns}, allow_nan=False)
        stream.write(start[:-1] + ', "rows": [')

    def write(self, rows: Iterator[Sequence[Any]]) -> None:
        """Write some rows."""
        for row in rows:
            values = dict(zip(self._columns, map(_json_value, row), strict=True))
            self._stream.write(self._separator + json.dumps(values, allow_nan=False))
            self._separator = ",\n"

    def close(self) -> None:
        """End the list and the document."""
        self._stream.write("\n]}\n")


@contextmanager
def row_writer(
    console: Console,
    path: str | None,
    columns: Sequence[str],
    head: dict[str, Any],
    *,
    force: bool = False,
    raw_text: bool = False,
) -> Iterator[RowWriter]:
    """Open standard output, or a file that appears only when all rows are in it.

    Parameters
    ----------
    console : Console
        Says whether rows are JSON.
    path : str or None
        The file; None or ``"-"`` is standard output.
    columns : sequence of str
        Names of the cells of a row.
    head : dict
        Fields of a JSON document before its rows.
    force, raw_text : bool
        Replace a file; leave names of columns alone.
    """

    def started(stream: TextIO) -> RowWriter:
        if console.as_json:
            return JsonRows(stream, columns, head)
        return CsvRows(stream, columns, raw_text=raw_text)

    if path in (None, "-"):
        with console.data() as stream:
            writer = started(stream)
            yield writer
            writer.close()
        return
    assert path is not None
    with replacing(path, force=force) as file, text_on(file) as stream:
        writer = started(stream)
        yield writer
        writer.close()
    console.say(f"wrote    {path}")


def column_cells(fitted: Fitted, X: Any, *, guard: bool) -> list[list[Any]]:
    """Cells of rows X (n, d), column by column: whole numbers as such, categories as labels."""
    columns = []
    for name, values, whole in zip(fitted.columns, X.T, fitted.mixture.family.whole, strict=True):
        labels = fitted.levels.get(name)
        exact = values.astype("int64" if whole and values.max() < 2**63 else float).tolist()
        if labels is not None:
            exact = [guarded(labels[code]) if guard else labels[code] for code in exact]
        columns.append(exact)
    return columns


def guarded(cell: Any) -> Any:
    """Put a quote before text that a spreadsheet would run as a formula; numbers stay.

    Examples
    --------
    >>> guarded("=1+1"), guarded("-1.5"), guarded(-1.5)
    ("'=1+1", '-1.5', -1.5)
    """
    if not isinstance(cell, str) or not cell.startswith(_FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return "'" + cell
    return cell


def csv_cell(value: Any) -> Any:
    """Value for a cell: nothing where there is none, text `guarded`.

    Examples
    --------
    >>> csv_cell(float("nan")), csv_cell(None), csv_cell(True), csv_cell(0.5)
    ('', '', 'true', 0.5)
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return guarded(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, list | tuple):
        return [_json_value(one) for one in value]
    return str(value)
