"""The choice of a model: a table of candidates, a rule, and how close the others are."""

from __future__ import annotations

from mixtura.selection.candidates import Model
from mixtura.selection.result import Row, Selection, Table
from mixtura.selection.rules import RULES, Rule, find_rule
from mixtura.selection.search import select

__all__ = ["RULES", "Model", "Row", "Rule", "Selection", "Table", "find_rule", "select"]
