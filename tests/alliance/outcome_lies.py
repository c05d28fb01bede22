"""What a villain may answer to a submission, and how else it may be of no use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio

from alliance.pb import client_pb2 as pb
from alliance.wire.certificates import encode_certificate
from quorum import AcceptedStatement, Context, ProgressStatement, QuorumCertificate
from tests.alliance.farm import TIME_MS, Chain, Farm
from tests.alliance.network import Handler, submissions_of
from verifiable_log import Submission


def outcomes(certificate: QuorumCertificate, *items: pb.Outcome) -> bytes:
    return pb.Outcomes(certificate=encode_certificate(certificate), outcomes=items).SerializeToString()


def placed(seq: int, **changes: Any) -> pb.Outcome:
    place = {"slot": 1, "index": 0, "batch_size": 1, "time_ms": TIME_MS + 1} | changes
    return pb.Outcome(client_seq=seq, placement=pb.Placement(**place))


def liar(make: Callable[[Submission, Chain], bytes], farm: Farm) -> Handler:
    """Orders the submission in a log of its own, truly signed or not, and lies about it."""

    async def submit(_: object, context: Any) -> None:
        while submissions := await submissions_of(context):
            await context.write(make(submissions[0], Chain(farm)))

    return submit


def with_certificate(change: Callable[[QuorumCertificate], QuorumCertificate]) -> Any:
    def make(submission: Submission, chain: Chain) -> bytes:
        chain.add(submission)
        return outcomes(change(chain.certificate(1)), placed(submission.client_seq))

    return make


def with_placement(**changes: Any) -> Any:
    def make(submission: Submission, chain: Chain) -> bytes:
        chain.add(submission)
        return outcomes(chain.certificate(1), placed(submission.client_seq, **changes))

    return make


def of_another(submission: Submission, chain: Chain) -> bytes:
    chain.grow(1)
    return outcomes(chain.certificate(1), placed(submission.client_seq))


def of_another_alliance(submission: Submission, chain: Chain) -> bytes:
    chain.add(submission)
    statement = AcceptedStatement(0, 1, chain.root(1))
    foreign = chain.farm.certify(statement, Context(b"o" * 32, 0))
    return outcomes(foreign, placed(submission.client_seq))


def of_another_kind(submission: Submission, chain: Chain) -> bytes:
    return outcomes(chain.farm.certify(ProgressStatement(0, b"d" * 32)), placed(submission.client_seq))


def empty_outcome(submission: Submission, chain: Chain) -> bytes:
    chain.add(submission)
    return outcomes(chain.certificate(1), pb.Outcome(client_seq=submission.client_seq))


def unsigned(submission: Submission, _: Chain) -> bytes:
    return pb.Outcomes(outcomes=[placed(submission.client_seq)]).SerializeToString()


def refusing(reason: pb.Refusal.Reason, detail: str = "no\x1b[2J\nno") -> Any:
    def make(submission: Submission, _: Chain) -> bytes:
        refusal = pb.Refusal(reason=reason, detail=detail)
        outcome = pb.Outcome(client_seq=submission.client_seq, refusal=refusal)
        return pb.Outcomes(outcomes=[outcome]).SerializeToString()

    return make


LIES = {
    "no certificate": unsigned,
    "a bad signature": with_certificate(lambda c: replace(c, signature=bytes(256))),
    "a signature of a wrong length": with_certificate(lambda c: replace(c, signature=c.signature[:-1])),
    "another epoch": with_certificate(lambda c: replace(c, epoch=1)),
    "another slot signed": with_certificate(
        lambda c: replace(c, statement=replace(c.statement, slot=2))  # type: ignore[arg-type]
    ),
    "another alliance": of_another_alliance,
    "another kind of statement": of_another_kind,
    "another submission's place": of_another,
    "an empty outcome": empty_outcome,
    "slot 0": with_placement(slot=0),
    "slot 2": with_placement(slot=2),
    "a huge slot": with_placement(slot=2**64 - 1),
    "index 1": with_placement(index=1),
    "another time stamp": with_placement(time_ms=1),
    "a time stamp out of range": with_placement(time_ms=2**64 - 1),
    "batch of none": with_placement(batch_size=0),
    "batch of 2": with_placement(batch_size=2),
    "batch of 2 with a path": with_placement(batch_size=2, batch_path=[b"h" * 32]),
    "a path too long": with_placement(batch_path=[b"h" * 32]),
    "a path of wrong hashes": with_placement(log_path=[b"h"]),
    "not a message": lambda *_: b"\xff\xff\xff",
    "refuses: invalid": refusing(pb.Refusal.INVALID),
    "refuses: conflict": refusing(pb.Refusal.CONFLICT),
    "refuses: expired": refusing(pb.Refusal.EXPIRED),
    "refuses: busy": refusing(pb.Refusal.BUSY),
    "refuses: unknown reason": refusing(77),  # type: ignore[arg-type]
}


async def closes(_: object, context: Any) -> None:
    await context.read()


async def aborts(_: object, context: Any) -> None:
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "go\naway")


async def raises(_: object, context: Any) -> None:
    await context.read()
    raise ArithmeticError


async def silent(_: object, context: Any) -> None:
    while await submissions_of(context):
        pass


async def chatters(_: object, context: Any) -> None:
    """Never a word about what was asked."""
    while await submissions_of(context):
        await context.write(pb.Outcomes(outcomes=[placed(10**6)] * 3).SerializeToString())
