"""All keys of an alliance handed on at once: what counts, who is left out, and what is impossible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from quorum.receivers import ReceiverSecret
from quorum.redistribution import Dealt, Redistribution, Unusable, next_receiver_bits
from quorum.threshold_rsa import ThresholdRsaEndorser
from tests.shoup_rsa.board import receiver
from tests.shoup_rsa.conftest import deal_once

MESSAGE = b"handed on"
LONG = 1792
Held = Sequence[Sequence[ThresholdRsaEndorser]]


def secrets(bits: int, count: int = 4) -> list[ReceiverSecret]:
    return [receiver(bits, number) for number in range(count)]


def redistribution(bits: int = 1024, **changes: object) -> tuple[Redistribution, Held]:
    """Of two keys among four members, any 3 and any 2 of whom sign; with all shares, by member."""
    first, second = (deal_once(4, k, 1, f"two keys {k}", 0, 512, 2) for k in (3, 2))
    receivers = tuple(one.key.to_bytes() for one in secrets(bits))
    fields: dict[str, object] = {
        "keys": (first.public_key, second.public_key),
        "thresholds": (3, 2),
        "faulty_max": 1,
        "receivers": receivers,
        "attempt": 0,
        "context": b"a test",
    }
    pairs = zip(first.key_shares, second.key_shares, strict=True)
    held = [tuple(map(ThresholdRsaEndorser, pair)) for pair in pairs]
    return Redistribution(**(fields | changes)), held  # type: ignore[arg-type]


def signs(handed: Redistribution, dealt: Dealt, bits: int, members: Sequence[int]) -> bool:
    """Whether shares that these members receive make signatures under the first public keys."""
    held = {member: dealt.receive(member, receiver(bits, member)) for member in members}
    for place, (before, key) in enumerate(zip(handed.keys, dealt.keys, strict=True)):
        assert (key.modulus, key.epoch) == (before.modulus, before.epoch + 1)
        made = [key.share_from_bytes(one[place].endorse(MESSAGE, proven=True)) for one in held.values()]
        before.verify(MESSAGE, key.combine(MESSAGE, made))
    return True


def test_dealings_are_judged_in_their_order_until_they_are_enough() -> None:
    handed, held = redistribution()
    posted = [(member, handed.deal(held[member])) for member in range(4)]
    assert {len(dealing) for _, dealing in posted} == {handed.dealing_bytes}
    assert handed.judge(posted[:2]).dealt is None
    dealt = handed.judge(posted[1:]).dealt
    assert dealt is not None
    assert signs(handed, dealt, 1024, (0, 1, 2))
    first = handed.judge([*posted[:3], (3, b"never looked at")])
    assert first.dealt is not None
    assert first.culprits == ()
    assert first.dealt.keys != dealt.keys, "others were chosen, and their shares do not combine"


def test_a_dealing_that_is_wrong_for_one_key_counts_for_none() -> None:
    handed, held = redistribution()
    posted = [(member, handed.deal(held[member])) for member in range(4)]
    (liar, whole) = posted[1]
    length = len(whole)
    for spoilt in (whole[: length // 3], whole[:-1] + bytes((whole[-1] ^ 1,)), posted[0][1], b""):
        verdict = handed.judge([(liar, spoilt), *posted[2:]])
        assert verdict.dealt is None
        assert [member for member, _ in verdict.culprits] == [liar]
        among = handed.judge([(liar, spoilt), *posted[2:], posted[0]])
        assert among.dealt is not None
        assert signs(handed, among.dealt, 1024, (1, 2, 3))


def test_every_field_is_bound() -> None:
    handed, held = redistribution()
    dealing = handed.deal(held[0])
    others = secrets(1024, 6)[2:]
    for changes in (
        {"attempt": 1},
        {"context": b"another"},
        {"thresholds": (3, 3)},
        {"receivers": tuple(one.key.to_bytes() for one in others)},
    ):
        other, _ = redistribution(**changes)
        assert other.digest != handed.digest
        assert other.judge([(0, dealing)]).culprits


def test_a_restart_is_done_where_the_receivers_are_long_enough() -> None:
    """The next keys then have longer secrets, and ask for longer receivers; and sign as ever."""
    handed, held = redistribution(LONG)
    dealt = handed.judge([(member, handed.deal(held[member])) for member in range(3)]).dealt
    assert dealt is not None
    endorsers = [dealt.receive(member, receiver(LONG, member)) for member in range(4)]
    for bits, longer in ((LONG, True), (1024, False)):
        short = tuple(one.key.to_bytes() for one in secrets(bits))
        again, _ = redistribution(keys=dealt.keys, receivers=short, attempt=2, restart=True)
        assert not again.absent
        posted = [(member, again.deal(endorsers[member])) for member in (0, 1, 3)]
        outcome = again.judge(posted).dealt
        assert outcome is not None
        assert signs(again, outcome, bits, (1, 2, 3))
        sizes = [key.factors[0].secret_bits for key in outcome.keys]
        before = [key.factors[0].secret_bits for key in dealt.keys]
        assert all(size > old for size, old in zip(sizes, before, strict=True)) == longer
        assert (next_receiver_bits(outcome.keys) > next_receiver_bits(dealt.keys)) == longer


@pytest.mark.parametrize("bits", [768, 2304])
def test_receivers_that_do_not_fit_are_left_out_up_to_f(bits: int) -> None:
    receivers = [one.key.to_bytes() for one in secrets(1024)]
    unfit = receiver(bits, 1).key.to_bytes()
    handed, held = redistribution(receivers=(receivers[0], unfit, *receivers[2:]))
    assert list(handed.absent) == [1]
    assert f"has {bits} bits, and 1024 to 2048 fit" in handed.absent[1]
    dealt = handed.judge([(member, handed.deal(held[member])) for member in range(3)]).dealt
    assert dealt is not None
    assert signs(handed, dealt, 1024, (0, 2, 3))
    with pytest.raises(Unusable, match=r"of 4 members at most 1 .* not 2") as error:
        redistribution(receivers=(receivers[0], unfit, b"nothing", receivers[3]))
    assert sorted(error.value.absent) == [1, 2]


@pytest.mark.parametrize(
    "changes", [{"thresholds": (1, 2)}, {"thresholds": (4, 2)}, {"context": bytes(1025)}]
)
def test_sizes_that_no_key_may_have(changes: dict[str, object]) -> None:
    with pytest.raises(Unusable, match="the keys cannot be handed on"):
        redistribution(**changes)


def test_what_is_handed_on_cannot_be_changed() -> None:
    handed, _ = redistribution()
    assert replace(handed).digest == handed.digest
    assert len(handed.digest) == 32
