"""R's mclust: em() with a fixed number of iterations from given parameters."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from benchmarks.cases import Parameters
from benchmarks.peers.base import Peer, Run
from benchmarks.peers.exchange import run_program

SCRIPT = Path(__file__).with_suffix(".R")


@dataclass(frozen=True)
class Mclust(Peer):
    """Fortran loops on one thread, and the whole matrix of responsibilities."""

    name: ClassVar[str] = "mclust"
    leaves_out: ClassVar[frozenset[str]] = frozenset({"growth-k", "growth-n"})
    external: ClassVar[bool] = True

    def version(self) -> str | None:
        """Version, or None without R or the package."""
        if shutil.which("Rscript") is None:
            return None
        code = 'cat(as.character(packageVersion("mclust")))'
        done = subprocess.run(
            ["Rscript", "-e", code], capture_output=True, text=True, check=False, env=_plain()
        )
        return done.stdout.strip() if done.returncode == 0 else None

    def fit(
        self, X: np.ndarray, start: Parameters, covariance: str, n_iter: int, threads: int
    ) -> Run:
        """One E step and then `n_iter` times M and E step, without tolerance."""
        del threads
        return run_program(["Rscript", SCRIPT], X, start, covariance, n_iter, _plain())


def _plain() -> dict[str, str]:
    """The environment with numbers written as R expects them."""
    return {**os.environ, "LC_ALL": "C"}
