"""A receipt proves one command at one place, to anyone who holds the key; and nothing else does."""

from __future__ import annotations

import json
import pickle
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.errors import InvalidReceipt
from alliance.proofs.receipt import RECEIPT_BYTES_MAX, Receipt, key_fingerprint, load_public_key
from alliance.proofs.votes import Vote
from benchmarks.receipts import Specimen, microseconds, specimen
from quorum import Context, DecisionCertificate, VoteStatement
from tests.alliance.farm import Chain, Farm
from verifiable_log.limits import COMMAND_BYTES_MAX, SUBMISSION_COMMANDS_MAX


@pytest.fixture(scope="module")
def key(farm: Farm) -> RSAPublicKey:
    return load_public_key(farm.config.key.to_pem())


@pytest.fixture(scope="module")
def receipt(farm: Farm) -> Receipt:
    """The second command of the third of five submissions, in slot 3 of 5."""
    chain = Chain(farm).grow(2)
    chain.add(*(farm.submission(10 + at, b"north", b"gate", b"open") for at in range(5)))
    chain.grow(2, first_seq=30)
    return chain.receipt(3, 2, 1, 5)


@pytest.fixture(scope="module")
def crowded(farm: Farm) -> Receipt:
    """Of a submission of three groups of commands, so that no part of it is empty."""
    chain = Chain(farm).grow(2)
    chain.add(farm.submission(9), farm.submission(10, *(b"command %d" % at for at in range(20))))
    return chain.receipt(3, 1, 12, 3)


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
            yield from (value[:-2], value[:-4], value + "00", value + "A" * 44, value * 2, "", "zz", "A===")
            for at in range(0, len(value), 7):
                yield value[:at] + ("1" if value[at] != "1" else "2") + value[at + 1 :]
            yield value.swapcase() if value.swapcase() != value else "AA=="
            yield value.rstrip("=")
            yield value[:4] + "\n" + value[4:]
    yield from (None, [], {}, [[]], 10**400)


def altered(table: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what was changed, the receipt with that change); the fields of its certificate are fields too."""
    for name, value in table.items():
        yield f"without {name}", {field: kept for field, kept in table.items() if field != name}
        if isinstance(value, dict):
            for what, inner in altered(value):
                yield f"{name}: {what}", table | {name: inner}
            yield f"{name} and more", table | {name: value | {"note": 1}}
        for other in changes(value):
            if other != value or type(other) is not type(value):
                yield f"{name} = {other!r:.60}", table | {name: other}


def believed(table: dict[str, Any], key: RSAPublicKey) -> bool:
    try:
        Receipt.from_json(json.dumps(table)).verify(key)
    except InvalidReceipt:
        return False
    return True


def test_every_altered_field_is_refused(receipt: Receipt, crowded: Receipt, key: RSAPublicKey) -> None:
    for true in (receipt, crowded):
        tried = 0
        for what, table in altered(true.to_dict()):
            assert not believed(table, key), what
            tried += 1
        assert tried > 500


def test_a_receipt_is_of_one_command_of_its_submission(farm: Farm, key: RSAPublicKey) -> None:
    """Neither the command nor its number can be exchanged, even by who knows all of the submission."""
    chain = Chain(farm)
    commands = [b"command %d" % number for number in range(20)]
    chain.add(farm.submission(1, *commands))
    made = [chain.receipt(1, 0, index, 1) for index in range(20)]
    for index, (true, command) in enumerate(zip(made, commands, strict=True)):
        true.verify(key)
        assert (true.command, true.command_index) == (command, index)
        for other in range(20):
            if other != index:
                for forged in (
                    replace(true, command=commands[other]),
                    replace(true, proof=made[other].proof),
                    replace(true, proof=true.proof._replace(command_index=other)),
                ):
                    with pytest.raises(InvalidReceipt):
                        forged.verify_placement()


# -- what a receipt does not show --------------------------------------------------------------------


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(count=st.integers(2, 70), data=st.data())
def test_no_byte_of_a_neighbours_command_is_in_a_receipt(farm: Farm, count: int, data: st.DataObject) -> None:
    """A receipt is the same whatever the other commands of its slot are, but for hashes of them.

    So it is made of two logs that differ in the neighbours alone, of which each is drawn and long.
    """
    index = data.draw(st.integers(0, count - 1))
    drawn = Random(data.draw(st.integers(0, 2**32)))

    def made() -> tuple[Receipt, list[bytes]]:
        commands = [drawn.randbytes(drawn.randrange(24, 60)) for _ in range(count)]
        commands[index] = b"the holder's own"
        beside = [drawn.randbytes(40) for _ in range(3)]
        chain = Chain(farm)
        chain.add(farm.submission(1, beside[0]), farm.submission(2, *commands), farm.submission(3, beside[1]))
        chain.add(farm.submission(4, beside[2]))
        del commands[index]
        return chain.receipt(1, 1, index, 1), commands + beside

    (one, neighbours), (other, _) = made(), made()
    shown = pickle.dumps(one) + b"".join(spellings(one))
    for command in neighbours:
        pieces = [command[at : at + 12] for at in range(len(command) - 11)]
        assert not [piece for piece in pieces if piece in shown]
    hidden = ("signature", "root", "path", "group")  # made from hashes
    mine, theirs = (receipt.to_dict() | receipt.to_dict()["certificate"] for receipt in (one, other))
    for name in mine.keys() - {"certificate"}:
        assert mine[name] == theirs[name] or name.endswith(hidden), name


def spellings(receipt: Receipt) -> Iterator[bytes]:
    """All bytes that a receipt's text may hide: of its hex digits and base64, at every offset of these."""
    for value in [*receipt.to_dict().values(), *receipt.to_dict()["certificate"].values()]:
        yield json.dumps(value).encode()
        if isinstance(value, str):
            with suppress(ValueError):
                yield bytes.fromhex(value)
            with suppress(ValueError):
                yield b64decode(value, validate=True)


# -- how large, and how fast -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def largest() -> Specimen:
    """Of one command of 4,096, in a batch of 4,096 submissions, in a log of a million slots."""
    return specimen(rsa.generate_private_key(65537, 2048), SUBMISSION_COMMANDS_MAX)


def test_a_receipt_has_at_most_four_kibibytes(largest: Specimen) -> None:
    assert len(largest.receipt.to_json()) <= 4096
    Receipt.from_json(largest.receipt.to_json()).verify(largest.key)


def test_checking_a_receipt_takes_as_long_as_a_few_signatures(largest: Specimen) -> None:
    """120 us at most on the machine of performance.md, where the RSA check takes 22: 5.5 times of that.

    A busy machine disturbs both alike. `make bench-receipts` gives the figures.
    """
    text, key, true = largest.receipt.to_json(), largest.key, largest.receipt
    padding, digest = PKCS1v15(), hashes.SHA256()
    signature = microseconds(lambda: key.verify(true.signature, true.message, padding, digest), 100)
    whole = microseconds(lambda: Receipt.from_json(text).verify(key), 100)
    assert whole < 12 * signature


def test_the_largest_command_has_a_receipt() -> None:
    made = specimen(rsa.generate_private_key(65537, 2048), 1, COMMAND_BYTES_MAX)
    text = made.receipt.to_json()
    assert len(text) < RECEIPT_BYTES_MAX
    Receipt.from_json(text).verify(made.key)


# -- places ------------------------------------------------------------------------------------------


def test_no_other_place_fits(farm: Farm, key: RSAPublicKey) -> None:
    """The same path must not lead from another index, of a batch of another size, to the same root."""
    for size in range(1, 10):
        chain = Chain(farm)
        chain.add(*(farm.submission(at) for at in range(size)))
        for index in range(size):
            true = chain.receipt(1, index, 0, 1)
            true.verify(key)
            for wrong_size in range(12):
                for wrong_index in range(12):
                    if (wrong_size, wrong_index) != (size, index):
                        place = replace(true.placement, index=wrong_index, batch_size=wrong_size)
                        with pytest.raises(InvalidReceipt):
                            replace(true, placement=place).verify_placement()


def test_another_alliances_receipt_is_named_as_such(receipt: Receipt, key: RSAPublicKey) -> None:
    other = rsa.generate_private_key(65537, 2048).public_key()
    with pytest.raises(InvalidReceipt, match="of another alliance"):
        receipt.verify(other)
    with pytest.raises(InvalidReceipt, match="signature does not fit"):
        replace(receipt, key_fingerprint=key_fingerprint(other)).verify(other)
    for forged in (
        replace(receipt, alliance_id=b"o" * 32),
        replace(receipt, certificate=replace(receipt.certificate, epoch=1)),
    ):
        with pytest.raises(InvalidReceipt, match="signature does not fit"):
            forged.verify(key)


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
    '"alliance-receipt/3"',
    "[" * 100_000,
    '{"format":' * 50_000,
    "1" * 10_000,
    "-1e999",
    "NaN",
    '{"format": "alliance-receipt/3"}',
    '{"format": "alliance-receipt/3"}',
    '{"format": ["alliance-receipt/3"]}',
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
    "upper case": lambda text: re.sub("[0-9a-f]{64}", lambda digits: digits[0].upper(), text),
    "base64 for URLs": lambda text: text.replace("+", "-").replace("/", "_"),
    "base64 without padding": lambda text: text.replace('="', '"'),
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


@pytest.mark.parametrize("old", ["alliance-receipt/1", "alliance-receipt/2"])
def test_a_receipt_of_an_earlier_format_is_named_as_such(old: str) -> None:
    with pytest.raises(InvalidReceipt, match="earlier versions of alliance wrote"):
        Receipt.from_json(json.dumps({"format": old, "submission": "00"}))


# -- votes -------------------------------------------------------------------------------------------


def voted(farm: Farm, receipt: Receipt, *members: int, context: Context | None = None) -> Receipt:
    """The receipt with the votes of these members for what it certifies."""
    accepted = receipt.certificate.statement
    vote = VoteStatement(accepted.view, accepted.slot, accepted.root).encode(context or receipt.context)
    return replace(receipt, votes=tuple(Vote(m, farm.members[m].signing_key.sign(vote)) for m in members))


def identities(farm: Farm) -> list[ed25519.Ed25519PublicKey]:
    return [member.identity_key for member in farm.config.members]


def test_votes_are_kept_and_checked(farm: Farm, receipt: Receipt, key: RSAPublicKey) -> None:
    for members in ((0,), (1, 3, 5), tuple(range(6))):
        true = voted(farm, receipt, *members)
        again = Receipt.from_json(true.to_json())
        assert again == true
        again.verify(key)
        again.verify(key, identities(farm))
    receipt.verify(key, identities(farm))


def test_epoch_receipt_of_0_in_5(farm: Farm, key: RSAPublicKey) -> None:
    """A receipt verifies for ever, and says which epoch's members vouch for it: also for older slots."""
    chain = Chain(farm).grow(3)
    old = chain.receipt(2, 0, 0, 3)
    later = replace(farm.config.context, epoch=5)
    accepted = old.certificate.statement
    signed = DecisionCertificate.of(farm.certify(accepted, later))
    new = replace(old, certificate=signed)
    for receipt, epoch, context in ((old, 0, old.context), (new, 5, later)):
        again = Receipt.from_json(voted(farm, receipt, 0, 2, context=context).to_json())
        again.verify(key)
        again.verify(key, identities(farm))
        assert again.context.epoch == epoch
        with pytest.raises(InvalidReceipt, match="the signature does not fit"):
            replace(receipt, certificate=replace(receipt.certificate, epoch=5 - epoch)).verify(key)


def test_every_vote_that_is_there_has_to_be_right(farm: Farm, receipt: Receipt, key: RSAPublicKey) -> None:
    true = voted(farm, receipt, 1, 3)
    first, second = true.votes
    wrong = {
        "member 2": (Vote(1, second.signature), second),
        "unknown member, 7": (first, Vote(6, second.signature)),
        "there twice": (first, first),
        "unknown member, 0": (Vote(-1, first.signature), second),
        "member 4": (first, Vote(3, bytes(64))),
    }
    for said, votes in wrong.items():
        with pytest.raises(InvalidReceipt, match=said):
            replace(receipt, votes=votes).verify(key, identities(farm))
    elsewhere = Context(receipt.context.alliance_id, receipt.context.epoch + 1)
    with pytest.raises(InvalidReceipt, match="not signed by member 2"):
        voted(farm, receipt, 1, context=elsewhere).verify(key, identities(farm))


def test_votes_have_one_spelling(farm: Farm, receipt: Receipt) -> None:
    table = voted(farm, receipt, 1, 3).to_dict()
    one, other = table["votes"]
    for votes in (
        [],
        {},
        None,
        "",
        [other, one],
        [one, one],
        [one, other | {"member": 1}],
        [one | {"member": True}],
        [one | {"member": -1}],
        [one | {"member": "1"}],
        [one | {"name": "member-2"}],
        [{"member": 1}],
        [one | {"signature": one["signature"][:-4]}],
        [one | {"signature": one["signature"].rstrip("=")}],
        [one, None],
        [[1, one["signature"]]],
    ):
        with pytest.raises(InvalidReceipt):
            Receipt.from_json(json.dumps(table | {"votes": votes}))


# -- hostile text ------------------------------------------------------------------------------------


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
    assert other == receipt


def test_public_keys_of_other_kinds_are_refused(farm: Farm) -> None:
    curve = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = curve.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(InvalidReceipt, match="no RSA key"):
        load_public_key(pem)
    for junk in (b"", b"hello", pem[:40], farm.config.key.to_pem()[:-30]):
        with pytest.raises(InvalidReceipt, match="no public key"):
            load_public_key(junk)
