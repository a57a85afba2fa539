"""``mixtura plot``: one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mixtura.cli import options
from mixtura.cli.console import Console
from mixtura.cli.rows import rows_of
from mixtura.errors import UsageError

#: Pictures of a model, and whether they need rows.
WHAT = {
    "density": False, "components": False, "classification": True, "uncertainty": False,
    "pairs": True, "responsibilities": True, "boundaries": False, "qq": True, "cdf": True,
    "convergence": False,
}  # fmt: skip

FORMATS = (".png", ".svg", ".pdf")


@click.command("plot")
@click.argument("model")
@click.argument("data", nargs=-1)
@click.option(
    "--what", type=click.Choice(list(WHAT)), default="density", show_default=True,
    help="The picture.",
)  # fmt: skip
@click.option("-o", "--output", metavar="FILE", required=True, help="NAME.png, .svg or .pdf.")
@click.option("--columns", type=options.Names(), help="Columns to show. Default: the first two.")
@click.option(
    "--max-points", type=click.IntRange(min=1), default=2000, show_default=True,
    help="Draw at most so many rows, chosen at random but always the same ones.",
)  # fmt: skip
@click.option("--dpi", type=click.IntRange(20, 600), default=150, show_default=True)
@options.force
@options.common
def command(
    console: Console,
    model: str,
    data: tuple[str, ...],
    what: str,
    output: str,
    columns: list[str] | None,
    max_points: int,
    dpi: int,
    force: bool,
) -> None:
    """Draw MODEL, and the rows of DATA where they are given, into a file.

    density: a curve, or contours that enclose 10 % to 99 %; components: ellipses;
    classification: rows by component; uncertainty, boundaries; pairs of columns;
    responsibilities as a heat map; qq and cdf of one column; convergence of the fit.
    """
    from mixtura import modelfile, plot
    from mixtura.plot.style import matplotlib

    form = Path(output).suffix.lower()
    if form not in FORMATS:
        raise UsageError.option("-o", f"'{output}' does not end in {', '.join(FORMATS)}")
    if WHAT[what] and not data:
        raise UsageError.option("--what", f"'{what}' needs DATA")
    modelfile.check_target(output, force=force)
    fitted = modelfile.load(model)
    given: dict[str, Any] = {}
    if what not in ("convergence", "responsibilities"):
        given["columns"] = columns
    if what not in ("convergence", "qq", "cdf"):
        given["max_points"] = max_points
    if data and what != "convergence":
        given["data"] = rows_of(data)
    with console.listening():
        ax = getattr(plot, what)(fitted, **given)
    # identifiers inside an SVG file are random unless they are given a seed
    with (
        matplotlib().rc_context({"svg.hashsalt": what}),
        modelfile.replacing(output, force=force) as file,
    ):
        ax.figure.savefig(file, format=form[1:], dpi=dpi, metadata=_metadata(form))
    size = console.saved(output, what)
    if console.as_json:
        console.document({"schema": "mixtura.plot/1", "what": what, "file": output, "bytes": size})


def _metadata(form: str) -> dict[str, Any]:
    """No time of day in the file: same model and data, same bytes."""
    return {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(form, {})
