"""Iris: three species, found without their names."""

from __future__ import annotations

import pandas as pd
from gallery import read, run, save
from sklearn.metrics import adjusted_rand_score

from mixtura import GaussianMixture, plot


def main(folder):
    X, species, names = read("iris")
    X = pd.DataFrame(X, columns=names)
    model = GaussianMixture(3, covariance_type="VEV", random_state=0).fit(X)
    ax = plot.pairs(model, X)
    save(ax[0, 0] if hasattr(ax, "shape") else ax, folder, "story_iris")
    return {
        "log_likelihood": float(model.log_likelihood_),
        "adjusted_rand": float(adjusted_rand_score(species, model.predict(X))),
    }


if __name__ == "__main__":
    run(main)
