"""Rows in memory, and which of them a cut leaves in."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mixtura.crossval.splits import ALL, Cut, Folding, cut_seed, folds_at
from mixtura.families.runs import Ints
from mixtura.start import distinct, rng_for, sample_limit
from mixtura.stats import Array, IntArray, Rows


@dataclass(frozen=True, eq=False)
class HeldRows:
    """Rows in memory, and where they stood in the data.

    Attributes
    ----------
    X : ndarray of shape (n, d)
        Rows.
    w : ndarray of shape (n,) or None
        Their weights.
    folding : Folding or None
        What is left out; not needed where only `ALL` is asked for.
    index : ndarray of shape (n,), optional
        Places of the rows among all, ascending, if they are a sample.
    """

    X: Rows
    w: Array | None
    folding: Folding | None = None
    index: IntArray | None = None
    _folds: dict[int, Ints] = field(default_factory=dict)

    def folds(self, round_: int) -> Ints:
        """Fold of each row in a round, (n,)."""
        assert self.folding is not None
        if round_ not in self._folds:
            if self.index is None:
                own = self.folding.folds(round_, 0, len(self.X))
            else:
                own = folds_at(self.folding, round_, self.index)
            self._folds[round_] = np.ascontiguousarray(own)
        return self._folds[round_]

    def kept(self, cut: Cut) -> Ints:
        """Places of the rows that a cut leaves in."""
        if cut == ALL:
            return np.arange(len(self.X), dtype=np.int32)
        return np.flatnonzero(self.folds(cut.round) != cut.fold).astype(np.int32)

    def sample(self, cut: Cut, n_components: int, seed: int) -> tuple[Array, Array]:
        """Distinct rows of a cut, all or a random sample, with their weights."""
        kept = self.kept(cut)
        limit = sample_limit(n_components)
        if len(kept) > limit:
            rng = rng_for(cut_seed(seed, cut), "sample")
            kept = rng.choice(kept, size=limit, replace=False)
        w = np.ones(len(kept)) if self.w is None else self.w[kept]
        return distinct(np.asarray(self.X[kept], dtype=float), w)
