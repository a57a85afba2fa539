"""Armadillo's gmm_full and gmm_diag, through a small program that is built on first use."""

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

SOURCE = Path(__file__).with_suffix(".cpp")
PROGRAM = SOURCE.parents[1] / "build" / "armadillo"
#: Optimised for this very machine, with its own OpenMP threads and without bounds checks.
OPTIONS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-DARMA_NO_DEBUG")


@dataclass(frozen=True)
class Armadillo(Peer):
    """Armadillo keeps uncentred second moments, in double precision."""

    name: ClassVar[str] = "Armadillo"
    covariances: ClassVar[frozenset[str]] = frozenset({"full", "diag"})
    leaves_out: ClassVar[frozenset[str]] = frozenset({"growth-k", "growth-n"})
    external: ClassVar[bool] = True

    def version(self) -> str | None:
        """Version of the header files, or None without them or without g++."""
        if shutil.which("g++") is None:
            return None
        if not PROGRAM.exists() or PROGRAM.stat().st_mtime < SOURCE.stat().st_mtime:
            PROGRAM.parent.mkdir(parents=True, exist_ok=True)
            fresh = PROGRAM.with_name(f"armadillo-{os.getpid()}")
            command = ["g++", *OPTIONS, str(SOURCE), "-o", str(fresh), "-larmadillo"]
            if subprocess.run(command, capture_output=True, check=False).returncode != 0:
                return None
            fresh.replace(PROGRAM)
        done = subprocess.run([PROGRAM], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def fit(
        self, X: np.ndarray, start: Parameters, covariance: str, n_iter: int, threads: int
    ) -> Run:
        """Learn from the existing parameters, without k-means and without a variance floor."""
        env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        return run_program([PROGRAM], X, start, covariance, n_iter, env)
