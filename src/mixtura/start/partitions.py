"""Rough partitions of rows into groups, made in compiled code, and the words that name them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mixtura import _kernel
from mixtura.errors import UsageError
from mixtura.families.runs import Ints
from mixtura.start.hierarchy import KINDS, agglomerate
from mixtura.start.sample import rng_for
from mixtura.start.spaces import standardised, unmixed, whitened, without_outliers
from mixtura.stats import Array, IntArray

Space = Callable[[Array, Array], Array]

#: Words that name a start, and the kernel's number for a partition about centres: k-means from
#: k-means++ seeds, the seeds alone, random rows. Of "hierarchical" there is one tree for all
#: sizes, and "random" has responsibilities in place of a partition.
PARTITIONS: dict[str, int | None] = {
    "kmeans": 0,
    "k-means++": 1,
    "random_from_data": 2,
    "hierarchical": None,
    "random": None,
}

#: From so many columns on there may be noise enough to hide what separates groups.
NOISY_COLUMNS = 4


def portfolio(method: str, n_starts: int) -> list[str]:
    """Which starts to make: for "auto" a tree, then k-means and random rows in turn.

    A tree has no randomness: there are no more of them than there are kinds.

    Raises
    ------
    UsageError
        The word is not known; the message lists those that are.
    """
    if method != "auto" and method not in PARTITIONS:
        raise UsageError.argument("start", method, f"one of auto, {', '.join(PARTITIONS)}")
    if method == "hierarchical":
        return [method] * min(n_starts, len(KINDS))
    if method != "auto":
        return [method] * n_starts
    return ["hierarchical", *(["kmeans", "random_from_data"] * n_starts)][:n_starts]


def moves_among(method: str, n_starts: int, n_components: int) -> int:
    """How many of the starts are moves out of the best of the others: four in ten of "auto"."""
    return 2 * n_starts // 5 if method == "auto" and n_components > 2 else 0


def partitions(
    X: Array, w: Array, sizes: Sequence[int], methods: list[str], seed: int, n_threads: int
) -> tuple[Ints, Ints]:
    """Rough partitions of rows into groups: for every size, one per method.

    Returns
    -------
    labels : ndarray of shape (J, n)
        Group of each row; -1 where the row has no weight, is left out of some of the
        partitions as an outlier, or is not in the tree's sample.
    sizes : ndarray of shape (J,)
        Number of groups.
    """
    keys = rng_for(seed, "start").integers(0, 2**63, size=len(methods))
    labels = np.full((len(sizes), len(methods), len(X)), -1, dtype=np.int32)
    turns = list(_turns(methods))
    core = without_outliers(X, w)
    for i, (method, turn) in enumerate(zip(methods, turns, strict=True)):
        if method == "hierarchical":
            tree = agglomerate(X, core, seed, turn, max(sizes), n_threads)
            labels[:, i] = [tree.cut(size) for size in sizes]
    spaces = spaces_of(X.shape[1])
    for turn, space in enumerate(spaces):
        own = [
            i
            for i, method in enumerate(methods)
            if PARTITIONS[method] is not None and turns[i] % len(spaces) == turn
        ]
        if own:
            numbers = np.array([PARTITIONS[methods[i]] for i in own], dtype=np.int32)
            counted = core if turn % 2 else w
            labels[:, own] = _about_centres(space, X, counted, sizes, numbers, keys[own], n_threads)
    return labels.reshape(-1, len(X)), np.repeat(np.array(sizes, dtype=np.int32), len(methods))


def spaces_of(n_features: int) -> tuple[Space, ...]:
    """Spaces in which centres are found, in turn.

    Whitening undoes correlation, but hides a few separating directions among many others
    whose noise it scales up to the same size. So the plain columns have their turn, and
    where there are many, those directions in which the rows are least like one Gaussian.
    """
    return (
        (whitened, unmixed, standardised)
        if n_features >= NOISY_COLUMNS
        else (whitened, standardised)
    )


def _about_centres(
    space: Space,
    X: Array,
    w: Array,
    sizes: Sequence[int],
    methods: Ints,
    keys: IntArray,
    n_threads: int,
) -> Ints:
    """Partitions of one space, (S, M, n); K groups are told apart in K - 1 directions at most."""
    Z = space(X, w)
    result = np.empty((len(sizes), len(methods), len(X)), dtype=np.int32)
    for made, size in zip(result, sizes, strict=True):
        used = Z[:, : max(size - 1, 1)] if space is unmixed else Z
        groups = np.full(len(methods), size, dtype=np.int32)
        made[:] = _kernel.partitions(
            np.ascontiguousarray(used), w, groups, methods, keys, n_threads
        )
    return result


def _turns(methods: list[str]) -> Iterator[int]:
    """How often the same word came before."""
    for i, method in enumerate(methods):
        yield methods[:i].count(method)
