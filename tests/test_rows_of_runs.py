"""Rows from anywhere in memory, and folds of them, under passes and whole runs."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import _kernel
from mixtura.crossval import fold_of_rows
from mixtura.families.runs import MAX_ITER, Folds, Limits
from tests.joint_runs import all_pairs, assert_same_runs, blobs, groups, ready, together
from tests.kernel_reference import GEOMETRIES, assert_same_bits, make_model, make_rows


def layouts(X):
    """The same rows, laid out in many ways."""
    n, d = X.shape
    wide, tall = np.full((n, 2 * d + 1), np.nan), np.full((d + 3, n + 5), np.nan)
    wide[:, 1::2], tall[2 : d + 2, 3 : n + 3] = X, X.T
    return {
        "columns": np.asfortranarray(X),
        "columns apart": tall[2 : d + 2, 3 : n + 3].T,
        "columns backwards": np.asfortranarray(X[:, ::-1])[:, ::-1],
        "every second column": wide[:, 1::2],
        "every second row": np.repeat(X, 2, axis=0)[::2],
        "backwards": X[::-1].copy()[::-1],
        "columns of single precision": np.asfortranarray(X.astype(np.float32)),
    }


@pytest.mark.parametrize("n", [1, 7, 8, 9, 63, 64, 65, 130, 1030])
@pytest.mark.parametrize("d", [1, 2, 3, 5, 9])
def test_layout_of_few_rows_changes_no_bit_of_a_pass(variant, n, d):
    rng = np.random.default_rng([n, d])
    w = rng.uniform(0.0, 2.0, n)
    for geometry in GEOMETRIES:
        model = make_model(rng, geometry, 2, d)
        X = make_rows(rng, model, n).astype(np.float32).astype(float)
        expected = _kernel.em_pass(X, w, None, *model.arguments(), 1)
        for rows in layouts(X).values():
            assert_same_bits(_kernel.em_pass(rows, w, None, *model.arguments(), 1), expected)


@pytest.mark.parametrize("n_rows", [150, 1100, 35_000])
def test_layout_of_rows_changes_no_bit_of_a_run(n_rows):
    """The last are too many to be copied."""
    X = blobs(13, n_rows=n_rows).astype(np.float32).astype(float)
    w = np.random.default_rng(0).uniform(0.1, 2.0, n_rows)
    runner, (labels, sizes) = together(ready(X, ("VVV", "EEE", "VVI", "VII"))), groups(X, [3])
    folds = Folds(fold_of_rows(n_rows, 4, 0), np.array([-1, 0, 3, -1], dtype=np.int32))

    def results(rows):
        first = runner.from_partitions(rows, w, labels, sizes, Limits(2), 1, all_pairs(1, 4))
        return first, runner.onward(first, rows, w, Limits(2), 1, folds)

    truth = results(X)
    for rows in layouts(X).values():
        for a, b in zip(results(rows), truth, strict=True):
            assert_same_runs(a, b)
    assert (truth[1].status == MAX_ITER).all()


@pytest.mark.parametrize("n_rows", [1100, 35_000])
def test_labels_are_those_of_the_rows_whatever_fold_is_left_out(n_rows):
    """Runs from one partition that leave out a fold, none, another one: those of the rest alone."""
    X = blobs(14, n_rows=n_rows)
    labels, folds = groups(X, [3])[0], fold_of_rows(n_rows, 4, 0)

    def run(rows, own, folds=None, left_out=None):
        zero = np.zeros(1 if left_out is None else len(left_out), dtype=np.int32)
        return _kernel.em_runs(
            [rows], X.mean(axis=0)[None], None, folds, [("VVV", 0, None)], zero, zero + 3, zero,
            left_out, None, own, zero, None, 1, 0.0, 9, np.inf, 1.0, False, 1,
        )[1]  # fmt: skip

    order = np.array([0, -1, 3, -1, 0], dtype=np.int32)
    values = run(X, labels, folds, order)
    for fold, objective in zip(order, values, strict=True):
        kept = folds != fold
        assert run(X[kept], np.ascontiguousarray(labels[:, kept]))[0] == objective
