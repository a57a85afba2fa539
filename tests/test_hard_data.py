"""Data that break careless arithmetic: odd units, huge ranges, repeated and collinear rows."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import Local, Mixture, as_source, fit_mixture
from mixtura.errors import DataError, MixturaWarning, SupportError
from mixtura.families import Gaussian, Poisson
from tests.cases import COLUMN_SCALES, full_covariances

ALONE = Local(1)
#: Shapes that any change of the columns' units leaves what they are.
FREE_UNITS = ("EEE", "VEE", "EVV", "VVV", *COLUMN_SCALES)


def groups(seed=0, n_rows=300, d=3):
    rng = np.random.default_rng(seed)
    labels = np.arange(n_rows) % 3
    return rng.normal(size=(n_rows, d)) + 5 * rng.normal(size=(3, d))[labels], labels


# -- units -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", FREE_UNITS)
@pytest.mark.parametrize("scales", [(1e-6, 1.0, 1e6), (1e-8, 1.0, 1e8), (1e-150, 1e3, 1e150)])
def test_units_of_the_columns_do_not_matter(shape, scales):
    """Responsibilities stay, the log-likelihood moves by -n sum log s."""
    X, _ = groups()
    Y = X * scales + np.array([0.0, 7.0, 0.0])
    a, b = (
        fit_mixture(Gaussian(3, shape), as_source(rows), 3, seed=1, executor=ALONE, max_iter=200)
        for rows in (X, Y)
    )
    np.testing.assert_allclose(
        b.mixture.responsibilities(Y), a.mixture.responsibilities(X), atol=1e-5
    )
    jump = -len(X) * np.log(scales).sum()
    assert b.log_likelihood == pytest.approx(a.log_likelihood + jump, abs=1e-3)


@pytest.mark.parametrize("shape", FREE_UNITS)
def test_one_step_in_other_units_is_the_same_to_many_digits(shape):
    X, labels = groups()
    scales = np.array([1e-6, 1.0, 1e6])
    Y = X * scales
    a, b = (
        fit_mixture(Gaussian(3, shape), as_source(rows), 3, start=labels, max_iter=1)
        for rows in (X, Y)
    )
    np.testing.assert_allclose(
        b.mixture.responsibilities(Y), a.mixture.responsibilities(X), atol=1e-9
    )
    jump = -len(X) * np.log(scales).sum()
    assert b.log_likelihood == pytest.approx(a.log_likelihood + jump, rel=1e-10)


@pytest.mark.parametrize("shape", ["VVV", "EEE", "VVI", "VII", "VEV"])
@pytest.mark.parametrize("power", [-600, 600])
def test_powers_of_two_scale_everything_exactly(shape, power):
    """Squares of these rows leave the range of doubles."""
    X, _ = groups()
    Y = np.ldexp(X, power)
    a, b = (fit_mixture(Gaussian(3, shape), as_source(rows), 3, executor=ALONE) for rows in (X, Y))
    np.testing.assert_array_equal(b.mixture.predict(Y), a.mixture.predict(X))
    np.testing.assert_array_equal(b.mixture.means, np.ldexp(a.mixture.means, power))
    np.testing.assert_array_equal(b.mixture.weights, a.mixture.weights)
    jump = -X.size * power * np.log(2.0)
    assert b.log_likelihood == pytest.approx(a.log_likelihood + jump, rel=1e-12)


# -- far rows ----------------------------------------------------------------------------------


def test_a_row_a_million_sd_away_by_hand():
    family = Gaussian(1)
    params = family.params(np.zeros((2, 1)), np.array([[[1.0]], [[4.0]]]))
    mixture = Mixture(family, np.array([0.5, 0.5]), params)
    found = mixture.log_density(np.array([[1e6]]))[0]
    truth = np.log(0.5) - 0.5 * np.log(2 * np.pi) - np.log(2) - 1e12 / 8
    assert found == pytest.approx(truth, rel=1e-15)


# -- rows that say too little ------------------------------------------------------------------


@pytest.mark.parametrize("n_components", [1, 2])
def test_fewer_distinct_rows_than_components(n_components):
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 50, axis=0)
    with pytest.raises(DataError, match=r"\[E204\] 2 distinct rows for 5 components"):
        fit_mixture(Gaussian(2), as_source(X), 5)
    with pytest.warns(MixturaWarning, match="W205"):
        fitted = fit_mixture(Gaussian(2), as_source(X), n_components)
    assert np.isfinite(fitted.log_likelihood)
    np.testing.assert_allclose(fitted.mixture.weights, 1 / n_components, rtol=1e-9)


def test_collinear_columns_are_told_and_fitted():
    rng = np.random.default_rng(0)
    a, b, e = rng.normal(size=(3, 200))
    X = np.column_stack([a, e, b, a + b])
    pattern = r"\[W205\].*rank 3 of 4.*'x0', 'x2', 'x3'"
    with pytest.warns(MixturaWarning, match=pattern) as caught:
        fitted = fit_mixture(Gaussian(4), as_source(X), 2)
    assert "'x1'" not in str(caught[0].message)
    assert np.isfinite(fitted.log_likelihood)
    assert np.linalg.eigvalsh(full_covariances(4, fitted.mixture.params)).min() > 0
    assert any("W205" in note for note in fitted.warnings)


def test_a_value_outside_of_the_support_is_named():
    X = np.random.default_rng(0).poisson(3.0, (300, 2)).astype(float)
    X[118, 1] = -1.0
    pattern = r"\[E250\] family 'poisson' needs whole numbers >= 0; column 'x1' has -1 at row 118"
    with pytest.raises(SupportError, match=pattern):
        fit_mixture(Poisson(2), as_source(X), 2)
    X[118, 1] = 2.5
    with pytest.raises(SupportError, match=r"has 2\.5 at row 118"):
        fit_mixture(Poisson(2), as_source(X, block_rows=1024), 2)


def test_counts_that_are_all_zero_have_an_estimate():
    X = np.zeros((30, 2))
    X[:, 1] = np.arange(30) % 4
    fitted = fit_mixture(Poisson(2), as_source(X), 2)
    assert np.isfinite(fitted.log_likelihood)
    np.testing.assert_allclose(fitted.mixture.means[:, 0], 0, atol=1e-200)
