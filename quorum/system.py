"""How many members suffice for what: the sizes of FaB Paxos, in integers, in this one place.

Martin & Alvisi, "Fast Byzantine Consensus", TDSC 2006, with the names of docs/concepts/protocol.md,
section 1. With `n` members of which at most `f` are Byzantine, four facts carry the safety and liveness
arguments (docs/concepts/protocol.md, section 1, and docs/concepts/protocol.md, section 9.1):

1. same view: two decision quorums share at least 3f+1 members, so a correct one among them;
2. visibility: of a decision's correct members, at least `forcing` are in any `report` Reports;
3. uniqueness: 2·forcing > report, so at most one value is forced;
4. progress: decision <= n - f, so the correct members suffice on their own.

2 and 3 give `decision`, as small as they allow; 4 then demands n >= 5f+1, profile "classic".

Profile "lean" weighs what members report together with who proposed it, and so does with n >= 5f-1
(Kuznetsov, Tonkikh & Zhang, "Revisiting Optimal Resilience of Fast Byzantine Consensus", PODC 2021). Its
facts, in the same order:

1. two decision quorums share at least 3f-1 members, and f >= 1, so a correct one among them;
2. of a decision's correct members at least decision - 2f >= 1 are in any `report` Reports, and at least
   `forcing` = decision - 2f + 1 in those that leave out a liar who proposed two values;
3. and 4. as above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index

CLASSIC, LEAN = "classic", "lean"
PROFILES = (CLASSIC, LEAN)
"""Two rules by which a new view finds what may have been decided; an alliance keeps the one it began with."""

# Members form a full mesh, and combining RSA shares takes exponents of the size of n! (Shoup 2000): at 255
# members that is 1,676 bits, about as much work a share as a signature of the usual 2048. It also leaves a
# member's number one octet, and every n below the public exponent 65537, as Shoup's scheme requires.
MEMBER_COUNT_MAX = 255


class UnsatisfiableSizes(ValueError):
    """The profile does not give safety and liveness at these sizes; the message says which sizes would do."""


def largest_faulty_max(member_count: int, profile: str = CLASSIC) -> int:
    """Give the most Byzantine members that `member_count` members tolerate: ⌊(n-1)/5⌋, or lean ⌊(n+1)/5⌋.

    From n >= 5f+1 (Martin & Alvisi, the lower bound for deciding in two steps where proposers are no
    acceptors) and n >= 5f-1 (Kuznetsov, Tonkikh & Zhang, where they are). Raises UnsatisfiableSizes unless
    `member_count` is 1..255 and `profile` one of PROFILES, and TypeError unless the count is an integer.
    """
    if not 1 <= index(member_count) <= MEMBER_COUNT_MAX:
        raise UnsatisfiableSizes(f"an alliance has 1 to {MEMBER_COUNT_MAX} members, not {member_count}")
    if profile not in PROFILES:
        raise UnsatisfiableSizes(f"the profile is '{CLASSIC}' or '{LEAN}', not {profile!r:.80}")
    return (member_count + 1) // 5 if profile == LEAN else (member_count - 1) // 5


def least_member_count(faulty_max: int, profile: str = CLASSIC) -> int:
    """The members that it takes to tolerate so many Byzantine ones: 5f+1, or lean 5f-1."""
    return 5 * faulty_max + (-1 if profile == LEAN else 1)


def default_profile(member_count: int, faulty_max: int) -> str:
    """Classic where its sizes allow it (n >= 5f+1), else lean."""
    return CLASSIC if member_count >= least_member_count(faulty_max) else LEAN


@dataclass(frozen=True, slots=True)
class QuorumSystem:
    """The quorum sizes of an alliance of `member_count` members that tolerates `faulty_max` Byzantine ones.

    `member_count` (n) is 1..255. In profile "classic" `faulty_max` (f) is 0..⌊(n-1)/5⌋; with 0 every member
    must answer (`report` = n) and none may lie: for tests and demonstrations. In profile "lean" it is
    1..⌊(n+1)/5⌋, and so n at least 4. More members than the least are fine in both.

    `leaders` are the members that lead, ascending, where not all of them do: at least n - f.
    Raises UnsatisfiableSizes for other sizes or leaders, and TypeError for what is no integer.
    """

    member_count: int
    faulty_max: int
    profile: str = CLASSIC
    leaders: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.leaders:
            self._check_leaders()
        tolerated = largest_faulty_max(self.member_count, self.profile)
        least = 1 if self.lean else 0
        if index(self.faulty_max) < least:
            inside = f" in profile {LEAN}" if self.lean else ""
            raise UnsatisfiableSizes(
                f"the number of tolerated faults is {least} or more{inside}, not {self.faulty_max}"
            )
        if self.faulty_max > tolerated:
            raise UnsatisfiableSizes(self._too_few(tolerated))

    def _check_leaders(self) -> None:
        known = sorted({index(member) for member in self.leaders} & set(range(self.member_count)))
        if known != list(self.leaders) or len(known) < self.report:
            raise UnsatisfiableSizes(
                f"n - f = {self.report} members or more lead, each named once, in ascending order"
            )

    def _too_few(self, tolerated: int) -> str:
        """What these sizes lack; with the other profile, if that would do."""
        n, f = self.member_count, self.faulty_max
        tolerate = "tolerates" if n == 1 else "tolerate"
        bound, needed = "5f-1" if self.lean else "5f+1", least_member_count(f, self.profile)
        text = (
            f"{_count(n, 'member')} {tolerate} {_count(tolerated, 'fault')}, not {f}: "
            f"n >= {bound} = {needed} members are needed for {_count(f, 'fault')}"
        )
        if self.lean:
            return text
        return f"{text} in profile {CLASSIC}, n >= 5f-1 = {least_member_count(f, LEAN)} in profile {LEAN}"

    @property
    def lean(self) -> bool:
        return self.profile == LEAN

    @property
    def decision(self) -> int:
        """Accepted of one value in one view that decide it. Also the threshold of the key.

        Classic: ⌈(n+3f+1)/2⌉, the least d with 2·(d - 2f) > n - f. Lean: ⌊(n+3f)/2⌋, the least d with
        2·(d - 2f + 1) > n - f. Facts 2 and 3 of the module.

        Source: docs/concepts/protocol.md, section 1.
        """
        return (self.member_count + 3 * self.faulty_max + (0 if self.lean else 2)) // 2

    @property
    def report(self) -> int:
        """Reports that a new view starts from: n - f, all that surely come (docs/concepts/protocol.md,
        section 1)."""
        return self.member_count - self.faulty_max

    @property
    def forcing(self) -> int:
        """Reports of one digest, among `report` of them, that force it: decision - 2f = ⌈(n-f+1)/2⌉.

        Lean: decision - 2f + 1, of one digest in one view whose leader is not among the reporters.
        Neither more nor fewer: one more misses decided values, one fewer can force two.
        docs/concepts/protocol.md, section 9, step 4.
        """
        return self.decision - 2 * self.faulty_max + (1 if self.lean else 0)

    @property
    def one_correct(self) -> int:
        """Members of whom at least one is correct: f + 1. docs/concepts/protocol.md, section 1."""
        return self.faulty_max + 1

    @property
    def mostly_correct(self) -> int:
        """Members of whom most are correct: 2f + 1. The attestation key's threshold, unless told otherwise.

        One correct signer would do for a reply. With 2f + 1 that still holds when, beside f liars, up to f
        old shares of correct members are in wrong hands: backups that were forgotten. n - f reach it.

        So many members that suspect a leader are joined: never more than ``decision``
        (docs/concepts/protocol.md, section 9).
        """
        return 2 * self.faulty_max + 1

    def decided(self, levels: Sequence[int]) -> int:
        """The highest level that ``decision`` members have reached; ``levels`` has one a member, from 0."""
        return sorted(levels, reverse=True)[self.decision - 1]

    def decides(self, mask: int) -> bool:
        """Whether Accepted of these members decide; a set of members is a bit mask, from member 0."""
        return mask.bit_count() >= self.decision

    def reports(self, mask: int) -> bool:
        """Whether a new view may start from Reports of these members."""
        return mask.bit_count() >= self.report

    def selects(self, mask: int) -> bool:
        """Whether a NewView may name the Reports of these members: exactly ``report`` of them."""
        return mask.bit_count() == self.report

    def forces(self, named: int, reported: int, equivocator: int | None = None) -> bool:
        """Whether reporters ``named``, who name one digest among all ``reported``, force it.

        With ``report`` of them that takes ``forcing``, and one less for each one more that is left out.
        ``equivocator``: the member that is proven to have proposed two values, in profile lean; it is not
        among those who reported. Without one there may be as many liars as ever.
        """
        further = reported.bit_count() - self.report
        doubt = 1 if self.lean and equivocator is None else 0
        return named.bit_count() >= self.forcing + further - doubt

    def has_correct(self, mask: int) -> bool:
        """Whether one of these members is correct for certain."""
        return mask.bit_count() >= self.one_correct

    def joins(self, mask: int) -> bool:
        """Whether a member joins these, who suspect the leader."""
        return mask.bit_count() >= self.mostly_correct

    def leader(self, view: int) -> int:
        """Give the member, 0..n-1, that leads `view` >= 0: view mod n (docs/concepts/protocol.md, section 1).

        Where not all lead, they take turns in the same way. Raises ValueError for a negative view.
        """
        if view < 0:
            raise ValueError(f"views start at 0, not {view}")
        return self.leaders[view % len(self.leaders)] if self.leaders else view % self.member_count


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
