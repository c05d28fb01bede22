"""A submission on its way, and what its refusals come to."""

from __future__ import annotations

import asyncio

from alliance.client.life import closed
from alliance.config.file import AllianceConfig
from alliance.errors import AllianceError, OutcomeUnknown, SubmissionRefused, Unreachable
from alliance.net.channels import one_line
from alliance.pb import client_pb2 as pb
from alliance.proofs.receipt import require_placed
from quorum import DecisionCertificate
from verifiable_log import Submission
from verifiable_log.placement import Placement

UNUSABLE = {pb.Refusal.EXPIRED, pb.Refusal.CONFLICT}
"""What is said of a number that is too old, or used already."""


class NumberUnusable(OutcomeUnknown):
    """The number was too old or used before it was first sent: the commands were not ordered under it."""


def unreachable(config: AllianceConfig, problem: str, within: str = "") -> Unreachable:
    """``problem``: what one of the servers said last. ``within``: how long was waited, if that is known."""
    members = config.members
    addresses = ", ".join(member.address for member in members[:3])
    more = ", …" if len(members) > 3 else ""
    last = f"; the last answer was: {problem}" if problem else ""
    return Unreachable(
        f"no server of the alliance could be reached{within} ({addresses}{more}): are they running, and"
        f" is this the right alliance.toml? 'alliance status' shows each one{last}"
    )


class Pending:
    """A submission without its outcome."""

    def __init__(self, submission: Submission, fresh: bool) -> None:
        """``fresh``: it was never sent before, under a number that was never used by this client."""
        self.submission = submission
        self.fresh = fresh
        self.outcome: asyncio.Future[tuple[DecisionCertificate, Placement]] = (
            asyncio.get_running_loop().create_future()
        )
        self.sent_at: float | None = None
        self.unanswered = 0  # the streams on which it was sent, less those on which it was refused
        self.waiters = 0
        self.refusals: dict[int, tuple[pb.Refusal.Reason, str]] = {}

    @property
    def sent(self) -> bool:
        return self.sent_at is not None

    @property
    def number_unusable(self) -> bool:
        """Whether all who were sent it took it for too old or used, though it was sent for the first time."""
        reasons = {reason for reason, _ in self.refusals.values()}
        return self.fresh and not self.unanswered and bool(reasons) and reasons <= UNUSABLE

    def fail(self, error: Exception | None) -> None:
        """The work on all submissions is over, by this error, or because the client was closed."""
        if not self.outcome.done():
            self.outcome.set_exception(error if error is not None else self._closed())

    def _closed(self) -> AllianceError:
        if not self.sent:
            return closed()
        return OutcomeUnknown(
            "this client was closed before a receipt came: what was sent under sequence number"
            f" {self.submission.client_seq} may or may not be ordered; look for it with 'alliance listen', or"
            " ask again with Client.resume of another one",
            self.submission,
        )

    def take(self, certificate: DecisionCertificate, place: pb.Placement) -> None:
        """It is there, in the log that is certified. Raises InvalidReceipt unless it is."""
        sizes = place.slot, place.index, place.batch_size, place.time_ms
        placement = Placement(*sizes, tuple(place.batch_path), tuple(place.log_path))
        require_placed(self.submission.header(), placement, certificate)
        self.outcome.set_result((certificate, placement))

    def refuse(self, member: int, refusal: pb.Refusal) -> str:
        """Notes what a member said; the name of its reason."""
        known = refusal.reason in pb.Refusal.Reason.values()
        reason = pb.Refusal.Reason.Name(refusal.reason) if known else "UNSPECIFIED"
        if refusal.reason != pb.Refusal.BUSY:
            self.refusals[member] = (refusal.reason, f"{reason.lower()}: {one_line(refusal.detail)}")
        return reason

    def refused(self) -> AllianceError:
        """What the refusals of more servers than may be faulty come to; at least one of them is honest.

        An expired number tells nothing of whether it was ordered before it expired.
        """
        seq, servers = self.submission.client_seq, len(self.refusals)
        text = f"sequence number {seq} was refused by {servers} servers: " + "; ".join(
            sorted({detail for _, detail in self.refusals.values()})
        )
        if self.number_unusable:
            return NumberUnusable(text, self.submission)
        if any(reason in (pb.Refusal.EXPIRED, pb.Refusal.UNPROVEN) for reason, _ in self.refusals.values()):
            return OutcomeUnknown(
                f"{text}: it may have been ordered before; look for it with 'alliance listen'",
                self.submission,
            )
        return SubmissionRefused(text)
