"""What candidates offer each other: nothing twice, nothing much alike, the best first."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import Local, Mixture, _kernel, as_source
from mixtura.crossval.exchange import ALIKE, SPLITS, Book, Exchange
from mixtura.families import Gaussian
from mixtura.families.runs import Limits, Pairs
from mixtura.prepare import prepare
from tests.cases import SHAPES

SOME = ("VVV", "EEE", "VVI", "VII", "VEV")


# -- partitions told apart ---------------------------------------------------------


def agreement(a, b):
    """Rows placed alike: groups matched with the group that has most of them, both ways."""
    table = np.zeros((a.max() + 1, b.max() + 1), dtype=int)
    np.add.at(table, (a, b), 1)
    return min(table.max(axis=0).sum(), table.max(axis=1).sum())


def apart_by_hand(labels, chosen, share):
    kept, result = [], []
    for place in chosen:
        own = labels[place]
        result.append(all(agreement(own, labels[k]) < share * len(own) for k in kept))
        if result[-1]:
            kept.append(place)
    return result


def told_apart(labels, chosen, ends, share, n_groups=None):
    if n_groups is None:
        n_groups = labels.max(axis=1) + 1
    numbers = (np.asarray(a, dtype=np.int32) for a in (labels, n_groups, chosen, ends))
    return _kernel.told_apart(*numbers, share).tolist()


def related(seed, n=60, count=14):
    """Partitions of which some are much alike, under other names and in other numbers."""
    rng = np.random.default_rng(seed)
    result = [rng.integers(0, 4, n) for _ in range(3)]
    while len(result) < count:
        own = rng.permutation(6)[result[rng.integers(len(result))] % 6]
        changed = rng.random(n) < rng.choice([0.0, 0.05, 0.2])
        result.append(np.where(changed, rng.integers(0, 6, n), own))
    return np.array(result, dtype=np.int32)


@pytest.mark.parametrize("share", [0.3, 0.8, 0.92, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_partitions_are_told_apart_as_by_hand(seed, share):
    labels = related(seed)
    chosen = np.random.default_rng(seed).integers(0, len(labels), 20)
    expected = apart_by_hand(labels, chosen, share)
    assert told_apart(labels, chosen, [20], share) == expected
    assert expected[0]
    assert not all(expected)
    more = labels.max(axis=1) + 1 + np.arange(len(labels)) % 3  # empty groups change nothing
    assert told_apart(labels, chosen, [20], share, more) == expected


def test_lists_of_partitions_are_independent():
    labels = related(1)
    chosen = np.random.default_rng(1).integers(0, len(labels), 24)
    ends = [0, 7, 7, 8, 20, 24]
    lists = [chosen[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    expected = [one for own in lists for one in apart_by_hand(labels, own, 0.9)]
    assert told_apart(labels, chosen, ends, 0.9) == expected
    assert told_apart(labels, [], [0, 0], 0.9) == []


def test_other_names_are_no_difference_and_the_first_is_always_apart():
    own = np.random.default_rng(0).integers(0, 5, 40)
    labels = np.array([own, np.array([3, 1, 4, 0, 2])[own], (own + 1) % 5])
    assert told_apart(labels, [0, 1, 2, 0], [4], 1.0) == [True, False, False, False]
    assert told_apart(labels, [2, 1, 0], [1, 2, 3], 0.0) == [True, True, True]
    assert told_apart(labels, [0, 0], [2], 0.0) == [True, False]


def test_what_was_not_told_apart_is_no_measure_for_later_ones():
    """A chain: the second is like the first, the third like the second only."""
    labels = np.zeros((3, 20), dtype=int)
    labels[0, :10] = labels[1, :12] = labels[2, :14] = 1
    assert agreement(labels[0], labels[1]) == agreement(labels[1], labels[2]) == 18
    assert agreement(labels[0], labels[2]) == 16
    assert told_apart(labels, [0, 1, 2], [3], 0.9) == [True, False, True]


def test_parts_of_a_group_are_not_alike_to_it():
    """Both ways: all rows of a finer partition lie in groups of the coarser one."""
    labels = np.array([np.zeros(30, dtype=int), np.arange(30) % 3])
    assert told_apart(labels, [0, 1], [2], 0.9) == [True, True]
    assert told_apart(labels, [1, 0], [2], 0.9) == [True, True]


def test_wrong_lists_are_refused():
    labels = related(0)
    for wrong, said in (
        ({"labels": labels - 1}, "labels must lie in 0 .. n_groups - 1"),
        ({"n_groups": np.full(len(labels), 2)}, "labels must lie in 0 .. n_groups - 1"),
        ({"chosen": [0, len(labels)]}, "chosen must name rows of labels"),
        ({"chosen": [0, -1]}, "chosen must name rows of labels"),
        ({"ends": [3]}, "ends must ascend up to the length of chosen"),
        ({"ends": [2, 1]}, "ends must ascend up to the length of chosen"),
        ({"ends": [1]}, "ends must ascend up to the length of chosen"),
        ({"ends": []}, "ends must ascend up to the length of chosen"),
        ({"labels": labels[0]}, "labels must have 2 dimensions"),
        ({"n_groups": [3]}, "n_groups must be"),
        ({"chosen": 0}, "chosen must have 1 dimension"),
        ({"ends": 2}, "ends must have 1 dimension"),
    ):
        good = {"labels": labels, "chosen": [0, 1], "ends": [2], "n_groups": labels.max(1) + 1}
        with pytest.raises(ValueError, match=said):
            told_apart(**{**good, "share": 0.9, **wrong})


# -- the exchange ------------------------------------------------------------------


class Candidates:
    """Fits of some shapes and sizes to the same rows, and an exchange between them."""

    def __init__(self, seed, shapes=SHAPES, sizes=(1, 2, 3, 4), n_donors=3, weighted=False):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 3, 120)
        self.X = rng.normal(size=(120, 2)) + 2.0 * rng.normal(size=(3, 2))[labels]
        self.w = rng.integers(1, 4, 120).astype(float) if weighted else None
        self.sizes, self.key = list(sizes), 0
        source = as_source(self.X, weights=self.w)
        self.families = [prepare(Gaussian(2, name), source, 1, Local(1))[0] for name in shapes]
        first, *others = (family.runner() for family in self.families)
        self.runner = first.joined(others)
        by_size = [dict.fromkeys(self.sizes, family) for family in self.families]
        self.exchange = Exchange(self.X, self.w, by_size, self.sizes, n_donors, 0)

    def runs(self, steps=4):
        """One of each candidate; each from a partition of its own."""
        n = len(self.sizes) * len(self.families)
        sizes = np.repeat(np.array(self.sizes, dtype=np.int32), len(self.families))
        methods = np.full(n, 1, dtype=np.int32)
        labels = _kernel.partitions(self.X, None, sizes, methods, np.arange(n) + self.key, 1)
        self.key += n
        places = np.arange(n, dtype=np.int32)
        pairs = Pairs(places, places % len(self.families))
        return self.runner.from_partitions(self.X, self.w, labels, sizes, Limits(steps), 1, pairs)

    def partition_of(self, runs, j):
        mixture = Mixture(self.families[runs.families[j]], *runs.mixture(j))
        return mixture.responsibilities(self.X).argmax(axis=1)


def each(offer):
    """The family, size and labels of each start."""
    for partition, family in zip(offer.pairs.partitions, offer.pairs.families, strict=True):
        yield int(family), int(offer.sizes[partition]), offer.labels[partition]


@pytest.mark.parametrize("weighted", [False, True])
def test_offers_are_partitions_for_several_families(weighted):
    some = Candidates(0, weighted=weighted)
    offer = some.exchange.heard(some.runs()).offer()
    labels, sizes, pairs = offer
    assert len(labels) == len(sizes) == len({own.tobytes() for own in labels})
    assert labels.dtype == sizes.dtype == pairs.partitions.dtype == pairs.families.dtype == np.int32
    assert (np.diff(pairs.partitions) >= 0).all()  # jobs of a partition stand together
    assert set(pairs.partitions) == set(range(len(labels)))
    for p in range(len(labels)):
        families = pairs.families[pairs.partitions == p]
        assert (np.diff(families) > 0).all()
        assert labels[p].max() + 1 <= sizes[p]
        first = [int(np.flatnonzero(labels[p] == k)[0]) for k in np.unique(labels[p])]
        assert first == sorted(first)
    assert {3, 4} <= set(sizes) <= {2, 3, 4}
    assert set(pairs.families) == set(range(len(SHAPES)))


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_offered_twice_to_the_same_candidate(seed):
    some = Candidates(seed)
    seen = set()
    for steps in (0, 2, 5):
        runs = some.runs(steps)
        offer = some.exchange.heard(runs).offer()
        starts = [(family, own.tobytes()) for family, _, own in each(offer)]
        assert len(starts) == len(set(starts)) > 0
        assert not seen & set(starts)
        seen |= set(starts)
        again = some.exchange.heard(runs).offer()
        assert len(again.pairs.families) == len(again.labels) == 0


@pytest.mark.parametrize("seed", range(4))
def test_what_is_offered_is_not_much_like_what_is_there(seed):
    """Neither like the candidate's own partition, nor like others that it is offered."""
    some = Candidates(seed)
    runs = some.runs()
    own = {
        (int(runs.families[j]), int(runs.sizes[j])): some.partition_of(runs, j)
        for j in range(len(runs))
        if runs.n_boundary[j] == 0
    }
    offered = {cell: [labels] for cell, labels in own.items()}
    for family, size, labels in each(some.exchange.heard(runs).offer()):
        others = offered.setdefault((family, size), [])
        assert all(agreement(labels, other) < ALIKE * len(labels) for other in others)
        others.append(labels)
    assert max(map(len, offered.values())) > 3


@pytest.mark.parametrize("n_donors", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_candidates_hear_of_the_best_of_their_size_by_bic(n_donors, weighted):
    """With one size there is nothing to split or merge."""
    some = Candidates(5, SOME, [3], n_donors, weighted)
    runs = some.runs()
    assert (runs.n_boundary == 0).all()
    mass = len(some.X) if some.w is None else some.w.sum()
    bic = [
        -2 * runs.objective[j] + (some.families[j].n_free(3) + 2) * np.log(mass) for j in range(5)
    ]
    found = [some.partition_of(runs, j) for j in range(5)]
    offers = {f: [] for f in range(5)}
    for family, _, labels in each(some.exchange.heard(runs).offer()):
        offers[family].append(labels)
    for f in range(5):
        donors = [g for g in np.argsort(bic, kind="stable") if g != f][:n_donors]
        kept = [found[f]]
        for g in donors:
            if all(agreement(found[g], other) < ALIKE * len(other) for other in kept):
                kept.append(found[g])
        assert len(offers[f]) == len(kept) - 1
        for labels in kept[1:]:
            assert any(agreement(labels, other) == len(labels) for other in offers[f])


def test_neighbouring_sizes_offer_splits_and_merges():
    """One family alone: it hears of itself, one component more and one fewer."""
    some = Candidates(6, ["VVV"], [2, 3, 4])
    runs = some.runs()
    found = {int(runs.sizes[j]): some.partition_of(runs, j) for j in range(3)}
    starts = list(each(some.exchange.heard(runs).offer()))
    for _, size, labels in starts:
        finer, coarser = found.get(size - 1), found.get(size + 1)
        split = finer is not None and all(len(set(finer[labels == k])) == 1 for k in set(labels))
        merged = coarser is not None and all(
            len(set(labels[coarser == k])) == 1 for k in set(coarser)
        )
        assert split or merged
        assert len(set(labels)) == size
    counts = {size: sum(own == size for _, own, _ in starts) for size in (2, 3, 4)}
    assert counts[2] <= 1
    assert 1 <= counts[3] <= SPLITS + 1
    assert 1 <= counts[4] <= SPLITS


def test_who_ended_on_a_bound_hears_of_all_others_and_is_heard_last():
    some = Candidates(7, SOME, [3], 1)
    runs = some.runs()
    runs.n_boundary[2] = 1  # told so
    offers = {f: [] for f in range(5)}
    for family, _, labels in each(some.exchange.heard(runs).offer()):
        offers[family].append(labels)
    found = [some.partition_of(runs, j) for j in range(5)]
    expected = []
    for g in (0, 1, 3, 4):
        if all(agreement(found[g], other) < ALIKE * len(other) for other in expected):
            expected.append(found[g])
    assert len(offers[2]) > 1
    assert all(len(own) <= 1 for f, own in offers.items() if f != 2)
    for labels in found[:2] + found[3:]:  # each of them, or one much like it
        assert any(agreement(labels, other) >= ALIKE * len(labels) for other in offers[2])
    for f in (0, 1, 3, 4):
        assert all(agreement(own, found[2]) < len(own) for own in offers[f])


def test_equal_partitions_have_one_number():
    book = Book()
    a, b = np.array([0, 1, 1], dtype=np.int32), np.array([0, 0, 1], dtype=np.int32)
    assert [book.number(own, 2) for own in (a, b, a.copy(), b)] == [0, 1, 0, 1]
    assert (len(book.labels), book.sizes) == (2, [2, 2])


def test_a_partition_with_an_empty_group_is_another_one():
    """Where no row is likeliest in the third component, the labels are those of two groups."""
    book, labels = Book(), np.array([0, 1, 1], dtype=np.int32)
    assert [book.number(labels, size) for size in (3, 2, 3)] == [0, 1, 0]
    assert book.sizes == [3, 2]
