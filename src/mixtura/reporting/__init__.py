"""A report of a fit: one page to read, to print and to keep."""

from __future__ import annotations

from mixtura.reporting.classes import class_report
from mixtura.reporting.make import Report, report

__all__ = ["Report", "class_report", "report"]
