"""The choice of a model: numbers of components, shapes and families, side by side."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from typing import Any, Literal

from mixtura.crossval import Kind, Search, Splits
from mixtura.errors import MixturaWarning
from mixtura.executor import Executor, Local, session
from mixtura.families import Family
from mixtura.fitting import HELD_BYTES, fit_onward
from mixtura.selection.candidates import models, sizes_of
from mixtura.selection.counting import Counting
from mixtura.selection.grid import Grid
from mixtura.selection.result import Selection
from mixtura.selection.rules import find_rule
from mixtura.source import as_source, hold
from mixtura.start import portfolio
from mixtura.stopping import Aitken
from mixtura.weighting import find_weighting

#: Fresh starts of each fit; others are made of what other fits found.
N_STARTS = 3

#: The chosen model is fitted on until it could gain no more than this, in nats per row.
FINAL_TOL = 1e-8


def select(
    X: Any,
    n_components: int | Iterable[int] = range(1, 10),
    covariance: str | Iterable[str] = "full",
    *,
    family: str | Family[Any] | Iterable[str | Family[Any]] = "gaussian",
    rule: str | None = None,
    criterion: str | None = None,
    n_folds: int | None = None,
    repeats: int | None = None,
    splits: Kind = "v-fold",
    sample_weight: Any = None,
    prior: Any = None,
    weighting: Any = "free",
    start: str = "auto",
    n_starts: int = N_STARTS,
    tol: float | None = None,
    max_iter: int = 1000,
    missing: Literal["error", "drop"] = "error",
    seed: int = 0,
    n_threads: int | None = None,
    executor: Executor | None = None,
) -> Selection:
    """Fit all candidates, compare them, and choose one.

    Candidates are all pairs of a number of components and a family or covariance shape. Each
    is fitted to all rows from several starts; with cross-validation also without the rows of
    every fold, from starts that are made of the other rows only. All candidates share the
    folds. Rows in memory are fitted by compiled code, many runs at a time; larger data are
    streamed, and all runs advance together, so that the data are read as often as the longest
    single run needs, plus a few passes (`Selection.passes_`).

    Parameters
    ----------
    X : array, frame, path or DataSource
        Rows (n, d): anything that `mixtura.as_source` takes.
    n_components : int or iterable of int, default=range(1, 10)
        Numbers of components to try.
    covariance : str or iterable of str, default="full"
        Shapes of Gaussian covariances: "full", "tied", "diag", "spherical", the names
        EII ... VVV (E and V of one column), or "all".
    family : str, Family, or iterable of these, default="gaussian"
        What the components are; only families with shapes take `covariance`.
    rule : str, optional
        How one is chosen: "bic" (default), "icl", "icl-entropy", "aic", "aicc", "sabic";
        "cv", the largest held-out log-density; or "cv-1se", the fewest free parameters
        within one standard error of it, which counts the rows that are scored and those
        that were fitted (Nadeau and Bengio 2003).
    criterion : str, optional
        The same in two words: a criterion, and "min" or "1se" as the rule.
    n_folds : int, optional
        Folds of cross-validation, default 10. Without a rule that needs it, there is
        none unless this or `repeats` is given. Monte-Carlo splits hold out one of so many
        parts, default 2.
    repeats : int, optional
        Rounds with other folds, default 1; or Monte-Carlo splits, default 20.
    splits : {"v-fold", "monte-carlo"}, default="v-fold"
        Hold out every fold of a round in turn, or a random part in each (Smyth 1996).
    sample_weight : array of shape (n,) or str, optional
        Weight of each row; a weight of 2 is the row twice. The column's name in tables.
    prior : Prior, "default" or None
        Conjugate prior of the components' parameters; "default" is made from the data, for
        each number of components. Criteria take the log-likelihood at its estimate.
    weighting : {"free", "equal"}, float, or Weighting, default="free"
        Mixing weights: estimated, all equal, or with a Dirichlet prior.
    start : str, default="auto"
        See `fit_mixture`.
    n_starts : int, default=3
        Fresh starts of every fit; the best run counts. Gaussian fits start again from what
        others found: the best other shapes with as many components, the same shape with one
        component fewer, split, and with one more, two of them merged. With one, made by
        agglomeration, there is nothing else: the fastest search, and the poorest.
    tol : float, optional
        Runs end when the projected remaining gain is below this, in nats per row. Default:
        0.003 nats over all rows, but from 1e-7 to 1e-5 per row. The chosen model is fitted
        on to 1e-8 per row.
    max_iter : int, default=1000
        Greatest number of M steps of a run.
    missing : {"error", "drop"}, default="error"
        What happens to rows with missing or infinite values.
    seed : int, default=0
        Same seed and data, same result, on any number of threads.
    n_threads : int, optional
        Default: ``MIXTURA_NUM_THREADS`` or all processors.
    executor : Executor, optional
        Where blocks of data are processed. Default: threads of this process.

    Returns
    -------
    Selection
        ``table`` (a frame of pandas if installed, else polars, else pyarrow, else a dict of
        lists), ``best_`` (fitted estimator), ``best_row_``, ``passes_``, ``summary()``.

    Raises
    ------
    DataError
        No candidate can be fitted to these rows.
    UsageError
        An argument has no meaning.

    Notes
    -----
    Candidates whose likelihood is bounded by the covariance floor and not by the data have no
    fit, as have those that end with fewer components; the reason is in the table.

    Fraley and Raftery (2002), JASA 97, 611-631, for the choice by BIC; Smyth (2000),
    Statistics and Computing 10, 63-72, for that by cross-validation.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import select
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(9, 1, (40, 2))])
    >>> found = select(X, range(1, 4), ["full", "spherical"])
    >>> found.best_.n_components, found.best_.covariance_type
    (2, 'spherical')
    """
    began = time.perf_counter()
    chosen_by, tries = find_rule(rule, criterion), sizes_of(n_components)
    options = {} if prior is None else {"prior": prior}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MixturaWarning)
        source = hold(as_source(X, weights=sample_weight, missing=missing), HELD_BYTES)
        asked = models(source.n_features, family, covariance, **options)
        folding = None
        if chosen_by.is_cross_validated or (n_folds, repeats, splits) != (None, None, "v-fold"):
            folding = Splits(n_folds, repeats, splits, seed)
        search = Search(
            (), tries, portfolio(start, n_starts), seed, max_iter=max_iter,
            weighting=find_weighting(weighting),
        )  # fmt: skip
        job = {
            "job": "select", "models": asked, "search": search, "folding": folding, "tol": tol,
            "rule": chosen_by.name,
        }  # fmt: skip
        with session(executor or Local(n_threads), source, job) as own:
            counter = Counting(own)
            grid = Grid(asked, search, source, folding, counter, tol)
            table, best = grid.table_and_choice(chosen_by)
            mixture = table.rows[best].mixture
            assert mixture is not None
            last_tol = min(grid.tol, FINAL_TOL)
            fitted = fit_onward(
                grid.polished(mixture, last_tol), source, grid.prospect.summary,
                stop=Aitken(last_tol), max_iter=max_iter, executor=counter,
            )  # fmt: skip
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    notes = [str(w.message) for w in caught if isinstance(w.message, MixturaWarning)]
    return Selection(
        chosen_by, table.with_fit(best, fitted), best, fitted, counter.n_passes,
        "" if folding is None else folding.words(), time.perf_counter() - began,
        tuple(dict.fromkeys([*notes, *grid.notes, *fitted.warnings])),
    )  # fmt: skip
