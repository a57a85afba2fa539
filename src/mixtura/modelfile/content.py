"""Contents of a model file: written from a fit, and checked piece by piece before use."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as tensor_format

import mixtura
from mixtura.em import Trace
from mixtura.errors import MixturaError, ModelFileError
from mixtura.families import COMPOSED, FAMILIES, Family, restore_family
from mixtura.fitting import Fitted
from mixtura.mixture import Mixture
from mixtura.modelfile.strict import FIELDS, OLD_DEFAULTS, Fields, Problem, strict_json
from mixtura.stats import Array
from mixtura.stopping import Outcome
from mixtura.weighting import find_weighting

#: Version of the document; raised when its meaning changes. Older ones stay readable.
SCHEMA = 1

#: Bytes of the JSON header that are parsed at most: bounds what a hostile file can cost.
LARGEST_HEADER = 1 << 24

_KEY = "mixtura"
_NO_CHECKSUM = "0" * 64
_TRACE = ("objective", "expected_complete", "entropy")
_PARAMS = "params."


def to_bytes(fitted: Fitted) -> bytes:
    """Contents of the model file; the same bytes for the same fit."""
    return sealed(*contents(fitted))


def contents(fitted: Fitted) -> tuple[dict[str, Any], dict[str, Array]]:
    """Document and tensors of a fit; the document's checksum is not there yet."""
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
        **mixture.family.document(),
        "weighting": mixture.weighting.config(),
        "columns": list(fitted.columns),
        "levels": {name: list(labels) for name, labels in fitted.levels.items()},
        "outcome": fitted.outcome.name,
        "n_rows": int(fitted.n_rows),
        "mass": float(fitted.mass),
        "log_likelihood": float(fitted.log_likelihood),
        "log_certainty": float(fitted.log_certainty),
        "events": list(fitted.events),
        "warnings": list(fitted.warnings),
        "seconds": float(fitted.seconds),
    }
    return document, tensors


def sealed(document: dict[str, Any], tensors: dict[str, Array]) -> bytes:
    """Bytes of a file, whose document ends with the checksum."""
    document = {**document, "checksum": _NO_CHECKSUM}
    exact = {name: np.ascontiguousarray(array, dtype="<f8") for name, array in tensors.items()}
    content: bytes = tensor_format.save(exact, {_KEY: json.dumps(document)})
    digits = _NO_CHECKSUM.encode()
    # The document ends with its checksum, so the last run of zeros in the header is it.
    at = content.rindex(digits, 0, 8 + int.from_bytes(content[:8], "little"))
    checksum = hashlib.sha256(content).hexdigest().encode()
    return content[:at] + checksum + content[at + len(checksum) :]


def from_bytes(content: bytes, path: str | Path, given: Family[Any] | None = None) -> Fitted:
    """Check the contents of a model file and make the fitted mixture.

    Parameters
    ----------
    content : bytes
        The whole file.
    path : str or Path
        Its name, for messages.
    given : Family, optional
        A family of one's own, which the file names without its code.

    Raises
    ------
    ModelFileError
        As `load`.
    """

    def problem(text: str) -> ModelFileError:
        return ModelFileError.damaged(path, text)

    document = check_fields(raw_document(content, path, problem), FIELDS, problem)
    compare_checksum(content, document["checksum"], problem)
    return assemble(document, read_tensors(content, problem), path, problem, given)


def assemble(
    document: dict[str, Any],
    tensors: dict[str, Array],
    path: str | Path,
    problem: Problem,
    given: Family[Any] | None = None,
) -> Fitted:
    """Make the fit of a checked document and its tensors."""
    missing = {"weights", "sizes", *(f"trace.{name}" for name in _TRACE)} - set(tensors)
    if missing:
        raise problem(f"it lacks the tensors {sorted(missing)}")
    family = _family(document, path, problem, given)
    mixture = _mixture(family, document["weighting"], tensors, problem)
    n_steps = len(tensors["trace.objective"])
    for name in _TRACE:
        _expect_shape(tensors, f"trace.{name}", (n_steps,), problem)
    _expect_shape(tensors, "sizes", (mixture.n_components,), problem)
    return Fitted(
        mixture=mixture,
        columns=tuple(document["columns"]),
        levels={name: tuple(labels) for name, labels in document["levels"].items()},
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


def _header(content: bytes, problem: Problem) -> dict[str, Any]:
    """The JSON header of a safetensors file, strictly read."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 10 or size > len(content) - 8:
        raise problem("it is cut short, or not a safetensors file")
    if size > LARGEST_HEADER:
        raise problem(f"its header of {size} bytes exceeds the limit of {LARGEST_HEADER}")
    header = strict_json(content[8 : 8 + size], "the header", problem)
    if not isinstance(header, dict):
        raise problem("its header is not a JSON object")
    return header


def raw_document(content: bytes, path: str | Path, problem: Problem) -> dict[str, Any]:
    """The JSON document of the metadata, of a schema that this version knows."""
    header = _header(content, problem)
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or set(metadata) != {_KEY}:
        raise problem("it is not a mixtura model")
    document = strict_json(str(metadata[_KEY]), "the document", problem)
    if not isinstance(document, dict) or type(document.get("schema")) is not int:
        raise problem("its document has no schema number")
    if document["schema"] > SCHEMA:
        raise ModelFileError.version(path, document["schema"], SCHEMA)
    return document


def check_fields(document: dict[str, Any], fields: Fields, problem: Problem) -> dict[str, Any]:
    """The document with exactly the fields of the schema, each of a usable value."""
    document = {**{k: v for k, v in OLD_DEFAULTS.items() if k in fields}, **document}
    if set(document) != set(fields):
        raise problem(f"its fields {sorted(set(document) ^ set(fields))} do not fit the schema")
    for name, accepts in fields.items():
        if not accepts(document[name]):
            raise problem(f"its field '{name}' has an unusable value")
    return document


def compare_checksum(content: bytes, checksum: str, problem: Problem) -> None:
    """Refuse contents that the checksum does not fit."""
    digits = checksum.encode()
    if content.count(digits) != 1:
        raise problem("its checksum is not in one place")
    blank = content.replace(digits, _NO_CHECKSUM.encode())
    if hashlib.sha256(blank).hexdigest() != checksum:
        raise problem("its checksum does not fit its contents: the file was damaged or edited")


def read_tensors(content: bytes, problem: Problem) -> dict[str, Array]:
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
    return tensors


def _family(
    document: dict[str, Any], path: str | Path, problem: Problem, given: Family[Any] | None
) -> Family[Any]:
    """The family, from the closed list of those that are registered, or the one that is given."""
    name, n_features = document["family"], len(document["columns"])
    registered = name in FAMILIES | COMPOSED
    if not registered and (given is None or given.name != name):
        raise ModelFileError.unknown_name(path, "family", name, FAMILIES)
    parts = {key: document[key] for key in ("family", "config", "prior")}
    try:
        if registered or given is None:
            family = restore_family(parts, n_features)
        else:
            family = given.restored(document["config"], n_features)
        if family is not None:
            family.describe()
    except MixturaError as error:
        raise problem(f"its family '{name}' is refused: {error}") from None
    if family is None:
        raise problem(f"the settings of its family '{name}' do not fit")
    return family


def _mixture(
    family: Family[Any], weighting: Any, tensors: dict[str, Array], problem: Problem
) -> Mixture:
    arrays = {
        name.removeprefix(_PARAMS): array
        for name, array in tensors.items()
        if name.startswith(_PARAMS)
    }
    weights = tensors["weights"]
    n_expected = 2 + len(_TRACE) + len(arrays)
    try:
        params = family.from_arrays(arrays)
        mixture = Mixture(family, weights, params, find_weighting(weighting))
        mixture.weighting.check(mixture.n_components)
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
    return mixture


def _expect_shape(
    tensors: dict[str, Array], name: str, shape: tuple[int, ...], problem: Problem
) -> None:
    if tensors[name].shape != shape:
        raise problem(f"tensor '{name}' has the shape {tensors[name].shape}, not {shape}")
