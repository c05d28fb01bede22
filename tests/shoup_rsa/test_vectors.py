"""The frozen encodings. The vectors were written by the twin (`make_vectors.py`), not by the package."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from shoup_rsa import InvalidShare, KeyShare, Scheme, SignatureShare, ThresholdPublicKey, open_key_share
from shoup_rsa import proof as proofs
from shoup_rsa.encoding import represent
from tests.shoup_rsa.make_vectors import PATH, PATH_1

KEYS: list[dict[str, Any]] = json.loads(PATH.read_text())["keys"]
KEYS_1: list[dict[str, Any]] = json.loads(PATH_1.read_text())["keys"]
CASES = [
    pytest.param(key, case, id=f"{key['protocol']} n={key['parties']} {case['comment']}")
    for key in KEYS + KEYS_1
    for case in key["cases"]
]
EACH_KEY = pytest.mark.parametrize(
    "key", KEYS + KEYS_1, ids=[f"{key['protocol']} n={key['parties']}" for key in KEYS + KEYS_1]
)


def load(key: dict[str, Any]) -> ThresholdPublicKey:
    return ThresholdPublicKey.from_bytes(bytes.fromhex(key["public_key"]))


def fixed(number: int, bound: int) -> int:
    """A generator that has decided already."""
    return number % bound


def key_share(key: dict[str, Any], index: int) -> KeyShare:
    return KeyShare(load(key), index, int(key["secrets"][index - 1], 16))


@EACH_KEY
def test_the_public_key_encoding_is_frozen(key: dict[str, Any]) -> None:
    public_key = load(key)
    assert public_key.to_bytes().hex() == key["public_key"]
    assert public_key.key_id.hex() == key["key_id"]
    assert public_key.modulus == int(key["p"], 16) * int(key["q"], 16)
    assert (public_key.parties, public_key.threshold) == (key["parties"], key["threshold"])
    assert (public_key.corruptions, public_key.epoch) == (key["corruptions"], key["epoch"])
    assert public_key.protocol == key["protocol"]
    assert public_key.verification_base == int(key["v"], 16)
    assert public_key.nonresidue == (int(key["u"], 16) if key["protocol"] == 2 else None)
    public_key.check_dealing()


@EACH_KEY
def test_every_key_share_matches_its_verification_key(key: dict[str, Any]) -> None:
    for index in range(1, key["parties"] + 1):
        key_share(key, index).check()


@EACH_KEY
def test_the_sealed_key_share_is_frozen(key: dict[str, Any]) -> None:
    opened = open_key_share(key["sealed_share_1"].encode(), key["passphrase"].encode(), load(key))
    assert opened.index == 1
    assert opened.sign_share(b"x") == key_share(key, 1).sign_share(b"x")


@pytest.mark.parametrize(("key", "case"), CASES)
def test_shares_and_signature_are_frozen(key: dict[str, Any], case: dict[str, Any]) -> None:
    public_key, message = load(key), bytes.fromhex(case["message"])
    assert represent(public_key, message, Scheme.PKCS1V15_SHA256).adjusted == (
        case["symbol"] == -1 and key["protocol"] == 2
    )
    shares = []
    for index, expected in enumerate(case["shares"], start=1):
        made = key_share(key, index).sign_share(message)
        assert made.to_bytes(public_key).hex() == expected
        assert SignatureShare.from_bytes(public_key, bytes.fromhex(expected)) == made
        shares.append(made)
    assert public_key.combine(message, shares).hex() == case["signature"]
    assert public_key.combine(message, shares[-public_key.threshold :]).hex() == case["signature"]
    public_key.verify(message, bytes.fromhex(case["signature"]))


@pytest.mark.parametrize(("key", "case"), CASES)
def test_proofs_are_frozen(key: dict[str, Any], case: dict[str, Any]) -> None:
    public_key, message = load(key), bytes.fromhex(case["message"])
    x = represent(public_key, message, Scheme.PKCS1V15_SHA256)
    for index in range(1, min(public_key.parties, 6) + 1):
        expected = bytes.fromhex(case["shares_with_proof"][index - 1])
        share = SignatureShare.from_bytes(public_key, expected)
        public_key.verify_share(message, share)
        nonce = int(case["nonces"][index - 1], 16)
        secret = int(key["secrets"][index - 1], 16)
        drawn = proofs.draw_nonce(public_key, partial(fixed, nonce - 1))
        proof = proofs.prove(public_key, index, secret, x, share.value, drawn)
        assert SignatureShare(index, share.value, proof).to_bytes(public_key) == expected
        with pytest.raises(InvalidShare):
            public_key.verify_share(message + b"!", share)


def test_the_vectors_cover_both_symbols_and_leading_zeros() -> None:
    comments = {case["comment"] for key in KEYS + KEYS_1 for case in key["cases"]}
    assert {"Jacobi symbol +1", "Jacobi symbol -1", "signature with a leading zero byte"} <= comments
    for key in KEYS + KEYS_1:
        assert {case["symbol"] for case in key["cases"]} == {1, -1}
        for case in key["cases"]:
            if case["comment"].startswith("signature with"):
                assert case["signature"].startswith("00")
            if case["comment"].startswith("share 1"):
                start = "0100000100" if key["protocol"] == 2 else "02000000000100"
                assert case["shares"][0].startswith(start)
