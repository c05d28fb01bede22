"""`make bench-receipts`: what a receipt costs, in bytes and in processor time, as submissions grow.

The receipts are of one command among many, in a full batch, in a log of a million slots. All paths but the
command's own are made up, and the root from them: what it takes to check them is the same. Times are CPU time
of this thread, the least of several rounds.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)

from alliance.proofs.receipt import Receipt, key_fingerprint, receipts
from quorum import AcceptedStatement, Context, DecisionCertificate
from verifiable_log import Submission, UnsignedSubmission
from verifiable_log.limits import BATCH_SUBMISSIONS_MAX, SUBMISSION_COMMANDS_MAX
from verifiable_log.merkle_tree import HASH_SIZE, siblings
from verifiable_log.placement import Placement

COMMAND_BYTES = 100
SLOTS = 1_000_000
ROUNDS = 7
CONTEXT = Context(sha256(b"bench").digest(), 0)


@dataclass(frozen=True)
class Specimen:
    """A true receipt of a made-up log, and the key that checks it."""

    receipt: Receipt
    key: RSAPublicKey


def submission(commands: int, command_bytes: int = COMMAND_BYTES) -> Submission:
    """One of random commands; the signature is none."""
    drawn = random.Random(commands)  # noqa: S311
    content = [drawn.randbytes(command_bytes) for _ in range(commands)]
    return UnsignedSubmission(bytes(32), 2**40, content).sign(bytes(64))


def specimen(secret: RSAPrivateKey, commands: int, command_bytes: int = COMMAND_BYTES) -> Specimen:
    """The receipt of a command that has as many neighbours on its way to the root as may be."""
    drawn = random.Random(0)  # noqa: S311

    def path(index: int, size: int) -> tuple[bytes, ...]:
        return tuple(drawn.randbytes(HASH_SIZE) for _ in siblings(0, index, size))

    position, slot = BATCH_SUBMISSIONS_MAX - 2, SLOTS // 2
    placement = Placement(
        slot,
        position,
        BATCH_SUBMISSIONS_MAX,
        1_800_000_000_000,
        path(position, BATCH_SUBMISSIONS_MAX),
        path(slot - 1, SLOTS),
    )
    whole = submission(commands, command_bytes)
    statement = AcceptedStatement(3, SLOTS, placement.root(whole.header(), SLOTS))
    signature = secret.sign(statement.encode(CONTEXT), PKCS1v15(), hashes.SHA256())
    key = secret.public_key()
    made = receipts(
        CONTEXT.alliance_id,
        DecisionCertificate(CONTEXT.epoch, statement, signature),
        placement,
        whole,
        key_fingerprint(key),
    )
    return Specimen(made[commands // 2], key)


def microseconds(work: Callable[[], object], repeat: int) -> float:
    """CPU time of one run, the least of the rounds."""
    least = float("inf")
    for _ in range(ROUNDS):
        begin = time.thread_time()
        for _ in range(repeat):
            work()
        least = min(least, (time.thread_time() - begin) / repeat)
    return 1e6 * least


def main() -> int:
    secret = generate_private_key(65537, 2048)
    sys.stdout.write("commands    bytes    parse, us    verify, us    decode a submission, us a command\n")
    for commands in (1, 8, 100, 1000, SUBMISSION_COMMANDS_MAX):
        made = specimen(secret, commands)
        text = made.receipt.to_json()
        encoded = submission(commands).encoded
        parse = microseconds(partial(Receipt.from_json, text), 300)
        verify = microseconds(partial(made.receipt.verify, made.key), 300)
        decode = microseconds(partial(Submission.decode, encoded), 1 + 10_000 // commands) / commands
        sys.stdout.write(f"{commands:8} {len(text):8} {parse:12.1f} {verify:13.1f} {decode:18.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
