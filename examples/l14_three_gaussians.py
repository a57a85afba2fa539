"""L14: EM finds three Gaussians in 150 rows without labels."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save, three_groups
from scipy.optimize import linear_sum_assignment

from mixtura import GaussianMixture, plot


def main(folder):
    X, truth = three_groups()
    model = GaussianMixture(3, covariance_type="spherical", random_state=0).fit(X)
    away = np.linalg.norm(model.means_[:, None] - truth, axis=2)
    pairs = linear_sum_assignment(away)  # components have no order of their own
    ax = plot.density(model, X, ax=axes())
    ax.plot(*truth.T, "k+", ms=12, mew=2, label="true means")
    ax.legend()
    ax.set_title("150 rows, three components")
    save(ax, folder, "l14_three_gaussians")
    return {"farthest_mean": float(away[pairs].max()), "weights": model.weights_.tolist()}


if __name__ == "__main__":
    run(main)
