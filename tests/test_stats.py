"""Statistics form a vector space, and `tree_sum` is one fixed tree over the order of its items."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtura import Stats
from mixtura.stats import tree_sum

quick = settings(derandomize=True, deadline=None, max_examples=80)
numbers = st.floats(-1e6, 1e6)
seeds = st.integers(0, 2**32 - 1)


class Sum:
    """A sum that remembers its brackets."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __add__(self, other: Sum) -> Sum:
        return Sum(f"({self.text}+{other.text})")


def drawn(seed: int, n_components: int = 3, p: int = 4, q: int = 2) -> Stats:
    rng = np.random.default_rng(seed)
    return Stats(
        rng.random(n_components),
        rng.normal(size=(n_components, p)),
        rng.normal(size=q),
        *map(float, rng.normal(size=3)),
    )


def values(stats: Stats) -> np.ndarray:
    scalars = [stats.loglik, stats.entropy, stats.mass]
    return np.concatenate([stats.weight, stats.total.ravel(), stats.shared, scalars])


def groups_of(items: list, size: int) -> list[list]:
    return [items[i : i + size] for i in range(0, len(items), size)]


@pytest.mark.parametrize(
    ("n", "brackets"),
    [
        (1, "0"),
        (2, "(0+1)"),
        (3, "((0+1)+2)"),
        (4, "((0+1)+(2+3))"),
        (6, "(((0+1)+(2+3))+(4+5))"),
        (7, "(((0+1)+(2+3))+((4+5)+6))"),
        (11, "((((0+1)+(2+3))+((4+5)+(6+7)))+((8+9)+10))"),
    ],
)
def test_the_tree_is_that_of_a_binary_counter(n, brackets):
    assert tree_sum(Sum(str(i)) for i in range(n)).text == brackets


@quick
@given(n=st.integers(1, 200), k=st.integers(0, 6))
def test_groups_of_powers_of_two_do_not_change_the_tree(n, k):
    items = [Sum(str(i)) for i in range(n)]
    grouped = tree_sum(tree_sum(group) for group in groups_of(items, 2**k))
    assert grouped.text == tree_sum(items).text


@quick
@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=300), st.integers(0, 6))
def test_groups_of_powers_of_two_give_the_same_bits(items, k):
    grouped = tree_sum(tree_sum(group) for group in groups_of(items, 2**k))
    assert math.copysign(1, grouped) == math.copysign(1, tree_sum(items))
    assert grouped == tree_sum(items)


@quick
@given(st.lists(numbers, min_size=1, max_size=300), st.data())
def test_any_chunking_is_the_sum_to_rounding(items, data):
    exact = sum(map(Fraction, items))
    scale = float(sum(abs(Fraction(item)) for item in items))
    cuts = data.draw(st.lists(st.integers(1, len(items)), max_size=8).map(sorted))
    edges = sorted({0, len(items), *cuts})
    pieces = [items[a:b] for a, b in pairwise(edges)]
    for found in (tree_sum(items), tree_sum(map(tree_sum, pieces))):
        assert abs(found - float(exact)) <= 1e-12 * scale


def test_rounding_grows_with_the_depth_only():
    """A million times 0.1: one running sum is off by 1e-6, the tree by rounding alone."""
    exact = float(Fraction(0.1) * 10**6)
    running = np.cumsum(np.full(10**6, 0.1))[-1]
    assert abs(running - exact) > 1e-8
    assert abs(tree_sum([0.1] * 10**6) - exact) <= 20 * math.ulp(exact)


def test_items_are_taken_one_by_one():
    """Only O(log n) subtotals are held at any time."""
    alive, most = 0, 0

    class Counted:
        def __init__(self) -> None:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

        def __add__(self, other: Counted) -> Counted:
            return Counted()

    tree_sum(Counted() for _ in range(1024))
    assert most <= 16


def test_nothing_has_no_sum():
    with pytest.raises(ValueError, match="at least one"):
        tree_sum([])


@quick
@given(seeds, seeds, seeds, numbers, numbers)
def test_statistics_are_a_vector_space(a, b, c, x, y):
    s, t, u = drawn(a), drawn(b), drawn(c)
    zero = s * 0.0
    np.testing.assert_array_equal(values(s + t), values(t + s))
    np.testing.assert_array_equal(values(s + zero), values(s))
    np.testing.assert_array_equal(values(s * 1.0), values(s))
    np.testing.assert_array_equal(values(x * s), values(s * x))
    np.testing.assert_allclose(values((s + t) + u), values(s + (t + u)), rtol=1e-12, atol=1e-14)
    scale = abs(x) + abs(y) + 1
    np.testing.assert_allclose(
        values(s * x + s * y), values(s * (x + y)), rtol=1e-12, atol=1e-14 * scale
    )
    np.testing.assert_allclose(
        values((s + t) * x), values(s * x + t * x), rtol=1e-12, atol=1e-14 * scale
    )


@quick
@given(seeds, seeds)
def test_statistics_add_field_by_field_and_are_not_changed(a, b):
    s, t = drawn(a), drawn(b)
    before = values(s).copy()
    added = s + t
    np.testing.assert_array_equal(values(added), values(s) + values(t))
    np.testing.assert_array_equal(values(s), before)
    assert added.expected_complete == pytest.approx(
        s.expected_complete + t.expected_complete, abs=1e-12
    )


def test_statistics_do_not_change():
    with pytest.raises(AttributeError):
        drawn(0).mass = 3.0  # type: ignore[misc]
