"""The kernel's data pass in plain NumPy, and models and rows to compare the two on."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp, xlogy

DENSE, TIED, DIAGONAL, SPHERICAL = range(4)
GEOMETRIES = [DENSE, TIED, DIAGONAL, SPHERICAL]
NAMES = {DENSE: "dense", TIED: "tied", DIAGONAL: "diagonal", SPHERICAL: "spherical"}


class Model(NamedTuple):
    """Parameters in the layout of the kernel, and its covariances as full matrices."""

    log_weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    geometry: int
    covariances: np.ndarray

    def arguments(self):
        return self.log_weights, self.means, self.factors, self.geometry


def make_model(rng, geometry, K, d, *, shared=False, offset=0.0, scale=1.0):
    weights = rng.dirichlet(np.full(K, 5.0))
    means = offset + scale * 2.0 * rng.standard_normal((K, d))
    n = 1 if shared or geometry == TIED else K
    if geometry in (DENSE, TIED):
        L = np.tril(np.eye(d) + 0.4 * rng.standard_normal((n, d, d)) / np.sqrt(d))
        L[:, range(d), range(d)] = rng.uniform(0.5, 1.5, (n, d))
        L *= scale
        covariances = L @ L.transpose(0, 2, 1)
        factors = np.tril(np.linalg.inv(L))
    else:
        size = (n, d) if geometry == DIAGONAL else (n, 1)
        sd = scale * rng.uniform(0.5, 1.5, size)
        covariances = np.stack([np.diag(row) for row in np.broadcast_to(sd, (n, d)) ** 2])
        factors = 1 / sd if geometry == DIAGONAL else 1 / sd[:, 0]
    covariances = np.broadcast_to(covariances, (K, d, d))
    return Model(np.log(weights), means, np.ascontiguousarray(factors), geometry, covariances)


def make_rows(rng, model, n):
    K, d = model.means.shape
    L = np.linalg.cholesky(model.covariances)
    k = rng.integers(K, size=n)
    return model.means[k] + np.einsum("nij,nj->ni", L[k], rng.standard_normal((n, d)))


def reference_components(X, model):
    """Log-densities by triangular solves: no factor of the kernel is used."""
    K, d = model.means.shape
    out = np.empty((len(X), K))
    for k in range(K):
        L = np.linalg.cholesky(model.covariances[k])
        z = np.linalg.solve(L, (X - model.means[k]).T)
        logdet = np.log(np.diag(L)).sum()
        out[:, k] = -0.5 * (z**2).sum(axis=0) - logdet - 0.5 * d * np.log(2 * np.pi)
    return out


def pack(S):
    return S[..., *np.tril_indices(S.shape[-1])]


def reference_moments(X, R, means, geometry):
    y = X[:, None, :] - means
    weight = R.sum(axis=0)
    first = np.einsum("nk,nkj->kj", R, y)
    shared = np.empty(0)
    if geometry in (DENSE, TIED):
        second = np.stack([(y[:, k].T * R[:, k]) @ y[:, k] for k in range(len(means))])
        if geometry == TIED:
            return weight, first, pack(second.sum(axis=0))
        second = pack(second)
    else:
        second = np.einsum("nk,nkj->kj", R, y * y)
        if geometry == SPHERICAL:
            second = second.sum(axis=1, keepdims=True)
    return weight, np.hstack([first, second]), shared


def reference_pass(X, w, model, labels=None):
    n, K = len(X), len(model.means)
    w = np.ones(n) if w is None else w
    lp = reference_components(X, model) + model.log_weights
    loglik = logsumexp(lp, axis=1)
    r = np.exp(lp - loglik[:, None])
    if labels is not None:
        known = labels >= 0
        r[known] = np.eye(K)[labels[known]]
        loglik[known] = lp[known, labels[known]]
    entropy = -(w[:, None] * xlogy(r, r)).sum()
    moments = reference_moments(X, w[:, None] * r, model.means, model.geometry)
    return *moments, (w * loglik).sum(), entropy, w.sum()


def assert_statistics_close(got, expected, rtol=1e-11):
    for a, b in zip(got, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        # Sums cancel: first moments against their scatter, the entropy against one per row.
        size = np.abs(b).max(initial=0.0)
        rounding = 1e-15 * expected[0].sum()
        np.testing.assert_allclose(a, b, rtol=rtol, atol=max(rtol * size, rounding))


def assert_same_bits(got, expected):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


SIZES = [1, 2, 3, 5, 7, 8, 13, 16, 17, 24, 33, 50]


@functools.cache
def problem(geometry, K, d, weighted, shared=False):
    """Model, rows, weights and the reference: made once for all variants."""
    rng = np.random.default_rng([geometry, K, d, weighted])
    model = make_model(rng, geometry, K, d, shared=shared)
    n = 2085 if d < 17 else 1177
    X = make_rows(rng, model, n)
    w = rng.uniform(0.0, 3.0, n) if weighted else None
    return model, X, w, reference_pass(X, w, model)
