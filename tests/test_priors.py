"""Conjugate priors: the M step gives posterior modes, EM never lowers the penalised likelihood."""

from __future__ import annotations

import hashlib
import json
import pickle

import numpy as np
import pytest
from scipy import optimize, stats

from mixtura import (
    Gaussian,
    GaussianMixture,
    Local,
    Mixture,
    MixtureModel,
    Poisson,
    PoissonParams,
    as_source,
    em_steps,
    estimate,
    fit_mixture,
    load,
    modelfile,
)
from mixtura.cli.main import main
from mixtura.errors import DegenerateComponentError, UsageError
from mixtura.families import (
    Bernoulli,
    BetaPrior,
    Categorical,
    DirichletPrior,
    Exponential,
    GammaPrior,
    NormalInverseWishart,
    PseudoRows,
)
from mixtura.families.priors import find_prior
from mixtura.prepare import Prospect
from mixtura.selection.counting import Counting
from mixtura.weighting import FREE
from tests.cases import CASES, SHAPES, full_covariances
from tests.contract import jacobian

GAUSSIANS = [case for case in CASES if isinstance(case.family, Gaussian)]
gaussians = pytest.mark.parametrize("case", GAUSSIANS, ids=lambda case: case.name)


def niw(d, shrinkage=2.5, seed=0):
    """A strong prior, far from where the data are."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d)) + 2 * np.eye(d)
    return NormalInverseWishart(
        tuple(rng.normal(size=d) - 3.0), shrinkage, d + 4.5, tuple(map(tuple, root @ root.T))
    )


def log_niw(prior, means, full, shared):
    """The density by scipy; one factor of a covariance that all components share."""
    value = 0.0
    for k, (mean, S) in enumerate(zip(means, full, strict=True)):
        if prior.shrinkage > 0:
            value += stats.multivariate_normal.logpdf(mean, prior.mean, S / prior.shrinkage)
        if k == 0 or not shared:
            value += stats.invwishart.logpdf(S, prior.freedom, np.array(prior.scale))
    return value


# -- Gaussian --------------------------------------------------------------------------------------


@gaussians
def test_log_prior_is_the_density_of_scipy(case):
    prior = niw(case.d)
    family = Gaussian(case.d, case.family.covariance, prior=prior)
    found, truth = [], []
    for seed in (0, 1):
        params = case.mixture(seed, 3).params
        found.append(family.log_prior(params))
        shared = case.family.shape.is_shared
        truth.append(log_niw(prior, params.means, full_covariances(case.d, params), shared))
    assert found[1] - found[0] == pytest.approx(truth[1] - truth[0], rel=1e-10)


@gaussians
@pytest.mark.parametrize("shrinkage", [0.0, 2.5])
def test_an_estimate_is_the_posterior_mode(case, shrinkage):
    """In every direction in which the shape lets parameters move, likelihood times prior falls."""
    prior = niw(case.d, shrinkage)
    family = Gaussian(case.d, case.family.covariance, prior=prior)
    X, labels = case.rows(11, 120, 3)
    fit = estimate(family, as_source(X, labels=labels), 3)
    size, at = case.chart(fit.params)

    def posterior(t):
        params = at(t)
        likelihood = case.log_density(params, X)[np.arange(len(X)), labels].sum()
        full = full_covariances(case.d, params)
        return likelihood + log_niw(prior, params.means, full, case.family.shape.is_shared)

    np.testing.assert_allclose(jacobian(posterior, size), 0.0, atol=2e-5 * len(X))
    here = posterior(np.zeros(size))
    for step in 1e-3 * np.vstack([np.eye(size), -np.eye(size)]):
        assert posterior(step) < here


@gaussians
def test_em_never_lowers_likelihood_plus_prior(case):
    prior = niw(case.d)
    family = Gaussian(case.d, case.family.covariance, prior=prior)
    X, _ = case.rows(20, 150, 3)
    w = np.random.default_rng(1).random(len(X)) + 0.1
    begin = case.rough_start(X, 3, 0, w)
    start = Mixture(family, begin.weights, begin.params)
    for accelerate in (False, True):
        steps = em_steps(start, as_source(X, weights=w), accelerate=accelerate)
        run = [next(steps) for _ in range(30)]
        values = np.array([step.objective for step in run])
        assert (np.diff(values) >= -1e-11 * np.abs(values[1:])).all()
        last = run[-1].mixture
        pure = w @ last.log_density(X)
        assert values[-1] == pytest.approx(pure + family.log_prior(last.params), rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_prior_of_little_worth_is_no_prior(shape):
    """Its part in the estimates vanishes like one over the number of rows."""
    case = next(c for c in GAUSSIANS if c.family.shape.name == shape and c.d == 2)
    X, labels = case.rows(5, 300, 2)
    away = []
    for times in (1e3, 1e5):
        source = as_source(X, labels=labels, weights=np.full(300, times))
        plain = estimate(Gaussian(2, shape), source, 2).params
        drawn = estimate(Gaussian(2, shape, prior=niw(2)), source, 2).params
        away.append([np.abs(a - b).max() for a, b in zip(plain, drawn, strict=True)][:2])
    np.testing.assert_allclose(np.array(away[0]) / away[1], 100.0, rtol=0.02)


def test_statistics_far_from_the_origin_lose_no_digits():
    X = np.round(np.random.default_rng(2).normal(size=(60, 2)) * 2**20) / 2**20
    for shift in (0.0, 2.0**30):
        prior = niw(2)
        moved = NormalInverseWishart(
            tuple(np.array(prior.mean) + shift), prior.shrinkage, prior.freedom, prior.scale
        )
        params = estimate(Gaussian(2, prior=moved), as_source(X + shift), 1).params
        n, d, m = len(X), 2, X.mean(axis=0)
        away = m - np.array(prior.mean)
        scatter = (X - m).T @ (X - m) + np.array(prior.scale)
        scatter += 2.5 * n / (n + 2.5) * np.outer(away, away)
        truth = scatter / (n + prior.freedom + d + 2)
        mean = (n * m + 2.5 * np.array(prior.mean)) / (n + 2.5)
        np.testing.assert_allclose(params.means[0] - shift, mean, atol=1e-6 if shift else 1e-14)
        np.testing.assert_allclose(params.covariances[0], truth, rtol=1e-7 if shift else 1e-13)


def test_the_default_prior_is_that_of_fraley_and_raftery():
    X = np.random.default_rng(0).normal(size=(80, 2)) @ np.array([[2.0, 1.0], [0.0, 0.3]])
    fitted = fit_mixture(Gaussian(2, prior="default"), as_source(X), 3, max_iter=2)
    prior = fitted.mixture.family.prior
    np.testing.assert_allclose(prior.mean, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(prior.scale, np.cov(X.T, bias=True) / 3, rtol=1e-12)
    assert (prior.shrinkage, prior.freedom) == (0.01, 4.0)


def test_the_default_prior_follows_the_units():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 2)) + 4 * (np.arange(120) % 2)[:, None]
    A, b = np.array([[3e3, 1e2], [-20.0, 0.5]]), np.array([1e4, -7.0])
    labels = np.arange(120) % 2
    runs = [
        fit_mixture(Gaussian(2, prior="default"), as_source(rows), 2, start=labels)
        for rows in (X, X @ A.T + b)
    ]
    plain, moved = (run.mixture for run in runs)
    np.testing.assert_allclose(moved.means, plain.means @ A.T + b, rtol=1e-6)
    jump = -120 * np.linalg.slogdet(A)[1]
    assert runs[1].log_likelihood == pytest.approx(runs[0].log_likelihood + jump, rel=1e-8)


def test_fewer_rows_than_columns_have_a_full_covariance_under_a_prior():
    X = np.random.default_rng(3).normal(size=(8, 10))
    source = as_source(X)
    with pytest.raises(DegenerateComponentError):
        fit_mixture(Gaussian(10), source, 1, on_degenerate="raise")
    fitted = fit_mixture(Gaussian(10, prior="default"), source, 2, on_degenerate="raise")
    assert np.isfinite(fitted.log_likelihood)
    assert (np.linalg.eigvalsh(fitted.mixture.params.covariances) > 0).all()


def test_a_constant_column_is_no_matter_under_a_prior_of_its_own():
    X = np.column_stack([np.random.default_rng(4).normal(size=30), np.full(30, 3.0)])
    fitted = fit_mixture(Gaussian(2, prior=niw(2)), as_source(X), 1)
    assert np.isfinite(fitted.log_likelihood)


def test_likelihood_is_the_pure_one_and_the_trace_has_the_prior():
    X = np.random.default_rng(5).normal(size=(50, 2))
    fitted = fit_mixture(Gaussian(2, prior=niw(2)), as_source(X), 1)
    pure = fitted.mixture.log_density(X).sum()
    assert fitted.log_likelihood == pytest.approx(pure, rel=1e-13)
    log_prior = fitted.mixture.log_prior
    assert abs(log_prior) > 1
    assert fitted.trace.objective[-1] == pytest.approx(pure + log_prior, rel=1e-13)


def test_blocks_give_the_same_bits_under_a_prior(tmp_path):
    X = np.random.default_rng(6).normal(size=(3000, 2))
    path = tmp_path / "rows.csv"
    np.savetxt(path, X, delimiter=",", header="a,b", comments="", fmt="%.17g")
    family = Gaussian(2, prior=niw(2))
    params = [
        estimate(family, source, 1).params
        for source in (as_source(X), as_source(X, block_rows=1024), as_source(path))
    ]
    for other in params[1:]:
        for a, b in zip(params[0], other, strict=True):
            assert a.tobytes() == b.tobytes()


def test_compiled_runs_are_without_prior():
    assert Gaussian(2).runner() is not None
    assert Gaussian(2, prior=niw(2)).runner() is None


# -- door A ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [1.0, 3.5, (2.0, 5.0)])
def test_rates_with_a_gamma_prior_are_posterior_modes(shape):
    X = np.random.default_rng(0).poisson([2.0, 9.0], size=(25, 2)).astype(float)
    family = Poisson(2, prior=GammaPrior(shape, 4.0))
    found = estimate(family, as_source(X), 1).params.rate[0]
    for j in range(2):
        a = np.broadcast_to(shape, 2)[j]

        def loss(t, j=j, a=a):
            rate = np.exp(t)
            return -(
                stats.poisson.logpmf(X[:, j], rate).sum()
                + stats.gamma.logpdf(rate, a, scale=1 / 4.0)
            )

        best = optimize.minimize_scalar(
            loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-9}
        )
        assert found[j] == pytest.approx(np.exp(best.x), rel=1e-6)
    other = PoissonParams(found[None] + 1.0)
    gap = stats.gamma.logpdf(found, shape, scale=0.25).sum() - (
        stats.gamma.logpdf(found + 1, shape, scale=0.25).sum()
    )
    assert family.log_prior(PoissonParams(found[None])) - family.log_prior(other) == (
        pytest.approx(gap)
    )


@pytest.mark.parametrize("kind", ["exponential", "bernoulli", "categorical"])
def test_other_conjugate_priors_give_posterior_modes(kind):
    """A numeric search over likelihood times scipy's prior density finds the same estimate."""
    rng = np.random.default_rng(3)
    if kind == "exponential":
        family, X = Exponential(1, prior=GammaPrior(2.5, 4.0)), rng.exponential(3.0, (15, 1))

        def posterior(t):
            rate = np.exp(t[0])
            prior = stats.gamma.logpdf(rate, 2.5, scale=1 / 4.0)
            return stats.expon.logpdf(X, scale=1 / rate).sum() + prior, np.array([[1 / rate]])
    elif kind == "bernoulli":
        family, X = Bernoulli(1, prior=BetaPrior(2.0, 5.0)), rng.integers(0, 2, (15, 1)) * 1.0

        def posterior(t):
            p = 1 / (1 + np.exp(-t[0]))
            prior = stats.beta.logpdf(p, 2.0, 5.0)
            return stats.bernoulli.logpmf(X, p).sum() + prior, np.array([[p]])
    else:
        family = Categorical(1, levels=(3,), prior=DirichletPrior((2.0, 1.0, 4.0)))
        X = rng.integers(0, 3, (15, 1)) * 1.0

        def posterior(t):
            p = np.exp(np.append(t, 0.0))
            p /= p.sum()
            prior = stats.dirichlet.logpdf(p, [2.0, 1.0, 4.0])
            return np.log(p[X.astype(int)]).sum() + prior, p[None]

    size = 2 if kind == "categorical" else 1
    best = optimize.minimize(lambda t: -posterior(t)[0], np.zeros(size), options={"gtol": 1e-8})
    found = estimate(family, as_source(X), 1).params
    np.testing.assert_allclose(found[0], posterior(best.x)[1], rtol=1e-5)
    value, other = posterior(best.x), posterior(best.x + 0.3)
    source = as_source(X)
    (block,) = source.blocks()

    def ours(numbers):
        mixture = Mixture(family, np.ones(1), type(found)(numbers))
        return mixture.evaluate(block).loglik + mixture.log_prior

    assert ours(value[1]) - ours(other[1]) == pytest.approx(value[0] - other[0], rel=1e-6)


def test_pseudo_rows_are_rows():
    """A prior worth 3 rows that sum to (6, 12) is three more rows (2, 4) in each component."""
    X = np.array([[1.0, 2.0], [5.0, 4.0]])
    found = estimate(Poisson(2, prior=PseudoRows(3.0, (6.0, 12.0))), as_source(X), 1)
    rows = as_source(np.vstack([X, np.full((3, 2), [2.0, 4.0])]))
    np.testing.assert_allclose(found.params.rate, estimate(Poisson(2), rows, 1).params.rate)


def test_em_of_counts_never_lowers_likelihood_plus_prior():
    rng = np.random.default_rng(1)
    X = rng.poisson(np.array([0.2, 9.0])[rng.choice(2, 200)])[:, None]
    start = Mixture(
        Poisson(1, prior=GammaPrior(4.0, 6.0)),
        np.full(2, 0.5),
        PoissonParams(np.array([[1.0], [5.0]])),
    )
    steps = em_steps(start, as_source(X))
    values = np.array([next(steps).objective for _ in range(40)])
    assert (np.diff(values) >= -1e-11 * np.abs(values[1:])).all()
    fitted = fit_mixture(start.family, as_source(X), 2, start=start)
    rate, w = fitted.mixture.params.rate, fitted.mixture.weights

    def loss(t):
        share, rates = 1 / (1 + np.exp(-t[0])), np.exp(t[1:])
        p = stats.poisson.pmf(X, rates) @ [share, 1 - share]
        return -(np.log(p).sum() + stats.gamma.logpdf(rates, 4.0, scale=1 / 6.0).sum())

    at = np.concatenate([[np.log(w[0] / w[1])], np.log(rate.ravel())])
    best = optimize.minimize(loss, at + 0.1, method="BFGS", options={"gtol": 1e-7})
    assert loss(at) == pytest.approx(best.fun, abs=1e-5)
    np.testing.assert_allclose(np.exp(best.x[1:]), rate.ravel(), rtol=1e-3)


def test_the_default_prior_of_counts_is_one_row_of_the_mean():
    X = np.random.default_rng(2).poisson([2.0, 9.0], size=(25, 2)).astype(float)
    fitted = fit_mixture(Poisson(2, prior="default"), as_source(X), 2, max_iter=3)
    assert fitted.mixture.family.prior.count == 1.0
    np.testing.assert_allclose(fitted.mixture.family.prior.total, X.mean(axis=0), rtol=1e-13)


def test_default_priors_for_all_sizes_are_of_one_pass():
    X = as_source(np.random.default_rng(2).poisson(3.0, size=(25, 2)).astype(float))
    families = [Poisson(2, prior="default"), Gaussian(2, prior="default")]
    executor = Counting(Local(1))
    prospect = Prospect(families, X, 4, executor)
    for family, n_needed in zip(families, (1, 2), strict=True):  # one for the profile
        before = executor.n_passes
        ready = prospect.ready_for(family, [1, 2, 3, 4])
        assert executor.n_passes - before == n_needed
        for size in (1, 4):
            assert ready[size].prior == Prospect([family], X, 4, Local(1)).ready(family, size).prior


def test_a_column_without_events_has_a_rate_under_a_prior():
    X = as_source(np.zeros((10, 1)))
    assert estimate(Poisson(1, prior=GammaPrior(2.0, 5.0)), X, 1).params.rate[0, 0] == (
        pytest.approx(1 / 15)
    )


# -- values ----------------------------------------------------------------------------------------

PRIORS = [
    niw(3),
    PseudoRows(2.0, (1.0, 3.0)),
    GammaPrior(2, 3),
    GammaPrior((1.0, 2.5), 3),
    BetaPrior(1.5, 2),
    DirichletPrior((1.0, 2.0, 3.0)),
]


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: prior.kind)
def test_a_prior_is_a_value_that_files_can_hold(prior):
    assert find_prior(prior.config()) == prior
    assert pickle.loads(pickle.dumps(prior)) == prior
    assert prior.describe()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GammaPrior(0.0, 1.0), "shape=0.0.*> 0"),
        (lambda: GammaPrior(1.0, np.nan), "rate=nan.*> 0"),
        (lambda: GammaPrior("a", 1.0), "numbers"),
        (lambda: BetaPrior(1.0, -1.0), "b=-1.0"),
        (lambda: DirichletPrior([]), "concentration"),
        (lambda: PseudoRows(-1.0, (1.0,)), "count=-1.0"),
        (lambda: PseudoRows(1.0, 2.0), "one per entry"),
        (lambda: NormalInverseWishart((0.0,), -1.0, 3.0, ((1.0,),)), "shrinkage=-1.0"),
        (lambda: NormalInverseWishart((0.0, 0.0), 1.0, 1.0, np.eye(2)), "freedom=1.0.*d - 1 = 1"),
        (lambda: NormalInverseWishart((0.0, 0.0), 1.0, 5.0, -np.eye(2)), "positive definite"),
        (lambda: NormalInverseWishart((0.0, 0.0), 1.0, 5.0, np.eye(3)), r"shape \(2, 2\)"),
        (lambda: find_prior({"kind": "other"}), "one of pseudo-rows"),
        (lambda: find_prior({"kind": "gamma", "size": 1}), "the numbers of a gamma prior"),
    ],
)
def test_what_is_no_prior_is_refused(make, words):
    with pytest.raises(UsageError, match=words):
        make()


@pytest.mark.parametrize(
    ("family", "words"),
    [
        (Gaussian(2, prior=GammaPrior(1.0, 1.0)), "NormalInverseWishart of 2 columns"),
        (Gaussian(2, prior=niw(3)), "of 2 columns"),
        (Poisson(2, prior=niw(2)), "a conjugate prior of poisson"),
        (Poisson(2, prior=GammaPrior(0.5, 1.0)), "shape=0.5.*at least 1"),
        (Poisson(2, prior=GammaPrior((1.0, 2.0, 3.0), 1.0)), "one number, or 2"),
    ],
)
def test_a_prior_must_fit_its_family(family, words):
    X = as_source(np.random.default_rng(0).poisson(3, size=(20, 2)).astype(float))
    with pytest.raises(UsageError, match=words):
        fit_mixture(family, X, 2)


# -- faces -----------------------------------------------------------------------------------------


def test_the_estimator_takes_a_prior_and_the_file_keeps_it(tmp_path):
    X = np.random.default_rng(7).normal(size=(60, 2))
    model = GaussianMixture(2, prior=niw(2), random_state=0).fit(X)
    plain = GaussianMixture(2, random_state=0).fit(X)
    assert model.log_likelihood_ < plain.log_likelihood_
    assert model.log_likelihood_ == pytest.approx(model.score_samples(X).sum(), rel=1e-12)
    assert "normal-inverse-Wishart of shrinkage 2.5" in model.summary()
    model.save(tmp_path / "m.mixtura")
    again = load(tmp_path / "m.mixtura")
    assert again.mixture_.family.prior == niw(2)
    assert again.mixture_.log_prior == pytest.approx(model.mixture_.log_prior, rel=1e-12)
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    again.save(tmp_path / "again.mixtura")
    assert (tmp_path / "m.mixtura").read_bytes() == (tmp_path / "again.mixtura").read_bytes()
    counts = MixtureModel("poisson", 2, prior="default", random_state=0).fit(
        np.arange(9.0)[:, None]
    )
    assert counts.mixture_.family.prior == PseudoRows(1.0, (4.0,))


def test_a_model_file_from_before_priors_can_be_read():
    fitted = fit_mixture(Poisson(1), as_source(np.array([[1.0], [4.0]])), 1)
    content = modelfile.to_bytes(fitted)
    for old, new in ((b'\\"prior\\": null, ', b""), (b'\\"weighting\\": \\"free\\", ', b"")):
        assert content.count(old) == 1
        content = content.replace(old, new)
    removed = len(modelfile.to_bytes(fitted)) - len(content)
    size = int.from_bytes(content[:8], "little") - removed
    content = size.to_bytes(8, "little") + content[8:]
    checksum = content[content.index(b"checksum") :].split(b'"')[2].rstrip(b"\\")
    blank = content.replace(checksum, b"0" * 64)
    content = content.replace(checksum, hashlib.sha256(blank).hexdigest().encode())
    mixture = modelfile.from_bytes(content, "old").mixture
    assert (mixture.family.prior, mixture.weighting) == (None, FREE)


def test_the_command_line_takes_prior_and_weighting(tmp_path, capsys):
    X = np.random.default_rng(8).normal(size=(60, 2))
    np.savetxt(tmp_path / "rows.csv", X, delimiter=",", header="a,b", comments="")
    arguments = ["fit", str(tmp_path / "rows.csv"), "-k", "2", "--json"]

    def run(*more):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, *more])
        return ended.value.code, capsys.readouterr().out

    code, out = run("--prior", "default", "--weighting", "equal")
    facts = json.loads(out)
    assert code == 0
    assert facts["prior"]["kind"] == "normal-inverse-wishart"
    assert facts["weights"] == [0.5, 0.5]
    assert facts["n_free"] == 10
    penalised, plain = facts["trace"]["objective"][-1], facts["trace"]["log_likelihood"][-1]
    assert plain == pytest.approx(facts["log_likelihood"], rel=1e-9)
    assert abs(penalised - plain) > 1e-3
    code, out = run("--weighting", "4")
    assert code == 0
    assert json.loads(out)["weighting"] == 4.0
    assert run("--weighting", "often")[0] == 2
