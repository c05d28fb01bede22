"""How many members suffice for what: the sizes of FaB Paxos, in integers, in this one place.

Martin & Alvisi, "Fast Byzantine Consensus", TDSC 2006, with the names of docs/concepts/protocol.md,
section 1. With `n` members of which at most `f` are Byzantine, four facts carry the safety and liveness
arguments (docs/concepts/protocol.md, section 1, and docs/concepts/protocol.md, section 9.1):

1. same view: two decision quorums share at least 3f+1 members, so a correct one among them;
2. visibility: of a decision's correct members, at least `forcing` are in any `report` Reports;
3. uniqueness: 2·forcing > report, so at most one value is forced;
4. progress: decision <= n - f, so the correct members suffice on their own.

2 and 3 give `decision`, as small as they allow; 4 then demands n >= 5f+1, profile "classic". A second profile
("lean", n >= 5f-1; docs/concepts/protocol.md, section 15) would change `decision` and `forcing` only.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from typing import ClassVar

# Members form a full mesh, and combining RSA shares takes exponents of the size of n! (Shoup 2000): at 255
# members that is 1,676 bits, about as much work a share as a signature of the usual 2048. It also leaves a
# member's number one octet, and every n below the public exponent 65537, as Shoup's scheme requires.
MEMBER_COUNT_MAX = 255


class UnsatisfiableSizes(ValueError):
    """No profile gives safety and liveness at these sizes; the message says which sizes would do."""


def largest_faulty_max(member_count: int) -> int:
    """Give the most Byzantine members that `member_count` members tolerate: ⌊(n-1)/5⌋.

    From n >= 5f+1 (Martin & Alvisi, the lower bound for deciding in two steps). Raises UnsatisfiableSizes
    unless `member_count` is 1..255, and TypeError unless it is an integer.
    """
    if not 1 <= index(member_count) <= MEMBER_COUNT_MAX:
        raise UnsatisfiableSizes(f"an alliance has 1 to {MEMBER_COUNT_MAX} members, not {member_count}")
    return (member_count - 1) // 5


@dataclass(frozen=True, slots=True)
class QuorumSystem:
    """The quorum sizes of an alliance of `member_count` members that tolerates `faulty_max` Byzantine ones.

    `member_count` (n) is 1..255 and `faulty_max` (f) is 0..⌊(n-1)/5⌋; more members than 5f+1 are fine. With
    faulty_max 0 every member must answer (`report` = n) and none may lie: for tests and demonstrations.
    Raises UnsatisfiableSizes for other sizes, and TypeError for what is no integer.
    """

    profile: ClassVar[str] = "classic"

    member_count: int
    faulty_max: int

    def __post_init__(self) -> None:
        tolerated = largest_faulty_max(self.member_count)
        if index(self.faulty_max) < 0:
            raise UnsatisfiableSizes(f"the number of tolerated faults is 0 or more, not {self.faulty_max}")
        if self.faulty_max > tolerated:
            tolerate = "tolerates" if self.member_count == 1 else "tolerate"
            raise UnsatisfiableSizes(
                f"{_count(self.member_count, 'member')} {tolerate} {_count(tolerated, 'fault')}, "
                f"not {self.faulty_max}: n >= 5f+1 = {5 * self.faulty_max + 1} members are needed "
                f"for {_count(self.faulty_max, 'fault')}"
            )

    @property
    def decision(self) -> int:
        """Accepted of one value in one view that decide it: ⌈(n+3f+1)/2⌉. Also the threshold of the key.

        The least d with 2·(d - 2f) > n - f: facts 2 and 3 of the module.

        Source: docs/concepts/protocol.md, section 1.
        """
        return (self.member_count + 3 * self.faulty_max + 2) // 2

    @property
    def report(self) -> int:
        """Reports that a new view starts from: n - f, all that surely come (docs/concepts/protocol.md,
        section 1)."""
        return self.member_count - self.faulty_max

    @property
    def forcing(self) -> int:
        """Reports of one digest, among `report` of them, that force it: decision - 2f = ⌈(n-f+1)/2⌉.

        Neither more nor fewer: one more misses decided values, one fewer can force two.
        docs/concepts/protocol.md, section 9, step 4.
        """
        return self.decision - 2 * self.faulty_max

    @property
    def one_correct(self) -> int:
        """Members of whom at least one is correct: f + 1. docs/concepts/protocol.md, section 1."""
        return self.faulty_max + 1

    @property
    def mostly_correct(self) -> int:
        """Members of whom most are correct: 2f + 1. The attestation key's threshold, unless told otherwise.

        One correct signer would do for a reply. With 2f + 1 that still holds when, beside f liars, up to f
        old shares of correct members are in wrong hands: backups that were forgotten. n - f reach it.
        """
        return 2 * self.faulty_max + 1

    def leader(self, view: int) -> int:
        """Give the member, 0..n-1, that leads `view` >= 0: view mod n (docs/concepts/protocol.md, section 1).

        Raises ValueError for a negative view.
        """
        if view < 0:
            raise ValueError(f"views start at 0, not {view}")
        return view % self.member_count


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
