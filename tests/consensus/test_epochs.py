"""Full changes: dealings, readies, the end, the next epoch; what was missed, repeated, late or given up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from consensus.control.changes import ChangeKind
from consensus.control.commands import Abort, Deal, Ready
from consensus.control.edits import RemoveClient, SetAddress
from consensus.control.operations import DropMember, PutPolicy, SetSystem
from consensus.control.record import Phase
from consensus.control.rows import PolicyRow
from consensus.limits import ATTEMPTS_MAX, WINDOW_SLOTS
from quorum import QuorumSystem
from tests.consensus.alliance import ORGANISATIONS, Log, add_client, client_id, found, put_member, secret

FULL, LIGHT, POLICY = ChangeKind.FULL, ChangeKind.LIGHT, ChangeKind.POLICY
MEMBERS = tuple(f"m-{letter}" for letter in "abcdef")
OTHER = b"o" * 32
DEADLINE = 50


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt has DEADLINE slots at least."""
    monkeypatch.setattr("consensus.control.dealing.DEADLINE_SLOTS", DEADLINE)


def replaced(log: Log | None = None) -> Log:
    """A log in which the replacement of ``m-f`` is approved."""
    log = log or Log()
    log.agree(log.change(FULL, put_member("m-f", "org-f", "new f")))
    log.keys["m-f"] = "new f"
    return log


def scheduled(readies: Sequence[str] = MEMBERS[1:]) -> Log:
    """The same, dealt for and scheduled, without ``m-a``."""
    log = replaced()
    assert log.deal(MEMBERS[:5]) == [""] * 5
    assert log.ready(readies) == [""] * len(readies)
    return log


def test_epoch_replace_silent_member() -> None:
    log = replaced()
    old = client_id("m-f")
    assert log.deal(MEMBERS[:5]) == [""] * 5
    assert log.state.phase is Phase.DEALING
    assert log.ready(MEMBERS[1:5]) == [""] * 4
    assert (log.state.phase, log.state.end) == (Phase.READYING, None)
    assert log.ready(["m-f"]) == [""]
    end = log.state.slot + WINDOW_SLOTS
    assert (log.state.phase, log.state.end, log.state.effective) == (Phase.SCHEDULED, end, end)
    assert log.state.admits(old, end)
    log.finish()
    state = log.state
    assert (state.epoch, state.dealing, state.revision, state.start, state.end) == (1, 1, 0, end, None)
    assert state.directory.member("m-f").client_id == client_id("new f")
    assert not state.admits(old, end + 1)
    assert old in state.past
    assert state.admits(client_id("new f"), end + 1)
    assert [row.name for row in state.directory.members] == list(MEMBERS)


def test_receivers_keys_are_replaced_with_the_readies_and_the_sleeper_keeps_its_own() -> None:
    log = scheduled()
    before = found().directory
    log.finish()
    now = log.state.directory
    assert now.member("m-a").receiver == before.member("m-a").receiver
    assert all(now.member(name).receiver != before.member(name).receiver for name in MEMBERS[1:5])
    last = log.state.transcript
    assert last is not None
    assert (last.digest, last.epoch, last.dealers) == (b"t" * 32, 0, MEMBERS)
    assert [one.member for one in last.dealings] == list(MEMBERS[:5])
    assert dict(last.receivers)["m-b"] == before.member("m-b").receiver
    assert set(last.ready) == set(MEMBERS[1:])


def test_epoch_full_then_light_sleeper() -> None:
    """A transcript stays until the last receiver is ready, over a light epoch, too, and no longer."""
    log = scheduled()
    log.finish()
    change_id = log.state.transcript.change_id if log.state.transcript else b""
    late = log.ready_command("m-a", change_id, b"t" * 32)
    moved = log.change(LIGHT, put_member("m-b", "org-b", "new b"))
    log.agree(moved, ORGANISATIONS[1:5])
    log.finish()
    assert (log.state.epoch, log.state.dealing) == (2, 1)
    assert log.state.transcript is not None
    assert "not the dealings" in log.do(log.ready_command("m-a", change_id, OTHER))[0]
    assert "nothing was dealt" in log.do(log.ready_command("m-c", change_id, b"t" * 32, again="2"))[0]
    assert log.do(late) == [""]
    assert log.state.transcript is None
    assert log.state.directory.member("m-a").receiver == late.receiver
    assert log.state.transcript_digest == b"t" * 32
    assert "no change" in log.do(late)[0]


def test_a_late_ready_waits_while_a_change_deals_to_the_key_of_now() -> None:
    log = scheduled()
    log.finish()
    change_id = log.state.transcript.change_id if log.state.transcript else b""
    log.agree(log.change(FULL, slots=2**40))
    assert "keep that key" in log.do(log.ready_command("m-a", change_id, b"t" * 32))[0]
    assert log.state.target.member("m-a").receiver == found().directory.member("m-a").receiver


def test_readies_count_that_name_the_same_dealings() -> None:
    """f liars that are ready with something else do not count, nor do they hold anybody up."""
    log = replaced()
    log.deal(MEMBERS[:5])
    log.ready(["m-a"], OTHER)
    log.ready(MEMBERS[1:5])
    assert log.state.end is None
    log.ready(["m-f"])
    assert log.state.end is not None
    log.finish()
    last = log.state.transcript
    assert last is not None
    assert last.ready == tuple(sorted(MEMBERS[1:]))


@pytest.mark.parametrize(
    ("name", "attempt", "key", "why"),
    [
        ("m-b", 1, "m-b", "attempt 0 is under way"),
        ("m-b", 0, "m-c", "not one of 'm-b'"),
        ("m-b", 0, "org-b", "not one of 'm-b'"),
        ("m-f", 0, "new f", "not one of 'm-f'"),
        ("m-z", 0, "m-a", "no member 'm-z'"),
    ],
)
def test_a_dealing_of_somebody_else_or_for_something_else_does_not_count(
    name: str, attempt: int, key: str, why: str
) -> None:
    log = replaced()
    change_id = log.state.dealt_for.approved.change_id
    assert why in log.slot(log.sign(Deal(name, change_id, attempt, b"d"), key))[0].refusal
    other = log.sign(Deal("m-b", OTHER, 0, b"d"))
    assert "no change" in log.slot(other)[0].refusal
    assert log.state.dealt_for.dealings == ()


def test_the_first_dealing_of_a_member_counts_and_none_when_enough_are_ready() -> None:
    log = replaced()
    log.deal(["m-b"])
    change_id = log.state.dealt_for.approved.change_id
    assert "the first dealing counts" in log.do(Deal("m-b", change_id, 0, b"another"))[0]
    assert [one.dealing for one in log.state.dealt_for.dealings] == [b"dealing of m-b"]
    log.deal(["m-a", "m-c", "m-d", "m-e"])
    log.ready(MEMBERS[1:])
    assert "ready already" in log.slot(log.sign(Deal("m-f", change_id, 0, b"d"), "m-f"))[0].refusal


def test_a_ready_comes_from_a_member_of_the_next_epoch_with_a_new_receiver_key_of_its_own() -> None:
    log = replaced()
    change_id = log.state.dealt_for.approved.change_id
    assert "too few members have dealt" in log.ready(["m-a"])[0]
    log.deal(MEMBERS[:5])
    good = log.ready_command("m-f", change_id, b"t" * 32)
    assert "not one of 'm-f'" in log.slot(log.sign(good, key="m-f"))[0].refusal
    row = log.state.target.member("m-b")
    same = Ready("m-b", change_id, 0, b"t" * 32, row.receiver, row.receiver_signature)
    none = Ready("m-b", change_id, 0, b"t" * 32, b"", bytes(64))
    unsigned = Ready("m-b", change_id, 0, b"t" * 32, b"key", secret("m-c").sign(b"key"))
    assert [why[:40] for why in log.do(same, none, unsigned)] == [
        "who is ready names another receiver key,",
        "who is ready names another receiver key,",
        "the receiver key of 'm-b' is not signed ",
    ]
    assert log.do(good) == [""]
    assert "'m-f' is ready already" in log.do(good)[0]
    assert len(log.state.dealt_for.readies) == 1


@pytest.mark.parametrize(
    ("count", "add", "faults"), [(6, "g", 1), (6, "ghijk", 2), (7, "hijk", 2), (11, "", 1)], ids=str
)
def test_epoch_n_6_to_7_to_11(count: int, add: str, faults: int) -> None:
    letters = "abcdefghijk"[:count]
    organisations = tuple(f"org-{letter}" for letter in letters)
    log = Log(found(QuorumSystem(count, 1), organisations))
    joins = [put_member(f"m-{letter}", "org-a") for letter in add]
    operations = [*joins, *([SetSystem("classic", faults)] if faults != 1 else [])]
    log.agree(log.change(FULL, *operations), organisations[: {6: 4, 7: 5, 11: 7}[count]])
    log.deal([f"m-{letter}" for letter in letters])
    ready = [f"m-{letter}" for letter in letters + add]
    log.ready(ready[: len(ready) - faults - 1])
    assert log.state.end is None
    log.ready(ready[len(ready) - faults - 1 : len(ready) - faults])
    log.finish()
    assert log.state.directory.system == QuorumSystem(count + len(add), faults)


def test_epoch_refresh_same_members() -> None:
    log = Log()
    log.agree(log.change(FULL))
    log.deal(MEMBERS)
    assert log.ready(MEMBERS) == [""] * 6
    log.finish()
    assert (log.state.epoch, log.state.dealing, log.state.transcript) == (1, 1, None)
    for row, was in zip(log.state.directory.members, found().directory.members, strict=True):
        assert (row.name, row.identity, row.address) == (was.name, was.identity, was.address)
        assert row.receiver != was.receiver


def test_epoch_deadline_flooded(short: None) -> None:
    """Slots alone end no attempt: somebody may fill them."""
    log = replaced()
    log.slot(time_ms=1)
    log.run(DEADLINE)
    assert log.state.dealt_for.attempt == 0
    log.slot(time_ms=120_000 + 1)
    assert log.state.dealt_for.attempt == 1


def test_epoch_deadline_idle(short: None) -> None:
    """Time alone ends no attempt: after an outage the first stamp leaps."""
    log = Log()
    log.slot(time_ms=1)
    replaced(log)
    log.deal(MEMBERS[:5])
    began = log.state.dealt_for.began_slot
    log.slot(time_ms=10**9)
    log.to(began + DEADLINE - 1)
    assert (log.state.dealt_for.attempt, len(log.state.dealt_for.dealings)) == (0, 5)
    assert log.state.needs_time
    log.slot()
    assert (log.state.dealt_for.attempt, log.state.dealt_for.dealings) == (1, ())
    assert "attempt 1 is under way" in log.ready(["m-a"])[0]
    assert log.deal(MEMBERS[:5], attempt=1) == [""] * 5


def test_epoch_resharing_fails_old_runs_on(short: None) -> None:
    log = replaced()
    change_id = log.state.dealt_for.approved.change_id
    for attempt in range(ATTEMPTS_MAX):
        assert log.state.dealt_for.attempt == attempt
        log.slot(time_ms=(attempt + 1) * 10**6)
        log.run(DEADLINE)
    assert (log.state.phase, log.state.epoch, log.state.under_way) == (Phase.IDLE, 0, ())
    assert "no change" in log.do(Deal("m-a", change_id, 0, b"d"))[0]
    assert log.state.directory == found().directory
    assert log.edit("org-f", SetAddress("m-f", "x:1")) == ""
    assert log.propose("org-a", log.change(FULL, put_member("m-f", "org-f", "new f")))[1] == ""


def test_nobody_stops_a_change_that_is_scheduled() -> None:
    log = scheduled()
    change_id = log.state.dealt_for.approved.change_id
    assert {log.do(Abort(organisation, change_id))[0] for organisation in ORGANISATIONS} == {
        "the change is scheduled: nobody can stop it"
    }
    assert log.state.end is not None


def test_epoch_revision_in_last_window() -> None:
    """What is edited there takes effect with the next epoch, and a client of it not one slot earlier."""
    log = scheduled()
    end = log.state.end or 0
    log.run(WINDOW_SLOTS // 2)
    assert log.edit("org-a", add_client("new", "org-a"), RemoveClient(client_id("c-a"))) == ""
    assert log.state.revisions == (end,)
    admitted = [[log.state.admits(client_id(name), at) for at in (end, end + 1)] for name in ("new", "c-a")]
    assert admitted == [[False, True], [True, False]]
    log.finish()
    assert (log.state.revision, log.state.revisions) == (0, ())
    assert log.state.admits(client_id("new"), end + 1)


def test_a_policy_that_changes_in_the_last_window_leaves_the_end_alone() -> None:
    log = scheduled()
    log.agree(log.change(POLICY, PutPolicy(PolicyRow(1, clients_max=5))))
    log.finish()
    assert log.state.directory.policy.clients_max == 5
    assert log.state.directory.member("m-f").client_id == client_id("new f")


def test_behind_the_end_there_is_nothing_and_before_it_no_next_epoch() -> None:
    log = scheduled()
    with pytest.raises(ValueError, match="has not ended"):
        log.state.next_epoch()
    log.to(log.state.end or 0)
    with pytest.raises(ValueError, match="does not follow slot"):
        log.slot()


def test_what_is_open_at_the_end_is_void() -> None:
    log = scheduled()
    opened, refusal = log.propose("org-a", log.change(LIGHT, put_member("m-c", "org-c", "new c")))
    assert not refusal
    log.finish()
    assert log.state.opened == ()
    assert "no open change" in log.do(Abort("org-a", opened))[0]


def test_a_member_that_leaves_is_gone_and_its_key_with_it() -> None:
    letters = "abcdefg"
    log = Log(found(QuorumSystem(7, 1), tuple(f"org-{letter}" for letter in letters)))
    log.agree(log.change(FULL, DropMember("m-a")), tuple(f"org-{letter}" for letter in "abcde"))
    log.deal([f"m-{letter}" for letter in letters])
    assert "no member 'm-a'" in log.ready(["m-a"])[0]
    log.ready([f"m-{letter}" for letter in "bcdef"])
    log.finish()
    assert not log.state.admits(client_id("m-a"), log.state.slot + 1)
    assert "no key comes back" in log.propose("org-b", log.change(FULL, put_member("m-a", "org-a")))[1]
    assert log.edit("org-a", add_client("c-x", "org-a")) == ""


def test_shares_are_refreshed_by_policy() -> None:
    day = 24 * 3600 * 1000
    log = Log(found(policy=PolicyRow(1, refresh_days=2)))
    log.slot(time_ms=5)
    log.slot(time_ms=5 + 2 * day - 1)
    assert log.state.active is None
    log.slot(time_ms=5 + 2 * day)
    assert log.state.phase is Phase.APPROVED
    log.deal(MEMBERS)
    log.ready(MEMBERS)
    log.finish()
    assert (log.state.epoch, log.state.dealing, log.state.transcript) == (1, 1, None)
    log.slot(time_ms=5 + 4 * day - 1)
    assert log.state.active is None
    log.slot(time_ms=5 + 4 * day)
    assert log.state.active is not None


def test_without_receiver_keys_nothing_is_refreshed() -> None:
    log = Log(found(policy=PolicyRow(1, refresh_days=1), receiver=""))
    log.slot(time_ms=5)
    log.slot(time_ms=10**9)
    assert log.state.active is None
