"""Measures one package on one case, in a process of its own.

The job comes as JSON on standard input; the answer goes to the file that it names, since
packages may write to standard output as they like.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from benchmarks import machine

if TYPE_CHECKING:
    from benchmarks.cases import Case
    from benchmarks.peers import Peer, Run

T = TypeVar("T")

#: Most fits of a kind in one process; cheap ones stop at the time budget.
MOST_ROUNDS = 200

#: Prints the seconds of an import in a fresh interpreter, whose own start does not count.
TIMED_IMPORT = """
import time
began = time.perf_counter()
{statement}
print(time.perf_counter() - began)
"""


def main() -> None:
    """Do the job on standard input."""
    job = json.load(sys.stdin)
    machine.hold_to(job["threads"])  # before any library counts the processors
    answer: dict[str, Any] = {}
    try:
        answer = measure(job)
    except Exception as problem:  # the other packages go on
        answer = {"problem": f"{type(problem).__name__}: {problem}".splitlines()[0]}
    Path(job["answer"]).write_text(json.dumps(answer))


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Measure what the job asks for."""
    from dataclasses import replace

    import numpy as np

    from benchmarks.cases import Question
    from benchmarks.columns import ColumnCase
    from benchmarks.peers import PEERS
    from benchmarks.runner import ALL_CASES

    peer = replace(PEERS[job["package"]], setting=job["setting"])
    version = peer.version()
    if version is None or job["case"] is None:
        return {"version": version}
    case = ALL_CASES[job["case"]].smaller(job["shrink"])
    case = replace(case, n_iter=job["n_iter"] or case.n_iter)
    if case.question is Question.IMPORT:
        return {"version": version, **_import_seconds(peer, job["budget"])}
    if peer.external:
        X = np.memmap(job["rows"], dtype=float, mode="r", shape=(case.n_rows, case.n_features))
    else:
        X = np.fromfile(job["rows"]).reshape(case.n_rows, case.n_features)
    facts = {"version": version, **peer.facts(job["threads"])}
    machine.forget_peak_memory()
    before, _ = machine.memory_mb()
    ask = {
        Question.ITERATION: iterations,
        Question.COLUMNS: iterations,
        Question.TARGET: passes,
        Question.DEFAULT: default_fit,
        Question.SELECTION: selection,
    }[case.question]
    answer, run = ask(peer, case, X, job)
    _, peak = machine.memory_mb()
    if run is not None and run.peak_memory_mb is not None:
        answer |= {"peak_memory_mb": run.peak_memory_mb}
    else:
        answer |= {"peak_memory_mb": peak, "memory_above_data_mb": peak - before}
    if run is not None and job["check"]:
        from benchmarks.likelihood import log_likelihood

        if isinstance(case, ColumnCase):
            from benchmarks.columns import column_log_likelihood

            found = column_log_likelihood(np.asarray(X), case.kinds, run.parameters)
        else:
            found = log_likelihood(np.asarray(X), run.parameters)
        answer["log_likelihood"] = found
    return facts | answer


def iterations(
    peer: Peer, case: Case, X: Any, job: dict[str, Any]
) -> tuple[dict[str, Any], Run | None]:
    """Time one and 1 + n_iter iterations from the start; their difference is free of set-up."""
    from benchmarks.columns import ColumnCase

    def fit(n_iter: int) -> Any:
        if isinstance(case, ColumnCase):
            own = case.start_columns()
            return peer.fit_columns(X, case.kinds, own, n_iter, job["threads"])
        return peer.fit(X, case.start(), case.covariance, n_iter, job["threads"])

    fit(1)  # loads code, makes threads, touches the rows
    short: list[float] = []
    long: list[float] = []

    def both() -> Any:
        short.append(fit(1).seconds)
        run = fit(1 + case.n_iter)
        long.append(run.seconds)
        return run

    run = _repeat(both, job["budget"])
    return {
        "n_iter": case.n_iter,
        "seconds_one_iteration_fit": min(short),
        "seconds_whole_fit": min(long),
        "seconds_per_iteration": (min(long) - min(short)) / case.n_iter,
    }, run


def passes(
    peer: Peer, case: Case, X: Any, job: dict[str, Any]
) -> tuple[dict[str, Any], Run | None]:
    """Without `passes` in the job record the log-likelihood after each; with it, time them."""
    start = case.start()
    limit = job["passes"]
    if limit is None:
        run = peer.reach(X, start, case.covariance, case.n_iter, job["threads"])
        return {"history": run.history}, run
    seconds: list[float] = []

    def once() -> Run:
        run = peer.reach(X, start, case.covariance, limit, job["threads"])
        seconds.append(run.seconds)
        return run

    once()
    seconds.clear()
    run = _repeat(once, job["budget"])
    return {"passes_to_target": limit, "seconds_to_target": min(seconds)}, run


def default_fit(
    peer: Peer, case: Case, X: Any, job: dict[str, Any]
) -> tuple[dict[str, Any], Run | None]:
    """Time a plain call."""
    seconds: list[float] = []

    def once() -> Run:
        run = peer.default_fit(X, case.n_components, job["threads"])
        seconds.append(run.seconds)
        return run

    once()
    seconds.clear()
    run = _repeat(once, job["budget"])
    return {"seconds": min(seconds), "seconds_median": statistics.median(seconds)}, run


def selection(
    peer: Peer, case: Case, X: Any, job: dict[str, Any]
) -> tuple[dict[str, Any], Run | None]:
    """Time the choice of the number of components."""
    from benchmarks.cases import SIZES, STARTS, folds

    fold = folds(case.n_rows)
    sizes = SIZES[: job["sizes"]]
    seconds: list[float] = []

    def once() -> tuple[float, ...]:
        choice = peer.choose(X, fold, sizes, STARTS, job["threads"])
        seconds.append(choice.seconds)
        return choice.held_out

    peer.choose(X, fold, sizes[:1], 1, job["threads"])  # loads code
    held_out = _repeat(once, job["budget"])
    best = max(range(len(held_out)), key=held_out.__getitem__)
    return {
        "seconds": min(seconds),
        "held_out": held_out,
        "held_out_best": held_out[best],
        "chosen": sizes[best],
    }, None


def _import_seconds(peer: Peer, budget: float) -> dict[str, Any]:
    seconds: list[float] = []

    def once() -> None:
        code = TIMED_IMPORT.format(statement=peer.statement)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        seconds.append(float(done.stdout))

    _repeat(once, budget)
    return {"seconds": min(seconds)}


def _repeat(action: Callable[[], T], budget: float) -> T:
    """Repeat until the budget in seconds is spent; the first result counts."""
    began = time.perf_counter()
    result = action()
    for _ in range(MOST_ROUNDS - 1):
        if time.perf_counter() - began > budget:
            break
        action()
    return result


if __name__ == "__main__":
    main()
