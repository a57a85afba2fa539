"""A table with a real column, a count and a category, in one model."""

from __future__ import annotations

import numpy as np
import pandas as pd
from gallery import axes, run, save

from mixtura import MixtureModel, plot


def main(folder):
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=400)  # hidden: two kinds of customer
    table = pd.DataFrame(
        {
            "spent": rng.lognormal(np.where(kind == 1, 4.5, 3.0), 0.4),
            "visits": rng.poisson(np.where(kind == 1, 9.0, 3.0)),
            "paid": np.where(rng.random(400) < np.where(kind == 1, 0.8, 0.2), "card", "cash"),
        }
    )
    families = {"spent": "lognormal", "visits": "poisson", "paid": "categorical"}
    model = MixtureModel(families, 2, random_state=0).fit(table)
    found = model.predict(table)
    ax = axes(width=5.5)
    for k in range(2):
        own = table[found == k]
        ax.scatter(own["spent"], own["visits"], s=12, color=plot.colour(k), label=f"component {k}")
    ax.set(xlabel="spent", ylabel="visits", xscale="log", title="customers of two kinds")
    ax.legend()
    save(ax, folder, "story_mixed_table")
    return {"agreement": float(max((found == kind).mean(), (found != kind).mean()))}


if __name__ == "__main__":
    run(main)
