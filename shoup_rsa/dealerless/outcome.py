"""From the pieces of d to an ordinary threshold key: the dealings, the key, and its first signatures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from shoup_rsa._entropy import RandomBelow
from shoup_rsa.dealerless.blame import Convicted, Culprit
from shoup_rsa.dealerless.final import Exponent
from shoup_rsa.dealerless.numbers import Malformed, check_length
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.errors import CombineFailed, InvalidDealing, InvalidKey, InvalidShare, InvalidShares
from shoup_rsa.key_share import KeyShare
from shoup_rsa.keys import ThresholdPublicKey
from shoup_rsa.redistribution.additive import AdditiveKey, AdditiveOrder
from shoup_rsa.redistribution.deal import deal_secret
from shoup_rsa.redistribution.outcome import Outcome, conclude, receive
from shoup_rsa.redistribution.receivers import ReceiverKey, ReceiverSecret
from shoup_rsa.redistribution.transcript import Redistribution
from shoup_rsa.redistribution.verdict import VerifiedDealing, verify_dealing
from shoup_rsa.resolve import AnySignatureShare
from shoup_rsa.trials import TRIALS, combine_trials, sign_trials, trial_messages, trial_scheme


class Distribution:
    """The redistribution from additive pieces. exponent: what is public of d; images: the V_i."""

    def __init__(
        self,
        settings: Settings,
        exponent: Exponent,
        images: tuple[int, ...],
        receivers: tuple[ReceiverKey, ...],
        chain: bytes,
    ) -> None:
        """chain: of all broadcasts before the dealings, to which these are bound."""
        self._settings = settings
        self.exponent = exponent
        self._images = images
        self._receivers = receivers
        self._context = settings.session + chain
        self._outcome: Outcome | None = None
        self.signatures: tuple[bytes, ...] = ()

    @cached_property
    def redistribution(self) -> Redistribution:
        """The order and the receivers."""
        settings, exponent = self._settings, self.exponent
        key = AdditiveKey(exponent.modulus, exponent.base, self._images)
        order = AdditiveOrder(key, settings.threshold, settings.corruptions, exponent.constant, self._context)
        return Redistribution(order, self._receivers)

    def deal(self, index: int, part: int, random_below: RandomBelow) -> bytes:
        """A party's dealing of its piece; part is its p_i + q_i."""
        piece = self.exponent.piece(index, part)
        dealing = deal_secret(self.redistribution, index, piece, random_below=random_below)
        return dealing.to_bytes(self.redistribution)

    def take_dealings(self, bodies: list[bytes]) -> None:
        """All parties' dealings. Raises Convicted for those that are invalid."""
        valid: list[VerifiedDealing] = []
        culprits = []
        for index, body in enumerate(bodies, start=1):
            try:
                valid.append(verify_dealing(self.redistribution, index, body))
            except InvalidDealing as error:
                culprits.append(Culprit(index, f"its dealing is invalid: {error.reason}"))
        if culprits:
            raise Convicted(culprits)
        self._outcome = conclude(self.redistribution, valid)
        if self._outcome is None:
            raise Convicted(())

    @property
    def key(self) -> ThresholdPublicKey:
        """The key that the dealings give."""
        return self._concluded.public_key

    def receive(self, index: int, secret: ReceiverSecret) -> KeyShare:
        """A party's share of it. Raises NoNewShare."""
        return receive(self._concluded, index, secret)

    def trials(self, key_share: KeyShare) -> bytes:
        """The body of a party's shares of the trial signatures."""
        return b"".join(self.key.share_to_bytes(share) for share in sign_trials(key_share))

    def decode_trials(self, index: int, body: bytes) -> Sequence[AnySignatureShare]:
        """The opposite. Raises Malformed, also where a proof does not hold."""
        key, length = self.key, self.key.share_length("compact")
        check_length(body, TRIALS * length)
        try:
            shares = [key.share_from_bytes(body[at : at + length]) for at in range(0, len(body), length)]
            for message, share in zip(trial_messages(key), shares, strict=True):
                if share.index != index:
                    raise Malformed("its trial shares are another party's")
                key.verify_shares(message, [share], trial_scheme(key))
        except (InvalidShare, InvalidShares) as error:
            raise Malformed(f"its trial shares do not hold: {error}") from None
        return shares

    def take_trials(self, rows: Sequence[Sequence[AnySignatureShare]]) -> None:
        """All parties' trial shares, which were checked. Raises Convicted if they give no signature."""
        try:
            self.signatures = combine_trials(self.key, rows)
        except (InvalidKey, CombineFailed):
            # Proven shares that do not combine: an element of low order. Nobody can be named for it.
            raise Convicted(()) from None

    @property
    def _concluded(self) -> Outcome:
        if self._outcome is None:
            raise RuntimeError("the dealings are not there yet")
        return self._outcome
