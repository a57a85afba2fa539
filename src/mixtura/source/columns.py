"""Which columns of a table are features, weights and labels; weights and labels as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mixtura.errors import DataError, UsageError
from mixtura.source.base import Labels, Weights

# What a column may be called for somebody who reads the error message.
NUMERIC_KINDS = frozenset({"integer", "float", "decimal", "missing"})

# What a column of categories may hold.
CATEGORY_KINDS = NUMERIC_KINDS | {"text", "category", "boolean"}

Column = str | int


@dataclass(frozen=True)
class Choice:
    """Positions of the columns in use.

    Attributes
    ----------
    features : tuple of int
        Features, in the order asked for.
    weight, label : int or None
        Column of row weights and of known labels.
    """

    features: tuple[int, ...]
    weight: int | None = None
    label: int | None = None


@dataclass(frozen=True)
class Request:
    """What a caller asked for, before the names of the columns are known.

    Attributes
    ----------
    columns, drop : sequence of str or int, or None
        Features to use, in this order; columns to leave out.
    weight, label : str or None
        Name of the column of weights and of labels.
    levels : mapping, "all" or None
        Labels of columns of categories, see `mixtura.source.categories`.
    """

    columns: Sequence[Column] | None = None
    drop: Sequence[Column] | None = None
    weight: str | None = None
    label: str | None = None
    levels: Any = None

    def choose(self, names: Sequence[str]) -> Choice:
        """Positions of the chosen columns among `names`.

        Raises
        ------
        DataError
            A name is not there, or names occur twice.
        UsageError
            A column is asked for twice or in two roles.
        """
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise DataError.duplicate_columns(repeated)
        places = {name: at for at, name in enumerate(names)}
        weight = None if self.weight is None else _position(self.weight, places)
        label = None if self.label is None else _position(self.label, places)
        dropped = {_position(column, places) for column in self.drop or ()}
        if self.columns is None:
            chosen = [at for at in range(len(names)) if at not in (weight, label)]
        else:
            chosen = [_position(column, places) for column in self.columns]
            taken = Counter([*chosen, weight, label])
            twice = [names[at] for at in chosen if taken[at] > 1]
            if twice:
                raise UsageError.argument(
                    "columns", twice[0], "a column that has no other role and is named once"
                )
        return Choice(tuple(at for at in chosen if at not in dropped), weight, label)


def as_names(value: Sequence[Column] | Column | None, argument: str) -> Sequence[Column] | None:
    """Give a choice of columns as a list; one name stands for a list of one."""
    if value is None:
        return None
    if isinstance(value, str | int):
        value = [value]
    names: list[Column] = []
    for column in value:
        if isinstance(column, str):
            names.append(column)
        elif isinstance(column, int | np.integer) and not isinstance(column, bool):
            names.append(int(column))
        else:
            raise UsageError.argument(argument, column, "a column name or an integer position")
    return names


def refuse_text(
    names: Sequence[str],
    kinds: Sequence[str],
    choice: Choice,
    categories: Collection[int] = (),
) -> None:
    """Refuse columns in use that do not hold numbers, nor categories where these are wanted.

    Raises
    ------
    DataError
        Features (all of them listed), weights or labels are not numeric.
    """
    bad = {
        names[at]: kinds[at]
        for at in choice.features
        if kinds[at] not in (CATEGORY_KINDS if at in categories else NUMERIC_KINDS)
    }
    if bad:
        raise DataError.not_numeric(bad)
    if choice.weight is not None and kinds[choice.weight] not in NUMERIC_KINDS:
        raise DataError.weights(f"column '{names[choice.weight]}' holds {kinds[choice.weight]}")
    if choice.label is not None and kinds[choice.label] not in NUMERIC_KINDS:
        raise DataError.labels(
            f"column '{names[choice.label]}' holds {kinds[choice.label]}, where whole numbers "
            "are needed (-1: unknown)"
        )


def checked_weights(weights: npt.ArrayLike, n_rows: int, *, nan_allowed: bool = False) -> Weights:
    """Row weights as a float64 array.

    Parameters
    ----------
    weights : array-like of shape (n_rows,)
        Finite, >= 0, not all zero.
    n_rows : int
        Number of rows that they belong to.
    nan_allowed : bool
        Accept NaN, for rows that are about to be dropped.

    Raises
    ------
    DataError
        Another length, not numeric, negative, not finite, or all zero.
    """
    try:
        w = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError.weights("they are not numeric") from None
    if w.shape != (n_rows,):
        raise DataError.weights(f"shape {w.shape} for {n_rows} rows")
    refuse_weights(w, nan_allowed=nan_allowed)
    if not np.any(w > 0):
        raise DataError.weights("all are zero")
    return w


def refuse_weights(
    w: Weights, first_row: int = 0, where: str = "", *, nan_allowed: bool = False
) -> None:
    """Refuse weights below zero or not finite; the first one is named with its row."""
    usable = (w >= 0) & (w < np.inf)
    if nan_allowed:
        usable |= np.isnan(w)
    if not usable.all():
        at = int(np.argmin(usable))
        raise DataError.weights(f"the value at row {first_row + at}{where} is {w[at]}")


def checked_labels(labels: npt.ArrayLike, n_rows: int) -> Labels:
    """Known labels as an int32 array, -1 where unknown, or what is known of them as (n, K).

    Parameters
    ----------
    labels : array-like of shape (n_rows,) or (n_rows, K)
        Whole numbers >= -1, of which NaN is unknown. Or the prior probabilities of the
        components, rows that sum to one, where a row of NaN is unknown; or which components
        are allowed, as booleans.
    n_rows : int
        Number of rows that they belong to.

    Raises
    ------
    DataError
        Another length, not whole numbers, below -1, or rows that are no probabilities.
    """
    values = np.asarray(labels)
    if values.ndim == 2 and values.dtype.kind in "biuf":
        return _prior_rows(values, n_rows)
    if values.dtype.kind not in "iuf":
        raise DataError.labels(f"they have the type {values.dtype}, not whole numbers")
    if values.shape != (n_rows,):
        raise DataError.labels(f"shape {values.shape} for {n_rows} rows")
    return whole_labels(values)


def whole_labels(values: npt.NDArray[np.generic], first_row: int = 0) -> Labels:
    """Convert numbers to labels; NaN becomes -1."""
    numbers = values.astype(np.float64)
    numbers[np.isnan(numbers)] = -1.0
    usable = (numbers == np.floor(numbers)) & (numbers >= -1) & (numbers < 2**31)
    if not usable.all():
        at = int(np.argmin(usable))
        raise DataError.labels(
            f"the value at row {first_row + at} is {numbers[at]:g}, where whole numbers >= 0 "
            "are needed (-1: unknown)"
        )
    return numbers.astype(np.int32)


def _prior_rows(values: npt.NDArray[np.generic], n_rows: int) -> Labels:
    """What is known of each row as (n, K); as plain labels where rows are certain or unknown."""
    if len(values) != n_rows:
        raise DataError.labels(f"shape {values.shape} for {n_rows} rows")
    P = values.astype(float)
    unknown = np.isnan(P).all(axis=1)
    if values.dtype.kind == "b":
        bad = ~values.any(axis=1)
        unknown |= values.all(axis=1)
        needed = "at least one allowed component"
    else:
        with np.errstate(invalid="ignore"):
            bad = ~unknown & ~((P >= 0).all(axis=1) & (abs(P.sum(axis=1) - 1.0) <= 1e-6))
        needed = "probabilities >= 0 that sum to one, or NaN throughout"
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError.labels(f"row {at} is {P[at].tolist()}, where it needs {needed}")
    if (unknown | ((P > 0).sum(axis=1) == 1)).all():
        return np.where(unknown, -1, P.argmax(axis=1)).astype(np.int32)
    if values.dtype.kind == "b":
        return values.astype(np.bool_)
    P[unknown] = 1.0
    return P


def _position(column: Column, places: Mapping[str, int]) -> int:
    if isinstance(column, int):
        if not 0 <= column < len(places):
            raise UsageError.argument("column", column, f"a position from 0 to {len(places) - 1}")
        return column
    if column not in places:
        raise DataError.missing_columns([column], list(places))
    return places[column]
