"""A key that lives: handed on to the same members, to others, and to one that lost its share."""

from __future__ import annotations

import random
from itertools import combinations, permutations
from math import factorial, prod
from pathlib import Path

import pytest
from sympy import QQ, Poly, interpolate, symbols

from shoup_rsa import (
    CombineFailed,
    Dealing,
    InvalidKey,
    InvalidShare,
    KeyShare,
    SignatureShare,
    ThresholdPublicKey,
    WrongEpoch,
    open_key_share,
)
from shoup_rsa.integer_form import IntegerForm
from shoup_rsa.redistribution import Order, Redistribution, conclude, deal, dealing_length, judge, receive
from tests.shoup_rsa.board import (
    Board,
    Crash,
    Machine,
    deals,
    hand_on,
    open_to_all,
    order_for,
    receiver,
    same_sizes,
    take_all,
)
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.key_life import live
from tests.shoup_rsa.outside import NEEDS_OPENSSL

MESSAGE = b"the same bytes for ever"


def signature(shares: list[KeyShare] | tuple[KeyShare, ...], message: bytes = MESSAGE) -> bytes:
    key = shares[0].public_key
    return key.combine(message, [share.sign_share(message) for share in shares])


def secret_of(shares: list[KeyShare]) -> int:
    """d~, by sympy: the shares are one polynomial with even coefficients, whose value at 0 is c d~."""
    form = shares[0].public_key.form
    assert form is not None
    x = symbols("x")
    points = [(share.index, share._secret) for share in shares]
    polynomial = Poly(interpolate(points[: form.threshold], x), x, domain=QQ)
    assert polynomial.degree() < form.threshold
    assert all(polynomial.eval(index) == value for index, value in points)
    coefficients = [int(number) for number in reversed(polynomial.all_coeffs())]
    assert all(number % 2 == 0 for number in coefficients)
    assert form.content == 2 * factorial(form.index_bound) ** 3
    assert coefficients[0] % form.content == 0
    assert all(0 < value < 1 << form.share_bits for _, value in points)
    secret = coefficients[0] // form.content
    assert abs(secret) < 1 << form.secret_bits
    return secret


@NEEDS_OPENSSL
def test_the_life_of_a_key(deal: Deal, tmp_path: Path) -> None:
    """Each step keeps the first PEM, the same signature bytes, and one d~; the shares do not grow."""
    life = live(deal(6, 5, 1), tmp_path)
    secret = secret_of(life.shares)
    life.redistribute(6, 5, 1)
    assert secret_of(life.shares) == secret


@pytest.mark.parametrize(
    ("old", "protocol", "new"),
    [
        ((4, 3, 1), 2, (4, 3, 1)),
        ((3, 2, 1), 1, (4, 2, 1)),
        ((5, 3, 2), 1, (6, 5, 1)),
        ((1, 1, 0), 2, (3, 2, 1)),
        ((4, 3, 1), 3, (1, 1, 0)),
        ((3, 1, 0), 3, (3, 3, 0)),
        ((4, 3, 1), 3, (7, 5, 2)),
        ((7, 5, 2), 3, (4, 2, 1)),
    ],
    ids=str,
)
def test_every_form_and_size_is_handed_on(
    deal: Deal, old: tuple[int, int, int], protocol: int, new: tuple[int, int, int]
) -> None:
    """And again to the same members: from the second time on the secret is the same integer."""
    dealing = deal(*old, protocol=protocol)
    key, shares = hand_on(order_for(dealing.public_key, *new), dealing.key_shares)
    assert (key.parties, key.threshold, key.corruptions, key.protocol) == (*new, 3)
    assert key.epoch == 1
    first = dealing.public_key
    for name in ("modulus", "public_exponent", "verification_base"):
        assert getattr(key, name) == getattr(first, name)
    assert key.nonresidue == first.nonresidue or protocol == 1
    key.check_dealing()
    assert ThresholdPublicKey.from_bytes(key.to_bytes()) == key
    expected = signature(dealing.key_shares)
    for quorum in combinations(shares, new[1]):
        assert signature(quorum) == expected
    again, later = hand_on(same_sizes(key), shares)
    assert secret_of(later) == secret_of(shares)
    assert again.form == key.form
    assert signature(later) == expected


def test_the_secret_is_the_dealers(deal: Deal) -> None:
    dealing = deal(4, 3, 1, protocol=3)
    _, shares = hand_on(same_sizes(dealing.public_key), dealing.key_shares)
    assert secret_of(shares) == secret_of(list(dealing.key_shares))


@pytest.fixture(scope="module")
def epochs(deal: Deal) -> list[list[KeyShare]]:
    """The shares of three epochs."""
    found = [list(deal(5, 4, 1, protocol=3).key_shares)]
    for _ in range(2):
        found.append(hand_on(same_sizes(found[-1][0].public_key), found[-1])[1])
    return found


class TestOldAndNew:
    @pytest.fixture
    def deal_key(self, deal: Deal) -> Deal:
        return deal

    def test_they_never_combine(self, epochs: list[list[KeyShare]]) -> None:
        for olds in range(1, 4):
            for old, new in permutations(range(3), 2):
                key = epochs[new][0].public_key
                mixed = [epochs[old if i < olds else new][i].sign_share(MESSAGE) for i in range(4)]
                with pytest.raises(CombineFailed) as failure:
                    key.combine(MESSAGE, mixed)
                assert failure.value.culprits == (), "nobody is blamed for an epoch"

    def test_an_old_share_has_no_proof_under_the_new_key(self, epochs: list[list[KeyShare]]) -> None:
        share = epochs[0][1].sign_share(MESSAGE, proof="compact")
        with pytest.raises(InvalidShare, match="proof"):
            epochs[1][0].public_key.verify_share(MESSAGE, share)

    def test_an_old_share_deals_nothing(self, epochs: list[list[KeyShare]]) -> None:
        redistribution = open_to_all(same_sizes(epochs[2][0].public_key))
        with pytest.raises(WrongEpoch, match="of epoch 0, the key of epoch 2"):
            deal(redistribution, epochs[0][0])
        later = open_to_all(same_sizes(epochs[0][0].public_key))
        with pytest.raises(WrongEpoch, match="fetch the present one"):
            deal(later, epochs[1][0])

    def test_another_keys_share_deals_nothing(self, deal_key: Deal, epochs: list[list[KeyShare]]) -> None:
        other = deal_key(4, 3, 1).key_shares[0]
        with pytest.raises(InvalidKey, match="another key"):
            deal(open_to_all(same_sizes(epochs[0][0].public_key)), other)


class TestOrder:
    def test_verdicts_do_not_depend_on_the_order_but_the_outcome_follows_the_log(self, six: Dealing) -> None:
        key, shares = hand_on(same_sizes(six.public_key), six.key_shares)
        redistribution = open_to_all(same_sizes(key))
        posted = deals(redistribution, shares)
        dice = random.Random(5)
        expected = signature(shares)
        for _ in range(3):
            dice.shuffle(posted)
            valid = judge(redistribution, posted).valid
            outcome = conclude(redistribution, valid)
            assert outcome is not None
            assert outcome.dealers == tuple(dealer for dealer, _ in posted[:5])
            assert conclude(redistribution, valid[:5]) == outcome, "what comes later changes nothing"
            assert conclude(redistribution, valid[:4]) is None
            new = take_all(outcome)
            assert signature(new[1:]) == expected
            # The same k in another order are the same sum.
            back = conclude(redistribution, valid[4::-1])
            assert back is not None
            assert back.public_key == outcome.public_key

    def test_orders_are_validated(self, six: Dealing) -> None:
        key = six.public_key
        for sizes, reason in (
            ((6, 1, 1), "corrupt members alone"),
            ((6, 6, 1), "honest members alone"),
            ((0, 0, 0), "at least 1"),
            ((65, 5, 1), "64 parties"),
        ):
            with pytest.raises(InvalidKey, match=reason):
                order_for(key, *sizes, index_bound=64)
        for changes, reason in (
            ({"index_bound": 5}, "must not shrink"),
            ({"index_bound": 65}, "index_bound = 65"),
            ({"index_bound": True}, "index_bound"),
            ({"attempt": -1}, "attempt"),
            ({"attempt": 2**64}, "attempt"),
            ({"attempt": None}, "attempt"),
            ({"context": bytes(1025)}, "context"),
            ({"context": "text"}, "context"),
            ({"restart": True}, "integer form only"),
            ({"restart": 0}, "restart"),
        ):
            with pytest.raises(InvalidKey, match=reason):
                same_sizes(key, **changes)
        converted, _ = hand_on(same_sizes(key, index_bound=8), six.key_shares)
        with pytest.raises(InvalidKey, match="must not shrink"):
            order_for(converted, 6, 5, 1, index_bound=7)

    def test_the_last_epoch_and_too_many_members_are_refused(self, deal: Deal) -> None:
        with pytest.raises(InvalidKey, match="last epoch"):
            same_sizes(deal(4, 3, 1, epoch=2**64 - 1).public_key)
        with pytest.raises(InvalidKey, match="index_bound"):
            order_for(deal(65, 3, 1).public_key, 6, 5, 1)

    def test_everything_in_an_order_is_in_its_name(self, six: Dealing) -> None:
        key = six.public_key
        converted, _ = hand_on(same_sizes(key), six.key_shares)
        orders = [
            same_sizes(key),
            order_for(key, 6, 4, 1),
            order_for(key, 6, 5, 0),
            order_for(key, 7, 5, 1),
            same_sizes(key, index_bound=7),
            same_sizes(key, attempt=1),
            same_sizes(key, context=b""),
            same_sizes(converted),
            same_sizes(converted, restart=True),
        ]
        assert len({order.digest for order in orders}) == len(orders)

    def test_the_sizes_of_the_documentation(self, real: Dealing) -> None:
        """At 2048 bits, for a key that is converted."""
        order = same_sizes(real.public_key)
        assert (order.form.share_bits, order.receiver_bits) == (2222, 2560)
        assert order.form.share_bits == twin_of_share_bits(order.form)
        assert order.form.mask_bound.bit_length() == 2205

    def test_a_dealing_has_the_length_that_is_known_before(self, six: Dealing) -> None:
        redistribution = open_to_all(same_sizes(six.public_key))
        for _, data in deals(redistribution, six.key_shares[:2]):
            assert len(data) == dealing_length(redistribution)


def twin_of_share_bits(form: IntegerForm) -> int:
    """The formulas of the sizes, one by one."""
    m, k = form.index_bound, form.threshold
    d, b = factorial(m), 2**form.secret_bits
    r = 2**128 * k * (k - 1) * (2 * d) * (2 * d**2 * b)
    masks = sum(2 * r * m**power for power in range(1, k))
    coefficients = 0
    for size in range(1, m + 1):
        for chosen in combinations(range(1, m + 1), size):
            for j in chosen:
                others = [i for i in chosen if i != j]
                product = d * prod(others) // abs(prod(i - j for i in others))
                coefficients = max(coefficients, size * product)
    low = 2 * d**3 * b + coefficients * masks
    return (low + 2 ** low.bit_length() * m).bit_length()


class TestReceiving:
    def test_only_its_own_secret_serves_a_member(self, six: Dealing) -> None:
        redistribution = open_to_all(same_sizes(six.public_key))
        outcome = conclude(
            redistribution, judge(redistribution, deals(redistribution, six.key_shares[:5])).valid
        )
        assert outcome is not None
        bits = redistribution.order.receiver_bits
        with pytest.raises(InvalidKey, match="does not belong to the receiver key of member 2"):
            receive(outcome, 2, receiver(bits, 1))
        for index in (0, 7, True, None):
            with pytest.raises(InvalidKey, match=r"1\.\.6"):
                receive(outcome, index, receiver(bits, 1))  # type: ignore[arg-type]
        assert (
            receive(outcome, 3, receiver(bits, 3))._secret == receive(outcome, 3, receiver(bits, 3))._secret
        )

    def test_n_minus_k_lost_shares_are_recovered_and_one_more_are_not(self, deal: Deal) -> None:
        dealing = deal(7, 5, 2, protocol=3)
        key, alive = dealing.public_key, list(dealing.key_shares[:3]) + list(dealing.key_shares[5:])
        _, shares = hand_on(same_sizes(key), alive)
        assert signature(shares[2:]) == signature(dealing.key_shares)
        redistribution = open_to_all(same_sizes(key))
        assert conclude(redistribution, judge(redistribution, deals(redistribution, alive[1:])).valid) is None


class TestCrashes:
    """A board, four machines, and the power of one of them going before every step."""

    def world(self, dealing: Dealing) -> tuple[Board, list[Machine]]:
        board = Board()
        order = same_sizes(dealing.public_key)
        return board, [Machine(i, board, order, dealing.key_shares[i - 1]) for i in range(1, 5)]

    def settle(self, machines: list[Machine]) -> None:
        for _ in range(4):
            for machine in machines:
                machine.run()

    def finish(self, dealing: Dealing, board: Board, machines: list[Machine]) -> None:
        self.settle(machines)
        assert sorted(board.ready) == [1, 2, 3, 4]
        shares = [open_key_share(machine.disk["share"], b"disk") for machine in machines]
        key = shares[0].public_key
        assert all(share.public_key == key for share in shares)
        ready = [SignatureShare.from_bytes(key, board.ready[i]) for i in range(1, 5)]
        key.verify_shares(b"ready", ready)
        assert signature(shares[1:]) == signature(dealing.key_shares)
        assert all("receiver" not in machine.disk for machine in machines)

    @pytest.mark.parametrize("steps", range(8))
    def test_a_machine_that_crashes_before_any_step_comes_back(self, deal: Deal, steps: int) -> None:
        dealing = deal(4, 3, 1, protocol=3)
        board, machines = self.world(dealing)
        victim = machines[1]
        victim.power = steps
        crashed = 0
        for _ in range(4):
            for machine in machines:
                try:
                    machine.run()
                except Crash:
                    crashed += 1
                    machine.power = 1 << 30
        assert crashed == (steps < 7), "seven steps, and a crash before each of them"
        posted = [data for dealer, data in board.dealings if dealer == 2]
        assert len(posted) == 1
        self.finish(dealing, board, machines)

    def test_a_member_without_a_share_only_receives_and_a_liar_is_named(self, deal: Deal) -> None:
        dealing = deal(5, 3, 1, protocol=3)
        board = Board()
        order = same_sizes(dealing.public_key)
        machines = [Machine(i, board, order, dealing.key_shares[i - 1]) for i in range(1, 6)]
        machines[4].old = None
        machines[0].tampered = lambda data: data[:-1] + bytes([data[-1] ^ 1])
        self.settle(machines)
        redistribution = board.redistribution(order)
        assert redistribution is not None
        judgement = judge(redistribution, board.dealings)
        assert [(culprit.dealer, culprit.reason) for culprit in judgement.culprits] == [
            (1, "the proof of the subshare for receiver 5 does not hold")
        ]
        assert sorted(board.ready) == [1, 2, 3, 4, 5]

    def test_a_member_that_crashes_for_good_stops_nobody(self, deal: Deal) -> None:
        dealing = deal(4, 3, 1, protocol=3)
        board, machines = self.world(dealing)
        machines[3].power = 2  # its receiver key is on the board, and then it is silent
        for _ in range(4):
            for machine in machines:
                try:
                    machine.run()
                except Crash:
                    continue
        assert sorted(board.ready) == [1, 2, 3]
        machines[3].power = 1 << 30
        self.finish(dealing, board, machines)


def test_the_public_part_needs_no_secret(six: Dealing) -> None:
    """A listener that only reads the board comes to the same key: it is a function of orders and bytes."""
    order = same_sizes(six.public_key)
    redistribution = open_to_all(order)
    posted = deals(redistribution, six.key_shares)
    rebuilt = Redistribution(
        Order(
            ThresholdPublicKey.from_bytes(six.public_key.to_bytes()),
            *(6, 5, 1, 6, 0),
            context=order.context,
        ),
        redistribution.receivers,
    )
    assert rebuilt.digest == redistribution.digest
    outcomes = [conclude(r, judge(r, posted).valid) for r in (rebuilt, redistribution)]
    assert outcomes[0] == outcomes[1] is not None
