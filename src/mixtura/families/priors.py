"""Conjugate priors of a family's parameters: values, plain numbers only.

A conjugate prior has the form of a likelihood, so it acts as rows that were
never seen: the M step adds them to the statistics and is otherwise the same
(Diaconis and Ylvisaker 1979). Estimates are then posterior modes, in the
parameters that each class names.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from mixtura.errors import UsageError
from mixtura.stats import Array

Numbers = float | tuple[float, ...]


@dataclass(frozen=True)
class Prior(ABC):
    """A conjugate prior; every component has the same one."""

    kind: ClassVar[str]

    def config(self) -> dict[str, Any]:
        """Plain JSON values that `find_prior` makes it from again."""
        return {"kind": self.kind, **{name: _plain(v) for name, v in asdict(self).items()}}

    def describe(self) -> str:
        """Words for summaries."""
        return self.kind


@dataclass(frozen=True)
class PseudoRows(Prior):
    """Prior of any exponential family: log p(params) = total . eta - count A + const.

    It is a density of the mean parameter (up to the Jacobian left out), whose mode
    is total / count.

    Parameters
    ----------
    count : float
        How many rows it is worth, >= 0.
    total : sequence of float, length p
        Sum of the statistic T(x) over these rows.
    """

    count: float
    total: tuple[float, ...]
    kind: ClassVar[str] = "pseudo-rows"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.count) and self.count >= 0):
            raise UsageError.argument("count", self.count, "a finite number >= 0")
        object.__setattr__(self, "count", float(self.count))
        object.__setattr__(self, "total", _tuple("total", self.total))

    def describe(self) -> str:
        """Words for summaries."""
        return f"conjugate, worth {self.count:g} row(s) per component"


@dataclass(frozen=True)
class GammaPrior(Prior):
    """Prior of rates: log p(y) = (shape - 1) log(y) - rate y + const.

    Parameters
    ----------
    shape : float or sequence of float, length d
        > 0. A posterior mode needs at least 1.
    rate : float
        > 0, in units of one over the rate's.
    """

    shape: Numbers
    rate: float
    kind: ClassVar[str] = "gamma"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _positive_numbers("shape", self.shape))
        object.__setattr__(self, "rate", _positive("rate", self.rate))

    def describe(self) -> str:
        """Words for summaries."""
        return f"gamma of shape {_words(self.shape)} and rate {self.rate:g}"


@dataclass(frozen=True)
class BetaPrior(Prior):
    """Prior of probabilities: log p = (a - 1) log(p) + (b - 1) log(1 - p) + const.

    Parameters
    ----------
    a, b : float
        > 0. A posterior mode needs at least 1.
    """

    a: float
    b: float
    kind: ClassVar[str] = "beta"

    def __post_init__(self) -> None:
        object.__setattr__(self, "a", _positive("a", self.a))
        object.__setattr__(self, "b", _positive("b", self.b))

    def describe(self) -> str:
        """Words for summaries."""
        return f"beta({self.a:g}, {self.b:g})"


@dataclass(frozen=True)
class DirichletPrior(Prior):
    """Prior of the probabilities of L levels: log p = sum_l (a_l - 1) log(p_l) + const.

    Parameters
    ----------
    concentration : float or sequence of float, length L
        > 0. A posterior mode needs at least 1.
    """

    concentration: Numbers
    kind: ClassVar[str] = "dirichlet"

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "concentration", _positive_numbers("concentration", self.concentration)
        )

    def describe(self) -> str:
        """Words for summaries."""
        return f"Dirichlet of concentration {_words(self.concentration)}"


@dataclass(frozen=True)
class NormalInverseWishart(Prior):
    r"""Prior of a mean and a covariance, in units of the data.

    mu given S ~ N(mean, S / shrinkage), S ~ inverse Wishart(freedom, scale), so
    log p(mu, S) = -(freedom + d + 2)/2 log det S - tr(scale S^-1)/2
    - shrinkage/2 (mu - mean)' S^-1 (mu - mean) + const.

    Covariances of a restricted shape have the same density, restricted to the shape;
    where all components share one covariance, its inverse Wishart factor counts once.

    Parameters
    ----------
    mean : sequence of float, length d
        Where means are thought to be.
    shrinkage : float
        How many rows that is worth, >= 0; 0 says nothing of the means.
    freedom : float
        Degrees of freedom, > d - 1.
    scale : matrix (d, d)
        Symmetric and positive definite; the prior mean of S is scale / (freedom - d - 1).

    Notes
    -----
    Fraley and Raftery (2007), Journal of Classification 24, 155-181, section 3.
    """

    mean: tuple[float, ...]
    shrinkage: float
    freedom: float
    scale: tuple[tuple[float, ...], ...]
    kind: ClassVar[str] = "normal-inverse-wishart"

    def __post_init__(self) -> None:
        mean = _tuple("mean", self.mean)
        scale = np.asarray(self.scale, dtype=float)
        d = len(mean)
        if scale.shape != (d, d) or not np.isfinite(scale).all():
            raise UsageError.argument("scale", self.scale, f"finite numbers of shape ({d}, {d})")
        if not np.allclose(scale, scale.T, rtol=1e-8, atol=0) or not _is_definite(scale):
            raise UsageError.argument("scale", self.scale, "symmetric and positive definite")
        if not (np.isfinite(self.shrinkage) and self.shrinkage >= 0):
            raise UsageError.argument("shrinkage", self.shrinkage, "a finite number >= 0")
        if not (np.isfinite(self.freedom) and self.freedom > d - 1):
            raise UsageError.argument("freedom", self.freedom, f"a finite number > d - 1 = {d - 1}")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "shrinkage", float(self.shrinkage))
        object.__setattr__(self, "freedom", float(self.freedom))
        object.__setattr__(self, "scale", tuple(map(tuple, scale.tolist())))

    def describe(self) -> str:
        """Words for summaries."""
        return (
            f"normal-inverse-Wishart of shrinkage {self.shrinkage:g} "
            f"and {self.freedom:g} degrees of freedom"
        )


#: Every prior that files may name.
PRIORS: dict[str, type[Prior]] = {
    prior.kind: prior
    for prior in (PseudoRows, GammaPrior, BetaPrior, DirichletPrior, NormalInverseWishart)
}


def find_prior(config: dict[str, Any]) -> Prior:
    """Make a prior from the plain values of `Prior.config`.

    Raises
    ------
    UsageError
        The kind is not known, or its numbers are no prior.
    """
    values = dict(config)
    kind = values.pop("kind", None)
    if kind not in PRIORS:
        raise UsageError.argument("prior", kind, f"one of {', '.join(PRIORS)}")
    try:
        return PRIORS[kind](**values)
    except TypeError:
        raise UsageError.argument("prior", config, f"the numbers of a {kind} prior") from None


def modal(name: str, numbers: Numbers, size: int) -> Array:
    """Shapes or concentrations of a prior whose posterior is sure to have a mode, (size,).

    Raises
    ------
    UsageError
        One is below 1, where the density has a pole, or their number is not `size`.
    """
    array = np.atleast_1d(np.asarray(numbers, dtype=float))
    if array.shape not in ((1,), (size,)) or (array < 1.0).any():
        raise UsageError.argument(name, numbers, f"one number, or {size} of them, at least 1")
    return np.broadcast_to(array, (size,))


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _words(numbers: Numbers) -> str:
    return ", ".join(f"{one:g}" for one in np.atleast_1d(numbers))


def _tuple(name: str, value: Any) -> tuple[float, ...]:
    array = _array(name, value)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise UsageError.argument(name, value, "finite numbers, one per entry")
    return tuple(array.tolist())


def _positive(name: str, value: Any) -> float:
    array = _array(name, value)
    if array.ndim or not (np.isfinite(array) and array > 0):
        raise UsageError.argument(name, value, "a finite number > 0")
    return float(array)


def _positive_numbers(name: str, value: Any) -> Numbers:
    array = _array(name, value)
    if array.ndim > 1 or not array.size or not (np.isfinite(array) & (array > 0)).all():
        raise UsageError.argument(name, value, "finite numbers > 0")
    return float(array) if array.ndim == 0 else tuple(array.tolist())


def _array(name: str, value: Any) -> Array:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise UsageError.argument(name, value, "numbers") from None


def _is_definite(matrix: Array) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True
