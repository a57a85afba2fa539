"""Make an estimator of a fit that was made before: of a model file, or of a `Fitted`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from mixtura import modelfile
from mixtura.classify import Classifier
from mixtura.estimators import GaussianMixture, GenerativeClassifier, MixtureModel
from mixtura.families import FAMILIES, Composite, Family, Gaussian
from mixtura.fitting import Fitted
from mixtura.weighting import ClassShares


def load(
    path: str | Path, family: Family[Any] | None = None
) -> MixtureModel | GenerativeClassifier:
    """Load a model that was saved with ``save`` or ``mixtura fit -o``.

    Loading reads numbers and plain JSON; it never runs code.

    Parameters
    ----------
    path : str or Path
        The model file.
    family : Family, optional
        Needed where the model is of a family of one's own, such as `CustomFamily`.

    Returns
    -------
    MixtureModel or GenerativeClassifier
        A fitted `GaussianMixture` for Gaussian families.

    Raises
    ------
    ModelFileError
        The file is damaged, of another kind, or of a newer schema.

    Examples
    --------
    >>> import numpy as np, tempfile, os
    >>> from mixtura import GaussianMixture, load
    >>> model = GaussianMixture().fit(np.random.default_rng(0).normal(size=(50, 1)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(os.path.join(folder, "one.mixtura"))
    ...     again = load(os.path.join(folder, "one.mixtura"))
    >>> bool((again.means_ == model.means_).all())
    True
    """
    found = modelfile.load_any(path, family)
    return from_classifier(found) if isinstance(found, Classifier) else from_fitted(found)


def from_fitted(fitted: Fitted) -> MixtureModel:
    """Make a fitted estimator from a fitted mixture.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import as_source, fit_mixture
    >>> from mixtura.families import FAMILIES, Poisson
    >>> fitted = fit_mixture(Poisson(1), as_source([[1], [3]]), 1)
    >>> from_fitted(fitted).means_
    array([[2.]])
    """
    family, n_components = fitted.mixture.family, fitted.mixture.n_components
    if isinstance(family, Gaussian):
        model: MixtureModel = GaussianMixture(
            n_components, covariance_type=family.covariance, reg_covar=family.ridge or None
        )
    else:
        word = family.name if family.name in FAMILIES else family
        model = MixtureModel(word, n_components - family.n_fixed)
    model.n_features_in_ = family.n_features
    if not all(re.fullmatch(r"x\d+", name) for name in fitted.columns):
        model.feature_names_in_ = np.array(fitted.columns, dtype=object)
    model._set_fitted(fitted)
    return model


def from_classifier(found: Classifier) -> GenerativeClassifier:
    """Make a fitted estimator from a fitted classifier.

    Examples
    --------
    >>> from mixtura import GenerativeClassifier
    >>> model = GenerativeClassifier("poisson").fit([[1], [3], [8]], ["few", "few", "many"])
    >>> from_classifier(model.classifier_).predict([[9]]).tolist()
    ['many']
    """
    sizes = dict(zip(found.classes, found.sizes, strict=True))
    families = found.mixture.family
    parts = families.parts if isinstance(families, Composite) else (families,) * len(sizes)
    same = all(part == parts[0] for part in parts)
    model = GenerativeClassifier(
        parts[0] if same else dict(zip(found.classes, parts, strict=True)),
        found.sizes[0] if len(set(found.sizes)) == 1 else sizes,
        coupled=not isinstance(families, Composite),
        priors=_priors(found),
        reject=found.reject,
    )
    classes = np.array(found.classes, dtype=object if isinstance(found.classes[0], str) else None)
    model.n_features_in_ = found.mixture.n_features
    if found.fitted.columns != tuple(f"x{j}" for j in range(model.n_features_in_)):
        model.feature_names_in_ = np.array(found.fitted.columns, dtype=object)
    model._set_fitted(found, classes)
    return model


def _priors(found: Classifier) -> str | list[float]:
    weighting = found.mixture.weighting
    return list(weighting.shares) if isinstance(weighting, ClassShares) else "estimated"
