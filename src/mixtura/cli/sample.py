"""``mixtura sample``: rows drawn from a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from mixtura.cli import options
from mixtura.cli.console import Console

if TYPE_CHECKING:
    import numpy as np

    from mixtura.fitting import Fitted

#: Rows that are drawn at once.
ROWS = 1 << 16


@click.command("sample")
@click.argument("model")
@click.option("-n", "n_rows", type=click.IntRange(min=1), required=True, help="How many rows.")
@click.option("-o", "--output", metavar="FILE", help="Write to a file instead.")
@click.option("--label", is_flag=True, help="Add the component that each row came from.")
@options.seed
@options.force
@options.raw_text
@options.common
def command(
    console: Console,
    model: str,
    n_rows: int,
    output: str | None,
    label: bool,
    seed: int,
    force: bool,
    raw_text: bool,
) -> None:
    """Draw N rows from MODEL, as CSV."""
    import numpy as np

    from mixtura import modelfile
    from mixtura.cli.rows import row_writer

    fitted = modelfile.load(model)
    columns = list(fitted.columns)
    if label:
        columns.append(_free_name("label", columns))
    rng = np.random.default_rng(seed)
    guard = not (raw_text or console.as_json)
    head = {"schema": "mixtura.sample/1", "n_rows": n_rows}
    with row_writer(console, output, columns, head, force=force, raw_text=raw_text) as writer:
        for start in range(0, n_rows, ROWS):
            n = min(ROWS, n_rows - start)
            writer.write(_drawn(fitted, n, rng, label=label, guard=guard))


def _drawn(
    fitted: Fitted, n_rows: int, rng: np.random.Generator, *, label: bool, guard: bool
) -> Iterator[tuple[Any, ...]]:
    from mixtura.cli.rows import column_cells

    X, labels = fitted.mixture.sample(n_rows, rng)
    columns = column_cells(fitted, X, guard=guard)
    yield from zip(*columns, *([labels.tolist()] if label else []), strict=True)


def _free_name(name: str, taken: list[str]) -> str:
    """Name of an added column that no column of the model has."""
    while name in taken:
        name += "_"
    return name
