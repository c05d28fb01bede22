"""A party takes its alliance into the folder that its request was made with: all of it, or nothing.

What others made is checked against what this party asked for before anything is written. Then, each step
durable before the next one: the shares; the public keys; ``alliance.toml``, by which the folder is one of an
alliance; and last the one-time key is erased, without which the dealing file tells nobody anything. Wherever
this is killed, the same command goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alliance.config import file as config_file
from alliance.config.file import FILE, AllianceConfig
from alliance.config.founding import AGREEMENT
from alliance.config.parties import Party
from alliance.errors import ConfigError, KeyFileError
from alliance.founding import ceremony, ceremony_folder
from alliance.founding.by_request import DEALING_FILE, read_request
from alliance.founding.ceremony_plan import CeremonyPlan
from alliance.founding.dealing import FILE_BYTES_MAX, Dealing
from alliance.founding.opening import Opening
from alliance.founding.outcome import public_files
from alliance.founding.party import request_file
from alliance.founding.public_text import read_text
from alliance.founding.request import Request, Seat
from alliance.keys import files
from alliance.keys.folder import load_credentials, load_name
from alliance.keys.opening import OPENING, erase_opening_key, load_opening_key
from alliance.keys.revision import FOUNDED, load_founded
from alliance.keys.shares import Generation, add_shares, current, generations, load_endorser, switch_to

FIRST = Generation(0)


@dataclass(frozen=True, slots=True)
class Joined:
    """``anew`` is whether anything was left to do; ``plan`` that of a ceremony, None with one dealer."""

    config: AllianceConfig
    party: Party
    anew: bool
    plan: CeremonyPlan | None


def own_request(folder: Path) -> Request:
    """The request that a folder was made with. Raises ConfigError when it was made in another way."""
    name = load_name(folder, "member", "client")
    path = request_file(folder, name)
    if not path.exists():
        raise ConfigError(
            f"{folder} has no {path.name}: name a folder that 'alliance request' made. One that 'alliance"
            " init' made needs no joining"
        )
    request = read_request(path)
    if request.name != name:
        raise ConfigError(f"{path} is the request of '{request.name}': restore the folder from one backup")
    return request


def join(folder: Path, source: Path, passphrase: bytes) -> Joined:
    """``source`` is a folder with the dealer's alliance.toml and, for a member, its dealing file; or one that
    'alliance ceremony finish' has written, whose alliance.toml is computed anew from what the dealers signed.

    Raises ConfigError when these are not what this party asked for, or not consistent; InvalidCeremony;
    KeyFileError for the folder's own keys and a wrong passphrase.
    """
    request = own_request(folder)
    config = config_file.load(source)
    if request.admission is not None and request.admission.alliance_id != config.alliance_id:
        raise ConfigError(f"{source / FILE} is of another alliance than '{request.name}' has asked")
    beginning = _beginning(config, source)
    plan, openings = ceremony_folder.ceremony_of(source, config, request) or (None, ())
    comes_later = request.seat is not None and request.admission is not None
    party = request.party if comes_later else _own_row(config, request, source / FILE)
    load_credentials(folder, request.party, passphrase)
    joined = (folder / FILE).exists()
    if joined and config_file.load(folder).alliance_id != config.alliance_id:
        raise ConfigError(f"{folder} has joined another alliance: make another request for this one")
    try:
        if (seat := request.seat) is not None and not comes_later:
            joined &= _keep_shares(folder, config, request, seat, source, openings, passphrase)
        if not (folder / FILE).exists():
            for name, content in (beginning | public_files(config)).items():
                files.write_whole(folder / name, content)
        erase_opening_key(folder)
    except OSError as error:
        raise KeyFileError(
            f"{folder} cannot be written: {error.strerror}; check its owner and space, and join again"
        ) from None
    return Joined(config, party, not joined, plan)


def _beginning(config: AllianceConfig, source: Path) -> dict[str, bytes]:
    """How the alliance was founded, in its file, unless ``config`` is that. Raises ConfigError."""
    if config.membership == (0, 0):
        return {}
    return {FOUNDED: load_founded(source).to_toml().encode()}


def _own_row(config: AllianceConfig, request: Request, path: Path) -> Party:
    """The party that alliance.toml says this is. Raises ConfigError unless it is as the request asked."""
    asked, known = request.party, config.members if request.seat is not None else config.clients
    party = next((one for one in known if one.name == asked.name), None)
    if party is None:
        why = "it was founded without this request"
        if request.admission is not None:
            why = (
                f"ask the operator of '{request.client_of}' whether 'alliance client add' is done, and for"
                " the folder of the client that it was done with"
            )
        raise ConfigError(f"{path} has no {request.kind} '{asked.name}': {why}")
    fields = ["identity", "certificate", *(["organisation"] if request.client_of else [])]
    if request.seat is not None:
        fields += ["organisation", "address", "receiver"]
        operator = dict(config.founding.operators).get(request.seat.organisation)
        if operator != request.seat.operator:
            raise ConfigError(
                f"{path}: the operator key of '{request.seat.organisation}' is not as requested"
            )
    for field in fields:
        if getattr(party, field) != getattr(asked, field):
            raise ConfigError(f"{path}: the {field} of '{asked.name}' is not as requested: do not join")
    return party


def _keep_shares(
    folder: Path,
    config: AllianceConfig,
    request: Request,
    seat: Seat,
    source: Path,
    openings: Sequence[Opening],
    passphrase: bytes,
) -> bool:
    """Makes the shares durable; whether they were already, and the one-time key erased."""
    member = config.member_index(request.name)
    # Newer shares came after these, which are not to be opened once more: they were erased.
    there = FIRST in generations(folder) or current(folder) is not None
    opened = not (folder / OPENING).exists()
    if not there:
        opening_key = load_opening_key(folder, seat.opening_key, passphrase)
        if openings:
            shares = ceremony.shares_of(config, openings, request, opening_key)
        else:
            dealing = _read_dealing(source / DEALING_FILE, config)
            shares = dealing.open(request, opening_key, str(source / DEALING_FILE))
        add_shares(folder, FIRST, shares, passphrase)
    if current(folder) is None:
        switch_to(folder, FIRST)
    try:
        for purpose in (None, *(purpose for purpose, _ in config.purpose_keys)):
            load_endorser(folder, config, member, passphrase, purpose)
    except KeyFileError as error:
        if (folder / FILE).exists():
            raise
        raise ConfigError(
            f"{folder} began to join another alliance, or its shares are damaged ({error}): join that one, or"
            " make another request"
        ) from None
    return there and opened


def _read_dealing(path: Path, config: AllianceConfig) -> Dealing:
    """Raises ConfigError unless it is a dealing of this alliance's keys to its members."""
    hint = f"; get it from the dealer, with {FILE} in one folder"
    dealing = Dealing.from_json(read_text(path, FILE_BYTES_MAX, "a dealing file", hint), str(path))
    if dealing.context != config.alliance_id:
        raise ConfigError(f"{path} is of another alliance than {FILE} beside it: get both from the dealer")
    if dealing.keys != ((AGREEMENT, config.key), *config.purpose_keys):
        raise ConfigError(f"{path} deals other keys than those of {FILE} beside it: do not join")
    if [one.member for one in dealing.members] != [member.name for member in config.members]:
        raise ConfigError(f"{path} deals to other members than those of {FILE} beside it: do not join")
    return dealing
