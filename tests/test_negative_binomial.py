"""Negative binomial counts: estimates against another optimiser, the Poisson limit, digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy import optimize, stats

from mixtura import Aitken, MixtureModel, Poisson, as_source, fit_mixture, load
from mixtura.families.negative_binomial import (
    GREATEST_SIZE,
    NegativeBinomial,
    NegativeBinomialParams,
)
from mixtura.families.rising import log_rising


@pytest.mark.parametrize("a", [1e-3, 0.5, 3.0, 19.9, 20.0, 100.0, 1e4, 1e6, 1e9, 1e13])
@pytest.mark.parametrize("x", [0.0, 0.5, 1.0, 1.5, 7.0, 50.0, 1e3, 1e6])
def test_ratios_of_gamma_functions_keep_their_digits(a, x):
    mpmath.mp.dps = 50
    truth = mpmath.loggamma(mpmath.mpf(a) + x) - mpmath.loggamma(a) - x * mpmath.log(a)
    found = log_rising(np.array([a]), np.array([x]))[0]
    assert abs(found - truth) <= 1e-12 * abs(truth) + 2e-13 * min(1.0, (x + 1) / a)


@pytest.mark.parametrize(("size", "chance"), [(0.3, 0.05), (3, 0.3), (40, 0.6), (300, 0.9)])
def test_one_density_reaches_what_an_optimiser_finds(size, chance):
    rng = np.random.default_rng(int(size))
    X = rng.negative_binomial(size, chance, size=(3000, 1)).astype(float)
    fitted = fit_mixture(NegativeBinomial(1), as_source(X), 1, stop=Aitken(1e-11))
    mean = X.mean()

    def loss(t):
        return -stats.nbinom.logpmf(X, np.exp(t), np.exp(t) / (np.exp(t) + mean)).sum()

    best = optimize.minimize_scalar(
        loss, bounds=(-5, 15), method="bounded", options={"xatol": 1e-10}
    )
    assert fitted.mixture.params.mean[0, 0] == pytest.approx(mean, rel=1e-12)
    assert fitted.log_likelihood == pytest.approx(-best.fun, abs=1e-6)
    assert fitted.mixture.params.size[0, 0] == pytest.approx(np.exp(best.x), rel=1e-3)


def test_a_mixture_reaches_what_an_optimiser_finds():
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.negative_binomial(3, 0.5, 500), rng.negative_binomial(8, 0.2, 300)])
    fitted = fit_mixture(NegativeBinomial(1), as_source(X[:, None]), 2, stop=Aitken(1e-11))

    def loss(t):
        share, (m, r) = 1 / (1 + np.exp(-t[0])), np.exp(t[1:].reshape(2, 2))
        p = stats.nbinom.pmf(X[:, None], r, r / (r + m)) @ [share, 1 - share]
        return -np.log(p).sum()

    w, (mean, size) = fitted.mixture.weights, fitted.mixture.params
    at = np.concatenate([[np.log(w[0] / w[1])], np.log(mean.ravel()), np.log(size.ravel())])
    assert loss(at) == pytest.approx(-fitted.log_likelihood, rel=1e-12)
    best = optimize.minimize(loss, at + 0.1, method="BFGS", options={"gtol": 1e-6})
    assert fitted.log_likelihood == pytest.approx(-best.fun, abs=1e-4)


@pytest.mark.parametrize("kind", ["constant", "binomial", "even"])
def test_counts_that_vary_less_than_poisson_are_the_poisson_limit(kind):
    rng = np.random.default_rng(2)
    X = {
        "constant": np.full(200, 4.0),
        "binomial": rng.binomial(10, 0.5, 500).astype(float),
        "even": np.tile([4.0, 5.0, 6.0], 60),
    }[kind][:, None]
    fitted = fit_mixture(NegativeBinomial(1), as_source(X), 1)
    poisson = fit_mixture(Poisson(1), as_source(X), 1)
    assert fitted.mixture.params.size[0, 0] == GREATEST_SIZE
    assert fitted.log_likelihood == pytest.approx(poisson.log_likelihood, abs=1e-5)
    assert any("boundary" in note and "Poisson" in note for note in fitted.warnings)


def test_a_finite_size_is_left_at_once_where_counts_vary_too_little():
    """Not by ever smaller steps: the likelihood of the size has its supremum at infinity."""
    X = as_source(np.tile([4.0, 5.0, 6.0], 60)[:, None])
    start = fit_mixture(NegativeBinomial(1), X, 1).mixture
    params = NegativeBinomialParams(start.params.mean, np.full((1, 1), 5.0))
    fitted = fit_mixture(
        NegativeBinomial(1), X, 1, start=type(start)(start.family, start.weights, params)
    )
    assert fitted.mixture.params.size[0, 0] == GREATEST_SIZE
    assert fitted.n_iter <= 3
    assert (np.diff(fitted.trace.objective) >= -1e-9).all()


def test_a_great_size_is_the_poisson_density_to_all_digits():
    x = np.arange(60.0)[:, None]
    params = NegativeBinomialParams(np.array([[7.0]]), np.array([[1e15]]))
    found = NegativeBinomial(1).log_density(params, x)[:, 0]
    np.testing.assert_allclose(found, stats.poisson.logpmf(x[:, 0], 7.0), rtol=1e-11, atol=1e-11)


def test_a_component_leaves_the_poisson_limit_when_its_rows_spread():
    X = np.random.default_rng(3).negative_binomial(3, 0.3, size=(800, 1)).astype(float)
    start = fit_mixture(NegativeBinomial(1), as_source(X), 1).mixture
    best = start.log_density(X).sum()
    limit = NegativeBinomialParams(start.params.mean, np.full((1, 1), GREATEST_SIZE))
    stuck = type(start)(start.family, start.weights, limit)
    fitted = fit_mixture(
        NegativeBinomial(1), as_source(X), 1, start=stuck, stop=Aitken(1e-11), accelerate=False
    )
    assert fitted.log_likelihood == pytest.approx(best, abs=1e-4)
    assert (np.diff(fitted.trace.objective) >= -1e-9).all()


def test_great_counts_lose_no_digits():
    """Mean 1e9, standard deviation 1e5: the square of the mean has 18 digits."""
    X = np.round(1e9 + 1e5 * np.random.default_rng(4).normal(size=(500, 1)))
    fitted = fit_mixture(NegativeBinomial(1), as_source(X), 1)
    mean, variance = X.mean(), X.var()
    found = fitted.mixture.params
    assert found.mean[0, 0] == pytest.approx(mean, rel=1e-12)
    assert found.size[0, 0] == pytest.approx(mean**2 / (variance - mean), rel=0.01)


@pytest.mark.parametrize(("mean", "size"), [(4.0, 2.0), (0.3, 0.5), (50.0, 30.0), (4e4, 3.0)])
def test_standard_errors_are_from_the_expected_information(mean, size):
    """Against second differences of the log-density, summed over all values."""
    top = int(mean + 60 * np.sqrt(mean + mean**2 / size))
    x = np.arange(top + 1.0)
    p = stats.nbinom.pmf(x, size, size / (size + mean))

    def expected(m, r):
        return p @ stats.nbinom.logpmf(x, r, r / (r + m))

    h = 1e-3 * size
    curvature = -(expected(mean, size + h) - 2 * expected(mean, size) + expected(mean, size - h))
    params = NegativeBinomialParams(np.array([[mean]]), np.array([[size]]))
    errors = NegativeBinomial(1).standard_errors(params, np.array([100.0]))
    assert errors[0][0, 0] == pytest.approx(np.sqrt((mean + mean**2 / size) / 100), rel=1e-12)
    assert errors[1][0, 0] == pytest.approx(np.sqrt(h * h / curvature / 100), rel=2e-3)


def test_distribution_function():
    params = NegativeBinomialParams(np.array([[4.0], [9.0]]), np.array([[2.5], [30.0]]))
    x = np.array([-1.0, 0.0, 0.5, 3.0, 40.0])
    truth = stats.nbinom(params.size[:, 0], (params.size / (params.size + params.mean))[:, 0])
    found = NegativeBinomial(1).cdf(params, x)
    np.testing.assert_allclose(found, truth.cdf(x[:, None]), atol=1e-13)


def test_an_estimator_and_a_file(tmp_path):
    X = np.random.default_rng(5).negative_binomial(2, 0.2, size=(300, 2)).astype(float)
    model = MixtureModel("negative_binomial").fit(X)
    model.save(tmp_path / "n.mixtura")
    again = load(tmp_path / "n.mixtura")
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    assert "size" in model.summary()
    plain = MixtureModel("poisson").fit(X)
    assert model.bic(X) < plain.bic(X)
