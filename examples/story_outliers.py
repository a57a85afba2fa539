"""Outliers: a component of uniform noise takes the rows that belong nowhere."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save

from mixtura import MixtureModel, plot


def main(folder):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(0, 1, (300, 2)), rng.normal(6, 1, (300, 2))])
    X = np.vstack([X, rng.uniform(-15, 20, (60, 2))])
    strange = np.arange(660) >= 600
    model = MixtureModel(n_components=2, noise=True, random_state=0).fit(X)
    flagged = model.predict(X) == 2  # the last component is the noise
    ax = axes()
    ax.scatter(*X[~flagged].T, s=8, color=plot.colour(0), label="ordinary")
    ax.scatter(*X[flagged].T, s=20, color=plot.colour(1), marker="x", label="flagged")
    ax.set(xlabel="x0", ylabel="x1", title="outliers by a noise component")
    ax.legend()
    save(ax, folder, "story_outliers")
    return {
        "found": float((flagged & strange).sum() / strange.sum()),
        "false_alarms": float((flagged & ~strange).sum() / 600),
    }


if __name__ == "__main__":
    run(main)
