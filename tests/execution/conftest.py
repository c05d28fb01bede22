"""The alliance of the client's tests, and its runner of coroutines."""

from tests.alliance.client.conftest import office
from tests.alliance.conftest import _runner, chain, cheap_scrypt, farm, run

__all__ = ["_runner", "chain", "cheap_scrypt", "farm", "office", "run"]
