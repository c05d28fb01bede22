"""``propose``, ``listen`` and ``status``: end to end with real servers, and what can be wrong with them."""

from __future__ import annotations

import base64
import datetime
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alliance.cli import ordering
from alliance.cli.output import utc
from alliance.cli.unresolved import Unresolved
from alliance.client import proposals
from alliance.errors import AllianceError, OutcomeUnknown, SubmissionRefused, Unreachable
from tests.cli.conftest import Result, Run
from tests.worlds.processes import Cluster
from verifiable_log.submission import Submission, UnsignedSubmission

TEXT = Path(__file__).parents[2] / "LICENSE"
BOUNDED_SECONDS = 20.0
NOT_SENT = Submission(bytes(32), 1, bytes(32), b"")


def _start(cluster: Cluster) -> str:
    """A slot of its own for a test: the one after what was decided so far."""
    with cluster.client("client-1") as client:
        return str(client.propose(b"begin").slot + 1)


def _listen(cluster: Cluster, alliance: Run, client: str, *arguments: str) -> Result:
    """``listen``; if its folder is not the one that proposed, once all servers are level: it asks several of
    them how far the log goes."""
    if client != "client-1":
        cluster.await_level(*cluster.names)
    return alliance("listen", cluster.client_folder(client), *arguments)


def test_two_listeners_on_different_servers_hear_the_file_line_by_line(
    cluster: Cluster, alliance: Run
) -> None:
    start = _start(cluster)
    proposed = alliance("propose", cluster.client_folder("client-1"), "--file", TEXT, "-o", "json")
    assert proposed.code == 0, proposed.err
    lines = TEXT.read_bytes().splitlines()
    report = json.loads(proposed.text)
    assert report["count"] == len(report["commands"]) == len(lines)
    places = [(place["slot"], place["position"], place["command_index"]) for place in report["commands"]]
    assert places == sorted(set(places))
    heard = [
        _listen(cluster, alliance, client, "--server", server, "--from", start)
        for client, server in (("client-1", "member-2"), ("client-2", "member-5"))
    ]
    assert [result.code for result in heard] == [0, 0]
    assert heard[0].out == heard[1].out == TEXT.read_bytes()


def test_commands_are_bytes_and_empty_lines_are_commands(cluster: Cluster, alliance: Run) -> None:
    start = _start(cluster)
    data = bytes(range(10)) + b"\n\n\n\xff\xfe\r\n" + bytes(range(11, 256)) + b"\n\n"
    proposed = alliance("propose", cluster.client_folder("client-1"), "-", stdin=data)
    assert proposed.code == 0
    assert len(proposed.text.splitlines()) == data.count(b"\n")
    heard = _listen(cluster, alliance, "client-2", "--from", start)
    assert heard.out == data


def test_json_entries_say_where_who_and_what(cluster: Cluster, alliance: Run) -> None:
    start = _start(cluster)
    values = ["open the gate", "grün", b"\xff\x00x".decode("latin-1")]
    assert alliance("propose", cluster.client_folder("client-2"), *values[:2]).code == 0
    assert alliance("propose", cluster.client_folder("client-2"), "--file", "-", stdin=b"\xff\x00x").code == 0
    heard = _listen(cluster, alliance, "client-1", "--from", start, "-o", "json")
    entries = [json.loads(line) for line in heard.text.splitlines()]
    assert [entry.get("command") for entry in entries] == ["open the gate", "grün", None]
    assert base64.b64decode(entries[2]["command_base64"]) == b"\xff\x00x"
    assert [entry["command_index"] for entry in entries] == [0, 1, 0]
    assert all(entry["client"] == "client-2" and entry["slot"] >= int(start) for entry in entries)
    assert entries[0]["seq"] == entries[1]["seq"] != entries[2]["seq"]


def test_the_time_stamp_is_the_same_wherever_it_is_shown(
    cluster: Cluster, alliance: Run, tmp_path: Path
) -> None:
    folder, receipt = cluster.client_folder("client-1"), tmp_path / "r.json"
    proposed = json.loads(alliance("propose", folder, "x", "--receipt", receipt, "-o", "json").text)
    (command,) = proposed["commands"]
    heard = _listen(cluster, alliance, "client-2", "--from", str(command["slot"]), "-o", "json")
    key = cluster.folder / "public.pem"
    verified = json.loads(alliance("verify", "--key", key, receipt, "-o", "json").text)
    time_ms = json.loads(receipt.read_text())["time_ms"]
    assert command["time_ms"] == json.loads(heard.text.splitlines()[0])["time_ms"] == time_ms
    assert verified["time_ms"] == time_ms
    drift_ms = cluster.config.timing.clock_drift_seconds * 1000
    assert abs(time_ms - time.time() * 1000) < drift_ms + BOUNDED_SECONDS * 1000
    told = alliance("verify", "--key", key, receipt).text
    stamp = datetime.datetime.fromtimestamp(time_ms // 1000, datetime.UTC)
    assert f"stamped {stamp:%Y-%m-%d %H:%M:%S}.{time_ms % 1000:03d} UTC;" in told


@pytest.mark.parametrize(
    ("time_ms", "expected"),
    [
        (0, "1970-01-01 00:00:00.000 UTC"),
        (2**63, f"{2**63} ms after 1970"),
        (2**64, f"{2**64} ms after 1970"),
    ],
)
def test_any_time_that_a_receipt_may_name_can_be_shown(time_ms: int, expected: str) -> None:
    assert utc(time_ms) == expected


def test_count_and_follow_end_after_so_many(cluster: Cluster, alliance: Run) -> None:
    start = _start(cluster)
    assert alliance("propose", cluster.client_folder("client-1"), "a", "b", "c").code == 0
    for more in ((), ("--follow",)):
        heard = _listen(cluster, alliance, "client-1", "--from", start, "--count", "2", *more)
        assert (heard.code, heard.out) == (0, b"a\nb\n")


def test_a_slot_that_is_not_there_yet_is_nothing_to_hear(cluster: Cluster, alliance: Run) -> None:
    heard = alliance("listen", cluster.client_folder("client-1"), "--from", "1000000")
    assert (heard.code, heard.out) == (0, b"")


def test_many_are_summed_up_for_people(cluster: Cluster, alliance: Run) -> None:
    few = alliance("propose", cluster.client_folder("client-1"), "a", "b")
    assert [line[:14] for line in few.text.splitlines()] == ["ordered: slot "] * 2
    assert [line[-11:] for line in few.text.splitlines()] == [", command 0", ", command 1"]
    many = alliance("propose", cluster.client_folder("client-1"), "--file", "-", stdin=b"x\n" * 2000)
    assert many.code == 0
    assert many.text.startswith("ordered: 2,000 commands in slot")
    assert len(many.text.splitlines()) == 1
    assert many.err == ""


def test_status_shows_each_member(cluster: Cluster, alliance: Run) -> None:
    report = json.loads(alliance("status", cluster.client_folder("client-1"), "-o", "json").text)
    assert (report["ok"], report["reachable"], report["needed"]) == (True, 6, 5)
    assert [member["name"] for member in report["members"]] == cluster.names
    for member in report["members"]:  # the first one, unless it was late
        assert member["leader"] == cluster.names[member["view"] % len(cluster.names)]
    table = alliance("status", cluster.client_folder("client-1"))
    assert table.code == 0
    for member in cluster.config.members:
        assert f"{member.name}   {member.address}   up" in table.text


# -- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["status", "propose", "listen"])
def test_wrong_folders_and_passphrases(inside: Run, home: Cluster, tmp_path: Path, name: str) -> None:
    more = ["x"] if name == "propose" else []
    (tmp_path / "file").write_text("no folder")
    for folder, passphrase, says in [
        (tmp_path / "nowhere", "x", "does not exist"),
        (tmp_path / "file", "x", "is not a folder"),
        (home.folder, "x", f"is no client's folder: name one such as {home.client_folder('client-1')}"),
        (home.member("member-1"), "x", f"is a member's folder: name one such as {home.folder}/clients/"),
        (home.client_folder("client-1"), "guess", "wrong passphrase"),
        (home.client_folder("client-1"), None, "set ALLIANCE_PASSPHRASE"),
        (home.client_folder("client-1"), "", "is empty"),
    ]:
        result = inside(name, folder, *more, passphrase=passphrase)
        assert (result.code, result.out) == (2, b"")
        assert says in result.error


@pytest.mark.parametrize("name", ["status", "propose", "listen"])
def test_no_server_is_reachable(alliance: Run, founded: Cluster, name: str) -> None:
    begin = time.monotonic()
    more = ["x"] if name == "propose" else []
    result = alliance(name, founded.client_folder("client-1"), *more)
    assert result.code == 5
    assert "start the members with 'alliance serve'" in result.error or "reached" in result.error
    assert "connection refused" in result.error + result.text
    assert "ipv4" not in result.error  # as gRPC would tell it
    assert time.monotonic() - begin < BOUNDED_SECONDS


@pytest.mark.parametrize("name", ["status", "propose", "listen"])
def test_a_client_of_another_alliance_at_these_servers(
    alliance: Run, cluster: Cluster, stranger: Cluster, name: str
) -> None:
    begin = time.monotonic()
    more = ["x"] if name == "propose" else []
    result = alliance(name, stranger.client_folder("client-1"), *more)
    assert result.code == 5
    assert result.error.startswith("alliance: ")
    assert time.monotonic() - begin < BOUNDED_SECONDS
    if name == "status":
        assert result.text.count("another alliance") == len(cluster.names)
    assert json.loads(alliance("status", cluster.client_folder("client-1"), "-o", "json").text)["ok"]


def test_a_command_over_the_limit_sends_nothing_at_all(cluster: Cluster, alliance: Run) -> None:
    start = _start(cluster)
    data = b"fine\n" + b"x" * (256 * 1024 + 1) + b"\nfine, too\n"
    result = alliance("propose", cluster.client_folder("client-1"), "-", stdin=data)
    assert (result.code, result.out) == (2, b"")
    assert "line 2 has 262,145 bytes" in result.error
    assert "nothing was sent" in result.error
    assert alliance("listen", cluster.client_folder("client-1"), "--from", start).out == b""
    largest = alliance("propose", cluster.client_folder("client-1"), "-", stdin=b"x" * (256 * 1024))
    assert largest.code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing to propose"),
        (["-"], "nothing to propose: '-' is empty"),
        (["--file", "nowhere.txt"], "nowhere.txt cannot be read"),
        (["--file", "."], "cannot be read"),
        (["a", "--file", "-"], "choose one"),
        (["a", "--receipt", "no/such/folder/r.json"], "does not exist: make the folder first"),
        (["a", "--receipt", "."], "is a folder"),
    ],
)
def test_what_cannot_be_proposed(inside: Run, founded: Cluster, arguments: list[str], says: str) -> None:
    result = inside("propose", founded.client_folder("client-1"), *arguments)
    assert (result.code, result.out) == (2, b"")
    assert says in result.error


def test_a_folder_that_was_forgotten(inside: Run) -> None:
    result = inside("propose", "open the gate")
    assert (result.code, result.out) == (2, b"")
    assert "the client's folder comes first" in result.error
    assert """alliance propose …/clients/NAME "open the gate\"""" in result.error


def test_an_unknown_server_and_an_unwritable_sequence(inside: Run, home: Cluster) -> None:
    result = inside("listen", home.client_folder("client-1"), "--server", "member-66")
    assert result.code == 2
    assert "no member 'member-66'; did you mean 'member-6'?" in result.error
    (home.client_folder("client-1") / "sequence").unlink(missing_ok=True)
    (home.client_folder("client-1") / "sequence").mkdir()
    result = inside("propose", home.client_folder("client-1"), "x")
    assert result.code == 2
    assert "sequence cannot be advanced" in result.error


def test_too_few_members_leave_the_outcome_unknown_and_nothing_is_lost(
    alliance: Run, cluster: Cluster
) -> None:
    folder = cluster.client_folder("client-1")
    start = _start(cluster)
    try:
        assert alliance("propose", folder, "first").code == 0
        cluster.kill("member-5", "member-6")
        status = alliance("status", folder)
        assert status.code == 5
        assert "4 of 6 members answer, 5 are needed to decide: start the others" in status.error
        result = alliance("propose", folder, "second", "--timeout", "1")
        assert result.code == 3
        assert "may or may not be ordered" in result.error
        assert f"alliance propose {folder} --resume" in result.error
    finally:
        cluster.complete()
    assert alliance("propose", folder, "third").code == 0
    resumed = alliance("propose", folder, "--resume")
    assert (resumed.code, resumed.text[:14]) == (0, "ordered: slot ")
    heard = _listen(cluster, alliance, "client-1", "--from", start).text.split()
    assert heard in (["first", "second", "third"], ["first", "third", "second"])
    assert alliance("propose", folder, "--resume").text == "nothing is without an outcome\n"


class _Stub:
    """A client whose third submission ends with ``failure``, if there is one. ``sent`` is what it got."""

    def __init__(self, failure: BaseException | None) -> None:
        self.sent: list[Submission] = []
        self._failure = failure

    async def __aenter__(self) -> _Stub:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def sign(self, commands: Sequence[bytes]) -> Submission:
        return UnsignedSubmission(bytes(32), len(self.sent) + 1, commands).sign(bytes(64))

    async def resume(self, submission: Submission, timeout: float) -> list[Any]:
        self.sent.append(submission)
        if self._failure is not None and len(self.sent) == 3:
            raise self._failure
        return [
            SimpleNamespace(
                slot=7,
                position=submission.client_seq,
                command_index=index,
                time_ms=1_000,
                votes=(),
                to_json=lambda: "{}",
            )
            for index in range(submission.command_count)
        ]


@pytest.fixture
def with_client(monkeypatch: pytest.MonkeyPatch) -> Callable[[_Stub], _Stub]:
    """Lets ``propose`` use this client, and sends each command in a submission of its own."""

    def use(stub: _Stub) -> _Stub:
        async def opened(*_: object) -> _Stub:
            return stub

        monkeypatch.setattr(ordering, "open_client", opened)
        monkeypatch.setattr(proposals, "CHUNK_COMMANDS", 1)
        return stub

    return use


def test_part_way_it_says_how_many_are_certain(
    inside: Run, home: Cluster, with_client: Callable[[_Stub], _Stub], tmp_path: Path
) -> None:
    with_client(_Stub(OutcomeUnknown("no receipt within 30 s", NOT_SENT)))
    receipt = tmp_path / "r.json"
    arguments = (
        "propose",
        home.client_folder("client-1"),
        "a",
        "b",
        "c",
        "--receipt",
        receipt,
        "-o",
        "json",
    )
    result = inside(*arguments)
    assert result.code == 3
    error = json.loads(result.error)
    assert error["exit_code"] == 3
    assert error["error"].startswith(
        "2 of 3 commands are certain, in slot 7; of the next one: no receipt within"
    )
    report = json.loads(result.text)
    assert (report["count"], report["proposed"]) == (2, 3)
    assert receipt.read_text() == "{}"


@pytest.mark.parametrize("failure", [OutcomeUnknown("no receipt within 30 s", NOT_SENT), KeyboardInterrupt()])
def test_what_has_no_outcome_is_asked_for_again_under_its_own_number(
    inside: Run, home: Cluster, with_client: Callable[[_Stub], _Stub], failure: BaseException
) -> None:
    folder = home.client_folder("client-1")
    failing = with_client(_Stub(failure))
    result = inside("propose", folder, "a", "b", "c", "d")
    assert result.code == (3 if isinstance(failure, OutcomeUnknown) else 130)
    assert f"ask again, without ordering it twice: alliance propose {folder} --resume" in result.err
    assert [submission.commands() for submission in failing.sent] == [(b"a",), (b"b",), (b"c",)]
    working = with_client(_Stub(None))
    again = inside("propose", folder, "--resume")
    assert (again.code, again.text) == (0, "ordered: slot 7, position 3, command 0\n")
    assert working.sent == failing.sent[2:]
    idle = with_client(_Stub(None))
    assert inside("propose", folder, "--resume").text == "nothing is without an outcome\n"
    report = json.loads(inside("propose", folder, "--resume", "-o", "json").text)
    assert (report["count"], report["first_slot"]) == (0, None)
    assert idle.sent == []
    assert inside("propose", folder, "--resume", "e").code == 2


@pytest.mark.parametrize(
    ("failure", "first", "later"),
    [(Unreachable("no server"), [], [3]), (SubmissionRefused("too large"), [], [])],
)
def test_what_was_certainly_not_ordered_is_not_kept(
    inside: Run,
    home: Cluster,
    with_client: Callable[[_Stub], _Stub],
    failure: AllianceError,
    first: list[int],
    later: list[int],
) -> None:
    """A new submission that reached no server is not; one that was sent earlier may be."""
    folder = home.client_folder("client-1")
    with_client(_Stub(failure))
    assert inside("propose", folder, "a", "b", "c").code == failure.exit_code
    assert [kept.client_seq for kept in Unresolved(folder).all()] == first
    for number in (1, 2, 3):
        Unresolved(folder).keep(UnsignedSubmission(bytes(32), number, [b"x"]).sign(bytes(64)))
    with_client(_Stub(failure))
    assert inside("propose", folder, "--resume").code == failure.exit_code
    assert [kept.client_seq for kept in Unresolved(folder).all()] == later


def test_a_file_that_was_torn_was_never_sent(home: Cluster) -> None:
    unresolved = Unresolved(home.client_folder("client-1"))
    whole = UnsignedSubmission(bytes(32), 1, [b"x"]).sign(bytes(64))
    unresolved.keep(whole)
    (kept,) = (home.client_folder("client-1") / "unresolved").iterdir()
    kept.with_name(f"{2:020d}.submission").write_bytes(whole.encoded[:-1])
    assert unresolved.all() == unresolved.all() == [whole]
    assert list(kept.parent.iterdir()) == [kept]
