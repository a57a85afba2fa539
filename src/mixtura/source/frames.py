"""Data frames of any library, converted once to a float64 array.

No frame library is imported here: somebody who hands over a frame has imported
its library already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import numpy.typing as npt
from narwhals.exceptions import DuplicateError

from mixtura.errors import DataError, UsageError
from mixtura.source.arrays import ArraySource
from mixtura.source.base import Labels, Weights
from mixtura.source.categories import codes_of, found_levels, label_of, wanted_levels
from mixtura.source.columns import (
    NUMERIC_KINDS,
    Choice,
    Request,
    checked_labels,
    checked_weights,
    refuse_text,
)

Frame = nw.DataFrame[Any]

_KINDS = {
    "String": "text",
    "Categorical": "category",
    "Enum": "category",
    "Boolean": "boolean",
    "Datetime": "date",
    "Date": "date",
    "Time": "time",
    "Duration": "duration",
}


def as_frame(data: object) -> Frame | None:
    """View a frame of any library through narwhals; None if `data` is no frame.

    Lazy frames are computed, and streams of Arrow data are read, into memory.
    """
    if isinstance(data, nw.DataFrame):
        return data
    try:
        frame: Any = nw.from_native(data, pass_through=True)
    except DuplicateError:
        names = Counter(str(name) for name in getattr(data, "columns", ()))
        repeated = [name for name, count in names.items() if count > 1]
        raise DataError.duplicate_columns(repeated) from None
    if isinstance(frame, nw.LazyFrame):
        return frame.collect()
    if isinstance(frame, nw.DataFrame):
        return frame
    if _is_arrow_stream(data):
        return nw.from_native(_arrow_table(data), eager_only=True)
    return None


def frame_source(
    frame: Frame,
    request: Request,
    weights: npt.ArrayLike | None,
    labels: npt.ArrayLike | None,
    *,
    nan_weights: bool,
    block_rows: int | None,
) -> ArraySource:
    """Make a source of the chosen columns of a frame; nulls become NaN.

    See `mixtura.source.as_source` for the arguments and errors.
    """
    names = [str(name) for name in frame.columns]
    choice = request.choose(names)
    _refuse_empty(frame, choice)
    series = [frame[:, at] for at in range(len(names))]
    kinds = [column_kind(column) for column in series]
    wanted = wanted_levels(request.levels, names, choice.features)
    refuse_text(names, kinds, choice, wanted)
    n_rows = len(frame)
    X = np.empty((n_rows, len(choice.features)))
    levels: dict[str, tuple[str, ...]] = {}
    for j, at in enumerate(choice.features):
        if at in wanted:
            X[:, j], found = categories(series[at], kinds[at], names[at], wanted[at])
            levels |= {names[at]: found} if found is not None else {}
        else:
            X[:, j] = numbers(series[at])
    if choice.weight is not None:
        weights = numbers(series[choice.weight])
    if choice.label is not None:
        labels = numbers(series[choice.label])
    w: Weights | None = None
    if weights is not None:
        w = checked_weights(weights, n_rows, nan_allowed=nan_weights)
    known: Labels | None = None if labels is None else checked_labels(labels, n_rows)
    whole = frozenset(
        j for j, at in enumerate(choice.features) if kinds[at] == "integer" and at not in wanted
    )
    columns = [names[at] for at in choice.features]
    return ArraySource(X, columns, w, known, block_rows=block_rows, whole=whole, levels=levels)


def frame_column(frame: Frame, name: str | int) -> npt.NDArray[Any]:
    """Raw values of one column of a frame, as an array of its own type."""
    names = [str(column) for column in frame.columns]
    if isinstance(name, str) and name not in names:
        raise DataError.missing_columns([name], names)
    at = names.index(name) if isinstance(name, str) else name
    if not 0 <= at < len(names):
        raise UsageError.argument("name", name, f"a column name, or 0 to {len(names) - 1}")
    column = frame[:, at]
    kind = column_kind(column)
    values = np.asarray(column.to_numpy())
    if kind not in NUMERIC_KINDS and values.dtype.kind not in "bMm":
        return np.array(column.to_list(), dtype=object)  # None where a text is missing
    return values


def column_kind(column: nw.Series[Any]) -> str:
    """Say what a column holds, in a word for people: 'integer', 'float', 'text', 'date', ..."""
    dtype = column.dtype
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "float"
    if dtype.is_decimal():
        return "decimal"
    name = type(dtype).__name__
    if name in ("Object", "Unknown"):
        return _kind_of_objects(column)
    return _KINDS.get(name, str(dtype))


def numbers(column: nw.Series[Any]) -> npt.NDArray[np.float64]:
    """Convert a numeric column to float64, nulls to NaN."""
    if column.dtype.is_numeric():
        return np.asarray(column.cast(nw.Float64).to_numpy(), dtype=np.float64)
    return _numbers_of_objects(column)


def categories(
    column: nw.Series[Any], kind: str, name: str, levels: Sequence[str] | None
) -> tuple[npt.NDArray[np.float64], tuple[str, ...] | None]:
    """Codes of a column of categories, nulls as NaN, with its labels.

    Labels that are not given are found; numbers 0 and 1 need none.
    """
    order = None
    if kind == "category":
        order = [str(label) for label in column.cat.get_categories().to_list()]
        column = column.cast(nw.String)
    present = ~column.is_null()
    if kind in NUMERIC_KINDS:
        values = numbers(column)
        present_at = np.flatnonzero(~np.isnan(values))
        different, place = np.unique(values[present_at], return_inverse=True)
    else:
        present_at = np.flatnonzero(present.to_numpy())
        column = column.filter(present)
        different = np.array(column.unique().to_list(), dtype=object)
        numbered = dict(zip(different.tolist(), range(len(different)), strict=True))
        place = np.array([numbered[value] for value in column.to_list()], dtype=np.intp)
    labels = tuple(levels) if levels is not None else found_levels(different, kind, name, order)
    codes = np.full(len(present), np.nan)
    if labels is None:
        codes[present_at] = different[place]
        return codes, None
    own = codes_of(different.tolist(), kind, labels)
    codes[present_at] = own[place]
    unseen = np.flatnonzero(codes == -1)
    if len(unseen):
        row = int(unseen[0])
        value = different[place[np.searchsorted(present_at, row)]]
        raise DataError.unseen_level(name, label_of(value, kind), row, labels)
    return codes, labels


def _kind_of_objects(column: nw.Series[Any]) -> str:
    """Kind of a column without a type of its own: Python objects, sparse, or nothing at all."""
    present = column.filter(~column.is_null()).to_list()
    if not present:
        return "missing"
    if any(isinstance(value, str | bytes) for value in present):
        return "text"
    if any(isinstance(value, bool | np.bool_) for value in present):
        return "boolean"
    try:
        np.array(present, dtype=object).astype(np.float64)
    except (TypeError, ValueError):
        return f"objects of type {type(present[0]).__name__}"
    return "float"


def _numbers_of_objects(column: nw.Series[Any]) -> npt.NDArray[np.float64]:
    missing = column.is_null().to_list()
    values = column.to_list()
    return np.array(
        [np.nan if gone else float(value) for value, gone in zip(values, missing, strict=True)]
    )


def _refuse_empty(frame: Frame, choice: Choice) -> None:
    if not choice.features:
        raise DataError.empty_array("feature", (len(frame), 0))
    if len(frame) == 0:
        raise DataError.empty_array("sample", (0, len(choice.features)))


def _is_arrow_stream(data: object) -> bool:
    """Whether data speak Arrow's C interface for tables (and are no single column)."""
    if isinstance(data, np.ndarray) or not hasattr(data, "__arrow_c_stream__"):
        return False
    return not isinstance(nw.from_native(data, pass_through=True, allow_series=True), nw.Series)


def _arrow_table(data: object) -> object:
    try:
        import pyarrow as pa
    except ImportError:
        raise UsageError.needs_package("reading an Arrow stream", "pyarrow", "cli") from None
    return pa.table(data)
