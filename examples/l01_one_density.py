"""L1: fit one density; read its parameters, its log-density of new rows, and draw from it."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save

from mixtura import MixtureModel, plot


def main(folder):
    waits = np.random.default_rng(0).gamma(3.0, 2.0, size=(500, 1))  # minutes, mean 6
    model = MixtureModel("gamma", random_state=0).fit(waits)
    drawn, _ = model.sample(500)
    ax = plot.density(model, waits, ax=axes())
    ax.set_title("500 rows and the gamma density fitted to them")
    save(ax, folder, "l01_one_density")
    return {
        "mean_of_fit": float(model.means_[0, 0]),
        "mean_of_rows": float(waits.mean()),
        "mean_of_draws": float(drawn.mean()),
        "log_density_at_6": float(model.score_samples([[6.0]])[0]),
    }


if __name__ == "__main__":
    run(main)
