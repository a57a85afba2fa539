"""What to fit to each class, and how."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mixtura.classify.choose import choose
from mixtura.classify.model import Classifier
from mixtura.classify.work import Work
from mixtura.degenerate import Policy
from mixtura.errors import MixturaWarning, UsageError
from mixtura.executor import Executor, Local, session
from mixtura.families import Family, find_family
from mixtura.families.gaussian import SHAPES
from mixtura.families.spec import make_family
from mixtura.fitting import HELD_BYTES
from mixtura.source import DataSource, hold
from mixtura.stopping import Aitken, Gain

Criterion = Literal["bic", "cv"]

#: Class probabilities before the data: shares of the rows, all the same, or numbers.
Priors = Literal["estimated", "equal"] | tuple[float, ...]


@dataclass(frozen=True)
class ClassSpec:
    """What to fit to each class, and how.

    Parameters
    ----------
    families : tuple of tuple of Family
        Candidates of each class, in the order of the classes.
    sizes : tuple of tuple of int
        Candidate numbers of components of each class.
    coupled : bool, default=False
        All classes are one family, whose shape says what their components have in common.
        Candidates are then those of the first class, and every class has as many components
        unless there is one candidate for each. Otherwise every class is alone.
    criterion : {"bic", "cv"}, default="bic"
        How to choose among several candidates: the rows of known class decide.
    n_folds : int, default=10
        Folds of "cv".
    priors : {"estimated", "equal"} or tuple of float, default="estimated"
        Probabilities of the classes.
    reject, outliers : float, optional
        See `Classifier.decide`; `outliers` is the share of the fitted rows, by weight, that
        have a log-density below the bound.
    start : str, default="hierarchical"
        See `fit_mixture`. One good start is the default: in classes of few rows, many starts
        find likelihoods that are high by accident, and criteria then choose them.
    n_starts : int, default=1
        How many starts the word makes.
    stop, max_iter, on_degenerate, seed, executor
        See `fit_mixture`.
    """

    families: tuple[tuple[Family[Any], ...], ...]
    sizes: tuple[tuple[int, ...], ...]
    coupled: bool = False
    criterion: Criterion = "bic"
    n_folds: int = 10
    priors: Priors = "estimated"
    reject: float | None = None
    outliers: float | None = None
    start: str = "hierarchical"
    n_starts: int = 1
    stop: Aitken | Gain | None = None
    max_iter: int = 1000
    on_degenerate: Policy = "repair"
    seed: int = 0
    executor: Executor = field(default_factory=Local)

    def fit(self, source: DataSource, classes: Sequence[Any]) -> Classifier:
        """Fit all classes.

        Parameters
        ----------
        source : DataSource
            Rows; their labels count the classes from 0, and are -1 where unknown.
        classes : sequence
            Names or numbers of the classes.

        Returns
        -------
        Classifier

        Raises
        ------
        DataError
            A class without rows, or rows that cannot be fitted.

        Examples
        --------
        >>> from mixtura.families import Gaussian
        >>> from mixtura.source import as_source
        >>> X = [[0.0], [1.0], [2.0], [7.0], [9.0]]
        >>> spec = ClassSpec(families=((Gaussian(1),),) * 2, sizes=((1,),) * 2)
        >>> found = spec.fit(as_source(X, labels=[0, 0, 0, 1, 1]), ["low", "high"])
        >>> found.mixture.means.ravel().tolist(), found.fitted.outcome.name
        ([1.0, 8.0], 'CLOSED_FORM')
        """
        began = time.perf_counter()
        source = hold(source, HELD_BYTES)
        with (
            warnings.catch_warnings(record=True) as caught,
            session(self.executor, source, self.job()) as executor,
        ):
            warnings.simplefilter("always")
            work = Work.on(replace(self, executor=executor), source, classes)
            choices, mixtures = choose(work)
            fit = work.solve(choices, mixtures)
            found = work.finish(fit, choices, began)
        for warning in caught:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        notes = dict.fromkeys(
            str(w.message) for w in caught if isinstance(w.message, MixturaWarning)
        )
        own = (*notes, *found.fitted.warnings)
        return replace(found, fitted=replace(found.fitted, warnings=own))

    def job(self, **more: Any) -> dict[str, Any]:
        """What tells a fit, or more than that, from other jobs over the same rows."""
        return {"job": "classify", "spec": replace(self, executor=Local()), **more}


def candidates(
    family: Any, shapes: Any, n_features: int, prior: Any = None
) -> tuple[Family[Any], ...]:
    """Families to choose from: each word with each shape.

    Raises
    ------
    UsageError
        A shape for a family that has none.
    """
    several = isinstance(family, list | tuple)
    found: list[Family[Any]] = []
    more = {} if prior is None else {"prior": prior}
    for one in family if several else [family]:
        if isinstance(one, Family):
            found.append(one)
            continue
        if isinstance(one, Mapping):
            found.append(make_family(one, n_features, **more))
            continue
        plain = find_family(one, n_features, **more)
        if "covariance" in plain.config() and shapes is not None:
            words = SHAPES if shapes == "auto" else [shapes] if isinstance(shapes, str) else shapes
            found += [find_family(one, n_features, covariance=word, **more) for word in words]
        elif shapes is not None and not several:
            raise UsageError.argument(
                "covariance_type", shapes, f"left out: family '{one}' has no covariance shapes"
            )
        else:
            found.append(plain)
    return tuple(found)


def n_starts(start: str) -> int:
    """How many starts a word makes unless more are asked for."""
    return 1 if start == "hierarchical" else 5
