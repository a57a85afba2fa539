"""A headless Chromium without a network, that remembers what a page complains about."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}


@contextmanager
def browsing():
    """Yield a function that opens a page; skip where there is no browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed (apt install chromium)")
    # root, as in most containers, has no sandbox to give to the browser
    options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=path, args=options)
        try:
            yield Opener(browser)
        finally:
            browser.close()


class Opener:
    def __init__(self, browser):
        self._browser = browser

    @contextmanager
    def __call__(self, path, *, viewport=DESK, scheme="light"):
        """Open a file offline; at the end it must have complained of and asked for nothing."""
        context = self._browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda m: complaints.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda one: (complaints.append(f"dialog: {one.message}"), one.dismiss()))
        page.on("request", lambda one: _note_request(complaints, one.url))
        try:
            page.goto(path.as_uri())
            yield page
        finally:
            context.close()
        assert complaints == []


def _note_request(complaints, url):
    if not url.startswith(("file:", "data:", "blob:")):
        complaints.append(f"request: {url}")


def wait_until(page, condition, seconds=20):
    """Wait until an expression holds; by asking, since the page's policy forbids to eval."""
    for _ in range(20 * seconds):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"after {seconds} s still not: {condition}")


def cut_or_overlapping(page, selector):
    """Texts that leave the window or the elements' own box, or lie on one another."""
    return page.evaluate(
        """selector => {
          const found = [], boxes = [];
          for (const element of document.querySelectorAll(selector)) {
            const box = element.getBoundingClientRect();
            if (!box.width || !element.textContent.trim()) continue;
            const scrolled = element.closest('.wide');
            if (!scrolled && (box.left < -0.5 || box.right > innerWidth + 0.5))
              found.push('cut: ' + element.textContent.trim().slice(0, 60));
            for (const [other, words] of boxes) {
              const x = Math.min(box.right, other.right) - Math.max(box.left, other.left);
              const y = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
              if (x > 2 && y > 2)
                found.push('overlap: ' + words + ' | ' + element.textContent.trim().slice(0, 40));
            }
            boxes.push([box, element.textContent.trim().slice(0, 40)]);
          }
          return found;
        }""",
        selector,
    )
