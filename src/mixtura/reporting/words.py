"""What was fitted, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from mixtura.describe import Document
from mixtura.executor import Executor
from mixtura.mixture import Mixture
from mixtura.source import Block, DataSource

#: A row whose largest probability is below this belongs to no component clearly.
UNCLEAR = 0.8

#: Components that are described one by one.
MOST_COMPONENTS = 8


@dataclass(frozen=True)
class Doubt:
    """How many of the rows belong to no component clearly, by weight."""

    unclear: float
    mass: float

    def __add__(self, other: Doubt) -> Doubt:
        return Doubt(self.unclear + other.unclear, self.mass + other.mass)

    @classmethod
    def of(cls, mixture: Mixture, block: Block, n_threads: int = 1) -> Doubt:
        """Count one block; rows that are not complete do not count."""
        X = np.asarray(block.X, dtype=float)
        complete = np.isfinite(X).all(axis=1)
        w = np.ones(len(X)) if block.w is None else block.w
        X, w = X[complete], w[complete]
        result = cls(0.0, float(w.sum()))
        for rows, _, R in mixture.slices(X, n_threads) if len(X) else ():
            result += cls(float(w[rows][R.max(axis=1) < UNCLEAR].sum()), 0.0)
        return result


def doubt_of(mixture: Mixture, source: DataSource, executor: Executor) -> Doubt:
    """Count the rows of a source that belong to no component clearly."""
    return executor.reduce(partial(Doubt.of, mixture), source)


def sentences(facts: Document, doubt: Doubt | None) -> list[str]:
    """Plain sentences about a fit.

    Parameters
    ----------
    facts : dict
        From `mixtura.describe.document`.
    doubt : Doubt or None
        About the rows, where they are at hand.
    """
    K, n = facts["n_components"], facts["n_rows"]
    columns = f"{facts['n_features']} column{'s' * (facts['n_features'] != 1)}"
    first = f"{n} rows of {columns} were described by "
    if K == 1:
        lines = [first + f"one density: {facts['description']}."]
    else:
        lines = [first + f"a mixture of {K} components: {facts['description']}."]
        lines += [_component(facts, k) for k in range(min(K, MOST_COMPONENTS))]
        if K > MOST_COMPONENTS:
            lines.append(f"The other {K - MOST_COMPONENTS} components are in the table below.")
    if doubt is not None and K > 1 and doubt.mass > 0:
        share = doubt.unclear / doubt.mass
        lines.append(
            f"{100 * share:.2g} % of the rows belong to no component with a probability of "
            f"{UNCLEAR:g} or more."
        )
    per_row = facts["log_likelihood"] / facts["sum_of_weights"]
    lines.append(
        f"The log-likelihood is {facts['log_likelihood']:.3f} nats, {per_row:.4f} per row, with "
        f"{facts['n_free']} free parameters."
    )
    n_iter = f" ({facts['n_iter']} iterations)" if facts["outcome"] != "closed_form" else ""
    ended = facts["outcome_text"]
    lines.append(f"{ended[:1].upper()}{ended[1:]}{n_iter}.")
    if facts["prior_text"] is not None:
        lines.append(f"Prior: {facts['prior_text']}; the estimates are posterior modes.")
    return lines


def _component(facts: Document, k: int) -> str:
    weight = facts["weights"][k]
    words = f"Component {k} holds {100 * weight:.3g} % of the rows"
    means = facts["means"][k][:4]
    if any(value is None for value in means):
        return words + "."
    parts = [
        f"{name} about {value:.4g}" for name, value in zip(facts["columns"], means, strict=False)
    ]
    more = facts["n_features"] - len(parts)
    listed = ", ".join(parts) + (f" (and {more} more columns)" if more else "")
    return f"{words}: {listed}."
