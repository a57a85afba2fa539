"""Classes as they come in: numbers, text, and rows whose class is not known."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtura.errors import DataError, UsageError
from mixtura.stats import IntArray


def coded(
    values: np.ndarray[Any, Any], unlabelled: Any = "auto", weights: Any = None
) -> tuple[np.ndarray[Any, Any], IntArray]:
    """Classes, sorted, and the place of each row's class among them.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Class of each row: numbers, text or booleans. None and NaN are unknown.
    unlabelled : object, default="auto"
        A value that stands for unknown, too. "auto": -1, if there are two other classes;
        so -1 and 1 are two classes. None: no value.
    weights : array-like of shape (n,), optional
        A class counts only if it has a row of positive weight.

    Returns
    -------
    classes : ndarray of shape (C,)
        In the type of `values`.
    codes : ndarray of shape (n,)
        From 0; -1 where unknown.

    Raises
    ------
    DataError
        No row has a class, or classes are of several types.

    Examples
    --------
    >>> coded(np.array(["b", None, "a", "b"], dtype=object))
    (array(['a', 'b'], dtype=object), array([ 1, -1,  0,  1]))
    >>> coded(np.array([-1, 0, 1]))[1], coded(np.array([-1, 1]))[1]
    (array([-1,  0,  1]), array([0, 1]))
    """
    known = np.array([not _is_missing(value) for value in values.tolist()], dtype=bool)
    if values.dtype.kind == "f" and np.isinf(values).any():
        raise DataError.labels("Input y contains infinity, which is no class")
    if not known.all() or values.dtype.kind == "O":
        values = _without_gaps(values, known)
    used = known if weights is None else known & (np.asarray(weights) > 0)
    if known.any() and not used.any():
        raise DataError.weights("all rows of known class have weight zero")
    classes = _sorted(values[used])
    if isinstance(unlabelled, str) and unlabelled == "auto":
        is_number = values.dtype.kind in "if"
        given = bool(is_number and (classes == -1).any() and (classes != -1).sum() >= 2)
        marks = [-1] if given else []
    else:
        marks = [] if unlabelled is None else [unlabelled]
    for mark in marks:
        classes, known = classes[classes != mark], known & (values != mark)
    if not len(classes):
        raise DataError.labels("no row has a class: a classifier needs some")
    codes = np.full(len(values), -1)
    place = {value: at for at, value in enumerate(classes.tolist())}
    codes[known] = [place.get(value, -1) for value in values[known].tolist()]
    return classes, codes


def by_class(value: Any, classes: np.ndarray[Any, Any], name: str) -> list[Any]:
    """One value for each class: of a mapping, or the same for all.

    Raises
    ------
    UsageError
        The mapping lacks a class, or names one that does not exist.
    """
    if not isinstance(value, dict):
        return [value] * len(classes)
    names = classes.tolist()
    if set(value) != set(names):
        raise UsageError.argument(name, value, f"a value for each class: {names}")
    return [value[one] for one in names]


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType" or value != value


def _without_gaps(values: np.ndarray[Any, Any], known: Any) -> np.ndarray[Any, Any]:
    """Numbers in the type that they would have without missing ones, which become zero."""
    present = np.asarray(values[known].tolist())
    if present.dtype.kind not in "iufb" or not len(present):
        return values
    if present.dtype.kind == "f" and (present == np.floor(present)).all():
        present = present.astype(np.int64)
    filled = np.zeros(len(values), dtype=present.dtype)
    filled[known] = present
    return filled


def _sorted(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    try:
        return np.unique(values)
    except TypeError:
        raise DataError.labels("classes are of several types: make all of them text") from None
