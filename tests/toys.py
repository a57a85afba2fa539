"""Two families that mixtura does not have, written to its contract: the doors A and B."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from scipy import stats
from scipy.special import gammaln

from mixtura.families import ExponentialFamily, Family, Support
from mixtura.stats import Stats
from tests.cases import Case

#: Keeps the chance below one, where the natural parameter is not finite.
SMALLEST_MEAN = 1e-12


class GeometricParams(NamedTuple):
    """Parameters of K geometric components."""

    chance: np.ndarray  # (K, d), in (0, 1)


@dataclass(frozen=True)
class Geometric(ExponentialFamily[GeometricParams]):
    """Failures before a success: log p(x) = sum_j x_j log(1 - p_j) + log p_j (door A)."""

    n_features: int
    name: ClassVar[str] = "geometric"
    support: ClassVar[Support] = Support.COUNTS
    params_type: ClassVar[type] = GeometricParams

    def features(self, X):
        return X

    def log_base(self, X):
        return np.zeros(len(X))

    def natural(self, params):
        return np.log1p(-params.chance), -np.log(params.chance).sum(axis=1)

    def from_mean(self, mean, previous=None):
        return GeometricParams(1.0 / (1.0 + np.maximum(mean, SMALLEST_MEAN)))

    def mean_features(self, params):
        return (1.0 - params.chance) / params.chance

    def mean(self, params):
        return self.mean_features(params)

    def sample(self, params, labels, rng):
        return rng.geometric(params.chance[labels]) - 1.0

    def n_free(self, n_components):
        return n_components * self.n_features

    def standard_errors(self, params, weight):
        return (params.chance * np.sqrt((1.0 - params.chance) / weight[:, None]),)

    def problem(self, params):
        inside = (params.chance > 0) & (params.chance < 1)
        return super().problem(params) or (
            None if inside.all() else "a chance is not inside (0, 1)"
        )


class StudentParams(NamedTuple):
    """Parameters of K Student components with independent columns."""

    location: np.ndarray  # (K, d)
    scale: np.ndarray  # (K, d), > 0


@dataclass(frozen=True)
class Student(Family[StudentParams]):
    """Student's t with known degrees of freedom, by the latent scales of each entry (door B).

    E step: u = (nu + 1) / (nu + z^2); M step: weighted moments with r u (Liu and Rubin 1995).
    """

    n_features: int
    freedom: float = 5.0
    name: ClassVar[str] = "independent_student"
    params_type: ClassVar[type] = StudentParams
    closed_form: ClassVar[bool] = False
    centred: ClassVar[bool] = True

    def log_density(self, params, X):
        nu = self.freedom
        z = (X[:, None] - params.location) / params.scale
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
        each = constant - np.log(params.scale) - (nu + 1) / 2 * np.log1p(z * z / nu)
        return each.sum(axis=2)

    def accumulate(self, params, X, R):
        n_components = R.shape[1]
        centre, u = np.zeros((n_components, self.n_features)), np.ones(self.n_features)
        if params is not None:
            centre = params.location
            z = (X[:, None] - centre) / params.scale
            u = (self.freedom + 1) / (self.freedom + z * z)
        y = X[:, None] - centre
        ru = R[:, :, None] * u
        total = [ru.sum(axis=0), (ru * y).sum(axis=0), (ru * y * y).sum(axis=0)]
        return Stats(R.sum(axis=0), np.hstack(total), np.zeros(0), mass=float(R.sum()))

    def maximise(self, stats, previous=None):
        u, s1, s2 = np.split(stats.total, 3, axis=1)
        centre = 0.0 if previous is None else previous.location
        shift = s1 / u
        return StudentParams(centre + shift, np.sqrt((s2 - shift * s1) / stats.weight[:, None]))

    def recentre(self, stats, current, reference):
        u, s1, s2 = np.split(stats.total, 3, axis=1)
        c = current.location - reference.location
        moved = np.hstack([u, s1 + u * c, s2 + 2 * c * s1 + u * c * c])
        return replace(stats, total=moved)

    def sample(self, params, labels, rng):
        z = rng.standard_t(self.freedom, (len(labels), self.n_features))
        return params.location[labels] + params.scale[labels] * z

    def n_free(self, n_components):
        return 2 * n_components * self.n_features

    def mean(self, params):
        return params.location

    def score(self, params, stats):
        _, s1, s2 = np.split(stats.total, 3, axis=1)
        n = stats.weight[:, None]
        return s1 / params.scale**2, s2 / params.scale**3 - n / params.scale

    def standard_errors(self, params, weight):
        information = weight[:, None] / ((self.freedom + 3) * params.scale**2)
        return (
            1 / np.sqrt((self.freedom + 1) * information),
            1 / np.sqrt(2 * self.freedom * information),
        )


def geometric_case(d: int) -> Case:
    def draw(rng, n_components):
        return GeometricParams(rng.uniform(0.1, 0.9, (n_components, d)))

    def chart(params):
        odds = params.chance / (1 - params.chance)

        def at(t):
            moved = odds * np.exp(t.reshape(odds.shape))
            return GeometricParams(moved / (1 + moved))

        return odds.size, at

    return Case(
        name=f"geometric-{d}",
        family=Geometric(d),
        draw=draw,
        log_density=lambda params, X: stats.geom.logpmf(X[:, None] + 1, params.chance).sum(axis=2),
        chart=chart,
        covariance=lambda params: ((1 - params.chance) / params.chance**2)[:, :, None] * np.eye(d),
        coordinates=lambda params: (np.log1p(-params.chance),),
        estimates=lambda params: (params.chance,),
        discrete=True,
    )


def student_case(d: int) -> Case:
    def draw(rng, n_components):
        location = rng.normal(size=(n_components, d)) + 5.0 * np.arange(n_components)[:, None]
        return StudentParams(location, rng.uniform(0.5, 2.0, (n_components, d)))

    def chart(params):
        def at(t):
            shift, growth = t.reshape(2, *params.location.shape)
            return StudentParams(params.location + shift, params.scale * np.exp(growth))

        return 2 * params.location.size, at

    def log_density(params, X):
        family = stats.t(5.0, params.location, params.scale)
        return family.logpdf(X[:, None]).sum(axis=2)

    return Case(
        name=f"independent-student-{d}",
        family=Student(d),
        draw=draw,
        log_density=log_density,
        chart=chart,
        covariance=lambda params: (params.scale**2 * 5 / 3)[:, :, None] * np.eye(d),
        coordinates=tuple,
        estimates=tuple,
        linear_map=lambda rng: np.diag(np.exp(rng.uniform(-2, 2, d))),
        exact_information=False,
        heavy_tails=True,
    )


TOYS = (geometric_case(1), geometric_case(2), student_case(1), student_case(2))
