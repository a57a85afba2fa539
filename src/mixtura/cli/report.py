"""``mixtura report``: a fit on one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mixtura.cli import options
from mixtura.cli.console import Console
from mixtura.cli.rows import rows_of
from mixtura.errors import UsageError

if TYPE_CHECKING:
    from mixtura.source import DataSource

#: Options that say where results go, not how they are made.
_NO_SETTINGS = (
    "output", "labelled", "table", "report", "checkpoint", "no_rows", "force", "raw_text",
    "threads", "resumed",
)  # fmt: skip


@click.command("report")
@click.argument("model")
@click.argument("data", nargs=-1)
@click.option("-o", "--output", metavar="FILE", required=True, help="NAME.html")
@click.option("--no-rows", is_flag=True, help="Show no single row: neither points nor tables.")
@options.threads
@options.force
@options.common
def command(
    console: Console,
    model: str,
    data: tuple[str, ...],
    output: str,
    no_rows: bool,
    threads: int | None,
    force: bool,
) -> None:
    """Describe MODEL, and how it suits DATA, on one page that opens offline.

    Words, tables, pictures, warnings, a profile of the data, settings and
    versions; for the screen, the phone and paper.
    """
    from mixtura import modelfile
    from mixtura.executor import Local
    from mixtura.reporting import report

    modelfile.check_target(checked_report(output), force=force)
    fitted = modelfile.load(model)
    rows = rows_of(data) if data else None
    settings = {"model file": Path(model).name, "data": ", ".join(data) or "not given"}
    with console.listening() as notes:
        report(
            fitted, rows, output, rows=not no_rows, settings=settings,
            executor=Local(threads), force=force,
        )  # fmt: skip
    for note in notes:
        console.warn(note)
    size = console.saved(output, "report")
    if console.as_json:
        console.document({"schema": "mixtura.report/1", "file": output, "bytes": size})


def checked_report(output: str) -> str:
    """Name of a report, refused where it is no page."""
    if Path(output).suffix.lower() not in (".html", ".htm"):
        raise UsageError.option("report", f"'{output}' does not end in .html")
    return output


def write_report(
    console: Console,
    fitted: Any,
    source: DataSource,
    data: tuple[str, ...],
    given: dict[str, Any],
    **more: Any,
) -> None:
    """Write the report that ``--report`` asks for, with all options that were given."""
    from mixtura.executor import Local
    from mixtura.reporting import report

    with console.listening():
        report(
            fitted, source, given["report"], rows=not given["no_rows"],
            settings=settings_of(data, given),
            executor=Local(given["threads"]), force=given["force"], **more,
        )  # fmt: skip
    console.saved(given["report"], "report")


def settings_of(data: tuple[str, ...], given: dict[str, Any]) -> dict[str, Any]:
    """Data and all options that say how a result was made."""
    settings: dict[str, Any] = {"data": ", ".join(data)}
    settings |= {
        name.replace("_", " "): value
        for name, value in given.items()
        if name not in _NO_SETTINGS and value is not None and value is not False
    }
    return settings
