"""What can go wrong, in one line each, with what to do next and the exit code of the command line.

Errors that carry a reply or a receipt stand beside them: ``execution.errors``, ``signing.errors``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from verifiable_log import Submission


class AllianceError(Exception):
    """Base of all errors of this package. The text is one line and says what to do."""

    exit_code: ClassVar[int] = 1


class ConfigError(AllianceError):
    """A folder or file that describes an alliance, a member or a client is missing or wrong."""

    exit_code = 2


class KeyFileError(AllianceError):
    """A key file is missing, unreadable, damaged, or the passphrase is wrong."""

    exit_code = 2


class NoShare(KeyFileError):
    """A member's folder holds no share of the alliance's keys, neither of this epoch nor of another one."""


class WrongShareEpoch(KeyFileError):
    """A member's share is of another epoch than the alliance's key: ``found``, and what was ``expected``."""

    def __init__(self, message: str, found: int, expected: int) -> None:
        super().__init__(message)
        self.found, self.expected = found, expected


def require_passphrase(passphrase: bytes) -> None:
    """Raises KeyFileError for an empty one, which would protect nothing."""
    if not passphrase:
        raise KeyFileError(
            "the passphrase is empty: set ALLIANCE_PASSPHRASE, or use --passphrase-file or the prompt"
        )


class ClockError(AllianceError):
    """This machine's clock is outside the validity of a certificate."""

    exit_code = 2


class PortTaken(AllianceError):
    """The address to serve on is in use."""

    exit_code = 2


class JournalError(AllianceError):
    """The journal cannot be opened, belongs to another member, is damaged, or cannot be synced."""

    exit_code = 4


class StateError(AllianceError):
    """An application's state cannot be read or written, or is in use by another process."""

    exit_code = 4


class StateDiverged(AllianceError):
    """f + 1 other executors agree on another state than this one, or another is certified: it has halted."""

    exit_code = 8


class NoLongerMember(AllianceError):
    """The member takes no part in the epoch that its alliance is in."""

    exit_code = 10


class IdentityConflict(AllianceError):
    """This member's identity said what its journal does not know: an old disk, or a second machine."""

    exit_code = 7

    def __init__(self, message: str, unknown: str) -> None:
        """``unknown`` names what the journal does not know."""
        super().__init__(message)
        self.unknown = unknown


class SignerError(AllianceError):
    """The signer process could not be started or has ended."""

    exit_code = 4


class Unreachable(AllianceError):
    """No server could be reached, or none that answered in time."""

    exit_code = 5


class LogPruned(Unreachable):
    """No server that answers keeps the log as far back as it is asked for."""


class SubmissionRefused(AllianceError):
    """More servers than may be faulty refuse the submission: it was not and will not be ordered."""

    exit_code = 6


class OutcomeUnknown(AllianceError):
    """The time is over before a receipt came: the commands may or may not be ordered.

    ``submission`` is what was sent. Handing it to ``Client.resume`` asks again, without double effect.
    """

    exit_code = 3

    def __init__(self, message: str, submission: Submission) -> None:
        super().__init__(message)
        self.submission = submission


class ChangeRefused(AllianceError):
    """A change of the alliance has no effect: its members do not take it, or would not, or gave it up."""

    exit_code = 6


class NotInEffect(AllianceError):
    """A change is taken or approved, and the time is over before it was in effect; the text says how far."""

    exit_code = 3


class InvalidRequest(AllianceError):
    """What is to be signed is malformed, or nothing that an alliance signs. Nothing was ordered."""

    exit_code = 2


class InvalidCeremony(AllianceError):
    """What dealers made in a ceremony gives no alliance; the text names whose part is wrong or missing.

    ``dealers`` are the organisations whose part it is. ``proven``: each of them has signed what is wrong.
    """

    exit_code = 1

    def __init__(self, message: str, dealers: tuple[str, ...], *, proven: bool = False) -> None:
        super().__init__(message)
        self.dealers = dealers
        self.proven = proven


class InvalidReceipt(AllianceError):
    """A receipt does not prove what it says, or is none."""

    exit_code = 1


class InvalidEvidence(AllianceError):
    """A file convicts nobody: it was altered, is of another alliance, or is no evidence."""

    exit_code = 1


class NotReported(AllianceError):
    """What was to be done is done, but standard output or a file did not take the report of it.

    The text says what the report would have said: doing it again would do it twice.
    """

    exit_code = 9


class VotesMissing(AllianceError):
    """Too few members' votes for a receipt came in time. The command is ordered, and its receipt is good
    without them.
    """

    exit_code = 9


class ServerLied(AllianceError):
    """A server sent what no correct server sends. Clients pass on to the next server by themselves."""

    exit_code = 5
