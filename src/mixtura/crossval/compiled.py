"""Compiled runs of many candidates on rows in memory: they help each other to good starts.

A good partition of the rows for one candidate is mostly a good start for others. So after the
first runs of all each candidate starts again from what others found (`mixtura.crossval.exchange`),
and the best run of all counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mixtura.crossval.exchange import Exchange, Offer
from mixtura.crossval.held_rows import HeldRows
from mixtura.crossval.splits import Cut, cut_seed
from mixtura.crossval.trials import Cell, Search, Trial
from mixtura.executor import Executor
from mixtura.families.runs import CONVERGED, Folds, Ints, Limits, Pairs, Runner, Runs
from mixtura.mixture import Mixture
from mixtura.start import SHORT_STEPS, partitions
from mixtura.start.batch import FINAL_INNER, ROUGH_INNER, added
from mixtura.stats import Array, IntArray

#: Runs of each cell that go on after a few steps.
POLISHED = 2

#: How often candidates exchange what they found; not where one start each is asked for.
EXCHANGES = 2

#: Families of the same size that each candidate hears of.
N_DONORS = 3

#: How many times what it gained in the second half of its steps a run is trusted to gain yet.
TRUST = 3.0

#: Runs that go on where all known ones end on a bound.
N_REGULAR = 3

#: Runs that are so close, in nats, have met in one optimum.
SLACK = 1e-3


@dataclass(frozen=True, eq=False)
class Batch:
    """Runs on the rows of the cuts of one round.

    Attributes
    ----------
    runs : Runs
        The runs.
    left_out : ndarray of shape (J,)
        Fold that each leaves out.
    """

    runs: Runs
    left_out: Ints

    def take(self, jobs: Ints | IntArray) -> Batch:
        """Some of the runs, in the order given."""
        return Batch(self.runs.take(jobs), self.left_out[jobs])

    def joined(self, other: Batch) -> Batch:
        """These runs, then others."""
        left_out = np.concatenate([self.left_out, other.left_out])
        return Batch(Runs.joined([self.runs, other.runs]), left_out)

    def best(self) -> Batch:
        """The best run of each cell: fold, family and number of components; none if all failed."""
        order = self.runs.ranked()
        order = order[self.runs.ended[order]]
        _, first = np.unique(self._cells[order], return_index=True)
        return self.take(order[np.sort(first)])

    def of_fold(self, fold: int) -> Runs:
        """The runs that leave out one fold."""
        return self.runs.take(np.flatnonzero(self.left_out == fold))

    @property
    def units(self) -> Ints:
        """Numbers of the cells that runs belong to; runs of a cell stand together."""
        new = np.diff(self._cells, prepend=-1) != 0
        return np.cumsum(new, dtype=np.int32)

    @property
    def _cells(self) -> IntArray:
        """A number for each fold, family and number of components."""
        families, sizes = self.runs.families.astype(np.intp), self.runs.sizes
        cells = (self.left_out + 1) * (families.max(initial=0) + 1) + families
        return np.asarray(cells * (sizes.max(initial=0) + 1) + sizes)


class Goals(NamedTuple):
    """What is known of each cell, by family and number of components.

    Attributes
    ----------
    n_boundary : ndarray of shape (F, largest K + 1)
        Components on a bound in the best run.
    objective : ndarray of shape (F, largest K + 1)
        Its log-likelihood; -infinity where there is no run.
    """

    n_boundary: Ints
    objective: Array

    @classmethod
    def of(cls, runs: Runs | None, n_families: int, largest: int) -> Goals:
        """The runs, one for each cell."""
        shape = n_families, largest + 1
        goals = cls(np.zeros(shape, dtype=np.int32), np.full(shape, -np.inf))
        if runs is not None:
            cells = runs.families, runs.sizes
            goals.n_boundary[cells], goals.objective[cells] = runs.n_boundary, runs.objective
        return goals

    def to_reach(self, families: Ints, sizes: Ints) -> Array:
        """What runs must reach to count; runs on a bound are no goal."""
        bounded = self.n_boundary[families, sizes] > 0
        return np.where(bounded, -np.inf, self.objective[families, sizes] + SLACK)


class CompiledTrials:
    """Fits of all families that have compiled runs, to the rows of some cuts.

    Parameters
    ----------
    search : Search
        Sizes, starts and limits.
    runners : mapping
        Compiled code of families, by their places in the search.
    rows : HeldRows
        Rows and folds.
    executor : Executor
        Its threads are used.
    """

    def __init__(
        self, search: Search, runners: Mapping[int, Runner], rows: HeldRows, executor: Executor
    ) -> None:
        self.search, self.rows = search, rows
        self.places = list(runners)
        if runners:
            first, *others = runners.values()
            self.runner = first.joined(others)
        self.n_threads = executor.threads()
        self._samples: dict[Cut, tuple[Array, Array | None]] = {}

    def made(self, cuts: list[Cut]) -> dict[Cell, Trial]:
        """The best run of each cell; cells whose runs all fail are left out."""
        trials: dict[Cell, Trial] = {}
        for round_ in sorted({cut.round for cut in cuts} if self.places else ()):
            trials |= self._of_round(round_, [cut for cut in cuts if cut.round == round_])
        return trials

    def _of_round(self, round_: int, cuts: list[Cut]) -> dict[Cell, Trial]:
        began = time.perf_counter()
        found = self._tried(round_, {cut: self._fresh(cut) for cut in cuts}, POLISHED)
        exchanges = {cut: self._exchange(cut) for cut in cuts}
        for _ in range(EXCHANGES if len(self.search.methods) > 1 else 0):
            if found is None:
                break
            offers = {
                cut: exchange.heard(found.of_fold(cut.fold)).offer()
                for cut, exchange in exchanges.items()
            }
            more = self._tried(round_, offers, 1, found)
            found = found if more is None else found.joined(more).best()
        if found is None:
            return {}
        return dict(self._ended(round_, found, began))

    def _tried(
        self, round_: int, starts: Mapping[Cut, Offer], n_polished: int, known: Batch | None = None
    ) -> Batch | None:
        """The best run of each cell, from partitions: a few steps of all, the best of them go on.

        They go on until they can be compared, as long as they may still overtake those that
        are known. None where nothing could be run.
        """
        parts, left_out = [], []
        for cut, offer in starts.items():
            if not len(offer.pairs.families):
                continue
            own = None if known is None else known.of_fold(cut.fold)
            goals = Goals.of(own, len(self.places), max(self.search.sizes))
            runs = self._begun(cut, offer, goals)
            chosen = _promising(runs, goals, n_polished)
            if len(chosen):
                parts.append(runs.take(chosen))
                left_out.append(np.full(len(chosen), cut.fold, dtype=np.int32))
        if not parts:
            return None
        batch = Batch(Runs.joined(parts), np.concatenate(left_out))
        best = self._onward(round_, batch, self.search.rough_tol).best()
        return best if len(best.runs) else None

    def _begun(self, cut: Cut, offer: Offer, goals: Goals) -> Runs:
        """A few steps from partitions."""
        rows, w = self._sample(cut)
        steps = min(SHORT_STEPS, self.search.max_iter)
        of_jobs = offer.pairs.families, offer.sizes[offer.pairs.partitions]
        return self.runner.from_partitions(
            rows, w, offer.labels, offer.sizes, Limits(steps, 0.0, ROUGH_INNER, TRUST),
            self.n_threads, offer.pairs, goals.to_reach(*of_jobs),
        )  # fmt: skip

    def _onward(self, round_: int, batch: Batch, tol: float) -> Batch:
        folds = None
        if batch.left_out.max() >= 0:
            folds = Folds(self.rows.folds(round_), batch.left_out)
        inner = ROUGH_INNER if tol > self.search.tol else FINAL_INNER
        limits = Limits(self.search.max_iter, tol, inner, TRUST, accelerate=True)
        runs = self.runner.onward(
            batch.runs, self.rows.X, self.rows.w, limits, self.n_threads, folds, batch.units
        )
        return replace(batch, runs=added(batch.runs, runs))

    def _ended(self, round_: int, batch: Batch, began: float) -> Iterator[tuple[Cell, Trial]]:
        """The trials of one round; they share the time since its beginning by their work."""
        if self.search.tol < self.search.rough_tol:
            batch = self._onward(round_, batch, self.search.tol)
        batch = batch.take(np.flatnonzero(batch.runs.ended))
        runs, whole = batch.runs, batch.left_out < 0
        certain = iter(
            self.runner.certainty(
                runs.take(np.flatnonzero(whole)), self.rows.X, self.rows.w, self.n_threads
            ).tolist()
        )
        work = (runs.n_iter + 1.0) * runs.sizes
        seconds = (work / work.sum() * (time.perf_counter() - began)).tolist()
        for j in range(len(runs)):
            place, size = self.places[runs.families[j]], int(runs.sizes[j])
            yield (
                Cell(place, size, Cut(round_, int(batch.left_out[j]))),
                Trial(
                    Mixture(self.search.families[place][size], *runs.mixture(j)),
                    float(runs.objective[j]), int(runs.n_iter[j]),
                    bool(runs.status[j] == CONVERGED), seconds[j],
                    certainty=tuple(next(certain)) if whole[j] else None,
                    n_boundary=int(runs.n_boundary[j]),
                ),
            )  # fmt: skip

    # -- starts -----------------------------------------------------------------------

    def _sample(self, cut: Cut) -> tuple[Array, Array | None]:
        if cut not in self._samples:
            rows, weights = self.rows.sample(cut, max(self.search.sizes), self.search.seed)
            self._samples[cut] = rows, None if (weights == 1.0).all() else weights
        return self._samples[cut]

    def _fresh(self, cut: Cut) -> Offer:
        """Partitions into groups; all families start from the same."""
        rows, w = self._sample(cut)
        sizes = [size for size in self.search.sizes if size <= len(rows)]
        if not sizes:
            return Offer.nothing(len(rows))
        weights = np.ones(len(rows)) if w is None else w
        seed = cut_seed(self.search.seed, cut)
        labels, numbers = partitions(
            rows, weights, sizes, self.search.methods, seed, self.n_threads
        )
        n, n_families = len(numbers), len(self.places)
        pairs = Pairs(
            np.repeat(np.arange(n, dtype=np.int32), n_families),
            np.tile(np.arange(n_families, dtype=np.int32), n),
        )
        return Offer(labels, numbers, pairs)

    def _exchange(self, cut: Cut) -> Exchange:
        families = [self.search.families[place] for place in self.places]
        seed = cut_seed(self.search.seed, cut)
        return Exchange(
            *self._sample(cut), families, self.search.sizes, N_DONORS, seed, self.n_threads
        )


def _promising(runs: Runs, goals: Goals, n_polished: int) -> Ints:
    """Runs that go on: the best of each cell that may still overtake, and are not the same."""
    reach = runs.objective + TRUST * np.maximum(runs.gain, 0.0)
    bounded = goals.n_boundary[runs.families, runs.sizes]
    overtakes = reach > goals.objective[runs.families, runs.sizes] + SLACK
    hopeful = runs.ended & (overtakes | (bounded > runs.n_boundary))
    chosen: dict[tuple[int, int], list[int]] = {}
    order = runs.ranked()
    for j in order[hopeful[order]].tolist():
        own = chosen.setdefault((int(runs.families[j]), int(runs.sizes[j])), [])
        if (
            len(own) < (N_REGULAR if bounded[j] else n_polished)
            and all(abs(runs.objective[j] - runs.objective[i]) > SLACK for i in own)
            and (not own or reach[j] > runs.objective[own[0]])
        ):
            own.append(j)
    return np.array([j for own in chosen.values() for j in own], dtype=np.int32)
