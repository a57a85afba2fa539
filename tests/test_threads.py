"""Threads of one call: order, errors, their end, and a Ctrl-C at any moment."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from contextvars import ContextVar

import numpy as np
import pytest

from mixtura.threads import Helpers, in_order
from tests.processes import alone_again, started, with_path


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 100])
def test_values_come_in_the_order_of_their_items(n, n_threads):
    waits = np.random.default_rng(n).uniform(0, 2e-3, n)

    def work(i):
        time.sleep(waits[i])
        return i * i

    before = len(sys._current_frames())
    with closing(in_order(work, range(n), n_threads)) as values:
        assert list(values) == [i * i for i in range(n)]
    assert alone_again(before)


@pytest.mark.parametrize("n_threads", [1, 2, 8])
def test_the_error_is_that_of_the_first_item(n_threads):
    def work(i):
        time.sleep(0.002 if i == 7 else 0)
        if i in (7, 8, 30):
            raise ValueError(i)
        return i

    before, seen = len(sys._current_frames()), []
    with (
        pytest.raises(ValueError, match=r"^7$"),
        closing(in_order(work, range(40), n_threads)) as values,
    ):
        seen.extend(values)  # as far as they go
    assert seen in ([], list(range(7)))
    assert alone_again(before)


def test_nothing_is_begun_after_it_was_closed():
    done = []

    def work(i):
        time.sleep(0.001)
        done.append(i)
        return i

    with closing(in_order(work, range(1000), 2)) as values:
        assert [next(values), next(values)] == [0, 1]
    n_done = len(done)
    assert n_done < 20
    time.sleep(0.02)
    assert len(done) == n_done


def test_threads_see_the_context_of_the_caller():
    setting = ContextVar("setting", default=0)
    setting.set(3)
    with closing(in_order(lambda i: setting.get() + i, range(4), 2)) as values:
        assert list(values) == [3, 4, 5, 6]
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        list(in_order(lambda i: np.ones(1) / np.zeros(1), range(4), 2))


def test_what_nobody_has_taken_is_let_go():
    helpers = Helpers(lambda give: [give(i) for i in range(5)], 2)
    helpers.start()
    assert next(helpers) == 0
    helpers.join()
    assert list(helpers) == []


def test_a_system_without_more_threads_is_an_error_and_leaves_none(monkeypatch):
    import _thread

    start, allowed = _thread.start_new_thread, [True, False]

    def starting(*args):
        if not allowed.pop(0):
            raise RuntimeError("can't start new thread")
        return start(*args)

    before = len(sys._current_frames())
    monkeypatch.setattr("_thread.start_new_thread", starting)
    with pytest.raises(RuntimeError, match="start new"):
        list(in_order(abs, range(100), 2))
    assert alone_again(before)


#: Each pass is interrupted at a moment of its own; whoever waits for ever is shown and ends.
INTERRUPTED = """
import faulthandler, random, signal, sys, time
from contextlib import closing
import numpy as np
from mixtura import Local, as_source
from mixtura.source.base import DataSource, Part, Block
from mixtura.threads import in_order
from tests.processes import alone_again

class Rows(DataSource):
    def __init__(self):
        super().__init__(["a"], [8 * 1024] * 4, block_rows=1024)
    def stream_parts(self, stream, first_row):
        return [Read(first_row)]

class Read(Part):
    def __init__(self, first_row):
        self.first_row = first_row
    def blocks(self):
        for i in range(8):
            yield Block(np.ones((1024, 1)), first_row=self.first_row + i * 1024)

def count(block, n_threads=1):
    return block.n_rows

def passes(n_threads, source=Rows()):
    return Local(n_threads).reduce(count, source)

def slices(n_threads):
    with closing(in_order(len, [range(1024)] * 32, n_threads)) as parts:
        return sum(parts)

def stop(number, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, stop)
work = {"passes": passes, "slices": slices}[sys.argv[1]]
n_threads, n_times = map(int, sys.argv[2:])
random, began = random.Random(n_threads), time.perf_counter()
for _ in range(20):
    assert work(n_threads) == 32 * 1024
usual, n_heard = (time.perf_counter() - began) / 20, 0
for _ in range(n_times):
    faulthandler.dump_traceback_later(20, exit=True)
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, usual))
        assert work(n_threads) == 32 * 1024
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        n_heard += 1
    assert alone_again()
    assert work(n_threads) == 32 * 1024
faulthandler.cancel_dump_traceback_later()
print(n_heard / n_times)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("work", ["passes", "slices"])
@pytest.mark.parametrize("n_threads", [2, 3])
def test_a_ctrl_c_at_any_moment_leaves_nobody_waiting(work, n_threads):
    words = [sys.executable, "-c", INTERRUPTED, work, str(n_threads), "1000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(words, **pipes, env=with_path(), text=True) as process:
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert float(out) > 0.02  # of the interruptions came while it was at work
