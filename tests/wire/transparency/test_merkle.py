# SPDX-License-Identifier: Apache-2.0
"""Trees, proofs and their verification, against a tree that is built as RFC 9162 §2.1.1 writes it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.errors import ProofError
from armillary.wire.transparency import merkle
from armillary.wire.transparency.merkle import Frontier, TreeHead, leaf_hash
from armillary.wire.transparency.tiles import TILE_WIDTH, subtrees

# The leaves that implementations of RFC 6962 are commonly tested with, and the roots of the first 0, 1, ... 8 of them
# (transparency-dev/merkle, testonly/constants.go; google/certificate-transparency).
LEAVES = [bytes.fromhex(each) for each in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index: int, leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """PATH, word for word."""
    if len(leaves) == 1:
        return ()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if index < k:
        return (*naive_path(index, leaves[:k]), naive_root(leaves[k:]))
    return (*naive_path(index - k, leaves[k:]), naive_root(leaves[:k]))


def naive_proof(m: int, leaves: Sequence[bytes], *, whole: bool = True) -> tuple[bytes, ...]:
    """SUBPROOF, word for word."""
    if m == len(leaves):
        return () if whole else (naive_root(leaves),)
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return (*naive_proof(m, leaves[:k], whole=whole), naive_root(leaves[k:]))
    return (*naive_proof(m - k, leaves[k:], whole=False), naive_root(leaves[:k]))


def whole_of(leaves: Sequence[bytes]) -> merkle.WholeSubtree:
    """Whole subtrees as a log in tiles has them."""

    def read(level: int, first: int, count: int) -> Sequence[bytes]:
        width = TILE_WIDTH**level
        return [naive_root(leaves[place * width : (place + 1) * width]) for place in range(first, first + count)]

    return subtrees(read)


def heads(leaves: Sequence[bytes], size: int) -> TreeHead:
    return TreeHead(size, naive_root(leaves[:size]))


def test_roots_are_those_of_other_implementations() -> None:
    frontier = Frontier()
    for size, root in enumerate(ROOTS):
        assert merkle.root_of(whole_of(LEAVES), size).hex() == root == frontier.root.hex()
        frontier.add(leaf_hash(each) for each in LEAVES[size : size + 1])


def test_proofs_of_all_small_trees_are_those_of_the_rfc_and_lead_to_the_root() -> None:
    leaves = [bytes((each,)) for each in range(20)]
    whole = whole_of(leaves)
    for size in range(1, len(leaves) + 1):
        for index in range(size):
            proof = merkle.inclusion_proof(whole, index, size)
            assert proof == naive_path(index, leaves[:size])
            assert merkle.verify_inclusion(leaves[index], index, proof, heads(leaves, size)) == leaves[index]
        for earlier in range(1, size + 1):
            proof = merkle.consistency_proof(whole, earlier, size)
            assert proof == naive_proof(earlier, leaves[:size])
            later = heads(leaves, size)
            assert merkle.verify_consistency(heads(leaves, earlier), later, proof) == later


@given(st.integers(1, 700), st.data())
@settings(max_examples=examples(160))
def test_trees_in_tiles_are_those_of_the_rfc(size: int, data: st.DataObject) -> None:
    leaves = [each.to_bytes(2, "big") for each in range(size)]
    whole, head = whole_of(leaves), heads(leaves, size)
    index, earlier = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    frontier = Frontier()
    frontier.add(map(leaf_hash, leaves))
    assert merkle.root_of(whole, size) == frontier.root == head.root
    assert merkle.verify_inclusion(leaves[index], index, merkle.inclusion_proof(whole, index, size), head)
    proof = merkle.consistency_proof(whole, earlier, size)
    assert merkle.verify_consistency(heads(leaves, earlier), head, proof) == head


@given(st.integers(2, 200), st.data())
@settings(max_examples=examples(400))
def test_a_proof_of_which_anything_is_changed_proves_nothing(size: int, data: st.DataObject) -> None:
    leaves = [each.to_bytes(2, "big") for each in range(size)]
    whole, head = whole_of(leaves), heads(leaves, size)
    index, earlier = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size - 1))
    inclusion = list(merkle.inclusion_proof(whole, index, size))
    consistency = list(merkle.consistency_proof(whole, earlier, size))
    kind = data.draw(st.sampled_from(("flip", "drop", "add", "swap")))
    for proof in (inclusion, consistency):
        place = data.draw(st.integers(0, len(proof) - 1))
        if kind == "flip":
            bit = data.draw(st.integers(0, 255))
            proof[place] = (int.from_bytes(proof[place], "big") ^ 1 << bit).to_bytes(32, "big")
        elif kind == "drop":
            del proof[place]
        elif kind == "add":
            proof.insert(place, b"\x07" * 32)
        else:
            proof[:] = proof[1:] + proof[:1] if len(set(proof)) > 1 else [b"\x07" * 32]
    with pytest.raises(ProofError):
        merkle.verify_inclusion(leaves[index], index, inclusion, head)
    with pytest.raises(ProofError):
        merkle.verify_consistency(heads(leaves, earlier), head, consistency)


@pytest.mark.parametrize("attack", ["changed", "removed", "reordered", "truncated"])
def test_no_proof_makes_a_log_consistent_that_is_not(attack: str) -> None:
    leaves = [each.to_bytes(2, "big") for each in range(60)]
    seen = heads(leaves, 40)
    forged = list(leaves)
    if attack == "changed":
        forged[7] = b"forged"
    elif attack == "removed":
        del forged[7]
    elif attack == "reordered":
        forged[7], forged[8] = forged[8], forged[7]
    else:
        del forged[30:]
    later = heads(forged, len(forged))
    most = min(seen.size, len(forged))
    with pytest.raises(ProofError):
        merkle.verify_consistency(seen, later, merkle.consistency_proof(whole_of(forged), most, len(forged)))
    honest = heads(leaves, 60)  # the control: the log that only grew
    assert merkle.verify_consistency(seen, honest, merkle.consistency_proof(whole_of(leaves), 40, 60)) == honest


def test_a_leaf_is_no_inner_node() -> None:
    """A second preimage: the two hashes below a node, given as a leaf (RFC 9162 §2.1.1 tells them apart)."""
    leaves = [b"a", b"b", b"c", b"d"]
    head = heads(leaves, 4)
    inner = leaf_hash(b"a") + leaf_hash(b"b")
    with pytest.raises(ProofError):
        merkle.verify_inclusion(inner, 0, [naive_root(leaves[2:])], TreeHead(2, head.root))


def test_a_proof_of_ten_million_leaves_reads_few_hashes() -> None:
    asked: list[int] = []

    def read(level: int, first: int, count: int) -> Sequence[bytes]:
        asked.append(count)
        return [sha256(f"{level} {each}".encode()).digest() for each in range(first, first + count)]

    size = 10_000_000
    for index in (0, 1, 4_999_999, size - 1):
        asked.clear()
        assert len(merkle.inclusion_proof(subtrees(read), index, size)) <= 24
        assert sum(asked) <= 6 * 255
        assert len(asked) <= 48
    asked.clear()
    merkle.consistency_proof(subtrees(read), 9_876_543, size)
    assert sum(asked) <= 6 * 255


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0), (1, 1 << 63)])
def test_leaves_that_are_not_there_have_no_proof(index: int, size: int) -> None:
    with pytest.raises(ProofError):
        merkle.inclusion_proof(whole_of(LEAVES), index, size)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(b"", index, [], TreeHead(size, bytes(32)))


def test_hashes_of_another_length_and_endless_proofs_are_refused() -> None:
    head = heads(LEAVES, 2)
    with pytest.raises(ProofError, match="32 bytes"):
        merkle.verify_inclusion(LEAVES[0], 0, [b"short"], head)
    with pytest.raises(ProofError, match="at most"):
        merkle.verify_inclusion(LEAVES[0], 0, [bytes(32)] * 65, head)
    with pytest.raises(ProofError):
        merkle.consistency_proof(whole_of(LEAVES), 3, 2)
