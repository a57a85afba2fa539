"""What candidates tell each other: partitions of the rows from which others may start again.

A good partition of the rows for one family is mostly a good start for others with as many
components; with one component split in two, or two of them merged, also for the next sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mixtura import _kernel
from mixtura.criteria import bic
from mixtura.families import Family
from mixtura.families.runs import Ints, Pairs, Runs
from mixtura.start import whitened
from mixtura.stats import Array

#: Of partitions in which more than this share of the rows agree, only one is offered.
ALIKE = 0.92

#: Components of which each split makes a start with one component more, the widest first.
SPLITS = 2


class Offer(NamedTuple):
    """Partitions `labels` (P, n) into `sizes` (P,) groups, and which families start from each."""

    labels: Ints
    sizes: Ints
    pairs: Pairs

    @classmethod
    def nothing(cls, n_rows: int) -> Offer:
        """No partition of so many rows."""
        none = np.zeros(0, dtype=np.int32)
        return cls(np.zeros((0, n_rows), dtype=np.int32), none, Pairs(none, none))


class Told(NamedTuple):
    """What a fit tells others: partitions into as many groups, one more and one fewer.

    Partitions are told by their numbers. The merit orders fits of one size: on a bound or not,
    BIC, and the place of the family.
    """

    merit: tuple[int, float, int]
    objective: float
    same: int
    more: list[int]
    fewer: list[int]


@dataclass(eq=False)
class Book:
    """Different partitions, numbered as they come.

    Groups have the names of their first rows, so that equal partitions have equal labels. One
    that leaves a group empty differs from that into fewer groups.
    """

    labels: list[Ints] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    _places: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def number(self, labels: Ints, size: int) -> int:
        """Number of a partition (n,) into so many groups."""
        place = self._places.setdefault((size, labels.tobytes()), len(self.sizes))
        if place == len(self.sizes):
            self.labels.append(labels)
            self.sizes.append(size)
        return place


@dataclass(eq=False)
class Exchange:
    """Starts for all families and sizes on the rows of one cut, from fits of others.

    No start is offered to the same candidate twice, nor one that is much like what it found
    itself or is offered already.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Distinct rows.
    w : ndarray of shape (n,) or None
        Their weights.
    families : sequence of mapping
        The family for each number of components.
    sizes : sequence of int
        Numbers of components.
    n_donors : int
        How many other families of the same size each candidate hears of, the best by BIC.
    seed : int
        Of splits.
    n_threads : int
        Threads that may be used.
    """

    rows: Array
    w: Array | None
    families: Sequence[Mapping[int, Family[Any]]]
    sizes: Sequence[int]
    n_donors: int
    seed: int
    n_threads: int = 1
    _book: Book = field(default_factory=Book)
    _told: dict[int, dict[int, Told]] = field(default_factory=dict)
    _offered: dict[int, set[int]] = field(default_factory=dict)
    _space: Array | None = None

    def heard(self, runs: Runs) -> Exchange:
        """Take in the best run of each family and size."""
        cells = list(zip(runs.families.tolist(), runs.sizes.tolist(), strict=True))
        known = [self._told.get(size, {}).get(f) for f, size in cells]
        news = [
            j
            for j, (told, objective) in enumerate(zip(known, runs.objective.tolist(), strict=True))
            if told is None or told.objective != objective
        ]
        if news:
            for (f, size), told in zip(
                (cells[j] for j in news), self._tell(runs.take(news)), strict=True
            ):
                self._told.setdefault(size, {})[f] = told
                self._offered.setdefault(f, set()).add(told.same)
        return self

    def offer(self) -> Offer:
        """Partitions with the families to which they are new."""
        labels = np.array(self._book.labels, dtype=np.int32).reshape(-1, len(self.rows))
        sizes = np.array(self._book.sizes, dtype=np.int32)
        chosen: list[int] = []
        new: list[bool] = []
        families: list[int] = []
        ends: list[int] = []
        for size in self.sizes:
            fits = sorted(self._told.get(size, {}).items(), key=lambda told: told[1].merit)
            for f in range(len(self.families)):
                own, others = self._for(f, size, fits)
                offered = self._offered.setdefault(f, set())
                others = [place for place in dict.fromkeys(others) if place not in offered]
                offered.update(own, others)
                chosen += own + others
                new += [False] * len(own) + [True] * len(others)
                families += [f] * (len(own) + len(others))
                ends.append(len(chosen))
        places = np.array(chosen, dtype=np.int32)
        apart = _kernel.told_apart(labels, sizes, places, np.array(ends, dtype=np.int32), ALIKE)
        kept = np.flatnonzero(apart & np.array(new, dtype=bool))
        used, partitions = np.unique(places[kept], return_inverse=True)
        own_families = np.array(families, dtype=np.int32)[kept]
        # jobs that begin with the same partition stand together
        order = np.lexsort((own_families, partitions))
        pairs = Pairs(partitions.astype(np.int32)[order], own_families[order])
        return Offer(labels[used], sizes[used], pairs)

    def _for(self, f: int, size: int, fits: list[tuple[int, Told]]) -> tuple[list[int], list[int]]:
        """Partition that one candidate found, if it counts, and those of others, new or not.

        `fits` are those of this size by family, the best first.
        """
        if size == 1:
            return [], []
        own = self._told.get(size, {}).get(f)
        # all help those that have nothing but a likelihood that is bounded by the floor
        helpless = own is None or own.merit[0] > 0
        offers = [told.same for g, told in fits if g != f]
        if not helpless:
            del offers[self.n_donors :]
        below, above = (self._told.get(size + step, {}).get(f) for step in (-1, 1))
        if below is not None:
            offers += below.more
        if above is not None:
            offers += above.fewer
        return [] if own is None or helpless else [own.same], offers

    def _tell(self, runs: Runs) -> Iterator[Told]:
        """What each of some runs tells."""
        sizes = runs.sizes
        splits = SPLITS * np.isin(sizes + 1, self.sizes)
        merges = 1 * (np.isin(sizes - 1, self.sizes) & (sizes > 2))
        labels, n_more, n_fewer = runs.runner.partitions(
            runs, self.rows, self.w, self._whitened, splits.astype(np.int32),
            merges.astype(np.int32), self.seed, self.n_threads,
        )  # fmt: skip
        mass = float(len(self.rows) if self.w is None else self.w.sum())
        bounded, objective = (runs.n_boundary > 0).tolist(), runs.objective.tolist()
        at = 0
        told = zip(
            runs.families.tolist(), sizes.tolist(), objective, bounded, splits.tolist(),
            merges.tolist(), n_more.tolist(), n_fewer.tolist(), strict=True,
        )  # fmt: skip
        for f, size, value, on_bound, room, rest, more, fewer in told:
            n_free = self.families[f][size].n_free(size) + size - 1
            merit = int(on_bound), bic(value, n_free, mass), f
            first = at + 1 + room
            number = self._book.number
            yield Told(
                merit, value, number(labels[at], size),
                [number(own, size + 1) for own in labels[at + 1 : at + 1 + more]],
                [number(own, size - 1) for own in labels[first : first + fewer]],
            )  # fmt: skip
            at = first + rest

    @property
    def _whitened(self) -> Array:
        """The features by which families start, in whitened space."""
        if self._space is None:
            family = next(iter(self.families[0].values()))
            w = np.ones(len(self.rows)) if self.w is None else self.w
            self._space = np.ascontiguousarray(whitened(family.start_features(self.rows), w))
        return self._space
