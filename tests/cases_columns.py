"""Cases of the families that are exponential (door A), besides the Poisson.

Log-densities are SciPy's; densities are summed or integrated on grids that suit each sample
space: logarithms for positive numbers, logits for shares, angles for directions.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import stats
from scipy.special import expit

from mixtura.families import (
    Bernoulli,
    BernoulliParams,
    Beta,
    BetaParams,
    Categorical,
    CategoricalParams,
    Exponential,
    ExponentialParams,
    Gamma,
    GammaParams,
    LogNormal,
    LogNormalParams,
    Multinomial,
    MultinomialParams,
    VonMisesFisher,
    VonMisesFisherParams,
)
from tests.cases import Case


def grown(params, names):
    """Chart that multiplies positive parameters by exp(t)."""
    arrays = [getattr(params, name) for name in names]

    def at(t):
        pieces = np.split(t, np.cumsum([a.size for a in arrays])[:-1])
        moved = {
            name: a * np.exp(piece.reshape(a.shape))
            for name, a, piece in zip(names, arrays, pieces, strict=True)
        }
        return params._replace(**moved)

    return sum(a.size for a in arrays), at


def diagonal(variances):
    return lambda params: variances(params)[:, :, None] * np.eye(variances(params).shape[1])


def columns(density):
    """Log-density of independent columns from that of one, given (n, 1, d) rows."""
    return lambda params, X: density(params, X[:, None]).sum(axis=2)


def axes_grid(d, axis, slope):
    """Product of one axis per column, and the size of each cell."""
    points = np.stack(np.meshgrid(*[axis] * d, indexing="ij"), axis=-1).reshape(-1, d)
    sizes = np.stack(np.meshgrid(*[slope] * d, indexing="ij"), axis=-1).reshape(-1, d)
    return points, sizes.prod(axis=1)


def log_grid(d, low=-60.0, high=7.0):
    t = np.linspace(low, high, 1201)
    return lambda: axes_grid(d, np.exp(t), np.exp(t) * (t[1] - t[0]))


def logit_grid(d):
    t = np.linspace(-34, 34, 1001)
    return lambda: axes_grid(d, expit(t), expit(t) * expit(-t) * (t[1] - t[0]))


def codes_grid(levels):
    points = np.array(list(product(*map(range, levels))), dtype=float)
    return lambda: (points, np.ones(len(points)))


def apart(rng, n_components, d, low, high, factor):
    """Positive numbers, those of later components larger by a factor."""
    return rng.uniform(low, high, (n_components, d)) * factor ** np.arange(n_components)[:, None]


BAD_POSITIVE = ([np.nan, np.inf, 0.0, -1.0], [1e-300, 0.5, 1e300])


# -- positive numbers --------------------------------------------------------------------------


def lognormal_case(d):
    def draw(rng, n_components):
        log_mean = rng.uniform(-0.5, 0.5, (n_components, d)) + np.arange(n_components)[:, None]
        return LogNormalParams(log_mean, rng.uniform(0.2, 0.5, (n_components, d)))

    def chart(params):
        size = params.log_mean.size

        def at(t):
            sd = params.log_sd * np.exp(t[size:].reshape(params.log_sd.shape))
            return LogNormalParams(params.log_mean + t[:size].reshape(params.log_mean.shape), sd)

        return 2 * size, at

    def coordinates(params):
        precision = params.log_sd**-2
        return (np.hstack([params.log_mean * precision, -0.5 * precision]),)

    return Case(
        name=f"lognormal-{d}",
        family=LogNormal(d),
        draw=draw,
        log_density=columns(
            lambda p, x: stats.lognorm.logpdf(x, p.log_sd, scale=np.exp(p.log_mean))
        ),
        chart=chart,
        covariance=diagonal(lambda p: np.exp(2 * p.log_mean + p.log_sd**2) * np.expm1(p.log_sd**2)),
        coordinates=coordinates,
        estimates=tuple,
        grid=log_grid(d, -12, 12),
        outside=BAD_POSITIVE,
    )


def gamma_case(d):
    def draw(rng, n_components):
        shape = rng.uniform(1.5, 5.0, (n_components, d))
        return GammaParams(shape, apart(rng, n_components, d, 0.5, 1.5, 4.0))

    return Case(
        name=f"gamma-{d}",
        family=Gamma(d),
        draw=draw,
        log_density=columns(lambda p, x: stats.gamma.logpdf(x, p.shape, scale=p.scale)),
        chart=lambda params: grown(params, ("shape", "scale")),
        covariance=diagonal(lambda p: p.shape * p.scale**2),
        coordinates=lambda p: (np.hstack([-1 / p.scale, p.shape]),),
        estimates=tuple,
        grid=log_grid(d, -40, 7),
        outside=BAD_POSITIVE,
    )


def exponential_case(d):
    return Case(
        name=f"exponential-{d}",
        family=Exponential(d),
        draw=lambda rng, n: ExponentialParams(apart(rng, n, d, 0.5, 1.5, 5.0)),
        log_density=columns(lambda p, x: stats.expon.logpdf(x, scale=p.scale)),
        chart=lambda params: grown(params, ("scale",)),
        covariance=diagonal(lambda p: p.scale**2),
        coordinates=lambda p: (-1 / p.scale,),
        estimates=tuple,
        grid=log_grid(d, -40, 7),
        outside=([np.nan, np.inf, -1.0], [0.0, 0.5]),
    )


def beta_case(d):
    def draw(rng, n_components):
        share = (np.arange(n_components)[:, None] + rng.uniform(0.3, 0.7, (n_components, d))) / (
            n_components
        )
        size = rng.uniform(8.0, 12.0, (n_components, d))
        return BetaParams(1 + share * size, 1 + (1 - share) * size)

    return Case(
        name=f"beta-{d}",
        family=Beta(d),
        draw=draw,
        log_density=columns(lambda p, x: stats.beta.logpdf(x, p.a, p.b)),
        chart=lambda params: grown(params, ("a", "b")),
        covariance=diagonal(lambda p: stats.beta.var(p.a, p.b)),
        coordinates=lambda p: (np.hstack([p.a, p.b]),),
        estimates=tuple,
        grid=logit_grid(d),
        outside=([np.nan, np.inf, -1.0, 0.0, 1.0, 2.0], [1e-300, 0.5]),
    )


# -- categories --------------------------------------------------------------------------------


def bernoulli_case(d):
    def chart(params):
        odds = params.chance / (1 - params.chance)

        def at(t):
            moved = odds * np.exp(t.reshape(odds.shape))
            return BernoulliParams(moved / (1 + moved))

        return odds.size, at

    return Case(
        name=f"bernoulli-{d}",
        family=Bernoulli(d),
        draw=lambda rng, n: BernoulliParams(rng.uniform(0.1, 0.9, (n, d))),
        log_density=columns(lambda p, x: stats.bernoulli.logpmf(x, p.chance)),
        chart=chart,
        covariance=diagonal(lambda p: p.chance * (1 - p.chance)),
        coordinates=lambda p: (np.log(p.chance / (1 - p.chance)),),
        estimates=tuple,
        discrete=True,
        grid=codes_grid([2] * d),
        outside=([np.nan, np.inf, -1.0, 0.5, 2.0], [0.0, 1.0]),
    )


def softmaxed(values):
    e = np.exp(values)
    return e / e.sum(axis=1, keepdims=True)


def simplex_chart(parts):
    """Chart of probabilities: log-ratios to the last one, part by part."""

    def at(t):
        pieces = np.split(t, np.cumsum([p[:, :-1].size for p in parts])[:-1])
        return [
            softmaxed(
                np.log(p) + np.hstack([piece.reshape(p[:, :-1].shape), np.zeros((len(p), 1))])
            )
            for p, piece in zip(parts, pieces, strict=True)
        ]

    return sum(p[:, :-1].size for p in parts), at


def categorical_case(levels):
    cuts = np.cumsum(levels)[:-1]

    def split(params):
        return np.split(params.probability, cuts, axis=1)

    def draw(rng, n_components):
        parts = [rng.dirichlet(np.full(n, 3.0), n_components) for n in levels]
        return CategoricalParams(np.hstack(parts))

    def chart(params):
        size, at = simplex_chart(split(params))
        return size, lambda t: CategoricalParams(np.hstack(at(t)))

    def log_density(params, X):
        return sum(np.log(p[:, x.astype(int)].T) for p, x in zip(split(params), X.T, strict=True))

    def variances(params):
        columns = []
        for p in split(params):
            codes = np.arange(p.shape[1])
            columns.append(p @ codes**2 - (p @ codes) ** 2)
        return np.stack(columns, axis=1)

    return Case(
        name=f"categorical-{'x'.join(map(str, levels))}",
        family=Categorical(len(levels), levels),
        draw=draw,
        log_density=log_density,
        chart=chart,
        covariance=diagonal(variances),
        coordinates=lambda p: (np.log(p.probability),),
        estimates=tuple,
        discrete=True,
        grid=codes_grid(levels),
        outside=([np.nan, np.inf, -1.0, 0.5, 9.0], [0.0, 1.0]),
    )


def multinomial_case(d, trials):
    grid = np.array([row for row in product(range(trials + 1), repeat=d) if sum(row) == trials])

    def chart(params):
        size, at = simplex_chart([params.share])
        return size, lambda t: MultinomialParams(at(t)[0])

    def log_density(params, X):
        return np.stack([stats.multinomial.logpmf(X, trials, p) for p in params.share], axis=1)

    def covariance(params):
        p = params.share
        return trials * (p[:, :, None] * np.eye(d) - p[:, :, None] * p[:, None])

    return Case(
        name=f"multinomial-{d}",
        family=Multinomial(d, trials),
        draw=lambda rng, n: MultinomialParams(rng.dirichlet(np.full(d, 2.0), n)),
        log_density=log_density,
        chart=chart,
        covariance=covariance,
        coordinates=lambda p: (np.log(p.share),),
        estimates=tuple,
        discrete=True,
        grid=lambda: (grid.astype(float), np.ones(len(grid))),
        outside=([np.nan, np.inf, -1.0, 0.5], [0.0, 1.0, 7.0]),
    )


# -- directions --------------------------------------------------------------------------------


def directions_case(d):
    def draw(rng, n_components):
        direction = rng.normal(size=(n_components, d))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        return VonMisesFisherParams(direction, rng.uniform(2.0, 20.0, (n_components, 1)))

    def chart(params):
        n_components = len(params.direction)
        tangents = np.stack([np.linalg.svd(m[None])[2][1:] for m in params.direction])
        log_kappa = np.log(params.concentration)

        def at(t):
            steps = t[: n_components * (d - 1)].reshape(n_components, d - 1)
            moved = params.direction + np.einsum("kt,ktj->kj", steps, tangents)
            moved /= np.linalg.norm(moved, axis=1, keepdims=True)
            return VonMisesFisherParams(
                moved, np.exp(log_kappa + t[n_components * (d - 1) :, None])
            )

        return n_components * d, at

    def log_density(params, X):
        each = [
            stats.vonmises_fisher(m, float(k[0])).logpdf(X) for m, k in zip(*params, strict=True)
        ]
        return np.stack(each, axis=1)

    def grid():
        angle = np.arange(2000) * (2 * np.pi / 2000)
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        if d == 2:
            return circle, np.full(2000, 2 * np.pi / 2000)
        z, w = np.polynomial.legendre.leggauss(120)
        radius = np.sqrt(1 - z**2)
        points = np.concatenate(
            [
                np.hstack([r * circle[::10], np.full((200, 1), h)])
                for r, h in zip(radius, z, strict=True)
            ]
        )
        return points, np.repeat(w, 200) * (2 * np.pi / 200)

    def covariance(params):
        kappa = params.concentration[:, 0]
        ratio = mean_length(d, kappa)
        along = params.direction[:, :, None] * params.direction[:, None]
        across = (ratio / kappa)[:, None, None]
        slope = (1 - ratio**2 - (d - 1) * ratio / kappa)[:, None, None]
        return across * (np.eye(d) - along) + slope * along

    return Case(
        name=f"vonmises-fisher-{d}",
        family=VonMisesFisher(d),
        draw=draw,
        log_density=log_density,
        chart=chart,
        covariance=covariance,
        coordinates=lambda p: (p.concentration * p.direction,),
        estimates=tuple,
        grid=grid,
        outside=([], []),  # a matter of rows: see test_directions_must_have_length_one
    )


def mean_length(d, kappa):
    """E[m'x] by quadrature of exp(kappa t) (1 - t^2)^((d - 3)/2)."""
    theta = (np.arange(4000) + 0.5) * (np.pi / 4000)
    weight = np.exp(kappa[:, None] * (np.cos(theta) - 1)) * np.sin(theta) ** (d - 2)
    return (weight @ np.cos(theta)) / weight.sum(axis=1)


COLUMN_CASES = (
    lognormal_case(1),
    lognormal_case(2),
    gamma_case(1),
    gamma_case(2),
    exponential_case(1),
    exponential_case(2),
    beta_case(1),
    beta_case(2),
    bernoulli_case(1),
    bernoulli_case(3),
    categorical_case((2, 4)),
    categorical_case((4, 3, 3)),
    multinomial_case(3, 6),
    directions_case(2),
    directions_case(3),
)
