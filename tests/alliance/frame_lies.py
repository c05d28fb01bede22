"""What a villain may serve to a listener instead of the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from alliance.wire.log_frames import encode_frame
from quorum import AcceptedStatement, Context, ProgressStatement, QuorumCertificate
from tests.alliance.farm import Chain
from tests.alliance.network import Handler
from verifiable_log.log_frame import LogFrame

SLOTS = 20
"""The length of the log that the villain hides."""


def wire(frame: LogFrame, peaks: tuple[bytes, ...] = ()) -> bytes:
    return encode_frame(frame, peaks).SerializeToString()


def serves(make: Callable[[Chain], list[bytes]], chain: Chain) -> Handler:
    """Sends these frames, and then nothing more for as long as anybody listens."""

    async def listen(_: object, context: Any) -> None:
        for data in make(chain):
            await context.write(data)
        await asyncio.Event().wait()

    return listen


def statement(frame: LogFrame) -> AcceptedStatement:
    assert isinstance(frame.certificate.statement, AcceptedStatement)
    return frame.certificate.statement


def altered(**changes: Any) -> Callable[[Chain], list[bytes]]:
    return lambda chain: [wire(replace(chain.frame(1, 6, SLOTS), **changes))]


def signed(**changes: Any) -> Callable[[Chain], list[bytes]]:
    def make(chain: Chain) -> list[bytes]:
        frame = chain.frame(1, 6, SLOTS)
        forged = replace(frame.certificate, statement=replace(statement(frame), **changes))
        return [wire(replace(frame, certificate=forged))]

    return make


def batches(pick: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Callable[[Chain], list[bytes]]:
    def make(chain: Chain) -> list[bytes]:
        frame = chain.frame(1, 6, SLOTS)
        return [wire(replace(frame, batches=pick(frame.batches)))]

    return make


def another_log(chain: Chain) -> list[bytes]:
    other = Chain(chain.farm).grow(6, first_seq=100)
    return [wire(replace(chain.frame(1, 6, SLOTS), batches=other.frame(1, 6, 6).batches))]


def another_kind(chain: Chain) -> list[bytes]:
    progress = chain.farm.certify(ProgressStatement(0, b"d" * 32))
    return [wire(replace(chain.frame(1, 6, SLOTS), certificate=progress))]


def own_log(forge: Callable[[AcceptedStatement, Chain], QuorumCertificate]) -> Callable[[Chain], list[bytes]]:
    """A log that fits together in all but its signature: every hash is right."""

    def make(chain: Chain) -> list[bytes]:
        other = Chain(chain.farm).grow(6, first_seq=100)
        statement = AcceptedStatement(0, 6, other.root(6))
        batches = tuple(entry.batch for entry in other.entries)
        return [wire(LogFrame(1, batches, forge(statement, chain), ()))]

    return make


LIES: dict[str, Callable[[Chain], list[bytes]]] = {
    "another log": another_log,
    "its own log, unsigned": own_log(lambda s, _: QuorumCertificate(0, s, bytes(256))),
    "its own log, with an old signature": own_log(
        lambda s, chain: QuorumCertificate(0, s, chain.certificate(SLOTS).signature)
    ),
    "its own log, with one member's share": own_log(
        lambda s, chain: QuorumCertificate(0, s, chain.farm.endorse(0, s).signature[:256])
    ),
    "its own log, truly signed, as one of another epoch": own_log(
        lambda s, chain: replace(chain.farm.certify(s), epoch=1)
    ),
    "the log of another alliance": own_log(lambda s, chain: chain.farm.certify(s, Context(b"o" * 32, 0))),
    "a batch left out": batches(lambda b: b[:2] + b[3:]),
    "two batches exchanged": batches(lambda b: (b[1], b[0], *b[2:])),
    "a batch twice": batches(lambda b: (b[0], b[0], *b[1:])),
    "another time stamp": batches(lambda b: (*b[:2], replace(b[2], time_ms=b[2].time_ms + 1), *b[3:])),
    "no batch": batches(lambda b: ()),
    "a longer frame than its cover": lambda c: [
        wire(replace(c.frame(1, 6, SLOTS), cover=c.frame(1, 7, SLOTS).cover))
    ],
    "no cover": altered(cover=()),
    "a wrong cover": altered(cover=(b"x" * 32,) * 3),
    "a long cover": altered(cover=(b"x" * 32,) * 64),
    "a later slot": lambda c: [wire(c.frame(2, 6, SLOTS))],
    "its batches under another slot": altered(first_slot=2),
    "another slot signed": signed(slot=SLOTS + 1),
    "another root signed": signed(root=b"r" * 32),
    "a certificate below its batches": lambda c: [
        wire(replace(c.frame(1, 6, SLOTS), certificate=c.certificate(3)))
    ],
    "another kind of statement": another_kind,
    "not a message": lambda c: [b"\xff\xff\xff"],
    "an empty message": lambda c: [b""],
    "an old frame after a true one": lambda c: [wire(c.frame(1, 6, SLOTS)), wire(c.frame(1, 6, SLOTS))],
    "a gap after a true frame": lambda c: [wire(c.frame(1, 6, SLOTS)), wire(c.frame(8, 9, SLOTS))],
    "another log after a true frame": lambda c: [wire(c.frame(1, 6, SLOTS)), *another_log(c)],
    "the end, a true frame and nothing": lambda c: [],
}
