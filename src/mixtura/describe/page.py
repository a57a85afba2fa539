"""The page of text that people read."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from mixtura.describe.facts import Document
from mixtura.describe.table import formats, shortened, table
from mixtura.errors import printable
from mixtura.families.gaussian.shapes import Geometry, Shape, find_shape
from mixtura.stopping import Outcome

#: Greatest width of the text, in characters.
WIDTH = 100

#: What is shown at most; the text says how much it leaves out.
MOST_COMPONENTS = 50
MOST_COLUMNS = 20

#: A component of fewer rows than this nearly repeats these rows.
FEW_ROWS = 5.0


def text(facts: Document) -> str:
    """Summary for people, at most 100 characters wide.

    Parameters
    ----------
    facts : dict
        From `document`.

    Returns
    -------
    str
        Lines without a final line break. Components are counted from 0, as
        labels are.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.describe import document
    >>> from mixtura.families import Poisson
    >>> from mixtura.fitting import fit_mixture
    >>> from mixtura.source import as_source
    >>> fitted = fit_mixture(Poisson(1), as_source(np.array([[1.0], [3.0]]), columns=["x0"]), 1)
    >>> print(text(document(fitted)).splitlines()[0])
    one Poisson density
    """
    if facts["n_components"] == 1:
        body = _one_density(facts)
    else:
        body = _by_rows(facts)
        if max(map(len, body)) > WIDTH or facts["n_features"] > MOST_COLUMNS:
            body = _by_columns(facts)
    lines = [title(facts), *_criteria(facts), "", *body, "", *_closing(facts)]
    return "\n".join(line.rstrip() for line in lines)


def title(facts: Document) -> str:
    """Name of the model in words."""
    family, n_components = facts["family"].capitalize(), facts["n_components"]
    shape = _shape(facts)
    if shape is None and facts["description"] != facts["family"]:
        kind = "one density" if n_components == 1 else f"mixture of {n_components} components"
        return f"{kind}: {shortened(facts['description'], WIDTH - len(kind) - 2)}"
    if shape is None:
        if n_components == 1:
            return f"one {family} density"
        return f"{family} mixture, {n_components} components"
    name = mclust_name(shape, facts["n_features"], n_components)
    if n_components == 1:
        kinds = {Geometry.DIAGONAL: "diagonal", Geometry.SPHERICAL: "spherical"}
        words = f"{kinds.get(shape.geometry, 'full')} covariance"
        return f"one {family}, {words} (mclust name: {name})"
    return f"{family} mixture, {n_components} components, {shape.words} (mclust name: {name})"


def mclust_name(shape: Shape, n_features: int, n_components: int) -> str:
    """Name of the model in R's mclust, which has own names for one column and one component.

    Examples
    --------
    >>> mclust_name(find_shape("full"), 2, 3), mclust_name(find_shape("tied"), 1, 3)
    ('VVV', 'E')
    """
    if n_components == 1:
        kinds = {Geometry.DIAGONAL: "XXI", Geometry.SPHERICAL: "XII"}
        return "X" if n_features == 1 else kinds.get(shape.geometry, "XXX")
    return shape.name[0] if n_features == 1 else shape.name


def _criteria(facts: Document) -> list[str]:
    heads, cells = (
        ["log-likelihood", "rows"],
        [f"{facts['log_likelihood']:.3f}", str(facts["n_rows"])],
    )
    if facts["sum_of_weights"] != facts["n_rows"]:
        heads.append("sum of weights")
        cells.append(f"{facts['sum_of_weights']:.6g}")
    heads += ["df", "BIC*", "AIC*", "ICL*"]
    cells += [str(facts["n_free"]), *(f"{facts[name]:.3f}" for name in ("bic", "aic", "icl"))]
    head, row = table([heads, cells], indent="  ")
    note = "     * smaller is better"
    return [head, row + note] if len(row + note) <= WIDTH else [head, row, note.lstrip()]


def _one_density(facts: Document) -> list[str]:
    """One line per column: estimates and their standard errors."""
    lines: list[str] = []
    for head, group in groupby(_estimates(facts), key=itemgetter(0)):
        names = list(head)
        columns = [["column" if names != [""] else "", *names[:MOST_COLUMNS]]]
        for _, title, values, errors in group:
            pairs = list(zip(values, errors, strict=True))[:MOST_COLUMNS]
            specs = [formats([value], [error]) for value, error in pairs]
            columns.append([title, *(_cell(v, f) for f, (v, _) in zip(specs, pairs, strict=True))])
            columns.append(["s.e.", *(_cell(e, f) for f, (_, e) in zip(specs, pairs, strict=True))])
        lines += table(list(zip(*columns, strict=True))) + _hidden(names)
    correlations = _correlations(facts)
    if correlations is not None:
        lines.insert(
            1 + len(facts["columns"][:MOST_COLUMNS]), f"correlation  {correlations[0]:.3f}"
        )
    return lines


def _estimates(
    facts: Document,
) -> Iterable[tuple[tuple[str, ...], str, list[float], list[float]]]:
    """Names, title, estimates and standard errors of one density."""
    for block in _tables(facts):
        yield tuple(block["names"]), block["title"], block["values"][0], block["errors"][0]


def component_table(facts: Document) -> tuple[list[str], list[list[str]]]:
    """Titles, and the cells of one line per component."""
    columns = _component_columns(facts)
    for block in _tables(facts):
        kind = "" if block["short"] else block["title"]
        for name, cells in zip(block["names"], _cells(block), strict=True):
            head = f"{kind}({name})" if kind and name else kind or name
            columns.append([head, *cells])
    correlations = _correlations(facts)
    if correlations is not None:
        columns.append(["corr", *(f"{value:.3f}" for value in correlations)])
    head, *lines = map(list, zip(*columns, strict=True))
    return head, lines


def _by_rows(facts: Document) -> list[str]:
    """One line per component."""
    head, lines = component_table(facts)
    return table([head, *lines[:MOST_COMPONENTS]], left=False) + _hidden_components(facts)


def _by_columns(facts: Document) -> list[str]:
    """One column per component, in groups that fit the width."""
    n_shown = min(facts["n_components"], MOST_COMPONENTS)
    stubs = ["component", "weight", "eff. rows"]
    cells = [column[1:] for column in _component_columns(facts)]
    hidden: list[str] = []
    for block in _tables(facts):
        names, numbers = block["names"], _cells(block)
        if names == [""]:
            stubs.append(block["title"])
            cells += numbers
            continue
        stubs.append(block["title"])
        cells.append([""] * facts["n_components"])
        stubs += [f"  {name}" for name in names[:MOST_COLUMNS]]
        cells += numbers[:MOST_COLUMNS]
        hidden = max(hidden, _hidden(names), key=len)
    width = 2 + max(len(cell) for row in cells for cell in row[:n_shown])
    group = max(1, (WIDTH - max(map(len, stubs))) // width)
    lines: list[str] = []
    for first in range(0, n_shown, group):
        rows = [
            [stub, *(cell.rjust(width - 2) for cell in row[first : min(first + group, n_shown)])]
            for stub, row in zip(stubs, cells, strict=True)
        ]
        lines += ([""] if lines else []) + table(rows)
    return lines + hidden + _hidden_components(facts)


def _component_columns(facts: Document) -> list[list[str]]:
    """Number, weight and effective rows of every component, each under its title."""
    weights = facts["weights"]
    smallest = min((w for w in weights if w > 0), default=1.0)
    decimals = min(max(4, 1 - math.floor(math.log10(smallest))), 9)
    return [
        ["component", *(str(k) for k in range(len(weights)))],
        ["weight", *(f"{w:.{decimals}f}" for w in weights)],
        ["eff. rows", *(f"{rows:.1f}" for rows in facts["effective_rows"])],
    ]


def _tables(facts: Document) -> list[dict[str, Any]]:
    """Kinds of parameters with values, errors, scales, and a name for each number."""
    columns = [shortened(name) for name in facts["columns"]]
    if facts["tables"] is not None:
        return [
            {**_numeric(block), "names": _number_names(block, columns)} for block in facts["tables"]
        ]
    means, sds, errors = facts["means"], facts["standard_deviations"], facts["standard_errors"]
    of_means = of_sds = None
    if errors is not None:
        # As arrays, since None stands for what is beyond float64.
        of_means = np.array(errors["means"], dtype=float).tolist()
        of_sds = [_errors_of_sds(facts)]
    return [
        {"title": "mean", "names": columns, "values": means, "scales": sds, "errors": of_means,
         "short": True},
        {"title": "sd", "names": columns, "values": sds, "scales": sds, "errors": of_sds,
         "short": False},
    ]  # fmt: skip


def _numeric(block: dict[str, Any]) -> dict[str, Any]:
    """The block with NaN where a component has no such number, or none within float64."""
    numbers = ("values", "errors", "scales")
    return block | {
        name: np.array(block[name], dtype=float).tolist() for name in numbers if block[name]
    }


def _number_names(block: dict[str, Any], columns: list[str]) -> list[str]:
    """Name of each number: its column, its label, or both."""
    labels = [shortened(label) for label in block["labels"]] or [""] * len(block["columns"])
    names = []
    for at, label in zip(block["columns"], labels, strict=True):
        column = "" if at is None else columns[at]
        names.append(f"{column}={label}" if column and label else column or label)
    return names


def _errors_of_sds(facts: Document) -> list[float]:
    """Standard errors of one Gaussian's standard deviations."""
    shape = _shape(facts)
    assert shape is not None
    of_variances = np.array(facts["standard_errors"]["covariances"], dtype=float)
    if not shape.is_shared:
        of_variances = of_variances[0]
    if shape.geometry in (Geometry.DENSE, Geometry.TIED):
        of_variances = np.diagonal(of_variances)
    sds = np.array(facts["standard_deviations"][0])
    # The delta method: d sd = d variance / (2 sd).
    result: list[float] = (np.broadcast_to(of_variances, len(sds)) / (2 * sds)).tolist()
    return result


def _cells(block: dict[str, Any]) -> list[list[str]]:
    """Numbers of all components as text, one list per name."""
    scales = block["scales"] or block["values"]
    result = []
    for values, own in zip(
        zip(*block["values"], strict=True), zip(*scales, strict=True), strict=True
    ):
        spec = formats(values, own)
        result.append([_cell(value, spec) for value in values])
    return result


def _cell(value: float, spec: str) -> str:
    return "-" if math.isnan(value) else format(value, spec)


def _closing(facts: Document) -> list[str]:
    """How the fit ended, and what a person should know."""
    n_iter = facts["n_iter"]
    how = (
        ""
        if facts["outcome"] == Outcome.CLOSED_FORM.name.lower()
        else f"{n_iter} iteration{'s' * (n_iter != 1)}, "
    )
    lines = _wrapped(f"{facts['outcome_text']} ({how}{facts['seconds']:.2g} s)")
    if facts["prior_text"] is not None:
        lines += _wrapped(f"prior: {facts['prior_text']}; estimates are posterior modes")
    if facts["n_components"] > 1 and facts["weighting"] != "free":
        lines += _wrapped(f"weights: {_weighting(facts['weighting'])}")
    for note in notes(facts):
        lines += _wrapped(note)
    return lines if facts["warnings"] else [*lines, "no warnings"]


def notes(facts: Document) -> list[str]:
    """What a person should know: notes, then warnings, one line each."""
    lines = []
    if (facts["log_likelihood"] or 0) > 0:
        lines.append(
            "note: a log-density may exceed 0, since densities, unlike probabilities, exceed 1"
        )
    few = [k for k, rows in enumerate(facts["effective_rows"]) if rows < FEW_ROWS]
    if few:
        listed = ", ".join(map(str, few[:6])) + (
            f" and {len(few) - 6} more" if len(few) > 6 else ""
        )
        lines.append(
            f"note: component {listed} rests on fewer than {FEW_ROWS:g} rows "
            "and nearly repeats them: keep that in mind before sharing the model"
        )
    return lines + [f"warning: {printable(warning)}" for warning in facts["warnings"]]


def _weighting(config: str | float | list[float]) -> str:
    if isinstance(config, str):
        return config
    numbers = config if isinstance(config, list) else [config]
    return f"Dirichlet prior of concentration {', '.join(f'{a:g}' for a in numbers)}"


def _hidden(names: Sequence[str]) -> list[str]:
    """Line about the names that are not shown."""
    rest = len(names) - MOST_COLUMNS
    return [f"... and {rest} more columns (all with --json)"] if rest > 0 else []


def _hidden_components(facts: Document) -> list[str]:
    rest = facts["n_components"] - MOST_COMPONENTS
    return [f"... and {rest} more components (all with --json)"] if rest > 0 else []


def _shape(facts: Document) -> Shape | None:
    name = facts["covariance_name"]
    return None if name is None else find_shape(name)


def _correlations(facts: Document) -> list[float] | None:
    """Correlation of two columns in each component, where the shape has one."""
    shape = _shape(facts)
    if shape is None or facts["n_features"] != 2 or shape.geometry > Geometry.TIED:
        return None
    shared = [facts["covariances"]] * facts["n_components"]
    matrices = np.array(shared if shape.is_shared else facts["covariances"], dtype=float)
    sds = np.array(facts["standard_deviations"])
    result: list[float] = (matrices[:, 0, 1] / sds[:, 0] / sds[:, 1]).tolist()
    return result


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ")
