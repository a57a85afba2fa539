"""Gaussian densities in all covariance shapes."""

from mixtura.families.gaussian.family import Gaussian, GaussianParams
from mixtura.families.gaussian.shapes import SHAPES, Geometry, Shape, find_shape

__all__ = ["SHAPES", "Gaussian", "GaussianParams", "Geometry", "Shape", "find_shape"]
