"""A member as flooder: real credentials, the handshake, and then whatever costs the others most.

``python -m tests.attacks.member_flood`` founds an alliance of which member-6 is this program, and prints what
its flood costs a client of the others. As ``... attacker`` it is that program, and reads one JSON object:
``folder`` (the member's), ``client`` (a client's, with whom it is in league), ``members``, ``seconds`` and
``core``; it says when it is ready, and begins with the next line.

What it sends, as fast as each link takes it: envelopes of megabytes, full of signed submissions;
small questions with large answers; a Status that claims everything; votes, Reports and shares of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import grpc.aio

from alliance.config import file as config_file
from alliance.config.file import AllianceConfig
from alliance.keys import folder as keys
from alliance.net.channels import GREETING, open_channel
from alliance.pb import peer_pb2 as pb
from alliance.server.gate import Seal
from alliance.server.latest_statements import SignedStatement
from alliance.server.peers import EXCHANGE
from alliance.wire import peer_messages
from alliance.wire.envelope import envelope
from fab_paxos.messages import (
    Accepted,
    Endorsed,
    Fetch,
    FetchBatches,
    FetchState,
    Forward,
    Message,
    ProveShare,
    Report,
    Status,
)
from quorum import AcceptedStatement, Endorsement, GreetingStatement, SuspectStatement
from tests.attacks import measure
from tests.attacks.measure import QUIET_SECONDS, Measured, Watch
from tests.worlds.processes import Cluster, environment, first_line
from verifiable_log import Submission, UnsignedSubmission

ABOUT = "member-6 floods the others over its links: large envelopes, amplification, claims"
SLOWER_MAX = 2.0
FORWARDS, FORWARDED = 7, 4096
AGAIN_SECONDS = 0.1
CLAIM = 2**60


# -- the program of the flooder ----------------------------------------------------------------------


class Flooder:
    """Its seat, and the frames that it sends again and again, made once."""

    def __init__(self, folder: Path, client: Path, passphrase: bytes) -> None:
        self.config: AllianceConfig = config_file.load(folder)
        self.me, member = keys.member_party(self.config, folder)
        self.credentials = keys.load_credentials(folder, member, passphrase)
        self.counts: Counter[str] = Counter()
        self._starts = itertools.count(time.time_ns())
        self._seal = Seal(self.config, self.me, self.credentials.signing_key)
        self.frames = [*map(self._packed, self._small()), *self._large(client, passphrase)]

    def _packed(self, messages: list[Message]) -> bytes:
        return envelope([self._seal.close(message) for message in messages], self.config.epoch)

    def _large(self, client: Path, passphrase: bytes) -> list[bytes]:
        """Full of what its friend, the client, has signed: each signature is checked again and again."""
        party = self.config.client(keys.load_name(client, "client"))
        key = keys.load_credentials(client, party, passphrase).signing_key

        def signed(number: int) -> Submission:
            unsigned = UnsignedSubmission(party.client_id, number, [b"x" * 32])
            return unsigned.sign(key.sign(unsigned.message(self.config.context)))

        numbers = itertools.count(1_000_000)
        forwards = [Forward(tuple(signed(next(numbers)) for _ in range(FORWARDED))) for _ in range(FORWARDS)]
        return [self._packed([forward]) for forward in forwards] + [
            envelope([peer_messages.encode(forward) for forward in forwards], self.config.epoch)
        ]

    def _small(self) -> list[list[Message]]:
        statement = AcceptedStatement(0, 1, bytes(32))
        digests = tuple(number.to_bytes(32, "big") for number in range(16))
        questions: list[Message] = [Fetch(1), FetchState(1024, 0), FetchBatches(digests)]
        return [
            (questions * 1365)[:4096],
            [Status(0, CLAIM, CLAIM, CLAIM)] * 4096,
            [Status(0, 0, 0, 0, active=False)] * 4096,
            [ProveShare(statement), ProveShare(SuspectStatement(0))] * 2048,
            [Accepted(0, slot, slot.to_bytes(32, "big")) for slot in range(1, 2049)],
            [Report(view, None, ()) for view in range(1, 2049)],
            [
                Endorsed(Endorsement(SuspectStatement(view), self.me, b"s" * 256))
                for view in range(10**6, 10**6 + 4096)
            ],
        ]

    async def flood(self, peer: int, end: float) -> None:
        """Over one link after another, each as long as it is let."""
        while time.monotonic() < end:
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
                async with open_channel(self.config.members[peer], self.credentials) as channel:
                    exchange: Any = channel.stream_stream(EXCHANGE)
                    call = exchange(metadata=GREETING)
                    await self._shake_hands(call, peer)
                    self.counts["links"] += 1
                    drained = asyncio.create_task(self._drain(call))
                    try:
                        for frame in itertools.cycle(self.frames):
                            async with asyncio.timeout(end - time.monotonic()):
                                await call.write(frame)
                            self.counts["bytes"] += len(frame)
                    finally:
                        call.cancel()
                        await asyncio.wait([drained])
            await asyncio.sleep(AGAIN_SECONDS)

    async def _drain(self, call: Any) -> None:
        """It takes whatever it is given, so that nothing holds the answers back."""
        with suppress(grpc.aio.AioRpcError, asyncio.CancelledError, asyncio.InvalidStateError):
            while (frame := await call.read()) is not grpc.aio.EOF:
                self.counts["bytes answered"] += len(frame)

    def _step(self, **step: Any) -> bytes:
        return pb.Handshake(engine=pb.FAB_PAXOS, epoch=self.config.epoch, **step).SerializeToString()

    async def _shake_hands(self, call: Any, peer: int) -> None:
        await call.read()
        await call.write(self._step(memory=pb.Memory()))
        await call.read()
        start = GreetingStatement(self.me, peer, next(self._starts), os.urandom(32))
        signature = self.credentials.signing_key.sign(start.encode(self.config.context))
        greeting = SignedStatement(start, signature).encode()
        await call.write(self._step(greeting=greeting))
        await call.read()
        await call.write(self._step(welcome=pb.Welcome()))


async def _attack(flooder: Flooder, members: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    await asyncio.gather(*(flooder.flood(peer, end) for peer in range(members)))


def attacker() -> int:
    job = json.loads(sys.stdin.readline())
    if job["core"] is not None:
        os.sched_setaffinity(0, {job["core"]})
    passphrase = os.environb[b"ALLIANCE_PASSPHRASE"]
    flooder = Flooder(Path(job["folder"]), Path(job["client"]), passphrase)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    asyncio.run(_attack(flooder, job["members"], job["seconds"]))
    sys.stdout.write(json.dumps(flooder.counts) + "\n")
    return 0


# -- the measurement ---------------------------------------------------------------------------------


def member_flood(folder: Path, seconds: float, members: int = 5) -> Measured:
    """Runs it for so long in an empty folder, on so many of the other members."""
    cores = sorted(os.sched_getaffinity(0))
    apart = len(cores) > 1
    if apart:
        os.sched_setaffinity(0, set(cores[1:]))
    got = Measured("member-flood")
    try:
        with ExitStack() as stack:
            cluster = stack.enter_context(Cluster.found(folder / "farm", clients=2))
            cluster.start(*cluster.names[:5])
            flood = stack.enter_context(_flooder())
            home, client = str(cluster.member("member-6")), str(cluster.client_folder("client-2"))
            job = {"folder": home, "client": client, "members": members, "seconds": seconds}
            _say(flood, json.dumps(job | {"core": cores[0] if apart else None}))
            first_line(flood)
            victim = stack.enter_context(measure._process("victim"))
            measure._give(
                victim, folder=str(cluster.client_folder("client-1")), seconds=QUIET_SECONDS + seconds
            )
            begun = json.loads(first_line(victim))["begun"]
            watch = stack.enter_context(Watch([cluster.servers[n] for n in cluster.names[:5]], lambda: None))
            time.sleep(max(0.0, begun + QUIET_SECONDS - time.monotonic()))
            got.before_mib, attacked = watch.peak, time.monotonic()
            _say(flood, "begin")
            told, _ = flood.communicate(timeout=seconds + 60.0)
            got.attackers.append(json.loads(told.splitlines()[-1]) if told else {"failed": 1})
            watch.stop()
            told, _ = victim.communicate(timeout=seconds + 60.0)
            measure._judge(got, json.loads(told), attacked, watch)
            if got.attacked_ms > SLOWER_MAX * got.quiet_ms:
                got.problems.append(f"more than {SLOWER_MAX:g} times as slow")
    finally:
        os.sched_setaffinity(0, set(cores))
    return got


def _flooder() -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tests.attacks.member_flood", "attacker"]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())


def _say(process: subprocess.Popen[bytes], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    process.stdin.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.member_flood", description=ABOUT)
    parser.add_argument("role", nargs="?", choices=["attacker"])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--members", type=int, default=5, help="how many of the others it floods")
    options = parser.parse_args()
    if options.role:
        return attacker()
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
        got = member_flood(Path(folder), options.seconds, options.members)
    sys.stdout.write(json.dumps(got.to_dict()) + "\n")
    return 1 if got.problems else 0


if __name__ == "__main__":
    sys.exit(main())
