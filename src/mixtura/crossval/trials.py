"""What is tried, and what came of it: one fit of one candidate to the rows of one cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from scipy import linalg

from mixtura.crossval.splits import Cut
from mixtura.errors import MixturaError
from mixtura.families import Family
from mixtura.mixture import Mixture
from mixtura.stopping import Aitken
from mixtura.weighting import FREE, Weighting

#: Errors of a fit that concern this fit only.
REFUSED = (MixturaError, linalg.LinAlgError)

#: Runs are told apart when they could still gain this much, in nats per unit of weight.
ROUGH_TOL = 3e-4


class Cell(NamedTuple):
    """One fit: the place of a family among those that are tried, K, and the rows left out."""

    family: int
    n_components: int
    cut: Cut


@dataclass(frozen=True)
class Trial:
    """A fit, or why there is none.

    Attributes
    ----------
    mixture : Mixture or None
        None where no fit was possible; `reason` says why.
    objective : float
        Log-likelihood of the rows used, in nats.
    n_iter : int
        M steps.
    converged : bool
        The run ended at its stopping rule.
    seconds : float
        Wall time; runs that were made together share theirs by their work.
    reason : str
        Why there is no fit, or what is wrong with it.
    certainty : tuple of float or None
        Log-likelihood, sum of log max_k r and entropy of all rows by weight, in nats; None
        where it was not taken, or rows are left out.
    n_boundary : int or None
        Components near a bound that keeps the likelihood finite; None where nobody looked.
    """

    mixture: Mixture | None = None
    objective: float = float("nan")
    n_iter: int = 0
    converged: bool = False
    seconds: float = 0.0
    reason: str = ""
    certainty: tuple[float, float, float] | None = None
    n_boundary: int | None = None

    @classmethod
    def refused(cls, error: Exception) -> Trial:
        """No fit, because of an error."""
        return cls(reason=str(error))


Trials = Mapping[Cell, Trial]


@dataclass(frozen=True, eq=False)
class Search:
    """What is tried, and how well: the same for all cuts.

    Attributes
    ----------
    families : sequence of mapping
        The family for each number of components, with place and scale from the data.
    sizes : sequence of int
        Numbers of components.
    methods : list of str
        Starts of each fit, see `mixtura.start`.
    seed : int
        Seed of starts and samples.
    tol : float
        Runs end when the projected remaining gain is below this, in nats per unit of weight.
    max_iter : int
        Greatest number of M steps, until runs are compared and again of the best ones.
    weighting : Weighting
        What is known of the mixing weights.
    """

    families: Sequence[Mapping[int, Family[Any]]]
    sizes: Sequence[int]
    methods: list[str]
    seed: int = 0
    tol: float = 1e-6
    max_iter: int = 1000
    weighting: Weighting = FREE

    @property
    def rough_tol(self) -> float:
        """The tolerance until runs are compared."""
        return max(self.tol, ROUGH_TOL)

    @property
    def stop(self) -> Aitken:
        """When the best runs end."""
        return Aitken(self.tol)
