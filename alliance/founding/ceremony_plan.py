"""The plan of a ceremony: what several dealers found together, in one public file that all of them compare.

It holds the requests of all parties, the sizes, and who deals: everything of the alliance but its keys.
Whoever has it and the dealers' openings computes the same alliance.toml. Its digest is SHA-256 of the file,
and goes into all that is signed later; a random number in it makes it unlike every other plan, so that what
was signed for one ceremony is worth nothing in the next.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from alliance.config.fields import hexed, only, suggest, tables, texts, value
from alliance.config.file import ATTESTATION
from alliance.config.founding import AGREEMENT, CREATED
from alliance.config.parties import Client, Member, Party, read_name
from alliance.errors import ConfigError
from alliance.founding import by_request
from alliance.founding.plan import Founding, check
from alliance.founding.public_text import read_toml, require_unedited
from alliance.founding.request import Request
from alliance.keys.channel import utc_now
from quorum import QuorumSystem
from quorum.factors import FACTORS_MAX, KEY_BITS_MAX

FORMAT = "alliance-ceremony/1"
FILE = "ceremony.plan"
FILE_BYTES_MAX = 16 * 1024 * 1024
NONCE_BYTES = 16
_KEYS = (
    "format",
    "name",
    "created",
    "nonce",
    "profile",
    "faulty_max",
    "factor_bits",
    "dealers",
    "keys",
    "requests",
)


@dataclass(frozen=True)
class CeremonyPlan:
    """Made by ``make_plan`` and ``from_toml``, which check it.

    ``founding.key_size`` is that of a factor, in bits. ``dealers`` are organisations, in the order of their
    factors in every key. ``requests`` are those of all parties, in the order of alliance.toml.
    """

    founding: Founding
    created: str
    nonce: bytes
    dealers: tuple[str, ...]
    requests: tuple[Request, ...]

    @cached_property
    def digest(self) -> bytes:
        """32 bytes: SHA-256 of the file, as ``sha256sum`` prints it."""
        return sha256(self.to_toml().encode()).digest()

    @property
    def system(self) -> QuorumSystem:
        return check(self.founding)

    @property
    def thresholds(self) -> tuple[tuple[str, int], ...]:
        """(purpose, threshold) of every key, the agreement key first."""
        system = self.system
        return ((AGREEMENT, system.decision), *self.founding.thresholds(system))

    @property
    def parties(self) -> tuple[Party, ...]:
        return tuple(request.party for request in self.requests)

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(party for party in self.parties if isinstance(party, Member))

    @property
    def clients(self) -> tuple[Client, ...]:
        return tuple(party for party in self.parties if isinstance(party, Client))

    @property
    def member_requests(self) -> tuple[Request, ...]:
        return tuple(request for request in self.requests if request.seat is not None)

    @cached_property
    def operators(self) -> dict[str, bytes]:
        """The Ed25519 public key of each organisation that runs a member."""
        seats = (request.seat for request in self.requests)
        return {seat.organisation: seat.operator for seat in seats if seat is not None}

    def to_toml(self) -> str:
        """The file's text; ``from_toml`` gives back an equal value."""
        keys = ", ".join(f"{purpose} = {threshold}" for purpose, threshold in self.thresholds)
        lines = [
            "# What these dealers found together. Public; all compare what sha256sum says of this file.",
            f'format = "{FORMAT}"',
            f'name = "{self.founding.name}"',
            f'created = "{self.created}"',
            f'nonce = "{self.nonce.hex()}"',
            f'profile = "{self.system.profile}"',
            f"faulty_max = {self.founding.faulty_max}",
            f"factor_bits = {self.founding.key_size}",
            "dealers = [" + ", ".join(f'"{dealer}"' for dealer in self.dealers) + "]",
            "# How many members sign with each key.",
            f"keys = {{ {keys} }}",
        ]
        for request in self.requests:
            lines += ["", "[[requests]]", f"text = '''\n{request.to_toml()}'''"]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str, where: str) -> CeremonyPlan:
        """``where`` is the file, which errors begin with. Raises ConfigError."""
        table = read_toml(text, where, "plan", FORMAT, "get it anew")
        only(table, _KEYS, where)
        created = value(table, "created", str, where)
        if not CREATED.fullmatch(created):
            raise ConfigError(f"{where}: 'created' must be a time like 2026-01-31T12:00:00Z")
        nonce, dealers = hexed(table, "nonce", NONCE_BYTES, where), texts(table, "dealers", where)
        keys, name = _thresholds(table, where), read_name(table, where)
        faults, bits = (value(table, key, int, where) for key in ("faulty_max", "factor_bits"))
        profile, requests = value(table, "profile", str, where), _requests(table, where)
        founding = by_request.plan(
            requests,
            name=name,
            faults=faults,
            key_size=bits,
            purposes=[(purpose, n) for purpose, n in keys.items() if purpose not in (AGREEMENT, ATTESTATION)],
            attest=keys[ATTESTATION],
            profile=profile,
        )
        plan = cls(founding, created, nonce, dealers, tuple(requests.values()))
        plan._check_dealers()
        # In particular: another threshold of the agreement key than is safe.
        require_unedited(plan.to_toml(), text, where, "'ceremony plan' writes it", "get it anew")
        return plan

    def _check_dealers(self) -> None:
        """Raises ConfigError unless so many organisations deal that not all of them can be faulty."""
        least, known = self.founding.faulty_max + 1, self.operators
        for dealer in self.dealers:
            if dealer not in known:
                raise ConfigError(
                    f"no member is run by '{dealer:.80}'{suggest(dealer, known)}: dealers are organisations"
                    " of the alliance"
                )
        if len(set(self.dealers)) != len(self.dealers):
            raise ConfigError("a dealer is named twice: each deals one factor of every key")
        bits = len(self.dealers) * self.founding.key_size
        dealers = "one dealer" if len(self.dealers) == 1 else f"{len(self.dealers)} dealers"
        if len(self.dealers) < least or len(self.dealers) > FACTORS_MAX or bits > KEY_BITS_MAX:
            raise ConfigError(
                f"{dealers} with {self.founding.key_size} bits each: it takes {least} or"
                f" more, so that one of them is honest, and at most {FACTORS_MAX}, with {KEY_BITS_MAX} bits"
                " together, since verifiers read no more"
            )


def make_plan(
    requests: Mapping[str, Request],
    *,
    name: str,
    faults: int,
    factor_bits: int,
    dealers: Sequence[str] = (),
    purposes: Sequence[tuple[str, int]] = (),
    attest: int | None = None,
    profile: str | None = None,
) -> CeremonyPlan:
    """A new plan for these requests, by file. Without ``dealers``, the first f + 1 organisations deal.

    Raises ConfigError.
    """
    founding = by_request.plan(
        requests,
        name=name,
        faults=faults,
        key_size=factor_bits,
        purposes=purposes,
        attest=attest,
        profile=profile,
    )
    chosen = tuple(dealers) or tuple(dict.fromkeys(founding.organisations))[: faults + 1]
    plan = CeremonyPlan(
        founding,
        utc_now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        secrets.token_bytes(NONCE_BYTES),
        chosen,
        tuple(requests.values()),
    )
    plan._check_dealers()
    return CeremonyPlan.from_toml(plan.to_toml(), "the plan")


def _requests(table: Mapping[str, Any], where: str) -> dict[str, Request]:
    requests = {}
    for number, entry in enumerate(tables(table, "requests", where), 1):
        only(entry, ("text",), f"{where}, requests")
        place = f"{where}, request {number}"
        requests[place] = Request.from_toml(value(entry, "text", str, place), place)
    return requests


def _thresholds(table: Mapping[str, Any], where: str) -> dict[str, int]:
    keys = table.get("keys")
    if not isinstance(keys, dict) or list(keys)[:2] != [AGREEMENT, ATTESTATION]:
        raise ConfigError(f"{where}: 'keys' begins with '{AGREEMENT}' and '{ATTESTATION}'")
    return {purpose: value(keys, purpose, int, f"{where}, keys") for purpose in keys}
