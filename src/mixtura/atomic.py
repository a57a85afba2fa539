"""Files that appear only when they are complete."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mixtura.errors import ResourceError, UsageError


@contextmanager
def replacing(path: str | Path, *, force: bool = False) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its place only when it is complete.

    The bytes go to a temporary file of the same folder, which is forced to the
    disk and then renamed. If anything fails the temporary file is removed, and
    what was at `path` before is untouched. A symbolic link is replaced, not followed.

    Parameters
    ----------
    path : str or Path
        The file.
    force : bool, default=False
        Replace a file that exists.

    Yields
    ------
    binary file

    Raises
    ------
    UsageError
        The file exists, or its folder does not.
    ResourceError
        The disk is full, or the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/a.txt") as file:
    ...         _ = file.write(b"all of it")
    ...     Path(folder, "a.txt").read_bytes()
    b'all of it'
    """
    path = Path(path)
    check_target(path, force=force)
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _move(temporary, path, force=force)
    except OSError as error:
        # A broken pipe is not about this file.
        if isinstance(error, BrokenPipeError):
            raise
        raise ResourceError.saving(path, error.strerror or str(error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def check_target(path: str | Path, *, force: bool = False) -> None:
    """Refuse a place where `replacing` could not write; for use before a long computation.

    Raises
    ------
    UsageError
        The file exists and `force` is not given, it is a folder, or its folder
        does not exist.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError.argument("output", str(path), "a file, not a folder")
    if not path.parent.is_dir():
        raise UsageError.no_folder(path)
    if not force and (path.exists() or path.is_symlink()):
        raise UsageError.file_exists(path)


def _move(temporary: Path, path: Path, *, force: bool) -> None:
    """Rename on the disk; without `force` never over a file that came up meanwhile."""
    if force:
        temporary.replace(path)
    else:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            raise UsageError.file_exists(path) from None
        except OSError as error:  # a file system without hard links
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                raise
            check_target(path)
            temporary.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the rename durable, where folders can be opened (not on Windows)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
