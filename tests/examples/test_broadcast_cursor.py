"""A subscriber that is killed at any moment goes on where it stopped; a liar's repetitions count once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from alliance import LogEntry
from alliance.client.listener import Listener
from alliance.proofs.receipt import Receipt, key_fingerprint, load_public_key
from examples.broadcast import Cursor, CursorError, Message, OutputFile, subscribe
from examples.broadcast import cursor as cursor_module
from examples.broadcast import seen as seen_module
from examples.broadcast.message import Place, encode
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm
from tests.alliance.network import Doors, Office, serving
from verifiable_log import limits

TOPICS = ("news", "gates/north")
SLOTS = 60
KILLS = 100


class Killed(BaseException):
    """The process is gone: no clean-up of its own runs."""


class Source:
    """What ``Client.listen`` is, over the real listener and the server of a test."""

    def __init__(self, farm: Farm, doors: Doors, until: int = SLOTS) -> None:
        self._farm, self._doors, self._until = farm, doors, until
        self._fingerprint = key_fingerprint(load_public_key(farm.config.key.to_pem()))

    async def listen(self, start: int = 1, *, follow: bool = True, server: str | None = None) -> Any:
        listener = Listener(self._farm.config, self._doors, start, None)
        async with aclosing(listener.entries(self._until)) as entries:
            async for entry in entries:
                yield entry


def eventful_log(chain: Chain, seed: int) -> Chain:
    """Two clients, two topics, other applications; a leader repeats old submissions, and conflicting ones."""
    dice, farm = Random(seed), chain.farm
    past: list[Any] = []
    numbers = [0, 0]
    while len(chain.entries) < SLOTS:
        batch = []
        for _ in range(dice.randrange(1, 5)):
            if past and dice.random() < 0.3:
                batch.append(dice.choice(past))  # repeated
                continue
            client = dice.randrange(2)
            # Sometimes far ahead: what was skipped expires, and so do the repetitions of before.
            numbers[client] += dice.choice((1, 1, 1, 2, 700))
            seq = numbers[client] - (dice.randrange(1500) if dice.random() < 0.2 else 0)
            commands = [
                b"of another application"
                if dice.random() < 0.2
                else encode(dice.choice((*TOPICS, "gossip")), b"%d.%d of %d" % (seq, index, client))
                for index in range(dice.randrange(1, 4))
            ]
            past.append(farm.submission(max(seq, 0), *commands, client=client))
            batch.append(past[-1])
        chain.add(*batch)
    return chain


@pytest.fixture(scope="module")
def log(farm: Farm) -> Chain:
    return eventful_log(Chain(farm), 7)


@pytest.fixture
def office(tmp_path: Path, log: Chain) -> Iterator[Office]:
    office = Office(tmp_path / "journal.sqlite", log)
    office.tell_all()
    yield office
    office.journal.close()


@asynccontextmanager
async def source(farm: Farm, office: Office) -> AsyncIterator[Source]:
    async with serving(farm, 0, office) as port, Doors(farm, {0: port}) as doors:
        yield Source(farm, doors)


def line(message: Message) -> bytes:
    return b"%d %d %d %s %s\n" % (*message.place, message.topic.encode(), message.payload)


async def everything(origin: Source, topics: tuple[str, ...] | None = TOPICS) -> list[Message]:
    """One subscriber that nobody disturbs: the truth."""
    async with aclosing(subscribe(origin, topics)) as messages:
        return [message async for message in messages]


def cursor_at(folder: Path, farm: Farm, topics: tuple[str, ...] | None = TOPICS) -> Cursor:
    return Cursor(folder / "cursor", farm.config.alliance_id, topics)


def test_the_window_is_that_of_the_protocol() -> None:
    assert seen_module.CLIENT_WINDOW == limits.CLIENT_WINDOW


def test_the_log_of_these_tests_is_worth_its_while(farm: Farm, office: Office, run: Run) -> None:
    """Without its memory a subscriber that begins in the middle would hear old messages again."""

    async def scenario() -> None:
        async with source(farm, office) as origin:
            told = await everything(origin, None)
            before = {m.payload for m in told if m.slot < SLOTS // 2}
            async with aclosing(subscribe(origin, None, start=SLOTS // 2)) as messages:
                again = [m async for m in messages if m.payload in before]
        assert len(told) > 100
        assert len(again) > 3

    run(scenario())


def test_a_subscriber_that_is_killed_a_hundred_times_misses_and_repeats_nothing(
    farm: Farm, office: Office, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any of its steps: in the middle of a write, before and after each sync, between two messages."""
    dice = Random(100)
    fuse = [0]
    write, sync = os.pwrite, os.fsync
    monkeypatch.setattr(cursor_module, "PASSED_MAX", 3)

    def step() -> None:
        fuse[0] -= 1
        if fuse[0] == 0:
            raise Killed

    def torn_write(file: int, data: bytes, offset: int) -> int:
        fuse[0] -= 1
        if fuse[0] == 0:
            write(file, data[: dice.randrange(len(data) + 1)], offset)
            raise Killed
        return write(file, data, offset)

    def killed_sync(file: int) -> None:
        step()
        sync(file)

    monkeypatch.setattr(os, "pwrite", torn_write)
    monkeypatch.setattr(os, "fsync", killed_sync)

    async def live(origin: Source) -> None:
        with cursor_at(tmp_path, farm) as cursor, OutputFile(tmp_path / "out", cursor) as file:
            async with aclosing(subscribe(origin, cursor=cursor)) as messages:
                async for message in messages:
                    step()
                    file.append(message, line(message))
                    step()

    async def scenario() -> None:
        kills = 0
        async with source(farm, office) as origin:
            expected = [line(message) for message in await everything(origin)]
            steps = 4 * len(expected)
            while True:
                fuse[0] = dice.randrange(1, 2 * steps // KILLS) if kills < KILLS else -1
                try:
                    await live(origin)
                    if kills >= KILLS:
                        break
                    # It came to the end: what is there is all of it, and the rest of the kills find it so.
                    assert (tmp_path / "out").read_bytes() == b"".join(expected)
                    for name in ("cursor", "cursor-wal", "out"):
                        (tmp_path / name).unlink(missing_ok=True)
                except Killed:
                    kills += 1
            assert (tmp_path / "out").read_bytes() == b"".join(expected)
        assert kills == KILLS

    run(scenario())


def test_work_in_the_same_file_is_done_exactly_once_and_undone_with_its_message(
    farm: Farm, office: Office, tmp_path: Path, run: Run
) -> None:
    dice = Random(3)

    async def live(origin: Source) -> None:
        with cursor_at(tmp_path, farm) as cursor:
            async with aclosing(subscribe(origin, cursor=cursor)) as messages:
                async for message in messages:
                    with cursor.handing_over(message) as database:
                        database.execute("CREATE TABLE IF NOT EXISTS mine (payload BLOB)")
                        database.execute("INSERT INTO mine VALUES (?)", (message.payload,))
                        if dice.random() < 0.2:
                            raise Killed

    async def scenario() -> None:
        async with source(farm, office) as origin:
            kills = 0
            while True:
                try:
                    await live(origin)
                    break
                except Killed:
                    kills += 1
            assert kills > 5
            expected = [(message.payload,) for message in await everything(origin)]
        with cursor_at(tmp_path, farm) as cursor, cursor.transaction() as database:
            assert database.execute("SELECT payload FROM mine ORDER BY rowid").fetchall() == expected

    run(scenario())


def test_a_message_that_was_not_taken_holds_up_those_after_it(
    farm: Farm, office: Office, tmp_path: Path, run: Run
) -> None:
    """A block that raised, and a program that goes on all the same, must not lose a message."""

    async def scenario() -> None:
        async with source(farm, office) as origin:
            first, second, third, *_ = await everything(origin)
            with cursor_at(tmp_path, farm) as cursor:
                async with aclosing(subscribe(origin, cursor=cursor)) as messages:
                    with (
                        pytest.raises(CursorError, match="not of this subscription"),
                        cursor.handing_over(first),
                    ):
                        pass
                    message = await anext(messages)
                    with pytest.raises(ZeroDivisionError), cursor.handing_over(message):
                        raise ZeroDivisionError
                    with (
                        pytest.raises(CursorError, match="subscribe again"),
                        cursor.handing_over(await anext(messages)),
                    ):
                        pass
                async with aclosing(subscribe(origin, cursor=cursor)) as messages:
                    assert (await anext(messages)).place == first.place
                    assert (await anext(messages)).place == second.place
                    with cursor.handing_over(second):  # and with it the one before
                        pass
                    with pytest.raises(CursorError, match="before"), cursor.handing_over(second):
                        pass
                async with aclosing(subscribe(origin, cursor=cursor)) as messages:
                    assert (await anext(messages)).place == third.place

    run(scenario())


def test_each_message_has_its_proof(farm: Farm, office: Office, run: Run) -> None:
    key = load_public_key(farm.config.key.to_pem())

    async def scenario() -> None:
        async with source(farm, office) as origin:
            for message in await everything(origin):
                receipt = Receipt.from_json(message.receipt().to_json())
                receipt.verify(key)
                assert receipt.command == encode(message.topic, message.payload)
                assert (receipt.slot, receipt.position, receipt.command_index) == message.place

    run(scenario())


def test_memory_and_the_file_stay_bounded(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a client that sends forever, a window is kept; of what is passed over, nothing waits for long."""
    monkeypatch.setattr(cursor_module, "PASSED_MAX", 100)
    proof: Any = None
    with cursor_at(tmp_path, farm) as cursor:
        for number in range(3001):
            assert cursor.admit(LogEntry(1 + number, 0, 0, "client-1", number, b"other", bytes(32), 0, proof))
        assert cursor.place == (3000, 0, 0)
        with cursor.transaction() as database:
            assert database.execute("SELECT count(*) FROM seen").fetchone() == (limits.CLIENT_WINDOW,)
    with cursor_at(tmp_path, farm) as cursor:
        for number, slot in ((2500, 3001), (1000, 3001), (3000, 3001)):
            new = number == 3000
            assert (
                cursor.admit(LogEntry(slot, number, 0, "client-1", number, b"other", bytes(32), 0, proof))
                is new
            )


def test_forgetting_to_hand_over_is_an_error_and_no_leak(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cursor_module, "OUTSTANDING_MAX", 50)
    proof: Any = None
    with cursor_at(tmp_path, farm) as cursor:
        entries = [
            LogEntry(n, 0, 0, "client-1", n, encode("news", b""), bytes(32), 0, proof) for n in range(1, 60)
        ]
        for entry in entries[:50]:
            assert cursor.admit(entry)
            cursor.offered(Message("news", b"", "client-1", (entry.slot, 0, 0), entry))
        with pytest.raises(CursorError, match="50 commands"):
            cursor.admit(entries[50])


# -- what must not be opened ----------------------------------------------------------------------------


def test_a_cursor_is_of_one_subscription_of_one_process(farm: Farm, tmp_path: Path) -> None:
    with cursor_at(tmp_path, farm), pytest.raises(CursorError, match="another process"):
        cursor_at(tmp_path, farm)
    with pytest.raises(CursorError, match="another subscription"):
        cursor_at(tmp_path, farm, ("news",))
    with pytest.raises(CursorError, match="another subscription"):
        cursor_at(tmp_path, farm, None)
    with pytest.raises(CursorError, match="another alliance"):
        Cursor(tmp_path / "cursor", b"x" * 32, TOPICS)
    with pytest.raises(CursorError, match="slots count from 1"):
        Cursor(tmp_path / "other", b"x" * 32, TOPICS, 0)
    with pytest.raises(CursorError, match="cannot be opened"):
        cursor_at(tmp_path / "nowhere", farm)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "cursor").write_bytes(b"a file of something else" * 100)
    with pytest.raises(CursorError, match="is it the right file"):
        cursor_at(tmp_path / "text", farm)
    with cursor_at(tmp_path, farm) as cursor:
        assert cursor.place == (1, -1, -1)


def test_a_file_that_is_not_the_cursors_is_left_alone(farm: Farm, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"somebody's work")
    with cursor_at(tmp_path, farm) as cursor:
        with pytest.raises(CursorError, match="exists"):
            OutputFile(out, cursor)
        assert out.read_bytes() == b"somebody's work"
        out.unlink()
        proof: Any = None
        entry = LogEntry(1, 0, 0, "client-1", 1, encode("news", b"x"), bytes(32), 0, proof)
        message = Message("news", b"x", "client-1", (1, 0, 0), entry)
        with OutputFile(out, cursor) as file:
            cursor.admit(entry)
            cursor.offered(message)
            file.append(message, b"line\n")
    out.write_bytes(b"line\nand half of ano")
    with cursor_at(tmp_path, farm) as cursor:
        OutputFile(out, cursor).close()
        assert out.read_bytes() == b"line\n"
        out.write_bytes(b"li")
        with pytest.raises(CursorError, match="restore it"):
            OutputFile(out, cursor)


def test_places_have_the_order_of_the_log() -> None:
    places: list[Place] = [(1, -1, -1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (2, 0, 0)]
    assert places == sorted(places)
