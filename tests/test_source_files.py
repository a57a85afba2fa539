"""Files: what is found, how text is read, what is refused and where, bounded memory."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather as pa_feather
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pa_parquet
import pytest

from mixtura.errors import DataError, MixturaWarning, UsageError
from mixtura.source import as_source, read_column, read_standard_input, summarise
from mixtura.source.paths import find_files


def rows_of(source):
    return np.concatenate([block.X for block in source.blocks()])


def text(path, *lines, end="\n"):
    path.write_bytes((end.join(lines) + end).encode())
    return path


# How text is read.


@pytest.mark.parametrize(
    ("content", "columns", "rows"),
    [
        (b"a,b\n1,2\n3,4\n", ("a", "b"), [[1, 2], [3, 4]]),
        (b"a,b\n1,2\n3,4", ("a", "b"), [[1, 2], [3, 4]]),
        (b"a,b\r\n1,2\r\n\r\n3,4\r\n", ("a", "b"), [[1, 2], [3, 4]]),
        (b"\xef\xbb\xbfa,b\n1,2\n", ("a", "b"), [[1, 2]]),
        (b"\n\n a ,b\n1,2\n", ("a", "b"), [[1, 2]]),
        (b"a;b\n1.5;2\n", ("a", "b"), [[1.5, 2]]),
        (b"a\tb\n1.5\t2\n", ("a", "b"), [[1.5, 2]]),
        (b'"a;x";b\n1;2\n', ("a;x", "b"), [[1, 2]]),
        (b'"a, or\nb",c\n1,2\n', ("a, or\nb", "c"), [[1, 2]]),
        (b"1,2\n3,4\n", ("x0", "x1"), [[1, 2], [3, 4]]),
        (b"1e3, -2.5E-3\n+3,.5\n", ("x0", "x1"), [[1000, -0.0025], [3, 0.5]]),
        (b"7\n8\n", ("x0",), [[7], [8]]),
        (b"a,\n1,2\n", ("a", "x1"), [[1, 2]]),
        (b'a,b\n"1","2"\n', ("a", "b"), [[1, 2]]),
        (b"\xd6l,b\n1,2\n".replace(b"\xd6", "Ö".encode()), ("Öl", "b"), [[1, 2]]),
    ],
)
def test_text_in_many_hands(content, columns, rows, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    source = as_source(tmp_path / "t.csv")
    assert source.columns == columns
    np.testing.assert_array_equal(rows_of(source), rows)


@pytest.mark.parametrize(
    "token", ["", "NA", "NaN", "nan", "null", "NULL", "N/A", " NA", "None", '""']
)
def test_tokens_that_mean_missing(token, tmp_path):
    path = text(tmp_path / "t.csv", "a,b", "1,2", f"{token},3", "4,5")
    np.testing.assert_array_equal(rows_of(as_source(path)), [[1, 2], [np.nan, 3], [4, 5]])
    words = rf"'a' 1; .*column 'a' at row 1 \(file '{path}', line 3\)"
    with pytest.raises(DataError, match=words):
        summarise(as_source(path))


@pytest.mark.parametrize("token", ["abc", "1_0", "0x10", "1,5", "1.2.3", "-", "12 kg", "True"])
@pytest.mark.parametrize("line", [5, 10_001])
def test_the_first_bad_token_is_named_with_its_line(token, line, tmp_path):
    lines = ["id,size", *(f"r{i},{i}.5" for i in range(2, 12_000))]
    lines[line - 1] = f'r,"{token}"'
    path = text(tmp_path / "t.csv", *lines)
    source = as_source(path, columns=["size"])
    with pytest.raises(DataError) as caught:
        summarise(source)
    start = f"[E230] {path}:{line}: column 'size' has {token!r}, which is not a number."
    assert str(caught.value).startswith(start)


@pytest.mark.parametrize("fields", ["1", "1,2,3", "1,2,"])
def test_lines_of_another_length_are_named(fields, tmp_path):
    lines = ["a,b", *["1,2"] * 4000]
    lines[3000] = fields
    path = text(tmp_path / "t.csv", *lines)
    found = fields.count(",") + 1
    with pytest.raises(DataError, match=rf"{path}:3001: {found} field.* header has 2"):
        summarise(as_source(path))


def test_columns_that_are_not_numbers_are_told_before_reading(tmp_path):
    path = text(
        tmp_path / "t.csv",
        "size,species,when,ok,none",
        *["1.5,setosa,2020-01-31,true,NA"] * 50,
    )
    words = r"E201\] 3 column.*'species' \(text\), 'when' \(date\), 'ok' \(boolean\)\. "
    with pytest.raises(DataError, match=words):
        as_source(path)
    with pytest.raises(DataError, match=r"E211\] column\(s\) 'none' hold no value"):
        summarise(as_source(path, columns=["size", "none"]))


def test_infinite_values_are_named_with_file_and_row(tmp_path):
    X = np.ones((30_000, 2))
    for name in "abc":
        if name == "c":
            X[10_001, 1] = -np.inf
        arrow = pa.table({"u": X[:, 0], "v": X[:, 1]})
        pa_parquet.write_table(arrow, tmp_path / f"{name}.parquet", row_group_size=4000)
    words = (
        rf"'v' 1; the first is -inf in column 'v' at row 70001 "
        rf"\(file '{tmp_path}/c.parquet', row 10001, row group 2\)"
    )
    with pytest.raises(DataError, match=words):
        summarise(as_source(tmp_path))


def test_lines_are_counted_through_quoted_line_ends(tmp_path):
    path = text(tmp_path / "t.csv", "a,b", '1,"x', 'y"', "", "2,z", "NA,q")
    with pytest.raises(DataError, match=r"at row 2 .*line 6\)"):
        summarise(as_source(path, columns="a"))


def test_weights_in_a_column_are_checked_with_their_line(tmp_path):
    path = text(tmp_path / "t.csv", "a,w", "1,1", "2,-3", "3,1")
    with pytest.raises(DataError, match=r"E220\].*row 1 \(file '.*t\.csv', line 3\) is -3\.0"):
        summarise(as_source(path, weights="w"))
    path = text(tmp_path / "t.csv", "a,w", "1,0", "2,0")
    with pytest.raises(DataError, match=r"E220\].*all are zero"):
        summarise(as_source(path, weights="w"))
    with pytest.raises(DataError, match=r"shape \(3,\) for 2 rows"):
        as_source(path, weights=np.ones(3))


def test_labels_in_a_column(tmp_path):
    path = text(tmp_path / "t.csv", "a,k", "1,0", "2,NA", "3,2", "4,-1")
    (block,) = as_source(path, labels="k").blocks()
    np.testing.assert_array_equal(block.labels, [0, -1, 2, -1])
    path = text(tmp_path / "t.csv", "a,k", "1,0", "2,0.5")
    with pytest.raises(DataError, match=r"E221\].*row 1 is 0\.5"):
        list(as_source(path, labels="k").blocks())


def test_not_text_at_all(tmp_path):
    path = tmp_path / "t.csv"
    for content in ("a,b\n1,2\n".encode("utf-16"), b"a\x00\x01\x02\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"E231\] cannot read .*UTF-8"):
            as_source(path)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a\n1\n" * 1000)[:30])
    with pytest.raises(DataError, match=r"E231\] cannot read '.*t\.csv\.gz'"):
        as_source(tmp_path / "t.csv.gz")


def test_rows_longer_than_any_buffer(tmp_path):
    X = np.random.default_rng(0).normal(size=(3, 100_000))
    lines = [",".join(f"{v:.17g}" for v in row) for row in X]
    path = text(tmp_path / "wide.csv", ",".join(f"c{j}" for j in range(X.shape[1])), *lines)
    np.testing.assert_array_equal(rows_of(as_source(path)), X)


# Which files.


def test_files_are_found_in_the_order_of_their_names(tmp_path):
    for name in (
        "b.csv",
        "a.csv",
        "sub/c.csv",
        ".hidden.csv",
        "_x.csv",
        "_temporary/d.csv",
        "n.md",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a\n1\n")
    found = [os.path.relpath(path, tmp_path) for path in find_files(tmp_path)]
    assert found == ["a.csv", "b.csv", "sub/c.csv"]
    found = [os.path.relpath(path, tmp_path) for path in find_files(str(tmp_path / "?.csv"))]
    assert found == ["a.csv", "b.csv"]
    both = [tmp_path / "b.csv", tmp_path / "a.csv"]
    assert find_files(both) == [str(path) for path in both]
    (tmp_path / "odd[1].csv").write_text("a\n1\n")
    assert find_files(tmp_path / "odd[1].csv") == [str(tmp_path / "odd[1].csv")]


def test_what_cannot_be_found_or_told(tmp_path):
    (tmp_path / "data.xlsx").write_text("no")
    with pytest.raises(DataError, match=r"E233\].*data\.xlsx' has no ending .*\.csv, .*\.parquet"):
        as_source(tmp_path / "data.xlsx")
    for missing in (tmp_path / "no.csv", tmp_path, str(tmp_path / "*.csv"), []):
        with pytest.raises(DataError, match=r"E200\] no data file found"):
            find_files(missing)
    text(tmp_path / "a.csv", "a", "1")
    pa_parquet.write_table(pa.table({"a": [1.0]}), tmp_path / "a.parquet")
    words = r"E234\].*several formats \(\.csv, \.parquet\).*pattern such as '\*\.csv'"
    with pytest.raises(DataError, match=words):
        as_source(tmp_path)


def test_files_must_have_the_same_columns(tmp_path):
    text(tmp_path / "a.csv", "u,v", "1,2")
    text(tmp_path / "b.csv", "v,u", "4,3")
    np.testing.assert_array_equal(rows_of(as_source(tmp_path)), [[1, 2], [3, 4]])
    text(tmp_path / "c.csv", "u,w", "1,2")
    words = r"E503\] '.*c\.csv' has the columns u, w, but '.*a\.csv' has u, v\."
    with pytest.raises(DataError, match=words):
        as_source(tmp_path)
    text(tmp_path / "c.csv", "u,v", "1,tall")
    words = r"E503\] '.*c\.csv' has text in column 'v', but '.*a\.csv' has numbers there"
    with pytest.raises(DataError, match=words):
        as_source(tmp_path)
    np.testing.assert_array_equal(rows_of(as_source(tmp_path, columns="u")), [[1], [3], [1]])
    text(tmp_path / "d.csv", "u,u", "1,2")
    with pytest.raises(DataError, match=r"E243\] column name\(s\) 'u' occur more than once"):
        as_source(tmp_path, columns="u")


def test_empty_files_and_drifting_numbers_fit_together(tmp_path):
    folder = tmp_path / "parquet"
    folder.mkdir()
    none = pa.table({"a": pa.array([], pa.string())})
    for name, table in {
        "0": none,
        "1": pa.table({"a": [1, 2]}),
        "2": pa.table({"a": [2.5, None]}),
        "3": pa.table({"a": [Decimal("3.25")]}),
        "4": pa.table({"a": pa.array([4.5], pa.float16())}),
        "5": pa.table({"a": pa.array([7], pa.uint8())}),
        "6": none,
    }.items():
        pa_parquet.write_table(table, folder / f"{name}.parquet")
    source = as_source(folder)
    assert source.n_rows == 7
    want = [[1], [2], [2.5], [np.nan], [3.25], [4.5], [7]]
    np.testing.assert_array_equal(rows_of(source), want)
    folder = tmp_path / "csv"
    folder.mkdir()
    (folder / "0.csv").touch()
    text(folder / "1.csv", "a,b")
    text(folder / "2.csv", "a,b", "1,2")
    np.testing.assert_array_equal(rows_of(as_source(folder)), [[1, 2]])
    parts = pickle.loads(pickle.dumps(as_source(folder).parts()))
    assert [b.n_rows for part in parts for b in part.blocks()] == [1]


@pytest.mark.parametrize("name", ["t.csv", "header.csv", "t.parquet"])
def test_no_row_at_all(name, tmp_path):
    path = tmp_path / name
    if name == "t.parquet":
        pa_parquet.write_table(pa.table({"a": pa.array([], pa.float64())}), path)
    else:
        path.write_text("a,b\n" if name == "header.csv" else "")
    with pytest.raises(DataError, match=rf"E205\] '{path}' hold 0 rows"):
        as_source(path)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "feather"])
def test_damaged_files(ending, tmp_path):
    path = tmp_path / f"t.{ending}"
    table = pa.table({"a": np.arange(1000.0)})
    if ending == "parquet":
        pa_parquet.write_table(table, path)
    else:
        pa_feather.write_feather(table, str(path), compression="uncompressed")
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[:-20], b"hello" * 20):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"E231\] cannot read '{path}'"):
            rows_of(as_source(path))


def test_types_that_are_not_numbers_are_refused(tmp_path):
    nested = pa.table(
        {"a": [1.0], "b": [[1]], "c": [True], "d": pa.array(["x"]).dictionary_encode()}
    )
    pa_parquet.write_table(nested, tmp_path / "t.parquet")
    words = r"3 column.*'b' \(list<.*>\), 'c' \(boolean\), 'd' \(category\)"
    with pytest.raises(DataError, match=words):
        as_source(tmp_path / "t.parquet")
    np.testing.assert_array_equal(rows_of(as_source(tmp_path / "t.parquet", columns="a")), [[1]])
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((2, 3)))
    table = pa.table({"t": tensors})
    with pa_ipc.new_file(str(tmp_path / "t.arrow"), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(DataError, match=r"'t' \(extension type arrow\.fixed_shape_tensor\)"):
        as_source(tmp_path / "t.arrow")


def test_a_file_that_changes_is_noticed(tmp_path):
    path = text(tmp_path / "t.csv", "a", "1", "2")
    source = as_source(path)
    assert len(rows_of(source)) == 2
    parts = source.parts()
    text(path, "a", "1", "2", "3")
    for read in (lambda: rows_of(source), lambda: list(parts[0].blocks())):
        with pytest.raises(DataError, match=rf"E502\] '{path}' changed while it was in use"):
            read()
    path.unlink()
    with pytest.raises(DataError, match=r"E231\] cannot read"):
        rows_of(source)


def piped(content, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


def test_standard_input_is_refused_in_the_same_words(monkeypatch):
    piped(b"a,b\n1,2\n3,x\n4,5\n6,7\n", monkeypatch)
    with pytest.raises(DataError, match=r"E230\] <stdin>:3: column 'b' has 'x'"):
        as_source("-")
    piped(gzip.compress(b"a,b\n1,2\n,4\n"), monkeypatch)
    with pytest.raises(DataError, match=r"column 'a' at row 1 \(standard input, row 1\)"):
        summarise(as_source("-"))
    piped(b"", monkeypatch)
    with pytest.raises(DataError, match=r"E205\] '<stdin>' hold 0 rows"):
        as_source("-")


def test_standard_input_is_read_once_and_used_twice(monkeypatch):
    piped(b"a,kind\n1,u\n2,v\n", monkeypatch)
    held = read_standard_input()
    np.testing.assert_array_equal(rows_of(as_source(held, columns="a")), [[1], [2]])
    np.testing.assert_array_equal(read_column(held, "kind"), np.array(["u", "v"], object))


# Parts, counts, columns.


def test_rows_are_counted_when_they_are_needed(tmp_path):
    for name in "abc":
        text(tmp_path / f"{name}.csv", "a", *map(str, range(10)))
    source = as_source(tmp_path)
    assert source.n_rows is None
    first = [next(part.blocks()).first_row for part in source.parts()]
    assert first == [0, 10, 20]
    assert source.n_rows == source.count_rows() == 30
    assert source.where(25) == f" (file '{tmp_path}/c.csv', line 7)"


@pytest.mark.parametrize("group", [700, 1024, 5000, 100_000])
def test_parquet_parts_start_on_the_grid(group, tmp_path):
    X = np.arange(20_000.0)
    pa_parquet.write_table(pa.table({"a": X}), tmp_path / "t.parquet", row_group_size=group)
    source = as_source(tmp_path / "t.parquet", block_rows=2048)
    assert source.n_rows == 20_000
    blocks = [block for part in source.parts() for block in part.blocks()]
    assert [b.first_row for b in blocks] == list(range(0, 20_000, 2048))
    np.testing.assert_array_equal(np.concatenate([b.X[:, 0] for b in blocks]), X)
    n_parts = {700: 10, 1024: 10, 5000: 4, 100_000: 1}[group]
    assert len(source.parts()) == n_parts


def test_codes_and_large_integers_in_files_are_pointed_out(tmp_path):
    table = pa.table({"code": [1, 2, 3] * 40, "id": list(range(2**53 + 2, 2**53 + 122))})
    pa_parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.warns(MixturaWarning) as caught:
        summarise(as_source(tmp_path / "t.parquet"))
    assert [str(w.message)[:6] for w in caught] == ["[W206]", "[W207]"]
    path = text(tmp_path / "t.csv", "code", *["1", "2", "3"] * 40)
    with pytest.warns(MixturaWarning, match=r"W206\] column 'code'.*only 3 levels"):
        summarise(as_source(path))


@pytest.mark.parametrize(
    ("values", "kind", "want"),
    [
        (["1", "2", "3"], "i", [1, 2, 3]),
        (["1", "2.5", "NA"], "f", [1, 2.5, np.nan]),
        (["x", "", "3"], "O", ["x", None, "3"]),
    ],
)
def test_raw_column_of_text_files(values, kind, want, tmp_path):
    for name, value in zip("abc", values, strict=True):
        text(tmp_path / f"{name}.csv", "k,v", f"0,{value}")
    column = read_column(tmp_path, "v")
    assert column.dtype.kind == kind
    np.testing.assert_array_equal(column, np.array(want, column.dtype))
    np.testing.assert_array_equal(read_column(tmp_path, 0), [0, 0, 0])
    with pytest.raises(DataError, match=r"E240\].*'z' not in the data, which has 'k', 'v'"):
        read_column(tmp_path, "z")


def test_raw_column_of_typed_files(tmp_path):
    table = pa.table(
        {"c": pa.array(["u", None, "u"]).dictionary_encode(), "b": [True, False, True]}
    )
    pa_parquet.write_table(table, tmp_path / "t.parquet")
    np.testing.assert_array_equal(
        read_column(tmp_path, "c"), np.array(["u", None, "u"], dtype=object)
    )
    assert read_column(tmp_path, "b").dtype == bool


def test_without_pyarrow_the_remedy_is_told(tmp_path, monkeypatch):
    path = text(tmp_path / "t.csv", "a", "1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"E102\] reading files needs .*'pyarrow'.*mixtura\[cli\]"):
        as_source(path)
    assert as_source(np.eye(2)).n_rows == 2


# Memory.

PEAK = """
import sys
from pathlib import Path
from mixtura.source import as_source, summarise
import pyarrow.parquet, pyarrow.csv, pyarrow.ipc, pyarrow.dataset
def peak():  # of this program alone: ru_maxrss starts with that of the parent
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l)
    return int(line.split()[1]) / 1024
before = peak()
summary = summarise(as_source(sys.argv[1]))
print(summary.n_rows, peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's peak memory")
@pytest.mark.parametrize(
    ("ending", "n_parts", "groups"),
    [("parquet", 20, 250_000), ("parquet", 1, 2_500_000), ("arrow", 20, 50_000), ("csv", 1, 0)],
)
def test_memory_stays_small_however_much_is_read(ending, n_parts, groups, tmp_path):
    rng = np.random.default_rng(0)
    n = 1_000_000 if ending == "csv" else 2_500_000
    lines = []
    for at in range(n_parts):
        X = rng.normal(size=(n // n_parts, 10))
        table = pa.table({f"c{j}": X[:, j] for j in range(10)})
        path = str(tmp_path / f"{at:02}.{ending}")
        if ending == "parquet":
            pa_parquet.write_table(table, path, row_group_size=groups, compression="none")
        elif ending == "arrow":
            with pa_ipc.new_file(path, table.schema) as writer:
                writer.write_table(table, max_chunksize=groups)
        else:
            pa_csv.write_csv(table, path)
    del X, table, lines
    size = sum(path.stat().st_size for path in tmp_path.iterdir()) / 2**20
    assert size > 170
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    rows, grown = done.stdout.split()
    assert int(rows) == n
    assert float(grown) < 130, f"{grown} MB for {size:.0f} MB of data"
