"""Special functions and solved equations against mpmath and SciPy, and fits on the boundary."""

from __future__ import annotations

import re

import mpmath
import numpy as np
import pytest
from scipy import optimize, stats

from mixtura import MixtureModel, as_source, estimate
from mixtura.families import Beta, BetaParams, VonMisesFisher
from mixtura.families.bessel import bessel_ratio, log_bessel
from mixtura.families.gamma import log_gap, shape_of_gap, trigamma_excess
from mixtura.families.vonmises import concentration_of

ORDERS = (0, 0.5, 1.5, 24, 49.5, 59.5, 60, 499, 4999)
ARGUMENTS = (1e-10, 0.5, 8.0, 30.0, 1e3, 9e5, 1.1e6, 1e8)


@pytest.mark.parametrize("order", ORDERS)
def test_bessel_functions_of_all_sizes(order):
    with mpmath.workdps(40):
        for x in ARGUMENTS:
            low, high = mpmath.besseli(order, x), mpmath.besseli(order + 1, x)
            truth = float(mpmath.log(low) - order * mpmath.log(mpmath.mpf(x) / 2))
            assert log_bessel(order, np.array([x]))[0] == pytest.approx(truth, rel=1e-13)
            ratio = bessel_ratio(order, np.array([x]))[0]
            assert ratio == pytest.approx(float(high / low), rel=1e-13)
    assert log_bessel(order, np.array([0.0]))[0] == pytest.approx(
        -float(mpmath.loggamma(order + 1)), rel=1e-14, abs=1e-14
    )


@pytest.mark.parametrize("d", [2, 3, 20, 200, 10_000])
def test_concentrations_come_back_from_the_mean_length(d):
    kappa = np.array([[0.0], [1e-6], [0.1], [1.0], [300.0], [1e4], [1e6]])
    length = bessel_ratio(d / 2 - 1, kappa)
    # the length is known to 1e-16, and its slope is (d - 1) / (2 kappa^2)
    known = 1e-12 + 4e-16 * kappa / (d - 1)
    assert (np.abs(concentration_of(length, d) - kappa) <= 10 * known * kappa).all()


def test_von_mises_fisher_is_what_an_optimiser_finds():
    X = VonMisesFisher(4).sample(
        VonMisesFisher(4).from_mean(np.array([[0.5, 0.3, -0.2, 0.1]])),
        np.zeros(300, dtype=int),
        np.random.default_rng(0),
    )
    fit = estimate(VonMisesFisher(4), as_source(X), 1)

    def loss(v):
        kappa = np.linalg.norm(v)
        return -stats.vonmises_fisher(v / kappa, kappa).logpdf(X).sum()

    best = optimize.minimize(loss, X.mean(axis=0), method="BFGS", options={"gtol": 1e-7})
    assert fit.log_density(X).sum() == pytest.approx(-best.fun, abs=1e-7)
    eta = (fit.params.concentration * fit.params.direction)[0]
    np.testing.assert_allclose(eta, best.x, rtol=1e-4)


def test_gamma_shapes_solve_their_equation():
    a = np.logspace(-3, 9, 100)[None]
    np.testing.assert_allclose(shape_of_gap(log_gap(a), np.full(100, 1e10)), a, rtol=1e-12)
    with mpmath.workdps(30):
        for x in (0.01, 1.0, 199.0, 201.0, 1e8):
            truth = mpmath.log(x) - mpmath.digamma(x), x * mpmath.polygamma(1, x) - 1
            found = log_gap(np.array([x]))[0], trigamma_excess(np.array([x]))[0]
            assert found == pytest.approx(tuple(map(float, truth)), rel=1e-12)


def test_beta_parameters_solve_their_equations():
    a, b = (g.reshape(1, -1) for g in np.meshgrid(*[np.logspace(-2, 4, 25)] * 2))
    family = Beta(a.shape[1])
    mean = family.mean_features(BetaParams(a, b))
    found = family.from_mean(mean)
    np.testing.assert_allclose(family.mean_features(found), mean, rtol=1e-11, atol=1e-13)
    plain = (a + b < 100) & (np.abs(np.log(a / b)) < 3)
    np.testing.assert_allclose(found.a[plain], a[plain], rtol=1e-10)


def test_a_bounded_concentration_is_the_best_on_the_bound():
    """Maximum of the concave log-likelihood on a + b = 50, by a scalar search."""
    m1, m2 = np.log(0.3), np.log(0.699)
    found = Beta(1, (50.0,)).from_mean(np.array([[m1, m2]]))
    assert found.a[0, 0] + found.b[0, 0] == pytest.approx(50, rel=1e-12)
    best = optimize.minimize_scalar(
        lambda a: -(a * m1 + (50 - a) * m2 - float(mpmath.log(mpmath.beta(a, 50 - a)))),
        bounds=(1, 49), options={"xatol": 1e-9},
    )  # fmt: skip
    assert found.a[0, 0] == pytest.approx(best.x, abs=1e-5)


SAME = {
    "gamma": (np.full((20, 1), 3.5), "its shape is bounded"),
    "lognormal": (np.full((20, 1), 3.5), "log_sd is on the floor"),
    "beta": (np.full((20, 1), 0.25), r"a \+ b is bounded"),
    "exponential": (np.zeros((20, 1)), "only zeros"),
    "vonmises-fisher": (np.tile([0.6, 0.8], (20, 1)), "one direction"),
    "bernoulli": (np.ones((20, 1)), "chance of 0 or 1 in 1 of 1"),
    "categorical": (np.full((20, 1), 2.0), "probability of 0 for 2 of 3"),
    "multinomial": (np.tile([4.0, 0.0], (20, 1)), "share of 0 for 1 of 2"),
}


@pytest.mark.parametrize("family", SAME)
def test_rows_that_are_all_the_same_have_a_finite_likelihood_and_a_remark(family):
    X, words = SAME[family]
    model = MixtureModel(family).fit(X)
    assert np.isfinite(model.log_likelihood_)
    assert np.isfinite(model.score_samples(X)).all()
    (note,) = model.fitted_.warnings
    assert re.search(words, note), note
    assert "component 0" in note
    assert model.summary()


@pytest.mark.parametrize("family", ["gamma", "lognormal", "beta"])
def test_a_spike_among_spread_rows_is_bounded(family):
    rng = np.random.default_rng(0)
    X = rng.uniform(0.1, 0.9, (100, 1))
    X[:30] = 0.5
    start = np.repeat([0, 1], [30, 70])
    model = MixtureModel(family, 2, start=start).fit(X)
    assert np.isfinite(model.log_likelihood_)
    assert model.mixture_.family.at_boundary(model.mixture_.params).tolist() == [True, False]
    assert any("component 0" in note for note in model.fitted_.warnings)


@pytest.mark.parametrize("family", ["gamma", "lognormal", "exponential"])
@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_units_of_positive_numbers_do_not_matter(family, scale):
    rng = np.random.default_rng(1)
    X = np.exp(rng.normal(0, 0.5, (200, 1))) * np.where(rng.random((200, 1)) < 0.4, 1, 30)
    one, other = (
        MixtureModel(family, 2, random_state=0).fit(X * s).log_likelihood_ for s in (1.0, scale)
    )
    assert other + 200 * np.log(scale) == pytest.approx(one, abs=1e-5)


@pytest.mark.parametrize("name", ["lognormal", "gamma", "exponential", "beta", "bernoulli"])
def test_marginals_of_independent_columns_multiply_to_the_joint_density(name):
    rng = np.random.default_rng(2)
    X = (rng.random((50, 3)) < 0.4).astype(float) if name == "bernoulli" else rng.random((50, 3))
    model = MixtureModel(name, 1).fit(X)
    family, params = model.mixture_.family, model.mixture_.params
    first, second = (family.marginal(params, at) for at in ([2, 0], [1]))
    total = first[0].log_density(first[1], X[:, [2, 0]])
    total = total + second[0].log_density(second[1], X[:, [1]])
    np.testing.assert_allclose(total, family.log_density(params, X), rtol=1e-10)
