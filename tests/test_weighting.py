"""Mixing weights: free, equal, or with a Dirichlet prior, in EM, closed forms and starts."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import optimize, stats

from mixtura import (
    Gain,
    Gaussian,
    Local,
    Mixture,
    MixtureModel,
    Poisson,
    PoissonParams,
    as_source,
    em_steps,
    estimate,
    fit_em,
    fit_mixture,
    load,
)
from mixtura.errors import UsageError
from mixtura.weighting import Dirichlet, Equal, Free, find_weighting


def counts(seed=0, n=300):
    rng = np.random.default_rng(seed)
    return rng.poisson(np.array([2.0, 12.0, 30.0])[rng.choice(3, n, p=[0.6, 0.3, 0.1])])[:, None]


def three(weighting=None, rates=(3.0, 9.0, 20.0)):
    mixture = Mixture(Poisson(1), np.full(3, 1 / 3), PoissonParams(np.array(rates)[:, None]))
    return mixture if weighting is None else mixture.under(weighting)


def test_free_weights_are_proportions():
    np.testing.assert_allclose(Free().weights(np.array([1.0, 3.0])), [0.25, 0.75])
    assert (Free().n_free(4), Equal().n_free(4), Dirichlet(2.0).n_free(4)) == (3, 0, 3)


@pytest.mark.parametrize("a", [1.5, 4.0, (2.0, 1.0, 7.0), 0.4, (0.2, 0.9, 3.0)])
def test_dirichlet_weights_maximise_the_penalised_likelihood(a):
    """Against scipy's density and a numeric search over the simplex."""
    n, weighting = np.array([11.0, 4.5, 20.0]), Dirichlet(a)
    found = weighting.weights(n)

    def loss(t):
        w = np.exp(np.append(t, 0.0))
        w /= w.sum()
        return -(n @ np.log(w) + stats.dirichlet.logpdf(w, np.broadcast_to(a, 3)))

    best = optimize.minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-8})
    truth = np.exp(np.append(best.x, 0.0))
    np.testing.assert_allclose(found, truth / truth.sum(), atol=1e-6)
    other = np.array([0.2, 0.3, 0.5])
    gap = stats.dirichlet.logpdf(found, np.broadcast_to(a, 3)) - stats.dirichlet.logpdf(
        other, np.broadcast_to(a, 3)
    )
    assert weighting.log_prior(found) - weighting.log_prior(other) == pytest.approx(gap)


@pytest.mark.parametrize(
    "weighting", [Free(), Equal(), Dirichlet(5.0), Dirichlet((1.0, 2.0, 30.0))]
)
def test_em_never_lowers_likelihood_plus_prior(weighting):
    X = as_source(counts())
    for accelerate in (False, True):
        steps = em_steps(three(weighting), X, accelerate=accelerate)
        run = [next(steps) for _ in range(60)]
        values = np.array([step.objective for step in run])
        assert (np.diff(values) >= -1e-11 * np.abs(values[1:])).all()
        for step in run:
            pure = step.mixture.log_density(counts().astype(float)).sum()
            assert step.objective == pytest.approx(
                pure + weighting.log_prior(step.mixture.weights), rel=1e-12
            )


def test_equal_weights_stay_equal_and_are_not_counted():
    fitted = fit_mixture(Poisson(1), as_source(counts()), 3, weighting=Equal())
    np.testing.assert_array_equal(fitted.mixture.weights, np.full(3, 1 / 3))
    assert fitted.mixture.n_free == 3
    free = fit_mixture(Poisson(1), as_source(counts()), 3)
    assert free.mixture.n_free == 5
    assert free.log_likelihood > fitted.log_likelihood
    n = len(counts())
    assert fitted.bic == pytest.approx(-2 * fitted.log_likelihood + 3 * np.log(n))


def test_equal_weights_reach_what_an_optimiser_finds():
    X = counts()
    fitted = fit_mixture(Poisson(1), as_source(X), 3, weighting=Equal())

    def loss(t):
        return -np.log(stats.poisson.pmf(X, np.exp(t)).mean(axis=1)).sum()

    best = optimize.minimize(loss, np.log(fitted.mixture.params.rate.ravel()) + 0.1, method="BFGS")
    assert fitted.log_likelihood == pytest.approx(-best.fun, abs=1e-6)


def test_a_concentration_of_one_is_free():
    X = as_source(counts())
    plain, flat = fit_em(three(), X), fit_em(three(Dirichlet(1.0)), X)
    assert plain.mixture.weights.tobytes() == flat.mixture.weights.tobytes()
    assert plain.objective == flat.objective


def test_a_large_concentration_tends_to_equal():
    X = as_source(counts())
    flat = fit_em(three(Dirichlet(1e9)), X).mixture
    equal = fit_em(three(Equal()), X).mixture
    np.testing.assert_allclose(flat.weights, 1 / 3, atol=1e-6)
    np.testing.assert_allclose(flat.params.rate, equal.params.rate, rtol=1e-4)


def test_known_labels_give_the_dirichlet_estimate_in_one_step():
    X, labels = counts()[:10], np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 2])
    source = as_source(X, labels=labels)
    mixture = estimate(Poisson(1), source, 3, weighting=Dirichlet(3.0))
    np.testing.assert_allclose(mixture.weights, np.array([8, 5, 3]) / 16, rtol=1e-14)
    fitted = fit_mixture(Poisson(1), source, 3, weighting=Dirichlet(3.0))
    np.testing.assert_array_equal(fitted.mixture.weights, mixture.weights)
    assert fitted.outcome.name == "CLOSED_FORM"


@pytest.mark.parametrize("concentration", [0.3, -3.0])
def test_components_without_rows_vanish_under_a_sparse_prior(concentration):
    """Ten components for three groups; those that stay explain the rows as well."""
    X = np.random.default_rng(3).normal(size=(300, 1)) + np.repeat([0.0, 12.0, 30.0], 100)[:, None]
    source = as_source(X)
    start = np.arange(300) % 10
    fitted = fit_mixture(
        Gaussian(1), source, 10, start=start, weighting=Dirichlet(concentration),
        accelerate=False, stop=Gain(1e-7), max_iter=5000, executor=Local(1),
    )  # fmt: skip
    K = fitted.mixture.n_components
    assert 1 <= K < 10
    assert len(fitted.events) == 10 - K
    assert "outweighs" in fitted.events[0]
    n = fitted.mixture.weights * 300
    assert np.isfinite(fitted.mixture.weights).all() and (fitted.mixture.weights > 0).all()
    assert fitted.mixture.weights.sum() == pytest.approx(1.0)
    expected = fitted.mixture.responsibilities(X).sum(axis=0) + concentration - 1.0
    if fitted.outcome.converged:
        np.testing.assert_allclose(n, 300 * expected / expected.sum(), atol=0.05)


def test_a_penalty_on_parameters_finds_three_groups():
    """Figueiredo and Jain (2002): concentration 1 - N / 2 with N = 2 parameters each."""
    X = np.random.default_rng(4).normal(size=(300, 1)) + np.repeat([0.0, 12.0, 30.0], 100)[:, None]
    fitted = fit_mixture(
        Gaussian(1), as_source(X), 8, weighting=Dirichlet(-10.0), executor=Local(1)
    )
    assert fitted.mixture.n_components == 3
    np.testing.assert_allclose(np.sort(fitted.mixture.means.ravel()), [0, 12, 30], atol=0.4)


def test_all_but_one_may_vanish_and_never_the_last():
    n = np.array([0.2, 0.1, 0.3])
    gone = Dirichlet(-50.0).vanished(n)
    assert gone.tolist() == [False, True, False]
    assert not Dirichlet(-50.0).vanished(n[:1]).any()
    fitted = fit_mixture(Poisson(1), as_source(counts()), 4, weighting=Dirichlet(-1e6))
    assert fitted.mixture.n_components == 1
    assert fitted.mixture.weights.tolist() == [1.0]


def test_concentrations_follow_their_components():
    mixture = three(Dirichlet((1.0, 2.0, 30.0))).take(np.array([2, 0]))
    assert mixture.weighting == Dirichlet((30.0, 1.0))
    with pytest.raises(UsageError, match=r"weighting=\[1.0, 2.0\].*3 numbers, one per component"):
        fit_mixture(Poisson(1), as_source(counts()), 3, weighting=Dirichlet((1.0, 2.0)))


@pytest.mark.parametrize("given", ["free", "equal", 0.5, 3, [1.0, 2.0], np.array([2.0])])
def test_a_weighting_is_made_of_a_word_or_numbers_and_back(given):
    weighting = find_weighting(given)
    assert find_weighting(weighting.config()) == weighting
    assert find_weighting(weighting) is weighting
    assert pickle.loads(pickle.dumps(weighting)) == weighting


@pytest.mark.parametrize("given", ["other", None, np.nan, [], [[1.0]], ["a"], [1.0, np.inf]])
def test_anything_else_is_refused(given):
    with pytest.raises(UsageError, match="'free', 'equal', or concentrations"):
        find_weighting(given)


def test_the_compiled_runs_are_for_free_weights_only():
    X = as_source(np.random.default_rng(0).normal(size=(50, 2)))
    mixture = estimate(Gaussian(2), X, 1)
    assert mixture.runner() is not None
    assert mixture.under(Equal()).runner() is None
    assert mixture.under(Dirichlet(2.0)).runner() is None


def test_the_estimator_takes_a_weighting_and_the_file_keeps_it(tmp_path):
    X = counts()
    equal = MixtureModel("poisson", 3, weighting="equal", random_state=0).fit(X)
    np.testing.assert_array_equal(equal.weights_, np.full(3, 1 / 3))
    assert "weights: equal" in equal.summary()
    model = MixtureModel("poisson", 3, weighting=[9, 2, 2], random_state=0).fit(X)
    model.save(tmp_path / "m.mixtura")
    again = load(tmp_path / "m.mixtura")
    assert sorted(again.mixture_.weighting.concentration) == [2.0, 2.0, 9.0]
    assert again.mixture_.weighting == model.mixture_.weighting
    with pytest.raises(ValueError, match="weighting"):
        MixtureModel("poisson", 3, weighting="often").fit(X)
