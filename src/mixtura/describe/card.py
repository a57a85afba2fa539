"""A fit as a card for notebooks."""

from __future__ import annotations

import numpy as np

from mixtura.describe.facts import document
from mixtura.describe.page import component_table, notes, title
from mixtura.fitting import Fitted
from mixtura.stats import Array
from mixtura.webpage import escape

#: What a card shows at most.
MOST_COMPONENTS, MOST_NUMBERS = 12, 9

_CARD = (
    "border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:.6em .9em;margin:.3em 0;"
    "max-width:60em;overflow-x:auto;font-size:90%;line-height:1.45"
)
_CELL = "padding:.1em .6em;text-align:right;white-space:nowrap"


def card(fitted: Fitted) -> str:
    """HTML with the criteria, the components, the path to convergence, and warnings.

    Parameters
    ----------
    fitted : Fitted
        A fit.

    Returns
    -------
    str
        HTML that takes the colours of its surroundings; names are escaped.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import Poisson
    >>> from mixtura.fitting import fit_mixture
    >>> from mixtura.source import as_source
    >>> fitted = fit_mixture(Poisson(1), as_source(np.array([[1.0], [3.0]])), 1)
    >>> "one Poisson density" in card(fitted)
    True
    """
    facts = document(fitted)
    numbers = ", ".join(
        f"{name} {facts[key]:.3f}"
        for name, key in (("log-likelihood", "log_likelihood"), ("BIC", "bic"), ("ICL", "icl"))
        if facts[key] is not None
    )
    head, lines = component_table(facts)
    shown = [line[:MOST_NUMBERS] for line in lines[:MOST_COMPONENTS]]
    more = [
        f"{count} more {kind}"
        for count, kind in (
            (len(lines) - len(shown), "components"), (len(head) - MOST_NUMBERS, "numbers each")
        )
        if count > 0
    ]  # fmt: skip
    parts = [
        f"<strong>{escape(title(facts))}</strong>",
        f"<div>{facts['n_rows']} rows; {numbers}; smaller BIC and ICL are better</div>",
        _table(head[:MOST_NUMBERS], shown),
        f"<div>... and {', '.join(more)}</div>" if more else "",
        f"<div>{_line(fitted.trace.objective)} {escape(facts['outcome_text'])}"
        f" ({facts['n_iter']} iterations)</div>",
        *(f"<div>{escape(note)}</div>" for note in notes(facts)),
    ]
    return f'<div class="mixtura-card" style="{_CARD}">{"".join(parts)}</div>'


def _table(head: list[str], lines: list[list[str]]) -> str:
    def row(cells: list[str], tag: str) -> str:
        made = "".join(f'<{tag} style="{_CELL}">{escape(cell)}</{tag}>' for cell in cells)
        return f"<tr>{made}</tr>"

    body = row(head, "th") + "".join(row(line, "td") for line in lines)
    return f'<table style="border-collapse:collapse;margin:.4em 0">{body}</table>'


def _line(objective: Array) -> str:
    """The path of the objective as a small line; nothing where there was no iteration."""
    if len(objective) < 2 or not np.isfinite(objective).all():
        return ""
    width, height = 90.0, 18.0
    low, high = float(objective.min()), float(objective.max())
    x = np.linspace(1.0, width - 1.0, len(objective))
    y = height - 2.0 - (height - 4.0) * (objective - low) / ((high - low) or 1.0)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return (
        f'<svg width="{width:g}" height="{height:g}" style="vertical-align:middle" role="img" '
        f'aria-label="log-likelihood by iteration"><polyline points="{points}" fill="none" '
        'stroke="currentColor" stroke-width="1.3"/></svg>'
    )
