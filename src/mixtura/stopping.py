"""When a run of EM stops, and what is said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np

from mixtura.stats import Stats

#: Two gains in a row below this fraction of the tolerance end a run, whatever their sign:
#: what is left of them is rounding.
NEGLIGIBLE = 1e-4

#: Plain steps after a combined one until their gains shrink at a steady ratio.
SETTLING = 6


class Evaluated(Protocol):
    """A step of a run, as far as stopping rules look at it."""

    @property
    def stats(self) -> Stats:
        """Statistics of the data under the step's mixture."""
        ...

    @property
    def objective(self) -> float:
        """What is maximised, in nats."""
        ...

    @property
    def mixed(self) -> bool:
        """The step is a combination of earlier ones, not a plain EM step."""
        ...


class Outcome(Enum):
    """Why a fit ended; the value tells what happened and what to do."""

    CONVERGED = "converged: what further iterations could still gain is below the tolerance"
    CLOSED_FORM = "closed form: the estimate needs no iteration"
    MAX_ITER = (
        "not converged: the iterations ran out. Raise max_iter (--max-iter), loosen tol, "
        "or look for overlapping components (fewer components)"
    )
    FELL = (
        "stopped: the objective fell by more than rounding, the best mixture was kept. "
        "Look for collinear columns or components on the covariance floor"
    )

    @property
    def converged(self) -> bool:
        """The mixture is a maximum of the objective to the tolerance."""
        return self in (Outcome.CONVERGED, Outcome.CLOSED_FORM)


@dataclass(frozen=True)
class Aitken:
    """Stop when the projected remaining gain is below `tol` nats per unit of weight.

    From three successive values l1, l2, l3 the ratio a = (l3 - l2) / (l2 - l1)
    projects the limit l2 + (l3 - l2) / (1 - a) (Aitken 1926; Boehning et al.
    1994); what remains beyond l3 is compared.
    """

    tol: float = 1e-8

    def met(self, run: Sequence[Evaluated]) -> bool:
        """Tell whether a run may stop after these steps.

        The projection holds for plain EM steps, `SETTLING` of them after a
        combined one, which leaves the slow directions for last. Two combined
        steps in a row stop a run when they gain a tenth of `tol` or less.
        """
        if len(run) < 3:
            return False
        l1, l2, l3 = (step.objective for step in run[-3:])
        gain, before, mass = l3 - l2, l2 - l1, run[-1].stats.mass
        if abs(gain) <= 4 * np.finfo(float).eps * abs(l3):
            return True
        if max(abs(gain), abs(before)) <= NEGLIGIBLE * self.tol * mass:
            return True
        if any(step.mixed for step in run[-SETTLING:]):
            small = 0.1 * self.tol * mass
            return run[-1].mixed and run[-2].mixed and max(gain, before) <= small
        if not 0 < gain < before:
            return False
        ratio = gain / before
        return gain * max(ratio / (1 - ratio), 1e-2) <= self.tol * mass


@dataclass(frozen=True)
class Gain:
    """Stop when one iteration gains less than `tol` nats per unit of weight."""

    tol: float = 1e-3

    def met(self, run: Sequence[Evaluated]) -> bool:
        """Tell whether a run may stop after these steps."""
        if len(run) < 2:
            return False
        return abs(run[-1].objective - run[-2].objective) < self.tol * run[-1].stats.mass
