"""The Merkle log against published vectors, against a dumb twin of the RFC's text, and against forgers."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiable_log.merkle import EMPTY, Frontier, MerkleLog, slot_leaf, tree_head
from verifiable_log.merkle_proofs import root_from_cover, root_from_inclusion, verify_consistency
from verifiable_log.merkle_tree import EMPTY_ROOT, MAX_SIZE, ProofError, leaf_hash

# --- the reference vectors of certificate transparency -------------------------------------------------
# Leaves, roots and proofs published with github.com/google/certificate-transparency (merkle_tree_test) and
# github.com/transparency-dev/merkle (testonly/reference tree).

CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_INCLUSION = {  # (leaf index from 0, size): path
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CT_CONSISTENCY = {  # (old size, new size): proof
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (6, 7): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}


def hexes(hashes: tuple[bytes, ...]) -> list[str]:
    return [digest.hex() for digest in hashes]


@pytest.mark.parametrize("size", range(9))
def test_reference_roots(size: int) -> None:
    leaves = CT_LEAVES[:size]
    assert tree_head(leaves).hex() == CT_ROOTS[size]
    assert EMPTY.extend(leaves).root.hex() == CT_ROOTS[size]
    assert log_of(leaves).root().hex() == CT_ROOTS[size]
    assert log_of(CT_LEAVES).root(size).hex() == CT_ROOTS[size]


@pytest.mark.parametrize(("index", "size"), CT_INCLUSION)
def test_reference_inclusion_proofs(index: int, size: int) -> None:
    path = log_of(CT_LEAVES).inclusion_proof(index, size)
    assert hexes(path) == CT_INCLUSION[index, size]
    assert root_from_inclusion(CT_LEAVES[index], index, size, path).hex() == CT_ROOTS[size]


@pytest.mark.parametrize(("old", "new"), CT_CONSISTENCY)
def test_reference_consistency_proofs(old: int, new: int) -> None:
    proof = log_of(CT_LEAVES).consistency_proof(old, new)
    assert hexes(proof) == CT_CONSISTENCY[old, new]
    verify_consistency(old, bytes.fromhex(CT_ROOTS[old]), new, bytes.fromhex(CT_ROOTS[new]), proof)


# --- the dumb twin: RFC 6962, section 2.1, as it is written, recursion and all -------------------------


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(d: list[bytes]) -> bytes:
    if not d:
        return sha256().digest()
    if len(d) == 1:
        return sha256(b"\x00" + d[0]).digest()
    k = split(len(d))
    return sha256(b"\x01" + mth(d[:k]) + mth(d[k:])).digest()


def twin_path(m: int, d: list[bytes]) -> list[bytes]:
    if len(d) == 1:
        return []
    k = split(len(d))
    if m < k:
        return [*twin_path(m, d[:k]), mth(d[k:])]
    return [*twin_path(m - k, d[k:]), mth(d[:k])]


def twin_proof(m: int, d: list[bytes]) -> list[bytes]:
    def subproof(m: int, d: list[bytes], whole: bool) -> list[bytes]:
        if m == len(d):
            return [] if whole else [mth(d)]
        k = split(len(d))
        if m <= k:
            return [*subproof(m, d[:k], whole), mth(d[k:])]
        return [*subproof(m - k, d[k:], False), mth(d[:k])]

    return subproof(m, d, True)


def twin_peaks(d: list[bytes]) -> list[bytes]:
    if not d:
        return []
    k = 1
    while k * 2 <= len(d):
        k *= 2
    return [mth(d[:k]), *twin_peaks(d[k:])]


def twin_cover(begin: int, d: list[bytes]) -> list[bytes]:
    """The largest subtrees of the tree over d that lie within d[begin:], by recursion from the root."""
    if begin >= len(d):
        return []
    if begin <= 0:
        return [mth(d)]
    k = split(len(d))
    return [*twin_cover(begin, d[:k]), *twin_cover(begin - k, d[k:])]


def leaves_to(size: int) -> list[bytes]:
    return [slot_leaf(i + 1, sha256(b"%d" % i).digest()) for i in range(size)]


def log_of(leaves: list[bytes], base: int = 0) -> MerkleLog:
    log = MerkleLog(EMPTY.extend(leaves[:base]))
    for leaf in leaves[base:]:
        log.append(leaf)
    return log


SMALL = 40
D = leaves_to(SMALL)
LOG = log_of(D)
MTH = [mth(D[:n]) for n in range(SMALL + 1)]
PAIRS = [(m, n) for n in range(SMALL + 1) for m in range(n + 1)]


def test_roots_and_frontiers_equal_the_twin_for_all_small_sizes() -> None:
    frontier = EMPTY
    log = MerkleLog()
    for n in range(SMALL + 1):
        assert tree_head(D[:n]) == frontier.root == log.root() == log.root(n) == LOG.root(n) == MTH[n]
        assert frontier == log.frontier() == LOG.frontier(n) == EMPTY.extend(D[:n])
        assert list(frontier.peaks) == twin_peaks(D[:n])
        assert frontier.size == log.size == n
        if n < SMALL:
            frontier = frontier.append(D[n])
            log.append_leaf_hash(leaf_hash(D[n]))


def test_inclusion_proofs_equal_the_twin_for_all_small_sizes() -> None:
    for m, n in PAIRS:
        if m < n:
            path = LOG.inclusion_proof(m, n)
            assert list(path) == twin_path(m, D[:n])
            assert root_from_inclusion(D[m], m, n, path) == MTH[n]


def test_consistency_proofs_equal_the_twin_for_all_small_sizes() -> None:
    for m, n in PAIRS:
        proof = LOG.consistency_proof(m, n)
        assert list(proof) == (twin_proof(m, D[:n]) if m else [])
        verify_consistency(m, MTH[m], n, MTH[n], proof)


def test_covers_equal_the_twin_for_all_small_sizes() -> None:
    for m, n in PAIRS:
        cover = LOG.right_cover(m, n)
        assert list(cover) == twin_cover(m, D[:n])
        assert len(cover) <= n.bit_length() + 1
        assert root_from_cover(LOG.frontier(m), n, cover) == MTH[n]


def test_a_log_begun_anywhere_gives_the_same_proofs() -> None:
    for base in range(SMALL + 1):
        log = log_of(D, base)
        assert log.base == LOG.frontier(base)
        for n in range(base, SMALL + 1):
            assert log.root(n) == MTH[n]
            assert log.frontier(n) == LOG.frontier(n)
            for m in range(base, n + 1):
                assert log.consistency_proof(m, n) == LOG.consistency_proof(m, n)
                assert log.right_cover(m, n) == LOG.right_cover(m, n)
                if m < n:
                    assert log.inclusion_proof(m, n) == LOG.inclusion_proof(m, n)


def test_what_lies_left_of_the_base_or_ahead_of_the_log_is_a_lookup_error() -> None:
    log = log_of(D[:20], base=9)
    asked: list[Callable[[], object]] = [
        lambda: log.root(8),
        lambda: log.root(21),
        lambda: log.frontier(8),
        lambda: log.frontier(21),
        lambda: log.root(-1),
        lambda: log.inclusion_proof(8, 20),
        lambda: log.inclusion_proof(9, 9),
        lambda: log.inclusion_proof(20, 20),
        lambda: log.inclusion_proof(15, 21),
        lambda: log.inclusion_proof(-1, 20),
        lambda: log.consistency_proof(8, 20),
        lambda: log.consistency_proof(0, 20),
        lambda: log.consistency_proof(12, 11),
        lambda: log.consistency_proof(12, 21),
        lambda: log.right_cover(8, 20),
        lambda: log.right_cover(12, 11),
        lambda: log.right_cover(12, 21),
        lambda: LOG.right_cover(-1, 4),
    ]
    for ask in asked:
        with pytest.raises(LookupError):
            ask()


def test_a_log_of_its_base_alone_answers_for_the_base() -> None:
    log = MerkleLog(LOG.frontier(11))
    assert (log.size, log.root(), log.root(11), log.frontier(11)) == (11, MTH[11], MTH[11], LOG.frontier(11))
    assert log.consistency_proof(11, 11) == log.right_cover(11, 11) == ()
    assert repr(log) == "MerkleLog(base=11, size=11)"


sizes = st.integers(0, 700)


@settings(max_examples=60, deadline=None)
@given(a=sizes, b=sizes, c=sizes)
def test_larger_trees_equal_the_twin(a: int, b: int, c: int) -> None:
    base, m, n = sorted((a, b, c))
    d = leaves_to(n)
    log = log_of(d, base)
    root, old_root = mth(d), mth(d[:m])
    assert log.root() == tree_head(d) == root
    assert log.root(m) == log.frontier(m).root == old_root
    assert list(log.frontier(m).peaks) == twin_peaks(d[:m])
    assert list(log.right_cover(m, n)) == twin_cover(m, d)
    assert root_from_cover(log.frontier(m), n, log.right_cover(m, n)) == root
    proof = log.consistency_proof(m, n)
    assert list(proof) == (twin_proof(m, d) if m else [])
    verify_consistency(m, old_root, n, root, proof)
    if m < n:
        assert list(log.inclusion_proof(m, n)) == twin_path(m, d)
        assert root_from_inclusion(d[m], m, n, log.inclusion_proof(m, n)) == root


@settings(max_examples=60, deadline=None)
@given(start=st.integers(1, MAX_SIZE - 60), count=st.integers(0, 50), data=st.data())
def test_sizes_of_any_magnitude(start: int, count: int, data: st.DataObject) -> None:
    """The base is made up: proofs are consistent among themselves, walks stay within 63 hashes."""
    base = Frontier(start, tuple(sha256(b"%d" % i).digest() for i in range(start.bit_count())))
    log = MerkleLog(base)
    frontiers = [base]
    for leaf in D[:count] + D[:10]:
        log.append(leaf)
        frontiers.append(frontiers[-1].append(leaf))
    size = log.size
    m = data.draw(st.integers(start, size))
    assert log.frontier(m) == frontiers[m - start]
    assert log.root(m) == frontiers[m - start].root
    cover = log.right_cover(m, size)
    proof = log.consistency_proof(m, size)
    assert max(len(cover), len(proof)) <= 63
    assert root_from_cover(frontiers[m - start], size, cover) == log.root()
    verify_consistency(m, log.root(m), size, log.root(), proof)
    if m < size:
        leaf = (D[:count] + D[:10])[m - start]
        assert root_from_inclusion(leaf, m, size, log.inclusion_proof(m, size)) == log.root()


# --- the edge of the range --------------------------------------------------------------------------------


def test_the_last_leaf_is_number_two_to_the_62() -> None:
    nearly = Frontier(MAX_SIZE - 1, tuple(sha256(b"%d" % i).digest() for i in range(62)))
    log = MerkleLog(nearly)
    log.append(b"last")
    full = nearly.append(b"last")
    assert full.size == log.size == MAX_SIZE
    assert full.peaks == (log.root(),) == (full.root,)
    assert len(log.inclusion_proof(MAX_SIZE - 1, MAX_SIZE)) == 62
    assert len(log.consistency_proof(MAX_SIZE - 1, MAX_SIZE)) == 63
    assert root_from_cover(nearly, MAX_SIZE, log.right_cover(MAX_SIZE - 1, MAX_SIZE)) == full.root
    more: list[Callable[[], object]] = [
        lambda: full.append(b""),
        lambda: full.extend([b""]),
        lambda: nearly.extend([b"", b""]),
        lambda: log.append(b""),
        lambda: log.append_leaf_hash(bytes(32)),
    ]
    for add in more:
        with pytest.raises(ValueError, match="takes no more"):
            add()
    assert log.size == MAX_SIZE
    assert log.root() == full.root
    assert MerkleLog(full).root() == full.root
    full_cover = MerkleLog(full).right_cover(MAX_SIZE, MAX_SIZE)
    assert root_from_cover(full, MAX_SIZE, full_cover) == full.root


@pytest.mark.parametrize("size", [-1, MAX_SIZE + 1, 2**64, 2**4000])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="leaves"):
        Frontier.from_parts(size, [bytes(32)])
    with pytest.raises(ProofError):
        root_from_inclusion(b"", 0, size, [])
    with pytest.raises(ProofError):
        root_from_cover(EMPTY, size, [bytes(32)])
    with pytest.raises(ProofError):
        verify_consistency(0, EMPTY_ROOT, size, bytes(32), [])
    with pytest.raises(ProofError):
        verify_consistency(size, bytes(32), size, bytes(32), [])


def test_sizes_beyond_the_range_are_refused_even_with_proofs_of_the_right_length() -> None:
    size = MAX_SIZE + 1
    with pytest.raises(ProofError, match="no leaf"):
        root_from_inclusion(b"", 0, size, [bytes(32)] * 63)
    with pytest.raises(ProofError, match="does not begin"):
        root_from_cover(EMPTY.append(b""), size, [bytes(32)] * 63)
    with pytest.raises(ProofError, match="no prefix"):
        verify_consistency(1, bytes(32), size, bytes(32), [bytes(32)] * 63)


# --- values -----------------------------------------------------------------------------------------------


def test_a_frontier_is_a_frozen_hashable_value() -> None:
    frontier = LOG.frontier(7)
    assert Frontier() == EMPTY == EMPTY.extend([])
    assert {frontier: 1}[EMPTY.extend(D[:7])] == 1
    assert copy.deepcopy(frontier) == frontier
    with pytest.raises(AttributeError):
        frontier.size = 8  # type: ignore[misc]
    assert not hasattr(frontier, "__dict__")
    longer = frontier.append(D[7])
    assert (frontier.size, longer.size) == (7, 8)
    assert frontier.root == MTH[7]  # the old one is what a rollback returns to


@pytest.mark.parametrize(
    ("size", "peaks"),
    [
        (0, [bytes(32)]),
        (1, []),
        (3, [bytes(32)]),
        (4, [bytes(32), bytes(32)]),
        (1, [bytes(31)]),
        (1, [bytes(33)]),
        (3, [bytes(31), bytes(33)]),
        (1, [bytearray(32)]),
        (1, ["x" * 32]),
        (1, [32]),
        (2**62 - 1, [bytes(32)] * 61),
        (2**62 - 1, [bytes(32)] * 63),
    ],
)
def test_a_frontier_of_parts_that_do_not_fit_is_refused(size: int, peaks: list[bytes]) -> None:
    with pytest.raises(ValueError, match="peak"):
        Frontier.from_parts(size, peaks)
    with pytest.raises(ValueError, match="peak"):
        Frontier(size, tuple(peaks))


def test_a_frontier_of_endless_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="peaks"):
        Frontier.from_parts(2**62 - 1, itertools.repeat(bytes(32)))


def test_parts_of_a_frontier_make_it_again() -> None:
    for n in range(SMALL + 1):
        frontier = LOG.frontier(n)
        assert Frontier.from_parts(frontier.size, iter(frontier.peaks)) == frontier


def test_slot_leaf() -> None:
    assert slot_leaf(1, b"\xab" * 32) == bytes.fromhex("0000000000000001") + b"\xab" * 32
    assert slot_leaf(MAX_SIZE, bytes(32))[:8] == bytes.fromhex("4000000000000000")
    for slot, digest in (
        (0, bytes(32)),
        (-1, bytes(32)),
        (MAX_SIZE + 1, bytes(32)),
        (1, b""),
        (1, bytes(33)),
    ):
        with pytest.raises(ValueError, match=r"slot|digest"):
            slot_leaf(slot, digest)


def test_a_leaf_hash_of_another_length_is_refused_and_changes_nothing() -> None:
    log = log_of(D[:5])
    for digest in (b"", bytes(31), bytes(33), bytes(64)):
        with pytest.raises(ValueError, match="32 bytes"):
            log.append_leaf_hash(digest)
    log.append(D[5])
    assert log.root() == MTH[6]


def test_memory_is_64_bytes_a_leaf_and_two_hashes_an_append() -> None:
    log = MerkleLog()
    for leaf in leaves_to(4096):
        log.append(leaf)
    nodes = sum(len(level) // 32 for level in log._levels)
    assert nodes == 2 * 4096 - 1  # leaves and inner nodes, each hashed once and stored once


# --- forgers ----------------------------------------------------------------------------------------------

FORGED = 20


def forgeries(proof: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    """Every change of one byte, every change of a length, every drop, doubling, swap and addition."""
    for i, digest in enumerate(proof):
        for at in range(32):
            yield (*proof[:i], digest[:at] + bytes([digest[at] ^ 0x01]) + digest[at + 1 :], *proof[i + 1 :])
        for other in (digest[:-1], digest + b"\x00", b"", digest * 2):
            yield (*proof[:i], other, *proof[i + 1 :])
        yield proof[:i] + proof[i + 1 :]
        yield (*proof[: i + 1], digest, *proof[i + 1 :])
    for i in range(len(proof) - 1):
        left, right = proof[i], proof[i + 1]
        yield (*proof[:i], right, left, *proof[i + 2 :])
        yield (*proof[:i], left + right[:1], right[1:], *proof[i + 2 :])  # same bytes, another boundary
        yield (*proof[:i], left[:-1], left[-1:] + right, *proof[i + 2 :])
        yield (*proof[:i], left + right, *proof[i + 2 :])
    for extra in (bytes(32), EMPTY_ROOT, b""):
        yield (*proof, extra)
        yield (extra, *proof)


def refused(trusted: bytes, compute: Callable[..., bytes], *arguments: object) -> bool:
    try:
        return compute(*arguments) != trusted
    except ProofError:
        return True


def test_every_forged_inclusion_proof_is_refused() -> None:
    for n in range(1, FORGED + 1):
        for m in range(n):
            path = LOG.inclusion_proof(m, n)
            for forged in forgeries(path):
                assert refused(MTH[n], root_from_inclusion, D[m], m, n, forged)
            for other in range(SMALL):
                if other != m:
                    assert root_from_inclusion(D[other], m, n, path) != MTH[n]
            for index in range(-1, n + 1):
                if index != m:
                    assert refused(MTH[n], root_from_inclusion, D[m], index, n, path)


def test_every_forged_consistency_proof_is_refused() -> None:
    for n in range(FORGED + 1):
        for m in range(n + 1):
            proof = LOG.consistency_proof(m, n)
            for forged in forgeries(proof):
                with pytest.raises(ProofError):
                    verify_consistency(m, MTH[m], n, MTH[n], forged)
            for other in range(SMALL + 1):
                if other != m:
                    with pytest.raises(ProofError):
                        verify_consistency(m, MTH[other], n, MTH[n], proof)
                if other != n and m > 0:
                    with pytest.raises(ProofError):
                        verify_consistency(m, MTH[m], n, MTH[other], proof)
            for root in (b"", MTH[m][:-1], MTH[m] + b"\x00"):
                with pytest.raises(ProofError):
                    verify_consistency(m, root, n, MTH[n], proof)
    with pytest.raises(ProofError):
        verify_consistency(5, MTH[5], 4, MTH[4], [])
    with pytest.raises(ProofError):
        verify_consistency(-1, MTH[0], 4, MTH[4], [])
    with pytest.raises(ProofError):
        verify_consistency(0, EMPTY_ROOT, 0, MTH[1], [])
    with pytest.raises(ProofError, match="32 bytes"):
        verify_consistency(1, b"", 1, b"", [])


def test_every_forged_cover_is_refused() -> None:
    for n in range(FORGED + 1):
        for m in range(n + 1):
            for forged in forgeries(LOG.right_cover(m, n)):
                assert refused(MTH[n], root_from_cover, LOG.frontier(m), n, forged)
    with pytest.raises(ProofError):
        root_from_cover(LOG.frontier(5), 4, [])
    with pytest.raises(ProofError):
        root_from_cover(LOG.frontier(5), -1, [])


def test_a_cover_completes_no_other_prefix() -> None:
    """The frontier is bound: another leaf in it, or another history as long, gives another root."""
    for n in range(1, FORGED + 1):
        for m in range(1, n + 1):
            cover = LOG.right_cover(m, n)
            for changed in range(m):
                other = EMPTY.extend(b"forged" if i == changed else leaf for i, leaf in enumerate(D[:m]))
                assert root_from_cover(other, n, cover) != MTH[n]
            for forged in forgeries(LOG.frontier(m).peaks):
                try:
                    frontier = Frontier.from_parts(m, forged)
                except ValueError:
                    continue
                assert root_from_cover(frontier, n, cover) != MTH[n]
            for begin in range(n + 1):
                if begin != m:
                    assert refused(MTH[n], root_from_cover, LOG.frontier(begin), n, cover)


def test_a_root_does_not_bind_its_size() -> None:
    """Why sizes must be trusted: the last leaf of 3 has the path that the last leaf of 2 would have."""
    path = LOG.inclusion_proof(2, 3)
    assert root_from_inclusion(D[2], 1, 2, path) == root_from_inclusion(D[2], 2, 3, path) == MTH[3]
    # In the log the leaf names its slot and the statement the size, so the lie shows.
    assert D[2] != slot_leaf(2, D[2][8:])


def test_an_inner_node_passes_for_no_leaf() -> None:
    left, right = leaf_hash(D[0]), leaf_hash(D[1])
    assert tree_head([left + right, D[2]]) != tree_head(D[:3])
    assert root_from_inclusion(left + right, 0, 2, [leaf_hash(D[2])]) != MTH[3]


def test_errors_say_what_was_expected_and_what_came() -> None:
    with pytest.raises(
        ProofError, match=r"the path of leaf 5 in a tree of 8 leaves has 3 hashes, not 2"
    ) as caught:
        root_from_inclusion(D[5], 5, 8, LOG.inclusion_proof(5, 8)[:2])
    assert isinstance(caught.value, ValueError)
    with pytest.raises(ProofError, match="hashes of 32 bytes, not 31"):
        root_from_cover(LOG.frontier(4), 8, [bytes(31)])
    with pytest.raises(LookupError, match="knows the sizes 0 to 40"):
        LOG.root(41)


@pytest.mark.parametrize("begin", [0, 1, 5, 8])
def test_a_log_that_forgets_is_one_that_began_later(begin: int) -> None:
    """For every size to forget: the same proofs as a log that was begun from that frontier."""
    leaves = [bytes([number]) for number in range(40)]
    for size in range(begin, 41):
        forgetful = MerkleLog(Frontier().extend(leaves[:begin]))
        for leaf in leaves[begin:]:
            forgetful.append(leaf)
        forgetful.forget(size)
        later = MerkleLog(Frontier().extend(leaves[:size]))
        for leaf in leaves[size:]:
            later.append(leaf)
        assert forgetful.base == later.base
        for log in (forgetful, later):
            log.append(b"one more")
        assert forgetful.root() == later.root()
        for at in range(size, 41):
            assert forgetful.right_cover(at, 41) == later.right_cover(at, 41)
            assert forgetful.inclusion_proof(at, 41) == later.inclusion_proof(at, 41)
        with pytest.raises(LookupError):
            forgetful.forget(size - 1)
