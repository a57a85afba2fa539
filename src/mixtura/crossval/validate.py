"""Cross-validation of numbers of components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mixtura.crossval.held import HeldTrials
from mixtura.crossval.held_out import HeldOut, Score
from mixtura.crossval.held_rows import HeldRows
from mixtura.crossval.splits import Cut, Folding, Kind, OwnFolds, Splits
from mixtura.crossval.streams import streamed
from mixtura.crossval.trials import Cell, Search
from mixtura.errors import DataError, UsageError
from mixtura.executor import Executor, Local
from mixtura.families import Family
from mixtura.families.runs import Ints
from mixtura.mixture import Mixture
from mixtura.prepare import Prospect
from mixtura.source import Block, DataSource, hold
from mixtura.start import portfolio
from mixtura.stats import Array, Rows

#: When runs end, in nats per unit of weight, and their greatest number of M steps.
TOL = 1e-6
MAX_ITER = 1000


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Log-densities of rows under mixtures that were fitted without them.

    Attributes
    ----------
    sizes : tuple of int
        Numbers of components, as they were asked for.
    log_density : ndarray of shape (S, n)
        In nats, for each size and row: under the mixtures fitted without the row, the mean
        over the times it was held out; NaN where it never was.
    folds : ndarray of shape (n,)
        Fold of each row, in the first round.
    weights : ndarray of shape (n,) or None
        Weights of the rows.
    times : ndarray of shape (n,)
        How often each row was held out; 1 in V-fold cross-validation.
    spread : float
        How much larger the error of a score is than `standard_error`, which is from the
        rows alone: fits to other rows would differ too.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Gaussian
    >>> from mixtura.source import as_source
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (60, 1)), rng.normal(9, 1, (40, 1))])
    >>> found = cross_validate(Gaussian(1), as_source(X), [1, 2, 3])
    >>> found.best
    2
    """

    sizes: tuple[int, ...]
    log_density: Array
    folds: Ints
    weights: Array | None
    times: Array
    spread: float = 1.0

    @cached_property
    def moments(self) -> HeldOut:
        """Scores, errors and paired differences of the sizes."""
        total = np.where(self.times > 0, self.log_density, 0.0) * self.times
        return HeldOut.of(total, self.times, self.weights)

    @property
    def score(self) -> Array:
        """Mean held-out log-density per row, or per unit of weight, (S,), in nats."""
        return self.moments.score

    @property
    def standard_error(self) -> Array:
        """Standard errors of `score`, from the spread over rows, (S,)."""
        return self.moments.standard_error

    @property
    def best(self) -> int:
        """The size with the highest score."""
        return self.sizes[int(np.argmax(self.score))]

    @property
    def one_standard_error(self) -> int:
        """The smallest size whose score is within one standard error of the best one's.

        The error is that of the best score (Breiman et al. 1984, section 3.4.3), with what the
        fits add to it (Nadeau and Bengio 2003).
        """
        near = self.moments.within_one_error(self.spread)
        return min(size for size, fits in zip(self.sizes, near, strict=True) if fits)


def cross_validate(
    family: Family[Any],
    source: DataSource,
    sizes: Sequence[int],
    *,
    n_folds: int | None = None,
    repeats: int | None = None,
    splits: Kind = "v-fold",
    folds: Ints | None = None,
    start: str = "auto",
    n_starts: int = 5,
    seed: int = 0,
    tol: float = TOL,
    max_iter: int = MAX_ITER,
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
        Rows and weights; they are held in memory. Labels are left aside. `mixtura.select`
        takes any source.
    sizes : sequence of int
        Numbers of components to try.
    n_folds : int, optional
        Folds, from 2 to the number of rows, default 10. The fold of a row depends on the
        seed and on the place of the row only. Monte-Carlo splits hold out one of so many
        parts, default 2.
    repeats : int, optional
        Rounds with other folds, default 1; or Monte-Carlo splits, default 20.
    splits : {"v-fold", "monte-carlo"}, default="v-fold"
        Hold out every fold of a round in turn, or a random part in each (Smyth 1996).
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
        `sizes`, `n_folds` or `splits` have no meaning.

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
    executor, sizes = executor or Local(), tuple(sizes)
    folding: Folding
    if folds is None:
        folding = Splits(n_folds, repeats, splits, seed)
    else:
        folding = OwnFolds.checked(folds, source.count_rows())
    source = hold(source)
    search = Search((), sizes, portfolio(start, n_starts), seed, tol, max_iter)
    fitted = _fitted(family, source, search, folding, executor)
    X, w = in_memory(source)
    total, times = Score(folding, fitted).totals(Block(X, w), executor.threads())
    with np.errstate(invalid="ignore", divide="ignore"):
        log_density = total / times
    return CrossValidation(
        sizes, log_density, folding.folds(0, 0, len(X)), w, times, folding.spread
    )


def held_out(
    family: Family[Any],
    source: DataSource,
    sizes: Sequence[int],
    *,
    n_folds: int,
    start: str,
    n_starts: int,
    seed: int,
    executor: Executor,
) -> HeldOut:
    """Moments of held-out log-densities of some sizes, of rows that need not fit into memory.

    Arguments and errors are those of `cross_validate`.
    """
    folding = Splits(n_folds, seed=seed)
    search = Search((), tuple(sizes), portfolio(start, n_starts), seed, TOL, MAX_ITER)
    return executor.reduce(
        Score(folding, _fitted(family, source, search, folding, executor)), source
    )


def _fitted(
    family: Family[Any], source: DataSource, search: Search, folding: Folding, executor: Executor
) -> list[tuple[Cut, list[Mixture]]]:
    """Mixtures of all sizes without the rows of each cut."""
    sizes = search.sizes
    if not sizes or min(sizes) < 1:
        raise UsageError.argument("sizes", sizes, "whole numbers >= 1")
    prospect = Prospect([family], source, max(sizes), executor)
    prospect.enough_for(max(sizes))
    n_rows = prospect.summary.n_rows
    if isinstance(folding, Splits) and int(folding.n_folds or 0) > n_rows:
        raise UsageError.argument("n_folds", folding.n_folds, f"from 2 to {n_rows}, the rows")
    search = replace(search, families=(prospect.ready_for(family, sizes),))
    cuts = list(folding.cuts)
    if source.in_memory:
        trials = HeldTrials(search, HeldRows(*in_memory(source), folding), executor).made(cuts)
    else:
        trials = streamed(search, source, prospect.summary, folding, cuts, executor)
    mixtures: list[tuple[Cut, list[Mixture]]] = []
    for cut in cuts:
        own = [trials[Cell(0, size, cut)] for size in sizes]
        if failed := [trial.reason for trial in own if trial.mixture is None]:
            raise DataError.held_out(cut.fold, failed[0])
        mixtures.append((cut, [trial.mixture for trial in own if trial.mixture is not None]))
    return mixtures


def in_memory(source: DataSource) -> tuple[Rows, Array | None]:
    """All rows and their weights."""
    blocks = list(source.blocks())
    if len(blocks) == 1:
        return blocks[0].X, blocks[0].w
    w = None
    if blocks[0].w is not None:
        w = np.concatenate([block.w for block in blocks if block.w is not None])
    return np.concatenate([block.X for block in blocks]), w
