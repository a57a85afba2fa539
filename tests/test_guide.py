"""The developer guide's worked example, executed: one file and one test case are enough."""

from __future__ import annotations

import inspect
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from mixtura import MixtureModel
from mixtura.families import Part, Poisson, Product, WithNoise
from tests import test_families, test_family_fits  # their laws register themselves
from tests.contract import LAWS

GUIDE = Path(__file__).parent.parent / "docs" / "families.md"


def executed() -> types.ModuleType:
    """A module of the guide's code blocks, under a name of its own so that values can pickle."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    assert len(blocks) == 2
    module = types.ModuleType("tests.guide_example")
    sys.modules[module.__name__] = module
    for number, block in enumerate(blocks):
        exec(compile(block, f"{GUIDE.name}, block {number}", "exec"), module.__dict__)
    return module


EXAMPLE = executed()
CASES = [EXAMPLE.rayleigh_case(1), EXAMPLE.rayleigh_case(2)]


def test_the_laws_are_those_of_the_suite():
    for suite in (test_families, test_family_fits):
        own = [name for name in vars(suite) if name in LAWS]
        assert len(own) > 8, suite.__name__


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("name", [name for name in sorted(LAWS) if LAWS[name][1](CASES[0])])
def test_the_worked_example_obeys(name, case):
    law, _ = LAWS[name]
    others = {"seed": 0} if "seed" in inspect.signature(law).parameters else {}
    law(case=case, **others)


def test_everything_else_follows(tmp_path):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.rayleigh(np.where(rng.random(400) < 0.5, 1.0, 20.0))])
    family = EXAMPLE.Rayleigh(1)
    model = MixtureModel(family, 2, random_state=0).fit(X)
    found = np.sort(model.mixture_.params.scale.ravel())
    np.testing.assert_allclose(found, [1.0, 20.0], rtol=0.15)
    assert "scale" in model.summary()
    both = Product((Part((0,), family), Part((1,), Poisson(1))))
    table = np.column_stack([X, rng.poisson(np.where(X[:, 0] < 5, 2, 30))])
    assert MixtureModel(both, 2, random_state=0).fit(table).converged_
    with_noise = MixtureModel(WithNoise(family), 2, random_state=0).fit(X)
    assert with_noise.n_components_ == 3
    with pytest.raises(Exception, match="needs numbers > 0; column 'x0' has -1 at row 2"):
        model.predict([[1.0], [2.0], [-1.0]])
