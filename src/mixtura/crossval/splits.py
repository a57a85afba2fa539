"""Which rows are left out: a function of the seed and of the row's place, and of nothing else.

Neither the size of blocks nor the machine that reads them matters, so folds work
for arrays, files and clusters alike, and all candidates see the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

import numpy as np

from mixtura.errors import UsageError
from mixtura.families.runs import Ints
from mixtura.source import Block
from mixtura.start import rng_for
from mixtura.start.sample import DRAWN_ROWS
from mixtura.stats import IntArray

#: Splits of Monte-Carlo cross-validation, and parts of which one is held out (Smyth 1996).
MONTE_CARLO_REPEATS = 20
MONTE_CARLO_FOLDS = 2

#: Folds of V-fold cross-validation.
V_FOLDS = 10

Kind = Literal["v-fold", "monte-carlo"]


class Cut(NamedTuple):
    """One way to leave rows out: in a round, one of its folds; fold -1 leaves nothing out."""

    round: int
    fold: int


#: All rows are used.
ALL = Cut(0, -1)


class Folding(Protocol):
    """Folds of rows, in one round or several."""

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """What is left out in turn."""
        ...

    def folds(self, round_: int, first_row: int, n_rows: int) -> Ints:
        """Fold of each of `n_rows` consecutive rows in a round, (n,)."""
        ...

    @property
    def spread(self) -> float:
        """How much larger the error of a score is than that from the rows alone."""
        ...

    def words(self) -> str:
        """What is done, for people."""
        ...


@dataclass(frozen=True)
class Splits:
    """V-fold cross-validation, once or repeated, or Monte-Carlo cross-validation.

    Parameters
    ----------
    n_folds : int, optional
        V: parts into which rows are dealt, default 10. Monte-Carlo splits hold out one
        of so many parts, by default one of 2: half of the rows (Smyth 1996).
    repeats : int, optional
        Rounds with new parts; default 1, or 20 Monte-Carlo splits.
    kind : {"v-fold", "monte-carlo"}, default="v-fold"
        Whether every part of a round is held out in turn, or only the first.
    seed : int, default=0
        Same seed, same parts.

    Raises
    ------
    UsageError
        Numbers or the word have no meaning.

    Examples
    --------
    >>> Splits(3).folds(0, 0, 7).tolist(), Splits(3).folds(0, 4, 3).tolist()
    ([0, 1, 2, 0, 2, 1, 1], [2, 1, 1])
    >>> len(Splits(5, 2).cuts), len(Splits(kind="monte-carlo").cuts)
    (10, 20)
    """

    n_folds: int | None = None
    repeats: int | None = None
    kind: Kind = "v-fold"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("v-fold", "monte-carlo"):
            raise UsageError.argument("splits", self.kind, "'v-fold' or 'monte-carlo'")
        many = self.kind == "monte-carlo"
        for name, default, least in (
            ("n_folds", MONTE_CARLO_FOLDS if many else V_FOLDS, 2),
            ("repeats", MONTE_CARLO_REPEATS if many else 1, 1),
        ):
            found = getattr(self, name)
            if found is not None and found < least:
                raise UsageError.argument(name, found, f"a whole number >= {least}")
            object.__setattr__(self, name, default if found is None else int(found))

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """What is left out in turn: every fold of every round, or the first of each."""
        n_folds = 1 if self.kind == "monte-carlo" else int(self.n_folds or 0)
        return tuple(Cut(r, f) for r in range(int(self.repeats or 0)) for f in range(n_folds))

    def folds(self, round_: int, first_row: int, n_rows: int) -> Ints:
        """Fold of each of `n_rows` consecutive rows in a round, (n,).

        Every `n_folds` rows in a row are dealt to different folds.
        """
        n_folds = int(self.n_folds or 0)
        size = -(-DRAWN_ROWS // n_folds) * n_folds
        chunks = range(first_row // size, -(-(first_row + n_rows) // size))
        drawn = [_drawn(self.seed, n_folds, round_, chunk, size) for chunk in chunks]
        start = first_row % size
        return np.concatenate([np.zeros(0, dtype=np.int32), *drawn])[start : start + n_rows]

    @property
    def spread(self) -> float:
        """How much larger the error of a score is than that from the rows alone."""
        return spread_of(int(self.n_folds or 0))

    def words(self) -> str:
        """What is done, for people."""
        if self.kind == "monte-carlo":
            return (
                f"Monte-Carlo cross-validation, {self.repeats} splits, "
                f"1/{self.n_folds} of the rows held out"
            )
        times = "" if self.repeats == 1 else f" repeated {self.repeats} times"
        return f"{self.n_folds}-fold cross-validation{times}"


@lru_cache(maxsize=256)
def _drawn(seed: int, n_folds: int, round_: int, chunk: int, size: int) -> Ints:
    """Folds of a run of rows, dealt by random numbers of its own."""
    rng = rng_for(seed, "folds", n_folds, round_, chunk)
    return rng.random((size // n_folds, n_folds)).argsort(axis=1).ravel().astype(np.int32)


@dataclass(frozen=True, eq=False)
class OwnFolds:
    """Folds that a person gave, (n,): whole numbers from 0, all used."""

    of_rows: Ints

    @classmethod
    def checked(cls, folds: object, n_rows: int) -> OwnFolds:
        """Refuse what are not folds of so many rows."""
        given = np.asarray(folds)
        own = np.ascontiguousarray(given, dtype=np.int32)
        if own.shape != (n_rows,) or own.max() < 1 or len(np.unique(own)) != own.max() + 1:
            raise UsageError.argument(
                "folds",
                f"array of shape {own.shape}",
                f"of shape ({n_rows},), folds 0, 1, ... all used",
            )
        return cls(own)

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """Every fold in turn."""
        return tuple(Cut(0, fold) for fold in range(int(self.of_rows.max()) + 1))

    def folds(self, round_: int, first_row: int, n_rows: int) -> Ints:
        """Fold of each of `n_rows` consecutive rows, (n,)."""
        del round_
        return self.of_rows[first_row : first_row + n_rows]

    @property
    def spread(self) -> float:
        """How much larger the error of a score is than that from the rows alone."""
        return spread_of(len(self.cuts))

    def words(self) -> str:
        """What is done, for people."""
        return f"{len(self.cuts)}-fold cross-validation with given folds"


@dataclass(frozen=True, eq=False)
class Training:
    """A view of blocks in which rows of one fold have no weight."""

    folding: Folding
    cut: Cut

    def __call__(self, block: Block) -> Block:
        """Give the rows that are left out the weight zero."""
        if self.cut == ALL:
            return block
        folds = self.folding.folds(self.cut.round, block.first_row, block.n_rows)
        kept = folds != self.cut.fold
        w = kept.astype(float) if block.w is None else block.w * kept
        return replace(block, w=w)


def spread_of(n_folds: int) -> float:
    """Root of 1 + n / n_1, n_1 of n rows in each fit.

    The variance of a score is s^2 / n from the rows that are scored and about s^2 / n_1 from
    those that were fitted, s^2 that of a row (Nadeau and Bengio 2003, Machine Learning 52).

    Examples
    --------
    >>> round(spread_of(10), 3), round(spread_of(2), 3)
    (1.453, 1.732)
    """
    return float(np.sqrt(1.0 + n_folds / (n_folds - 1)))


def fold_of_rows(n_rows: int, n_folds: int, seed: int) -> Ints:
    """Fold of each row, (n,): every `n_folds` rows in a row are dealt to different folds.

    Raises
    ------
    UsageError
        Fewer than two folds, or more than rows.

    Examples
    --------
    >>> fold_of_rows(7, 3, 0).tolist()
    [0, 1, 2, 0, 2, 1, 1]
    """
    if not 2 <= n_folds <= n_rows:
        raise UsageError.argument("n_folds", n_folds, f"from 2 to {n_rows}, the rows")
    return Splits(n_folds, seed=seed).folds(0, 0, n_rows)


def folds_at(folding: Folding, round_: int, index: IntArray) -> Ints:
    """Fold of rows that lie anywhere, their places in ascending order, (n,)."""
    starts = np.unique(index // DRAWN_ROWS) * DRAWN_ROWS
    found = []
    for start in starts.tolist():
        first, last = np.searchsorted(index, [start, start + DRAWN_ROWS])
        own = index[first:last] - start
        found.append(folding.folds(round_, start, int(own[-1]) + 1)[own])
    return np.concatenate(found)


def cut_seed(seed: int, cut: Cut) -> int:
    """A seed of its own for each cut; that of all rows is the seed itself."""
    if cut == ALL:
        return seed
    return int(rng_for(seed, "fold", cut.round, cut.fold).integers(2**63))
