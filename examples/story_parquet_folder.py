"""A folder of Parquet files, read in blocks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from gallery import axes, run, save
from pyarrow import parquet

from mixtura import GaussianMixture, plot


def main(folder):
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as days:
        for day in range(5):
            X = rng.normal(np.array([[0.0, 0.0], [5.0, 2.0]])[rng.integers(2, size=4000)])
            table = pa.table({"load": X[:, 0], "heat": X[:, 1]})
            parquet.write_table(table, Path(days) / f"day{day}.parquet")
        model = GaussianMixture(2, n_init=2, random_state=0).fit(days)
        ax = plot.density(model, days, ax=axes())
    ax.set_title("20,000 rows in five files")
    save(ax, folder, "story_parquet_folder")
    return {"means": model.means_.tolist(), "columns": model.feature_names_in_.tolist()}


if __name__ == "__main__":
    run(main)
