"""Families of densities: the contract, the registered families, and the way to find one by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mixtura.errors import UsageError
from mixtura.families.base import Family, Profile, Support
from mixtura.families.bernoulli import Bernoulli, BernoulliParams
from mixtura.families.beta import Beta, BetaParams
from mixtura.families.categorical import Categorical, CategoricalParams
from mixtura.families.composite import Composite, CompositeParams
from mixtura.families.custom import CustomFamily, CustomParams
from mixtura.families.exponential import Exponential, ExponentialParams
from mixtura.families.gamma import Gamma, GammaParams
from mixtura.families.gaussian import Gaussian, GaussianParams
from mixtura.families.lognormal import LogNormal, LogNormalParams
from mixtura.families.multinomial import Multinomial, MultinomialParams
from mixtura.families.natural import ExponentialFamily
from mixtura.families.negative_binomial import NegativeBinomial, NegativeBinomialParams
from mixtura.families.noise import WithNoise
from mixtura.families.part import Part
from mixtura.families.poisson import Poisson, PoissonParams
from mixtura.families.priors import (
    BetaPrior,
    DirichletPrior,
    GammaPrior,
    NormalInverseWishart,
    Prior,
    PseudoRows,
    find_prior,
)
from mixtura.families.product import Product
from mixtura.families.student import Student, StudentParams
from mixtura.families.vonmises import VonMisesFisher, VonMisesFisherParams

#: Every family that files and the command line may name. Closed: a model file
#: cannot name anything else.
FAMILIES: dict[str, type[Family[Any]]] = {
    family.name: family
    for family in (
        Gaussian,
        Student,
        LogNormal,
        Gamma,
        Exponential,
        Beta,
        Poisson,
        NegativeBinomial,
        Bernoulli,
        Categorical,
        Multinomial,
        VonMisesFisher,
    )
}


#: Families that are made of others; files may name them too.
COMPOSED: dict[str, type[Family[Any]]] = {family.name: family for family in (Product, WithNoise)}


def find_family(name: str, n_features: int, **options: Any) -> Family[Any]:
    """Make a registered family by its name.

    Parameters
    ----------
    name : str
        One of `FAMILIES`.
    n_features : int
        Number of columns.
    **options
        Further arguments of the family, such as ``covariance`` of the Gaussian.

    Raises
    ------
    UsageError
        The name is not registered; the message lists those that are.

    Examples
    --------
    >>> find_family("poisson", 2)
    Poisson(n_features=2)
    """
    if name not in FAMILIES:
        raise UsageError.argument("family", name, f"one of {', '.join(FAMILIES)}")
    return FAMILIES[name](n_features, **options)


def restore_family(document: Any, n_features: int) -> Family[Any] | None:
    """Make a family from the plain values of `Family.document`, which come from outside.

    Parameters
    ----------
    document : dict
        Its name, settings and prior.
    n_features : int
        Number of columns that it must have.

    Returns
    -------
    Family or None
        None where names or types are not those of a family.

    Raises
    ------
    UsageError
        Values of the right types have no meaning.
    """
    if not isinstance(document, dict) or set(document) != {"family", "config", "prior"}:
        return None
    known = FAMILIES | COMPOSED
    if not isinstance(document["family"], str) or document["family"] not in known:
        return None
    family = known[document["family"]].from_config(document["config"], n_features)
    if family is not None and document["prior"] is not None:
        family = replace(family, prior=find_prior(document["prior"]))
    if family is not None:
        family.check_prior()
    return family


__all__ = [
    "COMPOSED",
    "FAMILIES",
    "Bernoulli",
    "BernoulliParams",
    "Beta",
    "BetaParams",
    "BetaPrior",
    "Categorical",
    "CategoricalParams",
    "Composite",
    "CompositeParams",
    "CustomFamily",
    "CustomParams",
    "DirichletPrior",
    "Exponential",
    "ExponentialFamily",
    "ExponentialParams",
    "Family",
    "Gamma",
    "GammaParams",
    "GammaPrior",
    "Gaussian",
    "GaussianParams",
    "LogNormal",
    "LogNormalParams",
    "Multinomial",
    "MultinomialParams",
    "NegativeBinomial",
    "NegativeBinomialParams",
    "NormalInverseWishart",
    "Part",
    "Poisson",
    "PoissonParams",
    "Prior",
    "Product",
    "Profile",
    "PseudoRows",
    "Student",
    "StudentParams",
    "Support",
    "VonMisesFisher",
    "VonMisesFisherParams",
    "WithNoise",
    "find_family",
    "restore_family",
]
