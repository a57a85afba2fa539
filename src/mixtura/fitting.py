"""The main job: from a source of rows to a fitted mixture with its facts."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from mixtura import criteria
from mixtura.codec import encodable
from mixtura.degenerate import Care, Policy
from mixtura.em import Fit, Step, Trace, estimate, fit_em
from mixtura.errors import MixturaWarning, UsageError
from mixtura.executor import Executor, Local, session
from mixtura.families import Family
from mixtura.families.base import SLICE_ROWS
from mixtura.labelled import labelled_start
from mixtura.mixture import Mixture
from mixtura.prepare import known_rows, prepare, refuse_unseen
from mixtura.source import Block, DataSource, Summary, hold
from mixtura.start import (
    best_run,
    draw_sample,
    given_start,
    initial_mixtures,
    moves_among,
    portfolio,
    sample_limit,
)
from mixtura.stats import Array, tree_sum
from mixtura.stopping import Aitken, Gain, Outcome
from mixtura.weighting import FREE, Weighting

#: Starts of a plain call.
N_STARTS = 10

#: Files up to this size as numbers are read once and kept, larger ones in every pass.
HELD_BYTES = 1 << 26

Start = str | Array | Mixture


@dataclass(frozen=True)
class Fitted:
    """A mixture and the facts about its fit.

    Attributes
    ----------
    mixture : Mixture
        The fitted mixture.
    columns : tuple of str
        Names of the columns, in order.
    outcome : Outcome
        Why the fit ended.
    trace : Trace
        Objective and bound per iteration, the start first. The objective holds
        the log prior where there is one; `log_likelihood` does not.
    n_rows : int
        Rows used.
    mass : float
        Sum of their weights: what counts as n in BIC.
    log_likelihood : float
        Total, in nats: the weighted sum of the log-densities of all rows.
    log_certainty : float
        Weighted sum of log max_k r_ik, in nats, <= 0.
    sizes : tuple of float
        Weight of the rows whose largest responsibility is the component's.
    events : tuple of str
        Components that were re-seeded or dropped on the way.
    warnings : tuple of str
        What a person should know.
    levels : dict of str to tuple of str
        Labels of columns of categories, whose codes are 0, 1, 2, ...
    seconds : float
        Wall time of the fit.
    """

    mixture: Mixture
    columns: tuple[str, ...]
    outcome: Outcome
    trace: Trace
    n_rows: int
    mass: float
    log_likelihood: float
    log_certainty: float
    sizes: tuple[float, ...]
    events: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def n_iter(self) -> int:
        """M steps of the final run."""
        return max(len(self.trace.objective) - 1, 0)

    @property
    def bic(self) -> float:
        """Bayesian information criterion, smaller is better."""
        return criteria.bic(self.log_likelihood, self.mixture.n_free, self.mass)

    @property
    def aic(self) -> float:
        """Akaike's information criterion, smaller is better."""
        return criteria.aic(self.log_likelihood, self.mixture.n_free)

    @property
    def icl(self) -> float:
        """Integrated completed likelihood criterion, smaller is better."""
        return criteria.icl(self.log_likelihood, self.mixture.n_free, self.mass, self.log_certainty)


def fit_mixture(
    family: Family[Any],
    source: DataSource,
    n_components: int,
    *,
    start: Start = "auto",
    n_starts: int = N_STARTS,
    adjust: Callable[[Mixture], Mixture] | None = None,
    weighting: Weighting | None = None,
    stop: Aitken | Gain | None = None,
    max_iter: int = 1000,
    accelerate: bool = True,
    on_degenerate: Policy = "repair",
    seed: int = 0,
    executor: Executor | None = None,
    keep_mixtures: bool = False,
    watch: Callable[[Step], None] | None = None,
) -> Fitted:
    """Fit one density or a mixture to a source of rows.

    Parameters
    ----------
    family : Family
        What the components are; it takes scale and floor from the data.
    source : DataSource
        Rows, weights and, where known, labels. Read several times.
    n_components : int
        K >= 1. With K = 1, or all labels known, the estimate needs no iteration
        where the family has a closed form.
    start : str, ndarray or Mixture, default="auto"
        A word ("auto", "kmeans", "k-means++", "random_from_data", "hierarchical",
        "random"), hard labels (n,), responsibilities (n, K), or a mixture. A given
        start keeps its order of components; otherwise the heaviest comes first.
    n_starts : int, default=10
        How many starts a word makes; the best run counts. Of "auto", four in ten
        are moves out of the best of the others: two components merged, one split.
    adjust : callable, optional
        Changes each initial mixture, for example to put given means into it.
    weighting : Weighting, optional
        What is known of the weights: `mixtura.weighting`. Default: nothing.
    stop : Aitken or Gain, optional
        Stopping rule; default ``Aitken(1e-8)``.
    max_iter : int, default=1000
        Greatest number of M steps of a run.
    accelerate : bool, default=True
        Combine earlier iterations where EM crawls (see `em_steps`); the
        log-likelihood never falls. False gives plain EM, for study.
    on_degenerate : {"repair", "drop", "raise"}, default="repair"
        What happens to empty and collapsing components, see `Care`.
    seed : int, default=0
        Same seed and data, same result, on any number of threads.
    executor : Executor, optional
        Where blocks are processed. Default: threads of this process.
    keep_mixtures : bool, default=False
        Keep every iteration's mixture in the trace.
    watch : callable, optional
        Called with every `Step` of the final run.

    Returns
    -------
    Fitted

    Raises
    ------
    DataError
        Too few rows, constant columns, values that are missing or infinite.
    DegenerateComponentError
        Under ``on_degenerate="raise"``.
    UsageError
        An argument has no meaning.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Gaussian
    >>> from mixtura.source import as_source
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(9, 1, (100, 2))])
    >>> fitted = fit_mixture(Gaussian(2), as_source(X), 2)
    >>> fitted.mixture.weights.round(3)
    array([0.667, 0.333])
    """
    began = time.perf_counter()
    job = {
        "job": "fit", "family": family, "n_components": n_components, "start": start,
        "n_starts": n_starts, "adjust": adjust, "weighting": weighting, "stop": stop,
        "max_iter": max_iter, "accelerate": accelerate, "on_degenerate": on_degenerate,
        "seed": seed,
    }  # fmt: skip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = hold(source, HELD_BYTES)
        with session(executor or Local(), source, job) as executor:
            family, summary = prepare(family, source, n_components, executor)
            # a row of weight 2 is the row twice, so weights above one count as rows
            care = Care(on_degenerate, max(summary.n_positive, summary.mass))
            options = {
                "executor": executor, "care": care, "stop": stop, "max_iter": max_iter,
                "accelerate": accelerate, "keep_mixtures": keep_mixtures,
            }  # fmt: skip
            weighting = weighting or FREE
            weighting.check(n_components)
            known = known_rows(source, n_components, executor)
            fit, keeps_order = _run(
                family, source, summary, n_components, known, start, n_starts, adjust, weighting,
                seed, watch, options,
            )  # fmt: skip
            care.check(fit.mixture, fit.stats, source, executor)
            closing = executor.reduce(partial(Closing.of, fit.mixture), source)
            unlabelled = fit.stats
            if known is not None:
                unlabelled = executor.reduce(fit.mixture.evaluate, source)
    fitted = _facts(fit, unlabelled.loglik, closing, source, summary, time.perf_counter() - began)
    if not keeps_order:
        fitted = _in_order(fitted)
    notes = _notes(fitted, caught)
    return replace(fitted, warnings=notes)


def fit_onward(
    mixture: Mixture,
    source: DataSource,
    summary: Summary,
    *,
    stop: Aitken | Gain | None = None,
    max_iter: int = 1000,
    executor: Executor | None = None,
) -> Fitted:
    """Fit on from where a run ended; its family took place and scale from these rows.

    Parameters
    ----------
    mixture : Mixture
        Where to go on.
    source : DataSource
        Rows and weights, without labels.
    summary : Summary
        What a look at the rows told.
    stop, max_iter, executor
        See `fit_mixture`.

    Returns
    -------
    Fitted
        Components by weight, largest first.
    """
    began = time.perf_counter()
    executor = executor or Local()
    closed = mixture.n_components == 1 and mixture.family.closed_form
    fit = fit_em(
        mixture, source, executor=executor, stop=stop, max_iter=0 if closed else max_iter,
        care=Care("repair", max(summary.n_positive, summary.mass)), accelerate=True,
    )  # fmt: skip
    if closed:
        fit = replace(fit, outcome=Outcome.CLOSED_FORM)
    closing = executor.reduce(partial(Closing.of, fit.mixture), source)
    seconds = time.perf_counter() - began
    fitted = _in_order(_facts(fit, fit.stats.loglik, closing, source, summary, seconds))
    return replace(fitted, warnings=_notes(fitted, []))


@encodable
@dataclass(frozen=True, eq=False)
class Closing:
    """What the last pass over the rows counts: sizes of hard clusters, and their certainty."""

    log_certainty: float
    sizes: Array

    def __add__(self, other: Closing) -> Closing:
        return Closing(self.log_certainty + other.log_certainty, self.sizes + other.sizes)

    @classmethod
    def of(cls, mixture: Mixture, block: Block, n_threads: int = 1) -> Closing:
        """Count one block, a slice at a time: (n, K) responsibilities never exist at once.

        Leaves of 1024 rows are added in their tree, so that blocks do not change the result.
        """
        n_components = mixture.n_components
        leaves: list[Closing] = []
        for rows, _, R in mixture.slices(block.X, n_threads):
            w = np.ones(len(R)) if block.w is None else block.w[rows]
            best = R.argmax(axis=1)
            certainty = w * np.log(R[np.arange(len(R)), best])
            starts = np.arange(0, len(R), SLICE_ROWS)
            cells = np.arange(len(R)) // SLICE_ROWS * n_components + best
            sizes = np.bincount(cells, w, minlength=len(starts) * n_components)
            leaves += map(
                cls, np.add.reduceat(certainty, starts).tolist(), sizes.reshape(-1, n_components)
            )
        return tree_sum(leaves)


def _run(
    family: Family[Any],
    source: DataSource,
    summary: Summary,
    n_components: int,
    known: Array | None,
    start: Start,
    n_starts: int,
    adjust: Callable[[Mixture], Mixture] | None,
    weighting: Weighting,
    seed: int,
    watch: Callable[[Step], None] | None,
    options: dict[str, Any],
) -> tuple[Fit, bool]:
    """Make the fit; tell too whether its order of components is the person's own."""
    executor = options["executor"]
    everything = known is not None and known.sum() == summary.n_positive
    one = n_components == 1 and isinstance(start, str) and adjust is None
    if known is not None and options["care"].policy == "drop":
        raise UsageError.argument(
            "on_degenerate", "drop", "'repair' or 'raise' with labels, which number the components"
        )
    if known is not None:  # no component may start anew elsewhere: labels say which rows are its
        options = {**options, "care": Care(options["care"].policy)}
    if known is not None and not known.any() and isinstance(start, str):
        mixture = labelled_start(
            family, source, summary, n_components, start, n_starts, seed, executor
        )
        return fit_em(mixture.under(weighting), source, watch=watch, **options), True
    if everything or one or (known is not None and isinstance(start, str)):
        if known is not None:
            refuse_unseen(known)
        mixture = estimate(family, source, n_components, executor=executor, weighting=weighting)
        if family.closed_form and (everything or one):
            fit = fit_em(mixture, source, **{**options, "max_iter": 0})
            return replace(fit, outcome=Outcome.CLOSED_FORM), True
        return fit_em(mixture, source, watch=watch, **options), True
    if not isinstance(start, str):
        mixture = given_start(family, source, summary, n_components, start, executor)
        mixture = adjust(mixture) if adjust else mixture
        return fit_em(mixture.under(weighting), source, watch=watch, **options), True
    n_moves = moves_among(start, n_starts, n_components) if adjust is None else 0
    methods = portfolio(start, n_starts - n_moves)
    sample = draw_sample(source, summary, n_components, seed, executor)
    mixtures = initial_mixtures(family, sample, n_components, methods, seed, executor)
    if adjust:
        mixtures = [adjust(mixture) for mixture in mixtures]
    mixtures = [mixture.under(weighting) for mixture in mixtures]
    best = mixtures[0]
    if len(mixtures) > 1:
        explored = {
            **options,
            "keep_mixtures": False,
            "care": Care("repair", options["care"].n_rows),
        }
        best, run = best_run(mixtures, sample, n_moves=n_moves, seed=seed, **explored)
        if summary.n_rows > sample_limit(n_components):
            best = run
    return fit_em(best, source, watch=watch, **options), adjust is not None


def _facts(
    fit: Fit, loglik: float, closing: Closing, source: DataSource, summary: Summary, seconds: float
) -> Fitted:
    return Fitted(
        fit.mixture, source.columns, fit.outcome, fit.trace, summary.n_rows, summary.mass,
        loglik, closing.log_certainty, tuple(map(float, closing.sizes)),
        tuple(map(str, fit.events)), (), seconds, source.levels,
    )  # fmt: skip


def _in_order(fitted: Fitted) -> Fitted:
    """Components by weight, the trace's mixtures in the same order."""
    order = fitted.mixture.canonical_order()
    same = [m.n_components == len(order) for m in fitted.trace.mixtures]
    mixtures = tuple(
        m.take(order) if fits else m for m, fits in zip(fitted.trace.mixtures, same, strict=True)
    )
    return replace(
        fitted,
        mixture=fitted.mixture.take(order),
        trace=replace(fitted.trace, mixtures=mixtures),
        sizes=tuple(fitted.sizes[k] for k in order),
    )


def _notes(fitted: Fitted, caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """Pass warnings on to the caller once, and keep mixtura's own as text."""
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    notes = [str(w.message) for w in caught if isinstance(w.message, MixturaWarning)]
    notes += [
        f"component {k} ({fitted.mixture.weights[k] * fitted.mass:.1f} effective rows) {text}"
        for k, text in fitted.mixture.family.remarks(fitted.mixture.params)
    ]
    return tuple(notes + list(fitted.events))
