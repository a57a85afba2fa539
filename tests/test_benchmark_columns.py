"""Benchmark cases of counts, categories and real numbers: the same work for every package."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import worker
from benchmarks.columns import (
    COLUMN_CASES,
    N_LEVELS,
    ColumnParameters,
    column_log_likelihood,
)
from benchmarks.peers import PEERS
from scipy import stats


def densities(x, kind, p):
    """Density of one column under each component, (n, K), by SciPy."""
    if kind == "count":
        return stats.poisson(p[:, 0]).pmf(x[:, None])
    if kind == "real":
        return stats.norm(p[:, 0], p[:, 1]).pdf(x[:, None])
    return p.T[x.astype(int)]


def one_iteration(X, kinds, at):
    """EM by its definition, with the log-likelihood before it."""
    terms = [densities(x, *rest) for x, *rest in zip(X.T, kinds, at.columns, strict=True)]
    joint = at.weights * np.prod(terms, axis=0)
    R = joint / joint.sum(axis=1, keepdims=True)
    n = R.sum(axis=0)
    columns = []
    for x, kind in zip(X.T, kinds, strict=True):
        mean = R.T @ x / n
        if kind == "count":
            columns.append(mean[:, None])
        elif kind == "real":
            spread = (R * (x[:, None] - mean) ** 2).sum(axis=0) / n
            columns.append(np.stack([mean, np.sqrt(spread)], axis=1))
        else:
            columns.append(R.T @ np.eye(N_LEVELS)[x.astype(int)] / n[:, None])
    return np.log(joint.sum(axis=1)).sum(), ColumnParameters(n / len(X), tuple(columns))


@pytest.mark.parametrize("name", COLUMN_CASES)
def test_iterations_are_those_of_the_definition(name):
    case = COLUMN_CASES[name].smaller(10**9)
    X, at = case.rows(), case.start_columns()
    for _ in range(2):
        before = column_log_likelihood(X, case.kinds, at)
        loglik, at = one_iteration(X, case.kinds, at)
        assert before == pytest.approx(loglik, rel=1e-12)
    run = PEERS["mixtura"].fit_columns(X, case.kinds, case.start_columns(), 2, 1)
    np.testing.assert_allclose(run.parameters.weights, at.weights, rtol=1e-9)
    for got, expected in zip(run.parameters.columns, at.columns, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", COLUMN_CASES)
def test_rows_follow_the_truth(name):
    case = COLUMN_CASES[name].smaller(50)
    X, truth = case.rows(), case.true_columns()
    for x, kind, p in zip(X.T, case.kinds, truth.columns, strict=True):
        if kind == "category":
            expected = truth.weights @ p
            found = np.bincount(x.astype(int), minlength=N_LEVELS) / len(x)
            assert np.abs(found - expected).max() < 5 * 0.5 / np.sqrt(len(x))
        else:
            error = (x.mean() - truth.weights @ p[:, 0]) / (x.std() / np.sqrt(len(x)))
            assert abs(error) < 5
    assert np.array_equal(X, case.rows())


def test_a_worker_measures_them(tmp_path):
    case = COLUMN_CASES["product-10"].smaller(10**4)
    case.rows().tofile(tmp_path / "rows")
    job = {
        "package": "mixtura", "setting": "default", "case": "product-10",
        "rows": str(tmp_path / "rows"), "threads": 1, "budget": 0.0, "shrink": 10**4,
        "n_iter": 2, "sizes": None, "passes": None, "check": True,
    }  # fmt: skip
    line = worker.measure(job)
    before = column_log_likelihood(case.rows(), case.kinds, case.start_columns())
    assert line["log_likelihood"] > before
    assert line["seconds_whole_fit"] > 0


def test_packages_are_asked_for_what_they_have():
    able = {
        name: {peer for peer in ("mixtura", "pomegranate", "StepMix") if PEERS[peer].supports(case)}
        for name, case in COLUMN_CASES.items()
    }
    assert able == {
        "poisson-10": {"mixtura", "pomegranate"},
        "categorical-10": {"mixtura", "pomegranate", "StepMix"},
        "product-10": {"mixtura", "StepMix"},
        "product-counts-10": {"mixtura", "pomegranate"},
    }
    assert not any(PEERS["scikit-learn"].supports(case) for case in COLUMN_CASES.values())
