"""Gaussian mixtures: the arguments and attributes of ``sklearn.mixture.GaussianMixture``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from mixtura.degenerate import Policy
from mixtura.errors import UsageError
from mixtura.estimators.model import MixtureModel
from mixtura.executor import Executor
from mixtura.families import Family, Gaussian, Prior
from mixtura.families.gaussian import SHAPES, Geometry, find_shape
from mixtura.families.gaussian.precision import covariances_from_precisions, precision_roots
from mixtura.families.gaussian.shapes import WORDS
from mixtura.fitting import Start
from mixtura.mixture import Mixture
from mixtura.start import PARTITIONS
from mixtura.stats import Array


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
    init_params : {"kmeans", "k-means++", "random", "random_from_data", "hierarchical"}, optional
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
    weighting, prior, accelerate, on_degenerate, missing, record, n_threads, executor
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
        "covariance_type": [StrOptions({*WORDS, *SHAPES})],
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
        accelerate: bool | None = None,
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
        weighting: Any = "free",
        prior: Prior | Literal["default"] | None = None,
        on_degenerate: Policy = "repair",
        missing: Literal["error", "drop"] = "error",
        record: bool = False,
        n_threads: int | None = None,
        executor: Executor | None = None,
    ) -> None:
        super().__init__(
            n_components=n_components, tol=tol, max_iter=max_iter, accelerate=accelerate,
            n_init=n_init, start=start, weighting=weighting, prior=prior,
            random_state=random_state, warm_start=warm_start, on_degenerate=on_degenerate,
            missing=missing, record=record, n_threads=n_threads, executor=executor,
            verbose=verbose, verbose_interval=verbose_interval,
        )  # fmt: skip
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init

    def _family(self, n_features: int) -> Gaussian:
        return Gaussian(n_features, self.covariance_type, ridge=float(self.reg_covar or 0.0))

    def _plan(self, family: Family[Any]) -> tuple[Start, int, Callable[[Mixture], Mixture] | None]:
        start, n_starts, _ = super()._plan(family)
        if isinstance(start, Mixture):
            return start, n_starts, None
        if isinstance(start, str):
            start = self.init_params or start
        assert isinstance(family, Gaussian)
        given = _Given.of(self, int(self.n_components), family)
        if given.is_empty:
            return start, n_starts, None
        return given.whole() or start, self.n_init or 1, given.put

    @property
    def covariances_(self) -> Array:
        """Covariances in squared units of the data: (K, d, d), (d, d), (K, d) or (K,)."""
        mixture = self._fitted_mixture()
        return self._outside(mixture.family.covariances(mixture.params))  # type: ignore[attr-defined]

    @property
    def precisions_(self) -> Array:
        """Inverses of the covariances, laid out like them."""
        U = self.precisions_cholesky_
        is_matrix = find_shape(self.covariance_type).geometry in (Geometry.DENSE, Geometry.TIED)
        return np.asarray(U @ np.swapaxes(U, -1, -2) if is_matrix else U * U)

    @property
    def precisions_cholesky_(self) -> Array:
        """Upper triangular U with U U' = precision; for diag and spherical 1 / sd."""
        mixture = self._fitted_mixture()
        return self._outside(precision_roots(mixture.family, mixture.params))  # type: ignore[arg-type]

    def _outside(self, arrays: Array) -> Array:
        """What all components share has no axis for them, as scikit-learn lays it out."""
        return arrays[0] if find_shape(self.covariance_type).is_shared else arrays


@dataclass(frozen=True)
class _Given:
    """Parts of the initial mixture that the person gave, in units of the data."""

    plain: Gaussian
    weights: Array | None
    means: Array | None
    covariances: Array | None

    @classmethod
    def of(cls, model: GaussianMixture, n_components: int, family: Gaussian) -> _Given:
        """Check what was given.

        Raises
        ------
        UsageError
            A wrong shape, values that are not finite, weights that do not sum to one.
        DegenerateComponentError
            A precision that is not symmetric and positive definite.
        """
        K, d, shape = n_components, family.n_features, family.shape
        weights = _array("weights_init", model.weights_init, (K,))
        if weights is not None and ((weights < 0).any() or abs(weights.sum() - 1.0) > 1e-6):
            raise UsageError.argument(
                "weights_init", model.weights_init, "K numbers >= 0 that sum to one"
            )
        tail = {Geometry.DIAGONAL: (d,), Geometry.SPHERICAL: ()}.get(shape.geometry, (d, d))
        layout = tail if shape.is_shared else (K, *tail)
        covariances = _array("precisions_init", model.precisions_init, layout)
        if covariances is not None:
            covariances = covariances_from_precisions(
                covariances[None] if shape.is_shared else covariances, shape.geometry
            )
        return cls(
            Gaussian(d, family.covariance),
            None if weights is None else weights / weights.sum(),
            _array("means_init", model.means_init, (K, d)),
            covariances,
        )

    @property
    def is_empty(self) -> bool:
        """Nothing was given."""
        return self.weights is None and self.means is None and self.covariances is None

    def whole(self) -> Mixture | None:
        """Return the mixture itself, where everything was given and no start is needed."""
        if self.weights is None or self.means is None or self.covariances is None:
            return None
        return Mixture(self.plain, self.weights, self.plain.params(self.means, self.covariances))

    def put(self, mixture: Mixture) -> Mixture:
        """Replace the given parts of a mixture."""
        family, plain = mixture.family, self.plain
        params = plain.adopt(mixture.params, family)
        changed = plain.params(
            params.means if self.means is None else self.means,
            params.covariances if self.covariances is None else self.covariances,
        )
        weights = mixture.weights if self.weights is None else self.weights
        return Mixture(family, weights, family.adopt(changed, plain))


def _array(name: str, value: Any, shape: tuple[int, ...]) -> Array | None:
    if value is None:
        return None
    array = np.asarray(value, dtype=float)
    if array.shape != shape or not np.isfinite(array).all():
        raise UsageError.argument(
            name, f"array of shape {array.shape}", f"finite numbers of shape {shape}"
        )
    return array
