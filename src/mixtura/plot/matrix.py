"""All pairs of columns at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixtura.plot.densities import density
from mixtura.plot.given import MOST_POINTS, ColumnNames, chosen_columns, look
from mixtura.plot.groups import classification
from mixtura.plot.style import axes, colour, legend, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Columns that fit into one picture.
MOST_COLUMNS = 6

#: Room between panels, as a share of a panel.
GAP = 0.08


def pairs(
    model: Any,
    data: Any,
    *,
    columns: ColumnNames = None,
    max_points: int = MOST_POINTS,
    ax: Axes | None = None,
) -> Axes:
    """Draw all pairs of columns: rows by component below, contours above, curves between.

    Parameters
    ----------
    model : estimator, Fitted or Mixture
        A fitted model of two columns or more.
    data : array, frame, path or DataSource
        Rows.
    columns : sequence of str or int, optional
        Two to six columns. Default: the first six.
    max_points : int
        At most so many points in each panel.
    ax : Axes, optional
        The panels take its place. Default: axes of a new figure.

    Returns
    -------
    Axes
        The panels are its ``child_axes``, row by row.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture, plot
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> ax = plot.pairs(GaussianMixture(2, random_state=0).fit(X), X)
    >>> len(ax.child_axes)
    9
    """
    seen, rows = look(model, data)
    assert rows is not None
    at = chosen_columns(seen, columns, MOST_COLUMNS)
    d = len(at)
    ax = axes(ax, (1.2 + 1.7 * d, 0.8 + 1.6 * d))
    ax.set_axis_off()
    side = 1.0 / (d + GAP * (d - 1))
    step = side * (1 + GAP)
    limits = {}
    for j in at:  # the range of a column is the same in all its panels
        panel = ax.inset_axes((at.index(j) * step, 1 - side - at.index(j) * step, side, side))
        density(seen.fitted or seen.mixture, rows, columns=[j], ax=panel)
        limits[j] = panel.get_xlim()
        panel.remove()
    source = seen.fitted or seen.mixture
    for i, down in enumerate(at):
        for j, right in enumerate(at):
            panel = ax.inset_axes((j * step, 1 - side - i * step, side, side))
            if i == j:
                density(source, rows, columns=[right], ax=panel)
                panel.set_yticks([])
            elif i > j:
                classification(source, rows, columns=[right, down], max_points=max_points, ax=panel)
            else:
                density(
                    source, rows, columns=[right, down], probabilities=(0.25, 0.5, 0.9),
                    max_points=max_points // 4, ax=panel,
                )  # fmt: skip
            _settle(panel, seen.columns, down, right, limits, i == d - 1, j == 0)
    for k in range(seen.mixture.n_components):
        ax.scatter([], [], s=30, color=colour(k), label=f"component {k}")
    if 1 < seen.mixture.n_components <= 8:
        legend(ax, columns=4)
    return ax


def _settle(
    panel: Axes,
    names: tuple[str, ...],
    down: int,
    right: int,
    limits: dict[int, tuple[float, float]],
    is_lowest: bool,
    is_first: bool,
) -> None:
    """Same ranges along rows and columns; names and numbers at the left and bottom edge only."""
    old = panel.get_legend()
    if old is not None:
        old.remove()
    for text in list(panel.texts):
        text.remove()
    panel.set_xlim(limits[right])
    if down != right:
        panel.set_ylim(limits[down])
    panel.tick_params(labelsize=7, labelbottom=is_lowest, labelleft=is_first)
    panel.set_xlabel(plain(names[right]) if is_lowest else "")
    panel.set_ylabel(plain(names[down]) if is_first else "")
