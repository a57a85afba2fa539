"""mixtura estimates the density that data came from: one density, or a mixture, by EM.

The names below load what they need when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "GaussianMixture": "estimators",
    "GenerativeClassifier": "estimators",
    "MixtureModel": "estimators",
    "Mixture": "mixture",
    "Stats": "stats",
    "Gaussian": "families",
    "GaussianParams": "families",
    "Poisson": "families",
    "PoissonParams": "families",
    "Family": "families",
    "ExponentialFamily": "families",
    "Student": "families",
    "NegativeBinomial": "families",
    "CustomFamily": "families",
    "NormalInverseWishart": "families",
    "GammaPrior": "families",
    "BetaPrior": "families",
    "DirichletPrior": "families",
    "PseudoRows": "families",
    "as_source": "source",
    "scan": "source",
    "DataSource": "source",
    "Local": "executor",
    "Checkpointed": "executor",
    "Dask": "executor",
    "Aitken": "stopping",
    "Gain": "stopping",
    "Outcome": "stopping",
    "em_steps": "em",
    "estimate": "em",
    "fit_em": "em",
    "Care": "degenerate",
    "Fitted": "fitting",
    "fit_mixture": "fitting",
    "cross_validate": "crossval",
    "select": "selection",
    "Selection": "selection",
    "exact_posterior": "posterior",
    "load": "loading",
    "animate": "film",
    "Film": "film",
    "report": "reporting",
    "Report": "reporting",
    "MixturaError": "errors",
    "MixturaWarning": "errors",
    "DataError": "errors",
    "DegenerateComponentError": "errors",
    "ModelFileError": "errors",
}

#: Parts that are used under their own name, as in ``mixtura.plot.density``.
_ROOMS = ("plot",)

__all__ = [*_HOME, *_ROOMS, "__version__"]  # noqa: PLE0604 - the keys are strings

if TYPE_CHECKING:
    from mixtura import plot
    from mixtura.crossval import cross_validate
    from mixtura.degenerate import Care
    from mixtura.em import em_steps, estimate, fit_em
    from mixtura.errors import (
        DataError,
        DegenerateComponentError,
        MixturaError,
        MixturaWarning,
        ModelFileError,
    )
    from mixtura.estimators import GaussianMixture, GenerativeClassifier, MixtureModel
    from mixtura.executor import Checkpointed, Dask, Local
    from mixtura.families import (
        BetaPrior,
        CustomFamily,
        DirichletPrior,
        ExponentialFamily,
        Family,
        GammaPrior,
        Gaussian,
        GaussianParams,
        NegativeBinomial,
        NormalInverseWishart,
        Poisson,
        PoissonParams,
        PseudoRows,
        Student,
    )
    from mixtura.film import Film, animate
    from mixtura.fitting import Fitted, fit_mixture
    from mixtura.loading import load
    from mixtura.mixture import Mixture
    from mixtura.posterior import exact_posterior
    from mixtura.reporting import Report, report
    from mixtura.selection import Selection, select
    from mixtura.source import DataSource, as_source, scan
    from mixtura.stats import Stats
    from mixtura.stopping import Aitken, Gain, Outcome


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that the command line starts at once."""
    if name in _ROOMS:
        return import_module(f"mixtura.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'mixtura' has no attribute {name!r}")
    value = getattr(import_module(f"mixtura.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted(__all__)
