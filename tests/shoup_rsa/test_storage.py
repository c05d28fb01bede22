"""Key shares at rest: what opens, what does not, and what the message says."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoup_rsa import (
    Dealing,
    InvalidKeyFile,
    KeyShare,
    WrongEpoch,
    WrongPassphrase,
    open_key_share,
    seal_key_share,
    storage,
)
from shoup_rsa.encoding import byte_length
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.test_signing import twin_of
from tests.shoup_rsa.test_vectors import KEYS, load
from tests.shoup_rsa.twin import sealed_share

STEADY = settings(derandomize=True, deadline=None, database=None, max_examples=200)
COST = 2**10
PASSPHRASE = b"open sesame"
BEGIN, END = "-----BEGIN SHOUP RSA KEY SHARE-----", "-----END SHOUP RSA KEY SHARE-----"


@pytest.fixture(scope="module")
def sealed(six: Dealing) -> bytes:
    return seal_key_share(six.key_shares[2], PASSPHRASE, scrypt_cost=COST)


def body(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(pem.splitlines()[1:-1]))


def armour(data: bytes) -> bytes:
    text = base64.b64encode(data).decode()
    return "\n".join([BEGIN, *(text[i : i + 64] for i in range(0, len(text), 64)), END, ""]).encode()


def reseal(data: bytes) -> bytes:
    """An attacker's edit: the checksum is made right again."""
    return armour(data[:-32] + hashlib.sha256(data[:-32]).digest())


@pytest.mark.parametrize("cost", [None, COST])
def test_round_trip(six: Dealing, cost: int | None) -> None:
    share = six.key_shares[0]
    pem = (
        seal_key_share(share, PASSPHRASE)
        if cost is None
        else seal_key_share(share, PASSPHRASE, scrypt_cost=cost)
    )
    for expected in (None, six.public_key):
        opened = open_key_share(pem, PASSPHRASE, expected)
        assert opened.index == 1
        assert opened.public_key == six.public_key
        assert opened.sign_share(b"m") == share.sign_share(b"m")


def test_the_text_is_pem_in_ascii_and_shows_no_secret(six: Dealing, sealed: bytes) -> None:
    text = sealed.decode("ascii")
    assert text.startswith(BEGIN + "\n")
    assert text.endswith(END + "\n")
    assert max(map(len, text.splitlines())) <= 64
    secret = six.key_shares[2]._secret
    assert secret.to_bytes(byte_length(secret.bit_length()), "big") not in body(sealed)


def test_sealing_twice_gives_different_bytes(six: Dealing, sealed: bytes) -> None:
    assert seal_key_share(six.key_shares[2], PASSPHRASE, scrypt_cost=COST) != sealed


def test_editors_may_change_line_ends_and_blanks_around_the_text(six: Dealing, sealed: bytes) -> None:
    for edited in (sealed.replace(b"\n", b"\r\n"), b"\n  " + sealed + b"\n\n", sealed.strip()):
        assert open_key_share(edited, PASSPHRASE).index == 3


def test_a_wrong_passphrase_says_so(sealed: bytes) -> None:
    for wrong in (b"open sesame ", b"Open sesame", b"x", PASSPHRASE * 50):
        with pytest.raises(WrongPassphrase, match="try again"):
            open_key_share(sealed, wrong)


def test_another_key_is_refused_before_the_passphrase_is_tried(deal: Deal, sealed: bytes) -> None:
    with pytest.raises(InvalidKeyFile, match="belongs to the key"):
        open_key_share(sealed, b"any", deal(6, 5, 1, seed=2).public_key)


def test_another_epoch_of_the_same_key_is_told_apart_from_another_key(deal: Deal, sealed: bytes) -> None:
    with pytest.raises(WrongEpoch, match="of epoch 0, the key of epoch 1: it went out of use"):
        open_key_share(sealed, b"any", deal(6, 5, 1, epoch=1).public_key)
    later = seal_key_share(deal(6, 5, 1, epoch=1).key_shares[2], PASSPHRASE, scrypt_cost=COST)
    with pytest.raises(WrongEpoch, match="fetch the present one") as refused:
        open_key_share(later, PASSPHRASE, deal(6, 5, 1).public_key)
    assert (refused.value.found, refused.value.expected) == (1, 0)


def test_every_truncation_is_refused(sealed: bytes) -> None:
    for length in range(0, len(sealed) - 1, 7):
        with pytest.raises(InvalidKeyFile):
            open_key_share(sealed[:length], PASSPHRASE)
    data = body(sealed)
    for length in range(0, len(data), 11):
        with pytest.raises(InvalidKeyFile, match="restore the file"):
            open_key_share(armour(data[:length]), PASSPHRASE)
    for length in range(len(data) - 32):
        with pytest.raises(InvalidKeyFile):
            open_key_share(reseal(data[:length] + bytes(32)), PASSPHRASE)


def test_every_flipped_bit_is_refused(sealed: bytes) -> None:
    data = body(sealed)
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(InvalidKeyFile):
            open_key_share(armour(bytes(flipped)), PASSPHRASE)


@given(data=st.data())
@STEADY
def test_every_edit_with_a_corrected_checksum_is_refused(sealed: bytes, data: st.DataObject) -> None:
    """Nothing but the passphrase check tells a changed salt from a wrong passphrase; the rest is exact."""
    raw = bytearray(body(sealed))
    position = data.draw(st.integers(0, len(raw) - 33))
    raw[position] ^= data.draw(st.integers(1, 255))
    cost_position = len(b"shoup-rsa/key-share\0") + 1
    if position == cost_position and 14 < raw[position] <= 18:
        raw[position] = 11  # an honest but slow cost: keep the test quick
    with pytest.raises((InvalidKeyFile, WrongPassphrase)):
        open_key_share(reseal(bytes(raw)), PASSPHRASE)


@pytest.mark.parametrize("part", ["nonce", "index", "ciphertext", "tag"])
def test_the_header_and_the_ciphertext_are_authenticated(sealed: bytes, part: str) -> None:
    raw = bytearray(body(sealed))
    start = len(b"shoup-rsa/key-share\0") + 2
    if part == "index":
        raw[start + 16 + 12 + 32 + 1] = 4  # was 3: a valid index, the wrong member
    else:
        raw[{"nonce": start + 16, "ciphertext": -60, "tag": -40}[part]] ^= 1
    with pytest.raises(InvalidKeyFile, match="altered"):
        open_key_share(reseal(bytes(raw)), PASSPHRASE)


@pytest.mark.parametrize("cost_log2", [0, 9, 19, 40, 255])
def test_a_cost_out_of_bounds_is_refused_without_computing(
    sealed: bytes, cost_log2: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> bytes:
        raise RuntimeError("scrypt must not run")

    monkeypatch.setattr(storage, "scrypt", never)
    raw = bytearray(body(sealed))
    raw[len(b"shoup-rsa/key-share\0") + 1] = cost_log2
    with pytest.raises(InvalidKeyFile, match="scrypt cost"):
        open_key_share(reseal(bytes(raw)), PASSPHRASE)


def test_the_highest_cost_is_tried_and_the_longest_text_read(
    sealed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tried(Exception):
        pass

    def expensive(*_: object, **cost: object) -> bytes:
        assert cost["N"] == 1 << 18
        raise Tried

    monkeypatch.setattr(storage, "scrypt", expensive)
    raw = bytearray(body(sealed))
    raw[len(b"shoup-rsa/key-share\0") + 1] = 18
    with pytest.raises(Tried):
        open_key_share(reseal(bytes(raw)), PASSPHRASE)
    label = "SHOUP RSA KEY SHARE"
    assert storage.remove_armour(label, sealed, len(sealed)) == body(sealed)[:-32]
    with pytest.raises(InvalidKeyFile, match="too many"):
        storage.remove_armour(label, sealed, len(sealed) - 1)


def test_a_later_version_says_what_to_do(sealed: bytes) -> None:
    raw = bytearray(body(sealed))
    raw[len(b"shoup-rsa/key-share\0")] = 5
    with pytest.raises(InvalidKeyFile, match="newer release"):
        open_key_share(reseal(bytes(raw)), PASSPHRASE)


def test_giant_and_foreign_files_are_refused(six: Dealing) -> None:
    with pytest.raises(InvalidKeyFile, match="too many"):
        open_key_share(b"A" * 10_000_000, PASSPHRASE)
    for foreign in (b"", b"\xff\xfe", six.public_key.to_pem(), six.public_key.to_bytes()):
        with pytest.raises(InvalidKeyFile, match="right file"):
            open_key_share(foreign, PASSPHRASE)


def test_base64_must_be_canonical(sealed: bytes) -> None:
    lines = sealed.splitlines(keepends=True)
    for edited in (
        lines[0] + lines[1].strip() + lines[2] + b"".join(lines[3:]),
        sealed.replace(lines[2], lines[2] + b"\n"),
        sealed.replace(lines[2], b"*" + lines[2][1:]),
        sealed + sealed,
    ):
        with pytest.raises(InvalidKeyFile):
            open_key_share(edited, PASSPHRASE)


def test_a_share_that_does_not_match_its_key_is_refused(six: Dealing) -> None:
    forged = KeyShare(six.public_key, 1, six.key_shares[0]._secret + 1)
    pem = seal_key_share(forged, PASSPHRASE, scrypt_cost=COST)
    with pytest.raises(InvalidKeyFile, match="new dealing"):
        open_key_share(pem, PASSPHRASE)
    zero = KeyShare(six.public_key, 1, 1)
    object.__setattr__(zero, "_secret", 0)
    with pytest.raises(InvalidKeyFile, match="out of range"):
        open_key_share(seal_key_share(zero, PASSPHRASE, scrypt_cost=COST), PASSPHRASE)


@pytest.mark.parametrize(
    "lie",
    [
        {"key_id": b"x" * 32},
        {"fingerprint": b"x" * 32},
        {"width": 65},
        {"index": 5},
        {"version": 2},
        {"embedded": b""},
    ],
)
def test_a_header_that_contradicts_its_key_is_refused_even_with_the_right_passphrase(
    lie: dict[str, Any],
) -> None:
    """Whoever knows the passphrase can seal anything; it must still be one consistent thing."""
    twin = twin_of(KEYS[1])
    arguments: dict[str, Any] = {
        "index": 1,
        "passphrase": b"p",
        "salt": bytes(16),
        "nonce": bytes(12),
        "cost_log2": 10,
    }
    assert open_key_share(sealed_share(twin, **arguments), b"p").index == 1
    with pytest.raises(InvalidKeyFile, match="contradicts its public key"):
        open_key_share(
            sealed_share(twin, **{**arguments, **lie}), b"p", load(KEYS[1]) if "embedded" in lie else None
        )


@pytest.mark.parametrize("cost", [0, 1, -1024, 1000, 2**9, 2**19, 2**15 + 1])
def test_sealing_refuses_other_costs(six: Dealing, cost: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        seal_key_share(six.key_shares[0], PASSPHRASE, scrypt_cost=cost)


def test_arguments_of_other_types_are_mistakes(six: Dealing, sealed: bytes) -> None:
    for function, arguments in (
        (seal_key_share, (six.key_shares[0], "text")),
        (seal_key_share, (six, PASSPHRASE)),
        (open_key_share, (sealed, "text")),
        (open_key_share, (sealed.decode(), PASSPHRASE)),
    ):
        with pytest.raises(TypeError):
            function(*arguments)
    with pytest.raises(ValueError, match="empty"):
        seal_key_share(six.key_shares[0], b"")
    with pytest.raises(ValueError, match="empty"):
        open_key_share(sealed, b"")
