"""The 14 covariance shapes: Sigma_k = volume_k * orientation_k shape_k orientation_k'.

A name has three letters, for volume, shape (the eigenvalues, scaled to
determinant one) and orientation (the eigenvectors): E equal for all components,
V its own in each, I identity (Celeux and Govaert 1995; names of Fraley and
Raftery 2002).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from mixtura.errors import UsageError


class Geometry(IntEnum):
    """How the compiled kernel sees a covariance; the numbers are its own."""

    DENSE = 0  # (K, d, d)
    TIED = 1  # (1, d, d), one for all components
    DIAGONAL = 2  # (K or 1, d)
    SPHERICAL = 3  # (K or 1,)


@dataclass(frozen=True)
class Shape:
    """One of the 14 shapes.

    Attributes
    ----------
    name : str
        Three letters, such as ``"VVV"``.
    geometry : Geometry
        Layout of its covariances and statistics.
    words : str
        The shape in words, for summaries.
    """

    name: str
    geometry: Geometry
    words: str

    def n_covariance(self, n_components: int, n_features: int) -> int:
        """Free covariance parameters: those of volume, shape and orientation together."""
        volume, shape, orientation = tuple(self.name)
        times = {"I": 0, "E": 1, "V": n_components}
        return (
            times[volume]
            + times[shape] * (n_features - 1)
            + times[orientation] * (n_features * (n_features - 1) // 2)
        )

    def layout(self, n_features: int) -> tuple[int, ...]:
        """Shape of the array of one covariance."""
        if self.geometry in (Geometry.DENSE, Geometry.TIED):
            return n_features, n_features
        return (n_features,) if self.geometry is Geometry.DIAGONAL else ()

    @property
    def is_scale_free(self) -> bool:
        """Changing the unit of one column keeps covariances in the shape."""
        return self.name in ("EEE", "VEE", "EVV", "VVV") or self.geometry is Geometry.DIAGONAL

    @property
    def is_shared(self) -> bool:
        """All components have the same covariance."""
        return self.name in ("EII", "EEI", "EEE")


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("EII", Geometry.SPHERICAL, "spherical covariances of equal volume"),
        Shape("VII", Geometry.SPHERICAL, "spherical covariances"),
        Shape("EEI", Geometry.DIAGONAL, "one diagonal covariance for all"),
        Shape("VEI", Geometry.DIAGONAL, "diagonal covariances of equal shape"),
        Shape("EVI", Geometry.DIAGONAL, "diagonal covariances of equal volume"),
        Shape("VVI", Geometry.DIAGONAL, "diagonal covariances"),
        Shape("EEE", Geometry.TIED, "one covariance for all (tied)"),
        Shape("EVE", Geometry.DENSE, "covariances of equal volume and orientation"),
        Shape("VEE", Geometry.DENSE, "covariances of equal shape and orientation"),
        Shape("VVE", Geometry.DENSE, "covariances of equal orientation"),
        Shape("EEV", Geometry.DENSE, "covariances of equal volume and shape"),
        Shape("VEV", Geometry.DENSE, "covariances of equal shape"),
        Shape("EVV", Geometry.DENSE, "covariances of equal volume"),
        Shape("VVV", Geometry.DENSE, "full covariances"),
    )
}

#: Words that mean a shape: scikit-learn's four, and mclust's two for one column.
WORDS = {
    "full": "VVV",
    "tied": "EEE",
    "diag": "VVI",
    "spherical": "VII",
    "E": "EII",
    "V": "VII",
}


def find_shape(name: str) -> Shape:
    """Look a shape up by its letters or by a word.

    Raises
    ------
    UsageError
        The name is neither; the message lists both.

    Examples
    --------
    >>> find_shape("tied").name
    'EEE'
    """
    found = SHAPES.get(WORDS.get(name, name)) if isinstance(name, str) else None
    if found is None:
        known = ", ".join([*list(WORDS)[:4], *SHAPES])
        raise UsageError.argument("covariance_type", name, f"one of {known}")
    return found
