"""What runs of EM leave behind: their steps, the trace of all of them, the fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixtura.degenerate import Event
from mixtura.mixture import Mixture
from mixtura.stats import Array, Stats
from mixtura.stopping import Outcome

#: A fall of the objective by more than this fraction is more than rounding.
ROUNDING = 1e-10


@dataclass(frozen=True, eq=False)
class Step:
    """One mixture of a run, and the statistics of the data under that same mixture."""

    mixture: Mixture
    stats: Stats
    iteration: int
    n_passes: int
    mixed: bool = False  # made by combining earlier statistics, not by a plain EM step
    events: tuple[Event, ...] = ()
    log_prior: float = 0.0  # of `mixture`
    halvings: int = 0  # of a step that overshot

    @property
    def objective(self) -> float:
        """Log-likelihood of `mixture`, plus the log prior where there is one, in nats."""
        return self.stats.loglik + self.log_prior


@dataclass(frozen=True)
class Trace:
    """What every iteration looked like; entry 0 belongs to the start.

    Attributes
    ----------
    objective : ndarray
        Log-likelihood, plus the log prior where there is one, in nats.
    expected_complete, entropy : ndarray
        The two terms of the bound, in nats; after each E step their sum is
        the log-likelihood.
    mixtures : tuple of Mixture
        The mixtures themselves, where they were asked for.
    """

    objective: Array
    expected_complete: Array
    entropy: Array
    mixtures: tuple[Mixture, ...] = ()


@dataclass(frozen=True)
class Fit:
    """Result of a run: the mixture, why it stopped, and how it went."""

    mixture: Mixture
    outcome: Outcome
    trace: Trace
    stats: Stats
    n_passes: int
    events: tuple[Event, ...] = ()

    @property
    def objective(self) -> float:
        """Log-likelihood of `mixture`, plus the log prior where there is one, in nats."""
        return self.stats.loglik + self.mixture.log_prior

    @property
    def n_iter(self) -> int:
        """M steps that were taken."""
        return max(len(self.trace.objective) - 1, 0)


def ended_by(step: Step, before: float, tol: float) -> Outcome | None:
    """What a fall of the objective means: a step of a monotone family lowers it by rounding only.

    Covariances on the floor are ill-conditioned, which makes rounding large. Where it
    outweighs what a step gains and is below the tolerance, the run is at its end.
    """
    fall = before - step.objective
    family = step.mixture.family
    if not (family.monotone or family.damped) or fall <= ROUNDING * abs(before):
        return None
    return Outcome.CONVERGED if fall <= tol * step.stats.mass else Outcome.FELL


def is_better(step: Step, before: Step) -> bool:
    """Tell whether the objective has not fallen; one that is not finite is worse than any."""
    if not np.isfinite(step.objective):
        return False
    rounding = 4 * np.finfo(float).eps * abs(before.objective)
    return not (step.objective < before.objective - rounding)


def light(step: Step, newer: Step) -> Step:
    """The step without arrays of its own: only the newest mixture and statistics are kept."""
    empty = np.zeros(0)
    numbers = (step.stats.loglik, step.stats.entropy, step.stats.mass)
    return replace(step, mixture=newer.mixture, stats=Stats(empty, empty, empty, *numbers))


def finish(steps: list[Step], outcome: Outcome, keep_mixtures: bool) -> Fit:
    """The fit that these steps make; shortened scoring steps are one event."""
    trace = Trace(
        np.array([step.objective for step in steps]),
        np.array([step.stats.expected_complete for step in steps]),
        np.array([step.stats.entropy for step in steps]),
        tuple(step.mixture for step in steps) if keep_mixtures else (),
    )
    events = tuple(event for step in steps for event in step.events)
    shortened = [step for step in steps if step.halvings]
    if shortened:
        most = max(step.halvings for step in shortened)
        reason = (
            f"as {len(shortened)} of {len(steps) - 1} scoring steps that overshot: "
            f"to 1/{2**most} of their length at most"
        )
        events += (Event(shortened[0].iteration, None, "damped", reason),)
    return Fit(steps[-1].mixture, outcome, trace, steps[-1].stats, steps[-1].n_passes, events)
