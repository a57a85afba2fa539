"""A fit seen in a terminal: weights as bars, densities of columns as lines of blocks."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from mixtura.describe.table import shortened
from mixtura.errors import UsageError
from mixtura.fitting import Fitted
from mixtura.mixture import Mixture
from mixtura.stats import Array

#: Eighths of a cell, to the right and upwards.
_RIGHT, _UP = " ▏▎▍▌▋▊▉█", " ▁▂▃▄▅▆▇█"

#: Widths in characters, and how much is shown at most.
BAR, SKETCH = 40, 56
MOST_COMPONENTS, MOST_COLUMNS = 20, 12

#: Draws by which the range of a column is found, and what of it is shown.
DRAWS, SHOWN = 4_000, (0.002, 0.998)


def sight(fitted: Fitted) -> str:
    """Draw weights and densities with block characters.

    Parameters
    ----------
    fitted : Fitted
        A fit.

    Returns
    -------
    str
        Lines without a final line break; the height of a density is relative to
        its highest place.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Poisson
    >>> from mixtura.fitting import fit_mixture
    >>> from mixtura.source import as_source
    >>> fitted = fit_mixture(Poisson(1), as_source(np.array([[1.0], [3.0]])), 1)
    >>> print(sight(fitted))
    density
      x0  0 ▄██▅▃▁   7
    """
    mixture = fitted.mixture
    lines = _weights(mixture) if mixture.n_components > 1 else []
    sketches = _sketches(fitted)
    if sketches:
        lines += ["density", *sketches]
    return "\n".join(lines)


def bar(share: float, width: int = BAR) -> str:
    """Bar of a share of `width` characters, to an eighth of a character.

    Examples
    --------
    >>> bar(0.5, 4), bar(0.28125, 4)
    ('██', '█▏')
    """
    whole, part = divmod(round(8 * width * min(max(share, 0.0), 1.0)), 8)
    return _RIGHT[8] * whole + (_RIGHT[part] if part else "")


def sketch(heights: Array) -> str:
    """Heights as blocks, the greatest one full.

    Examples
    --------
    >>> sketch(np.array([0.0, 0.5, 1.0]))
    ' ▄█'
    """
    top = heights.max() if len(heights) else 0.0
    levels = np.rint(8 * heights / top).astype(int) if top > 0 else np.zeros(len(heights), int)
    return "".join(_UP[level] for level in levels)


def _weights(mixture: Mixture) -> list[str]:
    K = mixture.n_components
    digits = len(str(K - 1))
    lines = [
        f"  {k:>{digits}}  {weight:.4f}  {bar(weight)}"
        for k, weight in enumerate(mixture.weights[:MOST_COMPONENTS])
    ]
    if K > MOST_COMPONENTS:
        lines.append(f"  ... and {K - MOST_COMPONENTS} more components")
    return ["weights", *lines]


def _sketches(fitted: Fitted) -> list[str]:
    """One line per column, where the family has densities of single columns."""
    mixture = fitted.mixture
    names = [shortened(name) for name in fitted.columns[:MOST_COLUMNS]]
    rows = mixture.sample(DRAWS, np.random.Generator(np.random.Philox(0)))[0]
    ends = np.quantile(rows, SHOWN, axis=0)
    cells = []
    for j, name in enumerate(names):
        try:
            drawn, low, high = _sketch_of(mixture.marginal([j]), *ends[:, j])
        except UsageError:
            return []
        cells.append((name, f"{low:.4g}", drawn, f"{high:.4g}"))
    widths = [max(len(cell[at]) for cell in cells) for at in (0, 1)]
    lines = [
        f"  {name:<{widths[0]}}  {low:>{widths[1]}} {drawn} {high}"
        for name, low, drawn, high in cells
    ]
    hidden = len(fitted.columns) - len(names)
    return lines + ([f"  ... and {hidden} more columns"] if hidden > 0 else [])


def _sketch_of(mixture: Mixture, low: float, high: float) -> tuple[str, float, float]:
    """Blocks of one column's density, and the two ends."""
    support = mixture.family.support
    if support.is_discrete:
        step = max(1.0, np.ceil((high - low + 1) / SKETCH))
        places = np.arange(low, high + 1, step)
    else:
        margin = 0.02 * (high - low) or 0.5
        places = np.linspace(low - margin, high + margin, SKETCH)
    inside = support.contains(places)
    heights = np.zeros(len(places))
    joint = mixture.family.log_density(mixture.params, places[inside][:, None])
    heights[inside] = np.exp(logsumexp(joint + mixture.log_weights, axis=1))
    return sketch(heights), float(places[0]), float(places[-1])
