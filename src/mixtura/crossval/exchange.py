"""What candidates tell each other: partitions of the rows from which others may start again.

A good partition of the rows for one family is mostly a good start for others with as many
components; with one component split in two, or two of them merged, also for the next sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mixtura.criteria import bic
from mixtura.families import Family
from mixtura.families.runs import Ints, Pairs, Runs
from mixtura.mixture import Mixture
from mixtura.start import whitened
from mixtura.start.moves import merged, splits
from mixtura.stats import Array

#: Components of which each split makes a start with one component more, the widest first.
SPLITS = 2


class Offer(NamedTuple):
    """Partitions `labels` (P, n) into `sizes` (P,) groups, and the families that start from each."""

    labels: Ints
    sizes: Ints
    pairs: Pairs

    @classmethod
    def nothing(cls, n_rows: int) -> Offer:
        """No partition of so many rows."""
        none = np.zeros(0, dtype=np.int32)
        return cls(np.zeros((0, n_rows), dtype=np.int32), none, Pairs(none, none))


class Partition(NamedTuple):
    """Groups of the rows, (n,), and the same whatever the names of the groups, as bytes."""

    labels: Ints
    key: bytes

    @classmethod
    def of(cls, labels: Ints, n_groups: int) -> Partition:
        """Groups in the order of their first rows have the names of the key."""
        first = np.full(n_groups, len(labels))
        first[labels[::-1]] = np.arange(len(labels))[::-1]  # of equal places the last one counts
        name = np.empty(n_groups, dtype=np.uint16)
        name[np.argsort(first, kind="stable")] = np.arange(n_groups)
        return cls(labels, name[labels].tobytes())


class Told(NamedTuple):
    """What a fit tells others: partitions into as many groups, one more and one fewer.

    The merit orders fits of one size: on a bound or not, BIC, and the place of the family.
    """

    merit: tuple[int, float, int]
    objective: float
    same: Partition
    more: list[Partition]
    fewer: list[Partition]


@dataclass(eq=False)
class Exchange:
    """Starts for all families and sizes on the rows of one cut, from fits of others.

    No start is offered to the same candidate twice.

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
    """

    rows: Array
    w: Array | None
    families: Sequence[Mapping[int, Family[Any]]]
    sizes: Sequence[int]
    n_donors: int
    seed: int
    _told: dict[int, dict[int, Told]] = field(default_factory=dict)
    _offered: set[tuple[int, int, bytes]] = field(default_factory=set)
    _spaces: dict[int, tuple[Array, Array]] = field(default_factory=dict)

    def heard(self, runs: Runs) -> Exchange:
        """Take in the best run of each family and size."""
        for j in range(len(runs)):
            f, size = int(runs.families[j]), int(runs.sizes[j])
            fits_of_size = self._told.setdefault(size, {})
            if f not in fits_of_size or fits_of_size[f].objective != runs.objective[j]:
                fits_of_size[f] = self._of(f, runs, j)
                self._offered.add((f, size, fits_of_size[f].same.key))
        return self

    def offer(self) -> Offer:
        """Partitions with the families to which they are new."""
        labels: list[Ints] = []
        sizes: list[int] = []
        place: dict[tuple[int, bytes], int] = {}
        pairs = []
        for size in self.sizes:
            for f in range(len(self.families)):
                for partition in self._for(f, size):
                    if (f, size, partition.key) in self._offered:
                        continue
                    self._offered.add((f, size, partition.key))
                    if (size, partition.key) not in place:
                        place[size, partition.key] = len(labels)
                        labels.append(partition.labels)
                        sizes.append(size)
                    pairs.append((place[size, partition.key], f))
        pairs.sort()
        partitions, families = np.array(pairs, dtype=np.int32).reshape(-1, 2).T.copy()
        return Offer(
            np.array(labels, dtype=np.int32).reshape(-1, len(self.rows)),
            np.array(sizes, dtype=np.int32),
            Pairs(partitions, families),
        )

    def _for(self, f: int, size: int) -> Iterator[Partition]:
        """Partitions for one candidate, whether they are new or not."""
        if size == 1:
            return
        fits_of_size = self._told.get(size, {})
        own = fits_of_size.get(f)
        others = [told for g, told in fits_of_size.items() if g != f]
        others.sort(key=lambda told: told.merit)
        # all help those that have nothing but a likelihood that is bounded by the floor
        helpless = own is None or own.merit[0] > 0
        for told in others if helpless else others[: self.n_donors]:
            yield told.same
        below, above = (self._told.get(size + step, {}).get(f) for step in (-1, 1))
        if below is not None:
            yield from below.more
        if above is not None:
            yield from above.fewer

    def _of(self, f: int, runs: Runs, j: int) -> Told:
        size, objective = int(runs.sizes[j]), float(runs.objective[j])
        mixture = Mixture(self.families[f][size], *runs.mixture(j))
        R = mixture.responsibilities(self.rows)
        w = np.ones(len(self.rows)) if self.w is None else self.w
        merit = int(runs.n_boundary[j] > 0), bic(objective, mixture.n_free, float(w.sum())), f
        more, fewer = [], []
        if size + 1 in self.sizes:
            parts = splits(mixture, self.rows, w, SPLITS, self.seed, self._space(f, w), R)
            more = [Partition.of(labels, size + 1) for labels in parts]
        if size - 1 in self.sizes and size > 2:
            fewer = [Partition.of(labels, size - 1) for labels in merged(mixture, w, 1, R)]
        same = Partition.of(R.argmax(axis=1).astype(np.int32), size)
        return Told(merit, objective, same, more, fewer)

    def _space(self, f: int, w: Array) -> Array:
        """The features by which a family starts, in whitened space."""
        if f not in self._spaces:
            features = next(iter(self.families[f].values())).start_features(self.rows)
            known = [Z for other, Z in self._spaces.values() if other is features]
            Z = known[0] if known else np.ascontiguousarray(whitened(features, w))
            self._spaces[f] = features, Z
        return self._spaces[f][1]
