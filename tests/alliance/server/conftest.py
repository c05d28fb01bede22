"""The services of one member, as for the network."""

from tests.alliance.net.conftest import office

__all__ = ["office"]
