"""The oracle itself: against R, against SciPy, against 50 digits, and by laws."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from tests import oracle, reference
from tests.oracle import Gaussians, Geometry

SLOW_ITERATIONS = 300
#: Longer runs of plain NumPy take minutes; the library's own tests make all of them.
MOST_ITERATIONS = 1000
GEOMETRIES: tuple[Geometry, ...] = ("dense", "tied", "diagonal", "spherical")
GAUSSIAN_SETS = reference.names("gaussian")


def _fits(*, converged: bool) -> list[Any]:
    """Every reference fit whose M step the oracle has; slow where EM needs many steps."""
    return [
        _case(name, fit)
        for name in GAUSSIAN_SETS
        for fit in reference.load(name).fits
        if fit.model in oracle.GEOMETRY
        and (fit.converged.loglik is not None) == converged
        and not (fit.converged.iterations or 0) > MOST_ITERATIONS
    ]


def _fits_of_models_at() -> list[Any]:
    """The fits whose converged parameters the reference holds."""
    cases = []
    for name in GAUSSIAN_SETS:
        data = reference.load(name)
        K, models = data.models_at
        cases += [_case(name, data.fit(model, K)) for model in models if model in oracle.GEOMETRY]
    return cases


def _case(name: str, fit: reference.Fit) -> Any:
    slow = fit.converged.iterations > SLOW_ITERATIONS
    marks = [pytest.mark.slow] if slow else []
    return pytest.param(name, fit, id=f"{name}-{fit.model}{fit.n_components}", marks=marks)


def _mixture(rng: np.random.Generator, geometry: Geometry, K: int, d: int) -> Gaussians:
    factors = rng.standard_normal((K, d, d + 2))
    dense = factors @ factors.transpose(0, 2, 1) / d
    covariances = {
        "dense": dense,
        "tied": dense[:1],
        "diagonal": np.diagonal(dense, axis1=1, axis2=2),
        "spherical": dense[:, 0, 0],
    }[geometry]
    log_weights = np.log(rng.dirichlet(np.full(K, 5.0)))
    return Gaussians(log_weights, rng.standard_normal((K, d)), covariances, geometry)


@pytest.mark.parametrize(("name", "fit"), _fits(converged=True))
def test_em_reaches_the_log_likelihood_of_r(name: str, fit: reference.Fit) -> None:
    data = reference.load(name)
    run = oracle.em(data.X, data.initial_partition(fit.n_components), fit.model)
    assert run.converged
    assert run.loglik == pytest.approx(fit.converged.loglik, rel=1e-9)
    slack = 1e-12 * (1 + abs(run.loglik))
    assert np.diff(run.trace).min(initial=0.0) >= -slack


@pytest.mark.parametrize(("name", "fit"), _fits(converged=False))
def test_em_turns_singular_where_r_found_no_fit(name: str, fit: reference.Fit) -> None:
    data = reference.load(name)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        oracle.em(data.X, data.initial_partition(fit.n_components), fit.model)


@pytest.mark.parametrize("name", GAUSSIAN_SETS)
def test_criteria_equal_those_of_r_at_its_own_stop(name: str) -> None:
    data = reference.load(name)
    checked = 0
    for fit in data.fits:
        if fit.model not in oracle.GEOMETRY or fit.bic is None or fit.icl is None:
            continue
        run = oracle.em(data.X, data.initial_partition(fit.n_components), fit.model, tol=1e-5)
        assert run.loglik == pytest.approx(fit.loglik, rel=1e-11)
        assert len(run.trace) == fit.iterations or fit.n_components == 1
        bic = oracle.bic(run.loglik, fit.df, len(data.X))
        assert bic == pytest.approx(-fit.bic, rel=1e-11)
        assert oracle.icl(bic, run.responsibilities) == pytest.approx(-fit.icl, rel=1e-9)
        checked += 1
    assert checked >= 9


@pytest.mark.parametrize("name", ["faithful", "diabetes", "acidity"])
def test_classification_of_the_chosen_model_equals_that_of_r(name: str) -> None:
    data = reference.load(name)
    chosen = data.best_bic
    run = oracle.em(data.X, data.initial_partition(chosen.n_components), chosen.model, tol=1e-5)
    np.testing.assert_array_equal(run.responsibilities.argmax(axis=1), chosen.classification)
    uncertainty = 1 - run.responsibilities.max(axis=1)
    np.testing.assert_allclose(uncertainty, chosen.uncertainty, rtol=1e-6, atol=1e-13)


@pytest.mark.parametrize(("name", "fit"), _fits_of_models_at())
def test_converged_parameters_equal_those_of_r(name: str, fit: reference.Fit) -> None:
    data = reference.load(name)
    expected = data.models_at[1][fit.model].parameters
    mixture = oracle.em(data.X, data.initial_partition(fit.n_components), fit.model).mixture
    sd = data.X.std(axis=0)
    np.testing.assert_allclose(np.exp(mixture.log_weights), expected.weights, atol=1e-6)
    np.testing.assert_allclose(mixture.means / sd, expected.means / sd, atol=1e-6)
    scale = np.outer(sd, sd)
    covariances = oracle.full_covariances(mixture)
    np.testing.assert_allclose(covariances / scale, expected.covariances / scale, atol=1e-6)


@pytest.mark.parametrize("name", GAUSSIAN_SETS)
def test_log_density_of_the_parameters_of_r_gives_its_log_likelihood(name: str) -> None:
    data = reference.load(name)
    _, models = data.models_at
    assert len(models) == (2 if data.X.shape[1] == 1 else 14)
    for found in models.values():
        weights, means, covariances = found.parameters
        mixture = Gaussians(np.log(weights), means, covariances, "dense")
        loglik = oracle.log_density(data.X, mixture).sum()
        assert loglik == pytest.approx(found.loglik, rel=1e-10)


def test_free_parameters_equal_those_of_r_for_all_models() -> None:
    seen = set()
    for name in GAUSSIAN_SETS:
        data = reference.load(name)
        for fit in data.fits:
            count = oracle.free_parameters(fit.model, fit.n_components, data.X.shape[1])
            assert count == fit.df, (name, fit.model, fit.n_components)
            seen.add(fit.model)
    assert seen == {*oracle.MODELS, "E", "V"}


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("d", [1, 2, 5])
def test_component_log_density_equals_that_of_scipy(geometry: Geometry, d: int) -> None:
    rng = np.random.default_rng(1)
    mixture = _mixture(rng, geometry, 3, d)
    X = 3 * rng.standard_normal((50, d))
    found = oracle.component_log_density(X, mixture)
    full = oracle.full_covariances(mixture)
    for k in range(3):
        expected = multivariate_normal(mixture.means[k], full[k]).logpdf(X)
        np.testing.assert_allclose(found[:, k], expected, rtol=1e-12)


@pytest.mark.parametrize("model", oracle.GEOMETRY)
def test_m_step_from_statistics_equals_that_from_rows(model: str) -> None:
    rng = np.random.default_rng(2)
    d = 1 if len(model) == 1 else 4
    X, w = rng.standard_normal((200, d)) + 5, rng.uniform(0, 2, 200)
    mixture = _mixture(rng, oracle.GEOMETRY[model], 3, d)
    mixture = mixture._replace(means=mixture.means + 5)
    R, _ = oracle.e_step(X, mixture)
    direct = oracle.m_step(X, w[:, None] * R, model)
    stats = oracle.statistics(X, mixture, w)
    through = oracle.maximise(stats, mixture.means, model)
    np.testing.assert_allclose(through.log_weights, direct.log_weights, rtol=1e-11)
    np.testing.assert_allclose(through.means, direct.means, rtol=1e-11)
    np.testing.assert_allclose(through.covariances, direct.covariances, rtol=1e-11)
    assert stats.mass == pytest.approx(w.sum(), rel=1e-14)
    assert stats.weight.sum() == pytest.approx(w.sum(), rel=1e-13)


@pytest.mark.parametrize("model", oracle.GEOMETRY)
def test_m_step_maximises_the_complete_likelihood(model: str) -> None:
    rng = np.random.default_rng(3)
    d = 1 if len(model) == 1 else 3
    X, R = rng.standard_normal((80, d)), rng.dirichlet(np.ones(2), 80)
    best = oracle.m_step(X, R, model)

    def expected_loglik(mixture: Gaussians) -> float:
        joint = oracle.component_log_density(X, mixture) + mixture.log_weights
        return float((R * joint).sum())

    top = expected_loglik(best)
    first = np.zeros(best.covariances.shape)
    first.flat[0] = 1  # a variance of the first component, or of all that share it
    for step in (1e-3, -1e-3):
        shifted = best.log_weights + np.array([step, 0])
        shifted -= np.logaddexp(*shifted)
        assert expected_loglik(best._replace(log_weights=shifted)) < top
        assert expected_loglik(best._replace(means=best.means + step)) < top
        for direction in (first, best.covariances):
            moved = best.covariances + step * direction
            assert expected_loglik(best._replace(covariances=moved)) < top


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_integer_weights_are_repeated_rows(geometry: Geometry) -> None:
    rng = np.random.default_rng(4)
    X, w = rng.standard_normal((60, 3)), rng.integers(0, 4, 60)
    assert (w == 0).any()
    mixture = _mixture(rng, geometry, 3, 3)
    weighted = oracle.statistics(X, mixture, w.astype(np.float64))
    repeated = oracle.statistics(np.repeat(X, w, axis=0), mixture)
    for name, found in weighted._asdict().items():
        expected = getattr(repeated, name)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11, err_msg=name)


def test_known_labels_and_empty_components() -> None:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((40, 2))
    mixture = _mixture(rng, "dense", 3, 2)
    log_weights = np.array([np.log(0.25), np.log(0.75), -np.inf])
    mixture = mixture._replace(log_weights=log_weights)
    labels = np.full(40, -1)
    labels[:10] = 1
    R, rows = oracle.e_step(X, mixture, labels)
    joint = oracle.component_log_density(X, mixture) + log_weights
    np.testing.assert_array_equal(R[:10], np.tile([0.0, 1.0, 0.0], (10, 1)))
    np.testing.assert_array_equal(rows[:10], joint[:10, 1])
    np.testing.assert_array_equal(R[:, 2], 0.0)
    np.testing.assert_allclose(rows[10:], np.logaddexp(joint[10:, 0], joint[10:, 1]), rtol=1e-13)
    np.testing.assert_allclose(R.sum(axis=1), 1, rtol=1e-14)
    # Only the rows without a label are uncertain.
    p = R[10:, 0]
    stats = oracle.statistics(X, mixture, labels=labels)
    expected = -(p * np.log(p) + (1 - p) * np.log1p(-p)).sum()
    assert stats.entropy == pytest.approx(expected, rel=1e-10)


def test_icl_with_entropy_counts_the_doubt_twice() -> None:
    R = np.array([[0.5, 0.5], [1.0, 0.0]])
    assert oracle.icl_entropy(10.0, R) == pytest.approx(10 + 2 * np.log(2), rel=1e-15)
    assert oracle.icl_entropy(10.0, R, np.array([3.0, 7.0])) == pytest.approx(
        10 + 6 * np.log(2), rel=1e-15
    )
    assert oracle.icl(10.0, R, np.array([3.0, 7.0])) == pytest.approx(10 + 6 * np.log(2), rel=1e-15)
    assert oracle.aic(-5.0, 3) == 16.0


@pytest.mark.parametrize("condition", [1e0, 1e4, 1e8, 1e12, 1e14])
@pytest.mark.parametrize("d", [2, 5])
def test_log_density_with_mpmath(d: int, condition: float) -> None:
    rng = np.random.default_rng(6)
    covariance = oracle.covariance_with_condition(rng, d, condition)
    assert np.linalg.cond(covariance) == pytest.approx(condition, rel=0.1)
    mean = rng.standard_normal(d)
    X = mean + rng.standard_normal((6, d)) @ np.linalg.cholesky(covariance).T
    exact = oracle.log_density_mpmath(X, mean, covariance)
    # The same density by another road: explicit inverse and determinant, 70 digits.
    with mpmath.workdps(70):
        matrix = mpmath.matrix(covariance.tolist())
        inverse, determinant = matrix**-1, mpmath.det(matrix)
        for row, found in zip(X.tolist(), exact, strict=True):
            z = mpmath.matrix(row) - mpmath.matrix(mean.tolist())
            square = (z.T * inverse * z)[0]
            expected = -(d * mpmath.log(2 * mpmath.pi) + mpmath.log(determinant) + square) / 2
            assert abs(found - expected) < mpmath.mpf(10) ** -30
    doubles = oracle.component_log_density(
        X, Gaussians(np.zeros(1), mean[None], covariance[None], "dense")
    )[:, 0]
    errors = [abs(float(a - b)) for a, b in zip(exact, doubles.tolist(), strict=True)]
    assert max(errors) <= 4 * np.finfo(float).eps * (10 + condition)
