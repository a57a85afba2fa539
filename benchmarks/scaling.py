"""Rows per second from Parquet: ``python -m benchmarks.scaling [--rows 50e6] [--folder DIR]``.

Makes a folder of Parquet files once, and measures on it: the bare reading of the same
columns by pyarrow, with and without threads of its own, passes over rows in memory, passes
over the files by one process and by two, and the peak memory of a whole fit. Wall and processor
seconds, least of the repeats; those of processes are of their workers too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mixtura import Gaussian, Local, as_source, fit_mixture, scan
from mixtura.executor import Dask, connected

COLUMNS = "abcd"
K = 8
FILE_ROWS = 1 << 21

WHOLE_FIT = """
import json, sys, time
from mixtura import Gaussian, fit_mixture, scan
began = time.perf_counter()
fitted = fit_mixture(Gaussian(4), scan(sys.argv[1]), 8)
status = open("/proc/self/status").read()
print(json.dumps({
    "seconds": time.perf_counter() - began, "iterations": fitted.n_iter,
    "peak_MB": 1024 * int(status.split("VmHWM:")[1].split()[0]) / 1e6,
}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, default=50e6)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "mixtura-rows"))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--fit", action="store_true", help="a whole fit too, in its own process")
    options = parser.parse_args()
    make(options.folder, int(options.rows))
    for line in measured(options.folder, options.repeat):
        print(json.dumps(line), flush=True)
    if options.fit:
        words = [sys.executable, "-c", WHOLE_FIT, str(options.folder)]
        print(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def make(folder: Path, n_rows: int) -> None:
    """Write rows of K normals, unless they are there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if folder.exists() and scan(folder).n_rows == n_rows:
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    d = len(COLUMNS)
    centres = 4 * rng.normal(size=(K, d))
    factors = np.eye(d) + 0.35 * rng.normal(size=(K, d, d))
    for i, start in enumerate(range(0, n_rows, FILE_ROWS)):
        n = min(FILE_ROWS, n_rows - start)
        own = rng.integers(0, K, n)
        X = rng.normal(size=(n, d))
        for k in range(K):
            X[own == k] = X[own == k] @ factors[k].T + centres[k]
        table = pa.table({name: X[:, j] for j, name in enumerate(COLUMNS)})
        pq.write_table(table, folder / f"{i:04}.parquet", use_dictionary=False)


def measured(folder: Path, repeat: int):
    """One line of figures after the other."""
    source = scan(folder)
    n_rows = source.n_rows
    first = next(source.blocks())
    start = fit_mixture(Gaussian(len(COLUMNS)), as_source(first.X), K, max_iter=5, n_starts=1)
    held = as_source(np.concatenate([first.X] * 8), block_rows=source.block_rows)
    task = start.mixture.expect

    def line(name, work, rows=n_rows, clock=time.process_time):
        times = [timed(work, clock) for _ in range(repeat)]
        wall, cpu = min(t[0] for t in times), min(t[1] for t in times)
        scale = n_rows / rows
        return {
            "what": name, "seconds": round(wall * scale, 3), "processor_seconds":
            round(cpu * scale, 3), "rows_per_second": round(rows / wall),
        }  # fmt: skip

    for threads in (False, True):
        name = "bare reading" + ", threads of pyarrow" * threads
        yield line(name, lambda threads=threads: bare(folder, threads))
    for n in (1, 2):
        yield line(f"in memory, {n} threads", lambda n=n: Local(n).reduce(task, held), held.n_rows)
    for n in (1, 2):
        yield line(f"files, {n} threads", lambda n=n: Local(n).reduce(task, source))
    for n in (1, 2):
        client = connected(f"local:{n}")
        with client.cluster, client:
            executor = Dask(client)
            executor.reduce(task, source)
            yield line(
                f"files, {n} processes", lambda e=executor: e.reduce(task, source),
                clock=lambda c=client: time.process_time() + sum(c.run(time.process_time).values()),
            )  # fmt: skip


def bare(folder: Path, threads: bool) -> int:
    """Decode all columns, and do nothing with them: batches and buffers as for a pass."""
    import pyarrow.parquet as pq

    n = 0
    for path in sorted(folder.iterdir()):
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 16) as file:
            batches = file.iter_batches(1 << 16, use_threads=threads)
            n += sum(batch.num_rows for batch in batches)
    return n


def timed(work, clock) -> tuple[float, float]:
    cpu, wall = clock(), time.perf_counter()
    work()
    wall = time.perf_counter() - wall
    return wall, clock() - cpu


if __name__ == "__main__":
    main()
