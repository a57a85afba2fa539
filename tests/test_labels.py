"""What is known of rows: labels, probabilities, several components per class."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, poisson

from mixtura import (
    GaussianMixture,
    Mixture,
    MixtureModel,
    as_source,
    em_steps,
    estimate,
    fit_em,
    fit_mixture,
)
from mixtura.errors import DataError, UsageError
from mixtura.families import (
    Beta,
    Composite,
    CompositeParams,
    Gamma,
    Gaussian,
    Poisson,
    PoissonParams,
)
from mixtura.labelled import component_labels, with_component_labels
from mixtura.source import Block


def three_groups(n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping groups of rows in two columns, and the group of each row."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3, n)
    centres = np.array([[0.0, 0.0], [2.5, 0.0], [1.0, 2.5]])
    return centres[groups] + rng.normal(size=(n, 2)), groups


def start_of(family: Gaussian, X: np.ndarray) -> Mixture:
    means = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 2.0]])
    return Mixture(
        family, np.full(3, 1 / 3), family.params(means, np.repeat(np.eye(2)[None], 3, 0))
    )


# -- none known: plain EM -------------------------------------------------------------


@pytest.mark.parametrize(
    "unknown",
    [
        lambda n: np.full(n, -1),
        lambda n: np.full(n, np.nan),
        lambda n: np.full((n, 3), np.nan),
        lambda n: np.ones((n, 3), dtype=bool),
    ],
    ids=["-1", "NaN", "rows of NaN", "all allowed"],
)
def test_rows_of_which_nothing_is_known_take_plain_em_bit_by_bit(unknown):
    X, _ = three_groups()
    plain = fit_em(start_of(Gaussian(2), X), as_source(X), max_iter=20)
    labelled = as_source(X, labels=unknown(len(X)))
    same = fit_em(start_of(Gaussian(2), X), labelled, max_iter=20)
    assert (same.mixture.means == plain.mixture.means).all()
    assert (same.trace.objective == plain.trace.objective).all()
    fitted, again = (fit_mixture(Gaussian(2), s, 3, seed=1) for s in (as_source(X), labelled))
    assert (fitted.mixture.means == again.mixture.means).all()


def test_equal_probabilities_change_the_likelihood_by_a_constant_only():
    X, _ = three_groups()
    plain = fit_em(start_of(Gaussian(2), X), as_source(X), max_iter=20)
    even = fit_em(
        start_of(Gaussian(2), X), as_source(X, labels=np.full((len(X), 3), 1 / 3)), max_iter=20
    )
    np.testing.assert_allclose(even.mixture.means, plain.mixture.means, rtol=1e-10)
    np.testing.assert_allclose(
        even.trace.objective + len(X) * np.log(3), plain.trace.objective, rtol=1e-12
    )


# -- all known ------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical", "VEV"])
def test_certain_probabilities_are_labels(covariance):
    X, groups = three_groups()
    family = Gaussian(2, covariance)
    words = fit_mixture(family, as_source(X, labels=groups), 3)
    numbers = fit_mixture(family, as_source(X, labels=np.eye(3)[groups]), 3)
    assert words.outcome.name == numbers.outcome.name == "CLOSED_FORM"
    assert (words.mixture.means == numbers.mixture.means).all()
    assert words.log_likelihood == numbers.log_likelihood


def test_all_known_is_counting_and_averaging():
    X, groups = three_groups()
    found = fit_mixture(Gaussian(2), as_source(X, labels=groups), 3).mixture
    for k in range(3):
        own = X[groups == k]
        assert found.weights[k] == pytest.approx(len(own) / len(X), rel=1e-14)
        np.testing.assert_allclose(found.means[k], own.mean(axis=0), rtol=1e-13)
        covariance = found.family.covariances(found.params)[k]
        np.testing.assert_allclose(covariance, np.cov(own.T, bias=True), rtol=1e-12)


# -- partly known -----------------------------------------------------------------------


def uneven(n: int, rng: np.random.Generator) -> np.ndarray:
    """Probabilities with rows that are certain, that forbid one component, and that are vague."""
    P = rng.dirichlet([1.0, 1.0, 1.0], n)
    P[::4] = np.eye(3)[rng.integers(0, 3, len(P[::4]))]
    P[1::4, 2] = 0.0
    return P / P.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_probabilities_multiply_the_weights_in_the_e_step(covariance):
    rng = np.random.default_rng(2)
    X, _ = three_groups()
    P, w = uneven(len(X), rng), rng.random(len(X))
    family = Gaussian(2, covariance)
    mixture = fit_mixture(family, as_source(X), 3, seed=0).mixture
    S = mixture.family.full_covariances(mixture.params)
    density = np.stack(
        [multivariate_normal(mixture.means[k], S[k]).logpdf(X) for k in range(3)], axis=1
    )
    with np.errstate(divide="ignore"):
        joint = np.log(P) + np.log(mixture.weights) + density
    log_density = np.logaddexp.reduce(joint, axis=1)
    stats = mixture.expect(Block(X, w, 0, P))
    assert stats.loglik == pytest.approx(w @ log_density, rel=1e-12)
    R = np.exp(joint - log_density[:, None])
    np.testing.assert_allclose(stats.weight, w @ R, rtol=1e-11)
    np.testing.assert_allclose(
        mixture.maximise(stats).means, ((w[:, None] * R).T @ X) / (w @ R)[:, None], rtol=1e-10
    )


def test_probabilities_work_for_families_without_a_kernel():
    rng = np.random.default_rng(3)
    X = rng.poisson(4.0, (50, 1)).astype(float)
    P = rng.dirichlet([1.0, 1.0], 50)
    mixture = Mixture(Poisson(1), np.array([0.3, 0.7]), PoissonParams(np.array([[2.0], [6.0]])))
    joint = P * mixture.weights * poisson([2.0, 6.0]).pmf(X)
    stats = mixture.expect(Block(X, None, 0, P))
    assert stats.loglik == pytest.approx(np.log(joint.sum(axis=1)).sum(), rel=1e-12)


def test_the_likelihood_never_falls_with_probabilities():
    rng = np.random.default_rng(4)
    X, _ = three_groups(300)
    source = as_source(X, labels=uneven(300, rng))
    steps = em_steps(start_of(Gaussian(2), X), source)
    objectives = [next(steps).objective for _ in range(40)]
    assert (np.diff(objectives) >= -1e-9).all()
    assert objectives[-1] > objectives[0] + 1.0


def test_probabilities_tell_alike_components_apart():
    # two groups in one place, of different spread; only the probabilities say which is which
    rng = np.random.default_rng(5)
    groups = rng.integers(0, 2, 600)
    X = rng.normal(size=(600, 2)) * np.where(groups, 3.0, 1.0)[:, None]
    P = np.where(groups[:, None] == np.arange(2), 0.8, 0.2)
    found = fit_mixture(Gaussian(2, "spherical"), as_source(X, labels=P), 2).mixture
    sd = np.sqrt(found.family.covariances(found.params))
    np.testing.assert_allclose(sd, [1.0, 3.0], rtol=0.12)


# -- several components per class ---------------------------------------------------------


def test_rows_of_a_class_go_to_its_components_only():
    X, groups = three_groups(300)
    classes = np.where(groups == 2, 1, 0)
    classes[::3] = -1
    labelled = with_component_labels(as_source(X, labels=classes), [2, 1])
    fit = fit_mixture(Gaussian(2), labelled, 3)
    (block,) = labelled.blocks()
    joint = fit.mixture.family.log_density(fit.mixture.params, X) + fit.mixture.log_weights
    allowed = np.where(block.labels, joint, -np.inf)
    loglik = np.logaddexp.reduce(allowed, axis=1).sum()
    assert fit.trace.objective[-1] == pytest.approx(loglik, rel=1e-12)
    assert (block.labels[classes == 0] == [True, True, False]).all()
    assert (block.labels[classes == 1] == [False, False, True]).all()
    assert block.labels[classes == -1].all()
    assert (np.diff(fit.trace.objective) >= -1e-9).all()


def test_known_classes_of_several_components_are_separate_mixtures():
    X, groups = three_groups(400)
    classes = np.where(groups == 2, 1, 0)
    source = with_component_labels(as_source(X, labels=classes), [2, 1])
    joint = fit_mixture(Gaussian(2), source, 3)
    own = fit_mixture(Gaussian(2), as_source(X[classes == 0]), 2)
    share = (classes == 0).mean()
    assert joint.mixture.weights[:2].sum() == pytest.approx(share, rel=1e-12)
    order = np.argsort(-joint.mixture.weights[:2])
    np.testing.assert_allclose(joint.mixture.means[:2][order], own.mixture.means, atol=2e-3)


def test_component_labels_of_probabilities_give_each_component_that_of_its_class():
    P = np.array([[0.25, 0.75], [1.0, 1.0]])
    expected = [[0.25, 0.25, 0.75], [1.0, 1.0, 1.0]]
    np.testing.assert_array_equal(component_labels(P, [2, 1]), expected)


def test_estimators_take_probabilities_and_classes_of_components():
    X, groups = three_groups(300)
    classes = np.where(groups == 2, 1, 0)
    classes[::3] = -1
    words = np.array([None, "even", "odd"], dtype=object)[classes + 1]
    model = GaussianMixture(3, random_state=0).fit(X, labels=classes, components_per_class=[2, 1])
    again = GaussianMixture(3, random_state=0).fit(X, labels=words, components_per_class=[2, 1])
    plain = fit_mixture(
        Gaussian(2), with_component_labels(as_source(X, labels=classes), [2, 1]), 3,
        seed=0, n_starts=10,
    )  # fmt: skip
    np.testing.assert_allclose(model.means_, again.means_, rtol=1e-12)
    np.testing.assert_allclose(model.means_, plain.mixture.means, atol=1e-2)
    P = np.where(classes[:, None] < 0, 1 / 3, np.eye(3)[groups])
    soft = MixtureModel("gaussian", 3).fit(X, labels=P)
    np.testing.assert_allclose(np.sort(soft.means_[:, 1])[-1], 2.5, atol=0.3)
    assert soft.converged_
    with pytest.raises(UsageError, match="components_per_class"):
        GaussianMixture(3).fit(X, labels=classes, components_per_class=[2, 2])
    with pytest.raises(UsageError, match="no label"):
        GaussianMixture(3).fit(X, components_per_class=[2, 1])


# -- several families in one mixture ----------------------------------------------------------


def test_labelled_components_do_not_start_anew_elsewhere():
    # the second component of the first class lies where no row is
    X, groups = three_groups(300)
    classes = np.where(groups == 2, 1, 0)
    source = with_component_labels(as_source(X, labels=classes), [2, 1])
    family = Gaussian(2)
    means = np.array([[0.0, 0.0], [1e3, 1e3], [1.0, 2.5]])
    start = Mixture(
        family, np.full(3, 1 / 3), family.params(means, np.repeat(np.eye(2)[None], 3, 0))
    )
    fitted = fit_mixture(family, source, 3, start=start)
    assert fitted.events == ()
    np.testing.assert_allclose(fitted.mixture.means[0], X[classes == 0].mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(fitted.mixture.means[2], X[classes == 1].mean(axis=0), rtol=1e-10)


def test_parts_keep_what_their_components_share():
    X, groups = three_groups(200)
    groups[:20] = 3
    family = Composite(2, (Gaussian(2, "EEE"), Gaussian(2, "EEE")), (2, 2))
    found = estimate(family, as_source(X, labels=groups), 4).params
    for part, (first, last) in zip(found.parts, ((0, 1), (2, 3)), strict=True):
        own = (groups >= first) & (groups <= last)
        alone = estimate(Gaussian(2, "EEE"), as_source(X[own], labels=groups[own] - first), 2)
        np.testing.assert_allclose(part.covariances, alone.params.covariances, rtol=1e-12)


def test_composite_is_its_parts_side_by_side():
    X, groups = three_groups(200)
    family = Composite(2, (Gaussian(2, "EEE"), Gaussian(2, "VVI")), (2, 1))
    found = estimate(family, as_source(X, labels=groups), 3)
    assert isinstance(found.params, CompositeParams)
    tied = estimate(Gaussian(2, "EEE"), as_source(X[groups < 2], labels=groups[groups < 2]), 2)
    diagonal = estimate(Gaussian(2, "VVI"), as_source(X[groups == 2]), 1)
    np.testing.assert_allclose(found.params.parts[0].covariances, tied.params.covariances)
    np.testing.assert_allclose(found.params.parts[1].covariances, diagonal.params.covariances)
    density = found.family.log_density(found.params, X)
    np.testing.assert_array_equal(density[:, :2], tied.family.log_density(found.params.parts[0], X))
    assert found.n_free == (4 + 3) + (2 + 2) + 2
    arrays = found.family.to_arrays(found.params)
    again = found.family.from_arrays(arrays)
    np.testing.assert_array_equal(found.family.log_density(again, X), density)


def test_parts_on_the_unit_interval_and_beyond_zero():
    """A beta part has no density at one, where nothing may be asked of it either."""
    X = np.random.default_rng(7).beta(2.0, 3.0, size=(80, 1))
    groups = np.repeat([0, 1], 40)
    family = Composite(1, (Beta(1), Gamma(1)), (1, 1))
    with np.errstate(all="raise"):
        found = estimate(family, as_source(X, labels=groups), 2)
    for own, alone, k in zip(found.params.parts, (Beta(1), Gamma(1)), (0, 1), strict=True):
        truth = estimate(alone, as_source(X[groups == k]), 1).params
        for a, b in zip(own, truth, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_em_over_different_families_never_falls_and_accelerates():
    rng = np.random.default_rng(6)
    X = np.concatenate([rng.normal(5, 1, (150, 1)), rng.poisson(9.0, (150, 1))])
    X = np.abs(np.round(X))
    family = Composite(1, (Gaussian(1), Poisson(1)), (1, 1))
    params = CompositeParams(
        (
            Gaussian(1).params(np.array([[4.0]]), np.ones((1, 1, 1))),
            PoissonParams(np.array([[8.0]])),
        )
    )
    start = Mixture(family, np.array([0.5, 0.5]), params)
    fit = fit_em(start, as_source(X), accelerate=True)
    assert fit.outcome.converged
    assert (np.diff(fit.trace.objective) >= -1e-9).all()
    slow = fit_em(start, as_source(X), max_iter=20_000)
    assert fit.objective == pytest.approx(slow.objective, abs=1e-5)


def test_composite_draws_each_component_from_its_part():
    family = Composite(1, (Gaussian(1), Poisson(1)), (1, 1))
    params = CompositeParams(
        (
            Gaussian(1).params(np.array([[-50.0]]), np.ones((1, 1, 1))),
            PoissonParams(np.array([[3.0]])),
        )
    )
    X, labels = Mixture(family, np.array([0.5, 0.5]), params).sample(2000, np.random.default_rng(0))
    assert X[labels == 0].mean() == pytest.approx(-50.0, abs=0.2)
    assert X[labels == 1].mean() == pytest.approx(3.0, abs=0.25)
    assert (X[labels == 1] == np.round(X[labels == 1])).all()


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.full((4, 2), 0.4), "row 0 is"),
        (np.array([[0.5, 0.5], [1.5, -0.5], [0.5, 0.5], [0.5, 0.5]]), "row 1 is"),
        (np.array([[True, True], [True, False], [False, False], [True, True]]), "row 2 is"),
        (np.full((3, 2), 0.5), "shape"),
        (np.array([[np.nan, 1.0]] * 4), "row 0 is"),
    ],
)
def test_probabilities_that_are_none_are_refused(labels, words):
    with pytest.raises(DataError, match=words):
        as_source(np.arange(8.0).reshape(4, 2), labels=labels)


def test_probabilities_for_another_number_of_components_are_refused():
    X, _ = three_groups()
    with pytest.raises(DataError, match="2 columns of probabilities, but n_components=3"):
        fit_mixture(Gaussian(2), as_source(X, labels=np.full((len(X), 2), 0.5)), 3)


def test_labelled_components_are_not_dropped():
    X, groups = three_groups()
    with pytest.raises(UsageError, match="on_degenerate='drop'"):
        fit_mixture(Gaussian(2), as_source(X, labels=groups), 3, on_degenerate="drop")


def test_a_label_without_a_class_is_refused():
    with pytest.raises(DataError, match="label 2, but there are 2 classes"):
        component_labels(np.array([0, 2]), [2, 1])
