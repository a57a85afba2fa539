"""Warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    @classmethod
    def checkpoint_behind(cls, path: object, problem: str, n_passes: int) -> Self:
        """A checkpoint cannot grow; the fit goes on."""
        return cls(
            f"[W510] the checkpoint '{path}' cannot be written ({problem}): the fit goes on, and "
            f"the file still holds its first {n_passes} passes. Free space; every pass tries again."
        )

    @classmethod
    def other_path(
        cls, path: object, n_passes: int, before: Mapping[str, str], now: Mapping[str, str]
    ) -> Self:
        """A resumed run asks another question than the recorded one, by other last digits."""
        changes = [
            f"{name} {before[name]} -> {now[name]}" for name in now if now[name] != before[name]
        ]
        why = f" ({', '.join(changes)})" if changes else ""
        return cls(
            f"[W511] the run in the checkpoint '{path}' cannot be repeated in every bit beyond "
            f"pass {n_passes}{why}: later passes are made again."
        )
