"""What a film shows: places and colours of the rows, outlines and means, bound and likelihood."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mixtura.em import Trace
from mixtura.errors import UsageError
from mixtura.executor import Executor
from mixtura.film.plane import Plane
from mixtura.mixture import Mixture
from mixtura.plot.densities import component_log_density, frame, grid, supports
from mixtura.plot.given import Rows
from mixtura.plot.style import colour
from mixtura.source import Block, DataSource
from mixtura.stats import Array

#: Points of an outline.
OUTLINE = 61

#: Draws by which the outline of a component is found whose densest region is no ellipse.
DRAWS = 4_000


@dataclass(frozen=True, eq=False)
class Film:
    """An EM run as pictures, ready to be written as a page or as a GIF.

    Attributes
    ----------
    title, words : str
        What is shown.
    names : tuple of two str
        Of the axes.
    rows : ndarray of shape (n, 2)
        Places of the rows.
    colours : ndarray of shape (T, n, 3), uint8
        Colours of the components, mixed by responsibility.
    outlines : ndarray of shape (T, K, m, 2)
        Region of each component; its density, where there is one column.
    means : ndarray of shape (T, K, 2)
    weights : ndarray of shape (T, K)
    iterations : ndarray of shape (T,)
    log_likelihood : ndarray of shape (T,)
        In nats per row.
    bound : ndarray of shape (T,)
        Lower bound under the new parameters and the responsibilities before: the
        height that the M step reached, from which the E step rises to the
        log-likelihood. In nats per row; the first entry is the log-likelihood.
    densities : bool
        One column is shown, with densities above it.
    """

    title: str
    words: str
    names: tuple[str, str]
    rows: Array
    colours: np.ndarray[Any, np.dtype[np.uint8]]
    outlines: Array
    means: Array
    weights: Array
    iterations: np.ndarray[Any, np.dtype[np.int64]]
    log_likelihood: Array
    bound: Array
    densities: bool = False

    @property
    def limits(self) -> Array:
        """Lower and upper end of both axes, (2, 2), the same in all frames."""
        places = np.concatenate([self.rows, self.means.reshape(-1, 2)])
        places = places[np.isfinite(places).all(axis=1)]
        low, high = places.min(axis=0), places.max(axis=0)
        outline = self.outlines.reshape(-1, 2)
        room = 0.35 * (high - low)  # wide outlines of the first steps may be cut
        low = np.maximum(np.minimum(low, outline.min(axis=0)), low - room)
        if self.densities:  # all of them fit
            room[1] = np.inf
        high = np.minimum(np.maximum(high, outline.max(axis=0)), high + room)
        margin = np.where(high > low, 0.04 * (high - low), 0.5)
        return np.column_stack([low - margin, high + margin])

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the film: a self-contained page (``.html``) or a picture that moves (``.gif``).

        Raises
        ------
        UsageError
            Another ending, the file exists and `force` is False, or a package is missing.
        """
        from mixtura.modelfile import replacing

        form = Path(path).suffix.lower()
        if form not in (".html", ".gif"):
            raise UsageError.argument("path", str(path), "a name that ends in .html or .gif")
        content = self.to_html().encode() if form == ".html" else self.to_gif()
        with replacing(path, force=force) as file:
            file.write(content)

    def to_html(self) -> str:
        """Make the page, with everything it needs inside."""
        from mixtura.film.screen import film_page

        return film_page(self)

    def to_gif(self, *, milliseconds: int = 350) -> bytes:
        """Make the GIF, one frame per iteration."""
        from mixtura.film.gif import film_gif

        stream = io.BytesIO()
        film_gif(self, stream, milliseconds)
        return stream.getvalue()

    def _repr_html_(self) -> str:
        from mixtura.webpage import framed

        return framed(self.to_html())


def record(
    trace: Trace,
    source: DataSource,
    rows: Rows,
    plane: Plane,
    *,
    probability: float,
    max_frames: int,
    executor: Executor,
    title: str,
    words: str,
) -> Film:
    """Make a film of the mixtures of a trace."""
    chosen = frames_of(trace.mixtures, max_frames)
    mixtures = [trace.mixtures[t] for t in chosen]
    mass = _mass(source)
    bound = [trace.objective[chosen[0]]]
    for t in chosen[1:]:
        task = partial(bound_of, trace.mixtures[t - 1], trace.mixtures[t])
        bound.append(float(executor.reduce(task, source)))
    densities = plane.directions.shape[1] == 1
    if densities:
        outlines, means, places = _curves(mixtures, rows, plane)
    else:
        outlines = np.array([_regions(m, plane, probability) for m in mixtures])
        means = np.array([plane.place(m.means) for m in mixtures])
        places = plane.place(rows.X)
    names = plane.names if len(plane.names) == 2 else (plane.names[0], "density")
    return Film(
        title, words, (names[0], names[1]), places,
        np.array([mixed_colours(m.responsibilities(rows.X)) for m in mixtures]),
        outlines, means, np.array([m.weights for m in mixtures]), np.array(chosen),
        trace.objective[chosen] / mass, np.array(bound) / mass, densities,
    )  # fmt: skip


def frames_of(mixtures: Sequence[Mixture], most: int) -> list[int]:
    """Iterations to show: all, or more of the early than of the late ones.

    Those before the number of components changed for the last time are left out.
    """
    n_last = mixtures[-1].n_components
    first = max((t + 1 for t, m in enumerate(mixtures) if m.n_components != n_last), default=0)
    n = len(mixtures) - first
    if n <= most:
        return list(range(first, len(mixtures)))
    # as many steps of equal ratio as give no more frames than that
    for ratio_steps in range(4 * most, 0, -1):
        steps = np.unique(np.round(np.geomspace(1, n, ratio_steps)).astype(int)) - 1
        if len(steps) <= most:
            break
    return [int(first + t) for t in sorted({*steps.tolist(), n - 1})]


def bound_of(before: Mixture, after: Mixture, block: Block, n_threads: int = 1) -> float:
    """Lower bound of the log-likelihood after an M step, in nats.

    Responsibilities are still those of the mixture before: expected
    complete-data log-likelihood of the new one, plus their entropy (Neal and
    Hinton 1998).
    """
    total = 0.0
    for rows, _, R in before.slices(block.X, n_threads):
        X = np.asarray(block.X[rows], dtype=float)
        w = np.ones(len(R)) if block.w is None else block.w[rows]
        joint = component_log_density(after, X)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(R > 0, R * (joint - np.log(R)), 0.0)
        total += float(w @ terms.sum(axis=1))
    return total


def mixed_colours(R: Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Colours of the components mixed by responsibility, (n, 3).

    Examples
    --------
    >>> import numpy as np
    >>> mixed_colours(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist()
    [[0, 114, 178], [106, 104, 89]]
    """
    own = [[int(colour(k)[i : i + 2], 16) for i in (1, 3, 5)] for k in range(R.shape[1])]
    return np.asarray(np.rint(R @ np.array(own, dtype=float)), dtype=np.uint8)


def _mass(source: DataSource) -> float:
    return float(
        sum(block.n_rows if block.w is None else block.w.sum() for block in source.blocks())
    )


def _regions(mixture: Mixture, plane: Plane, probability: float) -> Array:
    """Outlines (K, m, 2) of the components' regions, as the plane shows them."""
    angles = np.linspace(0.0, 2.0 * np.pi, OUTLINE)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    centres = plane.place(mixture.means)
    shapes = _shapes(mixture, plane, probability)
    values, vectors = np.linalg.eigh(shapes)
    roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return np.asarray(centres[:, None, :] + circle @ roots.transpose(0, 2, 1))


def _shapes(mixture: Mixture, plane: Plane, probability: float) -> Array:
    """Matrices M (K, 2, 2) of the ellipses x' M^-1 x = 1 in the plane."""
    family, params = mixture.family, mixture.params
    whole = family.regions(params, probability)
    if whole is None:
        return _shapes_by_draws(mixture, plane, probability)
    # A marginal region of two columns tells how its radius differs from that of all columns.
    part = mixture.marginal([0, 1])
    flat = part.family.regions(part.params, probability)
    assert flat is not None
    ratio = flat[:, 0, 0] / whole[:, 0, 0]
    P = plane.directions
    # a component without a region, such as noise, is a point
    return np.nan_to_num(ratio[:, None, None] * (P.T @ whole @ P))


def _shapes_by_draws(mixture: Mixture, plane: Plane, probability: float) -> Array:
    """Ellipses of the components' covariances that hold a share of draws."""
    shapes = []
    for k in range(mixture.n_components):
        rng = np.random.Generator(np.random.Philox(k))
        draws = mixture.family.sample(mixture.params, np.full(DRAWS, k), rng)
        away = plane.place(draws) - plane.place(mixture.means[[k]])
        covariance = away.T @ away / len(away) + 1e-12 * np.eye(2)
        distance = np.einsum("ij,ij->i", away, np.linalg.solve(covariance, away.T).T)
        shapes.append(covariance * np.quantile(distance, probability))
    return np.array(shapes)


def _curves(mixtures: Sequence[Mixture], rows: Rows, plane: Plane) -> tuple[Array, Array, Array]:
    """Densities of the components along one column, their means on the axis, rows below it."""
    at = int(plane.directions[:, 0].argmax())
    parts = [m.marginal([at]) for m in mixtures]
    X = rows.X[:, [at]]
    low, high = frame(parts[-1], X)
    (x,) = grid(low, high, supports(parts[0]), 4 * OUTLINE)
    heights = [np.exp(component_log_density(m, x[:, None])).T for m in parts]
    ends = [np.pad(h, ((0, 0), (1, 1))) for h in heights]  # closed on the axis
    places = np.concatenate([x[:1], x, x[-1:]])
    outlines = np.array([[np.column_stack([places, one]) for one in end] for end in ends])
    means = np.array([np.column_stack([m.means[:, 0], np.zeros(m.n_components)]) for m in parts])
    top = float(outlines[..., 1].max())
    spread = np.random.Generator(np.random.Philox(0)).uniform(0.03, 0.12, len(X))
    return outlines, means, np.column_stack([X[:, 0], -top * spread])
