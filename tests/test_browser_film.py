"""The film in a real browser: offline, silent, and moving as the trace says."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("plotly")

from mixtura import GaussianMixture, animate, as_source
from tests.browser import DESK, PHONE, browsing, cut_or_overlapping, wait_until

HOSTILE = "</script><script>window.hit=1</script><img src=x onerror=window.hit=1>"


@pytest.fixture(scope="module")
def browser():
    with browsing() as opener:
        yield opener


@pytest.fixture(scope="module")
def recorded():
    rng = np.random.default_rng(14)
    X = np.concatenate([rng.normal(c, 1.0, (50, 2)) for c in [(0, 0), (3, 3), (-3, 3)]])
    options = {"start": "random", "n_init": 1, "record": True, "accelerate": False}
    return GaussianMixture(3, random_state=3, **options).fit(X), X


@pytest.fixture(scope="module")
def film(recorded):
    return animate(*recorded)


@pytest.fixture(scope="module")
def path(film, tmp_path_factory):
    target = tmp_path_factory.mktemp("film") / "em.html"
    film.save(target)
    return target


def means_shown(page):
    """Places of the means as Plotly holds them, (K, 2)."""
    return np.array(
        page.evaluate(
            "plane.data.filter(t => t.name.startsWith('mean')).map(t => [t.x[0], t.y[0]])"
        )
    )


def dots_drawn(page):
    """Centres of the drawn means on the screen, in pixels, (K, 2)."""
    return np.array(
        page.evaluate(
            """[...document.querySelectorAll('#plane .scatterlayer .trace')]
            .filter(t => t.querySelector('.textpoint'))
            .map(t => t.querySelector('.points path').getBoundingClientRect())
            .map(box => [box.x + box.width / 2, box.y + box.height / 2])"""
        )
    )


def slide(page, frame):
    page.evaluate("t => { slider.value = t; slider.dispatchEvent(new Event('input')); }", frame)


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desktop"])
def test_it_opens_offline_and_fits_the_window(browser, path, viewport):
    for scheme in ("light", "dark"):
        with browser(path, viewport=viewport, scheme=scheme) as page:
            page.wait_for_selector("#plane .points path")
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            assert cut_or_overlapping(page, "h1, p, button, #slider") == []
            # numbers at the means may meet: components do
            words = ".xtick text, .ytick text, .xtitle, .ytitle, .legendtext"
            assert len(page.query_selector_all(words)) > 12
            for part in ("#plane", "#curve"):
                assert cut_or_overlapping(page, f"{part} :is({words})") == []


def test_the_slider_moves_components_as_the_trace_says(browser, path, recorded, film):
    mixtures = recorded[0].trace_.mixtures
    width = np.ptp(film.limits, axis=1)
    with browser(path) as page:
        page.wait_for_selector("#plane .points path")
        seen = []
        for frame in (0, 3, len(mixtures) - 1):
            slide(page, frame)
            error = np.abs(means_shown(page) - mixtures[frame].means) / width
            assert error.max() < 1e-3
            outline = page.evaluate("plane.data[1].x.map((x, i) => [x, plane.data[1].y[i]])")
            assert (np.abs(outline - film.outlines[frame, 0]) / width).max() < 1e-3
            value = page.inner_text("#value")
            assert f"{film.log_likelihood[frame]:.5f}" in value
            assert page.inner_text("#status").startswith(f"iteration {frame} of")
            seen.append(dots_drawn(page))
        # what is drawn is where the axes say: pixels are a linear function of the means
        pixels, places = (
            np.concatenate(seen),
            np.concatenate([mixtures[t].means for t in (0, 3, -1)]),
        )
        for j in range(2):
            line = np.polyfit(places[:, j], pixels[:, j], 1)
            assert np.abs(np.polyval(line, places[:, j]) - pixels[:, j]).max() < 1.5
        assert np.abs(seen[0] - seen[2]).max() > 20


def test_bound_and_likelihood_are_drawn_up_to_the_frame(browser, path, film):
    with browser(path) as page:
        page.wait_for_selector("#curve .points path")
        slide(page, 4)
        stairs, curve = page.evaluate("[curve.data[0].y, curve.data[1].y]")
        np.testing.assert_allclose(curve, film.log_likelihood[:5])
        np.testing.assert_allclose(stairs[0::2], film.bound[:5])
        np.testing.assert_allclose(stairs[1::2], film.log_likelihood[:5])


def test_rows_take_the_colours_of_the_film(browser, path, film):
    with browser(path) as page:
        page.wait_for_selector("#plane .points path")
        slide(page, 2)
        shades = page.evaluate("plane.data[0].marker.color")
        assert shades == ["#" + bytes(one).hex() for one in film.colours[2]]


def test_play_advances_and_pauses_and_steps(browser, path, film):
    with browser(path) as page:
        page.wait_for_selector("#plane .points path")
        before = means_shown(page)
        page.click("#play")
        assert page.inner_text("#play") == "Pause"
        wait_until(page, "Number(slider.value) >= 3")
        assert np.abs(means_shown(page) - before).max() > 0.01
        page.click("#play")
        stopped = page.evaluate("slider.value")
        page.wait_for_timeout(700)
        assert page.evaluate("slider.value") == stopped
        page.click("#step")
        assert int(page.evaluate("slider.value")) == int(stopped) + 1
        page.click("#back")
        assert page.evaluate("slider.value") == stopped
        page.focus("#slider")
        page.keyboard.press("End")
        assert int(page.evaluate("slider.value")) == len(film.iterations) - 1
        page.click("#play")  # from the end it starts again
        wait_until(page, "Number(slider.value) < 3")


def test_hostile_names_do_nothing(browser, tmp_path):
    rows = np.random.default_rng(0).normal(size=(40, 2))
    source = as_source(rows)
    source.columns = (HOSTILE, "<a href='javascript:window.hit=1'>b</a>")
    animate(source, n_components=2, n_init=1, max_iter=3, path=tmp_path / "em.html")
    with browser(tmp_path / "em.html") as page:
        page.wait_for_selector("#plane .points path")
        title = page.text_content("#plane .xtitle")
        assert "<script>window.hit=1</script>" in title
        assert page.evaluate("window.hit") is None
        assert page.evaluate("document.querySelectorAll('img, a').length") == 0
