# SPDX-License-Identifier: Apache-2.0
"""Proof bundles: what is proved, and that nothing in one can be changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import effort, examples

from armillary.errors import ProofError, SignatureError, WireError
from armillary.wire.transparency import bundle as bundles, merkle, note as notes
from armillary.wire.transparency.bundle import Earlier, ProvedLeaf, UnverifiedBundle
from armillary.wire.transparency.checkpoint import Checkpoint
from armillary.wire.transparency.entry import detail_text, leaf_of, parse_leaf
from armillary.wire.transparency.merkle import Frontier, TreeHead, leaf_hash
from armillary.wire.transparency.tiles import subtrees

LOG = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
WITNESS = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
LOG_KEY = notes.verifier_key("log.example/audit", notes.ED25519, LOG)
WITNESS_KEY = notes.verifier_key("w.example", notes.COSIGNATURE, WITNESS)
LEAVES = [
    leaf_of(each, 1000 + each, "ann", "device.claim", f"d{each}", detail_text({"n": each})) for each in range(1, 12)
]


def whole_of(leaves: Sequence[bytes]) -> merkle.WholeSubtree:
    return subtrees(lambda _, first, count: [leaf_hash(each) for each in leaves[first : first + count]])


def head_of(leaves: Sequence[bytes]) -> TreeHead:
    frontier = Frontier()
    frontier.add(map(leaf_hash, leaves))
    return TreeHead(frontier.size, frontier.root)


def signed(leaves: Sequence[bytes], *, cosigned: bool = False, by: Ed25519PrivateKey = LOG) -> str:
    text = Checkpoint(LOG_KEY.name, head_of(leaves)).text
    note = f"{text}\n{notes.sign(text, LOG_KEY.name, by).line}"
    return note + notes.cosign(text, WITNESS_KEY.name, WITNESS, 9).line if cosigned else note


def made(leaves: Sequence[bytes] = LEAVES, *, indexes: Sequence[int] = (0, 4, 10), since: int = 6) -> UnverifiedBundle:
    whole = whole_of(leaves)
    return UnverifiedBundle(
        keys=(LOG_KEY, WITNESS_KEY),
        checkpoint=signed(leaves, cosigned=True),
        earlier=Earlier(checkpoint=signed(leaves[:since]), proof=merkle.consistency_proof(whole, since, len(leaves))),
        entries=tuple(
            ProvedLeaf(leaf=leaves[each], proof=merkle.inclusion_proof(whole, each, len(leaves))) for each in indexes
        ),
    )


FILE = bundles.encode(made())


def verified(content: bytes) -> bundles.VerifiedBundle:
    return bundles.verify(bundles.parse(content), LOG_KEY, witnesses=[WITNESS_KEY], least=1)


def test_a_bundle_proves_its_entries_its_witness_and_what_it_continues() -> None:
    found = verified(FILE)
    assert [each.number for each in found.entries] == [1, 5, 11]
    assert found.entries[1].detail == {"n": 5}
    assert found.checkpoint.head == head_of(LEAVES)
    assert found.earlier == Checkpoint(LOG_KEY.name, head_of(LEAVES[:6]))
    assert found.witnesses == ((WITNESS_KEY, 9),)


def test_no_byte_of_a_bundle_can_be_changed() -> None:
    for place in range(0, len(FILE), effort(3, 1)):
        broken = bytearray(FILE)
        broken[place] ^= 1 + place % 255
        with pytest.raises(WireError):
            verified(bytes(broken))
    assert verified(FILE)


@given(st.integers(0, len(FILE)), st.binary(max_size=3), st.integers(0, 3))
@settings(max_examples=examples(400))
def test_no_bytes_can_be_put_in_or_left_out(place: int, added: bytes, left_out: int) -> None:
    changed = FILE[:place] + added + FILE[place + left_out :]
    if changed != FILE:
        with pytest.raises(WireError):
            verified(changed)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)
    ).map(lambda each: json.dumps(each).encode())
)
@settings(max_examples=examples(200))
def test_what_is_no_bundle_is_refused(content: bytes) -> None:
    with pytest.raises(WireError):
        bundles.parse(content)


def test_hostile_files_are_refused() -> None:
    document = json.loads(FILE)
    many = {**document, "entries": document["entries"][:1] * (bundles.MAX_ENTRIES + 1)}
    deep = b"[" * 200_000
    for content in (b"x" * (bundles.MAX_BUNDLE_BYTES + 1), deep, json.dumps(many, indent=1).encode() + b"\n"):
        with pytest.raises(WireError):
            bundles.parse(content)
    for name in document:
        without = {key: value for key, value in document.items() if key != name}
        with pytest.raises(WireError):
            bundles.parse(json.dumps(without, indent=1).encode() + b"\n")
    for name, value in (
        ("keys", []),
        ("keys", [5]),
        ("entries", [{}]),
        ("earlier", 5),
        ("checkpoint", 5),
        ("format", 5),
    ):
        with pytest.raises(WireError):
            verified(json.dumps({**document, name: value}, indent=1).encode() + b"\n")


@pytest.mark.parametrize("attack", ["changed", "another-place", "not-there", "twice"])
def test_an_entry_that_the_tree_does_not_have_there_is_refused(attack: str) -> None:
    good = made()
    first, second, third = good.entries
    entries: tuple[ProvedLeaf, ...]
    if attack == "changed":
        entries = (replace(first, leaf=first.leaf.replace(b"ann", b"bob")),)
    elif attack == "another-place":
        entries = (replace(first, proof=second.proof),)
    elif attack == "not-there":
        entries = (replace(third, leaf=leaf_of(12, 1, "a", "b", "c", "{}")),)
    else:
        entries = (first, first)
    with pytest.raises(ProofError):
        bundles.verify(replace(good, entries=entries), LOG_KEY)
    assert bundles.verify(replace(good, entries=(second, first)), LOG_KEY)  # the control


def test_a_bundle_of_another_log_or_signed_by_nobody_trusted_is_refused() -> None:
    stranger = notes.verifier_key(LOG_KEY.name, notes.ED25519, WITNESS)
    with pytest.raises(SignatureError):
        bundles.verify(made(), stranger)
    with pytest.raises(SignatureError):  # by its own word it is of the log, and its signature is not
        bundles.verify(replace(made(), checkpoint=signed(LEAVES, by=WITNESS)), LOG_KEY)
    with pytest.raises(SignatureError):  # a key that signed nothing
        bundles.verify(replace(made(), checkpoint=signed(LEAVES)), LOG_KEY)
    with pytest.raises(SignatureError):
        bundles.verify(made(), LOG_KEY, witnesses=[replace(WITNESS_KEY, name="other")], least=1)


def test_an_earlier_checkpoint_of_another_history_is_refused() -> None:
    other = [*LEAVES[:2], leaf_of(3, 1, "eve", "device.claim", "x", "{}"), *LEAVES[3:]]
    good = made()
    assert good.earlier is not None
    forked = replace(good, earlier=replace(good.earlier, checkpoint=signed(other[:6])))
    with pytest.raises(ProofError):
        bundles.verify(forked, LOG_KEY)
    cosigned = replace(good, earlier=replace(good.earlier, checkpoint=signed(LEAVES[:6], cosigned=True)))
    with pytest.raises(SignatureError):  # a line that nobody verifies could be changed
        bundles.verify(cosigned, LOG_KEY)


@given(
    st.integers(1, 1 << 40), st.integers(0, 1 << 40), st.text(), st.text(), st.text(),
    st.dictionaries(st.text(), st.integers() | st.text() | st.none()),
)  # fmt: skip
@settings(max_examples=examples(200))
def test_an_entry_is_read_as_it_was_written(
    number: int, at: int, actor: str, operation: str, target: str, detail: dict[str, object]
) -> None:
    found = parse_leaf(leaf_of(number, at, actor, operation, target, detail_text(detail)))
    assert (found.number, found.at, found.actor, found.operation, found.target) == (
        number,
        at,
        actor,
        operation,
        target,
    )
    assert found.detail == detail


@pytest.mark.parametrize("leaf", [b"", b"{}", b"[]", b'[1,2,"a","b","c",{}]', b'[1, 2,"a","b","c","{}"]', b'[0,2,"a","b","c","{}"]',
    b'[true,2,"a","b","c","{}"]', b'[1,2,"a","b","c","[]"]', b'[1,2,"a","b","c","{"]', b"[" * 100_000])  # fmt: skip
def test_what_is_no_entry_is_refused(leaf: bytes) -> None:
    with pytest.raises(WireError):
        parse_leaf(leaf)
