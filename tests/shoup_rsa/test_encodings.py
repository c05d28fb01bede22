"""Bytes from outside: one encoding for each thing, and everything else refused."""

from __future__ import annotations

import pickle
import struct
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoup_rsa import (
    CombineFailed,
    Dealing,
    InvalidKey,
    InvalidShare,
    NotEnoughShares,
    Proof,
    SignatureShare,
    ThresholdPublicKey,
    WrongEpoch,
)
from shoup_rsa import proof as proofs
from shoup_rsa.redistribution import InvalidDealing, InvalidReceiver, NoNewShare
from tests.shoup_rsa.conftest import Deal

STEADY = settings(derandomize=True, deadline=None, database=None, max_examples=200)
MESSAGE = b"bytes from outside"
HEADER = len(b"shoup-rsa/public-key\0")


@pytest.fixture(scope="module")
def bare(six: Dealing) -> SignatureShare:
    return six.key_shares[1].sign_share(MESSAGE)


@pytest.fixture(scope="module")
def proven(six: Dealing) -> SignatureShare:
    return six.key_shares[1].sign_share(MESSAGE, proof="compact")


def flips(data: bytes) -> list[bytes]:
    return [
        data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1 :]
        for position in range(len(data))
        for bit in range(8)
    ]


class TestPublicKey:
    def test_round_trip(self, six: Dealing, real: Dealing) -> None:
        for key in (six.public_key, real.public_key):
            decoded = ThresholdPublicKey.from_bytes(key.to_bytes())
            assert decoded == key
            assert decoded.key_id == key.key_id
            assert len(key.key_id) == 32
            assert pickle.loads(pickle.dumps(key)) == key  # noqa: S301

    def test_every_flipped_bit_is_refused_or_is_visibly_another_key(self, deal: Deal) -> None:
        """A changed epoch or u makes a consistent key again, but with another name."""
        key = deal(2, 2, 0).public_key
        refused = renamed = 0
        for data in flips(key.to_bytes()):
            try:
                decoded = ThresholdPublicKey.from_bytes(data)
                if replace(decoded, epoch=key.epoch, nonresidue=key.nonresidue) != key:
                    decoded.check_dealing()
                    pytest.fail("a changed key passed for a dealing")
                assert decoded.key_id != key.key_id
                renamed += 1
            except InvalidKey:
                refused += 1
        assert refused > renamed

    def test_other_lengths_are_refused(self, six: Dealing) -> None:
        data = six.public_key.to_bytes()
        for wrong in (b"", data[:10], data[:HEADER], data[:-1], data + b"\0", data[:-64], data + bytes(64)):
            with pytest.raises(InvalidKey):
                ThresholdPublicKey.from_bytes(wrong)
        with pytest.raises(TypeError, match="bytes"):
            ThresholdPublicKey.from_bytes(data.hex())  # type: ignore[arg-type]

    def test_a_wider_encoding_of_the_same_numbers_is_refused(self, six: Dealing) -> None:
        data = six.public_key.to_bytes()
        start = len(data) - 9 * 64
        numbers = [
            data[position : position + 64].rjust(80, b"\0") for position in range(start, len(data), 64)
        ]
        header = bytearray(data[:start])
        struct.pack_into(">H", header, HEADER + 2, 640)
        with pytest.raises(InvalidKey, match="exactly 640 bits"):
            ThresholdPublicKey.from_bytes(bytes(header) + b"".join(numbers))

    @given(st.binary(max_size=300))
    @STEADY
    def test_noise_is_refused(self, noise: bytes) -> None:
        for data in (noise, b"shoup-rsa/public-key\0" + noise, b"shoup-rsa/public-key\0\x01\x02" + noise):
            with pytest.raises(InvalidKey):
                ThresholdPublicKey.from_bytes(data)

    @pytest.mark.parametrize(
        ("offset", "layout", "value", "reason"),
        [
            (0, ">B", 4, "version 4"),
            (1, ">B", 1, "Protocol 1 is proven"),
            (1, ">B", 3, "not encoded in version 1"),
            (1, ">B", 4, "protocol = 4"),
            (2, ">H", 500, "key size of 500"),
            (2, ">H", 640, "bytes"),
            (4, ">H", 0, "at least 1"),
            (4, ">H", 7, "bytes"),
            (4, ">H", 257, "not encoded in version 1"),
            (6, ">H", 0, "threshold = 0"),
            (8, ">H", 2, "honest members"),
            (18, ">I", 3, "65537"),
        ],
    )
    def test_each_header_field_is_validated(
        self, six: Dealing, offset: int, layout: str, value: int, reason: str
    ) -> None:
        data = bytearray(six.public_key.to_bytes())
        struct.pack_into(layout, data, HEADER + offset, value)
        with pytest.raises(InvalidKey, match=reason):
            ThresholdPublicKey.from_bytes(bytes(data))

    @pytest.mark.parametrize(
        ("name", "value", "reason"),
        [
            ("verification_base", 0, "not in 1..N-1"),
            ("verification_base", 1, "generate"),
            ("verification_base", -4, "not in 1..N-1"),
            ("verification_base", "nonresidue", "Jacobi"),
            ("nonresidue", 4, "Jacobi"),
            ("nonresidue", "modulus", "not in 1..N-1"),
            ("modulus", 2**512 + 1, "bits"),
            ("modulus", -5, "bits"),
            ("modulus", 2**511 + 3, "safe primes"),
            ("public_exponent", 3, "65537"),
            ("public_exponent", 65537.0, "65537"),
            ("verification_keys", (), "tuple of 6"),
            ("verification_keys", [4] * 6, "tuple of 6"),
            ("verification_keys", (0,) * 6, "verification key 1 is not in"),
        ],
    )
    def test_each_number_is_validated(self, six: Dealing, name: str, value: object, reason: str) -> None:
        if isinstance(value, str):
            value = getattr(six.public_key, value)
        with pytest.raises(InvalidKey, match=reason):
            replace(six.public_key, **{name: value})  # type: ignore[arg-type]

    def test_the_epoch_and_the_sizes_are_part_of_the_name(self, six: Dealing) -> None:
        key = six.public_key
        others = [replace(key, epoch=1), replace(key, corruptions=0), replace(key, threshold=4)]
        assert len({other.key_id for other in [key, *others]}) == 4

    def test_a_public_key_cannot_be_changed(self, six: Dealing) -> None:
        with pytest.raises(FrozenInstanceError):
            six.public_key.threshold = 1  # type: ignore[misc]


class TestSignatureShare:
    def test_round_trip_and_lengths(self, six: Dealing, bare: SignatureShare, proven: SignatureShare) -> None:
        for share in (bare, proven):
            data = share.to_bytes(six.public_key)
            assert len(data) == six.public_key.share_length("compact" if share is proven else "none")
            assert SignatureShare.from_bytes(six.public_key, data) == share
            assert pickle.loads(pickle.dumps(share)) == share  # noqa: S301
        assert six.public_key.share_length("none") == 4 + 64
        assert six.public_key.share_length("compact") == 4 + 64 + 16 + 64 + 33

    def test_every_flipped_bit_of_a_share_with_proof_is_refused(
        self, six: Dealing, proven: SignatureShare
    ) -> None:
        for data in flips(proven.to_bytes(six.public_key)):
            with pytest.raises(InvalidShare):
                six.public_key.verify_share(MESSAGE, SignatureShare.from_bytes(six.public_key, data))

    def test_every_flipped_bit_of_a_bare_share_is_refused_or_changes_it(
        self, six: Dealing, bare: SignatureShare
    ) -> None:
        for data in flips(bare.to_bytes(six.public_key)):
            try:
                decoded = SignatureShare.from_bytes(six.public_key, data)
            except InvalidShare:
                continue
            assert decoded != bare
            assert decoded.to_bytes(six.public_key) == data

    def test_other_lengths_are_refused(self, six: Dealing, proven: SignatureShare) -> None:
        data = proven.to_bytes(six.public_key)
        for length in range(len(data) + 20):
            if length not in (68, len(data), 68 + 64 + 64 + 97):
                with pytest.raises(InvalidShare, match="bytes"):
                    SignatureShare.from_bytes(six.public_key, (data * 2)[:length])
        with pytest.raises(TypeError, match="bytes"):
            SignatureShare.from_bytes(six.public_key, bytearray(data))  # type: ignore[arg-type]

    @given(data=st.data())
    @STEADY
    def test_whatever_is_accepted_is_the_one_encoding(self, six: Dealing, data: st.DataObject) -> None:
        size = six.public_key.share_length(data.draw(st.sampled_from(["none", "compact", "batchable"])))
        noise = data.draw(st.binary(min_size=size, max_size=size))
        header = bytes([1, (size > 68) + (size > 200), 0, data.draw(st.integers(0, 8))])
        for candidate in (noise, header + noise[4:]):
            try:
                share = SignatureShare.from_bytes(six.public_key, candidate)
            except InvalidShare:
                continue
            assert share.to_bytes(six.public_key) == candidate

    def test_version_and_kind_are_validated(self, six: Dealing, bare: SignatureShare) -> None:
        data = bare.to_bytes(six.public_key)
        with pytest.raises(InvalidShare, match="version 2"):
            SignatureShare.from_bytes(six.public_key, b"\x02" + data[1:])
        for kind in (1, 2, 255):
            with pytest.raises(InvalidShare, match="kind"):
                SignatureShare.from_bytes(six.public_key, data[:1] + bytes([kind]) + data[2:])

    @pytest.mark.parametrize("number", ["challenge", "response"])
    def test_malformed_shares_are_not_encoded(
        self, six: Dealing, proven: SignatureShare, number: str
    ) -> None:
        for wrong in (-1, 1 << 2000):
            proof = replace(proven.proof or Proof(0, 0), **{number: wrong})
            with pytest.raises(InvalidShare, match=number):
                replace(proven, proof=proof).to_bytes(six.public_key)

    def test_the_smallest_numbers_fit(self, six: Dealing) -> None:
        share = SignatureShare(1, 1, Proof(0, 0))
        assert SignatureShare.from_bytes(six.public_key, share.to_bytes(six.public_key)) == share

    def test_the_largest_honest_response_fits(self, six: Dealing) -> None:
        bits = six.public_key.key_size
        largest = (2**bits - 1) * (2**128 - 1) + 2 ** (bits + 256) - 1
        assert largest < proofs.response_bound(bits)
        assert proofs.response_bound(bits).bit_length() <= 8 * proofs.response_length(bits)


def test_errors_survive_pickling_and_read_well() -> None:
    for error in (
        InvalidShare(3, "it is late"),
        InvalidShare(None, "too short"),
        NotEnoughShares(5, 2),
        CombineFailed((1,), (2, 3)),
        InvalidKey("no"),
        WrongEpoch(3, 7),
        InvalidReceiver(None, "too short"),
        InvalidReceiver(2, "it is late"),
        InvalidDealing(4, "it is late"),
        NoNewShare(1, (2, 3)),
    ):
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert copy.__dict__ == error.__dict__
    assert str(InvalidShare(3, "it is late")) == "signature share 3: it is late"
    assert str(NotEnoughShares(5, 2)) == "5 shares with distinct indices are needed, 2 were given"
