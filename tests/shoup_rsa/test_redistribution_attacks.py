"""What liars try in a redistribution: every field, every message, and what the key's dealer alone knows."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, replace
from itertools import combinations
from math import factorial, gcd, prod

import pytest

from shoup_rsa import (
    CombineFailed,
    Dealing,
    InvalidKeyFile,
    InvalidShare,
    KeyShare,
    open_key_share,
    seal_key_share,
)
from shoup_rsa.redistribution import (
    InvalidDealing,
    InvalidReceiver,
    Judgement,
    NoNewShare,
    Redistribution,
    SealedSubshare,
    ShareDealing,
    conclude,
    deal,
    dealing_length,
    judge,
    outcome,
    receive,
    verify_dealing,
)
from shoup_rsa.redistribution.message import check_form
from tests.shoup_rsa.board import (
    Lie,
    deals,
    hand_on,
    lying,
    open_to_all,
    order_for,
    receiver,
    same_sizes,
    take_all,
)
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.test_redistribution import MESSAGE, signature

Change = Callable[[ShareDealing], ShareDealing]


@pytest.fixture(scope="module")
def four(deal: Deal) -> tuple[KeyShare, ...]:
    """The shares of a key of the integer form."""
    return deal(4, 3, 1, protocol=3).key_shares


@pytest.fixture(scope="module")
def arena(four: tuple[KeyShare, ...]) -> Redistribution:
    return open_to_all(same_sizes(four[0].public_key))


@pytest.fixture(scope="module")
def honest(arena: Redistribution, four: tuple[KeyShare, ...]) -> ShareDealing:
    return deal(arena, four[1])


def refused(redistribution: Redistribution, dealer: int, data: bytes) -> str:
    """Why; and that it is the culprit who is named."""
    with pytest.raises(InvalidDealing) as error:
        verify_dealing(redistribution, dealer, data)
    assert error.value.dealer == dealer
    assert str(error.value) == f"the dealing of member {dealer}: {error.value.reason}"
    return error.value.reason


def altered(dealing: ShareDealing, modulus: int) -> Iterator[tuple[str, ShareDealing]]:
    """Every number of a dealing, changed in every way that comes to mind."""

    def variants(value: int) -> tuple[int, ...]:
        return (value + 1, value - 1, value ^ 1 << 20, 0, 1, modulus - value, modulus, value * 4)

    for name in ("remainder", "image", "mask_commitment", "response"):
        for value in variants(getattr(dealing, name)):
            yield name, replace(dealing, **{name: value})
    for at, number in enumerate(dealing.commitments):
        for value in variants(number):
            yield (
                "commitments",
                replace(
                    dealing, commitments=(*dealing.commitments[:at], value, *dealing.commitments[at + 1 :])
                ),
            )
    yield "commitments", replace(dealing, commitments=dealing.commitments[::-1])
    for at, subshare in enumerate(dealing.subshares):
        for field in fields(SealedSubshare):
            for value in variants(getattr(subshare, field.name)):
                changed = replace(subshare, **{field.name: value})
                yield (
                    f"sealed {field.name}",
                    replace(
                        dealing, subshares=(*dealing.subshares[:at], changed, *dealing.subshares[at + 1 :])
                    ),
                )


class TestEveryField:
    def test_our_own_liar_is_believed_when_it_does_not_lie(
        self, arena: Redistribution, four: tuple[KeyShare, ...]
    ) -> None:
        """Two programs, one by `pow` alone: the proofs of each hold for the checker."""
        data = lying(arena, four[1], Lie()).to_bytes(arena)
        assert verify_dealing(arena, 2, data).dealing.dealer == 2

    def test_it_is_refused_and_the_dealer_named(self, arena: Redistribution, honest: ShareDealing) -> None:
        seen = set()
        for name, changed in altered(honest, arena.order.key.modulus):
            with suppress(InvalidDealing):  # out of range already
                data = changed.to_bytes(arena)
                refused(arena, 2, data)
                seen.add(name)
        assert len(seen) == 9, f"each field has values that only a proof can refuse, not {seen}"

    def test_types_and_counts(self, arena: Redistribution, honest: ShareDealing) -> None:
        for changed in (
            replace(honest, dealer=0),
            replace(honest, dealer=5),
            replace(honest, dealer=True),
            replace(honest, response="1"),  # type: ignore[arg-type]
            replace(honest, image=None),  # type: ignore[arg-type]
            replace(honest, commitments=honest.commitments[:1]),
            replace(honest, commitments=(*honest.commitments, 4)),
            replace(honest, subshares=honest.subshares[:3]),
            replace(honest, subshares=honest.subshares * 2),
        ):
            with pytest.raises(InvalidDealing):
                check_form(arena, changed)

    def test_bad_bytes(self, arena: Redistribution, honest: ShareDealing) -> None:
        data = honest.to_bytes(arena)
        for wrong in (
            b"",
            data[:-1],
            data + b"\0",
            data * 2,
            data[1:],
            bytes(len(data)),
            b"\xff" * len(data),
        ):
            refused(arena, 2, wrong)
        head = len(b"shoup-rsa/share-dealing\0")
        assert "version 2" in refused(arena, 2, data[:head] + b"\2" + data[head + 1 :])
        dice = random.Random(3)
        for _ in range(60):
            at = dice.randrange(len(data))
            refused(arena, 2, data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :])
            noise = data[: head + 35] + dice.randbytes(len(data) - head - 35)
            refused(arena, 2, noise)
        with pytest.raises(TypeError, match="bytes"):
            verify_dealing(arena, 2, data.hex())  # type: ignore[arg-type]

    def test_numbers_out_of_range_are_refused_as_such(
        self, arena: Redistribution, honest: ShareDealing
    ) -> None:
        """In the bytes, where nobody stopped them from being written."""
        order, data = arena.order, honest.to_bytes(arena)
        start, n = len(b"shoup-rsa/share-dealing\0") + 35, order.key.signature_length
        rest = ((order.divisor - 1).bit_length() + 7) // 8
        mask = (order.form.mask_bound.bit_length() + 265 + 7) // 8
        sealed = (order.receiver_bits // 4, 16, (order.subshare_bits + 272) // 8, (512 + 272) // 8)
        widths = [rest, n, n, n, n, mask, *sealed * 4]
        assert len(data) == start + sum(widths)
        for at, width in enumerate(widths):
            place = start + sum(widths[:at])
            if width != 16:  # every number of 16 bytes can be a challenge
                changed = data[:place] + b"\xff" * width + data[place + width :]
                assert "out of range" in refused(arena, 2, changed)

    def test_the_encodings_are_frozen(self, four: tuple[KeyShare, ...]) -> None:
        """All names in hashes, all lengths, and the order of the numbers."""
        redistribution = open_to_all(same_sizes(four[0].public_key))
        data = deal(redistribution, four[1], random_below=random.Random(1).randrange).to_bytes(redistribution)
        assert (
            redistribution.digest.hex() == "5a3aa6ac391029e73104d9cc51178e92034b39431db75f7e092540d772df6631"
        )
        assert (
            hashlib.sha256(data).hexdigest()
            == "816b3ca6f9cd3df548a1f068b25fbdbc82353a916e2a3ea25f2dba9a2a7add73"
        )

    def test_swapped_ciphertexts(self, arena: Redistribution, honest: ShareDealing) -> None:
        for one, other in combinations(range(4), 2):
            subshares = list(honest.subshares)
            subshares[one], subshares[other] = subshares[other], subshares[one]
            with pytest.raises(InvalidDealing, match=r"of member 2: the (proof|ciphertext)"):
                verify_dealing(arena, 2, replace(honest, subshares=tuple(subshares)).to_bytes(arena))


class TestReplays:
    def test_of_another_member_epoch_attempt_context_or_set(
        self, arena: Redistribution, honest: ShareDealing, four: tuple[KeyShare, ...]
    ) -> None:
        data = honest.to_bytes(arena)
        assert "of member 2" in refused(arena, 3, data)
        assert (
            refused(arena, 3, replace(honest, dealer=3).to_bytes(arena)) == "what it deals is not its share"
        )
        key = arena.order.key
        refreshed, _ = hand_on(arena.order, four)
        swapped = (arena.receivers[1], arena.receivers[0], *arena.receivers[2:])
        fresh = (receiver(arena.order.receiver_bits, 9).key, *arena.receivers[1:])
        for other in (
            open_to_all(same_sizes(key, attempt=1)),
            open_to_all(same_sizes(key, context=b"another alliance")),
            open_to_all(order_for(key, 4, 3, 0)),
            open_to_all(same_sizes(refreshed)),
            Redistribution(arena.order, swapped),
            Redistribution(arena.order, fresh),
        ):
            if len(data) == dealing_length(other):
                assert "of another redistribution" in refused(other, 2, data)
            # Renamed for the other one, its challenges are still those of the first.
            start = len(b"shoup-rsa/share-dealing\0") + 1
            refused(other, 2, data[:start] + other.digest + data[start + 32 :])

    def test_a_verdict_holds_for_its_own_redistribution_only(
        self, arena: Redistribution, four: tuple[KeyShare, ...]
    ) -> None:
        valid = judge(arena, deals(arena, four)).valid
        with pytest.raises(ValueError, match="another redistribution"):
            conclude(open_to_all(same_sizes(arena.order.key, attempt=1)), valid)

    def test_shares_and_proofs_of_a_void_attempt_serve_in_no_other(
        self, arena: Redistribution, four: tuple[KeyShare, ...]
    ) -> None:
        """A late READY: its proof is for another key of the same epoch."""
        _, void = hand_on(arena.order, four)
        key, shares = hand_on(same_sizes(arena.order.key, attempt=1), four)
        assert key.epoch == void[0].public_key.epoch
        late = void[1].sign_share(MESSAGE, proof="compact")
        with pytest.raises(InvalidShare, match="proof"):
            key.verify_share(MESSAGE, late)
        with pytest.raises(CombineFailed):
            key.combine(MESSAGE, [late, *(share.sign_share(MESSAGE) for share in shares[2:])])
        with pytest.raises(InvalidKeyFile, match="belongs to the key"):
            open_key_share(seal_key_share(void[1], b"p", scrypt_cost=2**10), b"p", key)

    def test_another_members_share_cannot_be_dealt(
        self, arena: Redistribution, four: tuple[KeyShare, ...]
    ) -> None:
        for share in four:
            if share.index != 2:
                data = lying(arena, share, Lie(as_dealer=2)).to_bytes(arena)
                assert refused(arena, 2, data) == "what it deals is not its share"


class TestLies:
    """By somebody who computes all proofs anew, as well as they can be computed."""

    def test_a_wrong_subshare_for_one_receiver(
        self, arena: Redistribution, four: tuple[KeyShare, ...]
    ) -> None:
        for shift in (1, -1, 12345, 1 << 400):
            data = lying(arena, four[1], Lie(shift={3: shift})).to_bytes(arena)
            assert refused(arena, 2, data) == "the proof of the subshare for receiver 3 does not hold"

    def test_another_quotient_or_remainder(self, arena: Redistribution, four: tuple[KeyShare, ...]) -> None:
        order = arena.order
        dealt, rest = divmod(order.multiplier * four[1]._secret, order.divisor)
        for lie in ((dealt, (rest + 1) % order.divisor), (dealt + 1, rest), (dealt * 2, rest), (1, 1)):
            data = lying(arena, four[1], Lie(dealt=lie)).to_bytes(arena)
            assert refused(arena, 2, data) == "what it deals is not its share"
        with pytest.raises(InvalidDealing, match="remainder is out of range"):
            lying(arena, four[1], Lie(dealt=(dealt - 1, rest + order.divisor))).to_bytes(arena)

    def test_negated_commitments_change_nothing(
        self, arena: Redistribution, honest: ShareDealing, four: tuple[KeyShare, ...]
    ) -> None:
        """Squares hide a sign: negated afterwards the proofs fail, negated before they hold and all agree."""
        modulus = arena.order.key.modulus
        negated = replace(honest, commitments=tuple(modulus - number for number in honest.commitments))
        refused(arena, 2, negated.to_bytes(arena))
        data = lying(arena, four[1], Lie(negate=True)).to_bytes(arena)
        posted = [(2, data), *deals(arena, (four[0], four[3]))]
        found = conclude(arena, judge(arena, posted).valid)
        assert found is not None
        assert signature(take_all(found)) == signature(four)

    @pytest.mark.parametrize("sign", [1, -1])
    @pytest.mark.parametrize("longer", [1, 120, 257, 400])
    def test_over_long_polynomials_are_refused_or_harmless(
        self, arena: Redistribution, four: tuple[KeyShare, ...], longer: int, sign: int
    ) -> None:
        """What the proof of range lets pass makes an epoch's shares long, and the next epoch heals it."""
        dealing = lying(arena, four[1], Lie(longer=longer, sign=sign))
        if longer > 128:
            with pytest.raises(InvalidDealing, match="out of range"):
                verify_dealing(arena, 2, dealing.to_bytes(arena))
            return
        posted = [(2, dealing.to_bytes(arena)), *deals(arena, (four[0], four[3]))]
        found = conclude(arena, judge(arena, posted).valid)
        assert found is not None
        key, shares = found.public_key, take_all(found)
        form = key.form
        assert form is not None
        lengths = [share._secret.bit_length() for share in shares]
        assert max(lengths) <= key.share_bits_max
        assert (max(lengths) > form.share_bits) == (longer == 120)
        if longer == 120:
            coefficient = arena.order.coefficients(found.dealers)[0]
            assert all((share._secret < 0) == (sign * coefficient < 0) for share in shares)
        expected = signature(four)
        proven = [share.sign_share(MESSAGE, proof="batchable") for share in shares]
        key.verify_shares(MESSAGE, proven)
        assert key.combine(MESSAGE, proven) == expected
        for share in shares:
            opened = open_key_share(seal_key_share(share, b"p", scrypt_cost=2**10), b"p", key)
            assert opened._secret == share._secret
        following = open_to_all(same_sizes(key))
        for share in shares:  # no response is negative, whatever is drawn
            verify_dealing(
                following,
                share.index,
                deal(following, share, random_below=lambda _: 0).to_bytes(following),
            )
        healed, later = hand_on(same_sizes(key), shares)
        assert healed.form == key.form
        assert all(0 < share._secret < 1 << form.share_bits for share in later)
        assert signature(later) == expected

    def test_f_liars_at_once_and_f_silent_stop_nothing_and_one_more_does(self, deal: Deal) -> None:
        shares = deal(7, 5, 2, protocol=3).key_shares
        redistribution = open_to_all(same_sizes(shares[0].public_key))
        right = deals(redistribution, shares)
        wrong = [(dealer, data[:-1] + bytes([data[-1] ^ 1])) for dealer, data in right]
        judgement = judge(redistribution, [wrong[0], right[4], wrong[3], *right[1:3], *right[5:]])
        assert [culprit.dealer for culprit in judgement.culprits] == [1, 4]
        found = conclude(redistribution, judgement.valid)
        assert found is not None
        assert found.dealers == (5, 2, 3, 6, 7)
        assert conclude(redistribution, judgement.valid[1:]) is None

    def test_two_dealings_of_one_share_have_no_number_in_common(
        self, arena: Redistribution, honest: ShareDealing, four: tuple[KeyShare, ...]
    ) -> None:
        """After a crash before anything was durable: but for what follows from the share, all is fresh."""
        again = deal(arena, four[1])
        assert (again.remainder, again.image) == (honest.remainder, honest.image)
        for one, other in zip(honest.commitments, again.commitments, strict=True):
            assert one != other
        assert again.mask_commitment != honest.mask_commitment
        assert again.response != honest.response
        sealed = {getattr(s, f.name) for s in (*honest.subshares, *again.subshares) for f in fields(s)}
        assert len(sealed) == 4 * 8

    def test_the_first_dealing_of_a_member_counts_valid_or_not(
        self, arena: Redistribution, four: tuple[KeyShare, ...]
    ) -> None:
        one, two, three = deals(arena, four[:3])
        again = deals(arena, four[:1])[0]
        assert again != one
        bad = (1, one[1][:-1] + bytes((one[1][-1] ^ 1,)))
        first = judge(arena, [one, again, bad, two, three])
        assert first == judge(arena, [one, two, three])
        spoilt = judge(arena, [bad, one, again, two, three])
        assert [culprit.dealer for culprit in spoilt.culprits] == [1]
        assert [verified.dealing.dealer for verified in spoilt.valid] == [2, 3]
        assert conclude(arena, spoilt.valid) is None

    def test_strangers_and_junk_are_judged_without_an_exponentiation(
        self, arena: Redistribution, honest: ShareDealing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from shoup_rsa import _arith

        tables = ("long_table", "short_table", "dealt_table")
        for name in ("power", "product_of_powers", "secret_power", *tables):
            monkeypatch.setattr(_arith, name, lambda *_: pytest.fail("an exponentiation"))
        data = honest.to_bytes(arena)
        junk = [(dealer, data) for dealer in (0, 5, -1, 2**40)]
        junk += [(1, b""), (2, bytes(len(data))), (3, b"\xff" * 10_000_000)]
        judgement = judge(arena, junk)
        assert isinstance(judgement, Judgement)
        assert not judgement.valid
        assert [culprit.dealer for culprit in judgement.culprits] == [0, 5, -1, 2**40, 1, 2, 3]


class TestReceiverKeys:
    """A bad key harms its owner alone, and is refused where anything can be seen."""

    def test_a_set_has_one_fresh_key_of_a_fitting_length_for_each(self, arena: Redistribution) -> None:
        order, keys = arena.order, arena.receivers
        shorter = receiver(order.receiver_bits - 256, 1).key
        longer = receiver(order.receiver_bits + 1280, 1).key
        for index, wrong, reason in (
            (None, keys[:3], "a tuple of 4"),
            (None, (*keys, keys[0]), "a tuple of 4"),
            (None, list(keys), "a tuple of 4"),
            (2, (keys[0], shorter, *keys[2:]), r"must have 1024\.\.2048 bits, not 768; its owner must post"),
            (2, (keys[0], longer, *keys[2:]), r"must have 1024\.\.2048 bits, not 2304"),
            (3, (*keys[:2], None, keys[3]), "NoneType"),
        ):
            with pytest.raises(InvalidReceiver, match=reason) as error:
                Redistribution(order, wrong)  # type: ignore[arg-type]
            assert error.value.index == index

    def test_a_key_that_served_before_is_refused(self, arena: Redistribution) -> None:
        served = arena.receivers[2]
        spent = frozenset({served.secret_id})
        # With another h it is another key, and the same secret opens what is sealed to it.
        again = replace(served, generator=served.generator**2 % served.modulus**2)
        for key in (served, again):
            with pytest.raises(InvalidReceiver, match="receiver key 3: it served"):
                Redistribution(arena.order, (*arena.receivers[:2], key, *arena.receivers[3:]), spent)

    def test_honest_dealings_hold_whatever_generator_a_receiver_has(
        self, arena: Redistribution, four: tuple[KeyShare, ...]
    ) -> None:
        """Only its owner is harmed by a generator that hides nothing."""
        bad = arena.receivers[2]
        for generator in (bad.modulus**2 - 1, 4, bad.modulus + 1):
            keys = (*arena.receivers[:2], replace(bad, generator=generator), arena.receivers[3])
            redistribution = Redistribution(arena.order, keys)
            for dealer, data in deals(redistribution, four[:1]):
                verify_dealing(redistribution, dealer, data)

    def test_no_ciphertext_that_is_not_a_unit(self, arena: Redistribution, honest: ShareDealing) -> None:
        """A colluding receiver knows a factor of its own modulus."""
        prime = receiver(arena.order.receiver_bits, 3)._first
        for ciphertext in (0, prime, 5 * prime, arena.receivers[2].modulus, arena.receivers[2].modulus ** 2):
            subshares = list(honest.subshares)
            subshares[2] = replace(subshares[2], ciphertext=ciphertext)
            with pytest.raises(InvalidDealing, match="ciphertext for receiver 3"):
                check_form(arena, replace(honest, subshares=tuple(subshares)))


class TestWhoKnowsTheFactors:
    """A dealer of the key that kept p and q: it can spoil an attempt, and no more. Nothing ever halts."""

    def multiple_of_order(self, dealing: Dealing) -> int:
        """Of m, prime to n!: e d - 1, from the shares of the same key in Protocol 2."""
        key = dealing.public_key
        chosen = range(1, key.threshold + 1)
        total = 0
        for j in chosen:
            numerator = factorial(key.parties) * prod(i for i in chosen if i != j)
            total += numerator // prod(i - j for i in chosen if i != j) * dealing.key_shares[j - 1]._secret
        found = abs(key.public_exponent * total - 1)
        while (common := gcd(found, factorial(key.parties))) > 1:
            found //= common
        assert pow(4, found, key.modulus) == 1
        return found

    def test_a_remainder_of_its_own_choice_is_left_out(self, deal: Deal) -> None:
        multiple = self.multiple_of_order(deal(5, 3, 1))
        shares = deal(5, 3, 1, protocol=3).key_shares
        redistribution = open_to_all(same_sizes(shares[0].public_key))
        order, rest = redistribution.order, 1
        dealt = (order.multiplier * shares[0]._secret - rest) * pow(order.divisor, -1, multiple) % multiple
        bad = lying(redistribution, shares[0], Lie(dealt=(dealt, rest))).to_bytes(redistribution)
        posted = [(1, bad), *deals(redistribution, shares[1:])]
        judgement = judge(redistribution, posted)
        assert not judgement.culprits, "nothing shows that it lies"
        assert conclude(redistribution, judgement.valid[:3]) is None
        found = conclude(redistribution, judgement.valid)
        assert found is not None
        assert found.dealers == (2, 3, 4), "as soon as three fit together"
        assert signature(take_all(found)) == signature(shares)

    def test_poisoned_shares_are_healed_by_a_restart(self, deal: Deal) -> None:
        multiple = self.multiple_of_order(deal(4, 3, 1))
        shares = deal(4, 3, 1, protocol=3).key_shares
        expected = signature(shares)
        redistribution = open_to_all(same_sizes(shares[0].public_key))
        # With these two no three of the four shares fit together any more.
        lie = Lie(shift={3: multiple, 4: multiple})
        bad = lying(redistribution, shares[0], lie).to_bytes(redistribution)
        judgement = judge(redistribution, [(1, bad), *deals(redistribution, shares[1:3])])
        assert not judgement.culprits, "nothing shows that it lies"
        found = conclude(redistribution, judgement.valid)
        assert found is not None
        poisoned = take_all(found)
        assert signature(poisoned) == expected, "modulo m all is well"
        stuck = open_to_all(same_sizes(found.public_key))
        assert conclude(stuck, judge(stuck, deals(stuck, poisoned)).valid) is None, "and nothing was raised"
        key, healed = hand_on(same_sizes(found.public_key, attempt=1, restart=True), poisoned)
        assert signature(healed) == expected
        assert key.secret_bits > found.public_key.secret_bits, "once"
        again, later = hand_on(same_sizes(key), healed)
        assert again.form == key.form
        assert signature(later) == expected

    def test_a_member_that_gets_no_share_knows_by_whom(self, deal: Deal) -> None:
        """A multiple of m so large that the ciphertext holds something else than the proof speaks about."""
        multiple = self.multiple_of_order(deal(4, 3, 1))
        shares = deal(4, 3, 1, protocol=3).key_shares
        redistribution = open_to_all(same_sizes(shares[0].public_key))
        order = redistribution.order
        huge = multiple << (order.receiver_bits - multiple.bit_length() + 8)
        lie = Lie(shift={2: huge})
        bad = lying(redistribution, shares[2], lie).to_bytes(redistribution)
        judgement = judge(redistribution, [*deals(redistribution, shares[:2]), (3, bad)])
        assert not judgement.culprits, "nothing shows that it lies"
        found = conclude(redistribution, judgement.valid)
        assert found is not None
        with pytest.raises(
            NoNewShare, match=r"new member 2 its share \(wrong subshares from: \[3\]\)"
        ) as error:
            receive(found, 2, receiver(order.receiver_bits, 2))
        assert (error.value.index, error.value.culprits) == (2, (3,))
        others = [receive(found, i, receiver(order.receiver_bits, i)) for i in (1, 3, 4)]
        assert signature(others) == signature(shares)

    def test_a_public_key_that_promises_another_share_blames_nobody(
        self, arena: Redistribution, four: tuple[KeyShare, ...]
    ) -> None:
        found = conclude(arena, judge(arena, deals(arena, four[:3])).valid)
        assert found is not None
        keys = found.public_key.verification_keys
        other = replace(found.public_key, verification_keys=(keys[1], *keys[1:]))
        with pytest.raises(NoNewShare, match="with restart") as error:
            receive(replace(found, public_key=other), 1, receiver(arena.order.receiver_bits, 1))
        assert error.value.culprits == ()

    def test_the_search_for_a_set_is_bounded(
        self, arena: Redistribution, four: tuple[KeyShare, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        valid = judge(arena, deals(arena, four)).valid
        tried = []
        monkeypatch.setattr(outcome, "SETS_MAX", 2)
        monkeypatch.setattr(outcome, "_shift", lambda _, chosen: tried.append(chosen))
        assert conclude(arena, valid) is None
        dealers = [tuple(verified.dealing.dealer for verified in chosen) for chosen in tried]
        assert dealers == [(1, 2, 3), (1, 2, 4), (1, 3, 4)]

    def test_a_set_that_is_no_dealing_is_passed_over(
        self, arena: Redistribution, four: tuple[KeyShare, ...]
    ) -> None:
        """As it would come from a modulus that is no product of safe primes."""
        valid = judge(arena, deals(arena, four)).valid
        broken = replace(
            valid[0], images=tuple(number * 4 % arena.order.key.modulus for number in valid[0].images)
        )
        found = conclude(arena, (broken, *valid[1:]))
        assert found is None
        found = conclude(arena, (*valid[1:], broken))
        assert found is not None
        assert found.dealers == (2, 3, 4)
