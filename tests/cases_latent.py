"""Cases of families with latent scales: Student's t and the negative binomial."""

from __future__ import annotations

import numpy as np
from scipy import stats

from mixtura.families import CustomFamily
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


# -- a person's own density --------------------------------------------------------------------


def logistic(params, X):
    """Independent logistic columns with one scale."""
    z = (X - params["centre"]) * np.exp(-params["log_scale"])
    return (-z - 2 * np.logaddexp(0, -z) - params["log_scale"]).sum(axis=1)


def logistic_gradient(params, X):
    shrink = np.exp(-params["log_scale"])
    z = (X - params["centre"]) * shrink
    slope = np.tanh(z / 2)
    return {"centre": slope * shrink, "log_scale": (z * slope - 1).sum(axis=1)}


def logistic_start(mean, covariance):
    variance = np.trace(covariance) / len(mean)
    return {"centre": mean, "log_scale": 0.5 * np.log(variance * 3 / np.pi**2)}


def logistic_draw(params, n, rng):
    return rng.logistic(params["centre"], np.exp(params["log_scale"]), (n, len(params["centre"])))


def custom_family(d: int, **options) -> CustomFamily:
    first = {"centre": np.zeros(d), "log_scale": 0.0}
    options = {"start": logistic_start, "draw": logistic_draw, **options}
    return CustomFamily(logistic, parameters=first, n_features=d, **options)


def custom_case(d: int, **options) -> Case:
    family = custom_family(d, **options)

    def draw(rng, n_components):
        centre = rng.normal(size=(n_components, d)) + 8.0 * np.arange(n_components)[:, None]
        params = family.params(centre=centre, log_scale=rng.uniform(-0.5, 0.5, n_components))
        spread = np.pi / np.sqrt(3) * np.exp(params.theta[:, [-1]]) * np.ones(d)
        return params._replace(row_mean=centre, row_spread=spread)

    def chart(params):
        return params.theta.size, lambda t: params._replace(
            theta=params.theta + t.reshape(params.theta.shape)
        )

    def log_density(params, X):
        scale = np.exp(params.theta[:, -1:])
        return stats.logistic(params.theta[:, :-1], scale).logpdf(X[:, None]).sum(axis=2)

    return Case(
        name=f"custom-{d}{'-gradient' if options else ''}",
        family=family,
        draw=draw,
        log_density=log_density,
        chart=chart,
        covariance=lambda params: params.row_spread[:, :, None] ** 2 * np.eye(d),
        coordinates=lambda params: (params.theta,),
        estimates=lambda params: (params.theta,),
        exact_information=False,
        heavy_tails=True,
    )


OWN_CASES = (custom_case(1), custom_case(2, gradient=logistic_gradient))
