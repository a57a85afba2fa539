"""The report in a real browser: offline, silent, nothing cut, on a phone and a desk."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from mixtura import GaussianMixture, report
from tests.browser import DESK, PHONE, browsing, cut_or_overlapping

HOSTILE = "</style><script>window.hit=1</script><img src=x onerror=window.hit=1>"


@pytest.fixture(scope="module")
def browser():
    with browsing() as opener:
        yield opener


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.normal(0, 1, (80, 3)), rng.normal(5, 1, (60, 3))])
    target = tmp_path_factory.mktemp("report") / "report.html"
    report(GaussianMixture(2, random_state=0).fit(X), X, target)
    return target


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desktop"])
def test_it_opens_offline_and_nothing_is_cut(browser, path, viewport, scheme):
    with browser(path, viewport=viewport, scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert cut_or_overlapping(page, "h1, h2, p, li, figcaption, th, td") == []
        pictures = page.query_selector_all("figure svg")
        assert len(pictures) >= 8
        for picture in pictures:
            box = picture.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= viewport["width"] + 0.5
            assert box["height"] > 80


def test_words_in_pictures_lie_apart(browser, path):
    with browser(path) as page:
        assert page.evaluate("document.querySelectorAll('svg text').length") > 100
        for at in range(len(page.query_selector_all("figure svg"))):
            selector = f".gallery figure:nth-of-type({at + 1}) svg text"
            found = cut_or_overlapping(page, selector)
            # contours are named where they run, and numbers stand at the means
            found = [one for one in found if "%" not in one and "overlap: 0 | 1" not in one]
            assert found == []


def test_ink_follows_the_scheme(browser, path):
    for scheme, dark_ink in (("light", True), ("dark", False)):
        with browser(path, scheme=scheme) as page:
            ink = page.evaluate(
                "getComputedStyle(document.querySelector('svg text')).fill"
                ".match(/\\d+/g).map(Number)"
            )
            paper = page.evaluate(
                "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
            )
            assert (sum(ink[:3]) < sum(paper[:3])) == dark_ink
            assert abs(sum(ink[:3]) - sum(paper[:3])) > 400


def test_it_prints(browser, path):
    with browser(path) as page:
        page.emulate_media(media="print")
        assert (
            page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        )
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_hostile_names_do_nothing(browser, tmp_path):
    pd = pytest.importorskip("pandas")
    X = np.random.default_rng(0).normal(size=(60, 2))
    frame = pd.DataFrame(X, columns=[HOSTILE, "b"])
    fitted = GaussianMixture(2, random_state=0).fit(frame)
    report(fitted, frame, tmp_path / "r.html", settings={HOSTILE: HOSTILE})
    with browser(tmp_path / "r.html") as page:
        assert page.evaluate("window.hit") is None
        assert page.evaluate("document.querySelectorAll('img, script').length") == 0
        assert HOSTILE in page.inner_text("body")
