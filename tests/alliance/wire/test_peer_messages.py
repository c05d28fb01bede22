"""The wire takes exactly what a correct member sends, and refuses all else in one way: Malformed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.pb import peer_pb2 as pb
from alliance.server.peers import FLUSH_BYTES
from alliance.wire import peer_messages
from alliance.wire.bounds import ENVELOPE_BYTES_MAX, PROOF_HASHES_MAX, SHARE_BYTES_MAX, SLOT_MAX, Malformed
from alliance.wire.envelope import ENVELOPE_MESSAGES_MAX, Mismatch, envelope, open_envelope
from alliance.wire.log_frames import FRAME_SLOTS_MAX, decode_frame, encode_frame
from fab_paxos.messages import Forward, Message, Propose
from fab_paxos.view_change import FETCH_BATCHES_MAX
from quorum import AcceptedStatement, CheckpointStatement, JointStatement, ProgressStatement, SuspectStatement
from tests.alliance import strategies
from tests.alliance.farm import TIME_MS
from tests.alliance.strategies import SENDER
from verifiable_log import Batch, UnsignedSubmission
from verifiable_log.limits import (
    BATCH_BYTES_MAX,
    BATCH_SUBMISSIONS_MAX,
    STATE_ITEMS_MAX,
    STATE_PART_BYTES,
    SUBMISSION_BYTES_MAX,
    TIME_MS_MAX,
)
from verifiable_log.submission import submission_bytes

many = settings(max_examples=300, deadline=None, derandomize=True, database=None)

SUBMISSION = UnsignedSubmission(b"c" * 32, 7, [b"one", b"two"]).sign(b"s" * 64).encoded
STATEMENT = AcceptedStatement(0, 5, b"r" * 32)
DIGEST, SIGNATURE = b"d" * 32, b"s" * 64


def certificate(**changes: Any) -> pb.Certificate:
    fields = {"tag": STATEMENT.TAG, "fields": STATEMENT.fields(), "signature": b"q" * 256}
    return pb.Certificate(**(fields | changes))


def certificate_of(statement: JointStatement) -> pb.Certificate:
    return certificate(tag=statement.TAG, fields=statement.fields())


def batch(*submissions: bytes) -> pb.Batch:
    return pb.Batch(submissions=submissions, time_ms=TIME_MS)


def valid() -> dict[str, Any]:
    """One valid body of each kind, by its name in PeerMessage."""
    return {
        "propose": pb.Propose(slot=1, root=DIGEST, batch=batch(SUBMISSION), signature=SIGNATURE),
        "accepted": pb.Accepted(slot=1, root=DIGEST, signature=SIGNATURE),
        "certify_request": pb.CertifyRequest(slot=1),
        "endorsement": pb.Endorsement(tag=STATEMENT.TAG, fields=STATEMENT.fields(), share=b"s"),
        "certified": certificate(),
        "prove_share": pb.ProveShare(tag=STATEMENT.TAG, fields=STATEMENT.fields()),
        "status": pb.Status(accepted=3, decided=2, certified=1),
        "fetch": pb.Fetch(first_slot=1),
        "log_frame": pb.LogFrame(first_slot=1, batches=[batch()], certificate=certificate(), cover=[DIGEST]),
        "forward": pb.Forward(submissions=[SUBMISSION]),
        "report": report(),
        "new_view": pb.NewView(
            view=2,
            reports=[pb.MemberReport(member=1, report=report())],
            vector=[DIGEST],
            signature=SIGNATURE,
        ),
        "fetch_batches": pb.FetchBatches(digests=[DIGEST]),
        "batches": pb.Batches(batches=[batch(SUBMISSION)]),
        "progress": pb.Progress(
            view=2,
            reports_digest=DIGEST,
            base=certificate(),
            vector=[DIGEST],
            certificate=certificate_of(ProgressStatement(2, DIGEST)),
        ),
        "offer": pb.Offer(
            checkpoint=certificate_of(CheckpointStatement(4, DIGEST, DIGEST)),
            peaks=[DIGEST],
            leaves=[DIGEST],
            certificate=certificate(),
            cover=[DIGEST],
        ),
        "fetch_state": pb.FetchState(slot=1, first=0),
        "state_part": pb.StatePart(slot=1, first=0, items=[b"item"]),
    }


def reported(slot: int, view: int = 1, digest: bytes = b"d" * 32) -> pb.ReportedEntry:
    return pb.ReportedEntry(slot=slot, view=view, batch_digest=digest)


def report(*entries: pb.ReportedEntry, **fields: Any) -> pb.Report:
    """Above the certificate's slot, from an earlier view."""
    first = STATEMENT.slot
    held = list(entries) or [reported(first + 1), reported(first + 2)]
    return pb.Report(**{"view": 2, "base": certificate(), "entries": held, "signature": SIGNATURE, **fields})


def spoil(kind: str, **fields: Any) -> bytes:
    """A valid message with these fields replaced."""
    body = valid()[kind]
    for name, value in fields.items():
        body.ClearField(name)
        target = getattr(body, name)
        if isinstance(value, list):
            target.extend(value)
        elif hasattr(target, "CopyFrom"):
            target.CopyFrom(value)
        else:
            setattr(body, name, value)
    return pb.PeerMessage(**{kind: body}).SerializeToString()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 2_097_151, 2_097_152])
def test_an_envelope_is_what_protobuf_makes_of_it(size: int) -> None:
    """It is laid into the wire format by hand; lengths take one byte more at each of these sizes."""
    messages = [b"m" * size, b"", b"n" * size]
    for epoch in (0, 1, 2**64 - 1):
        made = pb.Envelope(messages=messages, engine=pb.FAB_PAXOS, epoch=epoch)
        assert envelope(messages, epoch) == made.SerializeToString()


@pytest.mark.parametrize("size", [1, 10, 20, 128, 16_000, 16_384, 200_000])
def test_what_is_large_is_laid_out_as_protobuf_reads_it(size: int) -> None:
    whole = [UnsignedSubmission(b"c" * 32, seq, [b"x" * size]).sign(b"s" * 64) for seq in range(3)]
    proposed = pb.PeerMessage.FromString(
        peer_messages.encode(Propose(4, 5, Batch.of(whole), DIGEST, SIGNATURE))
    ).propose
    assert (proposed.view, proposed.slot, proposed.root, proposed.signature) == (4, 5, DIGEST, SIGNATURE)
    assert list(proposed.batch.submissions) == [submission.encoded for submission in whole]
    forwarded = pb.PeerMessage.FromString(peer_messages.encode(Forward(tuple(whole)))).forward
    assert list(forwarded.submissions) == [submission.encoded for submission in whole]


@many
@given(strategies.messages)
def test_every_message_comes_back_as_it_left(message: Message) -> None:
    assert peer_messages.decode(SENDER, peer_messages.encode(message)) == message


@pytest.mark.parametrize("kind", list(valid()))
def test_the_bodies_that_are_spoilt_below_are_valid_themselves(kind: str) -> None:
    peer_messages.decode(SENDER, spoil(kind))


def test_every_kind_of_message_is_among_them() -> None:
    assert set(valid()) == {field.name for field in pb.PeerMessage.DESCRIPTOR.fields}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("status", {"stable": 3}),
        ("progress", {"certificate": certificate()}),
        ("progress", {"base": certificate_of(SuspectStatement(1))}),
        ("progress", {"reports_digest": b"d"}),
        ("progress", {"vector": [DIGEST] * (peer_messages.REPORT_ENTRIES_MAX + 1)}),
        ("offer", {"checkpoint": certificate()}),
        ("offer", {"certificate": certificate_of(SuspectStatement(1))}),
        ("offer", {"peaks": [DIGEST] * 65}),
        ("offer", {"cover": [DIGEST] * 65}),
        ("offer", {"leaves": [b"d"]}),
        ("offer", {"leaves": [DIGEST] * (STATE_ITEMS_MAX + 1)}),
        ("fetch_state", {"slot": 0}),
        ("state_part", {"slot": 0}),
        ("state_part", {"items": []}),
        ("state_part", {"items": [bytes(STATE_PART_BYTES), bytes(50_000)]}),
    ],
)
def test_what_no_correct_member_says_about_checkpoints_is_refused(kind: str, fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        peer_messages.decode(SENDER, spoil(kind, **fields))


BAD_DIGESTS = [b"", b"d" * 31, b"d" * 33]
BAD_SIGNATURES = [b"", b"s" * 63, b"s" * 65]
BAD_SLOTS = [0, SLOT_MAX + 1, 2**64 - 1]
BAD_TAGS = [0, 2, 0x40, 0x44, 2**32 - 1]
BAD_FIELDS = [b"", STATEMENT.fields()[:-1], STATEMENT.fields() + b"x", SuspectStatement(1).fields()]
BAD_SUBMISSIONS = [
    b"",
    SUBMISSION[:-1],
    SUBMISSION + b"x",
    SUBMISSION[:40] + bytes(4) + SUBMISSION[44:],
    SUBMISSION[:40] + b"\xff" * 4 + SUBMISSION[44:],
    SUBMISSION[:44] + b"\xff" * 4 + SUBMISSION[48:],
    b"x" * (SUBMISSION_BYTES_MAX + 1),
]
BAD_BATCHES = [
    *(batch(bad) for bad in BAD_SUBMISSIONS),
    batch(*[SUBMISSION] * (BATCH_SUBMISSIONS_MAX + 1)),
    pb.Batch(submissions=[SUBMISSION], time_ms=TIME_MS_MAX + 1),
]
BAD_CERTIFICATES = [
    *(certificate(tag=tag) for tag in BAD_TAGS),
    *(certificate(fields=fields) for fields in BAD_FIELDS),
    certificate(signature=b""),
    certificate(signature=b"q" * (SHARE_BYTES_MAX + 1)),
]
BAD_ENTRIES = [
    [reported(STATEMENT.slot)],  # covered by the base
    [reported(STATEMENT.slot + 2), reported(STATEMENT.slot + 1)],
    [reported(STATEMENT.slot + 1), reported(STATEMENT.slot + 1)],
    [reported(STATEMENT.slot + peer_messages.REPORT_ENTRIES_MAX + 1)],
    [reported(STATEMENT.slot + 1, view=2)],  # accepted in the view that is only being entered
    *([reported(STATEMENT.slot + 1, digest=digest)] for digest in BAD_DIGESTS),
]
MALFORMED = [
    *(("propose", {"slot": slot}) for slot in BAD_SLOTS),
    *(("propose", {"root": root}) for root in BAD_DIGESTS),
    *(("propose", {"signature": signature}) for signature in BAD_SIGNATURES),
    *(("propose", {"batch": bad}) for bad in BAD_BATCHES),
    *(("accepted", {"slot": slot}) for slot in BAD_SLOTS),
    *(("accepted", {"root": root}) for root in BAD_DIGESTS),
    *(("accepted", {"signature": signature}) for signature in BAD_SIGNATURES),
    *(("certify_request", {"slot": slot}) for slot in BAD_SLOTS),
    *(("endorsement", {"tag": tag}) for tag in BAD_TAGS),
    *(("endorsement", {"fields": fields}) for fields in BAD_FIELDS),
    ("endorsement", {"share": b""}),
    ("endorsement", {"share": b"s" * (SHARE_BYTES_MAX + 1)}),
    *(
        ("certified", {"tag": bad.tag, "fields": bad.fields, "signature": bad.signature})
        for bad in BAD_CERTIFICATES
    ),
    *(("prove_share", {"tag": tag}) for tag in BAD_TAGS),
    *(("prove_share", {"fields": fields}) for fields in BAD_FIELDS),
    ("status", {"certified": 3}),
    ("status", {"decided": 4}),
    ("status", {"accepted": SLOT_MAX + 1}),
    *(("fetch", {"first_slot": slot}) for slot in BAD_SLOTS),
    *(("log_frame", {"first_slot": slot}) for slot in BAD_SLOTS),
    *(("log_frame", {"batches": [bad]}) for bad in BAD_BATCHES),
    ("log_frame", {"batches": []}),
    ("log_frame", {"batches": [batch()] * (FRAME_SLOTS_MAX + 1)}),
    *(("log_frame", {"certificate": bad}) for bad in BAD_CERTIFICATES),
    *(("log_frame", {"cover": [cover]}) for cover in BAD_DIGESTS),
    ("log_frame", {"cover": [DIGEST] * (PROOF_HASHES_MAX + 1)}),
    ("forward", {"submissions": []}),
    *(("forward", {"submissions": [bad]}) for bad in BAD_SUBMISSIONS),
    ("forward", {"submissions": [SUBMISSION] * (BATCH_SUBMISSIONS_MAX + 1)}),
    *(("report", {"signature": signature}) for signature in BAD_SIGNATURES),
    *(("report", {"base": bad}) for bad in BAD_CERTIFICATES),
    ("report", {"base": certificate(tag=SuspectStatement.TAG, fields=SuspectStatement(1).fields())}),
    *(("report", {"entries": entries}) for entries in BAD_ENTRIES),
    *(("new_view", {"signature": signature}) for signature in BAD_SIGNATURES),
    *(("new_view", {"vector": [digest]}) for digest in BAD_DIGESTS),
    ("new_view", {"vector": [DIGEST] * (peer_messages.REPORT_ENTRIES_MAX + 1)}),
    ("new_view", {"reports": [pb.MemberReport(report=report())] * 256}),
    ("new_view", {"view": 3}),  # its Report is for another view: nobody would know who said so
    *(("new_view", {"reports": [pb.MemberReport(report=report(*entries))]}) for entries in BAD_ENTRIES),
    ("fetch_batches", {"digests": []}),
    ("fetch_batches", {"digests": [DIGEST] * (FETCH_BATCHES_MAX + 1)}),
    *(("fetch_batches", {"digests": [digest]}) for digest in BAD_DIGESTS),
    ("batches", {"batches": []}),
    ("batches", {"batches": [batch(SUBMISSION)] * 2}),
    *(("batches", {"batches": [bad]}) for bad in BAD_BATCHES),
]


@pytest.mark.parametrize(("kind", "fields"), MALFORMED)
def test_a_malformed_field_is_refused(kind: str, fields: dict[str, Any]) -> None:
    data = spoil(kind, **fields)
    with pytest.raises(Malformed):
        peer_messages.decode(SENDER, data)


def test_a_message_without_a_body_is_refused() -> None:
    for data in (b"", b"\xff", b"\x0a", pb.PeerMessage().SerializeToString()):
        with pytest.raises(Malformed):
            peer_messages.decode(SENDER, data)


def only_malformed(decoder: Callable[[bytes], object], data: bytes) -> None:
    with suppress(Malformed):
        decoder(data)


@many
@given(st.binary(max_size=400))
def test_random_bytes_are_a_message_or_malformed(data: bytes) -> None:
    only_malformed(lambda d: peer_messages.decode(SENDER, d), data)
    with suppress(Mismatch):
        only_malformed(lambda d: open_envelope(d, 0), data)


@settings(many, max_examples=1500)
@given(strategies.messages.flatmap(lambda message: strategies.mutations(peer_messages.encode(message))))
def test_nearly_valid_bytes_are_a_message_or_malformed(data: bytes) -> None:
    only_malformed(lambda d: peer_messages.decode(SENDER, d), data)


@many
@given(strategies.messages)
def test_the_sender_is_that_of_the_channel(message: Message) -> None:
    """Nothing in the bytes says who endorses: an endorsement is its sender's."""
    again = peer_messages.decode(SENDER + 1, peer_messages.encode(message))
    endorsement = getattr(again, "endorsement", None)
    assert endorsement is None or endorsement.member == SENDER + 1


@many
@given(st.lists(st.binary(max_size=60), max_size=20))
def test_envelopes_hold_what_was_put_into_them(messages: list[bytes]) -> None:
    assert open_envelope(envelope(messages, 5), 5) == messages


def test_an_envelope_of_nothing_names_its_engine() -> None:
    """Frozen; the engine costs two bytes, the first epoch none."""
    assert envelope([b"\xaa"], 0).hex() == "0a01aa" + "1001"
    assert envelope([], 3).hex() == "1001" + "1803"


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (envelope([b"m"], 4), "it is in epoch 4, this member still in epoch 3"),
        (envelope([b"m"], 2), "it is in epoch 2, which is over: this member is in epoch 3"),
        (
            pb.Envelope(messages=[b"m"], epoch=3).SerializeToString(),
            "it speaks engine_unspecified, this member",
        ),
        (pb.Envelope(engine=7, epoch=2).SerializeToString(), "it speaks engine 7, this member fab_paxos: do"),  # type: ignore[arg-type]
        (b"", "it speaks engine_unspecified, this member fab_paxos: do both"),
    ],
)
def test_an_envelope_of_another_engine_or_epoch_is_refused_whole(frame: bytes, said: str) -> None:
    with pytest.raises(Mismatch, match=f"^{said}") as caught:
        open_envelope(frame, 3)
    assert "\n" not in str(caught.value)


def test_an_envelope_of_too_many_messages_is_refused() -> None:
    open_envelope(envelope([b""] * ENVELOPE_MESSAGES_MAX, 0), 0)
    with pytest.raises(Malformed):
        open_envelope(envelope([b""] * (ENVELOPE_MESSAGES_MAX + 1), 0), 0)


@many
@given(strategies.frames, st.lists(strategies.digests, max_size=62))
def test_frames_come_back_and_carry_their_peaks(frame: Any, peaks: list[bytes]) -> None:
    wire = encode_frame(frame, peaks)
    assert decode_frame(pb.LogFrame.FromString(wire.SerializeToString())) == frame
    assert list(wire.peaks) == peaks


def test_the_largest_messages_fit_into_a_grpc_message() -> None:
    """A frame may exceed its bound by one batch, an envelope by one message; gRPC must take both."""
    tiny = submission_bytes([b""])
    small = [
        UnsignedSubmission(b"c" * 32, seq, [b""]).sign(SIGNATURE) for seq in range(BATCH_SUBMISSIONS_MAX)
    ]
    assert sum(len(s.encoded) for s in small) < BATCH_BYTES_MAX
    room = BATCH_BYTES_MAX // 2 - tiny
    large = [
        UnsignedSubmission(b"c" * 32, seq, [b"x" * (room // 2 - 4)] * 2).sign(SIGNATURE) for seq in (1, 2)
    ]
    full = Batch.of(large)
    for batches in ([Batch.of(small)] * 5, [full] * 3, [Batch.of([])] * FRAME_SLOTS_MAX):
        wire = pb.LogFrame(
            first_slot=SLOT_MAX,
            batches=[pb.Batch(submissions=[s.encoded for s in b.submissions]) for b in batches],
            certificate=certificate(signature=b"q" * SHARE_BYTES_MAX),
            cover=[DIGEST] * PROOF_HASHES_MAX,
            peaks=[DIGEST] * 62,
        )
        assert wire.ByteSize() + FLUSH_BYTES < ENVELOPE_BYTES_MAX
    assert len(peer_messages.encode(Forward(tuple(large)))) < FLUSH_BYTES
