"""The faults that mixture software is known for, one test (or a few) per row of a catalogue.

Each test gives the input that brings other programs down and what has to happen instead:
never a silent wrong answer, and a message that says which row, column and component.
"""

from __future__ import annotations

import hashlib
import warnings

import numpy as np
import pytest
from scipy import linalg
from scipy.special import logsumexp
from sklearn.metrics import adjusted_rand_score

from mixtura import (
    Gaussian,
    GaussianMixture,
    GaussianParams,
    Local,
    MixturaWarning,
    Mixture,
    as_source,
)
from mixtura.errors import DataError, DegenerateComponentError, UsageError
from mixtura.start import initial as starts
from tests import oracle

#: Covariances stay above this part of the data's own covariance.
FLOOR = 1e-6


def pair(rng: np.random.Generator, n: int = 100, d: int = 2, gap: float = 4.0):
    """Rows of two unit Gaussians and the group of each row."""
    labels = np.repeat([0, 1], n)
    return rng.normal(size=(2 * n, d)) + gap * labels[:, None], labels


def least_ratio(model: GaussianMixture, X: np.ndarray) -> float:
    """Smallest eigenvalue of the covariances in units of the data's covariance."""
    whole = np.cov(X.T, bias=True)
    return min(linalg.eigh(c, whole, eigvals_only=True)[0] for c in model.covariances_)


def with_outlier(seed: int) -> np.ndarray:
    return np.vstack([np.random.default_rng(seed).normal(size=(99, 2)), [[50.0, 50.0]]])


# -- 1: a component collapses on one row -----------------------------------------------


def test_row_01_one_far_row_breaks_nothing():
    for seed in range(100):
        X = with_outlier(seed)
        model = GaussianMixture(2, random_state=seed).fit(X)
        assert np.isfinite(model.log_likelihood_)
        assert least_ratio(model, X) >= FLOOR * (1 - 1e-6)
        held = model.mixture_.family.at_boundary(model.mixture_.params)  # or it owns more rows
        notes = [note for note in model.fitted_.warnings if "sits on the covariance floor" in note]
        assert len(notes) == held.sum()


def test_row_01_raise_names_component_rows_and_remedies():
    model = GaussianMixture(2, random_state=0, on_degenerate="raise")
    with pytest.raises(
        DegenerateComponentError,
        match=r"\[E301\] component \d collapses onto 1\.0 effective rows, around row\(s\) 99:",
    ):
        model.fit(with_outlier(0))
    dropped = GaussianMixture(2, random_state=0, on_degenerate="drop").fit(with_outlier(0))
    assert dropped.n_components_ == 1
    assert any("dropped" in event for event in dropped.fitted_.events)


# -- 2 and 3: units ---------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", ["full", "tied", "diag"])
def test_row_02_units_do_not_matter(covariance):
    X, _ = pair(np.random.default_rng(0), d=3, gap=2.0)
    scale = np.array([1e-6, 1.0, 1e6])
    X2 = X * scale + 7.0
    a, b = (
        GaussianMixture(2, covariance_type=covariance, random_state=0).fit(rows) for rows in (X, X2)
    )
    np.testing.assert_allclose(b.predict_proba(X2), a.predict_proba(X), atol=1e-9)
    expected = a.log_likelihood_ - len(X) * np.log(scale).sum()
    assert b.log_likelihood_ == pytest.approx(expected, rel=1e-10)


def test_row_03_an_unscaled_column_does_not_hide_the_groups():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        labels = np.repeat([0, 1], 100)
        X = np.column_stack([rng.normal(size=200) + 10 * labels, 1000 * rng.normal(size=200)])
        model = GaussianMixture(2, random_state=seed).fit(X)
        assert adjusted_rand_score(labels, model.predict(X)) >= 0.99


# -- 4 to 7: too little data -----------------------------------------------------------


def test_row_04_fewer_distinct_rows_than_components():
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 50, axis=0)
    with pytest.raises(DataError, match=r"\[E204\] 2 distinct rows for 5 components"):
        GaussianMixture(5).fit(X)
    with pytest.warns(MixturaWarning, match="W205.*rank 1 of 2"):
        model = GaussianMixture(2, random_state=0).fit(X)
    np.testing.assert_allclose(model.weights_, [0.5, 0.5])
    np.testing.assert_allclose(sorted(model.means_[:, 0]), [0.0, 1.0], atol=1e-12)
    assert np.isfinite(model.score_samples(X)).all()
    assert np.isfinite(model.covariances_).all()


def test_row_05_a_constant_column_is_named():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=50), "b": rng.normal(size=50), "c": 3.0})
    message = r"\[E203\] column 'c' is constant \(value 3 in all 50 rows\).*--drop 'c'"
    with pytest.raises(DataError, match=message):
        GaussianMixture(2).fit(frame)
    model = GaussianMixture(2, reg_covar=1e-3, random_state=0).fit(frame)  # as in scikit-learn
    np.testing.assert_allclose(model.covariances_[:, 2, 2], 1e-3)


def test_row_05_collinear_columns_are_said_and_fitted():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(100, 3)), columns=["a", "b", "c"])
    frame["d"] = frame["a"] + frame["b"]
    with pytest.warns(MixturaWarning, match=r"W205.*rank 3 of 4 .*among 'a', 'b', 'd'"):
        model = GaussianMixture().fit(frame)
    assert np.isfinite(model.log_likelihood_)
    assert any("W205" in note for note in model.fitted_.warnings)


def test_row_06_fewer_rows_than_components():
    X = np.random.default_rng(0).normal(size=(3, 2))
    with pytest.raises(DataError, match=r"\[E202\] 3 row\(s\) for 5 components") as caught:
        GaussianMixture(5).fit(X)
    assert caught.value.exit_code == 3
    with pytest.raises(DataError, match=r"\[E202\] 1 row .*at least 2 rows"):
        GaussianMixture().fit(X[:1])


def test_row_07_fewer_rows_than_columns():
    X = np.random.default_rng(0).normal(size=(8, 10))
    message = r"\[E302\] covariance 'full' is singular with 8 rows in 10 dimensions"
    with pytest.raises(DegenerateComponentError, match=message):
        GaussianMixture(on_degenerate="raise").fit(X)
    model = GaussianMixture().fit(X)
    assert np.isfinite(model.log_likelihood_)
    assert any("covariance floor" in note for note in model.fitted_.warnings)
    diagonal = GaussianMixture(covariance_type="diag", on_degenerate="raise").fit(X)
    np.testing.assert_allclose(diagonal.covariances_[0], X.var(axis=0), rtol=1e-13)


# -- 8 and 9: components without rows, starts that fail --------------------------------


@pytest.fixture
def far_start():
    """A start whose third component is a million away from all rows."""
    return {
        "weights_init": np.full(3, 1 / 3),
        "means_init": [[0.0, 0.0], [4.0, 4.0], [1e6, 1e6]],
        "precisions_init": np.repeat(np.eye(2)[None], 3, axis=0),
    }


def test_row_08_an_empty_component_is_dropped(far_start):
    X, _ = pair(np.random.default_rng(0))
    model = GaussianMixture(3, **far_start, on_degenerate="drop").fit(X)
    assert model.n_components_ == 2
    assert len(model.means_) == len(model.weights_) == 2
    assert model.weights_.sum() == pytest.approx(1.0, abs=1e-15)
    assert model.fitted_.events == ("iteration 1: component 2 dropped, it had 0 effective rows",)


def test_row_08_an_empty_component_starts_anew_at_the_worst_row(far_start):
    X, _ = pair(np.random.default_rng(0))
    model = GaussianMixture(3, **far_start).fit(X)
    assert model.n_components_ == 3
    assert model.fitted_.events[0].startswith("iteration 1: component 2 reseeded")
    low, high = X.min(axis=0), X.max(axis=0)
    assert ((model.means_ >= low) & (model.means_ <= high)).all()
    assert np.isfinite(model.covariances_).all()
    assert (model.weights_ > 0).all()


def test_row_08_an_empty_component_is_refused_on_request(far_start):
    X, _ = pair(np.random.default_rng(0))
    with pytest.raises(DegenerateComponentError, match=r"\[E303\] component 2 is empty \(weight 0"):
        GaussianMixture(3, **far_start, on_degenerate="raise").fit(X)


@pytest.fixture
def fail_starts(monkeypatch):
    """Make the first starts of a fit fail, however many."""

    def fail(n_failing: int) -> None:
        making, calls = starts.from_partition, []

        def from_partition(*args):
            calls.append(args)
            if len(calls) <= n_failing:
                raise linalg.LinAlgError("eigenvalues did not converge")
            return making(*args)

        monkeypatch.setattr(Gaussian, "runner", lambda self: None, raising=False)
        monkeypatch.setattr(starts, "from_partition", from_partition)

    return fail


@pytest.mark.parametrize("n_failing", [1, 9])
def test_row_09_failing_starts_are_passed_over(fail_starts, n_failing):
    X, labels = pair(np.random.default_rng(0), gap=8.0)
    fail_starts(n_failing)
    model = GaussianMixture(2, n_init=10, random_state=0).fit(X)
    assert adjusted_rand_score(labels, model.predict(X)) == 1.0
    assert model.fitted_.warnings == ()


def test_row_09_the_last_resort_is_said(fail_starts):
    X, _ = pair(np.random.default_rng(0), gap=8.0)
    fail_starts(10)
    with pytest.warns(MixturaWarning, match=r"W230.*'hierarchical'.*eigenvalues did not converge"):
        model = GaussianMixture(2, n_init=10, random_state=0).fit(X)
    assert np.isfinite(model.log_likelihood_)
    assert any("W230" in note for note in model.fitted_.warnings)


def test_row_09_a_partition_without_rows_for_a_component_is_no_start():
    X, _ = pair(np.random.default_rng(0))
    one_sided = np.column_stack([np.ones(len(X)), np.zeros(len(X))])
    with pytest.raises(DegenerateComponentError, match=r"E303\] component 1 is empty"):
        starts.from_partition(Gaussian(2), as_source(X), one_sided, Local())


# -- 10 to 12: values that are no measurements -----------------------------------------


def test_row_10_text_is_refused_and_codes_are_pointed_out():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(100, 2)), columns=["a", "b"])
    frame["species"] = np.array(["cat", "dog"])[rng.integers(0, 2, 100)]
    frame["when"] = pd.Timestamp("2020-01-01")
    frame["ok"] = rng.random(100) > 0.5
    message = r"\[E201\] 3 column\(s\) are not numeric: 'species' \(text\), 'when' \(date\), 'ok'"
    with pytest.raises(DataError, match=message):
        GaussianMixture(2).fit(frame)
    coded = frame[["a", "b"]].assign(grade=rng.integers(1, 5, 100))
    with pytest.warns(MixturaWarning, match="W206.*'grade'.*4 levels"):
        model = GaussianMixture(1).fit(coded)
    assert model.means_[0, 2] == pytest.approx(coded["grade"].mean(), rel=1e-14)


def test_row_11_missing_values_are_counted_or_dropped():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 4))
    X[rng.random(X.shape) < 0.05] = np.nan
    frame = pd.DataFrame(X, columns=list("abcd"))
    counts = np.isnan(X).sum(axis=0)
    row, j = np.argwhere(np.isnan(X))[0]
    expected = ", ".join(f"'{name}' {n}" for name, n in zip("abcd", counts, strict=True))
    with pytest.raises(DataError) as caught:
        GaussianMixture().fit(frame)
    assert "[E210] missing values (NaN) in 4 column(s) of 1000 rows" in str(caught.value)
    assert expected in str(caught.value)
    assert f"the first is in column '{'abcd'[j]}' at row {row}" in str(caught.value)
    whole = X[~np.isnan(X).any(axis=1)]
    with pytest.warns(MixturaWarning, match=rf"W210\] {1000 - len(whole)} of 1000 rows"):
        model = GaussianMixture(missing="drop").fit(frame)
    assert model.fitted_.n_rows == len(whole)
    assert len(whole) == pytest.approx(1000 * 0.95**4, rel=0.05)
    np.testing.assert_allclose(model.means_[0], whole.mean(axis=0), rtol=1e-12)
    with pytest.raises(DataError, match="E210"):
        model.predict(frame)
    frame["b"] = np.nan
    with pytest.raises(DataError, match=r"\[E211\] column\(s\) 'b' hold no value at all"):
        GaussianMixture().fit(frame)


def test_row_11_given_starts_must_match_the_rows_that_are_left():
    X, labels = pair(np.random.default_rng(0), gap=8.0)
    X[3, 1] = np.nan
    model = GaussianMixture(2, start=labels, missing="drop")
    with pytest.raises(UsageError, match=r"labels \(199,\).* for the rows left of 200"):
        model.fit(X)
    with pytest.warns(MixturaWarning, match="W210"):
        GaussianMixture(2, missing="drop").fit(X, labels=labels)  # labels are dropped along
    model.set_params(start=np.delete(labels, 3))
    with pytest.warns(MixturaWarning, match="W210"):
        model.fit(X)
    assert adjusted_rand_score(np.delete(labels, 3), model.predict(np.delete(X, 3, axis=0))) == 1.0


def test_row_12_an_infinite_value_is_found_in_its_file(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rng = np.random.default_rng(0)
    for name, n in (("1", 100), ("2", 200), ("3", 100_000)):
        a, b = rng.normal(size=(2, n))
        if name == "3":
            b[70_001] = -np.inf
        pq.write_table(pa.table({"a": a, "b": b}), tmp_path / f"part{name}.parquet")
    with pytest.raises(DataError) as caught:
        GaussianMixture().fit(tmp_path)
    text = str(caught.value)
    assert "[E212] infinite values (inf) in 1 column(s): 'b' 1" in text
    assert "-inf in column 'b' at row 70301" in text
    assert "part3.parquet" in text
    assert "70001" in text
    assert caught.value.exit_code == 3


# -- 13 to 16: floating-point numbers --------------------------------------------------


def test_row_13_float32_does_not_cancel():
    X = np.array([[9999.0], [0.0]], dtype=np.float32)
    model = GaussianMixture(2, covariance_type="spherical", random_state=0).fit(X)
    floor = FLOOR * 4999.5**2  # of the data's own variance
    np.testing.assert_allclose(model.covariances_, floor, rtol=1e-9)
    np.testing.assert_array_equal(np.sort(model.means_.ravel()), [0.0, 9999.0])


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_row_14_a_huge_offset_changes_nothing(covariance):
    z = np.random.default_rng(0).normal(size=(2000, 2))
    X = z + 1e8
    model = GaussianMixture(covariance_type=covariance).fit(X)
    rounded = X - 1e8  # exact: what the rows really hold
    expected = np.cov((rounded - rounded.mean(axis=0)).T, bias=True)
    variances = {
        "full": lambda: np.diagonal(model.covariances_[0]),
        "tied": lambda: np.diagonal(model.covariances_),
        "diag": lambda: model.covariances_[0],
        "spherical": lambda: model.covariances_,
    }[covariance]()
    target = np.diagonal(expected)
    np.testing.assert_allclose(
        variances, target.mean() if covariance == "spherical" else target, rtol=1e-9
    )
    z[:1000] += 4.0
    here = GaussianMixture(2, covariance_type=covariance, random_state=0).fit(z)
    there = GaussianMixture(2, covariance_type=covariance, random_state=0).fit(z + 1e8)
    np.testing.assert_array_equal(there.predict(z + 1e8), here.predict(z))
    np.testing.assert_allclose(there.covariances_, here.covariances_, atol=1e-3)  # both converged


def test_row_15_columns_of_very_different_size():
    X, _ = pair(np.random.default_rng(0), d=3, gap=2.0)
    scale = np.array([1e-8, 1.0, 1e8])
    a = GaussianMixture(2, random_state=0).fit(X)
    b = GaussianMixture(2, random_state=0).fit(X * scale)
    np.testing.assert_allclose(b.predict_proba(X * scale), a.predict_proba(X), atol=1e-9)
    ratio = b.covariances_ / (scale[:, None] * scale)
    np.testing.assert_allclose(ratio, a.covariances_, rtol=1e-6)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("exponent", [-600, 600])
def test_row_16_squares_may_leave_the_range_of_numbers(covariance, exponent):
    X, labels = pair(np.random.default_rng(0), d=3)
    small_or_large = np.ldexp(X, exponent)
    a = GaussianMixture(2, covariance_type=covariance, random_state=0).fit(X)
    b = GaussianMixture(2, covariance_type=covariance, random_state=0).fit(small_or_large)
    np.testing.assert_array_equal(b.predict(small_or_large), a.predict(X))
    np.testing.assert_array_equal(b.predict_proba(small_or_large), a.predict_proba(X))
    np.testing.assert_array_equal(b.means_, np.ldexp(a.means_, exponent))
    np.testing.assert_array_equal(
        b.precisions_cholesky_, np.ldexp(a.precisions_cholesky_, -exponent)
    )
    expected = a.log_likelihood_ - X.size * exponent * np.log(2.0)
    assert b.log_likelihood_ == pytest.approx(expected, rel=1e-13)
    assert adjusted_rand_score(labels, a.predict(X)) > 0.99


# -- 17 and 18: densities --------------------------------------------------------------


def test_row_17_rows_far_from_every_component():
    family = Gaussian(1, "diag")
    params = family.params(np.array([[0.0], [5.0]]), np.ones((2, 1)))
    mixture = Mixture(family, np.array([0.5, 0.5]), params)
    X = np.array([[-1e6], [1e6], [1e150]])
    expected = [-0.5e12, -0.5 * (1e6 - 5.0) ** 2]
    np.testing.assert_allclose(mixture.log_density(X[:2]), expected, rtol=1e-11)
    R = mixture.responsibilities(X)
    np.testing.assert_array_equal(R.sum(axis=1), 1.0)
    np.testing.assert_array_equal(R[:2], [[1.0, 0.0], [0.0, 1.0]])
    assert np.isfinite(mixture.log_density(X)).all()


def test_row_17_sixty_columns_keep_their_posteriors():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 300)
    X = rng.normal(size=(600, 60)) + 3.0 * labels[:, None]
    for seed in range(5):
        model = GaussianMixture(2, random_state=seed).fit(X)
        assert adjusted_rand_score(labels, model.predict(X)) == 1.0
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-15)


@pytest.mark.parametrize("digits", range(0, 15, 2))
@pytest.mark.parametrize("d", [2, 6])
def test_row_18_log_densities_of_ill_conditioned_covariances(d, digits):
    rng = np.random.default_rng([d, digits])
    condition = 10.0**digits
    covariance = oracle.covariance_with_condition(rng, d, condition)
    mean = rng.normal(size=d)
    X = mean + rng.normal(size=(20, d)) @ linalg.cholesky(covariance, lower=True).T
    reference = np.array([float(value) for value in oracle.log_density_mpmath(X, mean, covariance)])
    for covariance_type, own in (("full", covariance[None]), ("tied", covariance[None])):
        family = Gaussian(d, covariance_type)
        found = family.log_density(family.params(mean[None], own), X)[:, 0]
        assert np.abs(found - reference).max() <= 1e-12 * condition


def test_row_18_a_covariance_that_is_none_is_refused():
    family = Gaussian(2)
    with pytest.raises(DegenerateComponentError, match=r"\[E304\] component 1: the covariance"):
        family.params(np.zeros((2, 2)), np.array([np.eye(2), [[1.0, 2.0], [2.0, 1.0]]]))
    assert isinstance(family.params(np.zeros((1, 2)), np.eye(2)[None]), GaussianParams)


# -- 26: row weights -------------------------------------------------------------------


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_row_26_weights_are_repetitions(covariance):
    rng = np.random.default_rng(0)
    X, labels = pair(rng, gap=3.0)
    w = rng.integers(0, 5, len(X)).astype(float)
    given = {"covariance_type": covariance, "start": labels}
    weighted = GaussianMixture(2, **given).fit(X, sample_weight=w)
    times = w.astype(int)
    given["start"] = np.repeat(labels, times)
    repeated = GaussianMixture(2, **given).fit(np.repeat(X, times, axis=0))
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, rel=1e-12)
    assert weighted.fitted_.bic == pytest.approx(repeated.fitted_.bic, rel=1e-12)
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-10)
    np.testing.assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-10)
    given["start"] = labels[times > 0]
    absent = GaussianMixture(2, **given).fit(X[times > 0], sample_weight=w[times > 0])
    np.testing.assert_allclose(absent.means_, weighted.means_, rtol=1e-10)
    given["start"] = labels
    scaled = GaussianMixture(2, **given).fit(X, sample_weight=w * 1e-3)
    np.testing.assert_allclose(scaled.means_, weighted.means_, rtol=1e-8)
    np.testing.assert_allclose(scaled.covariances_, weighted.covariances_, rtol=1e-7)


def test_row_26_wrong_weights_are_refused():
    X = np.random.default_rng(0).normal(size=(10, 2))
    model = GaussianMixture()
    for w, words in (
        (np.ones(9), r"shape \(9,\) for 10 rows"),
        (np.ones((10, 2)), r"shape \(10, 2\) for 10 rows"),
        (np.r_[np.ones(9), -1.0], r"the value at row 9 is -1\.0"),
        (np.r_[np.ones(9), np.nan], "the value at row 9 is nan"),
        (np.r_[np.ones(9), np.inf], "the value at row 9 is inf"),
        (np.zeros(10), "all are zero"),
        (["a"] * 10, "not numeric"),
    ):
        with pytest.raises(DataError, match=rf"\[E220\] row weights: .*{words}"):
            model.fit(X, sample_weight=w)
    model.fit(X)
    with pytest.raises(DataError, match="E220"):
        model.score(X, sample_weight=np.ones(9))


def test_row_26_mixing_weights_must_sum_to_one():
    X = np.random.default_rng(0).normal(size=(10, 2))
    with pytest.raises(UsageError, match=r"weights_init=.*sum to one"):
        GaussianMixture(2, weights_init=[0.5, 0.6]).fit(X)


# -- 44: names and order at prediction -------------------------------------------------


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_row_44_columns_are_found_by_name(library):
    module = pytest.importorskip(library)
    X, _ = pair(np.random.default_rng(0), d=3)
    X = X * [1.0, 10.0, 100.0]

    def frame(names):
        columns = {name: X[:, "abc".index(name)] if name in "abc" else X[:, 0] for name in names}
        return module.table(columns) if library == "pyarrow" else module.DataFrame(columns)

    model = GaussianMixture(2, random_state=0).fit(frame("abc"))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    expected = model.score_samples(frame("abc"))
    for names in ("cab", "bzac"):
        np.testing.assert_array_equal(model.score_samples(frame(names)), expected)
        np.testing.assert_array_equal(model.predict(frame(names)), model.predict(frame("abc")))
        assert model.bic(frame(names)) == model.bic(frame("abc"))
    with pytest.raises(DataError, match=r"\[E240\] column\(s\) 'c' not in the data, which has"):
        model.predict(frame("abz"))


def test_row_44_arrays_need_the_same_width():
    X = np.random.default_rng(0).normal(size=(50, 3))
    model = GaussianMixture().fit(X)
    message = r"\[E241\] X has 2 features, but GaussianMixture is expecting 3 features"
    for use in (model.predict, model.score_samples, model.score, model.bic, model.predict_proba):
        with pytest.raises(DataError, match=message):
            use(X[:, :2])


def test_row_44_arrays_after_frames_get_scikit_learns_warning():
    pd = pytest.importorskip("pandas")
    X = np.random.default_rng(0).normal(size=(50, 3))
    model = GaussianMixture().fit(pd.DataFrame(X, columns=list("abc")))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        found = model.score_samples(X)
    np.testing.assert_array_equal(found, model.score_samples(pd.DataFrame(X, columns=list("abc"))))


# -- 45: layouts of arrays -------------------------------------------------------------


def layouts(X: np.ndarray, folder):
    """The same whole numbers in a dozen layouts."""
    whole = X.astype(np.int64)
    yield "plain", whole.astype(float)
    locked = whole.astype(float)
    locked.flags.writeable = False
    yield "read-only", locked
    yield "Fortran", np.asfortranarray(whole.astype(float))
    wide = np.zeros((2 * len(X), 3 * X.shape[1]))
    wide[::2, ::3] = whole
    yield "strided", wide[::2, ::3]
    yield "reversed", whole.astype(float)[::-1, ::-1].copy()[::-1, ::-1]
    yield "big-endian", whole.astype(">f8")
    yield "float32", whole.astype(np.float32)
    yield "float16", whole.astype(np.float16)
    yield "int64", whole
    yield "int16 big-endian", whole.astype(">i2")
    yield "uint8", whole.astype(np.uint8)
    yield "lists", whole.tolist()
    np.save(folder / "rows.npy", whole.astype(float))
    yield "memmap", np.load(folder / "rows.npy", mmap_mode="r")
    np.save(folder / "whole.npy", whole.astype(">i4"))
    yield "memmap of integers", np.load(folder / "whole.npy", mmap_mode="r")


def fingerprint(X) -> str:
    return hashlib.sha256(np.asarray(X).tobytes()).hexdigest()


def test_row_45_every_layout_gives_the_same_bits(tmp_path):
    X, _ = pair(np.random.default_rng(0), n=300, gap=3.0)
    X = np.rint(20 * (X + 5))
    assert X.min() >= 0
    assert X.max() <= 255
    seen = {}
    for name, rows in layouts(X, tmp_path):
        before = fingerprint(rows)
        model = GaussianMixture(2, random_state=0).fit(rows)
        seen[name] = [model.means_, model.covariances_, model.score_samples(rows)]
        assert fingerprint(rows) == before
    assert len(seen) >= 12
    for name, found in seen.items():
        for a, b in zip(found, seen["plain"], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def test_row_45_integers_that_lose_digits_are_said():
    X = np.random.default_rng(0).integers(2**60, 2**61, (100, 2))
    X[:, 1] %= 2**53
    with pytest.warns(MixturaWarning, match=r"W207\] column 'x0' has integers beyond 2\*\*53"):
        GaussianMixture().fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GaussianMixture().fit(X % 2**53)


def test_the_oracle_agrees_with_the_fitted_density():
    """The reference of these tests, on ordinary data."""
    X, _ = pair(np.random.default_rng(0))
    model = GaussianMixture(2, random_state=0).fit(X)
    parts = [
        np.log(w) + np.array([float(v) for v in oracle.log_density_mpmath(X, mean, covariance)])
        for w, mean, covariance in zip(
            model.weights_, model.means_, model.covariances_, strict=True
        )
    ]
    np.testing.assert_allclose(model.score_samples(X), logsumexp(parts, axis=0), rtol=1e-13)
