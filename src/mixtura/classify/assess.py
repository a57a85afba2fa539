"""How good a classifier is on rows that it was fitted without: errors, scores, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from mixtura.classify.model import Classifier, probabilities
from mixtura.classify.rows import all_codes, class_folds, codes_of, of_folds
from mixtura.classify.scores import BINS, RowScores, Score, score_of
from mixtura.classify.spec import ClassSpec
from mixtura.classify.work import Work
from mixtura.errors import UsageError
from mixtura.executor import session
from mixtura.families.runs import Ints
from mixtura.fitting import HELD_BYTES
from mixtura.source import Block, DataSource, hold
from mixtura.start import rng_for
from mixtura.stats import Array, tree_sum

#: Rows that are scored at a time.
SCORED_ROWS = 1 << 14


class Bin(NamedTuple):
    """Decisions of about the same probability: what they said, and how often they were right."""

    low: float
    high: float
    rows: float  # weight of its rows, per repeat
    said: float  # mean probability of the decision
    right: Score  # share of right decisions


@dataclass(frozen=True, eq=False)
class Assessment:
    """How labelled rows fare under classifiers that were fitted without them.

    Attributes
    ----------
    classes : tuple
        Names of the classes.
    scores : RowScores
        Sums over the rows.
    n_folds : int
        Folds of each repeat.
    n_repeats : int
        Rounds with other folds.
    n_stopped : int
        Fits that ended before they converged.
    """

    classes: tuple[Any, ...]
    scores: RowScores
    n_folds: int
    n_repeats: int = 1
    n_stopped: int = 0

    @property
    def n_rows(self) -> int:
        """Rows that were classified."""
        return self.scores.n_rows

    @property
    def mass(self) -> float:
        """Sum of their weights."""
        return self.scores.every.mass

    @property
    def confusion(self) -> Array:
        """Weight of rows by class (C) and decision (C, and declined last), mean over repeats."""
        return self.scores.confusion

    @property
    def error(self) -> Score:
        """Share of rows whose most probable class is wrong, whether decided or declined."""
        return score_of(self.scores.every, 0)

    @property
    def declined(self) -> Score:
        """Share of rows without a decision."""
        return score_of(self.scores.every, 1)

    @property
    def error_of_decided(self) -> Score:
        """Share of wrong ones among the decisions that were made; NaN without any."""
        return score_of(self.scores.decided)

    @property
    def log_loss(self) -> Score:
        """Mean of minus the log-probability of the true class, in nats per row."""
        return score_of(self.scores.every, 2)

    @property
    def brier(self) -> Score:
        """Half the squared distance between probabilities and truth: 0 is perfect, 1 the worst.

        With two classes it is the squared error of one probability (Brier 1950 has twice
        this).
        """
        return score_of(self.scores.every, 3)

    @property
    def calibration(self) -> tuple[Bin, ...]:
        """What decisions said against how often they were right, in bins that have rows."""
        return tuple(
            Bin(b / BINS, (b + 1) / BINS, one.mass, score_of(one, 0).value, score_of(one, 1))
            for b, one in enumerate(self.scores.bins)
            if one.mass > 0
        )


def cross_classify(
    spec: ClassSpec,
    source: DataSource,
    classes: Sequence[Any],
    *,
    n_folds: int = 10,
    n_repeats: int = 1,
    seed: int = 0,
    folds: Ints | None = None,
) -> Assessment:
    """Fit without each fold in turn, and classify its rows; rows of unknown class always help.

    Whatever the spec leaves open is chosen anew without the fold.

    Parameters
    ----------
    spec : ClassSpec
        What to fit.
    source : DataSource
        Rows, weights and classes. Of each row, only its class and folds are kept in memory.
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
    >>> from mixtura.source import as_source
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (50, 1)), rng.normal(4, 1, (50, 1))])
    >>> source = as_source(X, labels=np.repeat([0, 1], 50))
    >>> spec = ClassSpec(families=((Gaussian(1),),) * 2, sizes=((1,),) * 2)
    >>> found = cross_classify(spec, source, ["a", "b"], n_folds=5)
    >>> found.error.value < 0.1, found.confusion.sum()
    (True, np.float64(100.0))
    """
    source = hold(source, HELD_BYTES)
    job = spec.job(n_folds=n_folds, n_repeats=n_repeats, folds_seed=seed, folds=folds)
    with session(spec.executor, source, job) as executor:
        spec = replace(spec, executor=executor)
        # ranges, such as the number of categories, are those of all rows
        spec = replace(spec, families=Work.on(spec, source, classes).families)
        codes = all_codes(source, executor)
        rounds = list(_rounds(codes, n_folds, n_repeats, seed, folds))
        found: list[list[Classifier]] = []
        for own in rounds:
            parts = (of_folds(source, own, fold, inside=False) for fold in range(own.max() + 1))
            found.append([spec.fit(part, classes).timeless() for part in parts])
        n_stopped = sum(not one.fitted.outcome.converged for own in found for one in own)
        scores = executor.reduce(partial(_scored, found, rounds), source)
    return Assessment(tuple(classes), scores, int(rounds[0].max()) + 1, len(rounds), n_stopped)


def _scored(
    found: list[list[Classifier]], rounds: list[Ints], block: Block, n_threads: int = 1
) -> RowScores:
    """Scores of the rows of a block whose class is known, some at a time."""
    del n_threads
    pieces = range(0, max(block.n_rows, 1), SCORED_ROWS)
    return tree_sum(
        _scored_piece(found, rounds, block.rows(start, start + SCORED_ROWS)) for start in pieces
    )


def _scored_piece(found: list[list[Classifier]], rounds: list[Ints], block: Block) -> RowScores:
    labels = codes_of(block)
    w = np.ones(block.n_rows) if block.w is None else block.w
    known = np.flatnonzero((labels >= 0) & (w > 0))
    X = block.X[known]
    log_probability = np.zeros((len(rounds), len(known), len(found[0][0].classes)))
    decisions = np.full((len(rounds), len(known)), -1)
    for r, own in enumerate(rounds):
        folds = own[block.first_row + known]
        for fold, one in enumerate(found[r]):
            out = np.flatnonzero(folds == fold)
            if len(out):
                joint = one.log_joint(X[out])
                log_probability[r, out] = probabilities(joint)
                decisions[r, out] = one.decide(joint)
    return RowScores.of(labels[known].astype(np.int64), log_probability, decisions, w[known])


def _rounds(
    codes: Ints, n_folds: int, n_repeats: int, seed: int, folds: Ints | None
) -> Iterator[Ints]:
    if folds is None:
        for r in range(n_repeats):
            yield class_folds(codes, n_folds, int(rng_for(seed, "repeat", r).integers(2**31)))
        return
    for own in np.atleast_2d(np.asarray(folds, dtype=np.int32)):
        if own.shape != codes.shape or (own[codes >= 0] < 0).any() or own.max() < 1:
            raise UsageError.argument(
                "folds", f"of shape {np.shape(folds)}", f"folds 0, 1, ... of {len(codes)} rows"
            )
        yield own
