"""Student's t: the Gaussian limit, estimates against other optimisers, information, outliers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from mixtura import Aitken, Gaussian, MixtureModel, as_source, fit_em, fit_mixture, load
from mixtura.errors import UsageError
from mixtura.families.student import Student, StudentParams
from tests.cases import full_covariances
from tests.cases_latent import student_case
from tests.contract import jacobian

SHAPES = ("VVV", "EEE", "VVI", "VII")


def heavy(seed, n=400, d=2, nu=4.0):
    """Rows of one t density, correlated."""
    case = student_case("VVV", d, freedom=nu)
    return case.rows(seed, n)[0]


def two(seed, n=600):
    return student_case("VVV", 2).rows(seed, n, 2)[0]


# -- what other optimisers find --------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("given", [0.0, 3.0])
def test_one_density_reaches_what_an_optimiser_finds(shape, given):
    """No direction of the free parameters leads higher, and no other start does."""
    X = heavy(1)
    fitted = fit_mixture(Student(2, shape, freedom=given), as_source(X), 1, stop=Aitken(1e-12))
    assert fitted.outcome.converged
    case = student_case(shape, 2, freedom=given)
    size, at = case.chart(fitted.mixture.params)

    def loss(t):
        return -case.log_density(at(t), X).sum()

    np.testing.assert_allclose(jacobian(loss, size), 0.0, atol=0.02)
    start = 0.3 * np.random.default_rng(0).normal(size=size)
    best = optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-6})
    assert fitted.log_likelihood == pytest.approx(-best.fun, abs=1e-5)


@pytest.mark.parametrize("equal", [False, True])
def test_a_mixture_reaches_what_an_optimiser_finds(equal):
    X = two(2)
    fitted = fit_mixture(Student(2, equal_freedom=equal), as_source(X), 2, stop=Aitken(1e-11))
    case = student_case("VVV", 2, equal=equal)
    size, at = case.chart(fitted.mixture.params)
    odds = np.log(fitted.mixture.weights[0] / fitted.mixture.weights[1])

    def loss(t):
        share = 1 / (1 + np.exp(-odds - t[0]))
        p = np.exp(case.log_density(at(t[1:]), X)) @ [share, 1 - share]
        return -np.log(p).sum()

    assert fitted.mixture.n_free == size + 1
    start = 0.05 * np.random.default_rng(1).normal(size=size + 1)
    best = optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-5})
    assert loss(np.zeros(size + 1)) == pytest.approx(-fitted.log_likelihood, rel=1e-12)
    assert fitted.log_likelihood == pytest.approx(-best.fun, abs=1e-4)


def test_expanded_parameters_lead_to_the_same_estimate_in_fewer_steps():
    """The tied shape takes plain EM steps; with one component it is the same density."""
    X = heavy(3, nu=1.5)
    runs = {}
    for shape in ("VVV", "EEE"):
        family = Student(2, shape)
        runs[shape] = fit_mixture(
            family, as_source(X), 1, stop=Aitken(1e-13), accelerate=False, max_iter=5000
        )
    a, b = runs["VVV"], runs["EEE"]
    assert a.log_likelihood == pytest.approx(b.log_likelihood, abs=1e-7)
    for x, y in zip(a.mixture.params, b.mixture.params, strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-4, atol=1e-5)
    assert a.n_iter < b.n_iter


# -- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["VVV", "EEE", "VVI", "VII", "EEV"])
def test_infinite_freedom_is_the_gaussian(shape):
    """With nu = 1e13 each EM step is that of the Gaussian."""
    X, _ = student_case(shape, 2).rows(5, 300, 2)
    labels = np.arange(300) % 2
    options = {"start": labels, "max_iter": 25, "accelerate": False}
    t = fit_mixture(Student(2, shape, freedom=1e13), as_source(X), 2, **options)
    g = fit_mixture(Gaussian(2, shape), as_source(X), 2, **options)
    assert t.log_likelihood == pytest.approx(g.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(t.mixture.means, g.mixture.means, rtol=1e-6)
    np.testing.assert_allclose(
        full_covariances(2, t.mixture.params), full_covariances(2, g.mixture.params), rtol=1e-5
    )


def test_gaussian_rows_have_many_degrees_of_freedom_and_the_fit_says_so():
    X = np.random.default_rng(6).uniform(size=(2000, 2))  # tails lighter than Gaussian
    t = fit_mixture(Student(2), as_source(X), 1)
    g = fit_mixture(Gaussian(2), as_source(X), 1)
    assert t.mixture.params.freedom[0] > 1e3
    assert t.log_likelihood == pytest.approx(g.log_likelihood, abs=0.5)
    assert t.log_likelihood <= g.log_likelihood + 1e-6
    assert any("nearly Gaussian" in note for note in t.warnings)


def test_outliers_pull_less_than_in_the_gaussian():
    rng = np.random.default_rng(7)
    X = np.vstack([rng.normal(size=(190, 2)), rng.normal(size=(10, 2)) + 60.0])
    t = fit_mixture(Student(2), as_source(X), 1).mixture
    g = fit_mixture(Gaussian(2), as_source(X), 1).mixture
    assert np.abs(t.means).max() < 0.3
    assert np.abs(g.means).min() > 2.5
    assert t.params.freedom[0] < 3


def test_collapse_is_held_by_the_floor():
    """Rows that repeat one point: the scale matrix stays above the floor, EM never falls."""
    X = np.vstack([np.random.default_rng(8).normal(size=(60, 2)), np.full((30, 2), 5.0)])
    start = np.repeat([0, 1], [60, 30])
    fitted = fit_mixture(Student(2), as_source(X), 2, start=start, accelerate=False, max_iter=200)
    values = fitted.trace.objective
    assert (np.diff(values) >= -1e-10 * np.abs(values[1:])).all()
    ratio = np.linalg.eigvals(
        np.linalg.solve(np.cov(X.T, bias=True), fitted.mixture.params.covariances[1])
    ).real
    assert ratio.min() >= 1e-6 * (1 - 1e-6)
    assert any("floor" in note for note in fitted.warnings)


# -- information, marginals, distribution functions ------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_standard_errors_are_those_of_simulated_scores(shape):
    """The information matrix from 200,000 scores, in all free directions."""
    case = student_case(shape, 2)
    params = case.mixture(9, 1).params
    X = case.family.sample(params, np.zeros(200_000, dtype=int), np.random.default_rng(9))
    size, at = case.chart(params)
    scores = jacobian(lambda t: case.family.log_density(at(t), X)[:, 0], size, 1e-4)
    spread = np.linalg.inv(scores.T @ scores / len(X))
    slope = jacobian(lambda t: np.concatenate([a.ravel() for a in case.estimates(at(t))]), size)
    truth = np.sqrt(np.einsum("ij,jk,ik->i", slope, spread, slope))
    errors = case.family.standard_errors(params, np.array([1.0]))
    found = np.concatenate([np.ravel(a) for a in errors])
    np.testing.assert_allclose(found, truth, rtol=0.05)


def test_errors_of_repeated_fits_have_the_predicted_size():
    case = student_case("VVV", 1)
    params = case.mixture(10, 1).params
    rng = np.random.default_rng(10)
    found = []
    for _ in range(60):
        X = case.family.sample(params, np.zeros(1500, dtype=int), rng)
        fit = fit_mixture(case.family, as_source(X), 1).mixture.params
        found.append([fit.means[0, 0], fit.covariances[0, 0, 0]])
    errors = case.family.standard_errors(params, np.array([1500.0]))
    truth = [errors[0][0, 0], errors[1][0, 0, 0]]
    ratio = np.std(found, axis=0) / truth
    assert (ratio > 0.75).all()
    assert (ratio < 1.3).all()


def test_marginals_regions_and_distribution_functions():
    case = student_case("VVV", 3)
    params = case.mixture(11, 2).params
    family, own = case.family.marginal(params, [2])
    x = np.linspace(-6, 12, 50)
    truth = stats.t(params.freedom, params.means[:, 2], np.sqrt(params.covariances[:, 2, 2]))
    np.testing.assert_allclose(family.cdf(own, x), truth.cdf(x[:, None]), atol=1e-12)
    np.testing.assert_allclose(family.log_density(own, x[:, None]), truth.logpdf(x[:, None]))
    one = case.mixture(12, 1).params
    X = case.family.sample(one, np.zeros(50_000, dtype=int), np.random.default_rng(12))
    inverse = np.linalg.inv(case.family.regions(one, 0.9)[0])
    away = X - one.means[0]
    inside = np.einsum("ij,jk,ik->i", away, inverse, away) <= 1
    assert inside.mean() == pytest.approx(0.9, abs=5 * np.sqrt(0.09 / 50_000))


# -- faces -----------------------------------------------------------------------------------------


def test_extreme_units_change_nothing():
    X = heavy(13)
    plain = fit_mixture(Student(2), as_source(X), 1).mixture
    for power in (-600, 500):
        moved = fit_mixture(Student(2), as_source(np.ldexp(X, power)), 1).mixture
        np.testing.assert_allclose(np.ldexp(moved.means, -power), plain.means, rtol=1e-6)
        np.testing.assert_allclose(moved.params.freedom, plain.params.freedom, rtol=1e-4)


def test_an_estimator_and_a_file(tmp_path):
    X = two(14)
    model = MixtureModel("student", 2, random_state=0).fit(X)
    assert "degrees of freedom" in model.summary()
    model.save(tmp_path / "t.mixtura")
    again = load(tmp_path / "t.mixtura")
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    assert model.log_likelihood_ == pytest.approx(model.score_samples(X).sum(), rel=1e-12)
    one = MixtureModel(Student(2, "diag", freedom=3.0)).fit(X)
    assert one.mixture_.params.freedom.tolist() == [3.0]
    one.save(tmp_path / "one.mixtura")
    assert load(tmp_path / "one.mixtura").mixture_.family.freedom == 3.0


def test_a_start_of_other_shape_and_freedom_is_taken_over():
    X = two(15)
    full = fit_mixture(Student(2), as_source(X), 2).mixture
    for family in (Student(2, "diag", equal_freedom=True), Student(2, freedom=5.0)):
        start = fit_mixture(family, as_source(X), 2, start=full, max_iter=0).mixture
        np.testing.assert_allclose(start.means, full.means)
        expected = 5.0 if family.freedom else np.exp(np.log(full.params.freedom).mean())
        assert start.params.freedom == pytest.approx(expected)
    back = fit_mixture(Student(2), as_source(X), 2, start=start, max_iter=0).mixture
    assert back.params.freedom.tolist() == [5.0, 5.0]


@pytest.mark.parametrize("freedom", [-1.0, np.inf, np.nan])
def test_degrees_of_freedom_must_be_positive_and_finite(freedom):
    with pytest.raises(UsageError, match=r"freedom=.*0 to estimate it"):
        Student(2, freedom=freedom)
    family = Student(1)
    params = family.params(np.zeros((1, 1)), np.ones((1, 1, 1)), np.array([freedom]))
    assert family.problem(params) is not None
    with pytest.raises(UsageError, match="freedom"):
        family.params(np.zeros((1, 1)), np.ones((1, 1, 1)), np.ones(2))


def test_known_labels_are_iterated_to_the_maximum_of_each_component():
    X = two(16)
    labels = (X[:, 0] > 2).astype(int)
    both = fit_mixture(Student(2), as_source(X, labels=labels), 2, stop=Aitken(1e-12))
    for k in range(2):
        alone = fit_mixture(Student(2), as_source(X[labels == k]), 1, stop=Aitken(1e-12))
        np.testing.assert_allclose(both.mixture.means[k], alone.mixture.means[0], atol=1e-4)
        assert both.mixture.params.freedom[k] == pytest.approx(
            alone.mixture.params.freedom[0], rel=1e-2
        )


def test_accelerated_and_plain_steps_meet():
    X = heavy(17, nu=40.0)
    start = fit_mixture(Student(2), as_source(X), 1, max_iter=0).mixture
    plain = fit_em(start, as_source(X), stop=Aitken(1e-12), max_iter=5000)
    fast = fit_em(start, as_source(X), stop=Aitken(1e-12), max_iter=5000, accelerate=True)
    assert plain.objective - 1e-9 <= fast.objective <= plain.objective + 1e-3
    assert isinstance(fast.mixture.params, StudentParams)
    assert fast.n_passes < plain.n_passes
