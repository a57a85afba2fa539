"""How many components: information criteria, of which smaller is better, and cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtura.degenerate import Care
from mixtura.errors import UsageError
from mixtura.executor import Executor, Local
from mixtura.families import Family
from mixtura.families.runs import DEGENERATE, Folds, Ints, Limits, Runner, Runs
from mixtura.mixture import Mixture
from mixtura.prepare import prepare
from mixtura.source import DataSource, as_source
from mixtura.start import (
    POLISHED,
    SHORT_STEPS,
    best_run,
    distinct,
    initial_mixtures,
    partitions,
    portfolio,
    rng_for,
    sample_limit,
)
from mixtura.stats import Array, Rows
from mixtura.stopping import Aitken

#: Runs are told apart when they could still gain this much, in nats per unit of weight.
ROUGH_TOL = 1e-4


def bic(loglik: float, n_free: int, mass: float) -> float:
    """-2 log L + df log n (Schwarz 1978); n is the sum of the row weights.

    Examples
    --------
    >>> round(bic(-1130.264, 11, 272), 3)
    2322.192
    """
    return -2.0 * loglik + n_free * float(np.log(mass))


def aic(loglik: float, n_free: int) -> float:
    """-2 log L + 2 df (Akaike 1974)."""
    return -2.0 * loglik + 2.0 * n_free


def icl(loglik: float, n_free: int, mass: float, log_certainty: float) -> float:
    """BIC - 2 sum_i w_i log max_k r_ik: BIC with the cost of hard labels.

    As in Fraley and Raftery's software; `log_certainty` is that sum, in nats.
    Biernacki, Celeux and Govaert (2000) take the entropy in its place.
    """
    return bic(loglik, n_free, mass) - 2.0 * log_certainty


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Log-densities of rows under mixtures that were fitted without them.

    Attributes
    ----------
    sizes : tuple of int
        Numbers of components, as they were asked for.
    log_density : ndarray of shape (S, n)
        In nats, for each size and row: under the mixture fitted to the rows of all other folds.
    folds : ndarray of shape (n,)
        Fold of each row.
    weights : ndarray of shape (n,) or None
        Weights of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Gaussian
    >>> from mixtura.source import as_source
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (60, 1)), rng.normal(9, 1, (40, 1))])
    >>> found = cross_validate(Gaussian(1), as_source(X), [1, 2, 3])
    >>> found.best, found.score.round(2)
    (2, array([-2.93, -2.09, -2.11]))
    """

    sizes: tuple[int, ...]
    log_density: Array
    folds: Ints
    weights: Array | None = None

    @property
    def score(self) -> Array:
        """Mean held-out log-density per row, or per unit of weight, (S,), in nats."""
        return np.average(self.log_density, axis=1, weights=self.weights)

    @property
    def standard_error(self) -> Array:
        """Standard errors of `score`, from the spread over rows, (S,)."""
        return self._errors(self.log_density)

    @property
    def best(self) -> int:
        """The size with the highest score."""
        return self.sizes[int(np.argmax(self.score))]

    @property
    def one_standard_error(self) -> int:
        """The smallest size whose score is within one standard error of the best one's.

        The error is that of the difference on the same rows (Breiman et al. 1984, section
        3.4.3, with paired rows).
        """
        gaps = self.log_density[int(np.argmax(self.score))] - self.log_density
        near = np.average(gaps, axis=1, weights=self.weights) <= self._errors(gaps)
        return min(size for size, fits in zip(self.sizes, near, strict=True) if fits)

    def _errors(self, values: Array) -> Array:
        w = np.ones(values.shape[1]) if self.weights is None else self.weights
        away = values - np.average(values, axis=1, weights=w)[:, None]
        return np.asarray(np.sqrt((w * away) ** 2 @ np.ones(len(w))) / w.sum())


def cross_validate(
    family: Family[Any],
    source: DataSource,
    sizes: Sequence[int],
    *,
    n_folds: int = 10,
    folds: Ints | None = None,
    start: str = "auto",
    n_starts: int = 5,
    seed: int = 0,
    tol: float = 1e-6,
    max_iter: int = 1000,
    executor: Executor | None = None,
) -> CrossValidation:
    """Score numbers of components by the log-density of rows that were left out.

    For each fold and size the starts are made of the other rows only, and the run with the
    highest log-likelihood of these rows counts. All sizes share the folds. The place, units
    and covariance floor that the family takes from the data come from all rows.

    Parameters
    ----------
    family : Family
        What the components are.
    source : DataSource
        Rows and weights; they are held in memory. Labels are left aside.
    sizes : sequence of int
        Numbers of components to try.
    n_folds : int, default=10
        Folds, from 2 to the number of rows. The fold of a row depends on the seed and
        on the place of the row only.
    folds : ndarray of int, shape (n,), optional
        Fold of each row, counted from 0, in place of random ones.
    start : str, default="auto"
        See `fit_mixture`.
    n_starts : int, default=5
        Starts for each size and fold.
    seed : int, default=0
        Same seed and data, same result, on any number of threads.
    tol : float, default=1e-6
        Runs end when the projected remaining gain is below this, in nats per unit of weight.
    max_iter : int, default=1000
        Greatest number of M steps: until runs are compared, and again of the best ones.
    executor : Executor, optional
        Its threads are used.

    Returns
    -------
    CrossValidation

    Raises
    ------
    DataError
        The rows cannot be fitted, or those outside of a fold are too few for a size.
    UsageError
        `sizes` or `n_folds` have no meaning.

    Notes
    -----
    Smyth (2000), Statistics and Computing 10, 63-72.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Gaussian
    >>> from mixtura.source import as_source
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> cross_validate(Gaussian(2), as_source(X), range(1, 4)).best
    1
    """
    executor = executor or Local()
    sizes = tuple(sizes)
    if not sizes or min(sizes) < 1:
        raise UsageError.argument("sizes", sizes, "whole numbers >= 1")
    family, _ = prepare(family, source, max(sizes), executor)
    X, w = in_memory(source)
    folds = fold_of_rows(len(X), n_folds, seed) if folds is None else _given_folds(folds, len(X))
    n_folds = int(folds.max()) + 1
    methods, limits = portfolio(start, n_starts), Limits(max_iter, tol)
    job = _Job(family, X, w, sizes, folds, methods, seed, limits, executor)
    runner = family.runner()
    cells = job.compiled(runner) if runner is not None and start != "random" else {}
    log_density = np.empty((len(sizes), len(X)))
    for fold in range(n_folds):
        out = np.flatnonzero(folds == fold)
        for s, size in enumerate(sizes):
            mixture = cells.get((fold, size)) or job.looped(fold, size)
            log_density[s, out] = mixture.log_density(X[out])
    return CrossValidation(sizes, log_density, folds, w)


def fold_of_rows(n_rows: int, n_folds: int, seed: int) -> Ints:
    """Fold of each row, (n,): every `n_folds` rows in a row are dealt to different folds.

    Raises
    ------
    UsageError
        Fewer than two folds, or more than rows.

    Examples
    --------
    >>> fold_of_rows(7, 3, 0).tolist()
    [2, 1, 0, 1, 2, 0, 1]
    """
    if not 2 <= n_folds <= n_rows:
        raise UsageError.argument("n_folds", n_folds, f"from 2 to {n_rows}, the rows")
    n_deals = -(-n_rows // n_folds)
    deals = rng_for(seed, "folds", n_folds).random((n_deals, n_folds)).argsort(axis=1)
    return deals.ravel()[:n_rows].astype(np.int32)


def _given_folds(folds: Ints, n_rows: int) -> Ints:
    own = np.ascontiguousarray(folds, dtype=np.int32)
    if own.shape != (n_rows,) or own.max() < 1 or len(np.unique(own)) != own.max() + 1:
        raise UsageError.argument(
            "folds",
            f"array of shape {own.shape}",
            f"of shape ({n_rows},), folds 0, 1, ... all used",
        )
    return own


def in_memory(source: DataSource) -> tuple[Rows, Array | None]:
    """All rows and their weights."""
    blocks = list(source.blocks())
    if len(blocks) == 1:
        return blocks[0].X, blocks[0].w
    w = None
    if blocks[0].w is not None:
        w = np.concatenate([block.w for block in blocks if block.w is not None])
    return np.concatenate([block.X for block in blocks]), w


@dataclass(frozen=True, eq=False)
class _Job:
    """What all folds and sizes of one cross-validation share."""

    family: Family[Any]
    X: Rows
    w: Array | None
    sizes: tuple[int, ...]
    folds: Ints
    methods: list[str]
    seed: int
    limits: Limits
    executor: Executor

    def compiled(self, runner: Runner) -> dict[tuple[int, int], Mixture]:
        """Best mixtures by fold and size, all runs in few calls; cells without one are left out."""
        n_threads = self.executor.threads()
        starts = [self._short_runs(runner, fold, n_threads) for fold in range(self.folds.max() + 1)]
        left_out = np.repeat(np.arange(len(starts), dtype=np.int32), [len(s) for s in starts])
        runs = Runs.joined(starts)
        rough = self.limits._replace(tol=max(self.limits.tol, ROUGH_TOL))
        runs = runner.onward(runs, self.X, self.w, rough, n_threads, Folds(self.folds, left_out))
        best: dict[tuple[int, int], int] = {}
        for j in runs.ranked():
            if runs.status[j] != DEGENERATE:
                best.setdefault((int(left_out[j]), int(runs.sizes[j])), int(j))
        chosen = np.array(list(best.values()), dtype=np.intp)
        if len(chosen):
            own = Folds(self.folds, left_out[chosen])
            runs = runner.onward(runs.take(chosen), self.X, self.w, self.limits, n_threads, own)
        return {
            cell: Mixture(self.family, *runs.mixture(j))
            for j, cell in enumerate(best)
            if runs.status[j] != DEGENERATE
        }

    def looped(self, fold: int, size: int) -> Mixture:
        """The best mixture of one fold and size, with empty components mended."""
        rows, weights = self._sample(fold)
        sample = as_source(rows, weights=weights)
        kept = self.folds != fold
        training = as_source(self.X[kept], weights=None if self.w is None else self.w[kept])
        family, summary = self.family, prepare(self.family, training, size, self.executor)[1]
        starts = initial_mixtures(
            family, sample, size, self.methods, fold_seed(self.seed, fold), self.executor
        )
        care = Care("repair", max(summary.n_positive, summary.mass))
        best = best_run(
            starts, training, executor=self.executor, care=care, stop=Aitken(self.limits.tol),
            max_iter=self.limits.max_iter,
        )  # fmt: skip
        return best[1]

    def _short_runs(self, runner: Runner, fold: int, n_threads: int) -> Runs:
        """A few steps from every start without a fold's rows; the best ones of each size."""
        rows, weights = self._sample(fold)
        labels, sizes = partitions(
            rows, weights, self.sizes, self.methods, fold_seed(self.seed, fold), n_threads
        )
        limits = Limits(min(SHORT_STEPS, self.limits.max_iter))
        runs = runner.from_partitions(rows, weights, labels, sizes, limits, n_threads)
        order = runs.ranked()
        order = order[runs.status[order] != DEGENERATE]
        chosen = [order[sizes[order] == size][:POLISHED] for size in self.sizes]
        return runs.take(np.concatenate(chosen))

    def _sample(self, fold: int) -> tuple[Array, Array]:
        """Distinct rows outside of a fold, all or a random sample, with their weights."""
        kept = np.flatnonzero(self.folds != fold)
        limit = sample_limit(max(self.sizes))
        if len(kept) > limit:
            rng = rng_for(fold_seed(self.seed, fold), "sample")
            kept = rng.choice(kept, size=limit, replace=False)
        w = np.ones(len(kept)) if self.w is None else self.w[kept]
        return distinct(np.asarray(self.X[kept], dtype=float), w)


def fold_seed(seed: int, fold: int) -> int:
    """A seed of its own for each fold."""
    return int(rng_for(seed, "fold", fold).integers(2**63))
