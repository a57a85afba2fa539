"""The report of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura import plot
from mixtura.describe import assessment_document, assessment_text, class_document, class_text
from mixtura.reporting.make import Report, gallery, repeat, section
from mixtura.reporting.pictures import figure
from mixtura.webpage import asset, escape, page

if TYPE_CHECKING:
    from mixtura.classify import Assessment, Classifier


def class_report(
    found: Classifier,
    assessed: Assessment | None = None,
    path: str | Path | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Report:
    """Describe a classifier, and what it does with rows that were left out, on one page.

    No value of any single row is in it.

    Parameters
    ----------
    found : Classifier
        A fitted classifier.
    assessed : Assessment, optional
        From `mixtura.cross_classify`: adds its scores, and pictures of confusion and calibration.
    path, settings, force
        As in `report`.
    """
    parts = [section("Model", f"<pre>{_lines(class_text(class_document(found)))}</pre>")]
    if assessed is not None:
        words = assessment_text(assessment_document(assessed))
        parts.append(section("On rows that were left out", f"<pre>{_lines(words)}</pre>"))
        parts.append(section("Pictures", gallery(_pictures(assessed))))
    parts.append(repeat(found.fitted, settings or {}))
    heading = f"Classifier of {len(found.classes)} classes"
    body = f"<h1>{escape(heading)}</h1>\n" + "\n".join(parts)
    result = Report(page(heading, body, style=asset("report.css", "mixtura.reporting")))
    if path is not None:
        result.save(path, force=force)
    return result


def _lines(text: str) -> str:
    return "\n".join(escape(line) for line in text.split("\n"))


def _pictures(assessed: Assessment) -> list[str]:
    """Confusion of the decisions that were made, and calibration, over all repeats."""
    names = np.array([str(name) for name in assessed.classes], dtype=object)
    truth = np.tile(assessed.truth, assessed.n_repeats)
    decided = assessed.decisions.ravel() >= 0
    found: list[str] = []
    if decided.any():
        ax = plot.confusion(
            names[truth[decided]], names[assessed.decisions.ravel()[decided]], classes=list(names)
        )
        found.append(figure(ax, "Decisions by true class, all repeats together", "confusion"))
    P = np.exp(assessed.log_probability).reshape(-1, len(names))
    ax = plot.calibration(names[truth], P, classes=list(names))
    found.append(figure(ax, "Do probabilities say how often a class occurs?", "calibration"))
    return found
