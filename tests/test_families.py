"""The contract of families, as laws: run for every registered one, and for two written here."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import pytest
from scipy.special import logsumexp

from mixtura import Local, Mixture, as_source, estimate
from mixtura.families import (
    COMPOSED,
    FAMILIES,
    ExponentialFamily,
    Gaussian,
    find_family,
    restore_family,
)
from mixtura.stats import Stats, tree_sum
from tests import oracle
from tests.cases import SHAPES
from tests.contract import (
    CASES,
    assert_close,
    every,
    jacobian,
    one_block,
    only,
    registered,
    same_bits,
)

# -- the registry ------------------------------------------------------------------------------


def test_every_registered_family_has_a_case():
    tested = {type(case.family) for case in CASES}
    assert {*FAMILIES.values(), *COMPOSED.values()} == tested


def test_every_shape_has_a_case():
    tested = {case.family.shape.name for case in CASES if isinstance(case.family, Gaussian)}
    assert tested == set(SHAPES)
    assert len(SHAPES) == 14


@registered
def test_a_family_is_found_by_its_name_and_made_again_from_its_config(case):
    document = json.loads(json.dumps(case.family.document()))
    assert restore_family(document, case.d) == case.family
    if case.family.name in FAMILIES:
        assert find_family(case.family.name, **case.family.config()) == case.family
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


@only(lambda case: case.d <= 2 or case.grid is not None)
def test_density_integrates_to_one(case):
    mixture = case.mixture(3, 2)
    if case.grid is not None:
        points, cells = case.grid()
        assert np.exp(mixture.log_density(points)) @ cells == pytest.approx(1.0, abs=1e-8)
        return
    sd = np.sqrt(np.einsum("kjj->kj", case.covariance(mixture.params)))
    reach = (60 if case.discrete else 12) * sd
    low, high = (mixture.means - reach).min(axis=0), (mixture.means + reach).max(axis=0)
    if case.discrete:
        axes = [np.arange(np.ceil(top)) for top in high]
        cell = 1.0
    elif case.heavy_tails:  # long tails: x = sinh(t) brings them in
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
    fixed = case.family.fixed(ordered.params)
    assert (np.diff(ordered.weights[~fixed]) <= 0).all()
    assert (np.diff(fixed.astype(int)) >= 0).all()  # noise comes last
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
def test_the_sizes_of_statistics_are_known_without_rows(case):
    """And no warning tells that the row they come from is none of the family's."""
    mixture, X, _ = pieces(case, 40)
    with np.errstate(all="raise"):
        found = case.family.statistic_sizes(mixture.n_components)
    params = None if case.family.damped else mixture.params  # scoring begins with other statistics
    stats = case.family.accumulate(params, X, mixture.responsibilities(X))
    assert found == (stats.total.shape[1], len(stats.shared))


@every
def test_accumulate_obeys_the_same_laws(case):
    mixture, X, w = pieces(case)
    R = mixture.responsibilities(X)
    params = mixture.params
    weighted = case.family.accumulate(params, X, w[:, None] * R)
    times = w.astype(int)
    repeated = case.family.accumulate(params, np.repeat(X, times, 0), np.repeat(R, times, 0))
    assert_close(weighted, repeated)
    wR = w[:, None] * R
    half = [case.family.accumulate(params, X[c], wR[c]) for c in (slice(99), slice(99, None))]
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
    again = replace(mixture, params=back)
    np.testing.assert_array_equal(again.log_density(X), mixture.log_density(X))


@every
def test_values_that_are_not_finite_are_a_problem(case):
    params = case.mixture(41, 2).params
    assert case.family.problem(params) is None
    for name in params._fields:
        broken = np.array(getattr(params, name))
        broken.flat[0] = np.nan
        assert case.family.problem(params._replace(**{name: broken})) is not None


@every
def test_the_support_takes_its_own_rows_and_no_others(case):
    X, _ = case.rows(42, 200, 2)
    assert case.family.fault(X) is None
    numbers = (
        ([np.nan, np.inf, -1.0, 0.5], []) if case.discrete else ([np.nan, np.inf], [-1.0, 0.5])
    )
    refused, accepted = case.outside or numbers
    for value in (*refused, *accepted):
        rows = X[:5].copy()
        rows[3, -1] = value
        fault = case.family.fault(rows)
        assert (fault is not None) == (value in refused or np.isnan(value)), value
        assert fault is None or (fault.row, fault.column) == (3, case.d - 1)


def test_directions_must_have_length_one():
    family = find_family("vonmises-fisher", 3)
    rows = np.eye(3)[[0, 1, 2, 0]]
    assert family.fault(rows) is None
    assert family.fault(rows * (1 + 1e-7)) is None  # as float32 has it
    assert family.fault(rows * [[1], [1], [0.9], [1]])[:2] == (2, 2)
    assert "length 0.9" in family.fault(rows * 0.9).needed


# -- door A ------------------------------------------------------------------------------------


@only(lambda case: isinstance(case.family, ExponentialFamily))
def test_the_mean_statistic_is_the_gradient_of_the_normaliser(case):
    family, params = case.family, case.mixture(50, 3).params
    np.testing.assert_allclose(
        family.mean_features(family.from_mean(family.mean_features(params))),
        family.mean_features(params),
        rtol=1e-13,
        atol=1e-14,
    )
    size, at = case.chart(params)
    eta = jacobian(lambda t: family.natural(at(t))[0].ravel(), size)
    A = jacobian(lambda t: np.array(family.natural(at(t))[1].sum()), size)
    np.testing.assert_allclose(family.mean_features(params).ravel() @ eta, A, rtol=1e-8, atol=1e-9)


@only(lambda case: isinstance(case.family, ExponentialFamily))
def test_the_mean_statistic_is_the_expectation(case):
    params = case.mixture(51, 1).params
    if case.grid is not None:
        grid, cells = case.grid()
    else:
        axes = [np.arange(2000.0 if case.d == 1 else 150.0)] * case.d
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, case.d)
        cells = np.ones(len(grid))
    p = np.exp(case.log_density(params, grid)[:, 0]) * cells
    np.testing.assert_allclose(
        p @ case.family.features(grid), case.family.mean_features(params)[0], rtol=1e-5
    )
