"""The public transcript: the broadcasts of a generation with their signatures, and accusations.

    "shoup-rsa/dealerless-transcript" 00 | version u8 = 1 | n u16 | k u16 | t u16 | key size u16 | batch u16 |
    small key u8 | length of context u16 | context | messages, length-prefixed

The messages are the rounds' broadcasts, in the parties' order, then accusations. Private messages are not
among them, except those that somebody exhibits.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from shoup_rsa.dealerless.message import Phase, Signed, Statement, decode_signed
from shoup_rsa.dealerless.numbers import Malformed
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.errors import InvalidKey

_MAGIC = b"shoup-rsa/dealerless-transcript\x00"
_LAYOUT = struct.Struct(">BHHHHHBH")


class Transcript:
    """rounds: complete rounds of broadcasts, each in the parties' order. accusations: in the order they came.

    The key that comes of it is told by the validator, `validate`.
    """

    def __init__(self, settings: Settings) -> None:
        """Of a generation with these settings."""
        self.settings = settings
        self.rounds: list[Sequence[Signed]] = []
        self.accusations: list[Signed] = []

    def heard(self, number: int) -> Sequence[Signed] | None:
        """The broadcasts of a round; None if it was one of private messages, or is not complete."""
        for messages in reversed(self.rounds):
            if Statement.decode(messages[0].statement).round == number:
                return messages
        return None

    def to_bytes(self) -> bytes:
        """As in the head of this module."""
        settings = self.settings
        head = _LAYOUT.pack(
            1,
            settings.parties,
            settings.threshold,
            settings.corruptions,
            settings.key_size,
            settings.batch,
            settings.insecure_small_key,
            len(settings.context),
        )
        messages = [message for messages in self.rounds for message in messages]
        encoded = [message.encode() for message in (*messages, *self.accusations)]
        return _MAGIC + head + settings.context + b"".join(encoded)

    @classmethod
    def from_bytes(cls, data: bytes) -> Transcript:
        """Decode strictly; what the messages say is not looked at. Raises Malformed."""
        start = len(_MAGIC) + _LAYOUT.size
        if len(data) < start or not data.startswith(_MAGIC):
            raise Malformed("this is not a transcript")
        version, parties, threshold, corruptions, key_size, batch, small, length = _LAYOUT.unpack_from(
            data, len(_MAGIC)
        )
        if version != 1 or small > 1 or len(data) < start + length:
            raise Malformed("a transcript of another version, or a truncated one")
        context = data[start : start + length]
        try:
            settings = Settings(parties, threshold, corruptions, context, key_size, batch, bool(small))
        except InvalidKey as error:
            raise Malformed(str(error)) from None
        transcript, position, waiting = cls(settings), start + length, []
        while position < len(data):
            message, position = decode_signed(data, position)
            if Statement.decode(message.statement).kind == Phase.ACCUSATION:
                transcript.accusations.append(message)
                continue
            if transcript.accusations:
                raise Malformed("a round stands behind an accusation")
            waiting.append(message)
            if len(waiting) == parties:
                transcript.rounds.append(tuple(waiting))
                waiting = []
        if waiting:
            raise Malformed("its last round is not complete")
        return transcript
