"""Whole runs in the kernel: the numbers of the block route, from partitions that are what they say.

The block route is held to outside references elsewhere; here both routes are
held to each other.
"""

from __future__ import annotations

import signal

import numpy as np
import pytest
from scipy import linalg, stats
from scipy.spatial.distance import cdist

from mixtura import Local, Mixture, Poisson, _kernel, as_source, em_steps, fit_em, stopping
from mixtura.crossval import cross_validate, fold_of_rows
from mixtura.degenerate import Care
from mixtura.errors import DataError, UsageError
from mixtura.families import Gaussian
from mixtura.families.runs import CONVERGED, DEGENERATE, FELL, MAX_ITER, Folds, Limits, Runs
from mixtura.prepare import prepare
from mixtura.start import from_partition, one_hot, partitions, rank, whitened
from mixtura.stopping import Aitken
from tests import reference
from tests.cases import SHAPES

ALONE = Local(1)
KMEANS, SEEDS, ROWS = 0, 1, 2


def blobs(seed, n_rows=150, d=2, apart=4.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n_rows)
    return rng.normal(size=(n_rows, d)) + apart * rng.normal(size=(3, d))[labels]


def ready(X, shape, w=None):
    """The family as a fit would use it: units, origin and floor of these rows."""
    return prepare(Gaussian(X.shape[1], shape), as_source(X, weights=w), 1, ALONE)[0]


def groups_of(X, w, sizes, method, n_jobs=2, key=0, n_threads=1):
    sizes = np.repeat(np.array(sizes, dtype=np.int32), n_jobs)
    keys = np.arange(len(sizes)) + key
    methods = np.full(len(sizes), method, dtype=np.int32)
    return _kernel.partitions(X, w, sizes, methods, keys, n_threads), sizes


def same(a, b, **tolerance):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


# -- the same numbers as the block route -------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("d", [1, 2, 6])
def test_starts_from_partitions_have_the_bits_of_the_block_route(shape, d):
    X = blobs(0, d=d)
    family = ready(X, shape)
    labels, sizes = groups_of(X, None, [1, 3, 5], ROWS)
    runs = family.runner().from_partitions(X, None, labels, sizes, Limits(0), 1)
    for j, size in enumerate(sizes):
        truth = from_partition(family, as_source(X), one_hot(labels[j], size), ALONE)
        weights, params = runs.mixture(j)
        for a, b in zip((weights, *params), (truth.weights, *truth.params), strict=True):
            np.testing.assert_array_equal(a, b)
        assert runs.objective[j] == pytest.approx(truth.log_density(X).sum(), rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["plain", "weighted", "float32", "strided"])
def test_runs_are_those_of_fit_em(shape, kind):
    """Same start, same path, same stop; only the logarithms of the weights may round otherwise."""
    X, w = blobs(1, n_rows=160), None
    if kind == "weighted":
        w = np.random.default_rng(1).random(len(X)) + 0.2
    X = X.astype(np.float32) if kind == "float32" else X
    X = np.repeat(X, 2, axis=0)[::-2] if kind == "strided" else X
    family = ready(X, shape, w)
    labels, sizes = groups_of(np.ascontiguousarray(X, dtype=float), w, [2, 3], KMEANS, 1)
    runner, limits = family.runner(), Limits(40, 1e-8)
    runs = runner.from_partitions(X, w, labels, sizes, limits, 1)
    for j, size in enumerate(sizes):
        R = one_hot(labels[j], size)
        source = as_source(X, weights=w)
        start = from_partition(family, source, R, ALONE)
        fit = fit_em(start, source, executor=ALONE, max_iter=40)
        assert runs.n_iter[j] == fit.n_iter
        assert (runs.status[j] == CONVERGED) == fit.outcome.converged
        assert runs.objective[j] == pytest.approx(fit.objective, rel=1e-12)
        weights, params = runs.mixture(j)
        np.testing.assert_allclose(weights, fit.mixture.weights, rtol=1e-9)
        same(params, fit.mixture.params, rtol=1e-8, atol=1e-10)


def test_one_component_has_the_bits_of_the_block_route():
    """With log(1) = 0 nothing is left that could round otherwise; five chunks of rows."""
    X = blobs(2, n_rows=4500, d=3)
    for shape in SHAPES:
        family = ready(X, shape)
        labels = np.zeros((1, len(X)), dtype=np.int32)
        sizes = np.ones(1, dtype=np.int32)
        runs = family.runner().from_partitions(X, None, labels, sizes, Limits(3), 1)
        start = from_partition(family, as_source(X), np.ones((len(X), 1)), ALONE)
        fit = fit_em(start, as_source(X), executor=ALONE, max_iter=3)
        assert runs.objective[0] == fit.objective
        for a, b in zip(runs.mixture(0)[1], fit.mixture.params, strict=True):
            np.testing.assert_array_equal(a, b)


def test_many_chunks_of_rows():
    X = blobs(3, n_rows=5000)
    family = ready(X, "VVV")
    labels, sizes = groups_of(X, None, [3], KMEANS, 1)
    runs = family.runner().from_partitions(X, None, labels, sizes, Limits(8), 1)
    start = from_partition(family, as_source(X), one_hot(labels[0], 3), ALONE)
    fit = fit_em(start, as_source(X), executor=ALONE, max_iter=8)
    assert runs.objective[0] == pytest.approx(fit.objective, rel=1e-13)
    same(runs.mixture(0)[1], fit.mixture.params, rtol=1e-11, atol=1e-13)


def test_going_on_is_as_if_never_stopped():
    X = blobs(4)
    runner = ready(X, "VVV").runner()
    labels, sizes = groups_of(X, None, [2, 4], KMEANS)
    whole = runner.from_partitions(X, None, labels, sizes, Limits(30), 1)
    half = runner.from_partitions(X, None, labels, sizes, Limits(17), 1)
    rest = runner.onward(half, X, None, Limits(13), 1)
    np.testing.assert_array_equal(whole.objective, rest.objective)
    np.testing.assert_array_equal(whole.records, rest.records)
    assert (whole.n_iter == half.n_iter + rest.n_iter).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_a_fold_left_out_is_as_if_its_rows_were_not_there(weighted):
    X = blobs(5, n_rows=1300)
    w = np.random.default_rng(0).random(len(X)) if weighted else None
    folds = fold_of_rows(len(X), 3, 0)
    runner = ready(X, "VVV", w).runner()
    labels, sizes = groups_of(X, w, [2, 3], KMEANS, 1)
    starts = runner.from_partitions(X, w, labels, sizes, Limits(0), 1)
    jobs = [0, 1, 0, 1, 1]
    left_out = np.array([0, 0, 2, 1, -1], dtype=np.int32)
    runs = runner.onward(starts.take(jobs), X, w, Limits(6), 2, Folds(folds, left_out))
    for j, fold in enumerate(left_out):
        kept = folds != fold
        rows, weights = X[kept], None if w is None else w[kept]
        alone = runner.onward(starts.take([jobs[j]]), rows, weights, Limits(6), 1)
        assert runs.objective[j] == alone.objective[0]
        np.testing.assert_array_equal(runs.record(j), alone.records)


@pytest.mark.parametrize("shape", ["VVV", "EEE", "VVI", "EII"])
def test_the_same_bits_for_any_number_of_threads_and_company(shape):
    X = blobs(6)
    family = ready(X, shape)
    labels, sizes = groups_of(X, None, [1, 2, 3, 7], ROWS, 3)
    results = [
        family.runner().from_partitions(X, None, labels, sizes, Limits(25, 1e-9), n_threads)
        for n_threads in (1, 2, 5)
    ]
    alone = Runs.joined([
        family.runner().from_partitions(X, None, labels[j : j + 1], sizes[j : j + 1],
                                        Limits(25, 1e-9), 1)
        for j in range(len(sizes))
    ])  # fmt: skip
    for other in (*results[1:], alone):
        np.testing.assert_array_equal(results[0].records, other.records)
        np.testing.assert_array_equal(results[0].objective, other.objective)
        np.testing.assert_array_equal(results[0].status, other.status)


def test_columns_in_extreme_units():
    X = blobs(7)
    far = X * [2.0**400, 2.0**-400]
    plain, scaled = ready(X, "VVV"), ready(far, "VVV")
    labels, sizes = groups_of(X, None, [3], KMEANS, 1)
    a = plain.runner().from_partitions(X, None, labels, sizes, Limits(5), 1)
    b = scaled.runner().from_partitions(far, None, labels, sizes, Limits(5), 1)
    assert scaled.exponents == (400, -400)
    np.testing.assert_array_equal(a.objective, b.objective)
    w = np.random.default_rng(0).random(len(X))
    tall = X * 2.0**400
    a = ready(X, "VVV", w).runner().from_partitions(X, w, labels, sizes, Limits(5), 1)
    b = ready(tall, "VVV", w).runner().from_partitions(tall, w, labels, sizes, Limits(5), 1)
    unit = 2 * 400 * np.log(2.0) * w.sum()
    assert b.objective[0] == pytest.approx(a.objective[0] - unit, rel=1e-13)


# -- how runs end ------------------------------------------------------------------------------


def test_a_component_without_rows_is_degenerate():
    X = blobs(8)
    runner = ready(X, "VVV").runner()
    labels, sizes = groups_of(X, None, [3], KMEANS, 1)
    without = np.where(labels == 1, 0, labels)
    runs = runner.from_partitions(X, None, np.concatenate([without, labels]),
                                  np.repeat(sizes, 2), Limits(2), 1)  # fmt: skip
    assert runs.status.tolist() == [DEGENERATE, MAX_ITER]
    assert np.isnan(runs.mixture(0)[0]).all()
    assert runs.ranked().tolist() == [1, 0]


def test_a_component_that_loses_its_rows_is_degenerate():
    """A second component far away gets less than a row; block route: `Care` sees it too."""
    X = blobs(9)
    family = ready(X, "VVV")
    params = family.params(np.array([X.mean(0), X.mean(0) + 60.0]), np.array([np.cov(X.T)] * 2))
    start = Mixture(family, np.array([0.5, 0.5]), params)
    runs = family.runner().onward(
        family.runner().runs_of([(start.weights, params)]), X, None, Limits(9), 1
    )
    assert (runs.status[0], runs.n_iter[0]) == (DEGENERATE, 0)
    same(runs.mixture(0)[1], params, rtol=0)
    steps = em_steps(start, as_source(X), care=Care("repair", len(X)), executor=ALONE)
    next(steps)
    assert next(steps).events


def test_components_on_the_floor_are_counted_and_ranked_low():
    X = blobs(10)
    X[:40] = X[0] + 1e-9 * X[:40]
    for shape in ("VVV", "VVI", "VII"):
        family = ready(X, shape)
        narrow, wide = 10.0 * family.floor, 1e6 * family.floor
        centres = np.array([X[0], X.mean(0)])
        starts = [family.params(centres, np.array([low, wide])) for low in (narrow, wide)]
        bundle = family.runner().runs_of([(np.array([0.3, 0.7]), params) for params in starts])
        runs = family.runner().onward(bundle, X, None, Limits(10, 1e-8), 1)
        assert runs.n_boundary.tolist() == [1, 0]
        assert runs.objective[0] > runs.objective[1]
        assert runs.ranked().tolist() == [1, 0]
        touching = family.at_boundary(runs.mixture(0)[1])
        np.testing.assert_array_equal(touching, [True, False])
        lowest = [
            linalg.eigh(c, f, eigvals_only=True)[0] for c, f in layouts(family, runs.mixture(0)[1])
        ]
        np.testing.assert_array_equal(np.array(lowest) < 1 + 1e-6, touching)


def layouts(family, params):
    """Covariances and the floor as matrices."""
    matrix = (lambda a: a) if family.shape.name == "VVV" else lambda a: np.diag(np.atleast_1d(a))
    return [(matrix(c), matrix(family.floor)) for c in params.covariances]


def test_rounding_does_not_decide_between_runs():
    none, K = np.zeros(6, dtype=np.int32), np.ones(6, dtype=np.int32)
    objective = np.array([-5.0, -3.0 - 1e-9, -3.0, -4.0, -1.0, 0.0])
    status = np.array([0, 0, 1, 0, 0, DEGENERATE], dtype=np.int32)
    n_boundary = np.array([0, 0, 0, 0, 1, 0], dtype=np.int32)
    runner = Gaussian(1).runner()
    runs = Runs(runner, none, K, 3 * K, np.ones(18), objective, none, none, status, n_boundary)
    assert runs.ranked().tolist() == [2, 1, 3, 0, 4, 5]
    assert runs.ranked(1e-6).tolist() == [1, 2, 3, 0, 4, 5]
    assert runs.ranked(1.5).tolist() == [1, 2, 3, 0, 4, 5]
    assert runs.ranked(10.0).tolist() == [0, 1, 2, 3, 4, 5]


def test_the_rule_of_aitken_is_the_same_in_both_routes():
    """Iteration counts agree for tolerances from loose to tight."""
    X = blobs(11, apart=2.0)
    family = ready(X, "VVV")
    labels, sizes = groups_of(X, None, [2], KMEANS, 1)
    start = from_partition(family, as_source(X), one_hot(labels[0], 2), ALONE)
    counts = []
    for tol in (1e-2, 1e-4, 1e-6, 1e-9):
        runs = family.runner().from_partitions(X, None, labels, sizes, Limits(3000, tol), 1)
        fit = fit_em(start, as_source(X), stop=Aitken(tol), max_iter=3000, executor=ALONE)
        assert runs.n_iter[0] == fit.n_iter
        assert runs.status[0] == CONVERGED
        counts.append(fit.n_iter)
    assert counts == sorted(set(counts))
    assert stopping.NEGLIGIBLE == _kernel.NEGLIGIBLE_GAIN
    assert FELL not in runs.status


@pytest.mark.parametrize("shape", ["VVE", "EVE", "EVV"])
def test_no_run_falls_where_components_collapse_onto_the_floor(shape):
    """Forty irises of one species in up to five groups: some end with two or three flowers."""
    iris = reference.load("iris")
    for name in ("setosa", "versicolor", "virginica"):
        for fold in range(3):
            own = iris.X[iris.labels == name][np.arange(50) % 5 != fold]
            labels, sizes = groups_of(own, None, [3, 4, 5], SEEDS, 10, key=100 * fold)
            runner = ready(own, shape).runner()
            runs = runner.from_partitions(own, None, labels, sizes, Limits(1000, 1e-8), 1)
            assert FELL not in runs.status


def test_a_ridge_keeps_to_the_block_route():
    assert Gaussian(2, ridge=0.1).runner() is None
    assert Poisson(2).runner() is None


def test_a_signal_ends_long_runs():
    """Far more work than the time allowed; the handler's exception comes out of the call."""

    class Alarm(Exception):
        pass

    def ring(*_):
        raise Alarm

    X = blobs(13, n_rows=100_000, apart=0.0)
    labels = (np.arange(len(X)) % 8).astype(np.int32)[None].repeat(40, axis=0)
    sizes = np.full(40, 8, dtype=np.int32)
    runner = ready(X, "VVV").runner()
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(Alarm):
            runner.from_partitions(X, None, labels, sizes, Limits(10**9, 0.0), 2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_wrong_arguments_are_refused():
    X = blobs(12)
    labels, sizes = groups_of(X, None, [2], KMEANS, 1)
    good = {
        "X": [X], "origins": X.mean(0)[None], "weights": None, "folds": None,
        "families": [("VVV", 0, None)], "jobs_family": 0 * sizes, "jobs_k": sizes,
        "jobs_unit": 0 * sizes, "jobs_fold": None, "goals": None, "labels": labels,
        "jobs_partition": 0 * sizes, "start": None, "max_iter": 1, "tol": 0.0, "max_inner": 200,
        "trust": 1.0, "near": 1.0, "accelerate": False, "n_threads": 1,
    }  # fmt: skip
    _kernel.em_runs(**good)
    for wrong, said in (
        ({"X": []}, "at least one view"),
        ({"X": [X, X[1:]], "origins": np.zeros((2, 2))}, "must be alike"),
        ({"families": [("XYZ", 0, None)]}, "14 names"),
        ({"families": [("VVV", 1, None)]}, "one of the views"),
        ({"families": [("VVV", 0, -np.eye(2))]}, "not positive definite"),
        ({"families": [("VVV", 0, np.eye(3))]}, "floor must be"),
        ({"jobs_family": 0 * sizes + 1}, "must name families"),
        ({"jobs_partition": 0 * sizes + 1}, "must name rows"),
        ({"labels": labels + 1}, "labels must lie"),
        ({"labels": labels[:, :-1].copy()}, "labels must be"),
        ({"labels": None}, "belong together"),
        ({"labels": None, "jobs_partition": None}, "labels or start"),
        ({"start": np.zeros(2)}, "labels or start"),
        ({"labels": None, "jobs_partition": None, "start": np.zeros(2)}, "start must be"),
        ({"jobs_k": 0 * sizes}, "numbers >= 1"),
        ({"folds": np.zeros(len(X), dtype=np.int32)}, "belong together"),
        ({"origins": np.zeros((1, 3))}, "origins"),
        ({"goals": np.zeros(9)}, "goals"),
        ({"n_threads": 0}, "n_threads"),
        ({"max_inner": 0}, "max_inner"),
        ({"trust": -1.0}, "trust"),
        ({"near": 0.0}, "near"),
    ):
        with pytest.raises(ValueError, match=said):
            _kernel.em_runs(**{**good, **wrong})


# -- partitions --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [KMEANS, SEEDS, ROWS])
@pytest.mark.parametrize("n_groups", [1, 2, 7])
def test_partitions_are_groups_of_the_rows_with_weight(method, n_groups):
    X = blobs(20, n_rows=700, apart=0.0)
    w = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    labels, _ = groups_of(X, w, [n_groups], method, 20)
    assert ((labels == -1) == (w == 0)).all()
    for own in labels:
        assert set(own[w > 0]) == set(range(n_groups))
    twice, _ = groups_of(X, w, [n_groups], method, 20, n_threads=3)
    np.testing.assert_array_equal(labels, twice)
    if method == ROWS and n_groups > 1:
        assert len({tuple(own) for own in labels}) == 20


def test_kmeans_ends_where_each_row_is_at_its_nearest_mean():
    X = blobs(21, apart=8.0)
    w = np.random.default_rng(0).integers(1, 4, len(X)).astype(float)
    for own in groups_of(X, w, [3], KMEANS, 10)[0]:
        means = [np.average(X[own == k], axis=0, weights=w[own == k]) for k in range(3)]
        np.testing.assert_array_equal(cdist(X, means).argmin(axis=1), own)


def test_kmeans_does_not_lose_to_its_seeds():
    X = blobs(22, n_rows=2000, d=3)

    def spread(labels):
        return sum(((X[labels == k] - X[labels == k].mean(0)) ** 2).sum() for k in range(5))

    ended, seeded = groups_of(X, None, [5], KMEANS, 8)[0], groups_of(X, None, [5], SEEDS, 8)[0]
    gains = [spread(b) - spread(a) for a, b in zip(ended, seeded, strict=True)]
    assert min(gains) > 0


def test_seeds_of_far_groups_are_one_each():
    labels = np.arange(90) % 3
    X = np.random.default_rng(0).normal(size=(90, 2)) + 1000.0 * np.eye(3)[labels, :2]
    for own in groups_of(X, None, [3], SEEDS, 50)[0]:
        assert len({(a, b) for a, b in zip(own, labels, strict=True)}) == 3


def test_random_rows_are_distinct_and_drawn_by_weight():
    """Equal rows are one row with the sum of their weights; two are drawn without replacement."""
    X, w = np.array([[0.0], [0.0], [10.0], [14.0]]), np.array([1.0, 2.0, 3.0, 4.0])
    labels = groups_of(X, w, [2], ROWS, 6000)[0]
    assert (labels[:, 0] == labels[:, 1]).all()
    # 10 and 14 share a group when one of them and 0 were drawn, 0 and 10 when 10 and 14 were
    apart = (labels[:, 2] != labels[:, 3]).sum()
    p = {0: 0.3, 10: 0.3, 14: 0.4}
    chance = p[10] * p[14] / (1 - p[10]) + p[14] * p[10] / (1 - p[14])
    assert stats.binomtest(int(apart), 6000, chance).pvalue > 1e-6
    first_is_0 = (labels[:, 0] == 0) & (labels[:, 2] == labels[:, 3])
    chance = p[0]
    assert stats.binomtest(int(first_is_0.sum()), 6000, chance).pvalue > 1e-6


def test_random_numbers_are_uniform():
    """The first seed of k-means++ is drawn by weight alone: equal rows, all groups of one."""
    X = np.arange(20.0)[:, None]
    labels = groups_of(X, None, [20], ROWS, 4000)[0]
    first = (labels == 0).argmax(axis=1)
    assert stats.chisquare(np.bincount(first, minlength=20)).pvalue > 1e-6
    last = (labels == 19).argmax(axis=1)
    assert stats.chisquare(np.bincount(last, minlength=20)).pvalue > 1e-6
    table = np.zeros((20, 20))
    np.add.at(table, (first, last), 1)
    assert (np.diagonal(table) == 0).all()
    away = ~np.eye(20, dtype=bool)
    assert stats.chisquare(table[away]).pvalue > 1e-6


@pytest.mark.parametrize("method", [KMEANS, SEEDS, ROWS])
def test_too_few_distinct_rows_leave_groups_empty(method):
    X = np.repeat([[0.0, 1.0], [2.0, 3.0]], 5, axis=0)
    labels = groups_of(X, None, [4], method, 5)[0]
    for own in labels:
        assert len(np.unique(own)) == 2


def test_partitions_serve_both_spaces():
    """Standardised and whitened rows give other groups where columns are correlated."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2)) @ [[1.0, 0.98], [0.0, 0.2]]
    labels, _ = partitions(X, np.ones(400), [4], ["kmeans"] * 6, 0, 1)
    white = whitened(X, np.ones(400))
    spread = [sum(white[own == k].var(axis=0).sum() for k in range(4)) for own in labels]
    assert len(set(np.round(spread, 6))) > 1


# -- cross-validation --------------------------------------------------------------------------


def plain_loop(family, X, w, sizes, n_folds, seed, tol):
    """Held-out log-densities by fits of one start each, with fit_em."""
    folds = fold_of_rows(len(X), n_folds, seed)
    result = np.empty((len(sizes), len(X)))
    for fold in range(n_folds):
        kept = folds != fold
        rows, weights = X[kept], None if w is None else w[kept]
        source = as_source(rows, weights=weights)
        for s, size in enumerate(sizes):
            fits = []
            for key in range(12):
                labels = groups_of(
                    whitened(rows, np.ones(len(rows))), weights, [size], KMEANS, 1, key
                )
                start = from_partition(family, source, one_hot(labels[0][0], size), ALONE)
                fits.append(fit_em(start, source, stop=Aitken(tol), executor=ALONE))
            result[s, ~kept] = max(fits, key=rank).mixture.log_density(X[~kept])
    return result


@pytest.mark.parametrize("weighted", [False, True])
def test_cross_validation_is_a_loop_over_fits(weighted):
    """Three groups far apart: all good starts meet in one optimum, so two programs must agree."""
    X = blobs(30, n_rows=90, apart=9.0)
    w = np.random.default_rng(0).integers(1, 4, len(X)).astype(float) if weighted else None
    found = cross_validate(
        Gaussian(2, "EEE"), as_source(X, weights=w), [1, 3], n_folds=4, tol=1e-10, executor=ALONE
    )
    truth = plain_loop(ready(X, "EEE", w), X, w, [1, 3], 4, 0, 1e-10)
    np.testing.assert_allclose(found.log_density, truth, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.score, np.average(truth, axis=1, weights=w), atol=1e-5)
    assert found.best == 3


def test_scores_and_errors_are_means_over_rows():
    X = blobs(31, n_rows=60)
    found = cross_validate(Gaussian(2), as_source(X), [1, 2], n_folds=5, executor=ALONE)
    np.testing.assert_allclose(found.score, found.log_density.mean(axis=1), rtol=1e-14)
    np.testing.assert_allclose(
        found.standard_error, found.log_density.std(axis=1) / np.sqrt(60), rtol=1e-12
    )
    assert found.one_standard_error <= found.best


def test_a_row_of_weight_zero_says_nothing():
    X = blobs(32, n_rows=80)
    w = np.ones(80)
    w[10] = 0.0
    moved = X.copy()
    moved[10] += 3.0
    a, b = (
        cross_validate(Gaussian(2), as_source(rows, weights=w), [1, 3], n_folds=4, executor=ALONE)
        for rows in (X, moved)
    )
    np.testing.assert_array_equal(a.score, b.score)


def test_folds_are_even_and_belong_to_seed_and_place():
    folds = fold_of_rows(1003, 10, 0)
    counts = np.bincount(folds)
    assert len(counts) == 10
    assert counts.min() >= 100
    assert counts.max() <= 101
    np.testing.assert_array_equal(folds[:57], fold_of_rows(57, 10, 0))
    assert (folds != fold_of_rows(1003, 10, 1)).any()
    for deal in folds[:1000].reshape(100, 10):
        assert sorted(deal) == list(range(10))


def test_the_number_of_threads_does_not_matter_to_cross_validation():
    X = blobs(33)
    a, b = (
        cross_validate(Gaussian(2), as_source(X), range(1, 5), executor=Local(n)) for n in (1, 3)
    )
    np.testing.assert_array_equal(a.log_density, b.log_density)


def test_families_without_a_compiled_route_are_cross_validated_too():
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.array([2.0, 30.0])[np.arange(120) % 2, None]).astype(float)
    assert cross_validate(Poisson(1), as_source(counts), [1, 2], n_folds=3, n_starts=2).best == 2
    X = blobs(34, n_rows=90, apart=9.0)
    ridge, plain = (
        cross_validate(family, as_source(X), [1, 3], n_folds=3, n_starts=4)
        for family in (Gaussian(2, "EEE", ridge=1e-12), Gaussian(2, "EEE"))
    )
    np.testing.assert_allclose(ridge.score, plain.score, atol=1e-4)


def test_cells_that_no_run_could_fill_are_mended():
    """More components than the groups can feed: empty ones start anew, and a score is given."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(12, 2)), 3, axis=0) + 1e-3 * rng.normal(size=(36, 2))
    found = cross_validate(Gaussian(2), as_source(X), [1, 11], n_folds=3, n_starts=2)
    assert np.isfinite(found.log_density).all()


def test_cross_validation_refuses_what_has_no_meaning():
    X = as_source(blobs(35, n_rows=20))
    for options, said in (({"n_folds": 1}, "n_folds"), ({"n_folds": 21}, "n_folds")):
        with pytest.raises(UsageError, match=said):
            cross_validate(Gaussian(2), X, [1], **options)
    with pytest.raises(UsageError, match="sizes"):
        cross_validate(Gaussian(2), X, [])
    with pytest.raises(DataError, match="20"):
        cross_validate(Gaussian(2), X, [21])


def test_folds_may_be_ones_own():
    X = np.random.default_rng(0).normal(size=(60, 2))
    source, sizes = as_source(X), [1, 2]
    default = cross_validate(Gaussian(2), source, sizes, n_folds=5, n_starts=2)
    own = cross_validate(Gaussian(2), source, sizes, folds=default.folds, n_starts=2)
    np.testing.assert_array_equal(own.log_density, default.log_density)
    other = cross_validate(Gaussian(2), source, sizes, folds=np.arange(60) % 3, n_starts=2)
    assert other.folds.max() == 2
    for wrong in (np.zeros(60), np.arange(59) % 3, 2 * (np.arange(60) % 2)):
        with pytest.raises(UsageError, match="folds"):
            cross_validate(Gaussian(2), source, sizes, folds=wrong)
