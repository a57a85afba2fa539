"""Results of passes as bytes and back: numbers, names and text, never code.

The bytes are those of safetensors: arrays as they are, and a tree of JSON that says
how they hang together. Objects are dataclasses whose names are registered here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from safetensors import numpy as tensor_format

C = TypeVar("C", bound=type)

_CLASSES: dict[str, type] = {}
_TREE = "tree"


def encodable(cls: C) -> C:
    """Register a dataclass under its own name, so that its values can be encoded.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @encodable
    ... @dataclass(frozen=True)
    ... class Tally:
    ...     count: int
    ...     sums: tuple[float, ...]
    >>> decode(encode(Tally(3, (0.1, float("inf")))))
    Tally(count=3, sums=(0.1, inf))
    """
    _CLASSES[cls.__name__] = cls
    return cls


def encode(value: Any) -> bytes:
    """Write numbers, text, arrays, registered dataclasses and containers of these as bytes.

    Raises
    ------
    TypeError
        The value holds something else.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    tree = _planted(value, arrays)
    # the names of the arrays sort as they were found, so equal values give equal bytes
    content: bytes = tensor_format.save(arrays, {_TREE: json.dumps(tree)})
    return content


def decode(content: bytes) -> Any:
    """Read a value that `encode` wrote: equal in every bit, arrays in C order.

    Raises
    ------
    ValueError
        The bytes are damaged, or name a class that is not registered.
    """
    try:
        arrays = tensor_format.load(content)
        size = int.from_bytes(content[:8], "little")
        tree = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_TREE])
        return _grown(tree, arrays)
    except Exception as error:
        raise ValueError(f"not an encoded value: {error}") from error


def fingerprint(task: Any) -> str:
    """Digest of a function with all its arguments: equal for equal questions, in any process.

    Looks into partial functions, bound methods, dataclasses and containers; numbers count
    with every bit.

    Examples
    --------
    >>> fingerprint(partial(max, 1.0)) == fingerprint(partial(max, 1.0))
    True
    >>> fingerprint(partial(max, 1.0)) == fingerprint(partial(max, 1.0 + 1e-15))
    False
    """
    digest = hashlib.sha256()
    _feed(task, digest.update)
    return digest.hexdigest()


def question(task: Any) -> str:
    """Name of the function that a task calls, such as ``Mixture.expect``."""
    while isinstance(task, partial):
        task = task.func
    name = getattr(task, "__qualname__", None)
    return name if isinstance(name, str) else type(task).__qualname__


def _planted(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """JSON of a value whose arrays are put aside."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        name = f"{len(arrays):06d}"
        arrays[name] = np.ascontiguousarray(value).reshape(np.shape(value))
        return {"array" if isinstance(value, np.ndarray) else "scalar": name}
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return {type(value).__name__: [_planted(one, arrays) for one in value]}
    if type(value) is dict:
        return {"dict": [[_planted(k, arrays), _planted(v, arrays)] for k, v in value.items()]}
    name = type(value).__name__
    if _CLASSES.get(name) is not type(value):
        raise TypeError(f"a value of the type {type(value).__qualname__} cannot be encoded")
    own = {one.name: _planted(getattr(value, one.name), arrays) for one in fields(_CLASSES[name])}
    return {"object": name, "fields": own}


def _grown(tree: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """The value of a piece of JSON."""
    if not isinstance(tree, dict):
        return tree
    if "object" in tree:
        own = {name: _grown(one, arrays) for name, one in tree["fields"].items()}
        return _CLASSES[tree["object"]](**own)
    ((kind, content),) = tree.items()
    grow: dict[str, Callable[[Any], Any]] = {
        "array": lambda name: arrays[name],
        "scalar": lambda name: arrays[name][()],
        "float": float.fromhex,
        "list": lambda items: [_grown(one, arrays) for one in items],
        "tuple": lambda items: tuple(_grown(one, arrays) for one in items),
        "dict": lambda items: {_grown(k, arrays): _grown(v, arrays) for k, v in items},
    }
    return grow[kind](content)


def _feed(value: Any, update: Callable[[bytes], None]) -> None:
    """Feed the contents of a value to a digest, with a mark of its kind before each."""
    if isinstance(value, partial):
        _feed((value.func, value.args, value.keywords), update)
    elif isinstance(value, np.ndarray | np.generic):
        update(f"array {value.dtype.str} {np.shape(value)};".encode())
        update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, float):
        update(f"float {value.hex()};".encode())
    elif isinstance(value, Enum):
        update(f"enum {type(value).__qualname__}.{value.name};".encode())
    elif value is None or isinstance(value, bool | int | str | bytes):
        update(f"{type(value).__name__} {value!r};".encode())
    elif isinstance(value, list | tuple | set | frozenset | dict):
        parts = value.items() if isinstance(value, dict) else value
        parts = sorted(parts, key=repr) if isinstance(value, set | frozenset) else parts
        update(f"{type(value).__name__} {len(value)};".encode())
        for one in parts:
            _feed(one, update)
    else:
        _feed_object(value, update)


def _feed_object(value: Any, update: Callable[[bytes], None]) -> None:
    """Functions by name, methods with their object, dataclasses by fields, others by state."""
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):
        update(f"function {name};".encode())
        owner = getattr(value, "__self__", None)
        if owner is not None and not isinstance(owner, type | ModuleType):
            _feed(owner, update)
        return
    update(f"object {type(value).__qualname__};".encode())
    if is_dataclass(value):
        _feed({one.name: getattr(value, one.name) for one in fields(value)}, update)
    else:
        _feed(dict(sorted(getattr(value, "__dict__", {}).items())), update)
