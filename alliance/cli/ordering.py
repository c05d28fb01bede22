"""Submissions of ``alliance propose`` on their way, each kept in the folder until its outcome is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alliance.cli.clients import open_client
from alliance.cli.named import Named
from alliance.cli.output import plural, talk
from alliance.cli.unresolved import Unresolved
from alliance.errors import AllianceError, SubmissionRefused, Unreachable, VotesMissing

if TYPE_CHECKING:
    from alliance.client import Client
    from alliance.proofs.receipt import Receipt
    from verifiable_log import Submission

TOGETHER_MAX = 64
"""Submissions without an outcome that are asked for at the same time."""


VOTES_SECONDS = 3.0
"""For the votes on the first certificate that came; then for those on a newer one."""


@dataclass
class Outcome:
    """What is certain so far."""

    total: int
    places: list[tuple[int, int, int]] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    last: Receipt | None = None
    voteless: VotesMissing | None = None
    """Why ``last`` is without votes, if it was to have some."""

    def add(self, receipt: Receipt) -> None:
        self.times_ms.append(receipt.time_ms)
        self.places.append((receipt.slot, receipt.position, receipt.command_index))
        self.last = receipt

    def slots(self) -> str:
        first, last = self.places[0][0], self.places[-1][0]
        return f"slot {first}" if first == last else f"slots {first} to {last}"


class Work:
    """``run`` it once; ``outcome`` is what is certain, also when it raises."""

    def __init__(
        self, folder: Path, secret: bytes, timeout: float, *, named: Named | None = None, votes: bool = False
    ) -> None:
        """``named``: the one command that is proposed has a name, under which it is ordered once.

        ``votes``: the last receipt is to have members' votes.
        """
        self.outcome = Outcome(0)
        self._folder = folder
        self._secret = secret
        self._timeout = timeout
        self._named = named
        self._votes = votes
        self._unresolved = Unresolved(folder)
        self._open = 0
        self._rest = "the next one"

    async def propose(self, commands: Sequence[bytes], advance: Callable[[int], None]) -> None:
        """New submissions, one after the other. Raises as ``Client.resume``, and ConfigError."""
        self.outcome.total = len(commands)
        async with await open_client(self._folder, self._secret) as client:
            for submission, is_new in self._submissions(client, commands):
                self._unresolved.keep(submission)
                self._open = 1
                try:
                    receipts = await client.resume(submission, self._timeout)
                except (SubmissionRefused, Unreachable) as error:
                    # A new one that reached nobody is not ordered; an old one may have been when it was sent.
                    if is_new or isinstance(error, SubmissionRefused):
                        self._resolved(submission)
                    raise
                self._resolved(submission, receipts)
                advance(len(self.outcome.places))
            await self._vote(client, submission)

    def _submissions(self, client: Client, commands: Sequence[bytes]) -> Iterator[tuple[Submission, bool]]:
        from alliance.client.proposals import chunks

        if self._named is not None:
            yield self._named.submission(commands[0], lambda: client.sign(commands))
            return
        for chunk in chunks(commands):
            yield client.sign(chunk), True

    async def ask_again(self, advance: Callable[[int], None]) -> None:
        """All that had no outcome, together; each whatever the others come to. Raises as ``propose``."""
        kept = self._unresolved.all()
        self.outcome.total = sum(submission.command_count for submission in kept)
        self._open, self._rest = len(kept), "the rest"
        room = asyncio.Semaphore(TOGETHER_MAX)

        async def ask(submission: Submission) -> list[Receipt] | AllianceError:
            async with room:
                try:
                    return await client.resume(submission, self._timeout)
                except AllianceError as error:
                    return error

        async with await open_client(self._folder, self._secret) as client:
            answers = await asyncio.gather(*map(ask, kept))
            failures: list[AllianceError] = []
            proven: list[Submission] = []
            for submission, answer in zip(kept, answers, strict=True):
                if not isinstance(answer, AllianceError):
                    self._resolved(submission, answer)
                    proven.append(submission)
                    continue
                failures.append(answer)
                if isinstance(answer, SubmissionRefused):
                    self._resolved(submission)
            if proven:
                await self._vote(client, proven[-1])
        advance(len(self.outcome.places))
        if failures:
            raise min(failures, key=lambda error: error.exit_code)  # the least certain of them

    async def _vote(self, client: Client, submission: Submission) -> None:
        """Puts votes beside the last receipt, which is of this submission, if that is wanted.

        Where they are gone, or never came together on just this log, there may be a newer certificate.
        """
        if not self._votes or self.outcome.last is None:
            return
        try:
            try:
                self.outcome.last = await client.with_votes(self.outcome.last, VOTES_SECONDS)
            except VotesMissing:
                self.outcome.last = (await client.resume(submission, self._timeout))[-1]
                self.outcome.last = await client.with_votes(self.outcome.last)
        except VotesMissing as error:
            self.outcome.voteless = error
        except AllianceError as error:
            self.outcome.voteless = VotesMissing(f"its votes did not come: {error}")

    def _resolved(self, submission: Submission, receipts: Sequence[Receipt] = ()) -> None:
        """Its outcome is known: these receipts, or, without any, that it is not ordered."""
        Named.resolve(self._folder, submission, receipts)
        self._unresolved.forget(submission)
        self._open -= 1
        for receipt in receipts:
            self.outcome.add(receipt)

    def told(self, error: AllianceError | KeyboardInterrupt) -> AllianceError | KeyboardInterrupt:
        """The error, with what is certain nevertheless and what to type to ask for the rest."""
        again = f"ask again, without ordering it twice: {self._unresolved.command()}" if self._open else ""
        if isinstance(error, KeyboardInterrupt):
            if again:
                talk(f"{plural(self._open, 'submission')} without an outcome yet; {again}")
            return error
        text = f"{error}; {again}" if again else str(error)
        if self.outcome.places:
            certain = f"{len(self.outcome.places):,} of {plural(self.outcome.total, 'command')} are certain"
            voteless = self._votes and self.outcome.last is not None and not self.outcome.last.votes
            receipt = " (their receipt is without votes)" if voteless else ""
            text = f"{certain}, in {self.outcome.slots()}{receipt}; of {self._rest}: {text}"
        error.args = (text,)  # the same error: it carries more than its text
        return error
