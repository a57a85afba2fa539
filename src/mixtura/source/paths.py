"""Which files a path stands for, in which format, and their bytes."""

from __future__ import annotations

import glob
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mixtura.errors import DataError, UsageError

# pyarrow, its readers, types and record batches: their types are not known to the type checker.
ArrowObject = Any

STANDARD_INPUT = "<stdin>"


@dataclass(frozen=True)
class DataFile:
    """A file, or bytes that were read from standard input.

    Attributes
    ----------
    name : str
        As the caller wrote it, for messages.
    path : str
        Absolute path; empty for bytes.
    content : bytes or None
        Contents, if they are held in memory.
    size, modified : int
        Bytes, and time of the last change in ns: a change is noticed when the
        file is opened again.
    """

    name: str
    path: str = ""
    content: bytes | None = None
    size: int = 0
    modified: int = 0

    @classmethod
    def at(cls, path: str | Path) -> DataFile:
        """Describe a file that exists.

        Raises
        ------
        DataError
            There is no such file.
        """
        try:
            state = Path(path).stat()
        except OSError:
            raise DataError.not_found(path) from None
        return cls(str(path), str(Path(path).absolute()), None, state.st_size, state.st_mtime_ns)

    @property
    def compression(self) -> str | None:
        """Name of the compression of a text file, by its ending or its first bytes."""
        if self.content is not None:
            return "gzip" if self.content[:2] == b"\x1f\x8b" else None
        return _COMPRESSIONS.get(Path(self.path).suffix.lower())

    def open(self) -> ArrowObject:
        """Open the bytes as pyarrow's random-access file.

        Raises
        ------
        DataError
            The file cannot be opened, or changed since it was first seen.
        """
        pa = pyarrow()
        if self.content is not None:
            return pa.BufferReader(self.content)
        self.refuse_change()
        try:
            return pa.OSFile(self.path)
        except OSError as error:
            raise DataError.unreadable(self.name, str(error)) from error

    def refuse_change(self) -> None:
        """Raise if the file is not what it was when it was first seen.

        Raises
        ------
        DataError
            Its size or time is another, or it is gone.
        """
        if self.content is not None:
            return
        try:
            state = Path(self.path).stat()
        except OSError as error:
            raise DataError.unreadable(self.name, str(error)) from error
        if (state.st_size, state.st_mtime_ns) != (self.size, self.modified):
            raise DataError.changed(self.name, "its size or time is another")

    def open_text(self) -> ArrowObject:
        """Open the bytes of a text file, decompressed, as pyarrow's input stream."""
        return pyarrow().input_stream(self.open(), compression=self.compression)


def find_files(data: str | Path | Sequence[str | Path]) -> list[str]:
    """Paths of the data files that a path, folder, glob or list of these names.

    Files of a folder (and its subfolders) and of a glob are sorted by name; a
    list keeps its order. In folders, hidden files, names that begin with an
    underscore, and other kinds of files are passed over.

    Raises
    ------
    DataError
        Nothing is found, or a folder or glob mixes formats.
    """
    if not isinstance(data, str | Path):
        if not data:
            raise DataError.not_found(list(data))
        return [path for one in data for path in find_files(one)]
    path = Path(data).expanduser()
    if path.is_dir():
        found = [str(one) for one in path.rglob("*") if one.is_file() and _is_data(one, path)]
    elif path.exists():
        return [str(path)]
    else:
        # Path.glob takes no absolute patterns.
        matches = glob.iglob(str(path), recursive=True)  # noqa: PTH207
        found = [one for one in matches if Path(one).is_file()]
    if not found:
        raise DataError.not_found(data)
    endings = sorted({ending_of(one) or Path(one).suffix for one in found})
    if len({_FORMAT_OF_ENDING.get(ending, ending) for ending in endings}) > 1:
        raise DataError.mixed_formats(data, endings)
    return sorted(found)


def ending_of(path: str | Path) -> str | None:
    """Known ending of a file name, such as ``".csv.gz"``; None if it has none."""
    name = Path(path).name.lower()
    known = [ending for ending in _FORMAT_OF_ENDING if name.endswith(ending)]
    return max(known, key=len, default=None)


def known_endings() -> list[str]:
    """All endings of data files that can be read."""
    return list(_FORMAT_OF_ENDING)


def format_name(file: DataFile) -> str:
    """Name of the format of a file: by its ending, or by the first bytes of standard input.

    Raises
    ------
    DataError
        The ending is not known.
    """
    if file.content is not None:
        start = file.content[:6]
        if start[:4] == b"PAR1":
            return "parquet"
        return "arrow" if start == b"ARROW1" or start[:4] == b"\xff\xff\xff\xff" else "csv"
    ending = ending_of(file.name)
    if ending is None:
        raise DataError.unknown_format(file.name, known_endings())
    return _FORMAT_OF_ENDING[ending]


def read_standard_input(stream: IO[bytes] | None = None) -> DataFile:
    """Read standard input to its end and keep it, since EM reads the rows many times."""
    return DataFile(STANDARD_INPUT, content=(stream or sys.stdin.buffer).read())


def pyarrow() -> ArrowObject:
    """Import pyarrow, or say how to install it."""
    try:
        import pyarrow as pa
    except ImportError:
        raise UsageError.needs_package("reading files", "pyarrow", "cli") from None
    return pa


_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_TEXT = [text + packed for text in (".csv", ".tsv") for packed in ("", *_COMPRESSIONS)]
_FORMAT_OF_ENDING = {
    **dict.fromkeys(_TEXT, "csv"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".arrow", ".arrows", ".feather", ".ipc"), "arrow"),
}


def _is_data(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder).parts
    return ending_of(path) is not None and not any(name[0] in "._" for name in inside)
