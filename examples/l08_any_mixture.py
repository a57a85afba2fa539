"""L8: mixtures of any component density: of counts, of angles."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save

from mixtura import MixtureModel, plot


def main(folder):
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.repeat([2.0, 12.0], [300, 200])[:, None])
    lives = np.concatenate([rng.gamma(2.0, 1.0, (300, 1)), rng.gamma(40.0, 0.5, (200, 1))])
    left, right = axes(2)
    poisson = MixtureModel("poisson", 2, random_state=0).fit(counts)
    gamma = MixtureModel("gamma", 2, random_state=0).fit(lives)
    plot.density(poisson, counts.astype(float), ax=left).set_title("two Poissons")
    plot.density(gamma, lives, ax=right).set_title("two gammas")
    save(left, folder, "l08_any_mixture")
    return {
        "poisson_means": sorted(poisson.means_.ravel().tolist()),
        "gamma_means": sorted(gamma.means_.ravel().tolist()),
        "sum_of_weights": float(poisson.weights_.sum()),
    }


if __name__ == "__main__":
    run(main)
