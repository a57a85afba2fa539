"""Passes on a Dask cluster: a mixture goes out, sums come back."""

from __future__ import annotations

import itertools
import logging
import pickle
import secrets
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from mixtura.errors import ResourceError, UsageError
from mixtura.executor.base import T, Task
from mixtura.executor.crew import Crew
from mixtura.executor.ledger import Share, join_all, settled
from mixtura.executor.local import thread_count
from mixtura.source import DataSource, Part, Stretch
from mixtura.source.base import Count

#: Shares of a pass per thread of the cluster: enough that no thread waits long at the end.
SHARES_PER_THREAD = 4

#: Clusters with more threads get one share per thread: a share costs the scheduler milliseconds.
MANY_THREADS = 256

#: Shares that one task joins.
FAN_IN = 16

#: Descriptions of parts up to this size are kept by the scheduler, larger ones by a worker.
SMALL_BYTES = 1 << 20

#: Times that a pass is made again after the cluster lost what was sent to it.
RETRIES = 5


@dataclass(frozen=True)
class Dask:
    """Work on the workers of a Dask cluster.

    Workers read the blocks themselves: files, which must be at the same place for all of
    them; partitions of Dask collections, which stay on the cluster; arrays in memory, which
    are sent once. In each pass the mixture goes out and sums come back; every part of the
    data stays with one worker, unless that is lost: then others take its blocks over. The
    result has the same bits as that of `Local` on the same blocks.

    Parameters
    ----------
    client : distributed.Client
        Connected to the cluster.
    patience : float, default=60
        Seconds to wait for workers when all are gone.
    n_threads : int, optional
        Threads between two passes, in this process.

    Notes
    -----
    A Dask cluster runs what it is sent: connect to clusters that you trust.
    """

    client: Any
    patience: float = 60.0
    n_threads: int | None = None
    _placed: WeakKeyDictionary[DataSource, _Placed] = field(
        default_factory=WeakKeyDictionary, repr=False, compare=False
    )

    def threads(self) -> int:
        """Threads that work between two passes uses, in this process."""
        return thread_count(self.n_threads)

    def reduce(self, task: Task[T], source: DataSource) -> T:
        """Sum ``task(block, 1)`` over all blocks.

        Raises
        ------
        ResourceError
            The cluster has no worker left, or gave up.
        LedgerError
            A block did not enter the sum exactly once.
        """
        from distributed import CancelledError, KilledWorker

        for attempt in itertools.count(1):
            try:
                placed = self._placed.get(source)
                if placed is None or placed.is_out_of_date():
                    placed = self._placed[source] = _place(source, self)
                share: Share[T] = self.result(placed.submit(task), placed.workers)
                return settled(share, placed.n_blocks, placed.n_rows)
            except KilledWorker as error:
                raise ResourceError.cluster(str(error)) from None
            except (CancelledError, _MovedError) as error:  # what lost workers had is lost too
                self._placed.pop(source, None)
                if attempt > RETRIES or self.client.status != "running":
                    raise ResourceError.cluster(f"its data were lost ({error})") from None
        raise AssertionError

    def result(self, future: Any, homes: frozenset[str] = frozenset()) -> Any:
        """Wait for a result, as long as there are workers, and of those in `homes` if given."""
        alone_since: float | None = None
        try:
            while not _arrived(future):
                if self.client.status != "running":
                    future.result(timeout=1)
                workers = self.workers()
                if workers:
                    alone_since = None
                    _refuse_strangers(homes, workers)
                elif alone_since is None:
                    alone_since = time.monotonic()
                else:
                    self._despair(alone_since)
            return future.result()
        except BaseException:
            with suppress(Exception):
                future.cancel()
            raise

    def _despair(self, since: float) -> None:
        if time.monotonic() - since > self.patience:
            raise ResourceError.no_worker(self.patience)

    def workers(self) -> dict[str, int]:
        """Addresses of the workers, and their threads."""
        return dict(sorted(self.client.nthreads().items()))

    def seats(self) -> list[str]:
        """A worker for each share of a pass; waits until there is one.

        Raises
        ------
        ResourceError
            None comes.
        """
        began = time.monotonic()
        while not (workers := self.workers()):
            self._despair(began)
            time.sleep(0.1)
        per_thread = SHARES_PER_THREAD if sum(workers.values()) <= MANY_THREADS else 1
        return [w for w, n in workers.items() for _ in range(n * per_thread)]


class _MovedError(Exception):
    """All workers were replaced: the scheduler does not give them what was meant for others."""


def _refuse_strangers(homes: frozenset[str], workers: Iterable[str]) -> None:
    if homes and homes.isdisjoint(workers):
        raise _MovedError("all workers were replaced")


def _arrived(future: Any, seconds: float = 1.0) -> bool:
    """Wait a while for a future to be done, well or not."""
    from distributed import wait

    try:
        wait([future], timeout=seconds)
    except TimeoutError:
        return False
    return True


def connected(address: str) -> Any:
    """Client of a cluster at an address, or of a new one in this machine (``"local:4"``).

    Raises
    ------
    UsageError
        dask is not installed, or the number of workers is none.
    ResourceError
        Nobody answers at the address.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise UsageError.needs_package("a cluster", "distributed", "dask") from None
    kind, _, number = address.partition(":")
    if kind == "local":
        if not number.isdigit() or int(number) < 1:
            raise UsageError.argument("dask", address, "local:N, with N workers, or an address")
        cluster = LocalCluster(
            n_workers=int(number),
            threads_per_worker=1,
            dashboard_address=None,
            memory_limit=0,
            silence_logs=logging.ERROR,
        )
        return Client(cluster)
    try:
        return Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise ResourceError.cluster(f"nobody answers at {address} ({error})") from None


@dataclass(frozen=True, eq=False)
class _Bundle:
    """Consecutive parts on one worker.

    Attributes
    ----------
    parts : sequence of Part, or a future of such
        What the worker reads.
    partitions : list of futures, or None
        Contents of the parts, where they are partitions of a Dask collection.
    """

    parts: Any
    partitions: list[Any] | None
    worker: str
    first: int
    light: bool


@dataclass(frozen=True, eq=False)
class _Placed:
    """A source on a cluster."""

    executor: Dask
    name: str
    bundles: Sequence[_Bundle]
    seats: frozenset[str]  # all workers at that time
    n_blocks: int
    n_rows: int
    light: bool  # nothing but descriptions of parts is on the workers
    passes: Iterator[int] = field(default_factory=itertools.count)

    @property
    def workers(self) -> frozenset[str]:
        """Workers that have parts."""
        return frozenset(bundle.worker for bundle in self.bundles)

    def is_out_of_date(self) -> bool:
        """Whether workers came or went, and moving is cheap, or nobody is left."""
        workers = frozenset(self.executor.workers())
        changed = self.seats != workers
        return bool(workers) and changed and (self.light or workers.isdisjoint(self.workers))

    def submit(self, task: Task[Any]) -> Any:
        """Send a task to all parts; the future of the sum."""
        client = self.executor.client
        key = f"mixtura-{self.name}-{next(self.passes)}"
        # a task of its own, which can be made again: workers hand it on among themselves
        sent = client.submit(pickle.loads, _pickled(task), key=f"{key}-task")
        shares = [
            client.submit(
                _work, bundle.parts, bundle.partitions, sent, bundle.first,
                key=f"{key}-share-{i}", workers=[bundle.worker], allow_other_workers=True,
            )
            for i, bundle in enumerate(self.bundles)
        ]  # fmt: skip
        for level in itertools.count():
            if len(shares) == 1:
                break
            shares = [
                client.submit(join_all, shares[i : i + FAN_IN], key=f"{key}-join-{level}-{i}")
                for i in range(0, len(shares), FAN_IN)
            ]
        return shares[0]


def _place(source: DataSource, executor: Dask) -> _Placed:
    """Share the parts of a source out to the workers, in order; count rows if nobody knows."""
    client, name = executor.client, secrets.token_hex(6)
    seats = executor.seats()
    parts = _parts(source)
    counts = [part.n_blocks for part in parts]
    groups = _split(range(len(parts)), [n or 1 for n in counts], len(seats))
    workers = [seats[i * len(seats) // len(groups)] for i in range(len(groups))]
    partitions = [
        _partitions([parts[i] for i in group], client, worker)
        for group, worker in zip(groups, workers, strict=True)
    ]
    if source.n_rows is None or None in counts:
        futures = [
            client.submit(_count, [_bare(parts[i]) for i in group], held, **_on(worker))
            for group, held, worker in zip(groups, partitions, workers, strict=True)
        ]
        found = [count for future in futures for count in executor.result(future)]
        _teach(source, found)
        counts = [count.n_blocks for count in found]
        parts = source.parts()
    bundles, first = [], 0
    for group, held, worker in zip(groups, partitions, workers, strict=True):
        content, light = _sent([_bare(parts[i]) for i in group], client, worker)
        bundles.append(_Bundle(content, held, worker, first, light and held is None))
        first += sum(counts[i] or 0 for i in group)
    assert source.n_rows is not None
    light = all(bundle.light for bundle in bundles)
    return _Placed(executor, name, bundles, frozenset(seats), first, source.n_rows, light)


def _parts(source: DataSource) -> Sequence[Part]:
    """All parts; their first rows are wrong where row counts are not known yet."""
    if source.n_rows is not None:
        return source.parts()
    return [part for s in range(source.n_streams) for part in source.stream_parts(s, 0)]


def _split(items: Sequence[int], sizes: Sequence[int], n: int) -> list[Sequence[int]]:
    """Cut a sequence into at most `n` runs of about equal size."""
    ends = list(itertools.accumulate(sizes))
    n = max(1, min(n, len(items)))
    cuts = {bisect_left(ends, ends[-1] * i / n) + 1 for i in range(1, n)} if items else set()
    edges = sorted({0, *cuts, len(items)} - {len(items) + 1})
    return [items[a:b] for a, b in itertools.pairwise(edges)]


def _on(worker: str) -> dict[str, Any]:
    """Place of a task: a worker, or any other if that is gone."""
    return {"workers": [worker], "allow_other_workers": True, "pure": False}


def _partitions(parts: Sequence[Part], client: Any, worker: str) -> list[Any] | None:
    """Futures of the contents of parts that are partitions of a Dask collection."""
    promises = [part.promise for part in parts if part.promise is not None]
    if not promises:
        return None
    return list(client.compute(promises, workers=[worker], allow_other_workers=True))


def _bare(part: Part) -> Part:
    """A part without what travels by itself."""
    return part if part.promise is None else part.holding(None)


def _sent(parts: list[Part], client: Any, worker: str) -> tuple[Any, bool]:
    """Parts on a worker, and whether they are small: then the scheduler can send them again."""
    content = _pickled(parts)
    if len(content) <= SMALL_BYTES:
        return client.submit(pickle.loads, content, **_on(worker)), True
    del content
    (future,) = client.scatter([parts], workers=[worker], hash=False)
    return future, False


def _pickled(value: Any) -> bytes:
    return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


def _teach(source: DataSource, counts: Sequence[Count]) -> None:
    """Tell a source what the workers have counted."""
    at = 0
    for stream in range(source.n_streams):
        n_parts = len(source.stream_parts(stream, 0))
        own = counts[at : at + n_parts]
        source.learn(stream, sum(c.n_rows for c in own), sum(c.n_read for c in own))
        at += n_parts


def _here(parts: Sequence[Part], partitions: Sequence[Any] | None) -> Sequence[Part]:
    """Parts with their contents, on a worker."""
    if partitions is None:
        return parts
    return [part.holding(own) for part, own in zip(parts, partitions, strict=True)]


def _count(parts: Sequence[Part], partitions: Sequence[Any] | None) -> list[Count]:
    """Count blocks and rows of parts, on a worker."""
    return [part.count() for part in _here(parts, partitions)]


def _work(
    parts: Sequence[Part], partitions: Sequence[Any] | None, task: Task[T], first: int
) -> Share[T]:
    """Do a task on all blocks of some parts, on a worker, and read ahead meanwhile."""
    blocks = itertools.chain.from_iterable(part.blocks() for part in _here(parts, partitions))
    return Crew([Stretch(blocks, None)], task, 1, 1, first).total()
