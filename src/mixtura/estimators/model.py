"""Mixtures of any family behind scikit-learn's interface."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from mixtura import criteria
from mixtura.degenerate import Policy
from mixtura.em import Trace
from mixtura.errors import UsageError
from mixtura.estimators.card import CardMixin
from mixtura.estimators.rows import of_classes, rows_to_fit, rows_to_use
from mixtura.estimators.running import report, seed_of
from mixtura.executor import Executor, Local, thread_count
from mixtura.families import Family, Prior, WithNoise
from mixtura.families.spec import FamilySpec, make_family, spec_categories, spec_columns
from mixtura.fitting import N_STARTS, Fitted, Start, fit_mixture
from mixtura.mixture import Mixture
from mixtura.prepare import check_rows, check_support
from mixtura.source import DataSource, check_block
from mixtura.start import PARTITIONS
from mixtura.stats import Array, IntArray
from mixtura.stopping import Gain, Outcome
from mixtura.weighting import Weighting, find_weighting

#: Words for a start; those of scikit-learn among them.
STARTS = {"auto", *PARTITIONS}


class MixtureModel(CardMixin, DensityMixin, BaseEstimator):
    """Mixture of any registered family, fitted by EM; with one component a single density.

    Parameters
    ----------
    family : str, Family or mapping, default="gaussian"
        What the components are, such as ``"poisson"``; or columns and their families, such
        as ``{"income": "lognormal", ("x", "y"): "gaussian", "city": "categorical"}``: groups
        of columns that are independent within a component. Columns are names or positions,
        those that are not named are not used.
    n_components : int, default=1
        Number of components K.
    tol : float, optional
        Stop when one iteration gains less than `tol` nats per row. Default: stop
        when all further iterations together are projected to gain less than
        1e-8 nats per row, which is much tighter.
    max_iter : int, default=1000
        Greatest number of EM iterations.
    accelerate : bool, optional
        Combine earlier iterations where EM crawls; the log-likelihood never
        falls. False gives plain EM, for films and teaching. Default: True,
        unless `tol` is given, whose rule is about plain iterations.
    n_init : int, optional
        Number of starts, the best run counts. Default: 10.
    start : str, array or Mixture, default="auto"
        "auto", "kmeans", "k-means++", "random_from_data", "hierarchical",
        "random"; hard labels (n,); responsibilities (n, K); or a mixture. A given
        start keeps its order of components; otherwise the heaviest comes first.
    weighting : {"free", "equal"}, float or sequence of float, default="free"
        What is known of the mixing weights: nothing, that they are equal, or a
        Dirichlet prior of this concentration (one number, or one per component).
        Below 1 the prior is sparse: components without rows of their own vanish.
    prior : None, "default" or Prior, default=None
        Conjugate prior of the components' parameters, such as
        `NormalInverseWishart`; the fit is then the posterior mode. "default" is a
        weak one made from the data. None is maximum likelihood.
    noise : bool, default=False
        Add a component of fixed, uniform density over the box of the data, which takes
        outliers: the last of then K + 1 components, see `WithNoise`.
    random_state : int, RandomState or None, default=None
        Seed of the starts and of `sample`. Same seed, same model.
    warm_start : bool, default=False
        Start from the mixture of the previous fit.
    on_degenerate : {"repair", "drop", "raise"}, default="repair"
        What happens to a component that is empty or collapses: start it anew or
        hold it on the covariance floor, leave it out, or raise.
    missing : {"error", "drop"}, default="error"
        What happens to rows with missing or infinite values.
    record : bool, default=False
        Keep the mixture of every iteration in ``trace_.mixtures``.
    n_threads : int, optional
        Default: ``MIXTURA_NUM_THREADS`` or all processors. Never changes results.
    executor : Executor, optional
        Where blocks of data are processed. Default: threads of this process.
    verbose : int, default=0
        Print progress every `verbose_interval` iterations.
    verbose_interval : int, default=10
        See `verbose`.

    Attributes
    ----------
    mixture_ : Mixture
        The fitted mixture, a value of its own.
    weights_ : ndarray of shape (K,)
        Mixing proportions.
    means_ : ndarray of shape (K, d)
        Component means.
    log_likelihood_ : float
        Total, in nats; the weighted sum of `score_samples` over the fitted rows.
    trace_ : Trace
        Objective (log-likelihood, plus the log prior where there is one) and the
        two terms of the bound per iteration.
    converged_ : bool
        The fit ended at its stopping rule, or needed no iteration.
    outcome_ : Outcome
        Why it ended, with advice.
    n_iter_ : int
        EM iterations.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import MixtureModel
    >>> X = np.array([[0], [1], [0], [2], [19], [21], [20]])
    >>> MixtureModel("poisson", 2, random_state=0).fit(X).means_.round(2).ravel().tolist()
    [0.75, 20.0]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "family": [str, Family, Mapping],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, None, closed="left"), None],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "accelerate": ["boolean", None],
        "n_init": [Interval(Integral, 1, None, closed="left"), None],
        "start": [StrOptions(STARTS), "array-like", Mixture],
        "weighting": [StrOptions({"free", "equal"}), Real, "array-like", Weighting],
        "prior": [StrOptions({"default"}), Prior, None],
        "noise": ["boolean"],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "on_degenerate": [StrOptions({"repair", "drop", "raise"})],
        "missing": [StrOptions({"error", "drop"})],
        "record": ["boolean"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "executor": [object],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        family: FamilySpec = "gaussian",
        n_components: int = 1,
        *,
        tol: float | None = None,
        max_iter: int = 1000,
        accelerate: bool | None = None,
        n_init: int | None = None,
        start: Start = "auto",
        weighting: Any = "free",
        prior: Prior | Literal["default"] | None = None,
        noise: bool = False,
        random_state: Any = None,
        warm_start: bool = False,
        on_degenerate: Policy = "repair",
        missing: Literal["error", "drop"] = "error",
        record: bool = False,
        n_threads: int | None = None,
        executor: Executor | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.family = family
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.accelerate = accelerate
        self.n_init = n_init
        self.start = start
        self.weighting = weighting
        self.prior = prior
        self.noise = noise
        self.random_state = random_state
        self.warm_start = warm_start
        self.on_degenerate = on_degenerate
        self.missing = missing
        self.record = record
        self.n_threads = n_threads
        self.executor = executor
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    # -- fitting ------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None,
        components_per_class: Sequence[int] | None = None,
    ) -> Self:  # fmt: skip
        """Fit the mixture.

        Parameters
        ----------
        X : array, frame, path or DataSource
            Rows (n, d): anything that `mixtura.as_source` takes.
        y : ignored
            Density estimators take and ignore it, so that pipelines work.
        sample_weight : array of shape (n,) or str, optional
            Weight of each row, >= 0; a weight of 2 is the row twice. With frames
            and files, the name of a column.
        labels : array of shape (n,) or (n, K), or str, optional
            The component of each row where it is known; -1, None or NaN where it
            is not. All known: one M step, no EM. Values that are not numbers are
            numbered in sorted order. With frames and files, the name of a column.
            Or prior probabilities of the components, (n, K): factors of their weights.
        components_per_class : sequence of int, optional
            Labels are those of classes, which have so many components each.

        Returns
        -------
        self

        Raises
        ------
        DataError
            Rows that cannot be used; the message names column, row and count.
        DegenerateComponentError
            With ``on_degenerate="raise"``.

        Examples
        --------
        >>> import numpy as np
        >>> from mixtura import MixtureModel
        >>> X = np.array([[1], [3], [8], [10]])
        >>> model = MixtureModel("poisson", 2).fit(X, labels=["low", "low", "high", "high"])
        >>> model.means_.ravel().tolist()  # "high" comes first in the alphabet
        [9.0, 2.0]
        """
        self._validate_params()
        source = rows_to_fit(
            self, X, sample_weight, labels, self.missing,
            columns=spec_columns(self.family), categories=spec_categories(self.family),
        )  # fmt: skip
        if components_per_class is not None:
            source = of_classes(source, components_per_class, int(self.n_components))
        family = self._family(source.n_features)
        if self.prior is not None:
            family = replace(family, prior=self.prior)
        if self.noise:
            family = WithNoise(family)
        start, n_starts, adjust = self._plan(family)
        fitted = fit_mixture(
            family,
            source,
            int(self.n_components) + family.n_fixed,
            start=start,
            n_starts=n_starts,
            adjust=adjust,
            weighting=find_weighting(self.weighting),
            stop=None if self.tol is None else Gain(self.tol),
            max_iter=int(self.max_iter),
            accelerate=self.tol is None if self.accelerate is None else self.accelerate,
            on_degenerate=self.on_degenerate,
            seed=seed_of(self.random_state),
            executor=self._executor(),
            keep_mixtures=self.record,
            watch=partial(report, self.verbose_interval) if self.verbose else None,
        )
        self._set_fitted(fitted)
        if self.verbose:
            print(f"{self.outcome_.value}\nlog-likelihood/row {self.lower_bound_:.8f}")
        if not self.converged_ and self.max_iter > 0:
            warnings.warn(fitted.outcome.value, ConvergenceWarning, stacklevel=2)
        return self

    def fit_predict(
        self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None
    ) -> IntArray:
        """Fit, and return the most probable component of each row, (n,); arguments as in `fit`."""
        return self.fit(X, y, sample_weight=sample_weight, labels=labels).predict(X)

    def _family(self, n_features: int) -> Family[Any]:
        return make_family(self.family, n_features)

    def _plan(self, family: Family[Any]) -> tuple[Start, int, Callable[[Mixture], Mixture] | None]:
        """Which start, how many, and what to change in each."""
        if self.warm_start and hasattr(self, "mixture_"):
            return self.mixture_, 1, None
        return self.start, self.n_init or N_STARTS, None

    def _set_fitted(self, fitted: Fitted) -> None:
        mass = fitted.mass
        self.fitted_ = fitted
        self.mixture_ = fitted.mixture
        self.outcome_ = fitted.outcome
        self.converged_ = fitted.outcome.converged
        # a closed form counts as one step, as scikit-learn expects n_iter_ >= 1 of a fit
        self.n_iter_ = 1 if fitted.outcome is Outcome.CLOSED_FORM else fitted.n_iter
        self.trace_: Trace = fitted.trace
        self.log_likelihood_ = fitted.log_likelihood
        self.lower_bound_ = fitted.log_likelihood / mass
        self.lower_bounds_ = [value / mass for value in fitted.trace.objective[1:].tolist()]

    # -- using the fit -------------------------------------------------------------

    @property
    def n_components_(self) -> int:
        """Components of the fit: K, or fewer where some were dropped."""
        return self._fitted_mixture().n_components

    @property
    def weights_(self) -> Array:
        """Mixing proportions, (K,)."""
        return self._fitted_mixture().weights

    @property
    def means_(self) -> Array:
        """Component means in units of the data, (K, d)."""
        return self._fitted_mixture().means

    @property
    def levels_(self) -> dict[str, tuple[str, ...]]:
        """Labels of the columns of categories that had some; their codes count from 0."""
        check_is_fitted(self, "fitted_")
        return dict(self.fitted_.levels)

    @property
    def standard_errors_(self) -> tuple[Array, ...]:
        """Standard errors of a single density's parameters, from its expected information.

        Raises
        ------
        AttributeError
            The model has several components.
        """
        mixture = self._fitted_mixture()
        if mixture.n_components > 1:
            raise AttributeError("standard_errors_ exist for a single density (n_components=1)")
        return mixture.family.standard_errors(mixture.params, np.array([self.fitted_.mass]))

    def predict(self, X: Any) -> IntArray:
        """Most probable component of each row, (n,), counted from 0."""
        return np.concatenate([R.argmax(axis=1) for _, R in self._scored(X)])

    def predict_proba(self, X: Any) -> Array:
        """Probability of each component for each row, (n, K); rows sum to one."""
        return np.concatenate([R for _, R in self._scored(X)])

    def uncertainty(self, X: Any) -> Array:
        """One minus the largest probability of each row, (n,): 0 is certain."""
        return np.concatenate([1.0 - R.max(axis=1) for _, R in self._scored(X)])

    def score_samples(self, X: Any) -> Array:
        """Log-density of each row, (n,), in nats. It may be positive: densities may exceed one."""
        return np.concatenate([log_density for log_density, _ in self._scored(X)])

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean log-density of the rows, in nats, weighted where weights are given."""
        loglik, mass = self._log_likelihood(X, sample_weight)
        return loglik / mass

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Bayesian information criterion on X; smaller is better."""
        loglik, mass = self._log_likelihood(X, sample_weight)
        return criteria.bic(loglik, self.mixture_.n_free, mass)

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Akaike's information criterion on X; smaller is better."""
        return criteria.aic(self._log_likelihood(X, sample_weight)[0], self.mixture_.n_free)

    def sample(self, n_samples: int = 1) -> tuple[Array, IntArray]:
        """Draw rows (n, d) and the components they came from (n,).

        Raises
        ------
        UsageError
            `n_samples` is below 1.
        """
        mixture = self._fitted_mixture()
        if n_samples < 1:
            raise UsageError.argument("n_samples", n_samples, "a whole number >= 1")
        seed = seed_of(self.random_state)
        return mixture.sample(int(n_samples), np.random.Generator(np.random.Philox(seed)))

    def gradient(self, X: Any, sample_weight: Any = None) -> tuple[Array, ...]:
        """Gradient of the total log-likelihood in the component parameters; zero at the fit."""
        mixture = self._fitted_mixture()
        source = self._checked_source(X, sample_weight)
        return mixture.score(self._executor().reduce(mixture.evaluate, source))

    def summary(self) -> str:
        """Describe the fit in words and tables."""
        from mixtura.describe import document, text

        self._fitted_mixture()
        return text(document(self.fitted_))

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the model to a file, atomically; `mixtura.load` reads it.

        Raises
        ------
        UsageError
            The file exists, and `force` is False.
        ResourceError
            It cannot be written; what was there before is untouched.
        """
        from mixtura import modelfile

        self._fitted_mixture()
        modelfile.save(path, self.fitted_, force=force)

    # -- inside ---------------------------------------------------------------------

    def _fitted_mixture(self) -> Mixture:
        check_is_fitted(self, "mixture_")
        return self.mixture_

    def _executor(self) -> Executor:
        return self.executor or Local(self.n_threads)

    def _scored(self, X: Any) -> Iterator[tuple[Array, Array]]:
        """Log-density and responsibilities, a bounded number of rows at a time."""
        mixture = self._fitted_mixture()
        source = rows_to_use(self, X)
        n_threads = thread_count(self.n_threads)
        for block in source.blocks():
            check_block(block, source)
            check_support(mixture.family, block, source)
            for _, log_density, R in mixture.slices(block.X, n_threads):
                yield log_density, R

    def _log_likelihood(self, X: Any, sample_weight: Any) -> tuple[float, float]:
        mixture = self._fitted_mixture()
        source = self._checked_source(X, sample_weight)
        stats = self._executor().reduce(mixture.evaluate, source)
        return stats.loglik, stats.mass

    def _checked_source(self, X: Any, sample_weight: Any) -> DataSource:
        source = rows_to_use(self, X, sample_weight)
        check_rows(self.mixture_.family, source, self._executor())
        return source
