"""Runs of several families at once: each as if alone; goals, and who is given up."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import Mixture
from mixtura.crossval import fold_of_rows
from mixtura.families.runs import BEHIND, CONVERGED, Folds, Limits, Pairs, Runs
from tests.cases import SHAPES
from tests.joint_runs import all_pairs, assert_same_runs, blobs, groups, ready, together

NOTHING = -np.inf


def of_family(runs, f):
    return runs.take(np.flatnonzero(runs.families == f))


# -- several families in one call --------------------------------------------------


def check_against_alone(X, w, families, limits, exact=()):
    labels, sizes = groups(X / X.std(axis=0), [1, 2, 4])
    runs = together(families).from_partitions(
        X, w, labels, sizes, limits, 1, all_pairs(len(sizes), len(families))
    )
    for f, family in enumerate(families):
        alone = family.runner().joined([]).from_partitions(X, w, labels, sizes, limits, 1)
        tolerance = {} if f in exact else {"rtol": 1e-9, "atol": 1e-9}
        assert_same_runs(of_family(runs, f), alone, **tolerance)
        for j, size in enumerate(sizes):
            weights, params = of_family(runs, f).mixture(j)
            log_density = Mixture(family, weights, params).log_density(X)
            mass = log_density.sum() if w is None else w @ log_density
            assert of_family(runs, f).objective[j] == pytest.approx(mass, rel=1e-11)
            assert len(weights) == size


@pytest.mark.parametrize("d", [1, 2, 6])
@pytest.mark.parametrize("weighted", [False, True])
def test_families_that_share_partitions_run_as_if_alone(d, weighted):
    """Moments are those of matrices for all; shapes of matrices lose no bit by that."""
    X = blobs(0, d=d)
    w = np.random.default_rng(0).random(len(X)) + 0.1 if weighted else None
    exact = [f for f, shape in enumerate(SHAPES) if shape in ("VVV", "VEV", "EVE", "VVE", "EEV")]
    check_against_alone(X, w, ready(X, w=w), Limits(6), exact)


@pytest.mark.parametrize("shapes", [("VVI", "EEI", "VEI"), ("EII", "VII"), ("EEE", "EEE")])
def test_families_of_one_geometry_have_the_bits_they_have_alone(shapes):
    X = blobs(1, d=3)
    families = ready(X, shapes)
    check_against_alone(X, None, families, Limits(40, 1e-8), range(len(families)))


def test_spherical_and_diagonal_families_share_variances():
    X = blobs(2, d=4)
    families = ready(X, ("VII", "VVI", "EII"))
    check_against_alone(X, None, families, Limits(6), exact=[1])


def test_jobs_of_one_partition_need_not_stand_together():
    """In any order, and with any number of threads; only who shares moments with whom differs."""
    X = blobs(3)
    runner, (labels, sizes) = together(ready(X)), groups(X, [2, 3, 5])
    pairs = all_pairs(3, len(SHAPES))
    ordered = runner.from_partitions(X, None, labels, sizes, Limits(6), 1, pairs)
    order = np.random.default_rng(0).permutation(len(ordered))
    mixed = Pairs(pairs.partitions[order], pairs.families[order])
    runs = runner.from_partitions(X, None, labels, sizes, Limits(6), 2, mixed)
    assert_same_runs(runs, ordered.take(order), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("powers", [(400, 0), (400, 200), (-400, 0)])
def test_families_in_different_units(powers):
    """Shapes that know no units of single columns see the rows in those of the widest one."""
    X = blobs(4)
    far = X * 2.0 ** np.array(powers)
    plain, scaled = ready(X), ready(far)
    assert len({family.exponents for family in scaled}) == 2
    check_against_alone(far, None, scaled, Limits(6))
    labels, sizes = groups(X, [1, 3])
    pairs = all_pairs(2, len(SHAPES))
    runs = [
        together(families).from_partitions(rows, None, labels, sizes, Limits(6), 1, pairs)
        for families, rows in ((plain, X), (scaled, far))
    ]
    unit = len(X) * sum(powers) * np.log(2.0)
    free = [f for f, family in enumerate(plain) if family.shape.is_scale_free]
    chosen = np.isin(pairs.families, free)
    np.testing.assert_allclose(
        runs[1].objective[chosen], runs[0].objective[chosen] - unit, rtol=1e-12
    )


@pytest.mark.parametrize("accelerate", [False, True])
def test_any_number_of_threads_gives_the_same_bits(accelerate):
    X = blobs(5, n_rows=1100) * 2.0 ** np.array([400, 200])
    runner, (labels, sizes) = together(ready(X)), groups(X / X.std(axis=0), [1, 2, 4, 7])
    pairs = all_pairs(len(sizes), len(SHAPES))
    goals = np.full(len(pairs.families), NOTHING)
    folds = fold_of_rows(len(X), 3, 0)
    left_out = (np.arange(len(goals)) % 4 - 1).astype(np.int32)
    units = np.repeat(np.arange(len(goals) // 7, dtype=np.int32), 7)
    limits = Limits(15, 1e-6, trust=3.0, accelerate=accelerate)

    def results(n_threads):
        first = runner.from_partitions(X, None, labels, sizes, Limits(4), n_threads, pairs, goals)
        return first, runner.onward(
            first, X, None, limits, n_threads, Folds(folds, left_out), units
        )

    truth = results(1)
    for n_threads in (2, 5):
        for a, b in zip(results(n_threads), truth, strict=True):
            assert_same_runs(a, b)


def test_a_family_is_named_by_its_place():
    X = blobs(6)
    families = ready(X, ("VVV", "EII", "VVV", "VEI"))
    runner = families[0].runner().joined([f.runner() for f in families[1:]])
    assert [family.covariance for family in runner.families] == ["VVV", "EII", "VVV", "VEI"]
    labels, sizes = groups(X, [3])
    runs = runner.from_partitions(X, None, labels, sizes, Limits(3), 1, all_pairs(1, 4))
    np.testing.assert_array_equal(runs.record(0), runs.record(2))
    for j, family in enumerate(families):
        params = runs.mixture(j)[1]
        again = family.params(params.means, params.covariances)
        np.testing.assert_allclose(again.factors, params.factors, rtol=1e-9, atol=1e-12)


# -- goals -------------------------------------------------------------------------


def started(X, shapes=("VVV", "EEE", "VVI", "EII"), sizes=(2, 4), **limits):
    """A function of goals: runs of some families from some partitions."""
    runner, (labels, sizes) = together(ready(X, shapes)), groups(X, sizes)
    pairs = all_pairs(len(sizes), len(shapes))

    def run(goals, **more):
        options = {"max_iter": 60, "tol": 1e-7, **limits, **more}
        return runner.from_partitions(X, None, labels, sizes, Limits(**options), 1, pairs, goals)

    return run, len(pairs.families)


@pytest.mark.parametrize("scale", [1.0, 2.0**400])
@pytest.mark.parametrize("accelerate", [False, True])
def test_a_run_that_cannot_reach_its_goal_is_given_up(scale, accelerate):
    X = blobs(7, apart=1.0)
    run, count = started(X * scale, accelerate=accelerate)
    free = run(None)
    assert BEHIND not in free.status
    assert free.n_iter.max() > 8
    goals = free.objective + 100.0
    runs = run(goals, trust=3.0)
    behind = runs.status == BEHIND
    assert behind.sum() >= count - 2
    assert (runs.objective[behind] < goals[behind]).all()
    assert (runs.objective[behind] + 3.0 * runs.gain[behind] < goals[behind]).all()
    assert (runs.n_iter[behind] >= 4).all()
    assert (runs.n_iter[behind] % 2 == 0).all()
    assert (runs.n_iter <= free.n_iter).all()
    assert not runs.ended[behind].any()
    for j in np.flatnonzero(behind):  # the mixture is the one that had this log-likelihood
        mixture = Mixture(runs.runner.families[runs.families[j]], *runs.mixture(j))
        assert mixture.log_density(X * scale).sum() == pytest.approx(runs.objective[j], rel=1e-11)


def test_the_gain_is_that_of_the_second_half_of_the_steps():
    run, _ = started(blobs(8, apart=1.0), tol=0.0)
    trace = [run(None, max_iter=steps).objective for steps in range(8)]
    for steps in range(8):
        gain = run(None, max_iter=steps).gain
        np.testing.assert_allclose(gain, trace[steps] - trace[steps // 2], rtol=1e-9)


def test_goals_within_reach_change_nothing():
    run, count = started(blobs(9, apart=1.0))
    free = run(None, trust=0.0)
    for goals in (
        np.full(count, NOTHING), free.objective - 1e6, run(None, max_iter=2).objective - 1e-9,
    ):  # fmt: skip
        assert_same_runs(run(goals, trust=0.0), free)
    assert_same_runs(run(free.objective + 1e6, trust=np.inf), free)


def test_runs_without_a_goal_are_not_touched_by_those_that_have_one():
    run, count = started(blobs(10, apart=1.0))
    free = run(None)
    with_goal = np.arange(count) % 2 == 0
    runs = run(np.where(with_goal, free.objective + 1e3, NOTHING), trust=1.0)
    assert (runs.status[with_goal] == BEHIND).any()
    assert_same_runs(runs.take(np.flatnonzero(~with_goal)), free.take(np.flatnonzero(~with_goal)))


def test_more_trust_gives_up_later():
    run, _ = started(blobs(11, apart=1.0), tol=1e-9, max_iter=300)
    goals = run(None).objective + 0.5
    counts = np.array([run(goals, trust=trust).n_iter for trust in (0.0, 1.0, 10.0, np.inf)])
    assert (np.diff(counts, axis=0) >= 0).all()
    assert (counts[0] < counts[-1]).any()


# -- units: what one run reached is the goal of the next ones ----------------------


def rivals():
    """Four groups; runs of a good start, and of one whose components share groups unfairly."""
    rng = np.random.default_rng(0)
    truth = np.arange(200) % 4
    centres = np.array([[-20.0, -3.0], [-20.0, 3.0], [20.0, -3.0], [20.0, 3.0]])
    X = centres[truth] + rng.normal(size=(200, 2))
    wrong = np.where(truth >= 2, 3, truth)
    wrong[(truth == 0) & (X[:, 1] > -3.0)] = 2
    labels = np.array([truth, wrong], dtype=np.int32)
    runner = together(ready(X, ("VVV", "VVI")))
    runs = runner.from_partitions(
        X, None, labels, np.full(2, 4, dtype=np.int32), Limits(0), 1, all_pairs(2, 2)
    )
    return X, runs  # good VVV, good VVI, bad VVV, bad VVI


def raced(jobs, units, trust=2.0, folds=None, **limits):
    X, runs = rivals()
    options = Limits(**{"max_iter": 50, "tol": 1e-8, "trust": trust, **limits})
    left_out = None if folds is None else np.array(folds, dtype=np.int32)
    folds = None if folds is None else Folds(fold_of_rows(len(X), 5, 0), left_out)
    units = None if units is None else np.array(units, dtype=np.int32)
    return runs.runner.onward(runs.take(jobs), X, None, options, 1, folds, units)


def test_the_second_of_a_unit_is_given_up_where_it_stays_behind_the_first():
    for good, bad in ((0, 2), (1, 3)):
        runs = raced([good, bad], [0, 0])
        assert runs.status.tolist() == [CONVERGED, BEHIND]
        assert runs.objective[1] < runs.objective[0] - 10
        assert_same_runs(runs.take([0]), raced([good], None))


def test_runs_alone_in_their_unit_are_never_given_up():
    for units in (None, [0, 1, 2, 3]):
        runs = raced([0, 2, 1, 3], units)
        assert BEHIND not in runs.status
        for place, job in enumerate((0, 2, 1, 3)):
            assert_same_runs(runs.take([place]), raced([job], [0]))


def test_a_worse_run_is_no_goal_and_infinite_trust_gives_none_up():
    assert BEHIND not in raced([2, 0], [0, 0]).status
    assert BEHIND not in raced([0, 2], [0, 0], trust=np.inf).status


def test_only_runs_of_the_same_family_size_and_fold_are_rivals():
    assert BEHIND not in raced([0, 3], [0, 0]).status  # another family
    assert raced([0, 1, 3, 2], [0] * 4).status.tolist() == [CONVERGED] * 2 + [BEHIND] * 2
    assert BEHIND not in raced([0, 2], [0, 0], folds=[0, 1]).status
    assert BEHIND not in raced([0, 2], [0, 0], folds=[-1, 1]).status
    assert raced([0, 2], [0, 0], folds=[3, 3]).status.tolist() == [CONVERGED, BEHIND]


def test_other_sizes_are_no_rivals():
    """Two components stay far behind four, and are not asked to reach them."""
    X, runs = rivals()
    labels = np.random.default_rng(0).integers(0, 2, (1, len(X))).astype(np.int32)
    two = runs.runner.from_partitions(
        X, None, labels, np.full(1, 2, dtype=np.int32), Limits(0), 1, all_pairs(1, 1)
    )
    ended = runs.runner.onward(
        Runs.joined([runs.take([0]), two]), X, None, Limits(50, 1e-8, trust=0.0), 1,
        units=np.zeros(2, dtype=np.int32),
    )  # fmt: skip
    assert ended.n_iter[1] > 4
    assert ended.objective[1] < ended.objective[0] - 10
    assert BEHIND not in ended.status


def test_a_run_that_was_given_up_is_no_goal_itself():
    """Of three, the third is measured by the first; without the first by nobody."""
    assert raced([0, 2, 2], [0, 0, 0]).status.tolist() == [CONVERGED, BEHIND, BEHIND]
    assert BEHIND not in raced([2, 2], [0, 0]).status


def test_a_run_on_a_bound_is_no_goal():
    """A component of equal rows has the larger likelihood, but it counts less."""
    X = blobs(12)
    X[:40] = X[0] + 1e-9 * X[:40]
    [family] = ready(X, ("VVV",))
    centres = np.array([X[0], X.mean(axis=0)])
    low, wide = 10.0 * family.floor, 1e6 * family.floor
    starts = [
        (np.array([0.3, 0.7]), family.params(centres, np.array([own, wide]))) for own in (low, wide)
    ]
    runner = family.runner()
    runs = runner.onward(
        runner.runs_of(starts), X, None, Limits(10, 1e-8, trust=0.0), 1,
        units=np.zeros(2, dtype=np.int32),
    )  # fmt: skip
    assert runs.n_boundary.tolist() == [1, 0]
    assert runs.objective[0] > runs.objective[1]
    assert BEHIND not in runs.status
