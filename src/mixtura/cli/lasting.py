"""Long fits on the command line: checkpoints, signals, clusters, and the plan printed first."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mixtura.cli.console import Console

if TYPE_CHECKING:
    from mixtura.executor import Executor
    from mixtura.source import DataSource

#: Words of a command line that name files.
_OUTPUTS = ("output", "labelled", "table", "report", "checkpoint")


@contextmanager
def executor_of(
    console: Console, command: str, data: Sequence[str], given: dict[str, Any]
) -> Iterator[Executor]:
    """Make the executor that the options ask for; an interruption is answered in its terms.

    Parameters
    ----------
    console : Console
        For words.
    command : str
        Name of the command, for ``mixtura resume``.
    data : sequence of str
        The data as given.
    given : dict
        Options: ``threads``, ``dask``, ``checkpoint``, ``force``.
    """
    from mixtura.executor import Checkpointed

    with ending_cleanly(), workers(console, given) as executor:
        path = given.get("checkpoint")
        if path is None:
            yield executor
            return
        anew = given["force"] and not given.get("resumed")
        if Path(path).exists() and not anew:
            console.say(f"resuming {path}: {passes_in(path)} passes are kept")
        note = {"command": command, "data": absolute(data), "given": portable(given)}
        try:
            yield Checkpointed(executor, path, force=anew, note=note)
        except KeyboardInterrupt:
            console.farewell = (
                f"stopped after pass {passes_in(path)}; the checkpoint {path} is complete. "
                f"Resume: mixtura resume {path}"
            )
            raise


@contextmanager
def workers(console: Console, given: dict[str, Any]) -> Iterator[Executor]:
    """Threads of this process, or a cluster, which is left or ended afterwards."""
    from mixtura.executor import Dask, Local, connected

    address = given.get("dask")
    if address is None:
        yield Local(given["threads"])
        return
    client = connected(address)
    with client.cluster if address.startswith("local:") else nullcontext(), client:
        executor = Dask(client, n_threads=given["threads"])
        n_workers = len(set(executor.seats()))
        console.say(f"cluster  {n_workers} workers, {sum(executor.workers().values())} threads")
        yield executor


def within_memory(make: Callable[..., DataSource], given: dict[str, Any]) -> DataSource:
    """Make a source whose blocks are small enough for the memory that was given, if any."""
    from mixtura.source import block_rows_within

    source, memory = make(), given.get("memory")
    if memory is None or not source.pass_bytes():
        return source
    block_rows = block_rows_within(memory, source, _readers(given))
    return source if block_rows >= source.block_rows else make(block_rows=block_rows)


def say_plan(console: Console, source: DataSource, given: dict[str, Any]) -> None:
    """Say what a pass over files will cost, where it is much or was asked; stop if only asked."""
    from mixtura.fitting import HELD_BYTES
    from mixtura.source import plan_of

    only = given.get("plan")
    asked = only or any(given.get(name) for name in ("memory", "checkpoint", "dask"))
    if not only and not (source.pass_bytes() > HELD_BYTES or (asked and source.pass_bytes())):
        return
    plan = plan_of(source, _readers(given))
    if not (only and console.as_json):
        console.say(f"plan     {plan}")
    if only:
        if console.as_json:
            console.document({"schema": "mixtura.plan/1", **asdict(plan)})
        raise click.exceptions.Exit(0)


def _readers(given: dict[str, Any]) -> int:
    """Threads that work on blocks in one process: a task of a cluster has one."""
    from mixtura.executor import thread_count

    return 1 if given.get("dask") is not None else thread_count(given["threads"])


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Treat the request to terminate as Ctrl-C: the block is finished, files are closed.

    Neither is lost where Python can raise nothing, as at the end of a generator: it comes again.
    """
    lost = [signal.SIGINT]

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        lost[0] = signal.SIGTERM
        raise KeyboardInterrupt

    def again() -> None:
        time.sleep(0.01)
        if hasattr(signal, "pthread_kill"):  # ends what the main thread waits for, too
            signal.pthread_kill(threading.main_thread().ident or 0, lost[0])
        else:
            _thread.interrupt_main(lost[0])

    def hear(ignored: sys.UnraisableHookArgs) -> None:
        if ignored.exc_type is KeyboardInterrupt:
            _thread.start_new_thread(again, ())
        else:
            hook(ignored)

    before, hook = None, sys.unraisablehook
    with suppress(ValueError):  # not in the main thread, where nobody sends signals
        before = signal.signal(signal.SIGTERM, stop)
    sys.unraisablehook = hear
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def passes_in(path: str) -> int:
    """Complete passes in a checkpoint; 0 where there is none yet."""
    from mixtura.executor import Journal

    if not Path(path).exists():
        return 0
    with Journal(path) as journal:
        return len(journal)


def portable(given: dict[str, Any]) -> dict[str, Any]:
    """Options that mean the same from any folder."""
    own = {name: value for name, value in given.items() if name != "resumed"}
    for name in _OUTPUTS:
        if own.get(name) not in (None, "-"):
            own[name] = str(Path(own[name]).absolute())
    return own


def absolute(data: Sequence[str]) -> list[str]:
    """Paths and patterns that mean the same from any folder."""
    return [one if one == "-" else str(Path(one).expanduser().absolute()) for one in data]
