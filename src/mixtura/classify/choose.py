"""Which family, shape and number of components: for each class alone, or for all together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from mixtura import criteria
from mixtura.classify.model import Choice
from mixtura.classify.rows import all_codes, class_folds, of_folds
from mixtura.classify.work import Work
from mixtura.crossval import held_out
from mixtura.errors import DataError
from mixtura.families import Family
from mixtura.mixture import Mixture
from mixtura.source import DataSource

#: Family and components of each class.
Candidate = tuple[Family[Any], tuple[int, ...]]


def choose(work: Work) -> tuple[list[Choice], list[Mixture | None]]:
    """What each class is to be, by its rows of known class, and mixtures fitted on the way.

    BIC is that of the density of a class, or, where classes have one family together, that
    of rows and labels. Cross-validation is by the log-density of the rows of a class that
    were left out, or by that of rows and labels. A fit on the bound that keeps likelihoods
    finite has no BIC worth the name: it counts only where there is no other.
    """
    spec, n_classes = work.spec, len(work.classes)
    if not spec.coupled:
        found = [_choose_alone(work, c) for c in range(n_classes)]
        return [choice for choice, _ in found], [mixture for _, mixture in found]
    sizes = [tuple(own[0] for own in spec.sizes)]
    if any(len(own) > 1 for own in spec.sizes):
        sizes = [(size,) * n_classes for size in spec.sizes[0]]
    candidates = list(product(work.families[0], sizes))
    (family, own_sizes), score = candidates[0], None
    if len(candidates) > 1:
        (family, own_sizes), score = _choose_together(work, candidates)
    return [Choice(family, size, score) for size in own_sizes], [None] * n_classes


def _choose_alone(work: Work, c: int) -> tuple[Choice, Mixture | None]:
    """The best candidate of one class."""
    families, sizes = work.families[c], work.spec.sizes[c]
    if len(families) == len(sizes) == 1:
        return Choice(families[0], sizes[0]), None
    rows = work.rows_of(c)
    n_rows = int(work.n_rows[c])
    sizes = tuple(size for size in sizes if size <= n_rows)
    if work.spec.criterion == "cv":
        return _by_cross_validation(work, families, sizes, rows, n_rows), None
    found: list[tuple[bool, float, Family[Any], Mixture]] = []
    for family, size in _told_apart(families, sizes):
        mixture = work.alone(family, rows, n_rows, size)
        if mixture is not None:
            seen = work.spec.executor.reduce(mixture.evaluate, rows)
            bic = criteria.bic(seen.loglik, mixture.n_free, seen.mass)
            found.append((_is_bounded(mixture), bic, family, mixture))
    if not found:
        raise DataError.labels(f"class {work.classes[c]!r} has no fit of any candidate")
    _, score, family, mixture = min(found, key=lambda one: one[:2])
    return Choice(family, mixture.n_components, score), mixture


def _told_apart(
    families: Sequence[Family[Any]], sizes: Sequence[int]
) -> Iterator[tuple[Family[Any], int]]:
    """All candidates, but of shapes that are one shape with one component only the plain one."""
    plain = {(type(own), own.n_free(1)) for own in families if not own.couples}
    for family, size in product(families, sizes):
        if not (size == 1 and family.couples and (type(family), family.n_free(1)) in plain):
            yield family, size


def _by_cross_validation(
    work: Work,
    families: Sequence[Family[Any]],
    sizes: tuple[int, ...],
    rows: DataSource,
    n_rows: int,
) -> Choice:
    """The candidate whose log-densities of left-out rows are highest on average."""
    spec = work.spec
    n_folds = min(spec.n_folds, n_rows)
    smallest = n_rows - -(-n_rows // n_folds)  # rows outside of the largest fold
    tried = [size for size in sizes if size <= smallest]
    problem: DataError | None = None
    found: list[Choice] = []
    for family in families:
        try:
            scores = held_out(
                family, rows, tried, n_folds=n_folds, start=spec.start, n_starts=spec.n_starts,
                seed=spec.seed, executor=spec.executor,
            ).score  # fmt: skip
        except DataError as error:
            problem = error
            continue
        best = int(np.argmax(scores))
        found.append(Choice(family, tried[best], float(scores[best])))
    if problem is not None and not found:
        raise problem
    return max(found, key=lambda one: one.score or -np.inf)


def _choose_together(work: Work, candidates: list[Candidate]) -> tuple[Candidate, float]:
    """The best candidate of all classes."""
    labelled = work.labelled()
    if work.spec.criterion == "cv":
        scores = [_held_out(work, *one, labelled) for one in candidates]
        best = int(np.argmax(scores))
    else:
        scores, bounded = [], np.zeros(len(candidates))
        for at, (family, sizes) in enumerate(candidates):
            fit = work.together(family, sizes, labelled)
            scores.append(criteria.bic(fit.stats.loglik, fit.mixture.n_free, fit.stats.mass))
            bounded[at] = _is_bounded(fit.mixture)
        best = int(np.lexsort([np.array(scores), bounded])[0])
    return candidates[best], scores[best]


def _is_bounded(mixture: Mixture) -> bool:
    return bool(mixture.family.at_boundary(mixture.params).any())


def _held_out(
    work: Work, family: Family[Any], sizes: tuple[int, ...], labelled: DataSource
) -> float:
    """Mean log-density of rows and labels that were left out, in nats per row."""
    codes = all_codes(labelled, work.spec.executor)
    folds = class_folds(codes, work.spec.n_folds, work.spec.seed)
    score = 0.0
    for fold in range(folds.max() + 1):
        part = of_folds(labelled, folds, fold, inside=False)
        mixture = work.together(family, sizes, part).mixture
        test = of_folds(labelled, folds, fold, inside=True)
        score += work.log_likelihood(mixture, sizes, test)
    return score / float(work.n_known.sum())
