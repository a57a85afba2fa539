"""Pictures by what they show: regions, curves, bars and colours against numbers from elsewhere."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from scipy import integrate, stats

pytest.importorskip("matplotlib")

from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mixtura import GaussianMixture, MixtureModel, as_source, cross_validate, plot
from mixtura.classify.scores import binned
from mixtura.errors import DataError, UsageError
from mixtura.families import (
    FAMILIES,
    Categorical,
    Gaussian,
    Poisson,
    PoissonParams,
    Product,
    Support,
)
from mixtura.families.part import Part
from mixtura.mixture import Mixture
from mixtura.plot.groups import ellipse
from mixtura.plot.judged import reliability
from mixtura.plot.onecolumn import distribution, quantiles
from mixtura.plot.runs import loglog_slope
from mixtura.plot.style import PALETTE, colour

COVARIANCES = np.array([[[1.5, 0.6], [0.6, 0.4]], [[0.5, -0.3], [-0.3, 1.0]]])
MEANS = np.array([[1.0, 3.0], [6.0, 2.0]])


@pytest.fixture(scope="module")
def mixture():
    family = Gaussian(2)
    return Mixture(family, np.array([0.7, 0.3]), family.params(MEANS, COVARIANCES))


@pytest.fixture(scope="module")
def X(mixture):
    return mixture.sample(600, np.random.default_rng(1))[0]


@pytest.fixture(scope="module")
def model(X):
    return GaussianMixture(2, random_state=0).fit(X)


def line(ax, label):
    (found,) = [one for one in ax.get_lines() if one.get_label() == label]
    return found


# -- densities -----------------------------------------------------------------------


def test_drawn_contours_enclose_the_stated_probability(mixture):
    probabilities = (0.25, 0.5, 0.9)
    ax = plot.density(mixture, probabilities=probabilities)
    lines = ax.collections[-1]  # filled regions come first
    fresh = mixture.log_density(mixture.sample(40_000, np.random.default_rng(7))[0])
    falling = sorted(probabilities, reverse=True)
    words = sorted((t.get_text() for t in ax.texts), key=lambda word: -float(word[:-2]))
    assert list(dict.fromkeys(words)) == [f"{100 * p:g} %" for p in falling]
    for path, level, probability in zip(lines.get_paths(), lines.levels, falling, strict=True):
        assert (fresh >= level).mean() == pytest.approx(probability, abs=0.012)
        heights = mixture.log_density(path.vertices)  # where the line was drawn
        np.testing.assert_allclose(heights, level, atol=0.01)


def test_a_curve_is_the_density_and_its_parts_add_up(mixture):
    ax = plot.density(mixture, columns=[1])
    x, y = line(ax, "mixture").get_data()
    sd = np.sqrt(COVARIANCES[:, 1, 1])
    expected = [
        w * stats.norm.pdf(x, m, s) for w, m, s in zip([0.7, 0.3], MEANS[:, 1], sd, strict=True)
    ]
    np.testing.assert_allclose(y, np.sum(expected, axis=0), rtol=1e-10)
    for k in range(2):
        np.testing.assert_allclose(line(ax, f"component {k}").get_ydata(), expected[k], rtol=1e-10)
    assert integrate.trapezoid(y, x) == pytest.approx(1.0, abs=0.01)


def test_the_histogram_has_area_one_and_counts_weights(X, model):
    ax = plot.density(model, as_source(X, weights=np.arange(1.0, 601.0)), columns=0)
    (steps,) = [p for p in ax.patches if p.get_label() == "rows"]
    heights, edges, _ = steps.get_data()
    assert heights @ np.diff(edges) == pytest.approx(1.0)
    expected = np.histogram(X[:, 0], edges, weights=np.arange(1.0, 601.0), density=True)[0]
    np.testing.assert_allclose(heights, expected)


def test_counts_have_probabilities_at_whole_numbers():
    counts = Mixture(Poisson(1), np.array([0.6, 0.4]), PoissonParams(np.array([[3.0], [14.0]])))
    X = counts.sample(400, np.random.default_rng(2))[0]
    ax = plot.density(counts, X)
    x, y = line(ax, "mixture").get_data()
    assert (x == np.floor(x)).all()
    np.testing.assert_allclose(y, 0.6 * stats.poisson.pmf(x, 3) + 0.4 * stats.poisson.pmf(x, 14))
    (steps,) = [p for p in ax.patches if p.get_label() == "rows"]
    heights, edges, _ = steps.get_data()
    np.testing.assert_allclose(
        heights, np.bincount(X[:, 0].astype(int), minlength=len(heights)) / 400
    )
    np.testing.assert_allclose(edges % 1, 0.5)
    assert ax.get_ylabel() == "probability"


def test_marginals_are_integrals_of_the_joint_density():
    rng = np.random.default_rng(3)
    A = rng.normal(size=(2, 3, 3))
    for name in ("full", "tied", "diag", "spherical"):
        family = Gaussian(3, name)
        covariances = {
            "full": A @ A.transpose(0, 2, 1) + np.eye(3),
            "tied": (A[0] @ A[0].T + np.eye(3))[None],
            "diag": rng.uniform(0.5, 2, (2, 3)),
            "spherical": rng.uniform(0.5, 2, 2),
        }[name]
        whole = Mixture(family, [0.4, 0.6], family.params(rng.normal(size=(2, 3)), covariances))
        z = np.linspace(-25, 25, 2001)
        rows = np.column_stack([np.full_like(z, 0.3), z, np.full_like(z, -0.7)])
        integral = integrate.trapezoid(np.exp(whole.log_density(rows)), z)
        part = whole.marginal([2, 0])
        assert np.exp(part.log_density(np.array([[-0.7, 0.3]]))[0]) == pytest.approx(
            integral, rel=1e-8
        )


def test_marginals_keep_units_of_extreme_data():
    X = np.random.default_rng(0).normal(size=(50, 2)) * [1e-40, 1.0] + [3e-40, 0.0]
    part = GaussianMixture(random_state=0).fit(X).mixture_.marginal([0])
    expected = stats.norm.logpdf(X[:5, 0] * 1e40, X[:, 0].mean() * 1e40, X[:, 0].std() * 1e40)
    np.testing.assert_allclose(part.log_density(X[:5, :1]), expected + 40 * np.log(10), rtol=1e-9)


# -- components ----------------------------------------------------------------------


def test_axes_of_ellipses_are_those_of_the_covariances(mixture):
    ax = plot.components(mixture, probabilities=[0.5, 0.95])
    assert len(ax.patches) == 4
    for patch, (probability, k) in zip(
        ax.patches, [(0.5, 0), (0.5, 1), (0.95, 0), (0.95, 1)], strict=True
    ):
        values, vectors = np.linalg.eigh(COVARIANCES[k])
        radius = np.sqrt(stats.chi2.ppf(probability, 2))
        assert patch.width == pytest.approx(2 * radius * np.sqrt(values[1]))
        assert patch.height == pytest.approx(2 * radius * np.sqrt(values[0]))
        along = [np.cos(np.radians(patch.angle)), np.sin(np.radians(patch.angle))]
        assert abs(vectors[:, 1] @ along) == pytest.approx(1.0)
        np.testing.assert_allclose(patch.center, MEANS[k])
        assert to_hex(patch.get_edgecolor()).upper() == PALETTE[k]


def test_an_ellipse_holds_its_probability_of_its_component(mixture):
    ax = plot.components(mixture, probabilities=[0.8])
    rng = np.random.default_rng(4)
    for k, patch in enumerate(ax.patches):
        rows = rng.multivariate_normal(MEANS[k], COVARIANCES[k], 20_000)
        outline = patch.get_patch_transform().transform_path(patch.get_path())
        assert outline.contains_points(rows).mean() == pytest.approx(0.8, abs=0.012)


def test_ellipse_of_a_rotated_matrix():
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    width, height, angle = ellipse(turn @ np.diag([9.0, 4.0]) @ turn.T)
    assert (width, height, angle) == pytest.approx((6.0, 4.0, np.degrees(0.5)))


def test_components_that_are_no_ellipses_have_contours():
    counts = Mixture(
        Poisson(2), np.array([0.5, 0.5]), PoissonParams(np.array([[30.0, 40.0], [60.0, 30.0]]))
    )
    ax = plot.components(counts, probabilities=[0.9])
    assert not ax.patches
    rng = np.random.default_rng(5)
    for k in range(2):
        lines = ax.collections[k]
        rows = rng.poisson(counts.params.rate[k], (20_000, 2))
        inside = lines.get_paths()[0].contains_points(rows).mean()
        assert inside == pytest.approx(0.9, abs=0.02)
        assert to_hex(lines.get_edgecolor()[0]).upper() == PALETTE[k]


# -- rows ----------------------------------------------------------------------------


def test_uncertain_rows_fade_or_grow(X, model):
    R = model.predict_proba(X)
    doubt = (1 - R.max(axis=1)) * 2
    faded = plot.classification(model, X, probability=None).collections[0]
    own = R.argmax(axis=1) == 0
    alpha = faded.get_facecolors()[:, 3]
    order = np.argsort(doubt[own])
    assert (np.diff(alpha[order]) <= 1e-12).all()
    assert alpha.min() < alpha.max() - 0.3
    grown = plot.classification(model, X, probability=None, show="size").collections[0]
    sizes = grown.get_sizes()
    assert (np.diff(sizes[order]) >= -1e-12).all()
    assert sizes.max() > 2 * sizes.min()


def test_a_component_has_one_colour_everywhere(X, model):
    best = model.predict(X)
    ax = plot.classification(model, X, probability=0.9)
    groups = [c for c in ax.collections if len(c.get_offsets())]
    for k in range(2):
        assert {to_hex(c) for c in groups[k].get_facecolors()} == {PALETTE[k].lower()}
        np.testing.assert_allclose(groups[k].get_offsets(), X[best == k])
        assert to_hex(ax.patches[k].get_edgecolor()) == PALETTE[k].lower()
        curve = line(plot.density(model, X, columns=0), f"component {k}")
        assert to_hex(curve.get_color()) == PALETTE[k].lower()
    points = plot.uncertainty(model, X).collections[-1]
    assert [to_hex(c) for c in points.get_facecolors()] == [PALETTE[k].lower() for k in best]
    points = [c for c in plot.boundaries(model, X).collections if len(c.get_offsets()) == len(X)][
        -1
    ]
    assert [to_hex(c) for c in points.get_facecolors()] == [PALETTE[k].lower() for k in best]


def test_the_map_of_uncertainty_is_that_of_the_model(mixture):
    ax = plot.uncertainty(mixture)
    (image,) = [c for c in ax.collections if hasattr(c, "get_coordinates")]
    heights = image.get_array()
    corners = image.get_coordinates()
    at = (40, 100)
    middle = corners[at[0] : at[0] + 2, at[1] : at[1] + 2].reshape(4, 2).mean(axis=0)
    expected = 1 - mixture.responsibilities(middle[None]).max()
    assert heights.reshape(241, 241)[at] == pytest.approx(expected, abs=1e-9)


def test_boundaries_lie_where_two_components_are_equally_probable(mixture):
    ax = plot.boundaries(mixture)
    borders = [c for c in ax.collections if hasattr(c, "levels")]
    places = np.concatenate([path.vertices for c in borders for path in c.get_paths()])
    assert len(places) > 50
    R = mixture.responsibilities(places)
    assert np.abs(R[:, 0] - 0.5).max() < 0.05


def test_boundaries_of_a_classifier_are_its_own(X):
    from sklearn.linear_model import LogisticRegression

    y = np.where(X[:, 0] > 3.5, "right", "left")
    classifier = LogisticRegression().fit(X, y)
    ax = plot.boundaries(classifier, X, y=y)
    borders = [c for c in ax.collections if hasattr(c, "levels")]
    places = np.concatenate([path.vertices for c in borders for path in c.get_paths()])
    assert np.abs(classifier.predict_proba(places)[:, 0] - 0.5).max() < 0.05
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["left", "right"]


def test_the_heat_map_holds_the_responsibilities_sorted(X, model):
    image = plot.responsibilities(model, X).get_images()[0].get_array()
    best = image.argmax(axis=1)
    assert (np.diff(best) >= 0).all()
    expected = model.predict_proba(X)
    np.testing.assert_allclose(np.sort(image[:, 0]), np.sort(expected[:, 0]))


def test_pairs_have_a_panel_for_each_pair(model, X):
    wide = np.column_stack([X, X[:, 0] - X[:, 1] + np.random.default_rng(0).normal(size=len(X))])
    fitted = GaussianMixture(2, random_state=0).fit(wide)
    ax = plot.pairs(fitted, wide, columns=[0, 2, 1])
    assert len(ax.child_axes) == 9
    below = ax.child_axes[3]  # second row, first column
    assert below.get_ylabel() == "x2"
    groups = [c for c in below.collections if len(c.get_offsets())]
    np.testing.assert_allclose(groups[0].get_offsets(), wide[fitted.predict(wide) == 0][:, [0, 2]])
    assert ax.child_axes[6].get_xlim() == ax.child_axes[0].get_xlim()


def test_many_rows_are_sampled_and_always_alike(model, mixture):
    many = mixture.sample(5000, np.random.default_rng(8))[0]
    first, again = (plot.components(model, many, max_points=300).collections[0] for _ in range(2))
    assert len(first.get_offsets()) == 300
    np.testing.assert_array_equal(first.get_offsets(), again.get_offsets())
    rows = {tuple(row) for row in many}
    assert all(tuple(row) in rows for row in np.asarray(first.get_offsets()))


def test_incomplete_rows_are_left_out(model, X):
    holed = X.copy()
    holed[::3, 1] = np.nan
    shown = plot.components(model, holed).collections[0].get_offsets()
    np.testing.assert_array_equal(shown, X[np.arange(len(X)) % 3 != 0])
    with pytest.raises(DataError, match="complete rows"):
        plot.components(model, np.full((3, 2), np.nan))


# -- one column ----------------------------------------------------------------------


def test_distribution_functions_agree_with_scipy(mixture):
    x = np.linspace(-4, 10, 301)
    part = mixture.marginal([0])
    sd = np.sqrt(COVARIANCES[:, 0, 0])
    expected = 0.7 * stats.norm.cdf(x, 1, sd[0]) + 0.3 * stats.norm.cdf(x, 6, sd[1])
    np.testing.assert_allclose(distribution(part, x), expected, atol=1e-14)
    counts = Mixture(Poisson(1), np.array([1.0]), PoissonParams(np.array([[4.0]])))
    np.testing.assert_allclose(distribution(counts, np.arange(9.0)), stats.poisson.cdf(range(9), 4))


def test_without_a_formula_the_distribution_function_is_an_integral(mixture, monkeypatch):
    part = mixture.marginal([0])
    x = np.linspace(-8, 14, 4001)
    exact = distribution(part, x)
    monkeypatch.setattr(Gaussian, "cdf", lambda *_: None)
    np.testing.assert_allclose(distribution(part, x), exact, atol=1e-6)
    counts = Mixture(Poisson(1), np.array([1.0]), PoissonParams(np.array([[4.0]])))
    monkeypatch.setattr(Poisson, "cdf", lambda *_: None)
    np.testing.assert_allclose(distribution(counts, np.arange(9.0)), stats.poisson.cdf(range(9), 4))


def test_quantiles_invert_the_distribution_function(mixture):
    x = np.linspace(-8, 14, 8001)
    p = np.array([0.01, 0.3, 0.5, 0.9])
    found = quantiles(mixture.marginal([0]), x, p)
    np.testing.assert_allclose(distribution(mixture.marginal([0]), found), p, atol=1e-5)
    counts = Mixture(Poisson(1), np.array([1.0]), PoissonParams(np.array([[4.0]])))
    at = quantiles(counts, np.arange(40.0), p)
    np.testing.assert_array_equal(at, stats.poisson.ppf(p, 4))


def test_points_of_the_right_model_stay_in_the_band(mixture):
    rows = mixture.sample(500, np.random.default_rng(11))[0]
    ax = plot.qq(mixture, rows)
    x, y = line(ax, "rows").get_data()
    np.testing.assert_allclose(y, np.sort(rows[:, 0]))
    band = ax.collections[0].get_paths()[0]
    share = band.contains_points(np.column_stack([x, y])).mean()
    assert share > 0.85
    wrong = plot.qq(mixture, rows + 1.0)
    x, y = line(wrong, "rows").get_data()
    assert wrong.collections[0].get_paths()[0].contains_points(np.column_stack([x, y])).mean() < 0.5


def test_the_empirical_distribution_function_is_a_staircase(mixture, X):
    ax = plot.cdf(mixture, X)
    x, y = line(ax, "rows").get_data()
    np.testing.assert_allclose(x, np.sort(X[:, 0]))
    np.testing.assert_allclose(y, np.arange(1, 601) / 600)
    half = stats.kstwobign.ppf(0.95) / np.sqrt(600)
    band = ax.collections[0].get_paths()[0].vertices
    at = line(ax, "model").get_xdata()
    middle = at[np.argmin(np.abs(line(ax, "model").get_ydata() - 0.5))]
    heights = band[band[:, 0] == middle][:, 1]
    assert np.ptp(heights) == pytest.approx(2 * half)


# -- runs ----------------------------------------------------------------------------


def test_convergence_draws_the_trace_and_the_bound_touches(model):
    ax = plot.convergence(model)
    whole = line(ax, "log-likelihood").get_ydata()
    np.testing.assert_allclose(whole, model.trace_.objective / 600)
    assert whole[-1] == pytest.approx(model.log_likelihood_ / 600)
    np.testing.assert_allclose(line(ax, "bound after the E step").get_ydata(), whole, rtol=1e-10)
    expected = line(ax, "expected complete-data log-likelihood").get_ydata()
    np.testing.assert_allclose(expected + model.trace_.entropy / 600, whole, rtol=1e-10)
    assert ax.get_ylabel() == "nats per row"
    assert plot.convergence(model.trace_).get_ylabel() == "nats"


def test_error_bars_of_selection_are_those_of_the_table(X):
    found = cross_validate(Gaussian(2), as_source(X[:200]), [1, 2, 3], n_folds=4, n_starts=2)
    ax = plot.selection(found)
    (bars,) = ax.containers
    points, _caps, sticks = bars
    np.testing.assert_allclose(points.get_xydata(), np.column_stack([[1, 2, 3], found.score]))
    low = np.array([one[0, 1] for one in sticks[0].get_segments()])
    high = np.array([one[1, 1] for one in sticks[0].get_segments()])
    np.testing.assert_allclose((high - low) / 2, found.standard_error)
    assert [v.get_xdata()[0] for v in ax.get_lines() if v.get_label() == "choice"] == [found.best]


TABLE = {
    "n_components": [1, 2, 1, 2],
    "covariance": ["full", "full", "diag", "diag"],
    "bic": [20.0, 10.0, 21.0, None],
    "cv_log_density": [-3.0, -2.0, -3.5, -2.5],
    "cv_se": [0.1, 0.2, 0.3, 0.4],
}


@pytest.mark.parametrize("form", ["columns", "rows", "frame"])
def test_selection_takes_tables_of_any_form(form):
    table = TABLE
    if form == "rows":
        table = [dict(zip(TABLE, row, strict=True)) for row in zip(*TABLE.values(), strict=False)]
    elif form == "frame":
        table = pytest.importorskip("pandas").DataFrame(TABLE)

    class Chosen:
        pass

    chosen = Chosen()
    chosen.table = table
    chosen.best_row_ = 1 if form == "columns" else {"n_components": 2, "covariance": "full"}
    ax = plot.selection(chosen)
    names = [t.get_text() for t in ax.get_legend().get_texts()]
    assert {"held out, full", "held out, diag", "BIC, full", "BIC, diag"} <= set(names)
    np.testing.assert_allclose(ax.containers[1][0].get_ydata(), [-3.5, -2.5])
    right = ax.figure.axes[1]
    np.testing.assert_allclose(right.get_lines()[0].get_ydata(), [20.0, 10.0])
    assert [v.get_xdata()[0] for v in ax.get_lines() if v.get_label() == "choice"] == [2]


def test_the_slope_of_errors_is_that_of_least_squares():
    n = np.array([10, 40, 160, 640.0])
    values = 3.0 * n**-0.5 * np.exp([0.1, -0.05, 0.02, -0.03])
    slope, error, height = loglog_slope(n, values)
    reference = stats.linregress(np.log(n), np.log(values))
    assert slope == pytest.approx(reference.slope)
    assert error == pytest.approx(reference.stderr)
    assert height == pytest.approx(reference.intercept)
    ax = plot.errors(n, values)
    x, y = line(ax, "slope -1/2").get_data()
    assert np.diff(np.log(y)) / np.diff(np.log(x)) == pytest.approx(-0.5)
    with pytest.raises(UsageError, match="positive"):
        plot.errors([1, 2], [0.0, 1.0])


# -- classifiers ---------------------------------------------------------------------


def test_confusion_counts_like_scikit_learn():
    from sklearn.metrics import confusion_matrix

    rng = np.random.default_rng(6)
    true, predicted = rng.choice(["a", "b", "c"], (2, 200))
    ax = plot.confusion(true, predicted)
    expected = confusion_matrix(true, predicted)
    assert [int(t.get_text()) for t in ax.texts] == expected.ravel().tolist()
    shares = ax.get_images()[0].get_array()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    with pytest.raises(UsageError, match="'c'"):
        plot.confusion(true, predicted, classes=["a", "b"])


def test_calibration_bars_are_wilsons():
    p = np.array([0.05, 0.15, 0.62, 0.65, 0.68, 0.97])
    happened = np.array([False, False, True, False, True, True])
    given, share, low, high = reliability(binned(p, happened, 10))
    np.testing.assert_allclose(given, [0.05, 0.15, 0.65, 0.97])
    np.testing.assert_allclose(share, [0, 0, 2 / 3, 1])
    for i, (k, n) in enumerate([(0, 1), (0, 1), (2, 3), (1, 1)]):
        interval = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
        assert (low[i], high[i]) == pytest.approx(tuple(interval), abs=1e-9)


def test_calibrated_probabilities_lie_on_the_diagonal():
    rng = np.random.default_rng(9)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(int)
    ax = plot.calibration(y, p)
    (bars,) = ax.containers
    given, share = bars[0].get_data()
    assert np.abs(given - share).max() < 0.04
    assert bars[0].get_label() == "1" or bars.get_label() == "1"


# -- axes, colours, words --------------------------------------------------------------


def pictures(model, X):
    y = X[:, 0] > 3
    return {
        "density": lambda ax: plot.density(model, X, ax=ax),
        "components": lambda ax: plot.components(model, X, ax=ax),
        "classification": lambda ax: plot.classification(model, X, ax=ax),
        "uncertainty": lambda ax: plot.uncertainty(model, X, ax=ax),
        "pairs": lambda ax: plot.pairs(model, X, ax=ax),
        "responsibilities": lambda ax: plot.responsibilities(model, X, ax=ax),
        "boundaries": lambda ax: plot.boundaries(model, X, ax=ax),
        "qq": lambda ax: plot.qq(model, X, ax=ax),
        "cdf": lambda ax: plot.cdf(model, X, ax=ax),
        "convergence": lambda ax: plot.convergence(model, ax=ax),
        "selection": lambda ax: plot.selection({"n_components": [1, 2], "bic": [2, 1]}, ax=ax),
        "confusion": lambda ax: plot.confusion(y, y, ax=ax),
        "calibration": lambda ax: plot.calibration(y, 0.1 + 0.8 * y, ax=ax),
        "errors": lambda ax: plot.errors([1, 2, 3], [3, 2, 1], ax=ax),
    }


def test_there_is_a_picture_of_every_name(model, X):
    assert {*pictures(model, X), "colour"} == set(plot.__all__)


@pytest.mark.parametrize("name", sorted(set(plot.__all__) - {"colour"}))
def test_axes_go_in_and_come_out_and_are_labelled(model, X, name):
    ax = Figure(layout="constrained").add_subplot()
    assert pictures(model, X)[name](ax) is ax
    ax.figure.draw_without_rendering()
    made = pictures(model, X)[name](None)
    assert isinstance(made, Axes)
    assert made._repr_png_().startswith(b"\x89PNG")
    if name != "pairs":
        assert ax.get_xlabel()
        assert ax.get_ylabel()


def test_nothing_global_is_touched():
    code = """
import sys, numpy as np
from mixtura import GaussianMixture
import mixtura
assert "matplotlib" not in sys.modules
X = np.random.default_rng(0).normal(size=(50, 2))
model = GaussianMixture(2, random_state=0).fit(X)
ax = mixtura.plot.classification(model, X)
import matplotlib
before = matplotlib.rcParams.copy()
mixtura.plot.pairs(model, X)._repr_png_()
assert matplotlib.rcParams.copy() == before
assert "matplotlib.pyplot" not in sys.modules
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "done\n", done.stderr


def test_estimator_fit_and_mixture_give_the_same_picture(model, X):
    pictures = [plot.density(one, X, columns=[0]) for one in (model, model.fitted_, model.mixture_)]
    first = [one.get_xydata() for one in pictures[0].get_lines()]
    for ax in pictures[1:]:
        for a, b in zip(first, ax.get_lines(), strict=True):
            np.testing.assert_array_equal(a, b.get_xydata())


def test_names_of_columns_are_matched_and_written_as_they_are(X):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["cost $a$", "x_1"])
    fitted = GaussianMixture(2, random_state=0).fit(frame)
    extended = frame[["x_1", "cost $a$"]].assign(note="text")
    ax = plot.components(fitted, extended, columns=["x_1", "cost $a$"])
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), X[:, ::-1])
    assert ax.get_ylabel() == r"cost \$a\$"
    ax.figure.draw_without_rendering()
    named = plot.components(fitted.mixture_, frame)
    assert named.get_ylabel() == "x_1"


def test_what_has_no_meaning_is_refused(model, X):
    with pytest.raises(UsageError, match="columns='z'"):
        plot.density(model, X, columns="z")
    with pytest.raises(UsageError, match="probabilities"):
        plot.density(model, X, probabilities=[1.5])
    with pytest.raises(UsageError, match="probabilities"):
        plot.components(model, X, probabilities=[0.0])
    with pytest.raises(UsageError, match="show"):
        plot.classification(model, X, show="colour")
    with pytest.raises(UsageError, match="model"):
        plot.density("model", X)
    with pytest.raises(DataError, match="3 features"):
        plot.density(model, np.zeros((4, 3)))
    with pytest.raises(UsageError, match="a fit or its trace"):
        plot.convergence(model.mixture_)


def test_without_matplotlib_there_is_one_clear_line(model, X, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"mixtura\[plot\]"):
        plot.density(model, X)


def simulated(colour, matrix):
    """How a colour looks to a dichromat (Viénot, Brettel and Mollon 1999), in CIE Lab."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(matrix) @ linear, 0, 1)
    xyz = (
        np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
        @ seen
        / [0.9505, 1.0, 1.089]
    )
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
        [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    ],
    ids=["protanopia", "deuteranopia"],
)
def test_the_colour_blind_tell_the_colours_apart(matrix):
    seen = [simulated(one, matrix) for one in PALETTE]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(apart) > 8.0
    assert len({colour(k) for k in range(24)}) == 24


def test_a_density_of_poisson_estimators_has_no_ellipses_but_works():
    X = np.random.default_rng(0).poisson([4.0, 9.0], (80, 2))
    fitted = MixtureModel("poisson", 2, random_state=0).fit(X)
    assert plot.classification(fitted, X).collections


# -- families --------------------------------------------------------------------------


def rows_for(family, rng):
    """Rows that suit a family's support, three columns."""
    n = 120
    return {
        Support.REAL: lambda: rng.normal(size=(n, 3)),
        Support.COUNTS: lambda: rng.poisson([2.0, 5.0, 9.0], (n, 3)).astype(float),
        Support.NONNEGATIVE: lambda: rng.exponential([1.0, 2.0, 3.0], (n, 3)),
        Support.POSITIVE: lambda: rng.gamma([1.0, 2.0, 3.0], 2.0, (n, 3)),
        Support.UNIT: lambda: rng.beta(2.0, 3.0, (n, 3)),
        Support.BINARY: lambda: (rng.random((n, 3)) < [0.3, 0.5, 0.7]).astype(float),
        Support.CODES: lambda: rng.integers(0, [2, 3, 4], (n, 3)).astype(float),
    }[family.support]()


SEPARABLE = sorted(
    name for name, family in FAMILIES.items() if family.independent or name == "categorical"
)


@cache
def fit_of(name):
    X = rows_for(FAMILIES[name], np.random.default_rng(3))
    return X, MixtureModel(name, 2, random_state=0, n_init=1).fit(X)


@pytest.mark.parametrize("name", SEPARABLE)
def test_independent_columns_multiply(name):
    X, fitted = fit_of(name)
    family, params = fitted.mixture_.family, fitted.mixture_.params
    single = [family.marginal(params, [j]) for j in range(3)]
    parts = [f.log_density(p, X[:, [j]]) for j, (f, p) in enumerate(single)]
    np.testing.assert_allclose(family.log_density(params, X), sum(parts), rtol=1e-9, atol=1e-9)
    pair, own = family.marginal(params, [2, 0])
    np.testing.assert_allclose(
        pair.log_density(own, X[:, [2, 0]]), parts[2] + parts[0], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("name", SEPARABLE)
@pytest.mark.parametrize("what", ["density", "components", "classification", "qq", "cdf", "pairs"])
def test_every_family_of_columns_can_be_drawn(name, what):
    X, fitted = fit_of(name)
    ax = getattr(plot, what)(fitted, X)
    ax.figure.draw_without_rendering()
    if what == "density":
        curve = plot.density(fitted, X, columns=2)
        x, y = line(curve, "mixture").get_data()
        if fitted.mixture_.family.support.is_discrete:
            assert y.sum() == pytest.approx(1.0, abs=0.01)
        else:
            assert 0.9 < integrate.trapezoid(y, x) < 1.05


def test_families_without_marginals_say_so():
    X = np.random.default_rng(0).normal(size=(60, 3))
    X /= np.linalg.norm(X, axis=1)[:, None]
    fitted = MixtureModel("vonmises-fisher", 1).fit(X)
    with pytest.raises(UsageError, match="no marginal densities"):
        plot.density(fitted, X, columns=[0])


def test_columns_of_different_families_are_drawn_each_after_its_kind():
    rng = np.random.default_rng(4)
    X = np.column_stack([rng.normal(size=80), rng.poisson(3.0, 80), rng.integers(0, 3, 80)])
    family = Product(
        (Part((0,), Gaussian(1)), Part((1,), Poisson(1)), Part((2,), Categorical(1, (3,))))
    )
    fitted = MixtureModel(family, 2, random_state=0, n_init=2).fit(X)
    for columns in ([0, 1], [0, 2], [1, 2]):
        for what in ("density", "components", "classification", "uncertainty", "boundaries"):
            getattr(plot, what)(fitted, X, columns=columns).figure.draw_without_rendering()
    plot.pairs(fitted, X).figure.draw_without_rendering()
    ax = plot.density(fitted, columns=[0, 2])
    mesh = ax.collections[0]
    heights, corners = mesh.get_array(), mesh.get_coordinates()
    assert heights.shape[0] == 3  # one band per category
    np.testing.assert_allclose(corners[:, 0, 1], [-0.5, 0.5, 1.5, 2.5])
    width = np.diff(corners[0, :, 0])
    assert (heights * width).sum() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("what", ["density", "components", "classification", "qq", "pairs"])
def test_noise_and_heavy_tails_are_drawn(what):
    rng = np.random.default_rng(5)
    X = np.concatenate([rng.normal(0, 1, (80, 2)), rng.normal(6, 1, (60, 2))])
    X = np.concatenate([X, rng.uniform(-8, 14, (20, 2))])
    for options in ({"n_components": 2, "noise": True}, {"family": "student", "n_components": 2}):
        fitted = MixtureModel(**options, random_state=0, n_init=2).fit(X)
        ax = getattr(plot, what)(fitted, X)
        ax.figure.draw_without_rendering()
        if what == "components":
            assert len(ax.patches) == 4  # two ellipses each, none of the noise
