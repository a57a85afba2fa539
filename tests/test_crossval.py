"""Folds, held-out scores and their errors, and fits that never see what they are scored on."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtura import Local, Mixture, as_source, cross_validate
from mixtura.crossval import ALL, Cell, HeldOut, HeldRows, HeldTrials, Score, Search, Splits
from mixtura.crossval.splits import Training, cut_seed, folds_at
from mixtura.crossval.streams import sampled, streamed
from mixtura.errors import DataError, UsageError
from mixtura.families import Gaussian, Poisson
from mixtura.prepare import Prospect, prepare
from mixtura.source import Block
from mixtura.stats import tree_sum
from mixtura.weighting import Equal
from tests.em_starts import groups

ALONE = Local(1)
METHODS = ["kmeans", "random_from_data"]


# -- folds -------------------------------------------------------------------------------------


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    n_folds=st.integers(2, 11),
    round_=st.integers(0, 3),
    first=st.integers(0, 20_000),
    n_rows=st.integers(0, 9_000),
)
def test_a_fold_depends_on_the_place_of_the_row_only(seed, n_folds, round_, first, n_rows):
    splits = Splits(n_folds, 4, seed=seed)
    whole = splits.folds(round_, 0, first + n_rows)
    np.testing.assert_array_equal(splits.folds(round_, first, n_rows), whole[first:])
    index = np.unique(np.random.default_rng(seed).integers(0, first + n_rows + 1, 50))
    index = index[index < first + n_rows]
    if len(index):
        np.testing.assert_array_equal(folds_at(splits, round_, index), whole[index])


def test_folds_are_even_and_differ_between_rounds_and_seeds():
    splits = Splits(7, 3)
    rounds = [splits.folds(r, 0, 70_000) for r in range(3)]
    for folds in rounds:
        for deal in folds[:7000].reshape(-1, 7):
            assert sorted(deal) == list(range(7))
    for a, b in ((rounds[0], rounds[1]), (rounds[0], Splits(7, seed=1).folds(0, 0, 70_000))):
        assert np.mean(a == b) == pytest.approx(1 / 7, abs=0.01)


def test_cuts_of_every_kind():
    assert Splits(3, 2).cuts == ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2))
    half = Splits(repeats=4, kind="monte-carlo")
    assert half.cuts == ((0, 0), (1, 0), (2, 0), (3, 0))
    assert np.mean(half.folds(2, 0, 10_000) == 0) == 0.5
    assert len({cut_seed(5, cut) for cut in (ALL, *Splits(4, 3).cuts)}) == 13
    assert cut_seed(5, ALL) == 5
    for wrong, said in (
        ({"n_folds": 1}, "n_folds"), ({"repeats": 0}, "repeats"), ({"kind": "leave"}, "splits"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            Splits(**wrong)
    assert "10-fold" in Splits().words()
    assert "repeated 3 times" in Splits(5, 3).words()
    assert "20 splits, 1/2" in Splits(kind="monte-carlo").words()


@pytest.mark.parametrize("block_rows", [1024, 4096])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_view_takes_the_weight_of_held_out_rows(block_rows, weighted):
    X = np.random.default_rng(0).normal(size=(9000, 1))
    w = np.random.default_rng(1).random(9000) if weighted else None
    splits = Splits(3, 2, seed=4)
    for cut in splits.cuts:
        view = pickle.loads(pickle.dumps(Training(splits, cut)))
        seen = [view(b).w for b in as_source(X, weights=w, block_rows=block_rows).blocks()]
        kept = splits.folds(cut.round, 0, 9000) != cut.fold
        np.testing.assert_array_equal(np.concatenate(seen), kept * (1.0 if w is None else w))
    block = Block(X)
    assert Training(splits, ALL)(block) is block


# -- scores and their errors -------------------------------------------------------------------


def plain_errors(total, h, w):
    """Linearised ratio of means, row by row; `w` copies of a row are so many rows."""
    score = (total * w).sum(axis=1) / (w * h).sum()
    away = total - score[:, None] * h
    C = len(total)
    error, gap = np.empty((C, C)), score[:, None] - score
    for a in range(C):
        for b in range(C):
            d = away[a] - away[b]
            error[a, b] = np.sqrt((w * d * d).sum()) / (w * h).sum()
    return score, np.sqrt((w * away**2).sum(axis=1)) / (w * h).sum(), gap, error


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(2, 300),
    C=st.integers(1, 5),
    offset=st.sampled_from([0.0, -40.0, 1e6]),
    repeated=st.booleans(),
    weighted=st.booleans(),
)
def test_moments_give_scores_and_paired_errors(seed, n, C, offset, repeated, weighted):
    rng = np.random.default_rng(seed)
    h = rng.integers(0, 4, n).astype(float) if repeated else np.ones(n)
    h[0] = 1.0
    w = rng.integers(1, 5, n).astype(float) if weighted else np.ones(n)
    total = (rng.normal(size=n) + offset + 0.1 * rng.normal(size=(C, n))) * h
    pieces = np.array_split(np.arange(n), min(n, 1 + seed % 7))
    found = tree_sum(HeldOut.of(total[:, own], h[own], w[own]) for own in pieces)
    score, error, gap, paired = plain_errors(total, h, w)
    scale = 1e-9 * (1 + abs(offset))
    np.testing.assert_allclose(found.score, score, rtol=1e-12)
    np.testing.assert_allclose(found.standard_error, error, rtol=1e-6, atol=scale)
    for best in range(C):
        own_gap, own_error = found.behind(best)
        np.testing.assert_allclose(own_gap, gap[best], rtol=1e-9, atol=scale)
        np.testing.assert_allclose(own_error, paired[best], rtol=1e-6, atol=scale)
    best = int(np.argmax(score))
    for spread in (1.0, 1.5):
        near = found.within_one_error(spread)
        assert near[best]
        limit = score[best] - spread * error[best]
        decided = np.abs(score - limit) > 10 * scale
        np.testing.assert_array_equal(near[decided], (score >= limit)[decided])


def test_errors_of_single_rows_are_those_of_numpy():
    rng = np.random.default_rng(0)
    density = rng.normal(size=(3, 500))
    found = HeldOut.of(density)
    np.testing.assert_allclose(found.score, density.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.standard_error, density.std(axis=1) / np.sqrt(500), rtol=1e-12)
    difference = density[0] - density[2]
    gap, error = found.behind(0)
    assert gap[2] == pytest.approx(difference.mean(), rel=1e-12)
    assert error[2] == pytest.approx(difference.std() / np.sqrt(500), rel=1e-10)
    assert error[0] == 0.0


def test_a_weight_is_a_number_of_rows():
    rng = np.random.default_rng(1)
    density, w = rng.normal(size=(2, 40)), rng.integers(0, 4, 40)
    weighted = HeldOut.of(density, weights=w.astype(float))
    repeated = HeldOut.of(np.repeat(density, w, axis=1))
    np.testing.assert_allclose(weighted.score, repeated.score, rtol=1e-12)
    np.testing.assert_allclose(weighted.scatter, repeated.scatter, rtol=1e-10)


def test_scores_of_blocks_are_those_of_rows():
    """Every row is scored by the mixture of its own cut; any size of blocks gives the same bits."""
    X, _ = groups(0, 5000)
    splits = Splits(3, 2, seed=1)
    family = Gaussian(2)

    def one(seed, size):
        means = np.random.default_rng(seed).normal(size=(size, 2)) * 3
        params = family.params(means, np.array([np.eye(2)] * size))
        return Mixture(family, np.full(size, 1 / size), params)

    mixtures = [(cut, [one(10 * i + k, k) for k in (1, 2)]) for i, cut in enumerate(splits.cuts)]
    task = pickle.loads(pickle.dumps(Score(splits, mixtures)))
    w = np.random.default_rng(0).random(len(X))
    results = [
        ALONE.reduce(task, as_source(X, weights=w, block_rows=rows)) for rows in (1024, 4096)
    ]
    np.testing.assert_array_equal(results[0].score, results[1].score)
    np.testing.assert_array_equal(results[0].scatter, results[1].scatter)
    truth = np.zeros((2, len(X)))
    for cut, own in mixtures:
        out = splits.folds(cut.round, 0, len(X)) == cut.fold
        for c, mixture in enumerate(own):
            truth[c, out] += mixture.log_density(X[out])
    score, error, _, _ = plain_errors(truth, np.full(len(X), 2.0), w)
    np.testing.assert_allclose(results[0].score, score, rtol=1e-12)
    np.testing.assert_allclose(results[0].standard_error, error, rtol=1e-9)


# -- fits --------------------------------------------------------------------------------------


def searched(family, X, sizes=(1, 3), w=None, **options):
    family = prepare(family, as_source(X, weights=w), max(sizes), ALONE)[0]
    return Search((dict.fromkeys(sizes, family),), sizes, METHODS, **options)


@pytest.mark.parametrize("family", [Gaussian(2), Gaussian(2, "EEI"), Gaussian(2, ridge=1e-9)])
@pytest.mark.parametrize("kind", ["v-fold", "monte-carlo"])
def test_held_out_rows_have_no_part_in_a_fit(family, kind):
    """Starts, runs and the choice among them: the fit keeps every bit when these rows change."""
    X, _ = groups(1, 160)
    search = searched(family, X)
    splits = Splits(4, 2, kind)
    before = HeldTrials(search, HeldRows(X, None, splits), ALONE).made(list(splits.cuts))
    for cut in splits.cuts[:3]:
        moved = X.copy()
        moved[splits.folds(cut.round, 0, len(X)) == cut.fold] += 7.0
        after = HeldTrials(search, HeldRows(moved, None, splits), ALONE).made([cut])
        for size in search.sizes:
            a, b = before[Cell(0, size, cut)], after[Cell(0, size, cut)]
            assert a.objective == b.objective
            np.testing.assert_array_equal(a.mixture.weights, b.mixture.weights)
            np.testing.assert_array_equal(a.mixture.means, b.mixture.means)


def test_a_stream_has_the_optima_of_rows_in_memory():
    """Well separated groups: all good starts meet, in the compiled runs and in the lockstep."""
    X, _ = groups(2, 900, 2, 3, 8.0)
    w = np.random.default_rng(0).integers(1, 3, len(X)).astype(float)
    source = as_source(X, weights=w, block_rows=1024)
    search = searched(Gaussian(2), X, (1, 2, 3), w, tol=1e-10)
    splits = Splits(3)
    cuts = [ALL, *splits.cuts]
    held = HeldTrials(search, HeldRows(X, w, splits), ALONE).made(cuts)
    summary = Prospect([], source, 3, ALONE).summary
    stream = streamed(search, source, summary, splits, cuts, ALONE)
    assert held.keys() == stream.keys()
    for cell, trial in held.items():
        assert stream[cell].objective == pytest.approx(trial.objective, abs=1e-5)
        assert stream[cell].converged


def test_a_sample_keeps_the_places_of_its_rows():
    X = np.arange(40_000.0)[:, None]
    source = as_source(X, block_rows=1024)
    look = Prospect([], source, 3, ALONE)
    sample = sampled(source, look.summary, 3, 0, Splits(4), ALONE)
    assert len(sample.X) == 10_000
    np.testing.assert_array_equal(sample.X[:, 0], sample.index)
    folds = Splits(4).folds(0, 0, len(X))
    np.testing.assert_array_equal(sample.folds(0), folds[sample.index])
    np.testing.assert_array_equal(sample.kept(Splits(4).cuts[1]), np.flatnonzero(
        folds[sample.index] != 1))  # fmt: skip


def test_a_weighting_reaches_every_fit():
    X, _ = groups(3, 120)
    search = replace(searched(Gaussian(2), X), weighting=Equal())
    trials = HeldTrials(search, HeldRows(X, None, Splits(3)), ALONE).made([ALL, *Splits(3).cuts])
    for cell, trial in trials.items():
        np.testing.assert_allclose(trial.mixture.weights, 1 / cell.n_components, rtol=1e-14)


def test_cells_that_cannot_be_fitted_say_why():
    X = np.repeat(np.random.default_rng(0).normal(size=(4, 2)), 5, axis=0)
    search = searched(Gaussian(2), X, (1, 4))
    folds = Splits(10)
    trials = HeldTrials(search, HeldRows(X[:20], None, folds), ALONE).made(list(folds.cuts))
    assert all(trial.mixture is not None or trial.reason for trial in trials.values())
    counts = as_source(np.array([[0.0], [0.0], [5.0], [5.0], [9.0]]))
    with pytest.raises(DataError, match="outside of fold"):
        cross_validate(Poisson(1), counts, [3], folds=np.array([0, 1, 0, 1, 2]))


def test_several_sizes_of_a_gaussian_use_compiled_runs(monkeypatch):
    """One family for all sizes: nothing is left for the loop."""
    looped = []
    monkeypatch.setattr(
        HeldTrials, "_looped", lambda self, family, size, cut: looped.append((size, cut))
    )
    X, _ = groups(5, 160, apart=7.0)
    found = cross_validate(Gaussian(2), as_source(X), [1, 2, 3], n_folds=4)
    assert not looped
    assert np.isfinite(found.score).all()


# -- repeated and Monte-Carlo ------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "repeats"), [("v-fold", 3), ("monte-carlo", 8)])
def test_rows_that_are_held_out_several_times(kind, repeats):
    X, _ = groups(4, 150, 2, 3, 7.0)
    found = cross_validate(
        Gaussian(2), as_source(X), range(1, 5), n_folds=3, repeats=repeats, splits=kind
    )
    splits = Splits(3, repeats, kind)
    times = sum(splits.folds(cut.round, 0, len(X)) == cut.fold for cut in splits.cuts)
    np.testing.assert_array_equal(found.times, times)
    assert times.sum() == len(X) * repeats / (1 if kind == "v-fold" else 3)
    assert found.best == 3
    total = np.where(times > 0, found.log_density, 0.0) * times
    score, error, _, _ = plain_errors(total, times.astype(float), np.ones(len(X)))
    np.testing.assert_allclose(found.score, score, rtol=1e-12)
    np.testing.assert_allclose(found.standard_error, error, rtol=1e-9)
    assert np.isnan(found.log_density[:, times == 0]).all()
