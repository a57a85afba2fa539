"""What a fit found: as one plain document for programs, and as a page of text for people."""

from __future__ import annotations

from mixtura.describe.assessed import assessment_document, assessment_text
from mixtura.describe.card import card
from mixtura.describe.choice import CHOICE_SCHEMA, choice_document, choice_text
from mixtura.describe.classes import CLASSIFIER_SCHEMA, class_document, class_text
from mixtura.describe.facts import SCHEMA, Document, document, plain
from mixtura.describe.page import WIDTH, component_table, mclust_name, notes, text, title
from mixtura.describe.sight import sight

__all__ = [
    "CHOICE_SCHEMA",
    "CLASSIFIER_SCHEMA",
    "SCHEMA",
    "WIDTH",
    "Document",
    "assessment_document",
    "assessment_text",
    "card",
    "choice_document",
    "choice_text",
    "class_document",
    "class_text",
    "component_table",
    "document",
    "mclust_name",
    "notes",
    "plain",
    "sight",
    "text",
    "title",
]
