"""The scikit-learn skin: familiar names over `fit_mixture`, and no mathematics."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

import narwhals as nw
import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from mixtura import selection
from mixtura.degenerate import Policy
from mixtura.em import Gain, Step, Trace
from mixtura.errors import DataError, UsageError
from mixtura.executor import Executor, Local, thread_count
from mixtura.families import Family, Gaussian, find_family
from mixtura.families.gaussian import Geometry, find_shape
from mixtura.fitting import N_STARTS, Fitted, Start, check_support, fit_mixture
from mixtura.mixture import Mixture
from mixtura.source import DataSource, as_source, check_block
from mixtura.start import PARTITIONS
from mixtura.stats import Array, IntArray

#: Words for a start; those of scikit-learn among them.
STARTS = {"auto", *PARTITIONS}


class MixtureModel(DensityMixin, BaseEstimator):
    """Mixture of any registered family, fitted by EM; with one component a single density.

    Parameters
    ----------
    family : str or Family, default="gaussian"
        What the components are, such as ``"poisson"``.
    n_components : int, default=1
        Number of components K.
    tol : float, optional
        Stop when one iteration gains less than `tol` nats per row. Default: stop
        when all further iterations together are projected to gain less than
        1e-8 nats per row, which is much tighter.
    max_iter : int, default=1000
        Greatest number of EM iterations.
    n_init : int, optional
        Number of starts, the best run counts. Default: 10.
    start : str, array or Mixture, default="auto"
        "auto", "kmeans", "k-means++", "random_from_data", "random"; hard labels
        (n,); responsibilities (n, K); or a mixture. A given start keeps its
        order of components; otherwise the heaviest component comes first.
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
        Objective and the two terms of the bound per iteration.
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
    >>> X = np.array([[0], [1], [0], [2], [9], [11], [10]])
    >>> MixtureModel("poisson", 2, random_state=0).fit(X).means_.round(1).ravel().tolist()
    [0.8, 10.0]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "family": [str, Family],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, None, closed="left"), None],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left"), None],
        "start": [StrOptions(STARTS), "array-like", Mixture],
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
        family: str | Family[Any] = "gaussian",
        n_components: int = 1,
        *,
        tol: float | None = None,
        max_iter: int = 1000,
        n_init: int | None = None,
        start: Start = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        on_degenerate: Policy = "repair",
        missing: str = "error",
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
        self.n_init = n_init
        self.start = start
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

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None) -> Self:
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
        labels : array of shape (n,) or str, optional
            The component of each row where it is known, -1 where it is not. All
            known: one M step, no EM. Text labels are numbered in sorted order.

        Returns
        -------
        self

        Raises
        ------
        DataError
            Rows that cannot be used; the message names column, row and count.
        DegenerateComponentError
            With ``on_degenerate="raise"``.
        """
        self._validate_params()
        source = self._source(X, reset=True, weights=sample_weight, labels=labels)
        family = self._family(source.n_features)
        start, n_starts, adjust = self._plan(family)
        fitted = fit_mixture(
            family,
            source,
            int(self.n_components),
            start=start,
            n_starts=n_starts,
            adjust=adjust,
            stop=None if self.tol is None else Gain(self.tol),
            max_iter=self.max_iter,
            on_degenerate=self.on_degenerate,
            seed=_seed(self.random_state),
            executor=self._executor(),
            keep_mixtures=self.record,
            watch=self._watch(),
        )
        self._set_fitted(fitted)
        if not self.converged_:
            warnings.warn(fitted.outcome.value, ConvergenceWarning, stacklevel=2)
        return self

    def fit_predict(
        self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None
    ) -> IntArray:
        """Fit, and return the most probable component of each row, (n,)."""
        return self.fit(X, y, sample_weight=sample_weight, labels=labels).predict(X)

    def _plan(self, family: Family[Any]) -> tuple[Start, int, Callable[[Mixture], Mixture] | None]:
        """Which start, how many, and what to change in each."""
        if self.warm_start and hasattr(self, "mixture_"):
            return self.mixture_, 1, None
        return self.start, self.n_init or N_STARTS, None

    def _family(self, n_features: int) -> Family[Any]:
        if isinstance(self.family, Family):
            return self.family
        return find_family(self.family, n_features)

    def _set_fitted(self, fitted: Fitted) -> None:
        self.fitted_ = fitted
        self.mixture_ = fitted.mixture
        self.outcome_ = fitted.outcome
        self.converged_ = fitted.outcome.converged
        self.n_iter_ = max(fitted.n_iter, 1)
        self.trace_: Trace = fitted.trace
        self.log_likelihood_ = fitted.log_likelihood
        self.lower_bound_ = fitted.log_likelihood / fitted.mass
        self.lower_bounds_ = [float(v) / fitted.mass for v in fitted.trace.objective[1:]] or [
            self.lower_bound_
        ]

    @classmethod
    def from_fitted(cls, fitted: Fitted) -> MixtureModel:
        """Make a fitted estimator from a fitted mixture, such as one that was loaded."""
        family = fitted.mixture.family
        model: MixtureModel
        if isinstance(family, Gaussian):
            model = GaussianMixture(
                fitted.mixture.n_components,
                covariance_type=family.covariance,
                reg_covar=family.ridge or None,
            )
        else:
            model = MixtureModel(family.name, fitted.mixture.n_components)
        model.n_features_in_ = fitted.mixture.n_features
        if fitted.columns != tuple(f"x{j}" for j in range(len(fitted.columns))):
            model.feature_names_in_ = np.array(fitted.columns, dtype=object)
        model._set_fitted(fitted)
        return model

    # -- using the fit -------------------------------------------------------------

    @property
    def weights_(self) -> Array:
        """Mixing proportions, (K,)."""
        return self._fitted_mixture().weights

    @property
    def means_(self) -> Array:
        """Component means in units of the data, (K, d)."""
        return self._fitted_mixture().means

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
        return selection.bic(loglik, self.mixture_.n_free, mass)

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Akaike's information criterion on X; smaller is better."""
        return selection.aic(self._log_likelihood(X, sample_weight)[0], self.mixture_.n_free)

    def sample(self, n_samples: int = 1) -> tuple[Array, IntArray]:
        """Draw rows (n, d) and the components they came from (n,).

        Raises
        ------
        ValueError
            `n_samples` is below 1.
        """
        mixture = self._fitted_mixture()
        if n_samples < 1:
            raise UsageError.argument("n_samples", n_samples, "a whole number >= 1")
        seed = _seed(self.random_state)
        return mixture.sample(int(n_samples), np.random.Generator(np.random.Philox(seed)))

    def gradient(self, X: Any, sample_weight: Any = None) -> tuple[Array, ...]:
        """Gradient of the total log-likelihood in the component parameters; zero at the fit."""
        mixture = self._fitted_mixture()
        source = self._source(X, reset=False, weights=sample_weight)
        return mixture.score(self._executor().reduce(mixture.evaluate, source))

    def summary(self) -> str:
        """Describe the fit in words and tables."""
        from mixtura.describe import document, text

        self._fitted_mixture()
        return text(document(self.fitted_))

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the model to a file, atomically; `mixtura.load` reads it."""
        from mixtura import modelfile

        self._fitted_mixture()
        modelfile.save(path, self.fitted_, force=force)

    # -- inside ---------------------------------------------------------------------

    def _fitted_mixture(self) -> Mixture:
        check_is_fitted(self, "mixture_")
        return self.mixture_

    def _executor(self) -> Executor:
        return self.executor or Local(self.n_threads)

    def _scored(self, X: Any) -> list[tuple[Array, Array]]:
        """Log-density and responsibilities of each block of X."""
        mixture = self._fitted_mixture()
        source = self._source(X, reset=False)
        n_threads = thread_count(self.n_threads)
        scored = []
        for block in source.blocks():
            check_block(block, source)
            check_support(mixture.family, block, source)
            scored += [(log_density, R) for _, log_density, R in mixture.slices(block.X, n_threads)]
        return scored

    def _log_likelihood(self, X: Any, sample_weight: Any) -> tuple[float, float]:
        mixture = self._fitted_mixture()
        source = self._source(X, reset=False, weights=sample_weight)
        for block in source.blocks():
            check_block(block, source)
            check_support(mixture.family, block, source)
        stats = self._executor().reduce(mixture.evaluate, source)
        return stats.loglik, stats.mass

    def _source(
        self, X: Any, *, reset: bool, weights: Any = None, labels: Any = None
    ) -> DataSource:
        """Rows as a source, with the checks that scikit-learn's users know."""
        weights = weights if weights is None or isinstance(weights, str) else np.asarray(weights)
        labels = _codes(labels, self.n_components) if reset else None
        names = None if reset else getattr(self, "feature_names_in_", None)
        options = {
            "weights": weights,
            "labels": labels,
            "missing": self.missing if reset else "error",
        }
        if isinstance(X, (str, Path, DataSource, np.memmap)) or _is_frame(X):
            if names is not None and not isinstance(X, DataSource):
                options["columns"] = list(names)
            source = as_source(X, **options)
            if reset:
                self._remember(X, source)
        else:
            X = validate_data(
                self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite=False,
                ensure_min_samples=2 if reset else 1,
            )  # fmt: skip
            source = as_source(X, **options)
        if source.n_features != self.n_features_in_:
            raise DataError.width(source.n_features, self.n_features_in_, type(self).__name__)
        return source

    def _remember(self, X: Any, source: DataSource) -> None:
        self.n_features_in_ = source.n_features
        named = not isinstance(X, (np.memmap, DataSource))
        if named and all(isinstance(c, str) for c in getattr(X, "columns", [])):
            self.feature_names_in_ = np.array(source.columns, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _watch(self) -> Callable[[Step], None] | None:
        if not self.verbose:
            return None

        def report(step: Step) -> None:
            if step.iteration % self.verbose_interval == 0:
                mean = step.objective / step.stats.mass
                print(
                    f"iteration {step.iteration:>5}   log-likelihood/row {mean:.8f}",
                    file=sys.stdout,
                )

        return report


class GaussianMixture(MixtureModel):
    """Gaussian mixture: a drop-in for ``sklearn.mixture.GaussianMixture``.

    The arguments, fitted attributes and methods of scikit-learn's class are
    there under the same names. Where they are left alone, the defaults aim at
    the right answer: several starts, a tight stopping rule, and a covariance
    floor relative to the data in place of an absolute constant.

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    covariance_type : str, default="full"
        "full", "tied", "diag", "spherical", or one of the 14 names EII ... VVV.
    tol : float, optional
        As in scikit-learn when given: stop when one iteration gains less than
        `tol` nats per row. Default: projected remaining gain below 1e-8.
    reg_covar : float, optional
        As in scikit-learn when given: added to all variances, in squared units
        of the data. Default: covariances are kept above 1e-6 of the data's own
        covariance (in every direction), which ordinary fits never touch.
    max_iter : int, default=1000
        Greatest number of EM iterations.
    n_init : int, optional
        Number of starts. Default: 10.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, optional
        Kind of start; the same as giving that word to `start`.
    weights_init, means_init, precisions_init : array, optional
        Initial values that replace those of the start; components keep their order.
    random_state : int, RandomState or None, default=None
        Seed. Same seed, same model.
    warm_start : bool, default=False
        Start from the previous fit.
    verbose, verbose_interval : int
        Progress on standard output.
    start : str, array or Mixture, default="auto"
        See `MixtureModel`.
    on_degenerate, missing, record, n_threads, executor
        See `MixtureModel`.

    Attributes
    ----------
    weights_, means_, covariances_, precisions_, precisions_cholesky_ : ndarray
        As in scikit-learn; "tied" has one matrix (d, d).
    converged_, n_iter_, lower_bound_, lower_bounds_ : bool, int, float, list
        As in scikit-learn, except that `lower_bound_` belongs to the returned
        parameters: it equals ``score`` of the fitted rows.
    log_likelihood_ : float
        Total, in nats.
    trace_ : Trace
        Objective and bound per iteration.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(6, 1, (100, 2))])
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> model.weights_.round(2)
    array([0.67, 0.33])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **{k: v for k, v in MixtureModel._parameter_constraints.items() if k != "family"},
        "covariance_type": [str],
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), None],
        "init_params": [StrOptions(set(PARTITIONS)), None],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float | None = None,
        reg_covar: float | None = None,
        max_iter: int = 1000,
        n_init: int | None = None,
        init_params: str | None = None,
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        start: Start = "auto",
        on_degenerate: Policy = "repair",
        missing: str = "error",
        record: bool = False,
        n_threads: int | None = None,
        executor: Executor | None = None,
    ) -> None:
        super().__init__(
            n_components=n_components, tol=tol, max_iter=max_iter, n_init=n_init, start=start,
            random_state=random_state, warm_start=warm_start, on_degenerate=on_degenerate,
            missing=missing, record=record, n_threads=n_threads, executor=executor,
            verbose=verbose, verbose_interval=verbose_interval,
        )  # fmt: skip
        del self.family
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init

    def _family(self, n_features: int) -> Gaussian:
        find_shape(self.covariance_type)
        return Gaussian(n_features, self.covariance_type, ridge=float(self.reg_covar or 0.0))

    def _plan(self, family: Family[Any]) -> tuple[Start, int, Callable[[Mixture], Mixture] | None]:
        start, n_starts, _ = super()._plan(family)
        if isinstance(start, str):
            start = self.init_params or start
        given = (self.weights_init, self.means_init, self.precisions_init)
        if isinstance(start, Mixture) or all(value is None for value in given):
            return start, n_starts, None
        return start, self.n_init or 1, self._put_given

    def _put_given(self, mixture: Mixture) -> Mixture:
        """Replace parts of an initial mixture by what the person gave, in units of the data."""
        family = mixture.family
        assert isinstance(family, Gaussian)
        plain = Gaussian(family.n_features, family.covariance)
        params = plain.adopt(mixture.params, family)
        K, d = mixture.n_components, family.n_features
        weights, means, covariances = mixture.weights, params.means, params.covariances
        if self.weights_init is not None:
            weights = _given("weights_init", self.weights_init, (K,))
            if (weights < 0).any() or abs(weights.sum() - 1.0) > 1e-6:
                raise UsageError.argument(
                    "weights_init", self.weights_init, "K numbers >= 0 that sum to one"
                )
            weights = weights / weights.sum()
        if self.means_init is not None:
            means = _given("means_init", self.means_init, (K, d))
        if self.precisions_init is not None:
            shape = _outside(covariances, family).shape
            precisions = _given("precisions_init", self.precisions_init, shape)
            covariances = _inverse(precisions).reshape(covariances.shape)
        return Mixture(family, weights, family.adopt(plain.params(means, covariances), plain))

    @property
    def covariances_(self) -> Array:
        """Covariances in squared units of the data: (K, d, d), (d, d), (K, d) or (K,)."""
        mixture = self._fitted_mixture()
        assert isinstance(mixture.family, Gaussian)
        return _outside(mixture.family.covariances(mixture.params), mixture.family)

    @property
    def precisions_(self) -> Array:
        """Inverses of the covariances, laid out like them."""
        root = self.precisions_cholesky_
        if root.ndim > 1 and self._is_matrix():
            return np.asarray(root @ np.swapaxes(root, -1, -2))
        return root**2

    @property
    def precisions_cholesky_(self) -> Array:
        """Upper triangular U with U U' = precision; for diag and spherical 1 / sd."""
        mixture = self._fitted_mixture()
        family = mixture.family
        assert isinstance(family, Gaussian)
        factors = mixture.params.factors
        if self._is_matrix():
            factors = np.swapaxes(factors, -1, -2)
        if family.exponents:
            e = np.asarray(family.exponents)
            by_column = -e if family.geometry is not Geometry.SPHERICAL else -e[0]
            factors = np.ldexp(factors, by_column[:, None] if self._is_matrix() else by_column)
        return _outside(factors, family)

    def _is_matrix(self) -> bool:
        return find_shape(self.covariance_type).geometry in (Geometry.DENSE, Geometry.TIED)


def _outside(arrays: Array, family: Gaussian) -> Array:
    """What all components share has no axis for them, as scikit-learn lays it out."""
    return arrays[0] if family.shape.is_shared else arrays


def _inverse(precisions: Array) -> Array:
    if precisions.ndim > 1 and precisions.shape[-1] == precisions.shape[-2]:
        return np.linalg.inv(precisions)
    return 1.0 / precisions


def _given(name: str, value: Any, shape: tuple[int, ...]) -> Array:
    array = np.asarray(value, dtype=float)
    if array.shape != shape or not np.isfinite(array).all():
        raise UsageError.argument(
            name, f"array of shape {array.shape}", f"finite numbers of shape {shape}"
        )
    return array


def _is_frame(X: Any) -> bool:
    return bool(nw.dependencies.is_into_dataframe(X))


def _codes(labels: Any, n_components: int) -> Any:
    """Known labels as numbers: whole numbers as they are, other values in sorted order."""
    if labels is None or isinstance(labels, str):
        return labels
    array = np.asarray(labels)
    if array.dtype.kind in "iuf":
        return array
    return np.unique(array, return_inverse=True)[1]


def _seed(random_state: Any) -> int:
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
