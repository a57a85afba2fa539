"""Components and what they say of rows: ellipses, classification, uncertainty, boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import linalg

from mixtura.errors import UsageError
from mixtura.mixture import Mixture
from mixtura.plot.densities import (
    CURVE_POINTS,
    apart,
    component_log_density,
    density,
    frame,
    grid,
    levels_of,
    mesh,
    points,
    supports,
)
from mixtura.plot.given import MOST_POINTS, ColumnNames, Model, Rows, chosen_columns, look
from mixtura.plot.style import ROWS, WHOLE, axes, colour, legend, tidy
from mixtura.stats import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAP_POINTS = 241

#: Rows of a heat map.
HEAT_ROWS = 1_000


def components(
    model: Any,
    data: Any = None,
    *,
    columns: ColumnNames = None,
    probabilities: Sequence[float] = (0.5, 0.95),
    max_points: int = MOST_POINTS,
    ax: Axes | None = None,
) -> Axes:
    """Draw the components in two columns: their means, and the regions that hold most of them.

    Parameters
    ----------
    model : estimator, Fitted or Mixture
        A fitted model. With one column the components' densities are drawn.
    data : array, frame, path or DataSource, optional
        Rows, drawn as grey points.
    columns : two of str or int, optional
        Columns to show. Default: the first two.
    probabilities : sequence of float
        Probability of the region within each ellipse, under its component alone;
        in two columns one standard deviation holds 39 %, not 68 %.
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
    >>> ax = plot.components(GaussianMixture(2, random_state=0).fit(X), X, probabilities=[0.5])
    >>> len(ax.patches)
    2
    """
    seen, rows = look(model, data)
    at = chosen_columns(seen, columns, 2)
    if len(at) == 1:
        return density(model, rows, columns=at, ax=ax)
    ax = axes(ax)
    mixture = seen.mixture.marginal(at)
    X = None if rows is None else rows.X[:, at]
    low, high = frame(mixture, X)
    if rows is not None:
        points(ax, apart(rows.some(max_points).X[:, at], mixture), ROWS, alpha=0.45)
    regions(ax, mixture, probabilities)
    means(ax, mixture)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    legend(ax)
    return tidy(ax, *(seen.columns[j] for j in at))


def classification(
    model: Any,
    data: Any,
    *,
    columns: ColumnNames = None,
    show: Literal["transparency", "size", "neither"] = "transparency",
    probability: float | None = 0.95,
    max_points: int = MOST_POINTS,
    ax: Axes | None = None,
) -> Axes:
    """Draw rows in the colour of their most probable component.

    Parameters
    ----------
    model : estimator, Fitted or Mixture
        A fitted model; all its columns decide, also those that are not drawn.
    data : array, frame, path or DataSource
        Rows.
    columns : two of str or int, optional
        Columns to show. Default: the first two. A single one is drawn against
        the probability of the component.
    show : {"transparency", "size", "neither"}
        How uncertainty is seen: rows fade, or grow, as their largest
        probability falls from 1 to 1 / K.
    probability : float or None
        Draw each component's region that holds this probability; None: none.
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
    >>> ax = plot.classification(GaussianMixture(2, random_state=0).fit(X), X, show="size")
    """
    if show not in ("transparency", "size", "neither"):
        raise UsageError.argument("show", show, "'transparency', 'size' or 'neither'")
    seen, rows = look(model, data)
    assert rows is not None
    rows = rows.some(max_points)
    at = chosen_columns(seen, columns, 2)
    ax = axes(ax)
    R = seen.mixture.responsibilities(rows.X)
    best, doubt = R.argmax(axis=1), _doubt(R)
    names = [seen.columns[j] for j in at]
    if len(at) == 1:
        places = np.column_stack([rows.X[:, at[0]], R.max(axis=1)])
        names.append("probability of the component")
    else:
        places = rows.X[:, at]
        try:
            shown = seen.mixture.marginal(at)
        except UsageError:  # rows can be drawn all the same
            probability = None
        else:
            places = apart(places, shown)
        if probability is not None:
            regions(ax, shown, [probability], named=False)
    for k in range(seen.mixture.n_components):
        own = best == k
        if own.any():
            _points_of(ax, places[own], doubt[own], k, show, len(places))
    legend(ax)
    return tidy(ax, *names)


def uncertainty(
    model: Any,
    data: Any = None,
    *,
    columns: ColumnNames = None,
    max_points: int = MOST_POINTS,
    ax: Axes | None = None,
) -> Axes:
    """Draw one minus the largest probability of a component: over the plane, or along one column.

    Parameters
    ----------
    model : estimator, Fitted or Mixture
        A fitted model.
    data : array, frame, path or DataSource, optional
        Rows: each as large as its uncertainty under all columns.
    columns : one or two of str or int, optional
        Columns to show; with more, the map is that of the marginal mixture.
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
    >>> ax = plot.uncertainty(GaussianMixture(2, random_state=0).fit(X), X)
    """
    seen, rows = look(model, data)
    at = chosen_columns(seen, columns, 2)
    ax = axes(ax)
    mixture = seen.mixture.marginal(at)
    X = None if rows is None else rows.X[:, at]
    low, high = frame(mixture, X)
    places = grid(low, high, supports(mixture), _sides(len(at)))
    names = [seen.columns[j] for j in at]
    what = "uncertainty: 1 - largest probability"
    if len(at) == 1:
        R = mixture.responsibilities(places[0][:, None])
        ax.plot(places[0], 1.0 - R.max(axis=1), color=WHOLE)
        names.append(what)
    else:
        R = mixture.responsibilities(mesh(places))
        heights = (1.0 - R.max(axis=1)).reshape(len(places[1]), len(places[0]))
        top = 1.0 - 1.0 / max(mixture.n_components, 2)
        image = ax.pcolormesh(
            *places, heights, cmap="Greys", vmin=0.0, vmax=top, shading="nearest", rasterized=True
        )
        ax.figure.colorbar(image, ax=ax, label=what)
    if rows is not None:
        _doubtful(ax, seen, rows.some(max_points), at)
    ax.set_xlim(low[0], high[0])
    return tidy(ax, *names)


def responsibilities(
    model: Any, data: Any, *, max_points: int = HEAT_ROWS, ax: Axes | None = None
) -> Axes:
    """Draw the probability of each component given each row as a heat map.

    Parameters
    ----------
    model : estimator, Fitted or Mixture
        A fitted model.
    data : array, frame, path or DataSource
        Rows. They are sorted by their most probable component, surest first.
    max_points : int
        At most so many rows, chosen at random but always the same ones.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture, plot
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> ax = plot.responsibilities(GaussianMixture(2, random_state=0).fit(X), X)
    """
    seen, rows = look(model, data)
    assert rows is not None
    rows = rows.some(max_points)
    ax = axes(ax)
    R = seen.mixture.responsibilities(rows.X)
    order = np.lexsort([-R.max(axis=1), R.argmax(axis=1)])
    n_components = R.shape[1]
    image = ax.imshow(
        R[order], aspect="auto", interpolation="nearest", cmap="cividis", vmin=0.0, vmax=1.0
    )
    ax.figure.colorbar(image, ax=ax, label="probability of the component given the row")
    if n_components <= 20:
        ax.set_xticks(range(n_components), [str(k) for k in range(n_components)])
    return tidy(ax, "component", "rows, by most probable component")


def regions(
    ax: Axes, mixture: Mixture, probabilities: Sequence[float], *, named: bool = True
) -> None:
    """Draw the densest region of each component at each probability: ellipses or contours.

    Categories have no regions, nor has noise.

    Raises
    ------
    UsageError
        A probability is not between 0 and 1.
    """
    if not all(0 < p < 1 for p in probabilities):
        raise UsageError.argument("probabilities", probabilities, "numbers between 0 and 1")
    if any(support.is_category for support in supports(mixture)):
        return
    for line, probability in enumerate(sorted(probabilities)):
        matrices = mixture.family.regions(mixture.params, probability)
        style = ("-", "--", ":", "-.")[line % 4]
        if named and mixture.n_components:
            ax.plot([], [], color=WHOLE, ls=style, lw=1.2, label=f"holds {100 * probability:g} %")
        for k in np.flatnonzero(~mixture.family.fixed(mixture.params)).tolist():
            if matrices is None:
                _contour_of(ax, mixture, k, probability, style)
            else:
                ax.add_patch(_ellipse(mixture.means[k], matrices[k], colour(k), style))


def ellipse(matrix: Array) -> tuple[float, float, float]:
    """Width, height and angle in degrees of the ellipse x' M^-1 x = 1.

    Examples
    --------
    >>> import numpy as np
    >>> ellipse(np.diag([4.0, 1.0]))
    (4.0, 2.0, 0.0)
    """
    values, vectors = linalg.eigh(matrix)
    along = vectors[:, 1]
    angle = float(np.degrees(np.arctan2(along[1], along[0]))) % 180.0
    width, height = 2.0 * np.sqrt(values[::-1])
    return float(width), float(height), angle


def means(ax: Axes, mixture: Mixture) -> None:
    """Mark the means with the numbers of their components."""
    for k in np.flatnonzero(~mixture.family.fixed(mixture.params)).tolist():
        x, y = mixture.means[k]
        ax.plot(x, y, "o", color=colour(k), ms=12, mec="white", mew=1.2, zorder=5)
        ax.annotate(
            str(k), (x, y), color="white", ha="center", va="center", fontsize=7,
            fontweight="bold", zorder=6, annotation_clip=True,
        )  # fmt: skip


def _ellipse(mean: Array, matrix: Array, own: str, style: str) -> Any:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Ellipse

    width, height, angle = ellipse(matrix)
    return Ellipse(
        (float(mean[0]), float(mean[1])), width, height, angle=angle, ls=style, lw=1.6,
        facecolor=to_rgba(own, 0.08), edgecolor=own,
    )  # fmt: skip


def _contour_of(ax: Axes, mixture: Mixture, k: int, probability: float, style: str) -> None:
    """Region of one component whose densest region is no ellipse: by sampling, on a grid."""
    one = Mixture(mixture.family, np.ones(1), mixture.family.take(mixture.params, np.array([k])))
    (level,) = levels_of(one, [probability])
    places = grid(*frame(one, None), supports(one), CURVE_POINTS // 4)
    heights = component_log_density(one, mesh(places))[:, 0]
    ax.contour(
        *places, heights.reshape(len(places[1]), len(places[0])), [level],
        colors=[colour(k)], linewidths=1.6, linestyles=style,
    )  # fmt: skip


def _doubt(R: Array) -> Array:
    """Uncertainty as a share of the greatest possible one, (n,)."""
    n_components = R.shape[1]
    return np.asarray((1.0 - R.max(axis=1)) / (1.0 - 1.0 / max(n_components, 2)))


def _points_of(ax: Axes, X: Array, doubt: Array, k: int, show: str, n_all: int) -> None:
    from matplotlib.colors import to_rgba

    colours = np.tile(to_rgba(colour(k)), (len(X), 1))
    size: Any = np.full(len(X), float(np.clip(3600.0 / n_all, 7.0, 26.0)))
    if show == "transparency":
        colours[:, 3] = 0.85 - 0.65 * np.minimum(doubt, 1.0)
    elif show == "size":
        size = size * (0.5 + 4.0 * doubt)
        colours[:, 3] = 0.75
    points(ax, X, colours, s=size, alpha=None)
    ax.scatter([], [], s=26, color=colour(k), label=f"component {k}")


def _doubtful(ax: Axes, seen: Model, rows: Rows, at: list[int]) -> None:
    R = seen.mixture.responsibilities(rows.X)
    colours = [colour(k) for k in R.argmax(axis=1)]
    X = rows.X[:, at]
    if len(at) == 1:
        X = np.column_stack([X[:, 0], 1.0 - R.max(axis=1)])
    points(ax, X, colours, s=5.0 + 45.0 * _doubt(R), alpha=0.9)


def _sides(n_columns: int) -> int:
    return CURVE_POINTS if n_columns == 1 else MAP_POINTS
