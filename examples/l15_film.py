"""L15: the film of EM at work, as a page to play, step and scrub, and as GIF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gallery import run, three_groups

from mixtura import animate


def main(folder):
    X, _ = three_groups()
    Path(folder).mkdir(parents=True, exist_ok=True)
    film = animate(X, n_components=3, covariance="spherical", n_init=1, seed=4, max_frames=30)
    for kind in ("html", "gif"):
        film.save(Path(folder) / f"l15_film.{kind}", force=True)
    return {
        "frames": len(film.log_likelihood),
        "least_gain": float(np.diff(film.log_likelihood).min()),
    }


if __name__ == "__main__":
    run(main)
