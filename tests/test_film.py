"""The film of a run: what moves is the trace, the bound is one, outlines hold their share."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("matplotlib")
pytest.importorskip("plotly")
pytest.importorskip("PIL")

from matplotlib.path import Path as Outline
from PIL import Image

from mixtura import Film, GaussianMixture, MixtureModel, animate, as_source
from mixtura.errors import UsageError
from mixtura.families import Gaussian
from mixtura.film.plane import best_plane
from mixtura.film.record import frames_of
from mixtura.mixture import Mixture

CENTRES = np.array([[0.0, 0.0], [3.0, 3.0], [-3.0, 3.0]])


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(14)
    return np.concatenate([rng.normal(centre, 1.0, (50, 2)) for centre in CENTRES])


@pytest.fixture(scope="module")
def recorded(X):
    model = GaussianMixture(
        3, random_state=3, start="random", n_init=1, record=True, accelerate=False
    )
    return model.fit(X)


@pytest.fixture(scope="module")
def film(recorded, X):
    return animate(recorded, X)


def test_a_recorded_fit_is_shown_as_it_was(recorded, film, X):
    mixtures = recorded.trace_.mixtures
    assert len(film.iterations) == len(mixtures) > 5
    np.testing.assert_array_equal(film.rows, X)
    for t, mixture in enumerate(mixtures):
        np.testing.assert_array_equal(film.means[t], mixture.means)
        np.testing.assert_array_equal(film.weights[t], mixture.weights)
    np.testing.assert_array_equal(film.log_likelihood, recorded.trace_.objective / 150)


def test_the_bound_is_that_of_the_definition(recorded, film, X):
    mixtures = recorded.trace_.mixtures
    for t in (1, 4):
        R = mixtures[t - 1].responsibilities(X)
        new = mixtures[t]
        joint = np.column_stack(
            [
                np.log(new.weights[k])
                + stats.multivariate_normal.logpdf(X, new.means[k], new.params.covariances[k])
                for k in range(3)
            ]
        )
        expected = (R * joint).sum() + stats.entropy(R, axis=1).sum()
        assert film.bound[t] * 150 == pytest.approx(expected, rel=1e-9)


def test_the_bound_lies_between_two_log_likelihoods(film):
    before, after = film.log_likelihood[:-1], film.log_likelihood[1:]
    assert (film.bound[1:] >= before - 1e-12).all()  # the M step raises it
    assert (film.bound[1:] <= after + 1e-12).all()  # Jensen
    assert (film.bound[1:5] < after[:4] - 1e-6).all()


def test_weights_of_rows_count_in_the_bound(X):
    w = np.random.default_rng(0).integers(0, 3, 150)
    repeated = animate(np.repeat(X, w, axis=0), n_components=2, n_init=1, seed=1)
    options = {"record": True, "accelerate": False, "tol": 0.0, "max_iter": 4}
    weighted = GaussianMixture(2, start=repeated_start(X), **options)
    source = as_source(X, weights=w.astype(float))
    with pytest.warns(UserWarning, match="not converged"):
        one = animate(weighted.fit(source), source)
        rows = np.repeat(X, w, axis=0)
        other = animate(GaussianMixture(2, start=repeated_start(X), **options).fit(rows), rows)
    np.testing.assert_allclose(one.bound, other.bound, rtol=1e-10)
    assert repeated.means.shape[1:] == (2, 2)


def repeated_start(X):
    family = Gaussian(2)
    return Mixture(family, [0.5, 0.5], family.params(X[[0, 60]], np.array([np.eye(2)] * 2) * 4))


def test_rows_have_the_colours_of_their_components_mixed(recorded, film, X):
    R = recorded.predict_proba(X)
    palette = np.array([[0x00, 0x72, 0xB2], [0xD5, 0x5E, 0x00], [0x00, 0x9E, 0x73]])
    np.testing.assert_allclose(film.colours[-1], R @ palette, atol=0.51)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_outlines_hold_their_share_of_a_component(X, covariance):
    model = GaussianMixture(3, covariance_type=covariance, record=True, accelerate=False)
    film = animate(model.set_params(random_state=0).fit(X), X, probability=0.8)
    rng = np.random.default_rng(1)
    for k in range(3):
        draws = model.mixture_.family.sample(model.mixture_.params, np.full(20_000, k), rng)
        inside = Outline(film.outlines[-1, k]).contains_points(draws)
        assert inside.mean() == pytest.approx(0.8, abs=0.015)


def test_an_outline_in_the_plane_holds_its_share():
    rng = np.random.default_rng(5)
    A = rng.normal(size=(2, 4, 4))
    family = Gaussian(4)
    covariances = A @ A.transpose(0, 2, 1) + 0.3 * np.eye(4)
    whole = Mixture(
        family, [0.5, 0.5], family.params(np.array([[0.0] * 4, [4.0] * 4]), covariances)
    )
    X = whole.sample(800, rng)[0]
    model = GaussianMixture(2, start=whole, record=True, accelerate=False).fit(X)
    film = animate(model, X, probability=0.7)
    plane = best_plane(model.mixture_, X, np.ones(800), ("a", "b", "c", "d"))
    np.testing.assert_allclose(film.rows, plane.place(X))
    for k in range(2):
        draws = model.mixture_.family.sample(model.mixture_.params, np.full(20_000, k), rng)
        inside = Outline(film.outlines[-1, k]).contains_points(plane.place(draws))
        assert inside.mean() == pytest.approx(0.7, abs=0.015)


def test_components_without_ellipses_have_outlines_of_draws():
    X = np.random.default_rng(2).poisson([[40, 10]] * 80 + [[15, 60]] * 80).astype(float)
    film = animate(X, n_components=2, family="poisson", probability=0.6)
    rng = np.random.default_rng(3)
    for k in range(2):
        draws = rng.poisson(film.means[-1, k], (20_000, 2))
        inside = Outline(film.outlines[-1, k]).contains_points(draws)
        assert inside.mean() == pytest.approx(0.6, abs=0.05)


def test_the_best_plane_is_that_of_discriminant_analysis():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(8)
    centres = np.array([[0, 0, 0, 0], [30, 5, 0, 0], [0, 30, 0, 8.0]])
    X = np.concatenate([rng.normal(c, [1, 2, 3, 1], (100, 4)) for c in centres])
    model = GaussianMixture(3, random_state=0).fit(X)
    plane = best_plane(model.mixture_, X, np.ones(300), ("a", "b", "c", "d"))
    scalings = LinearDiscriminantAnalysis(solver="eigen").fit(X, model.predict(X)).scalings_[:, :2]
    for j in range(2):
        cosine = plane.directions[:, j] @ scalings[:, j]
        cosine /= np.linalg.norm(plane.directions[:, j]) * np.linalg.norm(scalings[:, j])
        assert abs(cosine) == pytest.approx(1.0, abs=1e-4)
    places = plane.place(X)
    within = sum(np.cov(places[model.predict(X) == k].T, bias=True) for k in range(3)) / 3
    np.testing.assert_allclose(within, np.eye(2), atol=1e-4)


def test_two_components_use_the_largest_rest_as_second_direction():
    rng = np.random.default_rng(9)
    X = rng.normal(size=(400, 3)) * [1.0, 1.0, 1.0]
    X[:200, 0] += 12.0
    X[:, 2] *= 5.0
    model = GaussianMixture(2, random_state=0).fit(X)
    plane = best_plane(model.mixture_, X, np.ones(400), ("a", "b", "c"))
    assert plane.names[0] == "direction 1 (most like a)"
    assert np.ptp(plane.place(X), axis=0).min() > 1.0
    assert np.linalg.matrix_rank(plane.directions) == 2


def test_one_column_shows_densities(X):
    film = animate(X, n_components=2, columns=[1], n_init=1)
    assert film.densities
    assert film.names == ("x1", "density")
    x, y = film.outlines[-1, 0, 1:-1].T
    inside = (film.rows[:, 1] < 0) & (film.rows[:, 0] == X[:, 1])
    assert inside.all()
    area = sum(np.trapezoid(*film.outlines[-1, k, 1:-1].T[::-1]) for k in range(2))
    assert area == pytest.approx(1.0, abs=0.02)
    assert len(x) == len(y)


def test_the_best_of_several_runs_is_shown_and_the_same_again(X):
    runs = [animate(X, n_components=3, n_init=1, seed=s).log_likelihood[-1] for s in (4, 1_000_007)]
    best = animate(X, n_components=3, n_init=2, seed=4)
    assert best.log_likelihood[-1] == pytest.approx(max(runs), abs=1e-12)
    again = animate(X, n_components=3, n_init=2, seed=4)
    np.testing.assert_array_equal(best.means, again.means)


def test_an_estimator_that_did_not_record_is_fitted_as_a_copy(X):
    model = GaussianMixture(2, covariance_type="tied", random_state=0).fit(X)
    before = model.means_.copy()
    film = animate(model, X, n_init=1)
    assert len(film.iterations) > 1
    assert "tied" in film.words
    np.testing.assert_array_equal(model.means_, before)
    unfitted = MixtureModel("poisson", 2)
    assert animate(unfitted, np.abs(X).round(), n_init=1).weights.shape[1] == 2
    assert not hasattr(unfitted, "fitted_")


@pytest.mark.parametrize(("n", "most"), [(5, 10), (10, 10), (400, 50), (1000, 120)])
def test_long_runs_show_the_early_steps_and_the_end(recorded, n, most):
    frames = frames_of([recorded.mixture_] * n, most)
    assert len(frames) <= most
    assert frames[:5] == [0, 1, 2, 3, 4]
    assert frames[-1] == n - 1
    assert frames == sorted(set(frames))


def test_frames_begin_after_the_last_change_of_the_number_of_components(recorded):
    fewer = recorded.mixture_.take(np.array([0, 1]))
    assert frames_of([recorded.mixture_, fewer, fewer], 10) == [1, 2]


# -- files ---------------------------------------------------------------------------


def test_the_page_holds_the_trace_and_asks_for_nothing(film, recorded):
    text = film.to_html()
    data = json.loads(re.search(r'id="film">(.*?)</script>', text)[1])
    width = np.ptp(film.limits, axis=1)
    shown = np.array(data["means"]) - [m.means for m in recorded.trace_.mixtures]
    assert np.abs(shown / width).max() < 1e-3
    assert data["logLikelihood"] == pytest.approx(film.log_likelihood.tolist())
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", text)
    assert "default-src 'none'" in text


def test_hostile_names_do_not_leave_their_place():
    rows = np.random.default_rng(0).normal(size=(40, 2))
    bad = '</script><script>alert("x")</script>'
    source = as_source(rows, columns=None)
    source.columns = (bad, "<img src=x onerror=alert(1)>")
    text = animate(source, n_components=2, n_init=1, max_iter=3).to_html()
    outside = text.replace("<script>", "", 2)  # plotly, and the film's own
    assert "<script>alert" not in text
    assert "<img" not in re.sub(r"<script>.*?</script>", "", outside, flags=re.S)


def test_a_gif_has_one_frame_per_iteration(film):
    image = Image.open(io.BytesIO(film.to_gif(milliseconds=100)))
    assert image.format == "GIF"
    assert image.n_frames == len(film.iterations)
    assert image.info["loop"] == 0
    first = np.asarray(image.convert("RGB")).astype(int)
    image.seek(image.n_frames - 1)
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - first).sum() > 10_000


def test_a_film_saves_itself_and_shows_itself(film, tmp_path):
    film.save(tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text() == film.to_html()
    with pytest.raises(UsageError, match="exists"):
        film.save(tmp_path / "a.html")
    with pytest.raises(UsageError, match=r"\.html or \.gif"):
        film.save(tmp_path / "a.mp4")
    assert isinstance(film, Film)
    assert film._repr_html_().startswith("<iframe")


def test_what_has_no_meaning_is_refused(X, tmp_path):
    with pytest.raises(UsageError, match="n_components"):
        animate(X)
    with pytest.raises(UsageError, match="data"):
        animate(GaussianMixture(2))
    with pytest.raises(UsageError, match="probability"):
        animate(X, n_components=2, probability=1.0)
    with pytest.raises(UsageError, match="columns"):
        animate(X, n_components=2, columns="z", n_init=1)
    with pytest.raises(UsageError, match="does not exist"):
        animate(X, n_components=2, path=tmp_path / "none" / "a.html")
