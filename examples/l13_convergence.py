"""L13: repeat until converged: plain EM, and EM that combines earlier iterations."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save

from mixtura import GaussianMixture, plot


def main(folder):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, 300), rng.normal(2.2, 1, 300)])[:, None]  # they overlap
    panels = axes(2)
    figures = {}
    for ax, accelerate in zip(panels, (False, True), strict=True):
        model = GaussianMixture(
            2, n_init=1, accelerate=accelerate, random_state=0, max_iter=20000
        ).fit(X)
        name = "accelerated" if accelerate else "plain"
        figures[f"{name}_iterations"] = model.n_iter_
        figures[f"{name}_log_likelihood"] = float(model.log_likelihood_)
        figures[f"{name}_converged"] = bool(model.converged_)
        plot.convergence(model, ax=ax).set_title(f"{name}: {model.n_iter_} iterations")
    save(panels[0], folder, "l13_convergence")
    return figures


if __name__ == "__main__":
    run(main)
