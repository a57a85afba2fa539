"""One fit of a classifier: rows and families made ready, EM over all classes, the facts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura.classify.model import Choice, Classifier, total
from mixtura.classify.quantile import quantile
from mixtura.classify.rows import known_classes, of_class, of_known_class
from mixtura.crossval import in_memory
from mixtura.degenerate import Care
from mixtura.em import Fit, estimate, fit_em
from mixtura.errors import DataError, DegenerateComponentError, UsageError
from mixtura.families import Composite, CompositeParams, Family
from mixtura.fitting import Closing, Fitted
from mixtura.labelled import (
    class_mixture,
    labelled_start,
    streamed_mixture,
    with_component_labels,
)
from mixtura.mixture import Mixture
from mixtura.prepare import Prospect
from mixtura.source import Block, DataSource, Summary
from mixtura.stats import Array
from mixtura.stopping import Outcome
from mixtura.weighting import FREE, ClassShares, Weighting

if TYPE_CHECKING:
    from mixtura.classify.spec import ClassSpec

#: Columns are collinear when their correlation matrix has an eigenvalue below this.
COLLINEAR = 1e-4


@dataclass(frozen=True, eq=False)
class Work:
    """The candidates adapted to the data, and what is known of the rows.

    Attributes
    ----------
    spec : ClassSpec
        What was asked for.
    source : DataSource
        Rows; their labels are classes.
    summary : Summary
        What one look at the rows says.
    classes : tuple
        Names of the classes.
    families : tuple of tuple of Family
        Candidates of each class, adapted to all rows.
    n_known : ndarray of shape (C,)
        Weight of the labelled rows of each class.
    n_rows : ndarray of shape (C,)
        Number of these rows, as far as they have weight.
    everything : bool
        The class of every row is known.
    """

    spec: ClassSpec
    source: DataSource
    summary: Summary
    classes: tuple[Any, ...]
    families: tuple[tuple[Family[Any], ...], ...]
    n_known: Array
    n_rows: Array
    everything: bool

    @classmethod
    def on(cls, spec: ClassSpec, source: DataSource, classes: Sequence[Any]) -> Work:
        """Look at the rows, and adapt the families to them."""
        asked = tuple(dict.fromkeys(one for own in spec.families for one in own))
        for family in asked:
            if family.n_fixed:
                raise UsageError.argument("family", family.name, "one without a noise component")
            if family.n_features != source.n_features:
                raise DataError.width(source.n_features, family.n_features, "the family")
        prospect = Prospect(asked, source, 1, spec.executor)
        prospect.enough_for(1)
        adapted = {family: _adapted(family, prospect) for family in asked}
        families = tuple(tuple(adapted[one] for one in own) for own in spec.families)
        known = known_classes(source, len(classes), spec.executor)
        for rows, name, sizes in zip(known.rows, classes, spec.sizes, strict=True):
            if rows < max(min(sizes), 1):
                raise DataError.labels(
                    f"class {name!r} has {int(rows)} row(s) of positive weight for "
                    f"{min(sizes)} component(s)"
                )
        everything = known.unknown == 0
        return cls(
            spec, source, prospect.summary, tuple(classes), families, known.weight, known.rows,
            everything,
        )  # fmt: skip

    def rows_of(self, c: int) -> DataSource:
        """Rows of one class."""
        return of_class(self.source, c)

    def labelled(self) -> DataSource:
        """Rows whose class is known."""
        return self.source if self.everything else of_known_class(self.source)

    # -- fitting ------------------------------------------------------------------

    def solve(self, choices: list[Choice], mixtures: list[Mixture | None]) -> Fit:
        """EM over all rows from the best start; one step where nothing is hidden."""
        sizes = tuple(choice.n_components for choice in choices)
        if self.spec.coupled:
            return self.together(choices[0].family, sizes, self.source)
        parts = tuple(choice.family for choice in choices)
        alike = all(part == parts[0] for part in parts) and not parts[0].couples
        family = parts[0] if alike else Composite(self.source.n_features, parts, sizes)
        if max(sizes) == 1:
            return self.together(family, sizes, self.source)
        own = [
            self._found(c, choice) if mixture is None else mixture
            for c, (choice, mixture) in enumerate(zip(choices, mixtures, strict=True))
        ]
        shares = self.n_known / self.n_known.sum()
        weights = np.concatenate([p * one.weights for p, one in zip(shares, own, strict=True)])
        params: Any = CompositeParams(tuple(one.params for one in own))
        if not isinstance(family, Composite):  # nothing is shared: the arrays of all classes
            arrays = [family.to_arrays(one) for one in params.parts]
            params = family.from_arrays(
                {name: np.concatenate([one[name] for one in arrays]) for name in arrays[0]}
            )
        start = Mixture(family, weights / weights.sum(), params)
        return self._em(start, sizes, with_component_labels(self.source, sizes))

    def alone(
        self, family: Family[Any], rows: DataSource, n_rows: int, size: int
    ) -> Mixture | None:
        """Fit one candidate to the rows of one class; None where it has no fit."""
        spec = self.spec
        if size == 1:
            return estimate(family, rows, 1, executor=spec.executor)
        how = size, spec.start, spec.n_starts, spec.seed, spec.executor
        try:
            if not rows.in_memory:
                return streamed_mixture(family, rows, n_rows, *how)
            X, w = in_memory(rows)
            own = np.asarray(X, dtype=float)
            return class_mixture(family, own, np.ones(len(X)) if w is None else w, *how)
        except (DataError, DegenerateComponentError) as error:
            if error.code == "E502":  # files that changed are no fault of the candidate
                raise
            return None

    def together(self, family: Family[Any], sizes: tuple[int, ...], source: DataSource) -> Fit:
        """Fit one family to all classes of a source."""
        spec, n_components = self.spec, sum(sizes)
        own = with_component_labels(source, sizes)
        if n_components > len(sizes):
            start = labelled_start(
                family, own, self.summary, n_components, spec.start, spec.n_starts, spec.seed,
                spec.executor,
            )  # fmt: skip
            return self._em(start, sizes, own)
        weighting = self._weighting(sizes)
        mixture = estimate(family, own, n_components, executor=spec.executor, weighting=weighting)
        known = self.everything or source is not self.source
        if known and family.closed_form:
            fit = fit_em(mixture, own, executor=spec.executor, max_iter=0)
            return replace(fit, outcome=Outcome.CLOSED_FORM)
        return self._em(mixture, sizes, own)

    def log_likelihood(self, mixture: Mixture, sizes: tuple[int, ...], source: DataSource) -> float:
        """Of rows and the labels that are known, in nats."""
        own = with_component_labels(source, sizes)
        return float(self.spec.executor.reduce(mixture.expect, own).loglik)

    def _found(self, c: int, choice: Choice) -> Mixture:
        """The mixture of one class, which must exist."""
        mixture = self.alone(
            choice.family, self.rows_of(c), int(self.n_rows[c]), choice.n_components
        )
        if mixture is None:
            raise DataError.labels(
                f"class {self.classes[c]!r} has no mixture of {choice.n_components} components"
            )
        return mixture

    def _em(self, start: Mixture, sizes: tuple[int, ...], source: DataSource) -> Fit:
        spec = self.spec
        return fit_em(
            start.under(self._weighting(sizes)), source, executor=spec.executor, stop=spec.stop,
            max_iter=spec.max_iter, care=Care(spec.on_degenerate), accelerate=True,
        )  # fmt: skip

    # -- facts ----------------------------------------------------------------------

    def finish(self, fit: Fit, choices: list[Choice], began: float) -> Classifier:
        """The classifier and its facts."""
        spec, source, summary = self.spec, self.source, self.summary
        sizes = tuple(choice.n_components for choice in choices)
        mixture = fit.mixture
        closing = spec.executor.reduce(partial(Closing.of, mixture), source)
        loglik = spec.executor.reduce(mixture.evaluate, source).loglik
        events = tuple(map(str, fit.events))
        fitted = Fitted(
            mixture, source.columns, fit.outcome, fit.trace, summary.n_rows, summary.mass, loglik,
            closing.log_certainty, tuple(map(float, closing.sizes)), events,
            (*events, *_remarks(mixture, summary.mass)), time.perf_counter() - began,
            source.levels,
        )  # fmt: skip
        scores = tuple(
            np.nan if choice.score is None else choice.score
            for choice in choices[: 1 if spec.coupled else None]
        )
        chosen = not np.isnan(scores).all()
        found = Classifier(
            fitted, self.classes, sizes, tuple(map(float, self.n_known)),
            self.log_likelihood(mixture, sizes, source), spec.criterion if chosen else None,
            scores if chosen else (), spec.reject,
        )  # fmt: skip
        if spec.outliers is None:
            return found
        density = partial(_log_density, found.timeless())
        return replace(
            found, outlier_density=quantile(density, source, spec.outliers, spec.executor)
        )

    def _weighting(self, sizes: tuple[int, ...]) -> Weighting:
        """What is known of the weights: the probabilities of the classes, where they are given."""
        if self.spec.priors == "estimated":
            return FREE
        given = np.ones(len(sizes)) if self.spec.priors == "equal" else np.array(self.spec.priors)
        return ClassShares(sizes, tuple((given / given.sum()).tolist()))


def _adapted(family: Family[Any], prospect: Prospect) -> Family[Any]:
    """Adapt a family to all rows; collinear columns get a bound that decides by more than rounding.

    A density of fewer rows than columns rests on its bound: what is 1e-6 of the data's own
    covariance elsewhere is 1e-4 of its variances here, so that the distances of rows off
    the plane of a class keep digits enough to be compared between classes.
    """
    family = prospect.ready(family, 1)
    if not family.needs_profile:
        return family
    profile = prospect.profile
    variances = np.diagonal(profile.covariance)
    scale = np.sqrt(np.where(variances > 0, variances, 1.0))
    smallest = np.linalg.eigvalsh(profile.covariance / np.outer(scale, scale))[0]
    if smallest < COLLINEAR:
        wider = profile.covariance + 100.0 * np.diag(variances)
        family = family.adapted(profile._replace(covariance=wider))
    return family


def _remarks(mixture: Mixture, mass: float) -> list[str]:
    """What a person should know of components, such as those on a bound."""
    return [
        f"component {k} ({mixture.weights[k] * mass:.1f} effective rows) {text}"
        for k, text in mixture.family.remarks(mixture.params)
    ]


def _log_density(found: Classifier, block: Block) -> Array:
    """Log-density of the rows of a block, whatever their class, (n,), in nats."""
    return np.concatenate([total(one) for one in found.slices(block.X)])
