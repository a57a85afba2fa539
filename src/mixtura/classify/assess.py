"""How good a classifier is on rows that it was fitted without: errors, scores, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from mixtura.classify.model import probabilities
from mixtura.classify.rows import class_folds, whole
from mixtura.classify.spec import ClassSpec
from mixtura.classify.work import Work
from mixtura.errors import UsageError
from mixtura.source import DataSource, as_source
from mixtura.start import rng_for
from mixtura.stats import Array, IntArray

#: Bins of the calibration table, of equal width.
BINS = 10


class Score(NamedTuple):
    """A number and its standard error, from the spread over rows."""

    value: float
    standard_error: float


class Bin(NamedTuple):
    """Decisions of about the same probability: what they said, and how often they were right."""

    low: float
    high: float
    rows: float  # weight of its rows, per repeat
    said: float  # mean probability of the decision
    right: Score  # share of right decisions


@dataclass(frozen=True, eq=False)
class Assessment:
    """Class probabilities of labelled rows under classifiers that were fitted without them.

    Repeats are averaged row by row before standard errors are taken, so that these are
    about new rows, not about other folds.

    Attributes
    ----------
    classes : tuple
        Names of the classes.
    truth : ndarray of shape (n,)
        Class of each row, from 0.
    log_probability : ndarray of shape (R, n, C)
        In nats, for each repeat.
    decisions : ndarray of shape (R, n)
        Class decided, -1 where declined.
    weights : ndarray of shape (n,)
        Weights of the rows.
    n_folds : int
        Folds of each repeat.
    n_stopped : int
        Fits that ended before they converged.
    """

    classes: tuple[Any, ...]
    truth: IntArray
    log_probability: Array
    decisions: IntArray
    weights: Array
    n_folds: int
    n_stopped: int = 0

    @property
    def n_repeats(self) -> int:
        """Rounds with other folds."""
        return len(self.log_probability)

    @property
    def confusion(self) -> Array:
        """Weight of rows by class (C) and decision (C, and declined last), mean over repeats."""
        n_classes = len(self.classes)
        table = np.zeros((n_classes, n_classes + 1))
        for decided in self.decisions:
            columns = np.where(decided < 0, n_classes, decided)
            np.add.at(table, (self.truth, columns), self.weights)
        return table / self.n_repeats

    @property
    def error(self) -> Score:
        """Share of rows whose most probable class is wrong, whether decided or declined."""
        return self._mean(self._wrong)

    @property
    def declined(self) -> Score:
        """Share of rows without a decision."""
        return self._mean((self.decisions < 0).astype(float))

    @property
    def error_of_decided(self) -> Score:
        """Share of wrong ones among the decisions that were made; NaN without any."""
        return self._ratio(self._wrong, (self.decisions >= 0).astype(float))

    @property
    def log_loss(self) -> Score:
        """Mean of minus the log-probability of the true class, in nats per row."""
        return self._mean(-self._of_truth(self.log_probability))

    @property
    def brier(self) -> Score:
        """Half the squared distance between probabilities and truth: 0 is perfect, 1 the worst.

        With two classes it is the squared error of one probability (Brier 1950 has twice
        this).
        """
        truth = np.arange(len(self.classes)) == self.truth[:, None]
        distance = ((np.exp(self.log_probability) - truth) ** 2).sum(axis=2)
        return self._mean(distance / 2)

    @property
    def calibration(self) -> tuple[Bin, ...]:
        """What decisions said against how often they were right, in bins that have rows."""
        said = np.exp(self.log_probability.max(axis=2))
        place = np.minimum((said * BINS).astype(int), BINS - 1)
        bins = []
        for b in range(BINS):
            own = (place == b).astype(float)
            rows = float((own @ self.weights).mean())
            if rows > 0:
                right = self._ratio(1.0 - self._wrong, own)
                bins.append(
                    Bin(b / BINS, (b + 1) / BINS, rows, self._ratio(said, own).value, right)
                )
        return tuple(bins)

    @property
    def _wrong(self) -> Array:
        return np.asarray(self.log_probability.argmax(axis=2) != self.truth, dtype=float)

    def _of_truth(self, values: Array) -> Array:
        own = np.take_along_axis(values, self.truth[None, :, None], axis=2)
        return np.asarray(own[:, :, 0], dtype=float)

    def _mean(self, losses: Array) -> Score:
        return self._ratio(losses, np.ones_like(losses))

    def _ratio(self, values: Array, counted: Array) -> Score:
        """Mean of values (R, n) over what is counted (R, n), and its error by linearisation."""
        top = self.weights * (values * counted).mean(axis=0)
        bottom = self.weights * counted.mean(axis=0)
        n = bottom.sum()
        if n <= 0:
            return Score(np.nan, np.nan)
        ratio = float(top.sum() / n)
        if (bottom > 0).sum() < 2:  # one row has no spread
            return Score(ratio, np.nan)
        away = top - ratio * bottom
        return Score(ratio, float(np.sqrt(away @ away) / n))


def cross_classify(
    spec: ClassSpec,
    source: DataSource,
    classes: Sequence[Any],
    *,
    n_folds: int = 10,
    n_repeats: int = 1,
    seed: int = 0,
    folds: IntArray | None = None,
) -> Assessment:
    """Fit without each fold in turn, and classify its rows; rows of unknown class always help.

    Whatever the spec leaves open is chosen anew without the fold.

    Parameters
    ----------
    spec : ClassSpec
        What to fit.
    source : DataSource
        Rows, weights and classes; held in memory.
    classes : sequence
        Names of the classes.
    n_folds : int, default=10
        Folds; every class is spread evenly over them.
    n_repeats : int, default=1
        Rounds with other folds.
    seed : int, default=0
        Same seed and data, same folds.
    folds : ndarray of int, shape (n,) or (R, n), optional
        Fold of each row, in place of random ones; -1 is in none.

    Returns
    -------
    Assessment

    Raises
    ------
    DataError
        Without some fold, a class has too few rows.

    Examples
    --------
    >>> from mixtura.families import Gaussian
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (50, 1)), rng.normal(4, 1, (50, 1))])
    >>> source = as_source(X, labels=np.repeat([0, 1], 50))
    >>> spec = ClassSpec(families=((Gaussian(1),),) * 2, sizes=((1,),) * 2)
    >>> found = cross_classify(spec, source, ["a", "b"], n_folds=5)
    >>> found.error.value < 0.1, found.confusion.sum()
    (True, np.float64(100.0))
    """
    # ranges, such as the number of categories, are those of all rows
    spec = replace(spec, families=Work.on(spec, source, classes).families)
    X, codes, w = whole(source)
    known = np.flatnonzero((codes >= 0) & (w > 0))
    rounds = list(_rounds(codes, n_folds, n_repeats, seed, folds))
    log_probability = np.zeros((len(rounds), len(X), len(classes)))
    decisions = np.full((len(rounds), len(X)), -1)
    n_stopped = 0
    for r, own in enumerate(rounds):
        for fold in range(own.max() + 1):
            kept, out = own != fold, np.flatnonzero((own == fold) & (codes >= 0) & (w > 0))
            part = as_source(X[kept], weights=w[kept], labels=codes[kept])
            found = spec.fit(part, classes)
            n_stopped += not found.fitted.outcome.converged
            if len(out):
                joint = found.log_joint(X[out])
                log_probability[r, out] = probabilities(joint)
                decisions[r, out] = found.decide(joint)
    return Assessment(
        tuple(classes), codes[known].astype(np.int64), log_probability[:, known],
        decisions[:, known], w[known], int(rounds[0].max()) + 1, n_stopped,
    )  # fmt: skip


def _rounds(
    codes: IntArray, n_folds: int, n_repeats: int, seed: int, folds: IntArray | None
) -> Iterator[IntArray]:
    if folds is None:
        for r in range(n_repeats):
            yield class_folds(codes, n_folds, int(rng_for(seed, "repeat", r).integers(2**31)))
        return
    for own in np.atleast_2d(np.asarray(folds)):
        if own.shape != codes.shape or (own[codes >= 0] < 0).any() or own.max() < 1:
            raise UsageError.argument(
                "folds", f"of shape {np.shape(folds)}", f"folds 0, 1, ... of {len(codes)} rows"
            )
        yield own
