"""A request file: one spelling, and nothing in it can be changed by who carries it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alliance.config.identity import certify_itself
from alliance.config.parties import Client, Member
from alliance.errors import ConfigError
from alliance.founding import request as requests
from alliance.founding.request import FILE_BYTES_MAX, Request, Seat, grouped
from alliance.keys import ed25519
from consensus.control.draft import key_message
from consensus.control.rows import Role
from quorum.receivers import ReceiverKey
from tests.alliance.founding.applicants import Applicant, applicants, client
from tests.worlds.founding import receiver


@pytest.fixture(scope="module")
def anna() -> Applicant:
    return applicants()[0]


@pytest.fixture(scope="module")
def other() -> Applicant:
    return Applicant("anna", "anna-ag", receiver(1))


def refuse(text: str, match: str = "") -> None:
    with pytest.raises(ConfigError, match=f"^anna.request.*{match}"):
        Request.from_toml(text, "anna.request")


def test_what_is_written_is_read_again(anna: Applicant) -> None:
    text = anna.request.to_toml()
    read = Request.from_toml(text, "anna.request")
    assert (read, read.kind) == (anna.request, "member")
    assert isinstance(read.party, Member)
    assert read.party.receiver is not None
    assert ReceiverKey.from_bytes(read.party.receiver.key) == anna.receiver.key
    for asks in (client("carola"), client("carola", "anna-ag")):
        assert Request.from_toml(asks.to_toml(), "carola.request") == asks
        assert (asks.kind, asks.seat) == ("client", None)
        assert isinstance(asks.party, Client)
        assert asks.party.organisation == asks.client_of


def test_the_fingerprint_is_what_sha256sum_says_and_is_read_out_in_groups(anna: Applicant) -> None:
    digest = hashlib.sha256(anna.request.to_toml().encode()).hexdigest()
    assert anna.request.fingerprint == digest
    assert grouped(digest).split(" ") == [digest[at : at + 4] for at in range(0, 64, 4)]


def test_no_secret_is_in_it_nor_in_its_repr(anna: Applicant) -> None:
    secrets = [anna.identity.private_bytes_raw(), anna.operator.private_bytes_raw()]
    secrets.append(anna.opening.private_bytes_raw())
    for text in (anna.request.to_toml(), repr(anna.request)):
        assert not any(secret.hex() in text for secret in secrets)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_every_altered_byte_is_refused(anna: Applicant) -> None:
    """One byte in each seventeen, and whatever separates fields and lines."""
    text = anna.request.to_toml()
    for at in range(len(text)):
        if at % 17 == 0 or text[at] in '\n"=':
            altered = text[:at] + ("7" if text[at] != "7" else "8") + text[at + 1 :]
            refuse(altered)


@pytest.mark.parametrize("line", requests._MEMBER_KEYS)
def test_every_field_is_needed_once_and_is_the_signers_own(
    anna: Applicant, other: Applicant, line: str
) -> None:
    text, theirs = anna.request.to_toml(), other.request.to_toml()
    field = re.compile(rf'^{line} = ("""\n.*?"""|"[^"]*")\n', re.MULTILINE | re.DOTALL)
    (mine,), (foreign,) = field.finditer(text), field.finditer(theirs)
    refuse(text.replace(mine.group(), ""))
    refuse(text.replace(mine.group(), mine.group() * 2), "is no request")
    refuse(text.replace(mine.group(), f"{line} = 7\n"))
    if mine.group() != foreign.group():  # a field of another's valid request
        refuse(text.replace(mine.group(), foreign.group()))


def test_what_is_truncated_too_long_or_of_another_kind_is_refused(anna: Applicant) -> None:
    text = anna.request.to_toml()
    for end in range(0, len(text), 97):
        refuse(text[:end])
    refuse(text + "#" * (FILE_BYTES_MAX - len(text) + 1), "larger than")
    refuse(text + "#\n", "edited")
    refuse(text.replace("alliance-request/1", "alliance-request/2"), "its format")
    refuse(text.replace('kind = "member"', 'kind = "client"'), "unknown key")
    refuse(text + "more = 1\n", "unknown key 'more'")
    refuse("a" * 200, "no request")
    refuse("a = " + "[" * 5000, "no request")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"name": "Anna"}, "is no name"),
        ({"name": "../anna"}, "is no name"),
        ({"name": "bert"}, "bears another name"),
        ({"organisation": "a/b"}, "is no name"),
        ({"organisation": "bert-ag"}, "operator_signature does not fit"),
        ({"address": "anna.example"}, "is no address"),
        ({"address": 'x"y:1'}, ""),
        ({"address": "anna.example:0"}, "is no address"),
        ({"operator": bytes(31)}, "Ed25519"),
        ({"operator": Ed25519PrivateKey.generate().public_key().public_bytes_raw()}, "operator_signature"),
        ({"operator": bytes(32)}, "operator_signature"),  # a point of small order
        ({"opening_key": bytes(32)}, "X25519"),
        ({"opening_key": b"\x01" + bytes(31)}, "X25519"),
        ({"opening_key": bytes(31)}, "X25519"),
        ({"operator_signature": bytes(64)}, "operator_signature"),
        ({"operator_signature": b""}, "operator_signature"),
    ],
)
def test_its_own_signature_does_not_make_nonsense_right(
    anna: Applicant, changes: dict[str, object], match: str
) -> None:
    refuse(anna.says(**changes).to_toml(), match)


def test_every_field_is_signed(anna: Applicant, other: Applicant) -> None:
    """With a value that could stand there: only the signature tells."""
    assert anna.request.seat is not None
    assert other.request.seat is not None
    mine, theirs = anna.request.seat, other.request.seat
    encoded = other.receiver.key.to_bytes()
    statement = requests.Receiver.statement("anna", anna.request.identity, encoded)
    for changed in (
        {"organisation": "bert-ag"},
        {"address": "mallory.example:7400"},
        {"operator": theirs.operator},
        {"opening_key": theirs.opening_key},
        {"receiver": requests.Receiver(encoded, anna.identity.sign(statement))},
        {"operator_signature": theirs.operator_signature},
    ):
        altered = replace(anna.request, seat=replace(mine, **changed))  # type: ignore[arg-type]
        refuse(altered.to_toml(), "its signature does not fit")


def test_an_operator_key_is_no_identity(anna: Applicant) -> None:
    alone = replace(anna, operator=anna.identity)
    refuse(alone.request.to_toml(), "the operator key is the identity")


def test_a_receiver_key_is_signed_and_one_to_which_shares_can_be_sealed(
    anna: Applicant, other: Applicant
) -> None:
    assert anna.request.seat is not None
    assert other.request.seat is not None
    refuse(anna.says(receiver=other.request.seat.receiver).to_toml(), "not one that its identity has signed")
    encoded = anna.receiver.key.to_bytes()
    for wrong in (encoded[:-1], encoded + b"\0", b"", encoded[:40] + bytes(len(encoded) - 40), bytes(5000)):
        statement = requests.Receiver.statement("anna", anna.request.identity, wrong)
        signed = requests.Receiver(wrong, anna.identity.sign(statement))
        refuse(anna.says(receiver=signed).to_toml(), "")


def test_a_certificate_is_the_identitys_own(anna: Applicant, other: Applicant) -> None:
    refuse(anna.says(certificate=other.request.certificate).to_toml(), "not for its identity key")
    refuse(anna.says(certificate=certify_itself("bert", anna.identity)).to_toml(), "bears another name")


def test_nobody_asks_in_the_name_of_an_organisation_whose_operator_key_he_does_not_have(
    anna: Applicant, other: Applicant
) -> None:
    assert anna.request.seat is not None
    mine: Seat = anna.request.seat
    stolen = other.says(operator=mine.operator, operator_signature=mine.operator_signature)
    refuse(stolen.to_toml(), "operator_signature does not fit")


def test_a_members_request_does_not_pass_as_a_clients(anna: Applicant) -> None:
    as_client = replace(anna.request, seat=None)
    refuse(as_client.to_toml(), "signature does not fit")
    refuse(anna.request.to_toml().replace("\n", "\r\n"), "edited")


def test_anybody_may_ask_with_a_fresh_opening_key(anna: Applicant) -> None:
    fresh = anna.says(opening_key=X25519PrivateKey.generate().public_key().public_bytes_raw())
    assert Request.from_toml(fresh.to_toml(), "anna.request") == fresh


def test_a_client_asks_an_alliance_that_exists_and_its_key_has_signed_for_that_place() -> None:
    key, alliance_id = Ed25519PrivateKey.generate(), bytes(range(32))
    asked = requests.request_as_client("carola", key, "north", alliance_id)
    text = asked.to_toml()
    assert Request.from_toml(text, "carola.request") == asked
    assert asked.admission is not None
    assert asked.admission.proof.hex() not in repr(asked)
    assert "operator of 'north'" in text
    for old, new in (
        (alliance_id.hex(), bytes(32).hex()),
        ('organisation = "north"', 'organisation = "south"'),
        (asked.admission.proof.hex(), bytes(64).hex()),
        (f'proof = "{asked.admission.proof.hex()}"\n', ""),
        (f'alliance_id = "{alliance_id.hex()}"\n', ""),
        ('organisation = "north"\n', ""),
    ):
        with pytest.raises(ConfigError, match=r"^carola\.request"):
            Request.from_toml(text.replace(old, new), "carola.request")
    # Signed again by its own identity, a proof for another place is none for this one.
    elsewhere = requests.request_as_client("carola", key, "south", alliance_id)
    lie = replace(asked, admission=elsewhere.admission)
    lie = replace(lie, signature=key.sign(lie.statement()))
    with pytest.raises(ConfigError, match="its proof does not fit"):
        Request.from_toml(lie.to_toml(), "carola.request")


# -- to an alliance that exists ------------------------------------------------------------------------


ALLIANCE, ANOTHER = b"a" * 32, b"b" * 32


def test_a_member_asks_an_alliance_that_exists(anna: Applicant) -> None:
    asked = anna.asks(ALLIANCE)
    text = asked.to_toml()
    assert Request.from_toml(text, "anna.request") == asked
    assert "opening_key" not in text
    assert "Send it to whoever is an operator there" in text
    assert asked.seat is not None
    assert asked.seat.opening_key == b""
    assert asked.admission is not None
    for role, key, proof in (
        (Role.MEMBER, asked.identity, asked.admission.proof),
        (Role.OPERATOR, asked.seat.operator, asked.admission.operator_proof),
    ):
        assert ed25519.is_signed(key, proof, key_message(ALLIANCE, "anna-ag", role, key))


@pytest.mark.parametrize("line", sorted({*requests._NEWCOMER_KEYS} - {"format", "kind"}))
def test_every_field_of_it_is_needed_and_for_one_alliance_alone(anna: Applicant, line: str) -> None:
    text, elsewhere = anna.asks(ALLIANCE).to_toml(), anna.asks(ANOTHER).to_toml()
    field = re.compile(rf'^{line} = ("""\n.*?"""|"[^"]*")\n', re.MULTILINE | re.DOTALL)
    (mine,), (other,) = field.finditer(text), field.finditer(elsewhere)
    refuse(text.replace(mine.group(), ""))
    if mine.group() != other.group():
        refuse(text.replace(mine.group(), other.group()))


def test_proofs_for_another_alliance_or_role_are_none(anna: Applicant) -> None:
    """Signed by the member itself nevertheless, as whoever has its key may."""
    asked, elsewhere = anna.asks(ALLIANCE), anna.asks(ANOTHER)
    assert asked.admission is not None
    assert elsewhere.admission is not None
    for proofs, match in (
        (elsewhere.admission, ""),
        (replace(asked.admission, alliance_id=ANOTHER), "operator_proof does not fit"),
        (replace(asked.admission, operator_proof=asked.admission.proof), "operator_proof does not fit"),
        (replace(asked.admission, proof=asked.admission.operator_proof), "its proof does not fit"),
        (replace(asked.admission, proof=b""), "its proof does not fit"),
    ):
        altered = replace(asked, admission=proofs)
        altered = replace(altered, signature=anna.identity.sign(altered.statement()))
        if proofs is elsewhere.admission:
            assert Request.from_toml(altered.to_toml(), "anna.request") == altered
        else:
            refuse(altered.to_toml(), match)
