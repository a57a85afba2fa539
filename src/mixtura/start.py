"""Initial mixtures: a sample of the rows, several rough partitions of it, short runs of EM.

Starts are found on the distinct rows of a sample, in sorted order, with their
weights added up: neither the order of the rows nor whether a row is repeated or
weighted changes a start.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import linalg
from scipy.spatial.distance import cdist

from mixtura.degenerate import Care
from mixtura.em import Fit, estimate, fit_em, known_stats
from mixtura.errors import DegenerateComponentError, MixturaWarning, UsageError
from mixtura.executor import Executor
from mixtura.families import Family
from mixtura.mixture import Mixture, from_stats
from mixtura.source import DataSource, Summary, as_source
from mixtura.stats import Array, IntArray

#: Rows that a start looks at, and at least this many per component.
SAMPLE_ROWS = 10_000
SAMPLE_ROWS_PER_COMPONENT = 50

#: EM steps that every start gets before the ranking, and how many go on.
SHORT_STEPS = 10
POLISHED = 3


def rng_for(seed: int, *purpose: object) -> np.random.Generator:
    """Random numbers of their own for a seed and a purpose (a counter-based generator)."""
    tag = zlib.crc32("/".join(map(str, purpose)).encode())
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, tag])))


def draw_sample(source: DataSource, summary: Summary, n_components: int, seed: int) -> DataSource:
    """Distinct rows of the source, all of them or a random sample, with weights added up.

    Returns
    -------
    DataSource
        In memory, rows in lexicographic order.
    """
    limit = sample_limit(n_components)
    n_rows = summary.n_rows
    chosen = np.arange(n_rows)
    if n_rows > limit:
        chosen = rng_for(seed, "sample").choice(n_rows, size=limit, replace=False, shuffle=False)
        chosen.sort()
    X, w, seen = [], [], 0
    for block in source.blocks():
        own = chosen[np.searchsorted(chosen, seen) : np.searchsorted(chosen, seen + len(block.X))]
        X.append(np.asarray(block.X[own - seen], dtype=float))
        w.append(np.ones(len(own)) if block.w is None else block.w[own - seen])
        seen += len(block.X)
    rows, weights = distinct(np.concatenate(X), np.concatenate(w))
    return as_source(rows, weights=weights)


def sample_limit(n_components: int) -> int:
    """Up to how many rows are all of them looked at."""
    return max(SAMPLE_ROWS, SAMPLE_ROWS_PER_COMPONENT * n_components)


def distinct(X: Array, w: Array) -> tuple[Array, Array]:
    """Distinct rows of positive weight, sorted, and the sum of their weights."""
    X, w = X[w > 0], w[w > 0]
    order = np.lexsort(X.T[::-1])
    X, w = X[order], w[order]
    new = np.ones(len(X), dtype=bool)
    new[1:] = (X[1:] != X[:-1]).any(axis=1)
    return np.ascontiguousarray(X[new]), np.add.reduceat(w, np.flatnonzero(new))


def portfolio(method: str, n_starts: int) -> list[str]:
    """Which starts to make: alternately k-means and random rows for "auto"."""
    if method != "auto":
        return [method] * n_starts
    return ["kmeans" if i % 2 == 0 else "random_from_data" for i in range(n_starts)]


def initial_mixtures(
    family: Family[Any],
    sample: DataSource,
    n_components: int,
    methods: list[str],
    seed: int,
    executor: Executor,
) -> list[Mixture]:
    """One mixture per method, each with random numbers of its own.

    A method that fails on these data is passed over; when all do, random responsibilities
    take their place and a warning says why.
    """
    (block,) = sample.blocks()
    X = np.asarray(block.X, dtype=float)
    w = np.ones(len(X)) if block.w is None else block.w
    spaces = standardised(X, w), whitened(X, w)
    mixtures, problem = [], ""
    for i, method in enumerate(methods):
        # Whitening undoes correlation, but hides one separating direction among many others
        # whose noise it scales up to the same size; so both spaces have their turn.
        Z = spaces[(i // 2 + 1) % 2]
        rng = rng_for(seed, "start", method, i)
        try:
            R = PARTITIONS[method](Z, w, n_components, rng)
            mixtures.append(from_partition(family, sample, R, executor))
        except (DegenerateComponentError, linalg.LinAlgError) as error:
            problem = str(error)
    if not mixtures:
        warnings.warn(MixturaWarning.start_failed(methods[0], problem), stacklevel=2)
        rng = rng_for(seed, "start", "last resort")
        R = PARTITIONS["random"](spaces[0], w, n_components, rng)
        mixtures.append(from_partition(family, sample, R, executor))
    return mixtures


def from_partition(
    family: Family[Any], sample: DataSource, R: Array, executor: Executor
) -> Mixture:
    """M step of a rough partition R (n, K), softened so that small groups stay regular.

    Raises
    ------
    DegenerateComponentError
        A component of the partition has no row.
    """
    n_components = R.shape[1]
    unused = np.flatnonzero(~(R > 0).any(axis=0))
    if len(unused):
        raise DegenerateComponentError.empty(int(unused[0]), 0.0)
    first = estimate(family, sample, n_components, executor=executor, responsibilities=R)
    task = partial(known_stats, family, first.params, n_components, R)
    stats = executor.reduce(task, sample)
    return from_stats(family, family.soften(stats), first.params)


def given_start(
    family: Family[Any],
    source: DataSource,
    summary: Summary,
    n_components: int,
    start: Array | Mixture,
    executor: Executor,
) -> Mixture:
    """Mixture of a start that a person gave: labels (n,), responsibilities (n, K) or a mixture.

    Raises
    ------
    UsageError
        Another number of rows or components, a component without a row, or rows of
        responsibilities that do not sum to one.
    """
    if isinstance(start, Mixture):
        if start.n_components != n_components:
            raise UsageError.argument(
                "start", f"a mixture of {start.n_components} components", f"of {n_components}"
            )
        return Mixture(family, start.weights, family.adopt(start.params, start.family))
    given = np.asarray(start)
    if given.ndim == 1 and given.dtype.kind in "iu":
        R = np.zeros((len(given), n_components))
        if given.min(initial=0) < 0 or given.max(initial=0) >= n_components:
            raise UsageError.argument(
                "start", f"labels {given.min()}..{given.max()}", f"labels 0..{n_components - 1}"
            )
        R[np.arange(len(given)), given] = 1.0
    else:
        R = np.asarray(given, dtype=float)
    n = summary.n_rows
    if R.shape != (n, n_components):
        left = f", for the rows left of {n + summary.n_dropped}" if summary.n_dropped else ""
        raise UsageError.argument(
            "start",
            f"shape {given.shape}",
            f"labels ({n},) or responsibilities ({n}, {n_components}){left}",
        )
    if not np.isfinite(R).all() or (R < 0).any() or not np.allclose(R.sum(axis=1), 1.0, atol=1e-6):
        raise UsageError.argument(
            "start", "responsibilities", "rows of numbers >= 0 that sum to one"
        )
    if not (R > 0).any(axis=0).all():
        unused = int(np.argmin((R > 0).any(axis=0)))
        raise UsageError.argument("start", f"no row in component {unused}", "a row in each")
    return estimate(family, source, n_components, executor=executor, responsibilities=R)


def best_run(
    mixtures: list[Mixture],
    source: DataSource,
    *,
    executor: Executor,
    care: Care,
    n_polished: int = POLISHED,
    **options: Any,
) -> tuple[Mixture, Fit]:
    """Run each start a few steps, the best ones to the end; return the best start and its run."""
    short = [
        fit_em(start, source, executor=executor, care=care, max_iter=SHORT_STEPS)
        for start in mixtures
    ]
    order = sorted(range(len(short)), key=lambda i: rank(short[i]), reverse=True)[:n_polished]
    ended = [
        (mixtures[i], fit_em(short[i].mixture, source, executor=executor, care=care, **options))
        for i in order
    ]
    return max(ended, key=lambda pair: rank(pair[1]))


def rank(fit: Fit) -> tuple[int, int, float]:
    """Sort key: components kept, then components off the boundary, then the objective."""
    boundary = int(fit.mixture.family.at_boundary(fit.mixture.params).sum())
    return fit.mixture.n_components, -boundary, fit.objective


def standardised(X: Array, w: Array) -> Array:
    """Columns with mean zero and unit variance; constant ones are zero."""
    mass = w.sum()
    Z = X - X[0]
    Z = Z - (w @ Z) / mass
    largest = np.abs(Z).max(axis=0)
    Z = Z / np.where(largest > 0, largest, 1.0)
    scale = np.sqrt((w @ (Z * Z)) / mass)
    return np.asarray(Z / np.where(scale > 0, scale, 1.0))


def whitened(X: Array, w: Array) -> Array:
    """Rows with mean zero and unit covariance, directions without variance left out.

    Distances in this space do not depend on units or on linear relations between
    columns. The covariance is taken of columns scaled to unit variance.
    """
    Z = standardised(X, w)
    values, vectors = linalg.eigh((Z * w[:, None]).T @ Z / w.sum())
    used = values > 1e-10 * max(values[-1], 1e-300)
    return np.asarray(Z @ (vectors[:, used] / np.sqrt(values[used])))


def seeds(Z: Array, w: Array, n_components: int, rng: np.random.Generator) -> IntArray:
    """Rows chosen by k-means++: each with probability proportional to squared distance.

    Arthur and Vassilvitskii (2007), with the best of a few candidates per step.
    """
    n_candidates = 2 + int(np.log(n_components))
    chosen = [pick(w, 1, rng)[0]]
    nearest = cdist(Z[chosen], Z, "sqeuclidean")[0]
    while len(chosen) < n_components:
        candidates = pick(w * nearest, n_candidates, rng)
        distances = np.minimum(cdist(Z[candidates], Z, "sqeuclidean"), nearest)
        best = int(np.argmin(distances @ w))
        chosen.append(candidates[best])
        nearest = distances[best]
    return np.array(chosen)


def pick(mass: Array, n: int, rng: np.random.Generator) -> list[int]:
    """Draw n rows with probability proportional to `mass`."""
    cumulated = np.cumsum(mass)
    places = np.searchsorted(cumulated, rng.random(n) * cumulated[-1], side="right")
    return [int(i) for i in np.minimum(places, len(mass) - 1)]


def lloyd(Z: Array, w: Array, centres: Array, n_steps: int = 20) -> IntArray:
    """Labels after at most `n_steps` rounds of k-means from given centres."""
    labels = np.full(len(Z), -1)
    for _ in range(n_steps):
        distances = cdist(Z, centres, "sqeuclidean")
        before, labels = labels, distances.argmin(axis=1)
        if (before == labels).all():
            break
        weight = np.bincount(labels, w, minlength=len(centres))
        used = weight > 0
        sums = np.zeros_like(centres)
        np.add.at(sums, labels, Z * w[:, None])
        centres = np.where(used[:, None], sums / np.where(used, weight, 1.0)[:, None], centres)
    return labels


def one_hot(labels: IntArray, n_components: int) -> Array:
    """Labels as responsibilities, (n, K)."""
    R = np.zeros((len(labels), n_components))
    R[np.arange(len(labels)), labels] = 1.0
    return R


def _kmeans(Z: Array, w: Array, n_components: int, rng: np.random.Generator) -> Array:
    centres = Z[seeds(Z, w, n_components, rng)]
    return one_hot(lloyd(Z, w, centres), n_components)


def _seeded(Z: Array, w: Array, n_components: int, rng: np.random.Generator) -> Array:
    centres = Z[seeds(Z, w, n_components, rng)]
    return one_hot(cdist(Z, centres, "sqeuclidean").argmin(axis=1), n_components)


def _random_rows(Z: Array, w: Array, n_components: int, rng: np.random.Generator) -> Array:
    # weighted draw without replacement: smallest exponential times of rate w
    rows = np.argsort(rng.exponential(size=len(Z)) / w, kind="stable")[:n_components]
    return one_hot(cdist(Z, Z[rows], "sqeuclidean").argmin(axis=1), n_components)


def _random(Z: Array, w: Array, n_components: int, rng: np.random.Generator) -> Array:
    R = rng.random((len(Z), n_components))
    return np.asarray(R / R.sum(axis=1, keepdims=True))


#: Words that name a start; scikit-learn's four and "auto", which mixes two of them.
PARTITIONS: dict[str, Callable[[Array, Array, int, np.random.Generator], Array]] = {
    "kmeans": _kmeans,
    "k-means++": _seeded,
    "random_from_data": _random_rows,
    "random": _random,
}
