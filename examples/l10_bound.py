"""L10: the lower bound of every iteration and its two terms."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save, three_groups

from mixtura import GaussianMixture, plot


def main(folder):
    X, _ = three_groups()
    model = GaussianMixture(
        3, n_init=1, init_params="random_from_data", accelerate=False, record=True, random_state=1
    ).fit(X)
    trace = model.trace_
    ax = plot.convergence(model, ax=axes(width=6))
    ax.set_title("the bound touches the log-likelihood after every E step")
    save(ax, folder, "l10_bound")
    gap = np.abs(trace.expected_complete + trace.entropy - trace.objective).max()
    return {"gap": float(gap), "least_gain": float(np.diff(trace.objective).min())}


if __name__ == "__main__":
    run(main)
