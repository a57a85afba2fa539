"""Signals, kills and full disks on the command line: what was promised is there afterwards."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("click")
pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

from mixtura import modelfile
from mixtura.executor import Journal
from tests.processes import started

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

N_ROWS = 1 << 17
#: Files above this size are not held in memory: the tests read them in every pass.
PROGRAM = (
    "import mixtura.fitting; mixtura.fitting.HELD_BYTES = 1 << 16; "
    "from mixtura.cli.main import main; main()"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    rng = np.random.default_rng(0)
    for name in "abc":
        X = rng.normal(size=(N_ROWS, 3)) + 1.5 * rng.integers(0, 3, (N_ROWS, 1))
        table = pa.table({column: X[:, j] for j, column in enumerate("xyz")})
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=1 << 15)
    return folder


def command(*words):
    return [sys.executable, "-c", PROGRAM, *map(str, words)]


def fit(data, folder, *more, name="model"):
    return command(
        "fit", data, "-k", 3, "--n-init", 2, "--max-iter", 25, "--tol", 0, "--threads", 1,
        "--checkpoint", folder / "run", "-o", folder / name, *more,
    )  # fmt: skip


def finished(words, code=0):
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr


def result(path):
    fitted = modelfile.load(path)
    arrays = (fitted.mixture.weights, *fitted.mixture.params, fitted.trace.objective)
    return [a.tobytes() for a in arrays], fitted.log_likelihood, fitted.sizes, fitted.log_certainty


def n_passes(path):
    with Journal(path) as journal:
        return len(journal)


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory):
    """The model of a run that nothing disturbs, its passes, and the seconds it took."""
    folder = tmp_path_factory.mktemp("unbroken")
    began = time.perf_counter()
    finished(fit(data, folder))
    seconds = time.perf_counter() - began
    return result(folder / "model"), n_passes(folder / "run"), seconds


def after_passes(process, path, n):
    """Wait until a running fit has kept some passes, or has ended."""
    end = time.perf_counter() + 60
    while process.poll() is None and time.perf_counter() < end:
        # the journal is locked by its writer; its size tells enough
        if path.exists() and path.stat().st_size > n:
            return
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("n_bytes", [0, 240_000, 250_000])
def test_an_interrupted_fit_says_how_to_go_on_and_does(data, unbroken, tmp_path, number, n_bytes):
    with started(fit(data, tmp_path), stderr=subprocess.PIPE, text=True) as process:
        after_passes(process, tmp_path / "run", n_bytes)
        process.send_signal(number)
        _, words = process.communicate(timeout=60)
    assert process.returncode == 130, words
    kept = n_passes(tmp_path / "run")
    assert kept < unbroken[1]
    assert f"stopped after pass {kept}; the checkpoint" in words
    assert f"mixtura resume {tmp_path / 'run'}" in words
    assert not (tmp_path / "model").exists()
    words = finished(command("resume", tmp_path / "run"))
    assert f"{kept} passes are kept" in words
    assert result(tmp_path / "model") == unbroken[0]


LOST = """
import os, signal, sys, time
from mixtura.cli.lasting import ending_cleanly

if sys.argv[2] == "in the background":  # where shells let jobs ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.SIG_IGN)

class Last:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(0.1)  # nothing that is raised here comes out

with ending_cleanly():
    try:
        Last()
        time.sleep(20)
    except KeyboardInterrupt:
        print("heard")
"""


@pytest.mark.parametrize(
    ("number", "where"),
    [
        (signal.SIGINT, "in front"),
        (signal.SIGTERM, "in front"),
        (signal.SIGTERM, "in the background"),
    ],
)
def test_a_signal_where_nothing_can_be_raised_is_heard_all_the_same(number, where):
    words = [sys.executable, "-c", LOST, str(int(number)), where]
    done = subprocess.run(words, capture_output=True, text=True, timeout=15, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard\n", "")


@pytest.mark.slow
def test_twenty_kills_at_random_moments(data, unbroken, tmp_path):
    """Each run is killed at a moment of its own; the next one goes on, as if nothing had been."""
    rng = np.random.default_rng(0)
    expected, _, seconds = unbroken
    path, model, kept, n_kills = tmp_path / "run", tmp_path / "model", 0, 0
    for _ in range(100):
        began = time.perf_counter()
        with started(fit(data, tmp_path), stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(timeout=rng.uniform(0.25, 0.8) * seconds)
                seconds = min(seconds, time.perf_counter() - began)  # faster than thought
            except subprocess.TimeoutExpired:
                process.kill()
                n_kills += 1
        if n_kills == 20:
            break
        assert process.returncode in (0, -signal.SIGKILL)
        if model.exists():  # the fit had ended: begin again
            assert result(model) == expected
            model.unlink()
            path.unlink()
            kept = 0
        elif path.exists():
            assert n_passes(path) >= kept
            kept = n_passes(path)
    assert n_kills == 20
    finished(fit(data, tmp_path))
    assert result(model) == expected


def limited(n_bytes):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))

    return limit


@pytest.mark.slow
def test_a_full_disk_leaves_old_files_and_exit_code_7(data, unbroken, tmp_path):
    """1 kB: neither the checkpoint nor the model fits, and what was there before stays."""
    (tmp_path / "model").write_bytes(b"old")
    done = subprocess.run(
        fit(data, tmp_path, "--force"), capture_output=True, text=True, timeout=300, check=False,
        preexec_fn=limited(300),
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert "E701" in done.stderr
    assert (tmp_path / "model").read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["model"]
    done = subprocess.run(
        fit(data, tmp_path, "--force"), capture_output=True, text=True, timeout=300, check=False,
        preexec_fn=limited(10_000),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr  # the model is small; the checkpoint fell behind
    assert "W510" in done.stderr
    assert result(tmp_path / "model") == unbroken[0]
    assert n_passes(tmp_path / "run") < unbroken[1]


@pytest.mark.slow
def test_a_local_cluster_gives_the_same_model_and_goes_on_with_a_checkpoint(
    data, unbroken, tmp_path
):
    pytest.importorskip("distributed")
    words = finished(fit(data, tmp_path, "--dask", "local:2"))
    assert "plan     3 files, 393216 rows, 3 columns; 3 blocks of 131072 rows" in words
    assert "cluster  2 workers, 2 threads" in words
    assert result(tmp_path / "model") == unbroken[0]
    (tmp_path / "model").unlink()
    finished(command("resume", tmp_path / "run"))
    assert result(tmp_path / "model") == unbroken[0]


def test_a_plan_is_all_that_is_made_when_it_is_asked_for(data, tmp_path):
    words = finished(fit(data, tmp_path, "--plan", "--memory", "300MB"))
    assert "plan     3 files, 393216 rows, 3 columns;" in words
    assert list(tmp_path.iterdir()) == []
    done = subprocess.run(
        fit(data, tmp_path, "--plan", "--json"),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    plan = json.loads(done.stdout)
    assert (plan["n_rows"], plan["n_blocks"]) == (3 * N_ROWS, 3)
    assert plan["pass_bytes"] == pytest.approx(3 * N_ROWS * 3 * 8, rel=0.3)  # with dictionaries
    assert "100 MB" in finished(fit(data, tmp_path, "--memory", "100MB"), code=2)
    words = finished(command("fit", "-", "--checkpoint", tmp_path / "run"), code=2)
    assert "standard input" in words


def test_smaller_blocks_do_not_change_a_model(data, unbroken, tmp_path):
    finished(fit(data, tmp_path, "--memory", "255MB"))
    assert result(tmp_path / "model") == unbroken[0]
