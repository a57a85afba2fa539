"""How a fit went and what was chosen: convergence, selection, error against rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura.crossval import CrossValidation
from mixtura.em import Trace
from mixtura.errors import UsageError
from mixtura.plot.style import REFERENCE, WHOLE, axes, colour, legend, put_legend, tidy
from mixtura.stats import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def convergence(model: Any, *, per_row: bool = True, ax: Axes | None = None) -> Axes:
    """Draw the log-likelihood of every iteration, and the two terms of its lower bound.

    After each E step the bound, expected complete-data log-likelihood plus
    entropy of the responsibilities, touches the log-likelihood; the M step
    raises the first term.

    Parameters
    ----------
    model : estimator, Fitted, Fit or Trace
        A fit; `Trace` alone has no number of rows, so its values are totals.
    per_row : bool, default=True
        Divide by the sum of the row weights.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture, plot
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> ax = plot.convergence(GaussianMixture(2, random_state=0).fit(X))
    >>> ax.get_ylabel()
    'nats per row'
    """
    trace, mass = _trace_of(model)
    per_row = per_row and mass is not None
    scale = mass if per_row and mass else 1.0
    ax = axes(ax)
    at = np.arange(len(trace.objective))
    whole, expected = trace.objective / scale, trace.expected_complete / scale
    bound = expected + trace.entropy / scale
    ax.fill_between(
        at, expected, bound, color=colour(5), alpha=0.25, lw=0, label="entropy of responsibilities"
    )
    ax.plot(at, expected, color=colour(5), lw=1.4, label="expected complete-data log-likelihood")
    ax.plot(at, whole, color=WHOLE, lw=1.6, label="log-likelihood")
    if len(at) <= 200:
        ax.plot(at, bound, "o", color=colour(1), ms=4, mew=0, label="bound after the E step")
    if len(at) <= 20:
        ax.set_xticks(at)
    legend(ax, columns=2)
    ax.ticklabel_format(axis="y", useOffset=False)
    return tidy(ax, "iteration", "nats per row" if per_row else "nats")


def selection(
    chosen: Any, *, criteria: Sequence[str] = ("bic", "icl"), ax: Axes | None = None
) -> Axes:
    """Draw criteria and held-out log-density against the number of components.

    Parameters
    ----------
    chosen : Selection or CrossValidation
        From `mixtura.select` or `mixtura.cross_validate`. Anything with a
        ``table`` of columns ``n_components``, ``covariance``, ``bic``,
        ``cv_log_density``, ``cv_se`` and the like will do.
    criteria : sequence of str
        Criteria to draw on the right, smaller is better, where the table has them.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        Held-out log-density per row with one standard error each way, where
        there is one; the choice has a vertical line.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import as_source, cross_validate, plot
    >>> from mixtura.families import Gaussian
    >>> X = np.random.default_rng(0).normal(size=(100, 1))
    >>> ax = plot.selection(cross_validate(Gaussian(1), as_source(X), range(1, 4)))
    >>> ax.get_ylabel()
    'held-out log-density, nats per row'
    """
    table, best = table_of(chosen)
    sizes = np.asarray(table["n_components"], dtype=float)
    shapes = [str(one) for one in table.get("covariance", [""] * len(sizes))]
    held_out = _numbers(table, "cv_log_density")
    drawn = [name for name in criteria if name in table]
    if held_out is None and not drawn:
        raise UsageError.argument("criteria", list(criteria), f"among {', '.join(table)}")
    ax = axes(ax)
    main, right = ax, ax
    if held_out is not None:
        errors = _numbers(table, "cv_se")
        for i, (shape, own) in enumerate(_by_shape(shapes)):
            bars = None if errors is None else errors[own]
            name = f"held out{', ' + shape if shape else ''}"
            main.errorbar(
                sizes[own], held_out[own], bars, color=colour(i), marker="o", ms=4.5, lw=1.4,
                capsize=3, label=name,
            )  # fmt: skip
        tidy(main, "number of components", "held-out log-density, nats per row")
        if drawn:
            right = ax.twinx()
    if drawn:
        _criteria(right, table, drawn, sizes, shapes)
        if right is main:
            tidy(main)
        right.set_ylabel("criteria, smaller is better")
        main.set_xlabel("number of components")
    if best is not None:
        main.axvline(sizes[best], color=REFERENCE, lw=6, alpha=0.35, zorder=0, label="choice")
    main.set_xticks(np.unique(sizes))
    _one_legend(main, right)
    return main


def errors(
    n_rows: Sequence[int],
    values: Any,
    *,
    standard_errors: Any = None,
    name: str = "error",
    ax: Axes | None = None,
) -> Axes:
    """Draw errors of estimates against the number of rows, both on logarithmic axes.

    Parameters
    ----------
    n_rows : sequence of int
        Numbers of rows, > 0.
    values : array of shape (m,)
        Error at each, > 0, such as the root mean square over repetitions.
    standard_errors : array of shape (m,), optional
        Of the values; they weight the line.
    name : str
        What the values are, with its unit.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        With the line of least squares, its slope and the slope's standard
        error, and a line of slope -1/2.

    Examples
    --------
    >>> from mixtura import plot
    >>> ax = plot.errors([10, 1000], [1.0, 0.1])
    >>> ax.get_legend().get_texts()[0].get_text()
    'slope -0.50'
    """
    n, e = np.asarray(n_rows, dtype=float), np.asarray(values, dtype=float)
    if n.shape != e.shape or not ((n > 0) & (e > 0)).all():
        raise UsageError.argument("values", values, "one positive number per number of rows")
    ax = axes(ax)
    slope, own_error, height = loglog_slope(n, e, standard_errors)
    ax.errorbar(
        n, e, standard_errors, color=colour(0), marker="o", ls="none", ms=5, capsize=3, label=name
    )
    ends = np.array([n.min(), n.max()])
    spread = "" if own_error is None else f" ± {own_error:.2g}"
    ax.plot(ends, np.exp(height) * ends**slope, color=colour(0), label=f"slope {slope:.2f}{spread}")
    middle = np.exp(np.log(n).mean())
    half = np.exp(height) * middle**slope * (ends / middle) ** -0.5
    ax.plot(ends, half, color=REFERENCE, ls="--", label="slope -1/2")
    ax.set_xscale("log")
    ax.set_yscale("log")
    legend(ax)
    return tidy(ax, "rows", name)


def loglog_slope(
    n: Array, values: Array, standard_errors: Any = None
) -> tuple[float, float | None, float]:
    """Slope of log(values) on log(n), its standard error where it has one, and the intercept.

    Examples
    --------
    >>> import numpy as np
    >>> slope, error, _ = loglog_slope(np.array([1.0, 10.0]), np.array([1.0, 0.1]))
    >>> round(slope, 6), error
    (-1.0, None)
    """
    x, y = np.log(n), np.log(values)
    w = np.ones_like(x)
    if standard_errors is not None:
        w = (np.asarray(values) / np.asarray(standard_errors, dtype=float)) ** 2
    mean_x, mean_y = (w @ x) / w.sum(), (w @ y) / w.sum()
    sxx = w @ (x - mean_x) ** 2
    slope = float(w @ ((x - mean_x) * y) / sxx)
    height = float(mean_y - slope * mean_x)
    error = None
    if standard_errors is not None:
        error = float(1.0 / np.sqrt(sxx))
    elif len(x) > 2:
        error = float(np.sqrt(np.sum((y - height - slope * x) ** 2) / (len(x) - 2) / sxx))
    return slope, error, height


def _trace_of(model: Any) -> tuple[Trace, float | None]:
    found = getattr(model, "fitted_", model)
    if isinstance(found, Trace):
        return found, None
    trace = getattr(found, "trace", None)
    if not isinstance(trace, Trace):
        raise UsageError.argument("model", type(model).__name__, "a fit or its trace")
    stats = getattr(found, "stats", None)
    return trace, float(getattr(found, "mass", 0.0) if stats is None else stats.mass)


Table = Mapping[str, Sequence[Any]]


def table_of(chosen: Any) -> tuple[Table, int | None]:
    """Columns of the table, and the number of the chosen row."""
    if isinstance(chosen, CrossValidation):
        return (
            {
                "n_components": list(chosen.sizes),
                "cv_log_density": chosen.score.tolist(),
                "cv_se": chosen.standard_error.tolist(),
            },
            list(chosen.sizes).index(chosen.best),
        )
    columns = getattr(getattr(chosen, "candidates", None), "columns", None)
    table = columns or getattr(chosen, "table", chosen)
    if not isinstance(table, Mapping):
        if isinstance(table, Sequence):
            rows = [one if isinstance(one, Mapping) else vars(one) for one in table]
            table = {name: [row[name] for row in rows] for name in rows[0]}
        else:
            table = {str(name): list(table[name]) for name in table.columns}
    best = getattr(chosen, "best_row_", None)
    return table, int(best) if isinstance(best, int | np.integer) else _found(table, best)


def _found(table: Table, row: Any) -> int | None:
    """Number of a row that is given by its values."""
    if row is None:
        return None
    wanted = row if isinstance(row, Mapping) else vars(row)
    keys = [name for name in ("n_components", "covariance", "family") if name in table]
    for at in range(len(table["n_components"])):
        if all(table[name][at] == wanted.get(name) for name in keys):
            return at
    return None


def _numbers(table: Table, name: str) -> Array | None:
    """A column as numbers, NaN where there is none; None where all are missing."""
    if name not in table:
        return None
    values = np.array([np.nan if v is None else v for v in table[name]], dtype=float)
    return None if np.isnan(values).all() else values


def _by_shape(shapes: list[str]) -> list[tuple[str, list[int]]]:
    names = list(dict.fromkeys(shapes))
    several = len(names) > 1
    return [
        (name if several else "", [i for i, shape in enumerate(shapes) if shape == name])
        for name in names
    ]


def _criteria(ax: Axes, table: Table, drawn: list[str], sizes: Array, shapes: list[str]) -> None:
    for line, name in enumerate(drawn):
        values = _numbers(table, name)
        for i, (shape, own) in enumerate(_by_shape(shapes)):
            if values is not None:
                ax.plot(
                    sizes[own], values[own], color=colour(i), ls=("--", ":", "-.")[line % 3],
                    marker="s", ms=3, lw=1.2, alpha=0.8,
                    label=f"{name.upper()}{', ' + shape if shape else ''}",
                )  # fmt: skip


def _one_legend(main: Axes, right: Axes) -> None:
    handles, names = main.get_legend_handles_labels()
    if right is not main:
        more, more_names = right.get_legend_handles_labels()
        handles, names = handles + more, names + more_names
        right.spines["top"].set_visible(False)
    put_legend(main, handles[:14], names[:14], 3)
