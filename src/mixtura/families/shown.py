"""Parameters of components as people read them: numbers under a title, each with a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mixtura.stats import Array


class Shown(NamedTuple):
    """One kind of parameter of all components.

    Attributes
    ----------
    title : str
        What the numbers are.
    values : ndarray of shape (K, m)
        The numbers, in units of the data.
    columns : sequence of int or None
        Column that each of the m numbers belongs to; None: to no single one.
    labels : sequence of str
        What tells numbers of one column apart, such as a category; may be empty.
    errors : ndarray of shape (K, m), optional
        Standard errors, of a single density.
    scales : ndarray of shape (K, m), optional
        How precisely the numbers matter, such as standard deviations of means.
    short : bool
        The names say what the numbers are; tables may leave out the title.
    """

    title: str
    values: Array
    columns: Sequence[int | None]
    labels: Sequence[str] = ()
    errors: Array | None = None
    scales: Array | None = None
    short: bool = False


def shown_arrays(
    arrays: Mapping[str, Array], errors: Sequence[Array] | None, n_features: int
) -> list[Shown]:
    """Parameter arrays under their own names: one number per column, or numbered from 0."""
    result = []
    for at, (name, array) in enumerate(arrays.items()):
        values = array.reshape(len(array), -1)
        m = values.shape[1]
        error = None if errors is None else np.asarray(errors[at]).reshape(len(array), -1)
        title = name.replace("_", " ")
        if m == n_features:
            result.append(Shown(title, values, range(m), errors=error))
        else:
            labels = [str(j) for j in range(m)] if m > 1 else [""]
            result.append(Shown(title, values, [None] * m, labels, error))
    return result
