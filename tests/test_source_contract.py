"""One contract for every kind of source: the same rows, in the same order, again and again."""

from __future__ import annotations

import gzip
import io
import pickle
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pa_parquet
import pytest

from mixtura.source import as_source, hold, read_column, summarise

N, NAMES = 5000, ["height", "age", "mass.kg"]
BLOCK_ROWS = 2048


def table(n=N):
    """Three features, a weight and a label column, and a text column nobody asks for."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(n, 3)) * [1.0, 1e-3, 1e6] + [0.0, 5.0, -1e8]
    columns = dict(zip(NAMES, X.T, strict=True))
    return {
        **columns,
        "w": rng.integers(0, 4, size=n).astype(float),
        "known": rng.integers(-1, 3, size=n),
        "note": np.array(["plain", "with, comma", "two\nlines", 'a "quote"'], object)[
            rng.integers(0, 4, size=n)
        ],
    }


def as_arrow(data):
    return pa.table(data)


def write_csv(data, path, delimiter=","):
    pd.DataFrame(data).to_csv(path, index=False, sep=delimiter)
    return path


def write_parquet(data, path, row_group_size=700):
    pa_parquet.write_table(as_arrow(data), path, row_group_size=row_group_size)
    return path


def write_ipc(data, path, new=pa_ipc.new_file, rows=600):
    arrow = as_arrow(data)
    with new(str(path), arrow.schema) as writer:
        writer.write_table(arrow, max_chunksize=rows)
    return path


def split(data, *at):
    edges = [0, *at, len(data["w"])]
    return [{k: v[a:b] for k, v in data.items()} for a, b in pairwise(edges)]


def folder_of(kind):
    def make(data, folder, monkeypatch):
        inside = folder / "many"
        (inside / "sub").mkdir(parents=True)
        pieces = split(data, 3000, 3000, 3100)  # the second one is empty
        write, ending = (write_csv, "csv") if kind == "csv" else (write_parquet, "parquet")
        names = ["a", "b", "c", "sub/d"]
        for name, piece in zip(names, pieces, strict=True):
            write(piece, inside / f"{name}.{ending}")
        (inside / "_SUCCESS").touch()
        (inside / "readme.md").write_text("not data")
        return inside

    return make


def gzipped(data, folder, monkeypatch):
    plain = write_csv(data, folder / "plain.csv").read_bytes()
    path = folder / "packed.csv.gz"
    path.write_bytes(gzip.compress(plain))
    return path


def from_stdin(write):
    def make(data, folder, monkeypatch):
        raw = write(data, folder / "piped").read_bytes()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
        return "-"

    return make


def stream(data, path):
    return write_ipc(data, path, new=pa_ipc.new_stream)


KINDS = {
    "pandas": lambda data, folder, mp: pd.DataFrame(data),
    "pandas-arrow": lambda data, folder, mp: pd.DataFrame(data).convert_dtypes(
        dtype_backend="pyarrow"
    ),
    "polars": lambda data, folder, mp: pl.DataFrame(data),
    "polars-lazy": lambda data, folder, mp: pl.DataFrame(data).lazy(),
    "pyarrow": lambda data, folder, mp: as_arrow(data),
    "arrow-reader": lambda data, folder, mp: as_arrow(data).to_reader(),
    "csv": lambda data, folder, mp: write_csv(data, folder / "one.csv"),
    "tsv": lambda data, folder, mp: write_csv(data, folder / "one.tsv", "\t"),
    "semicolon": lambda data, folder, mp: str(write_csv(data, folder / "one.csv", ";")),
    "csv.gz": gzipped,
    "parquet": lambda data, folder, mp: write_parquet(data, folder / "one.parquet"),
    "parquet-one-group": lambda data, folder, mp: write_parquet(data, folder / "one.pq", 10**6),
    "arrow": lambda data, folder, mp: write_ipc(data, folder / "one.arrow"),
    "arrow-stream": lambda data, folder, mp: stream(data, folder / "one.arrows"),
    "feather": lambda data, folder, mp: write_ipc(data, folder / "one.feather"),
    "csv-folder": folder_of("csv"),
    "parquet-folder": folder_of("parquet"),
    "glob": lambda data, folder, mp: str(folder_of("parquet")(data, folder, mp) / "**/*.parquet"),
    "list": lambda data, folder, mp: [
        write_csv(piece, folder / f"{name}.csv")
        for name, piece in zip("zya", split(data, 1000, 4999), strict=True)
    ],
    "stdin-csv": from_stdin(write_csv),
    "stdin-arrow": from_stdin(stream),
    "stdin-parquet": from_stdin(write_parquet),
}


@pytest.fixture(params=KINDS)
def made(request, tmp_path, monkeypatch):
    data = table()
    native = KINDS[request.param](data, tmp_path, monkeypatch)
    return SimpleNamespace(data=data, native=native, kind=request.param)


def gather(blocks):
    """All rows, weights and labels of blocks, whose row numbers must follow each other."""
    blocks = list(blocks)
    at = blocks[0].first_row
    assert at == 0
    for block in blocks:
        assert block.first_row == at
        at += block.n_rows
    X = np.concatenate([block.X for block in blocks])
    w = None if blocks[0].w is None else np.concatenate([block.w for block in blocks])
    labels = None if blocks[0].labels is None else np.concatenate([b.labels for b in blocks])
    return X, w, labels


def expected(data, names=NAMES):
    return np.column_stack([data[name] for name in names])


def options(**more):
    return {"weights": "w", "labels": "known", "drop": ["note"], "block_rows": BLOCK_ROWS, **more}


def test_rows_weights_and_labels_arrive_in_order(made):
    source = as_source(made.native, **options())
    assert source.columns == tuple(NAMES)
    assert source.n_features == 3
    for _ in range(2):
        X, w, labels = gather(source.blocks())
        assert X.dtype == np.float64
        np.testing.assert_array_equal(X, expected(made.data))
        np.testing.assert_array_equal(w, made.data["w"])
        np.testing.assert_array_equal(labels, made.data["known"])
        assert labels.dtype == np.int32
    assert source.n_rows == N
    assert source.n_dropped == 0


def test_columns_are_chosen_in_the_order_asked_for(made):
    source = as_source(made.native, columns=["mass.kg", "height"])
    X, w, labels = gather(source.blocks())
    np.testing.assert_array_equal(X, expected(made.data, ["mass.kg", "height"]))
    assert w is None
    assert labels is None


def test_parts_survive_a_pickle_and_read_the_same(made):
    source = as_source(made.native, **options())
    parts = pickle.loads(pickle.dumps(source.parts()))
    direct = gather(source.blocks())
    for got, want in zip(gather(b for p in parts for b in p.blocks()), direct, strict=True):
        np.testing.assert_array_equal(got, want)
    grid = [block.n_rows for block in source.blocks()]
    assert [block.n_rows for part in parts for block in part.blocks()] == grid


def test_grid_depends_on_row_counts_of_files_only(made):
    source = as_source(made.native, **options())
    grid = [block.n_rows for block in source.blocks()]
    if "folder" in made.kind or made.kind == "glob":
        assert grid == [2048, 952, 100, 1900]
    elif made.kind == "list":
        assert grid == [1000, 2048, 1951, 1]
    else:
        assert grid == [2048, 2048, 904]


def test_weights_and_labels_may_be_arrays(made):
    rng = np.random.default_rng(0)
    w, labels = rng.random(N), rng.integers(-1, 5, size=N)
    source = as_source(made.native, columns=NAMES, weights=w, labels=labels, block_rows=1024)
    for blocks in (source.blocks(), (b for part in source.parts() for b in part.blocks())):
        X, got_w, got_labels = gather(blocks)
        np.testing.assert_array_equal(X, expected(made.data))
        np.testing.assert_array_equal(got_w, w)
        np.testing.assert_array_equal(got_labels, labels)


def test_summary_is_that_of_the_array(made):
    w = made.data["w"]
    source = as_source(made.native, columns=NAMES, weights="w", block_rows=1024)
    summary = summarise(source)
    X = expected(made.data)
    assert summary.n_rows == N
    assert summary.mass == w.sum()  # whole numbers: exact
    assert summary.n_positive == np.count_nonzero(w)
    assert summary.n_dropped == 0
    assert summary.n_distinct == 1000
    np.testing.assert_array_equal(summary.min, X[w > 0].min(axis=0))
    np.testing.assert_array_equal(summary.max, X[w > 0].max(axis=0))
    np.testing.assert_array_equal(summary.pivot, X[w > 0][0])


def test_holding_in_memory_changes_no_row(made):
    source = as_source(made.native, **options())
    held = hold(source)
    assert [b.n_rows for b in held.blocks()] == [b.n_rows for b in source.blocks()]
    assert held.where(3) == source.where(3)
    for got, want in zip(gather(held.blocks()), gather(source.blocks()), strict=True):
        np.testing.assert_array_equal(got, want)
    assert hold(source, max_bytes=1000) is source


def test_raw_values_of_one_column(made):
    if made.kind == "arrow-reader":
        pytest.skip("a reader of Arrow batches can be read once")
    np.testing.assert_array_equal(read_column(made.native, "note"), made.data["note"])


# Incomplete rows left out.

BAD_ROWS = (0, 7, 2047, 2048, 3050, N - 1)


def with_gaps():
    data = table()
    for at, row in enumerate(BAD_ROWS):
        if at == 4:
            data["w"][row] = np.nan
        else:
            data[NAMES[at % 3]][row] = np.nan if at % 2 else np.inf
    keep = np.ones(N, dtype=bool)
    keep[list(BAD_ROWS)] = False
    return data, keep


@pytest.mark.parametrize("kind", KINDS)
def test_dropping_is_as_if_the_rows_had_never_been_there(kind, tmp_path, monkeypatch):
    data, keep = with_gaps()
    native = KINDS[kind](data, tmp_path, monkeypatch)
    source = as_source(native, missing="drop", **options())
    for blocks in (source.blocks(), (b for part in source.parts() for b in part.blocks())):
        X, w, labels = gather(blocks)
        np.testing.assert_array_equal(X, expected(data)[keep])
        np.testing.assert_array_equal(w, data["w"][keep])
        np.testing.assert_array_equal(labels, data["known"][keep])
    assert source.n_rows == N - len(BAD_ROWS)
    assert source.n_dropped == len(BAD_ROWS)
    grid = [block.n_rows for block in source.blocks()]
    assert all(n <= BLOCK_ROWS for n in grid)
    if kind in ("csv", "parquet", "arrow", "pandas"):
        assert grid == [2048, 2048, N - len(BAD_ROWS) - 4096]


@pytest.mark.parametrize("kind", KINDS)
def test_dropped_rows_are_told_once(kind, tmp_path, monkeypatch):
    data, keep = with_gaps()
    native = KINDS[kind](data, tmp_path, monkeypatch)
    with pytest.warns(UserWarning, match=r"W210\] 6 of 5000 rows") as caught:
        summary = summarise(as_source(native, missing="drop", **options()))
    assert len(caught) == 1
    assert (summary.n_rows, summary.n_dropped) == (N - 6, 6)
    assert summary.mass == data["w"][keep].sum()


@pytest.mark.parametrize("kind", ["pandas", "csv", "parquet", "parquet-folder", "arrow"])
def test_place_of_a_row_is_that_of_the_given_data(kind, tmp_path, monkeypatch):
    data, keep = with_gaps()
    data["note"][:] = "plain"
    native = KINDS[kind](data, tmp_path, monkeypatch)
    source = as_source(native, missing="drop", **options())
    summarised = gather(source.blocks())[0]
    row = int(np.flatnonzero(keep[: np.flatnonzero(keep)[3044]]).size)
    assert row == 3044
    original = int(np.flatnonzero(keep)[row])
    np.testing.assert_array_equal(summarised[row], expected(data)[original])
    name = Path(native).name if isinstance(native, Path) else ""
    assert (
        source.where(row)
        == {
            "pandas": f" (row {original} of the data as given)",
            "csv": f" (file '{native}', line {original + 2})",
            "parquet": f" (file '{native}', row {original}, row group {original // 700})",
            "parquet-folder": f" (file '{tmp_path}/{name}/c.parquet', row {original - 3000}, "
            "row group 0)",
            "arrow": f" (file '{native}', row {original})",
        }[kind]
    )


def test_arrow_csv_writer_is_read_too(tmp_path):
    data = table(100)
    pa_csv.write_csv(as_arrow(data), tmp_path / "quoted.csv")
    source = as_source(tmp_path / "quoted.csv", columns=NAMES)
    np.testing.assert_array_equal(gather(source.blocks())[0], expected(data))
