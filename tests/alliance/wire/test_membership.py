"""Proofs of a membership as they come in: every field of every part, spoilt in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from hashlib import sha256

import pytest

from alliance.config.control import founded
from alliance.pb.client_pb2 import MembershipPart
from alliance.wire import membership as module
from alliance.wire.bounds import Malformed, OverLimit
from alliance.wire.membership import MembershipProof, encode_proof, read_proof
from consensus.control.encoding import MalformedControl
from consensus.control.published import Published
from quorum import Context, InvalidCertificate, InvalidStatement, MembershipStatement
from tests.alliance.farm import Farm
from tests.alliance.matrix_rows import parsed
from tests.alliance.spoiling import Path, paths, spoilt

ROWS = """
config | form: changed cut huge longer old zeros | nothing: empty
clients | form: changed cut empty huge longer zeros
clients_bytes | form: largest less zero | ignored: more
certificate | certificate: alliance epoch | form: empty old
certificate.tag | form: largest less more zero
certificate.epoch | certificate: epoch largest more
certificate.fields | certificate: changed | form: changed cut empty huge longer old zeros
certificate.signature | certificate: alliance changed cut epoch longer old zeros | form: empty
    | limit: huge
epoch | ignored: largest more
revision | ignored: largest more
"""
"""As in ``matrix_rows``; of the first part. ``nothing``: none is newer. ``ignored``: the same is proven."""

TABLE = parsed(ROWS)


def proof(farm: Farm, revision: int = 5, context: Context | None = None) -> MembershipProof:
    membership = Published.of(replace(founded(farm.config), revision=revision))
    statement = MembershipStatement(0, revision, 128, b"r" * 32, bytes(32), membership.digest)
    return MembershipProof(farm.certify(statement, context), membership)


def read(parts: Iterable[MembershipPart | None]) -> MembershipProof | None:
    async def stream() -> AsyncIterator[MembershipPart | None]:
        for part in parts:
            yield part

    return asyncio.run(read_proof(stream()))


class Told:
    """A proof in two parts, and the first parts of others that a liar has."""

    def __init__(self, farm: Farm) -> None:
        ours = farm.config.context
        self.scheme = farm.config.scheme
        self.proof = proof(farm)
        self.parts = list(encode_proof(self.proof))
        others = {
            "old": proof(farm, 4),
            "epoch": proof(farm, context=Context(ours.alliance_id, ours.epoch + 1)),
            "alliance": proof(farm, context=Context(b"o" * 32, ours.epoch)),
        }
        self.others = {way: next(encode_proof(other)).SerializeToString() for way, other in others.items()}

    def spoilt(self, path: Path) -> list[tuple[str, bytes]]:
        return list(spoilt(path, self.parts[0].SerializeToString(), self.others, MembershipPart))

    def judge(self, first: bytes) -> str:
        try:
            said = read([MembershipPart.FromString(first), *self.parts[1:]])
            if said is None:
                return "nothing"
            said.verify(self.scheme)
        except OverLimit:
            return "limit"
        except (Malformed, MalformedControl, InvalidStatement):
            return "form"
        except InvalidCertificate:
            return "certificate"
        assert said == self.proof
        return "ignored"


@pytest.fixture(scope="module")
def told(farm: Farm) -> Told:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART_BYTES", 700)
        return Told(farm)


def test_every_field_has_its_row(told: Told) -> None:
    assert set(TABLE) == set(paths(MembershipPart.DESCRIPTOR))
    assert len(told.parts) == 2
    assert read(told.parts) == told.proof


@pytest.mark.parametrize("path", list(TABLE), ids=".".join)
def test_a_spoilt_field(told: Told, path: Path) -> None:
    verdicts: dict[str, set[str]] = {}
    for way, data in told.spoilt(path):
        verdicts.setdefault(told.judge(data), set()).add(way)
    assert verdicts == TABLE[path]


def test_parts_that_are_not_what_the_first_one_announces(told: Told) -> None:
    first, second = told.parts
    assert read([]) is None
    assert read([MembershipPart(epoch=2**64 - 1, revision=2**64 - 1)]) is None
    for parts in ([first], [first, second, second], [second, first], [first, MembershipPart(clients=b"x")]):
        with pytest.raises((Malformed, MalformedControl)):
            read(parts)
    for junk in ([None], [first, None]):
        with pytest.raises(Malformed, match="not a message"):
            read(junk)


def test_what_is_longer_than_any_is_not_gathered(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused by what it announces, and by the first byte beyond that."""
    first, second = told.parts
    length = first.clients_bytes
    monkeypatch.setattr(module, "CLIENTS_BYTES_MAX", length)
    monkeypatch.setattr(module, "CONFIG_BYTES_MAX", len(first.config))
    assert read(told.parts) == told.proof

    def endless() -> Iterator[MembershipPart]:
        yield first
        while True:
            yield second

    with pytest.raises(Malformed, match="more clients than were announced"):
        read(endless())
    for bound, most in (("CLIENTS_BYTES_MAX", length), ("CONFIG_BYTES_MAX", len(first.config))):
        with monkeypatch.context() as patch:
            patch.setattr(module, bound, most - 1)
            with pytest.raises(Malformed, match="longer than any"):
                read(told.parts)


@pytest.mark.parametrize("what", ["config", "clients"])
def test_an_altered_byte_is_refused_with_an_error_that_readers_expect(told: Told, what: str) -> None:
    """Whoever asked a liar goes on to the next member."""
    true = told.proof.membership
    for place in range(0, len(getattr(true, what)), 17):
        altered = bytearray(getattr(true, what))
        altered[place] ^= 0x80
        config, clients = true.config, bytes(altered)
        if what == "config":
            config, clients = bytes(altered), true.clients
        else:  # or its digest alone would refuse it
            config = config[:-32] + sha256(b"\x07" + clients).digest()
        with pytest.raises((MalformedControl, InvalidCertificate)):
            MembershipProof.of(told.proof.certificate, config, clients).verify(told.scheme)
