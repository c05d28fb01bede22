"""The validator: judges a generation again, offline, from nothing but its public transcript."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from shoup_rsa.dealerless import seeds
from shoup_rsa.dealerless.accusation import judge
from shoup_rsa.dealerless.batch import Batch
from shoup_rsa.dealerless.blame import Convicted, Culprit
from shoup_rsa.dealerless.board import Board
from shoup_rsa.dealerless.message import Phase, Signed, Statement, Verify, check_signed
from shoup_rsa.dealerless.numbers import Malformed
from shoup_rsa.dealerless.replay import Replay, SpareReplay
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.dealerless.transcript import Transcript
from shoup_rsa.errors import InvalidTranscript
from shoup_rsa.keys import ThresholdPublicKey


@dataclass(frozen=True)
class Verdict:
    """What a transcript shows.

    public_key: the key that all parties have confirmed, else None. trial_signatures: its eight first ones.
    culprits: whom the transcript convicts. With neither it just ends: somebody fell silent, and who did only
    those know who waited. batches: how many were tried.
    """

    settings: Settings
    public_key: ThresholdPublicKey | None
    trial_signatures: tuple[bytes, ...] = field(repr=False)
    culprits: tuple[Culprit, ...]
    batches: int


def validate(data: bytes, verify: Verify) -> Verdict:
    """Judge the encoded transcript again: every opened candidate, every check of the key. Some seconds.

    verify(party, statement, signature): whether that party's identity signed it. What `settings` ought to be
    is for the caller to compare. Raises InvalidTranscript for what no run of the protocol leaves behind:
    other forms, false signatures, messages out of order, or others behind the end.
    """
    try:
        transcript = Transcript.from_bytes(data)
        settings = transcript.settings
        board = Board(settings, verify)
        culprits = _replay(board, transcript)
        for message in transcript.accusations:
            statement = check_signed(settings, message, verify)
            if not culprits:
                culprits = judge(board, transcript.heard, statement, message.body)
    except Malformed as error:
        raise InvalidTranscript(str(error)) from None
    signatures = board.distribution.signatures if board.distribution and board.key else ()
    return Verdict(settings, None if culprits else board.key, signatures, culprits, board.batch.number + 1)


def _replay(board: Board, transcript: Transcript) -> tuple[Culprit, ...]:
    for place, messages in enumerate(transcript.rounds):
        if board.done:
            raise Malformed("it goes on behind its end")
        if board.phase.private:
            board.skip()
        following = transcript.rounds[place + 1 : place + 2]
        board.foresight = partial(_factors, [message.body for message in following[0]] if following else [])
        _check_round(board, messages)
        try:
            board.apply(messages)
        except Convicted as error:
            if place + 1 < len(transcript.rounds):
                raise Malformed("it goes on behind a conviction") from None
            return error.culprits
    return ()


def _factors(openings: list[bytes], batch: Batch) -> dict[int, tuple[int, int]]:
    """p and q of all tested candidates, if the openings that follow are honest; else nonsense or nothing."""
    settings = batch.settings
    if len(openings) != settings.parties or any(
        len(body) != seeds.SEED_LENGTH * settings.leaves for body in openings
    ):
        return {}
    opened = [dict(enumerate(seeds.split(body))) for body in openings]
    found = {}
    for candidate in batch.tested:
        replacements = batch.assigned[candidate] or ((), ())
        spares = {
            leaf: SpareReplay(settings, opened, leaf, prime)
            for chosen in replacements
            for prime, leaf in chosen
        }
        found[candidate] = Replay(settings, opened, candidate, replacements, spares).numbers
    return found


def _check_round(board: Board, messages: Sequence[Signed]) -> None:
    for index, message in enumerate(messages, start=1):
        statement = check_signed(board.settings, message, board.verify)
        expected = Statement(
            board.settings.session, board.round, board.phase, index, 0, board.chain, statement.digest
        )
        if statement != expected:
            raise Malformed(f"round {board.round} ({Phase(board.phase).name}): not party {index}'s broadcast")
