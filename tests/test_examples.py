"""Every example runs, draws what it says, and finds what is known from elsewhere."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

for needed in ("matplotlib", "plotly", "PIL", "pandas", "pyarrow"):
    pytest.importorskip(needed)

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*_*.py"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run an example once: its figures, and the folder of its pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    sys.path.insert(0, str(EXAMPLES))

    @cache
    def figures(name):
        return importlib.import_module(name).main(folder), folder

    yield figures
    sys.path.remove(str(EXAMPLES))


def test_every_row_of_the_lecture_has_an_example():
    rows = {name[:3] for name in NAMES if name.startswith("l")}
    assert rows == {f"l{n:02}" for n in range(1, 18)}


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_not_blank(ran, name):
    from PIL import Image

    _, folder = ran(name)
    picture = folder / f"{name}.{'gif' if 'film' in name else 'png'}"
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    drawn = (pixels != pixels[0]).any(axis=1).mean()
    assert drawn > 0.01
    assert len(np.unique(pixels, axis=0)) > 20


def test_readme_names_every_example():
    text = (EXAMPLES / "README.md").read_text()
    assert [name for name in NAMES if f"{name}.py" not in text] == []


def test_one_density_and_the_gaussian(ran):
    one, gaussian = ran("l01_one_density")[0], ran("l02_gaussian")[0]
    assert one["mean_of_fit"] == pytest.approx(one["mean_of_rows"])  # the gamma's own score
    assert one["mean_of_draws"] == pytest.approx(6.0, abs=4 * 12**0.5 / 500**0.5 * 2**0.5)
    assert gaussian["covariance_error"] < 1e-12
    assert gaussian["largest_gradient"] < 1e-9
    assert gaussian["standard_errors"] == pytest.approx(gaussian["expected_errors"])


def test_bayes_rule_and_priors(ran):
    classes, priors = ran("l03_class_densities")[0], ran("l06_priors")[0]
    assert classes["bayes_rule_error"] < 1e-12
    assert classes["priors"] == pytest.approx([2 / 3, 1 / 3])
    assert priors["shape"] == pytest.approx(2 + priors["sum_of_counts"])
    assert priors["rate"] == pytest.approx(1 + 12)
    assert priors["mode_of_mean"] == pytest.approx(priors["six_tenths_of_mean"])


def test_error_falls_as_the_root_of_the_rows(ran):
    figures, _ = ran("l04_error")
    assert figures["slope_error"] < 0.03
    assert abs(figures["slope"] + 0.5) < 2 * figures["slope_error"]


def test_the_right_model_is_preferred_on_new_rows(ran):
    own, wrong = ran("l05_any_density")[0], ran("l07_wrong_model")[0]
    assert own["laplace"] > own["student"] > own["gaussian"]
    assert wrong["held_out_2"] > wrong["held_out_1"]


def test_steps_of_em(ran):
    labels, bound = ran("l09_labels")[0], ran("l10_bound")[0]
    assert labels["iterations"] == 1
    assert labels["error_of_means"] < 1e-12
    assert bound["gap"] < 1e-9
    assert bound["least_gain"] > -1e-9
    assert ran("l11_responsibilities")[0]["hard_is_largest"]
    assert ran("l11_responsibilities")[0]["row_sums_error"] < 1e-12
    assert max(ran("l12_m_step")[0].values()) < 1e-12
    assert ran("l15_film")[0]["least_gain"] > -1e-9
    assert (ran("l15_film")[1] / "l15_film.html").stat().st_size > 100_000


def test_combining_iterations_gets_there_sooner(ran):
    figures, _ = ran("l13_convergence")
    assert figures["accelerated_iterations"] < figures["plain_iterations"]
    gap = abs(figures["accelerated_log_likelihood"] - figures["plain_log_likelihood"])
    assert gap < 1e-4


def test_mixtures_are_recovered(ran):
    any_mixture, three = ran("l08_any_mixture")[0], ran("l14_three_gaussians")[0]
    assert any_mixture["poisson_means"] == pytest.approx([2.0, 12.0], abs=1.0)
    assert any_mixture["gamma_means"] == pytest.approx([2.0, 20.0], abs=1.0)
    assert three["farthest_mean"] < 4 / 50**0.5  # four standard errors of 50 rows
    assert ran("l16_how_many")[0]["chosen"] == 3


def test_classes_that_are_mixtures(ran):
    figures, _ = ran("l17_mixture_classes")
    assert figures["sizes"] == [2, 2]
    assert figures["accuracy_mixtures"] > figures["accuracy_one"] + 0.2


def test_stories(ran):
    assert ran("story_faithful")[0]["log_likelihood"] == pytest.approx(-1130.264, abs=1e-3)
    assert ran("story_faithful")[0]["bic"] == pytest.approx(2322.192, abs=1e-3)
    assert ran("story_iris")[0]["log_likelihood"] == pytest.approx(-186.074, abs=2e-3)
    assert ran("story_iris")[0]["adjusted_rand"] > 0.9
    assert ran("story_diabetes")[0]["of"] == 145
    assert ran("story_diabetes")[0]["right"] > 130
    assert ran("story_banknote")[0]["accuracy_left_out"] > 0.95
    assert ran("story_mixed_table")[0]["agreement"] > 0.95
    assert np.allclose(ran("story_parquet_folder")[0]["means"], [[0, 0], [5, 2]], atol=0.1)
    assert ran("story_outliers")[0]["found"] > 0.8
    assert ran("story_outliers")[0]["false_alarms"] < 0.03
