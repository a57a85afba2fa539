"""Laws of whole fits, over random data, numbers of components and covariance shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtura import Gain, Local, Mixture, Poisson, as_source, fit_mixture
from mixtura.families import Gaussian
from tests import oracle
from tests.cases import ANY_MAP, COLUMN_SCALES, SHAPES, full_covariances

ALONE = Local(1)
some = settings(derandomize=True, deadline=None, max_examples=40)
#: One inner iteration decides on the last digits where these stop.
ITERATED = ("VEI", "VEE", "VEV", "EVE", "VVE")


class Problem:
    """Rows in loose groups, a shape, and a partition to start from."""

    def __init__(self, shape, X, labels):
        self.shape, self.X, self.labels = shape, X, labels

    def __repr__(self):
        return f"{self.shape}, K={self.n_components}, rows {self.X.shape}, X[0]={self.X[0]}"

    @property
    def n_components(self):
        return int(self.labels.max()) + 1

    @property
    def family(self):
        return Gaussian(self.X.shape[1], self.shape)

    def fit(self, X=None, w=None, start=None, **options):
        """Eight plain steps from the partition, without an early stop."""
        source = as_source(self.X if X is None else X, weights=w)
        start = self.labels if start is None else start
        options = {"stop": Gain(0.0), "max_iter": 8, "accelerate": False, **options}
        return fit_mixture(
            self.family, source, self.n_components, start=start, executor=ALONE, **options
        )

    def full(self, fitted):
        return full_covariances(self.X.shape[1], fitted.mixture.params)

    @property
    def digits(self):
        """Relative agreement to be expected of two fits that differ by rounding."""
        return 1e-5 if self.shape in ITERATED else 1e-7


@st.composite
def problems(draw, shapes=SHAPES):
    seed = draw(st.integers(0, 2**31))
    n_components = draw(st.integers(1, 4))
    rng = np.random.default_rng(seed)
    n_rows = draw(st.integers(40, 100)) + 15 * n_components
    labels = np.arange(n_rows) % n_components
    width = draw(st.integers(2, 3))
    X = rng.normal(size=(n_rows, width)) @ rng.normal(size=(width, width))
    X += draw(st.sampled_from([0.5, 3.0])) * rng.normal(size=(n_components, width))[labels]
    return Problem(draw(st.sampled_from(shapes)), X, labels)


def assert_same(problem, a, b, jump=0.0):
    assert b.log_likelihood == pytest.approx(a.log_likelihood + jump, rel=problem.digits)
    np.testing.assert_allclose(b.mixture.weights, a.mixture.weights, atol=10 * problem.digits)


@some
@given(problems(), st.integers(0, 1000))
def test_order_of_rows(problem, seed):
    order = np.random.default_rng(seed).permutation(len(problem.X))
    a = problem.fit()
    b = problem.fit(problem.X[order], start=problem.labels[order])
    assert_same(problem, a, b)
    scale = np.abs(problem.X).max()
    np.testing.assert_allclose(b.mixture.means, a.mixture.means, atol=problem.digits * scale)


@some
@given(problems())
def test_order_of_columns(problem):
    order = np.roll(np.arange(problem.X.shape[1]), 1)
    a, b = problem.fit(), problem.fit(problem.X[:, order])
    assert_same(problem, a, b)
    scale = np.abs(problem.X).max()
    np.testing.assert_allclose(
        b.mixture.means, a.mixture.means[:, order], atol=10 * problem.digits * scale
    )
    turned = problem.full(a)[:, order][:, :, order]
    np.testing.assert_allclose(
        problem.full(b), turned, atol=100 * problem.digits * np.abs(turned).max()
    )


def linear_map(shape, d, rng):
    """A map of rows that keeps the shape what it is."""
    if shape in COLUMN_SCALES:
        return np.diag(np.exp(rng.uniform(-3, 3, d)))
    if shape in ANY_MAP:
        return np.eye(d) + rng.uniform(-0.3, 0.3, (d, d))
    return np.exp(rng.uniform(-3, 3)) * np.linalg.qr(rng.normal(size=(d, d)))[0]


@some
@given(problems(), st.integers(0, 1000))
def test_linear_maps_of_the_rows(problem, seed):
    """The fit, its floor and all, follows: the log-likelihood by n log |det A|."""
    rng = np.random.default_rng(seed)
    d = problem.X.shape[1]
    A, b = linear_map(problem.shape, d, rng), 10 * rng.normal(size=d)
    plain, moved = problem.fit(), problem.fit(problem.X @ A.T + b)
    jump = -len(problem.X) * np.linalg.slogdet(A)[1]
    assert moved.log_likelihood == pytest.approx(
        plain.log_likelihood + jump, rel=problem.digits, abs=1e-4
    )
    where = plain.mixture.means @ A.T + b
    np.testing.assert_allclose(
        moved.mixture.means, where, atol=1e-4 * np.abs(problem.X @ A.T).max()
    )


@some
@given(problems(), st.integers(0, 1000))
def test_whole_weights_repeat_rows_and_zero_leaves_them_out(problem, seed):
    w = np.random.default_rng(seed).integers(0, 3, len(problem.X))
    w[: 5 * problem.n_components] = 1  # nobody is left without rows
    weighted = problem.fit(w=w.astype(float))
    repeated = problem.fit(
        np.repeat(problem.X, w, axis=0), start=np.repeat(problem.labels, w, axis=0)
    )
    absent = problem.fit(problem.X[w > 0], w=w[w > 0] * 1.0, start=problem.labels[w > 0])
    assert weighted.mass == w.sum()
    for other in (repeated, absent):
        assert_same(problem, weighted, other)
    assert weighted.bic == pytest.approx(repeated.bic, rel=problem.digits)


@some
@given(problems(), st.sampled_from([1e-9, 0.1, 3.0, 1e12]))
def test_a_common_factor_of_the_weights_changes_no_parameter(problem, factor):
    rng = np.random.default_rng(0)
    w = rng.random(len(problem.X)) + 0.2
    a, b = problem.fit(w=w), problem.fit(w=factor * w)
    np.testing.assert_allclose(
        b.mixture.means, a.mixture.means, atol=problem.digits * np.abs(problem.X).max()
    )
    full = problem.full(a)
    np.testing.assert_allclose(
        problem.full(b), full, atol=100 * problem.digits * np.abs(full).max()
    )
    assert b.log_likelihood == pytest.approx(factor * a.log_likelihood, rel=problem.digits)


@some
@given(problems())
def test_one_component_is_the_closed_form(problem):
    X, shape = problem.X, problem.shape
    fitted = fit_mixture(problem.family, as_source(X), 1)
    S = np.cov(X.T, bias=True)
    if shape[2] == "I":
        S = np.diag(np.diag(S)) if shape[1] != "I" else np.eye(len(S)) * np.trace(S) / len(S)
    one = oracle.Gaussians(np.zeros(1), X.mean(axis=0)[None], S[None], "dense")
    np.testing.assert_allclose(problem.full(fitted)[0], S, rtol=1e-9, atol=1e-11)
    assert fitted.log_likelihood == pytest.approx(oracle.log_density(X, one).sum(), rel=1e-11)


@some
@given(problems(), st.integers(0, 3))
def test_the_log_likelihood_is_that_of_the_returned_mixture(problem, max_iter):
    fitted = problem.fit(max_iter=max_iter)
    mixture = fitted.mixture
    truth = oracle.Gaussians(mixture.log_weights, mixture.means, problem.full(fitted), "dense")
    rows = mixture.log_density(problem.X)
    np.testing.assert_allclose(rows, oracle.log_density(problem.X, truth), rtol=1e-9, atol=1e-9)
    assert fitted.log_likelihood == pytest.approx(rows.sum(), rel=1e-12)
    assert fitted.trace.objective[-1] == pytest.approx(rows.sum(), rel=1e-11)
    assert fitted.n_iter == (0 if problem.n_components == 1 and max_iter == 0 else max_iter)
    R = mixture.responsibilities(problem.X)
    assert ((R >= 0) & (R <= 1)).all()
    np.testing.assert_allclose(R.sum(axis=1), 1.0, atol=1e-14)
    d = problem.X.shape[1]
    df = oracle.free_parameters(problem.shape, problem.n_components, d)
    assert mixture.n_free == df
    bic = oracle.bic(fitted.log_likelihood, df, len(problem.X))
    assert fitted.bic == pytest.approx(bic, rel=1e-12)
    assert fitted.aic == pytest.approx(oracle.aic(fitted.log_likelihood, df), rel=1e-12)
    assert fitted.icl == pytest.approx(oracle.icl(bic, R), rel=1e-9)
    assert sum(fitted.sizes) == len(problem.X)


@some
@given(problems(shapes=("VVV", "EEE", "VVI", "VII", "EEV", "EII")))
def test_another_component_never_hurts(problem):
    """From a split of one component the same density is the start, so EM ends no lower."""
    fitted = problem.fit()
    mixture = fitted.mixture
    order = np.append(np.arange(problem.n_components), 0)
    weights = mixture.weights[order]
    weights[[0, -1]] *= [0.3, 0.7]
    split = Mixture(mixture.family, weights, mixture.family.take(mixture.params, order))
    more = fit_mixture(
        problem.family, as_source(problem.X), len(order), start=split, max_iter=8, executor=ALONE
    )
    assert more.trace.objective[0] == pytest.approx(fitted.log_likelihood, rel=1e-11)
    assert more.log_likelihood >= fitted.log_likelihood - 1e-9 * abs(fitted.log_likelihood)


@some
@given(problems())
def test_a_fit_changes_nothing_that_it_is_given(problem):
    X, labels = problem.X.copy(), problem.labels.copy()
    w = np.linspace(0.5, 1.5, len(X))
    for array in (problem.X, problem.labels, w):
        array.setflags(write=False)
    fitted = problem.fit(w=w)
    again = problem.fit(w=w, start=fitted.mixture)
    assert again.trace.objective[0] == pytest.approx(fitted.log_likelihood, rel=1e-10)
    np.testing.assert_array_equal(problem.X, X)
    np.testing.assert_array_equal(problem.labels, labels)
    np.testing.assert_array_equal(w, np.linspace(0.5, 1.5, len(X)))


@settings(derandomize=True, deadline=None, max_examples=15)
@given(problems(), st.integers(0, 1000))
def test_the_default_start_does_not_see_the_order_of_rows(problem, seed):
    order = np.random.default_rng(seed).permutation(len(problem.X))
    options = {"start": "auto", "n_starts": 3, "max_iter": 3}
    a, b = problem.fit(**options), problem.fit(problem.X[order], **options)
    assert b.log_likelihood == pytest.approx(a.log_likelihood, rel=1e-6)


@some
@given(
    st.integers(0, 1000), st.integers(1, 4), st.lists(st.integers(0, 3), min_size=60, max_size=60)
)
def test_counts_with_whole_weights_are_repeated_counts(seed, n_components, weights):
    rng = np.random.default_rng(seed)
    w = np.maximum(weights, np.arange(60) < 20)
    X = rng.poisson(np.array([1.0, 9.0, 30.0])[np.arange(60) % 3, None] * [1.0, 0.5]).astype(float)
    options = {"n_starts": 2, "max_iter": 6, "stop": Gain(0.0), "executor": ALONE, "seed": seed}
    a = fit_mixture(Poisson(2), as_source(X, weights=w.astype(float)), n_components, **options)
    b = fit_mixture(Poisson(2), as_source(np.repeat(X, w, axis=0)), n_components, **options)
    assert b.log_likelihood == pytest.approx(a.log_likelihood, rel=1e-8)
    np.testing.assert_allclose(b.mixture.means, a.mixture.means, rtol=1e-6)
