"""Passes over rows that are read: the same bits, the first error, no thread left, little memory."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

from mixtura import Gaussian, Local, as_source, fit_mixture, scan
from mixtura.errors import DataError, LedgerError, MixturaError
from mixtura.executor import crew
from mixtura.executor.crew import Crew
from mixtura.source import Block, DroppingSource, Stretch, plan_of
from mixtura.source.base import DataSource, Part
from mixtura.source.plan import readers_at_once
from tests.processes import alone_again, started, with_path

BLOCK = 1024


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40 * BLOCK + 300, 3)) * [1.0, 1e3, 1e-5] + rng.integers(0, 3, 3)


@pytest.fixture(scope="module")
def files(rows, tmp_path_factory):
    """Five files, the first of which holds most of the rows, in small groups."""
    folder = tmp_path_factory.mktemp("files")
    for i, X in enumerate(np.split(rows, [24 * BLOCK, 32 * BLOCK, 32 * BLOCK, 36 * BLOCK])):
        table = pa.table({name: X[:, j] for j, name in enumerate("abc")})
        pq.write_table(table, folder / f"{i}.parquet", row_group_size=3000)
    return folder


def bits(stats):
    arrays = (stats.weight, stats.total, stats.shared)
    return [a.tobytes() for a in arrays], stats.loglik, stats.entropy, stats.mass


@pytest.fixture(scope="module")
def task(rows):
    family = Gaussian(3)
    fitted = fit_mixture(family, as_source(rows), 3, max_iter=2, n_starts=1, executor=Local(1))
    return fitted.mixture.expect


@pytest.fixture(scope="module")
def expected(rows, task):
    return bits(Local(1).reduce(task, as_source(rows, block_rows=BLOCK)))


def count(block, n_threads=1):
    return block.n_rows


def fail_from(row, block, n_threads=1):
    """Fail at the blocks from a row on, the first of them after the others."""
    if block.first_row < row:
        return block.n_rows
    if block.first_row < row + BLOCK:
        time.sleep(0.05)
    raise ValueError(f"row {block.first_row}")


# -- the same bits -------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
@pytest.mark.parametrize("long", [-1.0, 1e9], ids=["together", "each its own"])
def test_threads_do_not_change_a_bit_of_a_pass_over_files(
    files, task, expected, n_threads, long, monkeypatch
):
    monkeypatch.setattr(crew, "LONG", long)
    source = scan(files, block_rows=BLOCK)
    for _ in range(5):
        assert bits(Local(n_threads).reduce(task, source)) == expected


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
@pytest.mark.parametrize("long", [-1.0, 1e9], ids=["together", "each its own"])
def test_text_is_counted_by_the_first_pass_and_read_apart_in_the_next(
    rows, tmp_path, task, n_threads, long, monkeypatch
):
    monkeypatch.setattr(crew, "LONG", long)
    gaps = rows.copy()
    gaps[5::700, 1] = np.nan
    for i, X in enumerate(np.array_split(gaps, 7)):
        np.savetxt(tmp_path / f"{i}.csv", X, delimiter=",", header="a,b,c", comments="")
    whole = as_source(tmp_path, missing="drop", block_rows=BLOCK)
    known = bits(Local(1).reduce(task, whole))
    source = as_source(tmp_path, missing="drop", block_rows=BLOCK)
    assert [stretch.n_blocks for stretch in source.stretches()] == [None]
    assert bits(Local(n_threads).reduce(task, source)) == known
    assert len(source.stretches()) == 7
    assert bits(Local(n_threads).reduce(task, source)) == known
    assert source.n_rows == np.isfinite(gaps).all(axis=1).sum()


def test_weights_labels_and_mapped_arrays(rows, files, task, tmp_path):
    rng = np.random.default_rng(1)
    w, labels = rng.random(len(rows)), rng.integers(-1, 3, len(rows))
    held = as_source(rows, weights=w, labels=labels, block_rows=BLOCK)
    known = bits(Local(1).reduce(task, held))
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for data in (files, mapped):
        source = as_source(data, weights=w, labels=labels, block_rows=BLOCK)
        for n_threads in (1, 2, 5):
            assert bits(Local(n_threads).reduce(task, source)) == known


def test_many_threads_share_one_stretch(rows, task, expected):
    blocks = list(as_source(rows, block_rows=BLOCK).blocks())
    for known in (None, len(blocks)):
        share = Crew([Stretch(iter(blocks), known)], task, 8, 8).total()
        assert (share.first, share.stop, share.n_rows) == (0, len(blocks), len(rows))
    tail = Crew([Stretch(iter(blocks[5:]), None)], task, 3, 1, first=5).total()
    assert (tail.first, tail.stop) == (5, len(blocks))


# -- errors --------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2, 8])
@pytest.mark.parametrize("long", [-1.0, 1e9], ids=["together", "each its own"])
def test_the_first_error_in_the_order_of_the_rows_is_raised(files, n_threads, long, monkeypatch):
    monkeypatch.setattr(crew, "LONG", long)
    source = scan(files, block_rows=BLOCK)
    for block in (0, 3, 25, 40):
        with pytest.raises(ValueError, match=f"row {block * BLOCK}$"):
            Local(n_threads).reduce(partial(fail_from, block * BLOCK), source)
    assert Local(n_threads).reduce(count, source) == source.n_rows


def test_a_block_that_cannot_be_read_comes_after_those_before_it(rows, files):
    def broken(blocks, at):
        for i, block in enumerate(blocks):
            if i == at:
                raise DataError.empty("the block")
            yield block

    def stretches():
        parts = scan(files, block_rows=BLOCK).stretches()
        return [part._replace(blocks=broken(part.blocks, 1)) for part in parts]

    with pytest.raises(DataError, match="the block"):
        Crew(stretches(), count, 4, 4).total()
    with pytest.raises(ValueError, match=r"row 0$"):
        Crew(stretches(), partial(fail_from, 0), 4, 4).total()


@pytest.mark.parametrize(("claimed", "words"), [(4, "lost"), (2, "twice")])
def test_another_number_of_blocks_than_known_is_an_error(rows, claimed, words):
    blocks = list(as_source(rows, block_rows=BLOCK).blocks())
    stretches = [Stretch(iter(blocks[:3]), claimed), Stretch(iter(blocks[3:]), len(blocks) - 3)]
    with pytest.raises(LedgerError, match=words):
        Crew(stretches, count, 4, 4).total()


def test_a_file_that_changes_between_passes_is_noticed_by_each_crew(rows, tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": rows[:, 0]}), path, row_group_size=4 * BLOCK)
    source = scan(path, block_rows=BLOCK)
    assert Local(3).reduce(count, source) == len(rows)
    pq.write_table(pa.table({"a": rows[:-5, 0]}), path, row_group_size=4 * BLOCK)
    with pytest.raises(MixturaError, match="E502"):
        Local(3).reduce(count, source)


def test_files_without_rows_are_nothing(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,\n,2\n")
    with pytest.raises(DataError, match="E205"):
        Local(2).reduce(count, as_source(tmp_path, missing="drop"))


# -- threads, memory, signals --------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2, 8])
def test_no_thread_is_left(files, n_threads):
    source, before = scan(files, block_rows=BLOCK), len(sys._current_frames())
    Local(n_threads).reduce(count, source)
    with pytest.raises(ValueError, match="row"):
        Local(n_threads).reduce(partial(fail_from, 4000), source)
    assert alone_again(before)


class Watched(DataSource):
    """Counts how many of its blocks there are, and how many threads read at a time."""

    def __init__(self, n_streams, n_blocks):
        super().__init__(["a"], [n_blocks * BLOCK] * n_streams, block_rows=BLOCK)
        self.n_blocks, self.lock = n_blocks, threading.Lock()
        self.now = self.most = self.reading = self.most_reading = 0

    def stream_parts(self, stream, first_row):
        return [WatchedPart(self, first_row)]

    def change(self, blocks, readers):
        with self.lock:
            self.now, self.reading = self.now + blocks, self.reading + readers
            self.most = max(self.most, self.now)
            self.most_reading = max(self.most_reading, self.reading)


class WatchedPart(Part):
    def __init__(self, source, first_row):
        self.source, self.first_row = source, first_row

    def blocks(self):
        for i in range(self.source.n_blocks):
            self.source.change(0, 1)
            time.sleep(0.0005)
            self.source.change(1, -1)
            yield WatchedBlock(np.ones((BLOCK, 1)), first_row=self.first_row + i * BLOCK).of(
                self.source
            )


class WatchedBlock(Block):
    def of(self, source):
        object.__setattr__(self, "source", source)
        return self

    def __del__(self):
        self.source.change(-1, 0)


def slowly(block, n_threads=1):
    time.sleep(0.001)
    return block.n_rows


@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("long", [-1.0, 1e9], ids=["together", "each its own"])
def test_blocks_in_memory_are_as_many_as_planned(n_threads, long, monkeypatch):
    monkeypatch.setattr(crew, "LONG", long)
    source = Watched(6, 20)
    assert Local(n_threads).reduce(slowly, source) == 120 * BLOCK
    assert source.now == 0
    assert source.most <= max(2, n_threads) + 1
    assert source.most_reading <= max(2, n_threads)


def test_wide_tables_are_read_at_fewer_places():
    assert [readers_at_once(4, n) for n in (1, 2, 8)] == [2, 2, 8]
    assert [readers_at_once(d, 64) for d in (4, 100, 1000)] == [42, 2, 1]
    source = Watched(6, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mixtura.executor.local.readers_at_once", lambda n_columns, n_threads: 1)
        assert Local(4).reduce(count, source) == 12 * BLOCK
    assert source.most_reading == 1
    few, many = (plan_of(source, n).peak_bytes for n in (2, 64))
    assert few < many < few + (2 << 30)
    assert plan_of(DroppingSource(source), 2).peak_bytes > few


INTERRUPTED = """
import sys, threading, time
from functools import partial
from mixtura import Gaussian, Local, as_source, fit_mixture, scan
from mixtura.executor import crew
from tests.processes import alone_again
crew.LONG = float(sys.argv[2])
source = scan(sys.argv[1], block_rows=1024)
began = threading.Event()

def slow(block, n_threads):
    began.set()
    time.sleep(0.01)
    return block.n_rows

def tell():
    began.wait()
    print("ready", flush=True)

teller = threading.Thread(target=tell)
teller.start()
try:
    while True:
        Local(3).reduce(slow, source)
except KeyboardInterrupt:
    teller.join()
    print(alone_again(), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("long", [-1.0, 1e9], ids=["together", "each its own"])
def test_an_interrupted_pass_ends_with_all_its_threads(files, long):
    words = [sys.executable, "-c", INTERRUPTED, files, str(long)]
    with started(words, env=with_path(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
    assert (told, process.returncode) == ("True\n", 0)
