"""Quantiles by passes: those of sorted numbers, however many are equal or far away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtura import Local, as_source
from mixtura.classify import quantile as room
from mixtura.classify.quantile import quantile

COUNTED = Local(2)


def first_column(block):
    return block.X[:, 0]


def sorted_quantile(values, w, share):
    values, w = values[w > 0], w[w > 0]
    order = np.argsort(values, kind="stable")
    below = np.cumsum(w[order]) - w[order]
    return values[order[np.flatnonzero(below <= share * w.sum() * (1 + 1e-12))[-1]]]


KINDS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "a few values": lambda rng, n: rng.integers(0, 4, n).astype(float),
    "one value": lambda rng, n: np.full(n, 2.5),
    "far away": lambda rng, n: np.where(np.arange(n) == 3, -1e300, rng.normal(size=n)),
    "many scales": lambda rng, n: -np.exp(rng.normal(0, 40, n)),
    "close together": lambda rng, n: 1.0 + rng.integers(0, 50, n) * 2.0**-52,
}


@pytest.mark.parametrize("few", [4, 64, 1 << 16])
@pytest.mark.parametrize("kind", KINDS)
def test_the_quantile_is_that_of_sorted_numbers(kind, few, monkeypatch):
    monkeypatch.setattr(room, "FEW", few)
    monkeypatch.setattr(room, "BINS", 16)
    rng = np.random.default_rng(0)
    values = KINDS[kind](rng, 5000)
    w = rng.integers(0, 4, 5000) * 0.25
    source = as_source(values[:, None], weights=w, block_rows=1024)
    for share in (0.0, 1e-9, 0.01, 0.3, 0.5, 0.999, 1.0):
        assert quantile(first_column, source, share, COUNTED) == sorted_quantile(values, w, share)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_any_numbers_any_share(values, share, seed):
    X = np.array(values)
    w = np.random.default_rng(seed).integers(1, 5, len(X)).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "FEW", 2)
        patch.setattr(room, "BINS", 3)
        found = quantile(first_column, as_source(X[:, None], weights=w), share, COUNTED)
    assert found == sorted_quantile(X, w, share)


def infinite(block):
    return np.where(block.X[:, 0] < 0, -np.inf, block.X[:, 0])


def test_rows_without_density_are_the_lowest():
    X = np.arange(-3.0, 7.0)[:, None]
    assert quantile(infinite, as_source(X), 0.2, COUNTED) == -np.inf
    assert quantile(infinite, as_source(X), 0.35, COUNTED) == 0.0
