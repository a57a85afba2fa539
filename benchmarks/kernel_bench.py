"""Seconds of one data pass of the compiled kernel, against the arithmetic peak of the machine.

    python benchmarks/kernel_bench.py [--case NAME]... [--variant NAME] [--json] [--overlap]
    python benchmarks/kernel_bench.py --growth

Operations are those of a pass that leaves nothing out, 2 N K d (d + 1) for dense covariances and
8 N K d for diagonal ones: exponentials, reading and transposing count for nothing. The kernel
skips rows that do not belong to a component, so where components lie apart the "speed" may
exceed the peak; --overlap gives components on top of each other, where all work is done. --growth
compares passes that skip with passes that do not, for 64 to 4,096 components: far apart, where
skipping pays, and on top of each other, where it must not cost.
Seconds are the least of several passes: they flatter by a few per cent. On a machine that others
use take --cpu: CPU seconds over threads, which leaves out the time spent waiting for a core. The
peak is the best of a few trials and is too low if the machine was busy throughout.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mixtura import _kernel

DENSE, TIED, DIAGONAL, SPHERICAL = range(4)


class Case(NamedTuple):
    n: int
    d: int
    K: int
    geometry: int = DENSE

    @property
    def operations(self) -> float:
        """Multiplications and additions that cannot be avoided in a dense pass."""
        if self.geometry == DENSE:
            return 2.0 * self.n * self.K * self.d * (self.d + 1)
        if self.geometry == TIED:
            per_row = 2 * self.d * (self.d + 1) + 4 * self.K * self.d + self.K**2
            return float(self.n * per_row)
        return 8.0 * self.n * self.K * self.d


CASES = {
    "lecture-2d": Case(1_000_000, 2, 3),
    "mid-10d": Case(500_000, 10, 10),
    "wide-50d": Case(100_000, 50, 20),
    "xwide-200d": Case(30_000, 200, 10),
    "many-8d": Case(100_000, 8, 256),
    "line-1d": Case(5_000_000, 1, 4),
    "diag-20d": Case(500_000, 20, 32, DIAGONAL),
    "spherical-20d": Case(500_000, 20, 32, SPHERICAL),
    "tied-20d": Case(500_000, 20, 32, TIED),
    "tied-50d": Case(100_000, 50, 20, TIED),
    "dense-5d": Case(500_000, 5, 8),
    "dense-16d": Case(300_000, 16, 16),
    "dense-24d": Case(200_000, 24, 16),
    "dense-33d": Case(100_000, 33, 16),
    "dense-100d": Case(50_000, 100, 10),
}


def make(case: Case, spread: float = 4.0) -> tuple:
    """Data around means spread N(0, I); start: means + 0.5 N(0, 1), unit covariances."""
    rng = np.random.default_rng(0)
    means = spread * rng.standard_normal((case.K, case.d))
    X = np.empty((case.n, case.d))
    labels = rng.integers(case.K, size=case.n)
    for k in range(case.K):
        rows = labels == k
        factor = np.eye(case.d) + 0.7 * rng.standard_normal((case.d, case.d)) / np.sqrt(case.d)
        X[rows] = means[k] + rng.standard_normal((rows.sum(), case.d)) @ factor.T
    start = means + 0.5 * rng.standard_normal(means.shape)
    n_factors = 1 if case.geometry == TIED else case.K
    if case.geometry in (DENSE, TIED):
        factors = np.stack([np.eye(case.d)] * n_factors)
    else:
        factors = np.ones((n_factors, case.d) if case.geometry == DIAGONAL else n_factors)
    return X, np.full(case.K, -np.log(case.K)), start, factors


def make_growth(K: int, spread: float, n: int = 40_000, d: int = 8) -> tuple:
    """Data of K components with means spread N(0, I), and these components as the model."""
    rng = np.random.default_rng(K)
    means = spread * rng.standard_normal((K, d))
    L = np.eye(d) + 0.4 * rng.standard_normal((K, d, d)) / np.sqrt(d)
    labels = rng.integers(K, size=n)
    X = means[labels] + np.einsum("nij,nj->ni", L[labels], rng.standard_normal((n, d)))
    factors = np.tril(np.linalg.inv(np.linalg.cholesky(L @ L.transpose(0, 2, 1))))
    return X, np.full(K, -np.log(K)), means, factors


def growth(n_threads: int) -> Iterator[dict]:
    """CPU seconds of passes with and without skipping, taken in turn: the least of each."""
    for spread in (8.0, 3.0, 0.1):
        for K in (64, 256, 1024, 4096):
            X, *arguments = make_growth(K, spread)
            seconds = {True: np.inf, False: np.inf}
            for _ in range(max(3, 4096 // K)):
                for skipping in seconds:
                    _kernel.allow_skipping(skipping)
                    start = time.process_time()
                    _kernel.em_pass(X, None, None, *arguments, DENSE, n_threads)
                    seconds[skipping] = min(seconds[skipping], time.process_time() - start)
            row = {"spread": spread, "K": K, "d": 8, "n": len(X), "threads": n_threads}
            yield row | {"skipping": seconds[True], "dense": seconds[False]}
    _kernel.allow_skipping(True)


def print_growth(n_threads: int, as_json: bool) -> None:
    for row in growth(n_threads):
        if as_json:
            print(json.dumps(row | {"clock": "cpu", "variant": _kernel.variant()}), flush=True)
            continue
        skipping, dense = (row[name] / row["n"] * 1e6 for name in ("skipping", "dense"))
        print(
            f"spread {row['spread']:3.1f}  K {row['K']:4d}   skipping {skipping:6.2f} us/row   "
            f"dense {dense:6.2f} us/row   ratio {dense / skipping:.2f}",
            flush=True,
        )


def seconds_per_pass(X, arguments, geometry, n_threads, cpu=False, budget=1.5) -> float:
    """Least time of several passes, within a budget of seconds."""
    clock = (lambda: time.process_time() / n_threads) if cpu else time.perf_counter
    best, started, passes = np.inf, time.perf_counter(), 0
    while passes < 3 or (time.perf_counter() - started < budget and passes < 100):
        start = clock()
        _kernel.em_pass(X, None, None, *arguments, geometry, n_threads)
        best = min(best, clock() - start)
        passes += 1
    return best


def overhead() -> float:
    """Seconds of a call on 100 rows x 2 with three components."""
    X, *arguments = make(Case(100, 2, 3))
    calls = 2000
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(calls):
            _kernel.em_pass(X, None, None, *arguments, DENSE, 2)
        best = min(best, (time.perf_counter() - start) / calls)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--variant", choices=_kernel.variants())
    parser.add_argument("--overlap", action="store_true", help="components on top of each other")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds over threads")
    parser.add_argument("--growth", action="store_true", help="against the number of components")
    parser.add_argument("--float32", action="store_true", help="rows in single precision")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    options = parser.parse_args()
    if options.variant:
        _kernel.use_variant(options.variant)
    if options.growth:
        print_growth(options.threads[0], options.json)
        return
    peak = {t: max(_kernel.fma_peak(t) for _ in range(4)) for t in options.threads}
    machine = {"machine": platform.machine(), "variant": _kernel.variant()}
    if not options.json:
        speeds = ", ".join(f"{t}T {g:.1f}" for t, g in peak.items())
        print(f"{machine['variant']}, peak GFLOP/s {speeds}; call {overhead() * 1e6:.1f} us")
    for name in options.case or CASES:
        case = CASES[name]
        X, *arguments = make(case, 0.1 if options.overlap else 4.0)
        X = X.astype(np.float32) if options.float32 else X
        cells = []
        for t in options.threads:
            seconds = seconds_per_pass(X, arguments, case.geometry, t, options.cpu)
            gflops = case.operations / seconds / 1e9
            fraction = gflops / peak[t]
            cells.append(f"{t}T {seconds:.4f} s {gflops:6.1f} GFLOP/s ({fraction:.2f})")
            if options.json:
                row = {"case": name, **case._asdict(), "threads": t, "dtype": str(X.dtype)}
                row |= {"overlap": options.overlap, "clock": "cpu" if options.cpu else "wall"}
                row |= {"seconds": seconds, "gflops": gflops, "of_peak": fraction}
                print(json.dumps(row | machine | {"peak": peak[t]}), flush=True)
        if not options.json:
            print(f"{name:14s} " + "   ".join(cells), flush=True)


if __name__ == "__main__":
    main()
