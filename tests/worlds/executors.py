"""Executors of an application beside the servers of a test: one process for each member."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType

from alliance.cli.demo.cluster import free_addresses
from alliance.config.file import FILE
from tests.worlds.processes import Cluster, ServerProcess


def give_addresses(cluster: Cluster, application: str) -> None:
    """Writes free addresses for an application's executors into every alliance.toml; before anything runs."""
    addresses = free_addresses(len(cluster.config.members))
    members = tuple(
        replace(member, applications=(*member.applications, (application, address)))
        for member, address in zip(cluster.config.members, addresses, strict=True)
    )
    cluster.config = replace(cluster.config, members=members)
    for path in cluster.folder.rglob(FILE):
        path.write_text(cluster.config.to_toml(), "utf-8")


class Executors:
    """Those of one application, by member. Leaving the ``with`` block ends all of them."""

    def __init__(self, cluster: Cluster, module: str) -> None:
        self._cluster = cluster
        self._module = module
        self.running: dict[str, ServerProcess] = {}

    def __enter__(self) -> Executors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for executor in self.running.values():
            executor.close()
        self.running.clear()

    def start(self, *names: str) -> None:
        """Starts them and waits until they listen."""
        for name in names:
            self.running[name] = ServerProcess(self._cluster.member(name), module=self._module)
        for name in names:
            self.running[name].await_ready()

    def kill(self, name: str) -> None:
        self.running.pop(name).kill()

    def stop(self, name: str) -> None:
        executor = self.running.pop(name)
        code = executor.stop()
        assert code == 0, f"{name} ended with {code}:\n{executor.stderr()}"
