# SPDX-License-Identifier: Apache-2.0
"""Merkle trees of RFC 9162 §2.1 with SHA-256: hashes, inclusion proofs, consistency proofs, and their verification.

::

    MTH({})       = SHA-256("")
    MTH({d})      = SHA-256(0x00 || d)                                     a leaf
    MTH(D[0:n])   = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))            k: the largest power of two below n

Leaves are numbered from 0. Proofs are made from hashes of *whole* subtrees, those with 2^level leaves that begin at a
multiple of 2^level: everything else in a tree of any size is made of them. Who has a tree gives a function of (level,
index) that returns the hash of the whole subtree over the leaves index * 2^level to (index + 1) * 2^level - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from armillary.errors import ProofError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
# Leaves of a tree: sizes are signed 64-bit integers wherever they are kept.
MAX_SIZE: Final = (1 << 63) - 1
# Hashes of a proof: an inclusion proof has one a level, a consistency proof at most one more (RFC 9162 §2.1.3, §2.1.4).
MAX_PROOF_HASHES: Final = 64

Proof = tuple[bytes, ...]
# Hash of the whole subtree of a level and an index.
WholeSubtree = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class TreeHead:
    """How many leaves a tree has, and its root hash, 32 bytes."""

    size: int
    root: bytes


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def folded(hashes: Sequence[bytes]) -> bytes:
    """The root over the hashes of neighbouring subtrees of one size; there are a power of two of them."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[place], level[place + 1]) for place in range(0, len(level), 2)]
    return level[0]


class Frontier:
    """A tree that only grows: the hashes of the whole subtrees that make it up, from left to right."""

    def __init__(self) -> None:
        self.size = 0
        self._whole: list[bytes] = []

    def add(self, hashes: Iterable[bytes]) -> None:
        """Add leaves by their hashes."""
        for each in hashes:
            carried, level = each, self.size
            while level & 1:
                carried, level = node_hash(self._whole.pop(), carried), level >> 1
            self._whole.append(carried)
            self.size += 1

    @property
    def root(self) -> bytes:
        """The root hash of the leaves so far."""
        if not self._whole:
            return EMPTY_ROOT
        root = self._whole[-1]
        for each in reversed(self._whole[:-1]):
            root = node_hash(each, root)
        return root


def root_of(whole: WholeSubtree, size: int) -> bytes:
    """The root hash of the first ``size`` leaves."""
    return EMPTY_ROOT if size == 0 else _range_hash(whole, 0, size)


def inclusion_proof(whole: WholeSubtree, index: int, size: int) -> Proof:
    """That leaf ``index`` is in the tree of ``size`` leaves (RFC 9162 §2.1.3.1): from the leaf's sibling upwards.

    Raises:
        ProofError: the tree has no such leaf.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofError("inclusion-proof", expected=f"a leaf below the size {size}", got=str(index))
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_hash(whole, middle, end))
            end = middle
        else:
            path.append(_range_hash(whole, start, middle))
            start = middle
    return tuple(reversed(path))


def consistency_proof(whole: WholeSubtree, earlier: int, size: int) -> Proof:
    """That the tree of ``earlier`` leaves is the beginning of that of ``size`` leaves (RFC 9162 §2.1.4.1).

    Empty from 0 leaves, and from a size to itself: there is nothing to prove.

    Raises:
        ProofError: the earlier tree is the larger one.
    """
    if not 0 <= earlier <= size <= MAX_SIZE:
        raise ProofError("consistency-proof", expected=f"an earlier size of at most {size}", got=str(earlier))
    if earlier in (0, size):
        return ()
    path: list[bytes] = []
    start, end, is_whole = 0, size, True
    while earlier != end:
        middle = start + _split(end - start)
        if earlier <= middle:
            path.append(_range_hash(whole, middle, end))
            end = middle
        else:
            path.append(_range_hash(whole, start, middle))
            start, is_whole = middle, False
    if not is_whole:
        path.append(_range_hash(whole, start, end))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, proof: Sequence[bytes], head: TreeHead) -> bytes:
    """The leaf, once its proof leads to the tree's root (RFC 9162 §2.1.3.2).

    Raises:
        ProofError: it does not.
    """
    found = root_from_leaf_hash(leaf_hash(leaf), index, head.size, proof)
    if found != head.root:
        raise ProofError(
            "inclusion-proof", expected=f"the root {head.root.hex()}", got=f"{found.hex()} from leaf {index}"
        )
    return leaf


def root_from_leaf_hash(hashed: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root to which the proof of a leaf leads, by the leaf's hash; to be compared with the one that was signed.

    Raises:
        ProofError: a tree of this size has no such leaf, or no proof of this length.
    """
    _check_hashes("inclusion-proof", (hashed, *proof))
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofError("inclusion-proof", expected=f"a leaf below the size {size}", got=str(index))
    for is_left, each in _climbed("inclusion-proof", index, size - 1, proof):
        hashed = node_hash(each, hashed) if is_left else node_hash(hashed, each)
    return hashed


def verify_consistency(earlier: TreeHead, later: TreeHead, proof: Sequence[bytes]) -> TreeHead:
    """The later tree, once the proof shows that it begins with the earlier one (RFC 9162 §2.1.4.2).

    Raises:
        ProofError: it does not show it, or the later tree is the smaller one.
    """
    _check_hashes("consistency-proof", proof)
    _check_hashes("tree-head", (earlier.root, later.root))
    if not 0 <= earlier.size <= later.size <= MAX_SIZE:
        raise ProofError("consistency-proof", expected=f"at least {earlier.size} leaves", got=str(later.size))
    if earlier.size in (0, later.size):
        root = later.root if earlier.size == later.size else EMPTY_ROOT
        if proof or earlier.root != root or (earlier.size == 0 and earlier.root != EMPTY_ROOT):
            raise ProofError("consistency-proof", expected=f"the root {root.hex()}", got=earlier.root.hex())
        return later
    place, last, hashes = earlier.size - 1, later.size - 1, list(proof)
    while place & 1:
        place, last = place >> 1, last >> 1
    if place == 0:  # the earlier tree is whole: its root begins the proof, and is not sent
        hashes.insert(0, earlier.root)
    if not hashes:
        raise ProofError("consistency-proof", expected="a hash to begin with", got="none")
    old = new = hashes[0]
    for is_left, each in _climbed("consistency-proof", place, last, hashes[1:]):
        old, new = (node_hash(each, old), node_hash(each, new)) if is_left else (old, node_hash(new, each))
    for tree, found, wanted in (("earlier", old, earlier.root), ("later", new, later.root)):
        if found != wanted:
            raise ProofError("consistency-proof", expected=f"the {tree} root {wanted.hex()}", got=found.hex())
    return later


def _split(count: int) -> int:
    """The largest power of two below ``count``, which is at least 2."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_hash(whole: WholeSubtree, start: int, end: int) -> bytes:
    """MTH(D[start:end]), for the ranges into which RFC 9162 divides a tree: all of them begin where whole ones do."""
    found: bytes | None = None
    while start < end:  # the whole subtrees from right to left: the smallest is last
        width = (end - start) & -(end - start)
        end -= width
        one = whole(width.bit_length() - 1, end // width)
        found = one if found is None else node_hash(one, found)
    if found is None:
        raise ValueError("an empty range has no hash here")
    return found


def _climbed(what: str, place: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bool, bytes]]:
    """Each hash of a proof on the way up, and whether it belongs to the left; in RFC 9162, ``fn`` and ``sn``."""
    for each in proof:
        if last == 0:
            raise ProofError(what, expected="no hash above the root", got=f"{len(proof)} hashes")
        is_left = bool(place & 1) or place == last
        yield is_left, each
        while is_left and place and not place & 1:  # levels at which the right edge has no sibling
            place, last = place >> 1, last >> 1
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ProofError(what, expected="hashes up to the root", got=f"{len(proof)} hashes")


def _check_hashes(what: str, proof: Sequence[bytes]) -> None:
    if len(proof) > MAX_PROOF_HASHES + 1:  # with the leaf's own
        raise ProofError(what, expected=f"at most {MAX_PROOF_HASHES} hashes", got=str(len(proof)))
    for place, each in enumerate(proof):
        if len(each) != HASH_BYTES:
            raise ProofError(what, expected=f"hashes of {HASH_BYTES} bytes", got=f"{len(each)} bytes at {place}")
