"""The compiled data pass against plain NumPy, on every instruction set of this machine."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from mixtura import _kernel
from tests.kernel_reference import (
    DENSE,
    DIAGONAL,
    GEOMETRIES,
    NAMES,
    SIZES,
    SPHERICAL,
    TIED,
    Model,
    assert_same_bits,
    assert_statistics_close,
    make_model,
    make_rows,
    problem,
    reference_components,
    reference_moments,
    reference_pass,
)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("K", [1, 3, 17])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=NAMES.get)
def test_pass_agrees_with_numpy(variant, geometry, K, d, weighted):
    model, X, w, expected = problem(geometry, K, d, weighted)
    got = _kernel.em_pass(X, w, None, *model.arguments(), 2)
    assert_statistics_close(got, expected)


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=NAMES.get)
def test_scores_agree_with_numpy(variant, geometry, d):
    model, X, _, _ = problem(geometry, 17, d, False)
    n, K = len(X), 17
    components = reference_components(X, model)
    joint = components + model.log_weights
    out = np.full((n, K), np.nan)
    _kernel.component_log_density(X, *model.arguments()[1:], 2, out)
    np.testing.assert_allclose(out, components, rtol=1e-11, atol=1e-11)
    log_density, R = np.full(n, np.nan), np.full((n, K), np.nan)
    labels = np.full(n, -7, np.int64)
    _kernel.score(X, *model.arguments(), 2, log_density, R, labels)
    expected = logsumexp(joint, axis=1)
    np.testing.assert_allclose(log_density, expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(R, np.exp(joint - expected[:, None]), rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(labels, joint.argmax(axis=1))
    assert np.abs(R.sum(axis=1) - 1).max() <= 4 * np.spacing(1.0)
    assert R.min() >= 0
    # Each output alone is the same as all together.
    alone = np.empty(n)
    _kernel.score(X, *model.arguments(), 1, log_density=alone)
    np.testing.assert_array_equal(alone, log_density)
    alone = np.empty(n, np.int64)
    _kernel.score(X, *model.arguments(), 1, labels=alone)
    np.testing.assert_array_equal(alone, labels)


def test_pass_and_scores_tell_the_same_likelihood(variant):
    model, X, w, _ = problem(DENSE, 17, 8, True)
    log_density = np.empty(len(X))
    _kernel.score(X, *model.arguments(), 1, log_density)
    loglik = _kernel.em_pass(X, w, None, *model.arguments(), 1)[3]
    np.testing.assert_allclose(loglik, (w * log_density).sum(), rtol=1e-13)


@pytest.mark.parametrize("geometry", [DENSE, DIAGONAL, SPHERICAL], ids=NAMES.get)
@pytest.mark.parametrize("d", [3, 20])
def test_one_factor_for_all_components(variant, geometry, d):
    model, X, w, expected = problem(geometry, 3, d, True, shared=True)
    assert len(model.factors) == 1
    assert_statistics_close(_kernel.em_pass(X, w, None, *model.arguments(), 1), expected)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=NAMES.get)
def test_accumulate_agrees_with_numpy(variant, geometry):
    for d in [1, 5, 13, 33]:
        rng = np.random.default_rng(d)
        model, X, w, _ = problem(geometry, 3, d, True)
        R = rng.uniform(0, 2, (len(X), 3))  # rows need not sum to one
        expected = reference_moments(X, w[:, None] * R, model.means, geometry)
        got = _kernel.accumulate(X, w, R, model.means, geometry, 2)
        assert_statistics_close(got, expected)
        strided = np.asfortranarray(R)
        assert_same_bits(_kernel.accumulate(X, w, strided, model.means, geometry, 1), got)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=NAMES.get)
def test_accumulate_of_the_posterior_is_the_pass(variant, geometry):
    model, X, w, expected = problem(geometry, 17, 7, True)
    R = np.empty((len(X), 17))
    _kernel.score(X, *model.arguments(), 1, responsibilities=R)
    got = _kernel.accumulate(X, w, R, model.means, geometry, 1)
    assert_statistics_close(got, expected[:3])


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=NAMES.get)
@pytest.mark.parametrize("d", [2, 7, 20, 50])
def test_offset_data_keep_their_digits(variant, geometry, d):
    # Multiples of 2^-10 survive the offset exactly, so every difference x - mean is unchanged.
    rng = np.random.default_rng(d)
    model = make_model(rng, geometry, 3, d)
    model = model._replace(means=np.round(model.means * 1024) / 1024)
    X = np.round(make_rows(rng, model, 1500) * 1024) / 1024
    expected = _kernel.em_pass(X, None, None, *model.arguments(), 1)
    moved = model._replace(means=model.means + 1e6)
    got = _kernel.em_pass(X + 1e6, None, None, *moved.arguments(), 1)
    assert_statistics_close(got, expected, rtol=1e-14 if geometry != TIED else 1e-8)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=NAMES.get)
def test_scales_from_tiny_to_huge(variant, geometry):
    for scale in [1e-100, 1e-8, 1e8, 1e100]:
        rng = np.random.default_rng(3)
        model = make_model(rng, geometry, 3, 5, scale=scale)
        X = make_rows(rng, model, 300)
        assert_statistics_close(
            _kernel.em_pass(X, None, None, *model.arguments(), 1), reference_pass(X, None, model)
        )


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=NAMES.get)
@pytest.mark.parametrize("d", [1, 5, 20])
def test_rows_far_from_every_component(variant, geometry, d):
    model, X, _, _ = problem(geometry, 3, d, False)
    X = X[:40].copy()
    X[7] += 1e6
    X[30, 0] -= 3e7
    n = len(X)
    log_density, R = np.empty(n), np.empty((n, 3))
    _kernel.score(X, *model.arguments(), 1, log_density, R)
    expected = logsumexp(reference_components(X, model) + model.log_weights, axis=1)
    assert expected[7] < -1e11
    np.testing.assert_allclose(log_density, expected, rtol=1e-12)
    np.testing.assert_allclose(R.sum(axis=1), 1, rtol=1e-15)
    got = _kernel.em_pass(X, None, None, *model.arguments(), 1)
    assert_statistics_close(got, reference_pass(X, None, model))
    X[3] = 1e200  # the square of this overflows
    _kernel.score(X, *model.arguments(), 1, log_density, R)
    assert np.isfinite(log_density).all()
    np.testing.assert_allclose(R.sum(axis=1), 1, rtol=1e-15)


def test_empty_components_take_no_part(variant):
    for geometry in GEOMETRIES:
        model, X, w, _ = problem(geometry, 3, 5, True)
        log_weights = np.array([np.log(0.4), -np.inf, np.log(0.6)])
        broken = model.means.copy()
        broken[1] = np.nan
        got = _kernel.em_pass(X, w, None, log_weights, broken, model.factors, geometry, 1)
        two = Model(
            log_weights[[0, 2]],
            model.means[[0, 2]],
            model.factors if len(model.factors) == 1 else model.factors[[0, 2]],
            geometry,
            model.covariances[[0, 2]],
        )
        expected = reference_pass(X, w, two)
        assert got[0][1] == 0
        assert not got[1][1].any()
        assert_statistics_close((got[0][[0, 2]], got[1][[0, 2]], *got[2:]), expected)
        R = np.empty((len(X), 3))
        _kernel.score(X, log_weights, broken, model.factors, geometry, 1, responsibilities=R)
        assert not R[:, 1].any()


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=NAMES.get)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_known_labels(variant, geometry, weighted):
    model, X, w, _ = problem(geometry, 3, 5, weighted)
    labels = np.random.default_rng(1).integers(-1, 3, len(X)).astype(np.int32)
    got = _kernel.em_pass(X, w, labels, *model.arguments(), 2)
    assert_statistics_close(got, reference_pass(X, w, model, labels))
    none_known = np.full(len(X), -1, np.int32)
    assert_same_bits(
        _kernel.em_pass(X, w, none_known, *model.arguments(), 1),
        _kernel.em_pass(X, w, None, *model.arguments(), 1),
    )


def test_a_label_of_an_empty_component_is_impossible(variant):
    model, X, _, _ = problem(DENSE, 3, 5, False)
    log_weights = np.array([np.log(0.4), -np.inf, np.log(0.6)])
    labels = np.full(len(X), -1, np.int32)
    labels[10] = 1
    arguments = (log_weights, *model.arguments()[1:], 1)
    assert _kernel.em_pass(X, None, labels, *arguments)[3] == -np.inf
    absent = np.ones(len(X))
    absent[10] = 0
    assert np.isfinite(_kernel.em_pass(X, absent, labels, *arguments)[3])


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=NAMES.get)
@pytest.mark.parametrize("d", [2, 7, 33])
def test_layout_of_rows_changes_no_bit(variant, geometry, d):
    rng = np.random.default_rng(5)
    model = make_model(rng, geometry, 3, d)
    X = make_rows(rng, model, 1100).astype(np.float32).astype(float)
    expected = _kernel.em_pass(X, None, None, *model.arguments(), 1)
    wide = np.zeros((len(X), 2 * d + 3))
    wide[:, 1 : 2 * d + 1 : 2] = X
    rows = np.repeat(X, 2, axis=0)
    record = np.zeros(len(X), [("flag", "i1"), ("x", "f8", d)])
    record["x"] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    layouts = {
        "fortran": np.asfortranarray(X),
        "columns apart": wide[:, 1 : 2 * d + 1 : 2],
        "every second row": rows[::2],
        "backwards": X[::-1].copy()[::-1],
        "columns backwards": X[:, ::-1].copy()[:, ::-1],
        "unaligned": record["x"],
        "read-only": read_only,
        "float32": X.astype(np.float32),
        "float32 fortran": np.asfortranarray(X.astype(np.float32)),
        "float32 strided": np.repeat(X.astype(np.float32), 2, axis=1)[:, ::2],
    }
    for rows in layouts.values():
        assert_same_bits(_kernel.em_pass(rows, None, None, *model.arguments(), 1), expected)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=NAMES.get)
@pytest.mark.parametrize("d", [1, 2, 10, 30])
def test_threads_change_no_bit(variant, geometry, d):
    rng = np.random.default_rng(d)
    model = make_model(rng, geometry, 4, d)
    X = make_rows(rng, model, 40_961)
    w = rng.uniform(0, 2, len(X))
    one = _kernel.em_pass(X, w, None, *model.arguments(), 1)
    for n_threads in (2, 3, 8):
        assert_same_bits(_kernel.em_pass(X, w, None, *model.arguments(), n_threads), one)
    R = np.empty((len(X), 4))
    _kernel.score(X, *model.arguments(), 3, responsibilities=R)
    moments = _kernel.accumulate(X, w, R, model.means, geometry, 1)
    assert_same_bits(_kernel.accumulate(X, w, R, model.means, geometry, 5), moments)


def merge(leaves):
    """Push leaves; merge equal levels; at the end collapse from the small end."""

    def add(a, b):
        return tuple(x + y for x, y in zip(a, b, strict=True))

    stack = []
    for leaf in leaves:
        level = 0
        while stack and stack[-1][0] == level:
            leaf = add(stack.pop()[1], leaf)
            level += 1
        stack.append((level, leaf))
    result = stack.pop()[1]
    while stack:
        result = add(stack.pop()[1], result)
    return result


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=NAMES.get)
@pytest.mark.parametrize("n", [1, 1024, 5000, 13 * 1024 + 5])
def test_blocks_merged_by_the_tree_change_no_bit(variant, geometry, n):
    rng = np.random.default_rng(n)
    model = make_model(rng, geometry, 3, 6)
    X = make_rows(rng, model, n)
    w = rng.uniform(0, 2, n)
    whole = _kernel.em_pass(X, w, None, *model.arguments(), 2)
    for size in (1024, 2048, 8192):
        blocks = [
            _kernel.em_pass(X[i : i + size], w[i : i + size], None, *model.arguments(), 1)
            for i in range(0, n, size)
        ]
        assert_same_bits(merge(blocks), whole)


def test_rows_of_weight_zero_are_absent(variant):
    for geometry in GEOMETRIES:
        model, X, _, _ = problem(geometry, 3, 7, True)
        w = np.random.default_rng(0).integers(0, 2, len(X)).astype(float)
        X = X.copy()
        X[w == 0] *= 100
        keep = w > 0
        got = _kernel.em_pass(X, w, None, *model.arguments(), 1)
        expected = _kernel.em_pass(X[keep], None, None, *model.arguments(), 1)
        assert_statistics_close(got, expected, rtol=1e-12)


def test_whole_weights_are_repetitions(variant):
    for geometry in GEOMETRIES:
        model, X, _, _ = problem(geometry, 3, 7, True)
        counts = np.random.default_rng(0).integers(0, 4, len(X))
        got = _kernel.em_pass(X, counts.astype(float), None, *model.arguments(), 1)
        repeated = np.repeat(X, counts, axis=0)
        expected = _kernel.em_pass(repeated, None, None, *model.arguments(), 1)
        assert_statistics_close(got, expected, rtol=1e-12)


@pytest.mark.parametrize("spread", [0.2, 5.0, 200.0])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=NAMES.get)
@pytest.mark.parametrize("d", [8, 20])
def test_components_near_and_far_apart(variant, geometry, d, spread):
    # Rows of zero responsibility are left out; shared scatter is found in two ways.
    rng = np.random.default_rng(d)
    model = make_model(rng, geometry, 9, d)
    model = model._replace(means=spread * rng.standard_normal((9, d)))
    X = make_rows(rng, model, 1500)
    w = rng.uniform(0, 2, len(X))
    labels = np.where(rng.random(len(X)) < 0.1, 4, -1).astype(np.int32)
    got = _kernel.em_pass(X, w, labels, *model.arguments(), 2)
    assert_statistics_close(got, reference_pass(X, w, model, labels))


def test_no_rows(variant):
    model, _, _, _ = problem(DENSE, 3, 5, False)
    got = _kernel.em_pass(np.empty((0, 5)), None, None, *model.arguments(), 2)
    assert [np.abs(part).sum() for part in got] == [0] * 6
    _kernel.score(np.empty((0, 5)), *model.arguments(), 2, np.empty(0))


def test_many_components_and_features(variant):
    for K, d in [(300, 2), (2, 130)]:
        rng = np.random.default_rng(K)
        model = make_model(rng, DENSE, K, d)
        X = make_rows(rng, model, 1100)
        got = _kernel.em_pass(X, None, None, *model.arguments(), 2)
        assert_statistics_close(got, reference_pass(X, None, model))
