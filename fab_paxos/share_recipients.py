"""Who gets signature shares at once: whoever combines them for somebody, and the leader.

A share to everybody is half of all messages of a slot, and a member beside which nobody waits for a proof
has no use for it: it gets the certificate from the leader, one message delay later. A leader that keeps it
back gains nothing: members whose certificates differ tell each other with every heartbeat.
"""

from __future__ import annotations

from fab_paxos.effects import Effect, Send
from fab_paxos.messages import Certified
from quorum import QuorumCertificate


class ShareRecipients:
    """Which members are proofs_wanted, as each says itself of itself; who has said nothing yet is."""

    def __init__(self, member_count: int, me: int) -> None:
        self._me = me
        self._proofs_wanted = [True] * member_count

    def wants_proofs(self, member: int) -> bool:
        return self._proofs_wanted[member]

    def note(self, member: int, proofs_wanted: bool) -> bool:
        """What a member, or this one, says of itself; whether it is attended now and was not before."""
        newly = proofs_wanted and not self._proofs_wanted[member]
        self._proofs_wanted[member] = proofs_wanted
        return newly

    def of_share(self, leader: int) -> list[int] | None:
        """Those who combine it; None when that is everybody."""
        away = self._unattended(leader)
        if not away:
            return None
        others = (member for member in range(len(self._proofs_wanted)) if member != self._me)
        return [member for member in others if member not in away]

    def certificate(self, certificate: QuorumCertificate, out: list[Effect]) -> None:
        """By the leader, to those who did not get the shares."""
        out.extend(Send(member, Certified(certificate)) for member in self._unattended(self._me))

    def _unattended(self, leader: int) -> list[int]:
        return [
            member
            for member, attended in enumerate(self._proofs_wanted)
            if not attended and member not in (self._me, leader)
        ]
