"""The next epoch of an alliance on disk: its members, their new shares, and the proof of who they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.control import current, founded
from alliance.config.identity import certify_itself
from alliance.config.key_changes import KeyChange, key_changed
from alliance.config.parties import Member
from alliance.config.rows import member_row
from alliance.keys.channel import Credentials, certify, utc_now
from alliance.wire.membership import MembershipProof
from consensus.control.published import Published
from consensus.control.rows import MemberRow
from consensus.control.transcript import transcript_digest
from quorum import MembershipStatement
from tests.alliance.farm import Farm
from tests.worlds.founding import KEY_BITS, dealt

END = 6
"""The last slot of the epoch before."""


def next_epoch(
    farm: Farm,
    replaced: Mapping[int, Credentials] | None = None,
    *,
    handed_on: bool = True,
    start: int = END,
    revision: int = 0,
    addresses: Mapping[int, str] | None = None,
    removed: tuple[str, ...] = (),
    stock: int = 0,
) -> tuple[Farm, Published]:
    """The alliance from behind slot ``start`` on, and what its members certify of it.

    ``replaced``: other members, by number, each at the old one's address unless there is another one in
    ``addresses``. ``handed_on``: with new shares; of other keys, where the ``stock`` is another.
    ``removed``: clients, by name.
    """
    config, changed = farm.config, dict(replaced or {})
    dealing, system = config.dealing + handed_on, config.system
    before = (config.key, *(key for _, key in config.purpose_keys))
    made = [
        dealt(system, key.threshold, KEY_BITS, stock, place, dealing)[0] for place, key in enumerate(before)
    ]
    rows = [
        row_of(changed[number], old) if number in changed else member_row(old)
        for number, old in enumerate(config.members)
    ]
    for number, address in (addresses or {}).items():
        rows[number] = replace(rows[number], address=address)
    keys = tuple(key for key, _ in made)
    begun = founded(replace(config, epoch=0, revision=0, dealing=0, changed=None))
    old = begun.directory.clients
    clients = {client_id: row for client_id, row in old.items() if row.name not in removed}
    state = replace(
        begun,
        directory=replace(begun.directory, members=tuple(rows), clients=clients),
        epoch=config.epoch + 1,
        dealing=dealing,
        revision=revision,
        start=start,
        slot=start,
        transcript_digest=transcript_digest([key.to_bytes() for key in keys]) if dealing else bytes(32),
    )
    membership = Published.of(state)
    changes: tuple[KeyChange, ...] = ()
    if handed_on and key_changed(before, keys):
        statement = MembershipStatement(config.epoch + 1, 0, start, b"r" * 32, b"s" * 32, membership.digest)
        changes = (KeyChange(farm.certify(statement), membership.config, keys),)
    now = current(config, membership, keys if handed_on else (), changes)
    members = [changed.get(number, old) for number, old in enumerate(farm.members)]
    new = replace(farm, config=now, members=members)
    if handed_on:
        new = replace(new, endorsers=list(made[0][1]), attesters=list(made[1][1]))
    return new, membership


def new_member(name: str) -> Credentials:
    """Somebody who is to be a member, in the place of another one."""
    key = Ed25519PrivateKey.generate()
    identity = key.public_key().public_bytes_raw()
    party = Member(name, identity, certify_itself(name, key), "127.0.0.1:1", "member-1")
    return Credentials(party, key, certify(party, key, utc_now()))


def row_of(one: Credentials, old: Member) -> MemberRow:
    """A member in another one's place."""
    party = one.party
    return member_row(
        replace(old, name=party.name, identity=party.identity, certificate=party.certificate, receiver=None)
    )


def proof(
    by: Farm, of: Farm, membership: Published, root: bytes = b"r" * 32, slot: int = END
) -> MembershipProof:
    """Who takes part in the epoch ``of``, by the members of the epoch ``by``: the one before, or the same."""
    head = membership.epoch, membership.revision, slot, root, b"s" * 32
    return MembershipProof(
        by.certify(MembershipStatement(*head, membership.digest)),
        membership,
        of.config.handed_on,
        of.config.key_changes,
    )
