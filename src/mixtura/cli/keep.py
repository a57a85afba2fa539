"""Columns of the input that are copied to the output: any type, read alongside the rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from mixtura.errors import DataError
from mixtura.source.arrow_files import ArrowFormat, ParquetFormat
from mixtura.source.csv_files import CsvFormat
from mixtura.source.files import DataFile, FileFormat, Layout, find_files, format_name, pyarrow

_FORMATS: dict[str, FileFormat] = {
    "csv": CsvFormat(),
    "parquet": ParquetFormat(),
    "arrow": ArrowFormat(),
}


def kept_rows(data: str | DataFile | list[str], names: Sequence[str]) -> Iterator[list[Any]]:
    """Cells of some columns, row by row, in the order in which a source reads the rows.

    Parameters
    ----------
    data : str, DataFile or list of str
        As for `mixtura.source.as_source`, files only.
    names : sequence of str
        Columns. From text files their cells come as they are written there.

    Yields
    ------
    list
        One cell per name.

    Raises
    ------
    DataError
        A column is missing, or a file cannot be read.
    """
    files = [data] if isinstance(data, DataFile) else [DataFile.at(p) for p in find_files(data)]
    for file in files:
        form = _FORMATS[format_name(file)]
        layout = form.inspect(file)
        if not layout.columns:
            continue
        missing = [name for name in names if name not in layout.columns]
        if missing:
            raise DataError.missing_columns(missing, layout.columns)
        if isinstance(form, CsvFormat):
            yield from _text_cells(file, layout, names)
            continue
        for batch in form.batches(file, layout, names):
            cells = [batch.column(batch.schema.get_field_index(n)).to_pylist() for n in names]
            yield from map(list, zip(*cells, strict=True))


def _text_cells(file: DataFile, layout: Layout, names: Sequence[str]) -> Iterator[list[str]]:
    positions = [layout.columns.index(name) for name in names]
    header = bool(layout.detail.header)
    with file.open_text() as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        reader = csv.reader(text, delimiter=layout.detail.delimiter)
        try:
            for record in reader:
                if header or not record:
                    header = header and not record
                    continue
                yield [record[at] for at in positions]
        except IndexError:
            raise DataError.bad_row(
                file.name, reader.line_num, len(record), len(layout.columns)
            ) from None
        except (csv.Error, OSError, pyarrow().ArrowException) as error:
            raise DataError.unreadable(file.name, str(error)) from error
