"""Pictures of densities, components, rows and runs, on matplotlib.

Every function takes axes and returns axes. Without axes it makes a figure of its
own, which no global state knows: a notebook shows what the function returns, a
program calls ``ax.figure.savefig("picture.png")``. A component has the same
colour in every picture.
"""

from __future__ import annotations

from mixtura.plot.borders import boundaries
from mixtura.plot.densities import density
from mixtura.plot.groups import (
    classification,
    components,
    responsibilities,
    uncertainty,
)
from mixtura.plot.judged import calibration, confusion
from mixtura.plot.matrix import pairs
from mixtura.plot.onecolumn import cdf, qq
from mixtura.plot.runs import convergence, errors, selection
from mixtura.plot.style import colour

__all__ = [
    "boundaries",
    "calibration",
    "cdf",
    "classification",
    "colour",
    "components",
    "confusion",
    "convergence",
    "density",
    "errors",
    "pairs",
    "qq",
    "responsibilities",
    "selection",
    "uncertainty",
]
