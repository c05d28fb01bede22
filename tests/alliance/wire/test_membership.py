"""Proofs of a membership as they come in: every field of every part, spoilt in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from hashlib import sha256

import pytest

from alliance.pb.client_pb2 import KeyChange, MembershipPart
from alliance.wire import membership as module
from alliance.wire.bounds import Malformed, OverLimit
from alliance.wire.membership import MembershipProof, encode_proof, read_proof
from consensus.control.encoding import MalformedControl
from quorum import Context, InvalidCertificate, InvalidStatement, MembershipStatement
from tests.alliance.epochs import new_member, next_epoch
from tests.alliance.epochs import proof as proof_of
from tests.alliance.farm import Farm
from tests.alliance.matrix_rows import parsed
from tests.alliance.spoiling import Path, paths, spoilt

ROWS = """
config | form: changed cut huge longer old zeros | nothing: empty
clients | form: changed cut empty huge longer zeros
clients_bytes | form: largest less zero | ignored: more
certificate | certificate: alliance epoch | form: empty old
certificate.tag | form: largest less more zero
certificate.epoch | certificate: epoch largest less more zero
certificate.fields | certificate: changed | form: changed cut empty huge longer old zeros
certificate.signature | certificate: alliance changed cut epoch longer old zeros | form: empty
    | limit: huge
epoch | ignored: largest more
revision | ignored: largest more
keys | certificate: changed dropped empty reversed twice | form: changed cut empty huge longer zeros
    | limit: many
"""
"""As in ``matrix_rows``; of the first part. ``nothing``: none is newer. ``ignored``: the same is proven."""

TABLE = parsed(ROWS)

KEY_CHANGE_ROWS = """
config | form: changed cut empty huge longer zeros
certificate | form: empty
certificate.tag | form: largest less more zero
certificate.epoch | form: largest more
certificate.fields | certificate: changed | form: changed cut empty huge longer zeros
certificate.signature | certificate: changed cut longer zeros | form: empty | limit: huge
keys | form: changed cut dropped empty huge longer many reversed twice zeros
"""
"""The same of the part that has a change of keys."""

KEY_CHANGE_TABLE = parsed(KEY_CHANGE_ROWS)


def proof(farm: Farm, revision: int = 5, context: Context | None = None) -> MembershipProof:
    """Of epoch 1, whose members have shares of their own."""
    later, membership = next_epoch(farm, revision=revision)
    statement = MembershipStatement(1, revision, 128, b"r" * 32, bytes(32), membership.digest)
    return MembershipProof(later.certify(statement, context), membership, later.config.handed_on)


def read(parts: Iterable[MembershipPart | None]) -> MembershipProof | None:
    async def stream() -> AsyncIterator[MembershipPart | None]:
        for part in parts:
            yield part

    return asyncio.run(read_proof(stream()))


class Told:
    """A proof in two parts, and the first parts of others that a liar has."""

    def __init__(self, farm: Farm) -> None:
        ours = Context(farm.config.alliance_id, 1)
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
    ours = {path for path in paths(MembershipPart.DESCRIPTOR) if path[0] != "key_change"}
    assert set(TABLE) == ours
    assert set(KEY_CHANGE_TABLE) == set(paths(KeyChange.DESCRIPTOR))
    assert len(told.parts) == 2
    assert read(told.parts) == told.proof


@pytest.mark.parametrize("path", list(TABLE), ids=".".join)
def test_a_spoilt_field(told: Told, path: Path) -> None:
    verdicts: dict[str, set[str]] = {}
    for way, data in told.spoilt(path):
        verdicts.setdefault(told.judge(data), set()).add(way)
    assert verdicts == TABLE[path]


@pytest.mark.parametrize("path", list(KEY_CHANGE_TABLE), ids=".".join)
def test_a_spoilt_field_of_a_change_of_keys(farm: Farm, path: Path) -> None:
    later, membership = next_epoch(farm, stock=1)
    said = proof_of(farm, later, membership)
    first, change, *rest = encode_proof(said)
    good = change.key_change.SerializeToString()

    def judge(spoilt_change: bytes) -> str:
        parts = [first, MembershipPart(key_change=KeyChange.FromString(spoilt_change)), *rest]
        try:
            told = read(parts)
            assert told is not None
            told.verify(farm.config.scheme)
        except OverLimit:
            return "limit"
        except (Malformed, MalformedControl, InvalidStatement):
            return "form"
        except InvalidCertificate:
            return "certificate"
        return "ignored"

    verdicts: dict[str, set[str]] = {}
    for way, data in spoilt(path, good, {}, KeyChange):
        verdicts.setdefault(judge(data), set()).add(way)
    assert read([first, change, *rest]) == said
    assert verdicts == KEY_CHANGE_TABLE[path]


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
    keys = sum(map(len, first.keys))
    for bound, most in (
        ("CLIENTS_BYTES_MAX", length),
        ("CONFIG_BYTES_MAX", len(first.config)),
        ("KEYS_BYTES_MAX", keys),
    ):
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


@pytest.mark.parametrize("handed_on", [True, False], ids=["full", "light"])
def test_whoever_has_the_founding_key_checks_any_epoch(farm: Farm, handed_on: bool) -> None:
    """By one signature, of the epoch before or, for a revision, of its own; with the keys that it names."""
    second, first_membership = next_epoch(farm, {2: new_member("seventh")}, handed_on=handed_on)
    third, membership = next_epoch(second, start=20)
    told = (
        proof_of(farm, second, first_membership),
        proof_of(second, third, membership, slot=20),
        proof_of(third, third, next_epoch(second, start=20, revision=3)[1], slot=40),
    )
    for one in told:
        for scheme in (farm.config.scheme, second.config.scheme, third.config.scheme):
            one.verify(scheme)
        assert read(encode_proof(one)) == MembershipProof.decode(one.encode()) == one
    of_first, of_second = told[0].keys, told[1].keys
    assert bool(of_first) == handed_on
    for lie in (
        replace(told[0], keys=of_second),
        replace(told[1], keys=()),
        replace(told[1], keys=of_second[::-1]),
        replace(told[1], keys=(*of_second, *of_second[:1])),
        proof_of(second, second, first_membership),  # its own members say that it begins
        proof_of(farm, third, membership),  # those of two epochs before
    ):
        with pytest.raises(InvalidCertificate):
            lie.verify(farm.config.scheme)


def test_what_is_in_a_folder_and_not_of_this_version_is_none(told: Told) -> None:
    data = told.proof.encode()
    for bad in (data.replace(b"membership/3", b"membership/2"), data[:-1], data + b"\0"):
        with pytest.raises(MalformedControl):
            MembershipProof.decode(bad)
