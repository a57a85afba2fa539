"""Classification by densities: one density or mixture per class, and Bayes' rule.

All classes together are one mixture whose components know their class. Labels of
rows say which components are allowed, so the fit is the same EM as everywhere:
one step where all labels are known and each class has one component, and
semi-supervised where some are not.
"""

from __future__ import annotations

from mixtura.classify.assess import Assessment, Bin, cross_classify
from mixtura.classify.model import Choice, Classifier, probabilities, total
from mixtura.classify.rows import class_folds
from mixtura.classify.scores import RowScores, Score
from mixtura.classify.spec import ClassSpec, Criterion, Priors, candidates, n_starts
from mixtura.classify.targets import by_class, coded

__all__ = [
    "Assessment",
    "Bin",
    "Choice",
    "ClassSpec",
    "Classifier",
    "Criterion",
    "Priors",
    "RowScores",
    "Score",
    "by_class",
    "candidates",
    "class_folds",
    "coded",
    "cross_classify",
    "n_starts",
    "probabilities",
    "total",
]
