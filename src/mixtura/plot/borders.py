"""Borders between components or classes in two columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura.errors import UsageError
from mixtura.families import Support
from mixtura.plot.densities import frame, grid, mesh, points, supports
from mixtura.plot.given import MOST_POINTS, ColumnNames, Rows, chosen_columns, look
from mixtura.plot.style import WHOLE, axes, colour, legend, plain, tidy
from mixtura.stats import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAP_POINTS = 241


def boundaries(
    model: Any,
    data: Any = None,
    *,
    columns: ColumnNames = None,
    y: Any = None,
    max_points: int = MOST_POINTS,
    ax: Axes | None = None,
) -> Axes:
    """Draw which component or class is the most probable at every place of two columns.

    Parameters
    ----------
    model : estimator, Fitted, Mixture, or classifier with ``predict_proba`` and ``classes_``
        A classifier must have been fitted on exactly two columns.
    data : array, frame, path or DataSource, optional
        Rows. A classifier needs them for the range of the axes.
    columns : two of str or int, optional
        Columns of a mixture; default: the first two.
    y : array of shape (n,), optional
        Classes of the rows: their colours. Default: those predicted.
    max_points, ax
        See `density`.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture, plot
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> ax = plot.boundaries(GaussianMixture(2, random_state=0).fit(X), X)
    """
    is_classifier = hasattr(model, "predict_proba") and hasattr(model, "classes_")
    made = _classes(model, data, y) if is_classifier else _groups(model, data, columns, y)
    places, R, words, names, X, own = made
    ax = axes(ax)
    _regions_of(ax, places, R, words)
    if X is not None and own is not None:
        chosen = Rows(X, np.ones(len(X)), np.arange(len(X))).some(max_points)
        points(ax, chosen.X, [colour(k) for k in own[chosen.index]], alpha=0.9)
    legend(ax)
    return tidy(ax, *names)


def _regions_of(ax: Axes, places: list[Array], R: Array, words: list[str]) -> None:
    """Fill each place with the colour of the most probable one, and draw the borders."""
    from matplotlib.colors import to_rgb

    shape = (len(places[1]), len(places[0]))
    best = R.argmax(axis=1).reshape(shape)
    shades = np.array([[1 - 0.25 * (1 - c) for c in to_rgb(colour(k))] for k in range(len(words))])
    x, y = places
    ax.pcolormesh(x, y, shades[best], shading="nearest", rasterized=True)
    for k, word in enumerate(words):
        if (best == k).any() and (best != k).any():
            margin = R[:, k] - np.delete(R, k, axis=1).max(axis=1)
            ax.contour(x, y, margin.reshape(shape), [0.0], colors=WHOLE, linewidths=0.8)
        ax.scatter([], [], s=40, marker="s", color=colour(k), label=plain(word))


Mapped = tuple[list[Array], Array, list[str], list[str], Array | None, Any]


def _classes(model: Any, data: Any, y: Any) -> Mapped:
    """Places, probabilities there, words for the classes, names, rows and their classes."""
    X = np.asarray(data, dtype=float)
    if X.ndim != 2 or X.shape[1] != 2:
        raise UsageError.argument("data", X.shape, "rows of the classifier's two columns")
    low, high = X.min(axis=0), X.max(axis=0)
    margin = 0.05 * (high - low) + (high == low)
    places = grid(low - margin, high + margin, [Support.REAL] * 2, MAP_POINTS)
    if y is None:
        own = np.asarray(model.predict_proba(X)).argmax(axis=1)
    else:
        own = np.searchsorted(model.classes_, np.asarray(y))
    R = np.asarray(model.predict_proba(mesh(places)))
    return places, R, [str(one) for one in model.classes_], _own_names(model, data), X, own


def _groups(model: Any, data: Any, columns: ColumnNames, y: Any) -> Mapped:
    """The same for the components of a mixture."""
    seen, rows = look(model, data)
    at = chosen_columns(seen, columns, 2)
    if len(at) != 2:
        raise UsageError.argument("columns", columns, "two columns")
    mixture = seen.mixture.marginal(at)
    X = None if rows is None else rows.X[:, at]
    places = grid(*frame(mixture, X), supports(mixture), MAP_POINTS)
    own: Any = None if rows is None else seen.mixture.predict(rows.X)
    if y is not None and rows is not None:
        own = np.unique(np.asarray(y)[rows.index], return_inverse=True)[1]
    words = [f"component {k}" for k in range(mixture.n_components)]
    R = mixture.responsibilities(mesh(places))
    return places, R, words, [seen.columns[j] for j in at], X, own


def _own_names(model: Any, data: Any) -> list[str]:
    names = getattr(model, "feature_names_in_", getattr(data, "columns", ("x0", "x1")))
    return [str(name) for name in names]
