"""Colours, axes and words that all pictures share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from io import BytesIO
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mixtura.errors import UsageError, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours that people with colour-blindness tell apart (Okabe and Ito 2008, and two of Tol).
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933",
)  # fmt: skip

#: What is not a component: rows without one, the whole density, lines of reference.
ROWS, WHOLE, REFERENCE = "#7f7f7f", "#222222", "#9a9a9a"

#: Rings, fills and heat maps: light where there is little, in one hue.
HEAT = "Greys"

SIZE = (6.4, 4.4)  # inches, of a figure with one picture


def colour(component: int) -> str:
    """Colour of a component, the same in every picture: hexadecimal, ``#rrggbb``.

    The first eight are a palette for the colour-blind; later rounds are its
    darker and lighter shades.

    Parameters
    ----------
    component : int
        Number of the component, counted from 0.

    Examples
    --------
    >>> colour(0), colour(8)
    ('#0072B2', '#00476e')
    """
    lap, at = divmod(int(component), len(PALETTE))
    if lap == 0:
        return PALETTE[at]
    share, towards = (0.38, 0) if lap % 2 else (0.45, 255)
    channels = (int(PALETTE[at][i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(c + share * (towards - c)):02x}" for c in channels)


def axes(ax: Axes | None, size: tuple[float, float] = SIZE) -> Axes:
    """Return the given axes, or those of a new figure that no global state knows.

    The new axes show themselves in a notebook when a cell ends with them;
    elsewhere ``ax.figure.savefig(...)`` writes them.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    if ax is not None:
        return ax
    figure = matplotlib().figure.Figure(figsize=size, layout="constrained")
    made: Axes = figure.add_subplot(axes_class=_shown_axes())
    return made


def matplotlib() -> ModuleType:
    """Import matplotlib, without pyplot.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        import matplotlib.figure
    except ImportError:
        raise UsageError.needs_package("plotting", "matplotlib", "plot") from None
    return matplotlib


@cache
def _shown_axes() -> type[Axes]:
    """Axes that a notebook shows as the picture they are."""
    from matplotlib.axes import Axes

    class ShownAxes(Axes):
        def _repr_png_(self) -> bytes | None:
            figure: Any = self.figure
            if figure.canvas.manager is not None:  # pyplot shows it
                return None
            stream = BytesIO()
            figure.savefig(stream, format="png", dpi=110)
            return stream.getvalue()

    return ShownAxes


def tidy(ax: Axes, x: str = "", y: str = "") -> Axes:
    """Name both axes and take the box away."""
    ax.set_xlabel(plain(x))
    ax.set_ylabel(plain(y))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plain(words: str) -> str:
    """Text as it is: a dollar sign does not start a formula, a long name is cut."""
    words = printable(words)
    return (words if len(words) <= 60 else words[:59] + "…").replace("$", r"\$")


def legend(ax: Axes, *, columns: int = 3, most: int = 12) -> None:
    """Explain the marks above the axes, where nothing is hidden, unless there are none."""
    handles, names = ax.get_legend_handles_labels()
    put_legend(ax, handles[:most], names[:most], columns)


def put_legend(ax: Axes, handles: Sequence[Any], names: Sequence[str], columns: int) -> None:
    """Put a legend above the axes."""
    if handles:
        ax.legend(
            handles, names, frameon=False, fontsize="small", ncols=columns, loc="lower left",
            bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2, columnspacing=1.4, handlelength=1.6,
        )  # fmt: skip
