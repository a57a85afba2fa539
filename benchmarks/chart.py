"""The chart that the README shows: seconds per iteration of every package, case by case."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.peers import PEERS
from benchmarks.runner import Line
from benchmarks.table import OWN, REFERENCE, Figure, cases_of, figures, spell

COLOURS = {
    OWN: "#c2410c",
    REFERENCE: "#1d4ed8",
    "Armadillo": "#0f766e",
    "mclust": "#7c3aed",
    "torchgmm": "#64748b",
}


def draw(lines: Sequence[Line], path: Path) -> None:
    """Draw the cases of the main group at the largest number of threads.

    Parameters
    ----------
    lines : list of dict
        Result lines.
    path : Path
        Written; the ending tells the format.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    threads = max(line["threads"] for line in lines if line["group"] == "main")
    found = {case: figures(lines, case, n) for case, n in cases_of(lines, "main") if n == threads}
    packages = [p for p in PEERS if any(p in own for own in found.values())]
    n_bars = sum(len(own) for own in found.values())
    settings = {"svg.hashsalt": "mixtura", "svg.fonttype": "none", "font.family": "sans-serif"}
    with plt.rc_context(settings):
        figure, axes = plt.subplots(figsize=(9, 1.6 + 0.24 * n_bars + 0.25 * len(found)))
        places = _bars(axes, found, packages)
        axes.set_yticks(list(places.values()), [_label(found[case]) for case in places])
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.margins(x=0.16, y=0.01)
        axes.set_xlabel("seconds per EM iteration, logarithmic scale (shorter is faster)")
        axes.grid(axis="x", which="major", color="#e2e8f0")
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(left=False)
        axes.set_title(_title(lines, found, threads), loc="left", fontsize=9)
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.4, -0.55 / figure.get_figheight()),
            ncol=len(packages), frameon=False, fontsize=9,
        )  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        plain = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, bbox_inches="tight", facecolor="white", metadata=plain, dpi=150)
        plt.close(figure)


def _bars(axes, found: dict[str, dict[str, Figure]], packages: list[str]) -> dict[str, float]:
    """Draw the bars, tell the height of each case's middle."""
    y, places, shown = 0.0, {}, set()
    for case, own in found.items():
        top = y
        for package in packages:
            if package not in own:
                continue
            value = own[package].seconds
            label = None if package in shown else package
            shown.add(package)
            axes.barh(y, value, height=0.85, color=COLOURS[package], label=label)
            text = f" {spell(value)}"
            if package != OWN and OWN in own:
                text += f"  {value / own[OWN].seconds:.3g}x"
            weight = "bold" if package == OWN else "normal"
            axes.text(value, y, text, va="center", fontsize=8, fontweight=weight)
            y += 1
        places[case] = (top + y - 1) / 2
        y += 1
    return places


def _label(own: dict[str, Figure]) -> str:
    """Name and size of a case, as it was measured."""
    facts = next(iter(own.values())).lines[0]
    return (
        f"{facts['case']}\n{facts['n_rows']:,} x {facts['n_features']}\n"
        f"{facts['n_components']} components, {facts['covariance']}"
    )


def _title(lines: Sequence[Line], found: dict[str, dict[str, Figure]], threads: int) -> str:
    facts = lines[0]["machine"]
    versions = {f.package: f.version for own in found.values() for f in own.values()}
    shrunk = any(line["n_rows"] != CASES[line["case"]].n_rows for line in lines)
    first = "One EM iteration on the same data from the same start; times the time of mixtura"
    if shrunk:
        first += " (TRIAL RUN ON REDUCED DATA)"
    second = f"{facts['cpu']}, {threads} threads; " + ", ".join(
        f"{package} {version}" for package, version in versions.items()
    )
    return first + "\n" + textwrap.fill(second, 120)
