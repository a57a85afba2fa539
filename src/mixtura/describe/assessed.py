"""How good a classifier is: a plain document for programs, tables for people."""

from __future__ import annotations

import textwrap

import numpy as np

from mixtura.classify import Assessment, Score
from mixtura.describe.facts import Document, plain
from mixtura.describe.page import WIDTH
from mixtura.describe.table import shortened, table

#: Tables with more classes than this are in the document only.
MOST_CLASSES = 12


def assessment_document(found: Assessment) -> Document:
    """Everything about an assessment as plain JSON values.

    Shares are fractions, losses in nats per row, and every score has its standard error.

    Examples
    --------
    >>> from mixtura.classify import ClassSpec, cross_classify
    >>> from mixtura.families import Poisson
    >>> from mixtura.source import as_source
    >>> source = as_source([[1.0], [2.0], [9.0], [8.0]], labels=[0, 0, 1, 1])
    >>> spec = ClassSpec(families=((Poisson(1),),) * 2, sizes=((1,),) * 2)
    >>> facts = assessment_document(cross_classify(spec, source, ["few", "many"], n_folds=2))
    >>> facts["error"], facts["confusion"]
    ({'value': 0.0, 'standard_error': 0.0}, [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    """
    scores = {
        "error": found.error,
        "declined": found.declined,
        "error_of_decided": found.error_of_decided,
        "log_loss": found.log_loss,
        "brier": found.brier,
    }
    facts = {
        "n_folds": found.n_folds,
        "n_repeats": found.n_repeats,
        "n_rows": found.n_rows,
        "sum_of_weights": found.mass,
        "n_stopped": found.n_stopped,
        **{name: score._asdict() for name, score in scores.items()},
        "classes": found.classes,
        "confusion": found.confusion,
        "calibration": [
            {**one._asdict(), "right": one.right._asdict()} for one in found.calibration
        ],
    }
    return {name: plain(value) for name, value in facts.items()}


def assessment_text(facts: Document) -> str:
    """Tables of an assessment for people, at most 100 characters wide.

    Parameters
    ----------
    facts : dict
        From `assessment_document`.
    """
    rounds = f", {facts['n_repeats']} times" if facts["n_repeats"] > 1 else ""
    lines = [f"{facts['n_folds']}-fold cross-validation{rounds}, {facts['n_rows']} rows", ""]
    rows = [["", "", "s.e."], _percent("error", facts["error"])]
    if facts["declined"]["value"] > 0:
        rows.append(_percent("declined", facts["declined"]))
        rows.append(_percent("error of decided", facts["error_of_decided"]))
    rows += [
        [name, *(_number(own[key]) for key in ("value", "standard_error"))]
        for name, own in (("log-loss (nats)", facts["log_loss"]), ("Brier score", facts["brier"]))
    ]
    lines += [*table(rows), "", *_confusion(facts), "", *_calibration(facts)]
    if facts["n_stopped"]:
        words = f"warning: {facts['n_stopped']} fit(s) without a fold stopped before convergence"
        lines += ["", *textwrap.wrap(words, WIDTH, subsequent_indent="  ")]
    return "\n".join(line.rstrip() for line in lines)


def _percent(name: str, score: Document) -> list[str]:
    own = Score(**{key: np.nan if one is None else one for key, one in score.items()})
    return [name, f"{100 * own.value:.2f} %", f"{100 * own.standard_error:.2f}"]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _confusion(facts: Document) -> list[str]:
    names = [shortened(str(name)) for name in facts["classes"]]
    if len(names) > MOST_CLASSES:
        return [f"confusion of {len(names)} classes: with --json"]
    spread = [[f"{cell:.6g}" for cell in row] for row in facts["confusion"]]
    declined = facts["declined"]["value"] > 0
    head = ["true \\ decided", *names, *(["declined"] if declined else [])]
    rows = [[name, *cells[: len(head) - 1]] for name, cells in zip(names, spread, strict=True)]
    return [line[:WIDTH] for line in table([head, *rows])]


def _calibration(facts: Document) -> list[str]:
    head = ["probability of the decision", "rows", "said", "right", "s.e."]
    rows = [
        [
            f"{one['low']:.1f} to {one['high']:.1f}", f"{one['rows']:.6g}", f"{one['said']:.3f}",
            _short(one["right"]["value"]), _short(one["right"]["standard_error"]),
        ]
        for one in facts["calibration"]
    ]  # fmt: skip
    return table([head, *rows])


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
