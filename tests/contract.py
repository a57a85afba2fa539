"""What the two halves of the contract suite share: its cases, and measures of statistics."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import as_source
from mixtura.stats import Stats
from tests.cases import CASES as FIRST_CASES
from tests.cases_columns import COLUMN_CASES
from tests.cases_composed import COMPOSED_CASES
from tests.cases_latent import LATENT_CASES, OWN_CASES
from tests.toys import TOYS

CASES = (*FIRST_CASES, *COLUMN_CASES, *COMPOSED_CASES, *LATENT_CASES)
ALL = [*CASES, *TOYS, *OWN_CASES]
every = pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
registered = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
only = lambda keep: pytest.mark.parametrize(  # noqa: E731
    "case", [case for case in ALL if keep(case)], ids=lambda case: case.name
)
closed = only(lambda case: case.family.closed_form)


def numbers(stats: Stats) -> np.ndarray:
    scalars = [stats.loglik, stats.entropy, stats.mass]
    return np.concatenate([stats.weight, stats.total.ravel(), stats.shared, scalars])


def same_bits(a: Stats, b: Stats) -> bool:
    return numbers(a).tobytes() == numbers(b).tobytes()


def assert_close(a: Stats, b: Stats, rtol: float = 1e-12) -> None:
    """Equal up to rounding of sums, which may cancel."""
    scale = max(a.mass, 1.0) * (1.0 + np.abs(a.total).max() / max(a.mass, 1.0))
    np.testing.assert_allclose(numbers(a), numbers(b), rtol=rtol, atol=rtol * scale)


def one_block(X, w=None, labels=None, **options):
    (block,) = as_source(X, weights=w, labels=labels, **options).blocks()
    return block


def jacobian(function, size: int, step: float = 1e-5) -> np.ndarray:
    """Central differences of a vector function at zero, one column per coordinate."""
    columns = []
    for direction in np.eye(size):
        there, back = function(step * direction), function(-step * direction)
        columns.append((there - back) / (2 * step))
    return np.stack(columns, axis=-1)
