"""What a model says about each row: label, probabilities, uncertainty, log-density."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mixtura.classify import Classifier
    from mixtura.mixture import Mixture

#: The words of ``--what``, in the order of the output.
WHAT = ("label", "probabilities", "uncertainty", "log_density")


def score_columns(
    what: Sequence[str], n_components: int, *, as_json: bool, classes: Sequence[Any] = ()
) -> list[str]:
    """Names of the cells of `score_rows`; with classes, those of `class_rows`."""
    own = [f"p_{name}" for name in classes] or [f"p{k}" for k in range(n_components)]
    names: list[str] = []
    for word in WHAT:
        if word in what:
            spread = word == "probabilities" and not as_json
            names += own if spread else [word]
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


def class_rows(
    found: Classifier, X: Any, what: Sequence[str], *, as_json: bool
) -> Iterator[list[Any]]:
    """Score rows by a classifier, a slice at a time.

    Yields
    ------
    list
        Cells of one row: the label is the name of a class, empty where the decision is
        declined.
    """
    from mixtura.classify import probabilities, total

    if not len(X):
        return
    names = [*found.classes, None]
    for joint in found.slices(X):
        proba = np.exp(probabilities(joint))
        columns: list[list[Any]] = []
        if "label" in what:
            columns.append([names[code] for code in found.decide(joint).tolist()])
        if "probabilities" in what:
            columns += [proba.tolist()] if as_json else proba.T.tolist()
        if "uncertainty" in what:
            columns.append(np.maximum(1.0 - proba.max(axis=1), 0.0).tolist())
        if "log_density" in what:
            columns.append(total(joint).tolist())
        yield from map(list, zip(*columns, strict=True))
