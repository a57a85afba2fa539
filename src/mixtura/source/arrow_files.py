"""Parquet and Arrow IPC (Feather) files, read a piece at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from mixtura.errors import DataError
from mixtura.source.files import Batch, FileFormat, Layout
from mixtura.source.paths import ArrowObject, DataFile, pyarrow

_BATCH_NUMBERS = 1 << 18  # 2 MB: long batches cost few calls, and still fit into memory caches
_MOST_ROWS, _FEWEST_ROWS = 1 << 17, 1 << 12
_BUFFER_BYTES = 1 << 16  # larger pieces, which pages are, are read past the buffer


class ParquetFormat(FileFormat):
    """Parquet: parts are row groups, put together so that they start on the grid of blocks."""

    endings = (".parquet", ".pq")

    def inspect(self, file: DataFile) -> Layout:
        """Read the footer."""
        with _opened(file) as parquet:
            schema = parquet.schema_arrow
            meta = parquet.metadata
            starts = [0]
            for group in range(meta.num_row_groups):
                starts.append(starts[-1] + meta.row_group(group).num_rows)
        kinds = tuple(_kind(field.type) for field in schema)
        return Layout(tuple(schema.names), kinds, meta.num_rows, tuple(starts))

    def batches(
        self,
        file: DataFile,
        layout: Layout,
        names: Sequence[str],
        rows: range | None = None,
        text: Collection[str] = (),
    ) -> Iterator[Batch]:
        """Decode the row groups that hold `rows`, some rows at a time, in this thread alone."""
        starts = layout.detail
        rows = rows if rows is not None else range(layout.n_rows or 0)
        groups = [
            group
            for group in range(len(starts) - 1)
            if starts[group] < rows.stop and starts[group + 1] > rows.start
        ]
        if not groups:
            return
        at = starts[groups[0]]
        with _opened(file) as parquet:
            for batch in parquet.iter_batches(
                _batch_rows(names), row_groups=groups, columns=list(names), use_threads=False
            ):
                start, stop = max(rows.start - at, 0), min(rows.stop - at, batch.num_rows)
                if stop > start:
                    yield batch.slice(start, stop - start)
                at += batch.num_rows

    def size(self, file: DataFile, layout: Layout, names: Sequence[str]) -> int:
        """Compressed bytes of some columns, from the footer."""
        with _opened(file) as parquet:
            meta, wanted = parquet.metadata, set(names)
            return sum(
                column.total_compressed_size
                for g in range(meta.num_row_groups)
                for column in map(meta.row_group(g).column, range(meta.num_columns))
                if column.path_in_schema in wanted
            )

    def raw_column(self, file: DataFile, layout: Layout, name: str) -> ArrowObject:
        """One whole column."""
        with _opened(file) as parquet:
            return parquet.read(columns=[name]).column(name)

    def place(self, file: DataFile, layout: Layout, row: int) -> str:
        """Row, counted from 0, and row group."""
        return f"row {row}, row group {bisect_right(layout.detail, row) - 1}"

    def cuts(self, layout: Layout, block_rows: int) -> Sequence[int]:
        """Give the starts of row groups, moved down to the grid of blocks."""
        inner = layout.detail[:-1] or (0,)
        return sorted({start - start % block_rows for start in inner})


class ArrowFormat(FileFormat):
    """Arrow IPC, as a file (Feather version 2) or as a stream."""

    endings = (".arrow", ".arrows", ".feather", ".ipc")

    def inspect(self, file: DataFile) -> Layout:
        """Read the schema, and the number of rows where the format has an index."""
        with _ipc(file, None) as reader:
            schema = reader.schema
            n_rows = None
            if hasattr(reader, "num_record_batches"):
                n_rows = _count_rows(file, reader)
        return Layout(tuple(schema.names), tuple(_kind(f.type) for f in schema), n_rows)

    def batches(
        self,
        file: DataFile,
        layout: Layout,
        names: Sequence[str],
        rows: range | None = None,
        text: Collection[str] = (),
    ) -> Iterator[Batch]:
        """Read one record batch after the other; the contents are checked, not trusted."""
        with _ipc(file, layout.positions(names)) as reader:
            for batch in _each(reader):
                batch.validate(full=True)
                for start in range(0, batch.num_rows, _batch_rows(names)):
                    yield batch.slice(start, _batch_rows(names))

    def raw_column(self, file: DataFile, layout: Layout, name: str) -> ArrowObject:
        """One whole column."""
        pa = pyarrow()
        with _ipc(file, layout.positions([name])) as reader:
            batches = list(_each(reader))
            return pa.Table.from_batches(batches, schema=reader.schema).column(name)

    def place(self, file: DataFile, layout: Layout, row: int) -> str:
        """Row, counted from 0."""
        return f"row {row}"


def _batch_rows(names: Sequence[str]) -> int:
    """Rows that are decoded at once."""
    return max(_FEWEST_ROWS, min(_MOST_ROWS, _BATCH_NUMBERS // max(1, len(names))))


@contextmanager
def _opened(file: DataFile) -> Iterator[ArrowObject]:
    """Open a Parquet file so that memory stays bounded.

    Pre-buffering would load whole row groups (apache/arrow#39808); a buffered
    stream decodes page by page.
    """
    pyarrow()
    import pyarrow.parquet as pq

    with _explained(file), file.open() as raw:
        if raw.size() == 0:
            raise DataError.unreadable(file.name, "the file is empty (0 bytes)")
        with pq.ParquetFile(raw, pre_buffer=False, buffer_size=_BUFFER_BYTES) as parquet:
            yield parquet


@contextmanager
def _ipc(file: DataFile, positions: Sequence[int] | None) -> Iterator[ArrowObject]:
    """Open an IPC file or stream, decoding only some columns."""
    pa = pyarrow()
    options = pa.ipc.IpcReadOptions(included_fields=sorted(positions or []), use_threads=False)
    with _explained(file), file.open() as raw:
        magic = raw.read(6)
        raw.seek(0)
        if magic[:4] == b"FEA1":
            raise DataError.unreadable(file.name, "Feather version 1; write it as version 2")
        if magic == b"ARROW1":
            yield pa.ipc.open_file(raw, options=options)
        else:
            yield pa.ipc.open_stream(raw, options=options)


@contextmanager
def _explained(file: DataFile) -> Iterator[None]:
    """Turn what pyarrow says about a damaged file into a data error."""
    pa = pyarrow()
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError.unreadable(file.name, str(error)) from error


def _each(reader: ArrowObject) -> Iterator[Batch]:
    if hasattr(reader, "num_record_batches"):
        for at in range(reader.num_record_batches):
            yield reader.get_batch(at)
    else:
        yield from reader


def _count_rows(file: DataFile, reader: ArrowObject) -> int:
    """Rows of an IPC file; for a path, from the headers of its batches only."""
    if file.content is not None:
        return sum(batch.num_rows for batch in _each(reader))
    from pyarrow import dataset

    return int(dataset.dataset(file.path, format="ipc").count_rows())


def _kind(dtype: ArrowObject) -> str:
    """Say what a column of an Arrow type holds, in a word for people."""
    types = pyarrow().types
    if isinstance(dtype, pyarrow().BaseExtensionType):
        return f"extension type {dtype.extension_name}"
    for test, kind in (
        (types.is_integer, "integer"),
        (types.is_floating, "float"),
        (types.is_decimal, "decimal"),
        (types.is_null, "missing"),
        (types.is_boolean, "boolean"),
        (types.is_dictionary, "category"),
        (types.is_date, "date"),
        (types.is_timestamp, "date"),
        (types.is_time, "time"),
        (types.is_duration, "duration"),
    ):
        if test(dtype):
            return kind
    text = (types.is_string, types.is_large_string, types.is_string_view)
    return "text" if any(test(dtype) for test in text) else str(dtype)
