"""L17: classes that are mixtures themselves, their sizes by cross-validation."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save

from mixtura import GenerativeClassifier, plot


def draw(rng, n):
    """Groups side by side whose classes take turns: 0, 1, 0, 1."""
    group = rng.integers(4, size=n)
    centre = np.column_stack([3.0 * group, np.zeros(n)])
    return rng.normal(centre, [0.8, 1.0]), group % 2


def main(folder):
    rng = np.random.default_rng(0)
    (X, y), (new, new_y) = draw(rng, 400), draw(rng, 2000)
    one = GenerativeClassifier(n_components=1, random_state=0).fit(X, y)
    many = GenerativeClassifier(n_components=[1, 2, 3], criterion="cv", random_state=0).fit(X, y)
    left, right = axes(2)
    for ax, model, name in ((left, one, "one Gaussian"), (right, many, "a mixture")):
        plot.boundaries(model, X, y=y, ax=ax)
        ax.set_title(f"{name} per class: {model.score(new, new_y):.1%} right")
    save(left, folder, "l17_mixture_classes")
    return {
        "accuracy_one": float(one.score(new, new_y)),
        "accuracy_mixtures": float(many.score(new, new_y)),
        "sizes": many.n_components_.tolist(),
    }


if __name__ == "__main__":
    run(main)
