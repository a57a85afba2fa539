"""Default starts on data that defeat k-means: thin groups in noise, units, copies, outliers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from mixtura import Local, as_source, fit_mixture
from mixtura.families import Gaussian
from mixtura.start.spaces import half_whitened, standardised, unmixed, whitened, without_outliers

ALONE = Local(1)


def thin_groups(seed, n_rows, d=30, apart=6.0):
    """Two groups that lie apart in one direction only, and that is neither long nor a column.

    All rows together have unit covariance before they are stretched and turned, so that
    neither distances nor whitened distances show the direction.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(n_rows) % 2
    X = rng.normal(size=(n_rows, d))
    X[:, 0] += apart * labels
    X -= X.mean(axis=0)
    X = np.linalg.solve(np.linalg.cholesky(np.cov(X.T, bias=True)), X.T).T
    turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
    return (X @ turn) * np.geomspace(1, 100, d), labels


def check_as_likely_as_the_truth(X, labels, shape="VVV", seed=0, **options):
    """Default starts against the known groups: log-likelihood, and the groups themselves."""
    family, size = Gaussian(X.shape[1], shape), int(labels.max()) + 1
    source = as_source(X)
    found = fit_mixture(family, source, size, seed=seed, executor=ALONE, **options)
    known = fit_mixture(family, source, size, start=labels, executor=ALONE)
    assert found.log_likelihood > known.log_likelihood - 1e-3 * len(X) / 1000
    return adjusted_rand_score(labels, found.mixture.predict(X))


@pytest.mark.parametrize("seed", range(4))
def test_thin_groups_in_thirty_dimensions(seed):
    """scikit-learn's threads 34842 and 34845: k-means starts give an index near zero there."""
    X, labels = thin_groups(seed, 2000)
    assert check_as_likely_as_the_truth(X, labels, seed=seed) > 0.97
    alone = fit_mixture(
        Gaussian(30), as_source(X), 2, start="kmeans", n_starts=1, seed=seed, executor=ALONE
    )
    assert adjusted_rand_score(labels, alone.mixture.predict(X)) < 0.1


@pytest.mark.parametrize("d", [2, 5, 10])
def test_thin_groups_in_fewer_dimensions(d):
    for seed in range(5):
        X, labels = thin_groups(seed, 400, d)
        assert check_as_likely_as_the_truth(X, labels, seed=seed) > 0.95, seed


@pytest.mark.parametrize("shape", ["VVV", "VVI", "EEE", "VEV"])
def test_a_column_of_scale_1000_beside_thin_groups(shape):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels = np.arange(300) % 3
        X = np.column_stack([
            rng.normal(0, 1000, 300),
            rng.normal(7.0 * (labels == 1), 1),
            rng.normal(7.0 * (labels == 2), 1),
        ])  # fmt: skip
        assert check_as_likely_as_the_truth(X, labels, shape, seed) > 0.97, seed


def test_copies_of_rows_count_but_do_not_attract():
    """A third of all rows are copies of six, in rounded data full of ties."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels = np.arange(300) % 3
        X = np.round(rng.normal(size=(300, 2)) + np.array([[0, 0], [9, 0], [0, 9]])[labels], 1)
        copies = np.repeat(np.arange(6), 25)
        X, labels = np.vstack([X, X[copies]]), np.append(labels, labels[copies])
        assert check_as_likely_as_the_truth(X, labels, seed=seed) > 0.97, seed
        rows, place, counts = np.unique(X, axis=0, return_inverse=True, return_counts=True)
        weighted = fit_mixture(
            Gaussian(2), as_source(rows, weights=counts.astype(float)), 3, seed=seed, executor=ALONE
        )
        again = weighted.mixture.predict(rows)[place.ravel()]
        assert adjusted_rand_score(labels, again) > 0.97, seed


@pytest.mark.parametrize("far", [30.0, 1e3])
def test_outliers_do_not_hide_the_groups(far):
    """Two thin groups and a few rows anywhere far out, which take a wide component."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels = np.arange(400) % 2
        X = np.column_stack([rng.normal(0, 8, 400), rng.normal(5.0 * labels, 0.5)])
        X = np.vstack([X, rng.uniform(-far, far, (10, 2))])
        labels = np.append(labels, np.full(10, 2))
        index = check_as_likely_as_the_truth(X, labels, seed=seed)
        assert index > 0.9, seed


# -- spaces ------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [whitened, half_whitened, standardised, unmixed])
def test_spaces_do_not_depend_on_units_place_or_the_scale_of_weights(space):
    rng = np.random.default_rng(0)
    X, w = rng.gamma(2.0, size=(300, 4)) @ rng.normal(size=(4, 4)), rng.uniform(0.5, 2, 300)
    one, other = space(X, w), space(X * [1e-3, 1.0, 50.0, 1e6] + [0, 5.0, 1e4, 0], 7 * w)
    signs = np.sign((one * other).sum(axis=0))
    np.testing.assert_allclose(other * signs, one, rtol=1e-6, atol=1e-7)


def test_unmixed_columns_are_white_and_the_first_tells_groups_apart():
    X, labels = thin_groups(1, 6000, d=12)
    w = np.random.default_rng(1).integers(1, 3, len(X)).astype(float)
    Z = unmixed(X, w)
    np.testing.assert_allclose(w @ Z / w.sum(), 0, atol=1e-9)
    # the axes are those of a sample of the rows, in which they are orthogonal
    np.testing.assert_allclose((Z * w[:, None]).T @ Z / w.sum(), np.eye(12), atol=0.2)
    kurtosis = (w @ Z**4) * w.sum() / (w @ Z**2) ** 2
    assert (np.diff(kurtosis) >= 0).all()
    assert kurtosis[0] < 2.0
    assert (kurtosis[1:] > 2.5).all()
    assert adjusted_rand_score(labels, Z[:, 0] > 0) > 0.95


def test_unmixed_leaves_out_directions_without_variance():
    X = np.random.default_rng(0).normal(size=(100, 3))
    wide = np.column_stack([X, X.sum(axis=1), np.full(100, 7.0)])
    assert unmixed(wide, np.ones(100)).shape == (100, 3)
    assert unmixed(wide[:, :1], np.ones(100)).shape == (100, 1)
    assert unmixed(np.ones((5, 2)), np.ones(5)).shape == (5, 0)


def test_a_few_far_rows_are_left_out_of_some_starts_and_many_are_not():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(200, 2)), [[50.0, 0.0], [0.0, -1e300]]])
    w = np.ones(202)
    assert np.flatnonzero(without_outliers(X, w) == 0).tolist() == [200, 201]
    heavy = np.append(np.ones(200), [40.0, 1.0])  # a fifth of all weight is no outlier
    np.testing.assert_array_equal(without_outliers(X, heavy), heavy)
    np.testing.assert_array_equal(without_outliers(X[:200], w[:200]), w[:200])
    # in units and places of its own, and a column that is mostly one value says nothing
    moved = X[:201] * [1e-6, 1e6] + [3.0, -1e9]
    assert np.flatnonzero(without_outliers(moved, w[:201]) == 0).tolist() == [200]
    zeros = np.column_stack([X[:200], np.arange(200) == 7])
    np.testing.assert_array_equal(without_outliers(zeros, w[:200]), w[:200])
