"""Founding by request files: a dealer makes the shared keys, and every party has made its own keys at home.

The dealer sees the shared keys while this runs, as every dealer does. It never holds an identity, a channel,
an operator or a receiver key, and what it leaves is public: the alliance's file and keys, and one dealing
file, in which each member's shares are sealed to that member.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from alliance.config.fields import suggest
from alliance.config.file import AllianceConfig
from alliance.config.parties import Client, Member
from alliance.errors import ConfigError
from alliance.founding import dealer
from alliance.founding.dealer import Progress
from alliance.founding.dealing import Dealing, seal_shares
from alliance.founding.folders import new_folder
from alliance.founding.outcome import assemble, write_public
from alliance.founding.plan import Founding, check, require_key_size
from alliance.founding.public_text import read_text
from alliance.founding.request import FILE_BYTES_MAX, Request
from quorum.receivers import read_receiver, receiver_bits

DEALING_FILE = "alliance.dealing"


def read_request(path: Path) -> Request:
    """Raises ConfigError with the file's name."""
    return Request.from_toml(read_text(path, FILE_BYTES_MAX, "a request"), str(path))


def read_requests(paths: Iterable[Path]) -> dict[str, Request]:
    """By file. Raises ConfigError, also for a file that is named twice."""
    requests: dict[str, Request] = {}
    for path in paths:
        if str(path) in requests:
            raise ConfigError(f"{path} is named twice: name each request once")
        requests[str(path)] = read_request(path)
    return requests


def check_together(requests: Mapping[str, Request], key_size: int) -> None:
    """Whether these requests, by file, can be of one alliance with shared keys of ``key_size`` bits.

    Raises ConfigError with the names of the files that cannot be.
    """
    require_key_size(key_size)
    taken: dict[tuple[str, object], str] = {}

    def claim(what: str, value: object, file: str) -> None:
        other = taken.setdefault((what, value), file)
        if other != file:
            raise ConfigError(f"{other} and {file} have the same {what}: each party makes its own request")

    operators: dict[str, tuple[bytes, str]] = {}
    for file, request in requests.items():
        claim("name", request.name, file)
        claim("key", request.identity, file)
        if request.admission is not None:
            raise ConfigError(
                f"{file}: '{request.name}' asks to be in an alliance that exists already: 'alliance"
                f" {request.kind} add' brings it in; here, it makes a request without --alliance"
            )
        if (seat := request.seat) is None:
            continue
        claim("address", seat.address, file)
        claim("one-time key", seat.opening_key, file)
        receiver = read_receiver(seat.receiver.key)
        claim("receiver key", receiver.modulus, file)
        if receiver.bits < (needed := receiver_bits(key_size)):
            raise ConfigError(
                f"{file}: the receiver key of '{request.name}' has {receiver.bits} bits, and shared keys of"
                f" {key_size} bits need {needed}: it makes another request with --key-bits {key_size}"
            )
        operator, first = operators.setdefault(seat.organisation, (seat.operator, file))
        if operator != seat.operator:
            raise ConfigError(
                f"{file}: '{seat.organisation}' has another operator key than in {first}: its further members"
                " make their requests with --operator, for its one key"
            )
        claim("key", seat.operator, first)
    for file, request in requests.items():
        if request.client_of and request.client_of not in operators:
            raise ConfigError(
                f"{file}: '{request.client_of}' is to answer for '{request.name}', and runs no member here"
                f"{suggest(request.client_of, operators)}"
            )


def plan(
    requests: Mapping[str, Request],
    *,
    name: str,
    faults: int,
    key_size: int,
    purposes: Sequence[tuple[str, int]] = (),
    attest: int | None = None,
    profile: str | None = None,
) -> Founding:
    """What is to be founded for these requests, in their order. Raises ConfigError."""
    check_together(requests, key_size)
    parties = [request.party for request in requests.values()]
    members = [party for party in parties if isinstance(party, Member)]
    founding = Founding(
        name=name,
        member_names=[member.name for member in members],
        addresses=[member.address for member in members],
        client_names=[party.name for party in parties if not isinstance(party, Member)],
        faulty_max=faults,
        key_size=key_size,
        purposes=purposes,
        organisations=[member.organisation for member in members],
        attest=attest,
        profile=profile,
    )
    check(founding)
    return founding


def deal_to(
    founding: Founding, requests: Sequence[Request], progress: Progress | None = None
) -> tuple[AllianceConfig, Dealing]:
    """Deals the keys of ``founding``, which is the ``plan`` of these requests. Nothing secret is returned."""
    dealt = dealer.deal(founding, check(founding), progress)
    members = [request for request in requests if request.seat is not None]
    parties = [request.party for request in requests]
    config = assemble(
        founding.name,
        check(founding),
        [party for party in parties if isinstance(party, Member)],
        [party for party in parties if isinstance(party, Client)],
        {one.seat.organisation: one.seat.operator for one in members if one.seat is not None},
        [(purpose, key) for purpose, key, _ in dealt],
    )
    return config, seal_shares(config.alliance_id, members, dealt)


def found_for(
    founding: Founding, requests: Sequence[Request], folder: Path, progress: Progress | None = None
) -> AllianceConfig:
    """Writes ``folder``, which must not exist or be empty: all public. Nothing of it stays if this fails.

    Raises ConfigError.
    """
    with new_folder(folder):
        config, dealing = deal_to(founding, requests, progress)
        write_public(folder, config)
        (folder / DEALING_FILE).write_text(dealing.to_json(), "utf-8")
    return config
