"""The record as items of a checkpoint's state: one encoding, cut into pieces.

Each item is ``02 | index u32 | piece``, the pieces in order, each but the last as long as an item can be. The
pieces together are::

    alliance_id[32] | epoch u64 | dealing u64 | revision u64 | start u64 | slot u64 | time_ms u64
    | dealt_ms u64 | end u64 (2^64-1 for none) | transcript_digest[32] | revisions list of u64
    | profile u8 | faulty_max u8 | members list | suspended list of text | operators list | policy
    | clients count u32 | client rows, by client_id
    | accounts list of (organisation text | counter u64 | clients u32
                        | recent list of (slot u64 | time_ms u64))
    | past count u32 | past[32] ... ascending
    | opened list | active list (0 or 1) | scheduled list | carried list (0 or 1) | transcript list (0 or 1)
    | recoveries list | key_changes u8
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from consensus.control.directory import Directory
from consensus.control.encoding import MalformedControl, Reader, listed, text, u8, u32, u64
from consensus.control.pending import (
    ActiveChange,
    ApprovedChange,
    OpenChange,
    Transcript,
    read_names,
)
from consensus.control.record import Account, Record
from consensus.control.recovery import Recovery
from consensus.control.rows import (
    NAME_BYTES_MAX,
    ORGANISATIONS_MAX,
    ClientRow,
    MemberRow,
    OperatorRow,
    PolicyRow,
)
from consensus.limits import (
    CLIENT_IDS_MAX,
    EDITS_MAX,
    KEY_CHANGES_MAX,
    OPEN_CHANGES_MAX,
    RECOVERIES_MAX,
    WINDOW_SLOTS,
)
from quorum import PROFILES, UnsatisfiableSizes
from quorum.system import MEMBER_COUNT_MAX
from verifiable_log.limits import STATE_ITEM_BYTES_MAX
from verifiable_log.ordering_state import CONTROL_ITEM

_PIECE = STATE_ITEM_BYTES_MAX - 5
_NEVER = 2**64 - 1
State = TypeVar("State", bound=Record)
Value = TypeVar("Value")


def write(record: Record) -> tuple[bytes, ...]:
    """The items, one at least."""
    encoded = _encode(record)
    cuts = range(0, len(encoded), _PIECE)
    return tuple(
        u8(CONTROL_ITEM) + u32(index) + encoded[cut : cut + _PIECE] for index, cut in enumerate(cuts)
    )


def read(kind: type[State], items: Sequence[bytes]) -> State:
    """The record that ``write`` made these items of. Raises MalformedControl for any others."""
    encoded = b"".join(item[5:] for item in items)
    try:
        record = _decode(kind, Reader(encoded))
    except UnsatisfiableSizes as error:
        raise MalformedControl(str(error)) from None
    if write(record) != tuple(items):
        raise MalformedControl("the items of the state are not those that its record has")
    return record


def _encode(record: Record) -> bytes:
    counters = (record.epoch, record.dealing, record.revision, record.start, record.slot, record.time_ms)
    end = _NEVER if record.end is None else record.end
    parts = [record.alliance_id, *map(u64, (*counters, record.dealt_ms, end)), record.transcript_digest]
    parts.append(listed(map(u64, record.revisions)))
    parts.append(record.directory.encode_rows())
    parts.append(record.directory.encoded_clients)
    parts.append(listed(_encode_account(name, one) for name, one in sorted(record.accounts.items())))
    parts += [u32(len(record.past)), *sorted(record.past)]
    parts.append(listed(one.encode() for one in record.opened))
    parts.append(_perhaps(record.active))
    parts.append(listed(one.encode() for one in record.scheduled))
    parts += [_perhaps(record.carried), _perhaps(record.transcript)]
    parts.append(listed(one.encode() for one in record.recoveries))
    parts.append(u8(record.key_changes))
    return b"".join(parts)


def _decode(kind: type[State], reader: Reader) -> State:
    alliance_id = reader.fixed(32)
    epoch, dealing, revision, start, slot, time_ms, dealt_ms, end = [reader.number(8) for _ in range(8)]
    transcript_digest = reader.fixed(32)
    revisions = reader.listed(lambda r: r.number(8), WINDOW_SLOTS + 1)
    directory = _decode_directory(reader)
    accounts = dict(reader.listed(_read_account, ORGANISATIONS_MAX))
    if sorted(accounts) != [row.organisation for row in directory.operators]:
        raise MalformedControl("the accounts are not those of the organisations")
    past = frozenset(reader.fixed(32) for _ in range(reader.number(4)))
    opened = reader.listed(OpenChange.read, OPEN_CHANGES_MAX * ORGANISATIONS_MAX)
    active = _read_perhaps(reader, ActiveChange.read)
    scheduled = reader.listed(ApprovedChange.read, MEMBER_COUNT_MAX)
    carried = _read_perhaps(reader, ApprovedChange.read)
    transcript = _read_perhaps(reader, Transcript.read)
    recoveries = reader.listed(Recovery.read, RECOVERIES_MAX)
    key_changes = reader.number(1, KEY_CHANGES_MAX)
    reader.end()
    return kind(
        alliance_id,
        directory,
        accounts,
        past,
        epoch,
        dealing,
        revision,
        start,
        slot,
        time_ms,
        dealt_ms,
        None if end == _NEVER else end,
        revisions,
        opened,
        active,
        scheduled,
        carried,
        transcript,
        transcript_digest,
        recoveries,
        key_changes,
    )


def _decode_directory(reader: Reader) -> Directory:
    profile = PROFILES[reader.number(1, len(PROFILES) - 1)]
    faulty_max = reader.number(1)
    members = reader.listed(MemberRow.read, MEMBER_COUNT_MAX)
    suspended = read_names(reader)
    operators = reader.listed(OperatorRow.read, ORGANISATIONS_MAX)
    policy = PolicyRow.read(reader)
    rows = [ClientRow.read(reader) for _ in range(reader.number(4, CLIENT_IDS_MAX))]
    clients = {row.client_id: row for row in rows}
    return Directory(profile, faulty_max, members, operators, policy, clients, suspended)


def _encode_account(organisation: str, account: Account) -> bytes:
    recent = listed(u64(slot) + u64(time_ms) for slot, time_ms in account.recent)
    return text(organisation) + u64(account.counter) + u32(account.clients) + recent


def _read_account(reader: Reader) -> tuple[str, Account]:
    organisation, counter, clients = reader.text(NAME_BYTES_MAX), reader.number(8), reader.number(4)
    recent = reader.listed(lambda r: (r.number(8), r.number(8)), EDITS_MAX)
    return organisation, Account(counter, recent, clients)


class _Encodes(Protocol):
    def encode(self) -> bytes: ...


def _perhaps(value: _Encodes | None) -> bytes:
    return listed([] if value is None else [value.encode()])


def _read_perhaps(reader: Reader, read_one: Callable[[Reader], Value]) -> Value | None:
    found = reader.listed(read_one, 1)
    return found[0] if found else None
