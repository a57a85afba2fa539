"""Initial mixtures: one M step of a partition, of responsibilities, or what a person gave."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
from scipy import linalg

from mixtura.em import estimate, known_stats
from mixtura.errors import DegenerateComponentError, MixturaWarning, UsageError
from mixtura.executor import Executor
from mixtura.families import Family
from mixtura.families.runs import DEGENERATE, Ints, Limits
from mixtura.mixture import Mixture, from_stats
from mixtura.source import DataSource, Summary
from mixtura.start.partitions import partitions
from mixtura.start.sample import rng_for
from mixtura.stats import Array


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
    X, w = rows_of(sample)
    if methods[0] == "random":
        groups = (_random_groups(len(X), n_components, seed, i) for i in range(len(methods)))
        mixtures, problem = _regular(family, sample, groups, executor)
    else:
        labels, _ = partitions(
            family.start_features(X), w, [n_components - family.n_fixed], methods, seed,
            executor.threads(),
        )  # fmt: skip
        mixtures, problem = from_labels(family, sample, labels, n_components, executor)
    if not mixtures:
        warnings.warn(MixturaWarning.start_failed(methods[0], problem), stacklevel=2)
        R = _random_groups(len(X), n_components, seed, "last resort")
        mixtures.append(from_partition(family, sample, R, executor))
    return mixtures


def from_labels(
    family: Family[Any], sample: DataSource, labels: Ints, n_components: int, executor: Executor
) -> tuple[list[Mixture], str]:
    """M steps of partitions `labels` (J, n), as far as there are any; else what was wrong."""
    runner = family.runner()
    if runner is not None and len(labels):
        (block,) = sample.blocks()
        sizes = np.full(len(labels), n_components, dtype=np.int32)
        runs = runner.from_partitions(
            block.X, block.w, np.ascontiguousarray(labels), sizes, Limits(0), executor.threads()
        )
        usable = np.flatnonzero(runs.status != DEGENERATE)
        if len(usable):
            return [Mixture(family, *runs.mixture(int(j))) for j in usable], ""
    return _regular(family, sample, (one_hot(own, n_components) for own in labels), executor)


def rows_of(sample: DataSource) -> tuple[Array, Array]:
    """Rows (n, d) and weights (n,) of a source in memory."""
    (block,) = sample.blocks()
    X = np.asarray(block.X, dtype=float)
    return X, np.ones(len(X)) if block.w is None else block.w


def _random_groups(n_rows: int, n_components: int, seed: int, which: object) -> Array:
    R = rng_for(seed, "start", which).random((n_rows, n_components))
    return np.asarray(R / R.sum(axis=1, keepdims=True))


def _regular(
    family: Family[Any], sample: DataSource, groups: Iterable[Array], executor: Executor
) -> tuple[list[Mixture], str]:
    """M steps of responsibilities, as far as there are any, and what was wrong with the last."""
    mixtures, problem = [], ""
    for R in groups:
        try:
            mixtures.append(from_partition(family, sample, R, executor))
        except (DegenerateComponentError, linalg.LinAlgError) as error:
            problem = str(error)
    return mixtures, problem


def from_partition(
    family: Family[Any], sample: DataSource, R: Array, executor: Executor
) -> Mixture:
    """M step of a rough partition R (n, K), softened so that small groups stay regular.

    Raises
    ------
    DegenerateComponentError
        A component of the partition has no row.
    """
    n_components, R = R.shape[1], family.seeded(R)
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


def one_hot(labels: Ints, n_components: int) -> Array:
    """Labels as responsibilities, (n, K); none where the label is -1."""
    R = np.zeros((len(labels), n_components))
    known = np.flatnonzero(labels >= 0)
    R[known, labels[known]] = 1.0
    return R
