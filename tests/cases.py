"""What the contract suite knows about each family: one `Case` per registered variant.

A case draws random true parameters, has a log-density of other origin, and charts the
parameters: `chart(params)` is a map from as many free numbers as the family claims to have
onto the parameters around the given ones. Everything about derivatives (the score, the
stationary estimate, standard errors, the count of free parameters) is measured on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import linalg, stats

from mixtura import Gaussian, Mixture, Poisson, PoissonParams, as_source, estimate
from mixtura.families import Family
from tests import oracle

SHAPES = oracle.MODELS
#: Shapes that stay what they are under these maps x -> A x.
ANY_MAP = ("EEE", "VEE", "EVV", "VVV")
COLUMN_SCALES = ("EEI", "VEI", "EVI", "VVI")


@dataclass(frozen=True)
class Case:
    """One family, and what is known about it from elsewhere."""

    name: str
    family: Family[Any]
    draw: Callable[[np.random.Generator, int], Any]  # K true components, well apart
    log_density: Callable[[Any, np.ndarray], np.ndarray]  # params, X -> (n, K)
    chart: Callable[[Any], tuple[int, Callable[[np.ndarray], Any]]]
    covariance: Callable[[Any], np.ndarray]  # (K, d, d), of each component
    coordinates: Callable[[Any], tuple[np.ndarray, ...]]  # what `score` is the gradient in
    estimates: Callable[[Any], tuple[np.ndarray, ...]]  # what standard errors belong to
    discrete: bool = False
    linear_map: Callable[[np.random.Generator], np.ndarray] | None = None  # A (d, d), shape kept
    free: bool = True  # no constraint binds the covariances: all of the score is zero at the fit
    exact_information: bool = True  # at the estimate, observed information = expected
    heavy_tails: bool = False  # fourth moments hardly exist
    grid: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None  # points of the sample space
    # (m, d) and the size of their cells (m,); None: the real line or whole numbers, by `discrete`
    outside: tuple[list[float], list[float]] | None = None  # values refused, values accepted

    @property
    def moves_freely(self) -> bool:
        """The sample space is all of R^d."""
        return not self.discrete and self.grid is None

    @property
    def d(self) -> int:
        """Number of columns."""
        return self.family.n_features

    def mixture(self, seed: int, n_components: int) -> Mixture:
        """A random true mixture."""
        rng = np.random.default_rng(seed)
        weights = rng.dirichlet(np.full(n_components, 20.0))
        return Mixture(self.family, weights, self.draw(rng, n_components))

    def rows(self, seed: int, n_rows: int, n_components: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Rows and labels drawn from `mixture`; every component owns rows."""
        X, labels = self.mixture(seed, n_components).sample(
            n_rows, np.random.default_rng(seed + 1000)
        )
        return X, labels

    def rough_start(self, X: np.ndarray, n_components: int, seed: int, w=None) -> Mixture:
        """The M step of responsibilities that lean towards random rows."""
        rng = np.random.default_rng(seed)
        scale = X.std(axis=0) + 1e-9
        centres = X[rng.choice(len(X), n_components, replace=False)] / scale
        distance = ((X[:, None] / scale - centres) ** 2).sum(axis=2)
        R = np.exp(-np.minimum(distance, 50)) + 0.05
        R /= R.sum(axis=1, keepdims=True)
        return self.estimate(X, n_components, w=w, responsibilities=R)

    def estimate(self, X: np.ndarray, n_components: int, w=None, labels=None, **options) -> Mixture:
        """`mixtura.estimate` of rows."""
        return estimate(
            self.family, as_source(X, weights=w, labels=labels), n_components, **options
        )


# -- Gaussians ---------------------------------------------------------------------------------


def gaussian_case(shape: str, d: int) -> Case:
    family = Gaussian(d, shape)
    linear_map = _scaled_rotation
    if shape in COLUMN_SCALES:
        linear_map = _column_scales
    elif shape in ANY_MAP:
        linear_map = _any_map
    return Case(
        name=f"gaussian-{shape}-{d}",
        family=family,
        draw=partial(_draw_gaussian, family, shape),
        log_density=_gaussian_log_density,
        chart=partial(_gaussian_chart, family, shape),
        covariance=partial(full_covariances, d),
        coordinates=lambda params: (params.means, params.covariances),
        estimates=lambda params: (params.means, params.covariances),
        linear_map=partial(linear_map, d),
        free=shape in ("EII", "VII", "EEI", "VVI", "EEE", "VVV"),
    )


def full_covariances(d: int, params: Any) -> np.ndarray:
    """Covariances (K, d, d), told from the number of axes."""
    given, n_components = params.covariances, len(params.means)
    if given.ndim == 2:
        given = given[:, :, None] * np.eye(d)
    elif given.ndim == 1:
        given = given[:, None, None] * np.eye(d)
    return np.broadcast_to(given, (n_components, d, d))


def own_layout(family: Gaussian, full: np.ndarray) -> np.ndarray:
    """The inverse of `full_covariances` for one family."""
    shape = family.shape.name
    if shape[1:] == "II":
        full = full[:, 0, 0]
    elif shape[2] == "I":
        full = np.einsum("kjj->kj", full)
    return np.ascontiguousarray(full[:1] if shape in ("EII", "EEI", "EEE") else full)


def compose(letters: str, volume, shape, orientation) -> np.ndarray:
    """Sigma_k = volume_k D_k A_k D_k' (Celeux and Govaert 1995), each part shared where E."""
    n_components, d = shape.shape
    own = [
        part if letter == "V" else np.broadcast_to(part[:1], part.shape)
        for letter, part in zip(letters, (volume, shape, orientation), strict=True)
    ]
    volume, shape, D = own
    if letters[1] == "I":
        shape = np.ones((n_components, d))
    if letters[2] == "I":
        D = np.broadcast_to(np.eye(d), (n_components, d, d))
    full = D @ ((volume[:, None] * shape)[:, :, None] * D.transpose(0, 2, 1))
    return (full + full.transpose(0, 2, 1)) / 2


def _draw_gaussian(family: Gaussian, letters: str, rng: np.random.Generator, n_components: int):
    d = family.n_features
    volume = np.exp(rng.uniform(-0.5, 0.5, n_components))
    shape = np.sort(np.exp(rng.uniform(-0.7, 0.7, (n_components, d))), axis=1)[:, ::-1]
    shape = shape / shape.prod(axis=1, keepdims=True) ** (1 / d)
    orientation = np.linalg.qr(rng.normal(size=(n_components, d, d)))[0]
    means = rng.normal(size=(n_components, d)) + 4.0 * np.arange(n_components)[:, None]
    full = compose(letters, volume, shape, orientation)
    return family.params(means, own_layout(family, full))


def _gaussian_log_density(params: Any, X: np.ndarray) -> np.ndarray:
    full = full_covariances(X.shape[1], params)
    columns = [
        stats.multivariate_normal(mean, covariance).logpdf(X).reshape(len(X))
        for mean, covariance in zip(params.means, full, strict=True)
    ]
    return np.stack(columns, axis=1)


def _gaussian_chart(family: Gaussian, letters: str, params: Any):
    """Means, then log volumes, log shapes and rotation angles about the given covariances."""
    n_components, d = params.means.shape
    full = full_covariances(d, params)
    counts = [{"I": 0, "E": 1, "V": n_components}[letter] for letter in letters]
    sizes = [n_components * d, counts[0], counts[1] * (d - 1), counts[2] * (d * (d - 1) // 2)]
    volume = np.exp(np.linalg.slogdet(full)[1] / d)
    if letters[2] == "I":
        D = np.broadcast_to(np.eye(d), full.shape)
    elif letters[2] == "E":
        common = np.linalg.eigh((full / volume[:, None, None]).sum(axis=0))[1]
        D = np.broadcast_to(common, full.shape)
    else:
        D = np.linalg.eigh(full)[1]
    values = np.einsum("kij,kil,klj->kj", D, full, D) / volume[:, None]
    contrasts = linalg.helmert(d) if d > 1 else np.empty((0, 1))
    upper = np.triu_indices(d, 1)

    def at(t: np.ndarray) -> Any:
        means, log_volume, log_shape, angles = np.split(t, np.cumsum(sizes)[:-1])
        grown = volume * np.exp(log_volume if len(log_volume) else 0.0)
        turned = values
        if len(log_shape):
            turned = values * np.exp(log_shape.reshape(counts[1], d - 1) @ contrasts)
        axes = D
        if len(angles):
            skew = np.zeros((counts[2], d, d))
            skew[:, *upper] = angles.reshape(counts[2], -1)
            axes = D @ linalg.expm(skew - skew.transpose(0, 2, 1))
        moved = axes @ ((grown[:, None] * turned)[:, :, None] * axes.transpose(0, 2, 1))
        moved = (moved + moved.transpose(0, 2, 1)) / 2
        return family.params(
            params.means + means.reshape(n_components, d), own_layout(family, moved)
        )

    return sum(sizes), at


def _any_map(d: int, rng: np.random.Generator) -> np.ndarray:
    return np.eye(d) + rng.uniform(-0.4, 0.4, (d, d))


def _column_scales(d: int, rng: np.random.Generator) -> np.ndarray:
    return np.diag(np.exp(rng.uniform(-2, 2, d)))


def _scaled_rotation(d: int, rng: np.random.Generator) -> np.ndarray:
    return np.exp(rng.uniform(-2, 2)) * np.linalg.qr(rng.normal(size=(d, d)))[0]


# -- Poisson -----------------------------------------------------------------------------------


def poisson_case(d: int) -> Case:
    def draw(rng, n_components):
        rate = rng.uniform(0.5, 3.0, (n_components, d))
        return PoissonParams(rate + 5.0 * np.arange(n_components)[:, None])

    def chart(params):
        def at(t):
            return PoissonParams(params.rate * np.exp(t.reshape(params.rate.shape)))

        return params.rate.size, at

    return Case(
        name=f"poisson-{d}",
        family=Poisson(d),
        draw=draw,
        log_density=lambda params, X: stats.poisson.logpmf(X[:, None], params.rate).sum(axis=2),
        chart=chart,
        covariance=lambda params: params.rate[:, :, None] * np.eye(d),
        coordinates=lambda params: (np.log(params.rate),),
        estimates=lambda params: (params.rate,),
        discrete=True,
    )


CASES = (
    *(gaussian_case(shape, 2) for shape in SHAPES),
    gaussian_case("VVV", 3),
    gaussian_case("VEV", 3),
    gaussian_case("EEE", 1),
    gaussian_case("VVV", 1),
    gaussian_case("VVI", 1),
    gaussian_case("VII", 1),
    gaussian_case("EII", 1),
    poisson_case(1),
    poisson_case(2),
)
