"""Whether a function of rows is a density: its integral by quadrature or importance sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from mixtura.errors import UsageError
from mixtura.families.support import Support
from mixtura.stats import Array

#: Integrals within this of one, their own error aside, are one.
TOLERANCE = 1e-3

#: Points per column for one, two and three columns; the reach in standard deviations.
POINTS = {1: 4001, 2: 321, 3: 97}
REACH = {1: 12.0, 2: 10.0, 3: 6.0}

#: Draws of importance sampling, and how much wider than the rows it looks.
DRAWS = 200_000
WIDER = 1.5

#: Largest log-ratio of numbers > 0 to their middle, and largest counts that are added up.
LARGEST_LOG = 60.0
LARGEST_COUNT = {1: 200_000, 2: 700, 3: 80}


class Spread(NamedTuple):
    """Where the mass is thought to be."""

    centre: Array  # (d,)
    scale: Array  # (d,)


class DensityCheck(NamedTuple):
    """An integral over the support, its error, and the way it was found."""

    integral: float
    error: float
    method: str

    @property
    def ok(self) -> bool:
        """It is one as far as can be told."""
        return abs(self.integral - 1.0) <= TOLERANCE + 3.0 * self.error

    def __str__(self) -> str:
        verdict = "" if self.ok else ", not to 1"
        error = f"{self.method}, error below {max(self.error, 1e-8):.2g}"
        return f"the density integrates to {self.integral:.6g}{verdict} ({error})"


def integrate(
    log_density: Callable[[Array], Array], support: Support, spread: Spread, seed: int = 0
) -> DensityCheck:
    """Integrate exp(log_density) of rows (n, d) over a support.

    Raises
    ------
    UsageError
        There is no method for the support in so many columns.
    """
    d = len(spread.centre)
    if d <= 3 and support in (Support.COUNTS, Support.BINARY):
        return _added_up(log_density, support, spread)
    if d <= 3 and support is not Support.CODES and support is not Support.DIRECTIONS:
        return _quadrature(log_density, support, spread)
    if support is Support.REAL:
        return _importance(log_density, spread, seed)
    raise UsageError.argument("support", support.value, "real numbers where d > 3, to integrate")


def _quadrature(
    log_density: Callable[[Array], Array], support: Support, spread: Spread
) -> DensityCheck:
    """The trapezoid rule in t with x = centre + scale sinh(t), or its like on other supports."""
    d = len(spread.centre)
    axes = [_axis(support, c, s, d) for c, s in zip(*spread, strict=True)]
    coarse = 0.0
    total = 0.0
    first, rest = axes[0], axes[1:]
    rows = _grid([x for x, _ in rest])
    log_w = _grid([w for _, w in rest]).sum(axis=1)
    even = np.ones(len(rows), dtype=bool)
    for at in _grid([np.arange(float(len(x))) % 2 for x, _ in rest]).T:
        even &= at == 0
    for i, (x, w) in enumerate(zip(*first, strict=True)):
        values = np.exp(log_density(np.hstack([np.full((len(rows), 1), x), rows])) + log_w + w)
        total += float(values.sum())
        if i % 2 == 0:
            coarse += float(values[even].sum()) * 2.0**d
    return DensityCheck(total, abs(total - coarse), "quadrature")


def _axis(support: Support, centre: float, scale: float, d: int) -> tuple[Array, Array]:
    """Points of one column and the logarithms of their weights."""
    scale = scale if scale > 0 else max(abs(centre), 1.0)
    if support is Support.REAL:
        t = np.linspace(-REACH[d], REACH[d], POINTS[d])
        return centre + scale * np.sinh(t), np.log((t[1] - t[0]) * scale * np.cosh(t))
    if support is Support.UNIT:
        width = min(scale / (centre * (1.0 - centre)), 1.0)
        t = np.linspace(-1.0, 1.0, POINTS[d]) * np.arcsinh(LARGEST_LOG / width)
        u = logit(centre) + width * np.sinh(t)
        x, other = expit(u), expit(-u)
        return x, np.log((t[1] - t[0]) * width * np.cosh(t)) + np.log(x) + np.log(other)
    centre = max(centre, np.finfo(float).tiny)
    width = min(scale / centre, 1.0)
    t = np.linspace(-1.0, 1.0, POINTS[d]) * np.arcsinh(LARGEST_LOG / width)
    u = np.log(centre) + width * np.sinh(t)
    return np.exp(u), np.log((t[1] - t[0]) * width * np.cosh(t)) + u


def _added_up(
    log_density: Callable[[Array], Array], support: Support, spread: Spread
) -> DensityCheck:
    """The sum over values; what lies beyond the last one is judged by the last tenth."""
    d = len(spread.centre)
    largest = [
        1 if support is Support.BINARY
        else int(min(c + 60.0 * s + 60.0, LARGEST_COUNT[d]))
        for c, s in zip(*spread, strict=True)
    ]  # fmt: skip
    grid = _grid([np.arange(top + 1.0) for top in largest])
    p = np.exp(log_density(grid))
    far = (grid >= 0.9 * np.array(largest)).any(axis=1)
    error = 0.0 if support is Support.BINARY else float(p[far].sum())
    return DensityCheck(float(p.sum()), error, "sum")


def _importance(log_density: Callable[[Array], Array], spread: Spread, seed: int) -> DensityCheck:
    """Mean ratio to Student's t with 3 degrees of freedom in each column, and its error."""
    centre, scale = spread
    scale = WIDER * np.where(scale > 0, scale, np.maximum(np.abs(centre), 1.0))
    rng = np.random.default_rng(seed)
    z = rng.standard_t(3.0, (DRAWS, len(centre)))
    # density of t with 3 degrees of freedom: 2 / (pi sqrt(3)) (1 + z^2 / 3)^-2
    log_q = (np.log(2.0 / (np.pi * np.sqrt(3.0))) - 2.0 * np.log1p(z * z / 3.0)).sum(axis=1)
    ratio = np.exp(log_density(centre + scale * z) - log_q + np.log(scale).sum())
    error = float(ratio.std() / np.sqrt(DRAWS))
    return DensityCheck(float(ratio.mean()), error, "importance sampling")


def _grid(axes: list[Array]) -> Array:
    """All combinations, (n, number of axes); one empty row without axes."""
    if not axes:
        return np.empty((1, 0))
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
