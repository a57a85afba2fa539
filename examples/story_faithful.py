"""Old Faithful: two kinds of eruption."""

from __future__ import annotations

from gallery import HERE, axes, run, save

from mixtura import GaussianMixture, plot


def main(folder):
    path = HERE / "faithful.csv"
    model = GaussianMixture(2, random_state=0).fit(path)
    ax = plot.density(model, path, ax=axes(width=5.5))
    ax.set(title="Old Faithful", xlabel="eruption, minutes", ylabel="waiting, minutes")
    save(ax, folder, "story_faithful")
    return {"log_likelihood": float(model.log_likelihood_), "bic": float(model.fitted_.bic)}


if __name__ == "__main__":
    run(main)
