"""All parties of a generation without a dealer in one process: a network that loses and delays nothing."""

from __future__ import annotations

import hashlib
import hmac
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

from shoup_rsa.dealerless import Failure, Party, Settings, Success
from shoup_rsa.dealerless.message import Outgoing, Phase, Signed, Statement
from shoup_rsa.dealerless.work import Work

Tamper = Callable[[int, Outgoing], "Outgoing | None"]
"""(sender, message) -> what is sent in its place, or None to send nothing."""


def sign(index: int, statement: bytes) -> bytes:
    """A stand-in for identities, which belong to the layer above."""
    return hmac.digest(b"identity %d" % index, statement, hashlib.sha256)


def verify(index: int, statement: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(sign(index, statement), signature)


class Network:
    """liars: by index the class of its work. tamper: changes messages before they are signed."""

    def __init__(
        self,
        settings: Settings,
        seed: int | str,
        *,
        liars: Mapping[int, type[Work]] | None = None,
        tamper: Tamper | None = None,
    ) -> None:
        self.settings = settings
        self.parties = {
            index: Party(
                settings,
                index,
                verify,
                random_below=random.Random(f"{seed} {index}").randrange,
                work=(liars or {}).get(index, Work),
            )
            for index in settings.indices
        }
        self.seconds: Counter[int] = Counter()
        self.sent: Counter[int] = Counter()
        self.phases: Counter[str] = Counter()
        self._tamper = tamper
        self._queue: deque[tuple[int, int, Signed]] = deque()

    def run(self) -> dict[int, Success | Failure | None]:
        for index, party in self.parties.items():
            self._timed(index, party.start)
        while self._queue:
            sender, receiver, message = self._queue.popleft()
            party = self.parties[receiver]
            self._timed(receiver, lambda party=party, s=sender, m=message: party.receive(s, m))
        for party in self.parties.values():
            if party.outcome is None:
                party.expire()
        return {index: party.outcome for index, party in self.parties.items()}

    def _timed(self, index: int, call: Callable[[], object]) -> None:
        before = time.process_time()
        step = call()
        spent = time.process_time() - before
        self.seconds[index] += spent
        for outgoing in step.outgoing:
            self.send(index, outgoing)

    def send(self, sender: int, outgoing: Outgoing | None) -> None:
        if self._tamper is not None and outgoing is not None:
            outgoing = self._tamper(sender, outgoing)
        if outgoing is None:
            return
        message = Signed(outgoing.statement, outgoing.body, sign(sender, outgoing.statement))
        receivers = [outgoing.receiver] if outgoing.receiver else list(self.settings.indices)
        kind = Statement.decode(outgoing.statement).kind
        for receiver in receivers:
            if receiver != sender:
                size = len(message.encode())
                self.sent[sender] += size
                self.phases[Phase(kind).name] += size
            self._queue.append((sender, receiver, message))
