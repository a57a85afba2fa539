"""Compiled runs of many candidates on rows in memory: families help each other to good starts.

A good partition of the rows for one family is mostly a good start for others. So after the
first runs of all families each candidate starts again from what the best of the others found
with as many components, and the best run of all counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from mixtura.criteria import bic
from mixtura.crossval.held_rows import HeldRows
from mixtura.crossval.splits import Cut, cut_seed
from mixtura.crossval.trials import Cell, Search, Trial
from mixtura.executor import Executor
from mixtura.families.runs import CONVERGED, DEGENERATE, Folds, Ints, Limits, Runner, Runs
from mixtura.mixture import Mixture
from mixtura.start import SHORT_STEPS, partitions
from mixtura.start.batch import FINAL_INNER, ROUGH_INNER
from mixtura.stats import Array

#: Runs of each cell that go on after a few steps.
POLISHED = 2

#: How often families exchange what they found.
EXCHANGES = 2

#: For each number of components partitions with their merits: on a bound or not, BIC, family.
Pool = dict[int, list[tuple[tuple[int, float, int], Ints]]]

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
        for _ in range(EXCHANGES):
            found = self._exchanged(found, round_, cuts)
        ended = self._each(lambda f: self._ended(f, round_, found[f]))
        trials = {cell: trial for own in ended.values() for cell, trial in own.items()}
        return _with_seconds(trials, time.perf_counter() - began)

    def _exchanged(
        self, found: dict[int, Batch | None], round_: int, cuts: list[Cut]
    ) -> dict[int, Batch | None]:
        """The best runs, after others from what the best of other families found."""
        n_donors = len(self.search.methods) // 2
        if not n_donors or sum(batch is not None for batch in found.values()) < 2:
            return found
        pools = {cut: self._pool(found, cut) for cut in cuts}

        def again(f: int) -> Batch | None:
            own = {cut: _donated(pool, f, n_donors) for cut, pool in pools.items()}
            return _better(found[f], self._tried(f, round_, own, 1))

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
        self, f: int, round_: int, starts: Mapping[Cut, tuple[Ints, Ints]], n_polished: int
    ) -> Batch | None:
        """The best run of each cell, from partitions: a few steps of all, the best of them go on.

        They go on until they can be compared. None where nothing could be run.
        """
        runner, limits = (
            self.runners[f],
            Limits(min(SHORT_STEPS, self.search.max_iter), 0.0, ROUGH_INNER),
        )
        parts, left_out = [], []
        for cut, (labels, sizes) in starts.items():
            if not len(sizes):
                continue
            rows, w = self._sample(cut)
            runs = runner.from_partitions(rows, w, labels, sizes, limits, self.n_threads)
            order = runs.ranked()
            order = order[runs.status[order] != DEGENERATE]
            chosen = [order[sizes[order] == size][:n_polished] for size in self.search.sizes]
            parts.append(runs.take(np.concatenate(chosen)))
            left_out.append(np.full(len(parts[-1]), cut.fold, dtype=np.int32))
        if not any(map(len, parts)):
            return None
        runs = Runs.joined(parts)
        batch = Batch(runs, np.concatenate(left_out), runs.n_iter)
        return self._onward(f, round_, batch, self.search.rough_tol).best()

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
        near = [family.near_boundary(runs.mixture(j)[1]).sum() for j in range(len(runs))]
        runs = replace(runs, n_boundary=np.array(near, dtype=np.int32))
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

    def _pool(self, found: Mapping[int, Batch | None], cut: Cut) -> Pool:
        """Partitions of a cut's rows by the best runs, for each size the best by BIC first."""
        rows, w = self._sample(cut)
        mass = float(len(rows) if w is None else w.sum())
        pool: Pool = {}
        for f, batch in found.items():
            if batch is None:
                continue
            for j in np.flatnonzero(batch.left_out == cut.fold).tolist():
                size = int(batch.runs.sizes[j])
                if size == 1:
                    continue
                mixture = Mixture(self.search.families[f][size], *batch.runs.mixture(j))
                value = bic(float(batch.runs.objective[j]), mixture.n_free, mass)
                labels = mixture.predict(rows).astype(np.int32)
                merit = (int(batch.runs.n_boundary[j] > 0), value, f)
                pool.setdefault(size, []).append((merit, labels))
        for entries in pool.values():
            entries.sort(key=lambda entry: entry[0])
        return pool


def _donated(pool: Pool, f: int, n_donors: int) -> tuple[Ints, Ints]:
    """The best partitions of each size that come from other families, and their sizes."""
    own = [
        (labels, size)
        for size, entries in pool.items()
        for _, labels in [entry for entry in entries if entry[0][2] != f][:n_donors]
    ]
    if not own:
        return NO_LABELS
    labels, sizes = zip(*own, strict=True)
    return np.array(labels), np.array(sizes, dtype=np.int32)


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
