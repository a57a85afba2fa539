"""Whole runs of EM of Gaussian mixtures, in the compiled kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura import _kernel
from mixtura.families.runs import Folds, Ints, Limits, Pairs, Runs
from mixtura.stats import Array, BoolArray, IntArray, Rows

if TYPE_CHECKING:
    from mixtura.families.gaussian.family import Gaussian, GaussianParams

#: Components below so many times the floor are near it: shapes that share axes only nearly meet it.
NEAR = 1.05


@dataclass(frozen=True, eq=False)
class GaussianRunner:
    """Runs of Gaussian families without a ridge.

    Attributes
    ----------
    families : tuple of Gaussian
        They may differ in their shapes, and in the units of the columns.
    near : float
        Components below so many times the floor count as near it.
    """

    families: tuple[Gaussian, ...]
    near: float = 1.0

    def joined(self, others: Sequence[GaussianRunner]) -> GaussianRunner:
        """One runner of all families, for which components count as `near_boundary` says."""
        own = [family for one in (self, *others) for family in one.families]
        return GaussianRunner(tuple(own), NEAR)

    def mixture(self, runs: Runs, job: int) -> tuple[Array, GaussianParams]:
        """Weights (K,) and parameters of one run."""
        family, K = self.families[runs.families[job]], int(runs.sizes[job])
        d, record = family.n_features, runs.record(job).copy()
        means, rest = record[K : K * (1 + d)].reshape(K, d), record[K * (1 + d) :]
        layout = (1 if family.shape.is_shared else K, *family.shape.layout(d))
        covariances, factors = rest.reshape(2, *layout)
        return record[:K], family.params_type(means, covariances, factors)

    def runs_of(self, mixtures: Sequence[tuple[Array, Any]]) -> Runs:
        """Mixtures of the first family as runs without a step."""
        records = [
            np.concatenate([weights, *(array.ravel() for array in params)])
            for weights, params in mixtures
        ]
        sizes = np.array([len(weights) for weights, _ in mixtures], dtype=np.int32)
        none, unknown = np.zeros(len(sizes), dtype=np.int32), np.full(len(sizes), -np.inf)
        return Runs(
            self, none, sizes, np.array([len(record) for record in records]),
            np.concatenate(records), unknown, unknown, none, none, none,
        )  # fmt: skip

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
        """Run from partitions: moments of the groups, a softened M step, then EM."""
        if pairs is None:
            places = np.arange(len(sizes), dtype=np.int32)
            pairs = Pairs(places, np.zeros_like(places))
        return self._run(
            X, w, pairs.families, sizes[pairs.partitions], limits, n_threads, None,
            jobs_unit=pairs.partitions, labels=labels, jobs_partition=pairs.partitions,
            start=None, goals=goals,
        )  # fmt: skip

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
        """Go on from where other runs ended, on these rows."""
        if units is None:
            units = np.arange(len(runs), dtype=np.int32)
        return self._run(
            X, w, runs.families, runs.sizes, limits, n_threads, folds,
            jobs_unit=units, labels=None, jobs_partition=None, start=runs.records, goals=None,
        )  # fmt: skip

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
        """Partitions that others may start from."""
        return _kernel.partitions_of_runs(
            *self._seen(X), w, Z, self._views[1], runs.families, runs.sizes, runs.records,
            splits, merges, seed, n_threads,
        )  # fmt: skip

    def certainty(self, runs: Runs, X: Rows, w: Array | None, n_threads: int) -> Array:
        """Log-likelihood, sum of log max_k r and entropy of the rows by weight, (J, 3), in nats."""
        sums = _kernel.certainty_of_runs(
            *self._seen(X), w, self._views[1], runs.families, runs.sizes, runs.records, n_threads
        )
        sums[:, 0] -= self._units[runs.families] * used_mass(len(X), w, None)
        return sums

    def _run(
        self,
        X: Rows,
        w: Array | None,
        families: Ints,
        sizes: Ints,
        limits: Limits,
        n_threads: int,
        folds: Folds | None,
        *,
        goals: Array | None,
        **begin: Any,
    ) -> Runs:
        if w is not None and (w == 1.0).all():
            w = None  # saves a logarithm per row
        unit = self._units[families]
        if unit.any():
            unit = unit * used_mass(len(X), w, folds)
        records, objective, gain, n_iter, status, n_boundary = _kernel.em_runs(
            *self._seen(X), w, folds and folds.of_rows, self._views[1], families, sizes,
            jobs_fold=folds and folds.left_out, **begin,
            goals=None if goals is None else np.asarray(goals + unit),
            max_iter=limits.max_iter, tol=limits.tol, max_inner=limits.max_inner,
            trust=limits.trust, near=self.near, accelerate=limits.accelerate, n_threads=n_threads,
        )  # fmt: skip
        lengths = self._lengths(families, sizes)
        return Runs(
            self,
            families,
            sizes,
            lengths,
            records,
            objective - unit,
            gain,
            n_iter,
            status,
            n_boundary,
        )

    def _seen(self, X: Rows) -> tuple[list[Rows], Array]:
        """The rows in each system of units, and the origins there."""
        firsts = self._views[0]
        return [one._scaled(X) for one in firsts], np.concatenate(
            [one._origins(1) for one in firsts]
        )

    @cached_property
    def _views(self) -> tuple[list[Gaussian], list[tuple[str, int, Array | None]]]:
        """One family for each system of units; shape, view and floor of every family."""
        firsts: list[Gaussian] = []
        place: dict[Any, int] = {}
        described = []
        for family in self.families:
            key = family.exponents, None if family.origin is None else family.origin.tobytes()
            if key not in place:
                place[key] = len(firsts)
                firsts.append(family)
            floor = None if family.floor is None else np.array(family.floor, dtype=float, order="C")
            described.append((family.shape.name, place[key], floor))
        return firsts, described

    @cached_property
    def _units(self) -> Array:
        """What the units of the columns add to each log-density, by family."""
        return np.array([family._log_unit for family in self.families])

    def _lengths(self, families: Ints, sizes: Ints) -> Any:
        """Numbers in the records."""
        d = self.families[0].n_features
        shared, numbers = self._layouts
        count = np.where(shared[families], 1, sizes)
        return sizes.astype(np.intp) * (1 + d) + 2 * count * numbers[families]

    @cached_property
    def _layouts(self) -> tuple[BoolArray, IntArray]:
        """Whether components share a covariance, and numbers in one, by family."""
        shapes, d = [family.shape for family in self.families], self.families[0].n_features
        return (
            np.array([shape.is_shared for shape in shapes]),
            np.array([int(np.prod(shape.layout(d))) for shape in shapes]),
        )


def used_mass(n_rows: int, w: Array | None, folds: Folds | None) -> Array:
    """Sum of the weights that each job uses, (J,), or one number for all."""
    weights = np.ones(n_rows) if w is None else w
    mass = weights.sum()
    if folds is None:
        return np.asarray(mass)
    n_folds = max(folds.of_rows.max(initial=0), folds.left_out.max(initial=0)) + 1
    of_fold = np.append(np.bincount(folds.of_rows, weights, minlength=n_folds), 0.0)
    return np.asarray(mass - of_fold[folds.left_out])
