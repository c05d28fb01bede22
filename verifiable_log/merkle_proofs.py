"""What proofs from outside lead to: the checking side of ``merkle``, which says what they bind."""

from __future__ import annotations

from collections.abc import Sequence

from verifiable_log.merkle import Frontier, MerkleLog
from verifiable_log.merkle_tree import (
    EMPTY_ROOT,
    MAX_SIZE,
    ProofError,
    check_hashes,
    last_peak,
    leaf_hash,
    pair,
    siblings,
)


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Compute the root that a tree of `size` leaves has if its leaf `index` (from 0) is the data `leaf`.

    `path` is an `inclusion_proof`. The caller compares the result with the root it trusts, and must trust
    `size` as well: from a wrong size the same root may come out at another index. RFC 6962, section 2.1.1.
    Raises ProofError unless 0 <= index < size <= 2**62 and the path has exactly the hashes that these demand.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofError(f"there is no leaf {index} in a tree of {size} leaves")
    way = list(siblings(0, index, size))
    check_hashes(path, len(way), f"the path of leaf {index} in a tree of {size} leaves")
    root = leaf_hash(leaf)
    for (_, i), other in zip(way, path, strict=True):
        root = pair(root, other) if i & 1 else pair(other, root)
    return root


def root_from_cover(frontier: Frontier, size: int, cover: Sequence[bytes]) -> bytes:
    """Compute the root that the tree of `size` leaves has if `frontier` is that of its first leaves.

    `cover` is `right_cover(frontier.size, size)`. When the result is the trusted root of that size, the
    leaves below the frontier are the first `frontier.size` leaves of that tree: at given sizes every peak has
    one fixed place in it. Raises ProofError unless frontier.size <= size <= 2**62 and the cover has exactly
    the hashes that these demand.
    """
    begin = frontier.size
    if not begin <= size <= MAX_SIZE:
        raise ProofError(f"a tree of {size} leaves does not begin with {begin} leaves")
    what = f"the cover of leaves {begin} to {size}"
    if begin == 0:
        check_hashes(cover, 1 if size else 0, what)
        return cover[0] if size else EMPTY_ROOT
    way = list(siblings(*last_peak(begin), size))
    check_hashes(cover, sum(i & 1 for _, i in way), what)
    lefts = reversed(frontier.peaks)
    rights = iter(cover)
    root = next(lefts)
    for _, i in way:
        root = pair(root, next(rights)) if i & 1 else pair(next(lefts), root)
    return root


def inclusion_from_cover(log: MerkleLog, index: int, size: int, cover: Sequence[bytes]) -> tuple[bytes, ...]:
    """The inclusion proof of leaf `index` in the tree of `size` leaves, of which `log` holds the first ones.

    `cover` is `right_cover(log.size, size)` and was checked with `root_from_cover`. Raises ProofError if its
    length is wrong, LookupError unless log.base.size <= index < log.size <= size.
    """
    begin = log.size
    if not log.base.size <= index < begin <= size:
        raise LookupError(f"no proof of leaf {index} from the leaves {log.base.size} to {begin} of {size}")
    rights = [(h, i) for h, i in siblings(*last_peak(begin), size) if i & 1]
    check_hashes(cover, len(rights), f"the cover of leaves {begin} to {size}")
    covered = dict(zip(rights, cover, strict=True))

    def node(h: int, i: int) -> bytes:
        if (h, i) in covered:
            return covered[h, i]
        if (i + 1) << h <= begin:
            return log.perfect(h, i)
        left = node(h - 1, 2 * i)
        right = 2 * i + 1
        return left if right << (h - 1) >= size else pair(left, node(h - 1, right))

    return tuple(node(h, i) for h, i in siblings(0, index, size))


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `old_root` is a prefix of the tree of `new_root`, or raise ProofError.

    `proof` is `consistency_proof(old_size, new_size)`; RFC 6962, section 2.1.2, checked as in RFC 9162,
    section 2.1.4.2. The empty tree is a prefix of every tree, so with old_size 0 nothing is said about
    `new_root`. Both sizes must be trusted.
    """
    if not 0 <= old_size <= new_size <= MAX_SIZE:
        raise ProofError(f"a tree of {old_size} leaves is no prefix of one of {new_size}")
    what = f"the consistency proof from {old_size} to {new_size} leaves"
    check_hashes((old_root, new_root), 2, "the pair of roots")
    if old_size in (0, new_size):
        check_hashes(proof, 0, what)
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if old_root != expected or (new_size == 0 and new_root != EMPTY_ROOT):
            raise ProofError(f"the roots of {old_size} and {new_size} leaves contradict each other")
        return
    h, i = last_peak(old_size)
    way = list(siblings(h, i, new_size))
    check_hashes(proof, len(way) + (1 if i else 0), what)
    rest = iter(proof)
    old = new = next(rest) if i else old_root
    for (_, sibling), other in zip(way, rest, strict=True):
        if sibling & 1:
            new = pair(new, other)
        else:
            old = pair(other, old)
            new = pair(other, new)
    if old != old_root:
        raise ProofError(f"{what} does not lead to the old root")
    if new != new_root:
        raise ProofError(f"{what} does not lead to the new root")
