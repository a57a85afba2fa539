"""JSON from outside, strictly read: bounded, without surprises, of the expected structure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from mixtura.errors import ModelFileError
from mixtura.stopping import Outcome

#: Whole numbers beyond this are not exact in JSON readers that use float64.
LARGEST_INTEGER = 2**53

Problem = Callable[[str], ModelFileError]


def strict_json(text: str | bytes, what: str, problem: Problem) -> Any:
    """Parse JSON without repeated keys, NaN, huge integers, or endless nesting."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            raise ValueError("a key occurs twice")
        return result

    def refuse(token: str) -> Any:
        raise ValueError(f"{token} is no JSON number")

    def number(token: str) -> float:
        value = float(token)
        return value if math.isfinite(value) else refuse(token)

    def whole(token: str) -> int:
        if len(token) > 17 or abs(int(token)) > LARGEST_INTEGER:
            raise ValueError("a whole number is too large")
        return int(token)

    try:
        if isinstance(text, bytes):
            text = text.decode()
        return json.loads(
            text,
            object_pairs_hook=unique,
            parse_constant=refuse,
            parse_float=number,
            parse_int=whole,
        )
    except (ValueError, RecursionError) as error:
        raise problem(f"{what} is not plain JSON ({error})") from None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_names(value: Any) -> bool:
    return _is_texts(value) and len(value) > 0 and len(set(value)) == len(value)


def is_levels(value: Any) -> bool:
    """Labels of columns, by name: texts that differ."""
    return isinstance(value, dict) and all(_is_names(labels) for labels in value.values())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_checksum(value: Any) -> bool:
    return _is_text(value) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _is_weighting(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_number(one) for one in value)
    return _is_number(value) or value in ("free", "equal")


#: What fields mean in files that were written before there were such fields.
OLD_DEFAULTS: dict[str, Any] = {"prior": None, "weighting": "free", "levels": {}}

#: What each field of a document must be.
Fields = dict[str, Callable[[Any], bool]]

FIELDS: Fields = {
    "schema": _is_count,
    "mixtura": _is_text,
    "family": _is_text,
    "levels": is_levels,
    "config": lambda value: isinstance(value, dict),
    "prior": lambda value: value is None or isinstance(value, dict),
    "weighting": _is_weighting,
    "columns": _is_names,
    "outcome": lambda value: _is_text(value) and value in Outcome.__members__,
    "n_rows": _is_count,
    "mass": _is_positive,
    "log_likelihood": _is_number,
    "log_certainty": _is_number,
    "events": _is_texts,
    "warnings": _is_texts,
    "seconds": _is_number,
    "checksum": _is_checksum,
}


def _is_share(value: Any) -> bool:
    return value is None or (_is_number(value) and 0 <= value <= 1)


def _are_classes(value: Any) -> bool:
    """Names or numbers of classes: of one type, and different."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and {type(one) for one in value} in ({str}, {int}, {float}, {bool})
        and len(set(value)) == len(value)
    )


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(_is_count, value))


def _are_positive(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(_is_positive, value))


#: Fields of one density, or of those of one class, inside the document of a classifier.
PART_FIELDS: Fields = {name: accepts for name, accepts in FIELDS.items() if name != "checksum"}

CLASSIFIER_FIELDS: Fields = {
    "schema": _is_count,
    "mixtura": _is_text,
    "kind": lambda value: value == "classifier",
    "classes": _are_classes,
    "sizes": _are_counts,
    "n_known": _are_positive,
    "shares": lambda value: value is None or _are_positive(value),
    "log_joint_likelihood": _is_number,
    "criterion": lambda value: value in (None, "bic", "cv"),
    "scores": lambda value: (
        isinstance(value, list) and all(one is None or _is_number(one) for one in value)
    ),
    "reject": _is_share,
    "outlier_density": lambda value: value is None or _is_number(value),
    "parts": lambda value: (
        isinstance(value, list) and len(value) > 0 and all(isinstance(one, dict) for one in value)
    ),
    "checksum": _is_checksum,
}
