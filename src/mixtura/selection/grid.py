"""All candidates on the rows of one source: which can be tried, their fits, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import xlogy

from mixtura.crossval import (
    ALL,
    Cell,
    Cut,
    HeldRows,
    HeldTrials,
    Score,
    Search,
    Splits,
    Trial,
    in_memory,
    streamed,
)
from mixtura.errors import DataError, MixturaError, UsageError
from mixtura.executor import Local, Task
from mixtura.families import Family
from mixtura.families.runs import Limits
from mixtura.lockstep import Together
from mixtura.mixture import Mixture
from mixtura.prepare import Prospect
from mixtura.selection.candidates import Model
from mixtura.selection.counting import Counting
from mixtura.selection.result import Row, Table
from mixtura.selection.rules import Rule
from mixtura.source import Block, DataSource
from mixtura.source.arrays import ArraySource
from mixtura.source.base import LEAF_ROWS
from mixtura.source.held import HeldSource
from mixtura.start import FINAL_INNER
from mixtura.stats import Array, tree_sum

#: Up to so many rows in memory, whole runs are made at once; more are streamed in lockstep.
HELD_ROWS = 1 << 16

#: What log-likelihoods may lack in nats, all rows together; and bounds of it per row.
TOTAL_TOL = 3e-3
LEAST_TOL = 1e-7
MOST_TOL = 1e-5

ON_THE_FLOOR = (
    "component {k} sits on the covariance floor: its likelihood is bounded by the floor, "
    "not by the data"
)


class Grid:
    """All candidates on the rows of one source.

    Parameters
    ----------
    asked : sequence of Model
        Families as they were asked for.
    search : Search
        Sizes, starts and limits; its families are not used.
    source : DataSource
        Rows and weights.
    folding : Splits or None
        What cross-validation leaves out.
    executor : Counting
        Where blocks are processed.
    tol : float, optional
        When runs end, in nats per unit of weight; by default it depends on the rows.

    Attributes
    ----------
    tol : float
        The same.
    prospect : Prospect
        What a look at the rows told.
    notes : list of str
        What a person should know.

    Raises
    ------
    DataError
        No candidate can be tried.
    UsageError
        More folds than rows.
    """

    def __init__(
        self,
        asked: Sequence[Model],
        search: Search,
        source: DataSource,
        folding: Splits | None,
        executor: Counting,
        tol: float | None = None,
    ) -> None:
        self.source, self.folding, self.executor = source, folding, executor
        self.prospect = Prospect(
            [model.family for model in asked], source, max(search.sizes), executor
        )
        n_rows, n_folds = self.prospect.summary.n_rows, 0 if folding is None else folding.n_folds
        if int(n_folds or 0) > n_rows:
            raise UsageError.argument("n_folds", n_folds, f"from 2 to {n_rows}, the rows")
        share = TOTAL_TOL / self.prospect.summary.mass
        self.tol = min(max(share, LEAST_TOL), MOST_TOL) if tol is None else tol
        self.notes: list[str] = []
        self._problems: dict[tuple[int, int], MixturaError] = {}
        self._asked, self._sizes = asked, search.sizes
        self._place: dict[int, int] = {}  # of a family in the search, by its place in `asked`
        self._search = self._admitted(replace(search, tol=self.tol))
        self._cuts: tuple[Cut, ...] = () if folding is None else folding.cuts

    def table_and_choice(self, rule: Rule) -> tuple[Table, int]:
        """Fit and score all candidates; return the table and the place of the chosen one."""
        trials = self._trials([ALL, *self._cuts])
        rows = [self._row(m, size, trials) for m in range(len(self._asked)) for size in self._sizes]
        rows = self._off_the_floor(rows, trials)
        table = self._scored(rows, trials)
        best = table.choice(rule)
        if best is None:
            raise DataError.no_candidate(len(rows), next((r.reason for r in rows if r.reason), ""))
        return table, best

    def _admitted(self, search: Search) -> Search:
        """The search with families that fit the data and sizes for which there are rows."""
        sizes = []
        for size in self._sizes:
            try:
                self.prospect.enough_for(size)
                search.weighting.check(size)
            except MixturaError as problem:
                self._problems |= {(m, size): problem for m in range(len(self._asked))}
            else:
                sizes.append(size)
        families: list[dict[int, Family[Any]]] = []
        for m, model in enumerate(self._asked):
            try:
                ready = self.prospect.ready_for(model.family, sizes)
            except MixturaError as problem:
                self._problems |= dict.fromkeys(((m, size) for size in self._sizes), problem)
            else:
                self._place[m] = len(families)
                families.append(ready)
        if not families or not sizes:
            raise next(iter(self._problems.values()))
        return replace(search, families=tuple(families), sizes=tuple(sizes))

    def _trials(self, cuts: list[Cut]) -> dict[Cell, Trial]:
        """All fits: of rows in memory many at a time, of others in lockstep."""
        if self._few_rows_here:
            rows = HeldRows(*in_memory(self.source), self.folding)
            return HeldTrials(self._search, rows, self.executor).made(cuts)
        return streamed(
            self._search, self.source, self.prospect.summary, self.folding, cuts, self.executor
        )

    def polished(self, mixture: Mixture, tol: float) -> Mixture:
        """A fit nearer to its optimum, where compiled runs can bring it there."""
        runner = mixture.runner()
        if runner is None or not self._few_rows_here:
            return mixture
        limits = Limits(self._search.max_iter, tol, FINAL_INNER, accelerate=True)
        runs = runner.onward(
            runner.runs_of([(mixture.weights, mixture.params)]), *in_memory(self.source), limits,
            self.executor.threads(),
        )  # fmt: skip
        return Mixture(mixture.family, *runs.mixture(0)) if runs.ended[0] else mixture

    @property
    def _few_rows_here(self) -> bool:
        """Whole runs can be made at once, of rows in the memory of this process."""
        held = isinstance(self.source, ArraySource | HeldSource)
        here = isinstance(self.executor.executor, Local)
        return held and here and self.prospect.summary.n_rows <= HELD_ROWS

    def _row(self, m: int, size: int, trials: dict[Cell, Trial]) -> Row:
        model = self._asked[m]
        problem = self._problems.get((m, size))
        if problem is not None:
            return Row(model, size, self._n_free(model, size), reason=str(problem))
        place = self._place[m]
        own = [trials[Cell(place, size, cut)] for cut in (ALL, *self._cuts)]
        trial, seconds = own[0], sum(one.seconds for one in own)
        if trial.mixture is None:
            n_free = self._n_free(model, size)
            return Row(model, size, n_free, seconds=seconds, reason=trial.reason)
        loglik, log_certainty, entropy = trial.certainty or (trial.objective, np.nan, np.nan)
        return Row(
            model, size, trial.mixture.n_free, trial.mixture, loglik, log_certainty, entropy,
            trial.n_iter, trial.converged, seconds,
        )  # fmt: skip

    def _n_free(self, model: Model, size: int) -> int:
        return model.family.n_free(size) + self._search.weighting.n_free(size)

    def _off_the_floor(self, rows: list[Row], trials: dict[Cell, Trial]) -> list[Row]:
        """Leave out fits on the covariance floor, unless there are no others."""
        touching = [
            -1
            if row.mixture is None or trials[self._cell(row, i, ALL)].n_boundary == 0
            else _boundary(row.mixture)
            for i, row in enumerate(rows)
        ]
        if not any(
            row.mixture is not None and k < 0 for row, k in zip(rows, touching, strict=True)
        ):
            if max(touching, default=-1) >= 0:
                self.notes.append(
                    "all candidates sit on the covariance floor: their likelihoods are bounded "
                    "by the floor, not by the data, and compare little"
                )
            return rows
        return [
            row if k < 0 else Row(
                row.model, row.n_components, row.n_free, n_iter=row.n_iter, seconds=row.seconds,
                reason=ON_THE_FLOOR.format(k=k),
            )
            for row, k in zip(rows, touching, strict=True)
        ]  # fmt: skip

    def _scored(self, rows: list[Row], trials: dict[Cell, Trial]) -> Table:
        """Log-likelihoods, certainty and held-out scores of all fits, in one pass where needed."""
        fitted = [i for i, row in enumerate(rows) if row.mixture is not None]
        unknown = [i for i in fitted if np.isnan(rows[i].entropy)]
        tasks: list[Task[Any]] = [Certain(rows[i].mixture) for i in unknown]  # type: ignore[arg-type]
        scored = self._fully_tried(rows, fitted, trials)
        if scored:
            assert self.folding is not None
            tasks.append(Score(self.folding, [
                (cut, [trials[self._cell(rows[i], i, cut)].mixture for i in scored])  # type: ignore[misc]
                for cut in self._cuts
            ]))  # fmt: skip
        sums = self.executor.reduce(Together(tuple(tasks)), self.source).parts if tasks else ()
        for i, found in zip(unknown, sums, strict=False):
            rows[i] = rows[i].with_certainty(*map(float, found))
        held_out = sums[-1] if scored else None
        summary = self.prospect.summary
        return Table(
            tuple(rows),
            summary.n_rows,
            summary.mass,
            held_out,
            tuple(scored),
            self._search.tol,
            1.0 if self.folding is None else self.folding.spread,
        )

    def _cell(self, row: Row, i: int, cut: Cut) -> Cell:
        return Cell(self._place[i // len(self._sizes)], row.n_components, cut)

    def _fully_tried(
        self, rows: list[Row], fitted: list[int], trials: dict[Cell, Trial]
    ) -> list[int]:
        """Places of the candidates that were fitted without the rows of every cut."""
        if not self._cuts:
            return []
        whole = []
        for i in fitted:
            own = [trials[self._cell(rows[i], i, cut)] for cut in self._cuts]
            missing = [trial.reason for trial in own if trial.mixture is None]
            if missing:
                self.notes.append(
                    f"{rows[i]}: no held-out score, {len(missing)} of {len(own)} fits without "
                    f"held-out rows failed: {missing[0]}"
                )
            else:
                whole.append(i)
        return whole


def _boundary(mixture: Mixture) -> int:
    """The first component on a bound of the likelihood; -1 if there is none."""
    touching = np.flatnonzero(mixture.family.near_boundary(mixture.params))
    return int(touching[0]) if len(touching) else -1


@dataclass(frozen=True, eq=False)
class Certain:
    """A task: log-likelihood, sum of log max_k r and entropy of a block, (3,), in nats."""

    mixture: Mixture

    def __call__(self, block: Block, n_threads: int = 1) -> Array:
        """Sums of leaves, added in order: the size of blocks does not matter."""
        of_rows = np.zeros((3, -(-max(block.n_rows, 1) // LEAF_ROWS) * LEAF_ROWS))
        for rows, log_density, R in self.mixture.slices(block.X, n_threads):
            own = of_rows[:, rows.start : rows.start + len(R)]
            own[:] = log_density, np.log(R.max(axis=1)), -xlogy(R, R).sum(axis=1)
            if block.w is not None:
                own *= block.w[rows]
        return tree_sum(of_rows.reshape(3, -1, LEAF_ROWS).sum(axis=2).T)
