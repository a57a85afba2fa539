"""Files by which programs of other languages get a problem and hand back a result.

All are raw float64. Rows: C order. Parameters: weights, means, covariances, one after
the other. Results: seconds, peak memory in MB, then parameters.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.cases import Parameters
from benchmarks.peers.base import Run


def run_program(
    command: Sequence[str | Path],
    X: np.ndarray,
    start: Parameters,
    covariance: str,
    n_iter: int,
    env: dict[str, str] | None = None,
) -> Run:
    """Run ``command rows n d K covariance n_iter start result`` and read the result.

    Rows that lie in a file already, as a `numpy.memmap`, are not written again.

    Raises
    ------
    RuntimeError
        The program failed; the message is what it said.
    """
    (K, d), n = start.means.shape, len(X)
    with tempfile.TemporaryDirectory() as folder:
        rows, begin, result = (Path(folder, name) for name in ("rows", "start", "result"))
        if isinstance(X, np.memmap) and X.filename is not None:
            rows = Path(X.filename)
        else:
            np.ascontiguousarray(X, dtype=float).tofile(rows)
        np.concatenate([np.ravel(part) for part in start]).tofile(begin)
        arguments = [*command, rows, n, d, K, covariance, n_iter, begin, result]
        done = subprocess.run(
            list(map(str, arguments)), capture_output=True, text=True, check=False, env=env
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or done.stdout.strip())
        numbers = np.fromfile(result)
    seconds, peak, numbers = float(numbers[0]), float(numbers[1]), numbers[2:]
    weights, means, covariances = np.split(numbers, [K, K + K * d])
    parameters = Parameters(weights, means.reshape(K, d), covariances.reshape(K, d, d))
    return Run(seconds, parameters, peak_memory_mb=peak)
