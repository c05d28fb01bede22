"""Traps of keys that live that no other file tests; docs/development/key_traps.md lists all of them."""

from __future__ import annotations

from dataclasses import replace
from math import factorial

import pytest

from shoup_rsa import (
    CombineFailed,
    InvalidKey,
    InvalidRequest,
    InvalidShare,
    KeyShare,
    NotEnoughShares,
    Scheme,
    SigningRequest,
    SigningSession,
    WrongEpoch,
    _arith,
    open_key_share,
    seal_key_share,
)
from shoup_rsa import redistribution as package
from shoup_rsa.redistribution import NoNewShare, Redistribution, conclude, judge, receive
from tests.shoup_rsa.board import Lie, deals, hand_on, lying, open_to_all, order_for, receiver, same_sizes
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.test_redistribution import MESSAGE, secret_of, signature
from tests.shoup_rsa.test_redistribution_attacks import TestWhoKnowsTheFactors as Factors


def test_trap_14_mixed_epochs_blame_nobody_who_says_which_epoch_it_is_of(deal: Deal) -> None:
    """Files and requests name the key: a stale one fails as such. A bare share convicts nobody."""
    old = deal(4, 3, 1, protocol=3).key_shares
    key, new = hand_on(same_sizes(old[0].public_key), old)
    sealed = seal_key_share(old[0], b"p", scrypt_cost=2**10)
    with pytest.raises(WrongEpoch, match="of epoch 0, the key of epoch 1: it went out of use"):
        open_key_share(sealed, b"p", key)
    request = SigningRequest(key.key_id, Scheme.PKCS1V15_SHA256, MESSAGE)
    with pytest.raises(InvalidRequest, match="not for"):
        request.sign_share(old[0])
    session = SigningSession(key, MESSAGE)
    for share in (old[0], *new[1:3]):
        session.add(share.sign_share(MESSAGE))
    assert (session.signature, session.culprits, session.unproven) == (None, (), (1, 2, 3))
    session.add(new[3].sign_share(MESSAGE, proof="compact"))
    for share in new[1:3]:
        session.add(share.sign_share(MESSAGE, proof="compact"))
    assert session.signature == signature(new)
    assert session.culprits == ()


def test_trap_15_fewer_than_the_old_threshold_lower_nothing(deal: Deal) -> None:
    """Three of five want to be enough from now on: what counts is that four of the old ones deal."""
    shares = deal(5, 4, 1, protocol=3).key_shares
    key = shares[0].public_key
    redistribution = open_to_all(order_for(key, 5, 3, 1))
    posted = deals(redistribution, shares)
    judgement = judge(redistribution, [*posted[:3], *posted[:3]])
    assert conclude(redistribution, judgement.valid) is None
    strangers = judge(redistribution, [*posted[:3], (5, posted[0][1]), (6, posted[3][1])])
    assert [culprit.dealer for culprit in strangers.culprits] == [5, 6]
    assert conclude(redistribution, strangers.valid) is None
    found = conclude(redistribution, judge(redistribution, posted[:4]).valid)
    assert found is not None
    assert found.public_key.threshold == 3
    for threshold, corruptions in ((1, 1), (2, 2), (5, 1), (0, 0)):
        with pytest.raises(InvalidKey, match=r"corrupt members alone|honest members alone|threshold = 0"):
            order_for(key, 5, threshold, corruptions)


def test_trap_16_a_removed_members_share_is_useless(deal: Deal) -> None:
    """Member 5 is gone: it signs nothing with the others, proves nothing, deals nothing, opens nothing."""
    old = deal(5, 4, 1, protocol=3).key_shares
    gone = old[4]
    key, new = hand_on(order_for(old[0].public_key, 4, 3, 1), old[:4])
    ready = gone.sign_share(b"ready", proof="compact")
    for refused in (
        lambda: key.verify_share(b"ready", ready),
        lambda: key.combine(b"ready", [ready, *(share.sign_share(b"ready") for share in new[:3])]),
        lambda: SigningSession(key, b"ready").add(ready),
    ):
        with pytest.raises(InvalidShare, match=r"1\.\.4") as error:
            refused()
        assert error.value.index == 5
    for index in (1, 2, 3, 4):  # nor as if it were another's
        renamed = replace(ready, index=index)
        with pytest.raises(InvalidShare, match="the proof"):
            key.verify_share(b"ready", renamed)
        others = [share.sign_share(b"ready") for share in new if share.index != index][:2]
        with pytest.raises(CombineFailed):
            key.combine(b"ready", [renamed, *others])
    following = open_to_all(same_sizes(key))
    ((_, data),) = deals(following, new[:1])
    dealer_at = len(b"shoup-rsa/share-dealing\0") + 33
    forged = data[:dealer_at] + b"\0\5" + data[dealer_at + 2 :]
    assert [str(culprit) for culprit in judge(following, [(5, forged)]).culprits] == [
        "the dealing of member 5: dealers are the present members 1..4"
    ]
    with pytest.raises(WrongEpoch):
        package.deal(following, gone)
    with pytest.raises(WrongEpoch):
        open_key_share(seal_key_share(gone, b"p", scrypt_cost=2**10), b"p", key)


def test_trap_17_lost_lying_and_slow_members_together_may_be_n_minus_k(deal: Deal) -> None:
    """One lost its share and one lies, of seven of whom five sign. With one more, nothing comes."""
    shares = deal(7, 5, 2, protocol=3).key_shares
    key = shares[0].public_key
    redistribution = open_to_all(same_sizes(key))
    lost, liar, slow = 2, 4, 6
    right = deals(redistribution, [share for share in shares if share.index != lost])
    posted = [(dealer, data[:-1] if dealer == liar else data) for dealer, data in right]
    judgement = judge(redistribution, posted)
    assert [culprit.dealer for culprit in judgement.culprits] == [liar]
    found = conclude(redistribution, judgement.valid)
    assert found is not None
    assert found.dealers == (1, 3, 5, 6, 7)
    without = judge(redistribution, [entry for entry in posted if entry[0] != slow])
    assert conclude(redistribution, without.valid) is None
    few = [share.sign_share(MESSAGE) for share in shares if share.index not in (lost, liar, slow)]
    with pytest.raises(NotEnoughShares, match="5 shares with distinct indices are needed, 4 were given"):
        key.combine(MESSAGE, few)


class TestTrap20:
    """v: nobody may know more of it than that it is a square."""

    @pytest.mark.parametrize("protocol", [1, 2, 3])
    def test_v_is_no_root_of_1(self, protocol: int, deal: Deal) -> None:
        """With v = -1 and all v_i = 1 the dealing holds, and the proof of any even power whatever."""
        key = deal(3, 2, 1, protocol=protocol).public_key
        for base in (1, key.modulus - 1):
            with pytest.raises(InvalidKey, match="does not generate the squares"):
                replace(key, verification_base=base, verification_keys=(1, 1, 1))

    def test_who_knows_a_root_of_v_moves_its_remainder_and_nothing_else(self, deal: Deal) -> None:
        """w^2 = v: Q w and rem - D^2 pass for Q and rem. Where it matters, such a dealing is left out."""
        multiple = Factors().multiple_of_order(deal(3, 2, 1))
        shares = deal(3, 2, 1, protocol=3).key_shares
        key = shares[0].public_key
        redistribution = open_to_all(same_sizes(key))
        order, square = redistribution.order, factorial(3) ** 2
        v, root = key.verification_base, (multiple + 1) // 2
        assert pow(v, 2 * root, key.modulus) == v
        dealt, rest = divmod(order.multiplier * shares[0]._secret, order.divisor)
        way = 1 if rest >= square else -1
        moved = (dealt + way * root, rest - way * square)
        # The subshares move by D' only: by what the root to the power 2 D' is of v.
        lie = Lie(dealt=moved, shift=dict.fromkeys((1, 2, 3), -way * factorial(3) * multiple))
        bad = (1, lying(redistribution, shares[0], lie).to_bytes(redistribution))
        judgement = judge(redistribution, [bad, *deals(redistribution, shares[:0:-1])])
        assert not judgement.culprits, "nothing shows that it lies"
        assert order.coefficients((1, 3))[0] % 2 == 1
        assert conclude(redistribution, judgement.valid[:2]) is None
        found = conclude(redistribution, judgement.valid)
        assert found is not None
        assert found.dealers == (1, 2), "there its coefficient is even, and it comes to the same"
        new = [receive(found, i, receiver(order.receiver_bits, i)) for i in (1, 2, 3)]
        assert secret_of(new) == secret_of(list(shares))
        assert signature(new[1:]) == signature(shares[1:])


class TestReceivers:
    """R1: a set of receivers is frozen, whatever some of them do."""

    def test_one_slow_and_one_corrupt_receiver_keep_nobody_from_a_share(self, deal: Deal) -> None:
        """Receiver 4's key hides nothing: all know its share, and nobody else's. Receiver 5 comes late."""
        shares = deal(5, 3, 2, protocol=3).key_shares
        order = same_sizes(shares[0].public_key)
        secrets = [receiver(order.receiver_bits, i) for i in range(1, 6)]
        keys = [secret.key for secret in secrets]
        keys[3] = replace(keys[3], generator=keys[3].modulus ** 2 - 1)
        redistribution = Redistribution(order, tuple(keys))
        posted = deals(redistribution, shares)
        found = conclude(redistribution, judge(redistribution, posted).valid)
        assert found is not None
        expected = signature(shares)
        early = [receive(found, i, secrets[i - 1]) for i in (1, 2, 3)]
        assert signature(early) == expected
        modulus, coefficients = keys[3].modulus, order.coefficients(found.dealers)
        open_to_everybody = 0
        for coefficient, verified in zip(coefficients, found.dealings, strict=True):
            ciphertext = verified.dealing.subshares[3].ciphertext % modulus**2
            plain = next(c for c in (ciphertext, modulus**2 - ciphertext) if c % modulus == 1) // modulus
            open_to_everybody += coefficient * (plain if 2 * plain < modulus else plain - modulus)
        fourth = KeyShare(found.public_key, 4, open_to_everybody + found._shift + 4 * order.form.offset)
        fourth.check()
        # The log is all that the slow one needs, however late.
        again = conclude(redistribution, judge(redistribution, posted).valid)
        assert again is not None
        late = receive(again, 5, secrets[4])
        assert signature([*early[:2], late]) == expected

    def test_a_receiver_whose_own_key_is_wrong_gets_no_share_and_the_others_theirs(self, deal: Deal) -> None:
        """h = n + 1 encrypts something else: by its owner's doing, so it says nothing about the dealers."""
        shares = deal(4, 3, 1, protocol=3).key_shares
        order = same_sizes(shares[0].public_key)
        secrets = [receiver(order.receiver_bits, i) for i in range(1, 5)]
        bad = secrets[1]
        secrets[1] = type(bad)(bad._first, bad._second, bad.key.modulus + 1)
        redistribution = Redistribution(order, tuple(secret.key for secret in secrets))
        found = conclude(redistribution, judge(redistribution, deals(redistribution, shares)).valid)
        assert found is not None
        with pytest.raises(NoNewShare, match="new member 2"):
            receive(found, 2, secrets[1])
        others = [receive(found, i, secrets[i - 1]) for i in (1, 3, 4)]
        assert signature(others) == signature(shares)


def test_who_wronged_a_receiver_is_found_in_constant_time(
    deal: Deal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dealer that knows m can bring that search about, so no subshare may be a public exponent in it."""
    shares = deal(4, 3, 1, protocol=3).key_shares
    redistribution = open_to_all(same_sizes(shares[0].public_key))
    found = conclude(redistribution, judge(redistribution, deals(redistribution, shares)).valid)
    assert found is not None
    secret = receiver(redistribution.order.receiver_bits, 1)
    subshares = {secret.decrypt(verified.dealing.subshares[0].ciphertext) for verified in found.dealings}
    keys = found.public_key.verification_keys
    wrong = replace(found, public_key=replace(found.public_key, verification_keys=(keys[1], *keys[1:])))
    public: list[int] = []
    power = _arith.power

    def recorded(base: int, exponent: int, modulus: int) -> int:
        public.append(abs(exponent))
        return power(base, exponent, modulus)

    monkeypatch.setattr(_arith, "power", recorded)
    with pytest.raises(NoNewShare):
        receive(wrong, 1, secret)
    assert subshares.isdisjoint(public)


def test_a_signature_shows_no_new_share_and_only_a_proof_does(deal: Deal) -> None:
    """R5: old members make the bytes that new ones would; an old share's proof fails under the new key."""
    old = deal(4, 3, 1, protocol=3).key_shares
    key, new = hand_on(same_sizes(old[0].public_key), old)
    label = b"we have our new shares"
    by_old = old[0].public_key.combine(label, [share.sign_share(label) for share in old])
    key.verify(label, by_old)
    assert by_old == key.combine(label, [share.sign_share(label) for share in new])
    for before, after in zip(old, new, strict=True):
        key.verify_share(label, after.sign_share(label, proof="compact"))
        for form in ("compact", "batchable"):
            stale = before.sign_share(label, proof=form)  # type: ignore[arg-type]
            with pytest.raises(InvalidShare, match="proof of correctness"):
                key.verify_share(label, stale)
