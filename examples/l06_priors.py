"""L6: a prior on the parameters: the posterior of one density, and posterior modes."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save
from scipy import stats

from mixtura import (
    GammaPrior,
    GaussianMixture,
    NormalInverseWishart,
    Poisson,
    as_source,
    exact_posterior,
    plot,
)


def main(folder):
    rng = np.random.default_rng(0)
    counts = rng.poisson(3.0, size=(12, 1)).astype(float)
    prior = GammaPrior(2.0, 1.0)
    found = exact_posterior(Poisson(1), prior, as_source(counts))
    left, middle, right = axes(3, width=4.2)
    rate = np.linspace(0.01, 7, 300)
    shape, per = float(found.shape.ravel()[0]), float(found.rate)
    left.plot(rate, stats.gamma.pdf(rate, 2.0), color=plot.colour(1), label="prior")
    posterior = stats.gamma.pdf(rate, shape, scale=1 / per)
    left.plot(rate, posterior, color=plot.colour(0), label="posterior")
    left.axvline(3.0, color="black", ls="--", lw=1, label="truth")
    left.set(xlabel="rate of a Poisson", ylabel="density", title="12 counts")
    left.legend()

    X = rng.normal(0, 1, (6, 2))
    belief = NormalInverseWishart((0.0, 0.0), 4.0, 8.0, ((8.0, 0.0), (0.0, 8.0)))
    likely = GaussianMixture().fit(X)
    mode = GaussianMixture(prior=belief).fit(X)
    for ax, model, title in (
        (middle, likely, "6 rows: maximum likelihood"),
        (right, mode, "the same rows: posterior mode"),
    ):
        plot.components(model, X, ax=ax).set(xlim=(-4, 4), ylim=(-4, 4), title=title)
    save(left, folder, "l06_priors")
    return {
        "shape": shape,
        "rate": per,
        "sum_of_counts": float(counts.sum()),
        "mode_of_mean": mode.means_[0].tolist(),
        "six_tenths_of_mean": (X.mean(axis=0) * 6 / 10).tolist(),  # 6 rows, prior worth 4
    }


if __name__ == "__main__":
    run(main)
