"""Child processes of a benchmark: started with a pipe, awaited by a line, ended for certain."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

STOP_SECONDS = 10.0


class BenchmarkFailed(Exception):
    """Something that is measured did not start, or gave no answer; the text says what and what to look at."""


class Child:
    """A process whose standard output is read line by line."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._rest = b""
        with contextlib.ExitStack() as stack:
            errors: IO[bytes] | int = subprocess.DEVNULL
            if log is not None:
                errors = stack.enter_context(log.open("ab"))
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **(environment or {})},
                cwd=folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def write(self, line: str) -> None:
        if self.process.stdin is None:
            raise BenchmarkFailed(f"{self.name} has no standard input")
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise BenchmarkFailed(f"{self.name} has ended: {self.complaint()}") from None

    def line(self, timeout: float) -> str:
        """The next line. Raises BenchmarkFailed when none comes in time."""
        pipe = self.process.stdout
        if pipe is None:
            raise BenchmarkFailed(f"{self.name} has no standard output")
        deadline = time.monotonic() + timeout
        while b"\n" not in self._rest:
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise BenchmarkFailed(f"{self.name} said nothing for {timeout:g} s: {self.complaint()}")
            part = os.read(pipe.fileno(), 1 << 16)
            if not part:
                raise BenchmarkFailed(f"{self.name} has ended: {self.complaint()}")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "replace")

    def complaint(self) -> str:
        """The last line of what it said on standard error."""
        with contextlib.suppress(OSError):
            if self.log is not None:
                lines = self.log.read_text("utf-8", "replace").strip().splitlines()
                return lines[-1] if lines else "it said nothing"
        return "its standard error was not kept"

    def kill(self) -> None:
        """SIGKILL to it and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._close()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not end."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        self.kill()

    def _close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package or of the product."""
    return [sys.executable, "-m", module, *arguments]
