"""Runs of several families at once: rows, families, partitions and comparisons for their tests."""

from __future__ import annotations

import numpy as np

from mixtura import Local, _kernel, as_source
from mixtura.families import Gaussian
from mixtura.families.runs import Pairs
from mixtura.prepare import prepare
from tests.cases import SHAPES


def blobs(seed, n_rows=150, d=2, apart=4.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n_rows)
    return rng.normal(size=(n_rows, d)) + apart * rng.normal(size=(3, d))[labels]


def ready(X, shapes=SHAPES, w=None):
    """Families as a fit would use them."""
    source = as_source(X, weights=w)
    return [prepare(Gaussian(X.shape[1], shape), source, 1, Local(1))[0] for shape in shapes]


def together(families):
    first, *others = [family.runner() for family in families]
    return first.joined(others)


def groups(X, sizes, key=0):
    """One partition by k-means for each size."""
    sizes = np.array(sizes, dtype=np.int32)
    zero = np.zeros(len(sizes), dtype=np.int32)
    keys = np.arange(len(sizes)) + key
    return _kernel.partitions(np.ascontiguousarray(X), None, sizes, zero, keys, 1), sizes


def all_pairs(n_partitions, n_families):
    """Every family from every partition; those of a partition stand together."""
    places = np.arange(n_partitions * n_families, dtype=np.int32)
    return Pairs(places // n_families, places % n_families)


def assert_same_runs(a, b, **tolerance):
    """The bits of both, or numbers within the tolerance."""
    compare = np.testing.assert_allclose if tolerance else np.testing.assert_array_equal
    for name in ("objective", "records"):
        compare(getattr(a, name), getattr(b, name), **tolerance)
    for name in ("status", "n_iter", "n_boundary", "sizes"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
