"""Fits to rows in memory: compiled runs, many at a time, or a loop where a family has none."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mixtura.crossval.splits import ALL, Cut, Folding, cut_seed, folds_at
from mixtura.crossval.trials import REFUSED, Cell, Search, Trial
from mixtura.degenerate import Care
from mixtura.em import fit_em
from mixtura.errors import DataError
from mixtura.executor import Executor
from mixtura.families import Family
from mixtura.families.runs import CONVERGED, DEGENERATE, Folds, Ints, Limits, Runner, Runs
from mixtura.mixture import Mixture
from mixtura.source import as_source
from mixtura.start import (
    POLISHED,
    SHORT_STEPS,
    best_run,
    distinct,
    initial_mixtures,
    partitions,
    rng_for,
    sample_limit,
)
from mixtura.stats import Array, IntArray, Rows


@dataclass(frozen=True, eq=False)
class HeldRows:
    """Rows in memory, and where they stood in the data.

    Attributes
    ----------
    X : ndarray of shape (n, d)
        Rows.
    w : ndarray of shape (n,) or None
        Their weights.
    folding : Folding or None
        What is left out; not needed where only `ALL` is asked for.
    index : ndarray of shape (n,), optional
        Places of the rows among all, ascending, if they are a sample.
    """

    X: Rows
    w: Array | None
    folding: Folding | None = None
    index: IntArray | None = None
    _folds: dict[int, Ints] = field(default_factory=dict)

    def folds(self, round_: int) -> Ints:
        """Fold of each row in a round, (n,)."""
        assert self.folding is not None
        if round_ not in self._folds:
            if self.index is None:
                own = self.folding.folds(round_, 0, len(self.X))
            else:
                own = folds_at(self.folding, round_, self.index)
            self._folds[round_] = np.ascontiguousarray(own)
        return self._folds[round_]

    def kept(self, cut: Cut) -> Ints:
        """Places of the rows that a cut leaves in."""
        if cut == ALL:
            return np.arange(len(self.X), dtype=np.int32)
        return np.flatnonzero(self.folds(cut.round) != cut.fold).astype(np.int32)


class HeldTrials:
    """All fits of a search to rows in memory.

    Starts are made of the rows of a cut only, and the best run of each cell counts.

    Parameters
    ----------
    search : Search
        Families, sizes, starts and limits.
    rows : HeldRows
        Rows and folds.
    executor : Executor
        Its threads are used.
    """

    def __init__(self, search: Search, rows: HeldRows, executor: Executor) -> None:
        self.search, self.rows, self.executor = search, rows, executor
        self._groups: dict[Cut, tuple[Array, Array, Ints, Ints]] = {}

    def made(self, cuts: list[Cut]) -> dict[Cell, Trial]:
        """Fit every candidate to the rows of every cut."""
        trials: dict[Cell, Trial] = {}
        for f, families in enumerate(self.search.families):
            runner = self._runner(families)
            if runner is not None:
                trials |= self._compiled(f, runner, cuts)
            for size in self.search.sizes:
                for cut in cuts:
                    cell = Cell(f, size, cut)
                    if cell not in trials:
                        trials[cell] = self._looped(families[size], size, cut)
        return trials

    def _runner(self, families: Mapping[int, Family[Any]]) -> Runner | None:
        """Compiled code, where there is one for all sizes: priors may differ between them."""
        first = families[self.search.sizes[0]]
        alike = all(family is first for family in families.values())
        if not alike or not self.search.weighting.is_plain or self.search.methods[0] == "random":
            return None
        return first.runner()

    # -- compiled runs ----------------------------------------------------------------

    def _compiled(self, f: int, runner: Runner, cuts: list[Cut]) -> dict[Cell, Trial]:
        """Best runs of a family, in few calls; cells whose runs all fail are left out."""
        began = time.perf_counter()
        trials: dict[Cell, Trial] = {}
        for round_ in sorted({cut.round for cut in cuts}):
            own = [cut for cut in cuts if cut.round == round_]
            starts = [self._short_runs(runner, cut) for cut in own]
            left_out = np.repeat(
                np.array([cut.fold for cut in own], dtype=np.int32), [len(s) for s in starts]
            )
            if len(left_out):
                trials |= self._best(f, runner, round_, Runs.joined(starts), left_out)
        work = sum((trial.n_iter + 1) * cell.n_components for cell, trial in trials.items())
        share = (time.perf_counter() - began) / max(work, 1)
        return {
            cell: Trial(
                trial.mixture, trial.objective, trial.n_iter, trial.converged,
                share * (trial.n_iter + 1) * cell.n_components,
            )
            for cell, trial in trials.items()
        }  # fmt: skip

    def _best(
        self, f: int, runner: Runner, round_: int, runs: Runs, left_out: Ints
    ) -> dict[Cell, Trial]:
        """Go on with runs until they can be compared, and with the best of each cell to the end."""
        search, n_threads = self.search, self.executor.threads()
        whole = left_out.max() < 0
        of_rows = None if whole else self.rows.folds(round_)

        def onward(runs: Runs, left_out: Ints, tol: float) -> Runs:
            folds = None if of_rows is None else Folds(of_rows, left_out)
            limits = Limits(search.max_iter, tol)
            return runner.onward(runs, self.rows.X, self.rows.w, limits, n_threads, folds)

        runs = onward(runs, left_out, search.rough_tol)
        best: dict[Cell, int] = {}
        for j in runs.ranked():
            if runs.status[j] != DEGENERATE:
                cell = Cell(f, int(runs.sizes[j]), Cut(round_, int(left_out[j])))
                best.setdefault(cell, int(j))
        if not best:
            return {}
        chosen = np.array(list(best.values()), dtype=np.intp)
        before = runs.n_iter[chosen]
        if search.tol < search.rough_tol:
            runs = onward(runs.take(chosen), left_out[chosen], search.tol)
            taken = before + runs.n_iter
        else:
            runs, taken = runs.take(chosen), before
        return {
            cell: Trial(
                Mixture(search.families[f][cell.n_components], *runs.mixture(j)),
                float(runs.objective[j]), int(taken[j]), bool(runs.status[j] == CONVERGED),
            )
            for j, cell in enumerate(best)
            if runs.status[j] != DEGENERATE
        }  # fmt: skip

    def _short_runs(self, runner: Runner, cut: Cut) -> Runs:
        """A few steps from every start without a fold's rows; the best ones of each size."""
        search, n_threads = self.search, self.executor.threads()
        rows, weights, labels, sizes = self._partitions(cut)
        limits = Limits(min(SHORT_STEPS, search.max_iter))
        w = None if (weights == 1.0).all() else weights
        runs = runner.from_partitions(rows, w, labels, sizes, limits, n_threads)
        order = runs.ranked()
        order = order[runs.status[order] != DEGENERATE]
        chosen = [order[sizes[order] == size][:POLISHED] for size in search.sizes]
        return runs.take(np.concatenate(chosen))

    def _partitions(self, cut: Cut) -> tuple[Array, Array, Ints, Ints]:
        """Rows, weights, and partitions into groups; all families start from the same."""
        if cut not in self._groups:
            rows, weights = self._sample(cut)
            sizes = [size for size in self.search.sizes if size <= len(rows)]
            labels, own = partitions(
                rows, weights, sizes, self.search.methods, cut_seed(self.search.seed, cut),
                self.executor.threads(),
            )  # fmt: skip
            self._groups[cut] = rows, weights, labels, own
        return self._groups[cut]

    def _sample(self, cut: Cut) -> tuple[Array, Array]:
        """Distinct rows of a cut, all or a random sample, with their weights."""
        kept = self.rows.kept(cut)
        limit = sample_limit(max(self.search.sizes))
        if len(kept) > limit:
            rng = rng_for(cut_seed(self.search.seed, cut), "sample")
            kept = rng.choice(kept, size=limit, replace=False)
        w = np.ones(len(kept)) if self.rows.w is None else self.rows.w[kept]
        return distinct(np.asarray(self.rows.X[kept], dtype=float), w)

    # -- one fit at a time ------------------------------------------------------------

    def _looped(self, family: Family[Any], size: int, cut: Cut) -> Trial:
        """The best run of one cell, with empty components mended."""
        began = time.perf_counter()
        search, executor = self.search, self.executor
        rows, weights = self._sample(cut)
        if len(rows) < size:
            return Trial.refused(DataError.too_few_distinct(len(rows), size))
        kept = self.rows.kept(cut)
        w = None if self.rows.w is None else self.rows.w[kept]
        whole = as_source(self.rows.X[kept], weights=w)
        sample = as_source(rows, weights=weights)
        mass = float(len(kept) if w is None else w.sum())
        care = Care("repair", max(mass, len(kept) if w is None else float((w > 0).sum())))
        seed = cut_seed(search.seed, cut)
        try:
            starts = initial_mixtures(family, sample, size, search.methods, seed, executor)
            starts = [start.under(search.weighting) for start in starts]
            small = len(kept) <= sample_limit(size)
            _, best = best_run(
                starts, whole if small else sample, executor=executor, care=care,
                stop=search.stop, max_iter=search.max_iter,
            )  # fmt: skip
            fit = fit_em(
                best, whole, executor=executor, care=care, stop=search.stop,
                max_iter=search.max_iter, accelerate=True,
            )  # fmt: skip
        except REFUSED as error:
            return Trial.refused(error)
        seconds = time.perf_counter() - began
        found, converged = fit.mixture, fit.outcome.converged
        if found.n_components < size and cut == ALL:
            left = f"only {found.n_components} of {size} components kept rows of their own"
            return Trial(None, seconds=seconds, reason=left)
        return Trial(found, fit.objective, fit.n_iter, converged, seconds)
