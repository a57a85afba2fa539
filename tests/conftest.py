"""Fixtures of several test files."""

from __future__ import annotations

import pytest

from mixtura import _kernel


@pytest.fixture(params=_kernel.variants())
def variant(request):
    """Run a test once per instruction set, and restore the one that was in use."""
    before = _kernel.variant()
    _kernel.use_variant(request.param)
    yield request.param
    _kernel.use_variant(before)
