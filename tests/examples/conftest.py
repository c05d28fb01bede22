"""The fixtures of the client's tests: one alliance, logs made by hand, servers of one process."""

from tests.alliance.conftest import _runner, chain, cheap_scrypt, farm, run

__all__ = ["_runner", "chain", "cheap_scrypt", "farm", "run"]
