"""Information criteria, of which smaller is better: fit against the number of free parameters."""

from __future__ import annotations

import numpy as np


def bic(loglik: float, n_free: int, mass: float) -> float:
    """-2 log L + df log n (Schwarz 1978); n is the sum of the row weights.

    Examples
    --------
    >>> round(bic(-1130.264, 11, 272), 3)
    2322.192
    """
    return -2.0 * loglik + n_free * float(np.log(mass))


def aic(loglik: float, n_free: int) -> float:
    """-2 log L + 2 df (Akaike 1974)."""
    return -2.0 * loglik + 2.0 * n_free


def aicc(loglik: float, n_free: int, mass: float) -> float:
    """AIC + 2 df (df + 1) / (n - df - 1), its correction for few rows (Hurvich and Tsai 1989).

    NaN where n <= df + 1: there are too few rows for it.

    Examples
    --------
    >>> round(aicc(-10.0, 2, 13), 3), aicc(-10.0, 12, 13)
    (25.2, nan)
    """
    left = mass - n_free - 1
    if left <= 0:
        return float("nan")
    return aic(loglik, n_free) + 2.0 * n_free * (n_free + 1) / left


def sabic(loglik: float, n_free: int, mass: float) -> float:
    """BIC with (n + 2) / 24 in the place of n (Sclove 1987): a lighter penalty."""
    return bic(loglik, n_free, (mass + 2.0) / 24.0)


def icl(loglik: float, n_free: int, mass: float, log_certainty: float) -> float:
    """BIC - 2 sum_i w_i log max_k r_ik: BIC with the cost of hard labels.

    As in Fraley and Raftery's software; `log_certainty` is that sum, in nats.
    Biernacki, Celeux and Govaert (2000) take the entropy in its place: `icl_entropy`.
    """
    return bic(loglik, n_free, mass) - 2.0 * log_certainty


def icl_entropy(loglik: float, n_free: int, mass: float, entropy: float) -> float:
    """BIC + 2 times the entropy of the responsibilities (Biernacki, Celeux and Govaert 2000).

    `entropy` is -sum w r log r over all rows, in nats. Never below `icl`.
    """
    return bic(loglik, n_free, mass) + 2.0 * entropy
