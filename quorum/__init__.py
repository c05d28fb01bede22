"""Who suffices, and what they sign jointly.

* ``system``: how many members tolerate how many faults, and the sizes of the quorums.
* ``quorums``: what an engine asks of either, about sets of members.
* ``faults``, ``weighted``, ``survival``: which members may fail together, where counting is not enough, and
  which failures are survived.
* ``tags``: the numbers that keep purposes apart; ``statement``: the canonical bytes, all that is ever signed.
* ``endorsement``: one member's signed response to a statement.
* ``scheme``: how endorsements become a certificate; ``threshold_rsa`` (one RSA signature), ``weighted_rsa``
  (the same by weight) and ``signature_set`` (individual signatures) are imported by name, so that who only
  counts needs no keys.
* ``certificate``: statement and signature, verified against a scheme.
"""

from quorum.certificate import DecisionCertificate, QuorumCertificate, combine
from quorum.endorsement import Endorsement, VerifiedEndorsement
from quorum.quorums import Quorums
from quorum.scheme import CombineFailed, Endorser, InvalidCertificate, InvalidEndorsement, Scheme
from quorum.statement import (
    AcceptedStatement,
    CheckpointStatement,
    Context,
    ControlStatement,
    EpochReadyStatement,
    GreetingStatement,
    IndividualStatement,
    InvalidStatement,
    JointStatement,
    MembershipStatement,
    NewViewStatement,
    ProgressStatement,
    ProposeStatement,
    ReplyStatement,
    ReportStatement,
    SnapshotStatement,
    SubmissionStatement,
    SuspectStatement,
    VoteStatement,
    decode_individual,
    decode_joint,
)
from quorum.system import PROFILES, QuorumSystem, UnsatisfiableSizes, default_profile

__all__ = [
    "PROFILES",
    "AcceptedStatement",
    "CheckpointStatement",
    "CombineFailed",
    "Context",
    "ControlStatement",
    "DecisionCertificate",
    "Endorsement",
    "Endorser",
    "EpochReadyStatement",
    "GreetingStatement",
    "IndividualStatement",
    "InvalidCertificate",
    "InvalidEndorsement",
    "InvalidStatement",
    "JointStatement",
    "MembershipStatement",
    "NewViewStatement",
    "ProgressStatement",
    "ProposeStatement",
    "QuorumCertificate",
    "QuorumSystem",
    "Quorums",
    "ReplyStatement",
    "ReportStatement",
    "Scheme",
    "SnapshotStatement",
    "SubmissionStatement",
    "SuspectStatement",
    "UnsatisfiableSizes",
    "VerifiedEndorsement",
    "VoteStatement",
    "combine",
    "decode_individual",
    "decode_joint",
    "default_profile",
]
