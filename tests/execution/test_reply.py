"""A certified reply proves what came of one command, to anyone with the attestation key."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.config.file import ATTESTATION
from alliance.errors import InvalidReceipt
from alliance.execution import Kind, Outcome, Reply, Status, wrap
from alliance.execution.outcome import placed
from alliance.execution.reply import REPLY_JSON_BYTES_MAX
from alliance.proofs.receipt import key_fingerprint, load_public_key
from quorum import Endorsement
from tests.alliance.farm import TIME_MS, Farm

COMMAND = b"set colour green"
RANK = 2
"""Of the command among those of its slot."""


def make(
    farm: Farm, members: tuple[int, ...] = (1, 2, 4), payload: bytes = b"null", neighbours: int = 6
) -> Reply:
    digest = sha256(wrap("kv", Kind.APPLY, COMMAND)).digest()
    answer = Outcome(farm.client_id(), 7, 0, 3, TIME_MS, digest, Status.DONE, payload)
    others = [replace(answer, client_seq=seq) for seq in range(8, 8 + neighbours)]
    outcome = placed([*others[:RANK], answer, *others[RANK:]])[min(RANK, neighbours)]
    statement = outcome.statement()
    message = statement.encode(farm.config.context)
    shares = [
        Endorsement(statement, member, farm.attesters[member].endorse(message, proven=False))
        for member in members
    ]
    pem = farm.config.purpose_key(ATTESTATION).to_pem()
    signature = farm.config.attestation.combine(shares)
    return Reply(farm.config.context, outcome, signature, key_fingerprint(load_public_key(pem)))


@pytest.fixture(scope="module")
def reply(farm: Farm) -> Reply:
    return make(farm)


@pytest.fixture(scope="module")
def key(farm: Farm) -> RSAPublicKey:
    return load_public_key(farm.config.purpose_key(ATTESTATION).to_pem())


def test_any_three_members_give_the_same_reply(farm: Farm, reply: Reply, key: RSAPublicKey) -> None:
    for members in ((0, 1, 3), (5, 2, 4)):
        other = make(farm, members)
        assert other == reply
        other.verify(key)
    assert reply.answers("kv", COMMAND)
    assert not reply.answers("kv", COMMAND, Kind.QUERY)


def test_a_reply_that_is_alone_in_its_slot_needs_no_path(farm: Farm, key: RSAPublicKey) -> None:
    alone = make(farm, neighbours=0)
    assert (alone.outcome.rank, alone.outcome.count, alone.outcome.path) == (0, 1, ())
    Reply.from_json(alone.to_json()).verify(key)


def test_the_signature_on_a_slot_certifies_nothing_that_was_not_in_it(
    farm: Farm, reply: Reply, key: RSAPublicKey
) -> None:
    """One signature for all answers of a slot: none of them can be passed off as another, or bent."""
    for changes in (
        {"payload": b"true"},
        {"client_seq": 8},
        {"client_id": bytes(32)},
        {"command_index": 1},
        {"status": Status.REFUSED},
        {"time_ms": TIME_MS + 1},
        {"command_digest": bytes(32)},
        {"slot": 4},
    ):
        bent = replace(reply, outcome=replace(reply.outcome, **changes))
        with pytest.raises(InvalidReceipt, match="does not fit"):
            bent.verify(key)


def test_it_survives_json(reply: Reply, key: RSAPublicKey) -> None:
    again = Reply.from_json(reply.to_json())
    assert again == reply
    again.verify(key)


def test_openssl_alone_checks_it(farm: Farm, reply: Reply, tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(reply.message)
    (tmp_path / "signature").write_bytes(reply.signature)
    public = farm.folder / "public-attestation.pem"
    line = ["openssl", "dgst", "-sha256", "-verify", str(public), "-signature", "signature", "message"]
    assert subprocess.run(line, cwd=tmp_path, capture_output=True, text=True).stdout == "Verified OK\n"
    (tmp_path / "message").write_bytes(reply.message[:-1] + bytes([reply.message[-1] ^ 1]))
    assert subprocess.run(line, cwd=tmp_path, capture_output=True, text=True).returncode != 0


def test_every_altered_field_is_refused(reply: Reply, key: RSAPublicKey) -> None:
    table = reply.to_dict()
    for name, value in table.items():
        others = [None, [], "", "zz", -1, 2**64, True, 10**400]
        if isinstance(value, list):
            changed = "0" + value[0][1:] if value[0][0] != "0" else "1" + value[0][1:]
            others += [
                value[:-1],
                [*value, value[0]],
                value[::-1],
                [value],
                [changed, *value[1:]],
                "".join(value),
            ]
            others += [[value[0][:-2], value[0][-2:] + value[1], *value[2:]]]
        elif isinstance(value, int):
            others += [value + 1, max(0, value - 1), float(value), str(value)]
        else:
            others += [value[:-2], value + "00", ("0" if value[:1] != "0" else "1") + value[1:], "refused"]
        for other in others:
            if other == value and type(other) is type(value):
                continue
            with pytest.raises(InvalidReceipt):
                Reply.from_json(json.dumps(table | {name: other})).verify(key)
        with pytest.raises(InvalidReceipt):
            Reply.from_json(json.dumps({field: kept for field, kept in table.items() if field != name}))


@pytest.mark.parametrize(
    "other", ['"slot": 1, "slot"', '"note": 1, "slot"'], ids=["a key twice", "a field more"]
)
def test_a_reply_has_one_spelling(reply: Reply, other: str) -> None:
    with pytest.raises(InvalidReceipt):
        Reply.from_json(reply.to_json().replace('"slot"', other, 1))


def test_what_is_no_reply_is_refused_and_nothing_more(reply: Reply) -> None:
    text = reply.to_json()
    for bad in ("", "[]", "1", "[" * 100_000, text[:-9], b"\xff", " " * (REPLY_JSON_BYTES_MAX + 1)):
        with pytest.raises(InvalidReceipt):
            Reply.from_json(bad)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_reply_or_refused(data: bytes) -> None:
    with pytest.raises(InvalidReceipt):
        Reply.from_json(data)


def test_the_agreement_key_and_a_reply_of_another_alliance_are_refused(
    farm: Farm, reply: Reply, key: RSAPublicKey
) -> None:
    with pytest.raises(InvalidReceipt, match="another key"):
        reply.verify(load_public_key(farm.config.key.to_pem()))
    elsewhere = replace(farm.config.context, alliance_id=bytes(32))
    with pytest.raises(InvalidReceipt, match="does not fit"):
        replace(reply, context=elsewhere).verify(key)
