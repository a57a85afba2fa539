"""What the M step gives back: means, factors, marks of singularity, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import _kernel
from tests.m_step_problems import (
    ALL,
    full,
    maximise,
    objective,
    own,
    problem,
    statistics,
)

# -- means, factors and what does not change them --------------------------------------


@pytest.mark.parametrize("shape", ALL)
@pytest.mark.parametrize("d", [1, 2, 9])
def test_centres_do_not_matter(shape, d):
    n, means, W = problem(5, 3, d, spread=0.3)
    offset = 1e8
    result = _kernel.gaussian_m_step(
        shape, *statistics(shape, n, means, W, means + 0.1), None, None
    )
    np.testing.assert_allclose(result[0], means, atol=1e-14 * 10)
    np.testing.assert_allclose(
        full(shape, result[1], 3, d), maximise(shape, n, W, means), rtol=1e-6, atol=1e-9
    )
    far = list(statistics(shape, n, means, W, means + 0.125))
    far[3] = far[3] + offset  # centres and means move together: same statistics
    moved = _kernel.gaussian_m_step(shape, *far, None, None)
    np.testing.assert_allclose(moved[0], means + offset, rtol=1e-15)
    near = _kernel.gaussian_m_step(shape, far[0], far[1], far[2], far[3] - offset, None, None)
    np.testing.assert_array_equal(moved[1], near[1])
    np.testing.assert_array_equal(moved[2], near[2])


@pytest.mark.parametrize("shape", ALL)
@pytest.mark.parametrize("d", [1, 3, 8, 9, 40])
def test_factors_are_inverse_cholesky_factors(shape, d):
    n, means, W = problem(6, 3, d, spread=0.3)
    _, sigma, factors = _kernel.gaussian_m_step(
        shape, *statistics(shape, n, means, W, means), None, None, max_inner=5
    )
    assert sigma.shape == factors.shape
    sigma, factors = full(shape, sigma, 3, d), full(shape, factors, 3, d)
    product = factors @ sigma @ factors.transpose(0, 2, 1)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(d), product.shape), atol=1e-9)
    np.testing.assert_array_equal(factors, np.tril(factors))
    np.testing.assert_array_equal(sigma, sigma.transpose(0, 2, 1))


@pytest.mark.parametrize("geometry", [0, 1, 2, 3])
@pytest.mark.parametrize("d", [1, 2, 8, 9, 33])
def test_cholesky_factors_of_given_covariances(geometry, d):
    shape = {0: "VVV", 1: "EEE", 2: "VVI", 3: "VII"}[geometry]
    _, _, W = problem(8, 3, d, spread=0.3)
    given = own(shape, W)
    factors, log_determinants = _kernel.cholesky_factors(given, geometry, d)
    matrices = full(shape, given, len(given), d)
    np.testing.assert_allclose(
        log_determinants, np.linalg.slogdet(matrices)[1], rtol=1e-12, atol=1e-12
    )
    expected = np.linalg.inv(np.linalg.cholesky(matrices))
    np.testing.assert_allclose(full(shape, factors, len(given), d), expected, rtol=1e-7, atol=1e-9)


def test_cholesky_factors_mark_what_is_not_positive_definite():
    rank_one = np.outer([1.0, 3.0, 0.1], [1.0, 3.0, 0.1]) / 7.0
    given = np.stack([np.eye(3), np.diag([1.0, -1.0, 1.0]), rank_one, np.full((3, 3), np.nan)])
    factors, log_determinants = _kernel.cholesky_factors(given, 0)
    np.testing.assert_array_equal(
        np.isfinite(factors).all(axis=(1, 2)), [True, False, False, False]
    )
    np.testing.assert_array_equal(np.isfinite(log_determinants), [True, False, False, False])
    scale = np.diag([1e-8, 1.0, 1e8])  # the answer does not depend on units
    assert np.isnan(_kernel.cholesky_factors(scale @ given @ scale, 0)[0][2]).all()
    factors, _ = _kernel.cholesky_factors(np.array([[1.0, 0.0], [2.0, 0.5]]), 2)
    assert np.isnan(factors[0]).all()
    np.testing.assert_allclose(factors[1] ** -2, [2.0, 0.5])
    assert np.isnan(_kernel.cholesky_factors(np.array([0.0, -1.0, np.inf]), 3)[0]).all()


# -- refusals, empty components and threads --------------------------------------------


@pytest.mark.parametrize("shape", ALL)
def test_a_component_without_weight_keeps_what_it_has(shape):
    n, means, W = problem(80, 3, 2)
    previous = maximise(shape, n, W, means)
    weight, W[1] = np.array([n[0], 0.0, n[2]]), 0.0
    stats = statistics(shape, weight, means, W, means)
    new_means, sigma, factors = _kernel.gaussian_m_step(shape, *stats, own(shape, previous), None)
    np.testing.assert_array_equal(new_means[1], means[1])
    assert np.isfinite(factors).all()
    others = maximise(shape, n[[0, 2]], W[[0, 2]], means[[0, 2]], previous[[0, 2]])
    np.testing.assert_allclose(full(shape, sigma, 3, 2)[[0, 2]], others, rtol=1e-9)
    if shape in ("EII", "EEI", "EEE"):
        _kernel.gaussian_m_step(shape, *stats, None, None)  # the shared covariance has data
    else:
        np.testing.assert_array_equal(full(shape, sigma, 3, 2)[1], previous[1])
        with pytest.raises(ValueError, match="component 1 has no weight"):
            _kernel.gaussian_m_step(shape, *stats, None, None)


@pytest.mark.parametrize("shape", ["VVV", "EVV", "VVE"])
def test_without_a_floor_a_singular_component_is_marked(shape):
    n, means, W = problem(81, 3, 3)
    W[1] = np.outer(W[1][0], W[1][0])
    factors = _kernel.gaussian_m_step(shape, *statistics(shape, n, means, W, means))[2]
    np.testing.assert_array_equal(np.isfinite(factors).all(axis=(1, 2)), [True, False, True])


@pytest.mark.parametrize("shape", ["VII", "VVI", "VEI", "VEE", "VEV", "VVV"])
def test_without_a_floor_a_component_of_equal_rows_is_marked(shape):
    n, means, W = problem(83, 3, 3)
    W[1] = 0.0
    factors = _kernel.gaussian_m_step(shape, *statistics(shape, n, means, W, means))[2]
    usable = np.isfinite(factors).reshape(3, -1).all(axis=1)
    np.testing.assert_array_equal(usable, [True, False, True])


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_singular_common_axis_is_marked_or_the_objective_rises(scale):
    """A scatter of too few rows has no finite optimum under VVE: never less than before."""
    marked = 0
    for seed in range(50, 60):
        n, means, W = problem(seed, 4, 5)
        previous = maximise("VVE", n, W)
        rows = np.random.default_rng(seed).normal(size=(4, 5))
        W[1] = rows.T @ rows
        stats = statistics("VVE", n, means, W * scale**2, means)
        _, sigma, factors = _kernel.gaussian_m_step("VVE", *stats, previous * scale**2)
        if np.isnan(factors[1]).all():
            marked += 1
        else:
            assert objective(n, W, sigma / scale**2) >= objective(n, W, previous)
    assert marked > 0


def test_what_is_refused():
    n, means, W = problem(82, 2, 3)
    stats = statistics("VVV", n, means, W, means)
    with pytest.raises(ValueError, match="'XYZ' is not one of the 14 names"):
        _kernel.gaussian_m_step("XYZ", *stats)
    with pytest.raises(ValueError, match=r"total has shape \(2, 8\), needed is \(2, 9\)"):
        _kernel.gaussian_m_step("VVV", n, stats[1][:, :-1], stats[2], stats[3])
    with pytest.raises(ValueError, match=r"weight has shape \(1,\), needed is \(2,\)"):
        _kernel.gaussian_m_step("VVV", n[:1], *stats[1:])
    with pytest.raises(ValueError, match="floor is not positive definite"):
        _kernel.gaussian_m_step("VVV", *stats, None, np.diag([1.0, 1.0, -1.0]))
    with pytest.raises(ValueError, match=r"floor has shape \(3,\), needed is \(3, 3\)"):
        _kernel.gaussian_m_step("VVV", *stats, None, np.ones(3))
    with pytest.raises(ValueError, match="geometry=4"):
        _kernel.cholesky_factors(np.eye(3)[None], 4)


@pytest.mark.parametrize("shape", ["VVV", "EVV", "EEV", "VVE"])
def test_threads_change_no_bit(shape):
    rng = np.random.default_rng(90)
    n, means = rng.uniform(100, 200, 5), np.zeros((5, 64))
    rows = rng.normal(size=(5, 100, 64)) * rng.uniform(0.5, 2, (5, 1, 64))
    stats = statistics(shape, n, means, rows.transpose(0, 2, 1) @ rows, means)
    floor = 0.5 * np.eye(64)
    results = [
        _kernel.gaussian_m_step(shape, *stats, None, floor, max_inner=2, n_threads=threads)
        for threads in (1, 2, 7)
    ]
    for result in results[1:]:
        for ours, first in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(ours, first)
