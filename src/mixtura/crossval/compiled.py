"""Compiled runs of many candidates on rows in memory: they help each other to good starts.

A good partition of the rows for one candidate is mostly a good start for others. So after the
first runs of all each candidate starts again from what others found (`mixtura.crossval.exchange`),
and the best run of all counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from mixtura.crossval.exchange import Exchange
from mixtura.crossval.held_rows import HeldRows
from mixtura.crossval.splits import Cut, cut_seed
from mixtura.crossval.trials import Cell, Search, Trial
from mixtura.executor import Executor
from mixtura.families.runs import CONVERGED, DEGENERATE, Folds, Ints, Limits, Runner, Runs
from mixtura.mixture import Mixture
from mixtura.start import SHORT_STEPS, partitions
from mixtura.start.batch import FINAL_INNER, ROUGH_INNER, added
from mixtura.stats import Array

#: Runs of each cell that go on after a few steps.
POLISHED = 2

#: How often candidates exchange what they found; not where one start each is asked for.
EXCHANGES = 2

#: Families of the same size that each candidate hears of.
N_DONORS = 3

#: How many times what it gained in its last steps a run is trusted to gain yet.
TRUST = 4.0

#: Runs that go on where all known ones end on a bound.
N_REGULAR = 3

#: Runs that are so close, in nats, have met in one optimum.
SLACK = 1e-3

#: No partitions at all.
NO_LABELS = np.zeros((0, 0), dtype=np.int32), np.zeros(0, dtype=np.int32)

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Batch:
    """Runs of one family on the rows of the cuts of one round.

    Attributes
    ----------
    runs : Runs
        The runs.
    left_out : ndarray of shape (J,)
        Fold that each leaves out.
    n_iter : ndarray of shape (J,)
        M steps until now.
    """

    runs: Runs
    left_out: Ints
    n_iter: Ints

    def take(self, jobs: Any) -> Batch:
        """Some of the runs, in the order given."""
        return Batch(self.runs.take(jobs), self.left_out[jobs], self.n_iter[jobs])

    def joined(self, other: Batch) -> Batch:
        """These runs, then others."""
        return Batch(
            Runs.joined([self.runs, other.runs]),
            np.concatenate([self.left_out, other.left_out]),
            np.concatenate([self.n_iter, other.n_iter]),
        )

    def best(self) -> Batch | None:
        """The best run for each fold and number of components; None where all failed."""
        first: dict[tuple[int, int], int] = {}
        for j in self.runs.ranked().tolist():
            if self.runs.status[j] != DEGENERATE:
                first.setdefault((int(self.left_out[j]), int(self.runs.sizes[j])), j)
        return self.take(np.array(list(first.values()), dtype=np.intp)) if first else None


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
        self.search, self.runners, self.rows = search, runners, rows
        n_threads = executor.threads()
        # few families share the threads inside of each call instead
        self._side_by_side = n_threads if len(runners) >= 2 * n_threads else 1
        self.n_threads = 1 if self._side_by_side > 1 else n_threads
        self._samples: dict[Cut, tuple[Array, Array | None]] = {}

    def made(self, cuts: list[Cut]) -> dict[Cell, Trial]:
        """The best run of each cell; cells whose runs all fail are left out."""
        trials: dict[Cell, Trial] = {}
        for round_ in sorted({cut.round for cut in cuts} if self.runners else ()):
            trials |= self._of_round(round_, [cut for cut in cuts if cut.round == round_])
        return trials

    def _of_round(self, round_: int, cuts: list[Cut]) -> dict[Cell, Trial]:
        began = time.perf_counter()
        starts = {cut: self._partitions(cut) for cut in cuts}
        found = self._each(lambda f: self._tried(f, round_, starts, POLISHED))
        exchanges = {cut: self._exchange(cut) for cut in cuts}
        for _ in range(EXCHANGES if len(self.search.methods) > 1 else 0):
            found = self._exchanged(found, round_, exchanges)
        ended = self._each(lambda f: self._ended(f, round_, found[f]))
        trials = {cell: trial for own in ended.values() for cell, trial in own.items()}
        return _with_seconds(trials, time.perf_counter() - began)

    def _exchanged(
        self, found: dict[int, Batch | None], round_: int, exchanges: Mapping[Cut, Exchange]
    ) -> dict[int, Batch | None]:
        """The best runs, after others from what fits of other families and sizes offer."""
        for cut, exchange in exchanges.items():
            exchange.hear(_of_fold(found, cut.fold))

        def again(f: int) -> Batch | None:
            offers = {cut: exchange.offers(f) for cut, exchange in exchanges.items()}
            return _better(found[f], self._tried(f, round_, offers, 1, found[f]))

        return self._each(again)

    def _each(self, work: Callable[[int], T]) -> dict[int, T]:
        """Do some work for every family: side by side where there are more of them than threads."""
        places = list(self.runners)
        if self._side_by_side == 1:
            return {f: work(f) for f in places}
        pool = ThreadPoolExecutor(self._side_by_side)
        try:
            return dict(zip(places, pool.map(work, places), strict=True))
        finally:
            pool.shutdown(cancel_futures=True)

    def _tried(
        self,
        f: int,
        round_: int,
        starts: Mapping[Cut, tuple[Ints, Ints]],
        n_polished: int,
        known: Batch | None = None,
    ) -> Batch | None:
        """The best run of each cell, from partitions: a few steps of all, the best of them go on.

        They go on until they can be compared, as long as they may still overtake those that
        are known. None where nothing could be run.
        """
        parts, left_out = [], []
        for cut, (labels, sizes) in starts.items():
            if not len(sizes):
                continue
            runs, gains = self._begun(f, cut, labels, sizes)
            chosen = _promising(runs, gains, _goals(known, cut.fold), n_polished)
            if len(chosen):
                parts.append(runs.take(chosen))
                left_out.append(np.full(len(chosen), cut.fold, dtype=np.int32))
        if not parts:
            return None
        runs = Runs.joined(parts)
        batch = Batch(runs, np.concatenate(left_out), runs.n_iter)
        return self._onward(f, round_, batch, self.search.rough_tol).best()

    def _begun(self, f: int, cut: Cut, labels: Ints, sizes: Ints) -> tuple[Runs, Array]:
        """A few steps from partitions, and what each run gained in the second half of them.

        Degenerate runs are left out.
        """
        rows, w = self._sample(cut)
        runner, steps = self.runners[f], min(SHORT_STEPS, self.search.max_iter)
        limits = Limits(steps - steps // 2, 0.0, ROUGH_INNER)
        half = runner.from_partitions(rows, w, labels, sizes, limits, self.n_threads)
        half = half.take(np.flatnonzero(half.status != DEGENERATE))
        if not len(half):
            return half, half.objective
        limits = limits._replace(max_iter=steps // 2)
        runs = added(half, runner.onward(half, rows, w, limits, self.n_threads))
        return runs, runs.objective - half.objective

    def _onward(self, f: int, round_: int, batch: Batch, tol: float) -> Batch:
        folds = None
        if batch.left_out.max() >= 0:
            folds = Folds(self.rows.folds(round_), batch.left_out)
        inner = ROUGH_INNER if tol > self.search.tol else FINAL_INNER
        limits = Limits(self.search.max_iter, tol, inner)
        runs = self.runners[f].onward(
            batch.runs, self.rows.X, self.rows.w, limits, self.n_threads, folds
        )
        family = self.search.families[f][self.search.sizes[0]]
        # one for each component, or for each run whose components share what is bounded
        near = np.asarray(family.near_boundary(runs.params), dtype=np.int32)
        if len(near) == len(runs.weights):
            near = np.add.reduceat(near, np.cumsum(runs.sizes) - runs.sizes, dtype=np.int32)
        runs = replace(runs, n_boundary=near)
        return Batch(runs, batch.left_out, batch.n_iter + runs.n_iter)

    def _ended(self, f: int, round_: int, batch: Batch | None) -> dict[Cell, Trial]:
        if batch is None:
            return {}
        if self.search.tol < self.search.rough_tol:
            batch = self._onward(f, round_, batch, self.search.tol)
        runs, families = batch.runs, self.search.families[f]
        trials: dict[Cell, Trial] = {}
        for j in range(len(runs)):
            if runs.status[j] != DEGENERATE:
                size = int(runs.sizes[j])
                cell = Cell(f, size, Cut(round_, int(batch.left_out[j])))
                trials[cell] = Trial(
                    Mixture(families[size], *runs.mixture(j)), float(runs.objective[j]),
                    int(batch.n_iter[j]), bool(runs.status[j] == CONVERGED),
                )  # fmt: skip
        return trials

    # -- starts -----------------------------------------------------------------------

    def _sample(self, cut: Cut) -> tuple[Array, Array | None]:
        if cut not in self._samples:
            rows, weights = self.rows.sample(cut, max(self.search.sizes), self.search.seed)
            self._samples[cut] = rows, None if (weights == 1.0).all() else weights
        return self._samples[cut]

    def _partitions(self, cut: Cut) -> tuple[Ints, Ints]:
        """Partitions into groups, and their numbers; all families start from the same."""
        rows, w = self._sample(cut)
        sizes = [size for size in self.search.sizes if size <= len(rows)]
        if not sizes:
            return NO_LABELS
        weights = np.ones(len(rows)) if w is None else w
        seed = cut_seed(self.search.seed, cut)
        return partitions(rows, weights, sizes, self.search.methods, seed, self.n_threads)

    def _exchange(self, cut: Cut) -> Exchange:
        search = self.search
        seed = cut_seed(search.seed, cut)
        return Exchange(*self._sample(cut), search.families, search.sizes, N_DONORS, seed)


def _goals(known: Batch | None, fold: int) -> dict[int, tuple[int, float]]:
    """Components on a bound and objective of the known run of each size."""
    if known is None:
        return {}
    return {
        int(known.runs.sizes[j]): (int(known.runs.n_boundary[j]), float(known.runs.objective[j]))
        for j in np.flatnonzero(known.left_out == fold)
    }


def _promising(
    runs: Runs, gains: Array, goals: Mapping[int, tuple[int, float]], n_polished: int
) -> Ints:
    """Runs that go on: the best of each size that may still overtake, and are not the same."""
    chosen: dict[int, list[int]] = {}
    reach = runs.objective + TRUST * np.maximum(gains, 0.0)
    for j in runs.ranked().tolist():
        size, value = int(runs.sizes[j]), runs.objective[j]
        bounded, goal = goals.get(size, (0, -np.inf))
        own = chosen.setdefault(size, [])
        if (
            runs.status[j] != DEGENERATE
            and (reach[j] > goal + SLACK or bounded > runs.n_boundary[j])
            and len(own) < (N_REGULAR if bounded else n_polished)
            and all(abs(value - runs.objective[i]) > SLACK for i in own)
            and (not own or reach[j] > runs.objective[own[0]])
        ):
            own.append(j)
    return np.array([j for own in chosen.values() for j in own], dtype=np.int32)


def _of_fold(found: Mapping[int, Batch | None], fold: int) -> dict[int, Runs]:
    """The runs of one fold."""
    return {
        f: batch.runs.take(np.flatnonzero(batch.left_out == fold))
        for f, batch in found.items()
        if batch is not None
    }


def _better(one: Batch | None, other: Batch | None) -> Batch | None:
    """The better of the runs of each cell."""
    if one is None or other is None:
        return one or other
    return one.joined(other).best()


def _with_seconds(trials: dict[Cell, Trial], seconds: float) -> dict[Cell, Trial]:
    """Share the time of runs that were made together by their work."""
    work = sum((trial.n_iter + 1) * cell.n_components for cell, trial in trials.items())
    return {
        cell: Trial(
            trial.mixture, trial.objective, trial.n_iter, trial.converged,
            seconds * (trial.n_iter + 1) * cell.n_components / work,
        )
        for cell, trial in trials.items()
    }  # fmt: skip
