"""Which step of handing the keys on is due for a member: from the log, and from what lies in its folder.

Nothing is remembered between two looks: a member that was killed anywhere looks again, and finds the same.
What is posted counts from when the log has it. A state may also be one of the past, while a member that has
started goes through the log again: no step that follows from an old state loses what a later one needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from alliance.keys import files, handover, shares
from alliance.keys.handover import Received
from alliance.keys.shares import Generation
from consensus.control import ControlState
from consensus.control.directory import Directory, Refused
from consensus.control.pending import ActiveChange, Transcript
from consensus.control.rows import MemberRow


def fingerprint(receiver: bytes) -> bytes:
    """That of an encoded receiver key, as its secret's file names it."""
    return sha256(receiver).digest()


@dataclass(frozen=True, slots=True)
class Held:
    """What lies in a member's folder.

    ``current`` is the generation of shares that counts, ``generations`` are those that open, ``pieces`` all
    of which anything is there. ``received`` is what was noted of generations, ``receivers`` are fingerprints
    of secrets, ``dealings`` the generations towards which this member dealt, ``publics`` the dealings whose
    public keys are kept.
    """

    current: Generation | None
    generations: tuple[Generation, ...]
    pieces: tuple[Generation, ...]
    received: Mapping[Generation, Received]
    receivers: tuple[bytes, ...]
    dealings: tuple[Generation, ...]
    publics: tuple[int, ...]

    def has(self, generation: Generation, transcript: bytes) -> bool:
        """Whether the shares from these dealings are there."""
        note = self.received.get(generation)
        return generation in self.generations and note is not None and note.transcript == transcript


def look(folder: Path) -> Held:
    """Raises KeyFileError."""
    files.settle(folder)
    return Held(
        shares.current(folder),
        shares.generations(folder),
        shares.pieces(folder),
        handover.received(folder),
        handover.receivers(folder),
        handover.dealings(folder),
        handover.publics(folder),
    )


@dataclass(frozen=True, slots=True)
class Deal:
    """A member of this epoch deals its shares to the members of the next one."""

    change_id: bytes
    attempt: int
    epoch: int


@dataclass(frozen=True, slots=True)
class BeReady:
    """A member of the next epoch receives its shares, as soon as the dealings are enough, and says so.

    ``late``: of the epoch that has begun without its being ready. ``announce`` is false for one that has said
    so, and has lost what it had received.
    """

    change_id: bytes
    attempt: int
    epoch: int
    late: bool = False
    announce: bool = True


@dataclass(frozen=True, slots=True)
class Switch:
    """Shares that have come late count from now on."""

    generation: Generation


@dataclass(frozen=True, slots=True)
class Tidy:
    """What is of no use any more. ``receivers`` are (fingerprint, its successor's, the shares it served)."""

    shares: tuple[Generation, ...] = ()
    notes: tuple[Generation, ...] = ()
    dealings: tuple[Generation, ...] = ()
    receivers: tuple[tuple[bytes, bytes, Generation], ...] = ()
    publics: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return any((self.shares, self.notes, self.dealings, self.receivers, self.publics))


Step = Deal | BeReady | Switch


def due(state: ControlState, name: str, identity: bytes, held: Held) -> tuple[Step, ...]:
    """The next steps of the member of this name and identity (its public key, 32 bytes), in their order.

    None of them waits for another: what a damaged file makes impossible does not keep it from the rest.
    Whether the dealings are enough only those know who judge them: ``BeReady`` is due before that is known.
    """
    row, last = _row(state.directory, name, identity), state.transcript
    has_shares = held.current is not None and held.current.epoch == state.dealing
    arrived, steps = _arrived(state, held), list[Step]()
    if row is not None and arrived is not None and not has_shares:
        steps.append(Switch(arrived))
    if state.active is not None:
        if row is not None and has_shares and state.end is None:
            steps += _dealing(state, state.active, name)
        steps += _receiving(state, state.active, name, identity, held)
    elif last is not None and row is not None and _is_late(state, last, row):
        can = arrived is not None or fingerprint(row.receiver) in held.receivers
        steps += [BeReady(last.change_id, last.attempt, last.epoch + 1, late=True)] if can else []
    return tuple(steps)


def _arrived(state: ControlState, held: Held) -> Generation | None:
    """The generation of the shares of this dealing."""
    for generation in held.generations:
        if generation.epoch == state.dealing and held.has(generation, state.transcript_digest):
            return generation
    return None


def _dealing(state: ControlState, active: ActiveChange, name: str) -> list[Step]:
    if active.new_keys is not None or any(one.member == name for one in active.dealings):
        return []
    return [Deal(active.approved.change_id, active.attempt, state.epoch + 1)]


def _receiving(
    state: ControlState, active: ActiveChange, name: str, identity: bytes, held: Held
) -> list[Step]:
    target = target_row(state, name, identity)
    enough = active.new_keys is not None or len(active.dealings) >= state.directory.system.decision
    if target is None or not enough:
        return []
    if fingerprint(target.receiver) not in held.receivers:
        return []
    said = {one.member: one.transcript for one in active.readies}
    if name not in said:
        over = state.slot == state.end
        return [] if over else [BeReady(active.approved.change_id, active.attempt, state.epoch + 1)]
    if held.has(Generation(state.dealing + 1, active.attempt), said[name]):
        return []
    return [BeReady(active.approved.change_id, active.attempt, state.epoch + 1, announce=False)]


def target_row(state: ControlState, name: str, identity: bytes) -> MemberRow | None:
    """The member's row in the epoch that a change under way leads to; None if it has none there."""
    try:
        return _row(state.target, name, identity)
    except ValueError:  # there is none, or it has become impossible
        return None


def _row(directory: Directory, name: str, identity: bytes) -> MemberRow | None:
    try:
        row = directory.member(name)
    except Refused:
        return None
    return row if row.identity == identity else None


def _is_late(state: ControlState, last: Transcript, row: MemberRow) -> bool:
    # Who is ready has another receiver key by then.
    return (row.name, row.receiver) in last.receivers and row.name not in state.frozen


def not_to_be_next(state: ControlState, name: str, held: Held) -> frozenset[bytes]:
    """Fingerprints of the member's receiver keys that something was or will be dealt to."""
    rows = [row.receiver for row in state.directory.members if row.name == name]
    if state.active is not None:
        rows += [row.receiver for row in state.target.members if row.name == name]
    if state.transcript is not None:
        rows += [key for member, key in state.transcript.receivers if member == name]
    used = (note.receiver for note in held.received.values())
    return frozenset({*map(fingerprint, rows), *used})


def tidy(state: ControlState, name: str, identity: bytes, held: Held) -> Tidy:
    """What may go: of the dealings before this one once the member has shares of this one, and of attempts
    that the log has given up. Nothing follows from a state of a dealing before that of the shares that count.
    """
    now, counts = state.dealing, held.current
    if counts is not None and counts.epoch > now:
        return Tidy()
    active = state.active
    waits_for = Generation(now + 1, active.attempt) if active is not None else None
    gone = [one for one in held.pieces if one != waits_for and one.epoch == now + 1]
    if counts is not None and counts.epoch == now:
        gone += [one for one in held.pieces if one.epoch <= now and one != counts]
    dealings = [one for one in held.dealings if one != waits_for and one.epoch <= now + 1]
    used, row = [], _row(state.directory, name, identity)
    note = held.received.get(counts) if counts is not None else None
    if counts is not None and counts.epoch == now and note is not None and row is not None:
        successor = fingerprint(row.receiver)
        if note.receiver != successor and {note.receiver, successor} <= set(held.receivers):
            used.append((note.receiver, successor, counts))
    notes = [
        one for one in held.received if one not in held.pieces and one != waits_for and one.epoch <= now + 1
    ]
    return Tidy(
        tuple(gone),
        tuple(notes),
        tuple(dealings),
        tuple(used),
        tuple(epoch for epoch in held.publics if epoch < now - 1),
    )


def carry_out(folder: Path, step: Tidy) -> None:
    """Erases and deletes; what is left when this is killed is found again. Raises OSError, KeyFileError."""
    for generation in step.shares:
        shares.erase_shares(folder, generation)
    for generation in step.notes:
        handover.forget_received(folder, generation)
    for generation in step.dealings:
        handover.forget_dealing(folder, generation)
    for used, successor, generation in step.receivers:
        handover.erase_receiver(folder, used, successor, generation)
    for epoch in step.publics:
        handover.forget_public(folder, epoch)
