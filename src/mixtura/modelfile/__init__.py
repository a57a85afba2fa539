"""Model files: safetensors with one versioned JSON document; numbers and plain text only.

The file holds the arrays of the mixture and of its trace as tensors, and one
JSON document under the key ``mixtura`` of the safetensors metadata. Loading
never runs code, and everything is checked before it is used. The document's
checksum is the SHA-256 of the whole file with the checksum's own digits set to
zero: it detects damage, not forgery.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from mixtura.atomic import check_target, replacing
from mixtura.classify import Classifier
from mixtura.errors import ModelFileError
from mixtura.families import Family
from mixtura.fitting import Fitted
from mixtura.modelfile.classifier import classifier_from_bytes, classifier_to_bytes
from mixtura.modelfile.content import LARGEST_HEADER, SCHEMA, from_bytes, raw_document, to_bytes

__all__ = [
    "LARGEST_HEADER",
    "SCHEMA",
    "check_target",
    "from_bytes",
    "load",
    "load_any",
    "replacing",
    "save",
    "to_bytes",
]


def save(path: str | Path, fitted: Fitted | Classifier, *, force: bool = False) -> None:
    """Write a fitted mixture or a classifier to a file, all of it or nothing.

    Mixtures kept in the trace are not written.

    Parameters
    ----------
    path : str or Path
        Where to; by custom with the ending ``.mixtura``.
    fitted : Fitted or Classifier
        The mixture, or the classifier, and the facts about its fit.
    force : bool, default=False
        Replace a file that exists.

    Raises
    ------
    UsageError
        The file exists, or its folder does not.
    ModelFileError
        The mixture cannot be written so that it can be read again, for example
        because a parameter is not finite.
    ResourceError
        The disk is full, or the folder cannot be written; nothing was changed.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from mixtura.families import Poisson
    >>> from mixtura.fitting import fit_mixture
    >>> from mixtura.source import as_source
    >>> fitted = fit_mixture(Poisson(1), as_source(np.array([[1.0], [2.0], [6.0]])), 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/counts.mixtura", fitted)
    ...     again = load(f"{folder}/counts.mixtura")
    >>> again.mixture.params.rate
    array([[3.]])
    """
    if isinstance(fitted, Classifier):
        content = classifier_to_bytes(fitted)
        classifier_from_bytes(content, path)
    else:
        content = to_bytes(fitted)
        from_bytes(content, path, fitted.mixture.family)
    with replacing(path, force=force) as file:
        file.write(content)


def load(path: str | Path, family: Family[Any] | None = None) -> Fitted:
    """Read a model file; numbers and plain JSON, never code.

    Parameters
    ----------
    path : str or Path
        A file written by `save`.
    family : Family, optional
        Needed for a family of one's own: files hold no code.

    Returns
    -------
    Fitted
        Its mixture scores rows with the same bits as the one that was saved.

    Raises
    ------
    ModelFileError
        No such file, damaged, of another kind, of a newer schema, or with
        values that are no mixture.
    """
    fitted = load_any(path, family)
    if isinstance(fitted, Classifier):
        raise ModelFileError.is_classifier(path)
    return fitted


def load_any(path: str | Path, family: Family[Any] | None = None) -> Fitted | Classifier:
    """Read a model file of either kind: a mixture, or a classifier.

    Raises
    ------
    ModelFileError
        As `load`.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise ModelFileError.damaged(path, "it is not a regular file")
        content = Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ModelFileError.not_found(path) from None
    except OSError as error:
        raise ModelFileError.damaged(path, error.strerror or str(error)) from None

    def problem(text: str) -> ModelFileError:
        return ModelFileError.damaged(path, text)

    if "kind" in raw_document(content, path, problem):
        return classifier_from_bytes(content, path)
    return from_bytes(content, path, family)
