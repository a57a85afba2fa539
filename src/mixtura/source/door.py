"""The door through which data come in, whatever they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np
import numpy.typing as npt

from mixtura.errors import DataError, DataTypeError, UsageError
from mixtura.source.arrays import ArraySource, array_source, as_matrix
from mixtura.source.arrow_files import ArrowFormat, ParquetFormat
from mixtura.source.base import DataSource, checked_block_rows, regroup
from mixtura.source.batches import BatchSource, is_batches
from mixtura.source.categories import LevelRequest
from mixtura.source.columns import Column, Request, as_names, checked_labels, checked_weights
from mixtura.source.csv_files import CsvFormat, guessed_numbers
from mixtura.source.drop import AttachedSource, DroppingSource
from mixtura.source.files import FileFormat, FileSource
from mixtura.source.frames import as_frame, frame_column, frame_source
from mixtura.source.partitions import PartitionSource, is_collection
from mixtura.source.paths import (
    ArrowObject,
    DataFile,
    find_files,
    format_name,
    pyarrow,
    read_standard_input,
)

FilePath = str | Path | DataFile

_FORMATS: dict[str, FileFormat] = {
    "csv": CsvFormat(),
    "parquet": ParquetFormat(),
    "arrow": ArrowFormat(),
}


def as_source(
    data: object,
    *,
    columns: Sequence[Column] | Column | None = None,
    drop: Sequence[Column] | Column | None = None,
    weights: npt.ArrayLike | str | None = None,
    labels: npt.ArrayLike | str | None = None,
    missing: Literal["error", "drop"] = "error",
    levels: LevelRequest | None = None,
    block_rows: int | None = None,
) -> DataSource:
    """Make a re-readable source of rows out of an array, a data frame or files.

    Parameters
    ----------
    data : DataSource, array, frame, path, or list of paths
        * An array of shape (n, d), or nested lists. float64 and float32 arrays of
          any strides are used in place; other numbers are converted to float64
          (memory-mapped ones block by block). Columns are called x0, x1, ...
        * A frame of pandas, Polars, PyArrow or any library that narwhals knows,
          or an Arrow stream. It is copied once; lazy frames are computed.
        * The path of a CSV (``.csv``, ``.tsv``, also with ``.gz``, ``.bz2``,
          ``.zst``), Parquet (``.parquet``, ``.pq``) or Arrow (``.arrow``,
          ``.arrows``, ``.feather``, ``.ipc``) file, a folder (with subfolders),
          or a glob. Files are read in blocks, in the order of their names, and
          never held in memory as a whole. They need pyarrow.
        * ``"-"``: standard input, as CSV, an Arrow stream, or Parquet. It is kept
          in memory, because EM reads the rows many times.
        * A list of paths, read in its order.
        * A Dask DataFrame or Array: partitions are taken where they are by `mixtura.Dask`,
          and fetched one after the other by `mixtura.Local`.
        * A function that gives an iterator of batches (arrays, frames, Arrow batches), the
          same ones each time: it is called in every pass.

        A CSV file has the names of the columns in its first line; if that line
        holds numbers only, it is data and columns are called x0, x1, ...
        Empty, NA, N/A, NaN, NULL and None are missing values.
    columns : sequence of str or int, optional
        Columns to use, in this order: names or positions. Default: all but those
        of weights and labels.
    drop : sequence of str or int, optional
        Columns to leave out.
    weights : array-like of shape (n,) or str, optional
        Weight of each row, >= 0, or the name of the column that holds it.
    labels : array-like of shape (n,) or str, optional
        Known component of each row, whole numbers, -1 (or missing) where
        unknown; or the name of the column that holds it.
    missing : {"error", "drop"}, default="error"
        What to do with rows that hold missing or infinite values: refuse them
        (`summarise` does, after counting), or leave them out.
    levels : mapping of column to labels, or "all", optional
        Columns of categories, which may hold text, truth values, declared categories or
        numbers. Rows hold the place of the value among the labels given (a value that is
        none of them is refused); labels given as None are found: those that occur, in the
        order that the table declares, else sorted. "all": every column, labels found.
        Numbers that are nothing but 0 and 1 stay as they are. The labels are in
        `DataSource.levels`.
    block_rows : int, optional
        Rows per block, 1024 times a power of two. Default: 2**17, less for wide
        tables; arrays and frames are one block.

    Returns
    -------
    DataSource
        `data` itself if it is a source and nothing else is asked for.

    Raises
    ------
    DataError
        Not 2-D, empty, not numeric, no such file or column, unreadable, or
        files that disagree.
    DataTypeError
        Sparse matrices, and objects that are no data.
    UsageError
        Options that contradict each other, or pyarrow is not installed.

    Examples
    --------
    >>> source = as_source([[1.0, 10.0, 3.0], [2.0, 20.0, 1.0]], weights="x2")
    >>> source.columns, source.n_rows
    (('x0', 'x1'), 2)
    >>> for block in source.blocks():
    ...     print(block.X.shape, block.w)
    (2, 2) [3. 1.]
    """
    if missing not in ("error", "drop"):
        raise UsageError.argument("missing", missing, "'error' or 'drop'")
    given_weights = None if isinstance(weights, str) else weights
    given_labels = None if isinstance(labels, str) else labels
    request = Request(
        as_names(columns, "columns"),
        as_names(drop, "drop"),
        weights if isinstance(weights, str) else None,
        labels if isinstance(labels, str) else None,
        levels,
    )
    checked_block_rows(block_rows, 1)
    if is_collection(data):
        options = {
            "columns": request.columns, "drop": request.drop, "weights": weights,
            "labels": labels, "missing": missing, "levels": levels,
        }  # fmt: skip
        return PartitionSource(data, options, block_rows)
    if is_batches(data):
        own = {
            "columns": request.columns, "drop": request.drop, "weights": weights,
            "labels": labels, "levels": levels,
        }  # fmt: skip
        batches = BatchSource(data, own, block_rows)
        return DroppingSource(batches) if missing == "drop" else batches
    dropping = missing == "drop"
    frame = None if _is_paths(data) or isinstance(data, np.ndarray | DataSource) else as_frame(data)
    source: DataSource
    if frame is not None:
        source = frame_source(
            frame,
            request,
            given_weights,
            given_labels,
            nan_weights=dropping,
            block_rows=block_rows,
        )
    elif isinstance(data, DataSource) or _is_paths(data):
        if isinstance(data, DataSource):
            source = _unchanged(data, request, block_rows)
        else:
            source = _file_source(data, request, block_rows)
        source = _attached(source, given_weights, given_labels, nan_weights=dropping)
    else:
        source = array_source(
            data,
            request,
            given_weights,
            given_labels,
            nan_weights=dropping,
            block_rows=block_rows,
        )
    return _without_missing(source, data) if dropping else source


def scan(data: FilePath | Sequence[str | Path], **options: Any) -> DataSource:
    r"""Open files, a folder or a pattern without reading their rows.

    Parameters
    ----------
    data : path, or list of paths
        Parquet, Arrow or CSV files, a folder, or a pattern such as ``"trips/*.parquet"``.
    **options
        As for `as_source`: `columns`, `drop`, `weights`, `labels`, `missing`, `block_rows`.

    Returns
    -------
    DataSource
        To be given to estimators in place of an array; read in every pass, in blocks.

    Raises
    ------
    DataTypeError
        `data` is not a path.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("x,y\n1,2\n3,4\n")
    ...     source = scan(f"{folder}/*.csv", columns=["y"])
    ...     source.columns, source.n_features
    (('y',), 1)
    """
    if not _is_paths(data):
        raise DataTypeError.unusable(type(data).__name__)
    return as_source(data, **options)


def read_column(data: object, name: Column) -> npt.NDArray[Any]:
    """Read the raw values of one column: targets, labels, keys.

    Parameters
    ----------
    data : array, frame, path, or list of paths
        As in `as_source`. Standard input can be read only once: read it with
        `read_standard_input` and give the result to both functions.
    name : str or int
        Name or position of the column.

    Returns
    -------
    ndarray of shape (n,)
        Of the column's own type; text as Python strings, None where missing.
        A column of a CSV file is whole numbers, numbers or text, as all its
        values allow.

    Raises
    ------
    DataError
        No such column or file.

    Examples
    --------
    >>> read_column([[1, 2], [3, 4]], "x1")
    array([2, 4])
    """
    if isinstance(data, DataSource):
        raise DataTypeError.unusable(type(data).__name__)
    if _is_paths(data):
        return _file_column(_inspected(data), name)
    frame = None if isinstance(data, np.ndarray) else as_frame(data)
    if frame is not None:
        return frame_column(frame, name)
    X = np.asarray(data) if isinstance(data, np.ndarray) else as_matrix(data)
    names = [f"x{j}" for j in range(X.shape[1])]
    return X[:, Request(columns=[name]).choose(names).features[0]]


def _is_paths(data: object) -> TypeGuard[FilePath | Sequence[str | Path]]:
    if isinstance(data, list | tuple) and data:
        return all(isinstance(one, str | Path) for one in data)
    return isinstance(data, FilePath)


Inspected = tuple[list[DataFile], list[FileFormat], list[Any]]


def _inspected(data: FilePath | Sequence[str | Path]) -> Inspected:
    """Files behind a path, with their formats and layouts."""
    if isinstance(data, str) and data == "-":
        data = read_standard_input()
    if isinstance(data, DataFile):
        files = [data]
    else:
        files = [DataFile.at(path) for path in find_files(data)]
    formats = [_FORMATS[format_name(file)] for file in files]
    pyarrow()
    return files, formats, [form.inspect(f) for f, form in zip(files, formats, strict=True)]


def _file_source(
    data: FilePath | Sequence[str | Path], request: Request, block_rows: int | None
) -> DataSource:
    files, formats, layouts = _inspected(data)
    source = FileSource(files, formats, layouts, request, block_rows)
    if files[0].content is None:
        return source
    blocks = list(source.blocks())  # standard input: keep the numbers, not the text
    (whole,) = regroup(iter(blocks), sum(block.n_rows for block in blocks), 0)
    return ArraySource(
        whole.X,
        source.columns,
        whole.w,
        whole.labels,
        block_rows=block_rows,
        whole=source.whole,
        levels=source.levels,
        name="standard input",
    )


def _unchanged(source: DataSource, request: Request, block_rows: int | None) -> DataSource:
    """Return a given source, of which columns and blocks cannot be chosen again."""
    for argument, value in (*vars(request).items(), ("block_rows", block_rows)):
        if value is not None:
            raise UsageError.argument(
                argument, value, "left out here: choose it when the source is made"
            )
    return source


def _attached(
    source: DataSource,
    weights: npt.ArrayLike | None,
    labels: npt.ArrayLike | None,
    *,
    nan_weights: bool,
) -> DataSource:
    if weights is None and labels is None:
        return source
    n_rows = source.count_rows()
    w = None if weights is None else checked_weights(weights, n_rows, nan_allowed=nan_weights)
    known = None if labels is None else checked_labels(labels, n_rows)
    return AttachedSource(source, w, known)


def _without_missing(source: DataSource, data: object) -> DataSource:
    """Leave incomplete rows out: at once in memory, while reading elsewhere."""
    if isinstance(source, ArraySource) and not isinstance(data, np.memmap):
        return source.dropping()
    return source if isinstance(source, DroppingSource) else DroppingSource(source)


def _file_column(inspected: Inspected, name: Column) -> npt.NDArray[Any]:
    """Values of one column over all files; types that differ are widened."""
    pa = pyarrow()
    tables = []
    files, formats, layouts = inspected
    for file, form, layout in zip(files, formats, layouts, strict=True):
        if layout.columns:
            at = Request(columns=[name]).choose(layout.columns).features[0]
            column = _plain(form.raw_column(file, layout, layout.columns[at]))
            tables.append(pa.table({"column": column}))
            try:
                tables = [pa.concat_tables(tables, promote_options="permissive")]
            except pa.ArrowException:
                expected = f"type {tables[0].schema.types[0]}"
                found = f"the type {column.type} in column '{name}'"
                raise DataError.schema_drift(file.name, found, files[0].name, expected) from None
    if not tables:
        return np.empty(0)
    whole = tables[0].column(0)
    if isinstance(formats[0], CsvFormat):
        whole = guessed_numbers(whole)
    return np.asarray(whole.to_numpy())


def _plain(column: ArrowObject) -> ArrowObject:
    """Arrow column with categories replaced by what they stand for."""
    if pyarrow().types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column
