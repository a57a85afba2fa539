"""Dask: the bits of a local run on any number of workers, and nothing lost when workers are."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import warnings
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("distributed")
pytest.importorskip("pyarrow")

import dask.array as da
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, LocalCluster

from mixtura import (
    Checkpointed,
    Dask,
    Gaussian,
    GaussianMixture,
    Local,
    as_source,
    fit_mixture,
    select,
)
from mixtura.em import em_run
from mixtura.errors import DataError, LedgerError, MixturaError, ResourceError, UsageError
from mixtura.executor import connected
from mixtura.executor.ledger import join_all, joined, settled, share_of
from mixtura.source.arrays import ArraySource
from mixtura.stats import tree_sum

# What clusters say about ports, clocks and their own end is not about us.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::UserWarning:distributed"
)

BLOCK = 1024
N_FILES = 20


def cluster_of(n_workers):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=None, memory_limit=0
        )


@pytest.fixture(scope="module")
def two():
    with cluster_of(2) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_FILES * 4 * BLOCK, 3))
    X[::2] += [2.0, 0.0, 1.0]
    return X


@pytest.fixture(scope="module")
def files(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for i, X in enumerate(np.split(rows, N_FILES)):
        table = pa.table({name: X[:, j] for j, name in enumerate("abc")})
        pq.write_table(table, folder / f"{i:02}.parquet", row_group_size=3000)
    return folder


def source_of(files):
    return as_source(files, block_rows=BLOCK)


def fit(source, executor, **options):
    settings = {"n_starts": 2, "max_iter": 12, "seed": 0, **options}
    return fit_mixture(Gaussian(3), source, 3, executor=executor, **settings)


def bits(fitted):
    arrays = (fitted.mixture.weights, *fitted.mixture.params, fitted.trace.objective)
    numbers = (fitted.log_likelihood, fitted.log_certainty, fitted.sizes, fitted.outcome)
    return [np.asarray(a).tobytes() for a in arrays], numbers


@pytest.fixture(scope="module")
def expected(files):
    """What one thread of one process makes of the files, never holding them in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mixtura.fitting.HELD_BYTES", 0)
        return bits(fit(source_of(files), Local(1)))


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch):
    monkeypatch.setattr("mixtura.fitting.HELD_BYTES", 0)


# -- the tree and the ledger ---------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 21, 64, 100])
def test_shares_joined_in_any_grouping_have_the_bits_of_the_tree(n):
    rng = np.random.default_rng(n)
    values = rng.normal(size=n) * 10.0 ** rng.integers(-8, 8, n)
    for _ in range(20):
        cuts = np.sort(rng.integers(0, n + 1, rng.integers(0, 6)))
        edges = [0, *cuts.tolist(), n]
        shares = [share_of(values[a:b].tolist(), a, [10] * (b - a)) for a, b in pairwise(edges)]
        while len(shares) > 2:  # join neighbours, anywhere
            at = int(rng.integers(len(shares) - 1))
            shares[at : at + 2] = [joined(*shares[at : at + 2])]
        assert settled(join_all(shares), n, 10 * n) == tree_sum(values.tolist())
        assert all(len(share.nodes) <= 2 * np.log2(n + 1) + 1 for share in shares)


def test_a_block_that_is_lost_or_doubled_is_an_error():
    def share(first, n):
        return share_of([1.0] * n, first, [10] * n)

    with pytest.raises(LedgerError, match=r"E501.*lost.*block 2 was next, 3 came"):
        joined(share(0, 2), share(3, 2))
    with pytest.raises(LedgerError, match=r"E501.*counted twice.*block 2 was next, 1 came"):
        joined(share(0, 2), share(1, 2))
    with pytest.raises(LedgerError, match="E501"):
        settled(share(0, 4), 5, 50)
    with pytest.raises(LedgerError, match="saw 40 rows of 41"):
        settled(share(0, 4), 4, 41)
    assert settled(share(0, 4), 4, 40) == 4.0


class Faulty(ArraySource):
    """Drops or doubles one block in one of its later passes, as a broken engine would."""

    def __init__(self, X, times, after):
        super().__init__(X, ["a", "b", "c"], block_rows=BLOCK)
        self.times, self.after, self.passes = times, after, 0

    def stream_parts(self, stream, first_row):
        parts = list(super().stream_parts(stream, first_row))
        self.passes += 1
        return parts[:5] + parts[5:6] * (self.times if self.passes > self.after else 1) + parts[6:]

    parts = None


@pytest.mark.parametrize("times", [0, 2])
def test_no_model_is_made_of_a_pass_that_lost_or_doubled_block_5(rows, times):
    with pytest.raises(MixturaError, match=r"E50[12]"):
        fit(Faulty(rows, times, 8), Local(1))


def meddled(times, parts, partitions, task, first):
    """The work of a share, except for block 5."""
    blocks = [block for part in parts for block in part.blocks()]
    at = 5 - first
    if 0 <= at < len(blocks):
        blocks[at : at + 1] = blocks[at : at + 1] * times
    return share_of([task(block, 1) for block in blocks], first, [b.n_rows for b in blocks])


@pytest.mark.parametrize("times", [0, 2])
def test_a_cluster_that_loses_or_doubles_block_5_gives_an_error(two, files, times, monkeypatch):
    monkeypatch.setattr("mixtura.executor.cluster._work", partial(meddled, times))
    with pytest.raises(LedgerError, match=r"E501.*(lost|twice)"):
        fit(source_of(files), Dask(two))


# -- the same bits -------------------------------------------------------------------


def test_twenty_files_have_the_same_bits_everywhere(two, rows, files, expected):
    assert bits(fit(source_of(files), Local(2))) == expected
    assert bits(fit(source_of(files), Dask(two))) == expected
    named = as_source(pd.DataFrame(rows, columns=list("abc")), block_rows=BLOCK)
    assert bits(fit(named, Local(2))) == expected
    assert bits(fit(as_source(rows), Local(1))) == expected  # one block
    assert bits(fit(as_source(rows, block_rows=BLOCK), Dask(two))) == expected
    with cluster_of(1) as cluster, Client(cluster) as one:
        assert bits(fit(source_of(files), Dask(one))) == expected


def test_mapped_arrays_are_read_by_the_workers(two, rows, tmp_path, expected):
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    source = as_source(mapped, block_rows=BLOCK)
    assert len(pickle.dumps(source.parts())) < 100_000
    assert bits(fit(source, Dask(two))) == expected


def test_text_files_and_rows_left_out_are_counted_by_the_workers(two, rows, tmp_path):
    for i, X in enumerate(np.split(rows[:20_000], 5)):
        X = X.copy()
        X[7::50, 1] = np.nan
        pd.DataFrame(X, columns=list("abc")).to_csv(tmp_path / f"{i}.csv", index=False)

    def run(executor):
        source = as_source(tmp_path, missing="drop", block_rows=BLOCK)
        with pytest.warns(UserWarning, match="400 of 20000 rows"):
            return bits(fit(source, executor, max_iter=4))

    assert run(Dask(two)) == run(Local(1))


def test_weights_and_labels_travel_with_the_rows(two, rows, files):
    rng = np.random.default_rng(1)
    w, labels = rng.random(len(rows)), rng.integers(-1, 3, len(rows))

    def run(executor):
        source = as_source(files, weights=w, labels=labels, block_rows=BLOCK)
        return bits(fit(source, executor, max_iter=3))

    assert run(Dask(two)) == run(Local(1))


def test_frames_and_arrays_of_dask_are_taken_by_partition(two, rows, expected):
    chunked = da.from_array(rows, chunks=(4 * BLOCK, 2))
    assert bits(fit(as_source(chunked, block_rows=BLOCK), Dask(two))) == expected
    frame = dd.from_pandas(pd.DataFrame(rows, columns=list("abc")), chunksize=4 * BLOCK)
    assert bits(fit(as_source(frame, block_rows=BLOCK), Dask(two))) == expected
    here = as_source(frame, block_rows=8 * BLOCK)
    assert Local(1).reduce(shape_of, here) == Dask(two).reduce(shape_of, here) == len(rows)
    source = as_source(frame, columns=["c", "a"], weights="b")
    assert source.columns == ("c", "a")
    with pytest.raises(DataError, match="E220"):  # weights below zero
        fit_mixture(Gaussian(2), source, 2, executor=Dask(two))


def test_a_dask_frame_with_gaps_or_text(two, rows):
    table = pd.DataFrame(rows[:8000], columns=list("abc"))
    table.loc[::100, "b"] = np.nan
    frame = dd.from_pandas(table.assign(t="x"), npartitions=4)
    with pytest.raises(DataError, match="'t'"):
        as_source(frame)

    def run(data, executor):
        source = as_source(data, columns=list("abc"), missing="drop")
        with pytest.warns(UserWarning, match="80 of 8000 rows"):
            return fit(source, executor, max_iter=3)

    found, known = run(frame, Dask(two)), run(table, Local(1))
    assert found.n_rows == 7920
    np.testing.assert_allclose(found.mixture.means, known.mixture.means, rtol=1e-12)
    with pytest.raises(UsageError, match="name of a column"):
        as_source(frame, columns=["a"], weights=np.ones(8000))
    with pytest.raises(DataError, match="2D"):
        as_source(da.ones(5, chunks=2))


def test_estimators_take_the_cluster(two, rows, files):
    options = {"n_components": 2, "random_state": 0, "n_init": 2}
    here = GaussianMixture(**options).fit(source_of(files))
    there = GaussianMixture(**options, executor=Dask(two)).fit(source_of(files))
    assert here.means_.tobytes() == there.means_.tobytes()
    assert there.score(source_of(files)) == here.score(source_of(files))
    assert there.bic(source_of(files)) == here.bic(source_of(files))


def test_data_on_the_workers_are_let_go_with_the_source(two, rows):
    executor, source = Dask(two), as_source(rows, block_rows=BLOCK)
    first = executor.reduce(shape_of, source)
    assert executor.reduce(shape_of, source) == first == len(rows)
    assert len(executor._placed) == 1
    del source
    assert len(executor._placed) == 0


def shape_of(block, n_threads=1):
    return block.n_rows


@pytest.mark.slow
def test_a_cross_validated_choice_reads_the_files_as_often_as_its_longest_run(
    two, files, monkeypatch
):
    """K = 1..8, 5 folds: 48 runs in lockstep, and the same choice on a cluster."""
    lengths = []

    def watched(*args, **options):
        run = yield from em_run(*args, **options)
        lengths.append(run.n_passes + len({event.iteration for event in run.events}))
        return run

    monkeypatch.setattr("mixtura.selection.grid.HELD_ROWS", 0)
    monkeypatch.setattr("mixtura.crossval.streams.em_run", watched)
    options = {"n_folds": 5, "max_iter": 25, "seed": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 25 iterations are few for some
        here = select(source_of(files), range(1, 9), executor=Local(2), **options)
        assert len(lengths) == 48
        longest = max(lengths)
        there = select(source_of(files), range(1, 9), executor=Dask(two), **options)
    print(f"{here.passes_} passes; the longest run takes {longest}, all {sum(lengths) // 2}")
    assert here.passes_ <= longest + here.fitted.n_iter + 9
    assert (there.passes_, there.best_row_) == (here.passes_, here.best_row_)
    assert bits(there.fitted) == bits(here.fitted)


# -- nothing lost --------------------------------------------------------------------


def slowly(seconds, task, block, n_threads=1):
    time.sleep(seconds)
    return task(block, n_threads)


class Slow(Dask):
    """Takes its time for each block, so that there is a middle of a pass."""

    def reduce(self, task, source):
        return super().reduce(partial(slowly, 0.004, task), source)


def kill_worker_after(client, seconds, done):
    """Kill one worker process, by its number, some time from now."""

    def kill():
        time.sleep(seconds)
        pids = client.run(os.getpid)
        os.kill(sorted(pids.values())[0], signal.SIGKILL)
        done.append(True)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["files", "array", "frame"])
def test_a_worker_killed_in_mid_pass_changes_no_bit(rows, files, expected, kind, monkeypatch):
    if kind == "array":  # held by the workers alone, not by the scheduler
        monkeypatch.setattr("mixtura.executor.cluster.SMALL_BYTES", 1000)
    sources = {
        "files": lambda: source_of(files),
        "array": lambda: as_source(rows, block_rows=BLOCK),
        "frame": lambda: as_source(
            dd.from_pandas(pd.DataFrame(rows, columns=list("abc")), chunksize=4 * BLOCK),
            block_rows=BLOCK,
        ),
    }
    done = []
    with cluster_of(2) as cluster, Client(cluster) as client:
        killers = [kill_worker_after(client, s, done) for s in (0.5, 2.0)]
        assert bits(fit(sources[kind](), Slow(client))) == expected
        for killer in killers:
            killer.join(60)
    assert done == [True, True]


@pytest.mark.slow
def test_all_workers_lost_leaves_a_usable_checkpoint(rows, files, expected, tmp_path):
    path = tmp_path / "run"
    with cluster_of(2) as cluster, Client(cluster) as client:
        closing = threading.Timer(3.0, cluster.scale, [0])
        closing.start()
        with pytest.raises(ResourceError, match=r"E70[45]") as found:
            fit(source_of(files), Checkpointed(Slow(client, patience=1.0), path))
        assert found.value.exit_code == 7
        closing.join(60)
    assert path.stat().st_size > 1000
    assert bits(fit(source_of(files), Checkpointed(Local(1), path))) == expected


def test_errors_of_workers_are_those_of_the_data(two, rows, files, tmp_path):
    source = source_of(files)
    with pytest.raises(DataError, match=r"E502.*03\.parquet"):
        meddle(source, files)
        Dask(two).reduce(shape_of, source)


def meddle(source, files):
    """Make a source that has seen another time of one file."""
    file, form, layout = source._files[3]
    source._files[3] = (replace(file, modified=file.modified - 1), form, layout)


def test_addresses_of_clusters():
    with pytest.raises(UsageError, match="local:N"):
        connected("local:none")
    with pytest.raises(ResourceError, match=r"E705.*nobody answers"):
        connected("nonsense://here")
