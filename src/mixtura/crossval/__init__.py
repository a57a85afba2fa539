"""Fits without some of the rows, and what these rows then say: cross-validation of candidates."""

from __future__ import annotations

from mixtura.crossval.held import HeldTrials
from mixtura.crossval.held_out import HeldOut, Score
from mixtura.crossval.held_rows import HeldRows
from mixtura.crossval.splits import ALL, Cut, Folding, Kind, OwnFolds, Splits, fold_of_rows
from mixtura.crossval.streams import streamed
from mixtura.crossval.trials import Cell, Search, Trial
from mixtura.crossval.validate import CrossValidation, cross_validate, held_out, in_memory

__all__ = [
    "ALL",
    "Cell",
    "CrossValidation",
    "Cut",
    "Folding",
    "HeldOut",
    "HeldRows",
    "HeldTrials",
    "Kind",
    "OwnFolds",
    "Score",
    "Search",
    "Splits",
    "Trial",
    "cross_validate",
    "fold_of_rows",
    "held_out",
    "in_memory",
    "streamed",
]
