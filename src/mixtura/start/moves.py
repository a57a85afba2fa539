"""Starts made of a fitted mixture: a component split in two, or two merged and a third split."""

from __future__ import annotations

import numpy as np

from mixtura import _kernel
from mixtura.executor import Executor
from mixtura.families.runs import Ints
from mixtura.mixture import Mixture
from mixtura.source import DataSource
from mixtura.start.initial import from_labels, rows_of
from mixtura.start.spaces import whitened
from mixtura.stats import Array

#: Pairs to merge and components to split that come into question.
PAIRS = 4
SPLITS = 3


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


def splits(mixture: Mixture, X: Array, w: Array, n_splits: int, seed: int) -> Ints:
    """Partitions (J, n) with one component more: each splits one of the widest, at most so many.

    The part of it that is farther from most rows, by 2-means in whitened space, is new.
    Components that are fixed stay the last ones.
    """
    R, Z, n_free = _soft(mixture, X, w)
    return _kernel.split_partitions(R, w, Z, n_free, n_splits, seed)


def split_and_merge(mixture: Mixture, X: Array, w: Array, n_moves: int, seed: int) -> Ints:
    """Partitions (J, n) that merge two components which overlap and split a wide third one.

    At most `n_moves`, the most promising first. After Ueda, Nakano, Ghahramani and Hinton
    (2000), Neural Computation 12, 2109-2128: pairs by the scalar product of their
    responsibilities; what is split is the component with the largest scatter.
    """
    R, Z, n_free = _soft(mixture, X, w)
    return _kernel.exchanged_partitions(R, w, Z, n_free, n_moves, PAIRS, SPLITS, seed)


def _soft(mixture: Mixture, X: Array, w: Array) -> tuple[Array, Array, int]:
    """Responsibilities (n, K), the rows in whitened space, and how many components may move."""
    Z = np.ascontiguousarray(whitened(mixture.family.start_features(X), w))
    R = np.ascontiguousarray(mixture.responsibilities(X))
    return R, Z, mixture.n_components - mixture.family.n_fixed
