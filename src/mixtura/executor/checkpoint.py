"""Nothing is lost: the result of every pass is kept in a file, and passes are not made twice."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mixtura
from mixtura import _kernel
from mixtura.codec import decode, encode, fingerprint, question
from mixtura.errors import CheckpointError, DataError, MixturaWarning
from mixtura.executor.base import Executor, T, Task, session
from mixtura.executor.journal import Journal
from mixtura.source import DataSource


@dataclass(frozen=True)
class Checkpointed:
    """Run passes by another executor, and keep the result of each in a file.

    A fit is a function of the sums of its passes. When it is started again with the same
    settings and data, the passes that are in the file are not made again: their sums are
    taken from it, and the fit goes on with the same bits as one that was never
    interrupted, whatever it was doing: starts, acceleration, choice of a model. The file
    is valid at any moment: after a kill or a power failure it holds all passes but the one
    that was under way. It holds sums and names of files, no rows, except those that
    summaries and starts look at, and the class of each row that is classified; reading it
    never runs code.

    Parameters
    ----------
    executor : Executor
        Who makes the passes.
    path : str or Path
        The file. It is made by the first fit, and continued by the same fit.
    force : bool, default=False
        Start anew if the file exists.
    note : mapping, optional
        Kept in the header of a new file, such as the words of a command line.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from mixtura import Checkpointed, GaussianMixture, Local
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     safe = Checkpointed(Local(), f"{folder}/fit.checkpoint")
    ...     one = GaussianMixture(executor=safe, random_state=0).fit(X)
    ...     two = GaussianMixture(executor=safe, random_state=0).fit(X)
    >>> bool((one.means_ == two.means_).all())  # the second one made no pass
    True
    """

    executor: Executor
    path: str | Path
    force: bool = False
    note: Mapping[str, Any] = field(default_factory=dict)

    def threads(self) -> int:
        """Threads that work between two passes may use."""
        return self.executor.threads()

    def reduce(self, task: Task[T], source: DataSource) -> T:
        """Make a pass that belongs to no fit, such as scoring; it is not kept."""
        return self.executor.reduce(task, source)

    @contextmanager
    def session(
        self, source: DataSource, settings: Mapping[str, Any] | None = None
    ) -> Iterator[Executor]:
        """Open the file for one job.

        Parameters
        ----------
        source : DataSource
            Passes over it, and over rows that are picked of it in every pass, are kept; those
            over other sources, such as a sample of its rows, are made again when needed.
        settings : mapping, optional
            What tells the job from others: any values.

        Yields
        ------
        Executor
            For this job.

        Raises
        ------
        CheckpointError
            The file belongs to another job, or is none of ours.
        DataError
            The data changed since the file was made.
        ResourceError
            The file cannot be made.
        """
        own = {"settings": plain(settings or {}), "data": source.identity()}
        if self.force or not Path(self.path).exists():
            header = {"versions": versions(), "note": dict(self.note), **own}
            Journal.create(self.path, header, force=self.force)
        with Journal(self.path) as journal, session(self.executor, source, own) as inner:
            _compare(journal, own)
            yield Recorder(inner, journal, source)


class Recorder:
    """The executor of one job: passes are taken from its journal, or made and added to it."""

    def __init__(self, executor: Executor, journal: Journal, source: DataSource) -> None:
        self._executor, self._journal, self._source = executor, journal, source
        self.n_passes = 0
        self.n_replayed = 0

    def threads(self) -> int:
        """Threads that work between two passes may use."""
        return self._executor.threads()

    def reduce(self, task: Task[T], source: DataSource) -> T:
        """Sum a task over all blocks of the source or of rows picked of it, or recall the sum."""
        if source.origin is not self._source.origin:
            return self._executor.reduce(task, source)
        record = {"task": question(task), "of": fingerprint(task)}
        if source is not self._source:
            record["rows"] = source.picked
        value = self._recalled(record, source)
        if value is None:
            # as it comes back from the file, also when it is new: a resumed run has the same bits
            value = decode(encode(self._executor.reduce(task, source)))
            self._journal.append({**record, "value": value, "counted": source.counted()})
        self.n_passes += 1
        return value  # type: ignore[no-any-return]

    def _recalled(self, record: dict[str, str], source: DataSource) -> Any:
        """The value of the next record, if it answers this question."""
        if self.n_passes >= len(self._journal):
            return None
        found = self._journal[self.n_passes]
        if any(found.get(name) != record.get(name) for name in ("task", "of", "rows")):
            path, before = self._journal.path, self._journal.header["versions"]
            warnings.warn(
                MixturaWarning.other_path(path, self.n_passes, before, versions()), stacklevel=4
            )
            self._journal.cut(self.n_passes)
            return None
        source.recall(found["counted"])
        self.n_replayed += 1
        return found["value"]


def versions() -> dict[str, str]:
    """What the bits of a run depend on besides its settings."""
    import numpy
    import scipy

    return {
        "mixtura": mixtura.__version__,
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "kernel": _kernel.variant(),
    }


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as text and numbers; values of other kinds by their digest."""
    return {
        name: value if isinstance(value, str | int | float | None) else fingerprint(value)[:16]
        for name, value in settings.items()
    }


def _compare(journal: Journal, own: dict[str, Any]) -> None:
    """Refuse a journal of other settings or of data that have changed since."""
    settings, before = own["settings"], journal.header["settings"]
    for name in (*settings, *before):
        here, there = settings.get(name), before.get(name)
        if here != there:
            raise CheckpointError.other_job(journal.path, name, there, here)
    data, known = own["data"], journal.header["data"]
    if data == known:
        return
    parts, known_parts = data.pop("parts", []), known.pop("parts", [])
    for name in sorted({*data, *known}):
        if data.get(name) != known.get(name):
            raise CheckpointError.other_job(journal.path, name, known.get(name), data.get(name))
    now = {one["name"]: one for one in parts}
    then = {one["name"]: one for one in known_parts}
    changes = [f"{name} is gone" for name in then if name not in now]
    changes += [f"{name} is new" for name in now if name not in then]
    changes += [f"{name} changed" for name in then if name in now and now[name] != then[name]]
    raise DataError.changed_since(journal.path, changes or ["the order of the files"])
