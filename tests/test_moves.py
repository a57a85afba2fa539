"""Moves out of poor optima: a component is split, or two are merged and a third one split."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import Local, Poisson, as_source, estimate, fit_mixture
from mixtura.degenerate import Care
from mixtura.families import Gaussian
from mixtura.start import best_run, split_starts
from mixtura.start.initial import one_hot
from mixtura.start.moves import split_and_merge

ALONE = Local(1)


def four_groups(seed=0, n_rows=400):
    """Two close groups on the left, two on the right, and where each row comes from."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_rows) % 4
    centres = np.array([[-20.0, -3.0], [-20.0, 3.0], [20.0, -3.0], [20.0, 3.0]])
    return centres[labels] + rng.normal(size=(n_rows, 2)), labels


def misplaced(X, labels):
    """Two components for one group, and one for the two groups on the other side."""
    wrong = np.where(labels >= 2, 3, labels)
    wrong[(labels == 0) & (X[:, 1] > -3.0)] = 2
    return wrong


@pytest.mark.parametrize("shape", ["VVV", "EEE", "VII", "VEV"])
def test_a_poor_optimum_is_left(shape):
    X, labels = four_groups()
    source = as_source(X)
    family = Gaussian(2, shape)
    start = estimate(family, source, 4, responsibilities=one_hot(misplaced(X, labels), 4))
    truth = fit_mixture(family, source, 4, start=labels)
    stuck = fit_mixture(family, source, 4, start=start)
    assert stuck.log_likelihood < truth.log_likelihood - 50
    care = Care("repair", len(X))
    _, kept = best_run([start], source, executor=ALONE, care=care)
    _, moved = best_run([start], source, executor=ALONE, care=care, n_moves=4)
    value = [mixture.log_density(X).sum() for mixture in (kept, moved)]
    assert value[0] == pytest.approx(stuck.log_likelihood, abs=1e-2)
    assert value[1] == pytest.approx(truth.log_likelihood, abs=1e-2)


def test_moves_serve_families_without_a_compiled_route():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    X = rng.poisson(np.array([2.0, 20.0, 200.0, 300.0])[labels]).astype(float)[:, None]
    source = as_source(X)
    wrong = np.where(labels == 1, 0, labels)
    wrong[(labels == 3) & (X[:, 0] > 300)] = 1
    start = estimate(Poisson(1), source, 4, responsibilities=one_hot(wrong, 4))
    truth = fit_mixture(Poisson(1), source, 4, start=labels)
    _, end = best_run([start], source, executor=ALONE, care=Care("repair", len(X)), n_moves=4)
    stuck = fit_mixture(Poisson(1), source, 4, start=start)
    assert stuck.log_likelihood < truth.log_likelihood - 100
    assert end.log_density(X).sum() == pytest.approx(truth.log_likelihood, abs=1e-2)


def test_a_good_optimum_stays():
    X, labels = four_groups(1)
    source = as_source(X)
    good = fit_mixture(Gaussian(2), source, 4, start=labels).mixture
    care = Care("repair", len(X))
    start, _ = best_run([good], source, executor=ALONE, care=care, n_moves=4)
    assert start is good


def test_a_move_merges_two_groups_and_splits_a_third():
    X, labels = four_groups(2)
    good = fit_mixture(Gaussian(2), as_source(X), 4, start=labels).mixture
    found = good.predict(X)
    moves = split_and_merge(good, X, np.ones(len(X)), 5, 0)
    assert moves.shape == (5, len(X))
    for own in moves:
        together = {frozenset(np.unique(own[found == k]).tolist()) for k in range(4)}
        apart = [names for names in together if len(names) == 2]
        assert len(apart) == 1  # one group is in two parts
        assert len(together) == 3  # two groups have one name
        assert np.array_equal(np.unique(own), np.arange(4))
    np.testing.assert_array_equal(moves, split_and_merge(good, X, np.ones(len(X)), 5, 0))


def test_splits_lead_from_every_size_to_the_next():
    X, labels = four_groups(3)
    source = as_source(X)
    mixture = fit_mixture(Gaussian(2, "VII"), source, 1).mixture
    for size in (2, 3, 4):
        starts = split_starts(mixture, source, 3, 0, ALONE)
        assert {start.n_components for start in starts} == {size}
        assert 1 <= len(starts) <= min(3, size - 1)
        care = Care("repair", len(X))
        _, mixture = best_run(starts, source, executor=ALONE, care=care)
    truth = fit_mixture(Gaussian(2, "VII"), source, 4, start=labels)
    assert mixture.log_density(X).sum() == pytest.approx(truth.log_likelihood, abs=1e-2)


def test_rows_that_are_all_the_same_cannot_be_split():
    X = np.repeat([[1.0], [50.0]], 20, axis=0)
    mixture = fit_mixture(Poisson(1), as_source(X), 2, start=np.repeat([0, 1], 20)).mixture
    assert split_starts(mixture, as_source(X), 3, 0, ALONE) == []
