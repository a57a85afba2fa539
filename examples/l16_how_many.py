"""L16: how many components? Ask the rows that were left out."""

from __future__ import annotations

from gallery import axes, run, save, three_groups

from mixtura import plot, select


def main(folder):
    X, _ = three_groups()
    found = select(X, range(1, 7), "spherical", rule="cv", n_folds=10, seed=0)
    ax = plot.selection(found, ax=axes(width=6.5))
    ax.set_title("held-out log-density and criteria")
    save(ax, folder, "l16_how_many")
    return {"chosen": int(found.best_.n_components)}


if __name__ == "__main__":
    run(main)
