"""What a fit needs: memory for blocks, not for rows times components; and no luck of threads."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from mixtura import Local, as_source, fit_mixture
from mixtura.families import Gaussian
from tests.cases import SHAPES

LARGE = """
import json, resource, sys
import numpy as np
from mixtura import as_source, fit_mixture
from mixtura.families import Gaussian

n, d, K = 2_000_000, 8, 32
rng = np.random.default_rng(0)
X = np.empty((n, d))
centres = 10 * rng.standard_normal((K, d))
for start in range(0, n, 10_000):  # in pieces: the data alone shall be large
    rows = X[start : start + 10_000]
    rng.standard_normal(out=rows)
    rows += centres[rng.integers(0, K, len(rows))]
family, n_starts = Gaussian(d, sys.argv[1]), int(sys.argv[2])
fitted = fit_mixture(family, as_source(X), K, max_iter=3, n_starts=n_starts)
if sys.platform == "linux":  # ru_maxrss would begin with the peak of the process that started this
    status = open("/proc/self/status").read()
    peak = 1024 * int(status.split("VmHWM:")[1].split()[0])
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({
    "over": (peak - X.nbytes) / 1e6,
    "n_iter": fitted.n_iter,
    "per_row": fitted.log_likelihood / n,
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
@pytest.mark.parametrize(("shape", "n_starts"), [("full", 1), ("tied", 1), ("diag", 3)])
def test_two_million_rows_need_their_array_and_300_megabytes(shape, n_starts):
    """Interpreter and libraries included; responsibilities alone would be 512 MB."""
    done = subprocess.run(
        [sys.executable, "-c", LARGE, shape, str(n_starts)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{shape}: {found['over']:.0f} MB beside the array")
    assert found["over"] <= 300
    assert found["n_iter"] >= 1
    assert np.isfinite(found["per_row"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_threads_and_blocks_do_not_change_a_bit_of_a_fit(shape, dtype):
    """Start, EM and closing pass: 21,000 rows are more than the start looks at."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(21_000, 3)) + 4 * rng.integers(0, 3, (21_000, 1))).astype(dtype)
    w = rng.random(len(X))
    fits = [
        fit_mixture(
            Gaussian(3, shape), as_source(X, weights=w, block_rows=block_rows), 3,
            n_starts=2, max_iter=6, executor=Local(n_threads),
        )
        for n_threads, block_rows in ((1, None), (2, None), (3, 4096), (1, 1024))
    ]  # fmt: skip
    first = fits[0]
    for other in fits[1:]:
        for a, b in zip(first.mixture.params, other.mixture.params, strict=True):
            assert a.tobytes() == b.tobytes()
        assert first.mixture.weights.tobytes() == other.mixture.weights.tobytes()
        assert first.trace.objective.tobytes() == other.trace.objective.tobytes()
        assert first.trace.entropy.tobytes() == other.trace.entropy.tobytes()
        assert (other.log_likelihood, other.log_certainty, other.sizes) == (
            first.log_likelihood,
            first.log_certainty,
            first.sizes,
        )


def test_large_blocks_are_shared_out_among_threads_without_a_trace():
    """One pass over 200,000 rows, with weights and labels, for 1 to 5 threads."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200_001, 2))
    labels = np.where(rng.random(len(X)) < 0.1, rng.integers(0, 4, len(X)), -1)
    source = as_source(X, weights=rng.random(len(X)), labels=labels)
    fitted = fit_mixture(Gaussian(2), source, 4, max_iter=1, executor=Local(1))
    passes = [Local(n).reduce(fitted.mixture.expect, source) for n in (1, 2, 3, 5)]
    for other in passes[1:]:
        assert other.total.tobytes() == passes[0].total.tobytes()
        assert (other.loglik, other.entropy, other.mass) == (
            passes[0].loglik,
            passes[0].entropy,
            passes[0].mass,
        )


STREAM = """
import json, sys
from mixtura import Gaussian, Local, fit_mixture, scan
from mixtura.source import plan_of

def peak():
    status = open("/proc/self/status").read()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])

source = scan(sys.argv[1])
fitted = fit_mixture(Gaussian(4), source, 8, max_iter=3, n_starts=2)
planned = plan_of(source, Local().threads()).peak_bytes
print(json.dumps({"peak": peak(), "planned": planned, "n": fitted.n_rows}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_folder_needs_the_memory_of_its_plan_and_not_of_its_rows(tmp_path):
    """4,000,000 rows of 4 columns are 128 MB; all of them in memory would show."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rng = np.random.default_rng(0)
    for i in range(4):
        X = rng.normal(size=(1_000_000, 4)) + 6 * rng.integers(0, 8, (1_000_000, 1))
        table = pa.table({name: X[:, j] for j, name in enumerate("abcd")})
        pq.write_table(table, tmp_path / f"{i}.parquet", use_dictionary=False)
    del X, table
    done = subprocess.run(
        [sys.executable, "-c", STREAM, tmp_path],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"peak {found['peak'] / 1e6:.0f} MB, planned {found['planned'] / 1e6:.0f} MB")
    assert found["n"] == 4_000_000
    assert found["peak"] <= found["planned"]
    assert found["planned"] <= 300e6
