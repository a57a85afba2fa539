"""``mixtura animate``: EM as a film."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mixtura.cli import options
from mixtura.cli.console import Console
from mixtura.cli.rows import rows_of
from mixtura.errors import UsageError


@click.command("animate")
@click.argument("data", nargs=-1, required=True)
@click.option(
    "-k", "--components", "n_components", type=click.IntRange(min=1), required=True,
    help="Number of components.",
)  # fmt: skip
@click.option("-o", "--output", metavar="FILE", required=True, help="NAME.html or NAME.gif.")
@click.option("--family", default="gaussian", show_default=True, help="What the components are.")
@click.option("--covariance", help="Shape: full (default), tied, diag, spherical, EII ... VVV.")
@options.rows
@click.option(
    "--show", type=options.Names(),
    help="One or two columns to show. Default: all of two, else the plane of best separation.",
)  # fmt: skip
@click.option(
    "--start", default="random_from_data", show_default=True,
    help="random_from_data, random, k-means++, kmeans: a rough start has more to show.",
)  # fmt: skip
@click.option(
    "--n-init", type=click.IntRange(min=1), default=5, show_default=True,
    help="Runs from starts of their own; the best one is shown.",
)  # fmt: skip
@options.max_iter
@click.option(
    "--max-points", type=click.IntRange(min=1), default=800, show_default=True,
    help="Draw at most so many rows; all are fitted.",
)  # fmt: skip
@options.seed
@options.threads
@options.force
@options.common
def command(
    console: Console, data: tuple[str, ...], output: str, threads: int | None, **given: Any
) -> None:
    """Show plain EM on DATA, iteration by iteration.

    The page has play, step and a slider, and opens offline: rows in the colours
    of their components, components that move, log-likelihood and bound beside.
    """
    from mixtura.executor import Local
    from mixtura.film import animate
    from mixtura.source import as_source

    if Path(output).suffix.lower() not in (".html", ".gif"):
        raise UsageError.option("-o", f"'{output}' does not end in .html or .gif")
    chosen = {name: given.pop(name) for name in ("columns", "drop", "weights", "missing")}
    show = given.pop("show")
    with console.listening() as notes:
        source = as_source(rows_of(data), **chosen)
        film = animate(source, path=output, columns=show, executor=Local(threads), **given)
    for note in notes:
        console.warn(note)
    frames = len(film.iterations)
    size = console.saved(output, f"{frames} frames")
    if console.as_json:
        console.document(
            {
                "schema": "mixtura.animate/1", "file": output, "bytes": size, "frames": frames,
                "n_iter": int(film.iterations[-1]),
                "log_likelihood_per_row": float(film.log_likelihood[-1]),
            }
        )  # fmt: skip
