"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from mixtura.cli.console import Console

F = TypeVar("F", bound=Callable[..., Any])


class Names(click.ParamType):  # type: ignore[type-arg]
    """Column names separated by commas; a name that holds a comma stands in double quotes."""

    name = "a,b"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """Split at commas."""
        if isinstance(value, list):
            return value
        (names,) = csv.reader([value], skipinitialspace=True)
        if not names or not all(names):
            self.fail("an empty column name", param, ctx)
        return names


class Bytes(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes, such as 500MB, 1GB or 2GiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read number and unit."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?\s*", value)
        if found is None:
            self.fail(f"{value!r} is no size: write 500MB or 1GB", param, ctx)
        number, unit, binary = found.groups()
        return int(float(number) * (1024 if binary else 1000) ** " kMGT".index(unit or " "))


def common(function: F) -> F:
    """Add the options that every command has, and give it the console."""

    def remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        console = ctx.ensure_object(Console)
        setattr(console, "as_json" if param.name == "json" else str(param.name), value)

    for name, words in (
        ("--debug", "Show the traceback of an error."),
        ("--quiet", "No words but warnings and errors."),
        ("--json", "Print one JSON document."),
    ):
        option = click.option(name, is_flag=True, expose_value=False, callback=remember, help=words)
        function = option(function)
    return click.pass_obj(function)  # type: ignore[return-value]


def together(*given: Callable[[F], F]) -> Callable[[F], F]:
    """Options as one decorator; help lists them in this order."""

    def decorate(function: F) -> F:
        for option in reversed(given):
            function = option(function)
        return function

    return decorate


threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads. Default: MIXTURA_NUM_THREADS, or all processors.",
)

force = click.option("--force", is_flag=True, help="Replace files that exist.")

seed = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Same seed and data, same result.",
)

raw_text = click.option(
    "--raw-text",
    is_flag=True,
    help="Write text as it is: no quote before cells that a spreadsheet would run as formulas.",
)

missing = click.option(
    "--missing",
    type=click.Choice(["error", "drop"]),
    default="error",
    show_default=True,
    help="Rows with missing or infinite values: refuse them, or leave them out.",
)

rows = together(
    click.option("--columns", type=Names(), help="Columns to use. Default: all."),
    click.option("--drop", type=Names(), help="Columns to leave out."),
    click.option("--weights", metavar="COL", help="Column of row weights."),
    missing,
)

prior = click.option(
    "--prior",
    type=click.Choice(["default"]),
    help="default: a weak conjugate prior made from the data. Left out: maximum likelihood.",
)

weighting = click.option(
    "--weighting",
    default="free",
    show_default=True,
    metavar="free|equal|A",
    help="Mixing weights: free, equal, or a Dirichlet prior of concentration A; below 1, "
    "components without rows vanish.",
)


def start(word: str, n_init: str) -> Callable[[F], F]:
    """Which starts: the word by default, and what `n_init` says of how many."""
    return together(
        click.option(
            "--start",
            default=word,
            show_default=True,
            help="auto, kmeans, k-means++, random_from_data, hierarchical or random.",
        ),
        click.option("--n-init", type=click.IntRange(min=1), help=n_init),
    )


tol = click.option(
    "--tol",
    type=click.FloatRange(min=0.0),
    default=1e-8,
    show_default=True,
    help="Stop when the projected remaining gain is below this, in nats per row.",
)

max_iter = click.option(
    "--max-iter",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Greatest number of iterations of a run.",
)

strict = click.option(
    "--strict", is_flag=True, help="Fail (exit code 5) if the fit did not converge."
)

dask = click.option(
    "--dask",
    metavar="ADDRESS",
    help="Work on a Dask cluster: the address of its scheduler, such as tcp://host:8786, or "
    "local:4 for four processes here. Workers need the data at the same place.",
)

checkpoint = click.option(
    "--checkpoint",
    metavar="FILE",
    help="Keep the result of every pass over the data in FILE, to go on after an interruption: "
    "by mixtura resume FILE, or by the same command again.",
)


report = together(
    click.option("--report", metavar="HTML", help="Write a report: one page, see mixtura report."),
    click.option("--no-rows", is_flag=True, help="The report shows no single row."),
)

large = together(
    checkpoint,
    dask,
    click.option(
        "--memory",
        type=Bytes(),
        help="Memory that reading files may take, such as 1GB. Never changes results.",
    ),
    click.option("--plan", is_flag=True, help="Say what a pass will cost, and stop."),
)
