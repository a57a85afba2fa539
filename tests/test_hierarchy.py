"""The tree of rows: the merges that its criterion asks for, and groups that do not move."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from mixtura import _kernel
from mixtura.start import agglomerate, distinct, partitions
from mixtura.start.hierarchy import SECONDS, rows_within


def criterion(Z, w, groups, softness):
    """sum_k n_k log det((W_k + softness I) / n_k), by its definition."""
    total = 0.0
    for own in groups:
        n = w[own].sum()
        away = Z[own] - np.average(Z[own], axis=0, weights=w[own])
        scatter = (away * w[own][:, None]).T @ away + softness * np.eye(Z.shape[1])
        total += n * np.linalg.slogdet(scatter / n)[1]
    return total


def unlike_groups(seed, n_rows=150):
    """A long thin group, a round one and a wide one, far apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_rows) % 3
    scales = np.array([[6.0, 0.2], [0.5, 0.5], [2.0, 3.0]])[labels]
    centres = np.array([[0.0, 0.0], [0.0, 5.0], [25.0, 3.0]])[labels]
    return centres + scales * rng.normal(size=(n_rows, 2)), labels


@pytest.mark.parametrize("d", [1, 2, 3, 6])
@pytest.mark.parametrize("softness", [0.03, 1.0])
def test_every_merge_is_the_cheapest_one(d, softness):
    rng = np.random.default_rng(d)
    n = 14
    Z, w = rng.normal(size=(n, d)), rng.uniform(0.5, 3.0, n)
    groups = {i: [i] for i in range(n)}
    for i, j in _kernel.hierarchy(Z, w, softness, 1):
        assert i < j
        before = {k: criterion(Z, w, [own], softness) for k, own in groups.items()}
        costs = {
            (a, b): criterion(Z, w, [groups[a] + groups[b]], softness) - before[a] - before[b]
            for a in groups
            for b in groups
            if a < b
        }
        assert costs[i, j] <= min(costs.values()) + 1e-9
        groups[i] += groups.pop(j)
    assert list(groups) == [0]


def test_cuts_are_nested_and_groups_are_in_the_order_of_rows():
    X = np.random.default_rng(0).normal(size=(60, 2))
    tree = agglomerate(X, np.ones(60))
    coarse = tree.cut(1)
    assert (coarse == 0).all()
    for size in range(2, 61):
        fine = tree.cut(size)
        assert np.array_equal(np.unique(fine), np.arange(size))
        assert list(dict.fromkeys(fine.tolist())) == list(range(size))
        assert len({*zip(fine.tolist(), coarse.tolist(), strict=True)}) == size
        coarse = fine
    np.testing.assert_array_equal(tree.cut(100), np.arange(60))


@pytest.mark.parametrize("turn", [0, 1])
def test_groups_do_not_depend_on_units_relations_or_the_scale_of_weights(turn):
    X, _ = unlike_groups(1)
    w = np.random.default_rng(1).uniform(0.5, 2.0, len(X))
    plain = [agglomerate(X, w, turn=turn).cut(size) for size in range(1, 8)]
    related = 2e2 if turn == 0 else 0.0
    moved = X @ np.array([[1e3, 0.0], [related, 1e-2]]) + [1e6, -3.0]
    for rows, weights in ((moved, w), (X, 1e-4 * w)):
        again = agglomerate(rows, weights, turn=turn)
        for size, groups in enumerate(plain, start=1):
            np.testing.assert_array_equal(again.cut(size), groups)


def test_unlike_groups_are_found_where_k_means_cannot():
    for seed in range(20):
        X, labels = unlike_groups(seed)
        for turn in (0, 1):
            found = agglomerate(X, np.ones(len(X)), turn=turn).cut(3)
            assert adjusted_rand_score(labels, found) > 0.9, (seed, turn)


def test_duplicates_are_one_row_and_rows_without_weight_are_none():
    X, _ = unlike_groups(2, 60)
    rows, w = distinct(np.repeat(X, 3, axis=0), np.ones(180))
    plain, once = distinct(X, np.ones(60))
    same = agglomerate(plain, once)
    assert np.array_equal(agglomerate(rows, w).cut(3), same.cut(3))
    more = agglomerate(np.vstack([plain, [[1e9, 1e9]]]), np.append(once, 0.0))
    np.testing.assert_array_equal(more.cut(3), np.append(same.cut(3), -1))


def test_ties_are_broken_by_the_order_of_rows():
    grid = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), axis=-1).reshape(-1, 2)
    merges = agglomerate(grid, np.ones(36)).merges
    assert merges[0].tolist() == [0, 1]
    for _ in range(3):
        np.testing.assert_array_equal(agglomerate(grid, np.ones(36)).merges, merges)
    lonely = agglomerate(np.zeros((1, 2)), np.ones(1))
    assert lonely.cut(1).tolist() == [0]


@pytest.mark.parametrize("d", [1, 2, 10])
def test_of_many_rows_a_sample_is_agglomerated(d):
    limit = rows_within(SECONDS, d)
    rng = np.random.default_rng(0)
    labels = np.arange(4 * limit) % 3
    X = (
        rng.normal(size=(len(labels), d))
        + 12.0 * np.resize([1, -1, 0, 2, -2, 0, 1], (3, d))[labels]
    )
    w = np.ones(len(X))
    tree = agglomerate(X, w, seed=1)
    groups = tree.cut(3)
    assert (groups >= 0).sum() == limit == len(tree.rows)
    assert adjusted_rand_score(labels[groups >= 0], groups[groups >= 0]) > 0.99
    assert len(np.intersect1d(tree.rows, agglomerate(X, w, seed=2).rows)) < limit / 2
    assert len(agglomerate(X, w, n_groups=limit // 5).rows) >= 2 * limit - 10


def test_one_tree_serves_every_size():
    X, _ = unlike_groups(3)
    w = np.ones(len(X))
    labels, sizes = partitions(X, w, [2, 5], ["hierarchical"] * 2, 0, 1)
    assert sizes.tolist() == [2, 2, 5, 5]
    trees = [agglomerate(X, w, turn=turn) for turn in (0, 1)]
    for own, (size, tree) in zip(labels, ((k, t) for k in (2, 5) for t in trees), strict=True):
        np.testing.assert_array_equal(own, tree.cut(size))


def test_the_kernel_refuses_what_has_no_meaning():
    Z, w = np.zeros((3, 2)), np.ones(3)
    for arguments, said in (
        ((Z, w, 0.0, 1), "softness"),
        ((Z, w, np.nan, 1), "softness"),
        ((Z, np.array([1.0, 0.0, 1.0]), 0.1, 1), "weights must be positive"),
        ((Z, np.ones(2), 0.1, 1), "weights"),
        ((Z[0], w, 0.1, 1), "2 dimensions"),
    ):
        with pytest.raises(ValueError, match=said):
            _kernel.hierarchy(*arguments)
