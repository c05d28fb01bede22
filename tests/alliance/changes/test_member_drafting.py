"""Who leads, who comes and goes: carried into the log, and through epochs, as operators want it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.changes import drafting, member_drafting, simulation
from alliance.changes.change_file import ChangeFile
from alliance.changes.member_drafting import Wanted, possible
from alliance.errors import ConfigError
from alliance.founding.request import request_as_client
from consensus.limits import WINDOW_SLOTS
from tests.alliance.changes.operators import NORTH, SOUTH
from tests.alliance.changes.paper import RECEIVER_BITS, TIME_MS, Paper
from tests.alliance.founding.applicants import applicants

UNTIL_MS = TIME_MS + 1_000_000


def full(paper: Paper, **wanted: object) -> ChangeFile:
    made = Wanted(**wanted)  # type: ignore[arg-type]
    return member_drafting.members(paper.control, NORTH, made, RECEIVER_BITS, UNTIL_MS)


def lead(paper: Paper, suspended: list[str], reinstated: list[str]) -> ChangeFile:
    return member_drafting.lead(paper.control, NORTH, suspended, reinstated, UNTIL_MS)


def names(paper: Paper) -> list[str]:
    return [row.name for row in paper.control.directory.members]


def test_a_member_is_suspended_by_two_operators_exchanged_by_four_and_reinstated(paper: Paper) -> None:
    paper.agree(lead(paper, ["member-6", "member-6"], []))
    assert [row.name for row in paper.control.directory.members if row.name in paper.control.frozen] == [
        "member-6"
    ]
    paper.finish()
    assert (paper.control.epoch, paper.control.dealing) == (1, 0)
    assert paper.control.directory.suspended == ("member-6",)
    exchange = lead(paper, ["member-5"], ["member-6"])
    assert simulation.forecast(paper.control, exchange, []).missing == 3
    paper.agree(exchange)
    paper.finish()
    assert paper.control.directory.suspended == ("member-5",)
    paper.agree(lead(paper, [], ["member-5"]))
    paper.finish()
    assert (paper.control.epoch, paper.control.directory.suspended) == (3, ())


def test_a_member_whose_disk_is_lost_is_replaced_while_it_is_silent(paper: Paper) -> None:
    asked = paper.asks("member-2", SOUTH)
    change = full(paper, replaced=[("f", asked)])
    paper.agree(change)
    old = next(row for row in paper.control.directory.members if row.name == "member-2")
    paper.order(*paper.dealings(name for name in names(paper) if name != "member-2"))
    paper.run(WINDOW_SLOTS)
    paper.order(*paper.readies(names(paper)[1:]))
    paper.finish()
    new = drafting.member(paper.control, "member-2")
    assert (paper.control.epoch, paper.control.dealing) == (1, 1)
    assert (new.identity, new.address) == (asked.identity, "127.0.0.1:7499")
    assert old.client_id in paper.control.past


def test_a_seventh_comes_eleven_tolerate_two_and_some_go_again(paper: Paper) -> None:
    """Several in one change: who comes, who gets other keys, who goes, and the sizes that fit."""
    paper.agree(full(paper, added=[("f", paper.asks("member-7", NORTH, port=7407))]))
    paper.hand_on()
    assert (len(names(paper)), paper.control.directory.system.decision) == (7, 6)
    more = [("f", paper.asks(f"member-{n}", SOUTH, port=7400 + n)) for n in range(8, 13)]
    replaced = [("g", paper.asks("member-3", "member-3", port=7450))]
    change = full(paper, added=more, replaced=replaced, removed=["member-6"], faulty=2)
    told = simulation.forecast(paper.control, change, [])
    assert [one.line for one in told.differences][:1] == [
        "sizes of the alliance: members 7 becomes 11, faulty max 1 becomes 2, quorum 6 becomes 9"
    ]
    assert [one.name for one in told.differences if one.before is None] == [
        f"member-{n}" for n in (10, 11, 12, 8, 9)
    ]
    paper.agree(change)
    assert told.consequences is not None
    assert any(
        "without member-3, member-6 there are not so many" in one for one in told.consequences.warnings
    )
    paper.hand_on()
    assert paper.control.directory.system.faulty_max == 2
    back = full(
        paper, removed=[f"member-{n}" for n in (1, 2, 3, 4, 5, 7)] + ["member-12"], faulty=1, profile="lean"
    )
    paper.agree(back)
    paper.hand_on()
    assert names(paper) == [f"member-{n}" for n in (8, 9, 10, 11)]
    assert (paper.control.epoch, paper.control.directory.profile) == (3, "lean")


def test_a_refresh_changes_no_row(paper: Paper) -> None:
    change = full(paper)
    assert change.operations == ()
    assert simulation.forecast(paper.control, change, paper.signed(change)).differences == ()
    before = names(paper)
    paper.agree(change)
    paper.hand_on()
    assert (names(paper), paper.control.dealing) == (before, 1)


Make = Callable[[Paper], ChangeFile]


def _with(change: Callable[[Paper], dict[str, object]]) -> Make:
    return lambda paper: full(paper, **change(paper))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: lead(p, ["member-9"], []), "no member 'member-9'"),
        (lambda p: lead(p, [], ["member-1"]), "'member-1' is not suspended"),
        (
            lambda p: lead(p, ["member-1", "member-2"], []),
            "at most 1 are suspended at a time, and these would be member-1, member-2: reinstate one",
        ),
        (
            _with(lambda p: {"added": [("f", p.asks("member-1", NORTH))]}),
            "'alliance member replace' gives it",
        ),
        (_with(lambda p: {"replaced": [("f", p.asks("anna", NORTH))]}), "no member 'anna'"),
        (
            _with(lambda p: {"replaced": [("f", p.asks("member-1", SOUTH))]}),
            "'member-1' belongs to 'member-1', and this request is of 'member-2'",
        ),
        (
            _with(lambda p: {"added": [("f", p.asks("anna", "east"))]}),
            "no organisation 'east': bring its operator in first, by 'alliance operator add' with this same",
        ),
        (
            _with(lambda p: {"added": [("f", p.asks("anna", NORTH, Ed25519PrivateKey.generate()))]}),
            "another operator key of 'member-1' than the alliance knows: it is made anew, with --operator",
        ),
        (
            _with(lambda p: {"added": [("f", applicants()[0].request)]}),
            "'anna' makes another one, by 'alliance request NAME --address HOST:PORT --alliance F",
        ),
        (
            _with(lambda p: {"added": [("f", request_as_client("c", Ed25519PrivateKey.generate()))]}),
            "is the request of a client",
        ),
        (
            _with(lambda p: {"added": [("f", p.asks("anna", NORTH, port=7401))]}),
            "'member-2' and 'anna' are both at 127.0.0.1:7401",
        ),
        (
            _with(lambda p: {"removed": ["member-1"], "added": [("f", p.asks("member-1", NORTH))]}),
            "cannot go and come by one change: replace it",
        ),
        (_with(lambda p: {"removed": ["member-8"]}), "no member 'member-8'.* did you mean"),
        (
            _with(lambda p: {"removed": ["member-6"]}),
            "5 members tolerate 0 faults, not 1: .*; 5 members may have --faulty 0 with --profile classic,"
            " or --faulty 1 with --profile lean",
        ),
        (_with(lambda p: {"faulty": 2}), "6 members may have --faulty 0 to 1 with --profile classic, or"),
        (_with(lambda p: {"profile": "mean"}), "the profile is 'classic' or 'lean'"),
        (_with(lambda p: {"removed": names(p)}), "no member would be left"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(paper: Paper, make: Make, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        make(paper)


def test_what_the_state_alone_rules_out_is_said_too(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = paper.asks("anna", NORTH)
    with pytest.raises(ConfigError, match=r"of 'anna' is too small .* needs 4000 bits"):
        member_drafting.members(paper.control, NORTH, Wanted([("f", asked)]), 4000, UNTIL_MS)
    stranger = replace(paper.control, alliance_id=bytes(32))
    with pytest.raises(ConfigError, match="asks another alliance"):
        member_drafting.members(stranger, NORTH, Wanted([("f", asked)]), RECEIVER_BITS, UNTIL_MS)
    with pytest.raises(ConfigError, match="these are the sizes already"):
        member_drafting.members(paper.control, NORTH, Wanted(), RECEIVER_BITS, UNTIL_MS, must_resize=True)
    with pytest.raises(ConfigError, match="no organisation 'nord'"):
        member_drafting.members(paper.control, "nord", Wanted(), RECEIVER_BITS, UNTIL_MS)
    paper.agree(lead(paper, ["member-6"], []))
    paper.finish()
    with pytest.raises(ConfigError, match="'member-6' is suspended already"):
        lead(paper, ["member-6"], [])
    monkeypatch.setattr(member_drafting, "DEALT_MEMBERS_MAX", 6)
    with pytest.raises(ConfigError, match="at most 6 members, and these are 7"):
        full(paper, added=[("f", asked)])
    rows = [
        replace(row, receiver=b"", receiver_signature=bytes(64)) for row in paper.control.directory.members
    ]
    bare = replace(paper.control, directory=replace(paper.control.directory, members=tuple(rows)))
    with pytest.raises(ConfigError, match=r"no receiver key, .* 'alliance request --alliance'"):
        member_drafting.members(bare, NORTH, Wanted(), RECEIVER_BITS, UNTIL_MS)


def test_a_member_keeps_no_keys_that_it_has(paper: Paper) -> None:
    asked = paper.asks("member-2", SOUTH)
    paper.agree(full(paper, replaced=[("f", asked)]))
    paper.hand_on()
    with pytest.raises(ConfigError, match="'member-2' has these keys already"):
        full(paper, replaced=[("f", asked)])


def test_what_so_many_members_may_tolerate() -> None:
    assert (
        possible(4)
        == "4 members may have --faulty 0 with --profile classic, or --faulty 1 with --profile lean"
    )
    assert possible(11) == (
        "11 members may have --faulty 0 to 2 with --profile classic, or --faulty 1 to 2 with --profile lean"
    )
    assert possible(2) == "2 members may have --faulty 0 with --profile classic"
