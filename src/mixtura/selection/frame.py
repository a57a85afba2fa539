"""A table as a frame of whatever library is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def frame(columns: Mapping[str, list[Any]]) -> Any:
    """Columns as a frame: of pandas if installed, else polars, else pyarrow, else a dict of lists.

    Examples
    --------
    >>> [int(value) for value in frame({"a": [1, 2]})["a"]]
    [1, 2]
    """
    named = {name: list(values) for name, values in columns.items()}
    for package, maker in (("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "table")):
        if find_spec(package) is not None:
            return getattr(import_module(package), maker)(named)
    return named
