"""The gate as a target: whatever gets in says what somebody signed."""

from __future__ import annotations

from alliance.server.gate import Gate, Rejected
from fab_paxos.messages import (
    Accepted,
    Batches,
    Certified,
    Forward,
    Message,
    NewView,
    Progress,
    Propose,
    Report,
)
from tests.alliance.farm import Farm
from tests.worlds.require import require
from verifiable_log import Submission
from verifiable_log.checkpoint_offer import Offer
from verifiable_log.log_frame import LogFrame

SENDER = 4
SignedStatement = tuple[object, ...]


class GateTarget:
    """``true`` are the messages that their authors did send."""

    def __init__(self, farm: Farm, true: list[Message]) -> None:
        self._gate = Gate(farm.config)
        self._leader = farm.config.system.leader
        self._said = {word for message in true for word in self._words(message, None)}

    def __call__(self, data: bytes) -> bool:
        sender = (1, 0, SENDER, 2)[len(data) % 4]
        result = self._gate.admit(sender, data)
        if isinstance(result, Rejected):
            return False
        for word in self._words(result.message, sender):
            require(word in self._said or (word[0], None, *word[2:]) in self._said, f"nobody said {word[:3]}")
        return True

    def _words(self, message: Message, sender: int | None) -> list[SignedStatement]:
        match message:
            case Propose(view, slot, batch, root):
                return [("propose", None, view, slot, root), *map(_client, batch.submissions)]
            case Accepted(view, slot, root):
                return [("accepted", sender, view, slot, root)]
            case Certified(certificate):
                return [("certificate", None, certificate.statement)]
            case LogFrame(certificate=certificate):  # its batches are the engine's to check
                return [("certificate", None, certificate.statement)]
            case Progress(base=base, certificate=certificate):
                held = [certificate] if base is None else [base, certificate]
                return [("certificate", None, one.statement) for one in held]
            case Offer(checkpoint=checkpoint, certificate=certificate):
                return [("certificate", None, one.statement) for one in (checkpoint, certificate)]
            case Forward(submissions):
                return list(map(_client, submissions))
            case Batches(batches):
                return [_client(one) for batch in batches for one in batch.submissions]
            case Report(view):
                return [("report", sender, view, message.body_digest)]
            case NewView(view, reports):
                told = [("report", None, report.view, report.body_digest) for _, report in reports]
                return [("new view", None, view, message.digest), *told]
            case _:
                return []


def _client(submission: Submission) -> SignedStatement:
    return ("submission", None, submission.encoded)
