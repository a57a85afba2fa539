"""Numbers and tables as text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mixtura.errors import printable

#: Longer names are cut.
LONGEST_NAME = 24


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """Name for a table: printable, and cut where it is long."""
    name = printable(name)
    return name if len(name) <= longest else name[: longest - 1] + "…"


def formats(values: Sequence[float], scales: Sequence[float]) -> str:
    """Format that shows three digits of the smallest scale of some numbers.

    Parameters
    ----------
    values : sequence of float
        The numbers, such as means.
    scales : sequence of float
        How precisely they matter, such as their standard deviations.

    Returns
    -------
    str
        For `format`: fixed decimals, or an exponent where these would be many.

    Examples
    --------
    >>> formats([4.29, 2.03], [0.41, 0.26]), formats([1e-30], [1e-31])
    ('.3f', '.3e')
    """
    finite = [abs(value) for value in (*values, *scales) if math.isfinite(value)]
    largest = max(finite, default=0.0)
    smallest = min((scale for scale in scales if scale > 0), default=largest) or 1.0
    decimals = 2 - math.floor(math.log10(smallest))
    if decimals <= 7 and largest < 1e10:
        return f".{max(decimals, 0)}f"
    spread = math.floor(math.log10(largest)) - math.floor(math.log10(smallest))
    return f".{min(max(spread + 2, 3), 15)}e"


def table(rows: Sequence[Sequence[str]], *, indent: str = "", left: bool = True) -> list[str]:
    """Columns aligned to the right, the first one to the left where it holds names."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if left and not indent and at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(indent + "  ".join(cells))
    return lines
