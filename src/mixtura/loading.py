"""Make an estimator of a fit that was made before: of a model file, or of a `Fitted`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mixtura import modelfile
from mixtura.estimators import GaussianMixture, MixtureModel
from mixtura.families import Gaussian
from mixtura.fitting import Fitted


def load(path: str | Path) -> MixtureModel:
    """Load a model that was saved with ``save`` or ``mixtura fit -o``.

    Loading reads numbers and plain JSON; it never runs code.

    Parameters
    ----------
    path : str or Path
        The model file.

    Returns
    -------
    MixtureModel
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
    return from_fitted(modelfile.load(path))


def from_fitted(fitted: Fitted) -> MixtureModel:
    """Make a fitted estimator from a fitted mixture.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import as_source, fit_mixture
    >>> from mixtura.families import Poisson
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
        model = MixtureModel(family.name, n_components)
    model.n_features_in_ = family.n_features
    if fitted.columns != tuple(f"x{j}" for j in range(family.n_features)):
        model.feature_names_in_ = np.array(fitted.columns, dtype=object)
    model._set_fitted(fitted)
    return model
