"""What people say of families: a word, a family, or which columns follow which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mixtura.errors import UsageError
from mixtura.families.base import Family
from mixtura.families.part import Part
from mixtura.families.product import Product

#: Name or position of a column.
Column = str | int

#: "gamma"; Gaussian(2); {"income": "lognormal", ("x", "y"): "gaussian"}.
FamilySpec = str | Family[Any] | Mapping[Any, str | Family[Any]]


def spec_columns(spec: FamilySpec) -> list[Column] | None:
    """Columns that a mapping names, in its order; None where all columns are meant.

    Examples
    --------
    >>> spec_columns({"income": "lognormal", ("x", "y"): "gaussian"})
    ['income', 'x', 'y']
    """
    if not isinstance(spec, Mapping):
        return None
    if not spec:
        raise UsageError.argument("family", spec, "at least one column and its family")
    return [column for key in spec for column in _columns(key)]


def spec_categories(spec: FamilySpec) -> frozenset[int] | None:
    """Positions among the features that hold codes of categories; None: all of them.

    Examples
    --------
    >>> sorted(spec_categories({"income": "lognormal", "city": "categorical"}))
    [1]
    """
    if isinstance(spec, Family):
        return frozenset(np.flatnonzero(spec.categories).tolist())
    if isinstance(spec, str):
        return None if _kind(spec).support.is_category else frozenset()
    positions, at = set(), 0
    for key, family in spec.items():
        size = len(_columns(key))
        own = spec_categories(family)
        positions |= {at + j for j in (range(size) if own is None else own)}
        at += size
    return frozenset(positions)


def make_family(spec: FamilySpec, n_features: int, **options: Any) -> Family[Any]:
    """Make the family that a person asked for.

    Parameters
    ----------
    spec : str, Family or mapping
        A word, a family, or a mapping of columns to words and families; the columns of a
        mapping are the features, in its order.
    n_features : int
        Number of features.
    **options
        Settings for those families that have them, such as ``covariance``.

    Raises
    ------
    UsageError
        A word is not known, an option fits no family, or numbers of columns differ.

    Examples
    --------
    >>> make_family({"n": "poisson", ("x", "y"): "gaussian"}, 3).describe()
    'product of poisson, gaussian'
    """
    if isinstance(spec, Mapping):
        return _product(spec, n_features, options)
    if isinstance(spec, Family):
        if options:
            raise UsageError.argument("family", spec, f"a word, to go with {', '.join(options)}")
        return spec
    kind = _kind(spec)
    family = kind(n_features)
    for name in options:
        if name not in family.config():
            raise UsageError.argument(name, options[name], f"left out: '{spec}' has none")
    return replace(family, **options)


def parse_family(text: str) -> FamilySpec:
    """Read a family as command lines have it: a word, or ``column+column:word,column:word``.

    Raises
    ------
    UsageError
        A piece has no columns or no word, or a column comes twice.

    Examples
    --------
    >>> parse_family("income:lognormal,x+y:gaussian")
    {'income': 'lognormal', ('x', 'y'): 'gaussian'}
    """
    if ":" not in text:
        return text
    result: dict[Any, str] = {}
    for piece in text.split(","):
        columns, _, word = piece.rpartition(":")
        names = [name.strip() for name in columns.split("+")]
        if not all(names) or not word.strip():
            raise UsageError.argument("family", piece, "COLUMN:WORD, or COLUMN+COLUMN:WORD")
        result[names[0] if len(names) == 1 else tuple(names)] = word.strip()
    named = [name for key in result for name in _columns(key)]
    if len(set(named)) < len(named) or len(result) < text.count(",") + 1:
        raise UsageError.argument("family", text, "every column once")
    return result


def _product(
    spec: Mapping[Any, str | Family[Any]], n_features: int, options: dict[str, Any]
) -> Family[Any]:
    parts, at, used = [], 0, set()
    for key, one in spec.items():
        size = len(_columns(key))
        own = {}
        if isinstance(one, str):
            config = _kind(one)(size).config()
            own = {name: value for name, value in options.items() if name in config}
        used |= set(own)
        parts.append(Part(tuple(range(at, at + size)), make_family(one, size, **own)))
        at += size
    unused = set(options) - used
    if unused:
        name = min(unused)
        raise UsageError.argument(name, options[name], "left out: no family here has it")
    if at != n_features:
        raise UsageError.argument("family", f"{at} columns", f"{n_features} columns, as the data")
    return parts[0].family if len(parts) == 1 else Product(tuple(parts))


def _kind(word: str) -> type[Family[Any]]:
    from mixtura.families import FAMILIES

    if word not in FAMILIES:
        raise UsageError.argument("family", word, f"one of {', '.join(FAMILIES)}")
    return FAMILIES[word]


def _columns(key: Any) -> Sequence[Column]:
    """Columns of one key of a mapping: one, or a tuple of several."""
    return key if isinstance(key, tuple) else (key,)
