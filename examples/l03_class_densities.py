"""L3: one density per class, and Bayes' rule: a classifier."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save

from mixtura import GenerativeClassifier, plot


def main(folder):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal([0, 0], 1.0, (200, 2)), rng.normal([2, 2], [0.6, 1.5], (100, 2))])
    y = np.repeat([0, 1], [200, 100])
    model = GenerativeClassifier(random_state=0).fit(X, y)
    ax = plot.boundaries(model, X, y=y, ax=axes())
    ax.set_title("two classes, one Gaussian each: p(class | x)")
    save(ax, folder, "l03_class_densities")
    joint = model.log_joint(X)
    bayes = np.exp(joint - np.logaddexp(joint[:, :1], joint[:, 1:]))
    return {
        "priors": model.priors_.tolist(),
        "accuracy": float(model.score(X, y)),
        "bayes_rule_error": float(np.abs(bayes - model.predict_proba(X)).max()),
    }


if __name__ == "__main__":
    run(main)
