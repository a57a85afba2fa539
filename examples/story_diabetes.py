"""Diabetes: a classifier of three clinical classes, by class densities."""

from __future__ import annotations

from gallery import axes, read, run, save

from mixtura import GenerativeClassifier, plot


def main(folder):
    X, y, _ = read("diabetes")
    model = GenerativeClassifier(random_state=0).fit(X, y)
    ax = plot.confusion(y, model.predict(X), ax=axes())
    ax.set_title("one Gaussian per class, 145 patients")
    save(ax, folder, "story_diabetes")
    return {"right": int((model.predict(X) == y).sum()), "of": len(y)}


if __name__ == "__main__":
    run(main)
