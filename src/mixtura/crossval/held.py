"""Fits to rows in memory: compiled runs, many at a time, or a loop where a family has none."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mixtura.crossval.compiled import CompiledTrials
from mixtura.crossval.held_rows import HeldRows
from mixtura.crossval.splits import ALL, Cut, cut_seed
from mixtura.crossval.trials import REFUSED, Cell, Search, Trial
from mixtura.degenerate import Care
from mixtura.em import fit_em
from mixtura.errors import DataError
from mixtura.executor import Executor
from mixtura.families import Family
from mixtura.families.runs import Runner
from mixtura.source import as_source
from mixtura.start import best_run, initial_mixtures, sample_limit


class HeldTrials:
    """All fits of a search to rows in memory: compiled runs, or a loop where a family has none.

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

    def made(self, cuts: list[Cut]) -> dict[Cell, Trial]:
        """Fit every candidate to the rows of every cut."""
        runners = {f: self._runner(own) for f, own in enumerate(self.search.families)}
        compiled = {f: runner for f, runner in runners.items() if runner is not None}
        trials = CompiledTrials(self.search, compiled, self.rows, self.executor).made(cuts)
        for f, families in enumerate(self.search.families):
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

    def _looped(self, family: Family[Any], size: int, cut: Cut) -> Trial:
        """The best run of one cell, with empty components mended."""
        began = time.perf_counter()
        search, executor = self.search, self.executor
        rows, weights = self.rows.sample(cut, max(search.sizes), search.seed)
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
