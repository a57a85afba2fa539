"""Data in groups and rough starts for tests of the loop."""

from __future__ import annotations

import numpy as np

from mixtura import as_source, estimate
from mixtura.families import Gaussian

FOUR = ("VVV", "EEE", "VVI", "VII")


def groups(seed=0, n_rows=200, d=2, n_components=3, apart=3.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_components, n_rows)
    return rng.normal(size=(n_rows, d)) + apart * rng.normal(size=(n_components, d))[labels], labels


def rough(X, n_components, shape="VVV", seed=0):
    R = np.random.default_rng(seed).dirichlet(np.full(n_components, 0.3), len(X))
    return estimate(Gaussian(X.shape[1], shape), as_source(X), n_components, responsibilities=R)
