"""Random M step problems, an objective and a numerical optimiser, shared by tests of M steps."""

from __future__ import annotations

import numpy as np
from scipy import optimize
from scipy.spatial.transform import Rotation

from mixtura import _kernel

SPHERICAL = ("EII", "VII")
DIAGONAL = ("EEI", "VEI", "EVI", "VVI")
ALL = (*SPHERICAL, *DIAGONAL, "EEE", "EVE", "VEE", "VVE", "EEV", "VEV", "EVV", "VVV")
ITERATED = ("VEI", "VEE", "VEV", "EVE", "VVE")
ANY_LINEAR_MAP = ("EEE", "VEE", "EVV", "VVV")
ROTATIONS_ONLY = ("EEV", "VEV", "EVE", "VVE")


# -- helpers: statistics in, full matrices out, and the objective ----------------------


def geometry_of(shape):
    if shape in SPHERICAL:
        return 3
    return 2 if shape in DIAGONAL else 1 if shape == "EEE" else 0


def packed(matrices):
    rows, columns = np.tril_indices(matrices.shape[-1])
    return matrices[..., rows, columns]


def statistics(shape, n, means, W, centres):
    """Statistics about `centres` of components with weight n, means and scatter W about them."""
    shift = means - centres
    S = W + n[:, None, None] * shift[:, :, None] * shift[:, None, :]
    s1 = n[:, None] * shift
    second = {
        0: lambda: packed(S),
        1: lambda: np.empty((len(n), 0)),
        2: lambda: np.einsum("kjj->kj", S),
        3: lambda: np.einsum("kjj->k", S)[:, None],
    }[geometry_of(shape)]()
    shared = packed(S.sum(axis=0)) if shape == "EEE" else np.empty(0)
    return n, np.hstack([s1, second]), shared, centres


def full(shape, array, K, d):
    """Covariances or factors in a shape's own layout as (K, d, d)."""
    geometry = geometry_of(shape)
    if geometry == 3:
        array = array[:, None, None] * np.eye(d)
    elif geometry == 2:
        array = array[:, :, None] * np.eye(d)
    return np.broadcast_to(array, (K, d, d))


def own(shape, matrices):
    """The inverse of `full`."""
    if geometry_of(shape) == 3:
        matrices = matrices[:, 0, 0]
    elif geometry_of(shape) == 2:
        matrices = np.einsum("kjj->kj", matrices)
    return np.ascontiguousarray(matrices[:1] if shape in ("EII", "EEI", "EEE") else matrices)


def problem(seed, K, d, spread=1.0):
    """Weights, means and scatters of K components that share no structure."""
    rng = np.random.default_rng(seed)
    n = rng.uniform(5.0, 50.0, K)
    rows = rng.normal(size=(K, d + 4, d)) * np.exp(spread * rng.normal(size=(K, 1, 1)))
    rows = rows * np.exp(spread * rng.normal(size=(K, 1, d))) @ special_rotations(rng, K, d)
    W = rows.transpose(0, 2, 1) @ rows / (d + 4) * n[:, None, None]
    return n, rng.normal(size=(K, d)), W


def special_rotations(rng, K, d):
    return np.linalg.qr(rng.normal(size=(K, d, d)))[0]


def maximise(shape, n, W, means=None, previous=None, floor=None, **options):
    """Covariances (K, d, d) of one M step whose centres are the means."""
    means = np.zeros(W.shape[:2]) if means is None else means
    result = _kernel.gaussian_m_step(
        shape, *statistics(shape, n, means, W, means),
        None if previous is None else own(shape, previous), floor, **options,
    )  # fmt: skip
    return full(shape, result[1], *W.shape[:2])


def objective(n, W, sigma):
    """Q = -1/2 sum_k [n_k log det Sigma_k + tr(W_k Sigma_k^-1)]."""
    sign, logdet = np.linalg.slogdet(sigma)
    if (sign <= 0).any():
        return -np.inf
    return -0.5 * (n @ logdet + np.einsum("kij,kji->", W, np.linalg.inv(sigma)))


def relative_gap(a, b):
    """Largest difference of covariances in units of the standard deviations in b."""
    scale = np.sqrt(np.einsum("kii,kjj->kij", b, b))
    return (np.abs(a - b) / scale).max()


# -- a numerical optimiser -------------------------------------------------------------


def rotations(angles, d):
    """(count, d, d) rotations from (count, d (d - 1) / 2) numbers, d <= 3."""
    if d == 1:
        return np.ones((len(angles), 1, 1))
    if d == 3:
        return Rotation.from_rotvec(angles).as_matrix()
    c, s = np.cos(angles[:, 0]), np.sin(angles[:, 0])
    return np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)], -2)


class Parametrisation:
    """Unconstrained numbers -> covariances of a shape."""

    def __init__(self, shape, K, d):
        self.K, self.d = K, d
        self.counts = [{"I": 0, "E": 1, "V": K}[letter] for letter in shape]
        self.sizes = [self.counts[0], self.counts[1] * d, self.counts[2] * (d * (d - 1) // 2)]

    def __call__(self, theta):
        volume, form, angles = np.split(theta, np.cumsum(self.sizes)[:-1])
        logs = np.zeros((self.K, self.d)) + volume[:, None]
        if self.counts[1]:
            form = form.reshape(self.counts[1], self.d)
            logs = logs + form - form.mean(axis=1, keepdims=True)
        D = np.eye(self.d)[None]
        if self.counts[2]:
            D = rotations(angles.reshape(self.counts[2], -1), self.d)
        return D @ (np.exp(logs)[:, :, None] * D.transpose(0, 2, 1))


def best_by_optimiser(n, W, covariances, size, rng, starts=6):
    """Largest objective over several starts of a quasi-Newton method."""

    def loss(theta):
        value = objective(n, W, covariances(theta))
        return -value / n.sum() if np.isfinite(value) else 1e10

    found = [
        optimize.minimize(
            loss, scale * rng.normal(size=size), method="BFGS", options={"gtol": 1e-8}
        )
        for scale in np.linspace(0.3, 1.5, starts)
    ]
    return -min(result.fun for result in found) * n.sum()


# -- problems as EM meets them when components collapse --------------------------------


class Collapsing:
    """Rounded rows, a floor far below their spread, and responsibilities to start EM from.

    Some components begin with no more rows than leave their scatter singular.
    """

    def __init__(self, seed, n_rows=45):
        rng = np.random.default_rng(seed)
        self.K, d = int(rng.integers(2, 6)), int(rng.integers(2, 5))
        self.rows = (5 * rng.normal(size=(n_rows, d)) @ rng.normal(size=(d, d))).round()
        spread = np.cov(self.rows.T)
        self.floor = 10 ** rng.uniform(-8, -5) * (np.diag(np.diag(spread)) if seed % 2 else spread)
        few = int(rng.integers(1, self.K))
        sizes = rng.integers(2, d + 2, size=few)
        labels = rng.integers(few, self.K, size=n_rows)
        labels[: sizes.sum()] = np.repeat(np.arange(few), sizes)
        self.start = 0.99 * np.eye(self.K)[labels] + 0.01 / self.K

    def moments(self, R):
        """Weights, means and scatters about them."""
        n = R.sum(axis=0)
        means = R.T @ self.rows / n[:, None]
        deviations = self.rows - means[:, None]
        return n, means, np.einsum("ik,kij,kil->kjl", R, deviations, deviations)

    def responsibilities(self, n, means, sigma):
        """E step."""
        whitened = np.linalg.solve(
            np.linalg.cholesky(sigma), (self.rows - means[:, None]).transpose(0, 2, 1)
        )
        logs = np.log(n) - 0.5 * (np.linalg.slogdet(sigma)[1] + (whitened**2).sum(axis=1).T)
        R = np.exp(logs - logs.max(axis=1, keepdims=True))
        return R / R.sum(axis=1, keepdims=True)
