"""What the two halves of the contract suite share: its cases, and measures of statistics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mixtura import as_source
from mixtura.stats import Stats
from tests.cases import CASES as FIRST_CASES
from tests.cases import Case
from tests.cases_columns import COLUMN_CASES
from tests.cases_composed import COMPOSED_CASES
from tests.cases_latent import LATENT_CASES, OWN_CASES
from tests.toys import TOYS

CASES = (*FIRST_CASES, *COLUMN_CASES, *COMPOSED_CASES, *LATENT_CASES)
ALL = [*CASES, *TOYS, *OWN_CASES]

#: Every law by its name, and the cases that it is about.
LAWS: dict[str, tuple[Callable, Callable[[Case], bool]]] = {}


def only(keep: Callable[[Case], bool]):
    """Mark a law about the cases that `keep` says."""

    def decorate(law):
        LAWS[law.__name__] = law, keep
        chosen = [case for case in ALL if keep(case)]
        return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)(law)

    return decorate


every = only(lambda case: True)
registered = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
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
