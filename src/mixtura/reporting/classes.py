"""The report of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixtura.describe import assessment_document, assessment_text, class_document, class_text
from mixtura.plot.judged import calibration_curves, confusion_table
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
    names = [str(name) for name in assessed.classes]
    counts = assessed.scores.counts[:, :-1].astype(int)  # without what was declined
    found: list[str] = []
    if counts.any():
        ax = confusion_table(counts, names)
        found.append(figure(ax, "Decisions by true class, all repeats together", "confusion"))
    ax = calibration_curves(assessed.scores.reliability, names)
    found.append(figure(ax, "Do probabilities say how often a class occurs?", "calibration"))
    return found
