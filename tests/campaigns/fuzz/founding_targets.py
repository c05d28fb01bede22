"""What parties and dealers send each other before there is an alliance: the files of every founding."""

from __future__ import annotations

from contextlib import suppress

from alliance.config.founding import AGREEMENT
from alliance.errors import ConfigError, InvalidCeremony
from alliance.founding import ceremony
from alliance.founding.commitment import Commitment
from alliance.founding.dealing import Dealing, seal_shares
from alliance.founding.opening import Opening
from alliance.founding.request import Request
from tests.alliance.farm import Farm
from tests.alliance.founding.applicants import applicants, client
from tests.alliance.founding.hall import Hall
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


class CeremonyTarget:
    """What is let through is what a dealer has signed, to the byte; nobody is convicted of anything else."""

    def __init__(self) -> None:
        members = applicants()
        asked = {member.name: member.request for member in members}
        self._hall = Hall.open(asked, {member.organisation: member.operator for member in members})
        self._commitments = {one.to_toml(): one for one in self._hall.commitments}
        self._openings = {one.to_json(): one for one in self._hall.openings()}

    def corpus(self) -> list[bytes]:
        return [text.encode() for text in (*self._commitments, *self._openings)]

    def __call__(self, data: bytes) -> bool:
        plan = self._hall.plan
        try:
            text = data.decode("utf-8")
            if text.startswith("{"):
                opening = Opening.from_json(text, FILE)
                others = (one for one in self._openings.values() if one.dealer != opening.dealer)
                ceremony.all_openings(plan, [opening, *others])
                require(text in self._openings, f"an opening that '{opening.dealer}' has not signed")
            else:
                commitment = Commitment.from_toml(text, FILE)
                ceremony.all_commitments(plan, [commitment, *self._hall.commitments])
                require(text in self._commitments, f"a commitment that '{commitment.dealer}' has not signed")
        except (ConfigError, UnicodeDecodeError):
            return False
        except InvalidCeremony as error:
            require(not error.proven, f"a dealer is convicted of what it has not signed: {error}")
            return False
        return True
