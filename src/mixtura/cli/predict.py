"""``mixtura predict``: what a model says about each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from mixtura.cli import options
from mixtura.cli.console import Console
from mixtura.errors import DataError, MixturaWarning, UsageError

if TYPE_CHECKING:
    from mixtura.classify import Classifier
    from mixtura.fitting import Fitted
    from mixtura.source import DataSource
    from mixtura.source.files import DataFile

_WHAT = "label,probabilities,uncertainty,log_density"


@click.command("predict")
@click.argument("model")
@click.argument("data", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", help="Write to a file instead.")
@click.option(
    "--what", type=options.Names(), default=_WHAT, show_default=True, help="What to write."
)
@click.option("--keep", type=options.Names(), default=None, help="Columns of DATA to copy.")
@options.missing
@options.threads
@options.force
@options.raw_text
@options.common
def command(
    console: Console,
    model: str,
    data: tuple[str, ...],
    output: str | None,
    what: list[str],
    keep: list[str] | None,
    missing: str,
    threads: int | None,
    force: bool,
    raw_text: bool,
) -> None:
    """Label (counted from 0), probabilities, uncertainty and log-density of every row.

    MODEL comes from "mixtura fit", "select" or "classify"; its columns are found in
    DATA by their names. A classifier's labels are names of classes, empty where it
    declines, and its probabilities are those of classes. Uncertainty is 1 - the largest
    probability; the log-density is in nats.
    All rows are looked at before the first result is written.
    """
    from mixtura import modelfile
    from mixtura.classify import Classifier
    from mixtura.cli.rows import row_writer, rows_of
    from mixtura.cli.scores import WHAT, score_columns
    from mixtura.executor import thread_count
    from mixtura.source import as_source

    unknown = [word for word in what if word not in WHAT]
    if unknown:
        raise UsageError.option("--what", f"'{unknown[0]}' is none of {', '.join(WHAT)}")
    n_threads = thread_count(threads)
    if output not in (None, "-"):
        modelfile.check_target(output, force=force)
    found = modelfile.load_any(model)
    fitted = found.fitted if isinstance(found, Classifier) else found
    classes = found.classes if isinstance(found, Classifier) else ()
    rows = rows_of(data)
    with console.listening():
        source = as_source(rows, columns=list(fitted.columns), levels=fitted.levels or None)
        _look(fitted, source, rows, missing)
    n_components, as_json = fitted.mixture.n_components, console.as_json
    own = score_columns(what, n_components, as_json=as_json, classes=classes)
    columns = [f"input_{name}" if name in own else name for name in keep or []] + own
    head: dict[str, Any] = {"schema": "mixtura.predict/1", "n_components": n_components}
    if classes:
        head["classes"] = list(classes)
    with row_writer(console, output, columns, head, force=force, raw_text=raw_text) as writer:
        kept = _kept(rows, keep, guard=not (raw_text or as_json)) if keep else None
        score = partial(_component_rows, fitted, n_threads, what, as_json)
        if isinstance(found, Classifier):
            score = partial(_class_rows, found, what, as_json, not (raw_text or as_json))
        scored = _Scored(source, kept, score)
        for some in scored.blocks():
            writer.write(some)
    if scored.n_dropped:
        console.warn(str(MixturaWarning.rows_dropped(scored.n_dropped, scored.n_rows)))


def _look(fitted: Fitted, source: DataSource, rows: Any, missing: str) -> None:
    """Refuse what cannot be scored, before anything is written."""
    from mixtura.prepare import check_support
    from mixtura.source import as_source, summarise

    if missing == "error":
        summarise(source, max_distinct=1)
    family = fitted.mixture.family
    if family.bounded:
        kept = as_source(
            rows, columns=list(fitted.columns), missing="drop", levels=fitted.levels or None
        )
        for block in kept.blocks():
            check_support(family, block, kept)


def _kept(
    data: str | DataFile | list[str], names: list[str], *, guard: bool
) -> Iterator[list[Any]]:
    """Cells of the columns to copy, row by row."""
    from mixtura.cli.keep import kept_rows
    from mixtura.cli.rows import guarded

    for row in kept_rows(data, names):
        yield list(map(guarded, row)) if guard else row


def _component_rows(
    fitted: Fitted, n_threads: int, what: list[str], as_json: bool, X: Any
) -> Iterator[list[Any]]:
    from mixtura.cli.scores import score_rows

    return score_rows(fitted.mixture, X, what, n_threads, as_json=as_json)


def _class_rows(
    found: Classifier, what: list[str], as_json: bool, guard: bool, X: Any
) -> Iterator[list[Any]]:
    """Cells of a classifier, whose labels may be text that a spreadsheet would run."""
    from mixtura.cli.rows import guarded
    from mixtura.cli.scores import class_rows

    for cells in class_rows(found, X, what, as_json=as_json):
        yield list(map(guarded, cells)) if guard else cells


class _Scored:
    """Rows of the source with what the model says; rows that are not complete are left out."""

    def __init__(
        self,
        source: DataSource,
        kept: Iterator[list[Any]] | None,
        score: Callable[[Any], Iterator[list[Any]]],
    ) -> None:
        self._source, self._kept, self._score = source, kept, score
        self.n_rows = self.n_dropped = 0

    def blocks(self) -> Iterator[Iterator[list[Any]]]:
        """Cells of the rows, block by block."""
        for block in self._source.blocks():
            yield self._block(block.X)

    def _block(self, X: Any) -> Iterator[list[Any]]:
        from mixtura.source.arrays import finite_rows

        complete = finite_rows(X)
        self.n_rows += len(X)
        self.n_dropped += int((~complete).sum())
        kept: list[list[Any]] | None = None
        if self._kept is not None:
            kept = list(islice(self._kept, len(X)))
            if len(kept) < len(X):
                raise DataError.changed("the data", f"only {len(kept)} of {len(X)} rows came again")
            kept = [row for row, whole in zip(kept, complete, strict=True) if whole]
        X = X if complete.all() else X[complete]
        scores = self._score(X)
        if kept is None:
            yield from scores
        else:
            for row, score in zip(kept, scores, strict=True):
                yield row + score
