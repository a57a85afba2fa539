"""scikit-learn's own checks, all of them, and what the estimators promise beyond them."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from mixtura import GaussianMixture, MixtureModel, as_source, load
from mixtura.errors import DataError, UsageError
from mixtura.estimators.rows import label_codes
from mixtura.loading import from_fitted
from tests import oracle

#: Settings that scikit-learn's battery of checks is run on. Its data have 12 rows in 30 columns,
#: where many partitions share one likelihood if two components share or scale one covariance.
SETTINGS = [
    "GaussianMixture()",
    "MixtureModel()",
    "GaussianMixture(covariance_type='tied')",
    "GaussianMixture(2, covariance_type='diag', warm_start=True)",
    "GaussianMixture(covariance_type='VEV', n_init=2)",
    "GaussianMixture(2, covariance_type='spherical', reg_covar=1e-6, tol=1e-3, init_params='kmeans')",  # noqa: E501
]

#: What scikit-learn 1.6 and 1.9 run on a density estimator; fewer means that some went missing.
N_CHECKS = 48

BATTERY = """
import json, sys, warnings
from mixtura import GaussianMixture, MixtureModel
from sklearn.utils.estimator_checks import check_estimator
warnings.simplefilter("ignore")
for setting in json.loads(sys.argv[1]):
    results = check_estimator(eval(setting), on_fail=None, on_skip=None)
    print(json.dumps([[r["check_name"], r["status"], repr(r["exception"])] for r in results]))
"""


@pytest.fixture(scope="module")
def battery() -> dict[str, list[list[str]]]:
    """Results of `check_estimator`; its array API check wants an own process with a switch."""
    done = subprocess.run(
        [sys.executable, "-c", BATTERY, json.dumps(SETTINGS)], check=False,
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(zip(SETTINGS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("setting", SETTINGS)
def test_scikit_learn_checks_all_pass_and_none_is_skipped(battery, setting):
    results = battery[setting]
    assert [r for r in results if r[1] != "passed"] == []
    assert len(results) >= N_CHECKS
    names = {name for name, _, _ in results}
    assert {
        "check_sample_weight_equivalence_on_dense_data",
        "check_methods_subset_invariance",
        "check_readonly_memmap_input",
        "check_n_features_in",
        "check_dont_overwrite_parameters",
        "check_estimators_pickle",
        "check_fit_idempotent",
    } <= names


def two_groups(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two unit Gaussians, 10 apart, and the group of each."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(int)
    return rng.normal(size=(n, 2)) + 10.0 * labels[:, None], labels


# -- what a fit leaves behind ---------------------------------------------------------


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("max_iter", [1, 3, 1000])
def test_lower_bound_belongs_to_the_returned_parameters(covariance, max_iter):
    X, _ = two_groups()
    X = X * 0.2  # overlapping, so that three iterations are not enough
    model = GaussianMixture(2, covariance_type=covariance, max_iter=max_iter, n_init=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    total = model.score_samples(X).sum()
    assert model.lower_bound_ == pytest.approx(model.score(X), rel=1e-13)
    assert model.log_likelihood_ == pytest.approx(total, rel=1e-13)
    assert model.lower_bounds_[-1] == pytest.approx(model.lower_bound_, rel=1e-13)
    assert len(model.lower_bounds_) == model.n_iter_
    assert model.log_likelihood_ == pytest.approx(
        float(oracle.log_density(X, in_oracle(model)).sum()), rel=1e-12
    )


def in_oracle(model: GaussianMixture) -> oracle.Gaussians:
    geometry = {"full": "dense", "diag": "diagonal"}.get(
        model.covariance_type, model.covariance_type
    )
    covariances = model.covariances_
    if geometry == "tied":
        covariances = covariances[None]
    return oracle.Gaussians(np.log(model.weights_), model.means_, covariances, geometry)


def test_trace_holds_the_two_terms_of_the_bound():
    X, _ = two_groups()
    model = GaussianMixture(2, random_state=0).fit(X * 0.2)
    trace = model.trace_
    assert len(trace.objective) == model.n_iter_ + 1
    np.testing.assert_allclose(trace.expected_complete + trace.entropy, trace.objective, rtol=1e-13)
    assert (np.diff(trace.objective) > -1e-9).all()
    assert trace.mixtures == ()


def test_record_keeps_every_mixture():
    X, _ = two_groups()
    model = GaussianMixture(2, record=True, random_state=0).fit(X * 0.2)
    assert len(model.trace_.mixtures) == model.n_iter_ + 1
    for mixture, objective in zip(model.trace_.mixtures, model.trace_.objective, strict=True):
        assert mixture.log_density(X * 0.2).sum() == pytest.approx(objective, rel=1e-12)
    np.testing.assert_array_equal(model.trace_.mixtures[-1].means, model.means_)


def test_heaviest_component_comes_first_unless_the_order_was_given():
    X, labels = two_groups()
    model = GaussianMixture(2, random_state=0).fit(X)
    assert model.weights_[0] > model.weights_[1]
    given = GaussianMixture(2, start=1 - labels).fit(X)
    np.testing.assert_allclose(given.weights_, model.weights_[::-1], atol=1e-6)


@pytest.mark.parametrize("kind", ["labels", "responsibilities", "mixture"])
def test_starts_of_every_kind_lead_to_the_same_place(kind):
    X, labels = two_groups()
    plain = GaussianMixture(2, random_state=0).fit(X)
    starts = {
        "labels": labels,
        "responsibilities": np.eye(2)[labels] * 0.8 + 0.1,
        "mixture": plain.mixture_,
    }
    model = GaussianMixture(2, start=starts[kind]).fit(X)
    assert model.log_likelihood_ == pytest.approx(plain.log_likelihood_, rel=1e-10)
    assert adjusted_rand_score(labels, model.predict(X)) == 1.0


def test_a_start_of_the_wrong_size_says_both_sizes():
    X, labels = two_groups()
    with pytest.raises(UsageError, match=r"labels \(200,\) or responsibilities \(200, 2\)"):
        GaussianMixture(2, start=labels[:50]).fit(X)


# -- row weights ------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_integer_weights_are_repeated_rows(covariance):
    X, labels = two_groups(100)
    X = X * 0.3
    w = np.random.default_rng(1).integers(0, 4, len(X))
    settings = {"covariance_type": covariance, "random_state": 0}
    weighted = GaussianMixture(2, **settings).fit(X, sample_weight=w)
    repeated = GaussianMixture(2, **settings).fit(np.repeat(X, w, axis=0))
    for name in ("weights_", "means_", "covariances_", "log_likelihood_"):
        np.testing.assert_allclose(
            getattr(weighted, name), getattr(repeated, name), rtol=1e-9, atol=1e-12
        )
    rows = np.repeat(X, w, axis=0)
    assert weighted.score(X, sample_weight=w) == pytest.approx(weighted.score(rows), rel=1e-12)
    assert weighted.bic(X, sample_weight=w) == pytest.approx(weighted.bic(rows), rel=1e-12)
    assert weighted.aic(X, sample_weight=w) == pytest.approx(weighted.aic(rows), rel=1e-12)
    assert labels.shape == w.shape


# -- labels -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["integers", "text", "booleans", "objects"])
def test_known_labels_are_counts_and_averages(kind):
    X, labels = two_groups()
    given = {
        "integers": labels,
        "text": np.array(["a", "b"])[labels],
        "booleans": labels == 1,
        "objects": np.array(["a", "b"], dtype=object)[labels],
    }[kind]
    model = GaussianMixture(2).fit(X, labels=given)
    assert model.outcome_.name == "CLOSED_FORM"
    assert model.n_iter_ == 1
    for k in range(2):
        own = X[labels == k]
        assert model.weights_[k] == pytest.approx(len(own) / len(X), rel=1e-14)
        np.testing.assert_allclose(model.means_[k], own.mean(axis=0), rtol=1e-13)
        np.testing.assert_allclose(model.covariances_[k], np.cov(own.T, bias=True), rtol=1e-12)


def test_rows_with_unknown_labels_are_shared_out():
    X, labels = two_groups()
    X = X * 0.3
    some = np.where(np.arange(len(X)) % 4 == 0, labels, -1)
    model = GaussianMixture(2, tol=0.0, max_iter=200)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, labels=some)
    # a fixed point of EM with the known rows held: written out in NumPy
    R = np.where(some[:, None] < 0, model.predict_proba(X), np.eye(2)[some])
    own = oracle.m_step(X, R, "VVV")
    np.testing.assert_allclose(np.exp(own.log_weights), model.weights_, rtol=1e-8)
    np.testing.assert_allclose(own.means, model.means_, rtol=1e-8)
    np.testing.assert_allclose(own.covariances, model.covariances_, rtol=1e-7)


def test_labels_that_are_not_known_have_many_spellings():
    expected = [1, -1, 0, 1]
    for values in (
        ["b", None, "a", "b"],
        ["b", float("nan"), "a", "b"],
        [1, None, 0, 1],
        [True, None, False, True],
    ):
        assert label_codes(np.array(values, dtype=object)).tolist() == expected


def test_labels_are_refused_with_the_reason():
    X, labels = two_groups()
    with pytest.raises(DataError, match=r"\[E221\] labels: shape \(199,\) for 200 rows"):
        GaussianMixture(2).fit(X, labels=labels[1:])
    with pytest.raises(DataError, match="label 2 needs at least 3 components, n_components=2"):
        GaussianMixture(2).fit(X, labels=labels + 1)
    with pytest.raises(DataError, match="label 2 needs at least 3 components, n_components=2"):
        GaussianMixture(2).fit(X, labels=np.array(["a", "b", "c"])[np.arange(200) % 3])
    with pytest.raises(DataError, match=r"value at row 0 is 0\.5"):
        GaussianMixture(2).fit(X, labels=np.full(200, 0.5))
    with pytest.raises(DataError, match=r"labels: component 2 has no row"):
        GaussianMixture(3).fit(X, labels=labels)


def test_y_is_ignored():
    X, labels = two_groups()
    with_y = GaussianMixture(2, random_state=0).fit(X, 1 - labels)
    without = GaussianMixture(2, random_state=0).fit(X)
    np.testing.assert_array_equal(with_y.means_, without.means_)
    assert with_y.score(X, labels) == without.score(X)


# -- random numbers and stopping -------------------------------------------------------


def test_the_same_seed_gives_the_same_model():
    X = np.random.default_rng(0).normal(size=(300, 2))
    fits = [GaussianMixture(4, random_state=7).fit(X) for _ in range(2)]
    np.testing.assert_array_equal(fits[0].means_, fits[1].means_)
    np.testing.assert_array_equal(fits[0].sample(9)[0], fits[1].sample(9)[0])
    np.testing.assert_array_equal(fits[0].sample(9)[0], fits[0].sample(9)[0])


def test_a_random_state_object_moves_on():
    X = np.random.default_rng(0).normal(size=(300, 2))
    state = np.random.RandomState(7)
    model = GaussianMixture(2, random_state=state).fit(X)
    assert not np.array_equal(model.sample(9)[0], model.sample(9)[0])
    again = np.random.RandomState(7)
    np.testing.assert_array_equal(
        GaussianMixture(2, random_state=again).fit(X).means_, model.means_
    )


def test_without_a_seed_the_global_random_state_is_used():
    X = np.random.default_rng(0).normal(size=(300, 2))
    model = GaussianMixture(2).fit(X)
    assert not np.array_equal(model.sample(9)[0], model.sample(9)[0])


def test_threads_do_not_change_a_bit():
    X = np.random.default_rng(0).normal(size=(30_000, 3))
    one, two = (
        GaussianMixture(3, random_state=0, n_threads=n, n_init=2, tol=1e-4).fit(X) for n in (1, 2)
    )
    np.testing.assert_array_equal(one.means_, two.means_)
    np.testing.assert_array_equal(one.covariances_, two.covariances_)
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


def test_too_few_iterations_are_said():
    X = np.random.default_rng(0).normal(size=(300, 2))
    with pytest.warns(ConvergenceWarning, match="iterations ran out. Raise max_iter"):
        model = GaussianMixture(3, max_iter=2, random_state=0).fit(X)
    assert not model.converged_
    assert model.n_iter_ == 2
    assert model.outcome_.name == "MAX_ITER"


def test_no_iterations_only_evaluate_the_start():
    X, labels = two_groups()
    model = GaussianMixture(2, max_iter=0, start=labels).fit(X)  # no warning, as in scikit-learn
    assert model.n_iter_ == 0
    np.testing.assert_allclose(model.means_[0], X[labels == 0].mean(axis=0), rtol=1e-12)


def test_verbose_prints_progress(capsys):
    X = np.random.default_rng(0).normal(size=(300, 2))
    model = GaussianMixture(2, verbose=1, verbose_interval=5, random_state=0).fit(X)
    lines = capsys.readouterr().out.splitlines()
    shown = [int(line.split()[1]) for line in lines if line.startswith("iteration")]
    assert shown == list(range(0, model.n_iter_ + 1, 5))
    assert lines[-2].startswith("converged")
    assert float(lines[-1].split()[-1]) == pytest.approx(model.lower_bound_, abs=1e-8)
    GaussianMixture(2, random_state=0).fit(X)
    assert capsys.readouterr().out == ""


def test_warm_start_goes_on_where_it_was():
    X = np.random.default_rng(0).normal(size=(300, 2))
    # one start: how far runs go also limits what tells several starts apart
    whole = GaussianMixture(2, max_iter=10, tol=0.0, n_init=1, random_state=0)
    parts = GaussianMixture(2, max_iter=5, tol=0.0, n_init=1, random_state=0, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        whole.fit(X)
        first = parts.fit(X).log_likelihood_
        second = parts.fit(X).log_likelihood_
    assert second > first
    # the first part ends with its components in canonical order; the density is the same
    assert second == pytest.approx(whole.log_likelihood_, rel=1e-12)


# -- values, files and text ---------------------------------------------------------------


def test_fit_leaves_arguments_and_data_alone():
    X, _ = two_groups()
    X.flags.writeable = False
    means = np.array([[0.0, 0.0], [10.0, 10.0]])
    model = GaussianMixture(2, means_init=means, weights_init=[0.5, 0.5], random_state=0)
    before = model.get_params()
    model.fit(X)
    assert all(model.get_params()[name] is value for name, value in before.items())
    assert clone(model).get_params().keys() == before.keys()
    assert not hasattr(clone(model), "mixture_")


def test_pickle_and_model_file_keep_every_bit(tmp_path):
    X, _ = two_groups()
    model = GaussianMixture(2, covariance_type="tied", random_state=0).fit(X)
    copy = pickle.loads(pickle.dumps(model))
    model.save(tmp_path / "m.mixtura")
    for other in (copy, load(tmp_path / "m.mixtura"), from_fitted(model.fitted_)):
        np.testing.assert_array_equal(other.score_samples(X), model.score_samples(X))
        np.testing.assert_array_equal(other.covariances_, model.covariances_)
        assert other.log_likelihood_ == model.log_likelihood_
        assert other.get_params()["covariance_type"] == "tied"


def test_names_of_columns_survive_the_model_file(tmp_path):
    pd = pytest.importorskip("pandas")
    X, _ = two_groups()
    frame = pd.DataFrame(X, columns=["a", "b"])
    model = GaussianMixture(2, random_state=0).fit(frame)
    model.save(tmp_path / "m.mixtura")
    again = load(tmp_path / "m.mixtura")
    assert again.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_array_equal(again.predict(frame[["b", "a"]]), model.predict(frame))


def test_summary_names_what_was_found():
    X, _ = two_groups()
    text = GaussianMixture(2, random_state=0).fit(X).summary()
    assert "2 components" in text
    assert "smaller is better" in text


def test_poisson_mixture_counts():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.poisson(1.0, (300, 1)), rng.poisson(12.0, (100, 1))])
    model = MixtureModel("poisson", 2, random_state=0).fit(X)
    np.testing.assert_allclose(model.weights_, [0.75, 0.25], atol=0.05)
    np.testing.assert_allclose(model.means_.ravel(), [1.0, 12.0], rtol=0.15)
    with pytest.raises(DataError, match=r"column 'x0' has -1 at row 400"):
        model.score(np.concatenate([X, [[-1]]]))


def test_one_density_has_standard_errors_and_a_flat_gradient():
    X = np.random.default_rng(0).normal(3.0, 2.0, (500, 2))
    model = GaussianMixture().fit(X)
    means, covariances = model.standard_errors_
    np.testing.assert_allclose(means[0], X.std(axis=0) / np.sqrt(500), rtol=1e-12)
    np.testing.assert_allclose(covariances[0, 0, 0], X[:, 0].var() * np.sqrt(2 / 500), rtol=1e-12)
    for part in model.gradient(X):
        assert np.abs(part).max() < 1e-8
    with pytest.raises(AttributeError, match="single density"):
        GaussianMixture(2, random_state=0).fit(X).standard_errors_  # noqa: B018


def test_uncertainty_is_what_is_left_of_the_largest_probability():
    X, _ = two_groups()
    model = GaussianMixture(2, random_state=0).fit(X * 0.2)
    p = model.predict_proba(X * 0.2)
    np.testing.assert_array_equal(model.uncertainty(X * 0.2), 1.0 - p.max(axis=1))
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-14)


def test_fitted_estimators_show_themselves():
    model = GaussianMixture(2, random_state=0).fit(two_groups()[0])
    assert "GaussianMixture" in model._repr_html_()
    assert repr(model) == "GaussianMixture(n_components=2, random_state=0)"


def test_files_are_fitted_by_their_path(tmp_path: Path):
    pytest.importorskip("pyarrow")
    X, labels = two_groups()
    path = tmp_path / "rows.csv"
    header = "height,width,group,count\n"
    w = np.random.default_rng(1).integers(1, 4, len(X))
    names = np.array(["tall", "wide"])[labels]
    rows = [
        f"{a!r},{b!r},{g},{c}\n" for (a, b), g, c in zip(X.tolist(), names, w.tolist(), strict=True)
    ]
    path.write_text(header + "".join(rows))
    from_file = GaussianMixture(2).fit(path, sample_weight="count", labels="group")
    in_memory = GaussianMixture(2).fit(X, sample_weight=w, labels=labels)
    np.testing.assert_array_equal(from_file.means_, in_memory.means_)
    assert from_file.feature_names_in_.tolist() == ["height", "width"]
    np.testing.assert_array_equal(from_file.predict(path), in_memory.predict(X))
    assert from_file.score(str(path), sample_weight="count") == in_memory.score(X, sample_weight=w)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_a_frame_may_hold_weights_and_labels(library):
    module = pytest.importorskip(library)
    X, labels = two_groups()
    w = np.random.default_rng(1).integers(0, 3, len(X))
    columns = {"a": X[:, 0], "w": w, "kind": np.array(["p", "q"])[labels].tolist(), "b": X[:, 1]}
    frame = module.DataFrame(columns)
    model = GaussianMixture(2).fit(frame, sample_weight="w", labels="kind")
    plain = GaussianMixture(2).fit(X, sample_weight=w, labels=labels)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_array_equal(model.covariances_, plain.covariances_)
    assert model.score(frame, sample_weight="w") == plain.score(X, sample_weight=w)
    with pytest.raises(DataError, match=r"\[E240\] column\(s\) 'nothing' not in the data"):
        GaussianMixture(2).fit(frame, labels="nothing")


def test_sources_keep_their_columns_which_must_be_those_of_the_fit():
    pd = pytest.importorskip("pandas")
    X, _ = two_groups()
    frame = pd.DataFrame(X, columns=["a", "b"])
    model = GaussianMixture(2, random_state=0).fit(as_source(frame))
    assert model.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_array_equal(model.predict(as_source(frame)), model.predict(frame))
    np.testing.assert_array_equal(model.predict(as_source(X)), model.predict(frame))
    with pytest.raises(UsageError, match=r"columns b, a.*in the order a, b"):
        model.predict(as_source(frame[["b", "a"]]))
    with pytest.raises(DataError, match=r"\[E240\] column\(s\) 'a' not in the data, which has 'z'"):
        model.predict(as_source(frame.rename(columns={"a": "z"})))


def test_columns_that_are_not_called_by_text_have_no_names():
    pd = pytest.importorskip("pandas")
    X, _ = two_groups()
    model = GaussianMixture(2, random_state=0).fit(pd.DataFrame(X))
    assert not hasattr(model, "feature_names_in_")
    np.testing.assert_array_equal(model.predict(pd.DataFrame(X)), model.predict(X))


def test_a_list_of_files_is_one_table(tmp_path):
    pytest.importorskip("pyarrow")
    X, _ = two_groups()
    paths = []
    for i, rows in enumerate(np.split(X, 2)):
        paths.append(tmp_path / f"{i}.csv")
        np.savetxt(paths[-1], rows, delimiter=",", fmt="%.17g")  # no header: no names
    model = GaussianMixture(2, random_state=0).fit(paths)
    plain = GaussianMixture(2, random_state=0).fit(X)
    np.testing.assert_allclose(model.means_, plain.means_, rtol=1e-12)  # blocks end with files
    assert not hasattr(model, "feature_names_in_")
    np.testing.assert_allclose(model.predict_proba(paths), plain.predict_proba(X), rtol=1e-9)


def test_labels_none_of_which_is_known_are_no_labels():
    X, _ = two_groups()
    plain = GaussianMixture(2, random_state=0).fit(X)
    model = GaussianMixture(2, random_state=0).fit(X, labels=np.full(len(X), -1))
    np.testing.assert_allclose(model.means_, plain.means_, rtol=1e-12)


def test_every_covariance_shape_is_available_by_its_letters():
    X, labels = two_groups()
    for name in oracle.MODELS:
        model = GaussianMixture(2, covariance_type=name, start=labels).fit(X)
        assert model.converged_
        assert model.mixture_.n_free == oracle.free_parameters(name, 2, 2)
        rebuilt = oracle.log_density(X, shape_in_oracle(model))
        np.testing.assert_allclose(model.score_samples(X), rebuilt, rtol=1e-10)


def shape_in_oracle(model: GaussianMixture) -> oracle.Gaussians:
    """The fitted mixture with its covariances written out in full."""
    full = model.mixture_.family.full_covariances(model.mixture_.params)
    return oracle.Gaussians(np.log(model.weights_), model.means_, np.array(full), "dense")
