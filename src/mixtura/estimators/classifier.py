"""A classifier of class densities behind scikit-learn's interface."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from mixtura.classify import (
    Classifier,
    ClassSpec,
    Criterion,
    Priors,
    by_class,
    candidates,
    n_starts,
    probabilities,
    total,
)
from mixtura.degenerate import Policy
from mixtura.errors import UsageError
from mixtura.estimators.model import STARTS
from mixtura.estimators.rows import opened, rows_to_fit, rows_to_use
from mixtura.estimators.running import seed_of
from mixtura.estimators.targets import class_codes
from mixtura.executor import Executor, Local
from mixtura.families import Family, Prior
from mixtura.families.spec import spec_categories, spec_columns
from mixtura.mixture import Mixture
from mixtura.prepare import check_support
from mixtura.source import check_block, read_column
from mixtura.stats import Array
from mixtura.stopping import Gain

#: Numbers of components that "bic" and "cv" try.
SIZES = (1, 2, 3, 4, 5)


class GenerativeClassifier(ClassifierMixin, BaseEstimator):
    """Classifier by one density, or one mixture, per class, and Bayes' rule.

    With one Gaussian per class this is discriminant analysis: linear with
    ``covariance_type="tied"``, quadratic with "full", and with the 14 shapes the
    eigenvalue decomposition discriminant analysis of Bensmail and Celeux (1996). With
    several components per class it is mixture discriminant analysis (Hastie and
    Tibshirani 1996; Fraley and Raftery 2002). Rows whose class is unknown help to find
    the densities.

    Parameters
    ----------
    family : str, Family, sequence, or dict of class to these, default="gaussian"
        What the components are; the best of a sequence is chosen. A dict of columns gives
        families to groups of columns, as in `MixtureModel`, the same for all classes.
    n_components : int, sequence of int, "bic", "cv", or dict of class to these, default=1
        Components of each class. The best of a sequence is chosen; the words stand for
        1 to 5, chosen by that criterion.
    covariance_type : str, sequence, or dict of class to these, optional
        Shape of covariances, as in `GaussianMixture`; "auto" chooses among all 14.
    coupled : bool, optional
        What a shape holds in common, such as one covariance for all, is common to all
        classes, not to the components of each class only. Default: if each class has one
        component.
    criterion : {"bic", "cv"}, default="bic"
        How to choose, where there is a choice: the Bayesian information criterion, or the
        log-density of rows left out. Rows of known class decide.
    n_folds : int, default=10
        Folds of "cv".
    prior : Prior or "default", optional
        Conjugate prior of the parameters of all components, as in `MixtureModel`.
    priors : {"estimated", "equal"}, sequence or dict, default="estimated"
        Probabilities of the classes, in the order of `classes_`.
    reject : float, optional
        Decline to decide where the largest probability is below ``1 - reject``. `predict`
        then gives -1, or None where classes are not numbers.
    outliers : float, optional
        Decline to decide rows of lower density than this share of the fitted rows.
    unlabelled : object, default="auto"
        Value of `y` that stands for an unknown class, besides None and NaN. "auto": -1,
        if there are two other classes. None: no value.
    start : str, default="hierarchical"
        How mixtures start, see `MixtureModel`. One good start is the default: in classes of
        few rows, many starts find likelihoods that are high by accident, and criteria then
        choose them.
    n_init : int, optional
        Number of starts. Default: 1 for "hierarchical", 5 for others.
    tol, max_iter, random_state, on_degenerate, missing, n_threads, executor
        See `MixtureModel`; `on_degenerate` is "repair" or "raise".

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        Classes, sorted.
    priors_ : ndarray of shape (C,)
        Their probabilities.
    n_components_ : ndarray of shape (C,)
        Components of each class.
    mixture_ : Mixture
        All classes as one mixture, the components of a class side by side.
    classifier_ : Classifier
        The fitted value, with the facts about the fit.
    log_likelihood_ : float
        Of all rows, whatever their class, in nats.
    converged_ : bool
    n_iter_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GenerativeClassifier
    >>> X = np.array([[0.0], [1.0], [2.0], [7.0], [8.0], [9.0]])
    >>> model = GenerativeClassifier().fit(X, ["low"] * 3 + ["high"] * 3)
    >>> model.predict([[3.0], [6.0]]).tolist()
    ['low', 'high']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "family": [str, Family, list, tuple, dict],
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"bic", "cv"}), "array-like", range, dict,
        ],
        "covariance_type": [str, list, tuple, dict, None],
        "coupled": ["boolean", None],
        "criterion": [StrOptions({"bic", "cv"})],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "prior": [StrOptions({"default"}), Prior, None],
        "priors": [StrOptions({"estimated", "equal"}), "array-like", dict],
        "reject": [Interval(Real, 0.0, 1.0, closed="left"), None],
        "outliers": [Interval(Real, 0.0, 1.0, closed="left"), None],
        "unlabelled": [object],
        "tol": [Interval(Real, 0.0, None, closed="left"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left"), None],
        "start": [StrOptions(STARTS)],
        "random_state": ["random_state"],
        "on_degenerate": [StrOptions({"repair", "raise"})],
        "missing": [StrOptions({"error", "drop"})],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "executor": [object],
    }  # fmt: skip

    def __init__(
        self,
        family: Any = "gaussian",
        n_components: Any = 1,
        *,
        covariance_type: Any = None,
        coupled: bool | None = None,
        criterion: Criterion = "bic",
        n_folds: int = 10,
        prior: Any = None,
        priors: Any = "estimated",
        reject: float | None = None,
        outliers: float | None = None,
        unlabelled: Any = "auto",
        tol: float | None = None,
        max_iter: int = 1000,
        n_init: int | None = None,
        start: str = "hierarchical",
        random_state: Any = None,
        on_degenerate: Policy = "repair",
        missing: Literal["error", "drop"] = "error",
        n_threads: int | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.family = family
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.coupled = coupled
        self.criterion = criterion
        self.n_folds = n_folds
        self.prior = prior
        self.priors = priors
        self.reject = reject
        self.outliers = outliers
        self.unlabelled = unlabelled
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.start = start
        self.random_state = random_state
        self.on_degenerate = on_degenerate
        self.missing = missing
        self.n_threads = n_threads
        self.executor = executor

    # -- fitting ------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the density of each class.

        Parameters
        ----------
        X : array, frame or path
            Rows (n, d): anything that `mixtura.as_source` takes.
        y : array-like of shape (n,) or str
            Class of each row: numbers, text or booleans; None or NaN where unknown. With
            frames and files, the name of a column.
        sample_weight : array of shape (n,) or str, optional
            Weight of each row, >= 0; a weight of 2 is the row twice.

        Returns
        -------
        self

        Raises
        ------
        DataError
            Rows or classes that cannot be used.
        UsageError
            Arguments that contradict each other or the classes.
        """
        self._validate_params()
        X = opened(X)
        drop = None
        if isinstance(y, str):
            y, drop = read_column(X, y), [y]
        given = None if isinstance(sample_weight, str) else sample_weight
        classes, codes = class_codes(y, self.unlabelled, given)
        first = self._families(classes)[0]
        first = first[0] if isinstance(first, list | tuple) else first
        source = rows_to_fit(
            self, X, sample_weight, codes, self.missing, drop,
            columns=spec_columns(first), categories=spec_categories(first),
        )  # fmt: skip
        spec = self._spec(classes, source.n_features)
        self._set_fitted(spec.fit(source, classes.tolist()), classes)
        if not self.converged_:
            warnings.warn(self.classifier_.fitted.outcome.value, ConvergenceWarning, stacklevel=2)
        return self

    def _families(self, classes: np.ndarray[Any, Any]) -> list[Any]:
        """What was said of the family of each class; a mapping may be of columns, too."""
        if isinstance(self.family, dict) and set(self.family) != set(classes.tolist()):
            return [self.family] * len(classes)
        return by_class(self.family, classes, "family")

    def _spec(self, classes: np.ndarray[Any, Any], n_features: int) -> ClassSpec:
        """The plan, in plain values."""
        named = self._families(classes)
        shapes = by_class(self.covariance_type, classes, "covariance_type")
        families = tuple(
            candidates(family, shape, n_features, self.prior)
            for family, shape in zip(named, shapes, strict=True)
        )
        sizes = tuple(_sizes(one) for one in by_class(self.n_components, classes, "n_components"))
        criterion = self.n_components if self.n_components in ("bic", "cv") else self.criterion
        alike = all(own == families[0] for own in families)
        if self.coupled and not alike:
            raise UsageError.argument("coupled", True, "False where classes differ in family")
        if self.reject is not None or self.outliers is not None:
            _refuse_clash(classes)
        return ClassSpec(
            families, sizes,
            alike and all(own == (1,) for own in sizes) if self.coupled is None else self.coupled,
            criterion, int(self.n_folds),
            _priors(self.priors, classes),
            self.reject, self.outliers, self.start, self.n_init or n_starts(self.start),
            None if self.tol is None else Gain(self.tol), int(self.max_iter), self.on_degenerate,
            seed_of(self.random_state), self.executor or Local(self.n_threads),
        )  # fmt: skip

    def _set_fitted(self, found: Classifier, classes: np.ndarray[Any, Any]) -> None:
        self.classifier_ = found
        self.classes_ = classes
        self.log_likelihood_ = found.fitted.log_likelihood
        self.converged_ = found.fitted.outcome.converged
        self.n_iter_ = max(found.fitted.n_iter, 1)

    # -- using the fit -------------------------------------------------------------

    @property
    def mixture_(self) -> Mixture:
        """All classes as one mixture."""
        return self._fitted().mixture

    @property
    def levels_(self) -> dict[str, tuple[str, ...]]:
        """Labels of each column of categories, in the order of their codes."""
        return dict(self._fitted().fitted.levels)

    @property
    def priors_(self) -> Array:
        """Probability of each class, (C,)."""
        return self._fitted().priors

    @property
    def n_components_(self) -> np.ndarray[Any, Any]:
        """Components of each class, (C,)."""
        return np.array(self._fitted().sizes)

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """Most probable class of each row, (n,); -1 or None where the decision is declined."""
        found = self._fitted()
        codes = np.concatenate([found.decide(joint) for joint in self._joint(X)])
        if found.reject is None and found.outlier_density is None:
            return np.asarray(self.classes_[codes])
        return _with_rejects(self.classes_, codes)

    def predict_proba(self, X: Any) -> Array:
        """Probability of each class for each row, (n, C); rows sum to one."""
        proba = np.exp(self.predict_log_proba(X))
        return np.asarray(proba / proba.sum(axis=1, keepdims=True))

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities, (n, C), exact where these are tiny."""
        return probabilities(self.log_joint(X))

    def log_joint(self, X: Any) -> Array:
        """Log of class probability times class density, (n, C), in nats."""
        self._fitted()
        return np.concatenate(list(self._joint(X)))

    def score_samples(self, X: Any) -> Array:
        """Log-density of each row, whatever its class, (n,), in nats."""
        return total(self.log_joint(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of rows whose most probable class is right; the reject option is left aside."""
        best = self.classes_[self.log_joint(X).argmax(axis=1)]
        return float(accuracy_score(y, best, sample_weight=sample_weight))

    def summary(self) -> str:
        """Describe the fit in words and tables."""
        from mixtura.describe import class_document, class_text

        return class_text(class_document(self._fitted()))

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the classifier to a file, atomically; `mixtura.load` reads it.

        Raises
        ------
        UsageError
            The file exists, and `force` is False.
        ResourceError
            It cannot be written; what was there before is untouched.
        """
        from mixtura import modelfile

        modelfile.save(path, self._fitted(), force=force)

    # -- inside ---------------------------------------------------------------------

    def _fitted(self) -> Classifier:
        check_is_fitted(self, "classifier_")
        return self.classifier_

    def _joint(self, X: Any) -> Iterator[Array]:
        found = self._fitted()
        source = rows_to_use(self, X)
        for block in source.blocks():
            check_block(block, source)
            for family in found.families:
                check_support(family, block, source)
            yield from found.slices(block.X)


def _sizes(value: Any) -> tuple[int, ...]:
    if isinstance(value, str):
        return SIZES
    sizes = tuple(map(int, value)) if np.ndim(value) else (int(value),)
    if not sizes or min(sizes) < 1:
        raise UsageError.argument("n_components", value, "whole numbers >= 1")
    return sizes


def _priors(value: Any, classes: np.ndarray[Any, Any]) -> Priors:
    if isinstance(value, str):
        return value  # type: ignore[return-value]
    given: Sequence[float] = (
        by_class(value, classes, "priors") if isinstance(value, dict) else value
    )
    priors = np.asarray(given, dtype=float)
    if priors.shape != (len(classes),) or not (priors > 0).all() or not np.isfinite(priors).all():
        raise UsageError.argument("priors", value, f"{len(classes)} numbers > 0")
    if abs(priors.sum() - 1.0) > 1e-6:
        raise UsageError.argument("priors", value, "numbers that sum to one")
    return tuple(priors.tolist())


def _refuse_clash(classes: np.ndarray[Any, Any]) -> None:
    if classes.dtype.kind in "iuf" and (classes == -1).any():
        raise UsageError.argument(
            "reject", "with a class -1", "left out, or the class another number: -1 is 'declined'"
        )


def _with_rejects(classes: np.ndarray[Any, Any], codes: Any) -> np.ndarray[Any, Any]:
    """Classes by their places; -1, or None where classes are no numbers, for place -1."""
    if classes.dtype.kind in "iuf":
        signed = classes.astype(np.int64) if classes.dtype.kind == "u" else classes
        return np.where(codes < 0, np.asarray(-1, dtype=signed.dtype), signed[codes])
    names = classes.astype(object)[codes]
    names[codes < 0] = None
    return np.asarray(names)
