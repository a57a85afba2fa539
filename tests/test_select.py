"""The choice of a model: what is in the table, what the rules choose, and how the data are read."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from scipy import linalg
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from mixtura import (
    Gaussian,
    GaussianMixture,
    Local,
    MixtureModel,
    Poisson,
    as_source,
    cross_validate,
    fit_mixture,
    select,
)
from mixtura.criteria import aic, aicc, bic, icl, icl_entropy, sabic
from mixtura.describe import choice_document, choice_text
from mixtura.em import em_run
from mixtura.errors import DataError, UsageError
from mixtura.selection import RULES, find_rule, frame, grid
from mixtura.selection.candidates import models, sizes_of
from mixtura.selection.result import COLUMNS
from mixtura.selection.search import FINAL_TOL
from tests import reference
from tests.em_starts import groups

FIRST = [
    "n_components", "covariance", "log_likelihood", "n_free", "bic", "aic", "aicc", "sabic", "icl",
    "cv_log_density", "cv_se", "seconds", "reason",
]  # fmt: skip


def three(seed=0, n=200):
    return groups(seed, n, 2, 3, 8.0)[0]


# -- the table ---------------------------------------------------------------------------------


def test_the_table_has_what_each_fit_says():
    X = three()
    w = np.random.default_rng(0).integers(1, 4, len(X)).astype(float)
    found = select(X, range(1, 5), ["full", "EEI"], sample_weight=w, n_folds=4)
    table, n = found.table, w.sum()
    assert list(table.columns)[: len(FIRST)] == FIRST
    assert len(table) == 8
    for i, row in table.iterrows():
        own = found.candidates.rows[i]
        log_density, R = own.mixture.posterior(X)
        loglik, df = float(w @ log_density), own.mixture.n_free
        assert row.log_likelihood == pytest.approx(loglik, rel=1e-12)
        assert row.n_free == df
        entropy = -float(w @ (R * np.log(np.maximum(R, 1e-300))).sum(axis=1))
        certainty = float(w @ np.log(R.max(axis=1)))
        assert row.bic == pytest.approx(-2 * loglik + df * np.log(n), rel=1e-12)
        assert row.aic == pytest.approx(-2 * loglik + 2 * df, rel=1e-12)
        assert row.aicc == pytest.approx(row.aic + 2 * df * (df + 1) / (n - df - 1), rel=1e-12)
        assert row.sabic == pytest.approx(-2 * loglik + df * np.log((n + 2) / 24), rel=1e-12)
        assert row.icl == pytest.approx(row.bic - 2 * certainty, rel=1e-12)
        assert row.icl_entropy == pytest.approx(row.bic + 2 * entropy, rel=1e-12)
        assert row.icl_entropy >= row.icl
        assert row.seconds > 0
        assert row.reason == ""
        assert row.family == "gaussian"


def test_no_fit_of_the_grid_is_worse_than_a_plain_one():
    X = three(1)
    found = select(X, range(1, 4), ["full", "tied", "diag", "spherical"])
    for row in found.candidates.rows:
        family = Gaussian(2, row.model.covariance)
        alone = fit_mixture(family, as_source(X), row.n_components, n_starts=2)
        assert row.log_likelihood >= alone.log_likelihood - 1e-6 * len(X) - 1e-6
        assert row.converged


def test_held_out_scores_are_those_of_cross_validation():
    X = three(2, 150)
    found = select(X, [1, 3], ["full", "tied"], rule="cv", n_folds=5, seed=3)
    for c, shape in enumerate(("full", "tied")):
        alone = cross_validate(Gaussian(2, shape), as_source(X), [1, 3], n_folds=5, seed=3)
        own = found.table.iloc[2 * c : 2 * c + 2]
        np.testing.assert_allclose(own.cv_log_density, alone.score, rtol=1e-12)
        np.testing.assert_allclose(own.cv_se, alone.standard_error, rtol=1e-9)
        for k, other in ((0, 1), (1, 0)):
            difference = alone.log_density[k] - alone.log_density[other]
            gap, error = found.candidates.difference(2 * c + k, 2 * c + other)
            assert gap == pytest.approx(difference.mean(), rel=1e-9)
            assert error == pytest.approx(difference.std() / np.sqrt(150), rel=1e-8)
    best = found.table.cv_log_density.max()
    np.testing.assert_allclose(found.table.cv_gap, best - found.table.cv_log_density, atol=1e-12)


def test_the_choice_is_fitted_to_all_rows():
    X = three(3)
    found = select(X, range(1, 6), rule="cv", n_folds=4)
    model, row = found.best_, found.table.iloc[found.best_row_]
    assert isinstance(model, GaussianMixture)
    assert model.n_components == row.n_components == 3
    assert model.log_likelihood_ == pytest.approx(row.log_likelihood, rel=1e-14)
    assert model.log_likelihood_ == pytest.approx(model.score_samples(X).sum(), rel=1e-12)
    assert model.bic(X) == pytest.approx(row.bic, rel=1e-12)
    longer = fit_mixture(Gaussian(2), as_source(X), 3)
    assert model.log_likelihood_ == pytest.approx(longer.log_likelihood, abs=FINAL_TOL * len(X))
    assert (np.diff(model.weights_) <= 0).all()


def test_the_same_for_any_number_of_threads():
    X = three(4, 120)
    a, b = (select(X, range(1, 5), "all", n_folds=3, n_threads=n).candidates for n in (1, 3))
    for name in set(COLUMNS) - {"seconds"}:
        np.testing.assert_array_equal(a.columns[name], b.columns[name])


@pytest.mark.parametrize(
    ("hidden", "module"),
    [((), "pandas"), (("pandas",), "polars"), (("pandas", "polars"), "pyarrow"),
     (("pandas", "polars", "pyarrow"), "builtins")],
)  # fmt: skip
def test_frames_of_what_is_installed(monkeypatch, hidden, module):
    if module != "builtins":
        pytest.importorskip(module)
    monkeypatch.setattr(frame, "find_spec", lambda name: None if name in hidden else name)
    columns = {"n_components": [1, 2], "reason": ["", "none"], "bic": [1.0, np.nan]}
    table = frame.frame(columns)
    assert type(table).__module__.split(".")[0] == module
    assert [str(value) for value in table["reason"]] == ["", "none"]


# -- cells without a fit -----------------------------------------------------------------------


def test_more_components_than_distinct_rows_have_a_reason():
    X = np.repeat(np.random.default_rng(0).normal(size=(6, 2)), 10, axis=0)
    X += 1e-3 * np.random.default_rng(1).normal(size=X.shape) * (np.arange(60) % 10 == 0)[:, None]
    n = len(np.unique(X, axis=0))
    found = select(X, [1, n, n + 1], "spherical")
    assert found.table.reason.iloc[0] == ""
    assert str(n) in found.table.reason.iloc[2]
    assert np.isnan(found.table.log_likelihood.iloc[2])


def test_components_on_the_floor_are_no_fit():
    """Forty equal rows: any component on them has a density that only the floor bounds."""
    rng = np.random.default_rng(0)
    X = np.concatenate([np.zeros((40, 2)), rng.normal(5, 1, (60, 2))])
    found = select(X, [1, 2])
    assert found.best.n_components == 1
    assert "floor" in found.table.reason.iloc[1]
    assert found.table.loc[1, ["log_likelihood", "bic", "icl"]].isna().all()
    assert "no fit" in found.summary()
    assert "K" in found.summary().splitlines()[0]


def test_a_density_that_only_the_floor_bounds_is_not_chosen():
    """Nine components on rounded measurements: one of VVE falls onto rows of one petal width."""
    found = select(reference.load("iris").X, [2, 3, 9], ["VVE", "VEV"])
    assert found.best.model.covariance == "VEV"
    for row in found.candidates.rows:
        assert (row.mixture is None) == bool(row.reason)
        if row.mixture is not None:
            S = np.cov(reference.load("iris").X.T, bias=True)
            covariances = row.mixture.family.full_covariances(row.mixture.params)
            least = min(linalg.eigh(own, S, eigvals_only=True)[0] for own in covariances)
            assert least > 1.04e-6


def test_candidates_that_all_sit_on_the_floor_are_compared_with_a_note():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = select(np.hstack([x, 2 * x]), [1, 2])
    assert (found.table.reason == "").all()
    assert any("floor" in note for note in found.warnings)


def test_families_that_the_rows_do_not_suit_have_a_reason():
    X = np.random.default_rng(0).normal(size=(50, 1))
    found = select(X, [1, 2], family=["poisson", "gaussian"])
    assert "poisson" in found.table.family.tolist()
    assert found.table.reason[found.table.family == "poisson"].str.contains("whole numbers").all()
    assert found.best.model.name == "gaussian"
    with pytest.raises(DataError, match="whole numbers"):
        select(X, [1, 2], family="poisson")
    with pytest.raises(DataError, match="3 components"):
        select(X[:2], [3, 4])


def test_families_side_by_side():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.poisson(3, 80), rng.poisson(30, 60)])[:, None].astype(float)
    found = select(X, range(1, 4), ["V"], family=["poisson", "gaussian"], rule="cv", n_folds=4)
    assert found.best.model.name == "poisson"
    assert found.best.n_components == 2
    assert type(found.best_) is MixtureModel
    assert found.table.covariance.isna().tolist() == [True] * 3 + [False] * 3
    own = select(X, [1, 2], family=Poisson(1))
    assert own.best_.means_.ravel() == pytest.approx(found.best_.means_.ravel(), rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_three_normals_are_three_by_every_rule_of_density_and_groups(seed):
    """Smyth's question; AIC and its kin are known to take more."""
    rng = np.random.default_rng(seed)
    X = np.concatenate([rng.normal(c, 1.0, (100, 2)) for c in ((0, 0), (6, 0), (3, 6))])
    found = select(X, range(1, 6), rule="cv-1se", n_folds=10, n_starts=4, seed=seed)
    rows = found.candidates.rows
    assert {rows[found.choices[r]].n_components for r in ("bic", "icl", "cv-1se")} == {3}


def test_a_uniform_square_is_split_by_bic_and_not_further_by_others():
    """Fits to half of the rows (Smyth 1996); with ten folds "cv-1se" wavers about BIC's size."""
    X = np.random.default_rng(0).uniform(size=(500, 2))
    found = select(X, range(1, 9), rule="cv-1se", splits="monte-carlo", n_starts=4)
    size = {rule: found.candidates.rows[i].n_components for rule, i in found.choices.items()}
    assert size["bic"] > 1
    assert max(size["icl"], size["icl-entropy"]) <= size["bic"]
    assert size["cv-1se"] <= size["bic"]
    assert "not as many groups" in " ".join(found.summary().split())


# -- rules -------------------------------------------------------------------------------------


def test_rules_choose_by_their_columns():
    X = groups(5, 250, 2, 3, 3.0)[0]
    found = select(X, range(1, 6), ["full", "tied", "EII"], n_folds=5, rule="sabic")
    table = found.table
    for name, rule in RULES.items():
        place = found.choices[name]
        if name == "cv":
            assert place == table.cv_log_density.idxmax()
        elif name == "cv-1se":
            error = table.cv_se[table.cv_log_density.idxmax()]
            near = table[table.cv_gap <= error * np.sqrt(1 + 5 / 4)]
            assert table.n_free[place] == near.n_free.min()
        else:
            assert place == table[rule.column].idxmin()
    assert found.best_row_ == found.choices["sabic"]
    order = table.sabic.sort_values().index
    assert (found.best_row_, found.runner_up) == (order[0], order[1])
    assert select(X, range(1, 6), ["full", "tied", "EII"], n_folds=5).rule.name == "bic"


def test_words_for_rules():
    assert find_rule().name == "bic"
    assert find_rule("cv").name == find_rule(None, "cv").name == find_rule("min", "cv").name == "cv"
    assert find_rule("1se").name == find_rule("1se", "cv").name == "cv-1se"
    assert find_rule("cv-1se", "cv").name == "cv-1se"
    for rule, criterion, said in (
        ("best", None, "rule"), (None, "waic", "criterion"), ("1se", "bic", "1se"),
        ("icl", "bic", "about the criterion"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            find_rule(rule, criterion)


def test_equal_candidates_are_told_apart_by_their_parameters():
    """One column: full, diag and spherical are one model by three names; the first one counts."""
    X = three(6)[:, :1]
    found = select(X, [2, 3], ["full", "diag", "spherical"])
    assert found.best.model.covariance == "full"


def test_what_can_be_asked_for():
    assert len(models(2, "gaussian", "all")) == 14
    assert [str(model) for model in models(1, "gaussian", ["all"])] == ["E", "V"]
    assert len(models(2, ["gaussian", "gaussian"], ["full", "full"])) == 1
    assert sizes_of(3) == [3]
    assert sizes_of(np.array([4, 2])) == [2, 4]
    for wrong in (0, [], [1, 0], [1.5]):
        with pytest.raises(UsageError, match="n_components"):
            sizes_of(wrong)
    X = three(0, 30)
    for options, said in (
        ({"covariance": "round"}, "round"), ({"family": "normal"}, "family"),
        ({"covariance": []}, "covariance"), ({"n_folds": 31}, "n_folds"),
        ({"splits": "jackknife"}, "splits"), ({"start": "best"}, "start"),
        ({"weighting": "heavy"}, "weighting"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            select(X, [1], **options)


def test_equal_weights_have_fewer_parameters():
    X = three(7)
    free, equal = (select(X, [3], weighting=weighting) for weighting in ("free", "equal"))
    assert equal.best_.weights_ == pytest.approx(np.full(3, 1 / 3))
    assert equal.best.n_free == free.best.n_free - 2
    assert equal.best.log_likelihood < free.best.log_likelihood


# -- files, clusters, and how often they are read ----------------------------------------------


class Watching(Local):
    """Keeps how many passes there were; frozen, so in a list."""

    passes: list[int] = []  # noqa: RUF012 - one per process is what is wanted

    def reduce(self, task, source):
        self.passes.append(1)
        return super().reduce(task, source)


@pytest.mark.parametrize("folds", [None, 3])
def test_the_stream_is_read_as_often_as_the_longest_run_needs(monkeypatch, folds):
    monkeypatch.setattr(grid, "HELD_ROWS", 0)
    lengths: list[int] = []

    def watched(*args, **options):
        fit = yield from em_run(*args, **options)
        lengths.append(fit.n_passes + len({event.iteration for event in fit.events}))
        return fit

    monkeypatch.setattr("mixtura.crossval.streams.em_run", watched)
    X = groups(8, 6000, 2, 3, 3.0)[0]
    reads = [0]
    source = as_source(X, block_rows=1024)
    blocks = source.blocks

    def counted():
        reads[0] += 1
        return blocks()

    monkeypatch.setattr(source, "blocks", counted)
    found = select(source, range(1, 6), n_folds=folds)
    runs = 5 * (1 + (folds or 0))
    assert len(lengths) == runs
    final = found.fitted.n_iter + 1
    # look and profile 3, sample 1, table 1, the final fit and its closing pass
    assert found.passes_ == reads[0]
    assert found.passes_ <= max(lengths) + final + 6 + 2
    assert sum(lengths) > max(lengths) + 10


def test_a_stream_says_what_rows_in_memory_say(monkeypatch):
    X = three(9, 3000)
    memory = select(X, range(1, 4), ["full", "EEI"], rule="cv", n_folds=3)
    monkeypatch.setattr(grid, "HELD_ROWS", 0)
    stream = select(as_source(X, block_rows=1024), range(1, 4), ["full", "EEI"], rule="cv",
                    n_folds=3)  # fmt: skip
    assert stream.best_row_ == memory.best_row_
    well = memory.table.n_components == 3  # one optimum for all starts
    for name in ("log_likelihood", "bic", "icl"):
        np.testing.assert_allclose(stream.table[name][well], memory.table[name][well], rtol=1e-5)
    np.testing.assert_allclose(
        stream.table.cv_log_density[well], memory.table.cv_log_density[well], atol=1e-4
    )


def test_files_of_any_blocks_give_the_same_bits(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    monkeypatch.setattr(grid, "HELD_ROWS", 0)
    monkeypatch.setattr("mixtura.selection.search.HELD_BYTES", 0)
    X = three(10, 5000)
    table = pyarrow.table({"a": X[:, 0], "b": X[:, 1]})
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=700)
    options = {"n_components": [1, 3], "rule": "cv-1se", "n_folds": 3}
    array = select(as_source(X, block_rows=1024), **options)
    file = select(as_source(tmp_path / "rows.parquet", block_rows=2048), **options)
    for name in set(COLUMNS) - {"seconds"}:
        np.testing.assert_array_equal(array.candidates.columns[name], file.candidates.columns[name])
    assert file.best_.feature_names_in_.tolist() == ["a", "b"]


def test_missing_rows_and_weights_by_name(tmp_path):
    X = three(11)
    X[5, 0] = np.nan
    with pytest.warns(match="left out"):
        found = select(X, [1, 3], missing="drop")
    assert found.candidates.n_rows == len(X) - 1
    assert any("left out" in note for note in found.warnings)
    with pytest.raises(DataError, match="missing"):
        select(X, [1, 3])


# -- words -------------------------------------------------------------------------------------


def test_the_document_holds_the_table_and_is_json():
    X = three(12)
    found = select(X, range(1, 4), ["full", "tied"], rule="cv-1se", n_folds=4)
    facts = choice_document(found)
    again = json.loads(json.dumps(facts, allow_nan=False))
    assert again["table"][2]["bic"] == found.table.bic[2]
    assert [*again["table"][0]] == list(COLUMNS)
    assert (again["best_row"], again["passes"]) == (found.best_row_, found.passes_)
    assert again["runner_up"]["standard_error"] > 0
    assert again["best"]["n_components"] == 3
    text = choice_text(facts)
    for words in ("how many groups", "how good a density", "not tried", "smaller is better",
                  "runner-up", "standard error of the difference", "poisson"):  # fmt: skip
        assert words in " ".join(text.split()), words
    assert max(map(len, text.splitlines())) <= 100


def test_close_and_far_runners_up_are_told_apart():
    X = three(13)
    facts = choice_document(select(X, [1, 3]))
    assert "very strong" in facts["runner_up"]["text"]
    assert facts["runner_up"]["difference"] > 10
    assert choice_document(select(X, [3]))["runner_up"] is None
    assert "more than 3 components" in facts["not_tried"]
    assert "cross-validation" in facts["not_tried"]
    assert any("most that were tried" in hint for hint in facts["hints"])


def test_long_tables_are_cut_with_a_note():
    X = three(14, 100)
    found = select(X, range(1, 4), "all")
    lines = found.summary().splitlines()
    assert "the best 12 of 42 candidates are shown" in " ".join(lines)
    assert len(found.candidates.rows) == 42


# -- scikit-learn ------------------------------------------------------------------------------


def test_grid_search_and_cross_val_score_take_our_estimators():
    X = three(15, 240)
    folds = KFold(4, shuffle=True, random_state=0)
    search = GridSearchCV(
        GaussianMixture(random_state=0),
        {"n_components": [1, 2, 3, 4], "covariance_type": ["full", "EII"]}, cv=folds,
    ).fit(X)  # fmt: skip
    assert search.best_params_["n_components"] == 3
    scores = cross_val_score(GaussianMixture(3, random_state=0), X, cv=folds)
    for score, (train, test) in zip(scores, folds.split(X), strict=True):
        fitted = fit_mixture(Gaussian(2), as_source(X[train]), 3)
        truth = fitted.mixture.log_density(X[test]).mean()
        assert score == pytest.approx(truth, abs=1e-4)
    rates = np.array([3.0, 40.0])[np.arange(60) % 2]
    counts = np.random.default_rng(0).poisson(rates[:, None])
    assert np.isfinite(cross_val_score(MixtureModel("poisson", 2, random_state=0), counts)).all()


# -- what R printed ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", reference.names("gaussian"))
def test_criteria_of_the_reference(name):
    """BIC, ICL and df from R's log-likelihoods and from its own parameters."""
    data = reference.load(name)
    n, d = data.X.shape
    checked = 0
    for fit in data.fits:
        if fit.loglik is None:
            continue
        shape = fit.model if d > 1 else {"E": "EII", "V": "VII", "X": "VII"}[fit.model]
        df = Gaussian(d, shape).n_free(fit.n_components) + fit.n_components - 1
        assert df == fit.df
        assert bic(fit.loglik, df, n) == pytest.approx(-fit.bic, abs=1e-6)
        checked += 1
    assert checked > 15


def test_formulas():
    assert aic(-10.0, 3) == 26.0
    assert np.isnan(aicc(-10.0, 9, 10))
    assert aicc(-10.0, 3, 1e12) == pytest.approx(aic(-10.0, 3), rel=1e-9)
    assert sabic(-10.0, 3, 22.0) == pytest.approx(20.0)
    assert icl(-10.0, 3, 50.0, -2.0) == bic(-10.0, 3, 50.0) + 4.0
    assert icl_entropy(-10.0, 3, 50.0, 3.0) == bic(-10.0, 3, 50.0) + 6.0


def test_shapes_help_each_other_to_starts():
    """Cells of a grid are hardly ever worse than the same cells alone, and some are better.

    Runs are told apart before they end, so that now and then the other one would have won.
    """
    X = reference.load("diabetes").X
    shapes = ["VVV", "VVI", "EEE", "VEV"]
    together = select(X, range(1, 7), shapes, n_starts=4)
    alone = [select(X, range(1, 7), shape, n_starts=4) for shape in shapes]
    apart = np.concatenate([one.table.log_likelihood for one in alone])
    gains = together.table.log_likelihood.to_numpy() - apart
    assert (gains > -0.01).mean() >= 0.95
    assert (gains > 0.5).sum() >= 3


def test_more_starts_win_on_the_whole():
    """Many cells reach the best with one start already; now and then a detour does better."""
    X = reference.load("diabetes").X
    three, one = [
        select(X, range(1, 8), "all", n_starts=n).table.log_likelihood.to_numpy() for n in (3, 1)
    ]
    gains = (three - one)[np.isfinite(three) & np.isfinite(one)]
    assert len(gains) >= 90
    assert (gains > -0.01).mean() >= 0.75
    assert gains.sum() > 10


def test_the_corrected_diabetes():
    """An area of 45 in row 104 is a slip for 455; there mclust's default search misses VVE, 4."""
    X = reference.load("diabetes").X.copy()
    assert X[103].tolist() == [75.0, 45.0, 392.0]
    X[103, 1] = 455.0
    found = select(X, range(1, 7), "all")
    cells = {(row.model.covariance, row.n_components): row for row in found.candidates.rows}
    fit = cells["VVE", 4]
    assert bic(fit.log_likelihood, fit.n_free, len(X)) <= 4740.2
    assert found.table.bic.min() <= 4740.2


@pytest.mark.slow
def test_the_tables_of_mclust():
    """Cells where the best of our starts is below what its one start finds are rare."""
    missed, counted = [], 0
    for name in reference.names("gaussian"):
        data = reference.load(name)
        found = select(data.X, covariance="all")
        cells = {(row.model.covariance, row.n_components): row for row in found.candidates.rows}
        for fit in data.fits:
            if fit.loglik is not None:
                counted += 1
                own = cells[{"X": "V"}.get(fit.model, fit.model), fit.n_components]
                if not own.log_likelihood >= fit.loglik - 0.01:
                    missed.append((name, fit.model, fit.n_components))
        assert found.table.bic.min() <= -data.best_bic.bic + 1e-3, name
    assert counted > 600
    assert len(missed) <= 0.03 * counted, missed
