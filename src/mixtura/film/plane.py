"""The plane in which a film shows its rows: chosen columns, or where components part best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from mixtura.mixture import Mixture
from mixtura.stats import Array

#: Variance along a direction that is nothing but rounding.
NO_VARIANCE = 1e-12


@dataclass(frozen=True, eq=False)
class Plane:
    """Where rows are shown: ``(X - origin) @ directions``, (n, 2) or (n, 1).

    Attributes
    ----------
    origin : ndarray of shape (d,)
    directions : ndarray of shape (d, 2) or (d, 1)
    names : tuple of str
        Of the axes.
    """

    origin: Array
    directions: Array
    names: tuple[str, ...]

    def place(self, X: Array) -> Array:
        """Places of rows."""
        return np.asarray((X - self.origin) @ self.directions)


def column_plane(at: list[int], columns: tuple[str, ...]) -> Plane:
    """One or two columns as they are.

    Examples
    --------
    >>> import numpy as np
    >>> column_plane([1], ("a", "b")).place(np.array([[3.0, 4.0]]))
    array([[4.]])
    """
    d = len(columns)
    return Plane(np.zeros(d), np.eye(d)[:, at], tuple(columns[j] for j in at))


def best_plane(mixture: Mixture, X: Array, w: Array, columns: tuple[str, ...]) -> Plane:
    """The plane in which scatter between components is largest, compared with that within them.

    Parameters
    ----------
    mixture : Mixture
        Its responsibilities say which rows are whose.
    X : ndarray of shape (n, d)
        Rows, d > 2.
    w : ndarray of shape (n,)
        Their weights.
    columns : tuple of str
        Names of the columns.

    Returns
    -------
    Plane
        Within components, rows have unit variance along both axes. With two
        components there is one such direction; the other is that of the largest
        variance of what is left.

    Notes
    -----
    Fisher (1936), Rao (1948): linear discriminant coordinates.
    """
    R = mixture.responsibilities(X) * w[:, None]
    mass = R.sum(axis=0)
    used = mass > 0
    origin = (w @ X) / w.sum()
    means = (R.T @ (X - origin))[used] / mass[used, None]
    total = (X - origin).T @ ((X - origin) * w[:, None]) / w.sum()
    between = means.T @ (means * (mass[used] / w.sum())[:, None])
    scale = np.sqrt(np.diagonal(total))
    scale = np.where(scale > 0, scale, 1.0)  # columns in units of their own spread
    within = (total - between) / np.outer(scale, scale)
    within += 1e-9 * np.eye(len(within))  # columns may be collinear
    values, vectors = linalg.eigh(between / np.outer(scale, scale), within)
    first, second = vectors[:, -1], vectors[:, -2]
    if values[-2] < NO_VARIANCE * max(values[-1], 1.0) + 1e-9:
        second = _rest(total / np.outer(scale, scale), within, first)
    directions = np.column_stack([first, second]) / scale[:, None]
    # what a direction is called after: the column that goes with it most closely
    alike = total @ directions / scale[:, None]
    largest = np.abs(alike).argmax(axis=0)
    directions = directions * np.sign(alike[largest, range(2)])
    names = tuple(f"direction {i + 1} (most like {columns[j]})" for i, j in enumerate(largest))
    return Plane(origin, directions, names)


def _rest(total: Array, within: Array, first: Array) -> Array:
    """Direction of the largest variance among those without correlation to the first."""
    away = within @ first
    basis = linalg.null_space(away[None])
    _, vectors = linalg.eigh(basis.T @ total @ basis)
    found = basis @ vectors[:, -1]
    return np.asarray(found / np.sqrt(found @ within @ found))
