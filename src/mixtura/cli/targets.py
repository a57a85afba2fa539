"""Files that a command is to write: what would fail after the work is refused before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mixtura.atomic import check_target
from mixtura.cli.report import checked_report
from mixtura.errors import UsageError


def check_targets(given: dict[str, Any], *names: str) -> None:
    """Refuse files that cannot be written, no page as report, and one file for two things.

    Parameters
    ----------
    given : dict
        The options of the command; ``force`` among them.
    *names : str
        Options that name files to write, besides ``report`` and ``checkpoint``. What
        stands at ``-`` is not a file.

    Raises
    ------
    UsageError
        A file exists already, lies nowhere, or is named twice.
    """
    targets = {name: given[name] for name in names if given[name] not in (None, "-")}
    if given.get("report") is not None:
        targets["report"] = checked_report(given["report"])
    for target in targets.values():
        check_target(target, force=given["force"])
    if given.get("checkpoint") is not None:
        targets["checkpoint"] = given["checkpoint"]
    places: dict[Path, str] = {}
    for name, target in targets.items():
        option = "-o" if name == "output" else f"--{name}"
        first = places.setdefault(Path(target).absolute(), option)
        if first != option:
            raise UsageError.option(f"{first}, {option}", "both name the same file")
