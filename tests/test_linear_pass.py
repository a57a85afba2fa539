"""The compiled pass of exponential families against plain NumPy, and what passes keep."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import logsumexp

from mixtura import Local, _kernel, as_source
from mixtura.families import Categorical, Gaussian, Poisson, PoissonParams
from mixtura.families.base import Family
from mixtura.families.categorical import CategoricalParams
from mixtura.families.gamma import Gamma, GammaParams
from mixtura.families.linear import SLICE_ROWS
from mixtura.families.negative_binomial import NegativeBinomial, NegativeBinomialParams
from mixtura.families.part import Part
from mixtura.families.product import Product
from mixtura.mixture import Mixture
from mixtura.source import Block, hold
from mixtura.source.base import Memo
from mixtura.stats import Stats

#: Numbers of plain features, and levels of the columns of codes.
KINDS = [(1, ()), (10, ()), (23, ()), (0, (3,)), (0, (4, 1, 300)), (3, (2, 5, 7))]


@dataclass
class Problem:
    """Rows and coefficients, and the sums that plain NumPy makes of them."""

    plain: np.ndarray
    codes: np.ndarray
    levels: np.ndarray
    base: np.ndarray
    w: np.ndarray | None
    labels: np.ndarray | None
    constants: np.ndarray
    eta: np.ndarray

    def run(self, n_threads=1):
        return _kernel.linear_pass(
            self.plain, self.codes, self.levels, self.base, self.w, self.labels,
            self.constants, self.eta, n_threads,
        )  # fmt: skip

    def joint(self):
        indicators = [np.eye(L)[self.codes[:, j].astype(int)] for j, L in enumerate(self.levels)]
        T = np.hstack([self.plain, *indicators])
        return T, T @ self.eta.T + self.constants

    def expected(self):
        T, joint = self.joint()
        if self.labels is not None:
            other = np.arange(joint.shape[1]) != self.labels[:, None]
            joint[other & (self.labels >= 0)[:, None]] = -np.inf
        log_density = logsumexp(joint, axis=1)
        log_r = joint - log_density[:, None]
        R = np.exp(log_r)
        w = np.ones(len(T)) if self.w is None else self.w
        entropy = -(w[:, None] * R * np.where(R > 0, log_r, 0)).sum()
        wR = w[:, None] * R
        return wR.sum(axis=0), wR.T @ T, w @ (log_density + self.base), entropy, w.sum()


def problem(n, K, p, levels, *, known=False, weighted=False):
    rng = np.random.default_rng([n, K, p, len(levels)])
    codes = np.zeros((n, 0))
    if levels:
        codes = np.stack([rng.integers(L, size=n) for L in levels], axis=1).astype(float)
    return Problem(
        rng.normal(size=(n, p)), codes, np.array(levels, dtype=np.int32), rng.normal(size=n),
        rng.integers(0, 3, n).astype(float) if weighted else None,
        rng.integers(-1, K, n).astype(np.int32) if known else None,
        rng.normal(size=K), 2 * rng.normal(size=(K, p + sum(levels))),
    )  # fmt: skip


def assert_close(got, expected):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("known", [False, True], ids=["unknown", "labelled"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("K", [1, 3, 17])
def test_pass_agrees_with_numpy(variant, K, kind, known, weighted):
    for n in (1, 7, 1500):
        case = problem(n, K, *kind, known=known, weighted=weighted)
        assert_close(case.run(2), case.expected())


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_scores_agree_with_numpy(variant, kind):
    case = problem(1100, 5, *kind)
    joint = case.joint()[1]
    log_density, R = np.empty(1100), np.empty((1100, 5))
    _kernel.linear_score(
        case.plain, case.codes, case.levels, case.base, case.constants, case.eta, 2, log_density, R
    )
    mixed = logsumexp(joint, axis=1)
    np.testing.assert_allclose(log_density, mixed + case.base, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(R, np.exp(joint - mixed[:, None]), rtol=1e-10, atol=1e-15)
    assert np.abs(R.sum(axis=1) - 1).max() <= 4 * np.spacing(1.0)


def test_bits_do_not_depend_on_threads_or_layout(variant):
    case = problem(70_000, 5, 3, (2, 5), weighted=True)
    once = case.run(1)
    case.plain, case.codes = np.asfortranarray(case.plain), np.asfortranarray(case.codes)
    for a, b in zip(once, case.run(3), strict=True):
        np.testing.assert_array_equal(a, b)


def test_single_precision_rows_are_read_as_they_are(variant):
    case = problem(1500, 3, 4, (3, 2))
    case.plain = case.plain.astype(np.float32)
    wide = Problem(**{**vars(case), "plain": case.plain.astype(float)})
    case.codes = case.codes.astype(np.float32)
    for a, b in zip(case.run(), wide.run(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_empty_component_gets_nothing(variant):
    case = problem(500, 3, 2, (3,))
    case.constants[1], case.eta[1] = -np.inf, np.nan
    weight, total, loglik, entropy, mass = case.run()
    assert weight[1] == 0
    assert (total[1] == 0).all()
    others = problem(500, 3, 2, (3,))
    others.constants, others.eta = others.constants[[0, 2]], others.eta[[0, 2]]
    expected = others.expected()
    assert_close(
        (weight[[0, 2]], total[[0, 2]], loglik, entropy, mass),
        expected,
    )


@pytest.mark.parametrize("code", [-1.0, 5.0, np.nan])
def test_codes_out_of_range_name_their_row(variant, code):
    case = problem(3000, 3, 1, (5, 5))
    case.codes[2500, 1] = case.codes[1234, 0] = code
    with pytest.raises(IndexError, match="row 1234 has a code"):
        case.run(2)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"eta": np.zeros((3, 5))}, r"eta must be a C-contiguous float64 array of shape \(3, 4\)"),
        ({"levels": np.array([0], dtype=np.int32)}, "levels must be at least 1"),
        ({"constants": np.full(3, -np.inf)}, "constants leave no component"),
        ({"constants": np.array([0, np.nan, 0])}, "component 1 has parameters that are not finite"),
        ({"codes": np.zeros((9, 1))}, "codes must have as many rows as plain: 10"),
        ({"labels": np.full(10, 3, np.int32)}, "label 3 at row 0"),
    ],
)
def test_refused_arguments(changed, words):
    case = Problem(**{**vars(problem(10, 3, 2, (2,))), **changed})
    with pytest.raises(ValueError, match=words):
        case.run()


# ---- families ----


def mixtures():
    rng = np.random.default_rng(1)
    counts = Mixture(Poisson(3), np.ones(4) / 4, PoissonParams(rng.uniform(0.5, 9, (4, 3))))
    amounts = GammaParams(rng.uniform(1, 5, (4, 2)), rng.uniform(1, 5, (4, 2)))
    shares = np.hstack([rng.dirichlet(np.ones(L), size=4) for L in (2, 3, 6)])
    return [
        counts,
        Mixture(Gamma(2), np.ones(4) / 4, amounts),
        Mixture(Categorical(3, (2, 3, 6)), np.ones(4) / 4, CategoricalParams(shares)),
    ]


MIXTURES = mixtures()
NAMES = [mixture.family.name for mixture in MIXTURES]


def numbers(stats: Stats):
    return stats.weight, stats.total, stats.loglik, stats.entropy, stats.mass


@pytest.mark.parametrize("mixture", MIXTURES, ids=NAMES)
def test_families_agree_with_their_formulas(mixture):
    X, labels = mixture.sample(3000, np.random.default_rng(2))
    w = np.random.default_rng(3).uniform(0, 2, 3000)
    known = np.where(np.arange(3000) % 3 == 0, labels, -1).astype(np.int32)
    block = Block(X, w, labels=known)
    by_formulas = Family.expect(mixture.family, mixture.params, mixture.log_weights, block)
    assert_close(numbers(mixture.expect(block, 2)), numbers(by_formulas))
    slow = Family.posterior(mixture.family, mixture.params, mixture.log_weights, X)
    for a, b in zip(mixture.posterior(X), slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("mixture", MIXTURES, ids=NAMES)
def test_keeping_features_changes_no_bit(mixture):
    X, _ = mixture.sample(3 * SLICE_ROWS + 100, np.random.default_rng(4))
    expected = numbers(mixture.expect(Block(X)))
    source = as_source(X)
    for n_threads in (1, 2, 2):  # the first pass keeps, the others use
        got = numbers(Local(n_threads).reduce(mixture.expect, source))
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    cut = Local(2).reduce(mixture.expect, hold(as_source(X, block_rows=1024)))
    for a, b in zip(numbers(cut), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_features_are_computed_once_for_rows_in_memory(monkeypatch):
    mixture = MIXTURES[NAMES.index("gamma")]
    X, _ = mixture.sample(5000, np.random.default_rng(5))
    source, rows = as_source(X), []
    features = Gamma.features

    def counted(self, part):
        rows.append(len(part))
        return features(self, part)

    monkeypatch.setattr(Gamma, "features", counted)
    Local(1).reduce(mixture.expect, source)
    assert sum(rows) >= 5000
    rows.clear()
    Local(1).reduce(mixture.expect, source)
    assert sum(rows) <= 1  # one row tells their size


def test_a_memo_is_bounded_and_stays_here():
    memo = Memo(100)
    memo.keep("a", 1, 60)
    memo.keep("b", 2, 60)
    assert (memo.get("a"), memo.get("b")) == (None, 2)
    memo.keep("c", 3, 101)
    assert (memo.get("b"), memo.get("c")) == (2, None)
    other = pickle.loads(pickle.dumps(memo))
    assert (other.max_bytes, other.get("b")) == (100, None)


def test_a_subclass_with_formulas_of_its_own_keeps_them():
    class Shifted(Poisson):
        def log_density(self, params, X):
            return super().log_density(params, X) - 1.0

    params = PoissonParams(np.array([[2.0], [5.0]]))
    X = np.array([[1.0], [4.0]])
    own, plain = (Mixture(F(1), np.ones(2) / 2, params) for F in (Shifted, Poisson))
    np.testing.assert_allclose(own.log_density(X), plain.log_density(X) - 1.0, rtol=1e-12)
    shift = plain.expect(Block(X)).loglik - own.expect(Block(X)).loglik
    assert shift == pytest.approx(2.0, rel=1e-12)


def test_whole_numbers_are_scored():
    mixture = MIXTURES[0]
    X, _ = mixture.sample(10, np.random.default_rng(6))
    np.testing.assert_array_equal(mixture.log_density(X.astype(int)), mixture.log_density(X))


# ---- products ----


def products():
    """Parts of all three kinds, the codes not last, and one whose density is not linear."""
    rng = np.random.default_rng(7)
    shares = np.hstack([rng.dirichlet(np.ones(L), size=4) for L in (2, 3)])
    scatter = 0.3 * rng.normal(size=(4, 2, 2)) + np.eye(2)
    full, narrow = Gaussian(2), Gaussian(1)
    parts = {
        "gaussian": (full, full.params(rng.normal(size=(4, 2)), scatter @ scatter.mT)),
        "categorical": (Categorical(2, (2, 3)), CategoricalParams(shares)),
        "poisson": (Poisson(2), PoissonParams(rng.uniform(0.5, 9, (4, 2)))),
        "gamma": (
            Gamma(1), GammaParams(rng.uniform(1, 5, (4, 1)), rng.uniform(1, 5, (4, 1)))
        ),
        "narrow": (narrow, narrow.params(rng.normal(size=(4, 1)), rng.uniform(1, 2, (4, 1, 1)))),
        "negative_binomial": (
            NegativeBinomial(1),
            NegativeBinomialParams(rng.uniform(1, 5, (4, 1)), rng.uniform(1, 5, (4, 1))),
        ),
    }  # fmt: skip
    for names in (
        ("gaussian", "categorical", "poisson", "gamma", "narrow"),
        ("poisson", "categorical", "gamma"),
        ("narrow", "gaussian"),
        ("negative_binomial", "gamma"),
    ):
        at, made, arrays = 0, [], []
        for name in names:
            family, params = parts[name]
            made.append(Part(tuple(range(at, at + family.n_features)), family))
            arrays.append(params)
            at += family.n_features
        order = np.random.default_rng(at).permutation(at)  # columns of a part lie anywhere
        made = [replace(p, columns=tuple(int(order[j]) for j in p.columns)) for p in made]
        family = Product(tuple(made))
        yield Mixture(family, np.array([0.1, 0.2, 0.3, 0.4]), family.params(arrays))


PRODUCTS = list(products())


@pytest.mark.parametrize("mixture", PRODUCTS, ids=lambda m: m.family.describe())
def test_products_agree_with_their_formulas(mixture):
    X, labels = mixture.sample(3000, np.random.default_rng(8))
    known = np.where(np.arange(3000) % 5 == 0, labels, -1).astype(np.int32)
    block = Block(X, np.random.default_rng(9).uniform(0, 2, 3000), labels=known)
    by_formulas = Family.expect(mixture.family, mixture.params, mixture.log_weights, block)
    got = mixture.expect(block, 2)
    assert got.total.shape == by_formulas.total.shape
    for a, b in zip(numbers(got), numbers(by_formulas), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-9)
    slow = Family.posterior(mixture.family, mixture.params, mixture.log_weights, X)
    for a, b in zip(mixture.posterior(X), slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("mixture", PRODUCTS, ids=lambda m: m.family.describe())
def test_bits_of_products_do_not_depend_on_threads_or_blocks(mixture):
    X, _ = mixture.sample(2 * SLICE_ROWS + 100, np.random.default_rng(10))
    expected = numbers(mixture.expect(Block(X)))
    for source in (as_source(X), hold(as_source(X, block_rows=1024))):
        for n_threads in (2, 1):
            got = numbers(Local(n_threads).reduce(mixture.expect, source))
            for a, b in zip(got, expected, strict=True):
                np.testing.assert_array_equal(a, b)
