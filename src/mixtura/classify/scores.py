"""What rows say of classifiers that were fitted without them, as sums that add."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mixtura.codec import encodable
from mixtura.crossval import HeldOut
from mixtura.stats import Array, IntArray

#: Bins of the calibration table, of equal width.
BINS = 10


class Score(NamedTuple):
    """A number and its standard error, from the spread over rows."""

    value: float
    standard_error: float


@encodable
@dataclass(frozen=True, eq=False)
class RowScores:
    """Scores of rows; adding puts rows together.

    Repeats are averaged row by row before spreads are taken, so that these are about new
    rows, not about other folds. Ratios have errors by linearisation (`HeldOut`).

    Attributes
    ----------
    n_rows : int
        Rows.
    confusion : ndarray of shape (C, C + 1)
        Weight of the rows by class and decision, declined last, mean over repeats.
    counts : ndarray of shape (C, C + 1)
        The same as numbers of rows, summed over repeats.
    every : HeldOut
        Of all rows: wrong, declined, log-loss, Brier score.
    decided : HeldOut
        Of rows with a decision: wrong.
    bins : tuple of HeldOut
        Of rows whose decision has a probability in each bin: that probability, and right.
    reliability : ndarray of shape (C, 3, BINS)
        What `binned` finds of the probabilities of each class, summed over repeats.
    """

    n_rows: int
    confusion: Array
    counts: Array
    every: HeldOut
    decided: HeldOut
    bins: tuple[HeldOut, ...]
    reliability: Array

    @classmethod
    def of(
        cls, truth: IntArray, log_probability: Array, decisions: IntArray, weights: Array
    ) -> RowScores:
        """Scores of some rows.

        Parameters
        ----------
        truth : ndarray of shape (n,)
            Class of each row, from 0.
        log_probability : ndarray of shape (R, n, C)
            In nats, for each repeat.
        decisions : ndarray of shape (R, n)
            Class decided, -1 where declined.
        weights : ndarray of shape (n,)
            Weights of the rows.
        """
        n_repeats, _, n_classes = log_probability.shape
        P = np.exp(log_probability)
        is_class = np.arange(n_classes) == truth[:, None]
        wrong = np.asarray(log_probability.argmax(axis=2) != truth, dtype=float)
        was_decided = np.asarray(decisions >= 0, dtype=float)
        said = P.max(axis=2)
        place = _bin_of(said, BINS)
        losses = [
            wrong,
            1.0 - was_decided,
            -np.take_along_axis(log_probability, truth[None, :, None], axis=2)[:, :, 0],
            ((P - is_class) ** 2).sum(axis=2) / 2,
        ]
        return cls(
            len(truth),
            _table(truth, decisions, n_classes, weights) / n_repeats,
            _table(truth, decisions, n_classes, np.ones(len(truth))),
            _ratios(losses, np.ones_like(wrong), weights),
            _ratios([wrong], was_decided, weights),
            tuple(
                _ratios([said, 1.0 - wrong], np.asarray(place == b, dtype=float), weights)
                for b in range(BINS)
            ),
            np.array(
                [sum(binned(own[:, c], is_class[:, c]) for own in P) for c in range(n_classes)]
            ),
        )

    def __add__(self, other: RowScores) -> RowScores:
        bins = tuple(a + b for a, b in zip(self.bins, other.bins, strict=True))
        return RowScores(
            self.n_rows + other.n_rows, self.confusion + other.confusion,
            self.counts + other.counts, self.every + other.every, self.decided + other.decided,
            bins, self.reliability + other.reliability,
        )  # fmt: skip


def score_of(ratios: HeldOut, at: int = 0) -> Score:
    """One ratio and its error; NaN without rows, and no error of a single row."""
    if ratios.mass <= 0:
        return Score(np.nan, np.nan)
    one_row = ratios.square >= ratios.mass**2 * (1 - 1e-12)
    error = np.nan if one_row else float(ratios.standard_error[at])
    return Score(float(ratios.score[at]), error)


def _ratios(values: list[Array], counted: Array, weights: Array) -> HeldOut:
    """Means of values (R, n) over what is counted (R, n): rows are the units."""
    top = np.array([weights * (own * counted).mean(axis=0) for own in values])
    return HeldOut.of(top, weights * counted.mean(axis=0))


def _table(truth: IntArray, decisions: IntArray, n_classes: int, weights: Array) -> Array:
    """Weight by class and decision, declined last, summed over repeats."""
    table = np.zeros((n_classes, n_classes + 1))
    for decided in decisions:
        np.add.at(table, (truth, np.where(decided < 0, n_classes, decided)), weights)
    return table


def _bin_of(p: Array, n_bins: int) -> IntArray:
    """Bin of each probability, the last one with its end."""
    return np.minimum((p * n_bins).astype(np.int64), n_bins - 1)


def binned(p: Array, happened: Array, n_bins: int = BINS) -> Array:
    """Number of rows, sum of their probabilities, and number that happened, by bin: (3, B).

    Examples
    --------
    >>> binned(np.array([0.2, 0.3, 0.9]), np.array([False, True, True]), 2).tolist()
    [[2.0, 1.0], [0.5, 0.9], [1.0, 1.0]]
    """
    at = _bin_of(p, n_bins)
    return np.array([np.bincount(at, own, n_bins) for own in (None, p, happened)], dtype=float)
