"""L4: 30 rows of a known Gaussian; the error of the fit shrinks like the root of the rows."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save

from mixtura import GaussianMixture, plot
from mixtura.plot.runs import loglog_slope

MEAN, COVARIANCE = np.array([1.0, 3.0]), np.array([[1.5, 0.6], [0.6, 0.4]])


def main(folder):
    rng = np.random.default_rng(0)
    left, right = axes(2)
    X = rng.multivariate_normal(MEAN, COVARIANCE, size=30)
    plot.density(GaussianMixture().fit(X), X, probabilities=(0.5, 0.95), ax=left)
    truth = np.linalg.cholesky(COVARIANCE)
    angle = np.linspace(0, 2 * np.pi, 200)
    for p in (0.5, 0.95):  # the ellipse of a plane Gaussian that holds p
        ring = np.sqrt(-2 * np.log(1 - p)) * np.column_stack([np.cos(angle), np.sin(angle)])
        left.plot(*(MEAN + ring @ truth.T).T, "k--", lw=1, label="truth" if p == 0.5 else None)
    left.legend()
    left.set_title("30 rows: fit (filled) and truth (dashed)")

    sizes = 30 * 4 ** np.arange(6)
    errors = np.array([[error_of(rng, n) for _ in range(40)] for n in sizes])
    mean, se = errors.mean(axis=1), errors.std(axis=1, ddof=1) / np.sqrt(40)
    plot.errors(sizes, mean, standard_errors=se, name="error of the mean", ax=right)
    right.set_title("mean of 40 repeats")
    save(left, folder, "l04_error")
    slope, own_error, _ = loglog_slope(sizes.astype(float), mean, se)
    return {"slope": slope, "slope_error": own_error}


def error_of(rng, n):
    X = rng.multivariate_normal(MEAN, COVARIANCE, size=n)
    return np.linalg.norm(GaussianMixture(n_init=1).fit(X).means_[0] - MEAN)


if __name__ == "__main__":
    run(main)
