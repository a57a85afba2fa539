"""Every example in a docstring runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import mixtura

MODULES = sorted(
    m.name for m in pkgutil.walk_packages(mixtura.__path__, "mixtura.") if "_kernel" not in m.name
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_module(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_are_examples():
    counts = [
        len([t for t in doctest.DocTestFinder().find(importlib.import_module(n)) if t.examples])
        for n in MODULES
    ]
    assert sum(counts) >= 12
