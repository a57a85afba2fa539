"""The reference data are what they claim: recomputed from the rows, or certified."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import bernoulli, multinomial, norm, poisson

from tests import nist, reference

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_every_data_file_is_listed_and_has_a_kind() -> None:
    on_disk = {path.stem for path in reference.FOLDER.glob("*.csv")}
    assert on_disk == set(reference.names())
    by_kind = [name for kind in get_args(reference.Kind) for name in reference.names(kind)]
    assert sorted(by_kind) == sorted(on_disk)


@pytest.mark.parametrize("name", reference.names())
def test_rows_have_the_size_that_r_saw(name: str) -> None:
    data = reference.load(name)
    assert data.X.shape == (data.raw["n"], data.raw["d"])
    assert len(data.columns) == data.X.shape[1]
    assert np.isfinite(data.X).all()
    assert not data.X.flags.writeable
    assert data.labels is None or data.labels.shape == (len(data.X),)
    assert data.weight is None or (data.weight > 0).all()


@pytest.mark.parametrize("name", reference.names("gaussian"))
def test_one_gaussian_follows_from_the_rows(name: str) -> None:
    data = reference.load(name)
    found, (n, d) = data.one_gaussian, data.X.shape
    deviation = data.X - data.X.mean(axis=0)
    covariance = deviation.T @ deviation / n
    np.testing.assert_allclose(found.mean, data.X.mean(axis=0), rtol=1e-13)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(found.covariance / scale, covariance / scale, atol=1e-13)
    log_det = np.linalg.slogdet(covariance)[1]
    loglik = -n / 2 * (d * np.log(2 * np.pi) + log_det + d)
    assert found.loglik == pytest.approx(loglik, rel=1e-12)
    assert found.df == d + d * (d + 1) // 2


@pytest.mark.parametrize("name", reference.names("gaussian"))
def test_partitions_fill_every_component(name: str) -> None:
    data = reference.load(name)
    for K in data.raw["G"]:
        partition = data.initial_partition(K)
        assert partition.shape == (len(data.X),)
        np.testing.assert_array_equal(np.unique(partition), np.arange(K))
        assert {fit.model for fit in data.fits if fit.n_components == K} == set(data.raw["models"])
    assert data.fit(data.best_bic.model, data.best_bic.n_components).bic == data.best_bic.bic


def _component_logpdf(data: reference.Reference, optimum: reference.Optimum) -> Any:
    """Log density (n, K) of the rows under each component, by scipy.stats."""
    p = optimum.parameters
    if data.kind == "count":
        return poisson.logpmf(data.X, p["rate"])
    if data.kind == "binary":
        each = bernoulli.logpmf(data.X.astype(int)[:, None], p["theta"][None])
        return each.sum(axis=2)
    if data.kind == "categorical":
        totals = data.X.sum(axis=1)
        # `theta` sums to 1 only within the 15 digits of the file.
        theta = p["theta"] / p["theta"].sum(axis=1, keepdims=True)
        return np.stack([multinomial.logpmf(data.X, totals, row) for row in theta], axis=1)
    response = data.raw["regression_mixture"]["response"]
    design = np.delete(data.X, data.columns.index(response), axis=1)
    y = data.X[:, [data.columns.index(response)]]
    fitted = np.column_stack([np.ones(len(design)), design]) @ p["coefficients"].T
    return norm.logpdf(y, fitted, p["sd"])


@pytest.mark.parametrize(
    "name", [n for n in reference.names() if n not in reference.names("gaussian")]
)
def test_log_likelihoods_follow_from_the_parameters(name: str) -> None:
    data = reference.load(name)
    w = np.ones(len(data.X)) if data.weight is None else data.weight
    assert len(data.optima) >= 2
    for K, optimum in data.optima.items():
        assert optimum.weights.shape == (K,)
        assert optimum.weights.sum() == pytest.approx(1, abs=1e-13)
        joint = _component_logpdf(data, optimum) + np.log(optimum.weights)
        assert w @ logsumexp(joint, axis=1) == pytest.approx(optimum.loglik, rel=1e-11)


def test_the_example_is_old_faithful() -> None:
    with (EXAMPLES / "faithful.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["eruptions", "waiting"]
    np.testing.assert_array_equal(np.array(rows, dtype=float), reference.load("faithful").X)


@pytest.mark.parametrize("name", nist.NAMES)
def test_nist_rows_have_the_certified_values(name: str) -> None:
    """Without rounding, all printed digits of the three certified values come out.

    The autocorrelation proves the order of the rows too.
    """
    data = nist.load(name)
    certified = data.certified
    assert len(data.exact) == certified.n
    mean, sd, autocorrelation = nist.exact_moments(data.exact)
    for found, printed in (
        (mean, certified.mean),
        (Fraction(sd), certified.sd),
        (autocorrelation, certified.autocorrelation),
    ):
        last_digit = Fraction(1, 10 ** len(printed.partition(".")[2]))
        assert abs(found - Fraction(printed)) <= last_digit / 2
    # Converting the certified sd from n - 1 to n loses nothing that counts.
    n = certified.n
    assert data.variance_ml == pytest.approx(float(sd) ** 2 * (n - 1) / n, rel=1e-14)


@pytest.mark.parametrize("name", nist.NAMES)
def test_nist_pass_marks_can_be_reached(name: str) -> None:
    data = nist.load(name)
    assert nist.ceiling(data) >= data.certified.sd_digits
    # NumPy's two passes are a well-made algorithm, so they must pass.
    assert nist.digits(float(data.x.mean()), data.certified.mean) >= data.certified.mean_digits
    assert nist.digits(float(data.x.std(ddof=1)), data.certified.sd) >= data.certified.sd_digits


@pytest.mark.parametrize("name", ["NumAcc3", "NumAcc4"])
def test_nist_pass_marks_catch_squares_about_zero(name: str) -> None:
    data = nist.load(name)
    variance = float((data.x**2).mean() - data.x.mean() ** 2)
    sd = np.sqrt(max(variance, 0.0) * len(data.x) / (len(data.x) - 1))
    assert nist.digits(float(sd), data.certified.sd) < 3


def test_digits_counts_correct_ones() -> None:
    assert nist.digits(1.001, "1") == pytest.approx(3, abs=1e-9)
    assert nist.digits(0.1, "0.1") == np.inf
    assert nist.digits(float("nan"), "0.1") == -np.inf
