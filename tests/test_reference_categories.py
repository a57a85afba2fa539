"""Latent classes against flexmix and mixtools: whiskey brands and the water-level task."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from mixtura import Aitken, Local, as_source, fit_mixture
from mixtura.families import Bernoulli, Categorical, Multinomial
from tests import reference

ALONE = Local(1)
FAMILIES = {"whiskey": Bernoulli, "waterdata": Multinomial}
#: Sizes at which the best of R's starts was not the best there is: log-likelihoods may be higher.
BETTER = {("whiskey", 4)}


def fitted(name, n_components, family=None):
    data = reference.load(name)
    return fit_mixture(
        family or FAMILIES[name](data.X.shape[1]), as_source(data.X, weights=data.weight),
        n_components, stop=Aitken(1e-11), executor=ALONE,
    )  # fmt: skip


def log_likelihood(name, weights, theta):
    """By SciPy, from the rows and the weights of the data."""
    data = reference.load(name)
    if name == "whiskey":
        each = stats.bernoulli.logpmf(data.X[:, None], theta).sum(axis=2)
    else:
        totals = data.X.sum(axis=1)
        each = np.stack([stats.multinomial.logpmf(data.X, totals, p) for p in theta], axis=1)
    rows = logsumexp(each + np.log(weights), axis=1)
    return rows @ (np.ones(len(rows)) if data.weight is None else data.weight)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("n_components", [1, 2, 3, 4])
def test_latent_classes_reach_the_best_known(name, n_components):
    truth = reference.load(name).optima[n_components]
    found = fitted(name, n_components)
    mixture = found.mixture
    assert mixture.n_free == truth.df
    ours = log_likelihood(name, mixture.weights, mixture.params[0])
    assert found.log_likelihood == pytest.approx(ours, abs=1e-6)
    if (name, n_components) in BETTER:
        assert found.log_likelihood > truth.loglik + 1.0
        return
    assert found.log_likelihood == pytest.approx(truth.loglik, abs=1e-6)
    order = np.argsort(-truth.weights)
    np.testing.assert_allclose(mixture.weights, truth.weights[order], atol=1e-4)
    np.testing.assert_allclose(mixture.params[0], truth.parameters["theta"][order], atol=1e-4)


def test_categories_of_two_levels_are_bernoulli():
    X = reference.load("whiskey").X
    plain = fitted("whiskey", 3)
    coded = fitted("whiskey", 3, Categorical(X.shape[1]))
    assert coded.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    assert coded.mixture.n_free == plain.mixture.n_free
    np.testing.assert_allclose(
        coded.mixture.params.probability[:, 1::2], plain.mixture.params.chance, atol=1e-5
    )
    assert any("probability of 0" in note for note in coded.warnings) == any(
        "chance of 0" in note for note in plain.warnings
    )
