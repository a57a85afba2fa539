"""``mixtura classify`` and what it reports: against scikit-learn's metrics and the Python door."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, confusion_matrix, log_loss

pytest.importorskip("click")
pytest.importorskip("pyarrow")

from click.testing import CliRunner

import mixtura
from mixtura import GenerativeClassifier, as_source
from mixtura.classify import Assessment, ClassSpec, RowScores, cross_classify
from mixtura.cli.app import app
from mixtura.families import Gaussian
from mixtura.stats import tree_sum
from tests import reference

IRIS = Path(__file__).parent / "data" / "reference" / "iris.csv"


def run(*args, stdin=None):
    return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)


def done(*args, stdin=None):
    result = run(*args, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


def document(*args, stdin=None):
    return json.loads(done("classify", *args, "--json", stdin=stdin).stdout)


# -- what an assessment says --------------------------------------------------------


class Rows(NamedTuple):
    """Made-up probabilities of 200 weighted rows in three classes; some rows declined."""

    truth: np.ndarray
    log_probability: np.ndarray
    decisions: np.ndarray
    weights: np.ndarray


def rows_of(n_repeats: int = 1, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet([0.7, 0.7, 0.7], (n_repeats, 200))
    truth = np.array([rng.choice(3, p=p) for p in proba[0]])
    decisions = np.where(proba.max(axis=2) < 0.5, -1, proba.argmax(axis=2))
    weights = rng.integers(1, 4, 200).astype(float)
    return Rows(truth, np.log(proba), decisions, weights)


def assessed(rows: Rows) -> Assessment:
    return Assessment(("a", "b", "c"), RowScores.of(*rows), 10, len(rows.decisions))


def test_scores_are_scikit_learns():
    rows = rows_of()
    found, w, truth = assessed(rows), rows.weights, rows.truth
    proba = np.exp(rows.log_probability[0])
    assert (found.n_rows, found.mass) == (200, w.sum())
    assert found.log_loss.value == pytest.approx(
        log_loss(truth, proba, sample_weight=w, labels=[0, 1, 2]), rel=1e-12
    )
    assert found.brier.value == pytest.approx(
        brier_score_loss(truth, proba, sample_weight=w, labels=[0, 1, 2]) / 2, rel=1e-12
    )
    decided = rows.decisions[0]
    table = confusion_matrix(truth, decided, sample_weight=w, labels=[0, 1, 2, -1])
    np.testing.assert_allclose(found.confusion, table[:3])
    counts = confusion_matrix(truth, decided, labels=[0, 1, 2, -1])
    np.testing.assert_array_equal(found.scores.counts, counts[:3])
    wrong = proba.argmax(axis=1) != truth
    assert found.error.value == pytest.approx(w @ wrong / w.sum(), rel=1e-12)
    kept = decided >= 0
    assert found.declined.value == pytest.approx(w @ ~kept / w.sum(), rel=1e-12)
    assert found.error_of_decided.value == pytest.approx(w @ (wrong & kept) / (w @ kept), rel=1e-12)


def test_standard_errors_are_those_of_new_rows():
    # the spread of each score over many draws of rows is what its standard error says
    scores = {"error": [], "brier": [], "log_loss": [], "error_of_decided": []}
    said = {name: [] for name in scores}
    for seed in range(300):
        found = assessed(rows_of(seed=seed))
        for name in scores:
            score = getattr(found, name)
            scores[name].append(score.value)
            said[name].append(score.standard_error)
    for name, values in scores.items():
        # 300 draws know their spread to 4 %
        assert np.mean(said[name]) == pytest.approx(np.std(values), rel=0.15), name


def test_error_has_a_binomial_standard_error():
    plain = assessed(rows_of()._replace(weights=np.ones(200)))
    p = plain.error.value
    assert plain.error.standard_error == pytest.approx(np.sqrt(p * (1 - p) / 200), rel=1e-12)


def test_repeats_of_the_same_rows_do_not_pretend_to_be_new_rows():
    rows = rows_of()
    once = assessed(rows)
    thrice = assessed(
        rows._replace(
            log_probability=rows.log_probability.repeat(3, axis=0),
            decisions=rows.decisions.repeat(3, axis=0),
        )
    )
    for name in ("error", "brier", "log_loss", "declined", "error_of_decided"):
        np.testing.assert_allclose(getattr(thrice, name), getattr(once, name), rtol=1e-12)
    np.testing.assert_allclose(thrice.confusion, once.confusion)
    for a, b in zip(thrice.calibration, once.calibration, strict=True):
        assert (a.rows, a.said) == (pytest.approx(b.rows), pytest.approx(b.said))


def test_calibration_counts_every_row_once_and_says_how_often_it_was_right():
    rows = rows_of()
    found = assessed(rows)
    largest = np.exp(rows.log_probability[0]).max(axis=1)
    right = rows.log_probability[0].argmax(axis=1) == rows.truth
    assert sum(one.rows for one in found.calibration) == pytest.approx(rows.weights.sum())
    for one in found.calibration:
        own = (largest >= one.low) & (largest < one.high)
        w = rows.weights[own]
        assert one.rows == pytest.approx(w.sum())
        assert one.said == pytest.approx(w @ largest[own] / w.sum())
        assert one.right.value == pytest.approx(w @ right[own] / w.sum())
    # the probabilities are true by construction
    off = [(b.said - b.right.value) / b.right.standard_error for b in found.calibration]
    assert np.abs(off).max() < 3.5


@pytest.mark.parametrize("n_repeats", [1, 3])
def test_scores_of_parts_add_up_to_those_of_all(n_repeats):
    rows = rows_of(n_repeats)
    whole, cuts = assessed(rows), [0, 1, 2, 90, 200]
    parts = [
        RowScores.of(
            rows.truth[a:b], rows.log_probability[:, a:b], rows.decisions[:, a:b], rows.weights[a:b]
        )
        for a, b in pairwise(cuts)
    ]
    joined = replace(whole, scores=tree_sum([*parts, RowScores.of(*part_of(rows, 0))]))
    for name in ("error", "declined", "error_of_decided", "log_loss", "brier"):
        np.testing.assert_allclose(getattr(joined, name), getattr(whole, name), rtol=1e-12)
    np.testing.assert_allclose(joined.confusion, whole.confusion)
    np.testing.assert_allclose(joined.scores.reliability, whole.scores.reliability)
    for a, b in zip(joined.calibration, whole.calibration, strict=True):
        np.testing.assert_allclose([*a[:4], *a.right], [*b[:4], *b.right], rtol=1e-9)


def part_of(rows, n):
    return rows.truth[:n], rows.log_probability[:, :n], rows.decisions[:, :n], rows.weights[:n]


def test_one_row_has_no_spread_and_none_no_score():
    rows = rows_of()
    one, none = (assessed(Rows(*part_of(rows, n))) for n in (1, 0))
    assert np.isfinite(one.log_loss.value)
    assert np.isnan(one.log_loss.standard_error)
    assert np.isnan(none.log_loss).all()


def test_rows_of_unknown_class_help_and_are_not_counted():
    data = reference.load("iris")
    codes = np.repeat([0, 1, 2], 50)
    codes[::5] = -1
    spec = ClassSpec(((Gaussian(4),),) * 3, ((1,),) * 3)
    found = cross_classify(spec, as_source(data.X, labels=codes), list("abc"), n_folds=4)
    assert found.n_rows == found.confusion.sum() == 120
    alone = cross_classify(
        spec, as_source(data.X[codes >= 0], labels=codes[codes >= 0]), list("abc"), n_folds=4
    )
    assert found.log_loss.value != alone.log_loss.value


def test_given_folds_give_mclusts_error():
    data = reference.load("iris")
    raw = data.raw["discriminant"]
    spec = ClassSpec(((Gaussian(4, "VEV"),),) * 3, ((1,),) * 3, coupled=True)
    source = as_source(data.X, labels=np.repeat([0, 1, 2], 50))
    found = cross_classify(spec, source, raw["levels"], folds=np.array(raw["folds"]) - 1)
    theirs = raw["EDDA"]["cv_fixed_model"]
    assert found.error.value == pytest.approx(theirs["error"], abs=1e-12)
    # mclust keeps the class probabilities of all rows
    assert found.brier.value == pytest.approx(theirs["brier"], rel=1e-3)


# -- the command --------------------------------------------------------------------


def test_classify_says_what_python_says(tmp_path):
    path = tmp_path / "iris.mixtura"
    facts = document(IRIS, "--target", "label", "--folds", 5, "--seed", 3, "-o", path)
    data = reference.load("iris")
    model = GenerativeClassifier().fit(data.X, data.labels)
    assert facts["schema"] == "mixtura.classify/1"
    own = facts["model"]
    assert [one["class"] for one in own["classes"]] == model.classes_.tolist()
    assert own["log_likelihood"] == pytest.approx(model.log_likelihood_, rel=1e-12)
    spec = ClassSpec(((Gaussian(4),),) * 3, ((1,),) * 3, coupled=True)
    source = as_source(data.X, labels=np.repeat([0, 1, 2], 50))
    found = cross_classify(spec, source, model.classes_.tolist(), n_folds=5, seed=3)
    assessment = facts["assessment"]
    for name in ("error", "log_loss", "brier"):
        score = getattr(found, name)
        assert assessment[name] == pytest.approx(score._asdict(), rel=1e-9)
    assert np.sum(assessment["confusion"]) == 150
    loaded = mixtura.load(path)
    np.testing.assert_allclose(loaded.predict_proba(IRIS), model.predict_proba(data.X))
    assert loaded.feature_names_in_.tolist() == list(data.columns)


def test_words_go_to_standard_error_only_and_name_the_scores():
    result = done("classify", IRIS, "--target", "label", "--reject", 0.2)
    assert result.stdout == ""
    for words in ("3 classes", "setosa", "error", "log-loss", "Brier", "true \\ decided",
                  "declined", "probability of the decision"):  # fmt: skip
        assert words in result.stderr
    assert max(map(len, result.stderr.splitlines())) <= 100


def test_quiet_and_fit_only():
    result = done("classify", IRIS, "--target", "label", "--quiet")
    assert (result.stdout, result.stderr) == ("", "")
    facts = document(IRIS, "--target", "label", "--no-assessment")
    assert facts["assessment"] is None


def test_shapes_sizes_and_probabilities_of_classes():
    facts = document(
        IRIS, "--target", "label", "-k", "setosa=1,versicolor=1,virginica=2", "--covariance",
        "diag", "--priors", "setosa=0.5,versicolor=0.25,virginica=0.25", "--folds", 3,
    )["model"]  # fmt: skip
    assert [one["n_components"] for one in facts["classes"]] == [1, 1, 2]
    assert [one["prior"] for one in facts["classes"]] == pytest.approx([0.5, 0.25, 0.25])
    chosen = document(IRIS, "--target", "label", "--covariance", "auto", "--folds", 2)["model"]
    assert {one["density"] for one in chosen["classes"]} == {
        "Gaussian, covariances of equal shape (VEV)"
    }
    assert chosen["criterion"] == "bic"
    ranged = document(
        IRIS, "--target", "label", "-k", "1:2", "--criterion", "cv", "--alone", "--no-assessment"
    )["model"]
    assert ranged["criterion"] == "cv"
    assert len(ranged["scores"]) == 3


def test_same_seed_same_document():
    words = (IRIS, "--target", "label", "-k", 2, "--folds", 3, "--seed", 5, "--covariance", "diag")
    first, second = document(*words), document(*words, "--threads", 2)
    for facts in (first, second):
        facts["model"].pop("seconds")
    assert first == second


def test_repeats_are_rounds_with_other_folds():
    once, twice = (
        document(IRIS, "--target", "label", "--folds", 5, "--repeats", n)["assessment"]
        for n in (1, 2)
    )
    assert twice["n_repeats"] == 2
    assert once["log_loss"]["value"] != twice["log_loss"]["value"]
    assert np.sum(twice["confusion"]) == pytest.approx(150)


def text_of(rows):
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue()


def test_standard_input_unknown_classes_and_weights():
    data = reference.load("iris")
    rows = [
        [*row, "" if i % 4 == 0 else name, 1 + i % 2]
        for i, (row, name) in enumerate(zip(data.X, data.labels, strict=True))
    ]
    text = text_of([[*data.columns, "species", "w"], *rows])
    facts = document("-", "--target", "species", "--weights", "w", "--folds", 4, stdin=text)
    known = [row for row in rows if row[4]]
    assert facts["model"]["labelled"] == sum(row[5] for row in known)
    assert facts["model"]["sum_of_weights"] == 225
    assert facts["model"]["n_iter"] > 0
    assert facts["assessment"]["n_rows"] == len(known)


def test_numbers_as_classes_and_a_mark_for_unknown(tmp_path):
    data = reference.load("iris")
    codes = np.repeat([1, 2, 3], 50)
    codes[::6] = 99
    rows = [[*row, code] for row, code in zip(data.X, codes, strict=True)]
    path = tmp_path / "a.csv"
    path.write_text(text_of([[*data.columns, "kind"], *rows]))
    facts = document(path, "--target", "kind", "--unlabelled", 99, "--no-assessment")
    assert [one["class"] for one in facts["model"]["classes"]] == [1, 2, 3]
    plain = document(path, "--target", "kind", "--no-assessment")
    assert [one["class"] for one in plain["model"]["classes"]] == [1, 2, 3, 99]


# -- what others do with the saved classifier --------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "iris.mixtura"
    done("classify", IRIS, "--target", "label", "--reject", 0.1, "-o", path, "--no-assessment")
    return path


def test_predict_writes_classes_and_their_probabilities(saved):
    rows = list(csv.DictReader(io.StringIO(done("predict", saved, IRIS, "--keep", "label").stdout)))
    assert list(rows[0]) == [
        "input_label", "label", "p_setosa", "p_versicolor", "p_virginica", "uncertainty",
        "log_density",
    ]  # fmt: skip
    model = mixtura.load(saved)
    proba = np.array([[float(row[f"p_{name}"]) for name in model.classes_] for row in rows])
    np.testing.assert_allclose(proba, model.predict_proba(IRIS), atol=1e-15)
    assert [row["label"] or None for row in rows] == model.predict(IRIS).tolist()
    assert 0 < sum(row["label"] == "" for row in rows) < 15
    density = np.array([float(row["log_density"]) for row in rows])
    np.testing.assert_allclose(density, model.score_samples(IRIS), rtol=1e-14)


def test_predict_json_lists_classes_and_null_where_declined(saved):
    facts = json.loads(done("predict", saved, IRIS, "--json").stdout)
    assert facts["classes"] == ["setosa", "versicolor", "virginica"]
    assert {row["label"] for row in facts["rows"]} == {*facts["classes"], None}
    assert all(len(row["probabilities"]) == 3 for row in facts["rows"])


def test_class_names_that_are_formulas_are_guarded(tmp_path):
    text = text_of([["x", "c"], *[[i, "=1+1"] for i in range(5)], *[[i, "b"] for i in (8, 9, 11)]])
    (tmp_path / "a.csv").write_text(text)
    path = tmp_path / "m.mixtura"
    done("classify", tmp_path / "a.csv", "--target", "c", "--no-assessment", "-o", path)
    plain = done("predict", path, tmp_path / "a.csv", "--what", "label").stdout.splitlines()
    assert plain[1] == "'=1+1"
    raw = done("predict", path, tmp_path / "a.csv", "--what", "label", "--raw-text").stdout
    assert raw.splitlines()[1] == "=1+1"


def test_show_tells_of_the_classes(saved):
    shown = done("show", saved).stdout
    assert "classifier, 3 classes" in shown
    assert "no decision below probability 0.9" in shown
    facts = json.loads(done("show", saved, "--json").stdout)
    assert facts["schema"] == "mixtura.classifier/1"


def test_commands_for_mixtures_refuse_a_classifier(saved):
    result = run("sample", saved, "-n", 3)
    assert result.exit_code == 4
    assert "E411" in result.stderr


# -- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--target", "none"], 3, "none"),
        (["--target", "label", "-k", "setosa=1"], 2, "each class once"),
        (["--target", "label", "-k", "setosa"], 2, "not of the form"),
        (["--target", "label", "--priors", "setosa=0.5,versicolor=0.4,virginica=0.4"], 2, "sum"),
        (["--target", "label", "--covariance", "round"], 2, "round"),
        (["--target", "label", "--columns", "label"], 2, "is the target"),
        (["--target", "label", "--folds", "1"], 2, "folds"),
        (["--target", "label", "--reject", "1.5"], 2, "reject"),
        (["--target", "label", "-o", "-"], 2, "a file is needed"),
        (["--target", "Sepal.Length", "--drop", "label"], 3, "row(s) of positive weight"),
        ([], 2, "--target"),
    ],
)
def test_refusals_have_exit_codes_and_reasons(words, code, said):
    result = run("classify", IRIS, *words)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr


def test_an_existing_file_needs_force(tmp_path):
    path = tmp_path / "iris.mixtura"
    path.write_text("mine")
    assert run("classify", IRIS, "--target", "label", "-o", path).exit_code == 2
    assert path.read_text() == "mine"


# -- categories by name -------------------------------------------------------------------


def mixed_table(n=200):
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, n)
    colours = np.array(["blue", "green", "red"])
    shares = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    rows = [
        [f"{rng.normal(2.0 * k):.3f}", colours[rng.choice(3, p=shares[k])], "no" if k else "yes"]
        for k in kind
    ]
    return [["x", "colour", "bought"], *rows]


def test_categories_keep_their_names_from_classify_to_predict(tmp_path):
    table = mixed_table()
    (tmp_path / "a.csv").write_text(text_of(table))
    path = tmp_path / "m.mixtura"
    words = ("--target", "bought", "--family", "x:gaussian,colour:categorical", "--folds", 4)
    facts = document(tmp_path / "a.csv", *words, "-o", path)
    assert facts["assessment"]["error"]["value"] < 0.25
    # columns and levels are found by name, whatever their order
    turned = [[row[1], row[0]] for row in table]
    (tmp_path / "b.csv").write_text(text_of([turned[0], *turned[1:][::-1]]))
    here = done("predict", path, tmp_path / "a.csv", "--what", "probabilities").stdout.splitlines()
    there = done("predict", path, tmp_path / "b.csv", "--what", "probabilities").stdout
    assert here[1:] == there.splitlines()[1:][::-1]
    pd = pytest.importorskip("pandas")
    frame = pd.read_csv(tmp_path / "a.csv")
    model = GenerativeClassifier({"x": "gaussian", "colour": "categorical"}).fit(frame, "bought")
    assert model.levels_ == {"colour": ("blue", "green", "red")}
    expected = mixtura.load(path).predict_proba(frame)
    np.testing.assert_allclose(model.predict_proba(frame), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("command", "first", "second"),
    [
        (("classify", "--target", "label"), "-o", "--report"),
        (("fit", "--columns", "Petal.Length"), "-o", "--report"),
        (("fit", "--columns", "Petal.Length"), "--labelled", "--checkpoint"),
        (("select", "--columns", "Petal.Length"), "--table", "--report"),
    ],
)
def test_one_file_for_two_things_is_refused_before_the_work(command, first, second, tmp_path):
    target = tmp_path / "a.html"
    result = run(*command, IRIS, first, target, second, target)
    assert result.exit_code != 0
    assert "E106" in result.stderr
    assert f"{first}, {second}: both name the same file" in result.stderr
    assert list(tmp_path.iterdir()) == []
