"""L7: the wrong model: one Gaussian for rows of two."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save

from mixtura import GaussianMixture, plot


def draw(rng, n):
    means = np.array([[0.5, 2.0], [3.0, 4.0]])
    return rng.normal(means[rng.integers(2, size=n)])


def main(folder):
    rng = np.random.default_rng(0)
    X, left_out = draw(rng, 400), draw(rng, 4000)
    figures = {}
    panels = axes(2)
    for ax, k in zip(panels, (1, 2), strict=True):
        model = GaussianMixture(k, random_state=0).fit(X)
        held_out = figures[f"held_out_{k}"] = float(model.score(left_out))
        plot.density(model, X, ax=ax)
        ax.set_title(f"{k} component{'s' * (k > 1)}: {held_out:.3f} nats per new row")
    save(panels[0], folder, "l07_wrong_model")
    return figures


if __name__ == "__main__":
    run(main)
