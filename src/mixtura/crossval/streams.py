"""Fits to a stream of rows: all of them advance together, so the longest sets the passes."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np

from mixtura.crossval.held import HeldTrials
from mixtura.crossval.held_rows import HeldRows
from mixtura.crossval.splits import ALL, Cut, Folding, Training
from mixtura.crossval.trials import REFUSED, Cell, Search, Trial
from mixtura.degenerate import Care
from mixtura.em import Fit, em_run
from mixtura.executor import Executor
from mixtura.lockstep import Asking, guarded, lockstep, through
from mixtura.source import DataSource, Summary
from mixtura.start import rng_for, sample_limit
from mixtura.start.contest import POLISH_TOL
from mixtura.start.sample import chosen_rows


def streamed(
    search: Search,
    source: DataSource,
    summary: Summary,
    folding: Folding | None,
    cuts: list[Cut],
    executor: Executor,
) -> dict[Cell, Trial]:
    """Fit every candidate to the rows of every cut, all in lockstep.

    One pass draws a sample, on whose rows the starts are explored, those of a cut on the
    rows that it leaves in.
    """
    sample = sampled(source, summary, max(search.sizes), search.seed, folding, executor)
    rough = replace(search, tol=max(search.tol, POLISH_TOL))
    starts = HeldTrials(rough, sample, executor).made(cuts)
    cells = [cell for cell, start in starts.items() if start.mixture is not None]
    began = time.perf_counter()
    fits = lockstep(
        [_run(search, summary, folding, cell, starts[cell], executor) for cell in cells],
        source, executor,
    )  # fmt: skip
    work = [
        (fit.n_iter + 1) * cell.n_components if isinstance(fit, Fit) else 0
        for fit, cell in zip(fits, cells, strict=True)
    ]
    share = (time.perf_counter() - began) / max(sum(work), 1)
    trials = dict(starts)
    for cell, fit, done in zip(cells, fits, work, strict=True):
        if isinstance(fit, Fit):
            trials[cell] = Trial(
                fit.mixture, fit.objective, fit.n_iter, fit.outcome.converged,
                starts[cell].seconds + share * done,
            )  # fmt: skip
            if fit.mixture.n_components < cell.n_components and cell.cut == ALL:
                left = f"only {fit.mixture.n_components} of {cell.n_components} components"
                trials[cell] = Trial(reason=f"{left} kept rows of their own")
        else:
            trials[cell] = Trial.refused(fit)
    return trials


def _run(
    search: Search,
    summary: Summary,
    folding: Folding | None,
    cell: Cell,
    start: Trial,
    executor: Executor,
) -> Asking[Fit | Exception]:
    """The run of one cell, which sees the rows that its cut leaves in."""
    assert start.mixture is not None
    mass = max(summary.n_positive, summary.mass)
    run = em_run(
        start.mixture, executor.threads(), stop=search.stop, max_iter=search.max_iter,
        care=Care("repair", mass), accelerate=True,
    )  # fmt: skip
    if folding is not None and cell.cut != ALL:
        run = through(Training(folding, cell.cut), run)
    return guarded(run, REFUSED)


def sampled(
    source: DataSource,
    summary: Summary,
    n_components: int,
    seed: int,
    folding: Folding | None,
    executor: Executor,
) -> HeldRows:
    """A random sample of the rows, in their order, with their places; one pass."""
    limit, n_rows = sample_limit(n_components), summary.n_rows
    chosen = np.arange(n_rows)
    if n_rows > limit:
        chosen = rng_for(seed, "sample").choice(n_rows, size=limit, replace=False, shuffle=False)
        chosen.sort()
    drawn = executor.reduce(partial(chosen_rows, chosen), source)
    return HeldRows(drawn.X, None if (drawn.w == 1.0).all() else drawn.w, folding, chosen)
