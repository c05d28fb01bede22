"""Certificates, beside the path to a decision and never on it.

The leader requests a certificate when that of the last requested slot is complete: every slot while idle,
one per share time under load. Requested slots are endorsed with a share each; whoever holds enough shares
combines them. One certificate covers all slots before it.
"""

from __future__ import annotations

from fab_paxos.effects import Broadcast, Effect, Endorse, Send
from fab_paxos.joint_signing import JointSigning
from fab_paxos.limits import CERTIFICATE_SLOTS, WINDOW_SLOTS
from fab_paxos.messages import CertifyRequest, Endorsed
from fab_paxos.share_collector import Reputation
from fab_paxos.share_recipients import ShareRecipients
from fab_paxos.uncertified_log import UncertifiedLog
from quorum import AcceptedStatement, Endorsement, JointStatement, QuorumCertificate, Quorums


class Certifier:
    """Requests, endorsements, and their combination. Bounded by the window and the number of members."""

    def __init__(
        self,
        system: Quorums,
        me: int,
        log: UncertifiedLog,
        view: int,
        certificate: QuorumCertificate | None,
        beyond: QuorumCertificate | None,
        reputation: Reputation,
        recipients: ShareRecipients,
    ) -> None:
        self._recipients = recipients
        self._system = system
        self._log = log
        self._view = view
        self.signing = JointSigning(system, me, reputation, _slot)
        self._wanted = 0  # the highest slot that was requested
        self._due = 0  # the last accepted slot that needs no request
        self._requested = 0  # as leader: the slot whose certificate is awaited
        self._overdue = 0  # as leader: the one that was awaited at the last heartbeat
        self._with_signer: AcceptedStatement | None = None
        self.newest = certificate
        # A certificate of a longer log than ours: kept until its slot is decided here.
        self.beyond = beyond

    @property
    def certified(self) -> int:
        """The slot of the newest certificate whose whole log is decided here."""
        return _slot(self.newest.statement) if self.newest is not None else self._log.start

    @property
    def furthest(self) -> QuorumCertificate | None:
        """The certificate of the highest slot that is known here, whether or not its log is."""
        return self.beyond if self.beyond is not None else self.newest

    def enter_view(self, view: int) -> None:
        """Requests and shares of the old view are void; the one that is being signed will be dropped."""
        self._view = view
        self.signing.retain(())
        self._wanted = self._due = self._requested = self._overdue = 0

    # -- requests ------------------------------------------------------------------------------------

    def request_certificate(self, out: list[Effect]) -> None:
        """Self-clocking: the next request follows the last certificate."""
        tip = self._log.tip
        if tip > self.certified and self._requested <= self.certified:
            self._requested = tip
            self._wanted = max(self._wanted, tip)
            out.append(Broadcast(CertifyRequest(self._view, tip)))

    def repeat_request(self, out: list[Effect]) -> None:
        """A request or a share may have been lost with a link: repeat both.

        A request that is overdue moves on to the tip. Members whose certificates differ may disagree on
        whether an earlier slot is worth a share; nobody has passed the tip.
        """
        if self._requested > self.certified:
            if self._requested == self._overdue:
                self._requested = self._log.tip
                self._wanted = max(self._wanted, self._requested)
            self._overdue = self._requested
            out.append(Broadcast(CertifyRequest(self._view, self._requested)))
        self.signing.on_heartbeat(out, self.certified)

    def on_certify_request(self, slot: int) -> None:
        if self.certified < slot <= self.certified + WINDOW_SLOTS:
            self._wanted = max(self._wanted, slot)

    def on_accepted(self, slot: int) -> None:
        """A leader that requests nothing, or a far slot, does not keep us from our certificates."""
        if slot % CERTIFICATE_SLOTS == 0 and slot >= self.certified + CERTIFICATE_SLOTS:
            self._due = slot
        if slot == self._log.end:
            self._due = slot  # nothing comes behind it to be requested

    # -- our own endorsements ------------------------------------------------------------------------

    def endorse_wanted(self, out: list[Effect]) -> None:
        """One signature at a time, on the newest slot that was requested and accepted in this view.

        A leader may request far slots after near ones: who has signed a later slot does not go back.
        """
        slot = max((slot for slot in (self._wanted, self._due) if slot <= self._log.tip), default=0)
        if self._with_signer is not None or slot <= self.certified:
            return
        entry = self._log.entry(slot)
        if entry is None or entry.view != self._view:
            return
        if not self._has_signed(slot):
            self._with_signer = AcceptedStatement(self._view, slot, entry.root)
            out.append(Endorse(self._with_signer))

    def _has_signed(self, slot: int) -> bool:
        """Whether our newest share of this view is on ``slot`` or a later one of the log that is here now."""
        mine = self.signing.mine.statement if self.signing.mine is not None else None
        if not isinstance(mine, AcceptedStatement) or mine.slot < slot:
            return False
        entry = self._log.entry(mine.slot)
        return entry is not None and entry.root == mine.root

    def on_endorsement_made(
        self, statement: JointStatement, signature: bytes, proven: bool, out: list[Effect]
    ) -> None:
        """Our share goes to those who combine it."""
        if not proven:
            self._with_signer = None
        if isinstance(statement, AcceptedStatement) and statement.view == self._view:
            recipients = self._recipients.of_share(self._system.leader(self._view))
            self.on_endorsed(self.signing.share(statement, signature, proven, out, recipients), out)

    def on_endorsement_refused(self, statement: JointStatement) -> None:
        """The signer knows better (it signed another root): this slot stays without our share."""
        if self._with_signer == statement:
            self._with_signer = None
            if self._wanted == _slot(statement):
                self._wanted = 0
            if self._due == _slot(statement):
                self._due = 0

    def on_proofs_wanted(self, member: int, out: list[Effect]) -> None:
        """Somebody waits there now: it may lack our share of what is not certified yet."""
        mine = self.signing.mine
        if mine is not None and _slot(mine.statement) > self.certified:
            out.append(Send(member, Endorsed(mine)))

    # -- everybody's endorsements --------------------------------------------------------------------

    def on_endorsed(self, endorsement: Endorsement, out: list[Effect]) -> None:
        """A share on a slot of the current view, anybody's; those out of the window are dropped."""
        slot = _slot(endorsement.statement)
        if self.certified < slot <= self.certified + 2 * WINDOW_SLOTS:
            self.signing.add(endorsement, out)

    # -- certificates --------------------------------------------------------------------------------

    def on_certificate(self, certificate: QuorumCertificate) -> None:
        """A verified certificate of our own log, above the newest one."""
        slot = _slot(certificate.statement)
        self.newest = certificate
        if self.beyond is not None and _slot(self.beyond.statement) <= slot:
            self.beyond = None
        self.signing.settle(slot)

    def keep_for_later(self, certificate: QuorumCertificate) -> None:
        """A verified certificate of another log than ours, most often a longer one; the furthest is kept.

        One that came late, with the last part of a state, may lie below what is certified here: it is of no
        use any more, and must not take the place of the newest one in a Report.
        """
        if _slot(certificate.statement) > max(self.certified, _slot_of(self.beyond)):
            self.beyond = certificate


def _slot_of(certificate: QuorumCertificate | None) -> int:
    return _slot(certificate.statement) if certificate is not None else 0


def _slot(statement: JointStatement) -> int:
    return statement.slot if isinstance(statement, AcceptedStatement) else 0
