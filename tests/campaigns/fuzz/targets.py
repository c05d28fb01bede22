"""Everything that decodes bytes from outside, each with what must hold of whatever it lets through.

A target raises when a promise is broken: an error that is none of its own, or a lie that was believed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from google.protobuf.message import DecodeError

import shoup_rsa
from alliance.errors import InvalidReceipt
from alliance.founding.plan import Founding
from alliance.pb import peer_pb2 as pb
from alliance.proofs.receipt import Receipt, load_public_key
from alliance.server.gate import Gate, Rejected
from alliance.storage.journal_epochs import EpochMembership
from alliance.storage.journal_records import Position, Starts
from alliance.wire import peer_messages
from alliance.wire.bounds import Malformed
from alliance.wire.envelope import Mismatch, envelope, open_envelope
from alliance.wire.log_frames import decode_frame, encode_frame
from fab_paxos.state_transfer import Transfer
from quorum import DecisionCertificate, InvalidCertificate, InvalidStatement
from tests.alliance.farm import CLIENTS, MEMBERS, PASSPHRASE, Chain, Farm
from tests.alliance.matrix import Exemplars, Setting, settings
from tests.campaigns.fuzz import control_targets as control
from tests.campaigns.fuzz import founding_targets as founding
from tests.campaigns.fuzz import journal_targets as stored
from tests.campaigns.fuzz import key_targets as keys
from tests.campaigns.fuzz import signing_targets as signing
from tests.campaigns.fuzz.gate_target import SENDER, GateTarget
from tests.campaigns.fuzz.identity_targets import EvidenceTarget, HandshakeTarget, evidences
from tests.campaigns.fuzz.mutate import Mutator, of_bytes, of_json, of_message
from tests.worlds.founding import found
from tests.worlds.require import require
from verifiable_log import InvalidSubmission, Submission, UnsignedSubmission
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.merkle import EMPTY, slot_leaf
from verifiable_log.merkle_proofs import root_from_cover
from verifiable_log.merkle_tree import ProofError


@dataclass(frozen=True)
class Target:
    """``run`` takes one input; True when it was let through, so that mutations of it go deeper."""

    name: str
    corpus: list[bytes] = field(repr=False)
    mutate: Mutator
    run: Callable[[bytes], bool]


def found_alliance(folder: Path) -> tuple[Farm, Chain]:
    """A real alliance with a log of twelve slots. Its key files cost nothing to open."""
    addresses = [f"127.0.0.1:{7400 + index}" for index in range(len(MEMBERS))]
    plan = Founding("fuzzed", MEMBERS, addresses, CLIENTS, 1, 2048)
    farm = Farm.open(folder, found(plan, folder, PASSPHRASE))
    return farm, Chain(farm).grow(12, size=2)


def targets(farm: Farm, chain: Chain) -> list[Target]:
    exemplars = Exemplars(farm, chain)
    every = [Setting(), *settings(farm).values()]
    messages = [
        peer_messages.encode(message) for setting in every for message in exemplars.make(setting).values()
    ]
    ours = [m for s in every if s.context is None for m in exemplars.make(s).values()]
    receipts = [chain.receipt(slot, 0, 1, 12) for slot in (1, 5, 12)]
    moving = [peer_messages.encode(exemplars.make(s)[k]) for s in every for k in ("offer", "state_part")]
    handshake = HandshakeTarget(farm, farm.folder)
    asked, dealing = founding.requests(), founding.DealingTarget(farm)
    ceremony, commands = founding.CeremonyTarget(), control.CommandTarget()
    brought, changes = keys.NewKeysTarget(), keys.ChangeTarget(farm)
    return [
        Target("envelope", _envelopes(messages), of_message(pb.Envelope), _envelope),
        Target("message", messages, of_message(pb.PeerMessage), _message),
        Target("gate", messages, of_message(pb.PeerMessage), GateTarget(farm, ours)),
        Target("submission", _submissions(farm), of_bytes, _submission),
        Target("listener's frame", _frames(chain), of_message(pb.LogFrame), _FrameTarget(farm, chain)),
        Target("receipt", [r.to_json().encode() for r in receipts], of_json, _ReceiptTarget(farm, chain)),
        Target("evidence", evidences(farm, chain), of_json, EvidenceTarget(farm)),
        Target("handshake", handshake.corpus(), of_message(pb.Handshake), handshake),
        Target("state", stored.states(chain), of_message(pb.StatePart), stored.run_state),
        Target("state transfer", moving, of_message(pb.PeerMessage), _TransferTarget(farm, exemplars)),
        Target("journal's batch", stored.batches(chain), of_bytes, stored.run_batch),
        Target("journal's row", stored.rows(chain), of_bytes, stored.RowTarget(chain)),
        Target("journal's position", stored.positions(chain), of_bytes, stored.notes(Position.unpack)),
        Target("journal's starts", stored.starts(), of_bytes, stored.notes(Starts.unpack)),
        Target("journal's checkpoint", stored.checkpoints(chain), of_bytes, stored.CheckpointTarget(chain)),
        Target("journal's membership", stored.memberships(), of_bytes, stored.notes(EpochMembership.unpack)),
        Target("control command", commands.corpus, of_bytes, commands),
        Target("control state", control.states(), of_bytes, control.run_state),
        Target("new keys", brought.corpus, of_bytes, brought),
        Target("change of keys", changes.corpus, of_bytes, changes),
        Target("request file", asked, of_bytes, founding.RequestTarget(asked)),
        Target("dealing file", dealing.corpus(), of_bytes, dealing),
        Target("ceremony file", ceremony.corpus(), of_bytes, ceremony),
        Target("request to sign", signing.requests(), of_json, signing.RequestTarget(farm)),
        Target("certificate request", signing.csrs(), of_bytes, signing.run_csr),
        Target("signature share", _shares(farm, chain), of_bytes, _ShareTarget(farm)),
    ]


# -- codec and gate ----------------------------------------------------------------------------------


def _envelopes(messages: list[bytes]) -> list[bytes]:
    full = (envelope(messages[at : at + 3], 0) for at in range(0, len(messages), 9))
    return [envelope([], 0), envelope(messages[:1], 1), *full]


def _envelope(data: bytes) -> bool:
    try:
        messages = open_envelope(data, 0)
    except (Malformed, Mismatch):
        return False
    require(open_envelope(envelope(messages, 0), 0) == messages, "an envelope changes its content")
    return True


def _message(data: bytes) -> bool:
    try:
        message = peer_messages.decode(SENDER, data)
    except Malformed:
        return False
    require(
        peer_messages.decode(SENDER, peer_messages.encode(message)) == message, "a message changes on its way"
    )
    return True


# -- submissions, frames, receipts -------------------------------------------------------------------


def _submissions(farm: Farm) -> list[bytes]:
    return [
        farm.submission(seq, *commands).encoded
        for seq in (1, 2**40)
        for commands in ((b"x",), (b"", b"yy" * 40))
    ]


def _submission(data: bytes) -> bool:
    try:
        one = Submission.decode(data)
    except InvalidSubmission:
        return False
    again = UnsignedSubmission(one.client_id, one.client_seq, one.commands()).sign(one.signature)
    require(again == one and again.encoded == data, "a submission has two encodings")
    return True


def _frames(chain: Chain) -> list[bytes]:
    pairs = [(1, 4, 12), (1, 12, 12), (1, 1, 5)]
    return [encode_frame(chain.frame(*pair)).SerializeToString() for pair in pairs]


class _FrameTarget:
    """A frame from slot 1 on, judged as a listener does: what it proves is the log."""

    def __init__(self, farm: Farm, chain: Chain) -> None:
        self._scheme = farm.config.scheme
        self._digests = [entry.batch.digest for entry in chain.entries]

    def __call__(self, data: bytes) -> bool:
        try:
            frame = decode_frame(pb.LogFrame.FromString(data))
            certificate = DecisionCertificate.of(frame.certificate)
            certificate.verify(self._scheme)
            if frame.first_slot != 1:
                return True
            frontier = EMPTY
            for slot, batch in enumerate(frame.batches, 1):
                frontier = frontier.append(slot_leaf(slot, batch.digest))
            proven = root_from_cover(frontier, certificate.slot, frame.cover) == certificate.root
        except (
            DecodeError,
            Malformed,
            InvalidSubmission,
            InvalidStatement,
            InvalidCertificate,
            ProofError,
        ):
            return False
        digests = [batch.digest for batch in frame.batches]
        require(not proven or digests == self._digests[: len(digests)], "another log is believed")
        return True


class _ReceiptTarget:
    def __init__(self, farm: Farm, chain: Chain) -> None:
        self._key: RSAPublicKey = load_public_key(farm.config.key.to_pem())
        self._log = {
            (entry.slot, position): submission.commands()
            for entry in chain.entries
            for position, submission in enumerate(entry.batch.submissions)
        }

    def __call__(self, data: bytes) -> bool:
        try:
            receipt = Receipt.from_json(data)
        except InvalidReceipt:
            return False
        require(Receipt.from_json(receipt.to_json()) == receipt, "a receipt changes on its way")
        with suppress(InvalidReceipt):
            receipt.verify(self._key)
            true = self._log[receipt.slot, receipt.position][receipt.command_index]
            require(receipt.command == true, "a false receipt is believed")
        return True


# -- a checkpoint from a peer ------------------------------------------------------------------------


class _TransferTarget:
    """Who is brought up by a checkpoint has the state that a quorum certified."""

    def __init__(self, farm: Farm, exemplars: Exemplars) -> None:
        self._gate = Gate(farm.config)
        self._chain = exemplars.chain
        offer = exemplars.make(Setting())["offer"]
        assert isinstance(offer, Offer)
        self._offer = offer

    def __call__(self, data: bytes) -> bool:
        admitted = self._gate.admit(SENDER, data)
        if isinstance(admitted, Rejected):
            return False
        transfer, brought = Transfer(), None
        match admitted.message:
            case Offer() as offer:
                transfer.on_offer(SENDER, offer, 0, [])
                return transfer.source is not None
            case StatePart() as part:
                transfer.on_offer(SENDER, self._offer, 0, [])
                brought = transfer.on_part(SENDER, part, [])
        if brought is None:
            return False
        snapshot = brought.checkpoint.snapshot
        require(snapshot == self._chain.snapshot(snapshot.slot), "another state is believed")
        return True


# -- signature shares --------------------------------------------------------------------------------


def _shares(farm: Farm, chain: Chain) -> list[bytes]:
    message = chain.certificate(12).statement.encode(farm.config.context)
    return [farm.endorsers[m].endorse(message, proven=proven) for m in range(3) for proven in (False, True)]


class _ShareTarget:
    def __init__(self, farm: Farm) -> None:
        self._key = farm.config.key

    def __call__(self, data: bytes) -> bool:
        try:
            share = shoup_rsa.SignatureShare.from_bytes(self._key, data)
        except shoup_rsa.InvalidShare:
            return False
        require(share.to_bytes(self._key) == data, "a share has two encodings")
        return True
