"""A person's own density: a function of named parameters, fitted by scoring steps (door C)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy import linalg

from mixtura.errors import UsageError
from mixtura.families.base import Family, Profile
from mixtura.families.integral import DensityCheck, Spread, integrate
from mixtura.families.shown import Shown, shown_arrays
from mixtura.families.support import Remark, Support
from mixtura.stats import Array, IntArray, Stats

#: Log-density of a row where the function is not finite, in nats: it may not decide by infinity.
NOWHERE = -1e200

#: Directions with less information than this part of the greatest are left alone.
UNKNOWN = 1e-10

#: Outer products are taken to be larger than the curvature by one over this at most.
SHORTEST = 1e-4

Values = dict[str, Any]
LogDensity = Callable[[Values, Array], Array]
Gradient = Callable[[Values, Array], Mapping[str, Array]]
Start = Callable[[Array, Array], Mapping[str, Any]]
Draw = Callable[[Values, int, np.random.Generator], Array]


class CustomParams(NamedTuple):
    """Parameters of K components, and what their rows were like at the last step."""

    theta: Array  # (K, p), all parameters of a component end to end
    row_mean: Array  # (K, d), weighted mean of its rows
    row_spread: Array  # (K, d), weighted standard deviation of its rows
    information: Array  # (K, p, p), mean outer product of the scores of its rows


@dataclass(frozen=True, init=False)
class CustomFamily(Family[CustomParams]):
    r"""Any density log p(x) = f(parameters, x) whose parameters move it smoothly.

    Each pass takes one scoring step per component: the inverse of the summed outer
    products of the scores times their sum (Berndt et al. 1974), both weighted by
    responsibilities, which is the gradient of the log-likelihood of the mixture
    (Fisher's identity). A step that would lower the objective is halved until it does
    not; the fit's events say how often.

    Parameters
    ----------
    function : callable
        ``function(params, X)`` returns the log-density of each row, (n,), in nats;
        `params` is a dict of the parameters of one component. All real values must have
        a meaning: take logarithms of scales. It must be the log of a density: see
        `check_density`. To be sent to other processes it must be importable.
    parameters : mapping of str to float or array
        Names and first values; arrays give the shape.
    n_features : int, default=1
        Number of columns d.
    gradient : callable, optional
        ``gradient(params, X)`` returns a dict of derivatives, each (n, shape of the
        parameter). Default: central differences.
    start : callable, optional
        ``start(mean, covariance)`` returns rough parameters, as a dict, for rows of that
        mean (d,) and covariance (d, d). Default: the first values; mixtures need better.
    draw : callable, optional
        ``draw(params, n, rng)`` returns n random rows, (n, d).
    support : Support, default=Support.REAL
        Where the density is positive.
    checked : bool, default=False
        After a fit check that the density integrates to one, and warn if it does not.

    Notes
    -----
    Densities whose support moves with a parameter (a uniform's end points) have no
    score to step along; they are refused when the rows show it.

    Examples
    --------
    >>> import numpy as np
    >>> def laplace(params, X):  # smooth in both parameters almost everywhere
    ...     away = np.abs(X[:, 0] - params["centre"])
    ...     return -np.log(2.0) - params["log_scale"] - away / np.exp(params["log_scale"])
    >>> family = CustomFamily(laplace, parameters={"centre": 0.0, "log_scale": 0.0})
    >>> from mixtura import MixtureModel
    >>> X = np.random.default_rng(0).laplace(5.0, 2.0, size=(400, 1))
    >>> params = MixtureModel(family).fit(X).mixture_.params
    >>> bool(abs(family.values(params)["centre"][0] - np.median(X)) < 0.1)
    True
    """

    function: LogDensity
    parameters: tuple[tuple[str, tuple[int, ...], tuple[float, ...]], ...]
    gradient: Gradient | None
    start: Start | None
    draw: Draw | None
    support: Support  # type: ignore[misc]
    checked: bool
    origin: tuple[float, ...]
    name: ClassVar[str] = "custom"
    params_type: ClassVar[type] = CustomParams
    closed_form: ClassVar[bool] = False
    centred: ClassVar[bool] = True
    needs_profile: ClassVar[bool] = True

    def __init__(
        self,
        function: LogDensity,
        *,
        parameters: Any,
        n_features: int = 1,
        gradient: Gradient | None = None,
        start: Start | None = None,
        draw: Draw | None = None,
        support: Support = Support.REAL,
        checked: bool = False,
        origin: tuple[float, ...] = (),
        prior: None = None,
    ) -> None:
        if isinstance(parameters, Mapping):
            parameters = tuple(_declared(name, value) for name, value in parameters.items())
        if not parameters:
            raise UsageError.argument("parameters", {}, "names and first values, at least one")
        for name, value in (
            ("n_features", int(n_features)), ("prior", prior), ("function", function),
            ("parameters", parameters), ("gradient", gradient), ("start", start),
            ("draw", draw), ("support", support), ("checked", bool(checked)),
            ("origin", tuple(origin)),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    @property
    def monotone(self) -> bool:
        """A scoring step may overshoot."""
        return False

    @property
    def damped(self) -> bool:
        """The loop goes back halfway when the objective falls."""
        return True

    @property
    def stretches(self) -> bool:
        """All values of the parameters have a meaning."""
        return True

    def between(self, params: CustomParams, other: CustomParams, share: float) -> CustomParams:
        """Part of the way, or beyond; what the rows are like is known of the other end."""
        return other._replace(theta=params.theta + share * (other.theta - params.theta))

    # -- parameters -------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Numbers per component, p."""
        return sum(len(values) for _, _, values in self.parameters)

    def params(self, **values: Any) -> CustomParams:
        """Parameters of K components from named arrays with leading axis K."""
        parts = [np.asarray(values[name], dtype=float) for name, _, _ in self.parameters]
        theta = np.hstack([part.reshape(len(part), -1) for part in parts])
        K, d, p = len(theta), self.n_features, self.size
        return CustomParams(theta, np.zeros((K, d)), np.ones((K, d)), np.zeros((K, p, p)))

    def values(self, params: CustomParams) -> dict[str, Array]:
        """Named parameters of all components, each with leading axis K."""
        named = [self._named(row) for row in params.theta]
        return {name: np.array([one[name] for one in named]) for name, _, _ in self.parameters}

    def check_density(self, params: CustomParams, seed: int = 0) -> list[DensityCheck]:
        """Integrate each component's density over its support.

        Up to three columns by quadrature around the rows of the component, otherwise by
        importance sampling with a Student's t there. The result tells value and error.

        Examples
        --------
        >>> import numpy as np
        >>> family = CustomFamily(  # forgets the constant
        ...     lambda params, X: -0.5 * (X[:, 0] - params["mean"]) ** 2, parameters={"mean": 0.0}
        ... )
        >>> print(family.check_density(family.params(mean=[1.0]))[0])
        the density integrates to 2.50663, not to 1 (quadrature, error below 1e-08)
        """
        return [
            integrate(
                lambda X, k=k: self._one(params.theta[k], X),  # type: ignore[misc]
                self.support,
                Spread(params.row_mean[k], params.row_spread[k]),
                seed,
            )
            for k in range(len(params.theta))
        ]

    # -- EM ---------------------------------------------------------------------------

    def log_density(self, params: CustomParams, X: Array) -> Array:
        """Log-density of each row under each component, (n, K), in nats."""
        return np.stack([self._one(theta, X) for theta in params.theta], axis=1)

    def accumulate(self, params: CustomParams | None, X: Array, R: Array) -> Stats:
        """Sums of rows and their squares; then of the scores and their outer products.

        Before there are parameters: first and second moments about the origin.
        """
        K, d = R.shape[1], self.n_features
        if params is None:
            y = X - (np.array(self.origin) if self.origin else 0.0)
            second = np.einsum("ik,ij,il->kjl", R, y, y).reshape(K, d * d)
            total = np.hstack([R.T @ y, second])
            return Stats(R.sum(axis=0), total, np.zeros(0), mass=float(R.sum()))
        rows = []
        for k, theta in enumerate(params.theta):
            y, r = X - params.row_mean[k], R[:, k]
            score = self._scores(theta, X)
            outer = (score * r[:, None]).T @ score
            rows.append(np.concatenate([r @ y, r @ (y * y), r @ score, outer.ravel()]))
        return Stats(R.sum(axis=0), np.array(rows), np.zeros(0), mass=float(R.sum()))

    def maximise(self, stats: Stats, previous: CustomParams | None = None) -> CustomParams:
        """One scoring step; before there are parameters, rough ones from moments."""
        d, p = self.n_features, self.size
        n = np.where(stats.weight > 0, stats.weight, 1.0)[:, None]
        if previous is None:
            return self._first(stats)
        s1, s2, g, outer = np.split(stats.total, [d, 2 * d, 2 * d + p], axis=1)
        outer = outer.reshape(-1, p, p)
        self._refuse_unmoved(outer, stats.weight)
        # the first step has no objective behind it that could call it back
        n_known = np.where(previous.information.any(axis=(1, 2)), stats.weight, np.inf)
        theta = previous.theta + np.array(list(map(_step, outer, g, n_known)))
        shift = s1 / n
        spread = np.sqrt(np.maximum(s2 / n - shift * shift, 0.0))
        return CustomParams(theta, previous.row_mean + shift, spread, outer / n[:, :, None])

    def _first(self, stats: Stats) -> CustomParams:
        d, K = self.n_features, len(stats.weight)
        is_used = stats.weight > 0
        total = np.where(is_used[:, None], stats.total, stats.total.sum(axis=0))
        n = np.where(is_used, stats.weight, stats.weight.sum())[:, None]
        y = total[:, :d] / n
        covariance = (total[:, d:] / n).reshape(K, d, d) - y[:, :, None] * y[:, None, :]
        mean = y + (np.array(self.origin) if self.origin else 0.0)
        spread = np.sqrt(np.maximum(np.einsum("kii->ki", covariance), 0.0))
        given = np.concatenate([values for _, _, values in self.parameters])
        theta = np.repeat(given[None], K, axis=0)
        if self.start is not None:
            theta = np.array([
                self._flat(self.start(m, c)) for m, c in zip(mean, covariance, strict=True)
            ])  # fmt: skip
        return CustomParams(theta, mean, spread, np.zeros((K, self.size, self.size)))

    def _refuse_unmoved(self, outer: Array, weight: Array) -> None:
        """Refuse a parameter that changes the density of no row."""
        still = (np.einsum("kii->ki", outer) == 0.0).all(axis=0)
        if still.any() and weight.sum() > 0:
            names = [name for name, _, values in self.parameters for _ in values]
            raise UsageError.argument(
                "parameters", names[int(np.argmax(still))],
                "one that moves the log-density of some row: scoring cannot estimate what only "
                "moves the support (the end points of a uniform), or is not used at all",
            )  # fmt: skip

    def adapted(self, profile: Profile) -> CustomFamily:
        """Take the first moments about the mean of the data."""
        return replace(self, origin=tuple(np.ldexp(profile.mean, profile.exponents).tolist()))

    # -- what people ask of it ------------------------------------------------------------

    def remarks(self, params: CustomParams) -> list[Remark]:
        """Say where the density does not integrate to one, if that is to be checked."""
        found = super().remarks(params)
        if self.checked:
            checks = enumerate(self.check_density(params))
            found += [Remark(k, f"is no density: {check}") for k, check in checks if not check.ok]
        return found

    def sample(self, params: CustomParams, labels: IntArray, rng: np.random.Generator) -> Array:
        """Rows that the person's function draws, (n, d).

        Raises
        ------
        UsageError
            There is no such function.
        """
        if self.draw is None:
            raise UsageError.argument(
                "draw",
                None,
                "a function draw(params, n, rng), to sample from a density of one's own",
            )
        rows = np.empty((len(labels), self.n_features))
        for k, theta in enumerate(params.theta):
            own = labels == k
            drawn = self.draw(self._named(theta), int(own.sum()), rng)
            rows[own] = np.asarray(drawn, dtype=float).reshape(-1, self.n_features)
        return rows

    def n_free(self, n_components: int) -> int:
        """All numbers in the parameters."""
        return n_components * self.size

    def mean(self, params: CustomParams) -> Array:
        """Mean of each component's rows at the last step, (K, d): the density's is not known."""
        return params.row_mean

    def score(self, params: CustomParams, stats: Stats) -> tuple[Array, ...]:
        """Sum of the scores, (K, p)."""
        d = self.n_features
        return (stats.total[:, 2 * d : 2 * d + self.size],)

    def standard_errors(self, params: CustomParams, weight: Array) -> tuple[Array, ...]:
        """Of each parameter, from the outer products of the scores of the rows."""
        spread = np.array([linalg.pinvh(one) for one in params.information])
        errors = np.sqrt(np.einsum("kii->ki", spread) / weight[:, None])
        ends = np.cumsum([len(values) for _, _, values in self.parameters])[:-1]
        shapes = [shape for _, shape, _ in self.parameters]
        parts = np.split(errors, ends, axis=1)
        return tuple(part.reshape(-1, *own) for part, own in zip(parts, shapes, strict=True))

    def shown(
        self, params: CustomParams, weight: Array | None = None, labels: Any = ()
    ) -> list[Shown]:
        """The parameters under their names."""
        del labels
        errors = None if weight is None else self.standard_errors(params, weight)
        return shown_arrays(self.values(params), errors, 0)

    def config(self) -> dict[str, Any]:
        """Names and shapes of the parameters; the function itself is not written to files."""
        shapes = {name: list(shape) for name, shape, _ in self.parameters}
        return {"n_features": self.n_features, "parameters": shapes}

    def restored(self, config: Any, n_features: int) -> CustomFamily | None:
        """Return this family, if the file's parameters have its names and shapes."""
        return self if config == self.config() and n_features == self.n_features else None

    def to_arrays(self, params: CustomParams) -> dict[str, Array]:
        """The parameters under their names, and what their rows were like."""
        return {
            **{f"theta.{name}": array for name, array in self.values(params).items()},
            "row_mean": params.row_mean,
            "row_spread": params.row_spread,
            "information": params.information,
        }

    def from_arrays(self, arrays: dict[str, Array]) -> CustomParams:
        """Parameters from named arrays."""
        values = {name: arrays[f"theta.{name}"] for name, _, _ in self.parameters}
        K, d, p = len(arrays["row_mean"]), self.n_features, self.size
        for name, shape, _ in self.parameters:
            if values[name].shape != (K, *shape):
                raise UsageError.argument(name, values[name].shape, f"of shape {(K, *shape)}")
        if arrays["row_spread"].shape != (K, d) or arrays["information"].shape != (K, p, p):
            raise UsageError.argument(
                "information", arrays["information"].shape, f"({K}, {p}, {p})"
            )
        kept = (arrays[name] for name in ("row_mean", "row_spread", "information"))
        return CustomParams(self.params(**values).theta, *kept)

    def describe(self) -> str:
        """Name of the function."""
        return f"own density '{getattr(self.function, '__name__', 'function')}'"

    # -- inside -----------------------------------------------------------------------------

    def _named(self, theta: Array) -> Values:
        values, at = {}, 0
        for name, shape, numbers in self.parameters:
            own = theta[at : at + len(numbers)]
            values[name] = own.reshape(shape) if shape else float(own[0])
            at += len(numbers)
        return values

    def _flat(self, values: Mapping[str, Any]) -> Array:
        parts = [
            np.broadcast_to(np.asarray(values[name], dtype=float), shape).ravel()
            for name, shape, _ in self.parameters
        ]
        return np.concatenate(parts)

    def _one(self, theta: Array, X: Array) -> Array:
        """Log-density of one component, finite everywhere."""
        with np.errstate(all="ignore"):  # steps that overshoot are called back
            found = np.asarray(self.function(self._named(theta), X), dtype=float)
        if found.shape != (len(X),):
            raise UsageError.argument(
                "function", f"values of shape {found.shape}", f"one number per row, ({len(X)},)"
            )
        return np.where(np.isfinite(found), np.maximum(found, NOWHERE), NOWHERE)

    def _scores(self, theta: Array, X: Array) -> Array:
        """Derivatives of the log-density of each row in theta, (n, p)."""
        if self.gradient is not None:
            with np.errstate(all="ignore"):
                given = self.gradient(self._named(theta), X)
            parts = [
                np.asarray(given[name], float).reshape(len(X), -1) for name, _, _ in self.parameters
            ]
            found = np.hstack(parts)
            if found.shape[1] != self.size:
                raise UsageError.argument(
                    "gradient", f"{found.shape[1]} numbers per row", f"{self.size} of them"
                )
        else:
            steps = np.cbrt(np.finfo(float).eps) * np.maximum(np.abs(theta), 1.0)
            columns = []
            for move in np.diag(steps):
                there, back = self._one(theta + move, X), self._one(theta - move, X)
                known = (there > NOWHERE) & (back > NOWHERE)
                columns.append(np.where(known, there - back, 0.0) / (2.0 * move.max()))
            found = np.stack(columns, axis=1)
        return np.where(np.isfinite(found), found, 0.0)


def _declared(name: str, value: Any) -> tuple[str, tuple[int, ...], tuple[float, ...]]:
    array = np.asarray(value, dtype=float)
    if not array.size or not np.isfinite(array).all():
        raise UsageError.argument(f"parameters[{name!r}]", value, "finite first values")
    return str(name), array.shape, tuple(array.ravel().tolist())


def _step(outer: Array, g: Array, weight: float) -> Array:
    """Inverse of the scores' covariance times their sum, in the directions that are known.

    Far from the maximum outer products measure the distance rather than the curvature;
    taken about the mean score g / n they are smaller by the factor 1 - g' S^-1 g / n.
    """
    scale = np.sqrt(np.diagonal(outer))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = linalg.eigh(outer / (scale[:, None] * scale))
    known = values > UNKNOWN * max(values[-1], 1e-300)
    V = vectors[:, known]
    step = V @ ((V.T @ (g / scale)) / values[known]) / scale
    explained = float(g @ step) / weight if weight > 0 else 0.0
    return np.asarray(step / max(1.0 - explained, SHORTEST))
