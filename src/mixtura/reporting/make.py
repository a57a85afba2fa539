"""The report: from a model and its data to one page."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import mixtura
from mixtura import _kernel
from mixtura.describe import Document, component_table, document, notes, title
from mixtura.describe.table import shortened
from mixtura.errors import UsageError
from mixtura.executor import Executor, Local
from mixtura.fitting import Fitted
from mixtura.plot.given import Model, Rows, model_of, rows_of, source_of
from mixtura.reporting.pictures import figure, pictures
from mixtura.reporting.profile import ColumnProfile, profile_of
from mixtura.reporting.words import doubt_of, sentences
from mixtura.webpage import asset, escape, page, table

#: Rows that the tables of rows show.
ROWS_SHOWN = 8

#: Columns that tables of rows and of parameters show.
COLUMNS_SHOWN = 12

_HEADS = {
    "n_components": "components", "cv_log_density": "held-out log-density", "cv_se": "s.e.",
    "bic": "BIC", "icl": "ICL", "n_free": "free parameters", "reason": "why not",
}  # fmt: skip

_PACKAGES = ("numpy", "scipy", "scikit-learn", "matplotlib")


@dataclass(frozen=True)
class Report:
    """A page about a fit; it shows itself in a notebook.

    Attributes
    ----------
    html : str
        The whole page.
    """

    html: str

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the page.

        Raises
        ------
        UsageError
            The file exists and `force` is False, or its folder does not exist.
        """
        from mixtura.modelfile import replacing

        with replacing(path, force=force) as file:
            file.write(self.html.encode("utf-8", "replace"))

    def _repr_html_(self) -> str:
        from mixtura.webpage import framed

        return framed(self.html)


def report(
    model: Any,
    data: Any = None,
    path: str | Path | None = None,
    *,
    rows: bool = True,
    selection: Any = None,
    settings: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    force: bool = False,
) -> Report:
    """Describe a fit on one page: words, tables, pictures, warnings, data, settings, versions.

    Parameters
    ----------
    model : estimator or Fitted
        A fitted model.
    data : array, frame, path or DataSource, optional
        Rows; without them there are no profile of the data and fewer pictures.
    path : str or Path, optional
        Write the page there.
    rows : bool, default=True
        Show single rows: points in pictures, and tables of those that fit worst
        and are least certain. False: no value of any single row is in the page,
        but for the smallest and largest of each column.
    selection : Selection, optional
        The search that chose the model, from `mixtura.select`.
    settings : mapping, optional
        What is needed to repeat the fit, such as the command line and the seed.
    executor : Executor, optional
        Where blocks of data are processed.
    force : bool, default=False
        Replace a file that exists.

    Returns
    -------
    Report

    Raises
    ------
    UsageError
        `model` is no fit, or matplotlib is not installed.
    DataError
        The rows do not suit the model.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture, report
    >>> X = np.random.default_rng(0).normal(size=(60, 1))
    >>> "one Gaussian" in report(GaussianMixture().fit(X), X).html
    True
    """
    if path is not None:
        from mixtura.modelfile import check_target

        check_target(path, force=force)
    seen = model_of(model)
    if seen.fitted is None:
        raise UsageError.argument("model", type(model).__name__, "a fit, with its log-likelihood")
    facts = document(seen.fitted)
    executor = executor or Local()
    given = _Given.of(seen, data, executor)
    parts = [
        _words(facts, seen, given, executor),
        _warnings(facts),
        _parameters(facts),
        _chosen(selection),
        section("Pictures", gallery(pictures(seen.fitted, given.rows, show_rows=rows))),
        _rows(seen, given.rows) if rows else "",
        _data(seen, given.profile),
        repeat(seen.fitted, settings or {}),
    ]
    heading = title(facts)
    body = f"<h1>{escape(heading)}</h1>\n" + "\n".join(filter(None, parts))
    result = Report(page(heading, body, style=asset("report.css", "mixtura.reporting")))
    if path is not None:
        result.save(path, force=force)
    return result


@dataclass(frozen=True, eq=False)
class _Given:
    """The data, as far as there are any."""

    source: Any = None
    rows: Rows | None = None
    profile: ColumnProfile | None = None

    @classmethod
    def of(cls, seen: Model, data: Any, executor: Executor) -> _Given:
        if data is None:
            return cls()
        source = source_of(seen, data)
        return cls(source, rows_of(source), profile_of(source, executor))


def section(heading: str, body: str) -> str:
    """Make a part of the page under its heading; nothing of nothing."""
    return f"<section><h2>{escape(heading)}</h2>\n{body}</section>" if body else ""


def _list(lines: list[str], kind: str = "") -> str:
    items = "".join(f"<li>{escape(line)}</li>\n" for line in lines)
    return f'<ul class="{kind}">\n{items}</ul>'


def _words(facts: Document, seen: Model, given: _Given, executor: Executor) -> str:
    doubt = None
    if given.source is not None and facts["n_components"] > 1:
        doubt = doubt_of(seen.mixture, given.source, executor)
    return "".join(f"<p>{escape(line)}</p>\n" for line in sentences(facts, doubt))


def _warnings(facts: Document) -> str:
    lines = notes(facts)
    if not lines:
        return section("Warnings", "<p>None.</p>")
    return section("Warnings", _list(lines, "warnings"))


def _parameters(facts: Document) -> str:
    names = ["log-likelihood", "rows", "free parameters", "BIC", "AIC", "ICL"]
    cells = [f"{facts['log_likelihood']:.3f}", facts["n_rows"], facts["n_free"]]
    cells += [f"{facts[name]:.3f}" for name in ("bic", "aic", "icl")]
    criteria = table(names, [cells], "Log-likelihood in nats. Of the criteria smaller is better.")
    head, lines = component_table(facts)
    most = 3 + 2 * COLUMNS_SHOWN
    words = "Parameters in units of the data."
    if len(head) > most:
        words += f" {len(head) - most} more are in the model file."
    return section("Model", criteria + table(head[:most], [line[:most] for line in lines], words))


def _chosen(selection: Any) -> str:
    if selection is None:
        return ""
    from mixtura import plot
    from mixtura.plot.runs import table_of

    columns, best = table_of(selection)
    shown = ("n_components", "covariance", "family", "cv_log_density", "cv_se", "bic", "icl",
             "n_free", "reason")  # fmt: skip
    names = [name for name in shown if name in columns and any(map(_filled, columns[name]))]
    lines = [
        [_number(columns[name][at]) for name in names] + ["chosen" if at == best else ""]
        for at in range(len(columns["n_components"]))
    ]
    picture = figure(plot.selection(selection), "Candidates and the choice", "selection")
    rule = getattr(getattr(selection, "rule", None), "words", "")
    heads = [_HEADS.get(name, name) for name in names]
    text = table([*heads, ""], lines, f"All candidates. {rule}".strip())
    return section("Choice of the model", text + picture)


def _filled(value: Any) -> bool:
    return not (value is None or value == "" or (isinstance(value, float) and math.isnan(value)))


def _number(value: Any) -> str:
    if not _filled(value):
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def gallery(figures: list[str]) -> str:
    """Pictures side by side, as the width allows."""
    return '<div class="gallery">\n' + "\n".join(figures) + "</div>" if figures else ""


def _rows(seen: Model, rows: Rows | None) -> str:
    """The rows that fit worst, and those that are least certain, of the rows looked at."""
    if rows is None:
        return ""
    log_density, R = seen.mixture.posterior(rows.X)
    best = R.argmax(axis=1)
    columns = [shortened(name) for name in seen.columns[:COLUMNS_SHOWN]]
    head = ["row", *columns, "component", "probability", "log-density"]

    def lines(order: Any) -> list[list[object]]:
        return [
            [int(rows.index[i]), *(f"{value:.6g}" for value in rows.X[i, :COLUMNS_SHOWN]),
             int(best[i]), f"{R[i, best[i]]:.3f}", f"{log_density[i]:.3f}"]
            for i in order[:ROWS_SHOWN]
        ]  # fmt: skip

    words = "Rows are counted from 0; log-density in nats."
    parts = [
        table(head, lines(np.argsort(log_density, kind="stable")), f"Least likely rows. {words}")
    ]
    if seen.mixture.n_components > 1:
        doubtful = np.argsort(R.max(axis=1), kind="stable")
        parts.append(table(head, lines(doubtful), "Least certain rows."))
    return section("Rows", "\n".join(parts))


def _data(seen: Model, profile: ColumnProfile | None) -> str:
    if profile is None:
        return ""
    lines = [
        [name, int(profile.n_missing[j]), *(f"{value:.6g}" for value in values)]
        for j, (name, values) in enumerate(
            zip(
                seen.columns,
                zip(profile.low, profile.mean, profile.high, profile.sd, strict=True),
                strict=True,
            )
        )
    ]
    weighted = "" if profile.weight == profile.n_rows else f", weighing {profile.weight:.6g}"
    words = f"{profile.n_rows} rows{weighted}; sd divides by n. Weights do not count here."
    head = ["column", "missing", "smallest", "mean", "largest", "sd"]
    return section("Data", table(head, lines, words if weighted else words.split(" Weights")[0]))


def repeat(fitted: Fitted, settings: Mapping[str, Any]) -> str:
    """Say with what settings and versions a fit was made."""
    family = fitted.mixture.family
    own = {"family": family.name, **family.config()}
    own = {name: value for name, value in own.items() if value not in (None, [], ())}
    lines = [[name, _plain(value)] for name, value in settings.items()]
    made = table(["setting", "value"], lines, "How it was made.") if lines else ""
    model = [[name, _plain(value)] for name, value in own.items()]
    model.append(["columns", ", ".join(map(shortened, fitted.columns))])
    versions = [
        ["mixtura", mixtura.__version__],
        ["kernel", _kernel.variant()],
        ["python", platform.python_version()],
        *([name, metadata.version(name)] for name in _PACKAGES),
        ["platform", platform.platform()],
    ]
    return section(
        "To repeat it",
        made
        + table(["model", "value"], model, "What was fitted.")
        + table(["software", "version"], versions, "What it ran on."),
    )


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        words = ", ".join(map(str, value[:COLUMNS_SHOWN]))
        return words + (", ..." if len(value) > COLUMNS_SHOWN else "")
    return str(value)
