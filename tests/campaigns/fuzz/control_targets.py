"""Control commands, as anybody may have them ordered, and the control state in a checkpoint."""

from __future__ import annotations

from consensus.control import ControlState
from consensus.control.changes import ChangeKind
from consensus.control.commands import Abort, Approve, Deal, Edit, Propose, SignedCommand
from consensus.control.edits import LimitClient, RemoveClient, SetAddress
from consensus.control.encoding import MalformedControl, u8, u32
from consensus.control.operations import (
    DropMember,
    DropOperator,
    NewKeys,
    PutPolicy,
    Reinstate,
    SetSystem,
    Suspend,
)
from consensus.control.rows import ClientLimits, PolicyRow
from tests.consensus.alliance import (
    ALLIANCE,
    ORGANISATIONS,
    Log,
    add_client,
    client_id,
    entry_of,
    found,
    put_member,
    put_operator,
    verify,
)
from tests.worlds.require import require
from verifiable_log import UnsignedSubmission
from verifiable_log.ordering_state import CONTROL_ITEM


class CommandTarget:
    """What is let through has one form; and only what an operator or member has signed has an effect."""

    def __init__(self) -> None:
        log = Log(found())
        self._state = log.state
        edits = (
            SetAddress("m-a", "x.example:1", (("kv", "x.example:2"),)),
            add_client("new", "org-a"),
            RemoveClient(client_id("c-a")),
            LimitClient(client_id("c-a"), ClientLimits(1, 1)),
        )
        operations = (
            put_member("m-g", "org-a"),
            *(DropMember("m-a"), Suspend("m-b"), Reinstate("m-b"), DropOperator("org-g")),
            *(put_operator("org-g", "org-g"), PutPolicy(PolicyRow(1)), SetSystem("lean", 1)),
            NewKeys(b"n" * 32, b"new keys"),
        )
        change = log.change(ChangeKind.FULL, *operations)
        commands = [Edit("org-a", 1, (edit,)) for edit in edits]
        others = (Propose("org-a", 1, change), Approve("org-a", bytes(32)), Abort("org-a", bytes(32)))
        ready = log.ready_command("m-a", bytes(32), b"t" * 32)
        self.corpus = [log.sign(one) for one in (*commands, *others, Deal("m-a", bytes(32), 0, b"d"), ready)]

    def __call__(self, data: bytes) -> bool:
        try:
            signed = SignedCommand.decode(data)
        except MalformedControl:
            return False
        require(signed.encode() == data, "a control command has two forms")
        carried = UnsignedSubmission(ALLIANCE, 0, [data]).sign(bytes(64))
        after, (told,) = self._state.apply(entry_of(1, [carried]), verify)
        require(told.accepted is False or data in self.corpus, "a command counts that nobody signed")
        require(bool(told.refusal.isprintable()), "a reason that does not print")
        require(told.accepted or after.directory == self._state.directory, "what is refused has an effect")
        return True


def states() -> list[bytes]:
    """Pieces of states in every phase of a change."""
    log = Log()
    log.edit("org-a", add_client("new", "org-a"), RemoveClient(client_id("c-a")))
    log.propose("org-a", log.change(ChangeKind.LIGHT, Suspend("m-b")))
    made = [log.state]
    log.agree(log.change(ChangeKind.FULL, put_member("m-f", "org-f", "new f")))
    members = [f"m-{organisation[-1]}" for organisation in ORGANISATIONS[:5]]
    log.deal(members)
    made.append(log.state)
    log.keys["m-f"] = "new f"
    log.ready([*members[1:], "m-f"])
    made.append(log.state)
    log.finish()
    brings = Log()
    brings.agree(brings.change(ChangeKind.FULL, NewKeys(b"n" * 32, b"new keys")))
    made.append(brings.state)
    return [item[5:] for state in (*made, log.state) for item in state.items()]


def run_state(data: bytes) -> bool:
    """A state that is read has one form, and goes on."""
    items = (u8(CONTROL_ITEM) + u32(0) + data,)
    try:
        state = ControlState.read(items)
    except MalformedControl:
        return False
    require(state.items() == items, "a control state has two forms")
    if state.end is None or state.slot < state.end:
        state, _ = state.apply(entry_of(state.slot + 1, []), verify)
    require(ControlState.read(state.items()) == state, "a control state changes on its way")
    return True
