"""The contract of families, as laws: run for every registered one, and for two written here."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import pytest
from mixtura import Local, Mixture, as_source, em_steps, estimate
from mixtura.families import FAMILIES, ExponentialFamily, Gaussian, find_family
from mixtura.stats import Stats, tree_sum
from scipy import optimize
from scipy.special import logsumexp

from tests import oracle
from tests.cases import CASES, SHAPES
from tests.toys import TOYS

ALL = [*CASES, *TOYS]
every = pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
registered = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
only = lambda keep: pytest.mark.parametrize(  # noqa: E731
    "case", [case for case in ALL if keep(case)], ids=lambda case: case.name
)
closed = only(lambda case: case.family.closed_form)


def numbers(stats: Stats) -> np.ndarray:
    scalars = [stats.loglik, stats.entropy, stats.mass]
    return np.concatenate([stats.weight, stats.total.ravel(), stats.shared, scalars])


def same_bits(a: Stats, b: Stats) -> bool:
    return numbers(a).tobytes() == numbers(b).tobytes()


def assert_close(a: Stats, b: Stats, rtol: float = 1e-12) -> None:
    """Equal up to rounding of sums, which may cancel."""
    scale = max(a.mass, 1.0) * (1.0 + np.abs(a.total).max() / max(a.mass, 1.0))
    np.testing.assert_allclose(numbers(a), numbers(b), rtol=rtol, atol=rtol * scale)


def one_block(X, w=None, labels=None, **options):
    (block,) = as_source(X, weights=w, labels=labels, **options).blocks()
    return block


def jacobian(function, size: int, step: float = 1e-5) -> np.ndarray:
    """Central differences of a vector function at zero, one column per coordinate."""
    columns = []
    for direction in np.eye(size):
        there, back = function(step * direction), function(-step * direction)
        columns.append((there - back) / (2 * step))
    return np.stack(columns, axis=-1)


def total(mixture: Mixture, X: np.ndarray) -> float:
    return float(mixture.log_density(X).sum())


# -- the registry ------------------------------------------------------------------------------


def test_every_registered_family_has_a_case():
    tested = {type(case.family) for case in CASES}
    assert set(FAMILIES.values()) == tested


def test_every_shape_has_a_case():
    tested = {case.family.shape.name for case in CASES if isinstance(case.family, Gaussian)}
    assert tested == set(SHAPES)
    assert len(SHAPES) == 14


@registered
def test_a_family_is_found_by_its_name_and_made_again_from_its_config(case):
    config = case.family.config()
    again = find_family(case.family.name, **config)
    assert again == case.family
    assert pickle.loads(pickle.dumps(case.family)) == case.family


# -- the density -------------------------------------------------------------------------------


@every
def test_log_density_is_that_of_an_independent_program(case):
    mixture = case.mixture(1, 3)
    X, _ = case.rows(1, 300, 3)
    found = case.family.log_density(mixture.params, X)
    truth = case.log_density(mixture.params, X)
    np.testing.assert_allclose(found, truth, rtol=1e-11, atol=1e-11)


@every
def test_posterior_is_bayes_rule(case):
    mixture = case.mixture(2, 3)
    X, _ = case.rows(2, 300, 3)
    joint = case.log_density(mixture.params, X) + np.log(mixture.weights)
    log_density, R = mixture.posterior(X)
    np.testing.assert_allclose(log_density, logsumexp(joint, axis=1), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(R, np.exp(joint - logsumexp(joint, axis=1)[:, None]), atol=1e-10)
    assert (R >= 0).all()
    np.testing.assert_allclose(R.sum(axis=1), 1.0, atol=4 * np.finfo(float).eps)


@only(lambda case: case.d <= 2)
def test_density_integrates_to_one(case):
    mixture = case.mixture(3, 2)
    sd = np.sqrt(np.einsum("kjj->kj", case.covariance(mixture.params)))
    reach = (60 if case.discrete else 12) * sd
    low, high = (mixture.means - reach).min(axis=0), (mixture.means + reach).max(axis=0)
    if case.discrete:
        axes = [np.arange(np.ceil(top)) for top in high]
        cell = 1.0
    elif case.family.name == "student":  # long tails: x = sinh(t) brings them in
        axes = [np.sinh(np.linspace(-9, 9, 1201))] * case.d
        cell = 0.0
    else:
        axes = [np.linspace(a, b, 801) for a, b in zip(low, high, strict=True)]
        cell = np.prod([axis[1] - axis[0] for axis in axes])
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, case.d)
    density = np.exp(mixture.log_density(grid))
    if not cell:
        cell = np.prod(np.sqrt(1 + grid**2) * (18 / 1200), axis=1)
    assert (density * cell).sum() == pytest.approx(1.0, abs=1e-8)


@every
def test_components_in_another_order_are_the_same_density(case):
    mixture = case.mixture(4, 3)
    X, _ = case.rows(4, 100, 3)
    turned = mixture.take(np.array([2, 0, 1]))
    np.testing.assert_allclose(turned.log_density(X), mixture.log_density(X), rtol=1e-13)
    np.testing.assert_allclose(
        turned.responsibilities(X), mixture.responsibilities(X)[:, [2, 0, 1]], atol=1e-13
    )
    one = mixture.take(np.array([1]))
    np.testing.assert_allclose(
        one.log_density(X), case.log_density(mixture.params, X)[:, 1], rtol=1e-11, atol=1e-11
    )


@every
def test_canonical_order_is_by_weight(case):
    mixture = case.mixture(5, 4)
    ordered = mixture.canonical()
    assert (np.diff(ordered.weights) <= 0).all()
    shuffled = mixture.take(np.array([3, 1, 0, 2])).canonical()
    for a, b in zip(ordered.params, shuffled.params, strict=True):
        np.testing.assert_array_equal(a, b)


@every
def test_a_split_component_is_the_same_density(case):
    mixture = case.mixture(6, 2)
    X, _ = case.rows(6, 100, 2)
    order = np.array([0, 1, 1])
    halved = mixture.weights[order] * [1, 0.3, 0.7]
    split = Mixture(case.family, halved, case.family.take(mixture.params, order))
    np.testing.assert_allclose(split.log_density(X), mixture.log_density(X), rtol=1e-12, atol=1e-12)


# -- statistics --------------------------------------------------------------------------------


def pieces(case, n_rows=700):
    mixture = case.mixture(7, 3)
    X, _ = case.rows(7, n_rows, 3)
    w = np.random.default_rng(7).integers(0, 4, n_rows).astype(float)
    return mixture, X, w


@every
def test_statistics_add_over_rows(case):
    mixture, X, w = pieces(case)
    whole = mixture.expect(one_block(X, w))
    cuts = [slice(0, 1), slice(1, 10), slice(10, 311), slice(311, 700)]
    assert_close(
        whole, reduce(Stats.__add__, [mixture.expect(one_block(X[c], w[c])) for c in cuts])
    )


@every
def test_statistics_do_not_depend_on_the_order_of_rows(case):
    mixture, X, w = pieces(case)
    order = np.random.default_rng(1).permutation(len(X))
    assert_close(mixture.expect(one_block(X, w)), mixture.expect(one_block(X[order], w[order])))


@every
def test_rows_of_weight_zero_are_absent_and_whole_weights_repeat_rows(case):
    mixture, X, w = pieces(case)
    weighted = mixture.expect(one_block(X, w))
    repeated = mixture.expect(one_block(np.repeat(X, w.astype(int), axis=0)))
    assert_close(weighted, repeated)
    assert_close(weighted, mixture.expect(one_block(X[w > 0], w[w > 0])))
    assert weighted.mass == w.sum()


@every
def test_accumulate_obeys_the_same_laws(case):
    mixture, X, w = pieces(case)
    R = mixture.responsibilities(X)
    params = mixture.params
    weighted = case.family.accumulate(params, X, w[:, None] * R)
    times = w.astype(int)
    repeated = case.family.accumulate(params, np.repeat(X, times, 0), np.repeat(R, times, 0))
    assert_close(weighted, repeated)
    half = [
        case.family.accumulate(params, X[c], (w[:, None] * R)[c])
        for c in (slice(0, 99), slice(99, None))
    ]
    assert_close(weighted, half[0] + half[1])
    expected = mixture.expect(one_block(X, w))
    assert_close(weighted, replace(expected, loglik=0.0, entropy=0.0))


@every
def test_log_likelihood_and_entropy_are_those_of_the_rows(case):
    mixture, X, w = pieces(case)
    stats = mixture.expect(one_block(X, w))
    joint = case.log_density(mixture.params, X) + np.log(mixture.weights)
    R = np.exp(joint - logsumexp(joint, axis=1)[:, None])
    assert stats.loglik == pytest.approx(w @ logsumexp(joint, axis=1), rel=1e-11)
    assert stats.expected_complete == pytest.approx(w @ (R * joint).sum(axis=1), rel=1e-10)
    assert stats.entropy == pytest.approx(oracle.entr(R).sum(axis=1) @ w, rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(stats.weight, w @ R, rtol=1e-11)


@dataclass(frozen=True)
class Elsewhere:
    """An executor that sends everything through pickles, and takes the blocks in reverse order."""

    def reduce(self, task, source):
        task = pickle.loads(pickle.dumps(task))
        parts = pickle.loads(pickle.dumps(list(source.parts())))
        results = [[task(block, 1) for block in part.blocks()] for part in reversed(parts)]
        return tree_sum(item for result in reversed(results) for item in result)


@every
def test_threads_and_executors_give_the_same_bits(case):
    mixture = case.mixture(8, 3)
    X, _ = case.rows(8, 21_000, 3)
    w = np.random.default_rng(8).random(len(X))
    for block_rows in (1024, 16384, None):
        source = as_source(X, weights=w, block_rows=block_rows)
        alone = Local(1).reduce(mixture.expect, source)
        for executor in (Local(2), Local(3), Elsewhere()):
            assert same_bits(alone, executor.reduce(mixture.expect, source)), executor


@every
def test_block_sizes_give_the_same_bits(case):
    mixture = case.mixture(8, 3)
    X, _ = case.rows(8, 21_000, 3)
    w = np.random.default_rng(8).random(len(X))
    whole = Local(1).reduce(mixture.expect, as_source(X, weights=w))
    for block_rows in (1024, 4096, 8192, 16384):
        source = as_source(X, weights=w, block_rows=block_rows)
        assert same_bits(whole, Local(1).reduce(mixture.expect, source)), block_rows


@every
def test_an_estimate_has_the_same_bits_for_all_executors_and_block_sizes(case):
    X, labels = case.rows(9, 9_000, 2)
    fitted = [
        estimate(case.family, as_source(X, labels=labels, block_rows=rows), 2, executor=executor)
        for rows, executor in ((None, Local(1)), (1024, Local(2)), (2048, Elsewhere()))
    ]
    for other in fitted[1:]:
        for a, b in zip(fitted[0].params, other.params, strict=True):
            assert a.tobytes() == b.tobytes()


# -- the M step --------------------------------------------------------------------------------


@every
def test_n_free_is_the_dimension_of_the_parameters(case):
    mixture = case.mixture(10, 3)
    size, at = case.chart(mixture.params)

    def values(t):
        return np.concatenate([np.ravel(a) for a in case.estimates(at(t))])

    assert case.family.n_free(3) == size
    assert np.linalg.matrix_rank(jacobian(values, size), tol=1e-6) == size
    if isinstance(case.family, Gaussian) and case.d > 1:
        truth = oracle.free_parameters(case.family.shape.name, 3, case.d)
        assert mixture.n_free == truth
    assert mixture.n_free == size + 2


@closed
def test_an_estimate_from_labels_is_a_maximum(case):
    """All directions in which the parameters may move go down; numbers and labels are facts."""
    X, labels = case.rows(11, 400, 3)
    fit = case.estimate(X, 3, labels=labels)
    np.testing.assert_allclose(fit.weights, np.bincount(labels) / len(labels), rtol=1e-14)
    size, at = case.chart(fit.params)

    def complete(t):
        return case.log_density(at(t), X)[np.arange(len(X)), labels].sum()

    slope = jacobian(complete, size)
    directions = np.eye(size)
    steepest = [complete(1e-3 * s) - complete(0 * s) for s in (*directions, *-directions)]
    np.testing.assert_allclose(slope, 0.0, atol=2e-5 * len(X))
    assert max(steepest) < 0


@every
def test_score_is_the_gradient_of_the_log_likelihood(case):
    """By Fisher's identity, for a mixture that is not at its maximum."""
    truth = case.mixture(12, 2)
    X, _ = case.rows(13, 300, 2)
    size, at = case.chart(truth.params)

    def value(t):
        joint = case.log_density(at(t), X) + np.log(truth.weights)
        return logsumexp(joint, axis=1).sum()

    def coordinates(t):
        return np.concatenate([np.ravel(a) for a in case.coordinates(at(t))])

    score = truth.score(truth.expect(one_block(X)))
    found = np.concatenate([np.ravel(a) for a in score]) @ jacobian(coordinates, size)
    numeric = jacobian(value, size)
    np.testing.assert_allclose(found, numeric, rtol=1e-5, atol=1e-6 * np.abs(numeric).max())


@only(lambda case: case.free and case.family.closed_form)
def test_score_is_zero_at_the_fit(case):
    X, labels = case.rows(14, 300, 3)
    fit = case.estimate(X, 1)
    for gradient in fit.score(fit.expect(one_block(X))):
        np.testing.assert_allclose(gradient, 0.0, atol=1e-9 * len(X))


@only(lambda case: case.exact_information)
def test_standard_errors_are_those_of_the_inverse_hessian(case):
    """At the estimate, observed and expected information of an exponential family are equal."""
    X, _ = case.rows(15, 250)
    fit = case.estimate(X, 1)
    size, at = case.chart(fit.params)
    step = 1e-3

    def value(t):
        return case.log_density(at(t), X).sum()

    hessian = np.empty((size, size))
    for i, a in enumerate(step * np.eye(size)):
        for j, b in enumerate(step * np.eye(size)):
            hessian[i, j] = value(a + b) - value(a - b) - value(b - a) + value(-a - b)
    spread = np.linalg.inv(-hessian / (4 * step**2))

    def values(t):
        return np.concatenate([np.ravel(a) for a in case.estimates(at(t))])

    slope = jacobian(values, size)
    truth = np.sqrt(np.einsum("ij,jk,ik->i", slope, spread, slope))
    errors = case.family.standard_errors(fit.params, np.array([float(len(X))]))
    found = np.concatenate([np.ravel(a) for a in errors])
    np.testing.assert_allclose(found, truth, rtol=1e-4)


@closed
def test_sample_then_fit_comes_back(case):
    """Estimates from 20,000 rows lie within five standard errors of the truth."""
    truth = case.mixture(16, 1).params
    n_rows = 20_000
    X = case.family.sample(truth, np.zeros(n_rows, dtype=int), np.random.default_rng(16))
    fit = case.estimate(X, 1)
    errors = case.family.standard_errors(truth, np.array([float(n_rows)]))
    for found, true, error in zip(
        case.estimates(fit.params), case.estimates(truth), errors, strict=True
    ):
        assert (np.abs(found - true) <= 5 * error).all()
        assert (np.abs(found - true) > 0).any()


@every
def test_samples_have_the_moments_and_sizes_of_the_mixture(case):
    mixture = case.mixture(17, 3)
    n_rows = 30_000
    X, labels = mixture.sample(n_rows, np.random.default_rng(17))
    assert X.shape == (n_rows, case.d)
    counts = np.bincount(labels, minlength=3)
    spread = np.sqrt(n_rows * mixture.weights * (1 - mixture.weights))
    assert (np.abs(counts - n_rows * mixture.weights) <= 5 * spread).all()
    variances = np.einsum("kjj->kj", case.covariance(mixture.params))
    for k in range(3):
        error = np.sqrt(variances[k] / counts[k])
        assert (np.abs(X[labels == k].mean(axis=0) - mixture.means[k]) <= 5 * error).all()
        if case.family.name != "student":  # its fourth moments hardly exist
            np.testing.assert_allclose(X[labels == k].var(axis=0), variances[k], rtol=0.15)
    again, _ = mixture.sample(n_rows, np.random.default_rng(17))
    np.testing.assert_array_equal(X, again)


# -- EM ----------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("seed", range(3))
def test_em_never_descends(case, seed):
    X, _ = case.rows(20 + seed, 150, 3)
    w = np.random.default_rng(seed).random(len(X)) + 0.1
    steps = em_steps(case.rough_start(X, 3, seed, w), as_source(X, weights=w))
    values = np.array([next(steps).objective for _ in range(40)])
    assert (np.diff(values) >= -1e-11 * np.abs(values[1:])).all()
    assert values[-1] > values[0]


@only(lambda case: case.linear_map is not None)
def test_em_is_equivariant(case):
    """Rows A x + b lead to components A mu + b and A Sigma A', iteration by iteration."""
    X, _ = case.rows(30, 200, 2)
    rng = np.random.default_rng(30)
    A, b = case.linear_map(rng), rng.normal(size=case.d) * 100
    runs = []
    for rows in (X, X @ A.T + b):
        R = case.rough_start(X, 2, 0).responsibilities(X)
        steps = em_steps(case.estimate(rows, 2, responsibilities=R), as_source(rows))
        runs.append([next(steps) for _ in range(6)])
    for plain, moved in zip(*runs, strict=True):
        jump = -len(X) * np.linalg.slogdet(A)[1]
        assert moved.objective == pytest.approx(plain.objective + jump, rel=1e-9)
        np.testing.assert_allclose(moved.mixture.means, plain.mixture.means @ A.T + b, rtol=1e-8)
        if isinstance(case.family, Gaussian):
            full = case.covariance(plain.mixture.params)
            np.testing.assert_allclose(
                case.covariance(moved.mixture.params), A @ full @ A.T, rtol=1e-6, atol=1e-9
            )


@only(lambda case: not case.discrete and case.family.closed_form)
def test_a_shift_of_the_rows_shifts_the_fit(case):
    """By whole numbers that lose no digits: what remains is rounding of sums."""
    X = np.round(case.rows(31, 300, 2)[0] * 2**20) / 2**20
    R = case.rough_start(X, 2, 1).responsibilities(X)
    c = 2.0**20
    plain, moved = (case.estimate(rows, 2, responsibilities=R) for rows in (X, X + c))
    np.testing.assert_allclose(moved.means - c, plain.means, rtol=0, atol=1e-9)
    for a, b in zip(
        case.estimates(plain.params)[1:], case.estimates(moved.params)[1:], strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


# -- files -------------------------------------------------------------------------------------


@every
def test_parameters_come_back_from_arrays(case):
    mixture = case.mixture(40, 3)
    arrays = case.family.to_arrays(mixture.params)
    copied = {name: np.array(array.tolist()) for name, array in arrays.items()}
    back = case.family.from_arrays(copied)
    for a, b in zip(mixture.params, back, strict=True):
        np.testing.assert_array_equal(a, b)
    X, _ = case.rows(40, 50, 3)
    assert total(replace(mixture, params=back), X) == total(mixture, X)


@every
def test_values_that_are_not_finite_are_a_problem(case):
    params = case.mixture(41, 2).params
    assert case.family.problem(params) is None
    for name in params._fields:
        broken = np.array(getattr(params, name))
        broken.flat[0] = np.nan
        assert case.family.problem(params._replace(**{name: broken})) is not None


@every
def test_the_support_takes_its_own_rows(case):
    X, _ = case.rows(42, 200, 2)
    assert case.family.support.contains(X).all()
    bad = np.array([[np.nan], [np.inf], [-1.0], [0.5]])
    outside = ~case.family.support.contains(bad).ravel()
    assert outside.tolist() == [True, True, case.discrete, case.discrete]


# -- door A ------------------------------------------------------------------------------------


@only(lambda case: isinstance(case.family, ExponentialFamily))
def test_the_mean_statistic_is_the_gradient_of_the_normaliser(case):
    family, params = case.family, case.mixture(50, 3).params
    np.testing.assert_allclose(
        family.mean_features(family.from_mean(family.mean_features(params))),
        family.mean_features(params),
        rtol=1e-13,
    )
    size, at = case.chart(params)
    eta = jacobian(lambda t: family.natural(at(t))[0].ravel(), size)
    A = jacobian(lambda t: np.array(family.natural(at(t))[1].sum()), size)
    np.testing.assert_allclose(family.mean_features(params).ravel() @ eta, A, rtol=1e-8)


@only(lambda case: isinstance(case.family, ExponentialFamily))
def test_the_mean_statistic_is_the_expectation(case):
    params = case.mixture(51, 1).params
    axes = [np.arange(2000.0 if case.d == 1 else 150.0)] * case.d
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, case.d)
    p = np.exp(case.log_density(params, grid)[:, 0])
    np.testing.assert_allclose(
        p @ case.family.features(grid), case.family.mean_features(params)[0], rtol=1e-5
    )


# -- door B ------------------------------------------------------------------------------------


@only(lambda case: case.family.name == "student" and case.d == 1)
def test_latent_scales_reach_what_an_optimiser_finds(case):
    from mixtura import Aitken, fit_em

    X, _ = case.rows(60, 300, 2)
    fit = fit_em(case.rough_start(X, 2, 0), as_source(X), stop=Aitken(1e-12))
    assert fit.outcome.converged

    def loss(theta):
        share = 1 / (1 + np.exp(-theta[0]))
        params = case.family.params_type(theta[1:3, None], np.exp(theta[3:, None]))
        joint = case.log_density(params, X) + np.log([share, 1 - share])
        return -logsumexp(joint, axis=1).sum()

    best = optimize.minimize(loss, [0, *np.quantile(X, [0.2, 0.8]), 0, 0], method="BFGS")
    assert fit.objective == pytest.approx(-best.fun, abs=1e-5)
