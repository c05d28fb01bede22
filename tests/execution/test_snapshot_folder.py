"""Snapshots on disk: whole or not there, the newest two, and what others send proven chunk by chunk."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from alliance.errors import StateError
from alliance.execution import snapshot_folder as module
from alliance.execution import state_bytes
from alliance.execution.runner import RunnerState
from alliance.execution.snapshot_folder import HEAD_BYTES, Held, SnapshotFolder
from alliance.execution.state_bytes import chunks, pack, unpack
from alliance.proofs.snapshot import (
    applications,
    certificate_path,
    newest_certified,
    snapshot_path,
    write_certificate,
)
from quorum import InvalidCertificate, QuorumCertificate, ReplyStatement
from tests.alliance.epochs import next_epoch
from tests.alliance.farm import Farm
from tests.alliance.keys.failing import FailingOs, Killed
from tests.execution.snapshots import certified, keep, states
from verifiable_log.merkle import tree_head
from verifiable_log.merkle_tree import ProofError

CHUNK = 128


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for where in (state_bytes, module):
        monkeypatch.setattr(where, "CHUNK_BYTES", CHUNK)


@pytest.fixture(scope="module")
def reached() -> list[RunnerState]:
    return states(5)


def opened(home: Path, farm: Farm) -> SnapshotFolder:
    folder = SnapshotFolder(home, "kv", lambda: farm.config.attestation)
    folder.add(*folder.load())
    return folder


def names(folder: SnapshotFolder) -> set[str]:
    return {path.name for path in folder.path.iterdir()}


def test_what_is_signed_is_frozen(farm: Farm, tmp_path: Path, reached: list[RunnerState]) -> None:
    """Executors of two versions that pack a state in two ways would never agree again."""
    packed = b"".join(pack(reached[1]))
    assert packed.startswith(b"alliance-snapshot/1\n\0\0\0\4")
    assert sha256(packed).hexdigest() == "02ef34fa362547d6ab3883d6c17ceb56550c15bd8e539cdb1c71dab8a4863c77"
    assert unpack(packed) == reached[1]
    statement = opened(tmp_path, farm).write(reached[1]).statement
    ordering = "48fa8dd281178ae717d15a02f2825e0b680a67ea7e775b3eec419e3dd09bedb6"
    assert (statement.slot, statement.size, statement.ordering_digest.hex()) == (2, 1461, ordering)
    assert statement.tree == tree_head([packed[at : at + CHUNK] for at in range(0, len(packed), CHUNK)])
    assert statement.application == sha256(b"kv").digest()
    assert {len(chunk) for chunk in list(chunks(pack(reached[1])))[:-1]} == {CHUNK}


def test_what_was_written_is_there_after_a_restart(
    farm: Farm, tmp_path: Path, reached: list[RunnerState]
) -> None:
    folder = opened(tmp_path, farm)
    held = keep(farm, folder, reached[0])
    folder.add(folder.write(reached[1]))
    again = opened(tmp_path, farm)
    assert [one.slot for one in again.certified] == [1]
    assert [one.slot for one in again.pending] == [2]
    assert again.certified[0].statement == held.statement
    assert again.read(again.certified[0]) == reached[0]
    assert snapshot_path(folder.path, 1).stat().st_mode & 0o777 == 0o600
    assert newest_certified(folder.path, farm.config.attestation, "kv") == 1
    assert newest_certified(folder.path, farm.config.attestation, "lock") == 0
    (tmp_path / "lock.lock").touch()
    assert list(applications(tmp_path)) == ["kv", "lock"]


def test_what_a_former_key_has_certified_is_to_be_certified_again(
    farm: Farm, tmp_path: Path, reached: list[RunnerState]
) -> None:
    """Whoever has its shares by now would halt those with the true state, or bring others a false one."""
    later, _ = next_epoch(farm, stock=1)
    now = [farm]
    folder = SnapshotFolder(tmp_path, "kv", lambda: now[0].config.attestation)
    folder.add(*folder.load())
    held = keep(farm, folder, reached[0])
    former = held.certificate
    assert former is not None
    assert folder.check(former) == held.statement
    now[0] = later
    with pytest.raises(InvalidCertificate, match="a key that the alliance has replaced"):
        folder.check(former)
    for one in (folder, opened(tmp_path, later)):
        assert not one.certified
        assert [pending.statement for pending in one.pending] == [held.statement]
        one.certify(1, certified(later, held.statement), 0.0)
        assert [pending.slot for pending in one.certified] == [1]


def test_the_newest_two_are_kept_and_what_a_member_is_fetching(
    farm: Farm, tmp_path: Path, reached: list[RunnerState]
) -> None:
    folder = opened(tmp_path, farm)
    for at, state in enumerate(reached[:3]):
        keep(farm, folder, state, now=at)
        if at == 1:
            folder.lease(4, 1, now=at)
    assert [held.slot for held in folder.certified] == [1, 2, 3]
    keep(farm, folder, reached[3], now=2 + module.LEASE_SECONDS)
    assert [held.slot for held in folder.certified] == [3, 4]
    assert names(folder) == {"3.snapshot", "3.certificate", "4.snapshot", "4.certificate"}
    folder.add(folder.write(reached[1]))
    assert not folder.pending, "older than what is certified"


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), Killed()], ids=["full", "killed"]
)
def test_wherever_writing_ends_every_snapshot_is_whole(
    farm: Farm,
    tmp_path: Path,
    reached: list[RunnerState],
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
) -> None:
    """Three snapshots, of which the first one goes: killed at each step, the disk full at each step."""
    found = set()
    for step in range(200):
        home = tmp_path / str(step)
        home.mkdir()
        failing = FailingOs(failure, after=step)
        with monkeypatch.context() as spoilt:
            spoilt.setattr("alliance.execution.snapshot_folder.os", failing)
            spoilt.setattr("alliance.keys.files.os", failing)
            folder = SnapshotFolder(home, "kv", lambda: farm.config.attestation)
            with suppress(Killed, StateError, OSError):
                folder.add(*folder.load())
                for state in reached[:3]:
                    keep(farm, folder, state)
        again = opened(home, farm)
        slots = [held.slot for held in again.certified]
        for held in (*again.certified, *again.pending):
            assert again.read(held) == reached[held.slot - 1]
        assert newest_certified(again.path, farm.config.attestation, "kv") == (slots or [0])[-1]
        assert names(again) == {f"{slot}.certificate" for slot in slots} | {
            f"{held.slot}.snapshot" for held in (*again.certified, *again.pending)
        }
        found.add(tuple(slots))
        for state in reached[3:]:  # and it goes on
            keep(farm, again, state)
        assert [held.slot for held in again.certified] == [4, 5]
        if not failing.failed:
            break
    assert not failing.failed
    assert found >= {(), (1,), (1, 2), (2, 3)}


def test_a_snapshot_that_was_torn_or_changed_at_any_byte_is_not_there(
    farm: Farm, tmp_path: Path, reached: list[RunnerState]
) -> None:
    folder = opened(tmp_path, farm)
    held = keep(farm, folder, reached[0])
    path, certificate = snapshot_path(folder.path, 1), certificate_path(folder.path, 1)
    whole, signed = path.read_bytes(), certificate.read_bytes()
    for at in [*range(0, HEAD_BYTES, 7), *range(HEAD_BYTES, len(whole), 61)]:
        for torn in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole + b"x"):
            path.write_bytes(torn)
            certificate.write_bytes(signed)
            assert not opened(tmp_path, farm).certified
            assert not names(folder)
    for at in range(0, len(signed), 13):
        path.write_bytes(whole)
        certificate.write_bytes(signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :])
        assert newest_certified(folder.path, farm.config.attestation, "kv") == 0
        again = opened(tmp_path, farm)
        assert [one.statement for one in again.pending] == [held.statement], "it is gathered for anew"
        assert names(folder) == {"1.snapshot"}
    path.write_bytes(whole)
    certificate.write_bytes(signed)
    path.rename(snapshot_path(folder.path, 2))
    certificate.rename(certificate_path(folder.path, 2))
    assert not opened(tmp_path, farm).certified, "of another slot than its name says"


def test_a_certificate_of_something_else_certifies_no_snapshot(
    farm: Farm, tmp_path: Path, reached: list[RunnerState]
) -> None:
    folder = opened(tmp_path, farm)
    held = folder.write(reached[0])
    good = certified(farm, held.statement)
    assert folder.check(good) == held.statement
    other = replace(held.statement, application=b"a" * 32)
    reply = QuorumCertificate(0, ReplyStatement(1, 1, bytes(32)), good.signature)
    for bad in (
        certified(farm, other),
        reply,
        replace(good, statement=other),
        replace(good, epoch=1),
        replace(good, statement=replace(held.statement, size=1)),
        replace(good, signature=good.signature[:-1] + bytes([good.signature[-1] ^ 1])),
    ):
        with pytest.raises(InvalidCertificate):
            folder.check(bad)
    with pytest.raises(InvalidCertificate, match="another application"):
        folder.check(certified(farm, other))


def test_a_chunk_that_rots_on_the_disk_is_not_sent(
    farm: Farm, tmp_path: Path, reached: list[RunnerState]
) -> None:
    folder = opened(tmp_path, farm)
    held = keep(farm, folder, reached[0])
    path = snapshot_path(folder.path, 1)
    data = bytearray(path.read_bytes())
    data[HEAD_BYTES + CHUNK] ^= 1
    path.write_bytes(data)
    folder.chunk(held, 0)
    for index, why in ((1, "damaged"), (held.tree.size, "no inclusion proof"), (2**63, "no inclusion proof")):
        with pytest.raises(LookupError, match=why):
            folder.chunk(held, index)
    path.unlink()
    with pytest.raises(LookupError, match="cannot be read"):
        folder.chunk(held, 0)


class Sending:
    """Sends a snapshot of one folder to another, by hand."""

    def __init__(self, farm: Farm, tmp_path: Path, state: RunnerState) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        self.source = opened(tmp_path / "a", farm)
        self.held = keep(farm, self.source, state)
        self.target = opened(tmp_path / "b", farm)
        self.count = self.held.tree.size

    def begin(self) -> module.Incoming:
        return self.target.incoming(self.held.statement)

    def chunk(self, index: int) -> tuple[bytes, tuple[bytes, ...]]:
        return self.source.chunk(self.held, index)

    def send(self, incoming: module.Incoming, until: int) -> None:
        while incoming.next < until:
            chunk = self.chunk(incoming.next)
            incoming.check(incoming.next, *chunk)
            assert incoming.add(*chunk)


@pytest.fixture
def sending(farm: Farm, tmp_path: Path, reached: list[RunnerState]) -> Sending:
    return Sending(farm, tmp_path, reached[2])


def test_a_transfer_goes_on_wherever_it_was_cut_off(sending: Sending, reached: list[RunnerState]) -> None:
    """After every chunk, and in the middle of each."""
    path = sending.target.path / "incoming"
    for done in range(sending.count + 1):
        incoming = sending.begin()
        assert incoming.next == max(done - 1, 0)
        sending.send(incoming, done)
        incoming.close()
        with path.open("ab") as file:
            file.write(b"torn"[: CHUNK - 1])
        assert sending.target.begun() == sending.held.statement
        assert not sending.target.load(), "what is half there counts for nothing"
    incoming = sending.begin()
    assert (incoming.next, incoming.received) == (sending.count, sending.held.statement.size)
    held = incoming.finish()
    assert held is not None
    sending.target.add(held)
    assert sending.target.read(held) == reached[2]
    assert sending.target.begun() is None
    (again,) = sending.target.load()
    assert again.statement == held.statement


def test_what_lies_there_damaged_is_fetched_again(sending: Sending) -> None:
    path = sending.target.path / "incoming"
    for done in (2, 3, sending.count):
        incoming = sending.begin()
        sending.send(incoming, done)
        incoming.close()
        data = bytearray(path.read_bytes())
        data[HEAD_BYTES + 3] ^= 1
        path.write_bytes(data)
        incoming = sending.begin()
        assert incoming.next == done
        if done == sending.count:
            assert incoming.finish() is None
        else:
            assert not incoming.add(*sending.chunk(done))
        assert incoming.next == 0
        sending.send(incoming, sending.count)
        assert incoming.finish() is not None


def test_no_wrong_chunk_is_taken(sending: Sending) -> None:
    incoming = sending.begin()
    good, path = sending.chunk(1)
    other, elsewhere = sending.chunk(2)
    for data, way in (
        (other, path),
        (good, elsewhere),
        (good[:-1], path),
        (good + b"x", path),
        (b"", path),
        (good, path[:-1]),
        (good, (*path, path[0])),
        (good, (path[0][:-1], *path[1:])),
        (bytes([good[0] ^ 1]) + good[1:], path),
    ):
        with pytest.raises(ProofError):
            incoming.check(1, data, way)
    incoming.check(1, good, path)
    with pytest.raises(ProofError):
        incoming.check(2, good, path)
    incoming.close()


def test_another_snapshot_takes_the_place_of_what_is_half_there(
    farm: Farm, sending: Sending, reached: list[RunnerState]
) -> None:
    incoming = sending.begin()
    sending.send(incoming, 2)
    incoming.close()
    other: Held = keep(farm, sending.source, reached[3])
    incoming = sending.target.incoming(other.statement)
    assert incoming.next == 0
    incoming.close()
    assert sending.target.begun() == other.statement


def test_a_snapshot_whose_ordering_state_is_not_the_certified_one_is_not_gone_on_from(
    farm: Farm, tmp_path: Path, reached: list[RunnerState]
) -> None:
    folder = opened(tmp_path, farm)
    held = folder.write(reached[0])
    held.statement = replace(held.statement, ordering_digest=bytes(32))
    with pytest.raises(StateError, match="ordering state is another"):
        folder.read(held)
    certificate = certified(farm, held.statement)
    assert write_certificate(certificate).startswith(b"alliance-snapshot-certificate/1\n")
