"""The recovery of an alliance that has lost two of its six members, with real files and keys."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from alliance.changes import followed
from alliance.changes.epoch_notes import Beginning, EpochNote
from alliance.config import control as config_control
from alliance.config import file as config_file
from alliance.config.parties import Member
from alliance.errors import ConfigError, JournalError, KeyFileError
from alliance.founding.party import ask_as_member
from alliance.keys import files, shares
from alliance.keys.ed25519 import has_signed
from alliance.keys.shares import Generation, load_endorser
from alliance.recovery import ceremony
from alliance.recovery.report import make_report, open_report
from alliance.storage import epochs
from alliance.storage.journal import Journal
from alliance.storage.journal_replay import Replayed
from alliance.wire.membership import FILE as MEMBERSHIP
from alliance.wire.membership import MembershipProof
from consensus.control import CheckedControl, ControlState
from consensus.control.encoding import Reader
from consensus.control.published import Published
from consensus.limits import RECOVERY_ATTEMPT
from quorum import Endorsement, SuspectStatement, combine
from tests.alliance.farm import PASSPHRASE, Chain, Farm
from tests.alliance.recovery.wreck import BEHIND, LOST, SLOTS, SURVIVORS, Wreck, stable
from verifiable_log.batch import Batch
from verifiable_log.ordering_state import Checkpoint, Snapshot

EVERYBODY = (*SURVIVORS, *LOST)
NEW = Generation(1, RECOVERY_ATTEMPT)


def copied(wreck: Wreck, home: Path) -> Wreck:
    """In which everything was done but to sign."""
    done = {name: getattr(wreck, name) for name in ("reports", "log", "act", "dealings", "concluded")}
    shutil.copytree(wreck.home, home)
    copy = replace(wreck, home=home)
    vars(copy).update(done)
    return copy


@pytest.fixture(scope="module")
def recovered(wreck: Wreck, tmp_path_factory: pytest.TempPathFactory) -> Wreck:
    copy = copied(wreck, tmp_path_factory.mktemp("recovered") / "home")
    for name in EVERYBODY:
        assert copy.finish(name).anew
    return copy


def test_everybody_is_in_the_next_epoch_behind_the_longest_certified_log(recovered: Wreck) -> None:
    for name in EVERYBODY:
        folder = recovered.folder(name)
        config = config_file.load(folder)
        assert (config.epoch, config.dealing, config.start) == (1, 1, SLOTS)
        assert [member.name for member in config.members] == list(EVERYBODY)
        assert shares.pieces(folder) == (NEW,)
        journal = Journal(folder / "journal.sqlite", config.alliance_id, name)
        try:
            replayed = journal.replay(CheckedControl(config_control.founded(recovered.config), has_signed))
            assert (journal.epoch, journal.shares) == (1, NEW)
            journal.begin(bytes(32))
        finally:
            journal.close()
        assert (replayed.state.start, replayed.state.frontier.size) == (SLOTS, SLOTS)
        control = replayed.state.control
        assert isinstance(control, CheckedControl)
        assert control.state.config == config.canonical
        (recovery,) = control.state.recoveries
        assert (recovery.act.survivors, recovery.act.slot) == (SURVIVORS, SLOTS)


def test_the_new_members_sign_under_the_old_public_key(recovered: Wreck) -> None:
    config = recovered.concluded.config
    statement = SuspectStatement(0)
    message = statement.encode(config.context)
    made = []
    for number, name in list(enumerate(EVERYBODY))[1:]:
        endorser = load_endorser(recovered.folder(name), config, number, PASSPHRASE)
        made.append(Endorsement(statement, number, endorser.endorse(message, proven=True)))
    combine(config.scheme, made).verify(recovered.config.scheme.in_epoch(1))


def test_a_finish_that_was_interrupted_goes_on(copy: Wreck, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a disk that is full, at each file that is written."""
    vars(copy)["shares"] = [copy.concluded.share(one.shares[0]) for one in copy.holders.values()]
    written = files.write_whole
    for fails in range(1, 20):
        calls = iter(range(fails))

        def failing(path: Path, data: bytes, calls: Iterator[int] = calls) -> None:
            if next(calls, None) is None:
                raise OSError(28, "No space left on device")
            written(path, data)

        with monkeypatch.context() as bent:
            bent.setattr(files, "write_whole", failing)
            bent.setattr(epochs, "write_whole", failing)
            with suppress(KeyFileError):
                assert copy.finish("member-6").anew
                break
    assert fails >= 4
    assert not copy.finish("member-6").anew


def test_a_folder_finishes_what_it_has_asked_for_and_nothing_else(copy: Wreck, farm: Farm) -> None:
    vars(copy)["shares"] = [copy.concluded.share(one.shares[0]) for one in copy.holders.values()]
    operator = copy.operators["member-6"]
    for alliance_id, folder in [(bytes(32), "elsewhere"), (copy.config.alliance_id, "again")]:
        home = copy.home / folder
        ask_as_member(home, "member-6", "member-6", "x:1", 2048, PASSPHRASE, operator, alliance_id)
        shutil.rmtree(copy.folder("member-6"))
        home.rename(copy.folder("member-6"))
        says = "of another alliance" if folder == "elsewhere" else "are not those of 'member-6'"
        with pytest.raises((ConfigError, KeyFileError), match=says):
            copy.finish("member-6")
        assert not (copy.folder("member-6") / "journal.sqlite").exists()
    (copy.member("member-2") / "member.name").write_text("member-9\n")
    with pytest.raises(ConfigError, match="'member-9' is no member of epoch 1"):
        copy.finish("member-2")


def test_how_the_epoch_began_is_known_to_who_reads_of_it(recovered: Wreck) -> None:
    state = recovered.concluded.state
    note = EpochNote.of(state.next_epoch(), state)
    assert (note.beginning, note.start) == (Beginning.RECOVERY, SLOTS)
    assert EpochNote.read(Reader(note.encode())) == note


def test_a_recovered_alliance_reports_the_epoch_that_began_by_it(recovered: Wreck) -> None:
    """And could be recovered again, before it has decided anything."""
    for name in ("member-1", "member-6"):
        survivor = open_report(make_report(recovered.folder(name), PASSPHRASE), name)
        assert survivor.log.place == (1, SLOTS)
        assert survivor.log.state == recovered.concluded.state.next_epoch()
        assert survivor.receiver is None


def test_whoever_asks_a_member_gets_the_proof_of_the_membership(recovered: Wreck) -> None:
    for name in EVERYBODY:
        proof = MembershipProof.decode((recovered.folder(name) / MEMBERSHIP).read_bytes())
        proof.verify(recovered.config.scheme)
        assert proof.membership.config == recovered.concluded.config.canonical


def test_finishing_again_changes_nothing(recovered: Wreck) -> None:
    for name in ("member-1", "member-6"):
        assert not recovered.finish(name).anew


def test_the_longest_report_is_taken_whoever_brings_it(wreck: Wreck) -> None:
    assert [one.log.state.slot for one in wreck.reports] == [SLOTS, BEHIND, SLOTS, SLOTS]
    assert ceremony.furthest(wreck.reports[1:]).state.slot == SLOTS


def test_with_a_checkpoint_and_without_it_is_the_same_state(wreck: Wreck) -> None:
    from_the_start, _, _, from_a_checkpoint = (one.log for one in wreck.reports)
    assert from_a_checkpoint.state == from_the_start.state
    assert from_a_checkpoint.frontier == from_the_start.frontier
    assert from_a_checkpoint.windows.state() == from_the_start.windows.state()


def test_a_survivor_that_lies_about_its_log_is_not_believed(
    wreck: Wreck, copy: Wreck, long_chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It signs what it likes; what it says does not follow from any certificate."""
    farm, replay, batches = long_chain.farm, Journal.replay, Journal.batches

    def another_state(journal: Journal, founded: CheckedControl) -> Replayed:
        replayed = replay(journal, founded)
        checkpoint = replayed.state.checkpoint
        assert checkpoint is not None
        state = (*stable(Chain(farm).grow(BEHIND, 50), BEHIND).snapshot.state,)
        bent = copied_checkpoint(checkpoint, Snapshot(checkpoint.snapshot.frontier, state))
        return replace(replayed, state=replace(replayed.state, checkpoint=bent))

    def a_state_that_nobody_signed(journal: Journal, founded: CheckedControl) -> Replayed:
        replayed = replay(journal, founded)
        checkpoint = replayed.state.checkpoint
        assert checkpoint is not None
        other = stable(Chain(farm).grow(BEHIND, 50), BEHIND).snapshot
        snapshot = Snapshot(checkpoint.snapshot.frontier, other.state)
        forged = Checkpoint(snapshot, replace(checkpoint.certificate, statement=snapshot.statement))
        return replace(replayed, state=replace(replayed.state, checkpoint=forged))

    def fewer(journal: Journal, first: int, last: int) -> Iterator[Batch]:
        return batches(journal, first, last - 1)

    def another(journal: Journal, first: int, last: int) -> Iterator[Batch]:
        yield long_chain.entries[last].batch
        yield from batches(journal, first + 1, last)

    def of_another_slot(journal: Journal, founded: CheckedControl) -> Replayed:
        return replace(replay(journal, founded), certificate=long_chain.certificate(SLOTS + 1))

    def unsigned(journal: Journal, founded: CheckedControl) -> Replayed:
        certificate = long_chain.certificate(SLOTS)
        return replace(replay(journal, founded), certificate=replace(certificate, signature=b"x" * 256))

    for name, lie in [
        ("replay", another_state),
        ("replay", a_state_that_nobody_signed),
        ("batches", fewer),
        ("batches", another),
        ("replay", of_another_slot),
        ("replay", unsigned),
    ]:
        with monkeypatch.context() as bent:
            bent.setattr(Journal, name, lie)
            if lie is of_another_slot:
                bent.setattr(Journal, "batches", lambda journal, first, last: batches(journal, first, SLOTS))
            told = make_report(copy.member("member-4"), PASSPHRASE)
        with pytest.raises(ConfigError, match="is no report, or was altered"):
            open_report(told, "it")


def copied_checkpoint(checkpoint: Checkpoint, snapshot: Snapshot) -> Checkpoint:
    """One whose parts do not belong together, as no honest program makes it."""
    bent = object.__new__(Checkpoint)
    object.__setattr__(bent, "snapshot", snapshot)
    object.__setattr__(bent, "certificate", checkpoint.certificate)
    return bent


def test_who_followed_the_log_notices_an_epoch_that_no_log_ordered(
    recovered: Wreck, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = recovered.concluded.certificate(recovered.shares)
    membership = Published.of(recovered.concluded.state.next_epoch())
    proof = MembershipProof(certificate, membership, recovered.concluded.dealt.keys)
    proofs: dict[str, object] = {"now": proof}

    async def newer(channel: Member, have: object) -> object:
        return proofs.get(channel.name, proofs.get("now"))

    class Ways:
        config = recovered.config

        def channel(self, member: Member) -> object:
            return member

    def misses(state: ControlState) -> bool:
        known = followed.Followed(state, recovered.log.frontier, recovered.log.windows)
        return asyncio.run(followed._has_missed_an_epoch(Ways(), known))  # type: ignore[arg-type]

    monkeypatch.setattr(followed, "newer", newer)
    before, begun = recovered.log.state, recovered.concluded.state.next_epoch()
    assert misses(replace(before, slot=SLOTS + 1))
    assert not misses(before)
    # One that lies, or was away, tells a revision of the epoch before, which is certified, too.
    revised = Published.of(replace(before, revision=1))
    proofs["member-1"] = SimpleNamespace(membership=revised, verify=lambda scheme: None)
    assert misses(replace(before, slot=SLOTS + 1))
    assert not misses(before)
    del proofs["member-1"]
    assert not misses(replace(begun, slot=SLOTS + 1))
    proofs["now"] = replace(proof, keys=())
    assert not misses(replace(before, slot=SLOTS + 1))
    proofs.clear()
    assert not misses(replace(before, slot=SLOTS + 1))


def test_every_byte_of_a_report_counts(wreck: Wreck) -> None:
    data = make_report(wreck.member("member-2"), PASSPHRASE)
    places = range(0, len(data), max(1, len(data) // 30))
    for at in places:
        spoilt = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(ConfigError):
            open_report(spoilt, "it")
    for cut in (data[:-1], data + b"\0", b"", data[: len(data) // 2]):
        with pytest.raises(ConfigError):
            open_report(cut, "it")


def test_the_act_is_refused_while_a_quorum_is_there(wreck: Wreck) -> None:
    reports = [
        *wreck.reports,
        replace(wreck.reports[0], name="member-5", identity=_identity(wreck, "member-5")),
    ]
    with pytest.raises(ConfigError, match="5 of 6 members are there, and 5 decide"):
        ceremony.plan(wreck.log, reports, wreck.act.act.change.operations)


def _identity(wreck: Wreck, name: str) -> bytes:
    return wreck.config.members[wreck.config.member_index(name)].identity


def test_a_member_that_does_not_report_is_not_kept_by_silence(wreck: Wreck) -> None:
    from alliance.recovery.planning import make_act

    with pytest.raises(ConfigError, match="'member-4' has not reported"):
        make_act(wreck.log, wreck.reports[:3], wreck.wanted)


def test_too_few_shares_are_counted(wreck: Wreck) -> None:
    with pytest.raises(
        ConfigError, match=r"4 members' shares have dealt \(member-1, .*member-4\), and it takes 5"
    ):
        ceremony.conclude(wreck.log, wreck.dealings[:4])
    given = [wreck.concluded.share(one.shares[0]) for one in list(wreck.holders.values())[:4]]
    with pytest.raises(
        ConfigError, match=r"4 members' shares have signed .* it takes 5.* nobody can recover"
    ):
        wreck.concluded.certificate(given)
    with pytest.raises(ConfigError, match=r"4 members' shares have signed"):
        wreck.concluded.certificate([*given, given[0]])


def test_too_few_operators_are_counted(wreck: Wreck) -> None:
    with pytest.raises(ConfigError, match="3 operators approve of it, and it takes 4"):
        ceremony.enough(wreck.log, wreck.act.act, wreck.approvals(SURVIVORS[:3]))


def test_a_false_dealing_or_share_is_named(wreck: Wreck) -> None:
    first, *others = wreck.dealings
    bent = replace(first, dealing=first.dealing[:-1] + bytes([first.dealing[-1] ^ 1]))
    with pytest.raises(ConfigError, match=r"dealings are wrong.*'member-1'"):
        ceremony.conclude(wreck.log, [bent, *others])
    with pytest.raises(ConfigError, match=r"dealings are wrong.*'member-2'"):
        ceremony.conclude(wreck.log, [first, replace(others[0], dealing=first.dealing), *others[1:]])
    given = [wreck.concluded.share(one.shares[0]) for one in wreck.holders.values()]
    with pytest.raises(ConfigError, match="the share of 'member-2' is wrong"):
        wreck.concluded.certificate([given[0], replace(given[1], share=given[0].share), *given[2:]])
    other = replace(given[0], statement=replace(given[0].statement, slot=SLOTS - 1))
    with pytest.raises(ConfigError, match="'member-1' is for another act"):
        wreck.concluded.certificate([other, *given[1:]])


@pytest.fixture
def copy(wreck: Wreck, tmp_path: Path) -> Wreck:
    return copied(wreck, tmp_path / "home")


def test_a_holder_whose_log_is_longer_refuses(copy: Wreck) -> None:
    """Of the reports the longest one was kept back."""
    short = ceremony.furthest([copy.reports[1]])
    vars(copy)["log"] = short
    with pytest.raises(
        ConfigError, match=f"certified to slot {SLOTS} of epoch 0, and the report ends at slot {BEHIND}"
    ):
        _ = copy.holders


def test_who_has_signed_starts_no_more_and_signs_no_other_act(copy: Wreck) -> None:
    concluded = copy.concluded
    holder = copy.holders["member-2"]
    assert holder.sign(concluded).statement == concluded.statement
    assert holder.sign(concluded).statement == concluded.statement
    other = replace(concluded, act=replace(concluded.act, root=bytes(32)))
    with pytest.raises(JournalError, match="over by another act"):
        holder.sign(other)
    journal = Journal(copy.member("member-2") / "journal.sqlite", copy.config.alliance_id, "member-2")
    try:
        with pytest.raises(JournalError, match="alliance recover finish"):
            journal.begin(bytes(32))
    finally:
        journal.close()


def test_a_folder_that_the_act_counts_as_lost_does_not_deal(copy: Wreck) -> None:
    act = replace(copy.act.act, survivors=SURVIVORS[1:])
    with pytest.raises(ConfigError, match="'member-1' is there, and the act counts it as lost"):
        copy.holders["member-1"].deal(copy.log, act, ())


def test_a_journal_that_is_further_than_the_act_enters_nothing(copy: Wreck, long_chain: Chain) -> None:
    """Its log is the proof of what was lost, and is kept."""
    shares_given = [copy.concluded.share(one.shares[0]) for one in copy.holders.values()]
    vars(copy)["shares"] = shares_given
    folder = copy.member("member-4")
    for path in folder.glob("journal.*"):
        path.unlink()
    copy.write_journal(long_chain, "member-4", SLOTS + 1, SLOTS + 1)
    with pytest.raises(ConfigError, match=r"is further than the act.*certified slot 8.* Keep it"):
        copy.finish("member-4")
    journal = Journal(folder / "journal.sqlite", copy.config.alliance_id, "member-4")
    assert (journal.epoch, config_file.load(folder).epoch) == (0, 0)
    journal.close()
