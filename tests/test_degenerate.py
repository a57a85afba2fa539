"""Components without rows or on a few of them: held, mended, dropped, or refused on demand."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import Care, Local, Mixture, Poisson, PoissonParams, as_source, fit_em, fit_mixture
from mixtura.degenerate import RESEEDS, Extreme, owned_rows, worst_rows
from mixtura.errors import DegenerateComponentError, UsageError
from mixtura.families import Gaussian
from mixtura.stats import tree_sum
from tests.cases import SHAPES, full_covariances, own_layout


def with_outlier(seed):
    """Row 99 lies alone, far from 99 standard normal rows."""
    return np.vstack([np.random.default_rng(seed).normal(size=(99, 2)), [[50.0, 50.0]]])


def two_groups(seed=0):
    return np.random.default_rng(seed).normal(size=(200, 2)) + np.repeat([0.0, 5.0], 100)[:, None]


def start_with_an_empty_one(shape="VVV"):
    """Two components where the data are and a third a million away."""
    family = Gaussian(2, shape)
    means = np.array([[0.0, 0.0], [5.0, 5.0], [1e6, 1e6]])
    covariances = own_layout(family, np.repeat(np.eye(2)[None], 3, axis=0))
    return Mixture(family, np.array([0.4, 0.3, 0.3]), family.params(means, covariances))


# -- collapse ----------------------------------------------------------------------------------


def test_one_row_alone_never_stops_a_fit():
    """The floor holds its component, in units of the data, and the fit says so."""
    found, best = 0, 0
    for seed in range(100):
        X = with_outlier(seed)
        fitted = fit_mixture(Gaussian(2), as_source(X), 2, seed=seed, executor=Local(1))
        mixture, S = fitted.mixture, np.cov(X.T, bias=True)
        ratio = np.linalg.eigvals(np.linalg.solve(S, mixture.params.covariances[1])).real
        assert ratio.min() >= 1e-6 * (1 - 1e-6)
        assert np.isfinite(fitted.log_likelihood)
        held = mixture.family.at_boundary(mixture.params)  # in a seed or two a regular fit is found
        noted = [f"component {k} (" for k in np.flatnonzero(held)]
        assert all(any(own in note for note in fitted.warnings) for own in noted)
        alone = mixture.weights[1] < 0.015  # else two rows on a line are likelier still
        if alone:
            np.testing.assert_allclose(mixture.weights, [0.99, 0.01], rtol=1e-9)
            np.testing.assert_allclose(mixture.means[1], [50, 50], rtol=1e-12)
        known = fit_mixture(
            Gaussian(2), as_source(X), 2, start=np.repeat([0, 1], [99, 1]), executor=Local(1)
        )
        best += fitted.log_likelihood >= known.log_likelihood - 1e-6
        found += alone
    print(f"the outlier alone in {found} of 100, as likely as from its label in {best}")
    assert found >= 90
    assert best >= 97  # a pair of rows on the floor may hide it from all starts


@pytest.mark.parametrize("seed", range(8))
def test_one_row_alone_is_refused_on_demand(seed):
    """The message tells the component, its effective rows, and the row."""
    source = as_source(with_outlier(seed))
    pattern = r"\[E301\] component [01] collapses onto 1\.0 effective rows, around row\(s\) 99:"
    with pytest.raises(DegenerateComponentError, match=pattern) as caught:
        fit_mixture(Gaussian(2), source, 2, seed=seed, on_degenerate="raise")
    assert caught.value.code == "E301"
    assert caught.value.exit_code == 6


def test_one_row_alone_is_dropped_on_demand():
    X = with_outlier(3)
    fitted = fit_mixture(Gaussian(2), as_source(X), 2, on_degenerate="drop")
    assert fitted.mixture.n_components == 1
    np.testing.assert_allclose(fitted.mixture.means[0], X.mean(axis=0), rtol=1e-9)
    assert len(fitted.events) == 1
    assert "dropped, it had 1 effective rows" in fitted.events[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_held_by_the_floor(shape):
    """Three components, one of which may have two rows only: finite, and not below the floor."""
    rng = np.random.default_rng(5)
    X = np.vstack([rng.normal(size=(80, 2)), [[30.0, 30.0], [30.0, 30.0 + 1e-9]]])
    fitted = fit_mixture(Gaussian(2, shape), as_source(X), 3, executor=Local(1))
    full = full_covariances(2, fitted.mixture.params)
    assert np.isfinite(fitted.log_likelihood)
    # each geometry has its own floor: the matrix, its diagonal, its mean variance
    S = np.cov(X.T, bias=True)
    floor = {True: np.diag(np.diag(S)), False: S}[shape[2] == "I"]
    if shape[1] == "I":
        floor = np.eye(2) * np.trace(S) / 2
    for covariance in full:
        ratios = np.linalg.eigvals(np.linalg.solve(floor, covariance)).real
        assert ratios.min() >= 1e-6 * (1 - 1e-4)
    values = fitted.trace.objective
    assert (np.diff(values) >= -1e-9 * np.abs(values[1:])).all()


def test_too_few_rows_for_a_full_covariance():
    """8 rows in 10 dimensions: refused on demand, finite otherwise."""
    X = np.random.default_rng(0).normal(size=(8, 10))
    pattern = r"\[E302\] covariance 'full' is singular with 8 rows in 10 dimensions"
    with pytest.raises(DegenerateComponentError, match=pattern):
        fit_mixture(Gaussian(10), as_source(X), 1, on_degenerate="raise")
    fitted = fit_mixture(Gaussian(10), as_source(X), 1)
    assert np.isfinite(fitted.log_likelihood)
    assert any("component 0 (8.0 effective rows)" in note for note in fitted.warnings)
    for shape in ("diag", "spherical"):
        plain = fit_mixture(Gaussian(10, shape), as_source(X), 1, on_degenerate="raise")
        assert plain.warnings == ()


# -- empty components --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_an_empty_component_starts_anew_at_the_worst_row(shape):
    X = two_groups()
    X[17] = [2.5, -6.0]  # explained worst
    start = start_with_an_empty_one(shape)
    worst = int(start.log_density(X).argmin())
    assert worst == 17
    fit = fit_em(start, as_source(X), care=Care("repair", len(X)), max_iter=1, keep_mixtures=True)
    event = fit.events[0]
    assert (event.iteration, event.component, event.action) == (1, 2, "reseeded")
    assert event.reason == "it had weight 0"
    assert str(event) == "iteration 1: component 2 reseeded, it had weight 0"
    np.testing.assert_allclose(fit.mixture.means[2], X[17], atol=1e-9)
    assert np.isfinite(full_covariances(2, fit.mixture.params)).all()
    assert fit.mixture.weights[2] > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_an_empty_component_never_leaves_anything_that_is_not_finite(shape):
    X = two_groups()
    start = start_with_an_empty_one(shape)
    fitted = fit_mixture(start.family, as_source(X), 3, start=start)
    params = fitted.mixture.params
    assert fitted.outcome.converged
    assert np.isfinite(fitted.log_likelihood)
    for array in (*params, fitted.mixture.weights):
        assert np.isfinite(array).all()
    # never the origin by default, never the far place: within the data
    assert (fitted.mixture.means >= X.min(axis=0) - 1e-9).all()
    assert (fitted.mixture.means <= X.max(axis=0) + 1e-9).all()
    assert any("component 2 reseeded, it had weight 0" in event for event in fitted.events)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_empty_component_is_dropped_on_demand(shape):
    X = two_groups()
    start = start_with_an_empty_one(shape)
    fitted = fit_mixture(start.family, as_source(X), 3, start=start, on_degenerate="drop")
    assert fitted.mixture.n_components == 2
    assert fitted.events == ("iteration 1: component 2 dropped, it had 0 effective rows",)
    np.testing.assert_allclose(fitted.mixture.weights, 0.5, atol=0.01)
    direct = fit_mixture(start.family, as_source(X), 2, start=np.repeat([0, 1], 100))
    assert fitted.log_likelihood == pytest.approx(direct.log_likelihood, rel=1e-7)


def test_an_empty_component_is_refused_on_demand():
    X = two_groups()
    start = start_with_an_empty_one()
    with pytest.raises(DegenerateComponentError, match=r"\[E303\] component 2 is empty \(weight 0"):
        fit_mixture(start.family, as_source(X), 3, start=start, on_degenerate="raise")


def test_new_starts_are_limited():
    """A component that empties again and again is left out in the end."""
    X = np.repeat(np.array([[0.0], [1.0], [2.0]]), 40, axis=0)
    X = np.vstack([X, np.random.default_rng(0).normal(1, 1, (20, 1))])
    fitted = fit_mixture(Gaussian(1), as_source(X), 8, executor=Local(1), max_iter=3000)
    reseeded = [event for event in fitted.events if "reseeded" in event]
    assert len(reseeded) <= (RESEEDS + 1) * 8
    assert np.isfinite(fitted.log_likelihood)
    assert fitted.mixture.n_components + sum("dropped" in e for e in fitted.events) == 8


def test_counts_are_mended_too():
    X = np.concatenate([np.zeros((50, 1)), np.full((50, 1), 30.0), [[200.0]]])
    rate = np.array([[1.0], [25.0], [1e6]])
    start = Mixture(Poisson(1), np.array([0.4, 0.4, 0.2]), PoissonParams(rate))
    fit = fit_em(start, as_source(X), care=Care("repair", len(X)))
    assert fit.events[0].component == 2
    np.testing.assert_allclose(np.sort(fit.mixture.params.rate.ravel()), [0, 30, 200], atol=1e-6)


def test_without_a_count_of_rows_no_component_is_empty():
    """Weights may be fractions: only the number of rows tells what one row weighs."""
    X = two_groups()
    fit = fit_em(start_with_an_empty_one(), as_source(X), max_iter=3)
    assert fit.events == ()
    assert fit.mixture.weights[2] == 0
    assert np.isfinite(fit.mixture.params.covariances).all()


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_a_row_counts_as_one_whatever_the_weights_sum_to(factor):
    X = with_outlier(0)
    source = as_source(X, weights=np.full(len(X), factor))
    fitted = fit_mixture(Gaussian(2), source, 2)
    np.testing.assert_allclose(fitted.mixture.weights, [0.99, 0.01], rtol=1e-9)
    assert fitted.events == ()


def test_an_unknown_policy_is_refused():
    with pytest.raises(UsageError, match="on_degenerate='ignore'"):
        Care("ignore")  # type: ignore[arg-type]


# -- rows that stand out -----------------------------------------------------------------------


@pytest.mark.parametrize("block_rows", [1024, 2048, None])
def test_extreme_rows_add_over_blocks(block_rows):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 2))
    w = (rng.random(5000) < 0.9).astype(float)
    mixture = start_with_an_empty_one()
    source = as_source(X, weights=w, block_rows=block_rows)
    density = np.where(w > 0, mixture.log_density(X), np.inf)
    found = tree_sum(worst_rows(mixture, 7, block) for block in source.blocks())
    assert found.rows == np.argsort(density, kind="stable")[:7].tolist()
    np.testing.assert_array_equal(found.X, X[found.rows])
    belongs = np.where(w > 0, mixture.responsibilities(X)[:, 1], -1)
    owned = tree_sum(owned_rows(mixture, 1, 5, block) for block in source.blocks())
    assert sorted(owned.rows) == sorted(np.argsort(-belongs, kind="stable")[:5].tolist())
    assert isinstance(owned, Extreme)
