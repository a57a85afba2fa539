"""M steps of the 14 shapes: optimal, of the shape, monotone and equivariant."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.m_step_problems import (
    ALL,
    ANY_LINEAR_MAP,
    DIAGONAL,
    ITERATED,
    ROTATIONS_ONLY,
    SPHERICAL,
    Parametrisation,
    best_by_optimiser,
    maximise,
    objective,
    problem,
    relative_gap,
    special_rotations,
)

# -- the optimum -------------------------------------------------------------------


@pytest.mark.parametrize("shape", ALL)
@pytest.mark.parametrize(("seed", "K", "d"), [(0, 2, 2), (1, 3, 2), (2, 2, 3), (3, 4, 1)])
def test_no_optimiser_finds_better(shape, seed, K, d):
    n, means, W = problem(seed, K, d)
    ours = objective(n, W, maximise(shape, n, W, means))
    form = Parametrisation(shape, K, d)
    theirs = best_by_optimiser(n, W, form, sum(form.sizes), np.random.default_rng(seed))
    assert ours >= theirs - 1e-6 * abs(theirs)
    assert ours <= theirs + 1e-4 * abs(theirs)  # else ours would lie outside of the shape


@pytest.mark.parametrize("shape", ("VVE", "EVE"))
def test_common_axes_are_found_from_many_starts(shape):
    """The step without previous covariances is no worse than descents from random axes."""
    n, means, W = problem(0, 3, 4)
    ours = objective(n, W, maximise(shape, n, W, means))
    rng = np.random.default_rng(7)
    for D in special_rotations(rng, 10, 4):
        previous = D @ (np.exp(rng.normal(size=(3, 4)))[:, :, None] * D.T)
        assert ours >= objective(n, W, maximise(shape, n, W, previous=previous)) - 1e-9 * n.sum()


# -- closed forms (Celeux and Govaert 1995) ----------------------------------------


def closed_form(shape, n, W):
    d, total = W.shape[1], n.sum()
    identity = np.eye(d)
    diagonal = np.einsum("kjj->kj", W)
    trace = diagonal.sum(axis=1)
    if shape == "EII":
        return np.broadcast_to(trace.sum() / (total * d) * identity, W.shape)
    if shape == "VII":
        return (trace / (n * d))[:, None, None] * identity
    if shape == "EEI":
        return np.broadcast_to(np.diag(diagonal.sum(axis=0) / total), W.shape)
    if shape == "EVI":
        geometric = np.exp(np.log(diagonal).mean(axis=1))
        return (geometric.sum() / total * diagonal / geometric[:, None])[:, :, None] * identity
    if shape == "VVI":
        return (diagonal / n[:, None])[:, :, None] * identity
    if shape == "EEE":
        return np.broadcast_to(W.sum(axis=0) / total, W.shape)
    if shape == "EEV":
        values, vectors = np.linalg.eigh(W)
        return (vectors * (values.sum(axis=0) / total)) @ vectors.transpose(0, 2, 1)
    if shape == "EVV":
        root = np.linalg.det(W) ** (1 / d)
        return (root.sum() / total / root)[:, None, None] * W
    return W / n[:, None, None]


@pytest.mark.parametrize("shape", ["EII", "VII", "EEI", "EVI", "VVI", "EEE", "EEV", "EVV", "VVV"])
@pytest.mark.parametrize(("K", "d"), [(1, 1), (3, 1), (1, 3), (2, 2), (4, 5), (3, 12), (2, 30)])
def test_closed_forms(shape, K, d):
    n, means, W = problem(10 * K + d, K, d, spread=0.5)
    sigma, expected = maximise(shape, n, W, means), closed_form(shape, n, W)
    scale = np.sqrt(np.einsum("kii,kjj->kij", expected, expected))
    assert (np.abs(sigma - expected) <= 1e-10 * scale).all()


def test_one_component_of_any_shape_is_the_closed_form_of_its_class():
    """With K = 1 there are three different models (spherical, diagonal, full)."""
    n, means, W = problem(3, 1, 4)
    for shapes, model in ((SPHERICAL, "VII"), (DIAGONAL, "VVI"), (ALL[6:], "VVV")):
        for shape in shapes:
            np.testing.assert_allclose(
                maximise(shape, n, W, means), closed_form(model, n, W), rtol=1e-9, atol=1e-12
            )


# -- the result has the shape ------------------------------------------------------


@pytest.mark.parametrize("shape", ALL)
@pytest.mark.parametrize(("K", "d"), [(3, 2), (4, 5), (2, 20)])
def test_volumes_shapes_and_orientations_are_as_named(shape, K, d):
    n, means, W = problem(20 + d, K, d, spread=0.5)
    sigma = maximise(shape, n, W, means, max_inner=20)
    values = np.linalg.eigvalsh(sigma)
    log_volume = np.log(values).mean(axis=1)
    form = np.log(values) - log_volume[:, None]
    if shape[0] == "E":
        np.testing.assert_allclose(log_volume, log_volume[0], atol=1e-9)
    if shape[1] == "I":
        np.testing.assert_allclose(form, 0.0, atol=1e-9)
    if shape[1] == "E":
        np.testing.assert_allclose(form, np.broadcast_to(form[0], form.shape), atol=1e-9)
    if shape[2] == "I":
        assert np.count_nonzero(sigma - np.einsum("kjj->kj", sigma)[:, :, None] * np.eye(d)) == 0
    if shape[2] == "E":  # symmetric matrices share their axes if and only if they commute
        for a, b in itertools.combinations(sigma, 2):
            norm = np.linalg.norm(a) * np.linalg.norm(b)
            assert np.linalg.norm(a @ b - b @ a) <= 1e-9 * norm


# -- monotone ----------------------------------------------------------------------


@pytest.mark.parametrize("shape", ITERATED)
@pytest.mark.parametrize(("K", "d"), [(2, 2), (4, 5), (3, 18)])
def test_objective_rises_with_every_inner_iteration(shape, K, d):
    n, means, W = problem(30 + d, K, d)
    first = maximise(shape, *problem(31 + d, K, d)[::2])  # of the shape, but for other scatters
    trace = [objective(n, W, first)]
    for steps in (1, 2, 3, 4, 6, 10, 20):
        sigma = maximise(shape, n, W, means, previous=first, max_inner=steps, inner_tol=0.0)
        trace.append(objective(n, W, sigma))
    assert (np.diff(trace) >= -1e-11 * abs(trace[-1])).all()
    assert trace[-1] > trace[0]


@pytest.mark.parametrize("shape", ALL)
def test_a_step_never_goes_down_from_covariances_of_the_shape(shape):
    for seed in range(5):
        n, means, W = problem(seed, 3, 4)
        previous = maximise(shape, *problem(100 + seed, 3, 4)[::2])
        before = objective(n, W, previous)
        after = objective(n, W, maximise(shape, n, W, means, previous=previous))
        assert after >= before - 1e-12 * abs(before)


# -- equivariance ------------------------------------------------------------------


@pytest.mark.parametrize("shape", ALL)
@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_units_common_to_all_columns(shape, scale):
    n, means, W = problem(40, 3, 4)
    sigma = maximise(shape, n, W, means)
    moved = maximise(shape, n, W * scale**2, means * scale)
    assert relative_gap(moved / scale**2, sigma) < 1e-6


@pytest.mark.parametrize("shape", [*DIAGONAL, *ANY_LINEAR_MAP])
def test_units_of_each_column(shape):
    n, means, W = problem(41, 3, 3)
    S = np.diag([1e-8, 1.0, 1e8])
    sigma = maximise(shape, n, W, means)
    assert relative_gap(maximise(shape, n, S @ W @ S, means @ S), S @ sigma @ S) < 1e-6


@pytest.mark.parametrize("shape", ANY_LINEAR_MAP)
def test_any_linear_map(shape):
    n, means, W = problem(42, 3, 4)
    A = np.random.default_rng(42).normal(size=(4, 4))
    sigma = A @ maximise(shape, n, W, means) @ A.T
    assert relative_gap(maximise(shape, n, A @ W @ A.T, means @ A.T), sigma) < 1e-6


@pytest.mark.parametrize("shape", [*SPHERICAL, *ANY_LINEAR_MAP, *ROTATIONS_ONLY])
@pytest.mark.parametrize(("K", "d"), [(2, 3), (3, 2)])
def test_rotations(shape, K, d):
    n, means, W = problem(43, K, d)
    A = special_rotations(np.random.default_rng(43), 1, d)[0]
    sigma = A @ maximise(shape, n, W, means) @ A.T
    assert relative_gap(maximise(shape, n, A @ W @ A.T, means @ A.T), sigma) < 1e-5
