"""Factors and eigenvectors of small matrices, several at once: each as if it were alone."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import _kernel
from tests.m_step_problems import maximise, relative_gap

DENSE, TIED = 0, 1
#: Up to 6 several matrices are done at once; 7 for contrast.
SIZES = [2, 3, 4, 5, 6, 7]
COUNTS = range(1, 18)


def regular(seed, count, d):
    """Covariances of d + 3 rows each."""
    A = np.random.default_rng(seed).normal(size=(count, d, d + 3))
    return A @ A.transpose(0, 2, 1) / (d + 3)


def factors_of(matrices):
    return _kernel.cholesky_factors(np.ascontiguousarray(matrices), DENSE)[0]


def graded(seed, d, step=1e-4):
    """Units of the columns fall by `step`, and the matrix in units of one."""
    C = regular(seed, 1, d)[0]
    return np.diag(step ** np.arange(d)), C / np.sqrt(np.outer(np.diag(C), np.diag(C)))


# -- inverse Cholesky factors ------------------------------------------------------


@pytest.mark.parametrize("d", SIZES)
def test_factors_are_those_of_numpy(variant, d):
    for count in COUNTS:
        given = regular(count, count, d)
        factors, log_determinants = _kernel.cholesky_factors(given, DENSE)
        expected = np.linalg.inv(np.linalg.cholesky(given))
        np.testing.assert_allclose(factors, expected, rtol=1e-8, atol=1e-10)
        np.testing.assert_array_equal(factors, np.tril(factors))
        product = factors @ given @ factors.transpose(0, 2, 1)
        np.testing.assert_allclose(product, np.broadcast_to(np.eye(d), given.shape), atol=1e-9)
        np.testing.assert_allclose(log_determinants, np.linalg.slogdet(given)[1], atol=1e-10)


@pytest.mark.parametrize("d", SIZES)
def test_a_factor_has_the_bits_it_has_alone(variant, d):
    given = regular(1, 17, d)
    alone = np.concatenate([factors_of(one[None]) for one in given])
    for count in COUNTS:
        np.testing.assert_array_equal(factors_of(given[:count]), alone[:count])
        np.testing.assert_array_equal(factors_of(given[17 - count :]), alone[17 - count :])
    tied = np.concatenate([_kernel.cholesky_factors(one[None], TIED)[0] for one in given])
    np.testing.assert_array_equal(tied, alone)


@pytest.mark.parametrize("d", SIZES)
def test_the_upper_triangle_is_not_read(variant, d):
    given = regular(2, 5, d)
    spoilt = np.where(np.tri(d, dtype=bool), given, np.nan)
    np.testing.assert_array_equal(factors_of(spoilt), factors_of(given))


def irregular(d):
    """Matrices without a factor, by what is wrong with them."""
    direction = np.arange(1.0, d + 1)
    last = np.eye(d)
    last[-1, -1] = -1.0
    lost = np.full((d, d), np.nan)
    return {
        "rank one": np.outer(direction, direction) / 7.0,
        "zero": np.zeros((d, d)),
        "first negative": np.diag(np.r_[-1.0, np.ones(d - 1)]),
        "last negative": last,
        "nan": lost,
        "one nan": np.where(np.arange(d * d).reshape(d, d) == d * d - 1, np.nan, np.eye(d)),
        "infinite": np.diag(np.r_[np.inf, np.ones(d - 1)]),
    }


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("wrong", irregular(2))
def test_what_is_not_positive_definite_is_nan_in_its_own_place_only(variant, d, wrong):
    given = regular(3, 9, d)
    truth = factors_of(given)
    for place in range(9):
        spoilt = given.copy()
        spoilt[place] = irregular(d)[wrong]
        factors, log_determinants = _kernel.cholesky_factors(spoilt, DENSE)
        others = np.arange(9) != place
        assert np.isnan(factors[place]).all()
        assert not np.isfinite(log_determinants[place])
        np.testing.assert_array_equal(factors[others], truth[others])


@pytest.mark.parametrize("d", SIZES)
def test_factors_do_not_depend_on_units(variant, d):
    """D Sigma D has the factor W / D; powers of two change no bit but the exponent."""
    given = regular(4, 9, d)
    truth = factors_of(given)
    for low, high in ((-150, 150), (150, -150), (-150, -150), (150, 150)):
        D = 10.0 ** np.linspace(low, high, d)
        factors = factors_of(given * D[:, None] * D)
        np.testing.assert_allclose(factors * D, truth, rtol=1e-9, atol=1e-11)
        D = 2.0 ** np.linspace(3 * low, 3 * high, d).round()
        np.testing.assert_array_equal(factors_of(given * D[:, None] * D) * D, truth)
        singular = irregular(d)["rank one"] * D[:, None] * D
        assert np.isnan(factors_of(np.stack([given[0], singular]))[1]).all()


# -- eigenvalues and eigenvectors --------------------------------------------------
#
# EEV: the eigenvalues of all scatters are added, largest first, and each component keeps its own
# eigenvectors. One scatter far larger than the others fixes the sum to its last bit.

TINY = 2.0**-300


def axes_with_values(matrices, values):
    """V diag(values) V' (count, d, d), where V (d, d) are the eigenvectors of each matrix."""
    W = np.concatenate([np.diag(values)[None], TINY * matrices])
    n = np.r_[1.0, np.full(len(matrices), TINY)]
    return maximise("EEV", n, W)[1:]


def eigenvalues_in_company(matrices, place):
    """Those of matrices[place], largest first."""
    d = matrices.shape[1]
    W, n = TINY * matrices, np.full(len(matrices) + 1, TINY)
    W[place], n[place] = matrices[place], 1.0
    W = np.concatenate([W, TINY * np.diag(np.arange(d, 0.0, -1.0))[None]])
    sigma = maximise("EEV", n, W)[-1]
    np.testing.assert_array_equal(sigma, np.diag(np.diag(sigma)))
    return np.diag(sigma)


@pytest.mark.parametrize("d", SIZES)
def test_eigenvalues_are_those_of_numpy(variant, d):
    given = regular(5, 9, d)
    for place in range(9):
        expected = np.linalg.eigvalsh(given[place])[::-1]
        np.testing.assert_allclose(eigenvalues_in_company(given, place), expected, rtol=1e-12)


@pytest.mark.parametrize("d", SIZES)
def test_eigenvectors_are_those_of_numpy(variant, d):
    values = np.arange(d, 0.0, -1.0)
    for count in COUNTS:
        given = regular(count, count, d)
        vectors = np.linalg.eigh(given)[1][:, :, ::-1]
        expected = (vectors * values) @ vectors.transpose(0, 2, 1)
        np.testing.assert_allclose(axes_with_values(given, values), expected, atol=1e-11)


@pytest.mark.parametrize("d", SIZES)
def test_eigenvectors_and_values_have_the_bits_they_have_alone(variant, d):
    given, values = regular(6, 17, d), np.arange(d, 0.0, -1.0)
    given[3], given[8] = np.eye(d), np.diag(np.arange(1.0, d + 1))  # nothing to turn
    alone = np.concatenate([axes_with_values(one[None], values) for one in given])
    for count in COUNTS:
        np.testing.assert_array_equal(axes_with_values(given[:count], values), alone[:count])
    for place in range(17):
        np.testing.assert_array_equal(
            eigenvalues_in_company(given, place), eigenvalues_in_company(given[[place]], 0)
        )


@pytest.mark.parametrize("d", SIZES)
def test_diagonal_matrices_are_left_as_they_are(variant, d):
    """Nothing is turned, and nothing rounded, whatever the order and the sizes."""
    rng = np.random.default_rng(7)
    for _ in range(5):
        given = np.exp(rng.normal(scale=20.0, size=(5, d)))
        given[1] = 1.0
        given[2, : d // 2] = 0.0
        matrices = given[:, :, None] * np.eye(d)
        for place in (0, 1, 3, 4):
            expected = np.sort(given[place])[::-1]
            np.testing.assert_array_equal(eigenvalues_in_company(matrices, place), expected)
        values = np.arange(d, 0.0, -1.0)
        for sigma, own in zip(axes_with_values(matrices, values), given, strict=True):
            np.testing.assert_array_equal(sigma, np.diag(np.diag(sigma)))
            assert sorted(np.diag(sigma)) == sorted(values)
            assert (np.diff(own[np.argsort(np.diag(sigma))]) >= 0).all()


@pytest.mark.parametrize("d", SIZES)
def test_equal_eigenvalues(variant, d):
    """Two values of which one is repeated: axes of the repeated one are any orthonormal ones."""
    rng = np.random.default_rng(8)
    vectors = np.linalg.qr(rng.normal(size=(5, d, d)))[0]
    for n_large in range(d + 1):
        values = np.where(np.arange(d) < n_large, 3.0, 0.5)
        given = (vectors * values) @ vectors.transpose(0, 2, 1)
        given = (given + given.transpose(0, 2, 1)) / 2
        for place in range(5):
            found = eigenvalues_in_company(given, place)
            np.testing.assert_allclose(found, values, rtol=1e-13)
        np.testing.assert_allclose(axes_with_values(given, values), given, atol=1e-12)
        other = np.arange(d, 0.0, -1.0)
        turned = np.linalg.eigvalsh(axes_with_values(given, other))[:, ::-1]
        np.testing.assert_allclose(turned, np.broadcast_to(other, turned.shape), rtol=1e-12)


@pytest.mark.parametrize("d", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("upwards", [False, True])
def test_small_eigenvalues_of_graded_matrices_keep_their_digits(variant, d, upwards):
    """The smallest is one over the largest of the inverse, which is known in closed form."""
    for seed in range(4):
        D, C = graded(seed, d)
        D = D[::-1, ::-1] if upwards else D
        W, inverse = D @ C @ D, np.linalg.inv(D) @ np.linalg.inv(C) @ np.linalg.inv(D)
        found = eigenvalues_in_company(np.stack([np.eye(d), W, C]), 1)
        np.testing.assert_allclose(found[-1], 1 / np.linalg.eigvalsh(inverse)[-1], rtol=1e-11)
        np.testing.assert_allclose(found[0], np.linalg.eigvalsh(W)[-1], rtol=1e-13)
        assert np.log(found).sum() == pytest.approx(
            np.linalg.slogdet(C)[1] + 2 * np.log(np.diag(D)).sum(), rel=1e-12
        )


@pytest.mark.parametrize("shape", ["EEV", "VEV"])
@pytest.mark.parametrize("d", SIZES)
def test_one_component_is_put_together_again(variant, shape, d):
    """Sigma = W / n, number by number in units of the standard deviations."""
    for seed in range(3):
        for step in (1.0, 1e-2, 1e-4):
            D, C = graded(seed, d, step)
            sigma = maximise(shape, np.array([7.0]), 7.0 * (D @ C @ D)[None])
            assert relative_gap(sigma, (D @ C @ D)[None]) < 1e-10


@pytest.mark.parametrize("d", SIZES)
def test_vev_keeps_the_axes_of_each_component(variant, d):
    for count in (2, 3, 5, 9):
        given = regular(count + 20, count, d)
        n = np.random.default_rng(count).uniform(5.0, 50.0, count)
        sigma = maximise("VEV", n, n[:, None, None] * given)
        vectors = np.linalg.eigh(given)[1]
        inside = vectors.transpose(0, 2, 1) @ sigma @ vectors
        values = np.diagonal(inside, axis1=1, axis2=2)
        np.testing.assert_allclose(inside, values[:, :, None] * np.eye(d), atol=1e-11)
        assert (np.diff(values, axis=1) >= 0).all()
        form = values / values[:, -1:]
        np.testing.assert_allclose(form, np.broadcast_to(form[0], form.shape), rtol=1e-10)
