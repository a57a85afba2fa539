"""M steps above a covariance floor: exact where they can be, feasible and monotone always."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from mixtura import _kernel
from tests.m_step_problems import (
    ALL,
    ROTATIONS_ONLY,
    Collapsing,
    Parametrisation,
    best_by_optimiser,
    full,
    geometry_of,
    maximise,
    objective,
    own,
    problem,
    rotations,
    statistics,
)


def random_floor(shape, rng, d, scale):
    """A floor in a shape's own layout, and as a matrix."""
    A = rng.normal(size=(d, d))
    F = scale * (A @ A.T / d + 0.1 * np.eye(d))
    if geometry_of(shape) == 3:
        return np.array(F[0, 0]), F[0, 0] * np.eye(d)
    if geometry_of(shape) == 2:
        return np.diag(F).copy(), np.diag(np.diag(F))
    return F, F


def least_ratio(sigma, F):
    """Smallest eigenvalue of sigma in the metric of the floor."""
    W = np.linalg.inv(np.linalg.cholesky(F))
    return np.linalg.eigvalsh(W @ sigma @ W.T).min()


@pytest.mark.parametrize("shape", ALL)
def test_a_floor_that_does_not_act_changes_no_bit(shape):
    rng = np.random.default_rng(50)
    n, means, W = problem(50, 3, 4, spread=0.3)
    floor, _ = random_floor(shape, rng, 4, 1e-6)
    np.testing.assert_array_equal(
        maximise(shape, n, W, means, floor=floor), maximise(shape, n, W, means)
    )
    np.testing.assert_array_equal(
        maximise(shape, n, W, means, floor=0.0), maximise(shape, n, W, means)
    )


@pytest.mark.parametrize("shape", ALL)
@pytest.mark.parametrize("d", [1, 2, 5])
def test_results_stay_above_a_floor_that_acts(shape, d):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        n, means, W = problem(seed, 3, d, spread=0.5)
        W[0] *= 1e-9  # a component that collapses
        floor, F = random_floor(shape, rng, d, 1.0)
        raised = 2.0 * least_ratio(maximise(shape, n, W, means), F)  # so that it acts
        floor, F = raised * floor, raised * F
        sigma = maximise(shape, n, W, means, floor=floor)
        assert least_ratio(sigma, F) >= 1 - 1e-9
        again = maximise(shape, n, W, means, previous=sigma, floor=floor)
        assert objective(n, W, again) >= objective(n, W, sigma) * (1 - 1e-12) - 1e-9
        assert least_ratio(again, F) >= 1 - 1e-9


@pytest.mark.parametrize("shape", ALL)
def test_singular_scatters_give_finite_results_above_a_floor(shape):
    rng = np.random.default_rng(51)
    n, means, W = problem(51, 3, 4, spread=0.3)
    W[0] = np.outer(*2 * [rng.normal(size=4)])
    W[1] = 0.0
    floor, F = random_floor(shape, rng, 4, 1e-3)
    result = _kernel.gaussian_m_step(shape, *statistics(shape, n, means, W, means), None, floor)
    assert all(np.isfinite(array).all() for array in result)
    assert least_ratio(full(shape, result[1], 3, 4), F) >= 1 - 1e-5  # condition 1e12


@pytest.mark.parametrize("shape", ROTATIONS_ONLY)
def test_floors_along_unlike_axes_cost_no_more_than_needed(shape):
    """A floor that is large along one column must not raise the variances of another."""
    n, means, W = problem(52, 3, 3, spread=0.1)
    S = np.diag([1.0, 1e3, 1e-3])
    W = 50.0 * np.eye(3) + np.einsum("kij->kji", W) * 1e-6
    W[:, 1, 1] *= 1.0 + np.arange(3)
    W = S @ W @ S
    F = 1e-6 * S @ S
    np.testing.assert_array_equal(
        maximise(shape, n, W, means, floor=F), maximise(shape, n, W, means)
    )


def bounded_parametrisation(shape, F, K, d):
    """Unconstrained numbers -> covariances of a shape above F, and how many numbers."""
    L = np.linalg.cholesky(F)
    angles = d * (d - 1) // 2

    def above(theta):  # F and more
        A = np.zeros((d, d))
        A[np.tril_indices(d)] = theta
        return L @ (np.eye(d) + A @ A.T) @ L.T

    def shares(theta):  # (K, d) positive numbers with the same row sum
        z = np.exp(theta[1:].reshape(K, d) - theta[1:].max())
        return theta[0] ** 2 * z / z.sum(axis=1, keepdims=True)

    tri = d * (d + 1) // 2
    if shape in ("VVV", "EEE"):
        count = K if shape == "VVV" else 1
        return lambda t: np.stack(
            [above(x) for x in np.split(t, count)] * (K // count)
        ), count * tri
    if shape == "VEE":
        return lambda t: (1 + t[:K] ** 2)[:, None, None] * above(t[K:]), K + tri
    if shape == "VEI":
        return lambda t: (1 + t[:K] ** 2)[:, None, None] * (F + np.diag(t[K:] ** 2)), K + d
    if shape == "EVI":
        return lambda t: np.exp(shares(t))[:, :, None] * F, 1 + K * d
    assert shape == "EVV"

    def equal_volume(t):
        D = L @ rotations(t[1 + K * d :].reshape(K, angles), d)
        return D @ (np.exp(shares(t[: 1 + K * d]))[:, :, None] * D.transpose(0, 2, 1))

    return equal_volume, 1 + K * d + K * angles


@pytest.mark.parametrize("shape", ["VVV", "EEE", "VEE", "VEI", "EVI", "EVV"])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_optimiser_finds_better_above_the_floor(shape, seed):
    rng = np.random.default_rng(60 + seed)
    n, means, W = problem(60 + seed, 3, 2, spread=0.5)
    W[0] *= 0.05
    floor, F = random_floor(shape, rng, 2, np.einsum("kjj->", W) / n.sum() / 2)
    sigma = maximise(shape, n, W, means, floor=floor)
    assert least_ratio(sigma, F) < 1 + 1e-6  # the floor acts
    covariances, size = bounded_parametrisation(shape, F, 3, 2)
    theirs = best_by_optimiser(n, W, covariances, size, rng)
    ours = objective(n, W, sigma)
    assert ours >= theirs - 1e-6 * abs(theirs)
    assert ours <= theirs + 1e-3 * abs(theirs)


@pytest.mark.parametrize("shape", ROTATIONS_ONLY)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_optimiser_finds_better_above_a_round_floor(shape, seed):
    """With F a multiple of the identity the bound is one on the eigenvalues."""
    n, means, W = problem(70 + seed, 2, 2, spread=0.5)
    W[0] *= 1e-4
    level = 0.5 * np.linalg.eigvalsh(W.sum(axis=0))[0] / n.sum()
    sigma = maximise(shape, n, W, means, floor=level * np.eye(2))
    form, K = Parametrisation(shape, 2, 2), 2

    def covariances(theta):
        free = form(theta)
        return free if np.linalg.eigvalsh(free).min() >= level * (1 - 1e-9) else np.zeros_like(free)

    rng = np.random.default_rng(seed)
    best = -np.inf
    for _ in range(3):  # no gradients: the bound is a cliff
        start = np.concatenate([np.full(form.sizes[0], np.log(4 * level)),
                                0.1 * rng.normal(size=sum(form.sizes[1:]))])  # fmt: skip
        found = optimize.minimize(
            lambda theta: -max(objective(n, W, covariances(theta)), -1e10),
            start,
            method="Nelder-Mead",
            options={"maxiter": 4000, "xatol": 1e-9, "fatol": 1e-10, "adaptive": True},
        )
        best = max(best, -found.fun)
    assert objective(n, W, sigma) >= best - 1e-6 * abs(best)
    assert least_ratio(sigma, level * np.eye(K)) >= 1 - 1e-9


@pytest.mark.parametrize("shape", ROTATIONS_ONLY)
def test_steps_along_a_moving_problem_never_go_down(shape):
    """Above a floor that these shapes cannot meet axis by axis, as in the iterations of EM."""
    for seed in range(15):
        rng = np.random.default_rng(seed)
        n, _, W = problem(seed, 3, 3, spread=0.5)
        W[0] *= 1e-6
        A = rng.normal(size=(3, 3))
        F = A @ A.T / 3 + 0.02 * np.eye(3)
        F *= 0.3 * np.einsum("kjj->", W) / n.sum() / np.trace(F)
        previous = maximise(shape, n, W, floor=F)
        for _ in range(6):
            B = np.eye(3) + 0.15 * rng.normal(size=(3, 3))
            W = B @ (W * rng.uniform(0.8, 1.25, size=(3, 1, 1))) @ B.T
            new = maximise(shape, n, W, previous=previous, floor=F)
            before = objective(n, W, previous)
            assert objective(n, W, new) >= before - 1e-10 * abs(before)
            assert least_ratio(new, F) >= 1 - 1e-9
            previous = new


@pytest.mark.parametrize("shape", ALL)
def test_steps_of_em_never_go_down_while_components_collapse(shape):
    """Components of few rows, near and on the floor: no step ends below where it came from."""
    for seed in range(40):
        data = Collapsing(seed)
        floor = own(shape, data.floor[None])[0] if geometry_of(shape) > 1 else data.floor
        R, previous = data.start, None
        for _ in range(20):
            n, means, W = data.moments(R)
            if n.min() < 1e-3:
                break
            sigma = maximise(shape, n, W, previous=previous, floor=floor)
            if previous is not None:
                before, after = objective(n, W, previous), objective(n, W, sigma)
                condition = max(np.linalg.cond(previous).max(), np.linalg.cond(sigma).max())
                rounding = np.finfo(float).eps * condition * n.sum()  # of a stored covariance
                assert after >= before - 1e-10 * abs(before) - rounding
            previous = sigma
            R = data.responsibilities(n, means, sigma)
