"""What the examples share: axes, data files, and where pictures go."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"


def axes(n=1, width=5.0, height=4.2):
    """One set of axes, or n side by side."""
    return Figure(figsize=(width * n, height), layout="constrained", dpi=100).subplots(1, n)


def save(ax, folder, name):
    """Write the figure of these axes as folder/name.png."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for drawn in ax.figure.axes:
        _clear_title(drawn)
    ax.figure.savefig(Path(folder) / f"{name}.png")


def _clear_title(ax):
    """Lift the title above a legend that stands above the axes."""
    legend = ax.get_legend()
    if legend is not None and ax.get_title():
        ax.figure.canvas.draw()
        box = legend.get_window_extent()
        if box.y1 > ax.bbox.y1 + 2:
            ax.set_title(ax.get_title(), pad=6 + (box.y1 - ax.bbox.y1) * 72 / ax.figure.dpi)


def read(name):
    """Numbers, labels and column names of a file in examples/data."""
    lines = (HERE / "data" / f"{name}.csv").read_text().split()
    rows = [line.split(",") for line in lines]
    X = np.array([row[:-1] for row in rows[1:]], dtype=float)
    return X, np.array([row[-1] for row in rows[1:]]), rows[0][:-1]


def three_groups(seed=0, n=150):
    """The lecture's rows: three unit-variance Gaussians at (0, 0), (3, 3) and (-3, 3)."""
    rng = np.random.default_rng(seed)
    means = np.array([[0.0, 0.0], [3.0, 3.0], [-3.0, 3.0]])
    return rng.normal(means[np.arange(n) % 3]), means


def run(main):
    """Run an example from the command line: pictures into the folder named, figures printed."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    for name, value in main(folder).items():
        print(f"{name}: {value}")
