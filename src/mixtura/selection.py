"""Information criteria: smaller is better, in all of them."""

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


def icl(loglik: float, n_free: int, mass: float, log_certainty: float) -> float:
    """BIC - 2 sum_i w_i log max_k r_ik: BIC with the cost of hard labels.

    As in Fraley and Raftery's software; `log_certainty` is that sum, in nats.
    Biernacki, Celeux and Govaert (2000) take the entropy in its place.
    """
    return bic(loglik, n_free, mass) - 2.0 * log_certainty
