"""The command line: data on standard output, words on standard error, exit codes, nothing half."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("click")
pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import CliRunner

from mixtura import modelfile
from mixtura.cli.app import COMMANDS, app
from mixtura.cli.console import Console
from mixtura.cli.rows import guarded
from mixtura.em import em_steps
from mixtura.families import FAMILIES, Poisson, PoissonParams
from mixtura.mixture import Mixture
from mixtura.source import as_source
from tests.processes import started

FAITHFUL = Path(__file__).parent / "data" / "reference" / "faithful.csv"


def run(*args, stdin=None):
    return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)


def done(*args, stdin=None):
    result = run(*args, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def process(*args, **options):
    words = [sys.executable, "-m", "mixtura.cli", *map(str, args)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return started(words, **pipes, **options)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, text):
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "faithful.mixtura"
    done("fit", FAITHFUL, "-k", 2, "--columns", "eruptions,waiting", "-o", path)
    return path


def old_faithful():
    with FAITHFUL.open() as file:
        return [(float(row["eruptions"]), float(row["waiting"])) for row in csv.DictReader(file)]


# -- fit --------------------------------------------------------------------------


def test_fit_prints_one_document(tmp_path):
    out = tmp_path / "m.mixtura"
    result = done("fit", FAITHFUL, "-k", 2, "--columns", "eruptions,waiting", "-o", out, "--json")
    facts = json.loads(result.stdout)
    assert facts["log_likelihood"] == pytest.approx(-1130.264, abs=1e-3)
    assert facts["bic"] == pytest.approx(2322.192, abs=1e-3)
    far = np.abs(np.array(facts["means"]) - [[4.290, 79.97], [2.036, 54.48]])
    assert (far <= [0.001, 0.01]).all()
    assert facts["columns"] == ["eruptions", "waiting"]
    assert (facts["covariance"], facts["n_rows"], facts["n_free"]) == ("full", 272, 11)
    assert facts["converged"] is True
    assert facts["warnings"] == []
    again = json.loads(done("show", out, "--json").stdout)
    assert again == facts


def test_fit_without_json_writes_words_to_standard_error_only(tmp_path):
    result = done(
        "fit", FAITHFUL, "-k", 2, "--columns", "eruptions,waiting", "-o", tmp_path / "m",
        "--labelled", tmp_path / "l.csv",
    )  # fmt: skip
    assert result.stdout == ""
    assert "2 components, full covariances" in result.stderr
    assert "-1130.264" in result.stderr
    assert "saved" in result.stderr
    assert "\x1b" not in result.stderr
    assert done("show", tmp_path / "m").stdout.splitlines()[0] in result.stderr


def test_quiet_says_nothing(tmp_path):
    args = ("fit", FAITHFUL, "--columns", "eruptions", "-o", tmp_path / "m", "--quiet")
    result = done(*args)
    assert (result.stdout, result.stderr) == ("", "")
    assert names_in(tmp_path) == ["m"]


def test_labelled_rows_are_those_of_predict(tmp_path, model):
    out = tmp_path / "l.csv"
    done("fit", FAITHFUL, "-k", 2, "--columns", "eruptions,waiting", "--labelled", out)
    labelled = table(out.read_text())
    predicted = table(done("predict", model, FAITHFUL).stdout)
    assert [(float(r["eruptions"]), float(r["waiting"])) for r in labelled] == old_faithful()
    assert list(labelled[0]) == ["eruptions", "waiting", "label", "uncertainty", "log_density"]
    for name in ("label", "uncertainty", "log_density"):
        assert [row[name] for row in labelled] == [row[name] for row in predicted]


def test_columns_drop_weights_and_names_with_commas(tmp_path):
    data = write(
        tmp_path / "d.csv",
        'id,"a,b",c,w\n' + "".join(f"k{i},{i},{i * i},{1 + i % 2}\n" for i in range(30)),
    )
    facts = json.loads(done("fit", data, "--columns", '"a,b",c', "--weights", "w", "--json").stdout)
    assert facts["columns"] == ["a,b", "c"]
    assert facts["sum_of_weights"] == 45
    assert facts["means"][0][0] == pytest.approx(sum(i * (1 + i % 2) for i in range(30)) / 45)
    dropped = json.loads(done("fit", data, "--drop", "id,w,c", "--json").stdout)
    assert dropped["columns"] == ["a,b"]


def test_labels_by_number_and_by_word_give_the_group_means(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(*rng.normal(5 * g, 1, 2), "xyz"[g], g) for g in (0, 1, 2) for _ in range(20)]
    text = "a,b,word,number\n" + "".join(f"{a},{b},{w},{g}\n" for a, b, w, g in rows)
    data = write(tmp_path / "d.csv", text)
    means = [np.mean([r[:2] for r in rows if r[3] == g], axis=0) for g in (0, 1, 2)]
    for label, other in (("word", "number"), ("number", "word")):
        result = done("fit", data, "-k", 3, "--labels", label, "--drop", other, "--json")
        facts = json.loads(result.stdout)
        np.testing.assert_allclose(facts["means"], means, rtol=1e-12)
        assert facts["outcome"] == "closed_form"
        assert ("0 = x, 1 = y, 2 = z" in result.stderr) is (label == "word")


def test_missing_values_are_refused_or_dropped_and_said(tmp_path):
    data = write(
        tmp_path / "d.csv", "a,b\n" + "".join(f"{i},{i * i % 7}\n" for i in range(30)) + "NA,1\n"
    )
    refused = run("fit", data, "-o", tmp_path / "m")
    assert refused.exit_code == 3
    assert "[E210]" in refused.stderr
    assert "'a' 1" in refused.stderr
    assert names_in(tmp_path) == ["d.csv"]
    result = done("fit", data, "--missing", "drop", "--json")
    assert json.loads(result.stdout)["n_rows"] == 30
    assert "1 of 31 rows" in " ".join(json.loads(result.stdout)["warnings"])
    assert result.stderr.count("[W210]") == 1


def test_poisson_and_a_folder_and_standard_input_agree(tmp_path):
    rng = np.random.default_rng(0)
    counts = np.concatenate([rng.poisson(3, 100), rng.poisson(30, 50)])
    text = "visits\n" + "".join(f"{n}\n" for n in counts)
    folder = tmp_path / "parts"
    folder.mkdir()
    half = text.splitlines()
    write(folder / "a.csv", "\n".join(half[:60]) + "\n")
    write(folder / "b.csv", "\n".join([half[0], *half[60:]]) + "\n")
    whole = write(tmp_path / "whole.csv", text)
    args = ("-k", 2, "--family", "poisson", "--json")
    facts = [
        json.loads(done("fit", source, *args, stdin=stdin).stdout)
        for source, stdin in ((whole, None), (folder, None), ("-", text))
    ]
    assert facts[0]["params"]["rate"][0][0] == pytest.approx(3, abs=1)
    for other in facts[1:]:
        assert other["n_rows"] == 150
        assert other["log_likelihood"] == pytest.approx(facts[0]["log_likelihood"], rel=1e-12)
    both = json.loads(done("fit", folder / "a.csv", folder / "b.csv", *args).stdout)
    assert both["params"] == facts[1]["params"]


def test_threads_and_seed_give_the_same_file(tmp_path):
    for name, threads in (("a", 1), ("b", 2)):
        args = ("-k", 3, "--columns", "eruptions,waiting", "--seed", 7, "--threads", threads)
        done("fit", FAITHFUL, *args, "-o", tmp_path / name)
    a, b = (modelfile.load(tmp_path / name) for name in "ab")
    assert a.mixture.means.tobytes() == b.mixture.means.tobytes()
    assert a.log_likelihood == b.log_likelihood


# -- predict ----------------------------------------------------------------------


def test_predict_gives_what_the_mixture_says(model):
    rows = table(done("predict", model, FAITHFUL).stdout)
    assert list(rows[0]) == ["label", "p0", "p1", "uncertainty", "log_density"]
    mixture = modelfile.load(model).mixture
    log_density, R = mixture.posterior(np.array(old_faithful()))
    assert [float(row["log_density"]) for row in rows] == log_density.tolist()
    assert [[float(row["p0"]), float(row["p1"])] for row in rows] == R.tolist()
    assert [int(row["label"]) for row in rows] == R.argmax(axis=1).tolist()
    uncertainty = [float(row["uncertainty"]) for row in rows]
    np.testing.assert_allclose(uncertainty, 1 - R.max(axis=1), rtol=0, atol=1e-15)
    fitted = modelfile.load(model)
    assert sum(log_density) == pytest.approx(fitted.log_likelihood, rel=1e-12)


def test_predict_json_has_the_same_numbers(model):
    document = json.loads(done("predict", model, FAITHFUL, "--json").stdout)
    rows = table(done("predict", model, FAITHFUL).stdout)
    assert document["schema"] == "mixtura.predict/1"
    assert len(document["rows"]) == len(rows) == 272
    for mine, theirs in zip(document["rows"], rows, strict=True):
        assert mine["label"] == int(theirs["label"])
        assert mine["probabilities"] == [float(theirs["p0"]), float(theirs["p1"])]
        assert mine["uncertainty"] == float(theirs["uncertainty"])
        assert mine["log_density"] == float(theirs["log_density"])


def test_columns_are_matched_by_name(tmp_path, model):
    swapped = "waiting,note,eruptions\n" + "".join(f"{w},x,{e}\n" for e, w in old_faithful())
    data = write(tmp_path / "swapped.csv", swapped)
    assert done("predict", model, data).stdout == done("predict", model, FAITHFUL).stdout
    assert done("predict", model, "-", stdin=swapped).stdout == done("predict", model, data).stdout


def test_a_missing_column_is_named_and_nothing_written(tmp_path, model):
    data = write(tmp_path / "d.csv", "eruptions\n3.6\n")
    result = run("predict", model, data, "-o", tmp_path / "out.csv")
    assert result.exit_code == 3
    assert "[E240]" in result.stderr
    assert "'waiting'" in result.stderr
    assert result.stdout == ""
    assert names_in(tmp_path) == ["d.csv"]


@pytest.mark.parametrize("what", ["label", "uncertainty,label", "probabilities", "log_density"])
def test_what_chooses(model, what):
    rows = table(done("predict", model, FAITHFUL, "--what", what).stdout)
    names = {"label": ["label"], "probabilities": ["p0", "p1"]}
    expected = {n for word in what.split(",") for n in names.get(word, [word])}
    assert set(rows[0]) == expected
    assert run("predict", model, FAITHFUL, "--what", "colour").exit_code == 2


def test_kept_columns_come_as_they_are_written_and_guarded(tmp_path, model):
    cells = ["007", "=HYPERLINK(1)", "-5", '"a ""b"", c"', "@sum", "", "+49 30", "ü"]
    lines = [f"{cell},3.6,79,{k}" for k, cell in enumerate(cells)]
    data = write(tmp_path / "d.csv", "\n".join(["key,eruptions,waiting,label", *lines]) + "\n")
    result = done("predict", model, data, "--keep", "key,label", "--what", "label,uncertainty")
    rows = table(result.stdout)
    assert list(rows[0]) == ["key", "input_label", "label", "uncertainty"]
    keys = ["007", "'=HYPERLINK(1)", "-5", 'a "b", c', "'@sum", "", "'+49 30", "ü"]
    assert [row["key"] for row in rows] == keys
    assert [row["input_label"] for row in rows] == [str(k) for k in range(len(cells))]
    raw = table(done("predict", model, data, "--keep", "key", "--raw-text").stdout)
    assert raw[1]["key"] == "=HYPERLINK(1)"
    piped = done("predict", model, "-", "--keep", "key,label", "--what", "label,uncertainty",
                 stdin=data.read_text())  # fmt: skip
    assert piped.stdout == result.stdout
    assert run("predict", model, data, "--keep", "nothing").exit_code == 3


def test_hostile_headers_are_guarded_too(tmp_path):
    data = write(tmp_path / "d.csv", "=cmd\n" + "".join(f"{i}\n" for i in range(9)))
    done("fit", data, "--labelled", tmp_path / "l.csv", "-o", tmp_path / "m")
    assert (tmp_path / "l.csv").read_text().startswith("'=cmd,")
    assert done("sample", tmp_path / "m", "-n", 1).stdout.startswith("'=cmd\n")
    assert done("sample", tmp_path / "m", "-n", 1, "--raw-text").stdout.startswith("=cmd\n")


@pytest.mark.parametrize("cell", ["=1", "+x", "-x", "@x", "\tx", "\rx", "-1+cmd|' /C calc'!A0"])
def test_guard(cell):
    assert guarded(cell) == "'" + cell
    assert guarded("a" + cell) == "a" + cell


def test_predict_in_many_blocks_keeps_rows_together(tmp_path, model):
    n = (1 << 17) + 3000
    rng = np.random.default_rng(0)
    X = rng.normal([3.5, 70], [1, 10], (n, 2))
    X[[5, n - 5], 0] = np.nan
    data = tmp_path / "d.parquet"
    key = pa.array([f"k{i}" for i in range(n)])
    pq.write_table(pa.table({"waiting": X[:, 1], "key": key, "eruptions": X[:, 0]}), data)
    assert run("predict", model, data).exit_code == 3
    result = done(
        "predict", model, data, "--missing", "drop", "--keep", "key", "--what", "log_density"
    )
    assert f"2 of {n} rows" in result.stderr
    lines = result.stdout.splitlines()
    kept = np.delete(np.arange(n), [5, n - 5])
    assert len(lines) == 1 + len(kept)
    expected = modelfile.load(model).mixture.log_density(X[kept])
    for at in (0, 4, 5, 6, 1 << 16, (1 << 17) - 2, (1 << 17) - 1, 1 << 17, len(kept) - 1):
        name, value = lines[1 + at].split(",")
        assert name == f"k{kept[at]}"
        assert float(value) == expected[at]


def test_counts_outside_of_the_support_are_refused_before_anything_is_written(tmp_path):
    data = write(tmp_path / "d.csv", "n\n" + "".join(f"{i % 5}\n" for i in range(40)))
    done("fit", data, "--family", "poisson", "-o", tmp_path / "m")
    bad = write(tmp_path / "bad.csv", "n\n" + "1\n" * 50 + "-1\n")
    result = run("predict", tmp_path / "m", bad)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "[E250]" in result.stderr
    assert "row 50" in result.stderr


# -- show, sample, info -----------------------------------------------------------


def test_sample_follows_the_model(model):
    rows = table(done("sample", model, "-n", 20_000, "--seed", 1, "--label").stdout)
    assert list(rows[0]) == ["eruptions", "waiting", "label"]
    X = np.array([[float(r["eruptions"]), float(r["waiting"])] for r in rows])
    labels = np.array([int(r["label"]) for r in rows])
    fitted = modelfile.load(model)
    w = fitted.mixture.weights
    assert abs((labels == 0).mean() - w[0]) < 5 * np.sqrt(w[0] * w[1] / len(rows))
    for k in (0, 1):
        covariance = fitted.mixture.params.covariances[k]
        error = np.sqrt(np.diagonal(covariance) / (labels == k).sum())
        assert (np.abs(X[labels == k].mean(axis=0) - fitted.mixture.means[k]) < 5 * error).all()


def test_sample_is_reproducible_and_the_document_agrees(tmp_path, model):
    first = done("sample", model, "-n", 70_000, "--seed", 3).stdout
    assert first == done("sample", model, "-n", 70_000, "--seed", 3).stdout
    assert first != done("sample", model, "-n", 70_000, "--seed", 4).stdout
    assert len(first.splitlines()) == 70_001
    document = json.loads(done("sample", model, "-n", 5, "--json").stdout)
    rows = table(
        done("sample", model, "-n", 5, "-o", tmp_path / "s.csv")
        and (tmp_path / "s.csv").read_text()
    )
    assert [row["eruptions"] for row in document["rows"]] == [float(r["eruptions"]) for r in rows]
    assert len(document["rows"]) == 5


def test_a_sample_of_counts_is_whole_numbers(tmp_path):
    data = write(tmp_path / "d.csv", "label\n" + "".join(f"{i % 5}\n" for i in range(40)))
    done("fit", data, "--family", "poisson", "-o", tmp_path / "m")
    lines = done("sample", tmp_path / "m", "-n", 20, "--label").stdout.splitlines()
    assert lines[0] == "label,label_"
    assert all(cell.isdigit() for line in lines[1:] for cell in line.split(","))


def test_info():
    facts = json.loads(done("info", "--json").stdout)
    assert facts["kernel"] in facts["kernel_variants"]
    assert facts["threads"] >= 1
    assert facts["packages"]["numpy"] == np.__version__
    assert facts["kernel"] in done("info").stdout
    assert json.loads(done("info", "--json").stdout)["families"] == list(FAMILIES)


# -- errors -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("fit",),
        ("fit", FAITHFUL, "-k", "0"),
        ("fit", FAITHFUL, "-k", "many"),
        ("fit", FAITHFUL, "--colour", "red"),
        ("fit", FAITHFUL, "--family", "cauchy"),
        ("fit", FAITHFUL, "--columns", "eruptions", "--covariance", "round"),
        ("fit", FAITHFUL, "--columns", "eruptions", "--family", "poisson", "--covariance", "full"),
        ("fit", FAITHFUL, "-k", "2", "--columns", "eruptions", "--start", "somewhere"),
        ("fit", FAITHFUL, "--columns", "a,,b"),
        ("fit", FAITHFUL, "-o", "-"),
        ("fit", FAITHFUL, "-o", "/nowhere/at/all"),
        ("sample", "model"),
    ],
)
def test_usage_errors_exit_with_2(args):
    result = run(*args)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error [E1")
    assert result.stdout == ""
    document = json.loads(run(*args, "--json").stdout)
    assert document["schema"] == "mixtura.error/1"
    assert document["error"]["exit_code"] == 2
    assert document["error"]["code"].startswith("E1")


def test_data_errors_exit_with_3_and_name_the_remedy(tmp_path):
    data = write(tmp_path / "d.csv", "a,status\n" + "".join(f"{i},3.0\n" for i in range(20)))
    result = run("fit", data, "-k", 4, "-o", tmp_path / "m", "--labelled", tmp_path / "l")
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1].startswith("error [E203] column 'status' is constant")
    assert "--drop" in result.stderr
    assert names_in(tmp_path) == ["d.csv"]
    assert run("fit", tmp_path / "none.csv").exit_code == 3
    error = json.loads(run("fit", data, "--json").stdout)["error"]
    assert (error["code"], error["exit_code"]) == ("E203", 3)
    assert not error["message"].startswith("[")


def test_model_errors_exit_with_4(tmp_path, model):
    damaged = tmp_path / "m"
    damaged.write_bytes(model.read_bytes()[:-1])
    for args in (("show", damaged), ("predict", damaged, FAITHFUL), ("sample", damaged, "-n", 1)):
        result = run(*args)
        assert (result.exit_code, result.stdout) == (4, "")
        assert result.stderr.startswith("error [E40")
    assert run("show", tmp_path / "none").exit_code == 4


def test_strict_exits_with_5_and_writes_nothing(tmp_path):
    args = ("fit", FAITHFUL, "-k", 3, "--columns", "eruptions,waiting", "--max-iter", 1)
    args += ("--n-init", 1, "--tol", 0, "-o", tmp_path / "m", "--labelled", tmp_path / "l")
    result = run(*args, "--strict")
    assert result.exit_code == 5
    assert "[E350]" in result.stderr
    assert names_in(tmp_path) == []
    done(*args)
    assert names_in(tmp_path) == ["l", "m"]
    assert json.loads(done("show", tmp_path / "m", "--json").stdout)["converged"] is False


def test_degenerate_fits_exit_with_6_when_asked(tmp_path):
    rng = np.random.default_rng(0)
    rows = [*rng.normal(size=(99, 2)).tolist(), [50.0, 50.0]]
    data = write(tmp_path / "d.csv", "a,b\n" + "".join(f"{a},{b}\n" for a, b in rows))
    args = ("fit", data, "-k", 2, "-o", tmp_path / "m")
    result = run(*args, "--on-degenerate", "raise")
    assert result.exit_code == 6
    assert "[E301]" in result.stderr
    assert "99" in result.stderr
    assert names_in(tmp_path) == ["d.csv"]
    done(*args)


def test_existing_files_need_force(tmp_path, model):
    out = write(tmp_path / "out", "precious")
    for args in (
        ("fit", FAITHFUL, "--columns", "eruptions", "-o", out),
        ("fit", FAITHFUL, "--columns", "eruptions", "--labelled", out),
        ("predict", model, FAITHFUL, "-o", out),
        ("sample", model, "-n", 1, "-o", out),
    ):
        result = run(*args)
        assert result.exit_code == 2
        assert "[E103]" in result.stderr
        assert out.read_text() == "precious"
        done(*args, "--force")
        assert out.read_bytes() != b"precious"
        out.write_text("precious")
    assert names_in(tmp_path) == ["out"]
    both = run("fit", FAITHFUL, "--columns", "eruptions", "-o", "x", "--labelled", "./x")
    assert both.exit_code == 2


def test_labelled_rows_do_not_appear_if_the_model_cannot_be_saved(tmp_path, monkeypatch):
    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(modelfile, "save", fail)
    args = ("fit", FAITHFUL, "--columns", "eruptions")
    result = run(*args, "-o", tmp_path / "m", "--labelled", tmp_path / "l")
    assert result.exit_code == 7
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("boom"), 1),
        (MemoryError(), 7),
        (KeyboardInterrupt(), 130),
        (OSError(28, "No space left on device"), 7),
        (BrokenPipeError(), 141),
    ],
)
def test_what_happens_inside_becomes_an_exit_code(monkeypatch, model, error, code):
    def fail(path):
        raise error

    monkeypatch.setattr(modelfile, "load_any", fail)
    result = run("show", model)
    assert result.exit_code == code
    assert "Traceback" not in result.stderr
    if code == 1:
        assert "unexpected RuntimeError: boom" in result.stderr
        assert "Traceback" in run("show", model, "--debug").stderr


def test_names_in_errors_cannot_steer_the_terminal(tmp_path):
    data = write(tmp_path / "d.csv", "\x1b[31mred\n1\n1\n1\n")
    result = run("fit", data)
    assert result.exit_code == 3
    assert "\x1b" not in result.stderr
    assert "?[31mred" in result.stderr


# -- as a process -----------------------------------------------------------------


def test_help_is_light_and_lists_the_commands():
    code = """
import sys
from mixtura.cli.main import main
try:
    main(sys.argv[1:])
finally:
    heavy = {"numpy", "scipy", "sklearn", "pyarrow", "rich", "pandas"} & set(sys.modules)
    print(sorted(heavy), file=sys.stderr)
"""
    for args in (["--help"], ["--version"], ["fit", "--help"], ["predict", "--help"], ["nonsense"]):
        result = subprocess.run(
            [sys.executable, "-c", code, *args],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert result.stderr.splitlines()[-1] == "[]", args
        assert result.returncode == (2 if args == ["nonsense"] else 0)
        if args == ["--help"]:
            assert all(name in result.stdout for name in COMMANDS)


def test_every_command_has_help():
    for name in COMMANDS:
        text = done(name, "--help").stdout
        assert "--json" in text
        assert "--debug" in text


def test_without_click_there_is_one_clear_line():
    code = "import sys; sys.modules['click'] = None; from mixtura.cli.main import main; main([])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert "pip install 'mixtura[cli]'" in line


def test_a_pipe_through_processes_is_pure(tmp_path):
    with process("fit", "-", "-k", 2, "--columns", "eruptions,waiting", "--json") as fit:
        out, err = fit.communicate(FAITHFUL.read_bytes(), timeout=120)
    assert fit.returncode == 0, err
    assert json.loads(out)["log_likelihood"] == pytest.approx(-1130.264, abs=1e-3)
    assert b"Traceback" not in err


def test_a_closed_pipe_ends_quietly(model):
    with process("sample", model, "-n", 500_000) as sample:
        assert sample.stdout.readline() == b"eruptions,waiting\n"
        sample.stdout.close()
        sample.stdin.close()
        assert sample.stderr.read() == b""
        assert sample.wait(timeout=120) == 141


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_ends_with_130_and_writes_nothing(tmp_path):
    with process("fit", "-", "-o", tmp_path / "m") as fit:
        fit.stdin.write(b"a\n" + b"1\n" * 500_000)  # returns when most of it has been read
        fit.send_signal(signal.SIGINT)
        out, err = fit.communicate(timeout=120)
    assert fit.returncode == 130
    assert out == b""
    assert b"Traceback" not in err
    assert names_in(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_full_disk_ends_with_7(tmp_path, model):
    def limit():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    out = tmp_path / "out.csv"
    with process("predict", model, FAITHFUL, "-o", out, preexec_fn=limit) as predict:
        _, err = predict.communicate(timeout=120)
    assert predict.returncode == 7
    assert b"[E701]" in err
    assert names_in(tmp_path) == []


# -- progress ---------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_on_a_terminal_shows_the_iterations(monkeypatch):
    pytest.importorskip("rich")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    start = Mixture(Poisson(1), np.full(2, 0.5), PoissonParams(np.array([[1.0], [7.0]])))
    steps = em_steps(start, as_source(np.array([[0.0], [1.0], [9.0], [8.0]])))
    first, second = next(steps), next(steps)
    with Console().progress() as watch:
        watch(first)
        watch(second)
    shown = terminal.getvalue()
    assert "iteration 1" in shown
    assert f"{second.objective / 4:.6f}" in shown
    assert f"gain {(second.objective - first.objective) / 4:.1e}" in shown
    assert "\x1b[3" not in shown, "colours in spite of NO_COLOR"


def test_no_progress_elsewhere(monkeypatch):
    with Console().progress() as watch:
        assert watch is None
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Console(quiet=True).progress() as watch:
        assert watch is None
    monkeypatch.setenv("TERM", "dumb")
    with Console().progress() as watch:
        assert watch is None
