"""The state file: whole or refused, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from alliance.errors import StateError
from alliance.execution import Runner
from alliance.execution.runner import RunnerState
from alliance.execution.state_file import StateFile
from examples.kv.store import Store
from tests.execution.feed import Feed

ID = b"i" * 32


def reached() -> RunnerState:
    feed, runner = Feed(), Runner("kv", Store())
    feed.add(b"set a 0", b"set b 0", time_ms=1)
    feed.add(b"set a 1", time_ms=2)
    feed.tell(runner)
    return runner.state()


def opened(
    folder: Path, alliance_id: bytes = ID, member: str = "m", application: str = "kv"
) -> RunnerState | None:
    state = StateFile(folder, alliance_id, member, application)
    try:
        return state.open()
    finally:
        state.close()


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    assert opened(tmp_path) is None
    saved = reached()
    StateFile(tmp_path, ID, "m", "kv").save(saved)
    assert opened(tmp_path) == saved
    assert (tmp_path / "kv.state").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kv.lock", "kv.state"]


def test_a_file_that_was_torn_or_changed_at_any_byte_is_refused(tmp_path: Path) -> None:
    StateFile(tmp_path, ID, "m", "kv").save(reached())
    path = tmp_path / "kv.state"
    whole = path.read_bytes()
    for end in range(len(whole)):
        for torn in (whole[:end], whole[:end] + bytes([whole[end] ^ 1]) + whole[end + 1 :]):
            path.write_bytes(torn)
            with pytest.raises(StateError, match="delete it"):
                opened(tmp_path)
    path.write_bytes(whole + b"x")
    with pytest.raises(StateError, match="delete it"):
        opened(tmp_path)


def test_an_old_state_or_none_is_not_taken_for_the_newest(tmp_path: Path) -> None:
    """The mark beside it knows. Whoever deletes both begins anew."""
    path, mark = tmp_path / "kv.state", tmp_path / "kv.lock"
    assert opened(tmp_path) is None
    marks, states = [mark.read_bytes()], []
    feed, runner = Feed(), Runner("kv", Store())
    for slot in range(1, 4):
        feed.add(b"set a %d" % slot, time_ms=slot)
        feed.tell(runner)
        StateFile(tmp_path, ID, "m", "kv").save(runner.state())
        marks.append(mark.read_bytes())
        states.append(path.read_bytes())
    other = Feed()
    for slot in range(1, 4):
        other.add(b"set b %d" % slot, time_ms=slot)
    another = Runner("kv", Store())
    other.tell(another)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    StateFile(elsewhere, ID, "m", "kv").save(another.state())
    states.append((elsewhere / "kv.state").read_bytes())
    for at, says in (
        (0, "an old one, of slot 1"),
        (1, "an old one, of slot 2"),
        (3, "not the one that was saved"),
    ):
        path.write_bytes(states[at])
        mark.write_bytes(marks[-1])
        for _ in range(2):
            with pytest.raises(StateError, match=rf"{says}.*delete it and kv\.lock"):
                opened(tmp_path)
        assert mark.read_bytes() == marks[-1]
    path.unlink()
    with pytest.raises(StateError, match=r"is gone, but it was saved at slot 3.*delete it and kv\.lock"):
        opened(tmp_path)
    for at, state in enumerate(states[:3], 1):  # a crash between the two writes
        path.write_bytes(state)
        mark.write_bytes(marks[at - 1])
        assert opened(tmp_path) is not None
    for broken in (b"", marks[3][:-1], bytes(len(marks[3]))):
        mark.write_bytes(broken)
        with pytest.raises(StateError, match="gone, damaged or of another"):
            opened(tmp_path)
    path.unlink()
    mark.unlink()
    assert opened(tmp_path) is None


@pytest.mark.parametrize("other", [{"alliance_id": b"j" * 32}, {"member": "n"}])
def test_anothers_file_is_refused(tmp_path: Path, other: dict[str, bytes]) -> None:
    StateFile(tmp_path, ID, "m", "kv").save(reached())
    with pytest.raises(StateError, match="of another"):
        opened(tmp_path, **other)  # type: ignore[arg-type]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first = StateFile(tmp_path, ID, "m", "kv")
    first.open()
    with pytest.raises(StateError, match="in use"):
        opened(tmp_path)
    first.close()
    opened(tmp_path)


def test_a_failed_save_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = reached()
    state = StateFile(tmp_path, ID, "m", "kv")
    state.save(saved)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StateError, match="No space"):
            state.save(reached())
    assert opened(tmp_path) == saved
