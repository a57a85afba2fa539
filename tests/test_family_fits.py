"""The contract of families, continued: estimates, their errors, and EM."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize
from scipy.special import logsumexp

from mixtura import Aitken, as_source, em_steps, fit_em
from mixtura.families import Gaussian
from tests import oracle
from tests.contract import closed, every, jacobian, one_block, only

# -- the M step --------------------------------------------------------------------------------


@every
def test_n_free_is_the_dimension_of_the_parameters(case):
    mixture = case.mixture(10, 3)
    size, at = case.chart(mixture.params)

    def values(t):
        return np.concatenate([np.ravel(a) for a in case.estimates(at(t))])

    assert case.family.n_free(3) == size
    assert np.linalg.matrix_rank(jacobian(values, size), tol=1e-6) == size
    if isinstance(case.family, Gaussian) and case.d > 1:
        truth = oracle.free_parameters(case.family.shape.name, 3, case.d)
        assert mixture.n_free == truth
    assert mixture.n_free == size + 2


@closed
def test_an_estimate_from_labels_is_a_maximum(case):
    """All directions in which the parameters may move go down; numbers and labels are facts."""
    X, labels = case.rows(11, 400, 3)
    fit = case.estimate(X, 3, labels=labels)
    np.testing.assert_allclose(fit.weights, np.bincount(labels) / len(labels), rtol=1e-14)
    size, at = case.chart(fit.params)

    def complete(t):
        return case.log_density(at(t), X)[np.arange(len(X)), labels].sum()

    slope = jacobian(complete, size)
    directions = np.eye(size)
    steepest = [complete(1e-3 * s) - complete(0 * s) for s in (*directions, *-directions)]
    np.testing.assert_allclose(slope, 0.0, atol=2e-5 * len(X))
    assert max(steepest) < 0


@every
def test_score_is_the_gradient_of_the_log_likelihood(case):
    """By Fisher's identity, for a mixture that is not at its maximum."""
    truth = case.mixture(12, 2)
    X, _ = case.rows(13, 300, 2)
    size, at = case.chart(truth.params)

    def value(t):
        joint = case.log_density(at(t), X) + np.log(truth.weights)
        return logsumexp(joint, axis=1).sum()

    def coordinates(t):
        return np.concatenate([np.ravel(a) for a in case.coordinates(at(t))])

    score = truth.score(truth.expect(one_block(X)))
    found = np.concatenate([np.ravel(a) for a in score]) @ jacobian(coordinates, size)
    numeric = jacobian(value, size)
    np.testing.assert_allclose(found, numeric, rtol=1e-5, atol=1e-6 * np.abs(numeric).max())


@only(lambda case: case.free and case.family.closed_form)
def test_score_is_zero_at_the_fit(case):
    X, _ = case.rows(14, 300, 3)
    fit = case.estimate(X, 1)
    for gradient in fit.score(fit.expect(one_block(X))):
        np.testing.assert_allclose(gradient, 0.0, atol=1e-9 * len(X))


@only(lambda case: case.exact_information)
def test_standard_errors_are_those_of_the_inverse_hessian(case):
    """At the estimate, observed and expected information of an exponential family are equal."""
    X, _ = case.rows(15, 250)
    fit = case.estimate(X, 1)
    size, at = case.chart(fit.params)
    step = 1e-3

    def value(t):
        return case.log_density(at(t), X).sum()

    hessian = np.empty((size, size))
    axes = step * np.eye(size)
    for i in range(size):
        for j in range(i + 1):
            a, b = axes[i], axes[j]
            crossed = value(a + b) - value(a - b) - value(b - a) + value(-a - b)
            hessian[i, j] = hessian[j, i] = crossed
    spread = np.linalg.inv(-hessian / (4 * step**2))

    def values(t):
        return np.concatenate([np.ravel(a) for a in case.estimates(at(t))])

    slope = jacobian(values, size)
    truth = np.sqrt(np.einsum("ij,jk,ik->i", slope, spread, slope))
    errors = case.family.standard_errors(fit.params, np.array([float(len(X))]))
    found = np.concatenate([np.ravel(a) for a in errors])
    np.testing.assert_allclose(found, truth, rtol=1e-4)


@closed
def test_sample_then_fit_comes_back(case):
    """Estimates from 20,000 rows lie within five standard errors of the truth."""
    truth = case.mixture(16, 1).params
    n_rows = 20_000
    X = case.family.sample(truth, np.zeros(n_rows, dtype=int), np.random.default_rng(16))
    fit = case.estimate(X, 1)
    errors = case.family.standard_errors(truth, np.array([float(n_rows)]))
    for found, true, error in zip(
        case.estimates(fit.params), case.estimates(truth), errors, strict=True
    ):
        assert (np.abs(found - true) <= 5 * error).all()
        assert (np.abs(found - true) > 0).any()


@every
def test_samples_have_the_moments_and_sizes_of_the_mixture(case):
    mixture = case.mixture(17, 3)
    n_rows = 30_000
    X, labels = mixture.sample(n_rows, np.random.default_rng(17))
    assert X.shape == (n_rows, case.d)
    counts = np.bincount(labels, minlength=3)
    spread = np.sqrt(n_rows * mixture.weights * (1 - mixture.weights))
    assert (np.abs(counts - n_rows * mixture.weights) <= 5 * spread).all()
    variances = np.einsum("kjj->kj", case.covariance(mixture.params))
    for k in range(3):
        error = np.sqrt(variances[k] / counts[k])
        assert (np.abs(X[labels == k].mean(axis=0) - mixture.means[k]) <= 5 * error).all()
        if not case.heavy_tails:
            np.testing.assert_allclose(X[labels == k].var(axis=0), variances[k], rtol=0.15)
    again, _ = mixture.sample(n_rows, np.random.default_rng(17))
    np.testing.assert_array_equal(X, again)


# -- EM ----------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("seed", range(3))
def test_em_never_descends(case, seed):
    X, _ = case.rows(20 + seed, 150, 3)
    w = np.random.default_rng(seed).random(len(X)) + 0.1
    steps = em_steps(case.rough_start(X, 3, seed, w), as_source(X, weights=w))
    values = np.array([next(steps).objective for _ in range(40)])
    assert (np.diff(values) >= -1e-11 * np.abs(values[1:])).all()
    # Of one yes-or-no column the first M step finds the share already: nothing is left to gain.
    settled = case.family.name == "bernoulli" and case.d == 1
    assert settled or values[-1] > values[0]


@only(lambda case: case.linear_map is not None)
def test_em_is_equivariant(case):
    """Rows A x + b lead to components A mu + b and A Sigma A', iteration by iteration."""
    X, _ = case.rows(30, 200, 2)
    rng = np.random.default_rng(30)
    A, b = case.linear_map(rng), rng.normal(size=case.d) * 100
    runs = []
    for rows in (X, X @ A.T + b):
        R = case.rough_start(X, 2, 0).responsibilities(X)
        steps = em_steps(case.estimate(rows, 2, responsibilities=R), as_source(rows))
        runs.append([next(steps) for _ in range(6)])
    for plain, moved in zip(*runs, strict=True):
        jump = -len(X) * np.linalg.slogdet(A)[1]
        assert moved.objective == pytest.approx(plain.objective + jump, rel=1e-9)
        np.testing.assert_allclose(moved.mixture.means, plain.mixture.means @ A.T + b, rtol=1e-8)
        if isinstance(case.family, Gaussian):
            full = case.covariance(plain.mixture.params)
            np.testing.assert_allclose(
                case.covariance(moved.mixture.params), A @ full @ A.T, rtol=1e-6, atol=1e-9
            )


@only(lambda case: case.moves_freely and case.family.closed_form)
def test_a_shift_of_the_rows_shifts_the_fit(case):
    """By whole numbers that lose no digits: what remains is rounding of sums."""
    X = np.round(case.rows(31, 300, 2)[0] * 2**20) / 2**20
    R = case.rough_start(X, 2, 1).responsibilities(X)
    c = 2.0**20
    plain, moved = (case.estimate(rows, 2, responsibilities=R) for rows in (X, X + c))
    np.testing.assert_allclose(moved.means - c, plain.means, rtol=0, atol=1e-9)
    spreads = [case.estimates(fit.params)[1:] for fit in (plain, moved)]
    for a, b in zip(*spreads, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


# -- door B ------------------------------------------------------------------------------------


@only(lambda case: case.family.name == "independent_student" and case.d == 1)
def test_latent_scales_reach_what_an_optimiser_finds(case):
    X, _ = case.rows(60, 300, 2)
    fit = fit_em(case.rough_start(X, 2, 0), as_source(X), stop=Aitken(1e-12))
    assert fit.outcome.converged

    def loss(theta):
        share = 1 / (1 + np.exp(-theta[0]))
        params = case.family.params_type(theta[1:3, None], np.exp(theta[3:, None]))
        joint = case.log_density(params, X) + np.log([share, 1 - share])
        return -logsumexp(joint, axis=1).sum()

    best = optimize.minimize(loss, [0, *np.quantile(X, [0.2, 0.8]), 0, 0], method="BFGS")
    assert fit.objective == pytest.approx(-best.fun, abs=1e-5)
