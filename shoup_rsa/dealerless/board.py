"""The public side of a generation: what everybody concludes from the broadcasts, round by round.

A party runs it beside its secrets, and the validator runs it alone on a transcript. It is a function of the
broadcasts: honest parties with the same chain are in the same phase and know the same candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from shoup_rsa.dealerless import final, product, sieve
from shoup_rsa.dealerless.batch import Batch
from shoup_rsa.dealerless.blame import Convicted, Culprit
from shoup_rsa.dealerless.judging import Case, Exhibit, decode_final_shares
from shoup_rsa.dealerless.message import (
    Phase,
    Signed,
    Statement,
    Verify,
    check_signed,
    decode_signed,
    next_chain,
)
from shoup_rsa.dealerless.numbers import Malformed, check_length
from shoup_rsa.dealerless.outcome import Distribution
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.errors import InvalidReceiver
from shoup_rsa.keys import ThresholdPublicKey
from shoup_rsa.redistribution.additive import additive_receiver_bits
from shoup_rsa.redistribution.receivers import ReceiverKey

Value = TypeVar("Value")
DIGEST_LENGTH = 32

Foresight = Callable[[Batch], dict[int, tuple[int, int]]]
"""p and q of tested candidates, for who has the openings already. It saves time and decides nothing."""


class Board:
    """The state. phase: what is sent in this round. chain: of all broadcasts before it.

    batch: the present one. receivers: the parties' receiver keys. distribution: from DEALING on. done:
    whether `key` is confirmed by all.
    """

    def __init__(self, settings: Settings, verify: Verify) -> None:
        """verify: the layer above's check of signatures, for messages that are exhibited."""
        self.foresight: Foresight | None = None
        self.settings = settings
        self.verify = verify
        self.phase = Phase.SETUP
        self.round = 0
        self.chain = bytes(DIGEST_LENGTH)
        self.receivers: list[ReceiverKey] = []
        self.batch = Batch(settings, 0)
        self.case: Case | None = None
        self.distribution: Distribution | None = None
        self.done = False
        # Of every round so far and the present one: its phase, and the chain before it.
        self._history: list[tuple[Phase, bytes]] = [(self.phase, self.chain)]
        self._first_round = 0

    @property
    def key(self) -> ThresholdPublicKey | None:
        """The key, once it is confirmed."""
        return self.distribution.key if self.distribution is not None and self.done else None

    def skip(self) -> None:
        """A round of private messages is complete."""
        self._next(Phase(self.phase + 1))

    def apply(self, messages: Sequence[Signed]) -> None:
        """A round of broadcasts, one of each party, in their order. Raises Convicted where somebody deviated.

        Their signatures and statements have been checked.
        """
        self.chain = next_chain(self.chain, [message.statement for message in messages])
        take: Callable[[list[bytes]], Phase] = getattr(self, f"_{self.phase.name.lower()}")
        self._next(take([message.body for message in messages]))

    def check_private(self, phase: Phase, body: bytes) -> None:
        """Raise Malformed unless this can be a private message of that phase in the present batch."""
        settings, batch = self.settings, self.batch
        if phase is Phase.SIEVE_SHARES:
            sieve.decode_shares(settings, body)
        elif phase is Phase.PRODUCT_SHARES:
            product.decode(settings, body, 3 * len(batch.live))
        else:
            decode_final_shares(batch, body)

    def shares(self, number: int, chain: bytes) -> bool:
        """Whether a party that names this chain in a round has got the same broadcasts."""
        return number < len(self._history) and self._history[number][1] == chain

    def fault_in(self, statement: Statement, body: bytes, receiver: int) -> str | None:
        """What is wrong with a message that a party has got: a clause, or None if it may be sent.

        Its signature, session, sender and body have been checked. None as well if nothing can be said,
        because it names other broadcasts, or a round that is not there yet.
        """
        if not self.shares(statement.round, statement.chain):
            return None
        phase, _ = self._history[statement.round]
        if (statement.kind, statement.receiver) != (phase, receiver if phase.private else 0):
            return f"its message is not of phase {phase.name}"
        if phase.private:
            try:
                self.check_private(phase, body)
            except Malformed as error:
                return f"its private message ({phase.name}) is invalid: {error}"
        return None

    def exhibit(self, accuser: int, data: bytes) -> Exhibit:
        """What a verdict shows. Raises Malformed."""
        message, end = decode_signed(data)
        statement = check_signed(self.settings, message, self.verify)
        if end != len(data) or statement.receiver != accuser or statement.sender == accuser:
            raise Malformed("it exhibits what is no message to itself")
        if not self._first_round <= statement.round < len(self._history):
            raise Malformed("it exhibits a message that is not of this batch")
        phase, chain = self._history[statement.round]
        if not phase.private or (statement.kind, statement.chain) != (phase, chain):
            raise Malformed("it exhibits a message that is not of its round")
        return Exhibit(statement.sender, accuser, phase, message.body)

    def _next(self, phase: Phase) -> None:
        self.phase = phase
        self.round += 1
        self._history.append((phase, self.chain))
        if phase is Phase.COMMIT:
            self._first_round = self.round

    def _new_batch(self) -> Phase:
        self.batch = Batch(self.settings, self.batch.number + 1)
        self.case = None
        return Phase.COMMIT

    def _each(self, bodies: list[bytes], decode: Callable[[int, bytes], Value]) -> list[Value]:
        """All bodies decoded; Convicted names those whose bodies are no message of this round."""
        found, culprits = [], []
        for index, body in enumerate(bodies, start=1):
            try:
                found.append(decode(index, body))
            except (Malformed, InvalidReceiver) as error:
                culprits.append(Culprit(index, f"its message ({self.phase.name}) is invalid: {error}"))
        if culprits:
            raise Convicted(culprits)
        return found

    def _digest(self, _: int, body: bytes) -> bytes:
        check_length(body, DIGEST_LENGTH)
        return body

    def _setup(self, bodies: list[bytes]) -> Phase:
        bits = additive_receiver_bits(self.settings.parties, self.settings.threshold, self.settings.key_size)

        def _decode(_: int, body: bytes) -> ReceiverKey:
            key = ReceiverKey.from_bytes(body)
            if key.bits != bits:
                raise Malformed(f"its receiver key has {key.bits} bits, not {bits}")
            return key

        self.receivers = self._each(bodies, _decode)
        return Phase.COMMIT

    def _commit(self, bodies: list[bytes]) -> Phase:
        self.batch.roots = self._each(bodies, self._digest)
        return Phase.SIEVE_SHARES

    def _sieve_opening(self, bodies: list[bytes]) -> Phase:
        openings = self._each(bodies, lambda _, body: sieve.decode_opening(self.settings, body))
        self.batch.take_sieve(openings)
        return Phase.PRODUCT_SHARES

    def _product_opening(self, bodies: list[bytes]) -> Phase:
        count = len(self.batch.live)
        openings = self._each(bodies, lambda _, body: product.decode(self.settings, body, count))
        self.batch.take_products(openings, self.chain)
        return Phase.TEST_COMMIT

    def _test_commit(self, bodies: list[bytes]) -> Phase:
        self.batch.test_commitments = self._each(bodies, self._digest)
        return Phase.TEST_OPENING

    def _test_opening(self, bodies: list[bytes]) -> Phase:
        batch = self.batch

        def _decode(index: int, body: bytes) -> dict[int, int]:
            if batch.test_commitment(index, body) != batch.test_commitments[index - 1]:
                raise Malformed("it opens other values than it committed to")
            return batch.decode_images(body)

        images = self._each(bodies, _decode)
        batch.take_images(images, self.foresight(batch) if self.foresight else {})
        return Phase.SEED_OPENING

    def _seed_opening(self, bodies: list[bytes]) -> Phase:
        self.batch.seeds = self._each(bodies, self.batch.take_seeds)
        self.case = Case(self.batch)
        return Phase.VERDICT

    def _judge(self, bodies: list[bytes]) -> None:
        """Raise Convicted for what the verdicts' exhibits and the opened seeds show."""
        if self.case is None:
            raise RuntimeError("there is no case to judge")
        shown = [(index, body) for index, body in enumerate(bodies, start=1) if body]
        if not shown and self.case.sound:
            return
        exhibits = self._each(bodies, lambda index, body: self.exhibit(index, body) if body else None)
        culprits = self.case.resolve([one for one in exhibits if one is not None])
        if culprits:
            raise Convicted(culprits)

    def _verdict(self, bodies: list[bytes]) -> Phase:
        self._judge(bodies)
        if self.batch.kept is None:
            return self._new_batch()
        self.batch.final_bases = final.bases(self.settings, self.chain, self.batch.modulus)
        return Phase.FINAL_SHARES

    def _final_commit(self, bodies: list[bytes]) -> Phase:
        batch = self.batch
        batch.final_commitments = self._each(bodies, self._digest)
        return Phase.FINAL_OPENING

    def _final_opening(self, bodies: list[bytes]) -> Phase:
        batch = self.batch

        def _decode(index: int, body: bytes) -> final.Statement:
            if batch.final_commitment(index, body) != batch.final_commitments[index - 1]:
                raise Malformed("it opens another statement than it committed to")
            return final.decode(self.settings, body, batch.modulus)

        batch.statements = self._each(bodies, _decode)
        accepted = final.accepts(self.settings, batch.statements, batch.final_bases, batch.modulus)
        return Phase.EXPONENT if accepted else Phase.KEPT_OPENING

    def _exponent(self, bodies: list[bytes]) -> Phase:
        batch, settings = self.batch, self.settings
        batch.exponents = self._each(
            bodies, lambda _, body: final.decode_images(settings, body, batch.modulus)
        )
        exponent = final.exponent_of(batch.statements, batch.modulus)
        culprits = [
            Culprit(index, "it uses another part of p + q in its exponent than in the biprimality test")
            for index, pair in enumerate(batch.exponents, start=1)
            if not exponent.fits(index, *pair)
        ]
        if culprits:
            raise Convicted(culprits)
        if not exponent.passes([first for first, _ in batch.exponents]):
            return Phase.KEPT_OPENING
        images = tuple(second for _, second in batch.exponents)
        self.distribution = Distribution(settings, exponent, images, tuple(self.receivers), self.chain)
        return Phase.DEALING

    def _kept_opening(self, bodies: list[bytes]) -> Phase:
        self.batch.seeds = self._each(bodies, self.batch.take_kept_seeds)
        self.case = Case(self.batch, kept=True)
        return Phase.KEPT_VERDICT

    def _kept_verdict(self, bodies: list[bytes]) -> Phase:
        self._judge(bodies)
        return self._new_batch()

    def _dealing(self, bodies: list[bytes]) -> Phase:
        self._distributed().take_dealings(bodies)
        return Phase.TRIAL

    def _trial(self, bodies: list[bytes]) -> Phase:
        distribution = self._distributed()
        distribution.take_trials(self._each(bodies, distribution.decode_trials))
        return Phase.CONFIRM

    def _confirm(self, bodies: list[bytes]) -> Phase:
        expected = self._distributed().key.key_id

        def _decode(_: int, body: bytes) -> None:
            if body != expected:
                raise Malformed("it confirms another key")

        self._each(bodies, _decode)
        self.done = True
        return Phase.CONFIRM

    def _distributed(self) -> Distribution:
        if self.distribution is None:
            raise RuntimeError("nothing is distributed yet")
        return self.distribution
