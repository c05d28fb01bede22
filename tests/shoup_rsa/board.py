"""A simulated bulletin board, and members that hand a key on over it: honest, lying, and crashing ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

from shoup_rsa import KeyShare, ThresholdPublicKey, _arith, open_key_share, seal_key_share
from shoup_rsa.redistribution import (
    InvalidDealing,
    Order,
    Outcome,
    ReceiverKey,
    ReceiverSecret,
    Redistribution,
    SealedSubshare,
    ShareDealing,
    VerifiedDealing,
    conclude,
    deal,
    generate_receiver,
    judge,
    receive,
)
from shoup_rsa.redistribution.paillier import randomizer_bits
from shoup_rsa.redistribution.transcript import coefficient_challenge, subshare_challenge
from shoup_rsa.redistribution.verdict import images

CONTEXT = b"the simulated alliance"


@cache
def receiver(bits: int, number: int) -> ReceiverSecret:
    """The same one on every run: making primes is the longest part of a test."""
    return generate_receiver(bits, random_below=random.Random(f"{bits}/{number}").randrange)


def order_for(
    key: ThresholdPublicKey, parties: int, threshold: int, corruptions: int, **changes: object
) -> Order:
    """With the least index bound there may be, attempt 0."""
    bound = max(parties, key.index_bound or key.parties)
    fields: dict[str, object] = {"index_bound": bound, "attempt": 0, "context": CONTEXT, "restart": False}
    return Order(key, parties, threshold, corruptions, **(fields | changes))  # type: ignore[arg-type]


def same_sizes(key: ThresholdPublicKey, **changes: object) -> Order:
    return order_for(key, key.parties, key.threshold, key.corruptions, **changes)


def open_to_all(order: Order) -> Redistribution:
    keys = [receiver(order.receiver_bits, number).key for number in range(1, order.parties + 1)]
    return Redistribution(order, tuple(keys))


def deals(redistribution: Redistribution, shares: Sequence[KeyShare]) -> list[tuple[int, bytes]]:
    return [(share.index, deal(redistribution, share).to_bytes(redistribution)) for share in shares]


def hand_on(
    order: Order, shares: Sequence[KeyShare], *, trusting: bool = False
) -> tuple[ThresholdPublicKey, list[KeyShare]]:
    """All of it, if all are honest: the next key and its shares. `trusting` saves the time of proofs."""
    redistribution = open_to_all(order)
    if trusting:
        made = [lying(redistribution, share, Lie(unproven=True)) for share in shares]
        valid = tuple(
            VerifiedDealing(redistribution.digest, d, images(redistribution, d.image, d.commitments))
            for d in made
        )
    else:
        judgement = judge(redistribution, deals(redistribution, shares))
        assert not judgement.culprits
        valid = judgement.valid
    outcome = conclude(redistribution, valid)
    assert outcome is not None
    return outcome.public_key, take_all(outcome)


def take_all(outcome: Outcome) -> list[KeyShare]:
    order = outcome.redistribution.order
    return [receive(outcome, i, receiver(order.receiver_bits, i)) for i in range(1, order.parties + 1)]


@dataclass
class Lie:
    """How a dealing departs from an honest one. All its proofs are made as well as they can be."""

    longer: int = 0  # bits by which the masks are too long, all of them as long as can be
    sign: int = 1
    shift: dict[int, int] = field(default_factory=dict)  # to the subshare of a receiver
    dealt: tuple[int, int] | None = None  # (q, rem) in place of the right ones
    negate: bool = False  # the commitments to the coefficients
    as_dealer: int | None = None
    unproven: bool = False


def lying(redistribution: Redistribution, share: KeyShare, lie: Lie) -> ShareDealing:
    """A dealing by Python's `pow`, with as many lies as wanted; an honest one without any."""
    order = redistribution.order
    modulus, base_v = order.key.modulus, order.key.verification_base
    dice = random.Random(f"{order.key.epoch} {share.index}")
    dealt, remainder = lie.dealt or divmod(order.multiplier * share._secret, order.divisor)
    bound = order.form.mask_bound
    masks = [
        lie.sign
        * (dice.randrange(bound) if not lie.longer else (bound << lie.longer) - dice.randrange(bound))
        for _ in range(order.threshold - 1)
    ]
    index = lie.as_dealer or share.index
    power = _arith.power if lie.unproven else pow  # faster, where nothing is to be compared
    image = power(base_v, dealt, modulus)
    sign = -1 if lie.negate else 1
    commitments = tuple(sign * power(base_v, mask, modulus) % modulus for mask in masks)
    base = redistribution.base(index, remainder, image, commitments)
    cover = (bound << 263) + dice.randrange(bound << 263)
    commitment = 1 if lie.unproven else pow(base_v, cover, modulus)
    response = cover + sum(
        coefficient_challenge(base, commitment, c) * a for c, a in enumerate(masks, start=1)
    )
    subshares = []
    for number, (target, visible) in enumerate(
        zip(redistribution.receivers, images(redistribution, image, commitments), strict=True), start=1
    ):
        content = 2 * order.form.delta * dealt + sum(2 * a * number**c for c, a in enumerate(masks, start=1))
        content += lie.shift.get(number, 0)
        if lie.unproven:
            hidden = target.generator * (1 + target.modulus * content) % target.modulus**2
            subshares.append(SealedSubshare(hidden, 0, 0, 0))
            continue
        subshares.append(_sealed(redistribution, base, number, target, content, visible, dice))
    return ShareDealing(index, remainder, image, commitments, commitment, response, tuple(subshares))


def _sealed(
    redistribution: Redistribution,
    base: bytes,
    number: int,
    target: ReceiverKey,
    content: int,
    visible: int,
    dice: random.Random,
) -> SealedSubshare:
    order = redistribution.order
    n, square = target.modulus, target.modulus**2
    alpha = dice.getrandbits(randomizer_bits(target.bits))
    ciphertext = (1 + n * content) * pow(target.generator, alpha, square) % square
    cover, second = dice.getrandbits(order.subshare_bits + 263), dice.getrandbits(target.bits // 2 + 263)
    commitments = (
        pow(order.key.verification_base, cover, order.key.modulus),
        (1 + n * cover) * pow(target.generator, second, square) % square,
    )
    x = subshare_challenge(base, number, ciphertext, visible, commitments)
    return SealedSubshare(ciphertext, x, cover + x * content, second + x * alpha)


class Crash(Exception):
    """The power of one machine goes."""


@dataclass
class Board:
    """The ordered log: what is on it stays, in one order for all. It knows who posts."""

    receivers: dict[int, bytes] = field(default_factory=dict)
    dealings: list[tuple[int, bytes]] = field(default_factory=list)
    ready: dict[int, bytes] = field(default_factory=dict)

    def redistribution(self, order: Order) -> Redistribution | None:
        """The frozen set of receivers, once every new member has posted its key."""
        if len(self.receivers) < order.parties:
            return None
        keys = [ReceiverKey.from_bytes(self.receivers[index]) for index in range(1, order.parties + 1)]
        return Redistribution(order, tuple(keys))


@dataclass
class Machine:
    """A member of both epochs. Its disk survives a crash; everything else is made anew from disk and board.

    Every step writes to the disk first and speaks afterwards, as the package's documentation demands. `power`
    is how many steps are left until the machine goes down; a step is one write, or one post.
    """

    index: int
    board: Board
    order: Order
    old: KeyShare | None
    disk: dict[str, bytes] = field(default_factory=dict)
    power: int = 1 << 30
    tampered: Callable[[bytes], bytes] = bytes

    def step(self) -> None:
        if self.power == 0:
            raise Crash(self.index)
        self.power -= 1

    def run(self) -> None:
        """As far as the board allows. Idempotent: what is done is not done again, nor differently."""
        if "share" not in self.disk:
            secret = self._receiver()
            if self.index not in self.board.receivers:
                self.step()
                self.board.receivers[self.index] = secret.key.to_bytes()
            redistribution = self.board.redistribution(self.order)
            if redistribution is None:
                return
            self._deal(redistribution)
            outcome = conclude(redistribution, judge(redistribution, self.board.dealings).valid)
            if outcome is None:
                return
            share = receive(outcome, self.index, secret)
            self._write("share", seal_key_share(share, b"disk", scrypt_cost=2**10))
        if "receiver" in self.disk:
            self.step()
            del self.disk["receiver"]  # only now: until the share is safe, the board and this give it again
        if self.index not in self.board.ready:
            share = open_key_share(self.disk["share"], b"disk")
            self.step()
            ready = share.sign_share(b"ready", proof="compact")
            self.board.ready[self.index] = ready.to_bytes(share.public_key)

    def _receiver(self) -> ReceiverSecret:
        if "receiver" not in self.disk:
            fresh = receiver(self.order.receiver_bits, self.index)
            self._write("receiver", fresh.secret_to_bytes())
        return ReceiverSecret.from_secret_bytes(self.disk["receiver"])

    def _deal(self, redistribution: Redistribution) -> None:
        if self.old is None:
            return
        if "dealing" not in self.disk:
            self._write("dealing", deal(redistribution, self.old).to_bytes(redistribution))
        if self.index not in [dealer for dealer, _ in self.board.dealings]:
            self.step()
            self.board.dealings.append((self.index, self.tampered(self.disk["dealing"])))

    def _write(self, name: str, data: bytes) -> None:
        self.step()
        self.disk[name] = data


def culprit_of(redistribution: Redistribution, dealer: int, data: bytes) -> InvalidDealing | None:
    """Why a single posted dealing is invalid, if it is."""
    culprits = judge(redistribution, [(dealer, data)]).culprits
    return culprits[0] if culprits else None
