"""The control state as a client's folder has read it from the log; and alliance.toml as that has it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from alliance.changes import approval, drafting, followed
from alliance.changes.carry import Fate, commands_of, fate_of
from alliance.changes.change_file import ChangeFile
from alliance.changes.followed import Followed
from alliance.config import file as config_file
from alliance.config.file import FILE
from alliance.errors import ChangeRefused, ConfigError
from alliance.keys.revision import FOUNDED, load_founded
from consensus.control.changes import Change, ChangeKind, base_digest
from consensus.control.commands import Propose
from consensus.control.operations import Suspend
from consensus.control.pending import ApprovedChange
from consensus.control.rows import FOREVER, ClientLimits
from consensus.limits import WINDOW_SLOTS
from tests.alliance.changes.operators import NORTH, SOUTH, Operators
from tests.alliance.conftest import Run
from tests.alliance.farm import TIME_MS, Chain, Farm
from tests.alliance.network import Doors, Office, serving
from verifiable_log import Batch, Submission
from verifiable_log.client_windows import ClientWindows
from verifiable_log.ordering_state import Checkpoint


def decide(state: Followed, *submissions: Submission) -> None:
    slot = state.frontier.size + 1
    state.apply(slot, Batch.of(submissions, TIME_MS + slot))


@pytest.fixture
def added(operators: Operators) -> ChangeFile:
    return drafting.add_client(operators.state, operators.request("carola"), "f", ClientLimits())


def test_each_control_command_of_the_log_counts_once(
    farm: Farm, operators: Operators, added: ChangeFile
) -> None:
    (command,) = operators.signed(added)
    state = Followed.founded(farm.config)
    sent = farm.submission(1, command.encode())
    decide(state, farm.submission(2, b"an application's", b"commands"))
    decide(state, sent, farm.submission(3, b"more"))
    assert drafting.client(state.control, "carola").from_slot == 2 + WINDOW_SLOTS + 1
    assert state.outcomes[sent.client_id, 1].accepted
    decide(state, sent)  # a repetition, which members do not look at either
    assert not state.outcomes  # those of earlier slots are not kept: dealings are in them
    again = farm.submission(4, command.encode())
    decide(state, again)
    assert "has number 2" in state.outcomes[sent.client_id, 4].refusal
    assert state.control.slot == state.frontier.size == 4


def test_who_has_read_to_a_slot_goes_on_from_there(
    farm: Farm, operators: Operators, added: ChangeFile, tmp_path: Path
) -> None:
    state = followed.load(tmp_path, farm.config)
    (command,) = operators.signed(added)
    sent = farm.submission(1, command.encode())
    decide(state, sent)
    followed.keep(tmp_path, state, farm.config)
    read = followed.load(tmp_path, farm.config)
    assert (read.control, read.frontier) == (state.control, state.frontier)
    for one in (state, read):
        decide(one, sent, farm.submission(2, b"more"))
    assert read.encode() == state.encode()
    assert read.outcomes == {}  # of a repetition


def test_a_damaged_file_is_read_anew(farm: Farm, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = Followed.founded(farm.config)
    decide(state, farm.submission(1, b"command"))
    followed.keep(tmp_path, state, farm.config)
    path = tmp_path / followed.FILE
    good = path.read_bytes()
    for at in (*range(0, len(good), 211), len(good) - 1):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        assert followed.load(tmp_path, farm.config).frontier.size == 0
        path.write_bytes(good[:at])
        assert followed.load(tmp_path, farm.config).frontier.size == 0
    assert "is read anew from the log" in caplog.text
    path.write_bytes(good)
    assert followed.load(tmp_path, farm.config).frontier.size == 1
    path.unlink()
    path.mkdir()
    followed.keep(tmp_path, state, farm.config)
    assert "cannot be written" in caplog.text


def test_the_alliance_file_follows_and_how_it_was_founded_stays(
    farm: Farm, operators: Operators, added: ChangeFile, tmp_path: Path
) -> None:
    home = tmp_path / "client-1"
    shutil.copytree(farm.client_home(0), home)
    before = (home / FILE).read_text()
    state = Followed.founded(farm.config)

    def order(number: int, change: ChangeFile) -> None:
        (command,) = operators.signed(change)
        decide(state, farm.submission(number, command.encode()))
        assert operators.order(command) == [""]

    order(1, added)
    order(2, drafting.remove_clients(operators.state, ["client-1"]))
    order(3, drafting.set_address(operators.state, "member-2", "b.example:1", {"kv": "b.example:2"}))
    followed.keep(home, state, farm.config)
    assert (home / FILE).read_text() == before  # not in effect yet
    for _ in range(WINDOW_SLOTS):
        decide(state)
    order(4, drafting.set_address(operators.state, "member-3", "c.example:1", {}))
    followed.keep(home, state, farm.config)
    now = config_file.load(home)
    assert (now.revision, now.alliance_id) == (3, farm.config.alliance_id)
    assert [(client.name, client.organisation) for client in now.clients] == [
        ("carola", NORTH),
        ("client-2", NORTH),
    ]
    assert (now.members[1].address, now.members[1].applications) == ("b.example:1", (("kv", "b.example:2"),))
    assert now.members[2] == farm.config.members[2]  # as members certify revision 3, which has no more in it
    assert (home / FOUNDED).read_text() == before
    assert load_founded(home) == farm.config
    assert followed.load(home, farm.config).encode() == state.encode()


def test_what_the_log_has_is_not_sent_again(operators: Operators) -> None:
    change = drafting.set_policy(operators.state, NORTH, {"clients_max": 3}, TIME_MS)
    north, south, west = (
        (name, approval.sign(change, operators.keys[name], name)) for name in (NORTH, SOUTH, "member-3")
    )
    with pytest.raises(ConfigError, match="the signature of 'member-1' is missing, whose change it is"):
        commands_of(change, [south, west], operators.state)
    commands = commands_of(change, [south, north, west], operators.state)
    assert [one.command.signer for one in commands] == [NORTH, SOUTH, "member-3"]
    assert operators.order(*commands[:2]) == ["", ""]
    (left,) = commands_of(change, [south, north, west], operators.state)
    assert left.command.signer == "member-3"
    with pytest.raises(ConfigError, match="the log has all of this already: member-1, member-2 approve"):
        commands_of(change, [north, south], operators.state)
    there = fate_of(operators.state, change, 1)
    assert (there.fate, there.approvals, there.effective) == (Fate.OPEN, (NORTH, SOUTH), None)
    assert operators.order(left, *operators.signed(change, "member-4")) == ["", ""]
    taken = fate_of(operators.state, change, 2)
    assert (taken.fate, taken.slot, taken.effective) == (Fate.TAKEN, 2, 2 + WINDOW_SLOTS)
    with pytest.raises(ChangeRefused, match="has used number 1 already"):
        commands_of(change, [north, south], operators.state)


def test_a_withdrawn_change_has_ended(operators: Operators) -> None:
    change = drafting.set_policy(operators.state, NORTH, {"clients_max": 3}, TIME_MS)
    operators.order(*operators.signed(change))
    assert operators.order(*operators.signed(change, NORTH, abort=True)) == [""]
    assert fate_of(operators.state, change, 2).fate is Fate.ENDED


def test_a_slot_that_does_not_follow_changes_nothing(farm: Farm) -> None:
    state = Followed.founded(farm.config)
    sent = farm.submission(1, b"command")
    for slot in (0, 2):
        with pytest.raises(ValueError, match="does not follow"):
            state.apply(slot, Batch.of([sent]))
    assert state.encode() == Followed.founded(farm.config).encode()


def test_it_goes_on_behind_the_end_of_an_epoch(farm: Farm, operators: Operators) -> None:
    """Two operators keep a member from leading: an epoch with the same members."""
    operations = (Suspend("member-6"),)
    base = base_digest(operators.state.directory, operations)
    change = Change(ChangeKind.LIGHT, 0, base, FOREVER, FOREVER, operations)
    proposal = ChangeFile(operators.state.alliance_id, Propose(NORTH, 1, change))
    state = Followed.founded(farm.config)
    for number, command in enumerate(operators.signed(proposal, NORTH, SOUTH), 1):
        decide(state, farm.submission(number, command.encode()))
    assert state.control.end == 2 + WINDOW_SLOTS
    while state.control.epoch == 0:
        decide(state)
    assert (state.control.epoch, state.control.slot) == (1, 2 + WINDOW_SLOTS)
    assert state.control.directory.suspended == ("member-6",)
    decide(state)
    assert Followed.decode(state.encode()).control == state.control


def test_a_checkpoint_at_the_end_of_an_epoch_is_where_the_next_begins(farm: Farm, chain: Chain) -> None:
    """The members that go on from it show it as theirs."""
    state, last, at = Followed.founded(farm.config), Followed.founded(farm.config).control, 6
    suspends = Change(ChangeKind.LIGHT, 0, bytes(32), 0, 0, (Suspend("member-2"),))
    scheduled = (ApprovedChange(b"c" * 32, suspends, 1),)
    ended = replace(last, slot=at, end=at, scheduled=scheduled)
    chain.grow(at + 1)
    state.begin_at(chain.frontiers[at], ClientWindows(), ended.items())
    assert state.control == ended.next_epoch()
    assert [one.epoch for one in state.epochs] == [0, 1]
    state.apply(at + 1, chain.entries[at].batch)
    assert (state.control.epoch, state.control.slot) == (1, at + 1)


@pytest.mark.parametrize(("known", "far"), [(0, 4), (3, 4), (3, 4096)])
def test_who_is_far_behind_begins_with_a_checkpoint(
    farm: Farm,
    chain: Chain,
    operators: Operators,
    added: ChangeFile,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    known: int,
    far: int,
) -> None:
    """Which is certified with the control state in it; servers need not keep the log before it."""
    monkeypatch.setattr(followed, "FAR_SLOTS", far)
    (command,) = operators.signed(added)
    chain.grow(2)
    chain.add(farm.submission(50, command.encode()))
    chain.grow(9, first_seq=51)
    expected, state = (Followed.founded(farm.config) for _ in range(2))
    for entry in chain.entries[:8]:
        expected.apply(entry.slot, entry.batch)
    snapshot = chain.snapshot(8)
    snapshot = replace(snapshot, state=(*snapshot.state, *expected.control.items()))
    for entry in chain.entries[8:]:
        expected.apply(entry.slot, entry.batch)
    for entry in chain.entries[:known]:
        state.apply(entry.slot, entry.batch)
    office = Office(tmp_path / "journal.sqlite", chain)
    office.tell_all()
    office.history.checkpoint = Checkpoint(snapshot, farm.certify(snapshot.statement))
    office.history.prune(7)

    async def scenario() -> list[int]:
        read: list[int] = []
        async with serving(farm, 0, office) as port, Doors(farm, {0: port}) as doors:
            await followed.read(farm.config, doors, state, 12, lambda slot, until: read.append(slot))
        return read

    try:
        assert run(scenario()) == [9, 10, 11, 12]
    finally:
        office.journal.close()
    assert state.encode() == expected.encode()
    assert drafting.client(state.control, "carola").organisation == NORTH
    with pytest.raises(ValueError, match="another alliance or slot"):
        state.begin_at(chain.frontiers[8], ClientWindows(), expected.control.items())
