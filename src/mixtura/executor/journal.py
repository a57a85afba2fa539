r"""The file of a checkpoint: a header, then one record after each pass. Records only ever follow.

::

    b"mixtura checkpoint 1\n"
    record: 8 bytes length (little-endian), 32 bytes SHA-256 of what came before and of the
            payload, payload
    ...

Payloads are written by `mixtura.codec`; the first is the header. Each digest covers the
one before, so a record stands for all that precede it. What a killed process or a full
disk left of a record does not fit its digest and is written over.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from mixtura.atomic import replacing
from mixtura.codec import decode, encode
from mixtura.errors import CheckpointError, MixturaWarning

MAGIC = b"mixtura checkpoint 1\n"
_LENGTH = 8
_DIGEST = 32


class Journal:
    """Records of one run, in a file that is valid after every byte.

    Parameters
    ----------
    path : str or Path
        The file; it must exist, see `create`.

    Attributes
    ----------
    header : dict
        What the file was made for.

    Raises
    ------
    CheckpointError
        No such file, not a checkpoint, or in use by another process.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     header = {"settings": {"seed": 0}, "data": {}, "versions": {}, "note": {}}
    ...     Journal.create(f"{folder}/run", header)
    ...     with Journal(f"{folder}/run") as journal:
    ...         journal.append(1.5)
    ...     with Journal(f"{folder}/run") as journal:
    ...         journal.header["settings"], list(journal)
    ({'seed': 0}, [1.5])
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = _opened(self.path)
        try:
            payloads, ends, digests = _complete_records(self._file, self.path)
            self.header = _header(payloads, self.path)
        except BaseException:
            self._file.close()
            raise
        self._payloads, self._ends, self._digests = payloads[1:], ends, digests
        self._late: list[bytes] = []  # records that could not be written yet
        self._warned = False

    @classmethod
    def create(cls, path: str | Path, header: dict[str, Any], *, force: bool = False) -> None:
        """Write a file with a header and no record; it appears only when it is complete.

        Raises
        ------
        UsageError
            The file exists and `force` is False, or its folder does not exist.
        ResourceError
            It cannot be written.
        """
        payload = encode(header)
        with replacing(path, force=force) as file:
            file.write(MAGIC + _framed(payload, b""))

    def __len__(self) -> int:
        """Records that were complete when the file was opened."""
        return len(self._payloads)

    def __getitem__(self, i: int) -> Any:
        """Value of one of these records; its class must have been imported."""
        return decode(self._payloads[i])

    def append(self, value: Any) -> None:
        """Add a record, and force it to the disk.

        If the file cannot grow a warning says so, once; the record is kept in memory and
        tried again with the next one.
        """
        self._late.append(encode(value))
        try:
            while self._late:
                self._write(self._late[0])
                self._late.pop(0)
        except OSError as error:
            if not self._warned:
                problem = error.strerror or str(error)
                n_passes = len(self._ends) - 1
                warnings.warn(
                    MixturaWarning.checkpoint_behind(self.path, problem, n_passes), stacklevel=2
                )
            self._warned = True

    def cut(self, n_records: int) -> None:
        """Keep the first records only."""
        del self._payloads[n_records:]
        del self._ends[n_records + 1 :], self._digests[n_records + 1 :]
        self._file.truncate(self._ends[-1])

    def close(self) -> None:
        """Close the file; its records stay."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def _write(self, payload: bytes) -> None:
        """Write one record where the last complete one ends; nothing of it is left if it fails."""
        record = _framed(payload, self._digests[-1])
        end = self._ends[-1]
        try:
            self._file.seek(end)
            rest = memoryview(record)
            while len(rest):  # an unbuffered file may take a part
                rest = rest[self._file.write(rest) :]
            self._file.truncate()
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):
                self._file.truncate(end)
            raise
        self._ends.append(end + len(record))
        self._digests.append(record[_LENGTH : _LENGTH + _DIGEST])


def _framed(payload: bytes, before: bytes) -> bytes:
    digest = hashlib.sha256(before + payload).digest()
    return len(payload).to_bytes(_LENGTH, "little") + digest + payload


def _opened(path: Path) -> IO[bytes]:
    """Open a file for this process alone, where the system has locks."""
    try:
        file = path.open("r+b", buffering=0)
    except OSError as error:
        raise CheckpointError.unusable(path, error.strerror or str(error)) from None
    try:
        import fcntl
    except ImportError:  # Windows
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise CheckpointError.in_use(path) from None
    except OSError:  # a file system without locks
        pass
    return file


def _complete_records(file: IO[bytes], path: Path) -> tuple[list[bytes], list[int], list[bytes]]:
    """Payloads up to the first that is not whole, where they end, and their digests."""
    size = os.fstat(file.fileno()).st_size
    if file.read(len(MAGIC)) != MAGIC:
        raise CheckpointError.unusable(path, "it is not a mixtura checkpoint of this version")
    payloads: list[bytes] = []
    ends, digests, end, before = [], [], len(MAGIC), b""
    while True:
        frame = file.read(_LENGTH + _DIGEST)
        length = int.from_bytes(frame[:_LENGTH], "little")
        if len(frame) < _LENGTH + _DIGEST or length > size - end - len(frame):
            break
        payload = file.read(length)
        if hashlib.sha256(before + payload).digest() != frame[_LENGTH:]:
            break
        payloads.append(payload)
        before = frame[_LENGTH:]
        end += len(frame) + length
        ends.append(end)
        digests.append(before)
    return payloads, ends, digests


def _header(payloads: list[bytes], path: Path) -> dict[str, Any]:
    try:
        header = decode(payloads[0])
    except (IndexError, ValueError):
        header = None
    if not isinstance(header, dict) or not {"settings", "data", "versions", "note"} <= set(header):
        raise CheckpointError.unusable(path, "its header is damaged")
    return header
