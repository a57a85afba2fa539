"""The look before a fit: whether these rows can be fitted, and what the family must know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from mixtura.codec import encodable
from mixtura.em import known_stats
from mixtura.errors import DataError, SupportError, UsageError
from mixtura.executor import Executor
from mixtura.families import Family, Profile
from mixtura.profile import measure, warn_if_collinear
from mixtura.source import Block, DataSource, Look, Summary, concluded, look_at
from mixtura.stats import Array, IntArray, Stats


def prepare(
    family: Family[Any], source: DataSource, n_components: int, executor: Executor
) -> tuple[Family[Any], Summary]:
    """Look at all rows once: refuse what cannot be fitted, and adapt the family to the data.

    Raises
    ------
    DataError
        With the rows, columns and numbers that are in the way.
    """
    if n_components < 1:
        raise UsageError.argument("n_components", n_components, "a whole number >= 1")
    if family.n_features != source.n_features:
        raise DataError.width(source.n_features, family.n_features, "the family")
    prospect = Prospect([family], source, n_components, executor)
    prospect.enough_for(n_components)
    return prospect.ready(family, n_components), prospect.summary


def check_rows(family: Family[Any], source: DataSource, executor: Executor) -> None:
    """Refuse rows that a fitted family cannot be used on, after one pass over all of them.

    Raises
    ------
    DataError
        Missing or infinite values, unusable weights, or values outside of the support.
    """
    look = executor.reduce(partial(first_look, (family,), 1, frozenset()), source)
    if look.rows.faults is not None:
        look.rows.faults.refuse(source, look.rows.n_rows)
    if look.outside[0] is not None:
        raise _outside(family, source, *look.outside[0])


class Prospect:
    """What a look at all rows tells, for any number of families and of components.

    Parameters
    ----------
    families : sequence of Family
        Those that may be asked for.
    source : DataSource
        Rows and weights.
    n_components : int
        The greatest number of components.
    executor : Executor
        Where blocks are processed.

    Attributes
    ----------
    summary : Summary
        Counts and extremes.
    """

    def __init__(
        self,
        families: Sequence[Family[Any]],
        source: DataSource,
        n_components: int,
        executor: Executor,
    ) -> None:
        self._source, self._executor = source, executor
        self._families = tuple(families)
        self._whole: dict[int, Stats] = {}  # statistics of all rows, by the place of a family
        task = partial(first_look, self._families, n_components, source.whole)
        look = executor.reduce(task, source)
        self.summary = concluded(look.rows, source)
        self._outside = look.outside

    def enough_for(self, n_components: int) -> None:
        """Refuse a number of components for which there are too few rows.

        Raises
        ------
        DataError
            Fewer rows, or fewer distinct rows, than components.
        """
        if self.summary.n_positive < n_components:
            raise DataError.too_few_rows(self.summary.n_positive, n_components)
        if self.summary.n_distinct < n_components:
            raise DataError.too_few_distinct(self.summary.n_distinct, n_components)

    def ready(self, family: Family[Any], n_components: int) -> Family[Any]:
        """Return one of the families with what it needs to know of the rows.

        Raises
        ------
        DataError
            The family has no density for these rows.
        """
        place = next(i for i, own in enumerate(self._families) if own is family)
        outside = self._outside[place]
        if outside is not None:
            raise _outside(family, self._source, *outside)
        return self._with_prior(place, *self._adapted(family), n_components)

    def ready_for(self, family: Family[Any], sizes: Sequence[int]) -> dict[int, Family[Any]]:
        """Return a family for each size: one object, unless it has a prior, which may differ.

        Raises
        ------
        DataError
            The family has no density for these rows.
        """
        if family.prior is None and sizes:
            return dict.fromkeys(sizes, self.ready(family, sizes[0]))
        return {size: self.ready(family, size) for size in sizes}

    def _adapted(self, family: Family[Any]) -> tuple[Family[Any], Profile | None]:
        """The family with range, place and scale of the rows; the profile, if it wants one."""
        source, summary = self._source, self.summary
        profile = None
        family = family.ranged(*_range(source, summary))
        if family.needs_profile:
            if summary.n_positive < 2:
                raise DataError.one_row()
            if family.needs_spread:
                _refuse_constant(family, source, summary)
            profile = self.profile
            if family.needs_spread and summary.n_positive > source.n_features:
                self._collinear(np.flatnonzero(family.spread_columns))
            family = family.adapted(profile)
        return family, profile

    def _with_prior(
        self, place: int, family: Family[Any], profile: Profile | None, n_components: int
    ) -> Family[Any]:
        """The family with its prior, which may depend on the number of components."""
        if family.prior == "default":
            if place not in self._whole:  # one pass for all numbers of components
                task = partial(known_stats, family, None, 1, None)
                self._whole[place] = self._executor.reduce(task, self._source)
            prior = family.default_prior(profile, self._whole[place], n_components)
            family = replace(family, prior=prior)
        family.check_prior()
        return family

    @cached_property
    def profile(self) -> Profile:
        """Place and scale of the rows, measured when somebody asks for the first time."""
        return measure(self._source, self.summary, self._executor)

    def _collinear(self, at: IntArray) -> None:
        """Warn of collinear columns among some, once for all families."""
        if not self._warned:
            names = [self._source.columns[j] for j in at]
            warn_if_collinear(self.profile.covariance[np.ix_(at, at)], names)
        self._warned = True

    _warned = False


@encodable
@dataclass(frozen=True, eq=False)
class FirstLook:
    """A look at some rows, and for each family their first value at which its density is zero.

    `outside` is the row, the column, the value, what is needed, and what can be done.
    """

    rows: Look
    outside: tuple[tuple[int, int, float, str, str] | None, ...]

    def __add__(self, other: FirstLook) -> FirstLook:
        outside = zip(self.outside, other.outside, strict=True)
        return FirstLook(self.rows + other.rows, tuple(a or b for a, b in outside))


def first_look(
    families: tuple[Family[Any], ...],
    max_distinct: int,
    whole: frozenset[int],
    block: Block,
    n_threads: int = 1,
) -> FirstLook:
    """Look at a block before anything is fitted: the task of the first pass."""
    look = look_at(max_distinct, whole, block, n_threads)
    return FirstLook(look, tuple(first_outside(family, block) for family in families))


def first_outside(family: Family[Any], block: Block) -> tuple[int, int, float, str, str] | None:
    """First value of a block at which a family's density is zero, as in `FirstLook`."""
    if not family.bounded:
        return None
    fault = family.fault(np.asarray(block.X, dtype=float))
    if fault is None:
        return None
    row, column, needed, hint = fault
    return block.first_row + row, column, float(block.X[row, column]), needed, hint


@encodable
@dataclass(frozen=True, eq=False)
class Known:
    """Rows of weight > 0 of each label; adding two counts both.

    `width` is the number of components of which rows have probabilities, if they do.
    """

    rows: IntArray
    width: int = 0

    def __add__(self, other: Known) -> Known:
        a, b = sorted((self.rows, other.rows), key=len)
        total = b.copy()
        total[: len(a)] += a
        return Known(total, max(self.width, other.width))


def count_labels(block: Block, n_threads: int = 1) -> Known:
    """Count the known labels of a block."""
    del n_threads
    if block.labels is None:
        return Known(np.zeros(0, dtype=np.int64))
    if block.labels.ndim == 2:
        return Known(np.zeros(0, dtype=np.int64), block.labels.shape[1])
    labels = block.labels if block.w is None else block.labels[block.w > 0]
    return Known(np.bincount(labels[labels >= 0]))


def known_rows(source: DataSource, n_components: int, executor: Executor) -> Array | None:
    """Rows of each component whose label is known, (K,); None where no label is known.

    Rows of which only probabilities are known, or several allowed components, count nothing.
    """
    if not source.has_labels:
        return None
    found = executor.reduce(count_labels, source)
    counts = found.rows
    if found.width not in (0, n_components):
        raise DataError.labels(
            f"{found.width} columns of probabilities, but n_components={n_components}"
        )
    if len(counts) > n_components:
        raise DataError.labels(
            f"label {len(counts) - 1} needs at least {len(counts)} components, "
            f"n_components={n_components}"
        )
    known = np.zeros(n_components)
    known[: len(counts)] = counts
    return known if known.any() or found.width else None


def refuse_unseen(known: Array) -> None:
    """Refuse components without a known row, of which nothing can be estimated."""
    if not known.all():
        raise DataError.labels(
            f"component {int(np.argmin(known))} has no row with its label; give every component "
            "a labelled row, lower n_components, or give a start"
        )


def check_support(family: Family[Any], block: Block, source: DataSource) -> None:
    """Refuse a block with a value where the family's density is zero.

    Raises
    ------
    SupportError
        Names the column, the value and the row.
    """
    found = first_outside(family, block)
    if found is not None:
        raise _outside(family, source, *found)


def _outside(
    family: Family[Any],
    source: DataSource,
    row: int,
    column: int,
    value: float,
    needed: str,
    hint: str,
) -> SupportError:
    return SupportError.outside(
        family.name, needed, source.columns[column], value, row, source.where(row), hint
    )


def _range(source: DataSource, summary: Summary) -> tuple[Array, Array]:
    """Least and greatest value of each column, (d,) each; codes reach to the last label."""
    low, high = summary.min.copy(), summary.max.copy()
    for j, name in enumerate(source.columns):
        if name in source.levels:
            low[j], high[j] = 0.0, len(source.levels[name]) - 1.0
    return low, high


def _refuse_constant(family: Family[Any], source: DataSource, summary: Summary) -> None:
    constant = np.flatnonzero((summary.min == summary.max) & family.spread_columns)
    if len(constant):
        j = int(constant[0])
        raise DataError.constant_column(source.columns[j], float(summary.min[j]), summary.n_rows)
