"""Runs packages in turn on the cases: A B A B, each turn in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.cases import CASES, Case, Question
from benchmarks.columns import COLUMN_CASES
from benchmarks.peers import PEERS

ALL_CASES: dict[str, Case] = {**CASES, **COLUMN_CASES}

ROOT = Path(__file__).resolve().parents[1]

#: Variables that would change a package's threads or its BLAS behind its back.
FOREIGN = ("OPENBLAS_", "OMP_", "MKL_", "GOTO_", "BLIS_", "MIXTURA_NUM_THREADS")

#: A thread setting that was this much slower in the first turn is not tried again.
CLEARLY_SLOWER = 1.25

#: What counts as the same optimum: nats per row below the best that any package reached.
TARGET_GAP = 1e-6

Line = dict[str, Any]


@dataclass
class Plan:
    """What to run.

    Attributes
    ----------
    cases, packages : list of str
        Names in `CASES` and `PEERS`.
    threads : list of int
        Processors that packages may use, one after the other.
    repeat : int
        Turns of each package.
    budget : float
        Seconds for repetitions of a cheap fit within a turn.
    shrink : int
        Divides the rows of every case.
    n_iter, sizes : int, optional
        Replace the case's iterations, and how many sizes cross-validation compares.
    pythons : dict
        Interpreters of packages that are installed elsewhere.
    timeout : float
        Seconds after which a turn counts as failed.
    say : callable
        Where progress goes.
    """

    cases: list[str]
    packages: list[str]
    threads: list[int]
    repeat: int = 3
    budget: float = 1.0
    shrink: int = 1
    n_iter: int | None = None
    sizes: int | None = None
    pythons: dict[str, str] = field(default_factory=dict)
    timeout: float = 900.0
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)


def run(plan: Plan) -> Iterator[Line]:
    """Yield one result line per turn."""
    versions = {name: _version(plan, name) for name in plan.packages}
    for name, version in versions.items():
        plan.say(f"{name}: {version or 'not installed'}")
    present = [name for name, version in versions.items() if version]
    common = {"machine": machine.facts(), "date": time.strftime("%Y-%m-%d")}
    with tempfile.TemporaryDirectory() as folder:
        for name in plan.cases:
            case = ALL_CASES[name].smaller(plan.shrink)
            able = [package for package in present if PEERS[package].supports(case)]
            rows = Path(folder, "rows")
            if case.question is not Question.IMPORT:
                case.rows().tofile(rows)
            for threads in plan.threads:
                for line in _case(plan, case, rows, able, threads):
                    yield {**_described(case, threads), **common, **line}


def _case(
    plan: Plan, case: Case, rows: Path, packages: Sequence[str], threads: int
) -> Iterator[Line]:
    """Let packages take turns on one case."""
    turns = [(p, s) for p in packages for s in _settings(case, p)]
    goals: dict[tuple[str, str], int | None] = {}
    if case.question is Question.TARGET:
        goals = _goals(plan, case, rows, turns, threads)
        turns = [turn for turn in turns if goals[turn] is not None]
    for repeat in range(plan.repeat):
        lines = []
        for package, setting in turns:
            job = {"check": repeat == 0, "passes": goals.get((package, setting))}
            answer = _ask(plan, package, setting, case, rows, threads, job)
            line = {"package": package, "setting": setting, "repeat": repeat, **answer}
            plan.say(f"{case.name:<12} {package:<18} {setting:<8} {_figure(line)}")
            lines.append(line)
        yield from lines
        turns = [turn for turn in turns if _worth_another(turn, lines)]


def _settings(case: Case, package: str) -> tuple[str, ...]:
    """Thread settings matter to everything but the import."""
    settings = PEERS[package].settings
    return settings[:1] if case.question is Question.IMPORT else settings


def _worth_another(turn: tuple[str, str], lines: list[Line]) -> bool:
    own = {line["setting"]: seconds(line) for line in lines if line["package"] == turn[0]}
    mine = own.get(turn[1])
    known = [value for value in own.values() if value is not None]
    return mine is not None and mine <= CLEARLY_SLOWER * min(known)


def seconds(line: Line) -> float | None:
    """The figure that the case asks for, in seconds; None where the package failed."""
    for name in ("seconds_per_iteration", "seconds_to_target", "seconds"):
        if name in line:
            return float(line[name])
    return None


def _figure(line: Line) -> str:
    value = seconds(line)
    return line.get("problem", "failed") if value is None else f"{value:.6f} s"


def _goals(
    plan: Plan, case: Case, rows: Path, turns: list[tuple[str, str]], threads: int
) -> dict[tuple[str, str], int | None]:
    """Iterations after which each package is as good as the best that any of them reached."""
    histories: dict[str, list[float]] = {}
    for package, setting in turns:
        if package not in histories:
            answer = _ask(plan, package, setting, case, rows, threads, {"check": False})
            histories[package] = answer.get("history", [])
            if not histories[package]:
                plan.say(f"{case.name:<12} {package:<18} {answer.get('problem', 'no history')}")
    best = max((max(history) for history in histories.values() if history), default=0.0)
    goals = {}
    for package, setting in turns:
        history, goal = histories[package], best - TARGET_GAP * case.n_rows
        goals[package, setting] = next((i for i, v in enumerate(history) if v >= goal), None)
        if goals[package, setting] is None:
            plan.say(f"{case.name:<12} {package:<18} target not reached")
    return goals


def _described(case: Case, threads: int) -> Line:
    return {
        "case": case.name,
        "group": case.group,
        "question": case.question.name.lower(),
        "n_rows": case.n_rows,
        "n_features": case.n_features,
        "n_components": case.n_components,
        "covariance": case.covariance,
        "flops_per_iteration": case.flops,
        "threads": threads,
    }


def _version(plan: Plan, package: str) -> str | None:
    answer = _ask(plan, package, "default", None, None, max(plan.threads), {})
    version = answer.get("version")
    return str(version) if version else None


def _ask(
    plan: Plan,
    package: str,
    setting: str,
    case: Case | None,
    rows: Path | None,
    threads: int,
    more: Line,
) -> Line:
    """Let a fresh process do one job."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        job = {
            "package": package, "setting": setting, "case": case.name if case else None,
            "rows": str(rows), "threads": threads, "budget": plan.budget, "shrink": plan.shrink,
            "n_iter": plan.n_iter, "sizes": plan.sizes, "passes": None, "check": False,
            "answer": str(answer), **more,
        }  # fmt: skip
        python = plan.pythons.get(package, sys.executable)
        try:
            done = subprocess.run(
                [python, "-m", "benchmarks.worker"], cwd=ROOT, env=_environment(), check=False,
                input=json.dumps(job), capture_output=True, text=True, timeout=plan.timeout,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"problem": f"took more than {plan.timeout:.0f} s"}
        if not answer.exists():
            words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            return {"problem": words[-1]}
        found: Line = json.loads(answer.read_text())
        return found


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
