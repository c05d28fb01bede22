"""A party of a generation without a dealer, as a state machine: messages in, messages out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from shoup_rsa._entropy import RandomBelow, random_below
from shoup_rsa.dealerless.accusation import LIST, judge, kind_of, show_invalid, show_list, show_two
from shoup_rsa.dealerless.blame import Convicted, Culprit
from shoup_rsa.dealerless.board import Board
from shoup_rsa.dealerless.final import SALT_LENGTH
from shoup_rsa.dealerless.message import (
    SIGNATURE_LENGTH_MAX,
    STATEMENT_LENGTH,
    Outgoing,
    Phase,
    Signed,
    Statement,
    Verify,
    check_signed,
    statement_for,
)
from shoup_rsa.dealerless.numbers import Malformed
from shoup_rsa.dealerless.seeds import SEED_LENGTH
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.dealerless.sieve import shares_length
from shoup_rsa.dealerless.transcript import Transcript
from shoup_rsa.dealerless.work import Work
from shoup_rsa.errors import InvalidMessage, NoNewShare
from shoup_rsa.key_share import KeyShare


@dataclass(frozen=True)
class Success:
    """A key that all parties have confirmed, and this party's share of it, which is to be made durable."""

    key_share: KeyShare
    trial_signatures: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True)
class Failure:
    """There is no key. Begin anew, without the culprits, under another context.

    culprits: who is to blame, ascending; empty only if numbers came up that nobody can make by deviating.
    """

    culprits: tuple[Culprit, ...]


@dataclass(frozen=True)
class Step:
    """What follows from an event: messages to sign and send, in this order, and perhaps the end."""

    outgoing: tuple[Outgoing, ...] = ()
    outcome: Success | Failure | None = None


class Party:
    """One member's part. It knows no network and no clock; see `shoup_rsa.dealerless` for its use."""

    def __init__(
        self,
        settings: Settings,
        index: int,
        verify: Verify,
        *,
        random_below: RandomBelow = random_below,
        work: type[Work] = Work,
    ) -> None:
        """index: 1..n. verify(party, statement, signature): whether that party's identity signed it.

        random_below, work: leave them alone outside tests. Raises ValueError for another index.
        """
        if index not in settings.indices:
            raise ValueError(f"a party's index is one of 1..{settings.parties}")
        self._settings = settings
        self._index = index
        self._verify = verify
        self._board = Board(settings, verify)
        self._work = work(self._board, index, random_below)
        self._inbox: dict[int, dict[int, Signed]] = {}
        self._started = False
        self._shown: list[bytes] = []
        self._listed = False
        self._accusers: set[tuple[int, int]] = set()
        self._disputing: set[int] = set()
        self.outcome: Success | Failure | None = None
        self.transcript = Transcript(settings)

    @property
    def phase(self) -> Phase:
        """What is sent in this round."""
        return self._board.phase

    @property
    def body_length_max(self) -> int:
        """No message has a longer body, so a longer one need not be read."""
        settings = self._settings
        longest = max(
            shares_length(settings),
            3 * settings.batch * settings.product_bytes,
            settings.batch * settings.key_size // 8 + SALT_LENGTH,
            SEED_LENGTH * settings.leaves,
            1 << 18,
        )
        return longest + STATEMENT_LENGTH + 8 + SIGNATURE_LENGTH_MAX

    @property
    def missing(self) -> tuple[int, ...]:
        """Whose message this party waits for."""
        if self._disputing:
            return tuple(index for index in self._settings.indices if (index, LIST) not in self._accusers)
        there = self._inbox.get(self._board.round, {})
        own = {self._index} if self.phase.private else set()
        return tuple(index for index in self._settings.indices if index not in there.keys() | own)

    def start(self) -> Step:
        """The first messages. Raises RuntimeError a second time."""
        if self._started:
            raise RuntimeError("this party has started already")
        self._started = True
        return Step(self._own_messages())

    def expire(self) -> Step:
        """The layer above has waited long enough: who is silent is named. Nobody else can check that."""
        if self.outcome is None:
            self._fail(
                Culprit(index, f"it has sent nothing ({self.phase.name})", proven=False)
                for index in self.missing
            )
        return Step((), self.outcome)

    def receive(self, sender: int, message: Signed) -> Step:
        """A message from a party. Raises InvalidMessage for what that party has not signed for this session.

        Such a message has no effect; it says something about the channel, and nothing about the party.
        """
        statement = self._checked(sender, message)
        if self.outcome is not None:
            if statement.kind == Phase.ACCUSATION:
                self._record(sender, message)
            return Step((), self.outcome)
        outgoing: list[Outgoing] = []
        try:
            if statement.kind == Phase.ACCUSATION:
                self._take_accusation(sender, message)
            else:
                self._store(sender, statement, message)
                while self.outcome is None and not self._disputing and not self.missing:
                    self._conclude_round()
                    if self.outcome is None and not self._disputing:
                        outgoing += self._own_messages()
        except Convicted as error:
            self._show_last()
            self._fail(error.culprits)
        except NoNewShare as error:
            self._fail(
                Culprit(index, "its subshare is not the one it committed to", proven=False)
                for index in error.culprits
            )
        position = self._board.round, Phase.ACCUSATION, self._board.chain
        for body in self._shown:
            outgoing.append(Outgoing(0, statement_for(self._settings, position, self._index, 0, body), body))
        self._shown = []
        return Step(tuple(outgoing), self.outcome)

    def _store(self, sender: int, statement: Statement, message: Signed) -> None:
        """Keep it until its round is complete. A second one for the same round convicts its sender."""
        if statement.round < self._board.round:
            heard = self.transcript.heard(statement.round)
            earlier = heard[sender - 1] if heard and not statement.receiver else message
        else:
            earlier = self._inbox.setdefault(statement.round, {}).setdefault(sender, message)
        if earlier.statement == message.statement:
            return
        if Statement.decode(earlier.statement).receiver == statement.receiver:
            self._shown.append(show_two(earlier, message))
            reason = f"it has signed two different messages for round {statement.round}"
            raise Convicted([Culprit(sender, reason)])

    def _record(self, sender: int, message: Signed) -> bool:
        """Keep an accusation in the transcript: one of each kind of each party. False for a further one."""
        key = sender, kind_of(message.body)
        if key in self._accusers:
            return False
        self._accusers.add(key)
        self.transcript.accusations.append(message)
        return True

    def _take_accusation(self, sender: int, message: Signed) -> None:
        """Judge what another party shows. In a dispute, go on until all have shown their lists."""
        if not self._record(sender, message) or sender == self._index:
            return
        statement = Statement.decode(message.statement)
        culprits = judge(self._board, self.transcript.heard, statement, message.body)
        if not culprits and kind_of(message.body) == LIST and sender in self._disputing:
            reason = "it names other broadcasts than it shows"
            culprits = (Culprit(sender, reason, proven=False),)
        if culprits:
            raise Convicted(culprits)

    def _checked(self, sender: int, message: Signed) -> Statement:
        try:
            statement = check_signed(self._settings, message, self._verify)
        except Malformed as error:
            raise InvalidMessage(sender, str(error)) from None
        if statement.sender != sender or statement.receiver not in (0, self._index):
            raise InvalidMessage(sender, "it is of another sender, or for another receiver")
        if statement.kind != Phase.ACCUSATION and statement.round > self._board.round + 1:
            raise InvalidMessage(sender, "it is of a round that its sender cannot have reached")
        return statement

    def _conclude_round(self) -> None:
        board = self._board
        messages = self._inbox.pop(board.round)
        if not self._check_heads(messages):
            return
        if board.phase.private:
            self._work.take(messages)
            board.skip()
            return
        ordered = [messages[index] for index in sorted(messages)]
        self.transcript.rounds.append(ordered)
        board.apply(ordered)
        if board.done:
            signatures = board.distribution.signatures if board.distribution else ()
            self.outcome = Success(self._work.key_share, signatures)

    def _check_heads(self, messages: dict[int, Signed]) -> bool:
        """Whether all messages of the round name the same broadcasts as this party has got.

        If not, all parties show each other what they have got, and somebody has signed two broadcasts.
        Raises Convicted for a message that may not be sent.
        """
        board = self._board
        heads = {sender: Statement.decode(message.statement) for sender, message in messages.items()}
        self._disputing = {sender for sender, head in heads.items() if head.chain != board.chain}
        if self._disputing:
            self._show_last()
            return False
        for sender, message in messages.items():
            reason = board.fault_in(heads[sender], message.body, self._index)
            if reason is not None:
                self._shown.append(show_invalid(message))
                raise Convicted([Culprit(sender, reason)])
        return True

    def _show_last(self) -> None:
        """The last round of broadcasts, for others to compare."""
        if self.transcript.rounds and not self._listed:
            self._listed = True
            self._shown.append(show_list(self.transcript.rounds[-1]))

    def _own_messages(self) -> tuple[Outgoing, ...]:
        board = self._board
        position = board.round, board.phase, board.chain
        return tuple(
            Outgoing(receiver, statement_for(self._settings, position, self._index, receiver, body), body)
            for receiver, body in self._work.bodies().items()
        )

    def _fail(self, culprits: Iterable[Culprit]) -> None:
        self.outcome = Failure(tuple(culprits))
        self._work.forget()
