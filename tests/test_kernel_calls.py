"""Calls of the compiled kernel: refusals, variants, interruption, threads."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mixtura import _kernel
from tests.kernel_reference import DENSE, problem
from tests.processes import started, with_path

BAD_CALLS = {
    "means of another width": ({"means": np.zeros((3, 4))}, "4 columns, but X has 5"),
    "means float32": ({"means": np.zeros((3, 5), np.float32)}, r"float64 array of shape \(3, 5\)"),
    "factors too few": ({"factors": np.zeros((2, 5, 5))}, r"factors must be .*\(3, 5, 5\)"),
    "log_weights too long": ({"log_weights": np.zeros(4)}, r"log_weights must be .*\(3,\)"),
    "all empty": ({"log_weights": np.full(3, -np.inf)}, "no component"),
    "log_weights NaN": ({"log_weights": np.full(3, np.nan)}, "log_weights"),
    "factors NaN": ({"factors": np.full((3, 5, 5), np.nan)}, "factors of component 0"),
    "means infinite": ({"means": np.full((3, 5), np.inf)}, r"means\[0\]"),
    "weights too short": ({"weights": np.ones(3)}, r"weights must be .*\(10,\)"),
    "labels int64": ({"labels": np.zeros(10, np.int64)}, "int32"),
    "labels too great": ({"labels": np.full(10, 3, np.int32)}, "label 3 at row 0"),
    "labels below -1": ({"labels": np.full(10, -2, np.int32)}, "label -2 at row 0"),
    "X of integers": ({"X": np.zeros((10, 5), int)}, "X must be"),
    "X with one dimension": ({"X": np.zeros(10)}, "X must be"),
    "geometry": ({"geometry": 4}, "geometry"),
    "threads": ({"n_threads": 0}, "n_threads"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_unusable_arguments_are_refused(case):
    change, message = BAD_CALLS[case]
    good = {
        "X": np.zeros((10, 5)),
        "weights": None,
        "labels": None,
        "log_weights": np.log(np.full(3, 1 / 3)),
        "means": np.zeros((3, 5)),
        "factors": np.stack([np.eye(5)] * 3),
        "geometry": DENSE,
        "n_threads": 1,
    }
    _kernel.em_pass(**good)
    with pytest.raises(ValueError, match=message):
        _kernel.em_pass(**(good | change))


def test_outputs_must_be_writable_and_fit():
    model, X, _, _ = problem(DENSE, 3, 5, False)
    frozen = np.empty(len(X))
    frozen.flags.writeable = False
    for out in (frozen, np.empty(len(X) - 1), np.empty(2 * len(X))[::2]):
        with pytest.raises(ValueError, match="log_density"):
            _kernel.score(X, *model.arguments(), 1, log_density=out)


def test_variants():
    names = _kernel.variants()
    assert names[-1] == "baseline"
    assert _kernel.variant() in names
    with pytest.raises(ValueError, match="baseline"):
        _kernel.use_variant("abacus")


def test_environment_forces_a_variant():
    def run(name):
        return subprocess.run(
            [sys.executable, "-c", "from mixtura import _kernel; print(_kernel.variant())"],
            env=with_path() | {"MIXTURA_KERNEL": name},
            capture_output=True,
            text=True,
            check=False,
        )

    for name in _kernel.variants():
        assert run(name).stdout.strip() == name
    refused = run("abacus")
    assert refused.returncode != 0
    assert "ImportError" in refused.stderr
    assert "baseline" in refused.stderr


def test_peak_is_a_speed(variant):
    assert 0.1 < _kernel.fma_peak(1) < 1e4


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT of one thread")
def test_ctrl_c_stops_a_pass():
    code = """
import sys, numpy as np
from mixtura import _kernel
X = np.random.default_rng(0).standard_normal((200_000, 40))
K, d = 200, 40
means, factors = X[:K].copy(), np.stack([np.eye(d)] * K)
print("ready", flush=True)
try:
    while True:
        _kernel.em_pass(X, None, None, np.zeros(K), means, factors, 0, 2)
except KeyboardInterrupt:
    print("stopped")
"""
    words = [sys.executable, "-c", code]
    with started(words, env=with_path(), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.3)
        start = time.perf_counter()
        child.send_signal(2)
        assert child.communicate(timeout=20)[0] == "stopped\n"
    assert time.perf_counter() - start < 5


def test_other_python_threads_run_meanwhile():
    model, X, _, _ = problem(DENSE, 17, 16, False)
    X = np.tile(X, (100, 1))
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    start = time.perf_counter()
    _kernel.em_pass(X, None, None, *model.arguments(), 1)
    end = time.perf_counter()
    done.set()
    ticker.join()
    assert sum(start < t < end for t in ticks) >= 5
