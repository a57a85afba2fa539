"""What families and data tell each other: supports, faults, place and scale."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import numpy as np

from mixtura.stats import Array, BoolArray, IntArray


class Support(Enum):
    """Where a family's density is positive; the value says it in words."""

    REAL = "real numbers"
    COUNTS = "whole numbers >= 0"
    NONNEGATIVE = "numbers >= 0"
    POSITIVE = "numbers > 0"
    UNIT = "numbers between 0 and 1, both excluded"
    BINARY = "0 or 1"
    CODES = "codes 0, 1, 2, ... of categories"
    DIRECTIONS = "rows of length 1"

    @property
    def is_discrete(self) -> bool:
        """Densities are probabilities of single values."""
        return self.is_whole

    @property
    def is_whole(self) -> bool:
        """All its values are whole numbers."""
        return self in (Support.COUNTS, Support.BINARY, Support.CODES)

    @property
    def is_category(self) -> bool:
        """Its values are codes that may stand for labels."""
        return self in (Support.BINARY, Support.CODES)

    @property
    def hint(self) -> str:
        """What somebody can do with a value outside."""
        return _HINTS.get(self, "Recode it, drop the row, or use another family.")

    def contains(self, X: Array) -> BoolArray:
        """Tell for each entry of X whether it lies in the support."""
        inside = np.isfinite(X)
        if self is Support.POSITIVE:
            inside &= X > 0
        elif self is Support.UNIT:
            inside &= (X > 0) & (X < 1)
        elif self is Support.BINARY:
            inside &= (X == 0) | (X == 1)
        elif self is Support.NONNEGATIVE:
            inside &= X >= 0
        elif self.is_whole:
            inside &= (X >= 0) & (np.floor(X) == X)
        return np.asarray(inside)


_HINTS = {
    Support.POSITIVE: "Drop the row, replace zeros by half the smallest value that can be "
    "measured, or use a family of numbers >= 0 ('exponential') or of all numbers ('gaussian').",
    Support.UNIT: "Divide percentages by 100; move exact 0 and 1 inside, "
    "for example (x (n - 1) + 0.5) / n, or use another family.",
    Support.BINARY: "Recode the column as 0 and 1, or use family 'categorical'.",
    Support.DIRECTIONS: "Divide every row by its length; rows of zeros have no direction.",
}


class Fault(NamedTuple):
    """A value at which a family's density is zero."""

    row: int
    column: int
    needed: str
    hint: str


class Remark(NamedTuple):
    """What a person should know about one component, in words."""

    component: int
    text: str


class Profile(NamedTuple):
    """What one look at all rows says about their place and scale.

    Values are in units of ``2**exponents`` per column (all 0 in ordinary data),
    which keeps squares inside the range of floating-point numbers.
    """

    n_rows: int
    mass: float
    mean: Array  # (d,)
    covariance: Array  # (d, d), divided by the sum of weights
    exponents: IntArray  # (d,)
