"""Bank notes: fraud as a class-conditional mixture, judged on notes left out."""

from __future__ import annotations

import numpy as np
from gallery import axes, read, run, save

from mixtura import GenerativeClassifier, plot


def main(folder):
    X, y, _ = read("banknote")
    shuffled = np.random.default_rng(0).permutation(len(X))
    train, test = shuffled[:100], shuffled[100:]
    model = GenerativeClassifier(n_components=[1, 2], random_state=0).fit(X[train], y[train])
    column = X[:, 3:6:2]  # bottom margin and diagonal, the telling columns
    plane = GenerativeClassifier(n_components=[1, 2], random_state=0).fit(column[train], y[train])
    left, right = axes(2)
    plot.boundaries(plane, column[test], y=y[test], ax=left)
    left.set(xlabel="bottom margin, mm", ylabel="diagonal, mm", title="100 notes left out")
    plot.confusion(y[test], model.predict(X[test]), ax=right).set_title("by all six columns")
    save(left, folder, "story_banknote")
    return {"accuracy_left_out": float(model.score(X[test], y[test]))}


if __name__ == "__main__":
    run(main)
