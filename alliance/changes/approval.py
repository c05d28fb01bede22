"""An approval file: what one operator says of one change, signed offline, for anybody to carry into the log.

``sign`` makes an edit, or a proposal, the organisation's own; ``approve`` is what another organisation says
of a proposal; ``abort`` that it wants a proposal to end. Public. It says which change by that one's digest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.changes.change_file import ChangeFile
from alliance.config.fields import hexed, only, value
from alliance.config.parties import read_key, read_name
from alliance.errors import ConfigError
from alliance.founding.public_text import read_text, read_toml, require_unedited
from alliance.keys import ed25519
from consensus.control.commands import Abort, Approve, Edit, Propose, SignedCommand, command_message
from consensus.control.rows import SIGNATURE_BYTES

FORMAT = "alliance-approval/1"
SUFFIX = ".approval"
FILE_BYTES_MAX = 4096
MAKER, AGAIN = "'alliance change approve' makes it", "ask its operator for the file again"
_KEYS = ("format", "alliance_id", "change", "says", "organisation", "operator", "signature")


class Says(StrEnum):
    """What an operator says of a change."""

    SIGN = "sign"
    APPROVE = "approve"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Approval:
    """``operator`` is the organisation's Ed25519 key, 32 bytes. ``change`` is ``ChangeFile.digest``."""

    alliance_id: bytes
    change: bytes
    says: Says
    organisation: str
    operator: bytes
    signature: bytes = field(repr=False)

    def to_toml(self) -> str:
        """The file's text; ``from_toml`` gives back an equal value."""
        lines = [
            f"# What the operator of '{self.organisation}' says of a change. Public, never edited.",
            f'format = "{FORMAT}"',
            f'alliance_id = "{self.alliance_id.hex()}"',
            f'change = "{self.change.hex()}"',
            f'says = "{self.says}"',
            f'organisation = "{self.organisation}"',
            f'operator = "{self.operator.hex()}"',
            f'signature = "{self.signature.hex()}"',
        ]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str, where: str) -> Approval:
        """``where`` is the file, which errors begin with. Raises ConfigError. Nothing is verified yet."""
        table = read_toml(text, where, "approval", FORMAT, AGAIN)
        only(table, _KEYS, where)
        said = value(table, "says", str, where)
        if said not in set(Says):
            raise ConfigError(f"{where}: an operator says sign, approve or abort, not {said!r:.80}")
        found = cls(
            hexed(table, "alliance_id", 32, where),
            hexed(table, "change", 32, where),
            Says(said),
            read_name(table, where, "organisation"),
            read_key(table, "operator", where),
            hexed(table, "signature", SIGNATURE_BYTES, where),
        )
        require_unedited(found.to_toml(), text, where, MAKER, AGAIN)
        return found

    def command_on(self, change: ChangeFile, where: str) -> SignedCommand:
        """The control command that this is, on its change. Raises ConfigError for another change or key."""
        if (self.alliance_id, self.change) != (change.alliance_id, change.digest):
            raise ConfigError(
                f"{where}: '{self.organisation}' has signed another change than this one, or another version"
                " of it: send the operator the file that is to be signed"
            )
        command = said(change, self.organisation, self.says)
        message = command_message(change.alliance_id, command)
        if not ed25519.is_signed(self.operator, self.signature, message):
            raise ConfigError(f"{where}: the signature of '{self.organisation}' does not fit; {AGAIN}")
        return SignedCommand(command, self.signature)


def read_approval(path: Path) -> Approval:
    """Raises ConfigError with the file's name."""
    return Approval.from_toml(read_text(path, FILE_BYTES_MAX, "an approval"), str(path))


def said(change: ChangeFile, organisation: str, says: Says) -> Edit | Propose | Approve | Abort:
    """What an operator's key signs. Raises ConfigError for what is nothing to say of this change."""
    command = change.command
    if says is Says.SIGN:
        if organisation != change.organisation:
            raise ConfigError(
                f"this is what '{change.organisation}' wants: its own operator signs it, and not the one of"
                f" '{organisation}'"
            )
        return command
    if isinstance(command, Edit):
        raise ConfigError(
            f"'{change.organisation}' changes what is its own: nobody else approves that, and what is ordered"
            " takes effect"
        )
    kind = Approve if says is Says.APPROVE else Abort
    return kind(organisation, change.digest)


def organisation_of(change: ChangeFile, key: Ed25519PrivateKey, named: str | None) -> str:
    """Which organisation an operator's key speaks for: the one that is ``named``, or that the change lists.

    Raises ConfigError when there is no telling, or the change lists another key for it.
    """
    public = key.public_key().public_bytes_raw()
    listed = dict(change.operators)
    if named is not None:
        if listed.get(named, public) != public:
            raise ConfigError(f"this is not the key of the operator of '{named}' that the change lists")
        return named
    for organisation, known in change.operators:
        if known == public:
            return organisation
    raise ConfigError(
        "the change lists no operator with this key: name the right operator.pem, or say whose it is with"
        " --organisation"
    )


def sign(change: ChangeFile, key: Ed25519PrivateKey, organisation: str, *, abort: bool = False) -> Approval:
    """An operator approves of a change, or wants it to end. Raises ConfigError."""
    own = organisation == change.organisation
    says = Says.ABORT if abort else Says.SIGN if own else Says.APPROVE
    message = command_message(change.alliance_id, said(change, organisation, says))
    public = key.public_key().public_bytes_raw()
    return Approval(change.alliance_id, change.digest, says, organisation, public, key.sign(message))
