"""What a classifier found: a plain document for programs, a page for people."""

from __future__ import annotations

import textwrap

import numpy as np

from mixtura import criteria
from mixtura.classify import Classifier
from mixtura.describe.facts import Document, plain
from mixtura.describe.page import WIDTH
from mixtura.describe.table import shortened, table
from mixtura.errors import printable
from mixtura.families import Composite
from mixtura.stopping import Outcome

#: Name and version of the document.
CLASSIFIER_SCHEMA = "mixtura.classifier/1"

#: What the criteria of a choice are called.
CRITERIA = {"bic": "BIC", "cv": "CV log-density"}


def class_document(found: Classifier) -> Document:
    """Everything about a classifier as plain JSON values.

    Examples
    --------
    >>> from mixtura.classify import ClassSpec
    >>> from mixtura.families import Poisson
    >>> from mixtura.source import as_source
    >>> spec = ClassSpec(families=((Poisson(1),),) * 2, sizes=((1,),) * 2)
    >>> source = as_source([[1.0], [3.0], [8.0]], labels=[0, 0, 1])
    >>> facts = class_document(spec.fit(source, ["few", "many"]))
    >>> facts["classes"][0]["class"], facts["classes"][0]["means"]
    ('few', [[2.0]])
    """
    fitted, mixture = found.fitted, found.mixture
    facts = {
        "schema": CLASSIFIER_SCHEMA,
        "n_classes": len(found.classes),
        "classes": _classes(found),
        "criterion": found.criterion,
        "scores": found.scores,
        "n_rows": fitted.n_rows,
        "n_features": mixture.n_features,
        "columns": list(fitted.columns),
        "n_components": mixture.n_components,
        "sum_of_weights": fitted.mass,
        "labelled": sum(found.n_known),
        "log_likelihood": fitted.log_likelihood,
        "log_joint_likelihood": found.log_joint_likelihood,
        "n_free": mixture.n_free,
        "bic": criteria.bic(found.log_joint_likelihood, mixture.n_free, fitted.mass),
        "reject": found.reject,
        "outlier_density": found.outlier_density,
        "outcome": fitted.outcome.name.lower(),
        "outcome_text": fitted.outcome.value,
        "converged": fitted.outcome.converged,
        "n_iter": fitted.n_iter,
        "seconds": fitted.seconds,
        "warnings": fitted.warnings,
    }
    return {name: plain(value) for name, value in facts.items()}


def class_text(facts: Document) -> str:
    """Summary of a classifier for people, at most 100 characters wide.

    Parameters
    ----------
    facts : dict
        From `class_document`.
    """
    lines = [
        f"classifier, {facts['n_classes']} classes, {facts['n_components']} components",
        *table(
            [
                ["log-likelihood", "with labels", "rows", "labelled", "df", "BIC*"],
                [
                    f"{facts['log_likelihood']:.3f}", f"{facts['log_joint_likelihood']:.3f}",
                    str(facts["n_rows"]), f"{facts['labelled']:.6g}", str(facts["n_free"]),
                    f"{facts['bic']:.3f}",
                ],
            ],
            indent="  ",
        ),
        "  * of rows and labels; smaller is better",
        "",
        *_class_lines(facts),
        "",
    ]  # fmt: skip
    if facts["criterion"] is not None:
        what = CRITERIA[facts["criterion"]]
        own = ", ".join(f"{value:.3f}" for value in facts["scores"])
        lines += textwrap.wrap(f"chosen by {what}: {own}", WIDTH, subsequent_indent="  ")
    if facts["reject"] is not None:
        lines.append(f"no decision below probability {1 - facts['reject']:.4g}")
    if facts["outlier_density"] is not None:
        lines.append(f"no decision below log-density {facts['outlier_density']:.4g}")
    how = ""
    if facts["outcome"] != Outcome.CLOSED_FORM.name.lower():
        how = f"{facts['n_iter']} iteration{'s' * (facts['n_iter'] != 1)}, "
    lines.append(f"{facts['outcome_text']} ({how}{facts['seconds']:.2g} s)")
    for warning in facts["warnings"]:
        words = f"warning: {printable(warning)}"
        lines += textwrap.wrap(words, WIDTH, subsequent_indent="  ")
    if not facts["warnings"]:
        lines.append("no warnings")
    return "\n".join(line.rstrip() for line in lines)


def _classes(found: Classifier) -> list[Document]:
    """What each class is, by its own components."""
    mixture, family = found.mixture, found.mixture.family
    parts = family.parts if isinstance(family, Composite) else (family,) * len(found.sizes)
    ends = np.cumsum(found.sizes)
    means = mixture.means
    result = []
    for c, (part, size, end) in enumerate(zip(parts, found.sizes, ends, strict=True)):
        own = slice(end - size, end)
        weights = mixture.weights[own]
        result.append(
            {
                "class": found.classes[c],
                "prior": weights.sum(),
                "labelled": found.n_known[c],
                "family": part.name,
                "density": part.describe(),
                "n_components": size,
                "weights": weights / weights.sum(),
                "means": means[own],
            }
        )
    return result


def _class_lines(facts: Document) -> list[str]:
    rows = [["class", "prior", "labelled", "components", "density"]]
    rows += [
        [
            shortened(str(own["class"])), f"{own['prior']:.4f}", f"{own['labelled']:.6g}",
            str(own["n_components"]), own["density"],
        ]
        for own in facts["classes"]
    ]  # fmt: skip
    width = max(len(row[-1]) for row in rows)
    rows = [[*row[:-1], row[-1].ljust(width)] for row in rows]
    return [line[:WIDTH] for line in table(rows)]
