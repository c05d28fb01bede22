"""A dealing file: everybody may read it, each member opens its own part, and finds out what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alliance.config.file import ATTESTATION
from alliance.config.founding import AGREEMENT
from alliance.errors import ConfigError
from alliance.founding import dealing as dealing_files
from alliance.founding.dealing import FILE_BYTES_MAX, Dealing, seal_shares
from alliance.founding.request import Request
from quorum.threshold_rsa import AgreementKey, ThresholdRsaEndorser
from tests.alliance.farm import Farm
from tests.alliance.founding.applicants import Applicant, applicants, client

CONTEXT = b"\x07" * 32
Keys = list[tuple[str, AgreementKey, list[ThresholdRsaEndorser]]]


@pytest.fixture(scope="module")
def members() -> list[Applicant]:
    return applicants()


@pytest.fixture(scope="module")
def keys(farm: Farm) -> Keys:
    attestation = farm.config.purpose_key(ATTESTATION)
    return [(AGREEMENT, farm.config.key, farm.endorsers), (ATTESTATION, attestation, farm.attesters)]


@pytest.fixture(scope="module")
def dealing(members: list[Applicant], keys: Keys) -> Dealing:
    return seal_shares(CONTEXT, [member.request for member in members], keys)


def opened(dealing: Dealing, member: Applicant) -> dict[str, ThresholdRsaEndorser]:
    return dealing.open(member.request, member.opening, "farm.dealing")


def refuse(dealing: Dealing, member: Applicant, match: str) -> None:
    with pytest.raises(ConfigError, match=f"^farm.dealing.*{match}"):
        opened(dealing, member)


def unreadable(text: str, match: str) -> None:
    with pytest.raises(ConfigError, match=f"^farm.dealing.*{match}"):
        Dealing.from_json(text, "farm.dealing")


def test_each_member_opens_its_shares_and_nobody_elses(
    dealing: Dealing, members: list[Applicant], farm: Farm
) -> None:
    read = Dealing.from_json(dealing.to_json(), "farm.dealing")
    assert read == dealing
    for index, member in enumerate(members):
        shares = opened(read, member)
        assert list(shares) == [AGREEMENT, ATTESTATION]
        said = shares[AGREEMENT].endorse(b"message", proven=False)
        assert said == farm.endorsers[index].endorse(b"message", proven=False)
        for other in members:
            if other is not member:
                refuse(read, replace(member, opening=other.opening), "does not open with the one-time key")


def test_no_share_is_in_it(dealing: Dealing, farm: Farm) -> None:
    text = dealing.to_json()
    for endorser in (*farm.endorsers, *farm.attesters):
        secret = endorser._share._secret
        for spelling in (str(secret), f"{secret:x}"):
            assert spelling not in text
    assert text.count("ENCRYPTED") == 0
    assert "secret" not in repr(dealing)


def _swapped_parts(dealing: Dealing) -> Dealing:
    one, two, *rest = dealing.members
    return replace(dealing, members=(replace(two, member=one.member), replace(one, member=two.member), *rest))


def _swapped_places(dealing: Dealing) -> Dealing:
    one, two, *rest = dealing.members
    return replace(dealing, members=(two, one, *rest))


def _anna(change: Callable[..., dict[str, object]]) -> Callable[[Dealing], Dealing]:
    def altered(dealing: Dealing) -> Dealing:
        first, *rest = dealing.members
        return replace(dealing, members=(replace(first, **change(first)), *rest))  # type: ignore[arg-type]

    return altered


def _flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


@pytest.mark.parametrize(
    ("alter", "match"),
    [
        (lambda dealing: replace(dealing, context=bytes(32)), "does not open"),
        (lambda dealing: replace(dealing, keys=dealing.keys[::-1]), "does not open"),
        (lambda dealing: replace(dealing, members=dealing.members[1:]), "holds no shares for 'anna'"),
        (_swapped_parts, "does not open"),
        (_swapped_places, "share of 'anna' of the agreement key is wrong: it is that of member 1, not of 2"),
        (_anna(lambda one: {"encapsulated": _flipped(one.encapsulated)}), "does not open"),
        (_anna(lambda one: {"encapsulated": bytes(32)}), "does not open"),
        (_anna(lambda one: {"encapsulated": b""}), "does not open"),
        (_anna(lambda one: {"wrapped_key": _flipped(one.wrapped_key)}), "does not open"),
        (_anna(lambda one: {"wrapped_key": b""}), "does not open"),
        (_anna(lambda one: {"shares": one.shares[::-1]}), "of 'anna' of the agreement key is wrong"),
        (_anna(lambda one: {"shares": (one.shares[0][:-90], one.shares[1])}), "agreement key is wrong"),
        (_anna(lambda one: {"shares": (one.shares[0], b"")}), "of 'anna' of the attestation key is wrong"),
    ],
)
def test_what_was_altered_or_is_for_somebody_else_is_refused(
    dealing: Dealing, members: list[Applicant], alter: Callable[[Dealing], Dealing], match: str
) -> None:
    refuse(alter(dealing), members[0], match)


def test_a_part_for_another_request_of_the_same_name_does_not_open(
    dealing: Dealing, members: list[Applicant]
) -> None:
    impostor = replace(members[0], identity=Ed25519PrivateKey.generate())
    refuse(dealing, impostor, "dealt for another request")
    refuse(dealing, replace(members[0], opening=X25519PrivateKey.generate()), "does not open")


def test_a_dealer_who_deals_falsely_is_found_out(members: list[Applicant], keys: Keys) -> None:
    """Another's share, a share of another key, and verification keys that do not fit each other."""
    requests = [member.request for member in members]
    (_, key, endorsers), (_, other_key, others) = keys
    rotated = [*endorsers[1:], endorsers[0]]
    refuse(
        seal_shares(CONTEXT, requests, [(AGREEMENT, key, rotated)]), members[0], "that of member 2, not of 1"
    )
    refuse(seal_shares(CONTEXT, requests, [(AGREEMENT, key, others)]), members[0], "agreement key is wrong")
    one, two, *rest = key.verification_keys
    crooked = replace(key, verification_keys=(two, one, *rest))
    refuse(
        seal_shares(CONTEXT, requests, [(AGREEMENT, crooked, endorsers)]), members[3], "not a dealing of this"
    )
    assert other_key.modulus != key.modulus
    for length in (0, 31, 33):  # properly sealed, and no key
        with (
            patch.object(dealing_files, "_SEALING_KEY_BYTES", length),
            patch.object(ThresholdRsaEndorser, "seal", lambda *_: b"nothing"),
        ):
            short = seal_shares(CONTEXT, requests, [(AGREEMENT, key, endorsers)])
        refuse(short, members[0], "does not open with the one-time key")


def test_a_dealers_operator_signs_all_of_it(dealing: Dealing) -> None:
    operator = Ed25519PrivateKey.generate()
    public = operator.public_key().public_bytes_raw()
    signed = Dealing.from_json(dealing.signed(operator).to_json(), "farm.dealing")
    signed.require_signature(public, "farm.dealing")
    stranger = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    for altered, signer in (
        (dealing, public),
        (signed, stranger),
        (replace(signed, operator=stranger), stranger),
        (replace(signed, context=bytes(32)), public),
        (replace(signed, keys=signed.keys[:1]), public),
        (replace(signed, members=signed.members[1:]), public),
        (_swapped_places(signed), public),
        (replace(signed, signature=b""), public),
    ):
        with pytest.raises(ConfigError, match="not signed by its dealer"):
            altered.require_signature(signer, "farm.dealing")


def test_clients_get_no_shares(keys: Keys) -> None:
    with pytest.raises(ValueError, match="gets no shares"):
        seal_shares(CONTEXT, [client("carola")], keys)


def edit(text: str, change: Callable[[dict[str, Any]], object]) -> str:
    table = json.loads(text)
    change(table)
    return json.dumps(table, indent=1) + "\n"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda table: table.pop("format"), "is no dealing file of this version"),
        (lambda table: table.update(format="alliance-dealing/2"), "is no dealing file of this version"),
        (lambda table: table.pop("context"), "missing or wrong"),
        (lambda table: table.update(context="00" * 31), "context has 32 bytes"),
        (lambda table: table.update(context="00" * 31 + "0G"), "missing or wrong"),
        (lambda table: table.update(keys=[]), "1 to 17 keys"),
        (lambda table: table.update(keys=table["keys"][:1] * 18), "1 to 17 keys"),
        (lambda table: table.update(keys=table["keys"][:1] * 2), "two keys have one purpose"),
        (lambda table: table["keys"][0].update(purpose="Agreement"), "a-z"),
        (lambda table: table["keys"][0].update(key="AAAA"), "missing or wrong"),
        (lambda table: table.update(keys=7), "missing or wrong"),
        (lambda table: table.update(keys=[7]), "missing or wrong"),
        (lambda table: table.pop("members"), "missing or wrong"),
        (lambda table: table["members"].append(table["members"][0]), "there twice"),
        (lambda table: table["members"][0].update(name=7), "a-z"),
        (lambda table: table["members"][0].update(wrapped_key=7), "missing or wrong"),
        (lambda table: table["members"][0].pop("encapsulated_key"), "missing or wrong"),
        (lambda table: table["members"][0]["shares"].pop(), "1 shares for 2 keys"),
        (lambda table: table["members"][0].update(shares=["ä", "b"]), "missing or wrong"),
        (lambda table: table["members"][0].update(shares=[7, 8]), "missing or wrong"),
        (lambda table: table["members"][0].update(more=1), "edited"),
        (lambda table: table.update(more=1), "edited"),
        (lambda table: table.update(operator="00" * 32), "missing or wrong"),
        (lambda table: table.update(operator="", signature=""), "edited"),
    ],
)
def test_a_malformed_file_is_refused(
    dealing: Dealing, change: Callable[[dict[str, Any]], object], match: str
) -> None:
    unreadable(edit(dealing.to_json(), change), match)


def test_what_is_truncated_or_no_such_file_is_refused(dealing: Dealing, members: list[Applicant]) -> None:
    text = dealing.to_json()
    assert edit(text, lambda table: None) == text
    for end in range(0, len(text), len(text) // 20):
        unreadable(text[:end], "no dealing file")
    unreadable(text + "\n", "edited")
    unreadable(text.replace('"context"', '"context": "", "context"'), "no dealing file")
    unreadable(members[0].request.to_toml(), "no dealing file")
    unreadable("[]", "no dealing file of this version")
    unreadable(" " * (FILE_BYTES_MAX + 1), "larger than")


def test_its_request_is_what_a_part_is_for(dealing: Dealing, members: list[Applicant]) -> None:
    """The same request read from its file opens it, too."""
    read = Request.from_toml(members[2].request.to_toml(), "carl.request")
    assert dealing.open(read, members[2].opening, "farm.dealing")
