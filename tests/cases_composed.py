"""Cases of the families that are made of others: noise beside any family, and products."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixtura.families import Part, Product, WithNoise
from tests.cases import Case, gaussian_case, poisson_case
from tests.cases_columns import bernoulli_case, categorical_case, gamma_case

# -- noise -------------------------------------------------------------------------------------


def noise_case(inner: Case, low: float, high: float) -> Case:
    """A family with noise over a box; of one component there is none."""
    d, discrete = inner.d, inner.discrete
    family = WithNoise(inner.family, (low,) * d, (high,) * d)
    side = high - low + discrete
    variance = (side**2 - discrete) / 12

    def own(params):
        return inner.family.params_type(*params[:-1])

    def draw(rng, n_components):
        params = inner.draw(rng, max(n_components - 1, 1))
        return family.params(params, np.arange(n_components) == max(n_components - 1, 1))

    def of_all(params, values, noise):
        """Values of the components: theirs, or those of the noise."""
        which = params.noise > 0.5
        result = np.empty((len(which), *noise.shape))
        result[:] = noise
        result[~which] = values
        return result

    def log_density(params, X):
        noise = np.full(len(X), -d * np.log(side))
        return of_all(params, inner.log_density(own(params), X).T, noise).T

    def chart(params):
        size, at = inner.chart(own(params))
        return size, lambda t: family.params(at(t), params.noise > 0.5)

    def grid():
        n = int(side) if discrete else 800
        axis = low + (np.arange(n) if discrete else (np.arange(n) + 0.5) * side / n)
        points = np.stack(np.meshgrid(*[axis] * d, indexing="ij"), axis=-1).reshape(-1, d)
        return points, np.full(len(points), (side / n) ** d)

    return replace(
        inner,
        name=f"noise-{inner.name}",
        family=family,
        draw=draw,
        log_density=log_density,
        chart=chart,
        covariance=lambda p: of_all(p, inner.covariance(own(p)), variance * np.eye(d)),
        coordinates=lambda p: inner.coordinates(own(p)),
        estimates=lambda p: inner.estimates(own(p)),
        grid=grid,
        linear_map=None,
    )


# -- products ----------------------------------------------------------------------------------


def product_case(*placed: tuple[Case, tuple[int, ...]]) -> Case:
    """Families side by side, each over its own columns."""
    cases = [case for case, _ in placed]
    places = [list(columns) for _, columns in placed]
    family = Product(tuple(Part(tuple(at), case.family) for case, at in placed))
    d, last = family.n_features, next(case for case, at in placed if family.n_features - 1 in at)

    def split(params):
        """Parameters of the parts, told by the numbers of their arrays."""
        rest, result = list(params), []
        for case in cases:
            kind = case.family.params_type
            result.append(kind(*rest[: len(kind._fields)]))
            rest = rest[len(kind._fields) :]
        return result

    def log_density(params, X):
        parts = zip(cases, split(params), places, strict=True)
        return sum(case.log_density(own, X[:, at]) for case, own, at in parts)

    def chart(params):
        charts = [case.chart(own) for case, own in zip(cases, split(params), strict=True)]
        ends = np.cumsum([size for size, _ in charts])

        def at(t):
            pieces = np.split(t, ends[:-1])
            return family.params(own(piece) for (_, own), piece in zip(charts, pieces, strict=True))

        return ends[-1], at

    def covariance(params):
        found = [case.covariance(own) for case, own in zip(cases, split(params), strict=True)]
        result = np.zeros((len(found[0]), d, d))
        for own, at in zip(found, places, strict=True):
            result[np.ix_(range(len(result)), at, at)] = own
        return result

    def of_parts(what):
        return lambda params: tuple(
            value
            for case, own in zip(cases, split(params), strict=True)
            for value in getattr(case, what)(own)
        )

    def grid():
        points, cells = np.zeros((1, d)), np.ones(1)
        for case, at in placed:
            own, sizes = own_grid(case)
            points = np.repeat(points, len(own), axis=0)
            points[:, list(at)] = np.tile(own, (len(cells), 1))
            cells = np.outer(cells, sizes).ravel()
        return points, cells

    return Case(
        name="product-" + "-".join(case.name for case in cases),
        family=family,
        draw=lambda rng, n: family.params(case.draw(rng, n) for case in cases),
        log_density=log_density,
        chart=chart,
        covariance=covariance,
        coordinates=of_parts("coordinates"),
        estimates=of_parts("estimates"),
        discrete=last.discrete,
        grid=grid,
        outside=last.outside,
        free=all(case.free for case in cases),
    )


def own_grid(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Points of the sample space of one part, and the size of their cells."""
    if case.grid is not None:
        return case.grid()
    axis = np.arange(60.0) if case.discrete else np.linspace(-15, 25, 161)
    points = np.stack(np.meshgrid(*[axis] * case.d, indexing="ij"), axis=-1).reshape(-1, case.d)
    return points, np.full(len(points), (axis[1] - axis[0]) ** case.d)


COMPOSED_CASES = (
    noise_case(gaussian_case("VVV", 2), -20.0, 30.0),
    noise_case(gaussian_case("EEE", 1), -20.0, 30.0),
    noise_case(poisson_case(1), 0.0, 80.0),
    product_case((gaussian_case("VVV", 2), (0, 2)), (categorical_case((2, 3)), (1, 3))),
    product_case((gaussian_case("EEE", 2), (1, 0)), (poisson_case(1), (2,))),
    product_case((gamma_case(1), (1,)), (bernoulli_case(1), (0,)), (categorical_case((3,)), (2,))),
)
