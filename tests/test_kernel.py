"""The compiled data pass against plain NumPy, on every instruction set of this machine."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import time
from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import logsumexp, xlogy

from mixtura import _kernel

DENSE, TIED, DIAGONAL, SPHERICAL = range(4)
GEOMETRIES = [DENSE, TIED, DIAGONAL, SPHERICAL]
NAMES = {DENSE: "dense", TIED: "tied", DIAGONAL: "diagonal", SPHERICAL: "spherical"}


@pytest.fixture(params=_kernel.variants())
def variant(request):
    """Run a test once per instruction set, and restore the one that was in use."""
    before = _kernel.variant()
    _kernel.use_variant(request.param)
    yield request.param
    _kernel.use_variant(before)


class Model(NamedTuple):
    """Parameters in the layout of the kernel, and its covariances as full matrices."""

    log_weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    geometry: int
    covariances: np.ndarray

    def arguments(self):
        return self.log_weights, self.means, self.factors, self.geometry


def make_model(rng, geometry, K, d, *, shared=False, offset=0.0, scale=1.0):
    weights = rng.dirichlet(np.full(K, 5.0))
    means = offset + scale * 2.0 * rng.standard_normal((K, d))
    n = 1 if shared or geometry == TIED else K
    if geometry in (DENSE, TIED):
        L = np.tril(np.eye(d) + 0.4 * rng.standard_normal((n, d, d)) / np.sqrt(d))
        L[:, range(d), range(d)] = rng.uniform(0.5, 1.5, (n, d))
        L *= scale
        covariances = L @ L.transpose(0, 2, 1)
        factors = np.tril(np.linalg.inv(L))
    else:
        size = (n, d) if geometry == DIAGONAL else (n, 1)
        sd = scale * rng.uniform(0.5, 1.5, size)
        covariances = np.stack([np.diag(row) for row in np.broadcast_to(sd, (n, d)) ** 2])
        factors = 1 / sd if geometry == DIAGONAL else 1 / sd[:, 0]
    covariances = np.broadcast_to(covariances, (K, d, d))
    return Model(np.log(weights), means, np.ascontiguousarray(factors), geometry, covariances)


def make_rows(rng, model, n):
    K, d = model.means.shape
    L = np.linalg.cholesky(model.covariances)
    k = rng.integers(K, size=n)
    return model.means[k] + np.einsum("nij,nj->ni", L[k], rng.standard_normal((n, d)))


def reference_components(X, model):
    """Log-densities by triangular solves: no factor of the kernel is used."""
    K, d = model.means.shape
    out = np.empty((len(X), K))
    for k in range(K):
        L = np.linalg.cholesky(model.covariances[k])
        z = np.linalg.solve(L, (X - model.means[k]).T)
        logdet = np.log(np.diag(L)).sum()
        out[:, k] = -0.5 * (z**2).sum(axis=0) - logdet - 0.5 * d * np.log(2 * np.pi)
    return out


def pack(S):
    return S[..., *np.tril_indices(S.shape[-1])]


def reference_moments(X, R, means, geometry):
    y = X[:, None, :] - means
    weight = R.sum(axis=0)
    first = np.einsum("nk,nkj->kj", R, y)
    shared = np.empty(0)
    if geometry in (DENSE, TIED):
        second = np.stack([(y[:, k].T * R[:, k]) @ y[:, k] for k in range(len(means))])
        if geometry == TIED:
            return weight, first, pack(second.sum(axis=0))
        second = pack(second)
    else:
        second = np.einsum("nk,nkj->kj", R, y * y)
        if geometry == SPHERICAL:
            second = second.sum(axis=1, keepdims=True)
    return weight, np.hstack([first, second]), shared


def reference_pass(X, w, model, labels=None):
    n, K = len(X), len(model.means)
    w = np.ones(n) if w is None else w
    lp = reference_components(X, model) + model.log_weights
    loglik = logsumexp(lp, axis=1)
    r = np.exp(lp - loglik[:, None])
    if labels is not None:
        known = labels >= 0
        r[known] = np.eye(K)[labels[known]]
        loglik[known] = lp[known, labels[known]]
    entropy = -(w[:, None] * xlogy(r, r)).sum()
    moments = reference_moments(X, w[:, None] * r, model.means, model.geometry)
    return *moments, (w * loglik).sum(), entropy, w.sum()


def assert_statistics_close(got, expected, rtol=1e-11):
    for a, b in zip(got, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        # Sums cancel: first moments against their scatter, the entropy against one per row.
        size = np.abs(b).max(initial=0.0)
        rounding = 1e-15 * expected[0].sum()
        np.testing.assert_allclose(a, b, rtol=rtol, atol=max(rtol * size, rounding))


def assert_same_bits(got, expected):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


SIZES = [1, 2, 3, 5, 7, 8, 13, 16, 17, 24, 33, 50]


@functools.cache
def problem(geometry, K, d, weighted, shared=False):
    """Model, rows, weights and the reference: made once for all variants."""
    rng = np.random.default_rng([geometry, K, d, weighted])
    model = make_model(rng, geometry, K, d, shared=shared)
    n = 2085 if d < 17 else 1177
    X = make_rows(rng, model, n)
    w = rng.uniform(0.0, 3.0, n) if weighted else None
    return model, X, w, reference_pass(X, w, model)


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


BAD_CALLS = {
    "means of another width": ({"means": np.zeros((3, 4))}, "4 columns, but X has 5"),
    "means float32": ({"means": np.zeros((3, 5), np.float32)}, r"float64 array of shape \(3, 5\)"),
    "factors too few": ({"factors": np.zeros((2, 5, 5))}, r"factors must be .*\(3, 5, 5\)"),
    "log_weights too long": ({"log_weights": np.zeros(4)}, r"log_weights must be .*\(3,\)"),
    "all empty": ({"log_weights": np.full(3, -np.inf)}, "no component"),
    "log_weights NaN": ({"log_weights": np.full(3, np.nan)}, "log_weights"),
    "factors NaN": ({"factors": np.full((3, 5, 5), np.nan)}, "factors of component 0"),
    "means infinite": ({"means": np.full((3, 5), np.inf)}, r"means\[0\]"),
    "weights too short": ({"weights": np.ones(3)}, r"weights must be .*\(10,\)"),
    "labels int64": ({"labels": np.zeros(10, np.int64)}, "int32"),
    "labels too great": ({"labels": np.full(10, 3, np.int32)}, "label 3 at row 0"),
    "labels below -1": ({"labels": np.full(10, -2, np.int32)}, "label -2 at row 0"),
    "X of integers": ({"X": np.zeros((10, 5), int)}, "X must be"),
    "X with one dimension": ({"X": np.zeros(10)}, "X must be"),
    "geometry": ({"geometry": 4}, "geometry"),
    "threads": ({"n_threads": 0}, "n_threads"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_unusable_arguments_are_refused(case):
    change, message = BAD_CALLS[case]
    good = {
        "X": np.zeros((10, 5)),
        "weights": None,
        "labels": None,
        "log_weights": np.log(np.full(3, 1 / 3)),
        "means": np.zeros((3, 5)),
        "factors": np.stack([np.eye(5)] * 3),
        "geometry": DENSE,
        "n_threads": 1,
    }
    _kernel.em_pass(**good)
    with pytest.raises(ValueError, match=message):
        _kernel.em_pass(**(good | change))


def test_outputs_must_be_writable_and_fit():
    model, X, _, _ = problem(DENSE, 3, 5, False)
    frozen = np.empty(len(X))
    frozen.flags.writeable = False
    for out in (frozen, np.empty(len(X) - 1), np.empty(2 * len(X))[::2]):
        with pytest.raises(ValueError, match="log_density"):
            _kernel.score(X, *model.arguments(), 1, log_density=out)


def test_variants():
    names = _kernel.variants()
    assert names[-1] == "baseline"
    assert _kernel.variant() in names
    with pytest.raises(ValueError, match="baseline"):
        _kernel.use_variant("abacus")


def test_environment_forces_a_variant():
    def run(name):
        return subprocess.run(
            [sys.executable, "-c", "from mixtura import _kernel; print(_kernel.variant())"],
            env=os.environ | {"MIXTURA_KERNEL": name, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )

    for name in _kernel.variants():
        assert run(name).stdout.strip() == name
    refused = run("abacus")
    assert refused.returncode != 0
    assert "ImportError" in refused.stderr
    assert "baseline" in refused.stderr


def test_peak_is_a_speed(variant):
    assert 0.1 < _kernel.fma_peak(1) < 1e4


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT of one thread")
def test_ctrl_c_stops_a_pass():
    code = """
import sys, numpy as np
from mixtura import _kernel
X = np.random.default_rng(0).standard_normal((200_000, 40))
K, d = 200, 40
means, factors = X[:K].copy(), np.stack([np.eye(d)] * K)
print("ready", flush=True)
try:
    while True:
        _kernel.em_pass(X, None, None, np.zeros(K), means, factors, 0, 2)
except KeyboardInterrupt:
    print("stopped")
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.3)
        start = time.perf_counter()
        child.send_signal(2)
        assert child.communicate(timeout=20)[0] == "stopped\n"
    assert time.perf_counter() - start < 5


def test_other_python_threads_run_meanwhile():
    model, X, _, _ = problem(DENSE, 17, 16, False)
    X = np.tile(X, (100, 1))
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    start = time.perf_counter()
    _kernel.em_pass(X, None, None, *model.arguments(), 1)
    end = time.perf_counter()
    done.set()
    ticker.join()
    assert sum(start < t < end for t in ticks) >= 5
