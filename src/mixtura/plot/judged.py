"""How good a classifier is: confusion of classes, calibration of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from mixtura.classify.scores import binned
from mixtura.errors import UsageError
from mixtura.plot.style import REFERENCE, axes, colour, legend, plain, tidy
from mixtura.stats import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Probability of the error bars of calibration.
COVERAGE = 0.95


def confusion(
    y_true: Any,
    y_pred: Any,
    *,
    classes: Sequence[Any] | None = None,
    share: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often each class was taken for each other.

    Parameters
    ----------
    y_true, y_pred : array of shape (n,)
        Classes as they are, and as they were predicted.
    classes : sequence, optional
        Classes and their order. Default: all that occur, sorted.
    share : bool, default=False
        Shares of each true class in place of counts.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        True classes downwards, predicted ones to the right.

    Raises
    ------
    UsageError
        The lengths differ, or a class is not among `classes`.

    Examples
    --------
    >>> from mixtura import plot
    >>> ax = plot.confusion(["a", "a", "b"], ["a", "b", "b"])
    >>> [text.get_text() for text in ax.texts]
    ['1', '1', '0', '1']
    """
    return confusion_table(*confusion_counts(y_true, y_pred, classes), share=share, ax=ax)


def confusion_table(
    counts: np.ndarray[Any, Any],
    names: Sequence[Any],
    *,
    share: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw counts (true, predicted); see `confusion`."""
    sums = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = counts / sums
    ax = axes(ax, (5.4, 4.6))
    image = ax.imshow(shares, cmap="Greys", vmin=0.0, vmax=1.0)
    ax.figure.colorbar(image, ax=ax, label="share of the true class")
    for (i, j), value in np.ndenumerate(counts):
        number = f"{shares[i, j]:.2f}" if share else str(value)
        ax.text(
            j,
            i,
            number,
            ha="center",
            va="center",
            color="white" if shares[i, j] > 0.55 else "black",
        )
    words = [plain(str(name)) for name in names]
    ax.set_xticks(range(len(names)), words, rotation=30 if max(map(len, words)) > 6 else 0)
    ax.set_yticks(range(len(names)), words)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    return ax


def confusion_counts(
    y_true: Any, y_pred: Any, classes: Sequence[Any] | None = None
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], list[Any]]:
    """Counts (true, predicted) and the classes in their order."""
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.shape != predicted.shape or true.ndim != 1:
        raise UsageError.argument("y_pred", predicted.shape, f"classes of shape {true.shape}")
    both = np.concatenate([true, predicted])
    names = np.unique(both).tolist() if classes is None else list(classes)
    number = {name: i for i, name in enumerate(names)}
    strange = [one for one in both.tolist() if one not in number]
    if strange:
        raise UsageError.argument("classes", names, f"all classes that occur, also {strange[0]!r}")
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    for a, b in zip(true.tolist(), predicted.tolist(), strict=True):
        counts[number[a], number[b]] += 1
    return counts, names


def calibration(
    y_true: Any,
    probabilities: Any,
    *,
    classes: Sequence[Any] | None = None,
    n_bins: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often a class occurs against the probability it was given.

    Parameters
    ----------
    y_true : array of shape (n,)
        Classes as they are.
    probabilities : array of shape (n, C) or (n,)
        Of each class, columns in the order of `classes`; or of the last class
        alone, where there are two.
    classes : sequence, optional
        Classes in the order of the columns. Default: all that occur, sorted.
    n_bins : int, default=10
        Bins of equal width.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        One line per class, of two classes only the last; bars are Wilson's
        95 % intervals.

    Examples
    --------
    >>> from mixtura import plot
    >>> ax = plot.calibration([0, 1, 1], [0.1, 0.8, 0.9], n_bins=2)
    """
    true, P = np.asarray(y_true), np.asarray(probabilities, dtype=float)
    if P.ndim == 1:
        P = np.column_stack([1.0 - P, P])
    names = np.unique(true).tolist() if classes is None else list(classes)
    if P.shape != (len(true), len(names)) or not ((P >= 0) & (P <= 1 + 1e-9)).all():
        raise UsageError.argument(
            "probabilities", P.shape, f"probabilities of shape ({len(true)}, {len(names)})"
        )
    bins = np.array(
        [binned(own, true == name, n_bins) for own, name in zip(P.T, names, strict=True)]
    )
    return calibration_curves(bins, names, ax=ax)


def calibration_curves(bins: Array, names: Sequence[Any], *, ax: Axes | None = None) -> Axes:
    """Draw what `binned` found of each class, (C, 3, B); see `calibration`."""
    ax = axes(ax, (5.2, 4.8))
    ax.plot([0, 1], [0, 1], color=REFERENCE, ls="--", lw=1, label="calibrated")
    for k in [1] if len(names) == 2 else range(len(names)):
        given, share, low, high = reliability(bins[k])
        ax.errorbar(
            given, share, [share - low, high - share], color=colour(k), marker="o", ms=4.5,
            lw=1.4, capsize=2, label=plain(str(names[k])),
        )  # fmt: skip
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    legend(ax)
    return tidy(ax, "probability of the class", "share of rows that are of the class")


def reliability(bins: Array) -> tuple[Array, Array, Array, Array]:
    """Mean probability, share, and Wilson's interval of the share, of each bin that has rows.

    Parameters
    ----------
    bins : ndarray of shape (3, B)
        From `binned`.

    Notes
    -----
    Wilson (1927).

    Examples
    --------
    >>> from mixtura.classify.scores import binned
    >>> bins = binned(np.array([0.2, 0.3, 0.9]), np.array([False, True, True]), 2)
    >>> given, share, *_ = reliability(bins)
    >>> given, share
    (array([0.25, 0.9 ]), array([0.5, 1. ]))
    """
    n, said, happened = bins[:, bins[0] > 0]
    given, share = said / n, happened / n
    z = ndtri(0.5 + COVERAGE / 2.0)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = np.minimum(centre - half, share), np.maximum(centre + half, share)
    return given, share, low, high
