"""Warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from mixtura.errors.base import listed


class MixturaWarning(UserWarning):
    """Base of all warnings: the result stands, but a person should know."""

    @classmethod
    def collinear(cls, rank: int, n_features: int, columns: Sequence[str]) -> Self:
        """Columns that are linear functions of others."""
        return cls(
            f"[W205] columns are collinear: rank {rank} of {n_features} "
            f"(a linear relation holds among {listed(columns)}). Log-densities depend on the "
            "covariance floor; drop a column to avoid this."
        )

    @classmethod
    def looks_categorical(cls, column: str, n_levels: int) -> Self:
        """An integer column with few levels."""
        return cls(
            f"[W206] column '{column}' holds whole numbers with only {n_levels} levels: it looks "
            "categorical, and is used here as a measurement."
        )

    @classmethod
    def integers_rounded(cls, column: str) -> Self:
        """Integers beyond 2**53 lose digits as floating-point numbers."""
        return cls(
            f"[W207] column '{column}' has integers beyond 2**53: "
            "they are rounded to 53 binary digits."
        )

    @classmethod
    def rows_dropped(cls, n_dropped: int, n_rows: int) -> Self:
        """Rows left out because of missing or infinite values."""
        return cls(
            f"[W210] {n_dropped} of {n_rows} rows hold missing or infinite values "
            "and were left out."
        )

    @classmethod
    def start_failed(cls, method: str, problem: str) -> Self:
        """No start of the kind asked for could be made."""
        return cls(
            f"[W230] no start by '{method}' could be made ({problem}): "
            "random responsibilities took its place."
        )
