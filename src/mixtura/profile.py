"""Place and scale of the data: mean, covariance and units, from one pass or two."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy import linalg

from mixtura.em import known_stats
from mixtura.errors import MixturaWarning
from mixtura.executor import Executor
from mixtura.families import Gaussian, GaussianParams, Profile
from mixtura.mixture import from_stats
from mixtura.source import DataSource, Summary
from mixtura.stats import Array, IntArray

#: Columns whose spread lies within 2**-100 ... 2**100 are used as they are;
#: others are handled in units of a power of 2**200, which is exact.
UNIT_STEP = 200

#: Squared distance from the mean, in variances, at which moments lose a digit and a half.
NEAR = 30.0

#: Eigenvalues of a correlation matrix below this are rounding: columns are collinear.
NO_VARIANCE = 1e-12


def measure(source: DataSource, summary: Summary, executor: Executor) -> Profile:
    """Fit one Gaussian in closed form: the covariance that whitening and floors refer to.

    The pass is taken about a row of the data. Where this row is so far from the mean that
    digits are lost, there is a second one about the mean (the corrected two-pass algorithm of
    Chan, Golub and LeVeque 1983).
    """
    exponents = units(summary)
    whole = Gaussian(
        source.n_features,
        exponents=tuple(map(int, exponents)) if exponents.any() else (),
        origin=np.ldexp(summary.pivot, -exponents),
    )
    params = _moments(whole, None, source, executor)
    away = np.ldexp(summary.pivot, -exponents) - params.means[0]
    if not (away * away <= NEAR * np.diagonal(params.covariances[0])).all():
        params = _moments(whole, params, source, executor)
    return Profile(summary.n_rows, summary.mass, params.means[0], params.covariances[0], exponents)


def _moments(
    whole: Gaussian, about: GaussianParams | None, source: DataSource, executor: Executor
) -> GaussianParams:
    stats = executor.reduce(partial(known_stats, whole, about, 1, None), source)
    params: GaussianParams = from_stats(whole, stats, about).params
    return params


def units(summary: Summary) -> IntArray:
    """Exponents of two that bring the spread of every column near one, 0 in ordinary data."""
    spread = summary.max / 2 - summary.min / 2
    spread = np.where(spread > 0, spread, np.maximum(np.abs(summary.max), np.abs(summary.min)))
    _, exponents = np.frexp(spread)
    return (UNIT_STEP * np.rint(exponents / UNIT_STEP)).astype(np.int64)


def warn_if_collinear(covariance: Array, columns: Sequence[str]) -> None:
    """Warn when a column is a linear function of others, naming those involved."""
    scale = np.sqrt(np.diagonal(covariance))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = linalg.eigh(covariance / (scale[:, None] * scale))
    null = values < NO_VARIANCE
    if not null.any():
        return
    involved = (np.abs(vectors[:, null]) > 0.05).any(axis=1)
    names = [name for name, used in zip(columns, involved, strict=True) if used]
    warnings.warn(
        MixturaWarning.collinear(int((~null).sum()), len(covariance), names), stacklevel=3
    )
