"""Settings of families from outside, strictly checked: they come from files."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

#: Powers of two by which columns are scaled lie within the range of float64, and columns
#: have at most so many categories.
LARGEST_INTEGER = 1 << 24


def fits(family: type[Any], config: Any, pattern: dict[str, Any], n_features: int) -> bool:
    """Whether settings have the names and types of a family's own.

    Parameters
    ----------
    family : type
        A dataclass; the annotations of its fields say what lists hold.
    config : object
        What was read.
    pattern : dict
        Settings that the family itself wrote.
    n_features : int
        Length of lists that are not empty.
    """
    if not isinstance(config, dict) or set(config) != set(pattern):
        return False
    kinds = {field.name: str(field.type) for field in fields(family)}
    return all(
        _fits_list(kinds[name], config[name], n_features)
        if isinstance(own, list)
        else type(config[name]) is type(own)
        for name, own in pattern.items()
    )


def _fits_list(kind: str, value: Any, n_features: int) -> bool:
    """One number per column, or none: whole and bounded where the family has whole numbers."""
    if not isinstance(value, list) or len(value) not in (0, n_features):
        return False
    if "int" in kind:
        return all(type(one) is int and abs(one) <= LARGEST_INTEGER for one in value)
    return all(type(one) in (int, float) for one in value)
