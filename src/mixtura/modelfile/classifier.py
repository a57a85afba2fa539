"""Contents of the file of a classifier: the densities of its classes, as in files of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import mixtura
from mixtura.classify import Classifier
from mixtura.errors import MixturaError, ModelFileError
from mixtura.families import Composite, CompositeParams
from mixtura.fitting import Fitted
from mixtura.mixture import Mixture
from mixtura.modelfile.content import (
    SCHEMA,
    assemble,
    check_fields,
    compare_checksum,
    contents,
    raw_document,
    read_tensors,
    sealed,
)
from mixtura.modelfile.strict import CLASSIFIER_FIELDS, PART_FIELDS, Problem
from mixtura.stats import Array
from mixtura.weighting import FREE, ClassShares

_WEIGHTS = "weights"


def classifier_to_bytes(found: Classifier) -> bytes:
    """Contents of the file; the same bytes for the same classifier.

    Where classes have families of their own, each is written as a density of its own, with
    the facts about the whole fit.
    """
    weighting = found.mixture.weighting
    documents, tensors = [], {_WEIGHTS: found.mixture.weights}
    for i, part in enumerate(_parts(found)):
        document, arrays = contents(part)
        documents.append(document)
        tensors |= {f"{i}.{name}": array for name, array in arrays.items()}
    document = {
        "schema": SCHEMA,
        "mixtura": mixtura.__version__,
        "kind": "classifier",
        "classes": list(found.classes),
        "sizes": list(found.sizes),
        "n_known": list(found.n_known),
        "shares": list(weighting.shares) if isinstance(weighting, ClassShares) else None,
        "log_joint_likelihood": float(found.log_joint_likelihood),
        "criterion": found.criterion,
        "scores": [None if np.isnan(score) else float(score) for score in found.scores],
        "reject": found.reject,
        "outlier_density": found.outlier_density,
        "parts": documents,
    }
    return sealed(document, tensors)


def classifier_from_bytes(content: bytes, path: str | Path) -> Classifier:
    """Check the contents of a file and make the classifier.

    Raises
    ------
    ModelFileError
        As `load`.
    """

    def problem(text: str) -> ModelFileError:
        return ModelFileError.damaged(path, text)

    document = check_fields(raw_document(content, path, problem), CLASSIFIER_FIELDS, problem)
    compare_checksum(content, document["checksum"], problem)
    tensors = read_tensors(content, problem)
    parts = []
    for i, own in enumerate(document["parts"]):
        lead = f"{i}."
        arrays = {
            name.removeprefix(lead): tensors.pop(name)
            for name in list(tensors)
            if name.startswith(lead)
        }
        parts.append(assemble(check_fields(own, PART_FIELDS, problem), arrays, path, problem))
    n_classes, n_components = len(document["classes"]), sum(document["sizes"])
    lengths = {len(document["sizes"]), len(document["n_known"]), n_classes}
    lengths |= {len(document["shares"] or document["sizes"])}
    shapes = [array.shape for array in tensors.values()]
    if len(lengths) > 1 or list(tensors) != [_WEIGHTS] or shapes != [(n_components,)]:
        raise problem("its classes, sizes and weights do not fit together")
    fitted = _joined(parts, document, tensors[_WEIGHTS], problem)
    return Classifier(
        fitted,
        tuple(document["classes"]),
        tuple(document["sizes"]),
        tuple(map(float, document["n_known"])),
        document["log_joint_likelihood"],
        document["criterion"],
        tuple(np.nan if score is None else float(score) for score in document["scores"]),
        document["reject"],
        document["outlier_density"],
    )


def _parts(found: Classifier) -> list[Fitted]:
    """The densities that make up a classifier, each as a fit: one, or one for each class."""
    fitted, mixture = found.fitted, found.mixture
    family = mixture.family
    if not isinstance(family, Composite):
        return [replace(fitted, mixture=replace(mixture, weighting=FREE))]
    parts = []
    ends = np.cumsum(found.sizes).tolist()
    for part, params, end, size in zip(
        family.parts, mixture.params.parts, ends, found.sizes, strict=True
    ):
        own = slice(end - size, end)
        weights = mixture.weights[own] / mixture.weights[own].sum()
        parts.append(
            replace(fitted, mixture=Mixture(part, weights, params), sizes=fitted.sizes[own])
        )
    return parts


def _joined(
    parts: list[Fitted], document: dict[str, Any], weights: Array, problem: Problem
) -> Fitted:
    """The fit of all classes together."""
    sizes, shares = document["sizes"], document["shares"]
    first = parts[0]
    try:
        family, params = first.mixture.family, first.mixture.params
        if len(parts) > 1:
            own_sizes = tuple(part.mixture.n_components for part in parts)
            own = tuple(part.mixture.family for part in parts)
            family = Composite(family.n_features, own, own_sizes)
            params = CompositeParams(tuple(part.mixture.params for part in parts))
            if list(own_sizes) != sizes:
                raise problem("its parts do not have the components of its classes")
        elif first.mixture.n_components != sum(sizes):
            raise problem("its part does not have the components of its classes")
        weighting = FREE if shares is None else ClassShares(tuple(sizes), tuple(shares))
        mixture = Mixture(family, weights, params, weighting)
    except MixturaError as error:
        if isinstance(error, ModelFileError):
            raise
        raise problem(f"its classes do not fit together: {error}") from None
    if any(part.columns != first.columns for part in parts):
        raise problem("its parts have different columns")
    return replace(
        first, mixture=mixture, sizes=tuple(size for part in parts for size in part.sizes)
    )
