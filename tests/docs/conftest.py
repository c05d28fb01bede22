"""Receipts of an alliance that never ran: a real key, a log made by hand, the quorum's signature on it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import shoup_rsa
from alliance.proofs.receipt import Receipt, key_fingerprint, load_public_key, receipts
from quorum import AcceptedStatement, Context, DecisionCertificate, Endorsement, combine
from quorum.threshold_rsa import ThresholdRsaEndorser, ThresholdRsaScheme
from verifiable_log import Batch, Submission, UnsignedSubmission
from verifiable_log.merkle import MerkleLog, slot_leaf
from verifiable_log.placement import Placement

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "verify_receipt.py"
VIEW = 0
TIME_MS = 1_800_000_000_000
SIZES = (1, 3, 5, 1, 2, 7, 1)
"""Submissions in the batch of each slot: perfect trees, ragged ones, and those of a single leaf."""

CROWDED = (6, 5)
"""The slot and position of a submission of three groups of commands."""


@dataclass(frozen=True)
class Archive:
    """What a third party may be given: the public key in PEM, and receipts for every place of a log."""

    public_pem: bytes
    receipts: tuple[Receipt, ...]

    def at(self, slot: int, position: int = 0, command_index: int = 0) -> Receipt:
        place = (slot, position, command_index)
        return next(r for r in self.receipts if (r.slot, r.position, r.command_index) == place)


def deal(seed: int) -> shoup_rsa.Dealing:
    """A key of real size, the same on every run."""
    return shoup_rsa.generate_threshold_key(6, 5, 1, 2048, random_below=random.Random(seed).randrange)


def make_archive(dealing: shoup_rsa.Dealing, name: bytes) -> Archive:
    context = Context(sha256(name).digest(), 0)
    scheme = ThresholdRsaScheme(dealing.public_key, context)
    client = Ed25519PrivateKey.from_private_bytes(sha256(b"client of " + name).digest())
    batches = [
        Batch.of((_submission(client, context, slot, position) for position in range(size)), TIME_MS + slot)
        for slot, size in enumerate(SIZES, 1)
    ]
    log = MerkleLog()
    for slot, batch in enumerate(batches, 1):
        log.append(slot_leaf(slot, batch.digest))
    statement = AcceptedStatement(VIEW, log.size, log.root())
    message = statement.encode(context)
    endorsements = [
        Endorsement(statement, member, ThresholdRsaEndorser(share).endorse(message, proven=False))
        for member, share in enumerate(dealing.key_shares[:5])
    ]
    certificate = DecisionCertificate.of(combine(scheme, endorsements))
    pem = dealing.public_key.to_pem()
    fingerprint = key_fingerprint(load_public_key(pem))
    made = []
    for slot, batch in enumerate(batches, 1):
        leaves = batch.tree()
        for position, submission in enumerate(batch.submissions):
            placement = Placement(
                slot,
                position,
                leaves.size,
                batch.time_ms,
                leaves.inclusion_proof(position, leaves.size),
                log.inclusion_proof(slot - 1, log.size),
            )
            made += receipts(context.alliance_id, certificate, placement, submission, fingerprint)
    return Archive(pem, tuple(made))


def _submission(client: Ed25519PrivateKey, context: Context, slot: int, position: int) -> Submission:
    """One to three commands or twenty, the first of them empty or not plain text now and then."""
    count = 20 if (slot, position) == CROWDED else 1 + (slot + position) % 3
    commands = [f"slot {slot}, submission {position}, command {index}".encode() for index in range(count)]
    if slot == 4:
        commands[0] = b""
    if slot == 5:
        commands[0] = bytes(range(256))
    client_id = sha256(client.public_key().public_bytes_raw()).digest()
    unsigned = UnsignedSubmission(client_id, 10 * slot + position, commands)
    return unsigned.sign(client.sign(unsigned.message(context)))


@pytest.fixture(scope="session")
def dealing() -> shoup_rsa.Dealing:
    return deal(1)


@pytest.fixture(scope="session")
def archive(dealing: shoup_rsa.Dealing) -> Archive:
    return make_archive(dealing, b"ours")


@pytest.fixture(scope="session")
def stranger() -> Archive:
    """Another alliance, with another key."""
    return make_archive(deal(2), b"theirs")
