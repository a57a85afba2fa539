"""Categories: columns of codes 0, 1, 2, ..., each with a probability per code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from mixtura.errors import UsageError
from mixtura.families.bernoulli import EDGE_WORDS
from mixtura.families.linear import Terms
from mixtura.families.natural import ExponentialFamily, Support
from mixtura.families.priors import DirichletPrior, Prior, PseudoRows, modal
from mixtura.families.shown import Shown
from mixtura.families.support import Fault, Remark
from mixtura.stats import Array, IntArray, Rows

#: Smallest probability: keeps log-densities finite where a component never saw a category.
SMALLEST_PROBABILITY = 1e-300

#: Categories of a column that starts tell apart.
START_LEVELS = 64


class CategoricalParams(NamedTuple):
    """Parameters of K categorical components."""

    probability: Array  # (K, L_1 + ... + L_d), those of one column side by side, sum 1 in each


@dataclass(frozen=True)
class Categorical(ExponentialFamily[CategoricalParams]):
    """Independent categories: log p(x) = sum_j log(p_j[x_j]).

    Rows hold codes 0..L_j - 1. Text columns of frames and files become codes on the way in,
    and the model keeps their labels. ``MixtureModel("categorical", 3).fit(frame)`` is latent
    class analysis: StepMix's ``measurement="categorical"``, pomegranate's ``Categorical``.

    Parameters
    ----------
    n_features : int
        Number of columns d.
    levels : tuple of int
        Number of categories L_j of each column; empty: taken from the data.

    Examples
    --------
    >>> import numpy as np
    >>> family = Categorical(2, levels=(2, 3))
    >>> params = CategoricalParams(np.array([[0.5, 0.5, 0.25, 0.25, 0.5]]))
    >>> float(np.exp(family.log_density(params, np.array([[1.0, 2.0]])))[0, 0].round(6))
    0.25
    """

    n_features: int
    levels: tuple[int, ...] = ()
    name: ClassVar[str] = "categorical"
    support: ClassVar[Support] = Support.CODES
    params_type: ClassVar[type] = CategoricalParams
    shown_scale: ClassVar[float | None] = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(map(int, self.levels)))
        if self.levels and (len(self.levels) != self.n_features or min(self.levels) < 1):
            raise UsageError.argument(
                "levels", self.levels, f"{self.n_features} whole numbers >= 1, one per column"
            )

    def ranged(self, low: Array, high: Array) -> Self:
        """Take the number of categories from the greatest code, where it was not given."""
        return self if self.levels else replace(self, levels=tuple((high + 1).astype(int)))

    def fault(self, X: Array) -> Fault | None:
        """Find the first value that is no code, or no known one."""
        found = super().fault(X)
        if found is not None or not self.levels:
            return found
        unknown = np.argwhere(np.array(self.levels) <= X)
        if not len(unknown):
            return None
        row, column = map(int, unknown[0])
        return Fault(
            row, column, f"codes 0..{self.levels[column] - 1} in this column", self.support.hint
        )

    def features(self, X: Array) -> Array:
        """T(x): per column, one at the place of its code, (n, L_1 + ... + L_d)."""
        T = np.zeros((len(X), self._starts[-1]))
        places = X.astype(np.intp) + self._starts[:-1]
        T[np.arange(len(X))[:, None], places] = 1.0
        return T

    @property
    def code_levels(self) -> tuple[int, ...]:
        """Levels of each column."""
        return self.levels

    def terms(self, X: Rows) -> Terms:
        """Codes: looking log p up costs the same for any number of levels."""
        return Terms(X[:, :0], X, None)

    def log_base(self, X: Array) -> Array:
        """Log h(x) = 0, (n,)."""
        return np.zeros(len(X))

    def natural(self, params: CategoricalParams) -> tuple[Array, Array]:
        """Eta = log p, A = 0."""
        return np.log(params.probability), np.zeros(len(params.probability))

    def pseudo_rows(self, prior: Prior) -> PseudoRows:
        """A Dirichlet prior: a_l - 1 rows of each category.

        Shares of a column are scaled to one, so columns need not have equally many rows.
        """
        if not isinstance(prior, DirichletPrior):
            return super().pseudo_rows(prior)
        excess = modal("concentration", prior.concentration, int(self._starts[-1])) - 1.0
        return PseudoRows(float(excess.sum()) / self.n_features, tuple(excess.tolist()))

    def from_mean(
        self, mean: Array, previous: CategoricalParams | None = None
    ) -> CategoricalParams:
        """Probability = share of the category, kept positive."""
        shares = np.maximum(mean, SMALLEST_PROBABILITY)
        return CategoricalParams(shares / self._spread(self._sums(shares)))

    def mean_features(self, params: CategoricalParams) -> Array:
        """E[T] = p."""
        return params.probability

    def mean(self, params: CategoricalParams) -> Array:
        """Expected code, (K, d): of use for codes that have an order."""
        codes = np.concatenate([np.arange(n) for n in self.levels])
        return self._sums(params.probability * codes)

    def sample(
        self, params: CategoricalParams, labels: IntArray, rng: np.random.Generator
    ) -> Array:
        """Codes of the labelled components, (n, d), by inversion."""
        u = rng.random((len(labels), self.n_features))
        rows = np.empty_like(u)
        for j, (start, stop) in enumerate(zip(self._starts, self._starts[1:], strict=False)):
            edges = np.cumsum(params.probability[:, start : stop - 1], axis=1)
            rows[:, j] = (u[:, j, None] >= edges[labels]).sum(axis=1)
        return rows

    def start_features(self, X: Array) -> Array:
        """One for the category, zeros for the others, of the first `START_LEVELS` of a column."""
        places = [np.arange(min(n, START_LEVELS)) for n in self.levels]
        return np.hstack([X[:, [j]] == own for j, own in enumerate(places)]).astype(float)

    def n_free(self, n_components: int) -> int:
        """L_j - 1 per column and component."""
        return n_components * (self._starts[-1] - self.n_features)

    def standard_errors(self, params: CategoricalParams, weight: Array) -> tuple[Array, ...]:
        """Sqrt(p (1 - p) / n)."""
        p = params.probability
        return (np.sqrt(p * (1.0 - p) / weight[:, None]),)

    def remarks(self, params: CategoricalParams) -> list[Remark]:
        """Components that never saw some category."""
        n_all = params.probability.shape[1]
        return [
            Remark(k, f"has a probability of 0 for {n} of {n_all} categories: {EDGE_WORDS}")
            for k, n in enumerate((params.probability <= 1e-100).sum(axis=1).tolist())
            if n
        ]

    def problem(self, params: CategoricalParams) -> str | None:
        """Probabilities must be positive and sum to one in each column."""
        found = super().problem(params)
        p = params.probability
        if found is None and p.shape[1:] != (self._starts[-1],):
            found = f"{p.shape[1:]} probabilities where the columns have {self._starts[-1]} levels"
        elif found is None and not (p > 0).all():
            found = "a probability is not positive"
        elif found is None and not np.allclose(self._sums(p), 1.0, rtol=0, atol=1e-9):
            found = "the probabilities of a column do not sum to one"
        return found

    def shown(
        self,
        params: CategoricalParams,
        weight: Array | None = None,
        labels: Sequence[Sequence[str]] = (),
    ) -> list[Shown]:
        """Probability of each category, under its label where there is one."""
        columns = np.repeat(np.arange(self.n_features), self.levels).tolist()
        own = labels or [()] * self.n_features
        names = [
            str(label)
            for known, n in zip(own, self.levels, strict=True)
            for label in (known or range(n))
        ]
        errors = None if weight is None else self.standard_errors(params, weight)[0]
        scales = np.full(params.probability.shape, self.shown_scale)
        return [Shown("probability", params.probability, columns, names, errors, scales, True)]

    def marginal(
        self, params: CategoricalParams, columns: Sequence[int]
    ) -> tuple[Categorical, CategoricalParams]:
        """Columns are independent: the categories of those chosen."""
        blocks = [params.probability[:, self._starts[j] : self._starts[j + 1]] for j in columns]
        family = Categorical(len(columns), tuple(self.levels[j] for j in columns))
        return family, CategoricalParams(np.hstack(blocks))

    def config(self) -> dict[str, Any]:
        """Arguments that make this family again, as plain JSON values."""
        return {"n_features": self.n_features, "levels": list(self.levels)}

    def from_arrays(self, arrays: dict[str, Array]) -> CategoricalParams:
        """Parameters from a named array of the right width."""
        params = super().from_arrays(arrays)
        if params.probability.ndim != 2 or params.probability.shape[1] != self._starts[-1]:
            raise UsageError.argument(
                "probability", params.probability.shape, f"(K, {self._starts[-1]})"
            )
        return params

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        """Place of each column's first category, and of the end, (d + 1,)."""
        if not self.levels:
            raise UsageError.argument("levels", (), "the number of categories of each column")
        return (0, *np.cumsum(self.levels).tolist())

    def _sums(self, values: Array) -> Array:
        """Sum over the categories of each column, (K, d)."""
        return np.add.reduceat(values, self._starts[:-1], axis=1)

    def _spread(self, values: Array) -> Array:
        """One value per column, repeated for its categories."""
        return np.repeat(values, self.levels, axis=1)
