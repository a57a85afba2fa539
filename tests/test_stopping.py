"""When a run of EM stops, and what combined steps change."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from mixtura import (
    Aitken,
    Gain,
    Outcome,
    Stats,
    as_source,
    em_steps,
    estimate,
    fit_em,
)
from mixtura.em import Step
from mixtura.families import Gaussian
from tests.contract import every
from tests.em_starts import FOUR, groups, rough

# -- stopping ----------------------------------------------------------------------------------


def run_of(objectives, mass, mixed=()):
    """Steps with these objectives; `mixed` tells which of them were combined."""
    none = np.zeros(0)
    return [
        Step(None, Stats(none, none, none, value, 0.0, mass), i, i + 1, i in mixed)
        for i, value in enumerate(objectives)
    ]


def geometric(limit, gap, ratio, n):
    return [limit - gap * ratio**i for i in range(n)]


@pytest.mark.parametrize("ratio", [0.5, 0.9, 0.99, 0.999])
def test_aitken_stops_by_what_is_left_to_gain(ratio):
    """On a geometric sequence the projection is exact: the gap to the limit is compared."""
    mass, tol = 100.0, 1e-6
    sequence = geometric(-1000.0, 5.0, ratio, 40_000)
    run = run_of(sequence, mass)
    stop = next(i for i in range(len(run)) if Aitken(tol).met(run[max(0, i - 5) : i + 1]))
    assert -1000.0 - sequence[stop] <= tol * mass * (1 + 1e-2)
    assert -1000.0 - sequence[stop - 1] > tol * mass * (1 - 1e-2)


def test_aitken_is_not_fooled_by_a_slow_crawl():
    """Gains of 1e-5 a step with 1 left to gain: Gain(1e-6) stops, Aitken(1e-6) does not."""
    crawl = geometric(-1000.0, 1.0, 0.99999, 50)
    assert Gain(1e-6).met(run_of(crawl, 100.0))
    assert not Aitken(1e-6).met(run_of(crawl, 100.0))


def test_aitken_needs_three_values_and_waits_while_gains_grow():
    assert not Aitken(1.0).met(run_of([], 1.0))
    assert not Aitken(1.0).met(run_of([-1.0], 1.0))
    assert not Aitken(1.0).met(run_of([-2.0, -1.0], 1.0))
    assert not Aitken(1.0).met(run_of([-1.03, -1.02, -1.0], 1.0))  # gains 0.01, then 0.02
    assert Aitken(1.0).met(run_of([-1.03, -1.01, -1.0], 1.0))


def test_aitken_stops_where_nothing_moves():
    assert Aitken(1e-300).met(run_of([-5.0, -5.0, -5.0], 1.0))
    assert Aitken(1e-300).met(run_of([-7.0, -5.0, np.nextafter(-5.0, 0)], 1.0))
    assert not Aitken(1e-300).met(run_of([-7.0, -5.0, -5.0 + 1e-12], 1.0))


def test_gain_compares_one_step_per_unit_of_weight():
    assert not Gain(0.1).met(run_of([-10.0], 1.0))
    assert not Gain(0.1).met(run_of([-10.0, -9.0], 10.0))  # a gain equal to tol does not do
    assert Gain(0.1).met(run_of([-10.0, -9.01], 10.0))
    assert not Gain(0.1).met(run_of([-10.0, -9.01], 9.0))


def test_aitken_trusts_combined_steps_only_when_they_hardly_gain():
    """The ratio of gains across a combined step projects nothing."""
    values = geometric(-1000.0, 1e-3, 0.5, 12)
    assert Aitken(1e-4).met(run_of(values, 1.0))
    assert not Aitken(1e-4).met(run_of(values[:6], 1.0, mixed={3}))
    assert not Aitken(1e-4).met(run_of(values[:6], 1.0, mixed={4, 5}))
    assert Aitken(1e-4).met(run_of(values, 1.0, mixed={10, 11}))
    assert not Aitken(1e-4).met(run_of(values, 1.0, mixed={11}))


@pytest.mark.parametrize("stop", [Aitken(1e-7), Aitken(1e-5), Gain(1e-4)])
def test_rows_given_twice_take_the_same_iterations(stop):
    X, _ = groups(5)
    start = rough(X, 3)
    counts = {
        fit_em(start, source, stop=stop).n_iter
        for source in (
            as_source(X),
            as_source(np.vstack([X, X])),
            as_source(np.repeat(X, 5, axis=0)),
            as_source(X, weights=np.full(len(X), 7.0)),
        )
    }
    assert len(counts) == 1
    assert counts.pop() > 5


def test_overlapping_components_are_not_left_too_early():
    """One standard deviation apart, weights 3:1: the case in which a loose rule stops at 2:3."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, 15_000), rng.normal(2, 1, 5_000)])[:, None]
    halves = np.eye(2)[(X[:, 0] > 0.5).astype(int)]
    start = estimate(Gaussian(1, "EII"), as_source(X), 2, responsibilities=halves)
    default = fit_em(start, as_source(X), max_iter=20_000)
    tight = fit_em(start, as_source(X), stop=Aitken(1e-13), max_iter=20_000)
    assert default.outcome is Outcome.CONVERGED
    assert (tight.objective - default.objective) / len(X) <= 1e-6
    assert default.n_iter < tight.n_iter
    np.testing.assert_allclose(np.sort(default.mixture.weights), [0.25, 0.75], atol=0.05)


# -- acceleration ------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("seed", range(2))
def test_combined_steps_never_descend_and_belong_to_their_mixtures(case, seed):
    X, _ = case.rows(60 + seed, 150, 2)
    steps = em_steps(case.rough_start(X, 3, seed), as_source(X), accelerate=True)
    run = list(islice(steps, 60))
    values = np.array([step.objective for step in run])
    assert (np.diff(values) >= -1e-11 * np.abs(values[1:])).all()
    for step in run[::7]:
        assert step.objective == pytest.approx(step.mixture.log_density(X).sum(), rel=1e-11)
        assert case.family.problem(step.mixture.params) is None


@pytest.mark.parametrize("shape", FOUR)
def test_combined_steps_reach_the_same_maximum_in_fewer_passes(shape):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (2_000, 1)), rng.normal(1.5, 1.5, (2_000, 1))])
    halves = np.eye(2)[(X[:, 0] > 0.5).astype(int)]
    start = estimate(Gaussian(1, shape), as_source(X), 2, responsibilities=halves)
    options = {"stop": Aitken(1e-11), "max_iter": 50_000}
    plain = fit_em(start, as_source(X), **options)
    fast = fit_em(start, as_source(X), accelerate=True, **options)
    assert plain.outcome is fast.outcome is Outcome.CONVERGED
    assert fast.objective == pytest.approx(plain.objective, abs=1e-10 * len(X))
    np.testing.assert_allclose(fast.mixture.weights, plain.mixture.weights, atol=2e-3)
    *_, last = (
        step
        for step, _ in zip(
            em_steps(start, as_source(X), accelerate=True), fast.trace.objective, strict=False
        )
    )
    assert last.n_passes <= 0.6 * plain.n_iter
