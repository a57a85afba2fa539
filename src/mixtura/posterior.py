"""Exact posteriors of one density: draws, the predictive density, the marginal likelihood.

Three pairs of a density and its conjugate prior have all of them in closed form: the
Gaussian with a normal-inverse-Wishart prior, Poisson counts with gamma priors, categories
with Dirichlet priors (Gelman et al. 2013, sections 2.6, 3.4 and 3.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, singledispatch
from typing import Any, Protocol

import numpy as np
from scipy import linalg, stats
from scipy.special import gammaln, multigammaln

from mixtura.em import known_stats
from mixtura.errors import UsageError
from mixtura.executor import Executor, Local
from mixtura.families import (
    Categorical,
    CategoricalParams,
    DirichletPrior,
    Family,
    GammaPrior,
    Gaussian,
    NegativeBinomial,
    NegativeBinomialParams,
    NormalInverseWishart,
    Poisson,
    PoissonParams,
    Prior,
    Student,
)
from mixtura.families.gaussian.packing import unpack
from mixtura.mixture import Mixture
from mixtura.source import Block, DataSource
from mixtura.stats import Array


class Posterior(Protocol):
    """What is known of the parameters of one density after the data."""

    @property
    def log_marginal_likelihood(self) -> float:
        """Log-density of all rows under the prior, in nats."""
        ...

    @property
    def predictive(self) -> Mixture:
        """Density of the next row."""
        ...

    def sample(self, n_draws: int, rng: np.random.Generator) -> Any:
        """Draws of the parameters: as many components of the family."""
        ...


def exact_posterior(
    family: Family[Any], prior: Prior, source: DataSource, executor: Executor | None = None
) -> Posterior:
    """Posterior of the parameters of one density under a conjugate prior.

    Parameters
    ----------
    family : Gaussian (full), Poisson or Categorical
        The density; a categorical needs its `levels`.
    prior : NormalInverseWishart, GammaPrior or DirichletPrior
        Any proper one; it need not have a mode.
    source : DataSource
        Rows and their weights.
    executor : Executor, optional
        Where blocks are processed.

    Returns
    -------
    Posterior
        With ``sample``, ``predictive`` and ``log_marginal_likelihood``.

    Raises
    ------
    UsageError
        The pair has no posterior in closed form here.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.families import GammaPrior, Poisson
    >>> from mixtura.source import as_source
    >>> X = as_source(np.array([[2.0], [4.0], [3.0]]))
    >>> found = exact_posterior(Poisson(1), GammaPrior(1.0, 2.0), X)
    >>> found.shape.tolist(), found.rate
    ([10.0], 5.0)
    >>> round(found.log_marginal_likelihood, 4)
    -8.2624
    """
    return _posterior(family, prior, source, executor or Local())


@dataclass(frozen=True, eq=False)
class GaussianPosterior:
    """mu given S ~ N(mean, S / shrinkage), S ~ inverse Wishart(freedom, scale)."""

    family: Gaussian
    mean: Array  # (d,)
    shrinkage: float
    freedom: float
    scale: Array  # (d, d)
    log_marginal_likelihood: float

    @property
    def predictive(self) -> Mixture:
        """Student's t with freedom - d + 1 degrees of freedom."""
        d = len(self.mean)
        freedom = self.freedom - d + 1.0
        spread = self.scale * (self.shrinkage + 1.0) / (self.shrinkage * freedom)
        family = Student(d, freedom=freedom)
        params = family.params(self.mean[None], spread[None], np.array([freedom]))
        return Mixture(family, np.ones(1), params)

    def sample(self, n_draws: int, rng: np.random.Generator) -> Any:
        """Means and covariances, as components of the family."""
        d = len(self.mean)
        drawn = stats.invwishart.rvs(self.freedom, self.scale, n_draws, random_state=rng)
        covariances = np.reshape(drawn, (n_draws, d, d))
        roots = np.linalg.cholesky(covariances)
        z = rng.standard_normal((n_draws, d))
        means = self.mean + np.einsum("kij,kj->ki", roots, z) / np.sqrt(self.shrinkage)
        return self.family.params(means, covariances)


@dataclass(frozen=True, eq=False)
class PoissonPosterior:
    """Rates with independent gamma distributions of these shapes and one rate."""

    shape: Array  # (d,)
    rate: float
    log_marginal_likelihood: float

    @property
    def predictive(self) -> Mixture:
        """Negative binomial counts of mean shape / rate and size shape."""
        params = NegativeBinomialParams(self.shape[None] / self.rate, self.shape[None])
        return Mixture(NegativeBinomial(len(self.shape)), np.ones(1), params)

    def sample(self, n_draws: int, rng: np.random.Generator) -> PoissonParams:
        """Rates, (n_draws, d)."""
        return PoissonParams(rng.standard_gamma(self.shape, (n_draws, len(self.shape))) / self.rate)


@dataclass(frozen=True, eq=False)
class CategoricalPosterior:
    """Probabilities of each column's categories, with Dirichlet distributions."""

    family: Categorical
    concentration: Array  # (L_1 + ... + L_d,)
    log_marginal_likelihood: float

    @property
    def predictive(self) -> Mixture:
        """Probabilities proportional to the concentrations."""
        parts = [own / own.sum() for own in _columns(self.family, self.concentration)]
        return Mixture(self.family, np.ones(1), CategoricalParams(np.concatenate(parts)[None]))

    def sample(self, n_draws: int, rng: np.random.Generator) -> CategoricalParams:
        """Probabilities, (n_draws, L_1 + ... + L_d)."""
        parts = [rng.dirichlet(own, n_draws) for own in _columns(self.family, self.concentration)]
        return CategoricalParams(np.hstack(parts))


@singledispatch
def _posterior(
    family: Family[Any], prior: Prior, source: DataSource, executor: Executor
) -> Posterior:
    raise UsageError.argument(
        "family", family.describe(), "gaussian (full), poisson or categorical for exact posteriors"
    )


@_posterior.register
def _(family: Gaussian, prior: Prior, source: DataSource, executor: Executor) -> GaussianPosterior:
    if not isinstance(prior, NormalInverseWishart) or len(prior.mean) != family.n_features:
        raise UsageError.argument(
            "prior", prior, f"a NormalInverseWishart of {family.n_features} columns"
        )
    if family.shape.name != "VVV" or prior.shrinkage == 0:
        raise UsageError.argument(
            "prior", prior.describe(), "proper (shrinkage > 0), and the covariance full"
        )
    d = family.n_features
    plain = Gaussian(d, origin=np.array(prior.mean))
    params: Any = None
    for _ in range(2):  # the second pass about the mean of the first, so that no digits are lost
        whole = executor.reduce(partial(known_stats, plain, params, 1, None), source)
        params = plain.params(
            np.array([prior.mean] if params is None else params.means)
            + whole.total[:, :d] / whole.weight[0],
            np.eye(d)[None],
        )
    assert params is not None
    n, mean, shift = float(whole.weight[0]), params.means[0], whole.total[0, :d] / whole.weight[0]
    W = unpack(whole.total[:, d:], d)[0] - n * np.outer(shift, shift)
    away = mean - np.array(prior.mean)
    grown = prior.shrinkage + n
    scale = np.array(prior.scale) + W + prior.shrinkage * n / grown * np.outer(away, away)
    freedom = prior.freedom + n
    log_marginal = (
        -0.5 * n * d * np.log(np.pi)
        + multigammaln(freedom / 2, d) - multigammaln(prior.freedom / 2, d)
        + prior.freedom / 2 * _log_det(np.array(prior.scale)) - freedom / 2 * _log_det(scale)
        + d / 2 * np.log(prior.shrinkage / grown)
    )  # fmt: skip
    centre = (prior.shrinkage * np.array(prior.mean) + n * mean) / grown
    return GaussianPosterior(Gaussian(d), centre, grown, freedom, scale, float(log_marginal))


@_posterior.register
def _(family: Poisson, prior: Prior, source: DataSource, executor: Executor) -> PoissonPosterior:
    d = family.n_features
    if not isinstance(prior, GammaPrior) or np.shape(prior.shape) not in ((), (d,)):
        raise UsageError.argument("prior", prior, f"a GammaPrior of {d} columns")
    whole = executor.reduce(partial(known_stats, family, None, 1, None), source)
    constant = executor.reduce(log_factorials, source)
    before = np.broadcast_to(np.asarray(prior.shape, dtype=float), (d,))
    shape, rate = before + whole.total[0], prior.rate + float(whole.weight[0])
    log_marginal = (
        gammaln(shape) - gammaln(before) + before * np.log(prior.rate) - shape * np.log(rate)
    ).sum() - constant
    return PoissonPosterior(shape, rate, float(log_marginal))


@_posterior.register
def _(
    family: Categorical, prior: Prior, source: DataSource, executor: Executor
) -> CategoricalPosterior:
    n_all = sum(family.levels)
    if not family.levels:
        raise UsageError.argument("family", family, "categorical with its levels")
    fits = isinstance(prior, DirichletPrior) and np.shape(prior.concentration) in ((), (n_all,))
    if not isinstance(prior, DirichletPrior) or not fits:
        raise UsageError.argument(
            "prior", prior, f"a DirichletPrior of one number or {n_all}, one per category"
        )
    whole = executor.reduce(partial(known_stats, family, None, 1, None), source)
    before = np.broadcast_to(np.asarray(prior.concentration, dtype=float), (n_all,))
    after = before + whole.total[0]
    log_marginal = (gammaln(after) - gammaln(before)).sum()
    for a, b in zip(_columns(family, before), _columns(family, after), strict=True):
        log_marginal += gammaln(a.sum()) - gammaln(b.sum())
    return CategoricalPosterior(family, after, float(log_marginal))


def log_factorials(block: Block, n_threads: int = 1) -> float:
    """Weighted sum of log(x!) over the rows of a block."""
    del n_threads
    each = gammaln(np.asarray(block.X, dtype=float) + 1.0).sum(axis=1)
    return float(each.sum() if block.w is None else block.w @ each)


def _columns(family: Categorical, numbers: Array) -> list[Array]:
    """The numbers of each column's categories."""
    return np.split(numbers, np.cumsum(family.levels)[:-1])


def _log_det(matrix: Array) -> float:
    return 2.0 * float(np.log(np.diagonal(linalg.cholesky(matrix))).sum())
