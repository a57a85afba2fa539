"""The choice among candidates: as one plain document for programs, and in words for people."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from mixtura.describe.facts import Document, document, plain
from mixtura.describe.table import shortened, table
from mixtura.errors import printable
from mixtura.families import FAMILIES
from mixtura.families.gaussian.shapes import SHAPES, WORDS

if TYPE_CHECKING:
    from mixtura.selection import Selection

#: Name and version of the document.
CHOICE_SCHEMA = "mixtura.select/1"

#: Candidates that the text shows; of more, those that come first by the rule.
MOST_ROWS = 24
WIDTH = 100

#: What the criteria answer.
ANSWERS = (
    "BIC, AIC, AICc, SABIC and cross-validation answer how good a density is; ICL answers how "
    "many groups there are."
)

_NAMES = {
    "bic": "BIC", "aic": "AIC", "aicc": "AICc", "sabic": "SABIC", "icl": "ICL",
    "icl_entropy": "ICL (entropy)", "cv_log_density": "held-out log-density per row",
}  # fmt: skip


def choice_document(selection: Selection) -> Document:
    """Everything about a choice as plain JSON values; numbers that are not finite become None.

    Parameters
    ----------
    selection : Selection
        From `mixtura.select`.

    Returns
    -------
    dict
        ``table`` holds one object per candidate, with the columns of the frame; ``best_row``
        and the places under ``choices`` and ``runner_up`` count from 0; ``best`` is the
        document of the fit. Of the criteria smaller is better, of ``cv_log_density`` larger.
    """
    rows = selection.candidates
    names = list(rows.columns)
    facts = {
        "schema": CHOICE_SCHEMA,
        "rule": selection.rule.name,
        "rule_text": selection.rule.words,
        "question": selection.rule.question,
        "n_rows": rows.n_rows,
        "sum_of_weights": rows.mass,
        "validation": selection.validation or None,
        "passes": selection.passes_,
        "seconds": selection.seconds,
        "table": [
            dict(zip(names, values, strict=True))
            for values in zip(*rows.columns.values(), strict=True)
        ],
        "best_row": selection.best_row_,
        "runner_up": _runner_up(selection),
        "choices": selection.choices,
        "answers": ANSWERS,
        "hints": _hints(selection),
        "not_tried": _not_tried(selection),
        "warnings": selection.warnings,
        "best": document(selection.fitted),
    }
    return {name: plain(value) for name, value in facts.items()}


def choice_text(facts: Document) -> str:
    """Table and words for people, at most 100 characters wide.

    Parameters
    ----------
    facts : dict
        From `choice_document`.

    Returns
    -------
    str
        Lines without a final line break.
    """
    best, row = facts["best_row"], facts["table"][facts["best_row"]]
    lines = [*_candidates(facts), ""]
    note = [f"{_name(row)} by {facts['rule']}: {facts['rule_text']}"]
    paragraphs = [("chosen", note)]
    other = facts["runner_up"]
    if other is not None:
        paragraphs.append(
            ("runner-up", [f"{_name(facts['table'][other['row']])}: {other['text']}"])
        )
    chosen = {name: _name(facts["table"][i]) for name, i in facts["choices"].items() if i != best}
    if chosen:
        by = ", ".join(f"{name} {candidate}" for name, candidate in chosen.items())
        paragraphs.append(("others", [f"other rules choose: {by}"]))
    else:
        paragraphs.append(("others", ["all rules that could be asked choose the same"]))
    paragraphs.append(("answers", [facts["answers"]]))
    paragraphs.append(("hint", facts["hints"]))
    failed = [row for row in facts["table"] if row["reason"]]
    reasons = [f"{_name(row)}: {row['reason']}" for row in failed[:3]]
    if failed:
        more = [f"{len(failed) - 3} more, see the table"] if len(failed) > 3 else []
        paragraphs.append(("no fit", [*reasons, *more]))
    paragraphs.append(("not tried", ["; ".join(facts["not_tried"])] if facts["not_tried"] else []))
    paragraphs.append(("passes", [f"{facts['passes']} over the data, all fits together"]))
    paragraphs.append(("warning", facts["warnings"]))
    for head, texts in paragraphs:
        for words in texts:
            lines += textwrap.wrap(
                printable(words), WIDTH, initial_indent=f"{head:<11}", subsequent_indent=" " * 11
            )
    return "\n".join(lines)


def _name(row: Document) -> str:
    kind = row["family"] if row["covariance"] is None else row["covariance"]
    return f"{kind} {row['n_components']}"


def _candidates(facts: Document) -> list[str]:
    """The table, or the first candidates by the rule where it is long."""
    rows = facts["table"]
    places = list(range(len(rows)))
    if len(rows) > MOST_ROWS:
        column = _column(facts["rule"])
        sign = -1.0 if column == "cv_log_density" else 1.0
        known = [i for i in places if rows[i][column] is not None]
        places = sorted(known, key=lambda i: sign * rows[i][column])[: MOST_ROWS // 2]
        if facts["best_row"] not in places:
            places.append(facts["best_row"])
    held_out = any(row["cv_log_density"] is not None for row in rows)
    named = len({row["family"] for row in rows}) > 1 or rows[0]["covariance"] is None
    heads = ["K", *(["family"] if named else []), "covariance", "log-likelihood", "df", "BIC*"]
    heads += ["ICL*", *(["CV/row", "SE"] if held_out else []), ""]
    cells = [heads]
    for i in places:
        row = rows[i]
        line = [str(row["n_components"]), *([shortened(row["family"])] if named else [])]
        line += [row["covariance"] or "-", _number(row["log_likelihood"], 3)]
        line += [_number(row["n_free"], 0), _number(row["bic"], 2), _number(row["icl"], 2)]
        if held_out:
            line += [_number(row["cv_log_density"], 4), _number(row["cv_se"], 4)]
        cells.append([*line, _mark(facts, i)])
    lines = [line.rstrip() for line in table(cells, indent=" ")]
    foot = "* smaller is better" + ("; CV/row: held-out log-density, larger is better" * held_out)
    if len(places) < len(rows):
        foot += f"; the best {len(places)} of {len(rows)} candidates are shown"
    return [*lines, foot]


def _mark(facts: Document, i: int) -> str:
    if i == facts["best_row"]:
        return "<- chosen"
    if facts["runner_up"] is not None and i == facts["runner_up"]["row"]:
        return "runner-up"
    return "no fit" if facts["table"][i]["reason"] else ""


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _column(rule: str) -> str:
    return "cv_log_density" if rule.startswith("cv") else rule.replace("-", "_")


def _runner_up(selection: Selection) -> Document | None:
    """The best of the others, and how close it is."""
    place = selection.runner_up
    if place is None:
        return None
    rows, best = selection.candidates, selection.best_row_
    column = selection.rule.column
    values = rows.columns[column]
    gap, error = values[place] - values[best], None
    if selection.rule.is_cross_validated:
        gap, error = rows.difference(best, place)
        side = "less" if gap >= 0 else "more"
        size = f"{abs(gap):.4f} {side} than the chosen one, standard error of the difference"
        words = f"{_NAMES[column]} {size} {error:.4f}"
        near = abs(gap) <= 2 * error
        words += ": too close to tell" if near else ""
    else:
        words = f"{_NAMES[column]} larger by {gap:.2f}"
        if column == "bic":
            words += f" (evidence for the chosen one: {strength(gap)})"
    return {"row": place, "difference": gap, "standard_error": error, "text": words}


def strength(gap: float) -> str:
    """Kass and Raftery's (1995) words for a difference of BIC.

    Examples
    --------
    >>> strength(1.5), strength(30.0)
    ('hardly worth mentioning', 'very strong')
    """
    for limit, words in ((2.0, "hardly worth mentioning"), (6.0, "positive"), (10.0, "strong")):
        if gap < limit:
            return words
    return "very strong"


def _hints(selection: Selection) -> list[str]:
    """What a person should make of the choices side by side."""
    rows, hints = selection.candidates.rows, []
    sizes = {name: rows[place].n_components for name, place in selection.choices.items()}
    if sizes["bic"] > sizes["icl"]:
        hints.append(
            f"BIC takes {sizes['bic']} components where ICL sees {sizes['icl']} group(s): a group "
            "that is not of the family's form is described by several components, which "
            "overlap. They are a good density, not as many groups."
        )
    tried = sorted({row.n_components for row in rows if row.mixture is not None})
    if selection.best.n_components == tried[-1] and len(tried) > 1:
        hints.append(
            f"the choice has {tried[-1]} components, the most that were tried: more may be better"
        )
    slow = sum(row.mixture is not None and not row.converged for row in rows)
    if slow:
        hints.append(
            f"{slow} candidate(s) had not converged when their iterations ran out, see the column "
            "'converged'"
        )
    return hints


def _not_tried(selection: Selection) -> list[str]:
    """What the table cannot tell."""
    rows = selection.candidates.rows
    families = {row.model.name for row in rows}
    missing = []
    if "gaussian" in families:
        shapes = {
            WORDS.get(row.model.covariance or "", row.model.covariance)
            for row in rows
            if row.model.name == "gaussian"
        }
        d = rows[0].model.family.n_features
        all_shapes: Any = SHAPES if d > 1 else ("EII", "VII")
        left = [shape for shape in all_shapes if shape not in shapes]
        if left:
            missing.append(f"covariance shapes {', '.join(left)}")
    others = [name for name in FAMILIES if name not in families]
    if others:
        missing.append(f"families {', '.join(others)}")
    missing.append(f"more than {max(row.n_components for row in rows)} components")
    if not selection.validation:
        missing.append("cross-validation")
    return missing
