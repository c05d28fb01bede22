"""``propose --id``: one name, one submission, one receipt, however often it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from alliance.cli import named, ordering
from alliance.cli.unresolved import Unresolved
from alliance.errors import OutcomeUnknown, SubmissionRefused, Unreachable
from tests.cli.conftest import Run
from tests.worlds.processes import Cluster
from verifiable_log.submission import Submission, UnsignedSubmission


class Killed(BaseException):
    """The process ends here."""


class Members:
    """What the members are to a client: a submission takes effect once. ``sent`` is all that came."""

    def __init__(self) -> None:
        self.sent: list[Submission] = []
        self.failure: BaseException | None = None
        self.numbers = iter(range(1, 10_000))

    async def __aenter__(self) -> Members:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def sign(self, commands: Any) -> Submission:
        return UnsignedSubmission(bytes(32), next(self.numbers), commands).sign(bytes(64))

    async def resume(self, submission: Submission, timeout: float) -> list[Any]:
        self.sent.append(submission)
        if self.failure is not None:
            raise self.failure
        return [Place(submission)]


class Place:
    """Stands for a receipt."""

    def __init__(self, submission: Submission) -> None:
        self.slot, self.position, self.command_index, self.time_ms = submission.client_seq, 0, 0, 1

    def to_json(self) -> str:
        return "no receipt that verifies: the members are asked again"


@pytest.fixture
def members(monkeypatch: pytest.MonkeyPatch) -> Members:
    members = Members()

    async def opened(*_: object) -> Members:
        return members

    monkeypatch.setattr(ordering, "open_client", opened)
    return members


def test_a_name_is_ordered_once_and_has_one_receipt(
    inside: Run, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.complete()
    folder, first, again = cluster.client_folder("client-1"), tmp_path / "1.json", tmp_path / "2.json"
    words = ("propose", folder, "pay 12", "--id", "order 4711")
    one = inside(*words, "--receipt", first, "-o", "json")
    assert one.code == 0, one.err
    with monkeypatch.context() as patch:
        patch.setattr(ordering, "open_client", None)  # nobody has to be asked any more
        two = inside(*words, "--receipt", again, "-o", "json", passphrase=None)
    assert (two.code, first.read_bytes()) == (0, again.read_bytes())
    assert json.loads(one.out)["commands"] == json.loads(two.out)["commands"]
    other = inside("propose", folder, "pay 13", "--id", "order 4711")
    assert (other.code, other.out) == (2, b"")
    assert '--id "order 4711" was given to another command before: nothing was sent' in other.error
    next((folder / "ids").glob("*.receipt")).write_text("{damaged")
    assert json.loads(inside(*words, "-o", "json").out)["commands"] == json.loads(one.out)["commands"]


@pytest.mark.parametrize(
    "failure", [OutcomeUnknown("no receipt", Submission(bytes(32), 1, bytes(32), b"")), Killed()]
)
def test_after_an_unknown_outcome_or_a_kill_the_same_submission_goes_again(
    inside: Run, home: Cluster, members: Members, failure: BaseException
) -> None:
    folder = home.client_folder("client-1")
    for _ in range(3):
        members.failure = failure
        with suppress(Killed):
            result = inside("propose", folder, "pay 12", "--id", "4711")
            assert result.code == 3
            assert f"alliance propose {folder} --resume" in result.error
    assert inside("propose", folder, "pay 12", "--id", "4712", "--file", "x").code == 2
    members.failure = None
    assert inside("propose", folder, "--resume").text == "ordered: slot 1, position 0, command 0\n"
    assert (
        inside("propose", folder, "pay 12", "--id", "4711").text == "ordered: slot 1, position 0, command 0\n"
    )
    assert (
        inside("propose", folder, "pay 12", "--id", "4712").text == "ordered: slot 2, position 0, command 0\n"
    )
    assert {submission.client_seq for submission in members.sent[:-1]} == {1}
    assert not Unresolved(folder).all()


def dying(real: Callable[..., None], left: Iterator[int]) -> Callable[..., None]:
    """Does what it did before as often as there is something left, then kills."""

    def act(*arguments: Any) -> None:
        if next(left, None) is None:
            raise Killed
        real(*arguments)

    return act


def test_a_kill_at_any_write_leaves_one_submission(
    inside: Run, home: Cluster, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first is kept nothing is sent, and from then on it is always the same."""
    from alliance.keys import files

    folder = home.client_folder("client-1")
    for moment in range(8):
        with monkeypatch.context() as patch:
            left = iter(range(moment))
            for name in ("write_private", "sync"):
                patch.setattr(files, name, dying(getattr(files, name), left))
            with suppress(Killed):
                inside("propose", folder, "pay 12", "--id", "4711")
    inside("propose", folder, "pay 12", "--id", "4711")
    assert len(members.sent) >= 2
    assert len({submission.encoded for submission in members.sent}) == 1


@pytest.mark.parametrize("failure", [Unreachable("nobody"), SubmissionRefused("too large")])
def test_what_was_certainly_not_ordered_is_signed_anew(
    inside: Run, home: Cluster, members: Members, failure: Exception
) -> None:
    folder = home.client_folder("client-1")
    members.failure = failure
    inside("propose", folder, "pay 12", "--id", "4711")
    members.failure = None
    assert (
        inside("propose", folder, "pay 12", "--id", "4711").text == "ordered: slot 2, position 0, command 0\n"
    )


def test_what_was_sent_once_is_never_taken_for_not_sent(inside: Run, home: Cluster, members: Members) -> None:
    folder = home.client_folder("client-1")
    for failure in (
        OutcomeUnknown("?", Submission(bytes(32), 1, bytes(32), b"")),
        Unreachable("nobody"),
        None,
    ):
        members.failure = failure
        result = inside("propose", folder, "pay 12", "--id", "4711")
    assert result.text == "ordered: slot 1, position 0, command 0\n"
    (file,) = (folder / "ids").glob("*.submission")
    file.write_bytes(file.read_bytes()[:-1])
    damaged = inside("propose", folder, "pay 12", "--id", "4711")
    assert damaged.code == 2
    assert "restore it, or look for the command" in damaged.error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a", "b", "--id", "k"), "--id names one command, not 2"),
        (("a", "--id", ""), "--id is empty"),
        (("--id", "k", "--resume"), "--id and --resume together"),
    ],
)
def test_what_cannot_have_a_name(
    inside: Run, home: Cluster, members: Members, arguments: tuple[str, ...], says: str
) -> None:
    result = inside("propose", home.client_folder("client-1"), *arguments)
    assert (result.code, members.sent) == (2, [])
    assert says in result.error


def test_the_store_is_bounded_and_forgets_only_what_has_its_receipt(
    inside: Run, home: Cluster, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named, "KEPT_MAX", 3)
    folder = home.client_folder("client-1")

    def numbers() -> list[int]:
        return sorted(int(file.name[:20]) for file in (folder / "ids").glob("*.submission"))

    members.failure = OutcomeUnknown("?", Submission(bytes(32), 1, bytes(32), b""))
    inside("propose", folder, "first", "--id", "0")
    members.failure = None
    for key in range(1, 6):
        assert inside("propose", folder, "x", "--id", str(key)).code == 0
    assert numbers() == [1, 5, 6]
    for file in (folder / "ids").glob("*.receipt"):
        file.unlink()
    full = inside("propose", folder, "x", "--id", "new")
    assert full.code == 2
    assert f"'alliance propose {folder} --resume'" in full.error


def test_of_several_without_an_outcome_each_is_asked_for(
    inside: Run, home: Cluster, members: Members
) -> None:
    """One that has none still does not keep the others from theirs."""
    folder = home.client_folder("client-1")
    for number in range(1, 6):
        Unresolved(folder).keep(UnsignedSubmission(bytes(32), number, [b"x"]).sign(bytes(64)))
    failures = {
        2: SubmissionRefused("used"),
        4: OutcomeUnknown("no receipt", Submission(bytes(32), 1, bytes(32), b"")),
    }

    async def resume(submission: Submission, timeout: float) -> list[Any]:
        if submission.client_seq in failures:
            raise failures[submission.client_seq]
        return [Place(submission)]

    members.resume = resume  # type: ignore[method-assign]
    result = inside("propose", folder, "--resume")
    assert result.code == 3
    assert result.text.splitlines() == [f"ordered: slot {slot}, position 0, command 0" for slot in (1, 3, 5)]
    assert "3 of 5 commands are certain, in slots 1 to 5; of the rest: no receipt" in result.error
    assert [kept.client_seq for kept in Unresolved(folder).all()] == [4]
