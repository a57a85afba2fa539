"""L2: the Gaussian in closed form: its gradient is zero at the fit; standard errors."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save

from mixtura import GaussianMixture, plot


def main(folder):
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal([1, 3], [[1.5, 0.6], [0.6, 0.4]], size=200)
    model = GaussianMixture().fit(X)
    of_means, of_covariances = model.gradient(X)
    se_means, _ = model.standard_errors_
    left, right = axes(2)
    plot.density(model, X, ax=left).set_title("one Gaussian by maximum likelihood")
    plot.qq(GaussianMixture().fit(X[:, :1]), X[:, :1], ax=right).set_title("x0 against the fit")
    save(left, folder, "l02_gaussian")
    return {
        "covariance_error": float(np.abs(model.covariances_[0] - np.cov(X.T, ddof=0)).max()),
        "largest_gradient": float(max(np.abs(of_means).max(), np.abs(of_covariances).max())),
        "standard_errors": np.ravel(se_means).tolist(),
        "expected_errors": (X.std(axis=0) / np.sqrt(len(X))).tolist(),
    }


if __name__ == "__main__":
    run(main)
