"""What a model says about each row: label, probabilities, uncertainty, log-density."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mixtura.mixture import Mixture

#: The words of ``--what``, in the order of the output.
WHAT = ("label", "probabilities", "uncertainty", "log_density")


def score_columns(what: Sequence[str], n_components: int, *, as_json: bool) -> list[str]:
    """Names of the cells of `score_rows`."""
    names: list[str] = []
    for word in WHAT:
        if word in what:
            spread = word == "probabilities" and not as_json
            names += [f"p{k}" for k in range(n_components)] if spread else [word]
    return names


def score_rows(
    mixture: Mixture, X: Any, what: Sequence[str], n_threads: int, *, as_json: bool
) -> Iterator[list[Any]]:
    """Score rows, a slice at a time.

    Parameters
    ----------
    mixture : Mixture
        The model.
    X : ndarray of shape (n, d)
        Finite rows.
    what : sequence of str
        Of `WHAT`.
    n_threads : int
        Threads of the kernel.
    as_json : bool
        Probabilities are one list instead of K cells.

    Yields
    ------
    list
        Cells of one row.
    """
    if not len(X):
        return
    for _, log_density, R in mixture.slices(X, n_threads):
        columns: list[list[Any]] = []
        if "label" in what:
            columns.append(R.argmax(axis=1).tolist())
        if "probabilities" in what:
            columns += [R.tolist()] if as_json else R.T.tolist()
        if "uncertainty" in what:
            columns.append(np.maximum(1.0 - R.max(axis=1), 0.0).tolist())
        if "log_density" in what:
            columns.append(log_density.tolist())
        yield from map(list, zip(*columns, strict=True))
