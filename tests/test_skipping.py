"""Components that cannot matter to a row are left out, and nobody can tell."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import _kernel
from tests.kernel_reference import (
    DENSE,
    DIAGONAL,
    NAMES,
    SPHERICAL,
    assert_same_bits,
    assert_statistics_close,
    make_model,
    make_rows,
    reference_pass,
)

APART = [DENSE, DIAGONAL, SPHERICAL]


@pytest.fixture
def without_skipping():
    """Call a function with and without leaving anything out."""

    def both(function):
        try:
            _kernel.allow_skipping(False)
            everything = function()
        finally:
            _kernel.allow_skipping(True)
        return everything, function()

    return both


def well_spread(geometry, K, d, n, spread=12.0):
    rng = np.random.default_rng([geometry, K, d])
    model = make_model(rng, geometry, K, d)
    model = model._replace(means=spread * rng.standard_normal((K, d)))
    return model, make_rows(rng, model, n), rng


def compare(got, everything, rtol=1e-14):
    weight = everything[0]
    np.testing.assert_allclose(got[0], weight, rtol=rtol, atol=1e-16 * weight.sum())
    for a, b in zip(got[1:3], everything[1:3], strict=True):
        scale = np.abs(b).max(initial=0.0)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale)
    assert got[3] == pytest.approx(everything[3], rel=1e-12)
    assert got[4] == pytest.approx(everything[4], abs=1e-14 * weight.sum())
    assert got[5] == pytest.approx(everything[5], rel=1e-14)


@pytest.mark.parametrize("geometry", APART, ids=NAMES.get)
@pytest.mark.parametrize(("K", "d"), [(128, 3), (150, 8), (130, 16), (600, 5)])
def test_nothing_is_lost(variant, without_skipping, geometry, K, d):
    model, X, rng = well_spread(geometry, K, d, 2500)
    w = rng.uniform(0, 2, len(X)) * (rng.random(len(X)) > 0.1)
    for weights in (None, w):
        everything, got = without_skipping(
            lambda weights=weights: _kernel.em_pass(X, weights, None, *model.arguments(), 1)
        )
        compare(got, everything)
    assert_statistics_close(got, reference_pass(X, w, model))


@pytest.mark.parametrize("geometry", APART, ids=NAMES.get)
def test_work_is_left_out(variant, without_skipping, geometry):
    # Other components change the last bits of sums, so equal bits would mean that nothing was
    # skipped: here the order of additions differs.
    model, X, _ = well_spread(geometry, 200, 8, 5000)
    everything, got = without_skipping(
        lambda: _kernel.em_pass(X, None, None, *model.arguments(), 1)
    )
    assert not np.array_equal(got[1], everything[1])


@pytest.mark.parametrize("geometry", APART, ids=NAMES.get)
def test_rows_that_nobody_expects_are_seen_by_all(variant, without_skipping, geometry):
    model, X, rng = well_spread(geometry, 150, 6, 3000)
    X[rng.random(len(X)) < 0.1] *= 3
    X[rng.random(len(X)) < 0.05] += 1e7
    everything, got = without_skipping(
        lambda: _kernel.em_pass(X, None, None, *model.arguments(), 1)
    )
    compare(got, everything)
    assert_statistics_close(got, reference_pass(X, None, model))
    far = X + 1e5
    everything, got = without_skipping(
        lambda: _kernel.em_pass(far, None, None, *model.arguments(), 1)
    )
    compare(got, everything)


@pytest.mark.parametrize("geometry", APART, ids=NAMES.get)
def test_unequal_components(variant, without_skipping, geometry):
    model, X, rng = well_spread(geometry, 150, 5, 3000)
    scale = 10.0 ** rng.uniform(-3, 0.5, 150)
    factors = model.factors / scale.reshape(-1, *[1] * (model.factors.ndim - 1))
    k = rng.integers(150, size=len(X))
    X = model.means[k] + scale[k, None] * rng.standard_normal(X.shape)
    log_weights = np.log(rng.dirichlet(np.full(150, 0.05)) + 1e-30)
    log_weights[::7] = -np.inf
    arguments = (log_weights, model.means, factors, geometry)
    everything, got = without_skipping(lambda: _kernel.em_pass(X, None, None, *arguments, 1))
    compare(got, everything)
    assert not got[0][::7].any()


@pytest.mark.parametrize("geometry", APART, ids=NAMES.get)
def test_known_labels(variant, without_skipping, geometry):
    model, X, rng = well_spread(geometry, 140, 4, 2500)
    labels = np.where(rng.random(len(X)) < 0.3, rng.integers(140, size=len(X)), -1)
    labels = labels.astype(np.int32)
    everything, got = without_skipping(
        lambda: _kernel.em_pass(X, None, labels, *model.arguments(), 1)
    )
    compare(got, everything)
    assert_statistics_close(got, reference_pass(X, None, model, labels))
    assert_same_bits(
        _kernel.em_pass(X, None, np.full_like(labels, -1), *model.arguments(), 1),
        _kernel.em_pass(X, None, None, *model.arguments(), 1),
    )


@pytest.mark.parametrize("geometry", APART, ids=NAMES.get)
def test_threads_change_no_bit(variant, geometry):
    model, X, rng = well_spread(geometry, 150, 5, 20_000)
    X[rng.random(len(X)) < 0.05] *= 4
    one = _kernel.em_pass(X, None, None, *model.arguments(), 1)
    for n_threads in (2, 5):
        assert_same_bits(_kernel.em_pass(X, None, None, *model.arguments(), n_threads), one)


def test_layout_of_rows_changes_no_bit(variant):
    model, X, _ = well_spread(DENSE, 150, 5, 3000)
    X = X.astype(np.float32).astype(float)
    expected = _kernel.em_pass(X, None, None, *model.arguments(), 1)
    for rows in (np.asfortranarray(X), X.astype(np.float32), np.repeat(X, 2, axis=0)[::2]):
        assert_same_bits(_kernel.em_pass(rows, None, None, *model.arguments(), 1), expected)


@pytest.mark.parametrize("geometry", APART, ids=NAMES.get)
def test_overlapping_components_take_the_dense_way(variant, without_skipping, geometry):
    model, X, _ = well_spread(geometry, 150, 5, 3000, spread=0.5)
    everything, got = without_skipping(
        lambda: _kernel.em_pass(X, None, None, *model.arguments(), 1)
    )
    assert_same_bits(got, everything)


# Dense components with many features: the first few features bound the log-density.

MANY_FEATURES = [(6, 33), (20, 40), (9, 130)]


@pytest.mark.parametrize(("K", "d"), MANY_FEATURES)
@pytest.mark.parametrize("spread", [4.0, 1.0])
def test_first_features_lose_nothing(variant, without_skipping, K, d, spread):
    model, X, rng = well_spread(DENSE, K, d, 2300, spread)
    w = rng.uniform(0, 2, len(X)) * (rng.random(len(X)) > 0.1)
    for weights in (None, w):
        everything, got = without_skipping(
            lambda weights=weights: _kernel.em_pass(X, weights, None, *model.arguments(), 1)
        )
        compare(got, everything)
    assert_statistics_close(got, reference_pass(X, w, model))


def test_components_that_differ_in_the_last_features(variant, without_skipping):
    # The first features say that all is well; only the last ones tell who a row belongs to.
    model, X, rng = well_spread(DENSE, 12, 40, 2300, 6.0)
    means = model.means.copy()
    means[6:, :30] = means[:6, :30]
    k = rng.integers(12, size=len(X))
    L = np.linalg.inv(model.factors)
    X = means[k] + np.einsum("nij,nj->ni", L[k], rng.standard_normal(X.shape))
    X[rng.random(len(X)) < 0.05, 35:] += 1e4
    model = model._replace(means=means)
    labels = np.full(len(X), -1, np.int32)
    labels[1100:1110] = k[1100:1110]
    for known in (None, labels):
        everything, got = without_skipping(
            lambda known=known: _kernel.em_pass(X, None, known, *model.arguments(), 1)
        )
        compare(got, everything)
        assert_statistics_close(got, reference_pass(X, None, model, known))


def test_empty_components_among_many_features(variant, without_skipping):
    model, X, _ = well_spread(DENSE, 12, 40, 1500, 4.0)
    log_weights = model.log_weights.copy()
    log_weights[[0, 5]] = -np.inf
    arguments = (log_weights, *model.arguments()[1:])
    everything, got = without_skipping(lambda: _kernel.em_pass(X, None, None, *arguments, 1))
    compare(got, everything)
    assert not got[0][[0, 5]].any()
    X[3] = 1e200  # the square of this overflows
    everything, got = without_skipping(lambda: _kernel.em_pass(X, None, None, *arguments, 1))
    np.testing.assert_allclose(got[0], everything[0], rtol=1e-14)


@pytest.mark.parametrize("spread", [0.2, 4.0])
def test_threads_change_no_bit_with_many_features(variant, spread):
    model, X, _ = well_spread(DENSE, 12, 33, 9000, spread)
    one = _kernel.em_pass(X, None, None, *model.arguments(), 1)
    for n_threads in (2, 5):
        assert_same_bits(_kernel.em_pass(X, None, None, *model.arguments(), n_threads), one)
