"""The whole table of 14 shapes and 9 numbers of components: mixtura and R's mclust, in turns.

    python -m benchmarks.grid [--rounds 5]

mclust makes one start for each cell, by agglomeration, and stops early. mixtura is timed twice:
with one start for each cell too, and with its default of three. Besides seconds the table says in
how many of mclust's cells the log-likelihood is at least mclust's (0.01 nats allowed), and the best
BIC of each (smaller is better).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parent.parent / "tests" / "data" / "reference"
SCRIPT = Path(__file__).parent / "peers" / "mclust_grid.R"
NAMES = ("iris", "faithful", "diabetes")

#: Threads and starts of mixtura that are timed.
SETTINGS = ((1, 1), (2, 1), (1, 3), (2, 3))


def main() -> None:
    """Print one row per data set and setting."""
    parser = argparse.ArgumentParser(description="14 shapes x 9 sizes, mixtura against mclust")
    parser.add_argument("--rounds", type=int, default=5, help="least time of so many")
    rounds = parser.parse_args().rounds
    print("| data | threads | starts | mixtura s | mclust s | ratio | cells | BIC | mclust's BIC |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    total = {setting: [0.0, 0.0] for setting in SETTINGS}
    for name in NAMES:
        path = DATA / f"{name}.csv"
        theirs = mclust(path, rounds)
        for threads, starts in SETTINGS:
            seconds, found = own(path, threads, starts, rounds)
            reached, cells, best = compared(found, theirs["bic"])
            least = min(b for column in theirs["bic"].values() for b in column if b is not None)
            total[threads, starts][0] += seconds
            total[threads, starts][1] += theirs["seconds"]
            print(
                f"| {name} | {threads} | {starts} | {seconds:.3f} | {theirs['seconds']:.3f} | "
                f"{theirs['seconds'] / seconds:.1f} | {reached} of {cells} | {best:.2f} | "
                f"{least:.2f} |"
            )
    for (threads, starts), (ours, others) in total.items():
        print(
            f"| all | {threads} | {starts} | {ours:.3f} | {others:.3f} | {others / ours:.1f} "
            "| | | |"
        )


def mclust(path: Path, rounds: int) -> dict[str, Any]:
    """Seconds and BIC, of which smaller is better here, by model."""
    command = ["Rscript", str(SCRIPT), str(path), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    found["bic"] = {
        model: [None if value is None else -value for value in column]
        for model, column in found["bic"].items()
    }
    return found


def own(path: Path, threads: int, starts: int, rounds: int) -> tuple[float, Any]:
    """Least seconds of the whole search, and its table."""
    from mixtura import select

    X = numbers(path)
    seconds = []
    for _ in range(rounds + 1):  # the first loads code
        began = time.perf_counter()
        found = select(X, range(1, 10), "all", n_starts=starts, n_threads=threads)
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:]), found.candidates


def compared(table: Any, theirs: dict[str, list[float | None]]) -> tuple[int, int, float]:
    """Cells that reach mclust's log-likelihood, cells that mclust has, and the best BIC."""
    reached = cells = 0
    bic = np.array(table.columns["bic"])
    for row, value in zip(table.rows, bic, strict=True):
        other = theirs[row.model.covariance][row.n_components - 1]
        if other is not None:
            cells += 1
            reached += bool(value <= other + 0.02)  # the same parameters: twice the nats
    return reached, cells, float(np.nanmin(bic))


def numbers(path: Path) -> np.ndarray:
    """Columns of a CSV file that hold numbers."""
    lines = [line.split(",") for line in path.read_text().splitlines()[1:]]
    keep = [j for j, cell in enumerate(lines[0]) if _is_number(cell)]
    return np.array([[float(line[j]) for j in keep] for line in lines])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    main()
