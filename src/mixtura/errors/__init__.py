"""Every error and warning of mixtura, with the text that tells what to do next.

Each class carries the exit code of the command line; each constructor method
builds one message: what was found, where, what is needed, what to do.
"""

from __future__ import annotations

from mixtura.errors.base import MixturaError, UsageError, listed, printable
from mixtura.errors.data import DataError, DataTypeError, SupportError
from mixtura.errors.results import (
    CheckpointError,
    DegenerateComponentError,
    LedgerError,
    ModelFileError,
    NotConvergedError,
    ResourceError,
)
from mixtura.errors.warned import MixturaWarning

__all__ = [
    "CheckpointError",
    "DataError",
    "DataTypeError",
    "DegenerateComponentError",
    "LedgerError",
    "MixturaError",
    "MixturaWarning",
    "ModelFileError",
    "NotConvergedError",
    "ResourceError",
    "SupportError",
    "UsageError",
    "listed",
    "printable",
]
