"""New folders, of which nothing stays unless all of it is there."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from alliance.errors import ConfigError


@contextlib.contextmanager
def new_folder(folder: Path, mode: int = 0o777) -> Iterator[None]:
    """Makes ``folder``, which must not exist or be empty, and takes it away again if what follows fails.

    What follows begins with a file that it creates itself: of two that found the folder empty at the same
    time, the second one fails with FileExistsError, and leaves to the first what is there.

    Raises ConfigError, also in place of an OSError of what follows.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder} exists and is not empty: name a new folder")
        fresh = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(mode, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error}") from None
    try:
        yield
    except FileExistsError:
        raise ConfigError(f"{folder} is written by another command, too: name a new folder") from None
    except BaseException as error:
        for child in folder.iterdir():
            shutil.rmtree(child, ignore_errors=True) if child.is_dir() else child.unlink()
        with contextlib.suppress(OSError):  # somebody else has put something there
            for path in fresh:
                path.rmdir()
        if isinstance(error, OSError):
            raise ConfigError(f"{folder} cannot be written: {error}") from None
        raise


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Public files, by name, of which none is there yet. Raises OSError."""
    for name, content in contents.items():
        with (folder / name).open("xb") as file:
            file.write(content)
