"""Fixtures: one alliance, logs made by hand, servers of one process, as for the client; and real servers."""

from collections.abc import Iterator

import pytest

from tests.alliance.client.conftest import office
from tests.alliance.conftest import _runner, chain, cheap_scrypt, farm, run
from tests.worlds.executors import give_addresses
from tests.worlds.processes import Cluster

__all__ = ["_runner", "chain", "cheap_scrypt", "farm", "office", "run"]


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An alliance with all its six servers running, and places for the executors of the lock service."""
    with Cluster.found(tmp_path_factory.mktemp("cluster") / "farm") as running:
        give_addresses(running, "lock")
        running.start()
        yield running
