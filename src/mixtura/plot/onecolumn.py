"""Does one column look like the model: quantiles and distribution functions, with their bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import betaincinv, kolmogi

from mixtura.mixture import Mixture
from mixtura.plot.densities import component_log_density, draws, frame
from mixtura.plot.given import ColumnNames, Rows, chosen_columns, look
from mixtura.plot.style import REFERENCE, WHOLE, axes, colour, legend, tidy
from mixtura.stats import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Probability of the bands around what the model expects.
BAND = 0.95

MOST_QUANTILES = 2_000


def cdf(model: Any, data: Any, *, columns: ColumnNames = None, ax: Axes | None = None) -> Axes:
    """Draw the distribution function of one column: of the model, and of the rows.

    Parameters
    ----------
    model : estimator, Fitted or Mixture
        A fitted model.
    data : array, frame, path or DataSource
        Rows; with weights, the band counts sum(w)^2 / sum(w^2) rows.
    columns : str or int, optional
        The column. Default: the first.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        With the band that the rows' curve stays within, with probability 95 %,
        if they come from a model that was known before (Kolmogorov 1933); a
        fitted model lies closer to its own rows.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture, plot
    >>> X = np.random.default_rng(0).normal(size=(100, 1))
    >>> ax = plot.cdf(GaussianMixture().fit(X), X)
    """
    mixture, rows, name = _one(model, data, columns)
    ax = axes(ax)
    order = np.argsort(rows.X[:, 0], kind="stable")
    x, w = rows.X[order, 0], rows.w[order]
    heights = np.cumsum(w) / w.sum()
    places = _places(mixture, x)
    expected = distribution(mixture, places)
    effective = w.sum() ** 2 / (w @ w)
    half = kolmogi(1.0 - BAND) / np.sqrt(effective)
    step = "steps-post" if mixture.family.support.is_discrete else "default"
    ax.fill_between(
        places, np.clip(expected - half, 0, 1), np.clip(expected + half, 0, 1),
        color=REFERENCE, alpha=0.25, lw=0, label=f"{100 * BAND:g} % band",
        step="post" if step == "steps-post" else None,
    )  # fmt: skip
    ax.plot(places, expected, color=WHOLE, lw=1.2, label="model", drawstyle=step)
    ax.step(x, heights, where="post", color=colour(0), lw=1.4, label="rows")
    ax.set_ylim(0, 1.01)
    low, high = frame(mixture, x[:, None])
    ax.set_xlim(low[0], high[0])
    legend(ax)
    return tidy(ax, name, "probability up to here")


def qq(model: Any, data: Any, *, columns: ColumnNames = None, ax: Axes | None = None) -> Axes:
    """Draw the sorted values of one column against the model's quantiles.

    Parameters
    ----------
    model : estimator, Fitted or Mixture
        A fitted model.
    data : array, frame, path or DataSource
        Rows; points on the line agree with the model.
    columns : str or int, optional
        The column. Default: the first.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        With the band in which each point lies with probability 95 %: the i-th
        of n sorted uniform numbers has a beta(i, n - i + 1) distribution.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture, plot
    >>> X = np.random.default_rng(0).normal(size=(100, 1))
    >>> ax = plot.qq(GaussianMixture().fit(X), X)
    """
    mixture, rows, name = _one(model, data, columns)
    ax = axes(ax)
    order = np.argsort(rows.X[:, 0], kind="stable")
    x, w = rows.X[order, 0], rows.w[order]
    effective = w.sum() ** 2 / (w @ w)
    p = (np.cumsum(w) - 0.5 * w) / w.sum()
    rank = p * effective + 0.5
    tail = (1.0 - BAND) / 2.0
    band = [betaincinv(rank, effective - rank + 1.0, q) for q in (tail, 1.0 - tail)]
    if len(x) > MOST_QUANTILES:
        kept = np.unique(np.linspace(0, len(x) - 1, MOST_QUANTILES).astype(int))
        x, p, band = x[kept], p[kept], [one[kept] for one in band]
    places = _places(mixture, x)
    expected, low, high = (quantiles(mixture, places, q) for q in (p, *band))
    ax.fill_between(
        expected, low, high, color=REFERENCE, alpha=0.25, lw=0, label=f"{100 * BAND:g} % band"
    )
    ax.plot(expected, expected, color=WHOLE, lw=1.0, label="agreement")
    ax.plot(expected, x, "o", color=colour(0), ms=3.5, mew=0, label="rows")
    legend(ax)
    return tidy(ax, f"{name}: quantile of the model", f"{name}: sorted values")


def distribution(mixture: Mixture, x: Array) -> Array:
    """P(X <= x) of a mixture of one column at ascending places, (n,).

    Exact where the family knows it; else the trapezoidal rule over the places,
    or the sum over whole numbers, which must then be all there.
    """
    exact = mixture.family.cdf(mixture.params, x)
    if exact is not None:
        return np.asarray(exact @ mixture.weights)
    heights = np.exp(np.logaddexp.reduce(component_log_density(mixture, x[:, None]), axis=1))
    if mixture.family.support.is_discrete:
        return np.asarray(np.minimum(np.cumsum(heights), 1.0))
    pieces = np.diff(x) * 0.5 * (heights[1:] + heights[:-1])
    sums = np.concatenate([[0.0], np.cumsum(pieces)])
    return np.asarray(sums / max(sums[-1], np.finfo(float).tiny))


def quantiles(mixture: Mixture, places: Array, p: Array) -> Array:
    """Smallest x with P(X <= x) >= p, between the places by straight lines."""
    heights = distribution(mixture, places)
    if mixture.family.support.is_discrete:
        at = np.minimum(np.searchsorted(heights, p), len(places) - 1)
        return np.asarray(places[at])
    rising = np.concatenate([[True], np.diff(heights) > 0])
    return np.asarray(np.interp(p, heights[rising], places[rising]))


def _one(model: Any, data: Any, columns: ColumnNames) -> tuple[Mixture, Rows, str]:
    seen, rows = look(model, data)
    assert rows is not None
    (at,) = chosen_columns(seen, columns, 1)
    return seen.mixture.marginal([at]), Rows(rows.X[:, [at]], rows.w, rows.index), seen.columns[at]


def _places(mixture: Mixture, x: Array) -> Array:
    """Ascending places that follow the density: draws, rows, and a margin around both."""
    sample = draws(mixture)[:, 0]
    low, high = min(x.min(), sample.min()), max(x.max(), sample.max())
    if mixture.family.support.is_discrete:
        # without a formula probabilities are added up, from the first one
        known = mixture.family.cdf(mixture.params, x[:1]) is not None
        places = np.arange(np.floor(low) if known else 0.0, np.ceil(high) + 1)
    else:
        margin = 0.3 * (high - low) or 1.0
        even = np.linspace(low - margin, high + margin, 4001)
        drawn = np.quantile(sample, np.linspace(0, 1, 4001))
        places = np.unique(np.concatenate([even, drawn, x[:: max(1, len(x) // 4000)]]))
    return places[mixture.family.support.contains(places)]
