"""Private files, and several key files replaced as one: all or none, whatever fails or is killed half-way.

The new contents are written beside the old files as ``NAME.next``, then ``rekey.committed`` is created: from
that moment on, and not before, the new ones count (``current``). What remains is to move them over the old
ones. Whoever opens the folder next calls ``settle``, which ends that move, or deletes what was never
committed. What is committed is never undone, so that no reader finds old and new files mixed.

What is replaced or deleted is overwritten first, since deleted files can be brought back.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

COMMITTED = "rekey.committed"
_NEW = ".next"


def write_private(path: Path, data: bytes) -> None:
    """Creates a file that only its owner can read; refuses to overwrite one."""
    _write(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), data)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time replaces files of a folder, the others wait; ends what the last one left.

    Raises OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if is_committed(folder):
            _finish(folder)
        else:
            _undo(folder)
        yield
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes) -> None:
    """The private file is there whole or not at all, durably, also in place of another.

    The caller has the folder ``locked``. Raises OSError.
    """
    new = _beside(path)
    write_private(new, data)
    os.replace(new, path)
    sync(path.parent)


def erase(path: Path) -> None:
    """Overwrites a file, durably, and then deletes it; whether it is there or not. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.chmod(path, 0o600)  # its owner may have made it read-only
        _blank(path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def is_blank(data: bytes) -> bool:
    """Whether this is all that an erased file holds."""
    return not any(data)


def replace_together(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Replaces the files of these names, while the caller has the folder ``locked``.

    Raises OSError: no file is replaced then, unless ``is_committed`` says that all count as replaced.
    """
    try:
        for name, data in contents.items():
            write_private(_beside(folder / name), data)
        sync(folder)
        committed = os.open(folder / COMMITTED, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        with contextlib.suppress(OSError):  # what stays does no harm, and whoever opens the folder deletes it
            _undo(folder)
        raise
    os.close(committed)
    sync(folder)
    _finish(folder)


def settle(folder: Path) -> None:
    """Ends or undoes a replacement that was interrupted. Where it cannot, ``current`` holds nevertheless."""
    if is_committed(folder) or _left(folder):
        with contextlib.suppress(OSError), locked(folder):
            pass


def is_committed(folder: Path) -> bool:
    """Whether a replacement counts whose files are not all in their places yet."""
    return (folder / COMMITTED).exists()


def current(path: Path) -> Path:
    """The file whose content counts."""
    new = _beside(path)
    return new if is_committed(path.parent) and new.exists() else path


def _finish(folder: Path) -> None:
    for new in _left(folder):
        old = new.with_suffix("")
        with contextlib.suppress(OSError):  # as well as can be: it is of no use any more
            if _is_here_alone(old):
                _blank(old)
        try:
            os.replace(new, old)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            # A mount of its own, as containers have them for single files: nothing can be moved over it. If
            # this is interrupted, it is written again, since the new file is deleted last.
            _overwrite(old, new.read_bytes())
            os.unlink(new)
    sync(folder)
    os.unlink(folder / COMMITTED)
    with contextlib.suppress(OSError):  # without the new files it means nothing, should it come back
        sync(folder)


def _undo(folder: Path) -> None:
    for new in _left(folder):
        if _is_here_alone(new):
            erase(new)
        else:  # nothing that was written here
            os.unlink(new)


def _is_here_alone(path: Path) -> bool:
    """Whether it is a file, and not somebody else's as well by a link, which is not to be overwritten."""
    status = os.lstat(path)
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def _left(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_NEW}"))


def _beside(path: Path) -> Path:
    return path.with_name(path.name + _NEW)


def _blank(path: Path) -> None:
    """Zeros in the place of its content, which a truncated file would leave on the disk."""
    descriptor = os.open(path, os.O_WRONLY)
    _write(descriptor, bytes(os.fstat(descriptor).st_size))


def _overwrite(path: Path, data: bytes) -> None:
    _write(os.open(path, os.O_WRONLY | os.O_TRUNC), data)


def _write(descriptor: int, data: bytes) -> None:
    """All of it, durably; and closes the file."""
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, data: bytes) -> None:
    """The private file is there whole or not at all, durably, also in place of another. Raises OSError."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    write_private(part, data)
    part.replace(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Makes durable which files there are."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
