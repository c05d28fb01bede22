"""The Merkle tree over the log: one root commits a whole decided prefix.

The source is docs/concepts/protocol.md, section 4.

The tree is that of RFC 6962, section 2.1, with SHA-256:

    MTH({})     = SHA-256()                                   the empty tree
    MTH({d})    = SHA-256(0x00 || d)                          a leaf
    MTH(D[0:n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n])) k = the largest power of two below n

The prefixes keep a leaf from being read as an inner node. Seen from below, the same tree comes from pairing
neighbours level by level, where a last node without a neighbour moves up unchanged. Hence node `i` of level
`h` covers the leaves [i·2^h, (i+1)·2^h), only the last node of a level can be ragged (cover fewer), and the
way from any node to the root is a walk over siblings: `siblings` below. All proofs here are such walks.

Three forms of one tree, from small to large:

* a root, 32 bytes: what certificates sign;
* a `Frontier`: the perfect subtrees that the tree of `size` leaves consists of, at most 62 hashes. It can
  be appended to, is an immutable value, and so is what an acceptor saves to roll back to;
* a `MerkleLog`: every node since some frontier, to make proofs from.

Three trees are made of it, one under the other. A client signs the `tree_head` over its commands, in groups
(`command_tree`). The batch digest is made of that over the headers of a batch's submissions. The root of slot
s is the tree head over `slot_leaf(1, digest_1) … slot_leaf(s, digest_s)`: slots start at 1, leaf indices at
0, so slot s is leaf s - 1.

What a proof binds: for fixed sizes the structure of the walk is fixed, so under collision resistance of
SHA-256 a matching root means matching leaves. A root alone does *not* bind the number of leaves. The sizes
must come from something trusted: for the log from the slot in the signed statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from verifiable_log.merkle_tree import (
    EMPTY_ROOT,
    HASH_SIZE,
    MAX_SIZE,
    fold,
    last_peak,
    push,
    siblings,
)

_LEVELS = MAX_SIZE.bit_length()
_FULL = "the tree has 2**62 leaves and takes no more"


def slot_leaf(slot: int, batch_digest: bytes) -> bytes:
    """Encode the leaf data of a slot: slot u64 big-endian || batch_digest[32] (docs/concepts/protocol.md,
    section 4).

    `slot` is 1..2**62 and becomes leaf `slot - 1`. 40 bytes. Raises ValueError for another slot or digest
    length.
    """
    if not 1 <= slot <= MAX_SIZE:
        raise ValueError(f"a slot is 1..2**62, not {slot}")
    if len(batch_digest) != HASH_SIZE:
        raise ValueError(f"a batch digest has {HASH_SIZE} bytes, not {len(batch_digest)}")
    return slot.to_bytes(8, "big") + batch_digest


def tree_head(leaves: Sequence[bytes]) -> bytes:
    """Hash a list of leaf *data* (not yet hashed) to its root, 32 bytes. RFC 6962, section 2.1, MTH."""
    return _levels_over(leaves)[-1][0] if leaves else EMPTY_ROOT


def inclusion_paths(leaves: Sequence[bytes]) -> list[tuple[bytes, ...]]:
    """The inclusion proof of each leaf (data) in the tree over all of them, as `MerkleLog` makes of one."""
    if not leaves:
        return []
    *levels, _ = _levels_over(leaves)
    return [
        tuple([level[i] for h, level in enumerate(levels) if (i := index >> h ^ 1) < len(level)])
        for index in range(len(leaves))
    ]


def _levels_over(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Every node of the tree over at least one leaf (data), level by level, the root's last."""
    levels = [[sha256(b"\x00" + data).digest() for data in leaves]]
    while len(level := levels[-1]) > 1:
        above = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)  # a last one alone moves up
        ]
        if len(level) & 1:
            above.append(level[-1])
        levels.append(above)
    return levels


@dataclass(frozen=True, slots=True)
class Frontier:
    """The tree of the first `size` leaves, reduced to what appending needs: an immutable, hashable value.

    `size` is 0..2**62. `peaks` are the roots of its perfect subtrees from left to right: one hash of 32 bytes
    for each bit set in `size`, the highest bit first. `Frontier()` is the empty tree.

    Raises ValueError when the two do not fit together, so it may be made from bytes of a stranger. That it
    is the frontier *of a certain log* only a comparison of its `root` shows.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise ValueError(f"a tree has 0..2**62 leaves, not {self.size}")
        if len(self.peaks) != self.size.bit_count():
            raise ValueError(
                f"a frontier of {self.size} leaves has {self.size.bit_count()} peaks, not {len(self.peaks)}"
            )
        for peak in self.peaks:
            if not isinstance(peak, bytes) or len(peak) != HASH_SIZE:
                raise ValueError(f"a peak is {HASH_SIZE} bytes, not {peak!r:.100}")

    @classmethod
    def from_parts(cls, size: int, peaks: Iterable[bytes]) -> Frontier:
        """Make a frontier of what came from outside: the same checks, any iterable. Raises ValueError.

        Reads no more than 63 items of `peaks`: one more than any size has.
        """
        return cls(size, tuple(islice(peaks, _LEVELS)))

    @property
    def root(self) -> bytes:
        """The tree head, 32 bytes. Costs one hash less than there are peaks, at every call."""
        return fold(self.peaks)

    def append(self, data: bytes) -> Frontier:
        """Return the frontier with one more leaf; amortised two hashes. Raises ValueError beyond 2**62."""
        size = self.size
        if size >= MAX_SIZE:
            raise ValueError(_FULL)
        peaks = list(self.peaks)
        push(peaks, size, sha256(b"\x00" + data).digest())
        return _frontier(size + 1, tuple(peaks))

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        """Return the frontier with all of `leaves` (data) appended. Raises ValueError beyond 2**62."""
        size = self.size
        peaks = list(self.peaks)
        for data in leaves:
            if size >= MAX_SIZE:
                raise ValueError(_FULL)
            push(peaks, size, sha256(b"\x00" + data).digest())
            size += 1
        return _frontier(size, tuple(peaks))


def _frontier(size: int, peaks: tuple[bytes, ...]) -> Frontier:
    """Make a Frontier whose parts fit by construction, without the checks: this is on the hot path."""
    made = object.__new__(Frontier)
    object.__setattr__(made, "size", size)
    object.__setattr__(made, "peaks", peaks)
    return made


EMPTY = Frontier()


class MerkleLog:
    """A growing tree that makes proofs: every node since `base`, about 64 bytes of memory a leaf.

    It may begin from a frontier, as after the journal was pruned or a snapshot was received. Then the nodes
    left of `base` are known only as its peaks, and everything asked below refers to trees of at least
    `base.size` leaves; what would need more raises LookupError. No method changes anything but `append` and
    `append_leaf_hash`, and `forget`, which moves `base`.
    """

    __slots__ = ("_base", "_levels", "_peaks", "_size")

    def __init__(self, base: Frontier = EMPTY) -> None:
        """Begin with the leaves of `base`."""
        self._base = base
        self._size = base.size
        self._peaks = list(base.peaks)
        # _levels[h] holds the hashes of the perfect nodes of level h, end to end, from node
        # (base.size >> h) & ~1 on. That is the first even index not right of base: so every stored node
        # has its left neighbour stored, and where base has a peak of level h, that is the first entry.
        self._levels = [bytearray() for _ in range(_LEVELS)]
        high_first = (h for h in reversed(range(_LEVELS)) if base.size >> h & 1)
        for h, peak in zip(high_first, base.peaks, strict=True):
            self._levels[h] += peak

    def __repr__(self) -> str:
        return f"MerkleLog(base={self._base.size}, size={self._size})"

    @property
    def base(self) -> Frontier:
        """The frontier it began from."""
        return self._base

    @property
    def size(self) -> int:
        """How many leaves there are, those of `base` included."""
        return self._size

    def append(self, data: bytes) -> None:
        """Add one leaf of `data`; amortised two hashes. Raises ValueError beyond 2**62 leaves."""
        self.append_leaf_hash(sha256(b"\x00" + data).digest())

    def append_leaf_hash(self, digest: bytes) -> None:
        """Add one leaf by its `leaf_hash`. Raises ValueError if that has not 32 bytes, and beyond 2**62."""
        if len(digest) != HASH_SIZE:
            raise ValueError(f"a leaf hash has {HASH_SIZE} bytes, not {len(digest)}")
        index = self._size
        if index >= MAX_SIZE:
            raise ValueError(_FULL)
        levels = self._levels
        peaks = self._peaks
        levels[0].extend(digest)
        self._size = index + 1
        h = 0
        while index & 1:  # a right child: its parent is complete now
            digest = sha256(b"\x01" + peaks.pop() + digest).digest()
            h += 1
            levels[h].extend(digest)
            index >>= 1
        peaks.append(digest)

    def forget(self, size: int) -> None:
        """Move `base` to the frontier of `size` leaves and free what lies left of it.

        Raises LookupError unless base.size <= size <= self.size.
        """
        frontier = self.frontier(size)
        for h, level in enumerate(self._levels):
            gone = (size >> h & ~1) - (self._base.size >> h & ~1)
            del level[: gone * HASH_SIZE]
        self._base = frontier

    def root(self, size: int | None = None) -> bytes:
        """Give the tree head of the first `size` leaves (default: all), 32 bytes.

        Raises LookupError unless base.size <= size <= self.size.
        """
        if size is None:
            return fold(self._peaks)
        self._check_known(size)
        return fold(self._peaks_below(_LEVELS, size))

    def frontier(self, size: int | None = None) -> Frontier:
        """Give the frontier of the first `size` leaves (default: all).

        Raises LookupError unless base.size <= size <= self.size.
        """
        if size is None:
            return _frontier(self._size, tuple(self._peaks))
        self._check_known(size)
        return _frontier(size, tuple(self._peaks_below(_LEVELS, size)))

    def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """Prove that leaf `index`, counted from 0, is in the tree of `size` leaves.

        RFC 6962, section 2.1.1, PATH(index, D[0:size]): 0..62 hashes, from the leaf up. Check it with
        `root_from_inclusion`. Raises LookupError unless base.size <= index < size <= self.size.
        """
        if not self._base.size <= index < size <= self._size:
            raise LookupError(
                f"no inclusion proof of leaf {index} in the tree of {size}: this log proves leaves "
                f"{self._base.size} <= index < size <= {self._size}"
            )
        return tuple(self._node(h, i, size) for h, i in siblings(0, index, size))

    def consistency_proof(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Prove that the tree of `old_size` leaves is a prefix of that of `new_size`.

        RFC 6962, section 2.1.2, PROOF(old_size, D[0:new_size]): 0..63 hashes; none for equal sizes, and none
        from the empty tree, which is a prefix of all. Check it with `verify_consistency`. Raises LookupError
        unless base.size <= old_size <= new_size <= self.size.
        """
        self._check_known(old_size, new_size)
        if old_size in (0, new_size):
            return ()
        h, i = last_peak(old_size)
        way = tuple(self._node(*sibling, new_size) for sibling in siblings(h, i, new_size))
        # When the last peak is the whole old tree the verifier knows it: it is the old root.
        return (self._node(h, i, new_size), *way) if i else way

    def right_cover(self, begin: int, size: int) -> tuple[bytes, ...]:
        """Give what completes the frontier of `begin` leaves to the root of `size` leaves.

        These are the largest subtrees of the tree of `size` leaves that lie within the leaves [begin, size),
        from left to right: the right-hand siblings on the way from the last peak of the frontier to the root.
        Only the last can be ragged. At most 62 hashes; none if begin == size; for begin == 0 < size the root
        itself. Check it with `root_from_cover`. Raises LookupError unless
        base.size <= begin <= size <= self.size.
        """
        self._check_known(begin, size)
        if begin == 0:
            return (self.root(size),) if size else ()
        return tuple(self._node(h, i, size) for h, i in siblings(*last_peak(begin), size) if i & 1)

    def _check_known(self, first: int, last: int | None = None) -> None:
        last = first if last is None else last
        if not self._base.size <= first <= last <= self._size:
            asked = f"{first}" if first == last else f"{first} to {last}"
            raise LookupError(
                f"no tree of {asked} leaves: this log knows the sizes {self._base.size} to {self._size}"
            )

    def _node(self, h: int, i: int, size: int) -> bytes:
        """Hash of node `i` of level `h` in the tree of `size` leaves; at a right edge it may be ragged."""
        if (i + 1) << h <= size:
            return self.perfect(h, i)
        return fold(self._peaks_below(h, size))

    def _peaks_below(self, h: int, size: int) -> list[bytes]:
        """Peaks of levels below `h` of the tree of `size` leaves, left to right."""
        top = min(h, size.bit_length())
        return [self.perfect(j, (size >> j) - 1) for j in reversed(range(top)) if size >> j & 1]

    def perfect(self, h: int, i: int) -> bytes:
        """Hash of the perfect node `i` of level `h`; it must be stored here: not checked."""
        begin = (i - (self._base.size >> h & ~1)) * HASH_SIZE
        return bytes(self._levels[h][begin : begin + HASH_SIZE])
