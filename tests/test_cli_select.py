"""``mixtura select``: the table as words, as CSV and as JSON; what is saved; exit codes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("click")
pytest.importorskip("pyarrow")

from click.testing import CliRunner

from mixtura import load, select
from mixtura.cli.app import app
from mixtura.cli.select import Sizes
from mixtura.selection.result import COLUMNS

FAITHFUL = Path(__file__).parent / "data" / "reference" / "faithful.csv"


def run(*args, stdin=None):
    return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)


def done(*args, stdin=None):
    result = run("select", *args, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


def rows():
    with FAITHFUL.open() as file:
        return np.array([[float(v) for v in row] for row in list(csv.reader(file))[1:]])


@pytest.mark.parametrize(
    ("words", "sizes"),
    [("3", [3]), ("1:4", [1, 2, 3, 4]), ("1-4", [1, 2, 3, 4]), ("1,2,5", [1, 2, 5]),
     ("5,1:2, 2", [1, 2, 5])],
)  # fmt: skip
def test_numbers_of_components(words, sizes):
    assert Sizes().convert(words, None, None) == sizes


@pytest.mark.parametrize("words", ["0", "0:3", "4:1", "a", "1:", "1::3", "", "1.5", "1:999999"])
def test_numbers_of_components_that_are_none(words):
    result = run("select", FAITHFUL, "-k", words)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_json_holds_what_python_says():
    result = done(FAITHFUL, "-k", "1:3", "--covariance", "full,tied", "--rule", "cv-1se",
                  "--folds", 4, "--seed", 2, "--json")  # fmt: skip
    facts = json.loads(result.stdout)
    found = select(rows(), range(1, 4), ["full", "tied"], rule="cv-1se", n_folds=4, seed=2)
    assert facts["schema"] == "mixtura.select/1"
    assert facts["best_row"] == found.best_row_
    for name in set(COLUMNS) - {"seconds"}:
        assert [row[name] for row in facts["table"]] == found.candidates.columns[name], name
    assert facts["choices"] == found.choices
    assert facts["validation"] == "4-fold cross-validation"
    assert facts["best"]["log_likelihood"] == found.best_.log_likelihood_


def test_words_go_to_standard_error_and_the_table_to_a_file(tmp_path):
    table, model = tmp_path / "t.csv", tmp_path / "m.mixtura"
    result = done(FAITHFUL, "-k", "1-3", "--criterion", "icl", "--table", table, "-o", model)
    assert result.stdout == ""
    for words in ("how many groups", "<- chosen", "full 2 by icl", "not tried", "saved"):
        assert words in " ".join(result.stderr.split())
    with table.open() as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == list(COLUMNS)
    assert [row["n_components"] for row in found] == ["1", "2", "3"]
    assert found[1]["cv_log_density"] == ""
    assert float(found[1]["bic"]) == pytest.approx(2322.192, abs=1e-3)
    saved = load(model)
    assert saved.n_components_ == 2
    assert saved.log_likelihood_ == float(found[1]["log_likelihood"])


def test_the_table_on_standard_output():
    result = done(FAITHFUL, "-k", 2, "--table", "-", "--quiet")
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert float(row["log_likelihood"]) == pytest.approx(-1130.264, abs=1e-3)
    assert result.stderr == ""


def test_rows_from_standard_input_and_weights():
    text = "a,w\n" + "".join(f"{x},{1 + i % 2}\n" for i, (x, _) in enumerate(rows()))
    facts = json.loads(done("-", "-k", "1:2", "--weights", "w", "--json", stdin=text).stdout)
    assert facts["sum_of_weights"] == 408.0
    assert facts["best"]["columns"] == ["a"]


def test_other_families_and_equal_weights():
    facts = json.loads(done(FAITHFUL, "-k", 2, "--family", "gamma,lognormal", "--json").stdout)
    assert [row["family"] for row in facts["table"]] == ["gamma", "lognormal"]
    assert facts["table"][0]["covariance"] is None
    equal = json.loads(done(FAITHFUL, "-k", 2, "--weighting", "equal", "--json").stdout)
    assert equal["best"]["weights"] == [0.5, 0.5]
    assert equal["table"][0]["n_free"] == 10


def test_reasons_reach_the_document_and_the_table(tmp_path):
    data = tmp_path / "d.csv"
    data.write_text("a\n" + "".join(f"{i % 3}\n" for i in range(30)))
    facts = json.loads(done(data, "-k", "1,4", "--covariance", "V", "--json").stdout)
    assert facts["table"][0]["reason"] == ""
    assert "3 distinct rows" in facts["table"][1]["reason"]
    assert facts["table"][1]["bic"] is None


def test_exit_codes(tmp_path):
    model = tmp_path / "m"
    model.write_text("mine")
    for code, args in (
        (2, ("--rule", "best")), (2, ("--criterion", "bic", "--rule", "1se")),
        (2, ("--folds", 1)), (2, ("--folds", 300)), (2, ("--covariance", "round")),
        (2, ("--family", "normal")), (2, ("-o", model)), (2, ("-o", "-")),
        (2, ("--table", tmp_path / "t", "-o", tmp_path / "t")),
        (2, ("--table", "-", "--json")), (3, ("--family", "poisson")),
        (3, ("--columns", "nothing")), (3, ("-k", 300)),
        (5, ("--strict", "--max-iter", 1, "-k", 3)),
    ):  # fmt: skip
        result = run("select", FAITHFUL, *args)
        assert result.exit_code == code, (args, result.stderr)
        if "--json" not in args:
            assert result.stdout == ""
    assert model.read_text() == "mine"
    assert not (tmp_path / "t").exists()
    assert run("select", tmp_path / "none.csv").exit_code == 3


def test_a_checkpoint_goes_on_to_the_same_choice(tmp_path):
    """The passes that the file holds are not made again; the table has the same bits."""
    options = ("-k", "1:3", "--folds", 3, "--json", "--checkpoint", tmp_path / "c")
    first = json.loads(done(FAITHFUL, *options).stdout)
    again = json.loads(done(FAITHFUL, *options).stdout)
    resumed = json.loads(run("resume", tmp_path / "c", "--json").stdout)
    for other in (again, resumed):
        for one, two in zip(first["table"], other["table"], strict=True):
            assert {**one, "seconds": 0} == {**two, "seconds": 0}
        assert other["best"]["means"] == first["best"]["means"]
