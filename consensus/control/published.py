"""A membership as whoever meets the alliance reads it: the bytes under a MEMBERSHIP certificate.

``directory`` lays them out. They are believed for their digest alone, which the certificate names.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from consensus.control.directory import Directory, config_digest, encode_clients
from consensus.control.encoding import MalformedControl, Reader
from consensus.control.pending import read_names
from consensus.control.record import Record
from consensus.control.rows import ORGANISATIONS_MAX, ClientRow, MemberRow, OperatorRow, PolicyRow
from consensus.limits import CLIENT_IDS_MAX
from quorum import PROFILES
from quorum.system import MEMBER_COUNT_MAX


@dataclass(frozen=True)
class Published:
    """``config``, and ``clients`` of which it has the digest. ``alliance_id`` to ``start`` are as in Record,
    ``transcript`` is its digest there; ``directory`` has those clients."""

    config: bytes
    clients: bytes
    alliance_id: bytes
    epoch: int
    dealing: int
    revision: int
    start: int
    transcript: bytes
    directory: Directory

    @property
    def digest(self) -> bytes:
        """What MEMBERSHIP says of it."""
        return config_digest(self.config)

    @classmethod
    def of(cls, record: Record) -> Published:
        """The membership from behind the record's slot on."""
        admitted = record.directory_at(record.slot + 1)
        clients = encode_clients(row for _, row in sorted(admitted.clients.items()))
        counters = (record.epoch, record.dealing, record.revision, record.start)
        head = record.config, clients, record.alliance_id
        return cls(*head, *counters, record.transcript_digest, admitted)

    @classmethod
    def read(cls, config: bytes, clients: bytes) -> Published:
        """Raises MalformedControl for what no correct member says."""
        reader = Reader(config)
        alliance_id = reader.fixed(32)
        epoch, dealing, revision, start = (reader.number(8) for _ in range(4))
        transcript = reader.fixed(32)
        profile, faulty_max = PROFILES[reader.number(1, len(PROFILES) - 1)], reader.number(1)
        members = reader.listed(MemberRow.read, MEMBER_COUNT_MAX)
        suspended = read_names(reader)
        operators = reader.listed(OperatorRow.read, ORGANISATIONS_MAX)
        policy = PolicyRow.read(reader)
        if reader.fixed(32) != sha256(b"\x07" + clients).digest():
            raise MalformedControl("these are not the clients of this membership")
        reader.end()
        directory = Directory(
            profile, faulty_max, members, operators, policy, _read_clients(clients), suspended
        )
        counters = epoch, dealing, revision, start
        return cls(config, clients, alliance_id, *counters, transcript, directory)


def _read_clients(encoded: bytes) -> dict[bytes, ClientRow]:
    reader = Reader(encoded)
    rows = [ClientRow.read(reader) for _ in range(reader.number(4, CLIENT_IDS_MAX))]
    reader.end()
    return {row.client_id: row for row in rows}
