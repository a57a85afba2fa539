"""``mixtura classify``: a density for each class, and how well they tell classes apart."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from mixtura.cli import options
from mixtura.cli.console import Console
from mixtura.cli.rows import place_of, rows_of
from mixtura.cli.select import Sizes
from mixtura.cli.targets import check_targets
from mixtura.errors import DataError, NotConvergedError, UsageError

if TYPE_CHECKING:
    from mixtura.classify import Assessment, Classifier, ClassSpec
    from mixtura.executor import Executor
    from mixtura.source import DataSource

#: What -k auto stands for.
AUTO = (1, 2, 3, 4, 5)

SCHEMA = "mixtura.classify/1"


class ClassSizes(click.ParamType):  # type: ignore[type-arg]
    """Components of classes: auto, 2, 1:5, or setosa=1,virginica=2."""

    name = "auto|2|1:5|A=1,B=2"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int] | dict[str, int]:
        """Read numbers to choose from, or one number for each class."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        if value == "auto":
            return list(AUTO)
        if "=" not in value:
            return Sizes().convert(value, param, ctx)
        return {name: int(n) for name, n in _pairs(value, click.INT, param, ctx).items()}


class ClassPriors(click.ParamType):  # type: ignore[type-arg]
    """Probabilities of classes: estimated, equal, or a=0.2,b=0.8."""

    name = "estimated|equal|A=0.2,B=0.8"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | dict[str, float]:
        """Read a word, or one number for each class."""
        if not isinstance(value, str) or value in ("estimated", "equal"):
            return value  # type: ignore[no-any-return]
        return _pairs(value, click.FLOAT, param, ctx)


def _pairs(
    value: str, kind: Any, param: click.Parameter | None, ctx: click.Context | None
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in options.Names().convert(value, param, ctx):
        name, sign, number = part.rpartition("=")
        if not sign or not name or name in found:
            kind.fail(f"'{part}' is not of the form CLASS=NUMBER, each class once", param, ctx)
        found[name] = kind.convert(number, param, ctx)
    return found


@click.command("classify")
@click.argument("data", nargs=-1, required=True)
@click.option("--target", required=True, metavar="COL", help="Column of classes; empty: unknown.")
@click.option(
    "-k",
    "--components",
    type=ClassSizes(),
    default="1",
    show_default=True,
    help="Components of each class; auto and ranges are chosen from.",
)
@click.option("-o", "--output", metavar="MODEL", help="Save the classifier, fitted to all rows.")
@click.option(
    "--family",
    type=options.Names(),
    default="gaussian",
    show_default=True,
    help="Families to choose from; mixtura info lists them. Or COLUMN:WORD,COLUMN+COLUMN:WORD.",
)
@click.option(
    "--covariance",
    type=options.Names(),
    help="Shapes to choose from: full (default), tied, diag, spherical, EII ... VVV; auto: all.",
)
@click.option(
    "--coupled/--alone",
    default=None,
    help="What a shape holds in common is common to all classes, or to the components of each. "
    "Default: coupled with -k 1.",
)
@click.option(
    "--criterion",
    type=click.Choice(["bic", "cv"]),
    default="bic",
    show_default=True,
    help="How to choose: BIC, or the density of rows that were left out.",
)
@options.prior
@click.option(
    "--priors",
    type=ClassPriors(),
    default="estimated",
    show_default=True,
    help="Probabilities of the classes.",
)
@click.option(
    "--reject",
    type=click.FloatRange(0.0, 1.0, max_open=True),
    help="Decline where the largest probability is below 1 - REJECT.",
)
@click.option(
    "--outliers",
    type=click.FloatRange(0.0, 1.0, max_open=True),
    help="Decline rows of lower density than this share of the fitted rows.",
)
@click.option("--unlabelled", metavar="VALUE", help="Value of COL that means unknown, too.")
@click.option(
    "--folds", type=click.IntRange(min=2), default=10, show_default=True, help="Folds to assess by."
)
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Rounds with other folds.",
)
@click.option("--no-assessment", is_flag=True, help="Fit only: no cross-validation.")
@options.rows
@options.start("hierarchical", "Starts of a mixture. Default: 1 for hierarchical, else 5.")
@options.tol
@options.max_iter
@options.strict
@options.seed
@click.option("--report", metavar="HTML", help="Write a report: one page, without single rows.")
@options.threads
@options.large
@options.force
@options.common
def command(console: Console, data: tuple[str, ...], **given: Any) -> None:
    """Fit a density or a mixture to each class of DATA, and assess it by cross-validation.

    Confusion matrix, error, log-loss, Brier score and calibration are about rows that
    were left out, with standard errors. Rows of unknown class help to fit, and are not
    counted. With --json all of it is one document on standard output.
    """
    run(console, data, given)


def run(console: Console, data: tuple[str, ...], given: dict[str, Any]) -> None:
    """Do what the options ask for; `mixtura resume` comes in here too."""
    from mixtura import describe, modelfile
    from mixtura.cli.lasting import executor_of
    from mixtura.cli.report import settings_of

    if given["output"] == "-":
        raise UsageError.option("-o", "a file is needed here; predict writes to -")
    check_targets(given, "output")
    with console.listening() as notes:
        source, classes = _opened(console, data, given)
        with executor_of(console, "classify", data, given) as executor:
            found, assessed = _found(source, classes, given, executor)
    own = tuple(dict.fromkeys((*notes, *found.fitted.warnings)))
    found = replace(found, fitted=replace(found.fitted, warnings=own))
    if given["strict"] and not found.fitted.outcome.converged:
        raise NotConvergedError.stopped(found.fitted.n_iter, found.fitted.outcome.value)
    _say(console, found, assessed)
    if given["output"] is not None:
        modelfile.save(given["output"], found, force=given["force"])
        console.saved(given["output"], "classifier")
    if given["report"] is not None:
        from mixtura.reporting import class_report

        settings, path = settings_of(data, given), given["report"]
        class_report(found, assessed, path, settings=settings, force=given["force"])
        console.saved(path, "report")
    if console.as_json:
        facts = None if assessed is None else describe.assessment_document(assessed)
        model = describe.class_document(found)
        console.document({"schema": SCHEMA, "model": model, "assessment": facts})


def _found(
    source: DataSource, classes: list[Any], given: dict[str, Any], executor: Executor
) -> tuple[Classifier, Assessment | None]:
    """The classifier, and how it fares on rows that were left out: one job."""
    from mixtura.classify import cross_classify
    from mixtura.executor import session
    from mixtura.fitting import HELD_BYTES
    from mixtura.source import hold

    source = hold(source, HELD_BYTES)
    spec = _spec(source, classes, given)
    how = {"n_folds": given["folds"], "n_repeats": given["repeats"], "seed": given["seed"]}
    assess = not given["no_assessment"]
    with session(executor, source, spec.job(**how, assess=assess)) as inner:
        spec = replace(spec, executor=inner)
        found = spec.fit(source, classes)
        if not assess:
            return found, None
        with warnings.catch_warnings():  # what they say was said of all rows
            warnings.simplefilter("ignore")
            return found, cross_classify(spec, source, classes, **how)


def _say(console: Console, found: Classifier, assessed: Assessment | None) -> None:
    from mixtura import describe

    if console.as_json or console.quiet:
        for note in found.fitted.warnings:
            console.warn(note)
        return
    console.say(describe.class_text(describe.class_document(found)))
    if assessed is not None:
        console.say("")
        console.say(describe.assessment_text(describe.assessment_document(assessed)))


def _opened(
    console: Console, data: tuple[str, ...], given: dict[str, Any]
) -> tuple[DataSource, list[Any]]:
    """Rows with their classes as labels, and the names of the classes."""
    from mixtura.classify import coded
    from mixtura.cli.lasting import say_plan, within_memory
    from mixtura.families.spec import spec_categories, spec_columns
    from mixtura.source import as_source, read_column

    if data == ("-",) and given.get("checkpoint") is not None:
        raise UsageError.option("--checkpoint", "standard input cannot be read a second time")
    rows = rows_of(data)
    target = given["target"]
    if target in (given["columns"] or ()):
        raise UsageError.option("--columns", f"'{target}' is the target")
    weights = None if given["weights"] is None else read_column(rows, given["weights"])
    values = read_column(rows, target)
    classes, codes = coded(values, _mark(given["unlabelled"], values), weights)
    drop, columns, family = given["drop"], given["columns"], _family(given)
    first = family[0] if isinstance(family, list) else family
    if spec_columns(first) is not None:
        if columns is not None:
            raise UsageError.option("--columns", "--family names the columns already")
        columns = spec_columns(first)
    if columns is None:
        drop = [*(drop or []), target]
    categories = spec_categories(first)
    make = partial(
        as_source, rows, columns=columns, drop=drop, weights=given["weights"], labels=codes,
        missing=given["missing"], levels="all" if categories is None else categories or None,
    )  # fmt: skip
    passes = within_memory(partial(_as_in_passes, make), given)
    source = passes.origin
    if not source.n_features:
        raise DataError.empty("the columns besides the target")
    console.say(
        f"reading  {place_of(data)}: {source.count_rows()} rows, {source.n_features} columns, "
        f"{len(classes)} classes"
    )
    say_plan(console, passes, given)
    return source, classes.tolist()


def _as_in_passes(make: Callable[..., DataSource], **options: Any) -> DataSource:
    """The source as passes see it that need most memory: rows of a class without some fold."""
    from mixtura.source import PickedSource, every_row

    return PickedSource(PickedSource(make(**options), every_row), every_row)


def _mark(word: str | None, values: Any) -> Any:
    """The value that means unknown, in the type of the column."""
    if word is None:
        return "auto"
    if values.dtype.kind not in "iuf":
        return word
    try:
        return float(word)
    except ValueError:
        raise UsageError.option("--unlabelled", f"'{word}' is no number, the target is") from None


def _spec(source: DataSource, classes: list[Any], given: dict[str, Any]) -> ClassSpec:
    from mixtura.classify import ClassSpec, candidates, n_starts
    from mixtura.stopping import Aitken

    family = _family(given)
    shapes: Any = given["covariance"]
    if shapes is not None and ("auto" in shapes or "all" in shapes):
        shapes = "auto"
    found = candidates(family, shapes, source.n_features, given["prior"])
    sizes = _each(given["components"], classes, "-k", lambda n: (n,))
    priors = given["priors"]
    if isinstance(priors, dict):
        priors = tuple(_each(priors, classes, "--priors", float))
        if min(priors) <= 0 or abs(sum(priors) - 1.0) > 1e-6:
            raise UsageError.option("--priors", "they must be > 0 and sum to one")
    coupled = given["coupled"]
    if coupled is None:
        coupled = all(own == (1,) for own in sizes)
    return ClassSpec(
        (found,) * len(classes), sizes, coupled, given["criterion"], 10, priors, given["reject"],
        given["outliers"], given["start"], given["n_init"] or n_starts(given["start"]),
        Aitken(given["tol"]), given["max_iter"], "repair", given["seed"],
    )  # fmt: skip


def _family(given: dict[str, Any]) -> Any:
    """A word, several to choose from, or families of columns."""
    from mixtura.families.spec import parse_family

    words = given["family"]
    if any(":" in word for word in words):
        return parse_family(",".join(words))
    return words if len(words) > 1 else words[0]


def _each(value: Any, classes: list[Any], option: str, make: Any) -> tuple[Any, ...]:
    """One value for each class: of pairs by name, or the same for all."""
    if not isinstance(value, dict):
        return (tuple(value),) * len(classes)
    names = [str(name) for name in classes]
    if set(names) != set(value):
        raise UsageError.option(option, f"needs each class once: {', '.join(names)}")
    return tuple(make(value[name]) for name in names)
