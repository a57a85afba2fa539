"""The structure of the package: imports go down only, and nothing optional is imported."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(importlib.util.find_spec("mixtura").origin).parent

#: Rooms of the house, lowest first; a room may use its own floor and those below.
FLOORS = [
    {"errors", "stats", "codec", "atomic", "threads", "_kernel", "webpage"},
    {"families", "source", "weighting"},
    {"mixture", "executor"},
    {
        "accelerate",
        "criteria",
        "degenerate",
        "em",
        "steps",
        "labelled",
        "lockstep",
        "profile",
        "start",
        "stopping",
    },
    {"prepare", "crossval", "fitting", "posterior"},
    {"classify"},
    {"describe", "modelfile"},
    {"estimators"},
    {"loading", "selection"},
    {"plot"},
    {"film", "reporting"},
    {"cli"},
]
FLOOR = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}

OPTIONAL = {
    "click",
    "rich",
    "pyarrow",
    "matplotlib",
    "plotly",
    "dask",
    "distributed",
    "pandas",
    "polars",
    "PIL",
}

FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imports(path: Path, *, top_level_only: bool) -> set[str]:
    """Modules that a file imports; those under TYPE_CHECKING are left out."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path.name}: relative import"
                found.add(child.module)
                if child.module == "mixtura":
                    found.update(f"mixtura.{alias.name}" for alias in child.names)
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            if not (inside and top_level_only):
                visit(child)

    visit(tree)
    return found


def test_every_room_has_a_floor():
    rooms = {room_of(path) for path in FILES} - {"__init__"}
    assert rooms <= set(FLOOR), f"new rooms need a floor: {rooms - set(FLOOR)}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    room = room_of(path)
    if room == "__init__":
        assert not {m for m in imports(path, top_level_only=True) if m.startswith("mixtura")}
        return
    for module in imports(path, top_level_only=True):
        if module.startswith("mixtura."):
            target = module.split(".")[1]
            if target in FLOOR:
                assert FLOOR[target] <= FLOOR[room], f"{path.name} ({room}) imports {module}"


def test_no_import_cycles_between_rooms():
    graph: dict[str, set[str]] = {}
    for path in FILES:
        used = {
            m.split(".")[1] for m in imports(path, top_level_only=True) if m.startswith("mixtura.")
        }
        graph.setdefault(room_of(path), set()).update(used & set(FLOOR) - {room_of(path)})
    done: set[str] = set()

    def visit(room: str, trail: tuple[str, ...]) -> None:
        assert room not in trail, " -> ".join((*trail, room))
        if room not in done:
            for target in graph.get(room, ()):
                visit(target, (*trail, room))
            done.add(room)

    for room in graph:
        visit(room, ())


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_optional_packages_are_imported_inside_functions(path):
    if room_of(path) == "cli":
        return
    found = {m.split(".")[0] for m in imports(path, top_level_only=True)}
    assert not found & OPTIONAL


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_stay_small(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 450
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body
            is_text = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
            code = body[1:] if is_text and len(body) > 1 else body
            lines = node.end_lineno - code[0].lineno + 1
            assert lines <= 60, f"{path.name}:{node.name} has {lines} lines"


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def test_import_brings_nothing_optional_along():
    # scikit-learn itself imports pandas where it is installed
    before = run("import sys, sklearn.mixture; print(*sys.modules)").split()
    after = run("import sys; from mixtura import GaussianMixture; print(*sys.modules)").split()
    loaded = {name.split(".")[0] for name in after} - {name.split(".")[0] for name in before}
    assert "mixtura" in loaded
    assert not loaded & OPTIONAL


def test_bare_import_is_light():
    loaded = set(run("import sys, mixtura; print(*sys.modules)").split())
    assert "numpy" not in loaded


def test_public_names_exist_and_are_documented():
    import mixtura

    assert len(mixtura.__all__) > 20
    for name in mixtura.__all__:
        value = getattr(mixtura, name)
        if callable(value):
            assert value.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mixtura.nothing  # noqa: B018
