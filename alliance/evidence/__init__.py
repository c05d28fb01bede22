"""Evidence against members that lie: its form, judging it, keeping it."""

from alliance.evidence.portable import PortableEvidence
from alliance.evidence.verdict import verify
from fab_paxos.effects import Offence

__all__ = ["Offence", "PortableEvidence", "verify"]
