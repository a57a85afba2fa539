"""What is known of the component of each row, as an addition to its log joint densities."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtura.stats import Array


def restrict(joint: Array, labels: np.ndarray[Any, Any]) -> Array:
    """Add what is known of each row to its log joint densities, (n, K): an allowance in nats.

    Labels (n,) forbid all components but the known one, and -1 forbids nothing. Prior
    probabilities (n, K) multiply the weights, so their logarithms are added.
    """
    if labels.ndim == 2:
        with np.errstate(divide="ignore"):
            return np.asarray(joint + np.log(labels.astype(float)))
    known = np.flatnonzero(labels >= 0)
    kept = joint[known, labels[known]]
    joint[known] = -np.inf
    joint[known, labels[known]] = kept
    return joint
