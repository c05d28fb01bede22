"""The Merkle tree over the commands of one submission: what its client signs, and a short proof of each.

::

    body_digest = SHA-256(0x05 | count u64 | head)

``head`` is the RFC 6962 tree head over *groups*: leaf i is the SHA-256 digests of the commands 8i to 8i + 7,
one after the other; only the last group may be shorter. So the proof of one command is the digests of the
others in its group and the group's path: 7 + 9 hashes among 4,096 commands.

What it binds: ``count`` fixes how many groups there are and how many digests each of them has, and with that
the structure of all that is hashed. Every hash then has one place, and under collision resistance of SHA-256
an equal ``body_digest`` means the same commands, one by one: what moves a byte from a command to its
neighbour changes the digests of both. Hence lengths need not be hashed, and neither the digest of a command
nor a group needs a prefix of its own: nothing is ever taken for something in another place. 0x05 keeps the
whole apart from leaves, nodes and the digest of a batch.

Why groups: members hash every command of the log. A command costs them one hash in any case; a binary tree
over single commands adds two more, 0.8 us in all, which would take a third of the highest throughput (six
servers spend 13.6 us on a command together). Under groups of eight it adds a quarter of a hash, and a proof
grows by four hashes at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from verifiable_log.limits import SUBMISSION_COMMANDS_MAX
from verifiable_log.merkle import inclusion_paths, tree_head
from verifiable_log.merkle_proofs import root_from_inclusion
from verifiable_log.merkle_tree import ProofError, check_hashes

GROUP = 8
"""Commands whose digests are one leaf."""


def body_digest(digests: Sequence[bytes]) -> bytes:
    """What a client signs of commands with these SHA-256 digests, in order. 32 bytes."""
    return _bound(len(digests), tree_head(_groups(digests)))


def _groups(digests: Sequence[bytes]) -> list[bytes]:
    return [b"".join(digests[at : at + GROUP]) for at in range(0, len(digests), GROUP)]


def _bound(count: int, head: bytes) -> bytes:
    return sha256(b"\x05" + count.to_bytes(8, "big") + head).digest()


class CommandProof(NamedTuple):
    """That a command is number ``command_index`` (from 0) of ``command_count`` under some ``body_digest``.

    ``group`` holds the digests of the other commands of its group, in order, ``path`` the hashes from the
    group to the head, from the leaf up. It proves nothing by itself: compare ``body_digest`` with a trusted
    one.
    """

    command_count: int
    command_index: int
    group: tuple[bytes, ...]
    path: tuple[bytes, ...]

    def body_digest(self, command: bytes) -> bytes:
        """What the client signed if this is the proof of ``command``. Raises ProofError."""
        count, index, group, path = self
        if not 0 <= index < count <= SUBMISSION_COMMANDS_MAX:
            raise ProofError(f"there is no command {index} in a submission of {count}")
        number, place = divmod(index, GROUP)
        size = min(GROUP, count - GROUP * number)
        check_hashes(group, size - 1, f"the group of command {index} of {count}, without itself,")
        leaf = b"".join((*group[:place], sha256(command).digest(), *group[place:]))
        return _bound(count, root_from_inclusion(leaf, number, -(-count // GROUP), path))


def command_proofs(commands: Sequence[bytes]) -> list[CommandProof]:
    """The proof of each of the commands of one submission, in order."""
    digests = [sha256(command).digest() for command in commands]
    count = len(digests)
    proofs = []
    for number, path in enumerate(inclusion_paths(_groups(digests))):
        begin = GROUP * number
        group = tuple(digests[begin : begin + GROUP])
        for place in range(len(group)):
            others = group[:place] + group[place + 1 :]
            proofs.append(CommandProof(count, begin + place, others, path))
    return proofs
