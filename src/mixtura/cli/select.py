"""``mixtura select``: which number of components, which shape, which family."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from mixtura.cli import options
from mixtura.cli.console import Console
from mixtura.cli.targets import check_targets
from mixtura.errors import NotConvergedError, UsageError

if TYPE_CHECKING:
    from mixtura.executor import Executor
    from mixtura.selection import Selection
    from mixtura.source import DataSource

#: More numbers of components than anybody means.
MOST_SIZES = 1000


class Sizes(click.ParamType):  # type: ignore[type-arg]
    """Numbers of components: 3, 1:9, 1-9, 1,2,5, or several of these with commas."""

    name = "1:9"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        """Read numbers and ranges, both ends included."""
        if isinstance(value, list):
            return value
        sizes: list[int] = []
        for part in value.split(","):
            found = re.fullmatch(r"\s*(\d{1,9})\s*(?:[:-]\s*(\d{1,9})\s*)?", part)
            first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
            if not 1 <= first <= last:
                self.fail(f"'{value}' is not of the form 1:9, 1-9 or 1,2,5", param, ctx)
            if last - first >= MOST_SIZES:
                self.fail(f"'{part}' stands for more than {MOST_SIZES} numbers", param, ctx)
            sizes.extend(range(first, last + 1))
        return sorted(set(sizes))


@click.command("select")
@click.argument("data", nargs=-1, required=True)
@click.option(
    "-k",
    "--components",
    type=Sizes(),
    default="1:9",
    show_default=True,
    help="Numbers of components to try: 1:9, 1-9 or 1,2,5.",
)
@click.option("-o", "--output", metavar="MODEL", help="Save the chosen model, fitted to all rows.")
@click.option("--table", metavar="CSV", help="Write the table of all candidates; - for stdout.")
@click.option(
    "--family",
    type=options.Names(),
    default="gaussian",
    show_default=True,
    help="Families to try, such as gamma,lognormal; mixtura info lists them.",
)
@click.option(
    "--covariance",
    type=options.Names(),
    default="full",
    show_default=True,
    help="Shapes to try: full, tied, diag, spherical, mclust's names EII ... VVV, or all.",
)
@click.option(
    "--criterion",
    help="bic (default), icl, icl-entropy, aic, aicc, sabic or cv. BIC, AIC and cv ask how "
    "good the density is, ICL how many groups there are.",
)
@click.option(
    "--rule",
    help="min: the best (default); 1se: with cv, the simplest within one standard error; or in "
    "one word: bic, icl, cv, cv-1se ...",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    help="Folds of cross-validation, default 10; Monte-Carlo splits hold out one of so many "
    "parts, default 2. Given without cv, scores stand beside the other criteria.",
)
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    help="Rounds with other folds, default 1; or Monte-Carlo splits, default 20.",
)
@click.option(
    "--splits",
    type=click.Choice(["v-fold", "monte-carlo"]),
    default="v-fold",
    show_default=True,
    help="Hold out every fold in turn, or random parts.",
)
@options.prior
@options.weighting
@options.rows
@options.start("auto", "Starts of every fit. Default: 3.")
@click.option(
    "--tol",
    type=click.FloatRange(min=0.0),
    help="Runs end when the projected remaining gain is below this, in nats per row. Default: "
    "0.003 nats over all rows, but from 1e-7 to 1e-5 per row.",
)
@options.max_iter
@options.strict
@options.seed
@options.threads
@options.large
@options.report
@options.force
@options.common
def command(console: Console, data: tuple[str, ...], **given: Any) -> None:
    """Fit all candidates to DATA, compare them, and choose one.

    Candidates are all numbers of components with all shapes or families. The
    table and what it means are printed on standard error; with --json all of
    it is one document on standard output.
    """
    run(console, data, given)


def run(console: Console, data: tuple[str, ...], given: dict[str, Any]) -> None:
    """Do what the options ask for; `mixtura resume` comes in here too."""
    from mixtura import describe
    from mixtura.cli.fit import opened
    from mixtura.cli.lasting import executor_of
    from mixtura.cli.report import write_report

    if given["output"] == "-":
        raise UsageError.option("-o", "a file is needed here")
    if given["table"] == "-" and console.as_json:
        raise UsageError.option("--table", "--json writes to standard output too; name a file")
    check_targets(given, "output", "table")
    with console.listening() as notes:
        source = opened(console, data, given)
        with executor_of(console, "select", data, given) as executor:
            selection = _selected(source, given, executor)
    if given["strict"] and not selection.fitted.outcome.converged:
        raise NotConvergedError.stopped(selection.fitted.n_iter, selection.fitted.outcome.value)
    facts = describe.choice_document(selection)
    facts["warnings"] = list(dict.fromkeys([*notes, *facts["warnings"]]))
    if console.as_json or console.quiet:
        for note in facts["warnings"]:
            console.warn(note)
    else:
        console.say(describe.choice_text(facts))
    _write(console, selection, given)
    if given.get("report") is not None:
        write_report(console, selection.fitted, source, data, given, selection=selection)
    if console.as_json:
        console.document(facts)


def _selected(source: DataSource, given: dict[str, Any], executor: Executor) -> Selection:
    from mixtura.cli.fit import weighting_of
    from mixtura.selection import select

    return select(
        source,
        given["components"],
        given["covariance"],
        family=given["family"],
        rule=given["rule"],
        criterion=given["criterion"],
        n_folds=given["folds"],
        repeats=given["repeats"],
        splits=given["splits"],
        prior=given["prior"],
        weighting=weighting_of(given["weighting"]),
        start=given["start"],
        **({} if given["n_init"] is None else {"n_starts": given["n_init"]}),
        tol=given["tol"],
        max_iter=given["max_iter"],
        seed=given["seed"],
        executor=executor,
    )


def _write(console: Console, selection: Selection, given: dict[str, Any]) -> None:
    """Write the table and the model; neither appears if one fails."""
    from contextlib import ExitStack

    from mixtura import modelfile
    from mixtura.cli.console import text_on

    force, table = given["force"], given["table"]
    with ExitStack() as files:
        if table == "-":
            _write_table(files.enter_context(console.data()), selection)
        elif table is not None:
            file = files.enter_context(modelfile.replacing(table, force=force))
            _write_table(files.enter_context(text_on(file)), selection)
        if given["output"] is not None:
            modelfile.save(given["output"], selection.fitted, force=force)
    for name, what in (("table", "table"), ("output", "model")):
        if given[name] not in (None, "-"):
            console.saved(given[name], what)


def _write_table(stream: Any, selection: Selection) -> None:
    from mixtura.cli.rows import CsvRows, csv_cell

    columns = selection.candidates.columns
    writer = CsvRows(stream, list(columns))
    writer.write([csv_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
