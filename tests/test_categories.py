"""Categories by name, products over the columns of a table, and noise, as people meet them."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from scipy import stats

from mixtura import DataError, MixtureModel, as_source, load
from mixtura.cli.app import app
from mixtura.describe import document, text
from mixtura.errors import UsageError
from mixtura.families import Categorical, Gaussian, Part, Poisson, Product
from mixtura.families.spec import make_family, parse_family, spec_categories

MIXED = {
    "income": "lognormal",
    ("x", "y"): "gaussian",
    "visits": "poisson",
    "city": "categorical",
    "ok": "bernoulli",
}
WORDS = "income:lognormal,x+y:gaussian,visits:poisson,city:categorical,ok:bernoulli"


def table(n=400, seed=0):
    """Three groups that differ in every column; the last column belongs to no family."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 3, n)
    own = np.where(rng.random(n) < 0.7, z, rng.integers(0, 3, n))
    frame = pd.DataFrame(
        {
            "income": np.exp(rng.normal(1 + z, 0.3)),
            "visits": rng.poisson(1 + 4 * z),
            "x": rng.normal(4 * z, 1.0),
            "y": rng.normal(-3 * z, 1.0),
            "city": np.array(["rome", "oslo", "bern"])[own],
            "ok": rng.random(n) < 0.2 + 0.3 * z,
            "name": [f"row {i}" for i in range(n)],
        }
    )
    return frame, z


@pytest.fixture(params=["pandas", "polars", "arrow", "csv", "parquet", "feather"])
def anywhere(request, tmp_path):
    """A function that puts a pandas frame where the parameter says."""

    def put(frame):
        arrow = pa.Table.from_pandas(frame, preserve_index=False)
        if request.param == "pandas":
            return frame
        if request.param == "polars":
            return pl.from_pandas(frame)
        if request.param == "arrow":
            return arrow
        path = str(tmp_path / f"data.{request.param}")
        if request.param == "csv":
            frame.to_csv(path, index=False)
        elif request.param == "parquet":
            pa.parquet.write_table(arrow, path)
        else:
            pa.feather.write_feather(arrow, path)
        return path

    return put


def rows(source):
    return np.vstack([block.X for block in source.blocks()])


# -- labels and codes --------------------------------------------------------------------------

LABELLED = pd.DataFrame(
    {
        "x": [1.0, 2.0, 3.0, 4.0],
        "city": ["rome", "oslo", None, "bern"],
        "ok": [True, False, True, True],
        "grade": [30, 4, 5, 4],
        "zero": [0, 1, 1, 0],
    }
)
CODES = np.array(
    [[1, 2, 1, 2, 0], [2, 1, 0, 0, 1], [3, np.nan, 1, 1, 1], [4, 0, 1, 0, 0]], dtype=float
)
LABELS = {
    "city": ("bern", "oslo", "rome"),
    "ok": ("false", "true"),
    "grade": ("4", "5", "30"),  # by number
}


def test_codes_are_places_among_sorted_labels_whatever_holds_the_table(anywhere):
    found = as_source(anywhere(LABELLED), levels=dict.fromkeys(["city", "ok", "grade", "zero"]))
    assert found.levels == LABELS  # 0 and 1 are codes as they are
    np.testing.assert_array_equal(rows(found), CODES)


def test_given_labels_say_the_codes(anywhere):
    given = {"city": ("rome", "atlantis", "oslo", "bern"), "ok": ("true", "false")}
    found = as_source(anywhere(LABELLED), columns=["ok", "city"], levels=given)
    assert found.levels == given
    np.testing.assert_array_equal(
        rows(found), np.array([[0, 0], [1, 2], [0, np.nan], [0, 3]], dtype=float)
    )


def test_an_unknown_category_is_named_with_its_row_and_column(anywhere):
    with pytest.raises(DataError, match=r"'city' has the category 'oslo' at row 1\b.*'rome'"):
        rows(as_source(anywhere(LABELLED), columns=["city"], levels={"city": ("rome", "bern")}))


@pytest.mark.parametrize("kind", ["pandas", "polars", "parquet"])
def test_a_declared_order_of_categories_is_kept(kind, tmp_path):
    values, order = ["lo", "hi", "lo", "mid"], ["lo", "mid", "hi", "never"]
    frame = pd.DataFrame({"c": pd.Categorical(values, categories=order, ordered=True)})
    data = frame
    if kind == "polars":
        data = pl.DataFrame({"c": pl.Series(values, dtype=pl.Enum(order))})
    elif kind == "parquet":
        data = str(tmp_path / "c.parquet")
        frame.to_parquet(data)
    found = as_source(data, levels="all")
    assert found.levels == {"c": ("lo", "mid", "hi")}
    assert rows(found).ravel().tolist() == [0, 2, 0, 1]


def test_arrays_of_text_have_labels_too():
    X = np.array([["a", "x"], ["b", "y"], ["a", None]], dtype=object)
    found = as_source(X, levels="all")
    assert found.levels == {"x0": ("a", "b"), "x1": ("x", "y")}
    np.testing.assert_array_equal(rows(found), [[0, 0], [1, 1], [0, np.nan]])
    with pytest.raises(DataError, match="'x1' has the category 'y' at row 1"):
        as_source(X, levels={"x0": ("a", "b"), "x1": ("x",)})


def test_labels_go_along_with_dropped_and_held_rows(anywhere):
    found = as_source(anywhere(LABELLED), levels={"city": None}, drop=["ok"], missing="drop")
    assert found.levels == {"city": LABELS["city"]}
    assert rows(found)[:, 1].tolist() == [2, 1, 0]


def test_dates_are_no_categories():
    frame = pd.DataFrame({"day": pd.to_datetime(["2020-01-01", "2020-01-02"])})
    with pytest.raises(DataError, match="'day' \\(date\\)"):
        as_source(frame, levels="all")


def test_too_many_labels_are_refused(anywhere):
    frame = pd.DataFrame({"key": [f"k{i}" for i in range(20_100)]})
    with pytest.raises(DataError, match=r"'key' has .* different values"):
        as_source(anywhere(frame), levels="all")


# -- products ----------------------------------------------------------------------------------


def test_a_mapping_fits_a_table_wherever_it_is(anywhere):
    frame, z = table()
    model = MixtureModel(MIXED, 3, random_state=0).fit(anywhere(frame))
    assert model.levels_ == {"city": ("bern", "oslo", "rome"), "ok": ("false", "true")}
    assert list(model.feature_names_in_) == ["income", "x", "y", "visits", "city", "ok"]
    found = model.predict(anywhere(frame))
    agree = max((np.array(names)[found] == z).mean() for names in np.array(ORDERS))
    assert agree > 0.97
    reference = MixtureModel(MIXED, 3, random_state=0).fit(frame)
    assert model.log_likelihood_ == pytest.approx(reference.log_likelihood_, rel=1e-10)


ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def test_one_density_is_the_product_of_those_of_the_columns():
    frame, _ = table()
    model = MixtureModel(MIXED, 1).fit(frame)
    x, y = frame["x"], frame["y"]
    log_income = np.log(frame["income"])
    share = frame["city"].value_counts(normalize=True)
    covariance = np.cov(x, y, bias=True)
    chance = frame["ok"].mean()
    truth = (
        stats.norm.logpdf(log_income, log_income.mean(), log_income.std(ddof=0))
        - log_income
        + stats.multivariate_normal([x.mean(), y.mean()], covariance).logpdf(frame[["x", "y"]])
        + stats.poisson.logpmf(frame["visits"], frame["visits"].mean())
        + np.log(frame["city"].map(share))
        + np.log(np.where(frame["ok"], chance, 1 - chance))
    )
    np.testing.assert_allclose(model.score_samples(frame), truth, rtol=1e-9)
    assert model.mixture_.n_free == 2 + 5 + 1 + 2 + 1


def test_columns_are_found_by_name_and_labels_by_the_model(tmp_path):
    frame, _ = table()
    model = MixtureModel(MIXED, 2, random_state=0).fit(frame)
    model.save(tmp_path / "m.mixtura")
    again = load(tmp_path / "m.mixtura")
    assert again.levels_ == model.levels_
    assert again.mixture_.family == model.mixture_.family
    turned = frame[["ok", "name", "city", "visits", "y", "x", "income"]]
    few = turned[turned["city"] == "rome"]  # alone, 'rome' would be the first label
    for other in (model, again):
        np.testing.assert_array_equal(other.score_samples(turned), model.score_samples(frame))
        np.testing.assert_array_equal(
            other.score_samples(few), model.score_samples(frame)[frame["city"] == "rome"]
        )
    changed = turned.copy()
    changed.loc[7, "city"] = "paris"
    with pytest.raises(DataError, match="'city' has the category 'paris' at row 7"):
        again.predict(changed)
    with pytest.raises(DataError, match=r"needs numbers > 0; column 'income' has -1 at row 3\."):
        again.predict(frame.assign(income=np.where(np.arange(len(frame)) == 3, -1.0, 1.0)))


def test_a_source_with_other_labels_is_refused():
    frame, _ = table()
    model = MixtureModel({"city": "categorical"}, 1).fit(frame)
    good = as_source(frame, columns=["city"], levels=model.levels_)
    np.testing.assert_array_equal(model.score_samples(good), model.score_samples(frame))
    few = frame[frame["city"] != "oslo"]
    other = as_source(few, columns=["city"], levels={"city": None})
    with pytest.raises(UsageError, match=r"levels=model\.levels_"):
        model.score_samples(other)


def test_positions_choose_columns_of_an_array(tmp_path):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.poisson(3, 200), rng.normal(size=200), rng.integers(0, 3, 200)])
    model = MixtureModel({0: "poisson", 2: "categorical"}, 1).fit(X)
    share = np.bincount(X[:, 2].astype(int)) / 200
    truth = stats.poisson.logpmf(X[:, 0], X[:, 0].mean()) + np.log(share[X[:, 2].astype(int)])
    model.save(tmp_path / "m.mixtura")
    for one in (model, load(tmp_path / "m.mixtura")):
        np.testing.assert_allclose(one.score_samples(X), truth, rtol=1e-12)


def test_the_order_of_parts_and_of_rows_does_not_matter():
    frame, _ = table()
    one = MixtureModel(MIXED, 3, random_state=0).fit(frame)
    turned = dict(reversed(MIXED.items()))
    other = MixtureModel(turned, 3, random_state=1).fit(frame.sample(frac=1, random_state=1))
    assert other.log_likelihood_ == pytest.approx(one.log_likelihood_, abs=1e-4)


def test_weights_and_labels_work_in_a_product():
    frame, z = table(200)
    twice = MixtureModel(MIXED, 3).fit(frame, labels=z, sample_weight=np.full(200, 2.0))
    repeated = MixtureModel(MIXED, 3).fit(pd.concat([frame, frame]), labels=np.tile(z, 2))
    for a, b in zip(twice.mixture_.params, repeated.mixture_.params, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)
    assert twice.converged_
    assert twice.n_iter_ == 1


def test_constant_columns_matter_to_gaussian_parts_only():
    frame, _ = table()
    frame["visits"] = 3
    MixtureModel({"visits": "poisson", "x": "gaussian"}, 1).fit(frame)
    frame["x"] = 1.0
    with pytest.raises(DataError, match="'x' is constant"):
        MixtureModel({"visits": "poisson", "x": "gaussian"}, 1).fit(frame)


@pytest.mark.parametrize(
    "parts",
    [
        (Part((0,), Poisson(1)), Part((0,), Poisson(1))),
        (Part((1,), Poisson(1)),),
        (Part((0, 1), Poisson(1)),),
        (),
    ],
)
def test_parts_must_have_every_column_once(parts):
    with pytest.raises(UsageError, match="parts"):
        Product(parts)


def test_what_people_say_of_families():
    assert parse_family(WORDS) == MIXED
    assert parse_family("gamma") == "gamma"
    assert spec_categories(MIXED) == {4, 5}
    assert spec_categories("categorical") is None
    assert spec_categories(Categorical(2, (2, 2))) == {0, 1}
    family = make_family({("x", "y"): "gaussian", "n": "poisson"}, 3, covariance="VVI")
    assert family.parts[0].family == Gaussian(2, "VVI")
    assert make_family({"x": "gamma"}, 1).name == "gamma"
    for wrong in ("x:", ":gamma", "x:gamma,x:beta", "a+:gamma", "x:gamma,,"):
        with pytest.raises(UsageError):
            parse_family(wrong)
    for spec, n, options in (
        ({"x": "gama"}, 1, {}),
        ({"x": "gamma"}, 2, {}),
        ({}, 0, {}),
        ("gamma", 1, {"covariance": "VVI"}),
        ({"x": "gamma"}, 1, {"covariance": "VVI"}),
    ):
        with pytest.raises(UsageError):
            make_family(spec, n, **options)


def test_the_page_names_columns_and_categories():
    frame, _ = table()
    page = text(document(MixtureModel(MIXED, 2, random_state=0).fit(frame).fitted_))
    assert page.startswith("mixture of 2 components: product of lognormal, gaussian, poisson")
    for name in ("city=bern", "city=oslo", "city=rome", "ok", "visits", "income"):
        assert name in page


# -- latent classes ----------------------------------------------------------------------------


def test_latent_classes_of_answers_in_words():
    rng = np.random.default_rng(3)
    z = rng.random(800) < 0.4
    words = np.array(["no", "maybe", "yes"])
    chance = np.where(z[:, None, None], [0.8, 0.15, 0.05], [0.1, 0.2, 0.7])
    u = rng.random((800, 6, 1))
    answers = words[(u > chance.cumsum(axis=2)[:, :, :2]).sum(axis=2)]
    frame = pd.DataFrame(answers, columns=[f"q{j}" for j in range(6)])
    model = MixtureModel("categorical", 2, random_state=0).fit(frame)
    assert set(model.levels_["q0"]) == set(words)
    assert max((model.predict(frame) == z).mean(), (model.predict(frame) != z).mean()) > 0.97
    assert model.mixture_.n_free == 2 * 6 * 2 + 1


# -- noise -------------------------------------------------------------------------------------


def test_noise_takes_the_outliers_and_the_clusters_keep_their_shape():
    rng = np.random.default_rng(1)
    clusters = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(8, 1, (200, 2))])
    X = np.concatenate([clusters, rng.uniform(-20, 30, (60, 2))])
    model = MixtureModel(n_components=2, noise=True, random_state=0).fit(X)
    assert model.n_components_ == 3
    assert model.weights_[-1] == pytest.approx(60 / 460, abs=0.04)
    labels = model.predict(X)
    assert (labels[:400] == 2).mean() < 0.03
    assert (labels[400:] == 2).mean() > 0.8
    assert (model.predict([[500.0, 500.0], [-500.0, 0.0]]) == 2).all()
    np.testing.assert_allclose(np.sort(model.means_[:2, 0]), [0, 8], atol=0.3)
    density = np.exp(model.score_samples([[-19.0, 29.0]]))
    volume = np.prod(np.ptp(X, axis=0))
    assert density == pytest.approx(model.weights_[-1] / volume, rel=1e-6)


def test_noise_without_outliers_fades():
    X = np.random.default_rng(2).normal(size=(300, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MixtureModel(n_components=1, noise=True, random_state=0).fit(X)
    plain = MixtureModel(n_components=1).fit(X)
    assert model.weights_[-1] < 0.05
    assert model.log_likelihood_ >= plain.log_likelihood_ - 1e-6


def test_directions_have_no_box():
    with pytest.raises(UsageError, match="fill a box"):
        MixtureModel("vonmises-fisher", noise=True).fit(np.eye(3))


# -- the command line --------------------------------------------------------------------------


def run(*words):
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done


def test_a_table_goes_through_the_command_line(tmp_path):
    frame, _ = table()
    data, model = tmp_path / "d.csv", tmp_path / "m.mixtura"
    frame.to_csv(data, index=False)
    run("fit", data, "--family", WORDS, "-k", 3, "-o", model, "--labelled", tmp_path / "l.csv")
    labelled = pd.read_csv(tmp_path / "l.csv")
    assert labelled["city"].tolist() == frame["city"].tolist()
    predicted = run("predict", model, data, "--what", "label").stdout.split()
    assert list(map(int, predicted[1:])) == labelled["label"].tolist()
    drawn = pd.read_csv(pd.io.common.StringIO(run("sample", model, "-n", 50).stdout))
    assert set(drawn["city"]) <= {"rome", "oslo", "bern"}
    assert drawn["visits"].dtype.kind == "i"
    facts = json.loads(run("show", model, "--json").stdout)
    assert facts["levels"]["ok"] == ["false", "true"]
    assert facts["columns"] == ["income", "x", "y", "visits", "city", "ok"]


@pytest.mark.parametrize("family", ["gamma", "lognormal", "exponential", "poisson", "beta"])
@pytest.mark.parametrize("k", [1, 3])
def test_families_by_their_words(tmp_path, family, k):
    rng = np.random.default_rng(0)
    X = rng.poisson(3, (90, 2)) + 1.0
    if family == "beta":
        X = rng.beta(2, 3, (90, 2))
    data = tmp_path / "d.csv"
    pd.DataFrame(X, columns=["a", "b"]).to_csv(data, index=False)
    done = run("fit", data, "--family", family, "-k", k, "--json")
    facts = json.loads(done.stdout)
    assert facts["family"] == family
    assert facts["n_components"] == k


def test_noise_on_the_command_line(tmp_path):
    X = np.random.default_rng(0).normal(size=(200, 2))
    X[:20] = np.random.default_rng(1).uniform(-30, 30, (20, 2))
    data = tmp_path / "d.csv"
    pd.DataFrame(X, columns=["a", "b"]).to_csv(data, index=False)
    facts = json.loads(run("fit", data, "-k", 1, "--noise", "--json").stdout)
    assert facts["n_components"] == 2
    assert facts["family"] == "noise"
    assert 0.03 < facts["weights"][1] < 0.2
