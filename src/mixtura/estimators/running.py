"""What estimators need while they run: seeds, and a line of progress."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from sklearn.utils import check_random_state

from mixtura.em import Step


def report(interval: int, step: Step) -> None:
    """Print the progress of a fit."""
    if step.iteration % interval == 0:
        mean = step.objective / step.stats.mass
        print(f"iteration {step.iteration:>5}   log-likelihood/row {mean:.8f}")


def seed_of(random_state: Any) -> int:
    """Number for a fit: the seed itself, or drawn from a RandomState, which moves on."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
