"""Expectation-maximisation: one loop that asks for statistics, and what drives it.

At heart `Run.advance` is two lines: the next mixture, its statistics. Statistics are
asked for, not computed, so one loop serves a single run (`em_steps`, `fit_em`) and many
runs over one stream (`em_run`, see `mixtura.lockstep`). Weights, labels, files, threads
and clusters change how the statistics are made; they never add a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from mixtura.accelerate import Anderson
from mixtura.degenerate import Care, Event
from mixtura.errors import UsageError
from mixtura.executor import Executor, Local
from mixtura.families import Family
from mixtura.families.base import SLICE_ROWS
from mixtura.lockstep import Asking, answered
from mixtura.mixture import Mixture, from_stats
from mixtura.source import Block, DataSource
from mixtura.stats import Array, Stats, tree_sum
from mixtura.steps import Fit as Fit
from mixtura.steps import Step as Step
from mixtura.steps import Trace as Trace
from mixtura.steps import ended_by, finish, is_better, light
from mixtura.stopping import SETTLING, Aitken, Gain, Outcome
from mixtura.weighting import Weighting

#: A scoring step is halved so often at most: what still falls then is rounding, or a
#: gradient that is none.
MOST_HALVINGS = 14

#: Where a scoring step gains more than this part of what the one before gained, the next
#: one may be twice as long, up to so many lengths.
CRAWL = 0.5
FARTHEST = 1024.0


def em_steps(
    mixture: Mixture,
    source: DataSource,
    *,
    executor: Executor | None = None,
    care: Care | None = None,
    accelerate: bool = False,
) -> Iterator[Step]:
    """Yield a mixture and its statistics, then the next one, without end.

    Parameters
    ----------
    mixture : Mixture
        Starting point; it is the first to be yielded.
    source : DataSource
        Rows; read once per step.
    executor : Executor, optional
        Where blocks are processed. Default: threads of this process.
    care : Care, optional
        What to do with components that are empty or collapse.
    accelerate : bool, default=False
        Combine earlier statistics where plain steps crawl. A combination that
        would lower the objective costs a pass and is not yielded.

    Yields
    ------
    Step
        Its objective belongs to its own mixture.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Poisson, PoissonParams
    >>> from mixtura.source import as_source
    >>> X = as_source(np.array([[0.0], [1.0], [9.0], [8.0]]))
    >>> start = Mixture(Poisson(1), np.array([0.5, 0.5]), PoissonParams(np.array([[1.0], [7.0]])))
    >>> steps = em_steps(start, X)
    >>> next(steps).objective < next(steps).objective
    True
    """
    executor = executor or Local()
    run = Run(mixture, executor.threads(), care=care, accelerate=accelerate)
    while True:
        yield answered(run.advance(), source, executor)


def fit_em(
    mixture: Mixture,
    source: DataSource,
    *,
    executor: Executor | None = None,
    stop: Aitken | Gain | None = None,
    max_iter: int = 1000,
    care: Care | None = None,
    accelerate: bool = False,
    keep_mixtures: bool = False,
    watch: Callable[[Step], None] | None = None,
) -> Fit:
    """Fit a mixture by expectation-maximisation, from a given start.

    Each iteration is one pass over `source`: responsibilities and statistics
    are computed block by block and summed in block order, so the result does
    not depend on the executor.

    Parameters
    ----------
    mixture : Mixture
        Starting point, K components over d features. Not modified.
    source : DataSource
        Rows and their weights; read once per iteration. See `as_source`.
    executor : Executor, optional
        Where blocks are processed. Default: threads of this process.
    stop : Aitken or Gain, optional
        When to stop. Default: ``Aitken(1e-8)``.
    max_iter : int, default=1000
        Greatest number of M steps. Zero only evaluates `mixture`.
    care : Care, optional
        What to do with components that are empty or collapse.
    accelerate : bool, default=False
        See `em_steps`.
    keep_mixtures : bool, default=False
        Keep every iteration's mixture in the trace.
    watch : callable, optional
        Called with each `Step`, for progress.

    Returns
    -------
    Fit
        The last mixture, whose log-likelihood is the trace's last entry.

    Raises
    ------
    DegenerateComponentError
        Under ``Care("raise")``, when a component is empty or collapses.

    Notes
    -----
    Dempster, Laird and Rubin (1977), section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Poisson, PoissonParams
    >>> from mixtura.source import as_source
    >>> X = np.array([[0.0], [1.0], [0.0], [9.0], [8.0], [10.0]])
    >>> start = Mixture(Poisson(1), np.array([0.5, 0.5]), PoissonParams(np.array([[1.0], [8.0]])))
    >>> fit = fit_em(start, as_source(X))
    >>> fit.outcome.name, fit.mixture.params.rate.round(2).ravel().tolist()
    ('CONVERGED', [0.33, 8.99])
    """
    executor = executor or Local()
    run = em_run(
        mixture, executor.threads(), stop=stop, max_iter=max_iter, care=care,
        accelerate=accelerate, keep_mixtures=keep_mixtures, watch=watch,
    )  # fmt: skip
    return answered(run, source, executor)


def em_run(
    mixture: Mixture,
    n_threads: int = 1,
    *,
    stop: Aitken | Gain | None = None,
    max_iter: int = 1000,
    care: Care | None = None,
    accelerate: bool = False,
    keep_mixtures: bool = False,
    watch: Callable[[Step], None] | None = None,
) -> Asking[Fit]:
    """Fit a mixture as `fit_em` does, by asking for passes: see `mixtura.lockstep`."""
    stop = stop or Aitken()
    steps: list[Step] = []
    first = 0  # the first step since the last event: what the stop rule may compare
    outcome = Outcome.MAX_ITER
    run = Run(mixture, n_threads, care=care, accelerate=accelerate)
    while True:
        step = yield from run.advance()
        if step.events:
            first = len(steps)
        elif steps and (ended := ended_by(step, steps[-1].objective, stop.tol)):
            outcome = ended
            break
        if steps and not keep_mixtures:
            steps[-1] = light(steps[-1], step)
        steps.append(step)
        if watch is not None:
            watch(step)
        if stop.met(steps[max(first, len(steps) - SETTLING) :]):
            outcome = Outcome.CONVERGED
            break
        if step.iteration >= max_iter:
            break
    return finish(steps, outcome, keep_mixtures)


class Run:
    """The loop: one run of EM that knows neither the data nor when to stop.

    Parameters
    ----------
    mixture : Mixture
        Starting point.
    n_threads : int, default=1
        Threads of the M steps, in the process of the caller.
    care, accelerate
        See `em_steps`.
    """

    def __init__(
        self,
        mixture: Mixture,
        n_threads: int = 1,
        *,
        care: Care | None = None,
        accelerate: bool = False,
    ) -> None:
        self._start = mixture
        self._step: Step | None = None
        self._n_threads = n_threads
        self._n_passes = 0
        self._reach, self._gain = 1.0, np.inf  # of scoring steps
        self._care = (care or Care()).fresh()
        self._accelerator = Anderson() if accelerate and not mixture.family.damped else None

    def advance(self) -> Asking[Step]:
        """Ask for the passes of the next step, and return it; the first is the start itself."""
        before = self._step
        if before is None:
            return (yield from self._taken(self._start))
        mixture, stats, events = yield from self._care.mend(
            before.mixture, before.stats, before.iteration + 1
        )
        proposal = self._proposal(mixture, stats, events)
        if proposal is not None:
            step = yield from self._taken(proposal, mixed=True)
            if step.objective >= before.objective:
                return step
            assert self._accelerator is not None
            self._accelerator.reject()
            self._step = before
        after = mixture.maximise(stats, self._n_threads)
        if mixture.family.damped and not events:
            return (yield from self._scored(before, after))
        return (yield from self._taken(after, events=events))

    def _scored(self, before: Step, full: Mixture) -> Asking[Step]:
        """Take a scoring step: halved while it lowers the objective, longer where it crawls."""
        halvings = -int(np.log2(self._reach))
        while True:
            share = 0.5**halvings
            after = full if share == 1.0 else before.mixture.toward(full, share)
            step = yield from self._taken(after)
            if is_better(step, before) or halvings == MOST_HALVINGS:
                break
            self._step = before
            halvings += 1
        gain = step.objective - before.objective
        crawls = gain > CRAWL * self._gain and full.family.stretches
        self._reach = min(2.0 * share, FARTHEST) if crawls and share >= self._reach else 1.0
        self._gain = gain if np.isfinite(gain) else np.inf
        self._step = replace(step, halvings=max(halvings, 0))
        return self._step

    def _taken(
        self, mixture: Mixture, *, mixed: bool = False, events: tuple[Event, ...] = ()
    ) -> Asking[Step]:
        """The step to a mixture, with the statistics of the data under it."""
        stats = yield mixture.expect
        self._n_passes += 1
        iteration = 0 if self._step is None else self._step.iteration + 1
        self._step = Step(
            mixture, stats, iteration, self._n_passes, mixed, events, mixture.log_prior
        )
        return self._step

    def _proposal(
        self, mixture: Mixture, stats: Stats, events: tuple[Event, ...]
    ) -> Mixture | None:
        if self._accelerator is None:
            return None
        if events:
            self._accelerator.clear()
            return None
        return self._accelerator.propose(mixture, stats)


def estimate(
    family: Family[Any],
    source: DataSource,
    n_components: int,
    *,
    executor: Executor | None = None,
    responsibilities: Array | None = None,
    weighting: Weighting | None = None,
) -> Mixture:
    """One M step from known labels or given responsibilities: no iteration.

    With all labels known this is the maximum-likelihood estimate: component
    proportions are label frequencies, and each component is estimated from its
    own rows. Families with centred statistics take a second pass about the
    means of the first, so that distant components lose no digits.

    Parameters
    ----------
    family : Family
        What the components are.
    source : DataSource
        Rows; their labels tell the component, -1 leaves a row out.
    n_components : int
        K. With K = 1 labels are not needed.
    executor : Executor, optional
        Where blocks are processed.
    responsibilities : ndarray of shape (n, K), optional
        Used in place of labels; rows of the source in order.
    weighting : Weighting, optional
        What is known of the weights beforehand. Default: nothing.

    Returns
    -------
    Mixture

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Poisson
    >>> from mixtura.source import as_source
    >>> X = np.array([[1.0], [3.0], [8.0]])
    >>> estimate(Poisson(1), as_source(X, labels=np.array([0, 0, 1])), 2).params.rate.ravel()
    array([2., 8.])
    """
    executor = executor or Local()
    mixture = None
    for _ in range(2 if family.centred else 1):
        params = None if mixture is None else mixture.params
        task = partial(known_stats, family, params, n_components, responsibilities)
        stats = executor.reduce(task, source)
        mixture = from_stats(family, stats, params, weighting=weighting)
    assert mixture is not None
    return mixture


def known_stats(
    family: Family[Any],
    params: Any,
    n_components: int,
    responsibilities: Array | None,
    block: Block,
    n_threads: int = 1,
) -> Stats:
    """Statistics of a block under its labels, or under given responsibilities."""
    del n_threads

    def one(start: int) -> Stats:
        rows = slice(start, start + SLICE_ROWS)
        X = np.asarray(block.X[rows], dtype=float)
        if responsibilities is not None:
            first = block.first_row + start
            R = np.array(responsibilities[first : first + len(X)], dtype=float)
        else:
            R = _one_hot(block, rows, len(X), n_components)
        if block.w is not None:
            R *= block.w[rows, None]
        return family.accumulate(params, X, R)

    return tree_sum(map(one, range(0, len(block.X), SLICE_ROWS)))


def _one_hot(block: Block, rows: slice, n_rows: int, n_components: int) -> Array:
    if n_components == 1:
        return np.ones((n_rows, 1))
    if block.labels is None:
        raise UsageError.argument("labels", None, "given, to estimate several components at once")
    labels = block.labels[rows]
    if labels.ndim == 2:  # rows that say nothing about their component are left out
        informed = labels.max(axis=1) > labels.min(axis=1)
        return np.asarray(labels * (informed / labels.sum(axis=1))[:, None])
    R = np.zeros((n_rows, n_components))
    known = np.flatnonzero(labels >= 0)
    R[known, labels[known]] = 1.0
    return R
