"""``alliance sign serve`` of a member that gives bad shares: a process for the tests."""

from __future__ import annotations

from alliance import cli
from alliance.signing import Desk, Order

_honest = Desk.share


def _bent(self: Desk, order: Order) -> bytes:
    share = _honest(self, order)
    return share[:-1] + bytes([share[-1] ^ 1])


if __name__ == "__main__":
    Desk.share = _bent  # type: ignore[method-assign]
    cli.main()
