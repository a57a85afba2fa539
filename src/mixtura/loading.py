"""Read a model file back into an estimator."""

from __future__ import annotations

from pathlib import Path

from mixtura import modelfile
from mixtura.estimators import MixtureModel


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
    return MixtureModel.from_fitted(modelfile.load(path))
