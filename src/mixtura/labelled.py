"""Rows of which something is known: several components per class, probabilities of classes.

What is known of a row is an allowance: the prior probability of every component for
this row, a factor of its weight in the E step. A known component is one such row of
zeros with a single one, and a row of ones is unknown; so labelled, partly labelled
and unlabelled data are one case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mixtura.codec import encodable
from mixtura.degenerate import Care
from mixtura.em import fit_em
from mixtura.errors import DataError
from mixtura.executor import Executor
from mixtura.families import Family
from mixtura.mixture import Mixture
from mixtura.source import (
    AttachedSource,
    Block,
    DataSource,
    PickedSource,
    Summary,
    as_source,
    every_row,
)
from mixtura.start import (
    best_run,
    distinct,
    draw_sample,
    from_partition,
    initial_mixtures,
    portfolio,
    rng_for,
    sample_limit,
)
from mixtura.start.contest import POLISH_STEPS, POLISH_TOL
from mixtura.start.hierarchy import MANY_COLUMNS
from mixtura.start.initial import rows_of
from mixtura.start.sample import chosen_rows, uniform_at
from mixtura.stats import Array
from mixtura.stopping import Aitken

#: Starts by k-means beside the tree, where it calls for them.
MORE_STARTS = 4
ROWS_PER_PARAMETER = 3

#: EM over the rows of all classes goes on from the mixture of each: this near is near enough.
_NEAR: dict[str, Any] = {
    "stop": Aitken(POLISH_TOL), "max_iter": POLISH_STEPS, "accelerate": True,
}  # fmt: skip


def component_labels(labels: np.ndarray[Any, Any], sizes: Sequence[int]) -> np.ndarray[Any, Any]:
    """Labels of classes as what is known of components, the components of a class side by side.

    Parameters
    ----------
    labels : ndarray of shape (n,) or (n, C)
        Class of each row, counted from 0, -1 or NaN where unknown; or its probabilities.
    sizes : sequence of int, length C
        Components of each class.

    Returns
    -------
    ndarray of shape (n,) or (n, K)
        The labels themselves where each class has one component; otherwise which components
        are allowed, bool, or the probability of each component's class, float64.

    Raises
    ------
    DataError
        A label that has no class.

    Examples
    --------
    >>> component_labels(np.array([0, 1, -1]), [1, 2])
    array([[ True, False, False],
           [False,  True,  True],
           [ True,  True,  True]])
    """
    if max(sizes) == 1:
        return labels
    owner = np.repeat(np.arange(len(sizes)), sizes)
    if labels.ndim == 2:
        if labels.shape[1] != len(sizes):
            raise DataError.labels(f"{labels.shape[1]} columns for {len(sizes)} classes")
        # classes share no component, so the components of a row's classes add up to the class
        return np.asarray(labels, dtype=float)[:, owner]
    codes = np.where(np.isnan(labels), -1, labels) if labels.dtype.kind == "f" else labels
    if len(codes) and codes.max() >= len(sizes):
        raise DataError.labels(f"label {int(codes.max())}, but there are {len(sizes)} classes")
    return np.asarray((codes[:, None] == owner) | (codes[:, None] < 0))


def with_component_labels(source: DataSource, sizes: Sequence[int]) -> DataSource:
    """Source whose labels, of classes, say what they mean for the components.

    Examples
    --------
    >>> source = as_source([[1.0], [2.0]], labels=[0, 1])
    >>> next(with_component_labels(source, [2, 1]).blocks()).labels
    array([[ True,  True, False],
           [False, False,  True]])
    """
    if max(sizes) == 1 or not source.has_labels:
        return source
    if not source.in_memory:
        return PickedSource(source, every_row, partial(component_labels, sizes=tuple(sizes)))
    labels = [block.labels for block in source.blocks() if block.labels is not None]
    if not labels:
        return source
    return AttachedSource(source, None, component_labels(np.concatenate(labels), sizes))


def labelled_start(
    family: Family[Any],
    source: DataSource,
    summary: Summary,
    n_components: int,
    start: str,
    n_starts: int,
    seed: int,
    executor: Executor,
) -> Mixture:
    """Initial mixture from what is known of the rows.

    Components of which the same is known in every row are the components of one class: a
    mixture of them is fitted to the rows that may belong to it, as an unlabelled one.
    """
    X, P, w = _informed_rows(source, summary, n_components, seed, executor)
    kinds, of_component = np.unique(P, axis=1, return_inverse=True)
    R = np.zeros(P.shape)
    for kind in range(kinds.shape[1]):
        own = np.flatnonzero(of_component == kind)
        weight = w * kinds[:, kind]
        if not (weight > 0).sum() >= len(own):
            raise DataError.labels(
                f"component(s) {', '.join(map(str, own))} are allowed in "
                f"{int((weight > 0).sum())} row(s): give more rows, or fewer components"
            )
        R[:, own] = kinds[:, kind, None]
        if len(own) > 1:
            mixture = class_mixture(family, X, weight, len(own), start, n_starts, seed, executor)
            R[:, own] *= mixture.responsibilities(X)
    R /= R.sum(axis=1, keepdims=True)
    return from_partition(family, as_source(X, weights=w), R, executor)


def class_mixture(
    family: Family[Any],
    X: Array,
    w: Array,
    n_components: int,
    start: str,
    n_starts: int,
    seed: int,
    executor: Executor,
    n_rows: int | None = None,
) -> Mixture:
    """Best of several runs on the rows of one class, (n, d), in memory; w (n,) may hold zeros.

    Starts are compared on a sample where there are many rows; the best goes on with all.
    `n_rows` is how many rows there are, if X is a sample itself.
    """
    rows, weights = distinct(X, w)
    limit = sample_limit(n_components)
    some = rows, weights
    if len(rows) > limit:
        chosen = rng_for(seed, "class sample").choice(len(rows), size=limit, replace=False)
        chosen.sort()
        some = rows[chosen], weights[chosen]
    sample = as_source(some[0], weights=some[1])
    methods = portfolio(start, n_starts)
    if start == "hierarchical" and _calls_for_more(family, n_components, n_rows or len(rows)):
        methods += ["kmeans"] * MORE_STARTS
    starts = initial_mixtures(family, sample, n_components, methods, seed, executor)
    care = Care("repair", max(float((some[1] > 0).sum()), float(some[1].sum())))
    mixture = best_run(starts, sample, executor=executor, care=care, **_NEAR)[1]
    if mixture.n_components < n_components:  # what has no rows of its own stays, almost weightless
        mixture = fit_em(starts[0], sample, executor=executor, care=Care(), **_NEAR).mixture
    if len(rows) > limit:
        whole = as_source(rows, weights=weights)
        mixture = fit_em(mixture, whole, executor=executor, care=Care(), **_NEAR).mixture
    return mixture


def _calls_for_more(family: Family[Any], n_components: int, n_rows: int) -> bool:
    """Whether a tree may miss groups, and there are rows enough that no accident looks like one.

    In many columns that tell nothing, a tree of some hundred rows does not see the one that does.
    """
    enough = ROWS_PER_PARAMETER * family.n_free(n_components)
    return family.n_features >= MANY_COLUMNS and n_rows >= enough


def streamed_mixture(
    family: Family[Any],
    source: DataSource,
    n_rows: int,
    n_components: int,
    start: str,
    n_starts: int,
    seed: int,
    executor: Executor,
) -> Mixture:
    """Best of several runs on a sample of the rows of one class; it goes on with all, pass by pass.

    The source gives the `n_rows` rows of the class, and no labels.
    """
    limit = sample_limit(n_components)
    places = np.arange(n_rows)
    if n_rows > limit:
        places = rng_for(seed, "class sample").choice(n_rows, size=limit, replace=False)
        places.sort()
    drawn = executor.reduce(partial(chosen_rows, places), source)
    mixture = class_mixture(
        family, drawn.X, drawn.w, n_components, start, n_starts, seed, executor, n_rows
    )  # fmt: skip
    if n_rows > limit:
        mixture = fit_em(mixture, source, executor=executor, care=Care(), **_NEAR).mixture
    return mixture


def _informed_rows(
    source: DataSource, summary: Summary, n_components: int, seed: int, executor: Executor
) -> tuple[Array, Array, Array]:
    """Rows (m, d), what is known of them (m, K), and their weights: at most a sample's number."""
    task = partial(informed_rows, sample_limit(n_components), seed)
    found = executor.reduce(task, source)
    if not len(found.X):  # nothing is known of any row
        drawn = draw_sample(source, summary, n_components, seed, executor)
        X, w = rows_of(drawn)
        return X, np.ones((len(w), n_components)), w
    return found.X, found.P, found.w


@encodable
@dataclass(frozen=True, eq=False)
class Informed:
    """Rows (n, d), the prior probabilities of their components (n, K), their weights (n,).

    Each row has a random number `key` (n,); adding keeps the rows with the smallest ones, at
    most `limit`, in their order: a random sample of all.
    """

    limit: int
    X: Array
    P: Array
    w: Array
    key: Array

    def __add__(self, other: Informed) -> Informed:
        pairs = zip(self._rows(), other._rows(), strict=True)
        return Informed(self.limit, *(np.concatenate(pair) for pair in pairs)).thinned()

    def thinned(self) -> Informed:
        """Without the rows that are too many."""
        if len(self.key) <= self.limit:
            return self
        kept = np.sort(np.argpartition(self.key, self.limit)[: self.limit])
        return Informed(self.limit, *(rows[kept] for rows in self._rows()))

    def _rows(self) -> tuple[Array, ...]:
        return self.X, self.P, self.w, self.key


def informed_rows(limit: int, seed: int, block: Block, n_threads: int = 1) -> Informed:
    """Rows of a block of which something is known, or a sample of them."""
    del n_threads
    assert block.labels is not None
    P = np.asarray(block.labels, dtype=float)
    w = np.ones(len(P)) if block.w is None else block.w
    used = np.flatnonzero((P.max(axis=1) > P.min(axis=1)) & (w > 0))
    key = uniform_at(seed, block.first_row, block.n_rows)[used]
    X = np.asarray(block.X[used], dtype=float)
    return Informed(limit, X, P[used], w[used], key).thinned()
