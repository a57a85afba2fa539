"""Pictures from the command line: files of the right kind, always the same, never half."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("click")
pytest.importorskip("pyarrow")
pytest.importorskip("matplotlib")

from click.testing import CliRunner

from mixtura.cli.app import app
from mixtura.cli.plot import WHAT

FAITHFUL = Path(__file__).parent / "data" / "reference" / "faithful.csv"
STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def run(*args, stdin=None):
    return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)


def done(*args, stdin=None):
    result = run(*args, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "faithful.mixtura"
    done("fit", FAITHFUL, "-k", 2, "-o", path, "--quiet")
    return path


@pytest.mark.parametrize("what", WHAT)
def test_every_picture_can_be_drawn(tmp_path, model, what):
    target = tmp_path / "picture.svg"
    result = done("plot", model, FAITHFUL, "--what", what, "-o", target)
    assert "saved" in result.stderr
    assert result.stdout == ""
    text = target.read_text()
    assert text.startswith("<?xml")
    done("plot", model, FAITHFUL, "--what", what, "-o", target, "--force")
    assert target.read_text() == text  # no time of day, no random names in it


@pytest.mark.parametrize("form", STARTS)
def test_the_ending_chooses_the_format(tmp_path, model, form):
    target = tmp_path / f"picture{form}"
    result = done("plot", model, "-o", target, "--json")
    assert target.read_bytes().startswith(STARTS[form])
    facts = json.loads(result.stdout)
    assert facts["schema"] == "mixtura.plot/1"
    assert facts["bytes"] == target.stat().st_size


def test_columns_are_chosen_by_name_and_rows_come_from_standard_input(tmp_path, model):
    target = tmp_path / "a.png"
    text = FAITHFUL.read_text()
    done("plot", model, "-", "--columns", "waiting", "-o", target, stdin=text)
    from_file = tmp_path / "b.png"
    done("plot", model, FAITHFUL, "--columns", "waiting", "-o", from_file)
    assert target.read_bytes() == from_file.read_bytes()


def test_what_cannot_be_drawn_leaves_no_file(tmp_path, model):
    cases = [
        (["plot", model, "-o", tmp_path / "a.gif"], 2, ".png, .svg, .pdf"),
        (["plot", model, "-o", tmp_path / "a.png", "--what", "qq"], 2, "needs DATA"),
        (["plot", model, "-o", tmp_path / "a.png", "--columns", "zebra"], 2, "zebra"),
        (["plot", tmp_path / "none", "-o", tmp_path / "a.png"], 4, "none"),
        (["plot", model, tmp_path / "no.csv", "-o", tmp_path / "a.png"], 3, "no.csv"),
    ]
    for words, code, part in cases:
        result = run(*words)
        assert result.exit_code == code
        assert part in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_names_are_written_as_they_are(tmp_path):
    data = tmp_path / "hostile.csv"
    rows = np.random.default_rng(0).normal(size=(60, 2)).round(3)
    header = '"<script>alert(1)</script>","$\\frac{"'
    np.savetxt(data, rows, fmt="%g", delimiter=",", header=header, comments="")
    done("fit", data, "-o", tmp_path / "m.mixtura")
    done("plot", tmp_path / "m.mixtura", data, "-o", tmp_path / "picture.svg")
    assert "<script>alert" not in (tmp_path / "picture.svg").read_text()


def test_animate_writes_a_page_or_a_gif(tmp_path):
    result = done("animate", FAITHFUL, "-k", 2, "--seed", 3, "-o", tmp_path / "em.html", "--json")
    facts = json.loads(result.stdout)
    assert facts["frames"] == facts["n_iter"] + 1
    # the log-likelihood of this mixture as published for these data
    assert facts["log_likelihood_per_row"] * 272 == pytest.approx(-1130.264, abs=0.01)
    assert (tmp_path / "em.html").read_text().startswith("<!doctype html>")
    done("animate", "-", "-k", 2, "--n-init", 1, "--max-iter", 3, "-o", tmp_path / "em.gif",
         stdin=FAITHFUL.read_text())  # fmt: skip
    assert (tmp_path / "em.gif").read_bytes().startswith(b"GIF89a")


def test_animate_refuses_other_endings(tmp_path):
    result = run("animate", FAITHFUL, "-k", 2, "-o", tmp_path / "em.mp4")
    assert result.exit_code == 2
    assert ".html or .gif" in result.stderr


def test_report_of_a_model_and_of_a_fit(tmp_path, model):
    result = done("report", model, FAITHFUL, "-o", tmp_path / "a.html", "--json")
    assert json.loads(result.stdout)["bytes"] == (tmp_path / "a.html").stat().st_size
    done("fit", FAITHFUL, "-k", 2, "--seed", 4, "--report", tmp_path / "b.html")
    text = (tmp_path / "b.html").read_text()
    assert "<td>4</td>" in text.split("To repeat it")[1]  # the seed
    assert "Least likely rows" in text
    done("fit", FAITHFUL, "-k", 2, "--report", tmp_path / "c.html", "--no-rows", "--quiet")
    text = (tmp_path / "c.html").read_text()
    assert "Least likely rows" not in text
    assert '<th scope="row">seed</th><td>0</td>' in text


def test_report_of_a_search(tmp_path):
    done("select", FAITHFUL, "-k", "1:3", "--report", tmp_path / "a.html")
    assert "Choice of the model" in (tmp_path / "a.html").read_text()


def test_report_of_a_classifier(tmp_path):
    iris = FAITHFUL.with_name("iris.csv")
    target = iris.read_text().splitlines()[0].split(",")[-1].strip('"')
    result = done("classify", iris, "--target", target, "--folds", 3, "--report",
                  tmp_path / "a.html", "--json")  # fmt: skip
    text = (tmp_path / "a.html").read_text()
    assert "On rows that were left out" in text
    assert text.count("<svg") == 2
    wrong = json.loads(result.stdout)["assessment"]
    assert wrong is not None
    assert "virginica" in text


def test_reports_are_refused_before_the_fit(tmp_path):
    (tmp_path / "old.html").write_text("mine")
    for target, part in (("old.html", "exists"), ("a.pdf", ".html"), ("no/a.html", "not exist")):
        result = run("fit", FAITHFUL, "-k", 2, "--report", tmp_path / target)
        assert result.exit_code == 2
        assert part in result.stderr
    assert (tmp_path / "old.html").read_text() == "mine"
