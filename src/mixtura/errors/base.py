"""The base of all errors, and errors of use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self


def listed(names: Iterable[object], limit: int = 6) -> str:
    """'a', 'b' and 3 more: names in quotes, cut after `limit`."""
    shown = [f"'{name}'" for name in names]
    if len(shown) > limit:
        return ", ".join(shown[:limit]) + f" and {len(shown) - limit} more"
    return ", ".join(shown)


def printable(text: str) -> str:
    """Text that cannot steer a terminal: what is not printable becomes a question mark.

    Examples
    --------
    >>> printable("a" + chr(27) + "[31mb")
    'a?[31mb'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text)


class MixturaError(ValueError):
    """Base of all errors that mixtura raises on purpose.

    Attributes
    ----------
    code : str
        Stable name of the situation, such as ``"E210"``.
    exit_code : int
        Exit code of the command line for this kind of error.
    """

    exit_code = 1
    code = "E100"

    @classmethod
    def of(cls, code: str, message: str) -> Self:
        """Build an error with its stable code in front of the message."""
        error = cls(f"[{code}] {message}")
        error.code = code
        return error

    @classmethod
    def unexpected(cls, fault: BaseException) -> Self:
        """An exception that nobody foresaw, at the last door of the command line."""
        return cls.of(
            "E100",
            f"unexpected {type(fault).__name__}: {fault}. This is a fault of mixtura; "
            "--debug shows where it happened. Please report it.",
        )


class UsageError(MixturaError):
    """An argument has no meaning, or two arguments contradict each other."""

    exit_code = 2

    @classmethod
    def argument(cls, name: str, found: object, needed: str) -> Self:
        """One argument is outside of what it may be."""
        return cls.of("E101", f"{name}={found!r} is not usable: it must be {needed}.")

    @classmethod
    def needs_package(cls, purpose: str, package: str, extra: str) -> Self:
        """An optional package is not installed."""
        return cls.of(
            "E102",
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it: pip install 'mixtura[{extra}]'",
        )

    @classmethod
    def file_exists(cls, path: object) -> Self:
        """A result would replace an existing file."""
        return cls.of(
            "E103", f"'{path}' exists already and was not touched. Replace it with --force."
        )

    @classmethod
    def no_folder(cls, path: object) -> Self:
        """The folder of a result does not exist."""
        return cls.of("E104", f"the folder of '{path}' does not exist. Create it first.")

    @classmethod
    def option(cls, option: str, problem: str) -> Self:
        """An option of the command line that does not go with the others."""
        return cls.of("E106", f"{option}: {problem}.")

    @classmethod
    def command_line(cls, problem: str, command: str) -> Self:
        """A command was called with options that do not exist or fit."""
        return cls.of("E105", f"{problem} See: {command} --help")
