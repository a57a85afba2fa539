"""``mixtura resume``: go on with a fit that was interrupted."""

from __future__ import annotations

from importlib import import_module

import click

from mixtura.cli import options
from mixtura.cli.console import Console

#: Commands that can be resumed; each module has ``run(console, data, given)``.
RESUMABLE = ("fit", "select", "classify")


@click.command("resume")
@click.argument("checkpoint", type=click.Path())
@options.threads
@options.dask
@options.common
def command(console: Console, checkpoint: str, threads: int | None, dask: str | None) -> None:
    """Continue the job whose CHECKPOINT file mixtura fit, select or classify has begun.

    Passes that the file holds are not made again, and the result has the same
    bits as that of an uninterrupted run. Data files must be where they were;
    outputs go where the first command said.
    """
    from mixtura.errors import CheckpointError
    from mixtura.executor import Journal

    with Journal(checkpoint) as journal:
        note = journal.header["note"]
    if note.get("command") not in RESUMABLE:
        raise CheckpointError.not_repeatable(checkpoint)
    given = {**note["given"], "checkpoint": checkpoint, "resumed": True}
    given |= {name: value for name, value in (("threads", threads), ("dask", dask)) if value}
    import_module(f"mixtura.cli.{note['command']}").run(console, tuple(note["data"]), given)
