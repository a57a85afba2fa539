"""What is tried: the words of a person as families and numbers of components."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtura.errors import UsageError
from mixtura.families import FAMILIES, Family, find_family
from mixtura.families.gaussian.shapes import SHAPES

#: The word for all covariance shapes.
EVERY_SHAPE = "all"


@dataclass(frozen=True)
class Model:
    """A family by the words that a person used for it.

    Attributes
    ----------
    family : Family
        The density of one component.
    name : str
        Its word.
    covariance : str or None
        Its shape, where the family has shapes.
    """

    family: Family[Any]
    name: str
    covariance: str | None = None

    def __str__(self) -> str:
        return self.name if self.covariance is None else self.covariance


def models(
    n_features: int,
    family: str | Family[Any] | Iterable[str | Family[Any]],
    covariance: str | Iterable[str],
    **options: Any,
) -> list[Model]:
    """Families that are asked for; those with covariance shapes once for each shape.

    Raises
    ------
    UsageError
        A word is not known, or nothing is asked for.

    Examples
    --------
    >>> [str(model) for model in models(2, ["gaussian", "poisson"], ["full", "EII"])]
    ['full', 'EII', 'poisson']
    """
    named = [family] if isinstance(family, str | Family) else list(family)
    shapes = [covariance] if isinstance(covariance, str) else list(covariance)
    if EVERY_SHAPE in shapes:
        shapes = list(SHAPES) if n_features > 1 else ["E", "V"]
    if not named or not shapes:
        raise UsageError.argument("family" if not named else "covariance", [], "at least one")
    found: list[Model] = []
    for one in named:
        if isinstance(one, Family):
            found.append(Model(one, one.name, one.config().get("covariance")))
        elif one in FAMILIES and "covariance" in FAMILIES[one].__dataclass_fields__:
            found += [
                Model(find_family(one, n_features, covariance=shape, **options), one, shape)
                for shape in shapes
            ]
        else:
            found.append(Model(find_family(one, n_features, **options), one))
    for model in found:
        if model.covariance is not None:
            model.family.shape  # type: ignore[attr-defined]  # noqa: B018 - refuses unknown words
    return list(
        {(model.name, model.covariance, repr(model.family)): model for model in found}.values()
    )


def sizes_of(n_components: int | Iterable[int]) -> list[int]:
    """Numbers of components, ascending, each once.

    Raises
    ------
    UsageError
        There are none, or one is not a whole number of at least 1.

    Examples
    --------
    >>> sizes_of(range(1, 4)), sizes_of([5, 2, 2])
    ([1, 2, 3], [2, 5])
    """
    single = isinstance(n_components, int | np.integer)
    given: list[Any] = [n_components] if single else list(n_components)  # type: ignore[arg-type]
    if not given or not all(isinstance(k, int | np.integer) and k >= 1 for k in given):
        raise UsageError.argument("n_components", given, "whole numbers >= 1")
    return sorted({int(k) for k in given})
