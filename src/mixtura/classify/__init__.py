"""Classification by densities: one density or mixture per class, and Bayes' rule.

All classes together are one mixture whose components know their class. Labels of
rows say which components are allowed, so the fit is the same EM as everywhere:
one step where all labels are known and each class has one component, and
semi-supervised where some are not.
"""

from __future__ import annotations

from mixtura.classify.model import Choice, Classifier, probabilities, total
from mixtura.classify.rows import class_folds, whole
from mixtura.classify.spec import ClassSpec, Criterion, Priors

__all__ = [
    "Choice",
    "ClassSpec",
    "Classifier",
    "Criterion",
    "Priors",
    "class_folds",
    "probabilities",
    "total",
    "whole",
]
