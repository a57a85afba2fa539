"""One pass that looks at the data before anything is fitted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
import numpy.typing as npt

from mixtura.errors import DataError, MixturaWarning
from mixtura.source.base import Block, DataSource
from mixtura.source.look import FEW_LEVELS, Faults, Look, chunks, faults_of, look_at
from mixtura.stats import tree_sum

_EXACT = 2.0**53


@dataclass(frozen=True, eq=False)
class Summary:
    """What one pass tells about the data.

    Attributes
    ----------
    n_rows : int
        Rows, after incomplete ones were left out.
    mass : float
        Sum of the row weights; `n_rows` without weights. The same bits for any
        size of blocks.
    n_positive : int
        Rows with weight > 0. The attributes below are about these rows only.
    min, max : ndarray of shape (d,)
        Extremes of each column.
    pivot : ndarray of shape (d,)
        The first row.
    n_distinct : int
        Distinct rows, told apart by a 64-bit hash of their values; counting
        stops at the bound given to `summarise`.
    n_dropped : int
        Rows left out for missing or infinite values.
    """

    n_rows: int
    mass: float
    n_positive: int
    min: npt.NDArray[np.float64]
    max: npt.NDArray[np.float64]
    pivot: npt.NDArray[np.float64]
    n_distinct: int
    n_dropped: int


def summarise(source: DataSource, *, max_distinct: int = 1000) -> Summary:
    """Look at all rows once: count, extremes, distinct rows; refuse what is not finite.

    Parameters
    ----------
    source : DataSource
        Rows and weights.
    max_distinct : int, default=1000
        Stop counting distinct rows at this number.

    Returns
    -------
    Summary

    Raises
    ------
    DataError
        Missing or infinite values (with counts over all rows and the first
        place), unusable weights, or no rows.

    Warns
    -----
    MixturaWarning
        Rows were dropped; a column of whole numbers looks like codes or exceeds
        the range in which float64 holds every integer.

    Examples
    --------
    >>> from mixtura.source import as_source
    >>> summary = summarise(as_source([[1.0, 5.0], [2.0, 5.0], [1.0, 5.0]]))
    >>> summary.n_rows, summary.n_distinct, summary.max
    (3, 2, array([2., 5.]))
    """
    task = partial(look_at, max_distinct, source.whole)
    looks = (task(block) for block in source.blocks())
    first = next(looks, None)
    if first is None:
        raise source.nothing()
    return concluded(tree_sum(chain([first], looks)), source)


def concluded(look: Look, source: DataSource) -> Summary:
    """Make the summary of a look at all rows of a source; errors and warnings as `summarise`."""
    if look.faults is not None:
        look.faults.refuse(source, look.n_rows)
    if look.n_rows == 0:
        raise source.nothing()
    if look.pivot is None:
        raise DataError.weights("all are zero")
    summary = Summary(
        n_rows=look.n_rows,
        mass=look.mass,
        n_positive=look.n_positive,
        min=look.min,
        max=look.max,
        pivot=look.pivot,
        n_distinct=len(look.keys),
        n_dropped=source.n_dropped or 0,
    )
    _warn(source, summary, look.levels)
    return summary


def check_block(block: Block, source: DataSource) -> None:
    """Refuse one block that holds missing or infinite values or unusable weights.

    Parameters
    ----------
    block : Block
        Rows to look at.
    source : DataSource
        Where they come from: names of columns and places of rows.

    Raises
    ------
    DataError
        As `summarise`, with counts over this block.

    Examples
    --------
    >>> from mixtura.source import as_source
    >>> source = as_source([[1.0], [2.0]])
    >>> for block in source.blocks():
    ...     check_block(block, source)
    """
    for chunk in chunks(block):
        if faults_of(chunk) is not None:
            Faults.of(block).refuse(source, block.n_rows)


def _warn(source: DataSource, summary: Summary, levels: dict[int, tuple[float, ...]]) -> None:
    if summary.n_dropped:
        n_all = summary.n_rows + summary.n_dropped
        warnings.warn(MixturaWarning.rows_dropped(summary.n_dropped, n_all), stacklevel=4)
    for j in sorted(source.whole):
        name, n_levels = source.columns[j], len(levels.get(j, ()))
        if 2 <= n_levels <= FEW_LEVELS and summary.n_rows > 10 * n_levels:
            warnings.warn(MixturaWarning.looks_categorical(name, n_levels), stacklevel=4)
        if max(summary.max[j], -summary.min[j]) >= _EXACT:
            warnings.warn(MixturaWarning.integers_rounded(name), stacklevel=4)
