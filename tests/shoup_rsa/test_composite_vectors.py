"""The frozen encodings of composite keys, written by the twin (`make_composite_vectors.py`)."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from shoup_rsa import (
    CompositeKeyShare,
    CompositePublicKey,
    CompositeSignatureShare,
    KeyShare,
    Scheme,
    SignatureShare,
    open_key_share,
    public_key_from_bytes,
)
from shoup_rsa import proof as proofs
from shoup_rsa.composite import check_opening, commit
from tests.shoup_rsa.make_composite_vectors import PATH
from tests.shoup_rsa.test_vectors import fixed

KEYS: list[dict[str, Any]] = json.loads(PATH.read_text())["keys"]
EACH_KEY = pytest.mark.parametrize("entry", KEYS, ids=["2 of 3", "3 of 4", "three dealers"])


def load(entry: dict[str, Any]) -> CompositePublicKey:
    return CompositePublicKey.from_bytes(bytes.fromhex(entry["public_key"]))


def key_share(entry: dict[str, Any], index: int) -> CompositeKeyShare:
    key = load(entry)
    pairs = zip(key.factors, entry["factors"], strict=True)
    shares = (KeyShare(factor, index, int(known["secrets"][index - 1], 16)) for factor, known in pairs)
    return CompositeKeyShare(key, tuple(shares))


@EACH_KEY
def test_the_public_key_is_frozen(entry: dict[str, Any]) -> None:
    key = load(entry)
    assert key.to_bytes().hex() == entry["public_key"]
    assert key.key_id.hex() == entry["key_id"]
    assert public_key_from_bytes(key.to_bytes()) == key
    assert [factor.modulus for factor in key.factors] == [
        int(known["p"], 16) * int(known["q"], 16) for known in entry["factors"]
    ]
    key.check_dealing()


@EACH_KEY
def test_commitments_are_frozen(entry: dict[str, Any]) -> None:
    nonce = bytes.fromhex(entry["nonce"])
    for factor, commitment in zip(load(entry).factors, entry["commitments"], strict=True):
        assert commit(factor, nonce).hex() == commitment
        check_opening(bytes.fromhex(commitment), factor, nonce)


@EACH_KEY
def test_the_sealed_key_share_is_frozen(entry: dict[str, Any]) -> None:
    opened = open_key_share(entry["sealed_share_1"].encode(), entry["passphrase"].encode(), load(entry))
    assert opened.index == 1
    assert opened.secret_to_bytes() == key_share(entry, 1).secret_to_bytes()


@EACH_KEY
def test_shares_proofs_and_signatures_are_frozen(entry: dict[str, Any]) -> None:
    key = load(entry)
    for case in entry["cases"]:
        message, scheme = bytes.fromhex(case["message"]), Scheme(case["scheme"])
        parts = key.represent(message, scheme).parts
        assert [part.adjusted for part in parts] == [symbol == -1 for symbol in case["symbols"]]
        shares = []
        for number, expected in enumerate(case["shares"]):
            member = key_share(entry, number + 1)
            share = member.sign_share(message, scheme)
            assert share.to_bytes(key).hex() == expected
            shares.append(share)
            for form in ("compact", "batchable"):
                proven = CompositeSignatureShare.from_bytes(key, bytes.fromhex(case[form][number]))
                key.verify_share(message, proven, scheme)
                made = []
                for part, own, nonce in zip(parts, member.factor_shares, case["nonces"][number], strict=True):
                    drawn = proofs.draw_nonce(part.key, partial(fixed, int(nonce, 16) - 1))
                    value = shares[-1].value[len(made)]
                    batchable = form == "batchable"
                    proof = proofs.prove(
                        part.key, number + 1, own._secret, part, value, drawn, batchable=batchable
                    )
                    made.append(SignatureShare(number + 1, value, proof))
                assert CompositeSignatureShare.of(tuple(made)).to_bytes(key).hex() == case[form][number]
        assert key.combine(message, shares, scheme).hex() == case["signature"]
        assert key.combine(message, shares[-key.threshold :], scheme).hex() == case["signature"]


def test_the_vectors_cover_both_symbols() -> None:
    symbols = {tuple(case["symbols"]) for entry in KEYS[:2] for case in entry["cases"]}
    assert {1, -1} == {symbol for row in symbols for symbol in row}
    assert any(len(set(row)) == 2 for row in symbols)
