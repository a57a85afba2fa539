"""The commands by name, loaded when they are called, and what becomes of their errors."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

import click

import mixtura
from mixtura.cli.console import Console
from mixtura.errors import MixturaError, ResourceError, UsageError

#: Commands and what they do. Each is ``command`` in the module of its name.
COMMANDS = {
    "fit": "Fit a density or a mixture to data, and save it.",
    "select": "Choose the number of components, the shape and the family.",
    "classify": "Fit a density to each class, and say how well they tell classes apart.",
    "resume": "Go on with a job that was interrupted.",
    "predict": "Label, probabilities, uncertainty and log-density of every row.",
    "show": "Say what a model holds.",
    "plot": "Draw a picture of a model and its data.",
    "report": "Describe a fit on one page.",
    "animate": "Show EM at work: a film as a page or a GIF.",
    "sample": "Draw rows from a model.",
    "info": "Versions, compiled kernel, threads and processors.",
}

# Lines after a backspace keep their breaks.
_HELP = """Fit the density that data came from: one density, or a mixture, by EM.

Data are CSV, Parquet or Arrow files, folders, globs, or - for standard input.
Data go to standard output, words and progress to standard error.

\b
  mixtura fit faithful.csv -k 2 -o faithful.mixtura
  mixtura select faithful.csv -k 1:9 --covariance full,tied --rule cv-1se
  mixtura predict faithful.mixtura faithful.csv -o labelled.csv

Exit codes: 0 done, 1 a fault of mixtura, 2 usage, 3 data refused, 4 model file
refused, 5 not converged under --strict, 6 degenerate fit refused, 7 memory or
disk exhausted, 130 interrupted, 141 broken pipe.
"""

INTERRUPTED = 130
BROKEN_PIPE = 141

_DISK_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


class PipeClosed(Exception):
    """The reader of the standard output went away."""


class Commands(click.Group):
    """A group whose commands are imported on first use, so that ``--help`` is immediate."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"mixtura.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a broken pipe is told apart before click handles it."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise PipeClosed from None

    def main(self, args: Sequence[str] | None = None, **options: Any) -> None:  # type: ignore[override]
        """Run a command line and exit with its code."""
        words = list(sys.argv[1:] if args is None else args)
        console = Console(
            as_json="--json" in words, quiet="--quiet" in words, debug="--debug" in words
        )
        options.setdefault("prog_name", "mixtura")
        options["standalone_mode"] = False
        run = partial(super().main, words, obj=console, **options)
        sys.exit(exit_code(run, console))


def exit_code(run: Callable[[], Any], console: Console) -> int:
    """Run a command; say what went wrong, if anything did, and give the exit code."""
    try:
        result = run()
        sys.stdout.flush()
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "mixtura"
        message = error.format_message().rstrip(".") + "."
        return console.error(UsageError.command_line(message, command))
    except (click.Abort, KeyboardInterrupt):
        console.say(console.farewell)
        return INTERRUPTED
    except (PipeClosed, BrokenPipeError):
        _discard_output()
        return BROKEN_PIPE
    except MixturaError as error:
        return _reported(error, console)
    except MemoryError:
        return _reported(ResourceError.memory(), console)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            return _reported(ResourceError.output(str(error.strerror)), console)
        return _reported(MixturaError.unexpected(error), console)
    return result if isinstance(result, int) else 0


def _reported(error: MixturaError, console: Console) -> int:
    if console.debug:
        traceback.print_exc()
    return console.error(error)


def _discard_output() -> None:
    """Let the interpreter flush what is left into nothing."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.command(cls=Commands, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mixtura.__version__, prog_name="mixtura")
def app() -> None:
    """All commands."""
