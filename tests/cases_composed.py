"""Cases of the families that are made of others: noise beside any family, and products."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixtura.families import WithNoise
from tests.cases import Case, gaussian_case, poisson_case

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


COMPOSED_CASES = (
    noise_case(gaussian_case("VVV", 2), -20.0, 30.0),
    noise_case(gaussian_case("EEE", 1), -20.0, 30.0),
    noise_case(poisson_case(1), 0.0, 80.0),
)
