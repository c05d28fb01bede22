"""Broadcast: what a message is, slow subscribers, and the command line with real servers."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance import cli
from alliance.client import client as client_module
from alliance.proofs.receipt import Receipt, load_public_key
from examples.broadcast import InvalidMessage, publish, subscribe
from examples.broadcast.chat import chat
from examples.broadcast.commands import PROGRAM, app
from examples.broadcast.message import MAGIC, decode, encode
from tests.alliance.conftest import Run
from tests.worlds.processes import PASSPHRASE, READY_SECONDS, STOP_SECONDS, Cluster, environment, started

KILLS = 2
ROOT = Path(__file__).resolve().parents[2]


@settings(max_examples=50, deadline=None)
@given(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._/-]{0,63}\Z"), st.binary())
def test_a_message_comes_out_as_it_went_in(topic: str, payload: bytes) -> None:
    assert decode(encode(topic, payload)) == (topic, payload)


@settings(max_examples=100, deadline=None)
@given(st.binary() | st.binary().map(lambda rest: MAGIC + rest))
def test_any_command_reads_as_one_message_or_none(command: bytes) -> None:
    decoded = decode(command)
    assert decoded is None or encode(*decoded) == command


@pytest.mark.parametrize("topic", ["", " ", "a b", "-x", "/x", "ä", "a\n", "x" * 65, "\udc80", "\x1b[2J"])
def test_a_topic_that_is_none_is_refused(topic: str) -> None:
    with pytest.raises(InvalidMessage, match="no topic"):
        encode(topic, b"payload")
    written = topic.encode("utf-8", "surrogateescape")
    assert decode(MAGIC + bytes([len(written)]) + written + b"payload") is None


# -- real servers ---------------------------------------------------------------------------------------


def broadcast(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "examples.broadcast", *map(str, arguments)]


def done(*arguments: str | Path, stdin: bytes = b"", code: int = 0) -> subprocess.CompletedProcess[bytes]:
    result = subprocess.run(
        broadcast(*arguments),
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        env=environment(),
        timeout=READY_SECONDS,
    )
    assert result.returncode == code, result.stderr
    return result


def test_a_subscriber_process_that_is_killed_goes_on_in_its_file(cluster: Cluster, tmp_path: Path) -> None:
    """SIGKILL, with whatever it was doing, while one server is down, too. The file ends complete."""
    dice = Random(5)
    count = 120
    lines = [b"message %3d\n" % number for number in range(count)]
    with cluster.client("client-1") as client:
        for _ in client.propose_all(encode("gates/north", line[:-1]) for line in lines):
            pass
        client.propose(encode("gossip", b"not for everybody"))
    cluster.kill("member-1")
    out = tmp_path / "out"
    arguments = ("-t", "gates/north", "--cursor", tmp_path / "cursor", "--into", out)
    folder = cluster.client_folder("client-2")
    for kill in range(KILLS):
        words = broadcast("subscribe", folder, *arguments, "--follow")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with started(words, cwd=ROOT, env=environment(), **quiet) as process:
            goal = (kill + 1) * sum(map(len, lines)) // (KILLS + 1) - dice.randrange(100)
            deadline = time.monotonic() + READY_SECONDS
            while (there := out.stat().st_size if out.exists() else 0) < goal:
                with pytest.raises(subprocess.TimeoutExpired):  # it does not end by itself
                    process.wait(0.005)
                late = f"{there} bytes of {goal} within {READY_SECONDS:g} s, in the run before kill {kill}"
                assert time.monotonic() < deadline, late
            process.send_signal(signal.SIGKILL)
            assert process.wait(STOP_SECONDS) == -signal.SIGKILL
    cluster.start("member-1")
    cluster.await_level(*cluster.names)
    done("subscribe", folder, *arguments)
    assert out.read_bytes() == b"".join(lines)


def test_the_command_line_publishes_and_tells_with_proofs(cluster: Cluster, tmp_path: Path) -> None:
    first, second = cluster.client_folder("client-1"), cluster.client_folder("client-2")
    proof = tmp_path / "proof.json"
    said = done("publish", first, "proofs", "one", "two", "--receipt", proof, "-o", "json").stdout
    places = [json.loads(line) for line in said.splitlines()]
    assert [place["topic"] for place in places] == ["proofs", "proofs"]
    key = load_public_key(cluster.config.key.to_pem())
    (tmp_path / "proofs").mkdir()
    cluster.await_level(*cluster.names)  # the second client knows of no receipt of the first one's
    options = ("-t", "proofs", "--cursor", tmp_path / "cursor", "-o", "json", "--proofs", tmp_path / "proofs")
    told = [json.loads(line) for line in done("subscribe", second, *options).stdout.splitlines()]
    assert [(m["message"], m["publisher"]) for m in told] == [("one", "client-1"), ("two", "client-1")]
    assert [{k: m[k] for k in places[0]} for m in told] == places
    for message in told:
        name = "{slot}-{position}-{command_index}.json".format(**message)
        receipt = Receipt.from_json((tmp_path / "proofs" / name).read_bytes())
        receipt.verify(key)
        assert decode(receipt.command) == ("proofs", message["message"].encode())
    assert Receipt.from_json(proof.read_bytes()).command == encode("proofs", b"two")
    assert done("subscribe", second, *options).stdout == b""


def test_wrong_usage_is_one_line_and_sends_nothing(
    cluster: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = str(cluster.client_folder("client-1"))
    assert cli.run(["publish", folder, "no topic", "x", "-o", "json"], app, PROGRAM) == 2
    assert "no topic" in json.loads(capfd.readouterr().err)["error"]
    assert cli.run(["subscribe", folder, "--into", "x"], app, PROGRAM) == 2
    assert "--cursor" in capfd.readouterr().err


def test_two_chat_and_see_the_same(cluster: Cluster, run: Run, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"hello\nanybody?\n")
    (tmp_path / "two").write_bytes(b"\x1b[2Jhi\n")
    seen: list[list[str]] = [[], []]

    async def talk(number: int, name: str) -> None:
        secret = PASSPHRASE.encode()
        with (tmp_path / name).open(encoding="utf-8") as typed:
            async with await client_module.connect(
                cluster.client_folder(f"client-{number + 1}"), secret
            ) as client:
                await chat(client, "room", 1, typed, seen[number].append)

    async def scenario() -> None:
        await asyncio.gather(talk(0, "one"), talk(1, "two"))

    run(scenario())
    shorter, longer = sorted(seen, key=len)
    assert longer[: len(shorter)] == shorter
    mine = [line.partition("client-1: ")[2] for line in seen[0] if "client-1" in line]
    assert mine == ["(came)", "hello", "anybody?"]
    assert any(line.endswith("client-2: \\x1b[2Jhi") for line in seen[1])


def test_a_slow_subscriber_holds_up_nobody(cluster: Cluster, run: Run) -> None:
    """It reads one message and no more; another one hears everything, and then it hears everything, too."""
    count, size = 60, 100_000

    async def scenario() -> None:
        secret = PASSPHRASE.encode()
        async with (
            await client_module.connect(cluster.client_folder("client-1"), secret) as publisher,
            await client_module.connect(cluster.client_folder("client-2"), secret) as hearer,
        ):
            before = (await publish(publisher, "bulk", b"first")).slot
            slow = subscribe(hearer, ["bulk"], start=before)
            async with aclosing(slow):
                assert (await anext(slow)).payload == b"first"
                payloads = [bytes([number]) * size for number in range(count)]
                for begin in range(0, count, 20):
                    await asyncio.gather(
                        *(publish(publisher, "bulk", p) for p in payloads[begin : begin + 20])
                    )
                async with aclosing(subscribe(publisher, ["bulk"], start=before)) as fast:
                    heard = [(await anext(fast)).payload for _ in range(count + 1)]
                assert sorted(heard[1:]) == payloads
                assert [(await anext(slow)).payload for _ in range(count)] == heard[1:]

    run(scenario())


@pytest.mark.parametrize("name", ["publish", "subscribe", "chat"])
def test_help_teaches(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"], app, PROGRAM) == 0
    text = capsys.readouterr().out
    assert f"$ {PROGRAM} {name}" in text
    assert "Exit codes" in text
