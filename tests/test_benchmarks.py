"""The benchmark harness: all packages do the same work, and its tables say what was measured.

No test looks at a time.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from benchmarks import runner, table, worker
from benchmarks.__main__ import main
from benchmarks.cases import CASES, FOLDS, Parameters, Question, folds
from benchmarks.likelihood import log_likelihood
from benchmarks.peers import PEERS
from scipy.stats import multivariate_normal

MAIN = [case.name for case in CASES.values() if case.group == "main"]
N_ITER = 3


def tiny(name):
    case = CASES[name].smaller(10**9)
    # 200 columns would need thousands of rows for regular covariances
    return replace(
        case, n_features=min(case.n_features, 20), n_components=min(case.n_components, 5)
    )


def mean_density(X, parameters):
    """The mixture density by SciPy, on the linear scale."""
    parts = zip(*parameters, strict=True)
    return sum(w * multivariate_normal(m, S).pdf(X) for w, m, S in parts)


def test_common_log_likelihood_is_scipys():
    case = tiny("mid-10d")
    X, start = case.rows(), case.truth()
    expected = np.log(mean_density(X, start)).sum()
    assert log_likelihood(X, start) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["lecture-2d", "mid-10d", "line-1d", "overlap-2d", "small-cv"])
def test_rows_follow_the_truth(name):
    case = replace(CASES[name], n_rows=20_000)
    X, truth = case.rows(), case.truth()
    mean = truth.weights @ truth.means
    deviation = truth.means - mean
    covariance = np.einsum("k,kij->ij", truth.weights, truth.covariances) + deviation.T @ (
        truth.weights[:, None] * deviation
    )
    error = (X.mean(axis=0) - mean) / np.sqrt(np.diagonal(covariance) / len(X))
    assert np.abs(error).max() < 5
    assert np.allclose(np.cov(X.T), covariance, rtol=0.1, atol=0.05 * np.trace(covariance))
    assert np.array_equal(X, case.rows())


def test_smaller_data_still_determine_every_component():
    for case in CASES.values():
        small = case.smaller(10**6)
        assert small.n_rows <= case.n_rows
        assert small.n_rows >= min(case.n_rows, 10 * case.n_components * case.n_features)


def test_no_true_covariance_is_near_the_floor():
    """Else mixtura's floor acts, and packages no longer do the same work."""
    for name in MAIN:
        truth = CASES[name].truth()
        within = np.einsum("k,kij->ij", truth.weights, truth.covariances)
        between = np.atleast_2d(np.cov(truth.means.T, bias=True))
        root = np.linalg.inv(np.linalg.cholesky(within + between))
        least = np.linalg.eigvalsh(root @ truth.covariances @ root.T).min()
        assert least > 1e-5 or CASES[name].covariance == "diag", name


@cache
def installed(package):
    peer = PEERS[package]
    if peer.version() is None:
        pytest.skip(f"{package} is not installed")
    return peer


@pytest.mark.parametrize(
    ("package", "name"),
    [
        *(("mixtura", name) for name in MAIN),
        *(("Armadillo", name) for name in MAIN),
        *(("mclust", name) for name in ("lecture-2d", "line-1d")),  # R is slow to start
    ],
)
def test_equal_iterations_give_equal_log_likelihoods(package, name):
    case = tiny(name)
    peer, reference = installed(package), PEERS["scikit-learn"]
    X, start = case.rows(), case.start()
    results = [
        log_likelihood(X, p.fit(X, start, case.covariance, N_ITER, 1).parameters)
        for p in (peer, reference)
    ]
    assert results[0] == pytest.approx(results[1], rel=1e-8)
    assert results[0] > log_likelihood(X, start)


@pytest.mark.parametrize("package", ["mixtura", "Armadillo", "mclust"])
@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_every_shape_does_the_same_work(package, covariance):
    peer = installed(package)
    if covariance not in peer.covariances:
        pytest.skip(f"{package} has no {covariance} covariances")
    case = tiny("mid-10d")
    X, start = case.rows(), case.start()
    a, b = (
        p.fit(X, start, covariance, N_ITER, 1).parameters for p in (peer, PEERS["scikit-learn"])
    )
    for mine, theirs in zip(a, b, strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("package", ["mixtura", "scikit-learn"])
def test_histories_count_iterations_from_the_start(package):
    case = tiny("overlap-2d")
    peer, X, start = installed(package), case.rows(), case.start()
    history = peer.fit(X, start, case.covariance, N_ITER, 1).history
    for i, value in enumerate(history[:N_ITER]):
        at = start if i == 0 else peer.fit(X, start, case.covariance, i, 1).parameters
        assert value == pytest.approx(log_likelihood(X, at), rel=1e-9)


def test_folds_are_even():
    counts = np.bincount(folds(153), minlength=FOLDS)
    assert counts.sum() == 153
    assert counts.max() - counts.min() <= 1


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """A trial of the whole command with real processes, one case of each kind."""
    path = tmp_path_factory.mktemp("benchmarks") / "results.jsonl"
    cases = ["lecture-2d", "default-fit"]
    packages = ["--packages", "mixtura", "scikit-learn"]
    chart = path.with_name("chart.svg")
    options = ["--quick", "--threads", "1", "--output", str(path), "--chart", str(chart)]
    assert main(["--cases", *cases, *packages, *options]) == 0
    assert "<svg" in chart.read_text()
    return [json.loads(text) for text in path.read_text().splitlines()]


@pytest.mark.slow
def test_every_line_is_complete(lines):
    assert {(line["case"], line["package"], line["setting"]) for line in lines} == {
        (case, *turn)
        for case in ("lecture-2d", "default-fit")
        for turn in (
            ("mixtura", "default"), ("scikit-learn", "default"), ("scikit-learn", "blas-1")
        )
    }  # fmt: skip
    for line in lines:
        assert "problem" not in line
        assert line["version"]
        assert line["machine"]["cpu"]
        assert line["threads"] == 1
        assert runner.seconds(line) is not None
        if line["question"] in ("iteration", "default"):
            assert np.isfinite(line["log_likelihood"])
            assert line["peak_memory_mb"] > 0


@pytest.mark.slow
def test_processes_agree_in_log_likelihood(lines):
    found = table.figures(lines, "lecture-2d", 1)
    assert table.same(found["scikit-learn"], found["mixtura"]) is True


def example(package, setting, short, long, log_likelihood=-100.0):
    return {
        "case": "lecture-2d", "group": "main", "question": "iteration", "threads": 2,
        "package": package, "setting": setting, "version": "1", "n_iter": 10,
        "seconds_one_iteration_fit": short, "seconds_whole_fit": long,
        "seconds_per_iteration": (long - short) / 10, "log_likelihood": log_likelihood,
        "flops_per_iteration": 4e8, "fma_peak_gflops": 100.0, "n_rows": 1_000_000,
        "machine": {
            "cpu": "a processor", "processors": 2, "memory_gb": 1.0, "system": "", "python": "",
        },
        "date": "",
    }  # fmt: skip


def test_ratios_come_from_the_least_times_and_the_better_setting():
    lines = [
        example("mixtura", "default", 0.50, 0.61),
        example("mixtura", "default", 0.51, 0.60),
        example("scikit-learn", "default", 1.0, 9.0),
        example("scikit-learn", "blas-1", 1.0, 5.0),
        example("Armadillo", "default", 1.0, 1.5, log_likelihood=-101.0),
    ]
    found = table.figures(lines, "lecture-2d", 2)
    assert found["mixtura"].seconds == pytest.approx(0.01)
    assert found["scikit-learn"].setting == "blas-1"
    text = table.markdown(lines)
    row = next(line for line in text.splitlines() if line.startswith("| lecture-2d"))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    head = next(line for line in text.splitlines() if line.startswith("| case"))
    names = [cell.strip() for cell in head.split("|")[1:-1]]
    values = dict(zip(names, cells, strict=True))
    assert values["over scikit-learn"] == "40x"
    assert values["over the best other"] == "5x"
    assert values["of FMA peak"] == "0.40"
    assert values["same log-likelihood"] == "but Armadillo +1e-02"


def test_a_package_that_fails_is_named():
    broken = {**example("mclust", "default", 1, 2), "problem": "no memory"}
    for name in ("seconds_per_iteration", "seconds_one_iteration_fit", "seconds_whole_fit"):
        del broken[name]
    assert "lecture-2d, mclust (default): no memory" in table.markdown([broken])


def test_targets_are_found_in_the_histories(monkeypatch):
    histories = {"mixtura": [-9.0, -5.0, -1.0], "scikit-learn": [-9.0, -8.0, -7.0]}
    monkeypatch.setattr(
        runner, "_ask", lambda plan, package, *rest: {"history": histories[package]}
    )
    plan = runner.Plan([], [], [1], say=lambda text: None)
    turns = [("mixtura", "default"), ("scikit-learn", "default")]
    goals = runner._goals(plan, CASES["overlap-2d"], Path(), turns, 1)
    assert goals == {turns[0]: 2, turns[1]: None}


@pytest.mark.parametrize("name", ["overlap-2d", "small-cv", "import", "tiny"])
def test_every_question_gets_its_figure(name, tmp_path):
    case = CASES[name].smaller(100)
    case.rows().tofile(tmp_path / "rows")
    job = {
        "package": "mixtura", "setting": "default", "case": name, "rows": str(tmp_path / "rows"),
        "threads": 1, "budget": 0.0, "shrink": 100, "n_iter": 3, "sizes": 2, "passes": 2,
        "check": False,
    }  # fmt: skip
    line = {"case": name, **worker.measure(job)}
    assert runner.seconds(line) > 0 or name == "tiny"  # a difference of two very short times
    if name == "small-cv":
        # three groups: two components describe the rows better than one
        assert line["chosen"] == 2
        assert line["held_out_best"] == line["held_out"][1] > line["held_out"][0]


def test_questions_are_answered_by_somebody():
    cases = runner.ALL_CASES.values()
    for case in cases:
        assert any(peer.supports(case) for peer in PEERS.values()), case.name
    assert {case.question for case in cases} == set(Question)
    assert isinstance(CASES["tiny"].start(), Parameters)
