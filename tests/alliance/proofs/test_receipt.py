"""A receipt proves one command at one place, to anyone who holds the key; and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.errors import InvalidReceipt
from alliance.proofs.receipt import RECEIPT_BYTES_MAX, Receipt, key_fingerprint, load_public_key
from quorum import Context
from tests.alliance.farm import Chain, Farm
from verifiable_log.merkle import MerkleLog
from verifiable_log.placement import Placement


@pytest.fixture(scope="module")
def key(farm: Farm) -> RSAPublicKey:
    return load_public_key(farm.config.key.to_pem())


def make(farm: Farm, chain: Chain, slot: int, index: int, command_index: int, certified: int) -> Receipt:
    submissions = chain.entries[slot - 1].batch.submissions
    leaves = MerkleLog()
    for submission in submissions:
        leaves.append(submission.encoded)
    placement = Placement(
        slot,
        index,
        len(submissions),
        chain.entries[slot - 1].batch.time_ms,
        leaves.inclusion_proof(index, len(submissions)),
        chain.log.inclusion_proof(slot - 1, certified),
    )
    fingerprint = key_fingerprint(load_public_key(farm.config.key.to_pem()))
    return Receipt(
        farm.config.context,
        chain.decision(certified),
        placement,
        submissions[index],
        command_index,
        fingerprint,
    )


@pytest.fixture(scope="module")
def receipt(farm: Farm) -> Receipt:
    """The second command of the third of five submissions, in slot 3 of 5."""
    chain = Chain(farm).grow(2)
    chain.add(*(farm.submission(10 + at, b"north", b"gate", b"open") for at in range(5)))
    chain.grow(2, first_seq=30)
    return make(farm, chain, 3, 2, 1, 5)


def test_a_receipt_verifies_and_names_its_command(receipt: Receipt, key: RSAPublicKey) -> None:
    receipt.verify(key)
    assert receipt.command == b"gate"
    assert (receipt.slot, receipt.position, receipt.command_index) == (3, 2, 1)
    assert receipt.message.startswith(b"alliance/v1\x00\x01")


def test_it_survives_json(receipt: Receipt, key: RSAPublicKey) -> None:
    for text in (receipt.to_json(), receipt.to_json().encode()):
        again = Receipt.from_json(text)
        assert again == receipt
        again.verify(key)


def changes(value: Any) -> Iterator[Any]:
    """Other values of the same type and of none."""
    match value:
        case int():
            yield from (
                value + 1,
                max(value - 1, 0),
                value + 4,
                0,
                2**61,
                2**64,
                -1,
                float(value),
                str(value),
            )
            yield True
        case str():
            yield from (value[:-2], value + "00", value[:-1] + ("0" if value[-1] != "0" else "1"), "", "zz")
            yield ("0" if value[0] != "0" else "1") + value[1:]
        case list():
            yield from (value[:-1], [*value, "00" * 32], value[::-1], [], ["00" * 32] * len(value), "", {})
            yield ["00" * 64, *value[2:]]
            yield [None]
    yield from (None, [], {}, [[]], 10**400)


def test_every_altered_field_is_refused(receipt: Receipt, key: RSAPublicKey) -> None:
    table = receipt.to_dict()
    for name, value in table.items():
        for other in changes(value):
            if other == value and type(other) is type(value):
                continue
            if name == "command_index" and other in (0, 2) and type(other) is int:
                continue  # true as well: see the next test
            with pytest.raises(InvalidReceipt):
                Receipt.from_json(json.dumps(table | {name: other})).verify(key)
        missing = {field: kept for field, kept in table.items() if field != name}
        with pytest.raises(InvalidReceipt):
            Receipt.from_json(json.dumps(missing))


def test_another_command_of_the_submission_is_its_own_receipt(receipt: Receipt, key: RSAPublicKey) -> None:
    """The index within a submission is not hidden from the holder: all its commands were ordered there."""
    for index, command in enumerate((b"north", b"gate", b"open")):
        other = Receipt.from_json(json.dumps(receipt.to_dict() | {"command_index": index}))
        other.verify(key)
        assert other.command == command
    with pytest.raises(InvalidReceipt):
        Receipt.from_json(json.dumps(receipt.to_dict() | {"command_index": 3}))


def test_no_other_place_fits(farm: Farm, key: RSAPublicKey) -> None:
    """The same path must not lead from another index, of a batch of another size, to the same root."""
    for size in range(1, 10):
        chain = Chain(farm)
        chain.add(*(farm.submission(at) for at in range(size)))
        for index in range(size):
            true = make(farm, chain, 1, index, 0, 1)
            true.verify(key)
            for wrong_size in range(12):
                for wrong_index in range(12):
                    if (wrong_size, wrong_index) != (size, index):
                        place = replace(true.placement, index=wrong_index, batch_size=wrong_size)
                        with pytest.raises(InvalidReceipt):
                            replace(true, placement=place).verify_placement()


def test_another_alliances_receipt_is_named_as_such(receipt: Receipt, farm: Farm, key: RSAPublicKey) -> None:
    other = rsa.generate_private_key(65537, 2048).public_key()
    with pytest.raises(InvalidReceipt, match="of another alliance"):
        receipt.verify(other)
    with pytest.raises(InvalidReceipt, match="signature does not fit"):
        replace(receipt, key_fingerprint=key_fingerprint(other)).verify(other)
    for context in (Context(b"o" * 32, 0), Context(farm.config.alliance_id, 1)):
        with pytest.raises(InvalidReceipt, match="signature does not fit"):
            replace(receipt, context=context).verify(key)


def test_a_truncated_receipt_is_refused(receipt: Receipt) -> None:
    text = receipt.to_json().rstrip()
    for end in range(0, len(text), 50):
        with pytest.raises(InvalidReceipt):
            Receipt.from_json(text[:end])
        with pytest.raises(InvalidReceipt):
            Receipt.from_json(text[:end].encode())


HOSTILE = [
    "",
    "null",
    "[]",
    '"alliance-receipt/2"',
    "[" * 100_000,
    '{"format":' * 50_000,
    "1" * 10_000,
    "-1e999",
    "NaN",
    '{"format": "alliance-receipt/2"}',
    '{"format": "alliance-receipt/2"}',
    '{"format": ["alliance-receipt/2"]}',
    "\ufeff{}",
    b"\xff\xfe\x00",
    b"\x80",
    b"x" * (RECEIPT_BYTES_MAX + 1),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_refused_in_one_line(text: str | bytes) -> None:
    with pytest.raises(InvalidReceipt) as caught:
        Receipt.from_json(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


RESPELLINGS: dict[str, Callable[[str], str | bytes]] = {
    "a key twice": lambda text: text.replace('"slot"', '"slot": 1, "slot"', 1),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "upper case": lambda text: text.replace(json.loads(text)["root"], json.loads(text)["root"].upper()),
    "spaced digits": lambda text: text.replace('"root": "', '"root": " ', 1),
    "a field more": lambda text: text.replace("{", '{"note": "paid", ', 1),
    "a number that is none": lambda text: text.replace("{", '{"note": NaN, ', 1),
}


@pytest.mark.parametrize("respelt", RESPELLINGS.values(), ids=RESPELLINGS.keys())
def test_a_receipt_has_one_spelling(receipt: Receipt, respelt: Callable[[str], str | bytes]) -> None:
    text = receipt.to_json()
    assert Receipt.from_json(text) == receipt == Receipt.from_json(text.encode())
    with pytest.raises(InvalidReceipt):
        Receipt.from_json(respelt(text))


def test_a_hostile_fingerprint_does_not_reach_the_terminal(receipt: Receipt) -> None:
    for text in ("\x1b[2J" + "0" * 60, "A" * 64, "0" * 63, "0" * 64 + "\n"):
        with pytest.raises(InvalidReceipt) as caught:
            Receipt.from_json(json.dumps(receipt.to_dict() | {"key_fingerprint": text}))
        assert str(caught.value).isprintable()


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_fields_of_any_type_are_refused_or_believed_with_proof(
    receipt: Receipt, key: RSAPublicKey, data: st.DataObject
) -> None:
    table = receipt.to_dict()
    name = data.draw(st.sampled_from(sorted(table)))
    value = data.draw(json_values)
    try:
        other = Receipt.from_json(json.dumps(table | {name: value}))
        other.verify(key)
    except InvalidReceipt:
        return
    assert other == replace(receipt, command_index=other.command_index)


def test_public_keys_of_other_kinds_are_refused(farm: Farm) -> None:
    curve = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = curve.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(InvalidReceipt, match="no RSA key"):
        load_public_key(pem)
    for junk in (b"", b"hello", pem[:40], farm.config.key.to_pem()[:-30]):
        with pytest.raises(InvalidReceipt, match="no public key"):
            load_public_key(junk)
