"""The control state with which an alliance begins: the rows of its alliance.toml."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding

from alliance.config.file import FILE, AllianceConfig
from alliance.config.parties import Client, Member
from alliance.errors import ConfigError
from consensus.control import ControlState
from consensus.control.encoding import MalformedControl
from consensus.control.rows import ClientRow, MemberRow, OperatorRow


def founded(config: AllianceConfig) -> ControlState:
    """At slot 0. All members have the same, or their checkpoints differ.

    Raises ConfigError when the file says more than the log can hold, such as 65 applications of one member.
    """
    try:
        return ControlState.founded(
            config.alliance_id,
            config.system,
            [member_row(member) for member in config.members],
            [OperatorRow(organisation, key) for organisation, key in config.founding.operators],
            [client_row(client) for client in config.clients],
        )
    except MalformedControl as error:
        raise ConfigError(f"{FILE}: {error}") from None


def member_row(member: Member) -> MemberRow:
    """Raises MalformedControl."""
    receiver = member.receiver
    keys = () if receiver is None else (receiver.key, receiver.signature)
    return MemberRow(
        member.name,
        member.organisation,
        member.identity,
        member.certificate.public_bytes(Encoding.DER),
        member.address,
        tuple(sorted(member.applications)),
        *keys,
    )


def client_row(client: Client) -> ClientRow:
    """Raises MalformedControl."""
    certificate = client.certificate.public_bytes(Encoding.DER)
    return ClientRow(client.name, client.organisation, client.identity, certificate)
