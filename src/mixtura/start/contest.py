"""Which start is the best: short runs of all, long runs of the best of them, then moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtura.degenerate import Care
from mixtura.em import Fit, fit_em
from mixtura.executor import Executor
from mixtura.families.runs import Limits, Runner, Runs
from mixtura.mixture import Mixture
from mixtura.source import DataSource
from mixtura.start.batch import POLISHED, ROUGH_INNER, ROUNDS, SHORT_STEPS, Places, told_apart
from mixtura.start.initial import from_labels, rows_of
from mixtura.start.moves import split_and_merge
from mixtura.stopping import Aitken, Gain

#: Those that go on are compared closely enough: steps at most, and nats per row still to gain.
POLISH_STEPS = 500
POLISH_TOL = 1e-6

Rank = tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Run:
    """A start, the mixture that EM makes of it, and its rank: larger is better."""

    start: Mixture
    end: Mixture
    rank: Rank

    def beats(self, other: Run, slack: float) -> bool:
        """Tell whether the rank is higher, and the objective by more than the slack."""
        return self.rank > (*other.rank[:-1], other.rank[-1] + slack)


def best_run(
    mixtures: list[Mixture],
    source: DataSource,
    *,
    executor: Executor,
    n_polished: int = POLISHED,
    n_moves: int = 0,
    seed: int = 0,
    **options: Any,
) -> tuple[Mixture, Mixture]:
    """Run each start a few steps and the best ones on; return the best start and its result.

    With `n_moves`, that many more starts are made of the result by merging two components
    and splitting a third (Ueda, Nakano, Ghahramani and Hinton 2000); and again where one of
    them leads to a better mixture.
    """
    X, w = rows_of(source)
    slack = POLISH_TOL * float(w.sum())
    options["executor"] = executor
    best = winner(mixtures, source, n_polished, slack, **options)
    for turn in range(ROUNDS if n_moves and best.end.n_components > 2 else 0):
        labels = split_and_merge(best.end, X, w, n_moves, seed + turn)
        family, weighting, size = best.end.family, best.end.weighting, best.end.n_components
        moved, _ = from_labels(family, source, labels, size, executor)
        if not moved:
            break
        other = winner([m.under(weighting) for m in moved], source, 1, slack, **options)
        if not other.beats(best, slack):
            break
        best = other
    return best.start, best.end


def winner(
    mixtures: list[Mixture],
    source: DataSource,
    n_polished: int,
    slack: float,
    *,
    executor: Executor,
    care: Care,
    stop: Aitken | Gain | None = None,
    max_iter: int = 1000,
    **options: Any,
) -> Run:
    """Run each start a few steps and the best ones on; the best of these."""
    runner = mixtures[0].runner()
    if runner is not None:
        tol = max((stop or Aitken()).tol, POLISH_TOL)
        limits = Limits(min(max_iter, POLISH_STEPS), tol, ROUGH_INNER)
        run = _compiled(runner, mixtures, source, n_polished, slack, limits, executor.threads())
        if run is not None:
            return run
    options |= {"executor": executor, "care": care}
    tried = [fit_em(start, source, **{**options, "max_iter": SHORT_STEPS}) for start in mixtures]
    chosen = sorted(range(len(tried)), key=lambda i: rank(tried[i]), reverse=True)[:n_polished]
    fits = [
        (i, fit_em(tried[i].mixture, source, stop=stop, max_iter=max_iter, **options))
        for i in chosen
    ]
    i, fit = max(fits, key=lambda pair: rank(pair[1]))
    return Run(mixtures[i], fit.mixture, rank(fit))


def _compiled(
    runner: Runner,
    mixtures: list[Mixture],
    source: DataSource,
    n_polished: int,
    slack: float,
    limits: Limits,
    n_threads: int,
) -> Run | None:
    """The same in few calls of compiled code; None where no run keeps all its components."""
    (block,) = source.blocks()
    runs = runner.runs_of([(mixture.weights, mixture.params) for mixture in mixtures])
    steps = Limits(SHORT_STEPS, 0.0, ROUGH_INNER)
    short = runner.onward(runs, block.X, block.w, steps, n_threads)
    order = short.ranked(slack)[:n_polished]

    def onward(runs: Runs, places: Places, limits: Limits) -> Runs:
        del places
        return runner.onward(runs, block.X, block.w, limits, n_threads)

    ended, places = told_apart(short.take(order), [0] * len(order), onward, limits, slack)
    if not len(ended):
        return None
    start, best = mixtures[order[places[0]]], 0
    end = Mixture(start.family, *ended.mixture(best))
    merit = (float(len(end.weights)), -float(ended.n_boundary[best]), float(ended.objective[best]))
    return Run(start, end, merit)


def rank(fit: Fit) -> Rank:
    """Sort key: components kept, then components off the boundary, then the objective.

    A sparse prior of the weights takes components away on purpose, and its density has
    poles where they are nearly gone; BIC tells its runs apart.
    """
    mixture, stats = fit.mixture, fit.stats
    boundary = int(mixture.family.at_boundary(mixture.params).sum())
    if mixture.weighting.is_sparse:
        return 0, -boundary, stats.loglik - mixture.n_free / 2 * np.log(stats.mass)
    return mixture.n_components, -boundary, fit.objective
