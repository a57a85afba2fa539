"""The log-likelihood of fitted parameters, computed alike for all packages."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import logsumexp

from benchmarks.cases import Parameters

#: Numbers that are held at once per component and row slice.
SLICE_NUMBERS = 1 << 21


def log_likelihood(X: np.ndarray, parameters: Parameters) -> float:
    """Total log-likelihood in nats, by Cholesky factors and triangular solves in NumPy and SciPy.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows.
    parameters : Parameters
        Weights (K,), means (K, d), covariances (K, d, d).

    Raises
    ------
    LinAlgError
        A covariance is not positive definite.

    Examples
    --------
    >>> one = Parameters(np.ones(1), np.zeros((1, 2)), np.eye(2)[None])
    >>> round(log_likelihood(np.zeros((1, 2)), one), 6)
    -1.837877
    """
    n, d = X.shape
    roots = [cholesky(S, lower=True) for S in parameters.covariances]
    with np.errstate(divide="ignore"):
        log_weights = np.log(parameters.weights)
    constants = [-0.5 * d * np.log(2 * np.pi) - np.log(np.diagonal(L)).sum() for L in roots]
    step = max(1, SLICE_NUMBERS // max(d, len(roots)))
    total = 0.0
    for first in range(0, n, step):
        columns = X[first : first + step].T
        terms = np.empty((len(roots), columns.shape[1]))
        for k, L in enumerate(roots):
            z = solve_triangular(L, columns - parameters.means[k][:, None], lower=True)
            terms[k] = log_weights[k] + constants[k] - 0.5 * np.einsum("ij,ij->j", z, z)
        total += float(logsumexp(terms, axis=0).sum())
    return total
