"""Arrays in memory or mapped from disk, used in place wherever that is possible."""

from __future__ import annotations

import hashlib
import mmap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from mixtura.errors import DataError, DataTypeError, MixturaWarning
from mixtura.source.base import (
    LEAF_ROWS,
    MEMO_BYTES,
    Block,
    DataSource,
    Labels,
    Memo,
    Part,
    Rows,
    Weights,
)
from mixtura.source.categories import encoded_array, wanted_levels
from mixtura.source.columns import Request, checked_labels, checked_weights

AnyArray = npt.NDArray[Any]

_EXACT = 2**53  # greatest range in which float64 holds every integer


class ArraySource(DataSource):
    """Rows of one array. Arrays of float64 and float32 are never copied.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Numbers of any type and strides. Types other than native float64 and
        float32 are converted block by block.
    columns : sequence of str
        Names of the d features.
    w : ndarray of shape (n,), optional
        Row weights.
    labels : ndarray of shape (n,), int32, optional
        Known labels, -1 unknown.
    block_rows : int, optional
        Cut into blocks of this many rows; default: one block, if nothing has to
        be converted.
    whole : frozenset of int
        Features that the table declares as whole numbers.
    kept : ndarray of int, optional
        For rows chosen from a larger table, the index of each in that table.
    n_dropped : int
        Rows of the larger table that were left out.
    levels : mapping, optional
        Labels of columns of categories, by name.
    name : str
        What the rows were read from when known, such as
        ``"standard input"``.

    Examples
    --------
    >>> source = ArraySource(np.eye(3), ["a", "b", "c"])
    >>> source.n_rows, source.n_features, len(list(source.blocks()))
    (3, 3, 1)
    """

    def __init__(
        self,
        X: AnyArray,
        columns: Sequence[str],
        w: Weights | None = None,
        labels: Labels | None = None,
        *,
        block_rows: int | None = None,
        whole: frozenset[int] = frozenset(),
        kept: npt.NDArray[np.int64] | None = None,
        n_dropped: int = 0,
        name: str = "",
        levels: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        super().__init__(columns, [X.shape[0]], block_rows=block_rows, whole=whole, levels=levels)
        self._X, self._w, self._labels = X, w, labels
        self._cut = block_rows is not None or not _is_native(X)
        self._kept, self._n_dropped = kept, n_dropped
        self._name = name
        self._memos: dict[tuple[int, int], Memo] = {}  # by first row and rows of a block

    @property
    def n_dropped(self) -> int:
        """Number of rows left out for missing or infinite values."""
        return self._n_dropped

    @property
    def in_memory(self) -> bool:
        """Whether the numbers are in memory as they are used."""
        return _is_native(self._X) and not isinstance(self._X, np.memmap)

    @property
    def has_labels(self) -> bool:
        """Blocks come with labels."""
        return self._labels is not None

    def identity(self) -> dict[str, Any]:
        """Shape, and a digest of all numbers."""
        known = {"rows": self._X, "weights": self._w, "labels": self._labels}
        digests = {name: digest(a) for name, a in known.items() if a is not None}
        return {**super().identity(), "shape": list(self._X.shape), **digests}

    def stream_parts(self, stream: int, first_row: int) -> Sequence[Part]:
        """One part per block."""
        return self._pieces(self.block_rows if self._cut else max(len(self._X), 1), first_row)

    def parts(self) -> Sequence[Part]:
        """One part per `block_rows` rows, so that they can be shared out."""
        return self._pieces(self.block_rows, 0)

    def _pieces(self, step: int, first_row: int) -> Sequence[Part]:
        n_rows = len(self._X)
        whole = Block(self._X, self._w, 0, self._labels)
        room = MEMO_BYTES // max(1, -(-n_rows // step))
        parts = []
        for start in range(0, n_rows, step):
            memo = self._memos.setdefault((start, step), Memo(room))
            block = replace(whole.rows(start, start + step), memo=memo)
            parts.append(ArrayPart(block, first_row))
        return parts

    def where(self, row: int) -> str:
        """Place of a row in the table that it was chosen from, or in its file."""
        at = row if self._kept is None else int(self._kept[row])
        if self._name:
            return f" ({self._name}, row {at})"
        return "" if self._kept is None else f" (row {at} of the data as given)"

    def dropping(self) -> ArraySource:
        """Leave out the rows with a missing or infinite value."""
        keep = finite_rows(self._X)
        if self._w is not None:
            keep &= ~np.isnan(self._w)
        if keep.all():
            return self
        kept = np.flatnonzero(keep)
        return ArraySource(
            self._X[kept],
            self.columns,
            None if self._w is None else self._w[kept],
            None if self._labels is None else self._labels[kept],
            block_rows=self.block_rows if self._cut else None,
            whole=self.whole,
            levels=self.levels,
            kept=kept if self._kept is None else self._kept[kept],
            n_dropped=self._n_dropped + len(keep) - len(kept),
            name=self._name,
        )


@dataclass(frozen=True, eq=False)
class ArrayPart(Part):
    """Rows of an array; numbers that are not native floats are converted when read."""

    block: Block
    first_row: int

    def blocks(self) -> Iterator[Block]:
        """Give the rows as one block."""
        X: AnyArray = self.block.X
        if not _is_native(X):
            X = np.asarray(X, dtype=np.float64)
        first_row = self.first_row + self.block.first_row
        yield Block(X, self.block.w, first_row, self.block.labels, self.block.memo)

    @property
    def n_blocks(self) -> int:
        """One."""
        return 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the name of a mapped file, not its contents."""
        mapped = _mapped(self.block.X)
        if mapped is None:
            return ArrayPart, (self.block, self.first_row)
        empty = Block(np.empty((0, 0)), self.block.w, self.block.first_row, self.block.labels)
        return _mapped_part, (mapped, empty, self.first_row)


def array_source(
    data: object,
    request: Request,
    weights: npt.ArrayLike | None,
    labels: npt.ArrayLike | None,
    *,
    nan_weights: bool,
    block_rows: int | None,
) -> ArraySource:
    """Make a source of an array or nested lists; columns are called x0, x1, ...

    See `mixtura.source.as_source` for the arguments and errors.
    """
    data, levels = _encoded(data, request)
    X = as_matrix(data)
    names = [f"x{j}" for j in range(X.shape[1])]
    choice = request.choose(names)
    n_rows = X.shape[0]
    if choice.weight is not None:
        weights = X[:, choice.weight]
    if choice.label is not None:
        labels = X[:, choice.label]
    w = None if weights is None else checked_weights(weights, n_rows, nan_allowed=nan_weights)
    known = None if labels is None else checked_labels(labels, n_rows)
    X = _columns_of(X, choice.features)
    if not choice.features:
        raise DataError.empty_array("feature", (n_rows, 0))
    columns = [names[at] for at in choice.features]
    _warn_of_large_integers(X, columns)
    if not _is_native(X) and not isinstance(X, np.memmap):
        X = X.astype(np.float64)
    return ArraySource(X, columns, w, known, block_rows=block_rows, levels=levels)


def _encoded(data: object, request: Request) -> tuple[object, dict[str, tuple[str, ...]]]:
    """Columns of categories in an array of text or objects as codes, and their labels."""
    if request.levels is None or not isinstance(data, np.ndarray | list | tuple):
        return data, {}
    values = _as_array(data)
    if values.ndim != 2 or values.dtype.kind not in "OUT":
        return data, {}
    names = [f"x{j}" for j in range(values.shape[1])]
    wanted = wanted_levels(request.levels, names, request.choose(names).features)
    coded = values.astype(object)
    levels: dict[str, tuple[str, ...]] = {}
    for at, given in wanted.items():
        coded[:, at], labels = encoded_array(values[:, at], names[at], given)
        levels |= {names[at]: labels} if labels is not None else {}
    return coded, levels


def as_matrix(data: object) -> AnyArray:
    """View data as a 2-D array of real numbers, converting only what is not numeric yet.

    Raises
    ------
    DataError
        Not 2-D, no rows, no columns, text, dates or complex numbers.
    DataTypeError
        Sparse, or no array at all.
    """
    if hasattr(data, "toarray") and hasattr(data, "nnz"):
        raise DataTypeError.sparse(type(data).__name__)
    X = _as_array(data)
    if X.dtype.kind == "c":
        raise DataError.complex_numbers()
    if X.dtype.kind == "O" and X.ndim == 0:
        raise DataTypeError.unusable(type(data).__name__)
    if X.ndim != 2:
        raise DataError.one_dimensional(X.ndim)
    if X.shape[0] == 0:
        raise DataError.empty_array("sample", X.shape)
    if X.shape[1] == 0:
        raise DataError.empty_array("feature", X.shape)
    return X if X.dtype.kind in "fiub" else _from_objects(X)


def finite_rows(X: AnyArray) -> npt.NDArray[np.bool_]:
    """Which rows hold finite numbers only, shape (n,), with little memory."""
    keep = np.empty(X.shape[0], dtype=bool)
    step = 16 * LEAF_ROWS
    for start in range(0, X.shape[0], step):
        keep[start : start + step] = np.isfinite(X[start : start + step]).all(axis=1)
    return keep


def digest(array: AnyArray) -> str:
    """Digest of the numbers of an array, whatever their order in memory."""
    found = hashlib.blake2b(digest_size=16)
    found.update(f"{array.dtype.str} {array.shape}".encode())
    for start in range(0, len(array), 16 * LEAF_ROWS):
        found.update(np.ascontiguousarray(array[start : start + 16 * LEAF_ROWS]).data)
    return found.hexdigest()


def _as_array(data: object) -> AnyArray:
    if isinstance(data, np.ma.MaskedArray):
        return np.ma.filled(data.astype(np.float64), np.nan)
    if isinstance(data, np.memmap):
        return data
    try:
        if hasattr(data, "__dlpack__") and not hasattr(data, "__array__"):
            return np.from_dlpack(cast(Any, data))
        return np.asarray(data)
    except ValueError as error:  # lists of unequal length
        raise DataError.ragged(str(error).rstrip(".")) from None


def _is_native(X: AnyArray) -> bool:
    """Whether the compiled kernel takes this array as it is."""
    return X.dtype.kind == "f" and X.dtype.itemsize in (4, 8) and X.dtype.isnative


def _columns_of(X: AnyArray, features: Sequence[int]) -> AnyArray:
    """Columns of an array: a view if they are evenly spaced, else a copy."""
    steps = set(np.diff(features).tolist())
    if len(features) == X.shape[1] and steps <= {1}:
        return X
    if len(features) and len(steps) <= 1 and min(steps, default=1) > 0:
        return X[:, features[0] : features[-1] + 1 : min(steps, default=1)]
    return X[:, list(features)]


def _from_objects(X: AnyArray) -> npt.NDArray[np.float64]:
    """Convert an array of Python objects or text to numbers, or say which columns cannot be."""
    kind = {"U": "text", "S": "text", "T": "text", "M": "date", "m": "duration"}.get(X.dtype.kind)
    if X.dtype.kind == "O":
        try:
            return X.astype(np.float64)
        except TypeError as error:
            raise DataTypeError.not_a_number(str(error)) from None
        except ValueError:
            kind = "text"
    bad = [j for j in range(X.shape[1]) if kind != "text" or not _converts(X[:, j])]
    raise DataError.not_numeric({f"x{j}": kind or str(X.dtype) for j in bad or range(X.shape[1])})


def _converts(column: AnyArray) -> bool:
    try:
        column.astype(np.float64)
    except ValueError:
        return False
    return True


def _warn_of_large_integers(X: AnyArray, columns: Sequence[str]) -> None:
    if X.dtype.kind not in "iu" or X.dtype.itemsize < 8:
        return
    low, high = X.min(axis=0), X.max(axis=0)
    for name, least, greatest in zip(columns, low, high, strict=True):
        if int(least) < -_EXACT or int(greatest) > _EXACT:
            warnings.warn(MixturaWarning.integers_rounded(name), stacklevel=4)


@dataclass(frozen=True)
class _Mapped:
    """How to map an array from its file again."""

    path: str
    start: int  # bytes before its first number
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _mapped(X: AnyArray) -> _Mapped | None:
    """Place in its file of an array that is a view of a mapped one."""
    root: Any = X
    while isinstance(getattr(root, "base", None), np.ndarray):
        root = root.base
    if not (isinstance(X, np.memmap) and isinstance(root.base, mmap.mmap) and X.filename):
        return None
    if min(X.strides) < 0:  # a reversed view: sent as numbers
        return None
    start = root.offset + X.ctypes.data - root.ctypes.data
    return _Mapped(str(X.filename), start, X.dtype, X.shape, X.strides)


def _mapped_part(mapped: _Mapped, rest: Block, first_row: int) -> ArrayPart:
    n_bytes = mapped.dtype.itemsize + sum(
        (size - 1) * stride for size, stride in zip(mapped.shape, mapped.strides, strict=True)
    )
    raw = np.memmap(mapped.path, dtype=np.uint8, mode="r", offset=mapped.start, shape=(n_bytes,))
    X: Rows = np.ndarray(mapped.shape, mapped.dtype, buffer=raw.data, strides=mapped.strides)
    return ArrayPart(Block(X, rest.w, rest.first_row, rest.labels), first_row)
