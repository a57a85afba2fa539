"""Held-out log-densities of many candidates on the same rows, as moments that add.

For each row and candidate, t is the sum of the log-densities over the times that the row was
held out, and h is how often that was. The score of a candidate is the ratio sum w t / sum w h;
its standard error is that of a ratio of means (Cochran 1977, section 2.11), with rows, of
which a weight is a number, as the units. Where every row is held out equally often both are
those of the mean. Errors of differences between candidates come from differences on the same
rows, and are much smaller than those of the scores themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mixtura.codec import encodable
from mixtura.crossval.splits import Cut, Folding
from mixtura.mixture import Mixture
from mixtura.source import Block
from mixtura.source.base import LEAF_ROWS
from mixtura.stats import Array, tree_sum


@encodable
@dataclass(frozen=True, eq=False)
class HeldOut:
    """Moments of held-out log-densities of C candidates over some rows.

    Attributes
    ----------
    mass : float
        Sum of w h.
    score : ndarray of shape (C,)
        Mean held-out log-density per row in nats.
    scatter : ndarray of shape (C, C)
        Sum of w e e', where e = t - h score.
    cross : ndarray of shape (C,)
        Sum of w h e: what moves the scatter to another score.
    square : float
        Sum of w h^2.

    Examples
    --------
    >>> X = np.array([[-1.0, -2.0, -3.0], [-1.5, -2.0, -3.1]])
    >>> one, other = HeldOut.of(X[:, :2]), HeldOut.of(X[:, 2:])
    >>> (one + other).score.round(6).tolist()
    [-2.0, -2.2]
    >>> gap, error = (one + other).behind(0)
    >>> gap.round(6).tolist(), error.round(4).tolist()
    ([0.0, 0.2], [0.0, 0.1247])
    """

    mass: float
    score: Array
    scatter: Array
    cross: Array
    square: float

    @classmethod
    def of(cls, total: Array, times: Array | None = None, weights: Array | None = None) -> HeldOut:
        """Moments of rows: `total` (C, n) summed over the `times` (n,) they were held out."""
        n = total.shape[1]
        h = np.ones(n) if times is None else times
        w = np.ones(n) if weights is None else weights
        mass = float(w @ h)
        score = total @ w / mass if mass > 0 else np.zeros(len(total))
        away = total - score[:, None] * h
        return cls(mass, score, (away * w) @ away.T, away @ (w * h), float(w @ (h * h)))

    def __add__(self, other: Self) -> Self:
        mass = self.mass + other.mass
        score = self.score
        if mass > 0:
            score = self.score + (other.score - self.score) * (other.mass / mass)
        moved = [part._about(score) for part in (self, other)]
        return type(self)(
            mass, score, moved[0][0] + moved[1][0], moved[0][1] + moved[1][1],
            self.square + other.square,
        )  # fmt: skip

    def _about(self, score: Array) -> tuple[Array, Array]:
        """Scatter and cross moments about another score."""
        shift = score - self.score
        mixed = np.outer(shift, self.cross)
        scatter = self.scatter - mixed - mixed.T + np.outer(shift, shift) * self.square
        return scatter, self.cross - shift * self.square

    @property
    def standard_error(self) -> Array:
        """Standard error of each score, (C,)."""
        return np.asarray(np.sqrt(np.maximum(np.diagonal(self.scatter), 0.0)) / self.mass)

    def behind(self, best: int) -> tuple[Array, Array]:
        """How far each candidate is behind one of them, and the standard errors, (C,) each."""
        spread = np.diagonal(self.scatter)
        between = spread + spread[best] - 2.0 * self.scatter[best]
        between[best] = 0.0
        error = np.sqrt(np.maximum(between, 0.0)) / self.mass
        return self.score[best] - self.score, np.asarray(error)

    def within_one_error(self, spread: float = 1.0) -> NDArray[np.bool_]:
        """Tell which candidates are at most one standard error of the best score behind, (C,).

        The one-standard-error rule (Breiman et al. 1984, section 3.4.3). The error is that of
        the rows times `spread`, for what the fits to other rows would change.
        """
        best = int(np.argmax(self.score))
        gap = self.score[best] - self.score
        return np.asarray(gap <= spread * self.standard_error[best])


@dataclass(frozen=True, eq=False)
class Score:
    """A task: held-out log-densities of a block under mixtures that were fitted without them.

    Parameters
    ----------
    folding : Folding
        What was left out.
    mixtures : sequence of (Cut, sequence of C Mixture)
        The mixtures of every cut.
    """

    folding: Folding
    mixtures: Sequence[tuple[Cut, Sequence[Mixture]]]

    def __call__(self, block: Block, n_threads: int = 1) -> HeldOut:
        """Moments of one block; its leaves are added in order."""
        total, times = self.totals(block, n_threads)
        leaves = []
        for start in range(0, max(block.n_rows, 1), LEAF_ROWS):
            rows = slice(start, start + LEAF_ROWS)
            w = None if block.w is None else block.w[rows]
            leaves.append(HeldOut.of(total[:, rows], times[rows], w))
        return tree_sum(leaves)

    def totals(self, block: Block, n_threads: int = 1) -> tuple[Array, Array]:
        """Sums of held-out log-densities (C, n), and how often each row was held out, (n,)."""
        total = np.zeros((len(self.mixtures[0][1]), block.n_rows))
        times = np.zeros(block.n_rows)
        for cut, own in self.mixtures:
            folds = self.folding.folds(cut.round, block.first_row, block.n_rows)
            out = np.flatnonzero(folds == cut.fold)
            X = block.X[out]
            times[out] += 1.0
            if len(out):
                for c, mixture in enumerate(own):
                    total[c, out] += mixture.log_density(X, n_threads)
        return total, times
