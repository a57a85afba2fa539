"""Partitions made of responsibilities, or told by runs: groups split, merged and named."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mixtura import Local, Mixture, _kernel, as_source
from mixtura.families import Gaussian
from mixtura.families.runs import Limits, Pairs
from mixtura.prepare import prepare
from tests.cases import SHAPES


def soft(seed, K=4, n=120, d=2, weighted=False):
    """Responsibilities of K overlapping components, weights, and rows in a space."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, d)) * np.exp(rng.normal(size=d))
    R = rng.dirichlet(np.full(K, 0.4), n)
    w = rng.integers(0, 4, n).astype(float) if weighted else None
    return R, w, Z


def ones(R, w):
    return np.ones(len(R)) if w is None else w


def widest(R, w, Z, n_free):
    """Free components by their scatter about their means, the largest first."""
    scatter = []
    for r in (R * ones(R, w)[:, None]).T[:n_free]:
        mean = r @ Z / r.sum()
        scatter.append((r * ((Z - mean) ** 2).sum(axis=1)).sum())
    return np.argsort(-np.array(scatter), kind="stable").tolist()


def overlapping(R, w, n_free):
    """Pairs of free components by the cosine of their columns, the largest first."""
    product = R.T @ (R * ones(R, w)[:, None])
    cosine = product / np.sqrt(np.outer(np.diag(product), np.diag(product)))
    return sorted(itertools.combinations(range(n_free), 2), key=lambda pair: -cosine[pair])


def check_halves(labels, w, Z, k, name):
    """Both are there, and each row is nearer to the mean of its own half."""
    w = np.ones(len(Z)) if w is None else w
    counted = w > 0
    first, second = (labels == k) & counted, (labels == name) & counted
    assert first.any()
    assert second.any()
    means = [np.average(Z[own], axis=0, weights=w[own]) for own in (first, second)]
    gaps = [((Z - mean) ** 2).sum(axis=1) for mean in means]
    assert (gaps[0] <= gaps[1] + 1e-12)[first].all()
    assert (gaps[1] <= gaps[0] + 1e-12)[second].all()


def canonical(labels):
    """Groups named by their first rows."""
    names = {}
    return np.array([names.setdefault(label, len(names)) for label in labels.tolist()])


# -- splits ------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_free", [4, 3, 1, 0])
@pytest.mark.parametrize("n_splits", [0, 1, 2, 9])
def test_splits_take_the_widest_and_leave_the_others_as_they_are(weighted, n_free, n_splits):
    for seed in range(5):
        R, w, Z = soft(seed, weighted=weighted)
        made = _kernel.split_partitions(R, w, Z, n_free, n_splits, seed)
        assert made.dtype == np.int32
        assert made.shape == (min(n_splits, n_free), len(R))
        hard = R.argmax(axis=1)
        moved = np.where(hard >= n_free, hard + 1, hard)
        for labels, k in zip(made, widest(R, w, Z, n_free), strict=False):
            changed = labels != moved
            assert (hard[changed] == k).all()
            assert (labels[changed] == n_free).all()
            np.testing.assert_array_equal(np.unique(labels), np.arange(5))
            check_halves(labels, w, Z, k, n_free)
        np.testing.assert_array_equal(
            made, _kernel.split_partitions(R, w, Z, n_free, n_splits, seed)
        )


def test_what_has_one_distinct_row_is_not_split():
    """Nor what has none, nor two of which one has no weight; the next ones take their turn."""
    R = np.eye(5)[np.array([0, 0, 0, 1, 1, 2, 2, 4, 4, 4])]
    R = 0.9 * R + 0.1 / 5
    Z = np.array([5.0, 5.0, 5.0, -9.0, 9.0, 0.0, 1.0, 2.0, 3.0, 3.0])[:, None]
    w = np.array([1.0, 1, 1, 1, 0, 1, 1, 1, 1, 1])
    made = _kernel.split_partitions(R, w, Z, 5, 5, 0)
    split = [np.unique(R.argmax(axis=1)[labels == 5]).tolist() for labels in made]
    assert sorted(split) == [[2], [4]]
    made = _kernel.split_partitions(R, None, Z, 5, 5, 0)
    split = [np.unique(R.argmax(axis=1)[labels == 5]).tolist() for labels in made]
    assert sorted(split) == [[1], [2], [4]]
    assert _kernel.split_partitions(R[:3], None, Z[:3], 5, 5, 0).shape == (0, 3)


def test_rows_without_weight_keep_their_group_and_do_not_count():
    R, w, Z = soft(7, weighted=True)
    made = _kernel.split_partitions(R, w, Z, 4, 4, 3)
    assert (w == 0).sum() > 10
    for labels in made:
        np.testing.assert_array_equal(labels[w == 0], R.argmax(axis=1)[w == 0])
    far = np.where(w[:, None] == 0, 1e6, Z)
    np.testing.assert_array_equal(made, _kernel.split_partitions(R, w, far, 4, 4, 3))
    kept = w > 0
    alone = _kernel.split_partitions(R[kept], w[kept], Z[kept], 4, 4, 3)
    np.testing.assert_array_equal(made[:, kept], alone)
    moves = _kernel.exchanged_partitions(R, w, far, 4, 9, 4, 3, 3)
    alone = _kernel.exchanged_partitions(R[kept], w[kept], Z[kept], 4, 9, 4, 3, 3)
    np.testing.assert_array_equal(moves[:, kept], alone)


# -- a merge and a split -----------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("K", "n_free"), [(5, 5), (5, 4), (4, 3), (4, 2), (1, 1)])
@pytest.mark.parametrize(("n_moves", "n_pairs", "n_splits"), [(4, 4, 3), (99, 99, 99), (5, 2, 1)])
def test_exchanges_merge_what_overlaps_and_split_what_is_wide(
    weighted, K, n_free, n_moves, n_pairs, n_splits
):
    for seed in range(4):
        R, w, Z = soft(seed, K, weighted=weighted)
        hard, wide = R.argmax(axis=1), widest(R, w, Z, n_free)
        order = sorted(
            (a + b, i, j, k)
            for a, (i, j) in enumerate(overlapping(R, w, n_free)[:n_pairs])
            for b, k in enumerate([k for k in wide if k not in (i, j)][:n_splits])
        )[:n_moves]
        made = _kernel.exchanged_partitions(R, w, Z, n_free, n_moves, n_pairs, n_splits, seed)
        assert made.dtype == np.int32
        assert len(made) == len(order)
        for labels, (_, i, j, k) in zip(made, order, strict=True):
            merged = np.where(hard == j, i, hard)
            changed = labels != merged
            assert (hard[changed] == k).all()
            assert (labels[changed] == j).all()
            np.testing.assert_array_equal(np.unique(labels), np.arange(K))
            check_halves(labels, w, Z, k, j)


def test_wrong_arguments_are_refused():
    R, w, Z = soft(0, weighted=True)
    good = {"R": R, "weights": w, "Z": Z, "n_free": 4, "seed": 0}
    calls = (
        (_kernel.split_partitions, {"n_splits": 2}),
        (_kernel.exchanged_partitions, {"n_moves": 2, "n_pairs": 2, "n_splits": 2}),
    )
    for call, more in calls:
        call(**good, **more)
        for wrong, said in (
            ({"R": R[0]}, "R must have 2 dimensions"),
            ({"Z": Z[:, 0]}, "Z must have 2 dimensions"),
            ({"n_free": 5}, "n_free must lie in 0 .. K, the columns of R"),
            ({"n_free": -1}, "n_free must lie in 0 .. K, the columns of R"),
            ({"R": R[:, :0]}, "n_free must lie in 0 .. K, the columns of R"),
            ({"Z": Z[1:]}, "Z must be a C-contiguous float64 array"),
            ({"weights": w[1:]}, "weights must be a C-contiguous float64 array"),
            ({"R": R.astype(np.float32)}, "R must be a C-contiguous float64 array"),
            ({"R": np.asfortranarray(R)}, "R must be a C-contiguous float64 array"),
        ):
            with pytest.raises(ValueError, match=said):
                call(**{**good, **more, **wrong})


# -- what runs tell ----------------------------------------------------------------


def told(seed, shapes=SHAPES, sizes=(1, 2, 4), power=0, weighted=False, n_rows=150):
    """Runs of all shapes and sizes after a few steps, the rows, and their weights."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 2)) + 3.0 * rng.normal(size=(3, 2))[rng.integers(0, 3, n_rows)]
    Z = X - X.mean(axis=0)
    X = X * 2.0 ** np.array([power, power / 2])
    w = rng.uniform(0.2, 2.0, n_rows) if weighted else None
    source = as_source(X, weights=w)
    first, *others = (
        prepare(Gaussian(2, shape), source, 1, Local(1))[0].runner() for shape in shapes
    )
    sizes = np.array(sizes, dtype=np.int32)
    labels = _kernel.partitions(Z, None, sizes, 0 * sizes, np.arange(len(sizes)), 1)
    places = np.arange(len(sizes) * len(shapes), dtype=np.int32)
    pairs = Pairs(places // len(shapes), places % len(shapes))
    runner = first.joined(others)
    return runner.from_partitions(X, w, labels, sizes, Limits(5), 1, pairs), X, w, Z


def mixture_of(runs, j):
    return Mixture(runs.runner.families[runs.families[j]], *runs.mixture(j))


def partitions(runs, X, w, Z, splits, merges, n_threads=1):
    """What each run tells: the same, one more, one fewer."""
    splits, merges = (np.full(len(runs), m, dtype=np.int32) for m in (splits, merges))
    labels, n_more, n_fewer = runs.runner.partitions(runs, X, w, Z, splits, merges, 5, n_threads)
    assert len(labels) == len(runs) + splits.sum() + merges.sum()
    places = np.cumsum(1 + splits + merges) - (1 + splits + merges)
    for at, room, more, fewer in zip(places, splits, n_more, n_fewer, strict=True):
        rest = labels[at + 1 + room :]
        yield labels[at], labels[at + 1 : at + 1 + more], rest[:fewer]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("power", [0, 400, -400])
def test_runs_tell_their_partitions_under_canonical_names(weighted, power):
    runs, X, w, Z = told(0, power=power, weighted=weighted)
    for j, (same, more, fewer) in enumerate(partitions(runs, X, w, Z, 3, 2)):
        R, K = mixture_of(runs, j).responsibilities(X), int(runs.sizes[j])
        hard = R.argmax(axis=1)
        np.testing.assert_array_equal(same, canonical(hard))
        assert len(more) == min(3, K)
        assert len(fewer) == min(2, K * (K - 1) // 2)
        for labels, k in zip(more, widest(R, w, Z, K), strict=False):
            np.testing.assert_array_equal(labels, canonical(labels))
            parts = {own: set(labels[hard == own].tolist()) for own in set(hard.tolist())}
            assert {own: len(names) for own, names in parts.items() if len(names) != 1} == {k: 2}
            assert len(set(labels.tolist())) == len(parts) + 1
        for labels, (i, j2) in zip(fewer, overlapping(R, w, K), strict=False):
            np.testing.assert_array_equal(labels, canonical(np.where(hard == j2, i, hard)))


def test_partitions_of_runs_are_those_of_their_responsibilities():
    """The same moves as from responsibilities, but for the names; for any number of threads."""
    runs, X, w, Z = told(1, weighted=True)
    all_told = list(partitions(runs, X, w, Z, 2, 1))
    for n_threads in (2, 5):
        for a, b in zip(partitions(runs, X, w, Z, 2, 1, n_threads), all_told, strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)
    for j, (_, more, _) in enumerate(all_told):
        R, K = mixture_of(runs, j).responsibilities(X), int(runs.sizes[j])
        expected = _kernel.split_partitions(np.ascontiguousarray(R), w, Z, K, 2, 5)
        assert len(expected) == len(more)
        for a, b in zip(expected, more, strict=True):
            np.testing.assert_array_equal(canonical(a), b)


def test_places_are_left_where_nothing_can_be_split():
    """Two groups of equal rows, and a third one of different rows."""
    X = np.repeat([[0.0, 0.0], [9.0, 1.0]], 20, axis=0)
    X = np.concatenate([X, np.random.default_rng(0).normal(30.0, 1.0, (20, 2))])
    family = prepare(Gaussian(2, "EEE"), as_source(X), 1, Local(1))[0]
    labels = np.repeat([0, 1, 2], 20).astype(np.int32)[None]
    runs = family.runner().from_partitions(
        X, None, labels, np.full(1, 3, dtype=np.int32), Limits(0), 1
    )
    [(same, more, fewer)] = partitions(runs, X, None, X, 3, 9)
    np.testing.assert_array_equal(same, labels[0])
    assert len(more) == 1
    np.testing.assert_array_equal(more[0][:40], labels[0, :40])
    assert set(more[0][40:]) == {2, 3}
    assert len(fewer) == 3


def test_a_run_may_tell_nothing_but_its_own_partition():
    runs, X, w, Z = told(2)
    for _, more, fewer in partitions(runs, X, w, Z, 0, 0):
        assert len(more) == len(fewer) == 0
    with pytest.raises(ValueError, match="splits and merges must not be negative"):
        list(partitions(runs, X, w, Z, 0, -1))


# -- certainty ---------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("power", [0, 400, -400])
def test_certainty_is_the_sum_over_the_rows(weighted, power):
    runs, X, w, _ = told(3, power=power, weighted=weighted, n_rows=1100)
    sums = runs.runner.certainty(runs, X, w, 1)
    assert sums.shape == (len(runs), 3)
    weights = np.ones(len(X)) if w is None else w
    for j, own in enumerate(sums):
        mixture = mixture_of(runs, j)
        R = mixture.responsibilities(X)
        entropy = -(R * np.log(np.where(R > 0, R, 1.0))).sum(axis=1)
        assert own[0] == pytest.approx(weights @ mixture.log_density(X), rel=1e-11)
        assert own[0] == pytest.approx(runs.objective[j], rel=1e-11)
        assert own[1] == pytest.approx(weights @ np.log(R.max(axis=1)), rel=1e-9, abs=1e-12)
        assert own[2] == pytest.approx(weights @ entropy, rel=1e-9, abs=1e-12)
    for n_threads in (2, 5):
        np.testing.assert_array_equal(sums, runs.runner.certainty(runs, X, w, n_threads))
    one = runs.take([4])
    np.testing.assert_array_equal(sums[4:5], runs.runner.certainty(one, X, w, 1))
    assert runs.runner.certainty(runs.take([]), X, w, 1).shape == (0, 3)
