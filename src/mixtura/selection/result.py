"""What a search found: one table of all candidates, the choice, and how close the others are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura import criteria
from mixtura.crossval import HeldOut
from mixtura.describe import choice_document, choice_text
from mixtura.fitting import Fitted
from mixtura.loading import from_fitted
from mixtura.mixture import Mixture
from mixtura.selection.candidates import Model
from mixtura.selection.frame import frame
from mixtura.selection.rules import RULES, Rule

if TYPE_CHECKING:
    from mixtura.estimators import MixtureModel

NAN = float("nan")

#: Differences of a criterion below this fraction of it are rounding.
ROUNDING = 1e-10

#: Columns of the table, in order.
COLUMNS = (
    "n_components", "covariance", "log_likelihood", "n_free", "bic", "aic", "aicc", "sabic",
    "icl", "cv_log_density", "cv_se", "seconds", "reason", "family", "icl_entropy", "cv_gap",
    "cv_gap_se", "n_iter", "converged",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One candidate and what its fit to all rows came to.

    Attributes
    ----------
    model : Model
        Family and shape.
    n_components : int
        K.
    n_free : int
        Free parameters.
    mixture : Mixture or None
        The fit; None where there is none, and `reason` says why.
    log_likelihood : float
        Of all rows, in nats; NaN without a fit, like all that follows from it.
    log_certainty, entropy : float
        Weighted sums of log max_k r_ik and of -sum_k r_ik log r_ik over rows, in nats.
    n_iter : int
        M steps.
    converged : bool
        The run ended at its stopping rule.
    seconds : float
        Wall time of all fits of the candidate.
    reason : str
        Why there is no fit; empty where there is one.
    """

    model: Model
    n_components: int
    n_free: int
    mixture: Mixture | None = None
    log_likelihood: float = NAN
    log_certainty: float = NAN
    entropy: float = NAN
    n_iter: int = 0
    converged: bool = False
    seconds: float = 0.0
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.model}, {self.n_components}"

    def with_certainty(self, loglik: float, log_certainty: float, entropy: float) -> Row:
        """The same with what the mixture says of all rows."""
        return replace(self, log_likelihood=loglik, log_certainty=log_certainty, entropy=entropy)

    def scores(self, mass: float) -> dict[str, float]:
        """Values of the information criteria; NaN without a fit."""
        loglik, df = self.log_likelihood, self.n_free
        if self.mixture is None:
            return dict.fromkeys(("bic", "aic", "aicc", "sabic", "icl", "icl_entropy"), NAN)
        return {
            "bic": criteria.bic(loglik, df, mass),
            "aic": criteria.aic(loglik, df),
            "aicc": criteria.aicc(loglik, df, mass),
            "sabic": criteria.sabic(loglik, df, mass),
            "icl": criteria.icl(loglik, df, mass, self.log_certainty),
            "icl_entropy": criteria.icl_entropy(loglik, df, mass, self.entropy),
        }


@dataclass(frozen=True, eq=False)
class Table:
    """All candidates side by side.

    Attributes
    ----------
    rows : tuple of Row
        The candidates.
    n_rows : int
        Rows of the data.
    mass : float
        Sum of their weights: n in the criteria.
    held_out : HeldOut or None
        Held-out scores of the candidates in `scored`, with errors of all differences.
    scored : tuple of int
        Places of the candidates that have a held-out score.
    tol : float
        What the log-likelihoods may lack, in nats per row.
    spread : float
        How much larger the error of a held-out score is than that from the rows alone.
    """

    rows: tuple[Row, ...]
    n_rows: int
    mass: float
    held_out: HeldOut | None = None
    scored: tuple[int, ...] = ()
    tol: float = 0.0
    spread: float = 1.0

    @cached_property
    def columns(self) -> dict[str, list[Any]]:
        """The table as lists by the names of its columns."""
        scores = [row.scores(self.mass) for row in self.rows]
        table: dict[str, list[Any]] = {
            "n_components": [row.n_components for row in self.rows],
            "covariance": [row.model.covariance for row in self.rows],
            "log_likelihood": [row.log_likelihood for row in self.rows],
            "n_free": [row.n_free for row in self.rows],
            "seconds": [row.seconds for row in self.rows],
            "reason": [row.reason for row in self.rows],
            "family": [row.model.name for row in self.rows],
            "n_iter": [row.n_iter for row in self.rows],
            "converged": [row.converged for row in self.rows],
        }
        table |= {name: [score[name] for score in scores] for name in scores[0]}
        table |= self._held_out_columns()
        return {name: table[name] for name in COLUMNS}

    def ranking(self, rule: Rule) -> list[int]:
        """Places of the candidates that have a value of a rule's criterion, the best first.

        Those that are equal but for rounding, and for what their runs had left to gain, are
        told apart by their free parameters.
        """
        values = np.array(self.columns[rule.column], dtype=float)
        values = -values if rule.is_cross_validated else values
        known = np.flatnonzero(np.isfinite(values))
        order = known[np.argsort(values[known], kind="stable")].tolist()
        if len(order) > 1:
            best = values[order[0]]
            left = self.tol * (1.0 if rule.is_cross_validated else 2.0 * self.mass)
            near = [i for i in order if values[i] <= best + max(ROUNDING * abs(best), left)]
            order = sorted(near, key=lambda i: (self.rows[i].n_free, i)) + order[len(near) :]
        return [int(i) for i in order]

    def choice(self, rule: Rule) -> int | None:
        """Place of the candidate that a rule chooses; None where its criterion is not known."""
        ranking = self.ranking(rule)
        if not ranking or not rule.parsimonious:
            return ranking[0] if ranking else None
        assert self.held_out is not None
        near: list[int] = np.array(self.scored)[
            self.held_out.within_one_error(self.spread)
        ].tolist()
        return min(near, key=lambda i: (self.rows[i].n_free, ranking.index(i)))

    def difference(self, one: int, other: int) -> tuple[float, float]:
        """Held-out log-density per row of one candidate minus the other's, and its standard error.

        Both are scored on the same rows, and the error is that of the paired difference.
        NaN without cross-validation.
        """
        if self.held_out is None or not {one, other} <= set(self.scored):
            return NAN, NAN
        gap, error = self.held_out.behind(self.scored.index(one))
        place = self.scored.index(other)
        return float(gap[place]), float(error[place])

    def with_fit(self, place: int, fitted: Fitted) -> Table:
        """The table with the final fit of one candidate in it."""
        row = replace(
            self.rows[place],
            mixture=fitted.mixture,
            log_likelihood=fitted.log_likelihood,
            log_certainty=fitted.log_certainty,
            converged=fitted.outcome.converged,
        )
        return replace(self, rows=(*self.rows[:place], row, *self.rows[place + 1 :]))

    def _held_out_columns(self) -> dict[str, list[float]]:
        names = ("cv_log_density", "cv_se", "cv_gap", "cv_gap_se")
        table = {name: [NAN] * len(self.rows) for name in names}
        if self.held_out is not None:
            gap, error = self.held_out.behind(int(np.argmax(self.held_out.score)))
            values = (self.held_out.score, self.held_out.standard_error, gap, error)
            for name, own in zip(names, values, strict=True):
                for place, value in zip(self.scored, own.tolist(), strict=True):
                    table[name][place] = value
        return table


@dataclass(frozen=True, eq=False)
class Selection:
    """Candidates side by side, and the one that a rule chose.

    Attributes
    ----------
    rule : Rule
        How the choice was made.
    candidates : Table
        All candidates; `table` is the same as a frame.
    best_row_ : int
        Place of the chosen one in the table.
    fitted : Fitted
        The chosen candidate fitted to all rows.
    passes_ : int
        Passes over the data, all fits together.
    validation : str
        What was held out, in words; empty without cross-validation.
    seconds : float
        Wall time of the whole search.
    warnings : tuple of str
        What a person should know.
    """

    rule: Rule
    candidates: Table
    best_row_: int
    fitted: Fitted
    passes_: int
    validation: str = ""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    @cached_property
    def table(self) -> Any:
        """All candidates: a frame of pandas if installed, else polars, else pyarrow, else a dict.

        Of all criteria but cross-validation smaller is better. ``cv_log_density`` is the mean
        held-out log-density per row in nats, of which larger is better, ``cv_se`` its standard
        error; ``cv_gap`` is how far a candidate is behind the best of them on the same rows,
        ``cv_gap_se`` the standard error of this difference. ``icl`` takes the certainty of hard
        labels, ``icl_entropy`` the entropy. ``reason`` is empty where there is a fit.
        """
        return frame(self.candidates.columns)

    @cached_property
    def best_(self) -> MixtureModel:
        """The chosen candidate as a fitted estimator: `GaussianMixture` for Gaussian families."""
        return from_fitted(self.fitted)

    @property
    def best(self) -> Row:
        """The chosen candidate."""
        return self.candidates.rows[self.best_row_]

    @property
    def runner_up(self) -> int | None:
        """Place of the best of the others by the same criterion; None if there is no other."""
        others = [i for i in self.candidates.ranking(self.rule) if i != self.best_row_]
        return others[0] if others else None

    @cached_property
    def choices(self) -> dict[str, int]:
        """What every rule would choose whose criterion is in the table: rule -> place."""
        found = {name: self.candidates.choice(rule) for name, rule in RULES.items()}
        return {name: place for name, place in found.items() if place is not None}

    def summary(self) -> str:
        """Describe the table and the choice in words."""
        return choice_text(choice_document(self))
