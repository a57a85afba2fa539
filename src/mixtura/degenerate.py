"""What to do when a component is left without rows, or shrinks onto a few of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Never, Self

import numpy as np

from mixtura.codec import encodable
from mixtura.errors import DegenerateComponentError, UsageError
from mixtura.executor import Executor
from mixtura.lockstep import Asking, answered
from mixtura.mixture import Mixture
from mixtura.source import Block, DataSource
from mixtura.stats import Array, Stats

Policy = Literal["repair", "drop", "raise"]

#: After this many new starts per component a fit stops re-seeding and drops.
RESEEDS = 2


@dataclass(frozen=True)
class Event:
    """Something that was mended on the way."""

    iteration: int
    component: int | None  # None: all of them
    action: Literal["reseeded", "dropped", "damped"]
    reason: str

    def __str__(self) -> str:
        if self.component is None:
            return f"iteration {self.iteration}: step {self.action}, {self.reason}"
        return (
            f"iteration {self.iteration}: component {self.component} {self.action}, {self.reason}"
        )


#: A mixture, its statistics, and what was mended.
Mended = tuple[Mixture, Stats, tuple[Event, ...]]


class Care:
    """Looks after degenerate components between the E step and the M step.

    A component is empty when its weight is below that of one row; it has
    collapsed when its covariance touches the floor. Where a sparse prior of the
    weights takes a component away, it leaves whatever the policy.

    Parameters
    ----------
    policy : {"repair", "drop", "raise"}, default="repair"
        * ``"repair"``: an empty component starts anew at the row that the
          mixture explains worst; a collapsing one is held by the floor.
        * ``"drop"``: such components are left out; K shrinks.
        * ``"raise"``: `DegenerateComponentError` names the component and rows.
    n_rows : float, optional
        How many rows the data stand for: a component is empty when it has less
        than this part of all weight. Without it no component counts as empty.
    """

    def __init__(self, policy: Policy = "repair", n_rows: float | None = None) -> None:
        if policy not in ("repair", "drop", "raise"):
            raise UsageError.argument("on_degenerate", policy, "'repair', 'drop' or 'raise'")
        self.policy = policy
        self.n_rows = n_rows
        self._reseeded = 0

    def fresh(self) -> Care:
        """Return the same care for another run."""
        return Care(self.policy, self.n_rows)

    def mend(self, mixture: Mixture, stats: Stats, iteration: int) -> Asking[Mended]:
        """Mend a mixture and its statistics before the M step; ordinary ones pass through.

        Rows are asked for where they are needed, see `mixtura.lockstep`.
        """
        gone = np.flatnonzero(mixture.weighting.vanished(stats.weight))
        if len(gone):
            reason = f"the prior of the weights outweighs its {stats.weight[gone[0]]:.2g} rows"
            return self._drop(mixture, stats, gone.tolist(), iteration, reason)
        empty = [] if mixture.weighting.is_sparse else self._empty(mixture, stats)
        collapsed: list[int] = []
        if self.policy != "repair":
            collapsed = [
                int(k)
                for k in np.flatnonzero(mixture.family.at_boundary(mixture.params))
                if k not in empty
            ]
        if not empty and not collapsed:
            return mixture, stats, ()
        if self.policy == "raise":
            yield from self._raise(mixture, stats, empty, collapsed)
        if self.policy == "repair" and self._reseeded < RESEEDS * mixture.n_components:
            self._reseeded += len(empty)
            return (yield from self._reseed(mixture, stats, empty, iteration))
        return self._drop(mixture, stats, [*empty, *collapsed], iteration)

    def check(self, mixture: Mixture, stats: Stats, source: DataSource, executor: Executor) -> None:
        """Refuse a final mixture that is degenerate, under the policy "raise"."""
        if self.policy == "raise":
            answered(self.mend(mixture, stats, 0), source, executor)

    def _empty(self, mixture: Mixture, stats: Stats) -> list[int]:
        if self.n_rows is None or len(stats.weight) == 1:
            return []
        least = stats.weight.sum() / self.n_rows
        empty = stats.weight < least * (1 - 1e-9)
        # noise that finds no rows is no fault
        return [int(k) for k in np.flatnonzero(empty & ~mixture.family.fixed(mixture.params))]

    def _reseed(
        self, mixture: Mixture, stats: Stats, empty: list[int], iteration: int
    ) -> Asking[Mended]:
        """Give each empty component the worst explained row and the others' pooled spread."""
        family, n_components = mixture.family, mixture.n_components
        worst = yield partial(worst_rows, mixture, len(empty))
        order = np.arange(n_components)
        own = np.where(family.fixed(mixture.params), -1.0, stats.weight)
        order[empty] = int(np.argmax(own))
        params = family.take(mixture.params, order)
        weight, total = stats.weight.copy(), stats.total.copy()
        row_weight = stats.mass / (self.n_rows or 1)
        events = []
        for k, x in zip(empty, worst.X, strict=False):
            R = np.zeros((1, n_components))
            R[0, k] = row_weight
            row = family.accumulate(params, x[None], R)
            weight[k], total[k] = row.weight[k], row.total[k]
            events.append(
                Event(iteration, k, "reseeded", f"it had weight {stats.weight[k] / stats.mass:.2g}")
            )
        seeded = replace(stats, weight=weight, total=total)
        soft = family.soften(seeded)
        weight, total = weight.copy(), total.copy()
        weight[empty], total[empty] = soft.weight[empty], soft.total[empty]
        return (
            replace(mixture, params=params),
            replace(seeded, weight=weight, total=total),
            tuple(events),
        )

    def _drop(
        self, mixture: Mixture, stats: Stats, gone: list[int], iteration: int, reason: str = ""
    ) -> Mended:
        kept = np.setdiff1d(np.arange(mixture.n_components), gone)
        if not len(kept):
            raise DegenerateComponentError.empty(gone[0], float(stats.weight[gone[0]] / stats.mass))
        events = tuple(
            Event(iteration, k, "dropped", reason or f"it had {stats.weight[k]:.2g} effective rows")
            for k in sorted(gone)
        )
        return (
            mixture.take(kept),
            replace(stats, weight=stats.weight[kept], total=stats.total[kept]),
            events,
        )

    def _raise(
        self, mixture: Mixture, stats: Stats, empty: list[int], collapsed: list[int]
    ) -> Asking[Never]:
        if empty:
            raise DegenerateComponentError.empty(
                empty[0], float(stats.weight[empty[0]] / stats.mass)
            )
        k = collapsed[0]
        n_effective = float(stats.weight[k])
        if mixture.n_components == 1:
            shape = getattr(mixture.family, "covariance", mixture.family.name)
            raise DegenerateComponentError.unidentified(shape, n_effective, mixture.n_features)
        nearest = yield partial(owned_rows, mixture, k, int(n_effective + 0.5))
        raise DegenerateComponentError.collapsed(k, n_effective, sorted(nearest.rows[:5]))


@encodable
@dataclass(frozen=True, eq=False)
class Extreme:
    """The rows with the smallest values; adding two keeps the smallest of both."""

    values: Array
    rows: list[int]
    X: Array

    def __add__(self, other: Self) -> Self:
        n = max(len(self.values), len(other.values))
        values = np.concatenate([self.values, other.values])
        order = np.argsort(values, kind="stable")[:n]
        rows = [*self.rows, *other.rows]
        return type(self)(
            values[order], [rows[i] for i in order], np.concatenate([self.X, other.X])[order]
        )

    @classmethod
    def of(cls, values: Array, block: Block, n: int) -> Extreme:
        """Pick the n smallest values of a block, rows of zero weight aside."""
        if block.w is not None:
            values = np.where(block.w > 0, values, np.inf)
        order = np.argsort(values, kind="stable")[:n]
        rows = [block.first_row + int(i) for i in order]
        return cls(values[order], rows, np.asarray(block.X[order], dtype=float))


def worst_rows(mixture: Mixture, n: int, block: Block, n_threads: int = 1) -> Extreme:
    """The n rows of a block with the lowest log-density."""
    return Extreme.of(mixture.log_density(block.X, n_threads), block, n)


def owned_rows(
    mixture: Mixture, component: int, n: int, block: Block, n_threads: int = 1
) -> Extreme:
    """The n rows of a block that belong most to a component."""
    values = -mixture.responsibilities(block.X, n_threads)[:, component]
    return Extreme.of(values, block, max(n, 1))
