"""How an estimator takes its rows: names of columns are learned in fit and matched later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import narwhals.stable.v1 as nw
import numpy as np
from sklearn.utils.validation import validate_data

from mixtura.errors import DataError, UsageError
from mixtura.families.spec import Column
from mixtura.labelled import with_component_labels
from mixtura.source import DataSource, as_source, read_column
from mixtura.source.categories import LevelRequest
from mixtura.source.files import DataFile
from mixtura.source.frames import as_frame


def rows_to_fit(
    model: Any,
    X: Any,
    weights: Any,
    labels: Any,
    missing: Literal["error", "drop"],
    drop: list[str] | None = None,
    columns: Sequence[Column] | None = None,
    categories: frozenset[int] | None = frozenset(),
) -> DataSource:
    """Rows as a source; `model` learns ``n_features_in_`` and, where there are names, those.

    `columns` are those to use, `categories` the positions among them that hold categories;
    None means all.
    """
    X = opened(X)
    known, spare = _known_labels(X, labels)
    spare = drop if spare is None else spare
    levels: LevelRequest | None = None
    if categories != frozenset() and not isinstance(X, DataSource):
        levels = "all" if categories is None else categories
    source = as_source(
        X, weights=_array_or_name(weights), labels=known, drop=spare, missing=missing,
        columns=_of_source(X, columns), levels=levels,
    )  # fmt: skip
    model.n_features_in_ = source.n_features
    if _has_names(X, source):
        model.feature_names_in_ = np.array(source.columns, dtype=object)
    elif hasattr(model, "feature_names_in_"):
        del model.feature_names_in_
    return source


def of_classes(source: DataSource, sizes: Sequence[int], n_components: int) -> DataSource:
    """Source whose labels are classes, each of several components side by side.

    Raises
    ------
    UsageError
        The classes do not have all components, or there are no labels.
    """
    own = [int(size) for size in sizes]
    if min(own, default=0) < 1 or sum(own) != n_components:
        raise UsageError.argument(
            "components_per_class", sizes, f"numbers >= 1 whose sum is n_components={n_components}"
        )
    if not source.has_labels:
        raise UsageError.argument("components_per_class", sizes, "left out where there is no label")
    return with_component_labels(source, own)


def rows_to_use(model: Any, X: Any, weights: Any = None) -> DataSource:
    """Rows as a source with the columns of the fit: by name where there are names.

    Raises
    ------
    DataError
        A column of the fit is missing, or the number of columns differs.
    """
    X = opened(X)
    names = getattr(model, "feature_names_in_", None)
    levels = getattr(model, "levels_", None) or None
    chosen: Sequence[Column] | None = None
    if names is not None and (isinstance(X, nw.DataFrame) or _is_file(X)):
        chosen = list(names)
    elif not isinstance(X, DataSource):
        chosen = _positions(model)
    if isinstance(X, DataSource):
        _compare_levels(levels or {}, X)
        levels = None
    source = as_source(X, weights=_array_or_name(weights), columns=chosen, levels=levels)
    if source.n_features != model.n_features_in_:
        raise DataError.width(source.n_features, model.n_features_in_, type(model).__name__)
    if names is not None and isinstance(X, DataSource):
        _compare_names(list(names), source.columns)
    elif chosen is None and not isinstance(X, nw.DataFrame | DataSource) and not _is_file(X):
        # scikit-learn's own warning when names were known in fit and are not here
        validate_data(model, X, reset=False, skip_check_array=True)
    return source


def opened(X: Any) -> Any:
    """Frames and Arrow streams as frames, read once; everything else as it is."""
    if isinstance(X, np.ndarray | DataSource) or _is_file(X):
        return X
    frame = as_frame(X)
    return X if frame is None else frame


def _is_file(X: Any) -> bool:
    """Paths and lists of paths: what becomes a source without being an array or a frame."""
    if isinstance(X, np.ndarray | DataSource | nw.DataFrame):
        return False
    first = X[0] if isinstance(X, list | tuple) and X else X
    return isinstance(first, str | Path | DataFile)


def _has_names(X: Any, source: DataSource) -> bool:
    """Whether the columns were named by somebody; x0, x1, ... are not names."""
    if isinstance(X, nw.DataFrame):
        return all(isinstance(name, str) for name in X.columns)
    if not isinstance(X, DataSource) and not _is_file(X):
        return False
    return source.columns != _default_names(source.n_features)


def _default_names(n_features: int) -> tuple[str, ...]:
    return tuple(f"x{j}" for j in range(n_features))


def _positions(model: Any) -> list[Column] | None:
    """Columns of an array that a fit chose among others, by the names that they got."""
    names = getattr(getattr(model, "fitted_", None), "columns", ())
    of_array = all(name[:1] == "x" and name[1:].isdecimal() for name in names)
    if hasattr(model, "feature_names_in_") or names == _default_names(len(names)) or not of_array:
        return None
    return list(names) or None


def _of_source(X: Any, columns: Sequence[Column] | None) -> Sequence[Column] | None:
    """Columns to choose; a source has chosen them already, and must have the same."""
    if columns is None or not isinstance(X, DataSource):
        return columns
    found = list(X.columns)
    wanted = [found[c] if isinstance(c, int) and c < len(found) else str(c) for c in columns]
    _compare_names(wanted, found)
    return None


def _compare_levels(levels: Mapping[str, Sequence[str]], source: DataSource) -> None:
    """A source has its codes already: they must mean what they meant in the fit."""
    for name, labels in levels.items():
        if source.levels.get(name, labels) != labels:
            found = f"a source with other labels in '{name}'"
            raise UsageError.argument("X", found, "as_source(..., levels=model.levels_)")


def _compare_names(names: Sequence[str], found: Sequence[str]) -> None:
    """A source keeps its columns, so they must be those of the fit, in the same order."""
    if list(found) == list(names) or tuple(found) == _default_names(len(found)):
        return
    absent = [name for name in names if name not in found]
    if absent:
        raise DataError.missing_columns(absent, found)
    raise UsageError.argument(
        "X", f"columns {', '.join(found)}", f"in the order {', '.join(names)}"
    )


def _array_or_name(weights: Any) -> Any:
    return weights if weights is None or isinstance(weights, str) else np.asarray(weights)


def _known_labels(X: Any, labels: Any) -> tuple[Any, list[str] | None]:
    """Labels as numbers, or as the name of a column that holds numbers; columns to leave out."""
    if labels is None:
        return None, None
    if not isinstance(labels, str):
        return label_codes(np.asarray(labels)), None
    if isinstance(X, DataSource):
        return labels, None
    values = read_column(X, labels)
    return (labels, None) if values.dtype.kind in "iuf" else (label_codes(values), [labels])


def label_codes(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Known labels as numbers: numbers as they are, other values numbered in sorted order.

    None and NaN mean unknown, -1.

    Examples
    --------
    >>> label_codes(np.array(["b", None, "a", "b"], dtype=object))
    array([ 1, -1,  0,  1])
    """
    if values.dtype.kind in "iuf" or values.ndim != 1:
        return values
    known = np.array([value is not None and value == value for value in values], dtype=bool)
    codes = np.full(len(values), -1)
    present = values[known].tolist()
    if present and {type(value) for value in present} <= {int, float}:
        numbers = codes.astype(float)
        numbers[known] = present
        return numbers
    codes[known] = np.unique(np.array([str(value) for value in present]), return_inverse=True)[1]
    return codes
