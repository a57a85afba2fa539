"""Model-based agglomeration of rows: one tree that can be cut into any number of groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mixtura import _kernel
from mixtura.families.runs import Ints
from mixtura.start.sample import rng_for
from mixtura.start.spaces import half_whitened, whitened
from mixtura.stats import Array

#: Spaces of trees, and the pseudo-scatter of every group in them. The first follows thin groups
#: in any direction; the second holds in many dimensions too, and there it comes first.
KINDS: tuple[tuple[Callable[[Array, Array], Array], float], ...] = (
    (whitened, 0.1),
    (half_whitened, 0.3),
)
MANY_COLUMNS = 8

#: A tree takes about this many seconds at most: beyond, it is grown of a sample of the rows.
SECONDS = 0.012

#: Rows of such a sample for every group that is asked for, at least.
ROWS_PER_GROUP = 10


@dataclass(frozen=True, eq=False)
class Tree:
    """Merges of rows into groups, the cheapest first.

    Attributes
    ----------
    merges : ndarray of int, shape (m - 1, 2)
        Two groups that became one, named by their first rows; the earlier name stays.
    rows : ndarray of int, shape (m,)
        The rows of the data that the tree is made of.
    n_rows : int
        Rows of the data.
    """

    merges: Ints
    rows: Ints
    n_rows: int

    def cut(self, n_groups: int) -> Ints:
        """Group of each row, (n,), groups in the order of their first rows; -1: not in the tree.

        Where the tree has fewer rows than groups are asked for, each is one.
        """
        name = np.arange(len(self.rows))
        done = self.merges[: max(len(self.rows) - n_groups, 0)]
        name[done[:, 1]] = done[:, 0]
        while not np.array_equal(above := name[name], name):
            name = above
        labels = np.full(self.n_rows, -1, dtype=np.int32)
        labels[self.rows] = np.unique(name, return_inverse=True)[1]
        return labels


def agglomerate(
    X: Array, w: Array, seed: int = 0, turn: int = 0, n_groups: int = 1, n_threads: int = 1
) -> Tree:
    """Grow the tree of rows by merging groups so that a Gaussian for each fits best.

    Every merge is the one that raises sum_k n_k log det(S_k) least, S_k the covariance of
    group k with a little pseudo-scatter. It does not depend on the units of the columns; the
    tree in whitened space, not on linear relations between them either.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows.
    w : ndarray of shape (n,)
        Weights; a row of weight two counts as the row twice, merged. Rows without weight
        are left out.
    seed : int, default=0
        Of the sample that is taken of many rows.
    turn : int, default=0
        Trees of other turns are of the other kind, and of another sample.
    n_groups : int, default=1
        Groups that the tree will be cut into at most.
    n_threads : int, default=1
        Threads that may be used.

    Returns
    -------
    Tree

    Notes
    -----
    Fraley (1998), SIAM Journal on Scientific Computing 20, 270-281, the criterion for unlike
    covariances; the second kind of space is that of Scrucca and Raftery (2015), Advances in
    Data Analysis and Classification 9, 447-460.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 0.0], [0.1, 0.0], [9.0, 0.1], [9.1, 0.0], [5.0, 9.0], [5.0, 9.1]])
    >>> tree = agglomerate(X, np.ones(6))
    >>> tree.cut(3), tree.cut(6)
    (array([0, 0, 1, 1, 2, 2], dtype=int32), array([0, 1, 2, 3, 4, 5], dtype=int32))
    """
    rows = np.flatnonzero(w > 0).astype(np.int32)
    limit = max(rows_within(SECONDS, X.shape[1]), ROWS_PER_GROUP * n_groups)
    if len(rows) > limit:
        rng = rng_for(seed, "tree", turn)
        rows = np.sort(rng.choice(rows, size=limit, replace=False, shuffle=False))
    first = int(X.shape[1] >= MANY_COLUMNS)
    space, softness = KINDS[(first + turn) % len(KINDS)]
    own = np.ascontiguousarray(w[rows] / w[rows].mean())
    Z = np.ascontiguousarray(space(X[rows], own))
    return Tree(_kernel.hierarchy(Z, own, softness, n_threads), rows, len(X))


def rows_within(seconds: float, n_features: int) -> int:
    """Rows of which a tree takes so long: the square of the rows counts, on a usual machine."""
    return int(np.sqrt(seconds / (1e-9 * (25 + 5 * n_features + n_features**3 / 6))))
