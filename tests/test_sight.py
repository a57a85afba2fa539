"""A fit in a terminal and in a notebook: bars, sketches and the card."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mixtura import GaussianMixture, MixtureModel
from mixtura.describe import card, sight
from mixtura.describe.sight import BAR, SKETCH, bar, sketch

FAITHFUL = Path(__file__).parent / "data" / "reference" / "faithful.csv"
LEVELS = " ▁▂▃▄▅▆▇█"


@pytest.fixture(scope="module")
def model():
    rows = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    return GaussianMixture(2, random_state=0).fit(rows)


def length(drawn):
    """Length of a bar in eighths of a character."""
    return sum(" ▏▎▍▌▋▊▉█".index(letter) for letter in drawn)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.5, 0.99, 1.0])
def test_bars_are_as_long_as_their_share(share):
    assert length(bar(share)) == pytest.approx(8 * BAR * share, abs=0.5)


def test_weights_are_bars(model):
    lines = sight(model.fitted_).splitlines()
    assert lines[0] == "weights"
    for k in range(2):
        number, weight, drawn = lines[1 + k].split()
        assert (int(number), float(weight)) == (k, round(model.weights_[k], 4))
        assert length(drawn) == pytest.approx(8 * BAR * model.weights_[k], abs=0.5)


def test_a_sketch_has_the_heights_of_the_density(model):
    line = sight(model.fitted_).splitlines()[-1]  # the second column
    low, drawn, high = re.match(rf"  x1 +(\S+) (.{{{SKETCH}}}) (\S+)$", line).groups()
    heights = np.array([LEVELS.index(letter) for letter in drawn])
    assert heights.max() == 8
    places = np.linspace(float(low), float(high), SKETCH)
    sd = np.sqrt(model.covariances_[:, 1, 1])
    density = sum(
        w * stats.norm.pdf(places, m, s)
        for w, m, s in zip(model.weights_, model.means_[:, 1], sd, strict=True)
    )
    assert np.abs(heights - 8 * density / density.max()).max() < 1.2


def test_counts_are_sketched_at_whole_numbers():
    X = np.random.default_rng(0).poisson(3.0, (200, 1))
    fitted = MixtureModel("poisson", 1).fit(X).fitted_
    line = sight(fitted).splitlines()[-1]
    rate = X.mean()
    pmf = stats.poisson.pmf(np.arange(int(line.split()[-1]) + 1), rate)
    assert sketch(pmf) in line


def test_extreme_columns_and_families_without_marginals_have_a_sight():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2)) * [1e-30, 1e30]
    assert len(sight(GaussianMixture(1).fit(X).fitted_).splitlines()) == 3
    unit = rng.normal(size=(60, 3))
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    assert "density" not in sight(MixtureModel("vonmises-fisher", 1).fit(unit).fitted_)


def test_what_is_left_out_is_said():
    X = np.random.default_rng(0).normal(size=(300, 14))
    text = sight(GaussianMixture(22, covariance_type="spherical", n_init=1).fit(X).fitted_)
    assert "... and 2 more components" in text
    assert "... and 2 more columns" in text
    assert max(map(len, text.splitlines())) <= 100


def test_show_draws_where_it_is_asked_to(tmp_path, model):
    pytest.importorskip("click")
    from click.testing import CliRunner

    from mixtura.cli.app import app

    model.save(tmp_path / "m.mixtura")
    plain = CliRunner().invoke(app, ["show", str(tmp_path / "m.mixtura")])
    drawn = CliRunner().invoke(app, ["show", "--sketch", str(tmp_path / "m.mixtura")])
    assert "█" not in plain.stdout
    assert drawn.stdout.startswith(plain.stdout.rstrip("\n"))
    assert sight(model.fitted_) in drawn.stdout


# -- notebooks -------------------------------------------------------------------------


def test_the_card_says_what_the_fit_found(model):
    html = card(model.fitted_)
    assert f"log-likelihood {model.log_likelihood_:.3f}" in html
    for k in range(2):
        assert f">{model.weights_[k]:.4f}<" in html
    assert html.count("<polyline") == 1
    points = html.split('points="')[1].split('"')[0].split()
    assert len(points) == len(model.trace_.objective)
    heights = [float(point.split(",")[1]) for point in points]
    assert all(b <= a for a, b in itertools.pairwise(heights))  # upwards, as the log-likelihood


def test_hostile_names_and_warnings_are_text_in_the_card():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"<img src=x onerror=alert(1)>": [0.0, 0.1, 0.2, 0.1, 9.0, 9.1]})
    html = card(GaussianMixture(2, random_state=0).fit(frame).fitted_)
    assert "<img" not in html
    assert "rests on fewer than 5 rows" in html


def test_notebooks_get_the_card_above_the_diagram(model):
    from sklearn import config_context

    with config_context(display="diagram"):
        bundle = model._repr_mimebundle_()
        assert bundle["text/plain"] == repr(model)
        assert bundle["text/html"].startswith(card(model.fitted_))
        assert "sk-top-container" in bundle["text/html"]
        assert model._repr_html_().startswith(card(model.fitted_))
        fresh = GaussianMixture(2)
        assert "mixtura-card" not in fresh._repr_mimebundle_()["text/html"]
    with config_context(display="text"):
        assert list(model._repr_mimebundle_()) == ["text/plain"]
        assert not hasattr(model, "_repr_html_")
