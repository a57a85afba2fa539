"""A plain, slow Gaussian mixture, written from the formulas, to test the library against.

Nothing here uses mixtura. Densities are evaluated one component at a time by triangular
solves on x - mean; M steps centre before they square. Where doubles are not enough,
`log_density_mpmath` works with 50 digits.

Geometries and models
---------------------
A geometry says how covariances are stored: "dense" (K, d, d), "tied" (1, d, d),
"diagonal" (K, d) variances, "spherical" (K,) variances; the leading axis is 1 where all
components share one covariance. A model is one of the names of Celeux and Govaert (1995),
volume, shape and orientation Equal, Variable or Identity; "E" and "V" in one dimension.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import mpmath
import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.special import entr, logsumexp

Array = npt.NDArray[np.float64]
Geometry = Literal["dense", "tied", "diagonal", "spherical"]

# The models whose M step has one line, and the geometry that stores them.
GEOMETRY: dict[str, Geometry] = {
    "VVV": "dense",
    "EEE": "tied",
    "VVI": "diagonal",
    "EEI": "diagonal",
    "VII": "spherical",
    "EII": "spherical",
    "V": "spherical",
    "E": "spherical",
}
MODELS = (
    *("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE"),
    *("EVE", "VEE", "VVE", "EEV", "VEV", "EVV", "VVV"),
)


class Gaussians(NamedTuple):
    """A Gaussian mixture."""

    log_weights: Array  # (K,), may hold -inf
    means: Array  # (K, d)
    covariances: Array  # see the geometries above
    geometry: Geometry


class Statistics(NamedTuple):
    """What one pass over the rows leaves, centred about the means of the mixture passed."""

    weight: Array  # (K,), sum_i w_i r_ik
    total: Array  # (K, p), first and second moments about the centre, see `moments`
    shared: Array  # (q,), packed pooled scatter of the tied geometry, else empty
    loglik: float  # nats
    entropy: float  # nats, -sum_i w_i sum_k r_ik log r_ik
    mass: float  # sum of w


class EmRun(NamedTuple):
    """A run of EM; `loglik` belongs to `mixture`."""

    mixture: Gaussians
    loglik: float  # nats
    responsibilities: Array  # (n, K)
    trace: tuple[float, ...]  # log-likelihood of every E step, nats
    converged: bool


def full_covariances(mixture: Gaussians) -> Array:
    """Covariances as (K, d, d), whatever the geometry."""
    n_components, d = mixture.means.shape
    given = mixture.covariances
    match mixture.geometry:
        case "dense" | "tied":
            full = given
        case "diagonal":
            full = given[:, :, None] * np.eye(d)
        case "spherical":
            full = given[:, None, None] * np.eye(d)
    return np.broadcast_to(full, (n_components, d, d))


def component_log_density(X: Array, mixture: Gaussians) -> Array:
    """Log density (n, K) of each row under each component, in nats, without the weights."""
    X = np.asarray(X, dtype=np.float64)
    columns = []
    for mean, covariance in zip(mixture.means, full_covariances(mixture), strict=True):
        factor = cholesky(covariance, lower=True)
        z = solve_triangular(factor, (X - mean).T, lower=True)
        log_det = 2 * np.log(np.diag(factor)).sum()
        columns.append(-0.5 * (len(mean) * np.log(2 * np.pi) + log_det + (z**2).sum(axis=0)))
    return np.stack(columns, axis=1)


def log_density(X: Array, mixture: Gaussians) -> Array:
    """Log density (n,) of each row under the mixture, in nats."""
    joint = component_log_density(X, mixture) + mixture.log_weights
    return np.asarray(logsumexp(joint, axis=1))


def e_step(
    X: Array, mixture: Gaussians, labels: npt.NDArray[np.integer] | None = None
) -> tuple[Array, Array]:
    """Responsibilities (n, K) and log-likelihood (n,) of each row.

    A row with a known label k >= 0 belongs to k and counts log(pi_k f_k); -1 is unknown.
    """
    joint = component_log_density(X, mixture) + mixture.log_weights
    rows = np.asarray(logsumexp(joint, axis=1))
    responsibilities = np.exp(joint - rows[:, None])
    if labels is not None:
        known = np.flatnonzero(np.asarray(labels) >= 0)
        rows[known] = joint[known, labels[known]]
        responsibilities[known] = np.eye(joint.shape[1])[labels[known]]
    return responsibilities, rows


def statistics(
    X: Array,
    mixture: Gaussians,
    w: Array | None = None,
    labels: npt.NDArray[np.integer] | None = None,
) -> Statistics:
    """One whole pass: E step, and statistics centred about the means of the mixture."""
    X = np.asarray(X, dtype=np.float64)
    w = np.ones(len(X)) if w is None else w
    R, rows = e_step(X, mixture, labels)
    weight, total, shared = moments(X, w[:, None] * R, mixture.means, mixture.geometry)
    entropy = float(w @ entr(R).sum(axis=1))
    return Statistics(weight, total, shared, float(w @ rows), entropy, float(w.sum()))


def moments(X: Array, wR: Array, centres: Array, geometry: Geometry) -> tuple[Array, Array, Array]:
    """Weighted moments of the rows about given centres.

    Parameters
    ----------
    X : (n, d) rows.
    wR : (n, K) responsibilities times row weights.
    centres : (K, d).
    geometry : what is kept of the scatter.

    Returns
    -------
    weight (K,); total (K, p): the d first moments, then the scatter as the lower triangle
    packed by rows (dense), its diagonal (diagonal), its trace (spherical) or nothing
    (tied); shared (q,): the packed sum of all scatters (tied) or nothing.
    """
    lower = np.tril_indices(X.shape[1])
    first, second = [], []
    for centre, r in zip(centres, wR.T, strict=True):
        deviation = X - centre
        first.append(r @ deviation)
        second.append((deviation * r[:, None]).T @ deviation)
    shift, scatter = np.array(first), np.array(second)
    shared = np.empty(0)
    match geometry:
        case "dense":
            kept = scatter[:, *lower]
        case "diagonal":
            kept = np.diagonal(scatter, axis1=1, axis2=2)
        case "spherical":
            kept = np.trace(scatter, axis1=1, axis2=2)[:, None]
        case "tied":
            kept, shared = np.empty((len(centres), 0)), scatter.sum(axis=0)[lower]
    return wR.sum(axis=0), np.concatenate([shift, kept], axis=1), shared


def maximise(stats: Statistics, centres: Array, model: str) -> Gaussians:
    """M step of a model of `GEOMETRY` from statistics alone (Celeux and Govaert 1995)."""
    n_k, geometry = stats.weight, GEOMETRY[model]
    d = centres.shape[1]
    shift = stats.total[:, :d] / n_k[:, None]
    kept = stats.total[:, d:]
    match geometry:
        case "dense":
            scatter = _unpack(kept, d) - n_k[:, None, None] * _outer(shift)
        case "tied":
            moved = (n_k[:, None, None] * _outer(shift)).sum(axis=0)
            scatter = (_unpack(stats.shared[None], d)[0] - moved)[None]
        case "diagonal":
            scatter = kept - n_k[:, None] * shift**2
        case "spherical":
            scatter = kept[:, 0] - n_k * (shift**2).sum(axis=1)
    covariances = _covariances(scatter, n_k, d, model)
    return Gaussians(np.log(n_k / n_k.sum()), centres + shift, covariances, geometry)


def m_step(X: Array, wR: Array, model: str) -> Gaussians:
    """M step from the rows and their weighted responsibilities (n, K), in two passes."""
    means = (wR.T @ X) / wR.sum(axis=0)[:, None]
    weight, total, shared = moments(X, wR, means, GEOMETRY[model])
    return maximise(Statistics(weight, total, shared, 0.0, 0.0, 0.0), means, model)


def em(
    X: Array,
    partition: npt.NDArray[np.integer],
    model: str,
    w: Array | None = None,
    tol: float = 1e-12,
    max_iter: int = 20_000,
) -> EmRun:
    """EM from the M step of a hard partition (n,), 0-based, with no empty part.

    Stops when the log-likelihood changes by less than tol * (1 + abs(log-likelihood)).
    Raises numpy.linalg.LinAlgError when a covariance becomes singular.
    """
    X = np.asarray(X, dtype=np.float64)
    w = np.ones(len(X)) if w is None else w
    R = np.eye(int(partition.max()) + 1)[partition]
    trace: list[float] = []
    for _ in range(max_iter):
        mixture = m_step(X, w[:, None] * R, model)
        R, rows = e_step(X, mixture)
        trace.append(float(w @ rows))
        if len(trace) > 1 and abs(trace[-1] - trace[-2]) < tol * (1 + abs(trace[-1])):
            return EmRun(mixture, trace[-1], R, tuple(trace), converged=True)
    return EmRun(mixture, trace[-1], R, tuple(trace), converged=False)


def free_parameters(model: str, n_components: int, d: int) -> int:
    """Count free parameters of a mixture, mixing proportions included.

    Each letter counts once for E, K times for V and not at all for I: one volume,
    d - 1 shape ratios and d (d - 1) / 2 angles (Celeux and Govaert 1995, table 1).
    """
    times = {"E": 1, "V": n_components, "I": 0}
    volume, shape, orientation = tuple(model if d > 1 else f"{model[0]}II")
    covariance = times[volume] + times[shape] * (d - 1) + times[orientation] * d * (d - 1) // 2
    return n_components - 1 + n_components * d + covariance


def bic(loglik: float, df: int, n: float) -> float:
    """Schwarz's criterion, smaller is better (the negative of mclust's)."""
    return df * float(np.log(n)) - 2 * loglik


def aic(loglik: float, df: int) -> float:
    """Akaike's criterion, smaller is better."""
    return 2 * df - 2 * loglik


def icl(bic_value: float, R: Array, w: Array | None = None) -> float:
    """Integrated complete likelihood with the most probable classes, smaller is better.

    As mclust does it: BIC - 2 sum_i w_i log max_k r_ik, for responsibilities R (n, K).
    """
    log_certainty = np.log(R.max(axis=1))
    return bic_value - 2 * float(log_certainty.sum() if w is None else w @ log_certainty)


def icl_entropy(bic_value: float, R: Array, w: Array | None = None) -> float:
    """BIC + 2 * entropy of the responsibilities R (n, K), smaller is better."""
    entropy = entr(R).sum(axis=1)
    return bic_value + 2 * float(entropy.sum() if w is None else w @ entropy)


def log_density_mpmath(
    X: Array, mean: Array, covariance: Array, decimals: int = 50
) -> list[mpmath.mpf]:
    """Log density of each row (n, d) under one Gaussian, with `decimals` digits.

    The doubles given are taken as exact numbers. Raises ValueError when the covariance,
    read so, is not positive definite.
    """
    d = len(mean)
    with mpmath.workdps(decimals):
        factor = mpmath.cholesky(mpmath.matrix(np.asarray(covariance).tolist()))
        half_log_det = mpmath.fsum(mpmath.log(factor[j, j]) for j in range(d))
        constant = -half_log_det - mpmath.mpf(d) / 2 * mpmath.log(2 * mpmath.pi)
        centre = [mpmath.mpf(float(value)) for value in mean]
        return [
            constant - _squared_length(factor, row, centre) / 2
            for row in np.asarray(X, dtype=np.float64).tolist()
        ]


def covariance_with_condition(rng: np.random.Generator, d: int, condition: float) -> Array:
    """Draw a covariance (d, d) with largest eigenvalue 1 and smallest 1 / condition."""
    basis, _ = np.linalg.qr(rng.standard_normal((d, d)))
    drawn = (basis * np.geomspace(1, 1 / condition, d)) @ basis.T
    return np.asarray((drawn + drawn.T) / 2)


def _covariances(scatter: Array, n_k: Array, d: int, model: str) -> Array:
    """Covariances from the scatter about the means, as the geometry keeps it."""
    shared = model[0] == "E"
    if shared and model != "EEE":  # the scatter of EEE is pooled already
        scatter = scatter.sum(axis=0, keepdims=True)
    count = n_k.sum(keepdims=True) if shared else n_k
    values = d if GEOMETRY[model] == "spherical" else 1
    return np.asarray(scatter / (values * count.reshape(-1, *[1] * (scatter.ndim - 1))))


def _unpack(packed: Array, d: int) -> Array:
    """Symmetric matrices (K, d, d) from lower triangles packed by rows (K, d (d + 1) / 2)."""
    full = np.zeros((len(packed), d, d))
    row, column = np.tril_indices(d)
    full[:, row, column] = packed
    full[:, column, row] = packed
    return full


def _outer(shift: Array) -> Array:
    return shift[:, :, None] * shift[:, None, :]


def _squared_length(
    factor: mpmath.matrix, row: list[float], centre: list[mpmath.mpf]
) -> mpmath.mpf:
    """Squared Mahalanobis length of a row, by forward substitution."""
    z: list[mpmath.mpf] = []
    for i, (value, mean) in enumerate(zip(row, centre, strict=True)):
        known = mpmath.fsum(factor[i, j] * z[j] for j in range(i))
        z.append((mpmath.mpf(value) - mean - known) / factor[i, i])
    return mpmath.fsum(value**2 for value in z)
