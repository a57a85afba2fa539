"""Whole runs of EM, many at a time: what families with a compiled route offer, and what comes back.

Starts, folds, families and numbers of components are jobs that share rows in memory. Steps
are those of the block route; only what goes around them is compiled too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mixtura.stats import Array, Rows

Ints = NDArray[np.int32]

#: Values of `Runs.status`.
MAX_ITER, CONVERGED, FELL, DEGENERATE, BEHIND = range(5)


class Folds(NamedTuple):
    """Which fold every row is in, (n,), and which one every job leaves out, (J,); -1 for none."""

    of_rows: Ints
    left_out: Ints


class Limits(NamedTuple):
    """When runs end: M steps at most, and Aitken's tolerance in nats per unit of weight.

    M steps without a closed form take `max_inner` iterations of their own at most. A few
    do where runs are only compared: each raises the likelihood. A run that has a goal is
    given up where what it has plus `trust` times what it gained in the second half of its
    steps stays behind; infinity: never. With `accelerate` runs that crawl take longer steps,
    those of squared extrapolation (Varadhan and Roland 2008).
    """

    max_iter: int
    tol: float = 0.0
    max_inner: int = 200
    trust: float = np.inf
    accelerate: bool = False


class Pairs(NamedTuple):
    """Which partition begins which job, (J,), and the family of each, (J,): places in lists."""

    partitions: Ints
    families: Ints


class Runner(Protocol):
    """Compiled code that makes many runs at once; same results for any number of threads.

    It runs mixtures of one family or of several; a run names its family by the place.
    """

    def joined(self, others: Sequence[Any]) -> Runner:
        """Make one runner of the families of this and of others of its kind."""
        ...

    def mixture(self, runs: Runs, job: int) -> tuple[Array, Any]:
        """Weights (K,) and parameters of one run."""
        ...

    def runs_of(self, mixtures: Sequence[tuple[Array, Any]]) -> Runs:
        """Bundle mixtures of the first family, as weights and parameters, that did not run yet."""
        ...

    def from_partitions(
        self,
        X: Rows,
        w: Array | None,
        labels: Ints,
        sizes: Ints,
        limits: Limits,
        n_threads: int,
        pairs: Pairs | None = None,
        goals: Array | None = None,
    ) -> Runs:
        """Run from partitions `labels` (P, n) into `sizes` (P,) groups; -1 is not counted.

        One job for each, of the first family, unless `pairs` says otherwise. `goals` (J,) are
        log-likelihoods that are known to be reached, see `Limits`.
        """
        ...

    def onward(
        self,
        runs: Runs,
        X: Rows,
        w: Array | None,
        limits: Limits,
        n_threads: int,
        folds: Folds | None = None,
        units: Ints | None = None,
    ) -> Runs:
        """Go on from where other runs ended, on these rows.

        Runs of one of the `units` (J,) go on one after the other, and what one of them
        reached is the goal of the next ones of the same family, size and fold.
        """
        ...

    def partitions(
        self,
        runs: Runs,
        X: Rows,
        w: Array | None,
        Z: Array,
        splits: Ints,
        merges: Ints,
        seed: int,
        n_threads: int,
    ) -> tuple[Ints, Ints, Ints]:
        """Partitions that others may start from: rows by their likeliest component, and moves.

        After the one with as many groups come places for those of `splits` (J,) components,
        the widest first, in two by their rows in whitened space `Z`, and for `merges` (J,) of
        two that share most rows. Groups have the names of their first rows.

        Returns
        -------
        labels : ndarray of shape (sum of 1 + splits + merges, n)
            The partitions of all runs.
        n_splits, n_merges : ndarray of shape (J,)
            How many there are; places for others are not filled.
        """
        ...

    def certainty(self, runs: Runs, X: Rows, w: Array | None, n_threads: int) -> Array:
        """Log-likelihood, sum of log max_k r and entropy of the rows by weight, (J, 3), in nats."""
        ...


@dataclass(frozen=True, eq=False)
class Runs:
    """Mixtures that J runs ended with.

    Attributes
    ----------
    runner : Runner
        Who made them, and can read their records.
    families : ndarray of shape (J,)
        Place of the family among those of the runner.
    sizes : ndarray of shape (J,)
        Number of components of each run.
    lengths : ndarray of shape (J,)
        Numbers in each record.
    records : ndarray of shape (sum of lengths,)
        Weights and parameters of the runs, end to end.
    objective : ndarray of shape (J,)
        Log-likelihood of each mixture in nats.
    gain : ndarray of shape (J,)
        How much of it the second half of the M steps brought.
    n_iter : ndarray of shape (J,)
        M steps.
    status : ndarray of shape (J,)
        `MAX_ITER`, `CONVERGED`, `FELL`, `BEHIND` (given up, see `Limits`) or `DEGENERATE`: a
        component was left without rows.
    n_boundary : ndarray of shape (J,)
        Components near a bound that keeps the likelihood finite.
    """

    runner: Runner
    families: Ints
    sizes: Ints
    lengths: NDArray[np.intp]
    records: Array
    objective: Array
    gain: Array
    n_iter: Ints
    status: Ints
    n_boundary: Ints

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All runs of several bundles of one runner, in order."""
        names = list(cls.__dataclass_fields__)[1:]
        return cls(
            parts[0].runner,
            *(np.concatenate([getattr(part, name) for part in parts]) for name in names),
        )

    def __len__(self) -> int:
        return len(self.sizes)

    def record(self, job: int) -> Array:
        """Numbers of one run."""
        end = int(self._ends[job])
        return self.records[end - int(self.lengths[job]) : end]

    def mixture(self, job: int) -> tuple[Array, Any]:
        """Weights (K,) and parameters of one run."""
        return self.runner.mixture(self, job)

    def take(self, jobs: Sequence[int] | NDArray[np.integer[Any]]) -> Self:
        """Some of the runs, in the order given."""
        chosen = np.asarray(jobs, dtype=np.intp)
        lengths = self.lengths[chosen]
        starts = (self._ends - self.lengths)[chosen]
        # start, start + 1, ... of every chosen run
        places = np.arange(lengths.sum()) + np.repeat(
            starts - (np.cumsum(lengths) - lengths), lengths
        )
        return replace(
            self,
            families=self.families[chosen],
            sizes=self.sizes[chosen],
            lengths=lengths,
            records=self.records[places],
            objective=self.objective[chosen],
            gain=self.gain[chosen],
            n_iter=self.n_iter[chosen],
            status=self.status[chosen],
            n_boundary=self.n_boundary[chosen],
        )

    @cached_property
    def _ends(self) -> NDArray[np.intp]:
        return np.cumsum(self.lengths)

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Which runs are neither degenerate nor given up, (J,)."""
        return np.asarray((self.status != DEGENERATE) & (self.status != BEHIND))

    def ranked(self, slack: float = 0.0) -> NDArray[np.intp]:
        """Runs by merit: that ended, then few components on the boundary, then objective.

        Objectives that lie within `slack` nats of the best one left count as equal, and the
        earlier run comes first: rounding must not decide between runs that met in one optimum.
        """
        lost = ~self.ended
        order = np.lexsort((-self.objective, self.n_boundary, lost))
        if slack == 0.0:
            return order
        result: list[int] = []
        while len(order):
            first = order[0]
            alike = (
                (self.n_boundary[order] == self.n_boundary[first])
                & (lost[order] == lost[first])
                & (self.objective[order] >= self.objective[first] - slack)
            )
            result.extend(sorted(order[alike].tolist()))
            order = order[~alike]
        return np.array(result, dtype=np.intp)
