"""The operations of a change as tables of its file, and back: what a person reads is what is signed.

A client that is there already is named in the log by its id alone. The file says its name as well, which the
signature does not cover: whoever sends the file compares it with the alliance (``draft.require_names``).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.config.fields import hexed, only, suggest, value
from alliance.config.parties import (
    Party,
    member_lines,
    party_lines,
    read_address,
    read_applications,
    read_key,
    read_member,
    read_name,
    read_party,
)
from alliance.config.receiver import FIELDS as _RECEIVER
from alliance.config.rows import member_of, member_row
from alliance.errors import ConfigError
from consensus.control.edits import (
    AddClient,
    EditOperation,
    LimitClient,
    RemoveClient,
    SetAddress,
)
from consensus.control.operations import (
    NO_PROOF,
    ChangeOperation,
    DropMember,
    DropOperator,
    NewKeys,
    PutMember,
    PutOperator,
    PutPolicy,
    Reinstate,
    SetSystem,
    Suspend,
)
from consensus.control.rows import SIGNATURE_BYTES, ClientLimits, OperatorRow, PolicyRow
from quorum.system import MEMBER_COUNT_MAX, largest_faulty_max

OfEdits: TypeAlias = EditOperation
Operation: TypeAlias = EditOperation | ChangeOperation
Names: TypeAlias = Mapping[bytes, str]
"""Of clients, by their ids."""

ID_BYTES = 32
_LIMITS = ("waiting", "waiting_bytes")
_MEMBER = ("name", "organisation", "identity", "certificate", "address", "applications")
_POLICY = ("faulty", "clients_max", "attempt_seconds", "refresh_days")


@dataclass(frozen=True, slots=True)
class _Form:
    """How one kind of operation is written: ``lines`` in TOML, without its kind; ``read`` is the way back."""

    kind: type[Operation]
    keys: tuple[str, ...]
    lines: Callable[[Any, Names], list[str]]
    read: Callable[[Mapping[str, Any], str], Operation]


def to_lines(operation: Operation, names: Names) -> list[str]:
    """The table of one operation in TOML."""
    for word, form in _FORMS.items():
        if isinstance(operation, form.kind):
            return ["", "[[operations]]", f'operation = "{word}"', *form.lines(operation, names)]
    raise ConfigError(f"{type(operation).__name__} is an operation that this version writes in no file")


def read(table: Mapping[str, Any], where: str) -> tuple[Operation, dict[bytes, str]]:
    """The operation in a table, and the name of the client whose id it has. Raises ConfigError."""
    word: str = value(table, "operation", str, where)
    form = _FORMS.get(word)
    if form is None:
        raise ConfigError(f"{where}: there is no operation {word!r:.80}{suggest(word, _FORMS)}")
    where = f"{where}, {word}"
    only(table, ("operation", *form.keys), where)
    try:
        operation = form.read(table, where)
    except ValueError as error:  # MalformedControl is one
        raise ConfigError(f"{where}: {error}") from None
    if isinstance(operation, RemoveClient | LimitClient):
        return operation, {operation.client_id: read_name(table, where)}
    return operation, {}


def in_words(operation: EditOperation | ChangeOperation, names: Names) -> str:
    """One operation for people, in one line: of a file, or of the log."""
    match operation:
        case SetAddress():
            places = [operation.address, *(f"{name} at {place}" for name, place in operation.applications)]
            return f"member {operation.member} is at {', '.join(places)}"
        case AddClient():
            key = operation.identity.hex()
            return f"client {operation.name} comes, with the identity {key}{_bounds(operation)}"
        case RemoveClient():
            return f"client {_called(operation, names)} goes, and its key never comes back"
        case LimitClient():
            return f"client {_called(operation, names)} stays{_bounds(operation)}"
        case PutOperator():
            return f"operator of {operation.row.organisation}: the key {operation.row.key.hex()}"
        case DropOperator():
            return f"organisation {operation.organisation} goes, and all its clients"
        case PutPolicy():
            fields = (f"{key.replace('_', ' ')} {getattr(operation.row, key)}" for key in _POLICY)
            return f"policy: {', '.join(fields)}"
        case PutMember():
            row = operation.row
            places = [row.address, *(f"{name} at {place}" for name, place in row.applications)]
            at = f"is at {', '.join(places)}, with the identity {row.identity.hex()}"
            return f"member {row.name} of {row.organisation} {at}"
        case DropMember():
            return f"member {operation.name} goes"
        case Suspend():
            return f"member {operation.name} leads no more"
        case Reinstate():
            return f"member {operation.name} may lead again"
        case SetSystem():
            return f"profile {operation.profile}, {operation.faulty_max} members may be faulty"
        case NewKeys():
            return f"all public keys become others, whose digest is {operation.transcript.hex()}"


def _called(one: RemoveClient | LimitClient, names: Names) -> str:
    return f"{names.get(one.client_id, '')} (id {one.client_id.hex()})".strip()


def _bounds(one: AddClient | LimitClient) -> str:
    return f", {one.limits.waiting:,} submissions and {one.limits.waiting_bytes:,} bytes waiting at most"


# -- of an organisation's own rows -------------------------------------------------------------------


def _address_lines(one: SetAddress, names: Names) -> list[str]:
    listed = ", ".join(f'"{name}" = "{address}"' for name, address in one.applications)
    applications = [f"applications = {{ {listed} }}"] if listed else []
    return [f'member = "{one.member}"', f'address = "{one.address}"', *applications]


def _read_address(table: Mapping[str, Any], where: str) -> SetAddress:
    address = read_address(value(table, "address", str, where), where)
    return SetAddress(read_name(table, where, "member"), address, tuple(read_applications(table, where)))


def _add_lines(one: AddClient, names: Names) -> list[str]:
    party = Party(one.name, one.identity, x509.load_der_x509_certificate(one.certificate))
    limits = _limit_lines(one.limits)
    return [f'name = "{one.name}"', *party_lines(party), *limits, f'proof = "{one.proof.hex()}"']


def _read_add(table: Mapping[str, Any], where: str) -> AddClient:
    name, identity, certificate = read_party(table, where)
    der, proof = certificate.public_bytes(Encoding.DER), hexed(table, "proof", SIGNATURE_BYTES, where)
    return AddClient(name, identity, der, proof, limits=_read_limits(table, where))


def _client_lines(one: RemoveClient | LimitClient, names: Names) -> list[str]:
    return [f'name = "{names[one.client_id]}"', f'client_id = "{one.client_id.hex()}"']


def _read_remove(table: Mapping[str, Any], where: str) -> RemoveClient:
    return RemoveClient(hexed(table, "client_id", ID_BYTES, where))


def _read_limit(table: Mapping[str, Any], where: str) -> LimitClient:
    return LimitClient(hexed(table, "client_id", ID_BYTES, where), _read_limits(table, where))


def _limit_lines(limits: ClientLimits) -> list[str]:
    return [f"{key} = {getattr(limits, key)}" for key in _LIMITS]


def _read_limits(table: Mapping[str, Any], where: str) -> ClientLimits:
    return ClientLimits(*(value(table, key, int, where) for key in _LIMITS))


# -- of operators and policy ---------------------------------------------------------------------------


def _operator_lines(one: PutOperator, names: Names) -> list[str]:
    head = [f'organisation = "{one.row.organisation}"', f'key = "{one.row.key.hex()}"']
    return [*head, f'proof = "{one.proof.hex()}"']


def _read_operator(table: Mapping[str, Any], where: str) -> PutOperator:
    row = OperatorRow(read_name(table, where, "organisation"), read_key(table, "key", where))
    return PutOperator(row, hexed(table, "proof", SIGNATURE_BYTES, where))


def _drop_lines(one: DropOperator, names: Names) -> list[str]:
    return [f'organisation = "{one.organisation}"']


def _read_drop(table: Mapping[str, Any], where: str) -> DropOperator:
    return DropOperator(read_name(table, where, "organisation"))


def _policy_lines(one: PutPolicy, names: Names) -> list[str]:
    return [f"{key} = {getattr(one.row, key)}" for key in _POLICY]


def _read_policy(table: Mapping[str, Any], where: str) -> PutPolicy:
    return PutPolicy(PolicyRow(*(value(table, key, int, where) for key in _POLICY)))


# -- of members and sizes ------------------------------------------------------------------------------


def _member_lines(one: PutMember, names: Names) -> list[str]:
    proof = [f'proof = "{one.proof.hex()}"'] if one.proof != NO_PROOF else []
    return [*member_lines(member_of(one.row)), *proof]


def _read_put(table: Mapping[str, Any], where: str) -> PutMember:
    member = read_member({key: table[key] for key in table if key not in ("operation", "proof")}, where)
    proof = hexed(table, "proof", SIGNATURE_BYTES, where) if "proof" in table else NO_PROOF
    return PutMember(member_row(member), proof)


def _by_name(kind: type[DropMember] | type[Suspend] | type[Reinstate]) -> _Form:
    return _Form(
        kind,
        ("name",),
        lambda one, names: [f'name = "{one.name}"'],
        lambda table, where: kind(read_name(table, where)),
    )


def _system_lines(one: SetSystem, names: Names) -> list[str]:
    return [f'profile = "{one.profile}"', f"faulty_max = {one.faulty_max}"]


def _read_system(table: Mapping[str, Any], where: str) -> SetSystem:
    profile, faulty_max = value(table, "profile", str, where), value(table, "faulty_max", int, where)
    largest_faulty_max(MEMBER_COUNT_MAX, profile)
    if not 0 <= faulty_max <= MEMBER_COUNT_MAX:
        raise ConfigError(f"{where}: 'faulty_max' is a number of members")
    return SetSystem(profile, faulty_max)


def _new_keys_lines(one: NewKeys, names: Names) -> list[str]:
    dealing = base64.b64encode(one.dealing).decode()
    return [f'transcript = "{one.transcript.hex()}"', f'dealing = "{dealing}"']


def _read_new_keys(table: Mapping[str, Any], where: str) -> NewKeys:
    dealing = base64.b64decode(value(table, "dealing", str, where), validate=True)
    return NewKeys(hexed(table, "transcript", ID_BYTES, where), dealing)


_FORMS = {
    "put-member": _Form(PutMember, (*_MEMBER, *_RECEIVER, "proof"), _member_lines, _read_put),
    "drop-member": _by_name(DropMember),
    "suspend": _by_name(Suspend),
    "reinstate": _by_name(Reinstate),
    "new-keys": _Form(NewKeys, ("transcript", "dealing"), _new_keys_lines, _read_new_keys),
    "set-system": _Form(SetSystem, ("profile", "faulty_max"), _system_lines, _read_system),
    "set-address": _Form(SetAddress, ("member", "address", "applications"), _address_lines, _read_address),
    "add-client": _Form(
        AddClient, ("name", "identity", "certificate", *_LIMITS, "proof"), _add_lines, _read_add
    ),
    "remove-client": _Form(RemoveClient, ("name", "client_id"), _client_lines, _read_remove),
    "limit-client": _Form(
        LimitClient,
        ("name", "client_id", *_LIMITS),
        lambda one, names: [*_client_lines(one, names), *_limit_lines(one.limits)],
        _read_limit,
    ),
    "put-operator": _Form(PutOperator, ("organisation", "key", "proof"), _operator_lines, _read_operator),
    "drop-operator": _Form(DropOperator, ("organisation",), _drop_lines, _read_drop),
    "put-policy": _Form(PutPolicy, _POLICY, _policy_lines, _read_policy),
}
