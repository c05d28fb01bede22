"""One alliance for all tests of the command line, founded once; and the command line, run in both ways."""

from __future__ import annotations

import functools
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main

from alliance import cli
from tests.alliance.conftest import cheap_scrypt, farm
from tests.worlds.executors import give_addresses
from tests.worlds.founding import found
from tests.worlds.processes import PASSPHRASE, Cluster, command, environment, founding

__all__ = ["cheap_scrypt", "farm"]
"""The alliance of other packages' tests, for what takes no process."""

RUN_SECONDS = 240.0
PURPOSES = (("tokens", 3), ("web", 3), ("logins", 2))


@dataclass(frozen=True)
class Result:
    """What a command did. ``error`` is its only line on standard error, where it has to be one."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def error(self) -> str:
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


Run = Callable[..., Result]


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """An alliance that nobody serves. Not to be changed: tests that do, work on a copy."""
    return Cluster.found(tmp_path_factory.mktemp("founded") / "farm")


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An alliance with all its six servers running, and keys for the purposes of docs/guides/signing.md."""
    folder = tmp_path_factory.mktemp("cluster") / "farm"
    with Cluster.found(folder, purposes=PURPOSES) as running:
        give_addresses(running, "sign")
        running.start()
        yield running


@pytest.fixture(scope="package")
def stranger(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Cluster:
    """Another alliance, whose file names the addresses of the running one."""
    folder = tmp_path_factory.mktemp("stranger") / "farm"
    addresses = [member.address for member in cluster.config.members]
    found(founding(addresses=addresses), folder, PASSPHRASE.encode(), stock=1)
    return Cluster(folder)


@pytest.fixture
def home(founded: Cluster, tmp_path: Path) -> Cluster:
    """A copy of the founded alliance, to be damaged."""
    return founded.copy(tmp_path / "farm")


@pytest.fixture
def alliance() -> Run:
    """Runs the command line as a process without a terminal."""

    def run(
        *arguments: str | Path, passphrase: str | None = PASSPHRASE, stdin: bytes = b"", **extra: str
    ) -> Result:
        done = subprocess.run(
            command(*arguments),
            input=stdin,
            capture_output=True,
            env={**environment(passphrase), **extra},
            timeout=RUN_SECONDS,
            start_new_session=True,
        )
        return _checked(Result(done.returncode, done.stdout, done.stderr.decode()))

    return run


_built = functools.cache(typer.main.get_command)
"""All commands take some 50 ms to be put together, as much as most of them take to run."""


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line within this process: quicker, and its world can be bent."""

    def run(*arguments: str | Path, passphrase: str | None = PASSPHRASE, stdin: bytes = b"") -> Result:
        streams: dict[str, Any] = {
            "stdin": io.TextIOWrapper(io.BytesIO(stdin)),
            "stdout": io.TextIOWrapper(io.BytesIO(), encoding="utf-8"),
            "stderr": io.TextIOWrapper(io.BytesIO(), encoding="utf-8"),
        }
        with monkeypatch.context() as bent:
            bent.setattr(typer.main, "get_command", _built)
            bent.delenv("ALLIANCE_PASSPHRASE", raising=False)
            bent.delenv("ALLIANCE_NEW_PASSPHRASE", raising=False)
            if passphrase is not None:
                bent.setenv("ALLIANCE_PASSPHRASE", passphrase)
            for name, stream in streams.items():
                bent.setattr(sys, name, stream)
            code = cli.run([str(argument) for argument in arguments])
        said = []
        for name in ("stdout", "stderr"):
            streams[name].flush()
            said.append(streams[name].buffer.getvalue())
        return _checked(Result(code, said[0], said[1].decode()))

    return run


def _checked(result: Result) -> Result:
    """Nothing that a test does to the command line may bring a traceback."""
    assert "Traceback" not in result.err, result.err
    return result
