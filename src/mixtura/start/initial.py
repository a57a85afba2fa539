"""Initial mixtures: a sample of the rows, several rough partitions of it, short runs of EM.

Starts are found on the distinct rows of a sample, in sorted order, with their
weights added up: neither the order of the rows nor whether a row is repeated or
weighted changes a start.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import linalg

from mixtura import _kernel
from mixtura.codec import encodable
from mixtura.degenerate import Care
from mixtura.em import Fit, estimate, fit_em, known_stats
from mixtura.errors import DegenerateComponentError, MixturaWarning, UsageError
from mixtura.executor import Executor, Local
from mixtura.families import Family
from mixtura.families.runs import DEGENERATE, Ints, Limits, Runs
from mixtura.mixture import Mixture, from_stats
from mixtura.source import Block, DataSource, Summary, as_source
from mixtura.stats import Array, IntArray
from mixtura.stopping import Aitken, Gain

#: Rows that a start looks at, and at least this many per component.
SAMPLE_ROWS = 10_000
SAMPLE_ROWS_PER_COMPONENT = 50

#: EM steps that every start gets before the ranking, and how many go on.
SHORT_STEPS = 10
POLISHED = 3

#: Those that go on are compared closely enough: steps at most, and nats per row still to gain.
POLISH_STEPS = 500
POLISH_TOL = 1e-6

#: Words that name a start, and the kernel's number for a partition of rows: k-means from
#: k-means++ seeds, the seeds alone, random rows. "random" has responsibilities instead.
PARTITIONS: dict[str, int | None] = {
    "kmeans": 0,
    "k-means++": 1,
    "random_from_data": 2,
    "random": None,
}


def rng_for(seed: int, *purpose: object) -> np.random.Generator:
    """Random numbers of their own for a seed and a purpose (a counter-based generator)."""
    tag = zlib.crc32("/".join(map(str, purpose)).encode())
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, tag])))


def draw_sample(
    source: DataSource,
    summary: Summary,
    n_components: int,
    seed: int,
    executor: Executor | None = None,
) -> DataSource:
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
    drawn = (executor or Local()).reduce(partial(chosen_rows, chosen), source)
    rows, weights = distinct(drawn.X, drawn.w)
    return as_source(rows, weights=weights)


@encodable
@dataclass(frozen=True, eq=False)
class Drawn:
    """Rows (n, d) and their weights (n,); adding puts one after the other."""

    X: Array
    w: Array

    def __add__(self, other: Drawn) -> Drawn:
        return Drawn(np.concatenate([self.X, other.X]), np.concatenate([self.w, other.w]))


def chosen_rows(chosen: IntArray, block: Block, n_threads: int = 1) -> Drawn:
    """Rows of a block whose numbers, counted over the whole source, are in the sorted `chosen`."""
    del n_threads
    first = block.first_row
    own = chosen[np.searchsorted(chosen, first) : np.searchsorted(chosen, first + block.n_rows)]
    own = own - first
    X = np.asarray(block.X[own], dtype=float)
    return Drawn(X, np.ones(len(own)) if block.w is None else block.w[own])


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
    """Which starts to make: alternately k-means and random rows for "auto".

    Raises
    ------
    UsageError
        The word is not known; the message lists those that are.
    """
    if method != "auto" and method not in PARTITIONS:
        raise UsageError.argument("start", method, f"one of auto, {', '.join(PARTITIONS)}")
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
    runner = family.runner()
    mixtures, problem = [], ""
    if methods[0] != "random":
        n_threads = executor.threads()
        labels, sizes = partitions(X, w, [n_components], methods, seed, n_threads)
        if runner is not None:
            runs = runner.from_partitions(X, block.w, labels, sizes, Limits(0), n_threads)
            usable = np.flatnonzero(runs.status != DEGENERATE)
            if len(usable):
                return [Mixture(family, *runs.mixture(int(j))) for j in usable]
        groups = [one_hot(own, n_components) for own in labels]
    else:
        draws = [
            rng_for(seed, "start", i).random((len(X), n_components)) for i in range(len(methods))
        ]
        groups = [R / R.sum(axis=1, keepdims=True) for R in draws]
    for R in groups:
        try:
            mixtures.append(from_partition(family, sample, R, executor))
        except (DegenerateComponentError, linalg.LinAlgError) as error:
            problem = str(error)
    if not mixtures:
        warnings.warn(MixturaWarning.start_failed(methods[0], problem), stacklevel=2)
        R = rng_for(seed, "start", "last resort").random((len(X), n_components))
        R /= R.sum(axis=1, keepdims=True)
        mixtures.append(from_partition(family, sample, R, executor))
    return mixtures


def partitions(
    X: Array, w: Array, sizes: Sequence[int], methods: list[str], seed: int, n_threads: int
) -> tuple[Ints, Ints]:
    """Rough partitions of rows into groups: for every size, one per method.

    Returns
    -------
    labels : ndarray of shape (J, n)
        Group of each row; -1 where the row has no weight.
    sizes : ndarray of shape (J,)
        Number of groups.
    """
    jobs = [(size, i, method) for size in sizes for i, method in enumerate(methods)]
    keys = rng_for(seed, "start").integers(0, 2**63, size=len(methods))
    arguments = np.array([(size, PARTITIONS[method]) for size, _, method in jobs], dtype=np.int32)
    own_keys = np.array([keys[i] for _, i, _ in jobs])
    # Whitening undoes correlation, but hides one separating direction among many others
    # whose noise it scales up to the same size; so both spaces have their turn.
    white = np.array([(i // 2 + 1) % 2 == 1 for _, i, _ in jobs])
    labels = np.empty((len(jobs), len(X)), dtype=np.int32)
    for space, own in ((standardised, ~white), (whitened, white)):
        if own.any():
            k, method = np.ascontiguousarray(arguments[own].T)
            labels[own] = _kernel.partitions(
                np.ascontiguousarray(space(X, w)), w, k, method, own_keys[own], n_threads
            )
    return labels, np.ascontiguousarray(arguments[:, 0])


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
    params = None
    for _ in range(2):  # about the means of the first pass, so that distant rows lose no digits
        stats = executor.reduce(partial(known_stats, family, params, n_components, R), sample)
        if params is None:
            params = from_stats(family, stats).params
    return from_stats(family, family.soften(stats), params)


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
    stop: Aitken | Gain | None = None,
    max_iter: int = 1000,
    **options: Any,
) -> tuple[Mixture, Mixture]:
    """Run each start a few steps and the best ones on; return the best start and its result."""
    runner = mixtures[0].runner()
    if runner is not None:
        limits = Limits(min(max_iter, POLISH_STEPS), max((stop or Aitken()).tol, POLISH_TOL))
        (block,) = source.blocks()
        n_threads = executor.threads()
        runs = Runs.of((mixture.weights, mixture.params) for mixture in mixtures)
        short = runner.onward(runs, block.X, block.w, Limits(SHORT_STEPS), n_threads)
        slack = POLISH_TOL * float(len(block.X) if block.w is None else block.w.sum())
        order = short.ranked(slack)[:n_polished]
        ended = runner.onward(short.take(order), block.X, block.w, limits, n_threads)
        best = int(ended.ranked(slack)[0])
        if ended.status[best] != DEGENERATE:
            start = mixtures[order[best]]
            return start, Mixture(start.family, *ended.mixture(best))
    options |= {"executor": executor, "care": care}
    tried = [fit_em(start, source, **{**options, "max_iter": SHORT_STEPS}) for start in mixtures]
    chosen = sorted(range(len(tried)), key=lambda i: rank(tried[i]), reverse=True)[:n_polished]
    fits = [
        (i, fit_em(tried[i].mixture, source, stop=stop, max_iter=max_iter, **options))
        for i in chosen
    ]
    i, fit = max(fits, key=lambda pair: rank(pair[1]))
    return mixtures[i], fit.mixture


def rank(fit: Fit) -> tuple[int, int, float]:
    """Sort key: components kept, then components off the boundary, then the objective.

    A sparse prior of the weights takes components away on purpose, and its density has
    poles where they are nearly gone; BIC tells its runs apart.
    """
    mixture, stats = fit.mixture, fit.stats
    boundary = int(mixture.family.at_boundary(mixture.params).sum())
    if mixture.weighting.is_sparse:
        return 0, -boundary, stats.loglik - mixture.n_free / 2 * np.log(stats.mass)
    return mixture.n_components, -boundary, fit.objective


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


def one_hot(labels: Ints, n_components: int) -> Array:
    """Labels as responsibilities, (n, K); none where the label is -1."""
    R = np.zeros((len(labels), n_components))
    known = np.flatnonzero(labels >= 0)
    R[known, labels[known]] = 1.0
    return R
