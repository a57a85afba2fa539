"""``mixtura fit``: from data to a model."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

import click

from mixtura.cli import options
from mixtura.cli.console import Console
from mixtura.cli.rows import place_of, rows_of
from mixtura.cli.targets import check_targets
from mixtura.errors import NotConvergedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixtura.executor import Executor
    from mixtura.families import Family
    from mixtura.fitting import Fitted
    from mixtura.source import DataSource
    from mixtura.weighting import Weighting


@click.command("fit")
@click.argument("data", nargs=-1, required=True)
@click.option(
    "-k",
    "--components",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of components; 1 is a single density.",
)
@click.option("-o", "--output", metavar="MODEL", help="Save the model, by custom as NAME.mixtura.")
@click.option("--labelled", metavar="CSV", help="Write rows with label, uncertainty, log_density.")
@click.option(
    "--family",
    default="gaussian",
    show_default=True,
    help="A name that mixtura info lists; or columns and names, such as "
    "income:lognormal,x+y:gaussian,city:categorical.",
)
@click.option(
    "--covariance",
    help="Shape: full (default), tied, diag, spherical, or mclust's name, EII ... VVV.",
)
@options.prior
@options.weighting
@click.option(
    "--noise", is_flag=True, help="Add a component of uniform density, which takes outliers."
)
@options.rows
@click.option(
    "--labels",
    metavar="COL",
    help="Column of known components: whole numbers from 0, -1 or empty where unknown; "
    "or text, whose values are counted in alphabetical order.",
)
@options.start("auto", "How many starts. Default: 10.")
@options.tol
@options.max_iter
@click.option(
    "--on-degenerate",
    type=click.Choice(["repair", "drop", "raise"]),
    default="repair",
    show_default=True,
    help="Components that are empty or collapse.",
)
@options.strict
@options.seed
@options.threads
@options.large
@options.report
@options.force
@options.raw_text
@options.common
def command(console: Console, data: tuple[str, ...], **given: Any) -> None:
    """Fit one density (-k 1) or a mixture to DATA: files, a folder, a glob, or -.

    With --json the whole result is one document on standard output; otherwise
    the summary is printed on standard error.
    """
    run(console, data, given)


def run(console: Console, data: tuple[str, ...], given: dict[str, Any]) -> None:
    """Do what the options ask for; `mixtura resume` comes in here too."""
    from mixtura import describe
    from mixtura.cli.lasting import executor_of
    from mixtura.cli.report import write_report

    if "-" in (given["output"], given["labelled"]):
        raise UsageError.option("-o, --labelled", "a file is needed here; predict writes to -")
    check_targets(given, "output", "labelled")
    with console.listening() as notes:
        source = opened(console, data, given)
        with executor_of(console, "fit", data, given) as executor:
            fitted = _fit(console, source, given, executor)
    fitted = replace(fitted, warnings=tuple(dict.fromkeys((*notes, *fitted.warnings))))
    if given["strict"] and not fitted.outcome.converged:
        raise NotConvergedError.stopped(fitted.n_iter, fitted.outcome.value)
    facts = describe.document(fitted)
    if console.as_json or console.quiet:
        for note in fitted.warnings:
            console.warn(note)
    else:
        console.say(describe.text(facts))
    _write(console, fitted, source, given)
    if given.get("report") is not None:
        write_report(console, fitted, source, data, given)
    if console.as_json:
        console.document(facts)


def opened(console: Console, data: tuple[str, ...], given: dict[str, Any]) -> DataSource:
    """Open the data that the words of a command line name, and say what they are."""
    from mixtura.cli.lasting import say_plan, within_memory
    from mixtura.families.spec import parse_family, spec_categories, spec_columns
    from mixtura.source import as_source

    spec = parse_family(given["family"]) if isinstance(given["family"], str) else "gaussian"
    columns, categories = given["columns"], spec_categories(spec)
    if spec_columns(spec) is not None:
        if columns is not None:
            raise UsageError.option("--columns", "--family names the columns already")
        columns = spec_columns(spec)
    if data == ("-",) and given.get("checkpoint") is not None:
        raise UsageError.option("--checkpoint", "standard input cannot be read a second time")
    rows = rows_of(data)
    labels, drop = given.get("labels"), given["drop"]
    if labels is not None:
        labels, is_text = _known_labels(console, rows, labels)
        if is_text and columns is None:
            drop = [*(drop or []), given["labels"]]
    make = partial(
        as_source, rows, columns=columns, drop=drop, weights=given["weights"], labels=labels,
        missing=given["missing"], levels="all" if categories is None else categories or None,
    )  # fmt: skip
    source = within_memory(make, given)
    n_rows = source.n_rows
    counted = "" if n_rows is None else f"{n_rows} rows, "
    console.say(f"reading  {place_of(data)}: {counted}{source.n_features} columns")
    say_plan(console, source, given)
    return source


def _known_labels(console: Console, rows: Any, column: str) -> tuple[Any, bool]:
    """The column's name if it holds numbers; numbers in alphabetical order if it holds text."""
    import numpy as np

    from mixtura.source import read_column

    values = read_column(rows, column)
    if values.dtype.kind in "iuf":
        return column, False
    words = sorted({str(value) for value in values if value is not None})
    console.say("labels   " + ", ".join(f"{k} = {word}" for k, word in enumerate(words)))
    number = {word: k for k, word in enumerate(words)}
    return np.array([-1 if v is None else number[str(v)] for v in values]), True


def _fit(console: Console, source: DataSource, given: dict[str, Any], executor: Executor) -> Fitted:
    from mixtura.fitting import N_STARTS, fit_mixture
    from mixtura.stopping import Aitken

    family = _family(source.n_features, given)
    with console.progress() as watch:
        return fit_mixture(
            family,
            source,
            given["components"] + family.n_fixed,
            start=given["start"],
            n_starts=given["n_init"] or N_STARTS,
            weighting=weighting_of(given["weighting"]),
            stop=Aitken(given["tol"]),
            max_iter=given["max_iter"],
            on_degenerate=given["on_degenerate"],
            seed=given["seed"],
            executor=executor,
            watch=watch,
        )


def _family(n_features: int, given: dict[str, Any]) -> Family[Any]:
    from mixtura.families import WithNoise
    from mixtura.families.spec import make_family, parse_family

    options = {} if given["covariance"] is None else {"covariance": given["covariance"]}
    family = make_family(parse_family(given["family"]), n_features, **options)
    if given["prior"] is not None:
        family = replace(family, prior=given["prior"])
    return WithNoise(family) if given["noise"] else family


def weighting_of(word: str) -> Weighting:
    """Read a weighting: a word, or a concentration."""
    from mixtura.weighting import find_weighting

    try:
        return find_weighting(float(word))
    except ValueError:
        return find_weighting(word)


def _write(console: Console, fitted: Fitted, source: DataSource, given: dict[str, Any]) -> None:
    """Write the labelled rows and the model; neither appears if one fails."""
    from mixtura import modelfile
    from mixtura.cli.console import text_on

    force, labelled = given["force"], given["labelled"]
    with ExitStack() as files:
        if labelled is not None:
            file = files.enter_context(modelfile.replacing(labelled, force=force))
            stream = files.enter_context(text_on(file))
            _write_labelled(stream, fitted, source, given)
        if given["output"] is not None:
            modelfile.save(given["output"], fitted, force=force)
    for name, what in (("labelled", "labelled rows"), ("output", "model")):
        if given[name] is not None:
            console.saved(given[name], what)


def _write_labelled(
    stream: TextIO, fitted: Fitted, source: DataSource, given: dict[str, Any]
) -> None:
    from mixtura.cli.rows import CsvRows, column_cells
    from mixtura.cli.scores import score_columns, score_rows
    from mixtura.executor import thread_count

    what = ["label", "uncertainty", "log_density"]
    n_threads = thread_count(given["threads"])
    own = score_columns(what, fitted.mixture.n_components, as_json=False)
    names = [f"input_{name}" if name in own else name for name in fitted.columns]
    writer = CsvRows(stream, [*names, *own], raw_text=given["raw_text"])
    for block in source.blocks():
        scores = score_rows(fitted.mixture, block.X, what, n_threads, as_json=False)
        if fitted.levels:
            columns = column_cells(fitted, block.X, guard=not given["raw_text"])
            rows: Iterator[list[Any]] = map(list, zip(*columns, strict=True))
        else:
            rows = (row.tolist() for row in block.X)
        writer.write(row + score for row, score in zip(rows, scores, strict=True))
