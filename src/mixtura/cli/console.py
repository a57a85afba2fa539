"""Where words, data and progress go: data to standard output, all else to standard error."""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from mixtura.errors import MixturaError, MixturaWarning, printable

if TYPE_CHECKING:
    from mixtura.em import Step

ERROR_SCHEMA = "mixtura.error/1"


@dataclass
class Console:
    """One run of the command line.

    Attributes
    ----------
    as_json : bool
        Results and errors are JSON documents.
    quiet : bool
        No words but warnings and errors.
    debug : bool
        Errors come with their traceback.
    started : bool
        Data have been written to the standard output.
    farewell : str
        What to say when a person interrupts.
    """

    as_json: bool = False
    quiet: bool = False
    debug: bool = False
    started: bool = False
    farewell: str = "interrupted: nothing was written"

    def say(self, words: str) -> None:
        """Print words for people, on standard error."""
        if not self.quiet:
            _print(words)

    def saved(self, path: str | Path, what: str) -> int:
        """Say what a file holds and how large it is; give its size in bytes."""
        size = Path(path).stat().st_size
        self.say(f"saved    {path} ({what}, {size / 1000:.1f} kB)")
        return size

    def warn(self, warning: str) -> None:
        """Print a warning, even when quiet."""
        _print(f"warning {warning}")

    def error(self, error: MixturaError) -> int:
        """Print an error, as JSON too where JSON was asked for; give its exit code."""
        _print(f"error {error}")
        if self.as_json and not self.started:
            message = str(error).removeprefix(f"[{error.code}] ")
            found = {"code": error.code, "exit_code": error.exit_code, "message": message}
            self.document({"schema": ERROR_SCHEMA, "error": found})
        return error.exit_code

    def document(self, document: dict[str, Any]) -> None:
        """Print one JSON document, on one line of standard output."""
        with self.data() as stream:
            stream.write(json.dumps(document, allow_nan=False) + "\n")

    @contextmanager
    def data(self) -> Iterator[TextIO]:
        """Open standard output for data: UTF-8 with plain line ends, whatever the locale."""
        self.started = True
        sys.stdout.flush()
        with text_on(sys.stdout.buffer) as stream:
            yield stream

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """Collect mixtura's own warnings, each once; other warnings pass."""
        notes: list[str] = []
        pass_on = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, MixturaWarning):
                pass_on(message, category, *place, **more)
            elif str(message) not in notes:
                notes.append(str(message))

        with warnings.catch_warnings():
            warnings.simplefilter("always", MixturaWarning)
            warnings.showwarning = show
            yield notes

    @contextmanager
    def progress(self) -> Iterator[Callable[[Step], None] | None]:
        """Show the iterations on a terminal; nothing elsewhere."""
        if self.quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield None
            return
        try:
            from rich import console, progress
        except ImportError:
            yield None
            return
        bar = progress.Progress(
            progress.SpinnerColumn(),
            progress.TextColumn("{task.description}", markup=False),
            progress.TimeElapsedColumn(),
            console=console.Console(stderr=True),
            transient=True,
        )
        with bar:
            task = bar.add_task("fitting  looking at the rows, making starts", total=None)
            before = [float("nan")]

            def watch(step: Step) -> None:
                per_row = step.objective / step.stats.mass
                gain = per_row - before[0]
                before[0] = per_row
                words = f"iteration {step.iteration}  log-density per row {per_row:.6f}"
                bar.update(task, description=f"fitting  {words}  gain {gain:.1e}")

            yield watch


@contextmanager
def text_on(binary: Any) -> Iterator[TextIO]:
    """Text on top of a binary stream, which stays open: UTF-8, line ends as written."""
    stream = io.TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        yield stream
        stream.flush()
    finally:
        # After a failure there may be text left that cannot be written either.
        with suppress(OSError, ValueError):
            stream.detach()


def _print(words: str) -> None:
    click.echo("\n".join(map(printable, words.split("\n"))), err=True)
