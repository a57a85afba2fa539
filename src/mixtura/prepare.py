"""The look before a fit: whether these rows can be fitted, and what the family must know."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from mixtura.em import known_stats
from mixtura.errors import DataError, SupportError, UsageError
from mixtura.executor import Executor
from mixtura.families import Family
from mixtura.families.base import Support
from mixtura.profile import measure, warn_if_collinear
from mixtura.source import Block, DataSource, Summary, summarise
from mixtura.stats import Array


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
    summary = summarise(source, max_distinct=n_components)
    if summary.n_positive < n_components:
        raise DataError.too_few_rows(summary.n_positive, n_components)
    if summary.n_distinct < n_components:
        raise DataError.too_few_distinct(summary.n_distinct, n_components)
    if family.support is not Support.REAL:
        for block in source.blocks():
            check_support(family, block, source)
    profile = None
    if family.needs_profile:
        if summary.n_positive < 2:
            raise DataError.one_row()
        if family.needs_spread:
            _refuse_constant(source, summary)
        profile = measure(source, summary, executor)
        if family.needs_spread and summary.n_positive > source.n_features:
            warn_if_collinear(profile.covariance, source.columns)
        family = family.adapted(profile)
    if family.prior == "default":
        whole = executor.reduce(partial(known_stats, family, None, 1, None), source)
        family = replace(family, prior=family.default_prior(profile, whole, n_components))
    family.check_prior()
    return family, summary


def known_rows(source: DataSource, n_components: int) -> Array | None:
    """Rows of each component whose label is known, (K,); None where no label is known."""
    known = np.zeros(n_components)
    for block in source.blocks():
        if block.labels is None:
            break
        labels = block.labels if block.w is None else block.labels[block.w > 0]
        largest = int(labels.max(initial=-1))
        if largest >= n_components:
            raise DataError.labels(
                f"label {largest} needs at least {largest + 1} components, "
                f"n_components={n_components}"
            )
        known += np.bincount(labels[labels >= 0], minlength=n_components)
    return known if known.any() else None


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
    inside = family.support.contains(np.asarray(block.X, dtype=float))
    if inside.all():
        return
    row, column = map(int, np.argwhere(~inside)[0])
    raise SupportError.outside(
        family.name, family.support.value, source.columns[column],
        float(block.X[row, column]), block.first_row + row,
    )  # fmt: skip


def _refuse_constant(source: DataSource, summary: Summary) -> None:
    constant = np.flatnonzero(summary.min == summary.max)
    if len(constant):
        j = int(constant[0])
        raise DataError.constant_column(source.columns[j], float(summary.min[j]), summary.n_rows)
