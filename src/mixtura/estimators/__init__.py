"""The scikit-learn skin: familiar names over `fit_mixture`, and no mathematics."""

from mixtura.estimators.classifier import GenerativeClassifier
from mixtura.estimators.gaussian import GaussianMixture
from mixtura.estimators.model import MixtureModel

__all__ = ["GaussianMixture", "GenerativeClassifier", "MixtureModel"]
