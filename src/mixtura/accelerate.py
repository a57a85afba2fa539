"""Fewer iterations: Anderson mixing of the statistics, with EM as the safety net.

One EM iteration maps the statistics s that made a mixture to the statistics
F(s) of the data under it. Statistics form a vector space, so the next ones may
be an affine combination of the last few images instead of the newest alone: the
one whose residuals F(s) - s would cancel best (Anderson 1965; Henderson and
Varadhan 2019 for EM). The M step turns the combination into a mixture of the
right family and shape, whatever that is. A combination is kept only if the
log-likelihood does not fall; otherwise the plain EM step is taken.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import linalg

from mixtura.mixture import Mixture
from mixtura.stats import Array, Stats

#: Residual differences that are cancelled. More remember what no longer holds,
#: fewer miss slow directions: 5 took the fewest passes of 5, 8, 11 and 20.
MEMORY = 5

#: Singular values of the residual differences below this fraction are noise.
RCOND = 1e-10

#: Mixing starts when successive gains shrink slower than this ratio ...
SLOW = 0.7

#: ... or grow no faster than this one ...
STEADY = 1.02

#: ... and the gain is below this many nats per row: the run is inside its basin.
NEAR = 1e-5

#: Most plain steps after a rejected combination; two more with each rejection.
LONGEST_REST = 8


class Anderson:
    """Proposes mixtures from the history of one run."""

    def __init__(self) -> None:
        self._objectives: list[float] = []
        self._rejections = 0
        self._rest = 0
        self.clear()

    def clear(self) -> None:
        """Forget the history, for example after a component was mended."""
        self._reference: Mixture | None = None
        self._scale: Array = np.ones(0)
        self._made_from: Array | None = None
        self._images: list[Array] = []
        self._residuals: list[Array] = []

    def propose(self, mixture: Mixture, stats: Stats) -> Mixture | None:
        """Take note of a mixture and its statistics; return a combination, or None for plain EM."""
        if self._reference is None:
            if not self._crawls(mixture, stats):
                return None
            self._reference = mixture
            self._scale = mixture.family.statistic_scale(stats.total.shape[1])
        image = self._vector(mixture, stats)
        if self._made_from is not None:
            self._images = [*self._images, image][-MEMORY - 1 :]
            self._residuals = [*self._residuals, image - self._made_from][-MEMORY - 1 :]
        self._made_from = image
        if self._rest > 0 or len(self._images) < 2:
            self._rest = max(self._rest - 1, 0)
            return None
        combined = self._combine()
        proposal = self._mixture(combined, stats)
        if proposal is not None:
            self._made_from = combined
        return proposal

    def reject(self) -> None:
        """Take back the last proposal: it lowered the objective. Rest for some plain steps."""
        self._made_from = self._images[-1]
        self._rejections += 1
        self._rest = min(2 * self._rejections, LONGEST_REST)

    def _crawls(self, mixture: Mixture, stats: Stats) -> bool:
        """Tell whether plain steps gain little, and each about as much as the one before."""
        self._objectives = [*self._objectives, stats.loglik + mixture.log_prior][-5:]
        gains = np.diff(self._objectives)
        return (
            (len(stats.weight) > 1 or not mixture.family.closed_form)
            and len(gains) == 4
            and bool((gains > 0).all())
            and gains[-1] < NEAR * stats.mass
            and all(SLOW * a < b < STEADY * a for a, b in pairwise(gains))
        )

    def _combine(self) -> Array:
        """Images mixed with the coefficients that make the mixed residual smallest."""
        residuals, images = np.array(self._residuals), np.array(self._images)
        coefficients = linalg.lstsq(np.diff(residuals, axis=0).T, residuals[-1], cond=RCOND)[0]
        return np.asarray(images[-1] - np.diff(images, axis=0).T @ coefficients)

    def _vector(self, mixture: Mixture, stats: Stats) -> Array:
        """Statistics per row about the reference, as one vector in comparable units."""
        assert self._reference is not None
        moved = mixture.family.recentre(stats, mixture.params, self._reference.params)
        total = moved.total / self._scale
        return np.concatenate([moved.weight, total.ravel(), moved.shared]) / stats.mass

    def _mixture(self, vector: Array, stats: Stats) -> Mixture | None:
        """M step of combined statistics, or None where they are no statistics of any data."""
        assert self._reference is not None
        family: Any = self._reference.family
        K, p = stats.total.shape
        weight, total, shared = np.split(vector * stats.mass, [K, K + K * p])
        if not (weight > 0).all():
            return None
        combined = replace(
            stats, weight=weight, total=total.reshape(K, p) * self._scale, shared=shared
        )
        with np.errstate(all="ignore"):  # outside of the family's domain: `problem` says so
            mixture = self._reference.maximise(combined)
        return mixture if family.problem(mixture.params) is None else None
