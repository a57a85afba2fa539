"""A person's own density: scoring steps that never descend, honest checks, files without code."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import optimize, stats

from mixtura import Aitken, Gaussian, MixtureModel, as_source, em_steps, fit_em, fit_mixture, load
from mixtura.errors import ModelFileError, UsageError
from mixtura.families import CustomFamily
from mixtura.families.integral import Spread, integrate
from mixtura.families.support import Support
from tests.cases_latent import custom_case, custom_family, logistic, logistic_gradient
from tests.toys import Geometric


def normal(params, X):
    z = (X[:, 0] - params["mean"]) * np.exp(-params["log_sd"])
    return -0.5 * z * z - params["log_sd"] - 0.5 * np.log(2 * np.pi)


def normal_family(**options):
    return CustomFamily(normal, parameters={"mean": 0.0, "log_sd": 0.0}, **options)


# -- estimates -------------------------------------------------------------------------------------


@pytest.mark.parametrize("gradient", [None, logistic_gradient])
def test_a_mixture_reaches_what_an_optimiser_finds(gradient):
    case = custom_case(2)
    X, _ = case.rows(1, 400, 2)
    family = custom_family(2, gradient=gradient)
    fitted = fit_mixture(family, as_source(X), 2, stop=Aitken(1e-11))
    assert fitted.outcome.converged
    params, w = fitted.mixture.params, fitted.mixture.weights
    size, at = case.chart(params)

    def loss(t):
        share = 1 / (1 + np.exp(-t[0]))
        return -np.log(np.exp(case.log_density(at(t[1:]), X)) @ [share, 1 - share]).sum()

    start = np.append(np.log(w[0] / w[1]), np.zeros(size))
    assert loss(start) == pytest.approx(-fitted.log_likelihood, rel=1e-12)
    best = optimize.minimize(loss, start + 0.05, method="BFGS", options={"gtol": 1e-6})
    assert fitted.log_likelihood == pytest.approx(-best.fun, abs=1e-4)


def test_numeric_and_given_gradients_agree():
    case = custom_case(2)
    X, _ = case.rows(2, 50)
    theta = case.mixture(3, 1).params.theta[0]
    plain, given = custom_family(2), custom_family(2, gradient=logistic_gradient)
    np.testing.assert_allclose(plain._scores(theta, X), given._scores(theta, X), atol=1e-8)


@pytest.mark.parametrize("place", [0.0, 50.0, -2000.0])
def test_a_gaussian_written_as_a_function_is_the_gaussian(place):
    """From first values far away, with steps that overshoot on the way."""
    X = np.random.default_rng(0).normal(place, 3.0, size=(300, 1))
    own = fit_mixture(normal_family(), as_source(X), 1, stop=Aitken(1e-10), max_iter=5000)
    gaussian = fit_mixture(Gaussian(1), as_source(X), 1)
    assert own.outcome.converged
    assert own.log_likelihood == pytest.approx(gaussian.log_likelihood, abs=1e-4)
    values = own.mixture.family.values(own.mixture.params)
    assert values["mean"][0] == pytest.approx(X.mean(), abs=0.01)
    assert np.exp(values["log_sd"][0]) == pytest.approx(X.std(), rel=1e-2)
    errors = own.mixture.family.standard_errors(own.mixture.params, np.array([300.0]))
    assert errors[0][0] == pytest.approx(X.std() / np.sqrt(300), rel=0.1)
    assert errors[1][0] == pytest.approx(1 / np.sqrt(600), rel=0.25)


def test_steps_that_overshoot_are_shortened_and_the_fit_says_so():
    X = np.random.default_rng(0).normal(50.0, 3.0, size=(300, 1))
    fitted = fit_mixture(normal_family(), as_source(X), 1)
    (event,) = fitted.events
    assert "step damped" in event
    assert "scoring steps that overshot" in event
    assert event in fitted.warnings
    gains = np.diff(fitted.trace.objective)
    assert (gains >= -1e-12 * np.abs(fitted.log_likelihood)).all()
    near = fit_mixture(normal_family(), as_source(X), 1, start=fitted.mixture)
    assert near.events == ()


def test_each_iteration_goes_up_and_the_halved_steps_are_counted():
    X = np.random.default_rng(1).normal(50.0, 3.0, size=(300, 1))
    start = fit_mixture(normal_family(), as_source(X), 1, max_iter=0).mixture
    steps = em_steps(start, as_source(X))
    run = [next(steps) for _ in range(25)]
    values = np.array([step.objective for step in run])
    assert (np.diff(values) >= -1e-12 * np.abs(values[1:])).all()
    halvings = [step.halvings for step in run]
    assert sum(h > 0 for h in halvings) > 0
    assert run[-1].n_passes >= 25 + sum(halvings)


def test_a_gradient_that_is_none_is_not_called_converged():
    """It points downhill: no shortened step climbs, and the outcome tells."""

    def wrong(params, X):
        right = logistic_gradient(params, X)
        return {name: -value for name, value in right.items()}

    X, _ = custom_case(1).rows(4, 200)
    start = custom_family(1).params(centre=[[1.0]], log_scale=[1.0])
    mixture = custom_case(1).mixture(4, 1)
    family = custom_family(1, gradient=wrong)
    fit = fit_em(type(mixture)(family, mixture.weights, start), as_source(X), max_iter=50)
    assert fit.outcome.name == "FELL"
    assert not fit.outcome.converged


def test_without_a_start_function_the_first_values_serve():
    """A harder road; two groups are still found."""
    rng = np.random.default_rng(2)
    X = np.concatenate([rng.normal(0, 1, (200, 1)), rng.normal(8, 1, (200, 1))])
    fitted = fit_mixture(normal_family(), as_source(X), 2, n_starts=6)
    best = fit_mixture(Gaussian(1), as_source(X), 2)
    assert fitted.log_likelihood == pytest.approx(best.log_likelihood, abs=1e-2)


# -- refusals --------------------------------------------------------------------------------------


def test_end_points_of_a_uniform_are_refused_with_the_reason():
    def uniform(params, X):
        inside = (X[:, 0] >= params["low"]) & (X[:, 0] <= 10.0)
        return np.where(inside, -np.log(12.0), -np.inf)

    family = CustomFamily(uniform, parameters={"low": -2.0})
    X = np.random.default_rng(3).uniform(0, 10, size=(100, 1))
    with pytest.raises(UsageError, match=r"parameters='low'.*end points of a uniform"):
        fit_mixture(family, as_source(X), 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CustomFamily(normal, parameters={}), "at least one"),
        (lambda: CustomFamily(normal, parameters={"a": np.nan}), "finite first values"),
        (lambda: CustomFamily(normal, parameters={"a": []}), "finite first values"),
    ],
)
def test_declarations_without_meaning_are_refused(make, words):
    with pytest.raises(UsageError, match=words):
        make()


def test_functions_that_return_something_else_are_refused():
    X = as_source(np.random.default_rng(4).normal(size=(20, 1)))
    table = CustomFamily(lambda p, X: X * p["a"], parameters={"a": 1.0})
    with pytest.raises(UsageError, match=r"values of shape \(20, 1\).*one number per row, \(20,\)"):
        fit_mixture(table, X, 1)
    short = normal_family(gradient=lambda p, X: {"mean": X, "log_sd": np.hstack([X, X])})
    with pytest.raises(UsageError, match="3 numbers per row"):
        fit_mixture(short, X, 1)


def test_without_a_function_that_draws_there_is_no_sample():
    model = MixtureModel(normal_family()).fit(np.random.default_rng(5).normal(size=(50, 1)))
    with pytest.raises(UsageError, match=r"draw\(params, n, rng\)"):
        model.sample(3)


def test_a_density_that_is_not_finite_at_a_row_does_not_stop_a_fit():
    def careless(params, X):
        return np.log(params["rate"]) - params["rate"] * X[:, 0]  # NaN where the rate is below 0

    X = np.random.default_rng(6).exponential(0.01, size=(200, 1))
    family = CustomFamily(careless, parameters={"rate": 1.0}, support=Support.NONNEGATIVE)
    fitted = fit_mixture(family, as_source(X), 1, max_iter=3000)
    assert family.values(fitted.mixture.params)["rate"][0] == pytest.approx(1 / X.mean(), rel=1e-3)


# -- does it integrate to one? ---------------------------------------------------------------------

SUPPORTS = [
    ("normal", Support.REAL, stats.norm(3, 2).logpdf, 3.0, 2.0),
    ("far", Support.REAL, stats.norm(1e6, 1e-3).logpdf, 1e6, 1e-3),
    ("cauchy", Support.REAL, stats.cauchy(1, 2).logpdf, 1.0, 2.0),
    ("gamma", Support.POSITIVE, stats.gamma(0.7, scale=3).logpdf, 2.1, 2.5),
    ("lognormal", Support.POSITIVE, stats.lognorm(0.01, scale=5e8).logpdf, 5e8, 5e6),
    ("exponential", Support.NONNEGATIVE, stats.expon(scale=1e-9).logpdf, 1e-9, 1e-9),
    ("beta", Support.UNIT, stats.beta(0.8, 3).logpdf, 0.2, 0.2),
    ("poisson", Support.COUNTS, stats.poisson(40).logpmf, 40.0, 6.3),
    ("bernoulli", Support.BINARY, stats.bernoulli(0.2).logpmf, 0.2, 0.4),
]


@pytest.mark.parametrize("factor", [1.0, 0.7])
@pytest.mark.parametrize(("name", "support", "one", "mean", "sd"), SUPPORTS)
def test_integrals_of_known_densities(name, support, one, mean, sd, factor):
    """Times a factor they are no densities, and the check finds the factor."""
    for d in (1, 2) if name not in ("cauchy", "lognormal") else (1,):
        check = integrate(
            lambda X: one(X).sum(axis=1) + np.log(factor),
            support, Spread(np.full(d, mean), np.full(d, sd)),
        )  # fmt: skip
        assert check.integral == pytest.approx(factor, abs=2e-4)
        assert check.error < 2e-4
        assert check.ok == (factor == 1.0)
        assert ("not to 1" in str(check)) == (factor != 1.0)


@pytest.mark.parametrize(("d", "method"), [(3, "quadrature"), (5, "importance sampling")])
def test_integrals_in_more_columns(d, method):
    S = 0.3 + 0.7 * np.eye(d)
    for factor in (1.0, 1.5):
        one = stats.multivariate_normal(np.ones(d), S)
        check = integrate(
            lambda X, one=one, factor=factor: one.logpdf(X) + np.log(factor),
            Support.REAL, Spread(np.ones(d), np.ones(d)),
        )  # fmt: skip
        assert check.method == method
        assert check.integral == pytest.approx(factor, abs=max(4 * check.error, 1e-6))
        assert check.error < 0.02
        assert check.ok == (factor == 1.0)


def test_supports_that_cannot_be_integrated_are_refused():
    where = Spread(np.zeros(4), np.ones(4))
    with pytest.raises(UsageError, match="to integrate"):
        integrate(lambda X: X[:, 0], Support.POSITIVE, where)


def test_a_fit_says_that_the_density_is_none_when_asked():
    def unnormalised(params, X):
        return -0.5 * (X[:, 0] - params["mean"]) ** 2

    X = as_source(np.random.default_rng(7).normal(size=(100, 1)))
    asked = fit_mixture(CustomFamily(unnormalised, parameters={"mean": 0.0}, checked=True), X, 1)
    assert any("integrates to 2.50663, not to 1" in note for note in asked.warnings)
    silent = fit_mixture(CustomFamily(unnormalised, parameters={"mean": 0.0}), X, 1)
    assert not any("integrates" in note for note in silent.warnings)
    right = fit_mixture(normal_family(checked=True), X, 1)
    assert not any("integrates" in note for note in right.warnings)
    check = right.mixture.family.check_density(right.mixture.params)[0]
    assert check.ok
    assert check.integral == pytest.approx(1.0, abs=1e-9)


# -- files and processes ---------------------------------------------------------------------------


def test_a_file_holds_the_parameters_and_the_function_is_given_again(tmp_path):
    case = custom_case(2)
    X, _ = case.rows(8, 300, 2)
    model = MixtureModel(case.family, 2, random_state=0).fit(X)
    assert "centre" in model.summary()
    model.save(tmp_path / "own.mixtura")
    assert b"logistic" not in (tmp_path / "own.mixtura").read_bytes()
    again = load(tmp_path / "own.mixtura", family=case.family)
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(ModelFileError, match=r"E410.*hold no code.*load\(path, family=...\)"):
        load(tmp_path / "own.mixtura")
    with pytest.raises(ModelFileError, match="E410"):
        load(tmp_path / "own.mixtura", family=Gaussian(2))
    other = CustomFamily(logistic, parameters={"centre": [0.0, 0.0], "scale": 0.0}, n_features=2)
    with pytest.raises(ModelFileError, match=r"E401.*settings"):
        load(tmp_path / "own.mixtura", family=other)


def test_a_family_of_formulas_of_ones_own_goes_all_the_way(tmp_path):
    """Door A in a few lines (tests/toys.py): fitted, described, saved and loaded."""
    X = np.random.default_rng(9).geometric(0.2, size=(300, 2)) - 1.0
    model = MixtureModel(Geometric(2)).fit(X)
    np.testing.assert_allclose(model.means_[0], X.mean(axis=0))
    assert "chance" in model.summary()
    model.save(tmp_path / "g.mixtura")
    with pytest.raises(ModelFileError, match="'geometric'"):
        load(tmp_path / "g.mixtura")
    again = load(tmp_path / "g.mixtura", family=Geometric(2))
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))


def test_an_estimator_of_an_own_density_pickles():
    X = np.random.default_rng(10).normal(size=(60, 1))
    model = MixtureModel(normal_family()).fit(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
