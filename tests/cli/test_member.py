"""``alliance member``, ``operator`` and ``refresh``, on a real control state, with a log on paper."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from alliance.changes import carry, followed, member_drafting, new_keys
from alliance.changes.change_file import ChangeFile
from alliance.cli import change_waiting, changing
from alliance.cli.demo.operators import Operators
from alliance.cli.demo.proofs import PartFailed
from alliance.errors import Unreachable
from alliance.founding import party
from alliance.founding.join import own_request
from alliance.founding.party import largest_key
from alliance.keys.folder import load_credentials
from consensus.control import ControlState
from consensus.control.commands import SignedCommand
from quorum import QuorumSystem
from quorum.receivers import receiver_bits
from tests.alliance.changes.paper import Paper
from tests.cli.conftest import Run
from tests.worlds.founding import KEYS, Key, cheap_key_files, dealt, receiver
from tests.worlds.processes import PASSPHRASE, Cluster

NORTH, SOUTH = "member-1", "member-2"
MEMBERS = [f"member-{number}" for number in range(1, 7)]


@pytest.fixture
def paper(founded: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Paper]:
    """Every command of this process reads this log, and carries into it."""
    made = Paper.of(founded.config, founded.folder, PASSPHRASE.encode())

    @asynccontextmanager
    async def following(ways: changing.Ways, secret: bytes) -> AsyncIterator[tuple[Any, Any, Any]]:
        yield made, made.state, lambda *_: None

    monkeypatch.setattr(changing, "following", following)
    monkeypatch.setattr(followed, "follow", made.follow)
    monkeypatch.setattr(carry, "follow", made.follow)
    monkeypatch.setattr(followed, "watch", made.watch)
    monkeypatch.setattr(party, "generate_receiver", lambda bits: receiver(6))
    monkeypatch.chdir(tmp_path)
    Path("secret").write_text(PASSPHRASE)
    with cheap_key_files():
        yield made


@pytest.fixture
def anybody(founded: Cluster) -> Path:
    """The folder of a client, which carries."""
    return founded.client_folder("client-1")


@pytest.fixture
def emil(inside: Run, founded: Cluster, paper: Paper) -> Path:
    """The request of a seventh member, which has joined."""
    keys = operator(founded, NORTH)
    place = ("--organisation", NORTH, "--address", "127.0.0.1:7499", "--alliance", founded.folder)
    asked = inside("request", "emil", *place, *keys, "-o", "json")
    assert asked.code == 0, asked.err
    told = json.loads(asked.out)
    assert (told["alliance_id"], "operator_key" in told) == (founded.config.alliance_id.hex(), False)
    return Path("emil/emil.request")


def operator(cluster: Cluster, name: str) -> tuple[str | Path, ...]:
    """The options that name an operator's key."""
    return "--operator", cluster.member(name) / "operator.pem", "--operator-passphrase-file", "secret"


def approve(inside: Run, cluster: Cluster, change: str, carrier: Path, names: Sequence[str]) -> Any:
    """The last one's report; each signs and sends it."""
    for name in names:
        sent = inside("change", "approve", change, *operator(cluster, name), "--send", carrier, "-o", "json")
        assert sent.code == 0, sent.err
    return json.loads(sent.out)


def identity_of(paper: Paper, folder: Path) -> None:
    """A member that asked by the command line says on paper what its server would."""

    request = own_request(folder)
    paper.identities[request.name] = load_credentials(folder, request.party, PASSPHRASE.encode()).signing_key


def handing_on(paper: Paper, ready: Sequence[str]) -> None:
    """What the members do once a full change is approved."""
    paper.script += [
        lambda: paper.dealings(row.name for row in paper.control.directory.members),
        lambda: paper.readies(ready),
    ]


def test_a_seventh_member_comes(
    inside: Run, founded: Cluster, paper: Paper, anybody: Path, emil: Path
) -> None:
    tried = inside("member", "add", anybody, emil, "--organisation", NORTH, "--dry-run")
    assert tried.code == 0, tried.err
    for line in (
        "sizes of the alliance: members 6 becomes 7, quorum 5 becomes 6",
        "  approve: 4 of member-1, member-2, member-3, member-4, member-5, member-6",
        "  survives: 1 of 7 members may be faulty, 6 decide (profile classic)",
        "    member-1 alone can break it then, with 2 members",
        "  leads, in turn: member-1, member-2, member-3, member-4, member-5, member-6, emil",
        "  must be up: 5 of the members of now, to hand the keys on; and 6 of those to come, to take them",
        "nothing was sent",
    ):
        assert line in tried.text.splitlines(), tried.text
    assert "  beware: backups of share files undo the erasure" in tried.text
    assert not list(Path().glob("*.change"))

    opened = inside("member", "add", anybody, emil, *operator(founded, SOUTH), "--to", "emil.change")
    assert opened.code == 0, opened.err
    assert "member-2 approve, 3 more must\nNext: send emil.change to the other" in opened.text
    shown = inside("change", "show", "emil.change", passphrase=None).text
    assert shown.startswith(
        "'member-2' proposes a full change (number 1):\n  member emil of member-1 is at 127."
    )
    listed = json.loads(inside("change", "show", anybody, "-o", "json").out)
    assert [(one["kind"], one["approvals"], one["approvals_needed"]) for one in listed["open"]] == [
        ("full", [SOUTH], 4)
    ]
    approve(inside, founded, "emil.change", anybody, [NORTH, "member-3"])
    identity_of(paper, emil.parent)
    handing_on(paper, [*MEMBERS, "emil"])
    report = approve(inside, founded, "emil.change", anybody, ["member-4"])
    assert (report["fate"], report["in_effect"], report["epoch"]) == ("taken", True, 1)
    assert report["effective"] == paper.control.start
    told = json.loads(inside("epochs", anybody, "-o", "json").out)
    assert [member["name"] for member in told["members"]] == [*MEMBERS, "emil"]
    assert [(one["epoch"], one["beginning"], one["dealing"]) for one in told["epochs"]] == [
        (0, "founding", 0),
        (1, "full", 1),
    ]
    lines = inside("epochs", anybody).text.splitlines()
    assert lines[-2].startswith("  0  from slot 1, the founding (dealing 0); 1 of 6 members may be faulty")
    assert ", full: new shares (dealing 1); 1 of 7 members may be faulty (classic): member-1," in lines[-1]
    joined = inside("join", "emil", anybody)
    assert joined.code == 0, joined.err
    assert joined.text.startswith("'emil' has what it needs to become a member, but is none yet, in 'test'")
    assert "alliance serve emil" in joined.text


def test_a_member_is_suspended_and_leads_again(
    inside: Run, founded: Cluster, paper: Paper, anybody: Path
) -> None:
    first = inside("member", "suspend", anybody, "member-6", *operator(founded, NORTH), "--to", "x.change")
    assert first.code == 0, first.err
    assert "  approve: 2 of member-1, member-2" in first.text
    assert "member-1 approve, 1 more must" in first.text
    assert approve(inside, founded, "x.change", anybody, [SOUTH])["epoch"] == 1
    assert "member     member-6 (member-6) at 127.0.0.1:" in inside("epochs", anybody).text
    assert "suspended: does not lead" in inside("epochs", anybody).text
    refused = inside("member", "suspend", anybody, "member-5", "--organisation", NORTH)
    assert (refused.code, "at most 1 are suspended at a time" in refused.error) == (2, True)
    again = inside("member", "reinstate", anybody, "member-6", *operator(founded, NORTH), "--to", "y.change")
    assert "3 more must" in again.text
    told = approve(inside, founded, "y.change", anybody, [SOUTH, "member-3", "member-4"])
    assert (told["epoch"], paper.control.directory.suspended) == (2, ())


def test_what_is_needed_at_once_is_in_one_file(
    inside: Run, founded: Cluster, paper: Paper, anybody: Path, emil: Path
) -> None:
    """A dead member's organisation replaces it, another leaves, a new one comes, and the sizes fit."""
    keys = operator(founded, SOUTH)
    place = ("--organisation", SOUTH, "--address", "127.0.0.1:7498", "--alliance", founded.folder)
    assert inside("request", SOUTH, *place, *keys).code == 0
    wanted = ("--add", emil, "--remove", "member-6", "--profile", "lean", "--organisation", NORTH)
    made = inside("member", "replace", anybody, "member-2/member-2.request", *wanted, "--to", "x.change")
    assert made.code == 0, made.err
    change = ChangeFile.from_toml(Path("x.change").read_text(), "x.change")
    assert [type(one).__name__ for one in change.operations] == [
        "DropMember",
        "PutMember",
        "PutMember",
        "SetSystem",
    ]
    assert "without member-2, member-6 there are not so many" in made.text
    signed = inside("change", "approve", "x.change", *operator(founded, NORTH))
    assert signed.code == 0
    assert inside("change", "simulate", anybody, "x.change", "x.change.member-1.approval").code == 0
    sent = inside("change", "propose", anybody, "x.change", "x.change.member-1.approval")
    assert "open since slot 7: member-1 approve, 3 more must" in sent.text


def test_a_refresh_is_watched(
    inside: Run, founded: Cluster, paper: Paper, anybody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = inside("refresh", anybody, *operator(founded, NORTH), "--to", "x.change")
    assert made.code == 0, made.err
    assert "all members get new shares of the same keys" in inside("change", "show", "x.change").text
    change = ChangeFile.from_toml(Path("x.change").read_text(), "x.change")
    paper.order(*paper.signed(change, SOUTH, "member-3"))
    paper.script.append(lambda: paper.signed(change, "member-4"))
    handing_on(paper, MEMBERS[:5])
    watched = inside("change", "show", anybody, "--watch")
    assert watched.code == 0, watched.err
    lines = watched.text.splitlines()
    assert "  3 of 4 approve: member-1, member-2, member-3" in lines
    told = [line.partition(": ")[2] for line in lines if line.startswith("slot ")]
    assert told[0].startswith("'member-4' approves") or told[0].startswith("approved: all members get new")
    assert "member-5 has dealt: 5 of 5" in told
    assert "member-5 is ready: 5 of 5" in told
    assert told[-1].startswith("epoch 1 has begun, behind slot ")
    assert inside("change", "show", anybody, "--watch").text.splitlines()[-1] == "nothing is under way"


def test_the_demos_operators_decide_by_the_commands_own_functions(
    founded: Cluster, paper: Paper, anybody: Path
) -> None:
    told: list[str] = []
    operators = Operators(Path("operators"), anybody, Path("secret"), told.append)
    for name in MEMBERS:
        shutil.copy(founded.member(name) / "operator.pem", operators.key(name))
    bits = receiver_bits(largest_key(founded.config))

    def refresh(state: ControlState, proposer: str, until_ms: int) -> ChangeFile:
        return member_drafting.members(state, proposer, member_drafting.Wanted(), bits, until_ms)

    handing_on(paper, MEMBERS)
    done = asyncio.run(operators.decide(MEMBERS, refresh))
    assert (done.in_effect, done.epoch, done.change.organisation) == (True, 1, NORTH)
    assert "member-5 has dealt: 5 of 5" in told
    assert told[-1].startswith("epoch 1 has begun, behind slot ")
    with pytest.raises(PartFailed, match="3 more operators must approve, and these are 2"):
        asyncio.run(operators.decide(MEMBERS[:3], refresh))


def test_who_watches_as_a_program_gets_an_object_a_line(
    inside: Run, founded: Cluster, paper: Paper, anybody: Path
) -> None:
    inside("refresh", anybody, *operator(founded, NORTH), "--to", "x.change")
    change = ChangeFile.from_toml(Path("x.change").read_text(), "x.change")
    paper.order(*paper.signed(change, SOUTH, "member-3", "member-4"))
    handing_on(paper, MEMBERS)
    shown = inside("change", "show", anybody).text
    assert "approved, on the way to epoch 1:\n  all members get new shares" in shown
    assert "  attempt 1 of 3, which has time until slot " in shown
    assert "  0 have dealt, of whom it takes 5: " in shown
    told = [
        json.loads(line)
        for line in inside("change", "show", anybody, "--watch", "-o", "json").out.splitlines()
    ]
    assert [one["under_way"]["phase"] for one in told if one["under_way"]] == [
        "approved",
        "dealing",
        "scheduled",
    ]
    assert (told[-1]["under_way"], told[-1]["epoch"]) == (None, 1)


def test_who_waits_in_vain_for_an_epoch_is_told_how_far_it_is(
    inside: Run, founded: Cluster, paper: Paper, anybody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside("refresh", anybody, *operator(founded, NORTH), "--to", "x.change")
    change = ChangeFile.from_toml(Path("x.change").read_text(), "x.change")
    paper.order(*paper.signed(change, SOUTH, "member-3"))

    async def watch(client: Any, state: Any, done: Any, advance: Any) -> None:
        paper.order(*paper.dealings(MEMBERS[:2]))
        assert not done(paper.control)
        await asyncio.Event().wait()

    monkeypatch.setattr(followed, "watch", watch)
    send = ("change", "approve", "x.change", "--send", anybody, "--timeout", "0.1")
    late = inside(*send, *operator(founded, "member-4"))
    assert late.code == 3
    assert "nothing new came of it within 0.1 s: attempt 1, 2 of 5 have dealt, 0 of 5 are ready" in late.error
    assert "do not send it again: 'alliance change show" in late.error
    again = inside(*send, *operator(founded, "member-5"))
    assert (again.code, "the change is approved, and under way" in again.error) == (2, True)


def test_a_change_that_is_given_up_is_an_error(
    inside: Run, founded: Cluster, paper: Paper, anybody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside("refresh", anybody, *operator(founded, NORTH), "--to", "x.change")
    change = ChangeFile.from_toml(Path("x.change").read_text(), "x.change")
    paper.order(*paper.signed(change, SOUTH, "member-3"))

    def ended() -> list[SignedCommand]:
        return paper.signed(change, NORTH, SOUTH, "member-3", "member-4", abort=True)

    paper.script.append(ended)
    send = ("change", "approve", "x.change", "--send", anybody)
    given_up = inside(*send, *operator(founded, "member-4"))
    assert given_up.code == 6
    assert "the change is given up at slot" in given_up.error
    assert "the alliance runs on as it was" in given_up.error

    async def gone(*_: object) -> None:
        raise Unreachable("no server gives the log")

    inside("refresh", anybody, *operator(founded, NORTH), "--to", "y.change")
    second = ChangeFile.from_toml(Path("y.change").read_text(), "y.change")
    paper.order(*paper.signed(second, SOUTH, "member-3"))
    monkeypatch.setattr(followed, "watch", gone)
    lost = inside("change", "approve", "y.change", "--send", anybody, *operator(founded, "member-4"))
    assert (lost.code, "no server gives the log: attempt 1, 0 of 5 have dealt" in lost.error) == (3, True)


def test_what_is_told_at_a_terminal_is_told_as_it_happens(
    paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    story = change_waiting.Story(bytes(32), paper.control, told.append)
    paper.run()
    assert story.over(paper.control)  # nothing is under way
    assert (told, story.scheduled) == ([], False)


def test_operators_keys_are_made_brought_in_and_taken_out(
    inside: Run, founded: Cluster, paper: Paper, anybody: Path
) -> None:
    made = inside("operator", "key", "east", "--alliance", founded.folder, "-o", "json")
    assert json.loads(made.out) == {
        "file": "east/east.operator",
        "organisation": "east",
        "operator_key": "east/operator.pem",
    }
    brought = inside("operator", "add", anybody, "east/east.operator", *operator(founded, NORTH), "--to", "x")
    assert brought.code == 0, brought.err
    assert (
        "beware: of 7 operators then 5 approve a change: when more than 2 of their keys are" in brought.text
    )
    approve(inside, founded, "x", anybody, [SOUTH, "member-3", "member-4"])
    assert "east" in inside("epochs", anybody).text
    assert (
        "keep it elsewhere, offline"
        in inside("operator", "key", "east", "--alliance", founded.folder, "--directory", "new").text
    )
    rotates = inside(
        "operator", "rotate", anybody, "new/east.operator", *operator(founded, NORTH), "--to", "y"
    )
    assert rotates.code == 0, rotates.err
    assert "a key that an organisation had before is never admitted again" in rotates.text
    gone = inside("operator", "remove", anybody, "east", "--organisation", "east", "--dry-run")
    assert gone.code == 0, gone.err
    assert "the clients of 'east' go with it" in gone.text
    refused = inside("operator", "remove", anybody, SOUTH, "--organisation", NORTH)
    assert (refused.code, "'member-2' runs member-2: remove that first" in refused.error) == (2, True)


def test_a_new_organisation_comes_by_one_file(
    inside: Run, founded: Cluster, paper: Paper, anybody: Path
) -> None:
    """Its operator first, by a change of the policy's kind; then its member, both from one request."""
    place = ("--organisation", "east", "--address", "127.0.0.1:7499", "--alliance", founded.folder)
    asked = inside("request", "emil", *place)
    assert asked.code == 0, asked.err
    assert "emil/operator.pem   the key of 'east': keep it elsewhere, offline" in asked.text
    assert "send emil.request to an operator of the alliance" in asked.text
    add = ("member", "add", anybody, "emil/emil.request", "--organisation", NORTH, "--to", "m.change")
    first = inside(*add)
    assert (first.code, "no organisation 'east': bring its operator in first" in first.error) == (2, True)
    brought = inside(
        "operator", "add", anybody, "emil/emil.request", *operator(founded, NORTH), "--to", "o.change"
    )
    assert brought.code == 0, brought.err
    approve(inside, founded, "o.change", anybody, [SOUTH, "member-3", "member-4"])
    then = inside(*add)
    assert then.code == 0, then.err
    assert "member emil is new: organisation east, address 127.0.0.1:7499" in then.text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("member resize DIR", "say what is to be another size: --faulty, --profile or both"),
        ("member resize DIR --faulty 1 --organisation member-1", "these are the sizes already"),
        ("member resize DIR --faulty 2 --organisation member-1", "6 members may have --faulty 0"),
        ("member suspend DIR member-1", "say who proposes it: --organisation NAME, or --operator F"),
        ("member add DIR none.request --organisation member-1", "none.request cannot be read"),
        ("operator add DIR none --organisation member-1", "none cannot be read as an operator's"),
        ("refresh DIR --organisation nord", "no organisation 'nord'"),
        (
            "refresh DIR --operator stranger --operator-passphrase-file secret",
            "--operator is no operator's key in this alliance",
        ),
    ],
)
def test_what_cannot_be_is_one_line(
    inside: Run, founded: Cluster, paper: Paper, anybody: Path, arguments: str, reason: str
) -> None:
    if "stranger" in arguments:
        assert inside("operator", "key", "x", "--alliance", founded.folder).code == 0
        shutil.copy("x/operator.pem", "stranger")
    result = inside(*(anybody if word == "DIR" else word for word in arguments.split()))
    assert (result.code, result.out) == (2, b""), arguments
    assert reason in result.error


def test_new_public_keys(
    inside: Run, founded: Cluster, paper: Paper, anybody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are made here, sealed to the members, and in the change that operators read and approve."""
    places = itertools.count()

    def deal(system: QuorumSystem, threshold: int, key_size: int, dealing: int) -> Key:
        return dealt(system, threshold, key_size, 1, next(places) % KEYS, dealing)[0]

    monkeypatch.setattr(new_keys, "deal_key", deal)
    made = inside("refresh", anybody, "--new-key", *operator(founded, NORTH), "--to", "new.change")
    assert made.code == 0, made.err
    for line in (
        "  begins epoch 1, with other public keys, and shares of them",
        "  must be up: 5 of those to come, to take them",
    ):
        assert line in made.text.splitlines(), made.text
    for warning in (
        "whoever made the new keys could have kept",
        "5 old shares in one hand can still sign",
    ):
        assert warning in made.text
    shown = inside("change", "show", "new.change", passphrase=None).text
    assert "  all public keys become others, whose digest is " in shown
    approve(inside, founded, "new.change", anybody, ["member-2", "member-3"])
    report = json.loads(inside("change", "show", anybody, "-o", "json").out)
    assert [one["approvals"] for one in report["open"]] == [[NORTH, SOUTH, "member-3"]]
