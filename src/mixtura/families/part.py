"""One part of a product: some columns, and the family that they follow together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from mixtura.families.base import Family, Profile
from mixtura.stats import Array, Rows


@dataclass(frozen=True)
class Part:
    """Some columns and the family that they follow together.

    Attributes
    ----------
    columns : tuple of int
        Positions, in the family's order.
    family : Family
        Over as many columns.
    """

    columns: tuple[int, ...]
    family: Family[Any]

    def of(self, X: Rows) -> Array:
        """These columns of rows X (n, d), as an array of their own."""
        return np.ascontiguousarray(X[:, list(self.columns)], dtype=float)

    def adapted(self, profile: Profile) -> Family[Any]:
        """The family with the place and scale of these columns."""
        at = list(self.columns)
        return self.family.adapted(
            profile._replace(
                mean=profile.mean[at],
                covariance=profile.covariance[np.ix_(at, at)],
                exponents=profile.exponents[at],
            )
        )

    def document(self) -> dict[str, Any]:
        """Columns and family as plain JSON values."""
        return {"columns": list(self.columns), **self.family.document()}

    @classmethod
    def restored(cls, document: Any) -> Self | None:
        """Make a part from plain values, which come from outside; None if they do not fit."""
        from mixtura.families import restore_family

        if not isinstance(document, dict) or not isinstance(document.get("columns"), list):
            return None
        columns = document["columns"]
        if not columns or not all(type(j) is int for j in columns):
            return None
        rest = {name: value for name, value in document.items() if name != "columns"}
        family = restore_family(rest, len(columns))
        return None if family is None else cls(tuple(columns), family)
