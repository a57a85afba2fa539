"""Parameters whose names are known only when a family is made of others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mixtura.stats import Array


class NamedArrays(tuple[Array, ...]):
    """A tuple of arrays with names: what a NamedTuple is, without a class of its own.

    Examples
    --------
    >>> import numpy as np
    >>> pair = NamedArrays(("a", "b"), [np.zeros(1), np.ones(1)])
    >>> pair.b, pair._fields
    (array([1.]), ('a', 'b'))
    """

    _fields: tuple[str, ...]

    def __new__(cls, names: Sequence[str], arrays: Iterable[Array]) -> NamedArrays:
        """Name the arrays, in order."""
        self = super().__new__(cls, arrays)
        if len(names) != len(self):
            raise ValueError(f"{len(names)} names for {len(self)} arrays")
        self._fields = tuple(names)
        return self

    def __getattr__(self, name: str) -> Array:
        """Give an array by its name."""
        if name.startswith("__") or name == "_fields" or name not in self._fields:
            raise AttributeError(name)
        return self[self._fields.index(name)]

    def __reduce__(self) -> tuple[Any, ...]:
        return NamedArrays, (self._fields, tuple(self))

    def _asdict(self) -> dict[str, Array]:
        return dict(zip(self._fields, self, strict=True))

    def _replace(self, **changed: Array) -> NamedArrays:
        return NamedArrays(self._fields, [changed.get(n, a) for n, a in self._asdict().items()])
