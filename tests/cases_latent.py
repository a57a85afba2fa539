"""Cases of families with latent scales: Student's t and the negative binomial."""

from __future__ import annotations

import numpy as np
from scipy import stats

from mixtura.families.negative_binomial import NegativeBinomial, NegativeBinomialParams
from mixtura.families.student import Student, StudentParams
from tests.cases import Case, full_covariances, gaussian_case


def student_case(shape: str, d: int, *, equal: bool = False, freedom: float = 0.0) -> Case:
    """Student's t; its scale matrices are charted like the Gaussian's covariances."""
    base = gaussian_case(shape, d)
    family = Student(d, shape, freedom=freedom, equal_freedom=equal)

    def draw(rng, n_components):
        params = base.draw(rng, n_components)
        nu = rng.uniform(3.5, 12.0, 1 if equal else n_components)
        return StudentParams(*params, np.array([freedom]) if freedom else nu)

    def chart(params):
        size, at_gaussian = base.chart(params)
        n_freedom = 0 if freedom else len(params.freedom)

        def at(t):
            nu = params.freedom * (np.exp(t[size:]) if n_freedom else 1.0)
            return StudentParams(*at_gaussian(t[:size]), nu)

        return size + n_freedom, at

    def log_density(params, X):
        full = full_covariances(d, params)
        nu = np.broadcast_to(params.freedom, len(full))
        columns = [
            stats.multivariate_t(mean, S, df=df).logpdf(X).reshape(len(X))
            for mean, S, df in zip(params.means, full, nu, strict=True)
        ]
        return np.stack(columns, axis=1)

    def covariance(params):
        nu = np.broadcast_to(params.freedom, len(params.means))[:, None, None]
        return full_covariances(d, params) * nu / (nu - 2)

    kind = "-equal" if equal else f"-{freedom:g}" if freedom else ""
    return Case(
        name=f"student-{shape}-{d}{kind}",
        family=family,
        draw=draw,
        log_density=log_density,
        chart=chart,
        covariance=covariance,
        coordinates=lambda params: (params.means, params.covariances, params.freedom),
        estimates=lambda params: (params.means, params.covariances, params.freedom),
        linear_map=base.linear_map,
        free=base.free,
        exact_information=False,
        heavy_tails=True,
    )


def negative_binomial_case(d: int) -> Case:
    def draw(rng, n_components):
        mean = rng.uniform(1.0, 4.0, (n_components, d)) + 6.0 * np.arange(n_components)[:, None]
        return NegativeBinomialParams(mean, rng.uniform(1.5, 8.0, (n_components, d)))

    def chart(params):
        def at(t):
            growth = np.exp(t.reshape(2, *params.mean.shape))
            return NegativeBinomialParams(params.mean * growth[0], params.size * growth[1])

        return 2 * params.mean.size, at

    def log_density(params, X):
        chance = params.size / (params.size + params.mean)
        return stats.nbinom.logpmf(X[:, None], params.size, chance).sum(axis=2)

    def covariance(params):
        return (params.mean + params.mean**2 / params.size)[:, :, None] * np.eye(d)

    return Case(
        name=f"negative-binomial-{d}",
        family=NegativeBinomial(d),
        draw=draw,
        log_density=log_density,
        chart=chart,
        covariance=covariance,
        coordinates=tuple,
        estimates=tuple,
        discrete=True,
        exact_information=False,
    )


LATENT_CASES = (
    student_case("VVV", 2),
    student_case("EEE", 2),
    student_case("VVI", 2),
    student_case("VII", 2),
    student_case("VEV", 2),
    student_case("VVV", 1),
    student_case("VVV", 3),
    student_case("VVV", 2, equal=True),
    student_case("VVV", 2, freedom=4.0),
    negative_binomial_case(1),
    negative_binomial_case(2),
)
