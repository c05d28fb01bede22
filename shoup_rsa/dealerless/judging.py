"""Judging opened candidates: whether everybody sent what follows from its seeds, and if not, who did not.

`Case.sound` looks at sums and products, which is quick; if they are right, nobody's deviation had an effect.
If not, every party looks for private messages that are not what their sender's seeds say, and exhibits the
first one in its verdict, with the sender's signature. Then `resolve` goes through the steps in their order.
In each, a wrong exhibited message convicts its sender; after that whoever's broadcast is not what follows
from seeds and correct private messages is convicted itself: if it had got wrong ones, it would have exhibited
one. So a deviation never falls on those who computed with it later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from shoup_rsa.dealerless import biprimality, final, product, sieve
from shoup_rsa.dealerless.batch import Batch
from shoup_rsa.dealerless.blame import Culprit
from shoup_rsa.dealerless.message import Phase
from shoup_rsa.dealerless.numbers import Malformed, check_length, pack, unpack
from shoup_rsa.dealerless.replay import Replay, SpareReplay
from shoup_rsa.encoding import byte_length


@dataclass(frozen=True)
class Exhibit:
    """A private message that its receiver shows: who sent it, who got it, in which phase, and its body."""

    accused: int
    accuser: int
    phase: Phase
    body: bytes


class Case:
    """A batch with the candidates that are open. kept: only the one that was kept; else all the others."""

    def __init__(self, batch: Batch, *, kept: bool = False) -> None:
        """For a batch whose seeds of these candidates all parties have opened."""
        self._batch = batch
        self._settings = settings = batch.settings
        closed = batch.closed
        self._kept = batch.kept if kept else None
        self._spares = {
            leaf: SpareReplay(settings, batch.seeds, leaf, prime)
            for leaf, prime in settings.spares
            if (leaf in closed) == kept
        }
        chosen = [number for number in range(settings.batch) if (number in closed) == kept]
        self._replays = {
            number: Replay(settings, batch.seeds, number, batch.assigned[number], self._spares)
            for number in chosen
        }

    @cached_property
    def sound(self) -> bool:
        """Whether the results are those that follow from the seeds. Computed once; a second a batch."""
        checks = (self._sieve_culprits, self._product_culprits, self._test_culprits, self._final_culprits)
        return not any(True for check in checks for _ in check())

    def own_exhibit(self, receiver: int, bodies: dict[Phase, dict[int, bytes]]) -> tuple[Phase, int] | None:
        """The first of the receiver's private messages, by phase and sender, that is wrong."""
        for phase in (Phase.SIEVE_SHARES, Phase.PRODUCT_SHARES, Phase.FINAL_SHARES):
            for sender, body in sorted(bodies.get(phase, {}).items()):
                if self._is_wrong(Exhibit(sender, receiver, phase, body)):
                    return phase, sender
        return None

    def resolve(self, exhibits: Sequence[Exhibit]) -> list[Culprit]:
        """Who deviated; nobody, if all is as it should be."""
        checks = (
            (Phase.SIEVE_SHARES, "the sieve", self._sieve_culprits()),
            (Phase.PRODUCT_SHARES, "the product", self._product_culprits()),
            (None, "", self._test_culprits()),
            (Phase.FINAL_SHARES, "the last checks", self._final_culprits()),
        )
        for phase, step, wrong in checks:
            found = []
            for exhibit in (one for one in exhibits if one.phase is phase):
                if self._is_wrong(exhibit):
                    reason = (
                        f"its private message to party {exhibit.accuser} in {step} is not what its seeds say"
                    )
                    found.append(Culprit(exhibit.accused, reason))
                else:
                    found.append(Culprit(exhibit.accuser, f"it accuses party {exhibit.accused} falsely"))
            found = found or list(wrong)
            if found:
                return list({culprit.index: culprit for culprit in found}.values())
        return []

    def _is_wrong(self, exhibit: Exhibit) -> bool:
        settings, batch = self._settings, self._batch
        sender, receiver = exhibit.accused, exhibit.accuser
        try:
            if exhibit.phase is Phase.SIEVE_SHARES:
                shares = sieve.decode_shares(settings, exhibit.body)
                return any(
                    shares.candidates[number] != replay.sieve_shares(sender, receiver)
                    for number, replay in self._replays.items()
                ) or any(
                    shares.spares[leaf - settings.batch] != replay.shares(sender, receiver)
                    for leaf, replay in self._spares.items()
                )
            if exhibit.phase is Phase.PRODUCT_SHARES:
                numbers = product.decode(settings, exhibit.body, 3 * len(batch.live))
                rows = (numbers[at : at + 3] for at in range(0, len(numbers), 3))
                return any(
                    row != self._replays[number].product_shares(sender, receiver)
                    for number, row in zip(batch.live, rows, strict=True)
                    if number in self._replays
                )
            if self._kept is None:
                return False
            numbers = decode_final_shares(batch, exhibit.body)
            return numbers != self._replays[self._kept].final_shares(sender, receiver, batch.modulus)
        except Malformed:
            return True

    def _sieve_culprits(self) -> Iterator[Culprit]:
        openings, settings = self._batch.sieve_openings, self._settings
        for number, replay in self._replays.items():
            said = [opening.candidates[number] for opening in openings]
            yield from _differences(said, replay.sieve_opening, "its opening in the sieve is wrong")
        for leaf, spare in self._spares.items():
            values = [opening.spares[leaf - settings.batch] for opening in openings]
            yield from _differences(values, spare.opening, "its opening in the sieve is wrong")

    def _product_culprits(self) -> Iterator[Culprit]:
        for place, number in enumerate(self._batch.live):
            if number in self._replays:
                said = [row[place] for row in self._batch.product_openings]
                expected = self._replays[number].product_opening
                yield from _differences(said, expected, "its opening of a product is wrong")

    def _test_culprits(self) -> Iterator[Culprit]:
        """Of the first round. Only if the product of all values is wrong, each of them is computed."""
        batch = self._batch
        for number in batch.tested:
            if number not in self._replays:
                continue
            replay, base = self._replays[number], batch.bases[number]
            said = [images[number] for images in batch.images]
            p, q = replay.numbers
            if biprimality.fits_opened(said, base, p, q):
                continue
            expected = [
                biprimality.by_factors(base, biprimality.exponent(index, sum(part)), p, q)
                for index, part in enumerate(replay.parts, start=1)
            ]
            yield from _differences(said, expected, "its value in the biprimality test is wrong")

    def _final_culprits(self) -> Iterator[Culprit]:
        batch = self._batch
        if self._kept is None or not batch.statements:
            return
        replay = self._replays[self._kept]
        expected = replay.final_statements(batch.modulus, batch.final_bases)
        yield from _differences(batch.statements, expected, "its statement in the last checks is wrong")
        if not batch.exponents:
            return
        base = final.verification_base(batch.statements, batch.modulus)
        p, q = replay.numbers
        images = [
            biprimality.by_factors(base, biprimality.exponent(index, sum(part)), p, q)
            for index, part in enumerate(replay.parts, start=1)
        ]
        said = [first for first, _ in batch.exponents]
        yield from _differences(said, images, "its power of v in the biprimality test is wrong")


def encode_final_shares(batch: Batch, numbers: Iterable[int]) -> bytes:
    """The body of a private message of the last checks."""
    return pack(numbers, byte_length(batch.settings.key_size))


def decode_final_shares(batch: Batch, body: bytes) -> list[int]:
    """The opposite: three numbers. Raises Malformed."""
    width = byte_length(batch.settings.key_size)
    check_length(body, 3 * width)
    return unpack(body, width, batch.modulus)


def _differences(said: Sequence[object], expected: Sequence[object], reason: str) -> Iterator[Culprit]:
    if list(said) != list(expected):
        for index, (one, other) in enumerate(zip(said, expected, strict=True), start=1):
            if one != other:
                yield Culprit(index, reason)
