"""Whole runs of EM, many at a time: what families with a compiled route offer, and what comes back.

Starts, folds and numbers of components are jobs that share rows in memory. Steps
are those of the block route; only what goes around them is compiled too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mixtura.stats import Array, Rows

Ints = NDArray[np.int32]

#: Values of `Runs.status`.
MAX_ITER, CONVERGED, FELL, DEGENERATE = range(4)


class Folds(NamedTuple):
    """Which fold every row is in, (n,), and which one every job leaves out, (J,); -1 for none."""

    of_rows: Ints
    left_out: Ints


class Limits(NamedTuple):
    """When runs end: M steps at most, and Aitken's tolerance in nats per unit of weight.

    M steps without a closed form take `max_inner` iterations of their own at most. A few
    do where runs are only compared: each raises the likelihood.
    """

    max_iter: int
    tol: float = 0.0
    max_inner: int = 200


class Runner(Protocol):
    """Compiled code that makes many runs at once; same results for any number of threads."""

    def from_partitions(
        self, X: Rows, w: Array | None, labels: Ints, sizes: Ints, limits: Limits, n_threads: int
    ) -> Runs:
        """Run from partitions `labels` (J, n) into `sizes` (J,) groups; -1 is not counted."""
        ...

    def onward(
        self,
        runs: Runs,
        X: Rows,
        w: Array | None,
        limits: Limits,
        n_threads: int,
        folds: Folds | None = None,
    ) -> Runs:
        """Go on from where other runs ended, on these rows."""
        ...


@dataclass(frozen=True, eq=False)
class Runs:
    """Mixtures that J runs ended with; components of all runs lie end to end.

    Attributes
    ----------
    sizes : ndarray of shape (J,)
        Number of components of each run.
    weights : ndarray of shape (sum of sizes,)
        Mixing proportions.
    params : NamedTuple of ndarray
        Parameters of all components; arrays that a run shares have one entry per run.
    objective : ndarray of shape (J,)
        Log-likelihood of each mixture in nats.
    n_iter : ndarray of shape (J,)
        M steps.
    status : ndarray of shape (J,)
        `MAX_ITER`, `CONVERGED`, `FELL` or `DEGENERATE`: a component was left without rows.
    n_boundary : ndarray of shape (J,)
        Components on a bound that keeps the likelihood finite.
    """

    sizes: Ints
    weights: Array
    params: Any
    objective: Array
    n_iter: Ints
    status: Ints
    n_boundary: Ints

    @classmethod
    def of(cls, mixtures: Iterable[tuple[Array, Any]]) -> Self:
        """Bundle mixtures, given as weights and parameters, that have not run yet."""
        weights, params = zip(*mixtures, strict=True)
        sizes = np.array([len(own) for own in weights], dtype=np.int32)
        stacked = type(params[0])(*map(np.concatenate, zip(*params, strict=True)))
        none = np.zeros(len(sizes), dtype=np.int32)
        unknown = np.full(len(sizes), -np.inf)
        return cls(sizes, np.concatenate(weights), stacked, unknown, none, none, none)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All runs of several bundles, in order."""
        params = [part.params for part in parts]
        return cls(
            np.concatenate([part.sizes for part in parts]),
            np.concatenate([part.weights for part in parts]),
            type(params[0])(*map(np.concatenate, zip(*params, strict=True))),
            np.concatenate([part.objective for part in parts]),
            np.concatenate([part.n_iter for part in parts]),
            np.concatenate([part.status for part in parts]),
            np.concatenate([part.n_boundary for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.sizes)

    def mixture(self, job: int) -> tuple[Array, Any]:
        """Weights (K,) and parameters of one run."""
        end = int(self.sizes[: job + 1].sum())
        own = slice(end - int(self.sizes[job]), end)
        whole = len(self.weights)
        params = [a[own] if len(a) == whole else a[job : job + 1] for a in self.params]
        return self.weights[own], type(self.params)(*params)

    def take(self, jobs: Sequence[int] | NDArray[np.integer[Any]]) -> Self:
        """Some of the runs, in the order given."""
        chosen = np.asarray(jobs, dtype=np.intp)
        sizes = self.sizes[chosen]
        starts = (np.cumsum(self.sizes) - self.sizes)[chosen]
        # start, start + 1, ... of every chosen run
        places = np.arange(sizes.sum()) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
        whole = len(self.weights)
        params = [a[places if len(a) == whole else chosen] for a in self.params]
        return replace(
            self,
            sizes=sizes,
            weights=self.weights[places],
            params=type(self.params)(*params),
            objective=self.objective[chosen],
            n_iter=self.n_iter[chosen],
            status=self.status[chosen],
            n_boundary=self.n_boundary[chosen],
        )

    def ranked(self, slack: float = 0.0) -> NDArray[np.intp]:
        """Runs by merit: not degenerate, then few components on the boundary, then objective.

        Objectives that lie within `slack` nats of the best one left count as equal, and the
        earlier run comes first: rounding must not decide between runs that met in one optimum.
        """
        order = np.lexsort([-self.objective, self.n_boundary, self.status == DEGENERATE])
        if slack == 0.0:
            return order
        result: list[int] = []
        while len(order):
            first = order[0]
            alike = (
                (self.n_boundary[order] == self.n_boundary[first])
                & ((self.status[order] == DEGENERATE) == (self.status[first] == DEGENERATE))
                & (self.objective[order] >= self.objective[first] - slack)
            )
            result.extend(sorted(order[alike].tolist()))
            order = order[~alike]
        return np.array(result, dtype=np.intp)
