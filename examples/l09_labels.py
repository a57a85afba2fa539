"""L9: with labels the estimate is one step; with some labels EM fills in the others."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save, three_groups

from mixtura import GaussianMixture, plot


def main(folder):
    X, _ = three_groups()
    known = np.arange(len(X)) % 3
    some = np.where(np.arange(len(X)) < 15, known, -1)  # -1: not known
    labelled = GaussianMixture(3).fit(X, labels=known)
    partly = GaussianMixture(3).fit(X, labels=some)
    left, right = axes(2)
    plot.components(labelled, X, ax=left).set_title("all rows labelled: one step")
    plot.components(partly, X, ax=right).set_title(f"15 rows labelled: {partly.n_iter_} steps")
    save(left, folder, "l09_labels")
    own = np.array([X[known == k].mean(axis=0) for k in range(3)])
    return {
        "iterations": labelled.n_iter_,
        "error_of_means": float(np.abs(labelled.means_ - own).max()),
        "agreement_of_partly": float((partly.predict(X) == known).mean()),
    }


if __name__ == "__main__":
    run(main)
