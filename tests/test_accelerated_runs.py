"""Longer steps for runs that crawl: the optima of plain EM, in fewer steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mixtura import Local, Mixture, as_source, em_steps
from mixtura.crossval import fold_of_rows
from mixtura.families import Gaussian
from mixtura.families.runs import CONVERGED, DEGENERATE, FELL, MAX_ITER, Folds, Limits
from mixtura.prepare import prepare
from tests import reference
from tests.cases import SHAPES

ALONE = Local(1)
TOL = 1e-6

#: Steps that follow a longer one before a run may end.
LOOKS = 5
PLAIN = Limits(3000, TOL)
LONG = Limits(20_000, 1e-12)


def overlapping(seed, n_rows=250, d=2, apart=1.6):
    """Three groups that overlap: EM crawls."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_rows) % 3
    X = rng.normal(size=(n_rows, d)) * np.linspace(1.0, 0.6, d)
    return X + apart * rng.normal(size=(3, d))[labels], labels.astype(np.int32)


def ready(X, shape, w=None):
    return prepare(Gaussian(X.shape[1], shape), as_source(X, weights=w), 1, ALONE)[0]


def begun(X, shape, labels, w=None, steps=3):
    """One run, a few plain steps from a partition."""
    sizes = np.array([labels.max() + 1], dtype=np.int32)
    runner = ready(X, shape, w).runner()
    return runner.from_partitions(X, w, labels[None], sizes, Limits(steps), 1)


def both_ways(runs, X, w=None, limits=PLAIN, folds=None):
    """Plain and accelerated from the same start."""
    return [
        runs.runner.onward(runs, X, w, limits._replace(accelerate=accelerate), 1, folds)
        for accelerate in (False, True)
    ]


def one_more_step(runs, job, X, w=None):
    """What a plain EM step of the block route adds to the log-likelihood of a run."""
    family = runs.runner.families[runs.families[job]]
    steps = em_steps(Mixture(family, *runs.mixture(job)), as_source(X, weights=w), executor=ALONE)
    first, second = next(steps), next(steps)
    assert first.objective == pytest.approx(runs.objective[job], rel=1e-11)
    return second.objective - first.objective


# -- the same optimum --------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["plain", "weighted", "fold"])
@pytest.mark.parametrize("seed", [1, 5])
def test_the_optimum_of_plain_em_is_found(shape, kind, seed):
    """That of a run which stops only at rounding, from the same start."""
    X, labels = overlapping(seed)
    rng = np.random.default_rng(0)
    w = rng.uniform(0.2, 2.0, len(X)) if kind == "weighted" else None
    folds = Folds(fold_of_rows(len(X), 5, 0), np.array([2], dtype=np.int32))
    folds = folds if kind == "fold" else None
    runs = begun(X, shape, labels, w)
    plain, fast = both_ways(runs, X, w, folds=folds)
    [truth, _] = both_ways(runs, X, w, LONG, folds)
    mass = len(X) if w is None else w.sum()
    assert fast.status[0] == CONVERGED
    assert fast.objective[0] == pytest.approx(truth.objective[0], abs=20 * TOL * mass)
    assert fast.objective[0] >= runs.objective[0] or kind == "fold"
    assert fast.n_iter[0] <= plain.n_iter[0] + 2 * LOOKS
    closer = both_ways(runs, X, w, Limits(3000, 1e-3 * TOL), folds)[1]
    assert closer.objective[0] == pytest.approx(truth.objective[0], abs=0.1 * TOL * mass)


@pytest.mark.parametrize("shape", SHAPES)
def test_crawling_runs_take_fewer_steps(shape):
    """In all, at most 60 %; each has the likelihood that its mixture has, and its shape."""
    counts = np.zeros(2)
    for seed in range(4):
        X, labels = overlapping(seed, n_rows=400, apart=1.2)
        ends = both_ways(begun(X, shape, labels), X, limits=Limits(3000, 1e-8))
        counts += [run.n_iter[0] for run in ends]
        fast = ends[1]
        family, params = fast.runner.families[0], fast.mixture(0)[1]
        mixture = Mixture(family, *fast.mixture(0))
        assert mixture.log_density(X).sum() == pytest.approx(fast.objective[0], rel=1e-11)
        again = family.params(params.means, params.covariances)
        np.testing.assert_allclose(again.factors, params.factors, rtol=1e-7, atol=1e-9)
    assert counts[1] <= 0.6 * counts[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_objective_never_falls(shape):
    """Whatever the limit on the steps: no worse than the start, and than one step fewer."""
    X, labels = overlapping(5)
    runs = begun(X, shape, labels, steps=5)
    value = runs.objective[0]
    for steps in range(0, 40):
        limits = Limits(steps, 0.0, accelerate=True)
        end = runs.runner.onward(runs, X, None, limits, 1)
        assert end.n_iter[0] <= steps
        assert end.objective[0] >= value - 1e-9 * abs(value)
        assert end.status[0] in (MAX_ITER, CONVERGED)
        mixture = Mixture(end.runner.families[0], *end.mixture(0))
        assert mixture.log_density(X).sum() == pytest.approx(end.objective[0], rel=1e-11)
        value = end.objective[0]


def test_runs_far_from_crawling_are_not_touched():
    """Groups far apart: no step after the first gains between nothing and half a nat for long."""
    X, labels = overlapping(6, apart=30.0)
    plain, fast = both_ways(begun(X, "VVV", labels, steps=0), X)
    np.testing.assert_array_equal(plain.records, fast.records)
    assert plain.n_iter[0] == fast.n_iter[0]


def test_the_first_steps_are_those_of_plain_em():
    """As long as each gains more than half a nat."""
    X, labels = overlapping(7, n_rows=1000, apart=2.5)
    rng = np.random.default_rng(1)
    labels = np.where(rng.random(len(X)) < 0.5, rng.permutation(labels), labels)
    runs = begun(X, "VVV", labels, steps=0)
    trace = [
        runs.runner.onward(runs, X, None, Limits(steps), 1).objective[0] for steps in range(40)
    ]
    gains = np.diff(trace)
    n = int(np.argmax(gains <= 0.5))
    plain, fast = both_ways(runs, X, limits=Limits(n, 0.0))
    assert n >= 6
    np.testing.assert_array_equal(plain.records, fast.records)


@pytest.mark.parametrize("power", [400, -400])
def test_units_of_columns_change_no_bit(power):
    X, labels = overlapping(8)
    for shape in ("VVV", "EEE", "VVI", "EII"):
        a, b = (both_ways(begun(rows, shape, labels), rows)[1] for rows in (X, X * 2.0**power))
        assert a.n_iter[0] == b.n_iter[0]
        np.testing.assert_array_equal(a.record(0)[:3], b.record(0)[:3])
        unit = 2 * power * np.log(2.0) * len(X)
        assert b.objective[0] == pytest.approx(a.objective[0] - unit, rel=1e-12)


@pytest.mark.parametrize("shape", ["VVV", "VEE", "VVI", "VII"])
def test_far_from_the_origin(shape):
    """Statistics are extrapolated about a common point: where it is must not matter."""
    X, labels = overlapping(9)
    near, far = (both_ways(begun(rows, shape, labels), rows)[1] for rows in (X, X + 1e5))
    assert far.objective[0] == pytest.approx(near.objective[0], abs=2 * TOL * len(X))
    assert abs(far.n_iter[0] - near.n_iter[0]) <= 0.5 * near.n_iter[0] + 5


def test_whole_weights_are_repetitions():
    X, labels = overlapping(10)
    w = np.random.default_rng(0).integers(1, 4, len(X))
    a = both_ways(begun(X, "VVV", labels, w.astype(float)), X, w.astype(float))[1]
    rows = np.repeat(X, w, axis=0)
    b = both_ways(begun(rows, "VVV", np.repeat(labels, w)), rows)[1]
    assert a.objective[0] == pytest.approx(b.objective[0], abs=2 * TOL * w.sum())


@pytest.mark.parametrize("seed", [4, 6, 12, 25])
def test_a_singular_step_after_a_longer_one_that_failed_ends_its_run_only(seed):
    """Without a floor, with five rows nearly in one place: as degenerate as in plain EM."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 2))
    X = np.concatenate([X, rng.normal(size=2) + 1e-3 * rng.normal(size=(5, 2))])
    runner = replace(ready(X, "EVV"), floor=None).runner()
    labels, sizes = rng.integers(0, 5, (30, 35)).astype(np.int32), np.full(30, 5, dtype=np.int32)
    runs = runner.from_partitions(X, None, labels, sizes, Limits(0), 1)
    runs = runs.take(np.flatnonzero(runs.ended))
    ends = both_ways(runs, X, limits=Limits(3000, 1e-9))
    for end in ends:
        assert np.isfinite(end.records).all()
        assert set(end.status) <= {CONVERGED, DEGENERATE}
    assert DEGENERATE in ends[1].status


# -- many starts -------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["VVV", "VEV", "EEE", "VVI", "VII"])
def test_irises_from_random_starts(shape):
    """No worse than plain EM where both meet in one optimum; and always at an end of EM."""
    X = reference.load("iris").X
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (50, len(X))).astype(np.int32)
    runner = ready(X, shape).runner()
    sizes = np.full(50, 3, dtype=np.int32)
    runs = runner.from_partitions(X, None, labels, sizes, Limits(0), 1)
    plain, fast = both_ways(runs, X, limits=Limits(5000, TOL))
    slack = TOL * len(X)
    assert FELL not in fast.status
    assert (fast.n_iter <= 1.5 * plain.n_iter + 4 * LOOKS).all()
    assert fast.n_iter.sum() < plain.n_iter.sum()
    met = 0
    for j in np.flatnonzero(plain.ended & fast.ended):
        met += fast.objective[j] >= plain.objective[j] - 2 * slack
        if fast.objective[j] < plain.objective[j] - slack and not fast.n_boundary[j]:
            assert one_more_step(fast, j, X) <= slack
    assert met >= 40
