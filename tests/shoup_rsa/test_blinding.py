"""What a member prepares in advance: masks that change, and nonces that nobody uses twice."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shoup_rsa import BatchableProof, Dealing, KeyShare, SignatureShare, _arith, _entropy, blinding
from shoup_rsa.blinding import Blinding, NoncePool
from shoup_rsa.proof import Nonce, draw_nonce
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.test_combining import MESSAGE


@pytest.fixture
def share(six: Dealing) -> KeyShare:
    """A fresh one: what it prepares is not shared with other tests."""
    return KeyShare(six.public_key, 2, six.key_shares[1]._secret)


def commitment(made: SignatureShare) -> int:
    assert isinstance(made.proof, BatchableProof)
    return made.proof.base_commitment


class TestMasks:
    def test_they_cancel_and_none_comes_twice(self, six: Dealing) -> None:
        key, secret = six.public_key, six.key_shares[0]._secret
        masks = Blinding(key.verification_base, key.verification_keys[0], key.modulus)
        seen = set()
        for _ in range(200):
            mask, unmask = masks.next()
            assert pow(mask, secret, key.modulus) * unmask % key.modulus == 1
            seen.add(mask)
        assert len(seen) == 200

    def test_two_copies_of_one_state_part_ways(self, six: Dealing) -> None:
        """As after a fork: fresh random bits come in at every step."""
        key = six.public_key
        first = Blinding(key.verification_base, key.verification_keys[0], key.modulus)
        second = Blinding(key.verification_base, key.verification_keys[0], key.modulus)
        second._first, second._pair = first._first, first._pair
        for _ in range(64):
            first.next(), second.next()
        assert first._pair != second._pair

    def test_the_secret_exponent_never_meets_a_base_that_others_chose(
        self, share: KeyShare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bases: list[int] = []
        real = _arith.secret_power

        def spy(base: int, exponent: int, modulus: int) -> int:
            if exponent == share._secret:
                bases.append(base)
            return real(base, exponent, modulus)

        monkeypatch.setattr(_arith, "secret_power", spy)
        values = {share.sign_share(MESSAGE).value for _ in range(5)}
        assert len(values) == 1
        assert len(set(bases)) == 5

    def test_they_cost_no_exponentiation_after_the_first_time(
        self, share: KeyShare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[int] = []
        real = _arith.secret_power

        def spy(base: int, exponent: int, modulus: int) -> int:
            calls.append(exponent)
            return real(base, exponent, modulus)

        monkeypatch.setattr(_arith, "secret_power", spy)
        share.sign_share(MESSAGE)
        assert len(calls) == 3
        for _ in range(4):
            share.sign_share(MESSAGE)
        assert calls[3:] == [share._secret] * 4

    def test_they_do_not_print(self, share: KeyShare) -> None:
        share.sign_share(MESSAGE)
        assert repr(share._blinding) == "Blinding(<hidden>)"


class TestNonces:
    def test_a_prepared_proof_takes_one_exponentiation_less(
        self, six: Dealing, share: KeyShare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        share.sign_share(MESSAGE)
        share.precompute(3)
        assert len(share._nonces) == 3
        share.precompute(2)
        assert len(share._nonces) == 3, "so many are kept, not so many more made"
        calls: list[int] = []
        real = _arith.secret_power
        monkeypatch.setattr(_arith, "secret_power", lambda b, e, m: calls.append(e) or real(b, e, m))
        for left in (2, 1, 0):
            calls.clear()
            made = share.sign_share(MESSAGE, proof="compact")
            assert (len(share._nonces), len(calls)) == (left, 2)
            six.public_key.verify_share(MESSAGE, made)
        calls.clear()
        six.public_key.verify_share(MESSAGE, share.sign_share(MESSAGE, proof="compact"))
        assert len(calls) == 3
        share.precompute(0)
        share.precompute(-1)
        assert len(share._nonces) == 0

    def test_no_nonce_serves_two_proofs(self, share: KeyShare) -> None:
        share.precompute(5)
        seen = {commitment(share.sign_share(MESSAGE, proof="batchable")) for _ in range(10)}
        assert len(seen) == 10

    def test_two_proofs_with_one_nonce_would_give_the_share_away(self, six: Dealing, share: KeyShare) -> None:
        """Why all this care: the attack works."""
        nonce = draw_nonce(six.public_key)
        responses = []
        for message in (b"one", b"two"):
            share._nonces.put(nonce)
            made = share.sign_share(message, proof="compact")
            assert made.proof is not None
            responses.append(made.proof)
        (c1, z1), (c2, z2) = ((p.challenge, p.response) for p in responses)  # type: ignore[union-attr]
        assert (z1 - z2) // (c1 - c2) == share._secret

    def test_threads_never_get_the_same_one(self, deal: Deal) -> None:
        dealing = deal(3, 2, 1)
        share = KeyShare(dealing.public_key, 1, dealing.key_shares[0]._secret)
        share.precompute(40)
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _: share.sign_share(MESSAGE, proof="batchable"), range(60)))
        assert len({commitment(one) for one in made}) == 60
        assert len({one.value for one in made}) == 1
        for one in made[:3]:
            dealing.public_key.verify_share(MESSAGE, one)

    def test_a_forked_child_does_not_inherit_them(self, share: KeyShare) -> None:
        share.precompute(2)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover: another process
            count = len(share._nonces)
            made = share.sign_share(MESSAGE, proof="batchable")
            os.write(writing, b"%d %d" % (count, commitment(made)))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            count, childs = (int(word) for word in pipe.read().split())
        assert os.waitpid(child, 0)[1] == 0
        assert count == 0
        own = {commitment(share.sign_share(MESSAGE, proof="batchable")) for _ in range(2)}
        assert childs not in own
        assert len(share._nonces) == 0

    def test_the_mark_of_the_process_is_renewed_in_a_child(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_entropy, "_process", _entropy._process)
        pool = NoncePool()
        pool.put(Nonce(1, 1))
        _entropy._renew_process()
        assert len(pool) == 0
        assert pool.take() is None
        pool.put(Nonce(2, 2))
        assert pool.take() == Nonce(2, 2)

    def test_they_are_bounded(self, monkeypatch: pytest.MonkeyPatch, share: KeyShare) -> None:
        monkeypatch.setattr(blinding, "NONCES_MAX", 2)
        with pytest.raises(ValueError, match="at most 2"):
            share.precompute(3)
        assert len(share._nonces) == 2

    def test_nothing_prepared_prints_or_travels(self, share: KeyShare) -> None:
        share.precompute(1)
        nonce = share._nonces._own()[0]
        for text in (repr(share), repr(share._nonces), repr(nonce), str(replace(nonce))):
            assert str(nonce.exponent) not in text
            assert str(nonce.commitment) not in text
        with pytest.raises(TypeError, match="seal_key_share"):
            pickle.dumps(share)
        for part in (share._nonces, share._masks()):
            with pytest.raises(TypeError, match="cannot be copied"):
                pickle.dumps(part)
