# SPDX-License-Identifier: Apache-2.0
"""Notes, checkpoints, keys, entries, proof bundles: any bytes are one, written again the same, or a WireError.

No bytes but those that were signed are verified.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from armillary.errors import WireError
from armillary.wire.transparency import bundle as bundles, checkpoint as checkpoints, note as notes
from armillary.wire.transparency.bundle import ProvedLeaf, UnverifiedBundle
from armillary.wire.transparency.checkpoint import Checkpoint
from armillary.wire.transparency.entry import leaf_of, parse_leaf
from armillary.wire.transparency.merkle import TreeHead, leaf_hash

KEY = Ed25519PrivateKey.from_private_bytes(b"f" * 32)
LOG = notes.verifier_key("log.example/audit", notes.ED25519, KEY)
LEAF = leaf_of(1, 2, "ann", "device.claim", "d", "{}")
TEXT = Checkpoint(LOG.name, TreeHead(1, leaf_hash(LEAF))).text
NOTE = f"{TEXT}\n{notes.sign(TEXT, LOG.name, KEY).line}"
BUNDLE = bundles.encode(
    UnverifiedBundle(keys=(LOG,), checkpoint=NOTE, earlier=None, entries=(ProvedLeaf(leaf=LEAF, proof=()),))
)


def seeds() -> list[bytes]:
    return [NOTE.encode(), LOG.text.encode(), LEAF, BUNDLE]


def fuzz(data: bytes) -> None:
    for read in (_note, _key, _leaf, _bundle):
        try:
            read(data)
        except WireError:
            continue


def _note(data: bytes) -> None:
    note, _ = checkpoints.parse(data)
    assert note.document.encode() == data
    assert checkpoints.verify(data, LOG).checkpoint.text == TEXT


def _key(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    assert notes.parse_verifier_key(text).text == text.strip()


def _leaf(data: bytes) -> None:
    assert parse_leaf(data).number >= 1


def _bundle(data: bytes) -> None:
    found = bundles.parse(data)
    assert bundles.encode(found) == data
    assert bundles.verify(found, LOG)
    assert data == BUNDLE
