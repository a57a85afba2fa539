"""The classifier: a mixture whose components know their class, and Bayes' rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixtura.families import Composite, Family
from mixtura.fitting import Fitted
from mixtura.mixture import SLICE_NUMBERS, Mixture
from mixtura.stats import Array, IntArray, Rows


@dataclass(frozen=True)
class Choice:
    """Density of one class, or of all classes together, as it was chosen.

    Attributes
    ----------
    family : Family
        What its components are.
    n_components : int
        How many there are (for all classes together: per class).
    score : float or None
        BIC (smaller is better) or the held-out log-density per row in nats (larger is
        better); None where there was nothing to choose.
    """

    family: Family[Any]
    n_components: int
    score: float | None = None


@dataclass(frozen=True, eq=False)
class Classifier:
    """Densities of classes with their probabilities, and the facts about their fit.

    Attributes
    ----------
    fitted : Fitted
        Mixture of the components of all classes, those of a class side by side.
    classes : tuple
        Names or numbers of the classes, sorted.
    sizes : tuple of int
        Components of each class.
    n_known : tuple of float
        Weight of the rows that were known to be in each class.
    log_joint_likelihood : float
        Of rows and known labels together, in nats: what the fit maximised.
    criterion : str or None
        How components and shapes were chosen, if they were.
    scores : tuple of float
        Value of the criterion: for each class, or one for all together.
    outlier_density : float or None
        Rows whose log-density, in nats, is below are outliers.
    """

    fitted: Fitted
    classes: tuple[Any, ...]
    sizes: tuple[int, ...]
    n_known: tuple[float, ...]
    log_joint_likelihood: float
    criterion: str | None = None
    scores: tuple[float, ...] = ()
    reject: float | None = None
    outlier_density: float | None = None

    @property
    def mixture(self) -> Mixture:
        """Mixture of all classes."""
        return self.fitted.mixture

    def timeless(self) -> Classifier:
        """The same from every fit to the same rows, however long it took and what was said."""
        return replace(self, fitted=replace(self.fitted, seconds=0.0, warnings=()))

    @property
    def families(self) -> tuple[Family[Any], ...]:
        """Families of the classes, each once."""
        family = self.mixture.family
        parts = family.parts if isinstance(family, Composite) else (family,)
        return tuple(dict.fromkeys(parts))

    @property
    def priors(self) -> Array:
        """Probability of each class, (C,)."""
        return np.add.reduceat(self.mixture.weights, self._starts)

    def log_joint(self, X: Rows) -> Array:
        """Log of prior times density of each class, (n, C), in nats."""
        return np.concatenate(list(self.slices(X)))

    def slices(self, X: Rows) -> Iterator[Array]:
        """Log joint densities for a bounded number of rows at a time."""
        mixture = self.mixture
        n = max(1024, SLICE_NUMBERS // mixture.n_components)
        for start in range(0, max(len(X), 1), n):
            rows = np.asarray(X[start : start + n], dtype=float)
            joint = mixture.family.log_density(mixture.params, rows) + mixture.log_weights
            if len(self.sizes) < mixture.n_components:
                joint = np.logaddexp.reduceat(joint, self._starts, axis=1)
            yield joint

    def decide(self, log_joint: Array) -> IntArray:
        """Class of each row, counted from 0; -1 where the decision is rejected.

        A row is rejected when its largest probability is below ``1 - reject``, or its
        log-density below `outlier_density`.
        """
        best = log_joint.argmax(axis=1)
        log_density = total(log_joint)
        rejected = np.zeros(len(best), dtype=bool)
        if self.reject is not None:
            largest = np.exp(log_joint.max(axis=1) - log_density)
            rejected |= largest < 1.0 - self.reject
        if self.outlier_density is not None:
            rejected |= log_density < self.outlier_density
        return np.where(rejected, -1, best)

    @property
    def _starts(self) -> IntArray:
        return np.cumsum([0, *self.sizes[:-1]])


def total(log_joint: Array) -> Array:
    """Log-density of each row, whatever its class, (n,), in nats."""
    return np.asarray(np.logaddexp.reduce(log_joint, axis=1))


def probabilities(log_joint: Array) -> Array:
    """Log-probabilities of the classes, (n, C)."""
    return np.asarray(log_joint - total(log_joint)[:, None])
