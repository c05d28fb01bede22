"""The shape of an RFC 6962 tree: its hashes, and the walks that all proofs are (``merkle`` explains them)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

HASH_SIZE = 32

# Slots are u64 on the wire. Two bits less keep every index and every sum of two sizes inside an i64, bound
# all walks to 62 steps, and are out of reach: a million slots a second would take 146,000 years.
MAX_SIZE = 2**62


EMPTY_ROOT: bytes = sha256(b"").digest()


class ProofError(ValueError):
    """A proof from outside does not fit: the wrong number of hashes, sizes out of range, another root."""


def leaf_hash(data: bytes) -> bytes:
    """Hash one leaf: SHA-256(0x00 || data), 32 bytes. RFC 6962, section 2.1."""
    return sha256(b"\x00" + data).digest()


def siblings(h: int, i: int, size: int) -> Iterator[tuple[int, int]]:
    """Walk from node `i` of level `h` to the root of the tree of `size` leaves, by siblings (level, index).

    An odd index is a sibling on the right, an even one on the left.
    """
    last = (size - 1) >> h
    while last:
        if i != last or i & 1:  # otherwise it is a last one alone, and moves up
            yield h, i ^ 1
        h += 1
        i >>= 1
        last >>= 1


def last_peak(size: int) -> tuple[int, int]:
    """Level and index of the smallest peak of the tree of `size` >= 1 leaves."""
    h = (size & -size).bit_length() - 1
    return h, (size >> h) - 1


def pair(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def fold(peaks: Sequence[bytes]) -> bytes:
    """Root over perfect subtrees of falling size, from left to right."""
    if not peaks:
        return EMPTY_ROOT
    lefts = reversed(peaks)
    root = next(lefts)
    for left in lefts:
        root = sha256(b"\x01" + left + root).digest()
    return root


def push(peaks: list[bytes], size: int, digest: bytes) -> None:
    """Add a leaf hash to the peaks of `size` leaves."""
    while size & 1:
        digest = sha256(b"\x01" + peaks.pop() + digest).digest()
        size >>= 1
    peaks.append(digest)


def check_hashes(hashes: Sequence[bytes], count: int, what: str) -> None:
    if len(hashes) != count:
        raise ProofError(f"{what} has {count} hashes, not {len(hashes)}")
    for digest in hashes:
        # Exact, for two hashes are concatenated: else bytes could move from one to its neighbour.
        if len(digest) != HASH_SIZE:
            raise ProofError(f"{what} is of hashes of {HASH_SIZE} bytes, not {len(digest)}")
