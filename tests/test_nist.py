"""Certified means and standard deviations, and what a far origin does to a fit: nothing."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mixtura import Gain, GaussianMixture, as_source, estimate, fit_mixture
from mixtura.families import Gaussian
from mixtura.mixture import from_stats
from mixtura.stats import tree_sum
from tests import nist
from tests.cases import SHAPES, full_covariances

#: Shapes whose M step iterates.
ITERATED = ("VEI", "VEE", "VEV", "EVE", "VVE")
ONE_COLUMN = ("VVV", "EEE", "VVI", "VII")
every_set = pytest.mark.parametrize("name", nist.NAMES)


def assert_certified(data, mean, variance_ml):
    """`variance_ml` divides by n, the certified one by n - 1."""
    n, certified = data.certified.n, data.certified
    sd = np.sqrt(variance_ml * n / (n - 1))
    assert nist.digits(float(mean), certified.mean) >= certified.mean_digits
    assert nist.digits(float(sd), certified.sd) >= certified.sd_digits


def moments(mixture):
    return mixture.means[0, 0], full_covariances(1, mixture.params)[0, 0, 0]


@every_set
@pytest.mark.parametrize("shape", ONE_COLUMN)
def test_estimate(name, shape):
    data = nist.load(name)
    X = data.x[:, None]
    assert_certified(data, *moments(estimate(Gaussian(1, shape), as_source(X), 1)))
    assert_certified(data, *moments(fit_mixture(Gaussian(1, shape), as_source(X), 1).mixture))


@every_set
def test_estimator(name):
    data = nist.load(name)
    model = GaussianMixture(1).fit(data.x[:, None])
    assert_certified(data, model.means_[0, 0], model.covariances_[0, 0, 0])
    n, v = data.certified.n, data.variance_ml
    loglik = -n / 2 * (np.log(2 * np.pi) + np.log(v) + 1)
    assert model.log_likelihood_ == pytest.approx(loglik, rel=1e-7)  # as good as NumAcc4's sd


@every_set
@pytest.mark.parametrize("n_rows", [1, 7, 100, 1024])
def test_pieces_of_any_size(name, n_rows):
    """Sums of pieces, about the mean of a first pass, added in the tree."""
    data = nist.load(name)
    family, params = Gaussian(1, origin=data.x[:1]), None
    pieces = [data.x[i : i + n_rows, None] for i in range(0, len(data.x), n_rows)]
    for _ in range(2):
        stats = tree_sum(family.accumulate(params, X, np.ones((len(X), 1))) for X in pieces)
        mixture = from_stats(family, stats, params)
        params = mixture.params
    assert_certified(data, *moments(mixture))


@every_set
@pytest.mark.parametrize("block_rows", [1024, 2048])
def test_blocks(name, block_rows):
    data = nist.load(name)
    source = as_source(data.x[:, None], block_rows=block_rows)
    assert_certified(data, *moments(fit_mixture(Gaussian(1), source, 1).mixture))


@every_set
@pytest.mark.parametrize("seed", range(5))
def test_rows_in_any_order(name, seed):
    data = nist.load(name)
    shuffled = np.random.default_rng(seed).permutation(data.x)
    assert_certified(data, *moments(estimate(Gaussian(1), as_source(shuffled[:, None]), 1)))


@every_set
def test_weights_of_one(name):
    data = nist.load(name)
    source = as_source(data.x[:, None], weights=np.ones(len(data.x)))
    assert_certified(data, *moments(fit_mixture(Gaussian(1), source, 1).mixture))


@every_set
def test_weights_as_repetition(name):
    """Distinct values, each with the number of its rows."""
    data = nist.load(name)
    values, counts = np.unique(data.x, return_counts=True)
    source = as_source(values[:, None], weights=counts.astype(float))
    fitted = fit_mixture(Gaussian(1), source, 1)
    assert fitted.mass == len(data.x)
    assert_certified(data, *moments(fitted.mixture))


def test_rows_stored_as_float32():
    """As good as float64, for the rows as they are after rounding."""
    data = nist.load("NumAcc2")
    x = data.x.astype(np.float32)
    mean, sd, _ = nist.exact_moments([Fraction(float(value)) for value in x])
    found_mean, variance = moments(fit_mixture(Gaussian(1), as_source(x[:, None]), 1).mixture)
    n = len(x)
    assert nist.digits(found_mean, str(mean)) >= 14
    assert nist.digits(float(np.sqrt(variance * n / (n - 1))), str(sd)) >= 14


# -- far from the origin -----------------------------------------------------------------------

OFFSET = 1e8


def two_groups(d=3, seed=0, apart=4.0):
    """Rows that stay the same when the offset is added and taken away again."""
    rng = np.random.default_rng(seed)
    X = np.concatenate([rng.normal(0, 1, (300, d)), rng.normal(apart, 1.5, (200, d))])
    far = X + OFFSET
    near = far - OFFSET  # exact: neighbours of OFFSET subtract without rounding
    assert (near + OFFSET == far).all()
    return near, far


@pytest.mark.parametrize("shape", SHAPES)
def test_a_far_origin_changes_no_covariance_of_known_groups(shape):
    near, far = two_groups()
    labels = np.repeat([0, 1], [300, 200])
    a, b = (
        fit_mixture(Gaussian(3, shape), as_source(X, labels=labels), 2).mixture for X in (near, far)
    )
    assert_same_covariances(a, b, 1e-12)
    np.testing.assert_array_equal(b.means, a.means + OFFSET)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_far_origin_changes_no_fit(shape):
    """EM too, up to what rounding the means to doubles near the offset does to the densities."""
    near, far = two_groups()
    halves = (near.sum(axis=1) > 4).astype(int)
    fits = [
        fit_mixture(Gaussian(3, shape), as_source(X), 2, start=halves, stop=Gain(0.0), max_iter=60)
        for X in (near, far)
    ]
    a, b = (fit.mixture for fit in fits)
    assert_same_covariances(a, b, np.spacing(OFFSET) / 4)
    np.testing.assert_allclose(b.means - OFFSET, a.means, rtol=0, atol=np.spacing(OFFSET))
    np.testing.assert_array_equal(b.predict(far), a.predict(near))
    assert fits[1].log_likelihood == pytest.approx(fits[0].log_likelihood, rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_far_origin_changes_no_fit_of_clear_groups(shape):
    """Responsibilities of 0 and 1 do not feel the rounding of the means."""
    near, far = two_groups(apart=40.0)
    a, b = (fit_mixture(Gaussian(3, shape), as_source(X), 2).mixture for X in (near, far))
    # an inner iteration stops at 1e-12 nats per row, which is more than rounding
    assert_same_covariances(a, b, 1e-8 if shape in ITERATED else 1e-12)
    np.testing.assert_array_equal(b.predict(far), a.predict(near))


def assert_same_covariances(a, b, tolerance):
    full = [full_covariances(3, mixture.params) for mixture in (a, b)]
    np.testing.assert_allclose(full[1], full[0], rtol=0, atol=tolerance)


def test_the_variance_of_a_far_column():
    """2000 standard normal rows around 1e8: squares about zero would give -4."""
    x = np.random.default_rng(0).normal(size=2000) + 1e8
    exact = [Fraction(value) for value in x.tolist()]
    mean = sum(exact) / len(exact)
    variance = sum((value - mean) ** 2 for value in exact) / len(exact)
    assert np.mean(x**2) - np.mean(x) ** 2 < 0
    _, found = moments(fit_mixture(Gaussian(1), as_source(x[:, None]), 1).mixture)
    assert found == pytest.approx(float(variance), rel=1e-12)


def test_float32_rows_that_cancel():
    """Rows 9999 and 0 in float32: the variance of the two is exact, and not below zero."""
    X = np.array([[9999.0], [0.0]], dtype=np.float32)
    one = fit_mixture(Gaussian(1, "spherical"), as_source(X), 1)
    assert one.mixture.params.covariances[0] == 9999.0**2 / 4
    two = fit_mixture(Gaussian(1, "spherical"), as_source(X), 2)
    floor = 1e-6 * 9999.0**2 / 4
    np.testing.assert_allclose(two.mixture.params.covariances, floor, rtol=1e-9)
    np.testing.assert_allclose(np.sort(two.mixture.means.ravel()), [0, 9999], atol=1e-9)
