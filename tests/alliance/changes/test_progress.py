"""How far a change is: what people are told from slot to slot, and what becomes of it in the end."""

from __future__ import annotations

import pytest

from alliance.changes import approval, drafting, member_drafting, simulation
from alliance.changes.carry import Fate, commands_of, fate_of
from alliance.changes.change_file import ChangeFile
from alliance.changes.consequences import Consequences
from alliance.changes.epoch_notes import Beginning
from alliance.changes.followed import Followed
from alliance.changes.member_drafting import Wanted
from alliance.changes.progress import Progress, counted, in_lines, news, nothing_left
from alliance.changes.simulation import forecast
from alliance.errors import ConfigError
from alliance.keys.ed25519 import has_signed
from consensus.control import ControlState
from consensus.limits import WINDOW_SLOTS
from tests.alliance.changes.operators import NORTH, SOUTH
from tests.alliance.changes.paper import RECEIVER_BITS, TIME_MS, Paper
from tests.alliance.farm import Farm

UNTIL_MS = TIME_MS + 1_000_000
MEMBERS = [f"member-{number}" for number in range(1, 7)]


def full(paper: Paper, wanted: Wanted | None = None) -> ChangeFile:
    return member_drafting.members(paper.control, NORTH, wanted or Wanted(), RECEIVER_BITS, UNTIL_MS)


def suspend(paper: Paper, *names: str) -> ChangeFile:
    return member_drafting.lead(paper.control, NORTH, names, [], UNTIL_MS)


class Listening:
    """Collects what is new with each slot."""

    def __init__(self, paper: Paper) -> None:
        self.paper, self.before = paper, paper.control

    def told(self) -> list[str]:
        before, self.before = self.before, self.paper.control
        return news(before, self.before)


def test_the_story_of_a_full_change(paper: Paper) -> None:
    asked = paper.asks("member-7", NORTH)
    change = full(paper, Wanted(added=[("f", asked)]))
    listening, digest = Listening(paper), change.digest.hex()[:16]
    paper.order(*paper.signed(change))
    assert listening.told() == [f"'member-1' proposes {digest}", f"'member-1' approves of {digest}: 1 of 4"]
    assert (Progress.of(paper.control), nothing_left(paper.control)) == (None, False)
    paper.order(*paper.signed(change, SOUTH, "member-3"))
    assert listening.told() == [
        f"'member-2' approves of {digest}: 2 of 4",
        f"'member-3' approves of {digest}: 3 of 4",
    ]
    paper.order(*paper.signed(change, "member-4"))
    (approved,) = listening.told()
    assert approved.startswith("approved: member member-7 of member-1 is at 127.0.0.1:7499, with the")
    paper.order(*paper.dealings(MEMBERS[:2]))
    assert listening.told() == ["member-1 has dealt: 1 of 5", "member-2 has dealt: 2 of 5"]
    paper.order(*paper.dealings(MEMBERS[2:5]), *paper.signed(change, SOUTH, abort=True))
    assert listening.told()[-1] == "member-2 wants it to end"
    paper.order(*paper.readies(["member-7"]))
    assert listening.told() == ["member-7 is ready: 1 of 6"]
    far = Progress.of(paper.control)
    assert far is not None
    assert (far.phase.value, far.attempt, far.dealers, far.readies) == ("readying", 1, 5, 6)
    assert (far.dealt, far.ready, far.aborts, far.aborting) == (
        tuple(MEMBERS[:5]),
        ("member-7",),
        (SOUTH,),
        4,
    )
    active = paper.control.dealt_for
    assert (far.deadline_slot, far.deadline_ms) == (active.began_slot + 10_000, active.began_ms + 120_000)
    assert far.to_json()["digests"] == [change.digest.hex()]
    paper.order(*paper.readies(MEMBERS[:5]))
    told = listening.told()
    assert told[-2:] == [
        "member-5 is ready: 6 of 6",
        f"scheduled: the epoch ends with slot {paper.control.end}",
    ]
    paper.finish()
    assert listening.told() == [f"epoch 1 has begun, behind slot {paper.control.start}"]
    assert nothing_left(paper.control)


def test_readies_that_name_other_dealings_are_not_counted_together(paper: Paper) -> None:
    paper.agree(full(paper))
    paper.order(*paper.dealings(MEMBERS))
    paper.order(*paper.readies(MEMBERS[:2]), *paper.readies(MEMBERS[2:3], b"u" * 32))
    far = Progress.of(paper.control)
    assert far is not None
    assert (far.ready, far.operations) == (("member-1", "member-2"), tuple(in_lines([], {})))


def test_an_attempt_that_takes_too_long_and_a_change_that_is_given_up(
    paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consensus.control.dealing.DEADLINE_SLOTS", 3)
    monkeypatch.setattr("tests.alliance.changes.paper.TIME_MS", TIME_MS)
    paper.agree(full(paper))
    listening, told = Listening(paper), []
    paper.order(*paper.dealings(MEMBERS[:1]))
    assert listening.told() == ["member-1 has dealt: 1 of 5"]
    while not nothing_left(paper.control):
        monkeypatch.setattr("tests.alliance.changes.paper.TIME_MS", TIME_MS + 130_000 * (2 + len(told)))
        paper.run(4)
        told += listening.told()
    assert told == [
        "attempt 1 took too long: attempt 2 of 3 begins",
        "attempt 2 took too long: attempt 3 of 3 begins",
        "the change is given up: the epoch goes on as it was",
    ]


def test_a_withdrawn_change_is_open_no_more(paper: Paper) -> None:
    change = full(paper)
    paper.order(*paper.signed(change))
    listening = Listening(paper)
    paper.order(*paper.signed(change, abort=True))
    assert listening.told() == [f"{change.digest.hex()[:16]} is open no more"]


# -- fates ----------------------------------------------------------------------------------------------


def test_what_has_become_of_changes_of_members(paper: Paper) -> None:
    change = full(paper)
    paper.agree(change)
    assert fate_of(paper.control, change, 9).fate is Fate.BEGUN
    waits = full(paper)
    waits_for = forecast(paper.control, waits, [])
    assert waits_for.consequences is not None
    assert waits_for.consequences.warnings[0].startswith("another change is under way: this one waits")
    paper.agree(waits)
    assert fate_of(paper.control, waits, 9).fate is Fate.OPEN
    paper.hand_on()
    assert fate_of(paper.control, waits, 9).fate is Fate.ENDED
    light = suspend(paper, "member-6")
    paper.agree(light)
    taken = fate_of(paper.control, light, 9)
    assert (taken.fate, taken.effective) == (Fate.TAKEN, paper.control.slot + WINDOW_SLOTS)


def test_a_suspension_puts_a_change_off_to_the_next_epoch(paper: Paper) -> None:
    change = full(paper)
    paper.agree(change)
    light = suspend(paper, "member-6")
    told = forecast(paper.control, light, []).consequences
    assert told is not None
    assert told.warnings == (
        "the change under way, whose keys are being handed on, begins anew in the next epoch",
    )
    paper.agree(light)
    assert fate_of(paper.control, change, 9).fate is Fate.BEGUN
    paper.finish()
    assert (paper.control.epoch, fate_of(paper.control, change, 9).fate) == (1, Fate.BEGUN)


def test_of_a_change_that_has_begun_only_its_end_can_be_asked_for(paper: Paper) -> None:
    change = full(paper)
    paper.agree(change)
    approves, stops = (
        ("f", approval.sign(change, paper.operators["member-5"], "member-5", abort=abort))
        for abort in (False, True)
    )
    with pytest.raises(ConfigError, match="the change is approved, and under way"):
        commands_of(change, [approves], paper.control)
    (stop,) = commands_of(change, [approves, stops], paper.control)
    assert paper.order(stop) == [""]
    for name in ("member-4", "member-3", SOUTH):
        paper.order(*paper.signed(change, name, abort=True))
    assert (paper.control.active, fate_of(paper.control, change, 9).fate) == (None, Fate.ENDED)


# -- what it asks for ---------------------------------------------------------------------------------------


def consequences(state: ControlState, change: ChangeFile) -> Consequences:
    told = forecast(state, change, []).consequences
    assert told is not None
    return told


def test_what_a_change_of_members_asks_for(paper: Paper) -> None:
    asked = [("f", paper.asks("member-7", NORTH, port=7407)), ("f", paper.asks("member-8", SOUTH, port=7408))]
    change = full(paper, Wanted(added=asked, removed=["member-6"]))
    told = consequences(paper.control, change)
    assert (told.approvals, told.epoch, told.dealers, told.ready) == (4, 1, 5, 6)
    assert (told.newcomers, told.newcomers_ready) == (("member-7", "member-8"), 1)
    assert told.survives == "1 of 7 members may be faulty, 6 decide (profile classic)"
    lines = told.lines()
    assert lines[:2] == [
        "  approve: 4 of member-1, member-2, member-3, member-4, member-5, member-6",
        "  begins epoch 1, with new shares of all keys",
    ]
    replaced = full(paper, Wanted(replaced=[("f", paper.asks("member-2", SOUTH))]))
    lines += consequences(paper.control, replaced).lines()
    for part in (
        "and 6 of those to come, to take them, 1 at least of member-7, member-8 among them",
        "member-6: whoever of them is up stays up until epoch 1 has begun",
        "5 of them in one hand are the private key: those of whoever is faulty, 1, and on the disks",
        "backups of share files undo the erasure",
        "member-2: the new server begins with an empty folder of its own; never start the old folder again",
    ):
        assert any(part in line for line in lines), part
    eight = consequences(paper.control, full(paper, Wanted(added=asked)))
    assert (eight.dealers, eight.ready, eight.newcomers_ready) == (5, 7, 1)
    none = full(paper, Wanted(faulty=0))
    assert consequences(paper.control, none).warnings[-1].startswith("no member may be faulty")
    assert consequences(paper.control, none).to_json()["kind"] == "full"


def test_what_a_suspension_asks_for(paper: Paper) -> None:
    told = consequences(paper.control, suspend(paper, "member-6"))
    assert (told.approvals, told.epoch, told.dealers, told.ready) == (2, 1, 0, 0)
    assert told.leaders == tuple(MEMBERS[:5])
    assert told.lines()[-1] == "  leads, in turn: member-1, member-2, member-3, member-4, member-5"


def test_an_edit_asks_for_nothing_more(paper: Paper) -> None:
    edit = drafting.set_address(paper.control, "member-1", "a.example:1", {})
    assert forecast(paper.control, edit, []).consequences is None


# -- epochs that were read of ----------------------------------------------------------------------------


def test_each_epoch_is_kept_with_how_it_began(paper: Paper) -> None:
    paper.agree(suspend(paper, "member-6"))
    paper.finish()
    light_start = paper.control.start
    paper.agree(full(paper, Wanted(added=[("f", paper.asks("member-7", NORTH))])))
    paper.hand_on()
    founding, light, dealt = paper.state.epochs
    assert (founding.beginning, founding.start, founding.members) == (Beginning.FOUNDING, 0, tuple(MEMBERS))
    assert (light.beginning, light.start, light.dealing) == (Beginning.LIGHT, light_start, 0)
    assert light.time_ms == TIME_MS + light_start - 1
    assert (dealt.beginning, dealt.dealing, dealt.members) == (Beginning.FULL, 1, (*MEMBERS, "member-7"))
    assert Followed.decode(paper.state.encode()).epochs == paper.state.epochs
    assert dealt.to_json()["beginning"] == "full"


def test_epochs_before_a_checkpoint_are_not_made_up(farm: Farm, paper: Paper) -> None:
    """A folder that begins in epoch 2 knows of the founding, and of that one how it is, not how it began."""
    fresh = Followed.founded(farm.config)
    for name in ("member-6", "member-5"):
        change = member_drafting.lead(
            paper.control, NORTH, [name], paper.control.directory.suspended, UNTIL_MS
        )
        paper.agree(change)
        paper.finish()
    fresh.begin_at(paper.state.frontier, paper.state.windows, paper.control.items())
    assert [(one.epoch, one.beginning) for one in fresh.epochs] == [
        (0, Beginning.FOUNDING),
        (2, Beginning.UNREAD),
    ]
    assert Followed.decode(fresh.encode()).epochs == fresh.epochs
    fresh.epochs = fresh.epochs[:1]
    with pytest.raises(ValueError, match="do not belong together"):
        Followed.decode(fresh.encode())


def test_a_checkpoint_at_an_end_begins_the_next_epoch(farm: Farm, paper: Paper) -> None:
    """There is one at each end, and its control state is that of the epoch that ends."""
    fresh = Followed.founded(farm.config)
    paper.agree(suspend(paper, "member-6"))
    assert paper.control.end is not None
    paper.run(paper.control.end - paper.control.slot - 1)
    before = paper.control
    paper.run()
    last, _ = before.apply(simulation.entry_of(before.slot + 1, paper.log[-1], []), has_signed)
    fresh.begin_at(paper.state.frontier, paper.state.windows, last.items())
    assert (fresh.control, fresh.control.epoch) == (paper.control, 1)
    assert [one.beginning for one in fresh.epochs] == [Beginning.FOUNDING, Beginning.LIGHT]
    assert Followed.decode(fresh.encode()).control == paper.control
    paper.order()
    fresh.apply(paper.control.slot, paper.log[-1])


def test_more_than_it_takes_are_told_as_such() -> None:
    assert [counted(there, 5) for there in (4, 5, 6)] == ["4 of 5", "5 of 5", "6, of whom 5 are enough"]
