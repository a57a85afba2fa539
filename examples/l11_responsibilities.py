"""L11: the E step: soft clusters, hard clusters, uncertainty."""

from __future__ import annotations

import numpy as np
from gallery import axes, run, save, three_groups

from mixtura import GaussianMixture, plot


def main(folder):
    X, _ = three_groups()
    model = GaussianMixture(3, random_state=0).fit(X)
    R = model.predict_proba(X)
    left, middle, right = axes(3, width=4.4)
    plot.classification(model, X, ax=left).set_title("faint rows are uncertain")
    plot.uncertainty(model, X, ax=middle).set_title("where it is uncertain")
    plot.responsibilities(model, X, ax=right).set_title("responsibilities")
    save(left, folder, "l11_responsibilities")
    return {
        "row_sums_error": float(np.abs(R.sum(axis=1) - 1).max()),
        "hard_is_largest": bool((model.predict(X) == R.argmax(axis=1)).all()),
        "uncertainty_error": float(np.abs(model.uncertainty(X) - (1 - R.max(axis=1))).max()),
    }


if __name__ == "__main__":
    run(main)
