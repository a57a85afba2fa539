"""Fits against what R found on the same data (tests/data/reference), and the worked example."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from mixtura import Aitken, Local, Mixture, Outcome, Poisson, as_source, fit_mixture
from mixtura.families import Gaussian
from tests import oracle, reference
from tests.cases import own_layout

ALONE = Local(1)  # small data: threads would only cost


def best_match(means, truth):
    """Largest distance between matched means, each true one with a fitted one of its own."""
    distance = np.linalg.norm(means[:, None] - truth, axis=2)
    return distance[linear_sum_assignment(distance)].max()


# -- Old Faithful ------------------------------------------------------------------------------


def test_old_faithful_two_components():
    data = reference.load("faithful")
    fitted = fit_mixture(Gaussian(2), as_source(data.X), 2)
    mixture = fitted.mixture
    assert fitted.log_likelihood == pytest.approx(-1130.264, abs=1e-3)
    assert fitted.bic == pytest.approx(2322.192, abs=1e-3)
    np.testing.assert_allclose(mixture.means, [[4.290, 79.97], [2.036, 54.48]], rtol=2e-4)
    assert fitted.outcome is Outcome.CONVERGED
    truth = data.fit("VVV", 2)
    assert fitted.log_likelihood == pytest.approx(truth.converged.loglik, abs=1e-3)
    assert mixture.n_free == truth.df
    assert fitted.icl == pytest.approx(-truth.icl, abs=0.01)
    R = mixture.responsibilities(data.X)
    assert fitted.icl == pytest.approx(oracle.icl(fitted.bic, R), abs=1e-8)
    assert fitted.aic == pytest.approx(oracle.aic(fitted.log_likelihood, truth.df), abs=1e-9)
    np.testing.assert_array_equal(np.bincount(R.argmax(axis=1)), fitted.sizes)


@pytest.mark.parametrize("seed", range(5))
def test_old_faithful_three_tied_components(seed):
    data = reference.load("faithful")
    fitted = fit_mixture(Gaussian(2, "tied"), as_source(data.X), 3, seed=seed)
    assert fitted.log_likelihood >= -1126.326
    assert fitted.mixture.n_free == 11


# -- one Gaussian ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", reference.names("gaussian"))
def test_one_gaussian(name):
    data = reference.load(name)
    truth, d = data.one_gaussian, data.X.shape[1]
    fitted = fit_mixture(Gaussian(d), as_source(data.X), 1)
    params = fitted.mixture.params
    np.testing.assert_allclose(params.means[0], truth.mean, rtol=1e-10)
    scale = np.sqrt(np.outer(np.diag(truth.covariance), np.diag(truth.covariance)))
    np.testing.assert_allclose(
        params.covariances[0] / scale, truth.covariance / scale, rtol=1e-10, atol=1e-12
    )
    assert fitted.log_likelihood == pytest.approx(truth.loglik, rel=1e-10)
    assert fitted.mixture.n_free == truth.df
    assert (fitted.outcome, fitted.n_iter) == (Outcome.CLOSED_FORM, 0)


# -- from mclust's own partitions --------------------------------------------------------------


@pytest.mark.parametrize("accelerate", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("name", reference.names("gaussian"))
def test_from_the_partitions_of_mclust(name, accelerate):
    """The same start leads to the same maximum, for every K at which mclust had a fit."""
    data = reference.load(name)
    d = data.X.shape[1]
    equal, better, missing, without = 0, [], [], []
    for truth in data.fits:
        if truth.model not in (("E", "V") if d == 1 else ("VVV", "EEE", "VVI", "VII")):
            continue
        key = (name, truth.model, truth.n_components)
        fitted = fit_mixture(
            Gaussian(d, truth.model), as_source(data.X), truth.n_components,
            start=data.initial_partition(truth.n_components),
            stop=Aitken(1e-11), max_iter=50_000, executor=ALONE, accelerate=accelerate,
        )  # fmt: skip
        if truth.converged.loglik is None:  # a covariance of mclust's became singular
            assert np.isfinite(fitted.log_likelihood)
            assert fitted.warnings  # says which component sits on the floor or was dropped
            without.append(key)
            continue
        assert fitted.outcome.converged, key
        assert fitted.mixture.n_free == truth.df
        gain = (fitted.log_likelihood - truth.converged.loglik) / abs(truth.converged.loglik)
        if gain < -1e-6:
            missing.append(key)
        elif gain > 1e-6:
            better.append((*key, truth.converged.loglik, fitted.log_likelihood))
        else:
            equal += 1
    how = "default" if accelerate else "plain"
    print(f"{name}, {how}: {equal} equal, {len(better)} better, {len(missing)} missing,", end=" ")
    print(f"{len(without)} without a reference {without}")
    for line in better:
        print("better:", *line)
    assert equal + len(better) >= 15
    assert missing == []
    assert accelerate or not better


@pytest.mark.parametrize("name", reference.names("gaussian"))
def test_all_shapes_at_the_maxima_of_mclust(name):
    """At its parameters the log-likelihood is its own, and EM finds nothing to gain there."""
    data = reference.load(name)
    d = data.X.shape[1]
    _, models = data.models_at
    assert len(models) >= (2 if d == 1 else 10)
    for model, truth in models.items():
        family = Gaussian(d, model)
        given = truth.parameters
        params = family.params(given.means, own_layout(family, given.covariances))
        start = Mixture(family, given.weights, params)
        fitted = fit_mixture(
            family, as_source(data.X), len(given.weights), start=start, max_iter=20,
            accelerate=False, executor=ALONE,
        )  # fmt: skip
        trace = fitted.trace.objective
        assert trace[0] == pytest.approx(truth.loglik, rel=1e-9), model
        assert trace[-1] >= trace[0] - 1e-9 * abs(trace[0]), model
        # mclust 6.0.0 does not maximise VVE, so that one may gain
        assert model == "VVE" or trace[-1] <= trace[0] + 2e-6 * abs(trace[0]), model


# -- counts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", reference.names("count"))
def test_poisson_mixtures_reach_the_best_known(name):
    data = reference.load(name)
    for K, truth in data.optima.items():
        fitted = fit_mixture(Poisson(1), as_source(data.X, weights=data.weight), K, executor=ALONE)
        assert fitted.log_likelihood == pytest.approx(truth.loglik, rel=1e-6)
        assert fitted.mixture.n_free == truth.df
        assert fitted.mass == data.n_effective
        if K <= 4:  # with five components of candy, some are the same
            order = np.lexsort([truth.parameters["rate"].ravel(), -truth.weights])
            np.testing.assert_allclose(
                fitted.mixture.weights, truth.weights[order], rtol=1e-3, atol=1e-4
            )
            np.testing.assert_allclose(
                fitted.mixture.means.ravel(), truth.parameters["rate"].ravel()[order], rtol=1e-3
            )


# -- the worked example ------------------------------------------------------------------------


def test_three_gaussians_of_150_rows_are_recovered():
    """From the default start, over 100 seeds of data and start together.

    Recovered: every true mean has a fitted one of its own within five standard errors of a
    mean of 50 rows, and every weight lies within five standard errors of one third.
    """
    truth = np.array([[0.0, 0.0], [3.0, 3.0], [-3.0, 3.0]])
    labels = np.repeat(np.arange(3), 50)
    recovered, as_likely = [], []
    for seed in range(100):
        X = truth[labels] + np.random.default_rng(seed).normal(size=(150, 2))
        fitted = fit_mixture(Gaussian(2), as_source(X), 3, seed=seed, executor=ALONE)
        apart = best_match(fitted.mixture.means, truth)
        off = np.abs(fitted.mixture.weights - 1 / 3).max()
        recovered.append(apart < 5 / np.sqrt(50) and off < 5 * np.sqrt(2 / 9 / 150))
        known = fit_mixture(
            Gaussian(2), as_source(X), 3, start=labels, stop=Aitken(1e-6), executor=ALONE
        )
        as_likely.append(fitted.log_likelihood > known.log_likelihood - 1e-3)
    print(f"recovered {sum(recovered)} of 100, as likely as from the truth {sum(as_likely)}")
    assert sum(recovered) >= 99
    assert sum(as_likely) >= 98
