"""L5: any density: two families on the same rows, and one that you write yourself."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save

from mixtura import CustomFamily, MixtureModel, plot


def laplace(params, X):
    away = np.abs(X[:, 0] - params["centre"])
    return -np.log(2.0) - params["log_scale"] - away / np.exp(params["log_scale"])


def draw(params, n, rng):
    return rng.laplace(params["centre"], np.exp(params["log_scale"]), size=(n, 1))


def main(folder):
    X = np.random.default_rng(0).laplace(10.0, 1.0, size=(1000, 1))
    own = CustomFamily(laplace, parameters={"centre": 0.0, "log_scale": 0.0}, draw=draw)
    scores = {}
    panels = axes(3, width=4.2)
    for ax, (name, family) in zip(
        panels, [("gaussian", "gaussian"), ("student", "student"), ("laplace", own)], strict=True
    ):
        model = MixtureModel(family, random_state=0).fit(X)
        scores[name] = float(model.score(X))
        plot.density(model, X, ax=ax).set_title(f"{name}: {scores[name]:.3f} nats per row")
    save(panels[0], folder, "l05_any_density")
    return scores


if __name__ == "__main__":
    run(main)
