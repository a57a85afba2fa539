"""Exact posteriors: closed forms, and simulation-based calibration (Talts et al. 2018)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import gammaln

from mixtura import as_source
from mixtura.errors import UsageError
from mixtura.families import (
    Categorical,
    DirichletPrior,
    GammaPrior,
    Gaussian,
    NormalInverseWishart,
    Poisson,
)
from mixtura.posterior import GaussianPosterior, exact_posterior

NIW = NormalInverseWishart((1.0, -2.0), 0.7, 5.0, ((2.0, 0.6), (0.6, 1.0)))
N_DRAWS, N_RUNS, N_BINS = 31, 480, 16


# -- simulation-based calibration ------------------------------------------------------------------


def gaussian_run(rng):
    S = stats.invwishart.rvs(NIW.freedom, np.array(NIW.scale), random_state=rng)
    mean = rng.multivariate_normal(NIW.mean, S / NIW.shrinkage)
    X = rng.multivariate_normal(mean, S, size=7)
    found = exact_posterior(Gaussian(2), NIW, as_source(X))

    def numbers(means, covariances):
        det = np.linalg.det(covariances)
        return np.column_stack([means, covariances[:, 0], covariances[:, 1, 1], det])

    return numbers(mean[None], S[None])[0], lambda n: numbers(*found.sample(n, rng)[:2]), found


def poisson_run(rng):
    prior = GammaPrior((0.6, 4.0), 0.8)
    rate = rng.gamma(prior.shape, 1 / prior.rate)
    X = rng.poisson(rate, size=(5, 2)).astype(float)
    found = exact_posterior(Poisson(2), prior, as_source(X))
    return rate, lambda n: found.sample(n, rng).rate, found


def categorical_run(rng):
    prior = DirichletPrior((0.5, 2.0, 1.0, 3.0, 0.7))
    p = np.concatenate([rng.dirichlet([0.5, 2.0, 1.0]), rng.dirichlet([3.0, 0.7])])
    X = np.column_stack([rng.choice(3, 6, p=p[:3]), rng.choice(2, 6, p=p[3:])]).astype(float)
    found = exact_posterior(Categorical(2, levels=(3, 2)), prior, as_source(X))
    return p, lambda n: found.sample(n, rng).probability, found


def p_values(run, seed, spoil=lambda draws: draws):
    """Chi-squared tests of the ranks of the truth among draws, one per number."""
    rng = np.random.default_rng(seed)
    ranks = []
    for _ in range(N_RUNS):
        truth, draw, _ = run(rng)
        ranks.append((spoil(draw(N_DRAWS)) < truth).sum(axis=0))
    counts = [
        np.bincount(own * N_BINS // (N_DRAWS + 1), minlength=N_BINS) for own in np.transpose(ranks)
    ]
    return np.array([stats.chisquare(own).pvalue for own in counts])


@pytest.mark.parametrize("run", [gaussian_run, poisson_run, categorical_run])
def test_ranks_of_the_truth_are_uniform(run):
    p = p_values(run, 1)
    print(run.__name__, p.round(3))
    assert p.min() > 1e-3


@pytest.mark.parametrize("run", [gaussian_run, poisson_run, categorical_run])
def test_draws_that_are_too_narrow_are_found_out(run):
    """Drawn halfway to their mean, ranks pile up at the ends."""
    p = p_values(run, 2, spoil=lambda draws: (draws + draws.mean(axis=0)) / 2)
    assert p.max() < 1e-6


# -- closed forms ----------------------------------------------------------------------------------


def chain(family, prior, X, first):
    """log p(x_1) + log p(x_2 | x_1) + ... by predictive densities."""
    total = first
    for i in range(1, len(X)):
        before = exact_posterior(family, prior, as_source(X[:i]))
        total += before.predictive.log_density(X[i : i + 1])[0]
    return total


@pytest.mark.parametrize("kind", ["gaussian", "poisson", "categorical"])
def test_the_marginal_likelihood_is_the_chain_of_predictives(kind):
    rng = np.random.default_rng(3)
    if kind == "gaussian":
        family, prior, X = Gaussian(2), NIW, rng.normal(size=(6, 2)) + 3
        spread = np.array(NIW.scale) * 1.7 / (0.7 * 4)
        first = stats.multivariate_t(NIW.mean, spread, df=4).logpdf(X[0])
    elif kind == "poisson":
        family, prior = Poisson(2), GammaPrior((0.6, 4.0), 0.8)
        X = rng.poisson(3, (6, 2)) * 1.0
        first = stats.nbinom.logpmf(X[0], [0.6, 4.0], 0.8 / 1.8).sum()
    else:
        family, prior = Categorical(1, levels=(3,)), DirichletPrior((0.5, 2.0, 1.0))
        X = rng.integers(0, 3, (6, 1)) * 1.0
        first = np.log(np.array([0.5, 2.0, 1.0])[int(X[0, 0])] / 3.5)
    found = exact_posterior(family, prior, as_source(X)).log_marginal_likelihood
    assert found == pytest.approx(chain(family, prior, X, first), rel=1e-10)


def test_predictive_densities_are_those_of_scipy():
    X = np.random.default_rng(4).normal(size=(9, 2)) + 2
    found = exact_posterior(Gaussian(2), NIW, as_source(X))
    n, m, k0 = 9, X.mean(axis=0), NIW.shrinkage
    away = m - NIW.mean
    scale = np.array(NIW.scale) + (X - m).T @ (X - m) + k0 * n / (k0 + n) * np.outer(away, away)
    df, kn = NIW.freedom + n - 1, k0 + n
    truth = stats.multivariate_t(
        (k0 * np.array(NIW.mean) + n * m) / kn, scale * (kn + 1) / kn / df, df
    )
    np.testing.assert_allclose(found.predictive.log_density(X), truth.logpdf(X), rtol=1e-11)
    counts = np.array([[0.0], [3.0], [5.0]])
    after = exact_posterior(Poisson(1), GammaPrior(2.0, 0.5), as_source(counts))
    truth = stats.nbinom(10.0, 3.5 / 4.5)
    np.testing.assert_allclose(after.predictive.log_density(counts), truth.logpmf(counts[:, 0]))
    codes = as_source(np.array([[0.0], [2.0], [2.0]]))
    shares = exact_posterior(Categorical(1, levels=(3,)), DirichletPrior(0.5), codes).predictive
    np.testing.assert_allclose(shares.params.probability, [[1.5 / 4.5, 0.5 / 4.5, 2.5 / 4.5]])


def test_the_marginal_likelihood_of_counts_is_the_integral_over_rates():
    X = np.array([[1.0], [4.0], [2.0]])
    found = exact_posterior(Poisson(1), GammaPrior(1.7, 0.9), as_source(X))

    def joint(rate):
        return np.prod(stats.poisson.pmf(X, rate)) * stats.gamma.pdf(rate, 1.7, scale=1 / 0.9)

    assert np.exp(found.log_marginal_likelihood) == pytest.approx(integrate.quad(joint, 0, 60)[0])


def test_draws_have_the_moments_of_the_posterior():
    X = np.random.default_rng(5).normal(size=(20, 2)) + 2
    found = exact_posterior(Gaussian(2), NIW, as_source(X))
    means, covariances, _ = found.sample(40_000, np.random.default_rng(6))
    expected = found.scale / (found.freedom - 3)
    np.testing.assert_allclose(covariances.mean(axis=0), expected, rtol=0.02, atol=0.01)
    np.testing.assert_allclose(means.mean(axis=0), found.mean, atol=0.01)
    np.testing.assert_allclose(np.cov(means.T), expected / found.shrinkage, rtol=0.05, atol=2e-3)
    assert isinstance(found, GaussianPosterior)


def test_weights_repeat_rows_and_distance_costs_no_digits():
    X = np.round(np.random.default_rng(7).normal(size=(12, 2)) * 2**20) / 2**20
    w = np.arange(12) % 3 * 1.0
    a = exact_posterior(Gaussian(2), NIW, as_source(X, weights=w))
    b = exact_posterior(Gaussian(2), NIW, as_source(np.repeat(X, w.astype(int), axis=0)))
    assert a.log_marginal_likelihood == pytest.approx(b.log_marginal_likelihood, rel=1e-12)
    shift = 2.0**30
    far = NormalInverseWishart(
        tuple(np.array(NIW.mean) + shift), NIW.shrinkage, NIW.freedom, NIW.scale
    )
    c = exact_posterior(Gaussian(2), far, as_source(X + shift, weights=w))
    assert c.log_marginal_likelihood == pytest.approx(a.log_marginal_likelihood, rel=1e-7)
    counts = np.array([[3.0], [1.0]])
    d = exact_posterior(Poisson(1), GammaPrior(2.0, 1.0), as_source(counts, weights=[2.0, 1.0]))
    e = exact_posterior(Poisson(1), GammaPrior(2.0, 1.0), as_source(counts[[0, 0, 1]]))
    assert d.log_marginal_likelihood == pytest.approx(e.log_marginal_likelihood, rel=1e-13)
    assert d.log_marginal_likelihood < -gammaln(4)


@pytest.mark.parametrize(
    ("family", "prior", "words"),
    [
        (Gaussian(2, "diag"), NIW, "covariance full"),
        (Gaussian(2), NormalInverseWishart((0.0, 0.0), 0.0, 4.0, np.eye(2)), "shrinkage > 0"),
        (Gaussian(1), NIW, "of 1 columns"),
        (Poisson(2), NIW, "a GammaPrior of 2"),
        (Categorical(1), DirichletPrior(1.0), "its levels"),
        (Categorical(1, levels=(3,)), DirichletPrior((1.0, 2.0)), "one per category"),
    ],
)
def test_pairs_without_a_closed_form_are_refused(family, prior, words):
    with pytest.raises(UsageError, match=words):
        exact_posterior(family, prior, as_source(np.ones((3, family.n_features))))


def test_families_without_a_closed_form_are_refused():
    from mixtura.families import Gamma

    with pytest.raises(UsageError, match="for exact posteriors"):
        exact_posterior(Gamma(1), GammaPrior(1.0, 1.0), as_source(np.ones((3, 1))))
