"""Keys on their way from epoch to epoch: between members of all sizes, past sleepers, liars and restarts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.file import AllianceConfig
from alliance.errors import KeyFileError
from alliance.keys import handover, sealing, shares
from alliance.keys.shares import Generation
from alliance.resharing import process, steps, work
from alliance.resharing.work import Answer, Kind, Task
from consensus.control.commands import Abort, Deal, Ready, SignedCommand
from consensus.control.operations import DropMember
from consensus.control.rows import PolicyRow
from consensus.limits import ATTEMPTS_MAX
from quorum import QuorumSystem
from quorum.system import LEAN
from tests.alliance.conftest import Run
from tests.alliance.resharing.conftest import Found
from tests.alliance.resharing.town import Town, row_of, with_receiver, working
from tests.consensus import alliance as rows

FOUR = QuorumSystem(4, 1, LEAN)
SIX = QuorumSystem(6, 1)


def posted(town: Town, name: str, kind: type[Deal | Ready]) -> list[Deal | Ready]:
    commands = [SignedCommand.decode(one).command for one in town.homes[name].submitted]
    return [one for one in commands if isinstance(one, kind)]


def test_epoch_n_4_to_5_to_4_in_profile_lean(run: Run, found: Found) -> None:
    async def story() -> None:
        town = found(FOUR)
        await town.hand_on(town.newcomer("m-x", "org-a"))
        assert (town.state.epoch, len(town.names), town.config.key.threshold) == (1, 5, 4)
        assert town.config.purpose_keys[0][1].threshold == 3
        assert town.state.transcript is None
        town.check_shares()
        await town.hand_on(DropMember("m-b"))
        assert (town.state.dealing, len(town.names), town.config.key.threshold) == (2, 4, 3)
        town.check_shares()
        assert not town.refusals

    run(story())


def test_epoch_n_6_to_7_with_a_silent_member_that_is_replaced_as_well(run: Run, found: Found) -> None:
    """Of a lost disk nothing comes back: its member has another identity, and receives as all others do."""

    async def story() -> None:
        town = found(SIX)
        lost = town.homes["m-f"]
        again = town.newcomer("m-f", "org-f", key="new f")
        assert town.homes["m-f"] is not lost
        await town.hand_on(again, town.newcomer("m-x", "org-a"))
        assert (len(town.names), town.config.key.threshold) == (7, 6)
        town.check_shares()
        assert not town.refusals

    run(story())


def test_epoch_refresh_of_composite_keys(run: Run, found: Found) -> None:
    async def story() -> None:
        town = found(FOUR, composite=True)
        await town.hand_on()
        assert [len(key.factors) for key in (town.config.key, town.config.purpose_keys[0][1])] == [2, 2]
        town.check_shares()

    run(story())


def test_a_task_opens_the_identity_once(run: Run, found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time takes a tenth of a second of a processor, and a Ready has two signatures of it."""
    opened: list[int] = []
    tasks: list[tuple[Kind, int]] = []

    def counted(data: bytes, path: Path, passphrase: bytes) -> Ed25519PrivateKey:
        opened.append(1)
        return sealing.unseal_signing(data, path, passphrase)

    async def noted(folder: Path, task: Task) -> Answer:
        before = len(opened)
        answer = Answer.decode(work.work(folder, task).encode())  # nothing else opens one meanwhile
        tasks.append((task.kind if answer.command else Kind.JUDGE, len(opened) - before))
        return answer

    async def story() -> None:
        await found(FOUR).hand_on()

    monkeypatch.setattr(work, "sealing", SimpleNamespace(read=sealing.read, unseal_signing=counted))
    monkeypatch.setattr(process, "perform", noted)
    run(story())
    assert {kind for kind, _ in tasks} >= {Kind.DEAL, Kind.READY}
    for kind, times in tasks:
        assert times == (kind in (Kind.DEAL, Kind.READY)), kind.name


def test_epoch_refresh_twice_leaves_one_generation_and_one_receiver(run: Run, found: Found) -> None:
    """All else is erased once the log is quiet: old shares, used receivers' secrets, dealings, notes."""

    async def story() -> None:
        town = found(FOUR)
        first = town.state.directory.member("m-a").receiver
        for _ in range(2):
            await town.hand_on()
            for home in town.homes.values():
                home.handover._pause_s = 0
            folder = town.homes["m-a"].folder
            await town.until_held("m-a", lambda held: len(held.receivers) == 1 and not held.dealings)
        held = steps.look(folder)
        assert held.pieces == (Generation(2),) == tuple(held.received)
        row = town.state.directory.member("m-a")
        assert held.receivers == (steps.fingerprint(row.receiver),)
        assert steps.fingerprint(first) not in held.receivers
        assert held.publics == (1, 2)
        town.check_shares()

    run(story())


def test_epoch_full_then_a_sleepers_late_ready(run: Run, found: Found) -> None:
    """It wakes in the next epoch, with what lies in the log, and its share counts from then on."""

    async def story() -> None:
        town = found(FOUR)
        await town.hand_on(silent={"m-b"})
        sleeper = town.homes["m-b"]
        assert town.state.transcript is not None
        town.check_shares({"m-a", "m-c", "m-d"})
        sleeper.config = town.config
        sleeper.awake()
        await town.until(lambda: town.state.transcript is None, ["m-b"])
        assert sleeper.switched == [Generation(1)] == [shares.current(sleeper.folder)]
        town.check_shares()
        await town.hand_on()
        town.check_shares()
        assert not town.refusals

    run(story())


def test_who_was_not_ready_at_the_end_receives_once_whoever_asks(
    run: Run, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server asks twice at the end, to vouch and to go over, while the member may still be at it itself."""
    done: list[Kind] = []

    async def counting(folder: Path, task: Task) -> Answer:
        done.append(task.kind)
        return await working(folder, task)

    async def story() -> None:
        town = found(FOUR)
        town.agree()
        await town.until(lambda: town.ready() >= {"m-a", "m-c", "m-d"}, ["m-a", "m-c", "m-d"])
        slow = town.homes["m-b"].handover
        monkeypatch.setattr(process, "perform", counting)
        async with town.running(["m-b"]):
            await town.breath()
            assert town.state.end is not None
            town.log.to(town.state.end)
            slow.follow(town.state)
            outcomes = await asyncio.gather(slow.outcome(town.state), slow.outcome(town.state))
        assert [one.generation for one in outcomes] == [Generation(1)] * 2
        assert len(done) == 1

    run(story())


def test_the_last_attempt_deals_as_if_nothing_had_been_dealt_before(run: Run, found: Found) -> None:
    """Two have failed: it may be that the shares of now do not fit together."""

    async def story() -> None:
        town = found(FOUR)
        town.agree()
        active, home = town.state.dealt_for, town.homes["m-a"]
        config = cast(AllianceConfig, town.config)
        attempts = [
            home.handover._attempt(
                replace(town.state, active=replace(active, attempt=attempt)), config, late=False
            )
            for attempt in range(ATTEMPTS_MAX)
        ]
        assert [one.redistribution.restart for one in attempts] == [False, False, True]

    run(story())


def test_epoch_member_sleeps_two(run: Run, found: Found) -> None:
    """It has no public keys of the dealing between: it says so, and has a share when keys are next dealt."""

    async def story() -> None:
        town = found(FOUR)
        for _ in range(2):
            await town.hand_on(silent={"m-b"})
        sleeper = town.homes["m-b"]
        sleeper.config = town.config
        sleeper.awake()
        async with town.running(["m-b"]):
            while not sleeper.handover.problem:
                await town.breath()
        assert "'alliance refresh'" in sleeper.handover.problem
        assert not sleeper.submitted
        await town.hand_on()
        assert not sleeper.handover.problem
        town.check_shares()

    run(story())


def test_a_sleeper_that_knows_the_keys_between_wakes_with_a_share(run: Run, found: Found) -> None:
    """The second dealing is judged with the keys of the first one, which its members keep."""

    async def story() -> None:
        town = found(FOUR)
        await town.hand_on()
        async with town.running(town.names):
            while any(1 not in handover.publics(home.folder) for home in town.homes.values()):
                await town.breath()
        await town.hand_on(silent={"m-b"})
        town.homes["m-b"].config = town.config
        town.homes["m-b"].awake()
        await town.until(lambda: town.state.transcript is None, ["m-b"])
        town.check_shares()

    run(story())


@pytest.mark.parametrize(
    "lie",
    [
        lambda own, other: b"",
        lambda own, other: own[:-1] + bytes((own[-1] ^ 1,)),
        lambda own, other: other,
    ],
    ids=["empty", "last bit", "of another"],
)
def test_a_dealing_that_is_bad_does_not_count_and_ends_nobody(
    run: Run, found: Found, caplog: pytest.LogCaptureFixture, lie: Callable[[bytes, bytes], bytes]
) -> None:
    async def story() -> None:
        town = found(FOUR)
        change_id = town.agree()
        before = town.state
        await town.until(lambda: len(town.state.dealt_for.dealings) == 2, ["m-a", "m-b"])
        dealt = {one.member: one.dealing for one in town.state.dealt_for.dealings}
        lied = lie(dealt["m-a"], dealt["m-b"])
        town.log.state = before
        assert town.log.do(Deal("m-a", change_id, 0, lied)) == [""]
        honest = {"m-b", "m-c", "m-d"}
        for name in honest:
            town.homes[name].awake()
        await town.until(lambda: town.ready() >= honest, honest)
        assert {one.dealing for one in town.state.dealt_for.dealings} >= {lied, dealt["m-b"]}
        await town.enter({"m-a"})
        town.check_shares(honest)
        assert "the dealing of 'm-a' does not count" in caplog.text

    with caplog.at_level(logging.WARNING):
        run(story())


@pytest.mark.parametrize("receiver", ["short", "copied"])
def test_a_receiver_key_that_does_not_fit_costs_its_member_the_share(
    run: Run, found: Found, receiver: str
) -> None:
    """A liar has posted it: nobody else goes without, and the liar hears why it does."""

    async def story() -> None:
        town = found(FOUR)
        directory = town.state.directory
        row = directory.member("m-a")
        encoded = {
            "short": row_of("m-a", "org-a", 50, bits=768).receiver,
            "copied": directory.member("m-d").receiver,
        }[receiver]
        liar = with_receiver(row, encoded, "m-a")
        town.log.state = replace(town.state, directory=directory.with_member(liar))
        town.agree()
        honest = {"m-b", "m-c", "m-d"}
        secret = row_of("m-a", "org-a", 0).receiver
        assert steps.fingerprint(secret) in handover.receivers(town.homes["m-a"].folder)
        await town.until(lambda: town.ready() >= honest, town.names)
        await town.enter({"m-a"})
        town.check_shares(honest)
        assert "m-a" not in town.ready()

    run(story())


def test_more_receiver_keys_that_do_not_fit_than_liars_are_named(run: Run, found: Found) -> None:
    async def story() -> None:
        town = found(FOUR)
        directory = town.state.directory
        for name in ("m-a", "m-c"):
            directory = directory.with_member(with_receiver(directory.member(name), b"nothing", name))
        town.log.state = replace(town.state, directory=directory)
        town.agree()
        async with town.running(["m-b"]):
            while not (problem := town.homes["m-b"].handover.problem):
                await town.breath()
        assert "of 4 members at most 1" in problem
        assert "m-a: this is not an encoded receiver key; m-c: " in problem

    run(story())


def test_commands_that_get_lost_are_submitted_again_as_they_were(run: Run, found: Found) -> None:
    async def story() -> None:
        town = found(FOUR)
        town.loses = 3
        for home in town.homes.values():
            home.handover._pause_s = 0.001
        await town.hand_on()
        for name in town.names:
            for kind in (Deal, Ready):
                assert len(set(posted(town, name, kind))) == 1
        assert town.lost > 8
        town.check_shares()

    run(story())


def test_attempts_that_fail_leave_no_shares_and_the_last_one_deals_anew(
    run: Run, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two attempts go by without a quorum of dealings; then shares, and receivers, are those of the third."""
    monkeypatch.setattr("consensus.control.dealing.DEADLINE_SLOTS", 5)

    async def story() -> None:
        town = found(FOUR, policy=PolicyRow(1, attempt_seconds=10))
        town.agree()
        slow = ["m-a", "m-b"]
        for attempt in range(ATTEMPTS_MAX - 1):
            assert town.state.dealt_for.attempt == attempt
            await town.until(lambda: len(town.state.dealt_for.dealings) == 2, slow)
            town.log.run(6, time_ms=(attempt + 1) * 1_000_000)
        await town.until(lambda: town.ready() == set(town.names), town.names)
        await town.enter()
        assert shares.current(town.homes["m-a"].folder) == Generation(1, ATTEMPTS_MAX - 1)
        assert [one.attempt for one in posted(town, "m-a", Deal)] == [0, 1, 2]
        assert [one.attempt for one in posted(town, "m-a", Ready)] == [2]
        town.check_shares()

    run(story())


def test_a_change_that_is_given_up_leaves_nothing_that_the_next_one_takes(run: Run, found: Found) -> None:
    """Dealt, received and aborted; the next change has the same numbers, and other shares."""

    async def story() -> None:
        town = found(FOUR)
        change_id = town.agree()
        await town.until(lambda: len(town.state.dealt_for.dealings) == 3, ["m-a", "m-b", "m-c"])
        await town.until(lambda: town.ready() >= {"m-a", "m-b"}, ["m-a", "m-b"])
        before = steps.look(town.homes["m-a"].folder)
        assert before.generations == (Generation(0), Generation(1))
        assert town.state.end is None
        refused = town.log.do(*(Abort(one, change_id) for one in rows.ORGANISATIONS[:3]))
        assert refused == ["", "", ""]
        assert town.state.active is None
        for home in town.homes.values():
            home.awake()
        await town.hand_on(town.newcomer("m-x", "org-a"))
        town.check_shares()
        note = steps.look(town.homes["m-a"].folder).received[Generation(1)]
        assert note.transcript == town.state.transcript_digest != before.received[Generation(1)].transcript

    run(story())


def test_wrong_passphrase_is_said_and_ends_nobody(run: Run, found: Found) -> None:
    async def story() -> None:
        town = found(FOUR)
        town.homes["m-a"].awake(passphrase=b"not the right one")
        town.agree()
        others = {"m-b", "m-c", "m-d"}
        await town.until(lambda: town.ready() >= others, town.names)
        assert "wrong passphrase" in town.homes["m-a"].handover.problem
        assert "not the right one" not in repr(town.homes["m-a"].handover)
        assert not town.homes["m-a"].submitted

    run(story())


def test_members_whose_folders_lost_something_go_on(run: Run, found: Found) -> None:
    """One has lost its receiver's secret, another its shares: the rest of what is due they do."""

    async def story() -> None:
        town = found(FOUR)
        folder = town.homes["m-a"].folder
        (own,) = handover.receivers(folder)
        (folder / handover.receiver_file(own)).unlink()
        for path in town.homes["m-b"].folder.glob("share*"):
            path.unlink()
        town.agree()
        await town.until(lambda: town.ready() >= {"m-b", "m-c", "m-d"}, town.names)
        assert [one.member for one in town.state.dealt_for.dealings if one.member == "m-b"] == []
        assert len(posted(town, "m-a", Deal)) == 1
        assert not posted(town, "m-a", Ready)

    run(story())


def test_keys_that_the_ready_members_did_not_name_are_nobodys(run: Run, found: Found) -> None:
    """More lie than may: no member goes on with keys that the others do not have."""

    async def story() -> None:
        town = found(FOUR)
        town.agree()
        await town.until(lambda: town.ready() == set(town.names), town.names)
        assert town.state.end is not None
        town.log.to(town.state.end)
        lied = [replace(one, transcript=b"l" * 32) for one in town.readies]
        state = replace(town.state, active=replace(town.state.dealt_for, readies=tuple(lied)))
        with pytest.raises(KeyFileError, match="more members lie than the alliance tolerates"):
            await town.homes["m-a"].handover.outcome(state)
        outcome = await town.homes["m-a"].handover.outcome(town.state)
        assert outcome.generation == Generation(1)

    run(story())


# -- new keys in place of those that there are -------------------------------------------------------


def test_epoch_new_keys_take_the_place_of_the_present_ones(run: Run, found: Found) -> None:
    """Nobody deals; the members that are ready have shares of other keys, and who slept gets them late."""

    async def story() -> None:
        town = found(FOUR)
        old = town.public
        town.public = town.bring(fresh := town.new_keys())
        await town.hand_on(fresh, silent={"m-b"})
        assert not town.refusals
        assert not {*town.moduli(old)} & {*town.moduli(town.public)}
        assert not any(posted(town, name, Deal) for name in town.homes)
        assert (town.state.dealing, town.state.key_changes) == (1, 1)
        town.check_shares({"m-a", "m-c", "m-d"})
        sleeper = town.homes["m-b"]
        sleeper.config = town.config
        sleeper.awake()
        await town.until(lambda: town.state.transcript is None, ["m-b"])
        town.check_shares()
        await town.hand_on()
        assert (town.state.dealing, town.state.key_changes) == (2, 1)
        town.check_shares()
        assert not town.refusals

    run(story())


@pytest.mark.parametrize("fault", ["modulus", "sizes", "count", "cut", "dealing"])
def test_new_keys_that_cannot_be_are_not_taken(run: Run, found: Found, fault: str) -> None:
    """By nobody: no member is ready, and the epoch goes on as it was."""

    async def story() -> None:
        town = found(FOUR)
        fresh = town.new_keys(fault)
        town.agree(fresh)
        async with town.running(town.names):
            home = town.homes["m-a"]
            async with asyncio.timeout(30):
                while not home.handover.problem:
                    await town.breath()
        assert "the new keys of the change cannot be used" in home.handover.problem
        assert not town.ready()
        assert shares.generations(home.folder) == (Generation(0),)

    run(story())


def test_one_dealers_keys_do_not_take_the_place_of_those_of_several(run: Run, found: Found) -> None:
    """Whatever operators were led to approve: no dealer is to know a key of this alliance."""

    async def story() -> None:
        town = found(FOUR, composite=True)
        town.agree(town.new_keys())
        async with town.running(town.names), asyncio.timeout(30):
            while not all(home.handover.problem for home in town.homes.values()):
                await town.breath()
        assert all("by several dealers" in home.handover.problem for home in town.homes.values())
        assert not town.ready()

    run(story())


@pytest.mark.parametrize("fault", ["receivers", "shares"])
def test_a_share_of_a_new_key_that_is_another_members_is_found_out(
    run: Run, found: Found, fault: str
) -> None:
    """Those that got theirs are ready without it."""

    async def story() -> None:
        town = found(FOUR)
        fresh = town.new_keys(fault)
        town.agree(fresh)
        await town.until(lambda: len(town.ready()) == 2, town.names)
        assert town.ready() == {"m-c", "m-d"}
        async with town.running(["m-a"]), asyncio.timeout(30):
            while not town.homes["m-a"].handover.problem:
                await town.breath()
        assert "is no share of the new keys" in town.homes["m-a"].handover.problem

    run(story())
