"""Batches from a function, plans, and files opened by `scan`."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest

from mixtura import Gaussian, Local, as_source, fit_mixture, scan
from mixtura.errors import DataError, DataTypeError, UsageError
from mixtura.source import block_rows_within, plan_of


def rows():
    return np.random.default_rng(0).normal(size=(5000, 2))


def batches(sizes, frames=False):
    start, X = 0, rows()
    for size in sizes:
        part = X[start : start + size]
        yield pd.DataFrame(part, columns=["a", "b"]) if frames else part
        start += size


@pytest.mark.parametrize("frames", [False, True])
def test_batches_of_any_size_are_the_rows(frames):
    source = as_source(partial(batches, [700, 0, 3300, 1000], frames), block_rows=1024)
    assert source.columns == (("a", "b") if frames else ("x0", "x1"))
    assert source.n_rows is None
    for _ in range(2):
        blocks = list(source.blocks())
        np.testing.assert_array_equal(np.concatenate([b.X for b in blocks]), rows())
        assert [b.first_row for b in blocks] == [0, 1024, 2048, 3072, 4096]
    assert source.n_rows == 5000
    here = fit_mixture(Gaussian(2), as_source(rows()), 2, max_iter=5, n_starts=1)
    there = fit_mixture(Gaussian(2), source, 2, max_iter=5, n_starts=1)
    assert here.mixture.means.tobytes() == there.mixture.means.tobytes()


def test_batches_take_weights_by_name_and_leave_rows_out():
    def gappy():
        X = rows()
        X[::10, 0] = np.nan
        yield pd.DataFrame(X, columns=["a", "b"]).assign(w=2.0)

    source = as_source(gappy, weights="w", missing="drop")
    blocks = list(source.blocks())
    assert sum(block.n_rows for block in blocks) == 4500
    assert all((block.w == 2).all() for block in blocks)
    with pytest.raises(UsageError, match="name of a column"):
        as_source(gappy, weights=np.ones(5000))


def test_batches_that_change_are_refused():
    calls = []

    def fewer():
        calls.append(1)
        yield rows()[: 100 if len(calls) < 3 else 90]

    source = as_source(fewer)
    assert len(list(source.blocks())) == 1
    with pytest.raises(DataError, match="E502"):
        list(source.blocks())

    def drifting():
        yield pd.DataFrame({"a": [1.0], "b": [2.0]})
        yield pd.DataFrame({"a": [1.0], "c": [2.0]})

    with pytest.raises(DataError, match=r"E503.*batch 1"):
        list(as_source(drifting).blocks())
    with pytest.raises(DataError, match="E205"):
        as_source(partial(batches, []))


def test_scan_takes_paths_only(tmp_path):
    np.savetxt(tmp_path / "a.csv", rows()[:10], delimiter=",", header="x,y", comments="")
    source = scan(tmp_path / "*.csv", columns="y")
    assert Local(1).reduce(count, source) == 10
    with pytest.raises(DataTypeError):
        scan(rows())


def count(block, n_threads=1):
    return block.n_rows


def test_blocks_get_smaller_with_less_memory_and_stay_powers_of_two():
    plan = plan_of(as_source(rows(), block_rows=2048), 2)
    assert (plan.n_rows, plan.n_blocks, plan.n_columns) == (5000, 3, 2)
    before, wide = 1 << 17, as_source(np.ones((2, 50)))
    for memory in (4 << 30, 1 << 30, 700 << 20, 500 << 20):
        now = block_rows_within(memory, wide, 2)
        assert now <= before
        assert now % 1024 == 0
        before = now
    assert before < 1 << 17
    with pytest.raises(UsageError, match="MB or more"):
        block_rows_within(10 << 20, wide, 2)
