"""From the present membership and what somebody wants, to the change that does it.

Each function raises ConfigError, with what to do, where the members would refuse the change anyway and a
person can be told why before anybody has signed anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from alliance.changes.change_file import ChangeFile
from alliance.changes.operations import Names, OfEdits
from alliance.config.fields import suggest
from alliance.errors import ConfigError
from alliance.founding.request import Admission, Request
from consensus.control import ControlState
from consensus.control.changes import Change, ChangeKind, base_digest
from consensus.control.commands import Edit, Propose
from consensus.control.edits import AddClient, LimitClient, RemoveClient, SetAddress
from consensus.control.operations import ChangeOperation, PutPolicy
from consensus.control.rows import FOREVER, ClientLimits, ClientRow, MemberRow, Role


def edit(
    state: ControlState, organisation: str, operations: Sequence[OfEdits], names: Names | None = None
) -> ChangeFile:
    """What an organisation changes of its own rows, under its next number."""
    command = Edit(organisation, _next_number(state, organisation), tuple(operations))
    own = ((organisation, state.directory.operator(organisation).key),)
    return ChangeFile(state.alliance_id, command, dict(names or {}), own)


def proposal(
    state: ControlState,
    organisation: str,
    operations: Sequence[ChangeOperation],
    expires_ms: int,
    kind: ChangeKind = ChangeKind.POLICY,
) -> ChangeFile:
    """A change that all operators are asked to approve, until ``expires_ms`` of agreed time."""
    change = Change(
        kind,
        state.epoch,
        base_digest(state.directory, operations),
        FOREVER,
        expires_ms,
        tuple(operations),
    )
    command = Propose(organisation, _next_number(state, organisation), change)
    operators = tuple((row.organisation, row.key) for row in state.directory.operators)
    return ChangeFile(state.alliance_id, command, operators=operators)


def add_client(state: ControlState, request: Request, where: str, limits: ClientLimits) -> ChangeFile:
    """Brings in who made the request, which is from the file ``where``."""
    proof = _proof(state, request, where)
    if (there := _live(state).get(request.name)) is not None:
        raise ConfigError(
            f"'{there.organisation}' has a client '{request.name}' already: 'alliance client rotate' gives it"
            " this key instead; or the new one makes a request under another name"
        )
    return edit(state, request.client_of, [_add(request, proof, limits)])


def rotate_client(state: ControlState, request: Request, where: str) -> ChangeFile:
    """A client gets the key of this request, and keeps its limits; its old key is never admitted again."""
    proof, row = _proof(state, request, where), client(state, request.name)
    if row.organisation != request.client_of:
        raise ConfigError(
            f"{where}: '{request.name}' belongs to '{row.organisation}', and asks to belong to"
            f" '{request.client_of}': its request names --organisation {row.organisation}"
        )
    if row.identity == request.identity:
        raise ConfigError(f"{where}: '{request.name}' has this key already: it makes another request")
    operations: list[OfEdits] = [RemoveClient(row.client_id), _add(request, proof, row.limits)]
    return edit(state, row.organisation, operations, {row.client_id: row.name})


def remove_clients(state: ControlState, names: Sequence[str]) -> ChangeFile:
    """Clients of one organisation go; their keys never come back."""
    rows = [client(state, name) for name in dict.fromkeys(names)]
    organisations = {row.organisation for row in rows}
    if len(organisations) != 1:
        raise ConfigError("these clients belong to several organisations: remove those of each by itself")
    known = {row.client_id: row.name for row in rows}
    return edit(state, organisations.pop(), [RemoveClient(row.client_id) for row in rows], known)


def limit_client(state: ControlState, name: str, changes: Mapping[str, int]) -> ChangeFile:
    """Other limits for a client: ``changes`` are fields of ClientLimits."""
    row = client(state, name)
    limits = checked(lambda: replace(row.limits, **changes))
    if limits == row.limits:
        raise ConfigError(f"client '{name}' has these limits already")
    return edit(state, row.organisation, [LimitClient(row.client_id, limits)], {row.client_id: name})


def set_address(
    state: ControlState, name: str, address: str | None, applications: Mapping[str, str | None]
) -> ChangeFile:
    """A member answers elsewhere. ``applications`` that are not named stay; None takes one from the list."""
    row = member(state, name)
    listed = {**dict(row.applications), **applications}
    kept = tuple(sorted((app, at) for app, at in listed.items() if at is not None))
    operation = checked(lambda: SetAddress(name, address or row.address, kept))
    if (operation.address, kept) == (row.address, row.applications):
        raise ConfigError(f"member '{name}' is at these addresses already")
    return edit(state, row.organisation, [operation])


def set_policy(
    state: ControlState, organisation: str, changes: Mapping[str, int], expires_ms: int
) -> ChangeFile:
    """Another policy: ``changes`` are fields of PolicyRow."""
    policy = checked(lambda: replace(state.directory.policy, **changes))
    if policy == state.directory.policy:
        raise ConfigError("this is the policy already")
    return proposal(state, organisation, [PutPolicy(policy)], expires_ms)


def require_names(state: ControlState, change: ChangeFile) -> None:
    """Raises ConfigError when a change calls a client by another's name: the log knows it by its id alone."""
    for client_id, name in change.names.items():
        row = state.directory.clients.get(client_id)
        if row is None or row.until_slot != FOREVER:
            raise ConfigError(
                f"there is no client with the id {client_id.hex()[:16]}… that is called '{name}'"
            )
        if row.name != name:
            raise ConfigError(
                f"the change calls the client {client_id.hex()[:16]}… '{name}', and it is '{row.name}': do"
                " not send it, and ask who wrote it"
            )


def client(state: ControlState, name: str) -> ClientRow:
    """Raises ConfigError."""
    live = _live(state)
    if name not in live:
        raise ConfigError(f"the alliance has no client '{name:.80}'{suggest(name, live)}")
    return live[name]


def member(state: ControlState, name: str) -> MemberRow:
    """Raises ConfigError."""
    members = {row.name: row for row in state.directory.members}
    if name not in members:
        raise ConfigError(f"the alliance has no member '{name:.80}'{suggest(name, members)}")
    return members[name]


def _live(state: ControlState) -> dict[str, ClientRow]:
    return {row.name: row for row in state.directory.clients.values() if row.until_slot == FOREVER}


def _next_number(state: ControlState, organisation: str) -> int:
    if organisation not in state.accounts:
        raise ConfigError(
            f"the alliance has no organisation '{organisation:.80}'{suggest(organisation, state.accounts)}"
        )
    return state.accounts[organisation].counter + 1


def _proof(state: ControlState, request: Request, where: str) -> bytes:
    """By which the key of a client's request may be added here. Raises ConfigError."""
    if request.seat is not None:
        raise ConfigError(f"{where} is the request of a member: name one of a client")
    return admission(state, request, where).proof


def admission(state: ControlState, request: Request, where: str) -> Admission:
    """What a request says of this alliance. Raises ConfigError if it is for another, or one to be founded."""
    asked = request.admission
    if asked is None:
        kind = "--client" if request.seat is None else "--address HOST:PORT"
        raise ConfigError(
            f"{where} is a request for an alliance to be founded: '{request.name}' makes another one, by"
            f" 'alliance request NAME {kind} --alliance F --organisation ORG'"
        )
    if asked.alliance_id != state.alliance_id:
        raise ConfigError(f"{where} asks another alliance, {asked.alliance_id.hex()[:16]}…")
    return asked


def _add(request: Request, proof: bytes, limits: ClientLimits) -> AddClient:
    der = request.certificate.public_bytes(Encoding.DER)
    return AddClient(request.name, request.identity, der, proof, Role.USER, limits)


def checked(make: Any) -> Any:
    """What is made of numbers that somebody typed. Raises ConfigError."""
    try:
        return make()
    except ValueError as error:
        raise ConfigError(str(error)) from None
