"""The facts of a fit as plain JSON values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mixtura.families import Gaussian, Prior
from mixtura.families.gaussian.shown import deviations
from mixtura.fitting import Fitted
from mixtura.stats import Array

#: Name and version of the document.
SCHEMA = "mixtura.fit/1"

Document = dict[str, Any]


def document(fitted: Fitted) -> Document:
    """Everything about a fit as plain JSON values; numbers that are not finite become None.

    Parameters
    ----------
    fitted : Fitted
        A fit, or what `mixtura.modelfile.load` returns.

    Returns
    -------
    dict
        Means are K lists of d numbers in units of the data, covariances have the
        layout of the shape (full: K matrices, tied: one matrix, diag: K lists,
        spherical: K numbers), log-likelihoods are in nats, and of the criteria
        smaller is better. Families other than the Gaussian have ``params``, and
        ``tables`` with the names of these numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Poisson
    >>> from mixtura.fitting import fit_mixture
    >>> from mixtura.source import as_source
    >>> facts = document(fit_mixture(Poisson(1), as_source(np.array([[1.0], [3.0]])), 1))
    >>> facts["family"], facts["params"], facts["n_free"]
    ('poisson', {'rate': [[2.0]]}, 1)
    """
    mixture, family = fitted.mixture, fitted.mixture.family
    facts = {
        "schema": SCHEMA,
        "family": family.name,
        "description": family.describe(),
        **_parameters(fitted),
        "n_rows": fitted.n_rows,
        "n_features": mixture.n_features,
        "columns": list(fitted.columns),
        "levels": fitted.levels,
        "n_components": mixture.n_components,
        "weights": mixture.weights,
        "weighting": mixture.weighting.config(),
        "prior": family.prior.config() if isinstance(family.prior, Prior) else None,
        "prior_text": family.prior.describe() if isinstance(family.prior, Prior) else None,
        "sum_of_weights": fitted.mass,
        "effective_rows": mixture.weights * fitted.mass,
        "sizes": fitted.sizes,
        "log_likelihood": fitted.log_likelihood,
        "n_free": mixture.n_free,
        "bic": fitted.bic,
        "aic": fitted.aic,
        "icl": fitted.icl,
        "outcome": fitted.outcome.name.lower(),
        "outcome_text": fitted.outcome.value,
        "converged": fitted.outcome.converged,
        "n_iter": fitted.n_iter,
        "seconds": fitted.seconds,
        "trace": {
            "log_likelihood": _log_likelihoods(fitted),
            "objective": fitted.trace.objective,
        },
        "warnings": fitted.warnings,
    }
    return {name: plain(value) for name, value in facts.items()}


def plain(value: Any) -> Any:
    """Turn arrays into lists and what is not finite into None, as JSON needs it.

    Examples
    --------
    >>> plain({"a": np.array([1.0, np.nan]), "b": (1, "x")})
    {'a': [1.0, None], 'b': [1, 'x']}
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _log_likelihoods(fitted: Fitted) -> Array:
    """Log-likelihood of every iteration: the objective, unless it holds a log prior."""
    trace = fitted.trace
    if fitted.mixture.family.prior is None and fitted.mixture.weighting.is_plain:
        return trace.objective
    return trace.expected_complete + trace.entropy


def _parameters(fitted: Fitted) -> Document:
    """Shape, means, and what else the components have, in units of the data."""
    family, params = fitted.mixture.family, fitted.mixture.params
    errors = None
    if fitted.mixture.n_components == 1:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # beyond float64: None
            errors = family.standard_errors(params, np.array([fitted.mass]))
    if isinstance(family, Gaussian):
        shared = family.shape.is_shared
        with np.errstate(over="ignore"):
            covariances = family.covariances(params)
        return {
            "covariance": family.covariance,
            "covariance_name": family.shape.name,
            "means": family.mean(params),
            "covariances": covariances[0] if shared else covariances,
            "standard_deviations": deviations(family, params),
            "params": None,
            "tables": None,
            "standard_errors": errors
            and {"means": errors[0], "covariances": errors[1][0] if shared else errors[1]},
        }
    arrays = family.to_arrays(params)
    return {
        "covariance": None,
        "covariance_name": None,
        "means": family.mean(params),
        "covariances": None,
        "standard_deviations": None,
        "params": arrays,
        "tables": _tables(fitted),
        "standard_errors": errors and dict(zip(arrays, errors, strict=True)),
    }


def _tables(fitted: Fitted) -> list[Document]:
    """What `Family.shown` says, as plain values; one density has standard errors."""
    mixture = fitted.mixture
    weight = np.array([fitted.mass]) if mixture.n_components == 1 else None
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        labels = [fitted.levels.get(name, ()) for name in fitted.columns]
        shown = mixture.family.shown(mixture.params, weight, labels)
    return [{**one._asdict(), "columns": list(one.columns)} for one in shown]
