"""Starts made of a fitted mixture: a component split in two, or two merged and a third split."""

from __future__ import annotations

import numpy as np

from mixtura import _kernel
from mixtura.executor import Executor
from mixtura.families.runs import Ints
from mixtura.mixture import Mixture
from mixtura.source import DataSource
from mixtura.start.initial import from_labels, rows_of
from mixtura.start.partitions import PARTITIONS
from mixtura.start.spaces import whitened
from mixtura.stats import Array, IntArray

#: Pairs to merge and components to split that come into question.
PAIRS = 4
SPLITS = 3

TWO = np.array([2], dtype=np.int32)
KMEANS = np.array([PARTITIONS["kmeans"]], dtype=np.int32)


def split_starts(
    mixture: Mixture, sample: DataSource, n_starts: int, seed: int, executor: Executor
) -> list[Mixture]:
    """Starts with one component more: each splits one of the widest components.

    Parameters
    ----------
    mixture : Mixture
        Fitted to rows like those of the sample.
    sample : DataSource
        Rows in memory, see `draw_sample`.
    n_starts : int
        How many components to split, one in each start; fewer where the mixture has fewer.
    seed : int
        Same seed, same starts.
    executor : Executor
        Its threads are used.

    Returns
    -------
    list of Mixture
        Each of K + 1 components; empty where no component has two rows to be told apart.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.executor import Local
    >>> from mixtura.families import Gaussian
    >>> from mixtura.em import estimate
    >>> from mixtura.source import as_source
    >>> X = np.array([[0.0], [0.5], [4.0], [4.5], [20.0], [20.5]])
    >>> one = estimate(Gaussian(1), as_source(X), 1)
    >>> [two] = split_starts(one, as_source(X), 1, 0, Local(1))
    >>> abs(np.diff(two.predict(X)))  # the last two are apart
    array([0, 0, 0, 1, 0])
    """
    X, w = rows_of(sample)
    labels = splits(mixture, X, w, n_starts, seed)
    if not len(labels):
        return []
    size = mixture.n_components + 1
    made, _ = from_labels(mixture.family, sample, labels, size, executor)
    return [start.under(mixture.weighting) for start in made]


def splits(
    mixture: Mixture,
    X: Array,
    w: Array,
    n_splits: int,
    seed: int,
    Z: Array | None = None,
    R: Array | None = None,
) -> Ints:
    """Partitions (J, n) with one component more: each splits one of the widest, at most so many.

    `Z` are the rows in whitened space and `R` their responsibilities, if they are at hand.
    """
    if Z is None:
        Z = np.ascontiguousarray(whitened(mixture.family.start_features(X), w))
    if R is None:
        R = mixture.responsibilities(X)
    hard = R.argmax(axis=1)
    new = mixture.n_components - mixture.family.n_fixed  # fixed components stay the last ones
    hard[hard >= new] += 1
    result = []
    for k in _widest(Z, w, R[:, :new])[:n_splits]:
        labels = _split(Z, w, hard, int(k), new, seed)
        if labels is not None:
            result.append(labels)
    return np.array(result, dtype=np.int32).reshape(-1, len(X))


def merged(mixture: Mixture, w: Array, n_merges: int, R: Array) -> Ints:
    """Partitions (J, n) with one component fewer, from responsibilities R (n, K).

    Each merges one of the pairs that share most rows, at most `n_merges` of them.
    """
    hard = R.argmax(axis=1)
    free = R[:, : mixture.n_components - mixture.family.n_fixed]
    result = []
    for i, j in _overlapping(free, w)[:n_merges]:
        labels = np.where(hard == j, i, hard)
        result.append(labels - (labels > j))
    return np.array(result, dtype=np.int32).reshape(-1, len(R))


def split_and_merge(
    mixture: Mixture, X: Array, w: Array, n_moves: int, seed: int, Z: Array | None = None
) -> Ints:
    """Partitions (J, n) that merge two components which overlap and split a wide third one.

    `Z` are the rows in whitened space, if they are at hand. At most `n_moves`, the most
    promising first. After Ueda, Nakano, Ghahramani and Hinton (2000), Neural Computation 12,
    2109-2128: pairs by the scalar product of their responsibilities; what is split is the
    component with the largest scatter.
    """
    R = mixture.responsibilities(X)
    if Z is None:
        Z = np.ascontiguousarray(whitened(mixture.family.start_features(X), w))
    hard = R.argmax(axis=1)
    free = R[:, : mixture.n_components - mixture.family.n_fixed]
    widest = _widest(Z, w, free)
    moves = [
        (a + b, i, j, int(k))
        for a, (i, j) in enumerate(_overlapping(free, w)[:PAIRS])
        for b, k in enumerate([k for k in widest if k not in (i, j)][:SPLITS])
    ]
    result = []
    for _, i, j, k in sorted(moves)[:n_moves]:
        merged = np.where(hard == j, i, hard)
        labels = _split(Z, w, merged, k, j, seed)
        if labels is not None:
            result.append(labels)
    return np.array(result, dtype=np.int32).reshape(-1, len(X))


def _split(Z: Array, w: Array, hard: IntArray, k: int, name: int, seed: int) -> Ints | None:
    """Labels with component k in two, the part farther from most rows under a new name."""
    own = np.flatnonzero(hard == k)
    key = np.array([(seed + k) % 2**62])
    part = _kernel.partitions(Z[own], w[own], TWO, KMEANS, key, 1)[0]
    if not 0 < np.count_nonzero(part) < len(part):
        return None
    labels = hard.astype(np.int32)
    labels[own[part == 1]] = name
    return labels


def _widest(Z: Array, w: Array, R: Array) -> IntArray:
    """Components by their scatter in whitened space, the largest first."""
    own = R * w[:, None]
    mass = own.sum(axis=0)
    means = (own.T @ Z) / np.maximum(mass, np.finfo(float).tiny)[:, None]
    scatter = own.T @ (Z**2).sum(axis=1) - mass * (means**2).sum(axis=1)
    return np.argsort(-scatter, kind="stable")


def _overlapping(R: Array, w: Array) -> list[tuple[int, int]]:
    """Pairs of components, those that share most rows first."""
    products = R.T @ (R * w[:, None])
    norm = np.sqrt(np.maximum(np.diagonal(products), np.finfo(float).tiny))
    first, second = np.triu_indices(R.shape[1], 1)
    shared = (products / norm[:, None] / norm)[first, second]
    order = np.argsort(-shared, kind="stable")
    return [(int(first[p]), int(second[p])) for p in order]
