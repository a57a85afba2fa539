"""L12: the M step is the estimate from labelled rows, with responsibilities as weights."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save, three_groups

from mixtura import GaussianMixture, as_source, em_steps, plot


def main(folder):
    X, _ = three_groups()
    by_x = np.argsort(np.argsort(X[:, 0])) // 50
    first = GaussianMixture(3).fit(X, labels=by_x).mixture_  # a rough start
    steps = em_steps(first, as_source(X))
    before, after = next(steps).mixture, next(steps).mixture
    R = before.responsibilities(X)
    by_hand = R.T @ X / R.sum(axis=0)[:, None]
    left, right = axes(2)
    plot.components(before, X, ax=left).set_title("before")
    plot.components(after, X, ax=right).set_title("after one E step and one M step")
    save(left, folder, "l12_m_step")
    return {
        "error_of_means": float(np.abs(after.params.means - by_hand).max()),
        "error_of_weights": float(np.abs(after.weights - R.mean(axis=0)).max()),
    }


if __name__ == "__main__":
    run(main)
