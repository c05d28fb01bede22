"""The standard streams, as whoever started this process gave them: closed, full, or without a reader."""

from __future__ import annotations

import os
import sys


def open_closed_streams() -> None:
    """Streams that whoever started this has closed (``>&-``): the next file opened must not get their number.

    Nothing is read, what is told on standard error is told to nobody, and writing to standard output fails.
    """
    for name, mode, access in (
        ("stdin", "r", os.O_RDONLY),
        ("stdout", "w", os.O_RDONLY),
        ("stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            stream = os.fdopen(os.open(os.devnull, access), mode, encoding="utf-8")
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def hush(code: int = 0) -> int:
    """What standard output or error did not take must not raise again, at the latest while Python ends."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return code
