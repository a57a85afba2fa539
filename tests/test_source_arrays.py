"""Arrays of any layout, what is refused and in which words, weights, labels, the summary."""

from __future__ import annotations

import pickle
import warnings
from datetime import datetime
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mixtura.errors import DataError, DataTypeError, MixturaWarning, UsageError
from mixtura.source import Block, as_source, check_block, read_column, summarise
from mixtura.source.base import checked_block_rows, regroup
from mixtura.source.look import column_extremes, row_keys


def whole_numbers(n=3000, d=4):
    """Numbers that every type down to float16 and int16 holds exactly."""
    return np.random.default_rng(3).integers(-1000, 1000, size=(n, d)).astype(float)


def strided(X):
    wide = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def mapped(X, folder, dtype, order="C"):
    out = np.memmap(folder / "rows.bin", dtype=dtype, mode="w+", shape=X.shape, order=order)
    out[:] = X
    out.flush()
    return np.memmap(folder / "rows.bin", dtype=dtype, mode="r", shape=X.shape, order=order)


IN_PLACE = {
    "c": lambda X, folder: X,
    "fortran": lambda X, folder: np.asfortranarray(X),
    "strided": lambda X, folder: strided(X),
    "reversed": lambda X, folder: X[::-1].copy()[::-1],
    "transposed": lambda X, folder: np.ascontiguousarray(X.T).T,
    "read-only": lambda X, folder: read_only(X),
    "float32": lambda X, folder: X.astype(np.float32),
    "float32-fortran": lambda X, folder: np.asfortranarray(X.astype(np.float32)),
    "memmap": lambda X, folder: mapped(X, folder, np.float64),
    "memmap-fortran": lambda X, folder: mapped(X, folder, np.float32, "F"),
}
CONVERTED = {
    "big-endian": lambda X, folder: X.astype(">f8"),
    "big-endian-float32": lambda X, folder: X.astype(">f4"),
    "float16": lambda X, folder: X.astype(np.float16),
    "longdouble": lambda X, folder: X.astype(np.longdouble),
    "int64": lambda X, folder: X.astype(np.int64),
    "int16": lambda X, folder: X.astype(np.int16),
    "object": lambda X, folder: X.astype(object),
    "lists": lambda X, folder: X.tolist(),
    "matrix-like": lambda X, folder: np.ma.masked_array(X, mask=False),
    "memmap-int": lambda X, folder: mapped(X, folder, np.int32),
    "memmap-big-endian": lambda X, folder: mapped(X, folder, ">f8"),
}


def rows_of(source):
    return np.concatenate([block.X for block in source.blocks()])


@pytest.mark.parametrize("layout", [*IN_PLACE, *CONVERTED])
def test_every_layout_gives_the_same_rows(layout, tmp_path):
    X = whole_numbers()
    given_as = {**IN_PLACE, **CONVERTED}[layout](X, tmp_path)
    before = pickle.dumps(given_as)
    source = as_source(given_as, block_rows=1024)
    np.testing.assert_array_equal(rows_of(source), X)
    assert [block.n_rows for block in source.blocks()] == [1024, 1024, 952]
    for block in source.blocks():
        assert block.X.dtype in (np.float64, np.float32)
        assert block.X.dtype.isnative
    parts = pickle.loads(pickle.dumps(source.parts()))
    np.testing.assert_array_equal(np.concatenate([b.X for p in parts for b in p.blocks()]), X)
    want, got = summarise(as_source(X)), summarise(source)
    assert got.mass == want.mass
    assert got.n_distinct == want.n_distinct
    np.testing.assert_array_equal(got.max, want.max)
    assert pickle.dumps(given_as) == before


@pytest.mark.parametrize("layout", IN_PLACE)
def test_native_floats_are_one_view_without_a_copy(layout, tmp_path):
    X = IN_PLACE[layout](whole_numbers(), tmp_path)
    (block,) = as_source(X).blocks()
    assert np.shares_memory(block.X, X)
    assert block.X.strides == X.strides
    (block,) = as_source(X, columns=[1, 3]).blocks()
    assert np.shares_memory(block.X, X)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("cut", [np.s_[:], np.s_[100:], np.s_[5:1000:3, 1:], np.s_[::-1]])
def test_parts_of_mapped_files_travel_by_name(cut, order, tmp_path):
    X = whole_numbers(200_000, 3)
    view = mapped(X, tmp_path, np.float64, order)[cut]
    source = as_source(view)
    sent = pickle.dumps(source.parts())
    if view.strides[0] > 0:
        assert len(sent) < 2000
    read = [block.X for part in pickle.loads(sent) for block in part.blocks()]
    np.testing.assert_array_equal(np.concatenate(read), X[cut])


@given(
    X=hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int32, np.int8, np.float16, ">f8"]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40),
        elements=st.integers(-100, 100),
    ),
    step=st.sampled_from([1, 2, 3, -1, -2]),
    fortran=st.booleans(),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_any_view_of_any_type_gives_its_values(X, step, fortran):
    view = (np.asfortranarray(X) if fortran else X)[::step]
    np.testing.assert_array_equal(rows_of(as_source(view)), view.astype(float))


@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=8), first=st.integers(0, 5))
@settings(deadline=None, max_examples=60, derandomize=True)
def test_regrouping_keeps_rows_and_fills_blocks(sizes, first):
    X = np.arange(sum(sizes), dtype=float)[:, None]
    edges = np.cumsum([0, *sizes])
    pieces = [
        Block(X[a:b], X[a:b, 0] + 1, int(a), (X[a:b, 0] + 2).astype(np.int32))
        for a, b in pairwise(edges)
    ]
    blocks = list(regroup(iter(pieces), 1024, first))
    assert [b.n_rows for b in blocks[:-1]] == [1024] * (len(blocks) - 1)
    assert sum(b.n_rows for b in blocks) == sum(sizes)
    for block in blocks:
        want = np.arange(block.first_row - first, block.first_row - first + block.n_rows)
        np.testing.assert_array_equal(block.X[:, 0], want)
        np.testing.assert_array_equal(block.w, want + 1)
        np.testing.assert_array_equal(block.labels, want + 2)


def test_masked_values_are_missing_not_read():
    X = np.ma.masked_array([[1.0, 2.0], [99.0, 3.0]], mask=[[0, 0], [1, 0]])
    with pytest.raises(DataError, match=r"1 column.* 'x0' 1; the first is in column 'x0' at row 1"):
        summarise(as_source(X))


# What is refused, and the words.


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ([1.0, 2.0], DataError, r"Expected 2D array, got 1D array instead. Reshape your data"),
        (np.zeros((2, 2, 2)), DataError, "Expected 2D array, got 3D array instead"),
        (
            np.empty((0, 3)),
            DataError,
            r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1 is required",
        ),
        (
            np.empty((12, 0)),
            DataError,
            r"0 feature\(s\) \(shape=\(12, 0\)\) while a minimum of 1 is required",
        ),
        (np.ones((2, 1)) * 1j, ValueError, "Complex data not supported"),
        (scipy.sparse.csr_matrix(np.eye(3)), TypeError, r"sparse matrix .*X\.toarray\(\)"),
        (scipy.sparse.coo_array(np.eye(3)), TypeError, r"sparse matrix .*X\.toarray\(\)"),
        ([[1.0, 2.0], [3.0]], DataError, "rows do not form a table"),
        ([[1.0, "a"], [2.0, "b"]], DataError, r"E201\] 1 column.*: 'x1' \(text\)"),
        (np.array([[1, "a"]], object), DataError, r"E201\] 1 column.*: 'x1' \(text\)"),
        (np.array([["1"]]), DataError, r"'x0' \(text\)"),
        (np.zeros((2, 2), "M8[s]"), DataError, r"2 column.*: 'x0' \(date\), 'x1' \(date\)"),
        (np.array([[{}]], object), TypeError, "argument must be a string or a real number"),
        (object(), DataTypeError, "data of type 'object' cannot be read"),
        (None, DataTypeError, "data of type 'NoneType' cannot be read"),
        ({"a": [1.0]}, DataTypeError, "data of type 'dict' cannot be read"),
        (pd.Series([1.0]), DataError, "Expected 2D array, got 1D array"),
        (pl.Series([1.0]), DataError, "Expected 2D array, got 1D array"),
        (pd.DataFrame({"a": []}), DataError, r"0 sample\(s\) \(shape=\(0, 1\)\)"),
        (pd.DataFrame(index=range(5)), DataError, r"0 feature\(s\) \(shape=\(5, 0\)\)"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(data, error, words):
    with pytest.raises(error, match=words):
        as_source(data)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_columns_that_are_not_numbers_are_listed_unless_left_out(make):
    frame = make(
        {
            "a": [1.0, 2.0],
            "species": ["x", "y"],
            "when": [datetime(2020, 1, 1), datetime(2020, 1, 2)],
            "yes": [True, False],
        }
    )
    words = r"3 column.*: 'species' \(text\), 'when' \(date\), 'yes' \(boolean\)"
    with pytest.raises(DataError, match=words):
        as_source(frame)
    assert as_source(frame, columns=["a"]).columns == ("a",)
    assert as_source(frame, drop=["species", "when", "yes"]).columns == ("a",)


def test_frames_of_any_numeric_type_and_nulls():
    frame = pd.DataFrame(
        {
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "objects": np.array([1, 2.5, None], dtype=object),
            "sparse": pd.arrays.SparseArray([0.0, 1.0, 0.0]),
            "arrow": pd.array([None, 2, 3], dtype="int64[pyarrow]"),
            7: [1, 2, 3],
        }
    )
    source = as_source(frame)
    assert source.columns == ("nullable", "objects", "sparse", "arrow", "7")
    nan = np.nan
    want = [[1, 1, 0, nan, 1], [nan, 2.5, 1, 2, 2], [3, nan, 0, 3, 3]]
    np.testing.assert_array_equal(rows_of(source), want)
    empty = pl.DataFrame({"a": [1.0, 2.0], "nothing": [None, None]})
    with pytest.raises(DataError, match=r"E211\].*'nothing'.*all 2 rows"):
        summarise(as_source(empty))


def test_choice_of_columns():
    X = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(rows_of(as_source(X, columns=["x3", 0])), X[:, [3, 0]])
    np.testing.assert_array_equal(rows_of(as_source(X, drop="x1")), X[:, [0, 2, 3]])
    source = as_source(X, weights="x0", labels="x1")
    assert source.columns == ("x2", "x3")
    (block,) = source.blocks()
    np.testing.assert_array_equal(block.w, X[:, 0])
    np.testing.assert_array_equal(block.labels, [1, 5, 9])
    with pytest.raises(DataError, match=r"E240\].*'height' not in the data.*'x0', 'x1'"):
        as_source(X, columns=["height"])
    with pytest.raises(UsageError, match=r"position from 0 to 3"):
        as_source(X, columns=[4])
    with pytest.raises(UsageError, match=r"columns='x1'.*named once"):
        as_source(X, columns=[1, "x1"])
    with pytest.raises(UsageError, match=r"columns='x1'.*no other role"):
        as_source(X, columns=[0, 1], weights="x1")
    with pytest.raises(DataError, match=r"0 feature\(s\)"):
        as_source(X, drop=range(4))
    with pytest.raises(UsageError, match=r"drop=1.5"):
        as_source(X, drop=[1.5])
    twice = pd.DataFrame(np.eye(2), columns=["a", "a"])
    with pytest.raises(DataError, match=r"'a' occur more than once"):
        as_source(twice)


def test_weights_are_checked_with_their_row():
    X = np.ones((4, 1))
    for weights, words in [
        ([1, 2, 3], r"shape \(3,\) for 4 rows"),
        ([1, 1, -2, 1], r"row 2 is -2\.0"),
        ([1, np.nan, 1, 1], "row 1 is nan"),
        ([1, 1, 1, np.inf], "row 3 is inf"),
        ([0, 0, 0, 0], "all are zero"),
        (["a", "b", "c", "d"], "not numeric"),
        (np.ones((4, 1)), r"shape \(4, 1\) for 4 rows"),
    ]:
        with pytest.raises(DataError, match=r"E220\].*" + words):
            as_source(X, weights=weights)
    source = as_source(X, weights=[1, np.nan, 1, 1], missing="drop")
    assert source.n_rows == 3
    assert source.where(1) == " (row 2 of the data as given)"


def test_labels_are_checked_with_their_row():
    X = np.ones((3, 1))
    for labels, words in [
        ([0, 1], r"shape \(2,\) for 3 rows"),
        ([0, 1.5, 1], r"row 1 is 1\.5"),
        ([0, 1, -2], "row 2 is -2"),
        (["a", "b", "c"], "not whole numbers"),
    ]:
        with pytest.raises(DataError, match=r"E221\].*" + words):
            as_source(X, labels=labels)
    (block,) = as_source(X, labels=[np.nan, 2, -1]).blocks()
    np.testing.assert_array_equal(block.labels, [-1, 2, -1])
    frame = pd.DataFrame({"a": [1.0], "kind": ["text"]})
    with pytest.raises(DataError, match=r"column 'kind' holds text"):
        as_source(frame, labels="kind")
    with pytest.raises(DataError, match=r"E220\].*column 'kind' holds text"):
        as_source(frame, weights="kind")


@pytest.mark.parametrize("rows", [0, -1024, 1000, 1025, 3 * 1024])
def test_blocks_hold_whole_leaves_and_powers_of_two(rows):
    with pytest.raises(UsageError, match=rf"block_rows={rows} .*1024 times a power of two"):
        as_source(np.eye(2), block_rows=rows)


def test_blocks_of_wide_tables_are_shorter():
    assert checked_block_rows(None, 3) == 2**17
    assert checked_block_rows(None, 1000) * 1000 * 8 <= 2**26
    assert checked_block_rows(None, 10**6) == 1024


def test_a_source_passes_through_unless_asked_otherwise():
    source = as_source(np.array([[1.0], [np.nan], [3.0]]))
    assert as_source(source) is source
    np.testing.assert_array_equal(rows_of(as_source(source, missing="drop")), [[1.0], [3.0]])
    heavy = as_source(source, weights=[1.0, 2.0, 3.0], missing="drop")
    np.testing.assert_array_equal(next(iter(heavy.blocks())).w, [1.0, 3.0])
    for option in ({"columns": ["x0"]}, {"drop": ["x0"]}, {"block_rows": 1024}):
        with pytest.raises(UsageError, match=r"when the source is made"):
            as_source(source, **option)
    with pytest.raises(UsageError, match=r"missing='ignore'.*'error' or 'drop'"):
        as_source(np.eye(2), missing="ignore")
    with pytest.raises(TypeError):
        read_column(source, "x0")


# The summary.


def test_missing_values_are_counted_over_all_rows():
    X = np.ones((5000, 3))
    X[[4000, 4001, 4999], 2] = np.nan
    X[4500, 1] = np.nan
    X[10, 0] = np.inf
    words = r"NaN\) in 2 column\(s\) of 5000 rows: 'x1' 1, 'x2' 3; .*column 'x2' at row 4000\."
    for rows in (None, 1024):
        with pytest.raises(DataError, match=words):
            summarise(as_source(X, block_rows=rows))
    X[:, 1:] = 1.0
    X[3000, 0] = -np.inf
    with pytest.raises(DataError, match=r"'x0' 2; the first is inf in column 'x0' at row 10\."):
        summarise(as_source(X))
    X[:, 2] = np.nan
    with pytest.raises(DataError, match=r"E211\] column\(s\) 'x2' hold no value.*all 5000 rows"):
        summarise(as_source(X))


def test_blocks_are_checked_like_the_whole():
    X = np.ones((3000, 2))
    X[2500, 1] = np.nan
    source = as_source(X, block_rows=1024)
    blocks = list(source.blocks())
    check_block(blocks[0], source)
    with pytest.raises(DataError, match=r"of 952 rows: 'x1' 1; .*column 'x1' at row 2500"):
        check_block(blocks[2], source)
    bad = Block(X[:5], np.array([1.0, 1.0, -1.0, 1.0, 1.0]), 100)
    with pytest.raises(DataError, match=r"row 102 is -1\.0"):
        check_block(bad, source)


def test_rows_without_weight_are_as_if_absent():
    X = np.random.default_rng(0).normal(size=(3000, 2))
    w = np.random.default_rng(1).integers(0, 2, size=3000).astype(float)
    w[:10], X[0] = 0, 1e9
    got, want = summarise(as_source(X, weights=w)), summarise(as_source(X[w > 0]))
    assert got.n_rows == 3000
    assert (got.mass, got.n_positive) == (want.mass, want.n_positive) == (w.sum(), w.sum())
    assert got.n_distinct == want.n_distinct == 1000
    for name in ("min", "max", "pivot"):
        np.testing.assert_array_equal(getattr(got, name), getattr(want, name))


def test_mass_has_the_same_bits_for_all_blocks():
    w = np.random.default_rng(0).random(10_000)
    X = np.ones((10_000, 200))
    masses = {summarise(as_source(X, weights=w, block_rows=r)).mass for r in (None, 1024, 4096)}
    assert len(masses) == 1
    assert masses.pop() == pytest.approx(w.sum(), rel=1e-14)


@given(
    X=hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 60), st.integers(1, 3)),
        elements=st.sampled_from([0.0, -0.0, 1.0, 1e-300, 2.0, -1.0]),
    ),
    bound=st.integers(1, 30),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_distinct_rows_are_counted_up_to_the_bound(X, bound):
    want = min(bound, len({tuple(row + 0.0) for row in X}))
    assert summarise(as_source(X), max_distinct=bound).n_distinct == want


def test_keys_tell_close_and_swapped_rows_apart():
    X = np.random.default_rng(0).normal(size=(20_000, 2))
    every = np.concatenate([X, X[:, ::-1], np.nextafter(X, 9.0), -X, X * [1, 0], X * [0, 1]])
    assert len(np.unique(row_keys(every))) == len(every)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(1, 1), (1023, 2), (4099, 3), (700, 300), (2, 600)])
def test_extremes(shape, order):
    X = np.asarray(np.random.default_rng(5).normal(size=shape), order=order)
    low, high = column_extremes(X)
    np.testing.assert_array_equal(low, X.min(axis=0))
    np.testing.assert_array_equal(high, X.max(axis=0))
    X[shape[0] // 2, -1] = np.nan
    low, high = column_extremes(X)
    assert np.isnan([low[-1], high[-1]]).all()


def test_codes_in_frames_are_pointed_out():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "code": rng.integers(1, 5, size=200),
            "count": rng.integers(0, 50, size=200),
            "real": rng.integers(1, 5, size=200).astype(float),
        }
    )
    with pytest.warns(MixturaWarning, match=r"W206\] column 'code'.*only 4 levels") as caught:
        summarise(as_source(frame))
    assert len(caught) == 1
    summarise(as_source(frame[:40]))  # too few rows to tell
    summarise(as_source(frame.to_numpy().astype(int)))  # arrays have no declared columns


def test_large_integers_are_pointed_out():
    big = [[2**53 + 1, 1], [5, 2]]
    with pytest.warns(MixturaWarning, match=r"W207\] column 'x0'") as caught:
        as_source(np.array(big))
    assert len(caught) == 1
    with pytest.warns(MixturaWarning, match=r"W207\] column 'a'") as caught:
        summarise(as_source(pd.DataFrame(big, columns=["a", "b"])))
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_source(np.array([[2**53, -(2**53)]]))


def test_no_row_left():
    source = as_source(np.full((3, 1), np.nan), missing="drop")
    assert source.n_rows == 0
    with pytest.raises(DataError, match=r"rows without missing values hold 0 rows"):
        summarise(source)
