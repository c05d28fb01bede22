"""Members and clients of alliance.toml as rows of the control state, and the other way round."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.config.parties import Client, Member
from alliance.config.receiver import Receiver
from consensus.control.changes import Change
from consensus.control.rows import ClientRow, MemberRow


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


def member_of(row: MemberRow) -> Member:
    """Raises ValueError for a certificate that is none; ``AllianceConfig.checked`` asks whose it is."""
    return Member(
        row.name,
        row.identity,
        x509.load_der_x509_certificate(row.certificate),
        row.address,
        row.organisation,
        row.applications,
        Receiver(row.receiver, row.receiver_signature) if row.receiver else None,
    )


def client_row(client: Client) -> ClientRow:
    """Raises MalformedControl."""
    return ClientRow(
        client.name,
        client.organisation,
        client.identity,
        client.certificate.public_bytes(Encoding.DER),
        limits=client.limits,
        from_slot=client.from_slot,
        until_slot=client.until_slot,
    )


def incoming_of(changes: Iterable[Change]) -> tuple[Client, ...]:
    """The parties that these changes make members, as the clients that they are before. As ``member_of``."""
    return tuple(
        Client(row.name, row.identity, x509.load_der_x509_certificate(row.certificate), row.organisation)
        for change in changes
        for row in change.new_rows
    )


def client_of(row: ClientRow) -> Client:
    """As ``member_of``."""
    certificate = x509.load_der_x509_certificate(row.certificate)
    places = row.limits, row.from_slot, row.until_slot
    return Client(row.name, row.identity, certificate, row.organisation, *places)
