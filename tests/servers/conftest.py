"""One alliance for all tests of this package: each begins by starting whom the test before it has ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worlds.processes import Cluster


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.found(tmp_path_factory.mktemp("servers") / "farm") as cluster:
        yield cluster


@pytest.fixture
def running(cluster: Cluster) -> Iterator[Cluster]:
    """All six serve, whatever the test before did."""
    cluster.complete()
    try:
        yield cluster
    except BaseException:
        print(cluster.logs())  # noqa: T201
        raise
