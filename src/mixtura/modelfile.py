"""Model files: safetensors with one versioned JSON document; numbers and plain text only.

The file holds the arrays of the mixture and of its trace as tensors, and one
JSON document under the key ``mixtura`` of the safetensors metadata. Loading
never runs code, and everything is checked before it is used. The document's
checksum is the SHA-256 of the whole file with the checksum's own digits set to
zero: it detects damage, not forgery.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as tensor_format

import mixtura
from mixtura.em import Outcome, Trace
from mixtura.errors import MixturaError, ModelFileError, ResourceError, UsageError
from mixtura.families import FAMILIES, Family
from mixtura.fitting import Fitted
from mixtura.mixture import Mixture
from mixtura.stats import Array

#: Version of the document; raised when its meaning changes. Older ones stay readable.
SCHEMA = 1

#: Bytes of the JSON header that are parsed at most: bounds what a hostile file can cost.
LARGEST_HEADER = 1 << 24

#: Whole numbers beyond this are not exact in JSON readers that use float64.
LARGEST_INTEGER = 2**53

#: Powers of two by which columns are scaled lie within the range of float64.
LARGEST_EXPONENT = 2200

_KEY = "mixtura"
_NO_CHECKSUM = "0" * 64
_TRACE = ("objective", "expected_complete", "entropy")
_PARAMS = "params."

_Problem = Callable[[str], ModelFileError]


def save(path: str | Path, fitted: Fitted, *, force: bool = False) -> None:
    """Write a fitted mixture to a file, all of it or nothing.

    Mixtures kept in the trace are not written.

    Parameters
    ----------
    path : str or Path
        Where to; by custom with the ending ``.mixtura``.
    fitted : Fitted
        The mixture and the facts about its fit.
    force : bool, default=False
        Replace a file that exists.

    Raises
    ------
    UsageError
        The file exists, or its folder does not.
    ModelFileError
        The mixture cannot be written so that it can be read again, for example
        because a parameter is not finite.
    ResourceError
        The disk is full, or the folder cannot be written; nothing was changed.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from mixtura.families import Poisson
    >>> from mixtura.fitting import fit_mixture
    >>> from mixtura.source import as_source
    >>> fitted = fit_mixture(Poisson(1), as_source(np.array([[1.0], [2.0], [6.0]])), 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/counts.mixtura", fitted)
    ...     again = load(f"{folder}/counts.mixtura")
    >>> again.mixture.params.rate
    array([[3.]])
    """
    content = to_bytes(fitted)
    from_bytes(content, path)
    with replacing(path, force=force) as file:
        file.write(content)


def load(path: str | Path) -> Fitted:
    """Read a model file; numbers and plain JSON, never code.

    Parameters
    ----------
    path : str or Path
        A file written by `save`.

    Returns
    -------
    Fitted
        Its mixture scores rows with the same bits as the one that was saved.

    Raises
    ------
    ModelFileError
        No such file, damaged, of another kind, of a newer schema, or with
        values that are no mixture.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise ModelFileError.damaged(path, "it is not a regular file")
        content = Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ModelFileError.not_found(path) from None
    except OSError as error:
        raise ModelFileError.damaged(path, error.strerror or str(error)) from None
    return from_bytes(content, path)


def to_bytes(fitted: Fitted) -> bytes:
    """Contents of the model file; the same bytes for the same fit."""
    mixture, trace = fitted.mixture, fitted.trace
    params = mixture.family.to_arrays(mixture.params)
    tensors = {
        "weights": mixture.weights,
        "sizes": np.array(fitted.sizes, dtype=float),
        **{f"trace.{name}": getattr(trace, name) for name in _TRACE},
        **{_PARAMS + name: array for name, array in params.items()},
    }
    document = {
        "schema": SCHEMA,
        "mixtura": mixtura.__version__,
        "family": mixture.family.name,
        "config": mixture.family.config(),
        "columns": list(fitted.columns),
        "outcome": fitted.outcome.name,
        "n_rows": int(fitted.n_rows),
        "mass": float(fitted.mass),
        "log_likelihood": float(fitted.log_likelihood),
        "log_certainty": float(fitted.log_certainty),
        "events": list(fitted.events),
        "warnings": list(fitted.warnings),
        "seconds": float(fitted.seconds),
        "checksum": _NO_CHECKSUM,
    }
    exact = {name: np.ascontiguousarray(array, dtype="<f8") for name, array in tensors.items()}
    content: bytes = tensor_format.save(exact, {_KEY: json.dumps(document)})
    digits = _NO_CHECKSUM.encode()
    # The document ends with its checksum, so the last run of zeros in the header is it.
    at = content.rindex(digits, 0, 8 + int.from_bytes(content[:8], "little"))
    checksum = hashlib.sha256(content).hexdigest().encode()
    return content[:at] + checksum + content[at + len(checksum) :]


def from_bytes(content: bytes, path: str | Path) -> Fitted:
    """Check the contents of a model file and make the fitted mixture.

    Parameters
    ----------
    content : bytes
        The whole file.
    path : str or Path
        Its name, for messages.

    Raises
    ------
    ModelFileError
        As `load`.
    """

    def problem(text: str) -> ModelFileError:
        return ModelFileError.damaged(path, text)

    header = _header(content, problem)
    document = _document(header, path, problem)
    _compare_checksum(content, document["checksum"], problem)
    tensors = _tensors(content, problem)
    family = _family(document, path, problem)
    mixture = _mixture(family, tensors, problem)
    n_steps = len(tensors["trace.objective"])
    for name in _TRACE:
        _expect_shape(tensors, f"trace.{name}", (n_steps,), problem)
    _expect_shape(tensors, "sizes", (mixture.n_components,), problem)
    return Fitted(
        mixture=mixture,
        columns=tuple(document["columns"]),
        outcome=Outcome[document["outcome"]],
        trace=Trace(
            tensors["trace.objective"],
            tensors["trace.expected_complete"],
            tensors["trace.entropy"],
        ),
        n_rows=document["n_rows"],
        mass=document["mass"],
        log_likelihood=document["log_likelihood"],
        log_certainty=document["log_certainty"],
        sizes=tuple(map(float, tensors["sizes"])),
        events=tuple(document["events"]),
        warnings=tuple(document["warnings"]),
        seconds=document["seconds"],
    )


@contextmanager
def replacing(path: str | Path, *, force: bool = False) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its place only when it is complete.

    The bytes go to a temporary file of the same folder, which is forced to the
    disk and then renamed. If anything fails the temporary file is removed, and
    what was at `path` before is untouched. A symbolic link is replaced, not followed.

    Parameters
    ----------
    path : str or Path
        The file.
    force : bool, default=False
        Replace a file that exists.

    Yields
    ------
    binary file

    Raises
    ------
    UsageError
        The file exists, or its folder does not.
    ResourceError
        The disk is full, or the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/a.txt") as file:
    ...         _ = file.write(b"all of it")
    ...     Path(folder, "a.txt").read_bytes()
    b'all of it'
    """
    path = Path(path)
    check_target(path, force=force)
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _move(temporary, path, force=force)
    except OSError as error:
        # A broken pipe is not about this file.
        if isinstance(error, BrokenPipeError):
            raise
        raise ResourceError.saving(path, error.strerror or str(error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def check_target(path: str | Path, *, force: bool = False) -> None:
    """Refuse a place where `replacing` could not write; for use before a long computation.

    Raises
    ------
    UsageError
        The file exists and `force` is not given, it is a folder, or its folder
        does not exist.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError.argument("output", str(path), "a file, not a folder")
    if not path.parent.is_dir():
        raise UsageError.no_folder(path)
    if not force and (path.exists() or path.is_symlink()):
        raise UsageError.file_exists(path)


def _move(temporary: Path, path: Path, *, force: bool) -> None:
    """Rename on the disk; without `force` never over a file that came up meanwhile."""
    if force:
        temporary.replace(path)
    else:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            raise UsageError.file_exists(path) from None
        except OSError as error:  # a file system without hard links
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                raise
            check_target(path)
            temporary.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the rename durable, where folders can be opened (not on Windows)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# -- reading what is outside ------------------------------------------------------


def _header(content: bytes, problem: _Problem) -> dict[str, Any]:
    """The JSON header of a safetensors file, strictly read."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 10 or size > len(content) - 8:
        raise problem("it is cut short, or not a safetensors file")
    if size > LARGEST_HEADER:
        raise problem(f"its header of {size} bytes exceeds the limit of {LARGEST_HEADER}")
    header = _strict_json(content[8 : 8 + size], "the header", problem)
    if not isinstance(header, dict):
        raise problem("its header is not a JSON object")
    return header


def _document(header: dict[str, Any], path: str | Path, problem: _Problem) -> dict[str, Any]:
    """The JSON document of the metadata, with exactly the fields of the schema."""
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or set(metadata) != {_KEY}:
        raise problem("it is not a mixtura model")
    document = _strict_json(str(metadata[_KEY]), "the document", problem)
    if not isinstance(document, dict) or type(document.get("schema")) is not int:
        raise problem("its document has no schema number")
    if document["schema"] > SCHEMA:
        raise ModelFileError.version(path, document["schema"], SCHEMA)
    if set(document) != set(_FIELDS):
        raise problem(f"its fields {sorted(set(document) ^ set(_FIELDS))} do not fit the schema")
    for name, accepts in _FIELDS.items():
        if not accepts(document[name]):
            raise problem(f"its field '{name}' has an unusable value")
    return document


def _compare_checksum(content: bytes, checksum: str, problem: _Problem) -> None:
    digits = checksum.encode()
    if content.count(digits) != 1:
        raise problem("its checksum is not in one place")
    blank = content.replace(digits, _NO_CHECKSUM.encode())
    if hashlib.sha256(blank).hexdigest() != checksum:
        raise problem("its checksum does not fit its contents: the file was damaged or edited")


def _tensors(content: bytes, problem: _Problem) -> dict[str, Array]:
    """All tensors; the library checks that they tile the file before it allocates."""
    try:
        tensors = tensor_format.load(content)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise problem(f"its tensors cannot be read ({error})") from None
    for name, array in tensors.items():
        if array.dtype != np.float64:
            raise problem(f"tensor '{name}' has the type {array.dtype}, not float64")
        if not np.isfinite(array).all():
            raise problem(f"tensor '{name}' holds values that are not finite")
    missing = {"weights", "sizes", *(f"trace.{name}" for name in _TRACE)} - set(tensors)
    if missing:
        raise problem(f"it lacks the tensors {sorted(missing)}")
    return tensors


def _family(document: dict[str, Any], path: str | Path, problem: _Problem) -> Family[Any]:
    """The family, from the closed list of those that are registered."""
    name, config = document["family"], document["config"]
    if name not in FAMILIES:
        raise ModelFileError.unknown_name(path, "family", name, FAMILIES)
    n_features = len(document["columns"])
    make: Any = FAMILIES[name]
    pattern = make(n_features).config()
    if not _same_kind(pattern, config, n_features) or config["n_features"] != n_features:
        raise problem(f"the settings of its family '{name}' do not fit")
    try:
        family: Family[Any] = make(
            **{key: tuple(v) if isinstance(v, list) else v for key, v in config.items()}
        )
        family.describe()
    except MixturaError as error:
        raise problem(f"its family '{name}' is refused: {error}") from None
    return family


def _mixture(family: Family[Any], tensors: dict[str, Array], problem: _Problem) -> Mixture:
    arrays = {
        name.removeprefix(_PARAMS): array
        for name, array in tensors.items()
        if name.startswith(_PARAMS)
    }
    weights = tensors["weights"]
    n_expected = 2 + len(_TRACE) + len(arrays)
    try:
        params = family.from_arrays(arrays)
        mixture = Mixture(family, weights, params)
        fault = family.problem(params)
        means = mixture.means
        names = set(family.to_arrays(params))
    except (MixturaError, KeyError, ValueError, TypeError, IndexError, ArithmeticError) as error:
        raise problem(f"its parameters are refused: {error}") from None
    if fault is not None:
        raise problem(fault)
    if means.shape != (len(weights), family.n_features):
        raise problem(f"parameters of shape {means.shape} for {len(weights)} weights")
    if names != set(arrays) or len(tensors) != n_expected:
        raise problem("it holds tensors that do not belong to the family")
    if not np.isfinite(means).all():
        raise problem("a mean is not finite")
    # A mixture scales its weights to the sum one, which may move the last bit again.
    object.__setattr__(mixture, "weights", weights)
    return mixture


def _expect_shape(
    tensors: dict[str, Array], name: str, shape: tuple[int, ...], problem: _Problem
) -> None:
    if tensors[name].shape != shape:
        raise problem(f"tensor '{name}' has the shape {tensors[name].shape}, not {shape}")


def _strict_json(text: str | bytes, what: str, problem: _Problem) -> Any:
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
        return value if np.isfinite(value) else refuse(token)

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


def _same_kind(pattern: Any, value: Any, n_features: int) -> bool:
    """Whether a setting has the structure and types of the family's own settings."""
    if isinstance(pattern, dict):
        return (
            isinstance(value, dict)
            and set(value) == set(pattern)
            and all(_same_kind(pattern[key], value[key], n_features) for key in pattern)
        )
    if isinstance(pattern, list):  # one power of two per column, or none
        return (
            isinstance(value, list)
            and len(value) in (0, n_features)
            and all(type(one) is int and abs(one) <= LARGEST_EXPONENT for one in value)
        )
    return type(value) is type(pattern)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_names(value: Any) -> bool:
    return _is_texts(value) and len(value) > 0 and len(set(value)) == len(value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_checksum(value: Any) -> bool:
    return _is_text(value) and len(value) == 64 and set(value) <= set("0123456789abcdef")


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "schema": _is_count,
    "mixtura": _is_text,
    "family": _is_text,
    "config": lambda value: isinstance(value, dict),
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
