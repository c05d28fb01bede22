"""Vectors for the six schemes, for both forms of a proof and for shares that must be refused.

They were written by `make_scheme_vectors.py`, without the package. Here the package meets them, and so do
sympy, `cryptography` and, where the inputs suffice, the twin once more.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from sympy import isprime, jacobi_symbol

from shoup_rsa import (
    BatchableProof,
    InvalidShare,
    KeyShare,
    Proof,
    Scheme,
    SignatureShare,
    ThresholdPublicKey,
)
from shoup_rsa import proof as proofs
from shoup_rsa.encoding import represent
from tests.shoup_rsa.make_scheme_vectors import PATH, SCHEMES
from tests.shoup_rsa.make_scheme_vectors import case as made_by_the_twin
from tests.shoup_rsa.make_vectors import PATH as PATH_2
from tests.shoup_rsa.make_vectors import PATH_1
from tests.shoup_rsa.test_vectors import fixed, key_share, load
from tests.shoup_rsa.twin import Twin

KEYS: list[dict[str, Any]] = json.loads(PATH.read_text())["keys"]
OLDER: list[dict[str, Any]] = [
    key for path in (PATH_1, PATH_2) for key in json.loads(path.read_text())["keys"]
]


def name_of(key: dict[str, Any]) -> str:
    return f"protocol {key['protocol']} n={key['parties']}"


EACH = pytest.mark.parametrize(
    ("key", "case"),
    [
        pytest.param(key, case, id=f"{name_of(key)} {case['scheme']} {case['comment']}")
        for key in KEYS
        for case in key["cases"]
    ],
)
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def twin_of(key: dict[str, Any], scheme: str) -> Twin:
    p, q, v, u = (int(key[name], 16) for name in "pqvu")
    sizes = (key["parties"], key["threshold"], key["corruptions"], key["epoch"])
    coefficients = tuple(int(text, 16) for text in key["coefficients"])
    return Twin(p, q, *sizes, coefficients, v, u, key["protocol"], scheme)


@pytest.mark.parametrize("key", KEYS + OLDER, ids=name_of)
def test_sympy_confirms_the_key(key: dict[str, Any]) -> None:
    p, q, v, u = (int(key[name], 16) for name in "pqvu")
    for prime in (p, q):
        assert isprime(prime)
        assert isprime(prime // 2)
    assert jacobi_symbol(v, p) == jacobi_symbol(v, q) == 1
    assert jacobi_symbol(u, p * q) == -1
    assert (p * q).bit_length() % 128 == 0


@EACH
def test_members_make_these_shares_and_this_signature(key: dict[str, Any], case: dict[str, Any]) -> None:
    public_key, message, scheme = load(key), bytes.fromhex(case["message"]), Scheme(case["scheme"])
    shares = [key_share(key, index).sign_share(message, scheme) for index in range(1, key["parties"] + 1)]
    assert [share.to_bytes(public_key).hex() for share in shares] == case["shares"]
    signature = bytes.fromhex(case["signature"])
    threshold = public_key.threshold
    assert public_key.combine(message, shares[:threshold], scheme) == signature
    assert public_key.combine(message, shares[-threshold:], scheme) == signature
    public_key.verify(message, signature, scheme)


@pytest.mark.parametrize("key", [key for key in KEYS if len(key["p"]) > 512 // 4], ids=name_of)
def test_stock_verifiers_take_the_signatures(key: dict[str, Any]) -> None:
    """Those of cryptography, which takes keys of 1024 bits and more."""
    stock = RSAPublicNumbers(65537, int(key["p"], 16) * int(key["q"], 16)).public_key()
    for case in key["cases"]:
        algorithm = HASHES[case["scheme"][2:]]
        chosen: Any = padding.PKCS1v15()
        if case["scheme"].startswith("PS"):
            chosen = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
        stock.verify(bytes.fromhex(case["signature"]), bytes.fromhex(case["message"]), chosen, algorithm)


@EACH
def test_the_proofs_are_these(key: dict[str, Any], case: dict[str, Any]) -> None:
    public_key, message, scheme = load(key), bytes.fromhex(case["message"]), Scheme(case["scheme"])
    index = key["parties"]
    secret, nonce = int(key["secrets"][index - 1], 16), int(case["nonce"], 16)
    for form in ("compact", "batchable"):
        given = bytes.fromhex(case[form])
        share = SignatureShare.from_bytes(public_key, given)
        assert isinstance(share.proof, Proof if form == "compact" else BatchableProof)
        public_key.verify_share(message, share, scheme)
        drawn = proofs.draw_nonce(public_key, partial(fixed, nonce - 1))
        x = represent(public_key, message, scheme)
        made = proofs.prove(public_key, index, secret, x, share.value, drawn, batchable=form == "batchable")
        assert SignatureShare(index, share.value, made).to_bytes(public_key) == given


def spoiled(public_key: ThresholdPublicKey, given: bytes) -> dict[str, bytes]:
    """What must be refused, each with its reason in words."""
    width, head = public_key.signature_length, 2 + 2 * public_key.encoding_version
    value = int.from_bytes(given[head : head + width], "big")

    def with_value(number: int) -> bytes:
        return given[:head] + number.to_bytes(width, "big") + given[head + width :]

    def with_index(number: int) -> bytes:
        return given[:2] + number.to_bytes(head - 2, "big") + given[head:]

    def changed(at: int) -> bytes:
        return given[:at] + bytes((given[at] ^ 1,)) + (given[at:][1:])

    index = int.from_bytes(given[2:head], "big")
    return {
        "N - x_i": with_value(public_key.modulus - value),
        "0": with_value(0),
        "N": with_value(public_key.modulus),
        "x_i + 1": with_value(value + 1),
        "index 0": with_index(0),
        "index n + 1": with_index(public_key.parties + 1),
        "another member's index": with_index(index - 1 or index + 1),
        "another version": changed(0),
        "another form": changed(1),
        "c or v' + 1": changed(head + width + 15),
        "z + 1": changed(len(given) - 1),
        "z too long": given[: -width - 33] + b"\xff" + given[-width - 32 :],
        "truncated": given[:-1],
        "a zero more": given + b"\0",
        "empty": b"",
    }


def accepted(public_key: ThresholdPublicKey, message: bytes, scheme: Scheme, data: bytes) -> bool:
    try:
        public_key.verify_share(message, SignatureShare.from_bytes(public_key, data), scheme)
    except InvalidShare:
        return False
    return True


@pytest.mark.parametrize("key", KEYS, ids=name_of)
@pytest.mark.parametrize("form", ["compact", "batchable"])
def test_spoiled_vectors_are_refused(key: dict[str, Any], form: str) -> None:
    public_key, case = load(key), key["cases"][0]
    message, scheme = bytes.fromhex(case["message"]), Scheme(case["scheme"])
    for comment, data in spoiled(public_key, bytes.fromhex(case[form])).items():
        assert not accepted(public_key, message, scheme, data), comment
    assert accepted(public_key, message, scheme, bytes.fromhex(case[form]))
    assert not accepted(public_key, message + b"!", scheme, bytes.fromhex(case[form]))


@pytest.mark.parametrize("key", [key for key in KEYS if key["parties"] == 3], ids=name_of)
def test_the_twin_makes_the_same_again(key: dict[str, Any]) -> None:
    """So the file is what its source says. A few cases of two keys, as the twin is slow."""
    for case in key["cases"][::4]:
        twin = twin_of(key, case["scheme"])
        assert twin.public_key().hex() == key["public_key"]
        message, nonce = bytes.fromhex(case["message"]), int(case["nonce"], 16)
        assert made_by_the_twin(twin, case["comment"], message, nonce) == case


def test_the_vectors_cover_what_they_are_for() -> None:
    seen = {(key["protocol"], case["scheme"], case["symbol"]) for key in KEYS for case in key["cases"]}
    assert seen >= {
        (protocol, scheme, symbol) for protocol in (1, 2) for scheme in SCHEMES for symbol in (1, -1)
    }
    assert {(key["protocol"], key["parties"]) for key in KEYS} >= {(1, 31), (2, 31), (2, 4)}
    for key in KEYS:
        public_key = load(key)
        head = 2 + 2 * public_key.encoding_version
        zeros = {case["comment"]: case for case in key["cases"] if "zero byte" in case["comment"]}
        if key["parties"] == 3:
            assert zeros["signature starts with a zero byte"]["signature"].startswith("00")
            share = zeros["last share starts with a zero byte"]["shares"][-1]
            assert share[2 * head :].startswith("00")
            proof = bytes.fromhex(zeros["response starts with zero bytes"]["compact"])
            assert proof[-public_key.signature_length - 33 :].startswith(bytes(16))


def test_a_key_share_of_the_vectors_is_the_keys() -> None:
    for key in KEYS:
        load(key).check_dealing()
        for index in (1, key["parties"]):
            share: KeyShare = key_share(key, index)
            share.check()
