"""Densities: curves over a histogram in one column, filled contours in two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura.errors import UsageError
from mixtura.families import Support
from mixtura.mixture import Mixture
from mixtura.plot.given import MOST_POINTS, ColumnNames, chosen_columns, look
from mixtura.plot.style import HEAT, WHOLE, axes, colour, legend, tidy
from mixtura.stats import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Draws by which the levels of contours are found.
LEVEL_DRAWS = 20_000

#: Points of a curve, and of each side of a map.
CURVE_POINTS, MAP_POINTS = 801, 201

MOST_BINS = 80


def density(
    model: Any,
    data: Any = None,
    *,
    columns: ColumnNames = None,
    probabilities: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99),
    components: bool = True,
    max_points: int = MOST_POINTS,
    ax: Axes | None = None,
) -> Axes:
    """Draw the density of one column as a curve, or of two as filled contours.

    Parameters
    ----------
    model : estimator, Fitted or Mixture
        A fitted model.
    data : array, frame, path or DataSource, optional
        Rows: a histogram in one column, points in two. Rows that are not
        complete are left out.
    columns : str, int, or one or two of them, optional
        Columns to show; the density is then the marginal one. Default: the
        first two.
    probabilities : sequence of float
        What the contours of two columns enclose: the densest regions that hold
        these probabilities (Hyndman 1996).
    components : bool, default=True
        Draw weight times density of each component too, in one column.
    max_points : int
        At most so many points, chosen at random but always the same ones.
    ax : Axes, optional
        Where to draw. Default: those of a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    UsageError
        No such column, or matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture, plot
    >>> X = np.random.default_rng(0).normal(size=(100, 1))
    >>> plot.density(GaussianMixture().fit(X), X).get_xlabel()
    'x0'
    """
    seen, rows = look(model, data)
    at = chosen_columns(seen, columns, 2)
    mixture = seen.mixture.marginal(at)
    names = [seen.columns[j] for j in at]
    ax = axes(ax)
    X = None if rows is None else rows.X[:, at]
    if len(at) == 1:
        _curve(ax, mixture, X, None if rows is None else rows.w, components)
        discrete = mixture.family.support.is_discrete
        tidy(ax, names[0], "probability" if discrete else "density")
        legend(ax)
        return ax
    if any(support.is_category for support in supports(mixture)):
        _cells(ax, mixture)
    else:
        _contours(ax, mixture, X, probabilities)
    if rows is not None:
        points(ax, apart(rows.some(max_points).X[:, at], mixture), WHOLE, alpha=0.45)
    return tidy(ax, *names)


def points(ax: Axes, X: Array, colours: Any, **more: Any) -> None:
    """Rows as points, smaller and lighter the more there are."""
    size = float(np.clip(2400.0 / len(X), 5.0, 22.0))
    options = {"s": size, "alpha": 0.65, "linewidths": 0, "rasterized": len(X) > 500, **more}
    ax.scatter(X[:, 0], X[:, 1], c=colours, **options)


def apart(X: Array, mixture: Mixture) -> Array:
    """Rows whose categories are moved a little, always alike, so that they hide no others."""
    moved = np.array([support.is_category for support in supports(mixture)])
    rng = np.random.Generator(np.random.Philox(1))
    return np.asarray(X + moved * rng.uniform(-0.3, 0.3, X.shape))


def draws(mixture: Mixture, n_rows: int = LEVEL_DRAWS) -> Array:
    """Rows of the mixture, always the same ones."""
    return mixture.sample(n_rows, np.random.Generator(np.random.Philox(0)))[0]


def levels_of(mixture: Mixture, probabilities: Sequence[float] | Array) -> Array:
    """Log-densities whose upper level sets hold these probabilities, by sampling.

    Raises
    ------
    UsageError
        A probability is not between 0 and 1.
    """
    wanted = np.asarray(probabilities, dtype=float)
    if wanted.ndim != 1 or not len(wanted) or not ((wanted > 0) & (wanted < 1)).all():
        raise UsageError.argument("probabilities", probabilities, "numbers between 0 and 1")
    heights = mixture.log_density(draws(mixture))
    return np.asarray(np.quantile(heights, 1.0 - wanted))


def frame(mixture: Mixture, X: Array | None) -> tuple[Array, Array]:
    """Lower and upper corner of what a picture shows, (d,) each."""
    sample = draws(mixture, 4000)
    low, high = np.quantile(sample, [0.001, 0.999], axis=0)
    if X is not None:
        # A few far rows must not shrink everything else to a dot.
        far = 3.0 * (high - low)
        low = np.minimum(low, np.maximum(X.min(axis=0), low - far))
        high = np.maximum(high, np.minimum(X.max(axis=0), high + far))
    margin = np.where(high > low, 0.05 * (high - low), 0.5)
    return low - margin, high + margin


def supports(mixture: Mixture) -> list[Support]:
    """Where each column may have a density; columns of a product differ."""
    d, whole = mixture.n_features, mixture.family.support
    try:
        return [mixture.marginal([j]).family.support for j in range(d)] if d > 1 else [whole]
    except UsageError:  # no densities of single columns
        return [whole] * d


def grid(low: Array, high: Array, own: Sequence[Support], n: int) -> list[Array]:
    """Places along each column where it may have a density: evenly, or its whole numbers."""
    found = []
    for a, b, support in zip(low, high, own, strict=True):
        if support.is_discrete:
            places = np.arange(np.ceil(a), np.floor(b) + 1, max(1.0, np.ceil((b - a) / n)))
        else:
            places = np.linspace(a, b, n)
        found.append(places[support.contains(places)])
    return found


def component_log_density(mixture: Mixture, X: Array) -> Array:
    """Log of weight times density of each component, (n, K), in nats."""
    return np.asarray(mixture.family.log_density(mixture.params, X) + mixture.log_weights)


def mesh(places: Sequence[Array]) -> Array:
    """All pairs of places, (n, 2); reshape by ``(len(y), len(x))``."""
    x, y = np.meshgrid(*places)
    return np.column_stack([x.ravel(), y.ravel()])


def _curve(ax: Axes, mixture: Mixture, X: Array | None, w: Array | None, components: bool) -> None:
    discrete = mixture.family.support.is_discrete
    low, high = frame(mixture, X)
    (x,) = grid(low, high, supports(mixture), CURVE_POINTS)
    joint = component_log_density(mixture, x[:, None])
    whole = np.exp(np.logaddexp.reduce(joint, axis=1))
    if X is not None:
        edges = _bins(X[:, 0], low[0], high[0], discrete)
        inside = (X[:, 0] >= edges[0]) & (X[:, 0] <= edges[-1])
        assert w is not None
        heights = np.histogram(X[inside, 0], edges, weights=w[inside])[0] / w.sum()
        ax.stairs(
            heights / np.diff(edges), edges, fill=True, color="#d9d9d9", label="rows", zorder=0
        )
    marks: dict[str, Any] = {"marker": "o", "markersize": 3.5} if discrete else {}
    several = components and mixture.n_components > 1
    if several:
        for k in range(mixture.n_components):
            ax.plot(
                x, np.exp(joint[:, k]), color=colour(k), label=f"component {k}", lw=1.6, **marks
            )
    name = "mixture" if mixture.n_components > 1 else "density"
    line: dict[str, Any] = {"color": WHOLE, "ls": "--"} if several else {"color": colour(0)}
    ax.plot(x, whole, label=name, lw=1.4 if several else 2.0, **line, **marks)
    ax.set_ylim(bottom=0)
    ax.set_xlim(low[0], high[0])


def _bins(x: Array, low: float, high: float, discrete: bool) -> Array:
    inside = x[(x >= low) & (x <= high)]
    if discrete:
        step = max(1, int(np.ceil((high - low) / MOST_BINS)))
        return np.arange(max(np.floor(low), 0.0) - 0.5, np.ceil(high) + step, step)
    if len(inside) < 2 or np.ptp(inside) == 0:
        return np.linspace(low, high, 11)
    edges = np.histogram_bin_edges(inside[:10_000], "auto", (inside.min(), inside.max()))
    n = int(np.clip(len(edges) - 1, 8, MOST_BINS))
    return np.linspace(inside.min(), inside.max(), n + 1)


def _contours(ax: Axes, mixture: Mixture, X: Array | None, probabilities: Sequence[float]) -> None:
    order = np.sort(np.asarray(probabilities, dtype=float))[::-1]
    levels = levels_of(mixture, order)
    low, high = frame(mixture, X)
    x, y = grid(low, high, supports(mixture), MAP_POINTS)
    heights = mixture.log_density(mesh([x, y])).reshape(len(y), len(x))
    rising, first = np.unique(levels, return_index=True)
    ax.contourf(
        x, y, heights, [*rising, max(heights.max(), rising[-1]) + 1.0], cmap=HEAT, alpha=0.5
    )
    lines = ax.contour(x, y, heights, rising, colors=WHOLE, linewidths=0.7, linestyles="solid")
    words = {level: f"{100 * order[at]:g} %" for level, at in zip(rising, first, strict=True)}
    ax.clabel(lines, fmt=words, fontsize=7)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])


def _cells(ax: Axes, mixture: Mixture) -> None:
    """Density of each place as a shade, where a column has categories."""
    own = supports(mixture)
    x, y = grid(*frame(mixture, None), own, MAP_POINTS)
    heights = np.exp(mixture.log_density(mesh([x, y]))).reshape(len(y), len(x))
    edges = [_edges(places) for places in (x, y)]
    ax.pcolormesh(*edges, heights, cmap=HEAT, alpha=0.6, vmin=0.0, lw=0, rasterized=True)
    for axis, places, support in zip((ax.xaxis, ax.yaxis), (x, y), own, strict=True):
        if support.is_category:
            axis.set_ticks(places)


def _edges(places: Array) -> Array:
    """Middles between places, and as much beyond the ends."""
    if len(places) < 2:
        return np.array([places[0] - 0.5, places[0] + 0.5])
    middles = (places[1:] + places[:-1]) / 2
    return np.concatenate([[2 * places[0] - middles[0]], middles, [2 * places[-1] - middles[-1]]])
