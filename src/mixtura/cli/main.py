"""Entry point of the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mixtura.errors import UsageError


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code.

    Parameters
    ----------
    args : sequence of str, optional
        Words after the name of the program; by default those of this process.

    Raises
    ------
    SystemExit
        Always: 0 done, 1 a fault of mixtura, 2 usage, 3 data refused, 4 model
        file refused, 5 not converged under ``--strict``, 6 degenerate fit
        refused, 7 resource exhausted, 130 interrupted, 141 broken pipe.
    """
    try:
        from mixtura.cli.app import INTERRUPTED, app
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        missing = UsageError.needs_package("the command line", "click", "cli")
        print(f"error {missing}", file=sys.stderr)
        sys.exit(missing.exit_code)
    try:
        app.main(args=None if args is None else list(args), prog_name="mixtura")
    except KeyboardInterrupt:  # while an error was being reported
        sys.exit(INTERRUPTED)
