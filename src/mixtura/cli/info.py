"""``mixtura info``: what runs here."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

import click

import mixtura
from mixtura.cli.console import Console
from mixtura.cli.options import common

_PACKAGES = (
    "numpy", "scipy", "scikit-learn", "narwhals", "safetensors", "click", "rich", "pyarrow",
    "matplotlib", "plotly", "pillow", "dask", "distributed",
)  # fmt: skip


@click.command("info")
@common
def command(console: Console) -> None:
    """Versions, the variant of the compiled kernel in use, threads and processors."""
    from mixtura import _kernel
    from mixtura.executor import thread_count
    from mixtura.families import FAMILIES
    from mixtura.families.gaussian.shapes import SHAPES

    facts: dict[str, Any] = {
        "schema": "mixtura.info/1",
        "mixtura": mixtura.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "kernel": _kernel.variant(),
        "kernel_variants": list(_kernel.variants()),
        "threads": thread_count(),
        "processors": os.cpu_count(),
        "families": list(FAMILIES),
        "covariances": list(SHAPES),
        "packages": {name: _version(name) for name in _PACKAGES},
    }
    if console.as_json:
        console.document(facts)
        return
    with console.data() as stream:
        for name, value in facts.items():
            if name not in ("schema", "packages"):
                shown = ", ".join(value) if isinstance(value, list) else value
                stream.write(f"{name.replace('_', ' '):16} {shown}\n")
        for name, version in facts["packages"].items():
            stream.write(f"{name:16} {version or 'not installed'}\n")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
