"""What R printed of its fits at its own early stop: criteria, densities and classifications."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import Local, Mixture, as_source, estimate, fit_em
from mixtura.criteria import bic, icl
from mixtura.families import Gaussian
from mixtura.start import one_hot
from mixtura.stopping import Aitken
from tests import reference
from tests.cases import own_layout

ALONE = Local(1)

#: Shapes whose M step iterates: mclust ends its inner iterations early.
ITERATED = {"VEI", "VEE", "EVE", "VVE", "VEV"}


def stopped_as_mclust(data, model, n_components, iterations):
    """Plain EM from mclust's partition, as many steps as it made before it stopped."""
    family = Gaussian(data.X.shape[1], {"X": "V"}.get(model, model))
    source = as_source(data.X)
    R = one_hot(data.initial_partition(n_components), n_components)
    start = estimate(family, source, n_components, responsibilities=R)
    return fit_em(
        start, source, stop=Aitken(0.0), max_iter=iterations - 1, executor=ALONE, accelerate=False
    ).mixture


@pytest.mark.parametrize("name", reference.names("gaussian"))
def test_criteria_at_the_stop_of_mclust(name):
    """Log-likelihood, df, BIC and its ICL of every closed-form fit, to all digits but rounding.

    A long path may magnify rounding: one fit of a data set may be as near as mclust's stop.
    """
    data = reference.load(name)
    n, checked, apart = data.n_effective, 0, []
    for truth in data.fits:
        if truth.loglik is None or truth.model in ITERATED:
            continue
        key = truth.model, truth.n_components
        mixture = stopped_as_mclust(data, *key, truth.iterations)
        log_density, R = mixture.posterior(data.X)
        loglik, certainty, df = log_density.sum(), np.log(R.max(axis=1)).sum(), mixture.n_free
        assert loglik == pytest.approx(truth.loglik, rel=1e-5), key
        assert df == truth.df, key
        own = [loglik, -bic(loglik, df, n), -icl(loglik, df, n, certainty)]
        if not np.allclose(own, [truth.loglik, truth.bic, truth.icl], rtol=1e-9, atol=0):
            apart.append(key)
        checked += 1
    assert checked >= (10 if data.X.shape[1] == 1 else 60)
    assert len(apart) <= 1, apart


@pytest.mark.parametrize("name", reference.names("gaussian"))
def test_groups_of_the_chosen_model(name):
    """Groups of all rows, and how uncertain each row is, at the stop of mclust.

    Where its M step iterates, at the parameters that it prints.
    """
    data = reference.load(name)
    chosen = data.best_bic
    if chosen.model in ITERATED:
        given = data.raw["best_bic"]["parameters"]
        family = Gaussian(data.X.shape[1], chosen.model)
        params = family.params(
            np.array(given["mean"]), own_layout(family, np.array(given["sigma"]))
        )
        mixture = Mixture(family, np.array(given["pro"]), params)
    else:
        iterations = data.fit(chosen.model, chosen.n_components).iterations
        mixture = stopped_as_mclust(data, chosen.model, chosen.n_components, iterations)
    np.testing.assert_array_equal(mixture.predict(data.X), chosen.classification)
    uncertainty = 1.0 - mixture.responsibilities(data.X).max(axis=1)
    np.testing.assert_allclose(uncertainty, chosen.uncertainty, rtol=0, atol=1e-8)
