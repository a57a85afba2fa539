"""Categories as numbers: which labels a column has, and the code of each value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mixtura.errors import DataError
from mixtura.source.columns import NUMERIC_KINDS

#: Labels of each column of categories; None where they are to be found in the data.
#: of these columns: "all", or positions among the features.
LevelRequest = Mapping[Any, Sequence[str] | None] | frozenset[int] | Literal["all"]

#: A column with more different values than this is no column of categories.
MOST_LEVELS = 10_000


def label_of(value: Any, kind: str) -> str:
    """Label of a value: whole numbers without a decimal point, truth as 'true' and 'false'.

    The same value has the same label in every kind of table.

    Examples
    --------
    >>> label_of(2.0, "float"), label_of("2", "integer"), label_of(True, "boolean")
    ('2', '2', 'true')
    """
    if kind == "boolean":
        return str(value).strip().lower()
    if kind in NUMERIC_KINDS:
        try:
            number = float(value)
        except ValueError:  # a word among the numbers of a text file
            return str(value).strip()
        return str(int(number)) if number.is_integer() else repr(number)
    return str(value)


def found_levels(
    values: Iterable[Any], kind: str, column: str, order: Sequence[str] | None = None
) -> tuple[str, ...] | None:
    """Labels of the different values of a column, in the order of their codes.

    Parameters
    ----------
    values : iterable
        Different values that are not missing.
    kind : str
        What the column holds, in a word.
    column : str
        Its name, for messages.
    order : sequence of str, optional
        The order that the table declares. Default: by number, or by alphabet.

    Returns
    -------
    tuple of str or None
        None for numbers that are nothing but 0 and 1: they are codes as they are.

    Raises
    ------
    DataError
        More values than `MOST_LEVELS`.
    """
    labels = {label_of(value, kind) for value in values}
    if len(labels) > MOST_LEVELS:
        raise DataError.too_many_levels(column, len(labels), MOST_LEVELS)
    if kind in NUMERIC_KINDS:
        return None if labels <= {"0", "1"} else tuple(sorted(labels, key=_by_number))
    if order is not None:
        return tuple(label for label in order if label in labels)
    return tuple(sorted(labels))


def _by_number(label: str) -> tuple[float, str]:
    try:
        return float(label), label
    except ValueError:
        return np.inf, label


def codes_of(values: Sequence[Any], kind: str, levels: Sequence[str]) -> npt.NDArray[np.float64]:
    """Code of each of some different values, -1 where it is none of the labels."""
    places = {label: at for at, label in enumerate(levels)}
    return np.array([places.get(label_of(value, kind), -1) for value in values], dtype=float)


def wanted_levels(
    request: LevelRequest | None, names: Sequence[str], features: Sequence[int]
) -> dict[int, Sequence[str] | None]:
    """Labels asked for, by position of the column among `names`."""
    if request is None:
        return {}
    if isinstance(request, str):
        return dict.fromkeys(features)
    if isinstance(request, frozenset):
        return {features[j]: None for j in sorted(request) if j < len(features)}
    places = {name: at for at, name in enumerate(names)}
    by_position: dict[int, Sequence[str] | None] = {}
    for column, levels in request.items():
        if isinstance(column, int):
            by_position[column] = levels
        elif column in places:
            by_position[places[column]] = levels
    return {at: by_position[at] for at in features if at in by_position}


def encoded_array(
    values: npt.NDArray[Any], name: str, levels: Sequence[str] | None
) -> tuple[npt.NDArray[np.float64], tuple[str, ...] | None]:
    """Codes of one column of Python objects, with its labels; None and NaN are missing."""
    known = np.array([value is not None and value == value for value in values], dtype=bool)
    kind = _kind_of(values[known])
    different = list(dict.fromkeys(values[known].tolist()))
    labels = found_levels(different, kind, name) if levels is None else tuple(levels)
    codes = np.full(len(values), np.nan)
    if labels is None:
        codes[known] = values[known].astype(float)
        return codes, None
    by_value = dict(zip(different, codes_of(different, kind, labels), strict=True))
    codes[known] = [by_value[value] for value in values[known].tolist()]
    unseen = np.flatnonzero(codes == -1)
    if len(unseen):
        row = int(unseen[0])
        raise DataError.unseen_level(name, label_of(values[row], kind), row, labels)
    return codes, labels


def _kind_of(values: npt.NDArray[Any]) -> str:
    if all(isinstance(value, bool | np.bool_) for value in values):
        return "boolean"
    numbers = all(isinstance(value, int | float | np.number) for value in values)
    return "float" if numbers else "text"
