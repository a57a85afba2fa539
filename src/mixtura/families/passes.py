"""The data pass of families without compiled code: slices of rows, added in order."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp

from mixtura.families.allowance import restrict
from mixtura.stats import Array, Stats, tree_sum
from mixtura.threads import in_order

if TYPE_CHECKING:
    from mixtura.families.base import Family
    from mixtura.source import Block

#: Rows that a Python route handles at once: a leaf of the merge tree, so that
#: results do not depend on the size of blocks, and temporaries stay small.
SLICE_ROWS = 1024


def expect_in_slices(
    family: Family[Any], params: Any, log_weights: Array, block: Block, n_threads: int
) -> Stats:
    """E step and statistics of one block; threads do not change the result."""
    starts = range(0, len(block.X), SLICE_ROWS)
    work = partial(_expect_slice, family, params, log_weights, block)
    with closing(in_order(work, starts, n_threads)) as parts:
        return tree_sum(parts)


def _expect_slice(
    family: Family[Any], params: Any, log_weights: Array, block: Block, start: int
) -> Stats:
    rows = slice(start, start + SLICE_ROWS)
    X = np.asarray(block.X[rows], dtype=float)
    w = np.ones(len(X)) if block.w is None else block.w[rows]
    joint = family.log_density(params, X) + log_weights
    if block.labels is not None:
        joint = restrict(joint, block.labels[rows])
    log_density = logsumexp(joint, axis=1)
    log_r = joint - log_density[:, None]
    R = np.exp(log_r)
    # 0 log 0 = 0: a component of weight zero has log r = -inf
    entropy = -np.einsum("i,ik,ik->", w, R, np.where(R > 0, log_r, 0.0))
    stats = family.accumulate(params, X, R * w[:, None])
    return replace(
        stats, loglik=float(w @ log_density), entropy=float(entropy), mass=float(w.sum())
    )
