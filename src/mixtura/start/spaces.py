"""Spaces in which distances between rows mean something, whatever the units of the columns."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from mixtura.start.sample import rng_for
from mixtura.stats import Array

#: Robust standard deviations beyond which a row is an outlier, if no more than this part is.
FAR = 20.0
FEW = 0.1

#: Steps and rows of the search for axes, and how many products of rows and axes a step may take.
UNMIXING_STEPS = 10
UNMIXING_ROWS = 4000
UNMIXING_NUMBERS = 100_000_000


def without_outliers(X: Array, w: Array) -> Array:
    """Weights (n,) with those of far outlying rows set to zero.

    Far is `FAR` robust standard deviations from the median of a column. A few such rows
    would set the scale of all columns, so that everything else looks like one point. Where
    they are more than `FEW` of all weight they are groups of their own: nothing is left out.
    """
    order = np.argsort(X, axis=0, kind="stable")
    share = np.cumsum(w[order], axis=0) / w.sum()
    at = [(share < q).sum(axis=0).clip(max=len(X) - 1) for q in (0.25, 0.5, 0.75)]
    sorted_columns = np.take_along_axis(X, order, axis=0)
    low, middle, high = (sorted_columns[i, np.arange(X.shape[1])] for i in at)
    with np.errstate(over="ignore"):
        spread = np.where(high > low, (high - low) / 1.349, np.inf)
        core = np.where((np.abs(X - middle) > FAR * spread).any(axis=1), 0.0, w)
    return core if core.sum() >= (1 - FEW) * w.sum() else w


def standardised(X: Array, w: Array) -> Array:
    """Columns with mean zero and unit variance; constant ones are zero."""
    mass = w.sum()
    Z = X - X[0]
    Z = Z - (w @ Z) / mass
    largest = np.abs(Z).max(axis=0)
    Z = Z / np.where(largest > 0, largest, 1.0)
    scale = np.sqrt((w @ (Z * Z)) / mass)
    return np.asarray(Z / np.where(scale > 0, scale, 1.0))


def whitened(X: Array, w: Array) -> Array:
    """Rows with mean zero and unit covariance, directions without variance left out.

    Distances in this space do not depend on units or on linear relations between
    columns. The covariance is taken of columns scaled to unit variance.
    """
    return _along_axes(X, w, 0.5)


def half_whitened(X: Array, w: Array) -> Array:
    """Rows along their principal axes, each divided by the square root of its standard deviation.

    Half way between columns of unit variance and full whitening: a long axis does not outweigh
    the others, nor do many axes of noise drown a few that separate. Mean square one per axis.
    """
    Z = _along_axes(X, w, 0.25)
    square = (w @ (Z * Z)).mean() / w.sum() if Z.size else 1.0
    return np.asarray(Z / np.sqrt(square))


def unmixed(X: Array, w: Array) -> Array:
    """Whitened rows turned so that the first columns are the least like one Gaussian.

    Columns by their kurtosis, the smallest first: that of two groups of like size is as small
    as can be, that of noise is that of a Gaussian. Finds the direction that separates groups
    where many others hold nothing but noise, for which whitening alone makes no difference.

    Notes
    -----
    Begins at the axes of the scatter of fourth moments (Cardoso 1989; Tyler, Critchley, Duembgen
    and Oja 2009), and goes on with a few steps of fixed-point independent component analysis
    (Hyvaerinen 1999, IEEE Transactions on Neural Networks 10, 626-634).
    """
    Z = whitened(X, w)
    n, d = Z.shape
    if d < 2:
        return Z
    limit = max(2 * d, min(UNMIXING_ROWS, UNMIXING_NUMBERS // (d * d)))
    some = np.arange(n)
    if n > limit:
        some = rng_for(0, "unmixed").choice(n, size=limit, replace=False, shuffle=False)
    p = w[some] / w[some].sum()
    rows = Z[some] - p @ Z[some]
    # fourth moments tell little beside second ones, so these must be those of the very same rows
    values, vectors = linalg.eigh((rows * p[:, None]).T @ rows)
    white = vectors / np.sqrt(np.maximum(values, 1e-10))
    turned = Z @ (white @ _independent(rows @ white, p))
    kurtosis = (w @ turned**4) / (w @ turned**2) ** 2
    return np.ascontiguousarray(turned[:, np.argsort(kurtosis, kind="stable")])


def _independent(Z: Array, p: Array) -> Array:
    """Orthogonal axes (d, d) along which white rows of weights p are least like a Gaussian."""
    squares = (Z * Z).sum(axis=1)
    axes = linalg.eigh((Z * (p * squares)[:, None]).T @ Z)[1]
    for _ in range(UNMIXING_STEPS):
        bent = np.tanh(Z @ axes)
        step = (Z * p[:, None]).T @ bent - axes * (p @ (1 - bent * bent))
        left, _, right = linalg.svd(step)
        axes = left @ right
    return np.asarray(axes)


def _along_axes(X: Array, w: Array, power: float) -> Array:
    """Principal components of standardised columns, divided by a power of their variances."""
    Z = standardised(X, w)
    values, vectors = linalg.eigh((Z * w[:, None]).T @ Z / w.sum())
    used = values > 1e-10 * max(values[-1], 1e-300)
    return np.asarray(Z @ (vectors[:, used] / values[used] ** power))
