"""Result lines to tables of figures and ratios, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.runner import ALL_CASES, Line, seconds

OWN, REFERENCE = "mixtura", "scikit-learn"


@dataclass(frozen=True)
class Figure:
    """The turns of one package on one case, in its best thread setting."""

    package: str
    setting: str
    version: str
    seconds: float
    lines: tuple[Line, ...]

    def first(self, name: str) -> Any:
        """The value of a field in the first line that has it."""
        return next((line[name] for line in self.lines if name in line), None)

    def largest(self, name: str) -> float | None:
        """The largest value of a field."""
        return max((line[name] for line in self.lines if name in line), default=None)


def figures(lines: Iterable[Line], case: str, threads: int) -> dict[str, Figure]:
    """Best setting of each package on a case."""
    turns: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        if line["case"] == case and line["threads"] == threads and seconds(line) is not None:
            turns.setdefault((line["package"], line["setting"]), []).append(line)
    best: dict[str, Figure] = {}
    for (package, setting), own in turns.items():
        figure = Figure(package, setting, own[0]["version"], _pooled(own), tuple(own))
        # Not above zero: the machine was too busy for a difference of two times.
        if figure.seconds > 0 and (package not in best or figure.seconds < best[package].seconds):
            best[package] = figure
    return best


def _pooled(lines: list[Line]) -> float:
    """Seconds from the least times of all turns: disturbances only ever add time."""
    if "seconds_per_iteration" in lines[0]:
        long = min(line["seconds_whole_fit"] for line in lines)
        short = min(line["seconds_one_iteration_fit"] for line in lines)
        return float(long - short) / int(lines[0]["n_iter"])
    return min(value for value in map(seconds, lines) if value is not None)


def cases_of(lines: Iterable[Line], *groups: str) -> list[tuple[str, int]]:
    """Cases and thread counts in the lines, in the order of their definition."""
    found = {(line["case"], line["threads"]) for line in lines if line["group"] in groups}
    order = list(ALL_CASES)
    return sorted(found, key=lambda pair: (pair[1], order.index(pair[0])))


def markdown(lines: Sequence[Line]) -> str:
    """All tables, with the facts of the machine above them."""
    if not lines:
        return "no results"
    parts = [_heading(lines)]
    titled = {
        "Seconds per iteration": _iterations(lines, "main"),
        "Seconds per iteration, columns of other families": _iterations(lines, "columns"),
        "Time to the same log-likelihood": _targets(lines),
        "Small jobs": _small(lines),
        "Growth with the number of components": _growth(lines, "growth-k", "n_components"),
        "Growth with the number of rows": _growth(lines, "growth-n", "n_rows"),
        "Failures": _failures(lines),
    }
    parts += [f"### {title}\n\n{text}" for title, text in titled.items() if text]
    return "\n\n".join(parts)


def _heading(lines: Sequence[Line]) -> str:
    facts = lines[0]["machine"]
    versions = {line["package"]: line["version"] for line in lines if "version" in line}
    kernel = next((line["kernel"] for line in lines if "kernel" in line), None)
    return (
        f"{facts['cpu']}, {facts['processors']} processors, {facts['memory_gb']} GB, "
        f"{facts['system']}, Python {facts['python']}, {lines[0]['date']}"
        + (f", kernel {kernel}" if kernel else "")
        + ".\n\n"
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + "."
    )


def _iterations(lines: Sequence[Line], group: str) -> str:
    pairs = cases_of(lines, group)
    if not pairs:
        return ""
    tables = {pair: figures(lines, *pair) for pair in pairs}
    others = [p for p in PEERS if p != OWN and any(p in found for found in tables.values())]
    head = ["case", "threads", OWN, *others, f"over {REFERENCE}", "over the best other",
            "of FMA peak", "same log-likelihood", "memory above data, MB"]  # fmt: skip
    rows = []
    for (case, threads), found in tables.items():
        own = found.get(OWN)
        rest = [found[p].seconds for p in others if p in found]
        rows.append(
            [case, threads, *(_cell(found.get(p)) for p in (OWN, *others)),
             _ratio(found.get(REFERENCE), own), _over(min(rest, default=None), own),
             _of_peak(own), _agreement(found), _number(own and own.largest("memory_above_data_mb"))]
        )  # fmt: skip
    return _table(head, rows)


def _targets(lines: Sequence[Line]) -> str:
    rows = []
    for case, threads in cases_of(lines, "target"):
        found = figures(lines, case, threads)
        for package, figure in found.items():
            rows.append(
                [case, threads, package, figure.first("passes_to_target"),
                 spell(figure.seconds), _ratio(figure, found.get(OWN))]
            )  # fmt: skip
    head = ["case", "threads", "package", "passes", "seconds", f"over {OWN}"]
    return _table(head, rows) if rows else ""


def _small(lines: Sequence[Line]) -> str:
    rows = []
    for case, threads in cases_of(lines, "small"):
        found = figures(lines, case, threads)
        own = found.get(OWN)
        for package, figure in found.items():
            quality = figure.first("log_likelihood")
            held_out = figure.first("held_out_best")
            note = "" if quality is None else f"log-likelihood {quality:.4f}"
            if held_out is not None:
                note = f"held-out {held_out:.5f} per row, M = {figure.first('chosen')}"
            if figure.first("seconds_one_iteration_fit") is not None:
                whole = figure.lines
                call = min(line["seconds_one_iteration_fit"] for line in whole) - figure.seconds
                note += f"; call without iterations {spell(call)}"
            rows.append(
                [case, threads, f"{package} ({figure.setting})", spell(figure.seconds),
                 _ratio(figure, own), note]
            )  # fmt: skip
    head = ["case", "threads", "package", "seconds", f"over {OWN}", "note"]
    return _table(head, rows) if rows else ""


def _growth(lines: Sequence[Line], group: str, size: str) -> str:
    rows = []
    first: dict[int, tuple[float, float]] = {}
    for case, threads in cases_of(lines, group):
        figure = figures(lines, case, threads).get(OWN)
        if figure is None:
            continue
        n = float(figure.first(size))
        n0, seconds0 = first.setdefault(threads, (n, figure.seconds))
        rows.append(
            [case, threads, f"{n:.0f}", spell(figure.seconds), f"{n / n0:.1f}",
             f"{figure.seconds / seconds0:.2f}",
             _of_peak(figure), _number(figure.largest("memory_above_data_mb"))]
        )  # fmt: skip
    head = [
        "case",
        "threads",
        size,
        "per iteration",
        "size, times the first",
        "time, times the first",
        "of FMA peak if dense",
        "memory above data, MB",
    ]
    return _table(head, rows) if rows else ""


def _failures(lines: Sequence[Line]) -> str:
    found = {
        (line["case"], line["package"], line["setting"], line["problem"])
        for line in lines
        if "problem" in line
    }
    turns = {(x["case"], x["threads"], x["package"]) for x in lines if seconds(x) is not None}
    for case, threads, package in turns:
        if package not in figures(lines, case, threads):
            found.add((case, package, f"{threads} threads", "too disturbed to be measured"))
    return "\n".join(
        f"* {case}, {package} ({how}): {what}" for case, package, how, what in sorted(found)
    )


def same(reference: Figure, other: Figure) -> bool | None:
    """Tell whether both ended with the same log-likelihood; None where it is unknown."""
    a, b = reference.first("log_likelihood"), other.first("log_likelihood")
    if a is None or b is None:
        return None
    return abs(a - b) <= PEERS[other.package].precision * abs(a)


def _agreement(found: dict[str, Figure]) -> str:
    """Name those whose log-likelihood differs from that of the reference."""
    reference = found.get(REFERENCE) or found.get(OWN)
    if reference is None or len(found) < 2:
        return ""
    differing = [
        f"{f.package} {f.first('log_likelihood') / reference.first('log_likelihood') - 1:+.0e}"
        for f in found.values()
        if same(reference, f) is False
    ]
    return "all" if not differing else "but " + ", ".join(differing)


def _of_peak(figure: Figure | None) -> str:
    """Useful operations per second over what the same threads did in registers."""
    if figure is None:
        return ""
    flops, peak = figure.first("flops_per_iteration"), figure.largest("fma_peak_gflops")
    if not flops or not peak:
        return ""
    return f"{flops / figure.seconds / (peak * 1e9):.2f}"


def _ratio(other: Figure | None, own: Figure | None) -> str:
    return _over(other.seconds if other else None, own)


def _over(other: float | None, own: Figure | None) -> str:
    if other is None or own is None:
        return ""
    ratio = other / own.seconds
    return f"{ratio:.0f}x" if ratio >= 100 else f"{ratio:.2g}x"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return spell(figure.seconds) + ("" if figure.setting == "default" else f" ({figure.setting})")


def spell(value: float) -> str:
    """Three significant digits, in a unit that a person can read."""
    units = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
    unit, scale = next((u for u in units if abs(value) >= u[1]), units[-1])
    return f"{value / scale:#.3g}".rstrip(".") + f" {unit}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
