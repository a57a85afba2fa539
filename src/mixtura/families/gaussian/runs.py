"""Whole runs of EM of Gaussian mixtures, in the compiled kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura import _kernel
from mixtura.families.runs import Folds, Ints, Limits, Runs
from mixtura.stats import Array, Rows

if TYPE_CHECKING:
    from mixtura.families.gaussian.family import Gaussian


@dataclass(frozen=True)
class GaussianRunner:
    """Runs of one Gaussian family without a ridge."""

    family: Gaussian

    def from_partitions(
        self, X: Rows, w: Array | None, labels: Ints, sizes: Ints, limits: Limits, n_threads: int
    ) -> Runs:
        """Run from partitions: moments of the groups, a softened M step, then EM."""
        return self._run(X, w, sizes, limits, n_threads, None, labels=labels, start=None)

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
        start = (runs.weights, *runs.params)
        return self._run(X, w, runs.sizes, limits, n_threads, folds, labels=None, start=start)

    def _run(
        self,
        X: Rows,
        w: Array | None,
        sizes: Ints,
        limits: Limits,
        n_threads: int,
        folds: Folds | None,
        **begin: Any,
    ) -> Runs:
        family = self.family
        if w is not None and (w == 1.0).all():
            w = None  # saves a logarithm per row
        floor = family.floor
        weights, *params, objective, n_iter, status, n_boundary = _kernel.em_runs(
            family._scaled(X), w, folds and folds.of_rows, family.shape.name,
            sizes, folds and folds.left_out, **begin, origin=family._origins(1)[0],
            floor=None if floor is None else np.asarray(floor, dtype=float, order="C"),
            max_iter=limits.max_iter, tol=limits.tol, max_inner=limits.max_inner,
            n_threads=n_threads,
        )  # fmt: skip
        if family.exponents:
            objective -= family._log_unit * used_mass(len(X), w, folds)
        own = family.params_type(*params)
        return Runs(sizes, weights, own, objective, n_iter, status, n_boundary)


def used_mass(n_rows: int, w: Array | None, folds: Folds | None) -> Array:
    """Sum of the weights that each job uses, (J,), or one number for all."""
    weights = np.ones(n_rows) if w is None else w
    mass = weights.sum()
    if folds is None:
        return np.asarray(mass)
    n_folds = max(folds.of_rows.max(initial=0), folds.left_out.max(initial=0)) + 1
    of_fold = np.append(np.bincount(folds.of_rows, weights, minlength=n_folds), 0.0)
    return np.asarray(mass - of_fold[folds.left_out])
