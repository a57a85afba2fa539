"""The loop: what a step holds, when it stops, and what labels do to it."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtura import (
    Aitken,
    Gain,
    Mixture,
    Outcome,
    Poisson,
    PoissonParams,
    as_source,
    em_steps,
    estimate,
    fit_em,
    fit_mixture,
)
from mixtura.errors import DataError, UsageError
from mixtura.families import Gaussian
from tests import oracle
from tests.cases import CASES
from tests.contract import every, one_block
from tests.em_starts import FOUR, groups, rough


def as_oracle(mixture):
    """The same mixture in the hands of the oracle."""
    shape = mixture.family.shape.name
    params = mixture.params
    return oracle.Gaussians(
        np.log(mixture.weights), params.means, params.covariances, oracle.GEOMETRY[shape]
    )


# -- a step and its objective ------------------------------------------------------------------


@pytest.mark.parametrize("shape", FOUR)
def test_every_objective_belongs_to_its_mixture(shape):
    X, _ = groups()
    w = np.random.default_rng(1).random(len(X))
    steps = list(islice(em_steps(rough(X, 3, shape), as_source(X, weights=w)), 8))
    for i, step in enumerate(steps):
        truth = oracle.statistics(X, as_oracle(step.mixture), w)
        assert step.iteration == i
        assert step.objective == pytest.approx(truth.loglik, rel=1e-12)
        assert step.stats.entropy == pytest.approx(truth.entropy, rel=1e-10)
        np.testing.assert_allclose(step.stats.weight, truth.weight, rtol=1e-10)
        np.testing.assert_allclose(step.stats.total, truth.total, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(step.stats.shared, truth.shared, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", FOUR)
def test_iterations_are_those_of_a_plain_program(shape):
    """The oracle computes responsibilities, means and scatter of whole arrays, two-pass."""
    X, labels = groups(2)
    start = estimate(Gaussian(2, shape), as_source(X, labels=labels), 3)
    fit = fit_em(start, as_source(X), max_iter=25, stop=Gain(0.0), keep_mixtures=True)
    run = oracle.em(X, labels, shape, tol=0.0, max_iter=26)
    np.testing.assert_allclose(fit.trace.objective, run.trace, rtol=1e-11)
    found = as_oracle(fit.mixture)
    np.testing.assert_allclose(found.means, run.mixture.means, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.covariances, run.mixture.covariances, rtol=1e-8, atol=1e-10)


@every
def test_the_two_terms_of_the_bound_make_the_log_likelihood(case):
    """E log p(x, z) + H(z), computed by brute force from the independent densities."""
    X, _ = case.rows(3, 120, 3)
    steps = islice(em_steps(case.rough_start(X, 3, 0), as_source(X)), 5)
    for step in steps:
        joint = case.log_density(step.mixture.params, X) + step.mixture.log_weights
        R = step.mixture.responsibilities(X)
        entropy = -(R * np.log(np.maximum(R, 1e-300))).sum()
        assert step.stats.entropy == pytest.approx(entropy, rel=1e-9, abs=1e-9)
        assert step.stats.expected_complete == pytest.approx((R * joint).sum(), rel=1e-10)
        assert step.stats.entropy >= 0
        assert step.stats.mass == len(X)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    case=st.sampled_from(CASES),
    n_components=st.integers(1, 5),
    n_rows=st.integers(30, 120),
    apart=st.sampled_from([0.0, 1.0, 5.0]),
    weighted=st.booleans(),
)
def test_the_objective_never_falls(seed, case, n_components, n_rows, apart, weighted):
    """Through the floor too: components shrink onto few rows in some of these."""
    rng = np.random.default_rng(seed)
    X, labels = groups(seed % 1000, n_rows, case.d, 3, apart)
    X = rng.poisson(np.exp(1 + labels[:, None] * np.ones(case.d))) * 1.0 if case.discrete else X
    w = rng.random(n_rows) + 0.05 if weighted else None
    fitted = fit_mixture(
        case.family, as_source(X, weights=w), n_components, n_starts=1, max_iter=60,
        start="random_from_data", seed=seed,
    )  # fmt: skip
    assert fitted.outcome is not Outcome.FELL
    rises = np.diff(fitted.trace.objective)
    if not fitted.events:
        assert (rises >= -1e-10 * np.abs(fitted.trace.objective[1:])).all()
    assert fitted.log_likelihood == pytest.approx(fitted.trace.objective[-1], rel=1e-10)


def test_one_step_more_after_convergence_gains_less_than_tol():
    X, _ = groups(4)
    for tol in (1e-4, 1e-6, 1e-8):
        fit = fit_em(rough(X, 3), as_source(X), stop=Aitken(tol))
        assert fit.outcome is Outcome.CONVERGED
        last, after = islice(em_steps(fit.mixture, as_source(X)), 2)
        assert 0 <= after.objective - last.objective <= tol * len(X)


# -- outcomes ----------------------------------------------------------------------------------


def test_no_iteration_only_evaluates():
    X, _ = groups(6)
    start = rough(X, 3)
    fit = fit_em(start, as_source(X), max_iter=0)
    assert fit.mixture is start
    assert (fit.n_iter, fit.outcome) == (0, Outcome.MAX_ITER)
    assert fit.objective == pytest.approx(start.log_density(X).sum(), rel=1e-12)


@pytest.mark.parametrize("max_iter", [1, 2, 7])
def test_iterations_run_out(max_iter):
    X, _ = groups(6)
    fit = fit_em(rough(X, 3), as_source(X), max_iter=max_iter, stop=Aitken(1e-12))
    assert (fit.n_iter, fit.outcome) == (max_iter, Outcome.MAX_ITER)
    assert not fit.outcome.converged
    assert "max_iter" in fit.outcome.value
    assert len(fit.trace.objective) == max_iter + 1


def test_a_fall_keeps_the_better_mixture():
    """A family whose M step is wrong on purpose: the loop says so and does not follow it."""

    class Wrong(Poisson):
        def from_mean(self, mean, previous=None):
            rate = previous.rate if previous is not None else mean
            return PoissonParams(np.where(rate < 3, mean, 20 * mean))

    X = np.random.default_rng(0).poisson(4.0, (200, 1)).astype(float)
    start = Mixture(Wrong(1), np.array([1.0]), PoissonParams(np.array([[2.0]])))
    fit = fit_em(start, as_source(X))
    assert fit.outcome is Outcome.FELL
    assert not fit.outcome.converged
    assert fit.objective == fit.trace.objective.max()
    assert fit.objective == pytest.approx(fit.mixture.log_density(X).sum(), rel=1e-12)
    assert fit.mixture.params.rate[0, 0] == pytest.approx(X.mean())


def test_the_trace_keeps_mixtures_when_asked():
    X, _ = groups(7)
    plain = fit_em(rough(X, 3), as_source(X), max_iter=12)
    full = fit_em(rough(X, 3), as_source(X), max_iter=12, keep_mixtures=True)
    assert plain.trace.mixtures == ()
    np.testing.assert_array_equal(plain.trace.objective, full.trace.objective)
    np.testing.assert_array_equal(plain.trace.entropy, full.trace.entropy)
    assert len(full.trace.mixtures) == 13
    for mixture, value in zip(full.trace.mixtures, full.trace.objective, strict=True):
        assert mixture.log_density(X).sum() == pytest.approx(value, rel=1e-12)
    both = full.trace.expected_complete + full.trace.entropy
    np.testing.assert_allclose(both, full.trace.objective, rtol=1e-14)


def test_a_watcher_sees_every_step():
    X, _ = groups(7)
    seen = []
    fit = fit_em(rough(X, 3), as_source(X), max_iter=9, watch=seen.append)
    assert [step.iteration for step in seen] == list(range(10))
    np.testing.assert_array_equal([step.objective for step in seen], fit.trace.objective)


def test_the_start_is_not_modified():
    X, _ = groups(8)
    X.setflags(write=False)
    start = rough(X, 3)
    before = [array.copy() for array in (start.weights, *start.params)]
    fit_em(start, as_source(X), max_iter=5)
    for a, b in zip(before, (start.weights, *start.params), strict=True):
        np.testing.assert_array_equal(a, b)


# -- labels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", FOUR)
def test_all_labels_known_is_counting_and_averaging(shape):
    """One M step; the numbers are those of each group's own rows."""
    X, labels = groups(9)
    fitted = fit_mixture(Gaussian(2, shape), as_source(X, labels=labels), 3)
    assert (fitted.outcome, fitted.n_iter) == (Outcome.CLOSED_FORM, 0)
    mixture = fitted.mixture
    np.testing.assert_allclose(mixture.weights, np.bincount(labels) / len(X), rtol=1e-14)
    for k in range(3):
        np.testing.assert_allclose(mixture.means[k], X[labels == k].mean(axis=0), rtol=1e-12)
    truth = oracle.m_step(X, np.eye(3)[labels], shape)
    np.testing.assert_allclose(mixture.params.covariances, truth.covariances, rtol=1e-11)
    assert fitted.log_likelihood == pytest.approx(mixture.log_density(X).sum(), rel=1e-12)


def test_known_labels_of_counts():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    X = rng.poisson(np.array([1.0, 5.0, 20.0])[labels, None]).astype(float)
    fitted = fit_mixture(Poisson(1), as_source(X, labels=labels), 3)
    rates = [X[labels == k].mean() for k in range(3)]
    np.testing.assert_allclose(fitted.mixture.params.rate.ravel(), rates, rtol=1e-13)


@pytest.mark.parametrize("shape", FOUR)
def test_partly_known_labels_are_em_with_fixed_responsibilities(shape):
    X, labels = groups(10, n_rows=150)
    known = np.where(np.random.default_rng(0).random(150) < 0.4, labels, -1)
    start = estimate(Gaussian(2, shape), as_source(X, labels=known), 3)
    truth = oracle.m_step(X[known >= 0], np.eye(3)[known[known >= 0]], shape)
    np.testing.assert_allclose(start.means, truth.means, rtol=1e-11)

    steps = list(islice(em_steps(start, as_source(X, labels=known)), 6))
    mixture = truth
    for step in steps:
        R, rows = oracle.e_step(X, mixture, known)
        assert step.objective == pytest.approx(rows.sum(), rel=1e-10)
        np.testing.assert_allclose(step.stats.weight, R.sum(axis=0), rtol=1e-9)
        mixture = oracle.m_step(X, R, shape)
    assert (np.diff([step.objective for step in steps]) >= -1e-9).all()


@every
def test_labels_of_minus_one_say_nothing(case):
    mixture = case.mixture(11, 3)
    X, _ = case.rows(11, 100, 3)
    silent = np.full(len(X), -1, dtype=np.int32)
    a, b = mixture.expect(one_block(X, labels=silent)), mixture.expect(one_block(X))
    np.testing.assert_array_equal(a.total, b.total)
    assert (a.loglik, a.entropy) == (b.loglik, b.entropy)


@every
def test_a_known_label_forbids_all_other_components(case):
    mixture = case.mixture(12, 3)
    X, labels = case.rows(12, 100, 3)
    labels = labels.astype(np.int32)
    stats = mixture.expect(one_block(X, labels=labels))
    joint = case.log_density(mixture.params, X) + mixture.log_weights
    assert stats.loglik == pytest.approx(joint[np.arange(len(X)), labels].sum(), rel=1e-11)
    assert stats.entropy == 0.0
    np.testing.assert_allclose(stats.weight, np.bincount(labels, minlength=3), rtol=1e-14)
    assert mixture.evaluate(one_block(X, labels=labels)).loglik == pytest.approx(
        mixture.log_density(X).sum(), rel=1e-12
    )


def test_some_labels_help_a_fit_find_them():
    """Partly labelled fits keep the components in the order of the labels."""
    X, labels = groups(13, n_rows=300, apart=5.0)
    known = np.where(np.arange(300) < 30, labels, -1)
    fitted = fit_mixture(Gaussian(2), as_source(X, labels=known), 3)
    assert fitted.outcome is Outcome.CONVERGED
    assert (fitted.mixture.predict(X) == labels).mean() > 0.95


def test_labels_beyond_the_components_are_refused():
    X, labels = groups(14)
    with pytest.raises(DataError, match=r"label 2 needs at least 3 components, n_components=2"):
        fit_mixture(Gaussian(2), as_source(X, labels=labels), 2)
    with pytest.raises(UsageError, match="labels"):
        estimate(Gaussian(2), as_source(X), 2)
