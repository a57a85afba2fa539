"""The pictures of a report, as SVG inside the page."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, cast

from mixtura import plot
from mixtura.errors import MixturaError
from mixtura.fitting import Fitted
from mixtura.plot.given import Rows
from mixtura.plot.matrix import MOST_COLUMNS
from mixtura.plot.style import matplotlib
from mixtura.webpage import escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Points of a picture; beyond some hundred they are an image inside the picture.
MOST_POINTS = 1_000


def figure(ax: Axes, caption: str, name: str) -> str:
    """HTML of a picture with its caption.

    Colours that are black become the page's own ink; text stays text.
    """
    stream, whole = io.StringIO(), cast("Figure", ax.figure)
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    # the names inside are made from the salt: the same picture, the same bytes
    with matplotlib().rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        whole.savefig(stream, format="svg", transparent=True, metadata=nothing, dpi=180)
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    svg = _own_names(_shorter(svg), name)
    width = whole.get_figwidth()
    return (
        f'<figure style="max-width:{width * 1.1:.1f}in" role="img" '
        f'aria-label="{escape(caption)}">\n{svg}<figcaption>{escape(caption)}</figcaption></figure>'
    )


def _shorter(svg: str) -> str:
    """A tenth of a point is enough for an outline; every point is a hundredth of an inch or so."""

    def outline(found: re.Match[str]) -> str:
        return " " + re.sub(r"(\.\d)\d+", r"\1", " ".join(found[0].split()))

    return re.sub(r"\n\s*", "\n", re.sub(r' d="[^"]*"', outline, svg))


def _own_names(svg: str, name: str) -> str:
    """Names inside a picture made its own: a page may hold several."""
    svg = re.sub(r' id="([^"]+)"', rf' id="{name}-\1"', svg)
    svg = re.sub(r'(xlink:href)="#([^"]+)"', rf'\1="#{name}-\2"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)


def pictures(fitted: Fitted, rows: Rows | None, *, show_rows: bool) -> list[str]:
    """All pictures that suit a fit, each as HTML.

    Parameters
    ----------
    fitted : Fitted
        The fit.
    rows : Rows or None
        Rows of the data, where there are any.
    show_rows : bool
        Single rows may be seen; without them histograms remain.
    """
    d, K = fitted.mixture.n_features, fitted.mixture.n_components
    points = rows if show_rows else None
    made: list[tuple[str, str, Axes]] = []

    def add(name: str, caption: str, what: str, *args: object, **options: object) -> None:
        try:
            made.append((name, caption, getattr(plot, what)(*args, **options)))
        except MixturaError:  # a family without this picture, such as no marginal densities
            return

    if d == 2:
        add(
            "density", "Density: contours enclose the stated share of the probability", "density",
            fitted, points, max_points=MOST_POINTS,
        )  # fmt: skip
    if d > 1:
        add(
            "components", "Components: regions that hold half and 95 % of each", "components",
            fitted, points, max_points=MOST_POINTS,
        )  # fmt: skip
    if points is not None and K > 1 and d > 1:
        add(
            "classification", "Rows by most probable component; the less certain, the fainter",
            "classification", fitted, points, max_points=MOST_POINTS,
        )  # fmt: skip
    if d > 2 and points is not None:
        shown = "" if d <= MOST_COLUMNS else f" (the first {MOST_COLUMNS} columns)"
        add(
            "pairs", f"All pairs of columns{shown}: rows below, densities above", "pairs",
            fitted, points, max_points=MOST_POINTS // 2,
        )  # fmt: skip
    for j in range(min(d, MOST_COLUMNS)):
        name = fitted.columns[j]
        add(f"column{j}", f"{name}: density and rows", "density", fitted, rows, columns=[j])
        if points is not None:
            add(
                f"qq{j}",
                f"{name}: do the rows follow the model?",
                "qq",
                fitted,
                points,
                columns=[j],
            )
    if fitted.n_iter > 0:
        add("convergence", "Log-likelihood and its lower bound", "convergence", fitted)
    return [figure(ax, caption, name) for name, caption, ax in made]
