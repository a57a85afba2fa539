"""Make a film: of data, of a model that is fitted on the way, or of a recorded fit."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from mixtura.errors import UsageError
from mixtura.executor import Executor, Local
from mixtura.families import find_family
from mixtura.film.plane import best_plane, column_plane
from mixtura.film.record import Film, record
from mixtura.fitting import Fitted, fit_mixture
from mixtura.plot.given import ColumnNames, Model, chosen_columns, rows_of, source_of
from mixtura.source import DataSource, as_source

#: A film that shows more rows one by one would be slow to draw.
MOST_POINTS = 800

MOST_FRAMES = 120


def animate(
    model: Any,
    data: Any = None,
    *,
    n_components: int | None = None,
    path: str | Path | None = None,
    family: str = "gaussian",
    covariance: str | None = None,
    columns: ColumnNames = None,
    start: str = "random_from_data",
    n_init: int = 5,
    seed: int = 0,
    max_iter: int = 1000,
    probability: float = 0.9,
    max_points: int = MOST_POINTS,
    max_frames: int = MOST_FRAMES,
    executor: Executor | None = None,
    force: bool = False,
) -> Film:
    """Show EM at work: rows coloured by responsibility, components that move, the bound that rises.

    Parameters
    ----------
    model : data or estimator
        Rows to fit, as anything that `as_source` takes, then `n_components` is
        needed; or an estimator, whose recorded fit (``record=True``) is shown.
        One that is not fitted, or did not record, is fitted anew as a copy.
    data : array, frame, path or DataSource, optional
        Rows, where `model` is an estimator.
    n_components : int, optional
        Number of components K.
    path : str or Path, optional
        Write the film there: ``.html`` or ``.gif``.
    family : str, default="gaussian"
        What the components are.
    covariance : str, optional
        Shape of Gaussian covariances.
    columns : one or two of str or int, optional
        Columns to show. Default: all where there are two; of more, the plane in
        which the final components part best; one column as densities.
    start : str, default="random_from_data"
        A rough start, so that there is something to see.
    n_init : int, default=5
        Runs that are made, each plain EM from a start of its own; the one with
        the highest log-likelihood is shown.
    seed : int, default=0
        Same seed and data, same film.
    max_iter : int, default=1000
        Greatest number of EM iterations.
    probability : float, default=0.9
        What the outline of a component holds of it.
    max_points : int, default=800
        At most so many rows are drawn, chosen at random; all are fitted.
    max_frames : int, default=120
        Longer runs show more of their early than of their late iterations.
    executor : Executor, optional
        Where blocks are processed.
    force : bool, default=False
        Replace a file that exists.

    Returns
    -------
    Film
        Shows itself in a notebook.

    Raises
    ------
    UsageError
        `n_components` is missing, or an argument has no meaning.
    DataError
        The rows cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import animate
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(4, 1, (40, 2))])
    >>> film = animate(X, n_components=2)
    >>> bool((np.diff(film.log_likelihood) >= 0).all()), film.means.shape[1:]
    (True, (2, 2))
    """
    if not 0 < probability < 1:
        raise UsageError.argument("probability", probability, "a number between 0 and 1")
    executor = executor or Local()
    if path is not None:
        from mixtura.modelfile import check_target

        check_target(path, force=force)
    options = {"start": start, "seed": seed, "max_iter": max_iter, "n_init": n_init}
    if hasattr(model, "fit") and hasattr(model, "get_params"):
        if data is None:
            raise UsageError.argument("data", None, "the rows, beside an estimator")
        fitted, source = _of_estimator(model, data, options)
    else:
        if n_components is None or n_components < 1:
            raise UsageError.argument("n_components", n_components, "a number of components >= 1")
        source = as_source(model)
        fitted = _of_data(source, n_components, family, covariance, executor, options)
    film = _film(
        fitted, source, columns, executor,
        {"probability": probability, "max_points": max_points, "max_frames": max_frames},
    )  # fmt: skip
    if path is not None:
        film.save(path, force=force)
    return film


def _of_data(
    source: DataSource,
    n_components: int,
    family: str,
    covariance: str | None,
    executor: Executor,
    options: dict[str, Any],
) -> Fitted:
    config = {} if covariance is None else {"covariance": covariance}
    made = find_family(family, source.n_features, **config)

    def run(seed: int) -> Fitted:
        return fit_mixture(
            made, source, n_components, start=options["start"], n_starts=1,
            max_iter=options["max_iter"], accelerate=False, seed=seed, executor=executor,
            keep_mixtures=True,
        )  # fmt: skip

    with warnings.catch_warnings():
        # each run says the same things about the data: the caller hears them once
        warnings.simplefilter("once")
        runs = [run(seed) for seed in _seeds(options)]
    return max(runs, key=lambda fitted: fitted.log_likelihood)


def _seeds(options: dict[str, Any]) -> list[int]:
    return [options["seed"] + 1_000_003 * i for i in range(max(1, options["n_init"]))]


def _of_estimator(model: Any, data: Any, options: dict[str, Any]) -> tuple[Fitted, DataSource]:
    """The recorded fit of an estimator, or that of a copy that records."""
    from sklearn.base import clone

    fitted = getattr(model, "fitted_", None)
    if isinstance(fitted, Fitted) and len(fitted.trace.mixtures) > 1:
        return fitted, source_of(Model(fitted.mixture, fitted.columns, fitted), data)
    plain: dict[str, Any] = {"record": True, "accelerate": False}
    params = model.get_params(deep=False)
    if isinstance(params.get("start"), str) and params["start"] == "auto":
        plain |= {"start": options["start"], "n_init": 1}
    runs = []
    for seed in _seeds(options):
        copy = clone(model).set_params(**plain, random_state=seed)
        runs.append(copy.fit(data).fitted_)
    fitted = max(runs, key=lambda one: one.log_likelihood)
    return fitted, source_of(Model(fitted.mixture, fitted.columns, fitted), data)


def _film(
    fitted: Fitted,
    source: DataSource,
    columns: ColumnNames,
    executor: Executor,
    options: dict[str, Any],
) -> Film:
    mixture = fitted.mixture
    rows = rows_of(source, options["max_points"])
    d = mixture.n_features
    if columns is None and d > 2:
        plane = best_plane(mixture, rows.X, rows.w, fitted.columns)
    else:
        at = chosen_columns(Model(mixture, fitted.columns, fitted), columns, 2)
        plane = column_plane(at, fitted.columns)
    shown = "all shown" if len(rows.X) == fitted.n_rows else f"{len(rows.X)} of them shown"
    K = mixture.n_components
    parts = f"{K} component{'s' * (K != 1)}"
    ended = f"{_sentence(fitted.outcome.value)}, after {fitted.n_iter} iterations"
    words = (
        f"{fitted.n_rows} rows, {shown}. {_sentence(mixture.family.describe())}, {parts}. {ended}."
    )
    trace = fitted.trace
    if not trace.mixtures:
        raise UsageError.argument("model", "its trace", "recorded: fit with record=True")
    return record(
        trace, source, rows, plane, probability=options["probability"],
        max_frames=options["max_frames"], executor=executor, words=words,
        title=f"EM, {parts}, step by step",
    )  # fmt: skip


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
