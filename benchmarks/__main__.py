"""``python -m benchmarks``: measure, print the tables, draw the chart."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import machine, runner, table
from benchmarks.peers import PEERS
from benchmarks.runner import ALL_CASES

CHART = runner.ROOT / "docs" / "benchmark.svg"
GROUPS = sorted({case.group for case in ALL_CASES.values()})


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    options = _parser().parse_args(arguments)
    if options.read:
        lines = [json.loads(text) for text in options.read.read_text().splitlines()]
    else:
        lines = _measure(options)
    print(table.markdown(lines))
    chart = options.chart or (None if options.quick else CHART)
    if chart and any(line["group"] == "main" for line in lines):
        from benchmarks.chart import draw

        draw(lines, chart)
        print(f"chart: {chart}", file=sys.stderr)
    return 0


def _measure(options: argparse.Namespace) -> list[runner.Line]:
    plan = runner.Plan(
        cases=_cases(options.cases),
        packages=options.packages,
        threads=options.threads,
        repeat=options.repeat,
        pythons=dict(pair.split("=", 1) for pair in options.python),
    )
    if options.quick:
        plan.shrink, plan.repeat, plan.budget, plan.n_iter, plan.sizes = 20, 1, 0.2, 3, 3
    lines = []
    with options.output.open("w") as file:
        for line in runner.run(plan):
            lines.append(line)
            print(json.dumps(line), file=file, flush=True)
    return lines


def _cases(names: list[str]) -> list[str]:
    """Cases by name or by group, in the order of their definition."""
    return [c.name for c in ALL_CASES.values() if c.name in names or c.group in names]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--cases", nargs="+", metavar="NAME", default=GROUPS, choices=[*ALL_CASES, *GROUPS],
        help=f"groups of cases: {', '.join(GROUPS)}; cases: {', '.join(ALL_CASES)}",
    )  # fmt: skip
    parser.add_argument("--packages", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument(
        "--threads", nargs="+", type=int, default=[machine.processors()],
        help="processors that packages may use, one run for each number",
    )  # fmt: skip
    parser.add_argument("--repeat", type=int, default=3, help="turns of each package")
    parser.add_argument("--quick", action="store_true", help="small data, one turn: only a trial")
    parser.add_argument("--output", type=Path, default=Path("results.jsonl"))
    parser.add_argument("--chart", type=Path, help=f"default: {CHART.name} in docs/")
    parser.add_argument("--read", type=Path, help="print and draw earlier results instead")
    parser.add_argument(
        "--python", action="append", default=[], metavar="PACKAGE=PATH",
        help="interpreter in which a package is installed",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
