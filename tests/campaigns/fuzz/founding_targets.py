"""What parties and dealers send each other before there is an alliance: request files and dealing files."""

from __future__ import annotations

from contextlib import suppress

from alliance.config.founding import AGREEMENT
from alliance.errors import ConfigError
from alliance.founding.dealing import Dealing, seal_shares
from alliance.founding.request import Request
from tests.alliance.farm import Farm
from tests.alliance.founding.applicants import applicants, client
from tests.worlds.require import require

FILE = "a file"


def requests() -> list[bytes]:
    """Of members, two of them of one organisation, and of a client."""
    made = [applicant.request for applicant in applicants()]
    return [request.to_toml().encode() for request in (made[0], made[5], client("carola"))]


class RequestTarget:
    """What is let through is what somebody has signed, to the byte."""

    def __init__(self, corpus: list[bytes]) -> None:
        self._made = set(corpus)

    def __call__(self, data: bytes) -> bool:
        try:
            request = Request.from_toml(data.decode("utf-8"), FILE)
        except (ConfigError, UnicodeDecodeError):
            return False
        require(data in self._made, f"a request of '{request.name}' that nobody has made")
        return True


class DealingTarget:
    """A member that opens its part has its share of the key, or an error, whatever was done to the file."""

    def __init__(self, farm: Farm) -> None:
        self._members = applicants()[:2]
        self._farm = farm
        asked = [member.request for member in self._members]
        dealing = seal_shares(bytes(32), asked, [(AGREEMENT, farm.config.key, farm.endorsers)])
        self._made = [one.to_json() for one in (dealing, dealing.signed(self._members[0].operator))]

    def corpus(self) -> list[bytes]:
        return [text.encode() for text in self._made]

    def __call__(self, data: bytes) -> bool:
        try:
            text = data.decode("utf-8")
            dealing = Dealing.from_json(text, FILE)
            require(dealing.to_json() == text, "a dealing has two spellings")
        except (ConfigError, UnicodeDecodeError):
            return False
        if text not in self._made:
            member = self._members[0]
            with suppress(ConfigError):
                shares = dealing.open(member.request, member.opening, FILE)
                mine, opened = self._farm.endorsers[0], shares[AGREEMENT]
                require(opened._share._secret == mine._share._secret, "a share that nobody has dealt")
        return True
