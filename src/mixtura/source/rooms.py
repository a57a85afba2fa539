"""Memory of blocks, used again: fresh pages cost the system more time than copying rows."""

from __future__ import annotations

from typing import Any, ClassVar
from weakref import WeakValueDictionary, ref

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Rooms:
    """Arrays of one shape, each given out again when nobody looks at it any more.

    Readers that are at work at the same time share them; with the last reader and the last
    array they are gone.

    Examples
    --------
    >>> rooms = Rooms.of((2, 3))
    >>> one = rooms.take()
    >>> place, row = one.ctypes.data, one[1]
    >>> del one
    >>> other = rooms.take()  # `row` is looked at still
    >>> del row
    >>> other.ctypes.data == place, rooms.take().ctypes.data == place
    (False, True)
    """

    _all: ClassVar[WeakValueDictionary[tuple[int, int], Rooms]] = WeakValueDictionary()

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._lent: dict[ref[_Lent], Array] = {}
        self._free: list[ref[_Lent]] = []  # of those whose arrays nobody looks at any more

    @classmethod
    def of(cls, shape: tuple[int, int]) -> Rooms:
        """Rooms of a shape that are in use, or new ones."""
        found = cls._all.get(shape)
        if found is None:
            found = cls._all[shape] = cls(shape)
        return found

    def take(self) -> Array:
        """An array of the shape, with any numbers in it."""
        try:
            array = self._lent.pop(self._free.pop())
        except IndexError:
            array = np.empty(self.shape)
        lent = _Lent(array, self)
        # no Python code runs when it goes: a Ctrl-C in such code is lost
        self._lent[ref(lent, self._free.append)] = array
        return np.asarray(lent)


class _Lent:
    """What an array and all its views refer to; it goes with the last of them."""

    def __init__(self, array: Array, rooms: Rooms) -> None:
        self.__array_interface__: dict[str, Any] = array.__array_interface__
        self._array, self._rooms = array, rooms
