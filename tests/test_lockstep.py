"""Many runs over one stream: each as if it were alone, with no more passes than the longest."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from mixtura import Aitken, Local, as_source, em_steps, fit_em
from mixtura.degenerate import Care
from mixtura.em import Run, em_run
from mixtura.errors import DegenerateComponentError
from mixtura.families import Gaussian
from mixtura.lockstep import Together, answered, guarded, lockstep, through
from mixtura.mixture import Mixture
from tests.contract import every
from tests.em_starts import groups, rough


class Counting(Local):
    """Counts the passes; tasks travel as they would to another process."""

    def __init__(self, n_threads=1):
        super().__init__(n_threads)
        object.__setattr__(self, "n_passes", 0)

    def reduce(self, task, source):
        object.__setattr__(self, "n_passes", self.n_passes + 1)
        return pickle.loads(pickle.dumps(super().reduce(pickle.loads(pickle.dumps(task)), source)))


def alike(fit, other):
    """Bit by bit, with the whole path."""
    assert fit.outcome is other.outcome
    assert fit.n_passes == other.n_passes
    assert list(map(str, fit.events)) == list(map(str, other.events))
    np.testing.assert_array_equal(fit.trace.objective, other.trace.objective)
    np.testing.assert_array_equal(fit.trace.entropy, other.trace.entropy)
    np.testing.assert_array_equal(fit.mixture.weights, other.mixture.weights)
    for a, b in zip(fit.mixture.params, other.mixture.params, strict=True):
        np.testing.assert_array_equal(a, b)


@every
@pytest.mark.parametrize("accelerate", [False, True])
def test_every_run_is_as_if_it_were_alone(case, accelerate):
    X, _ = case.rows(3, 3000, 5)
    w = np.random.default_rng(0).random(len(X)) + 0.1
    source = as_source(X, weights=w, block_rows=1024)
    starts = [case.rough_start(X, size, seed, w) for size in (1, 2, 4) for seed in (0, 1)]
    options = {"stop": Aitken(1e-7), "max_iter": 40, "accelerate": accelerate}
    together, alone = Counting(), [Counting() for _ in starts]
    fits = lockstep([em_run(start, **options) for start in starts], source, together)
    for start, fit, executor in zip(starts, fits, alone, strict=True):
        alike(fit, fit_em(start, source, executor=executor, **options))
    counts = [executor.n_passes for executor in alone]
    assert together.n_passes == max(counts)


def test_runs_that_ended_leave_the_batch():
    X, _ = groups()
    sizes = []

    class Watching(Local):
        def reduce(self, task, source):
            assert isinstance(task, Together)
            sizes.append(len(task.tasks))
            return super().reduce(task, source)

    limits = [0, 3, 5]
    runs = [em_run(rough(X, 3), max_iter=limit, stop=Aitken(0.0)) for limit in limits]
    lockstep(runs, as_source(X), Watching(1))
    assert sizes == [3, 2, 2, 2, 1, 1]


def test_nothing_to_do_reads_nothing():
    executor = Counting()
    assert lockstep([], as_source(np.ones((3, 1))), executor) == []

    def idle():
        return 7
        yield

    assert lockstep([idle(), idle()], as_source(np.ones((3, 1))), executor) == [7, 7]
    assert answered(idle(), as_source(np.ones((3, 1))), executor) == 7
    assert executor.n_passes == 0


def far_start(X):
    """A second component that no row belongs to."""
    family = Gaussian(2)
    params = family.params(np.array([X.mean(0), X.mean(0) + 60.0]), np.array([np.cov(X.T)] * 2))
    return Mixture(family, np.array([0.5, 0.5]), params)


def test_mending_asks_through_the_same_passes():
    """The empty component is seen after the first pass, its new place takes a second."""
    X, _ = groups()
    source, care = as_source(X), Care("repair", len(X))
    starts = [rough(X, 3), far_start(X), rough(X, 2)]
    executor = Counting()
    fits = lockstep([em_run(s, care=care, max_iter=30) for s in starts], source, executor)
    for start, fit in zip(starts, fits, strict=True):
        alike(fit, fit_em(start, source, care=care, max_iter=30))
    assert len(fits[1].events) > 0
    asked = [fit.n_passes + len({event.iteration for event in fit.events}) for fit in fits]
    assert executor.n_passes == max(asked)


def test_a_run_that_is_refused_leaves_the_others_alone():
    X, _ = groups()
    source, care = as_source(X), Care("raise", len(X))
    runs = [em_run(s, care=care, max_iter=30) for s in (far_start(X), rough(X, 3))]
    refused, fit = lockstep(
        [guarded(run, DegenerateComponentError) for run in runs], source, Local(1)
    )
    assert isinstance(refused, DegenerateComponentError)
    alike(fit, fit_em(rough(X, 3), source, care=care, max_iter=30))
    with pytest.raises(DegenerateComponentError):
        lockstep([em_run(far_start(X), care=care)], source, Local(1))


@dataclass(frozen=True)
class Every:
    """Rows whose index leaves this remainder have weight, others have none."""

    n: int
    rest: int

    def __call__(self, block):
        index = block.first_row + np.arange(block.n_rows)
        w = np.ones(block.n_rows) if block.w is None else block.w
        return replace(block, w=w * (index % self.n == self.rest))


def test_a_view_is_what_a_run_sees():
    X, _ = groups(n_rows=3000)
    source = as_source(X, block_rows=1024)
    views = [Every(3, rest) for rest in range(3)]
    fits = lockstep([through(v, em_run(rough(X, 3))) for v in views], source, Counting())
    for rest, fit in enumerate(fits):
        weighted = as_source(X, weights=(np.arange(len(X)) % 3 == rest) * 1.0, block_rows=1024)
        alike(fit, fit_em(rough(X, 3), weighted))


@pytest.mark.parametrize("accelerate", [False, True])
def test_steps_are_those_of_a_run(accelerate):
    X, _ = groups(3)
    source = as_source(X)
    run, steps = (
        Run(rough(X, 3), 1, accelerate=accelerate),
        em_steps(rough(X, 3), source, executor=Local(1), accelerate=accelerate),
    )
    for _ in range(40):
        a, b = answered(run.advance(), source, Local(1)), next(steps)
        assert (a.objective, a.iteration, a.n_passes) == (b.objective, b.iteration, b.n_passes)


def test_sums_of_a_bundle_are_those_of_its_tasks():
    X = np.random.default_rng(0).normal(size=(5000, 2))
    source = as_source(X, block_rows=1024)
    tasks = [partial(power, p) for p in (1, 2)]

    def ask(task):
        return (yield task)

    alone = [Local(1).reduce(task, source) for task in tasks]
    assert lockstep(map(ask, tasks), source, Counting()) == alone


def power(p, block, n_threads=1):
    return float((block.X**p).sum())
