# SPDX-License-Identifier: Apache-2.0
"""Proof bundles: entries of a log with all that proves them, in one file that is verified without the service.

::

    { "format": "armillary log proof 1",
      "keys": [verifier key of the log, verifier keys of witnesses ...],
      "checkpoint": note,
      "earlier": null | { "checkpoint": note of the same log, "proof": [base64 hash ...] },
      "entries": [ { "leaf": text, "proof": [base64 hash ...] } ... ] }

Everything in it is covered: each leaf by its inclusion proof, the proofs by the root, the root by the log's signature,
each key by the signature that it verifies, and the file has one spelling. So a bundle in which any byte was changed is
refused. The keys in a bundle say whom it claims to be from; who verifies it has the log's key from somewhere else.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import ProofError, SignatureError, WireError
from armillary.wire.transparency import checkpoint as checkpoints, merkle, note as notes
from armillary.wire.transparency.checkpoint import Checkpoint
from armillary.wire.transparency.entry import LogEntry, parse_leaf
from armillary.wire.transparency.merkle import Proof
from armillary.wire.transparency.note import VerifierKey

FORMAT: Final = "armillary log proof 1"
MAX_BUNDLE_BYTES: Final = 32 << 20  # a thousand entries with a few kilobytes of detail each, and their proofs
MAX_ENTRIES: Final = 1000

_NAME: Final = "log-proof"
_REMEDY: Final = "Do not rely on it; ask the service for another one: armillary audit prove."


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedLeaf:
    """A leaf and its inclusion proof."""

    leaf: bytes
    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An earlier checkpoint of the log, as a note, and the proof that the log has only grown since."""

    checkpoint: str
    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedBundle:
    """A bundle as it came. ``keys``: the log's first, then those of the witnesses."""

    keys: tuple[VerifierKey, ...]
    checkpoint: str
    earlier: Earlier | None
    entries: tuple[ProvedLeaf, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBundle:
    """What a bundle proves.

    Attributes:
        earlier: The earlier checkpoint that the log only grew from, where the bundle has one.
        witnesses: Who cosigned the checkpoint, with the time (Unix seconds).
    """

    checkpoint: Checkpoint
    earlier: Checkpoint | None
    witnesses: tuple[tuple[VerifierKey, int], ...]
    entries: tuple[LogEntry, ...]


def encode(bundle: UnverifiedBundle) -> bytes:
    """The file of a bundle."""
    earlier = bundle.earlier
    document = {
        "format": FORMAT,
        "keys": [each.text for each in bundle.keys],
        "checkpoint": bundle.checkpoint,
        "earlier": None if earlier is None else {"checkpoint": earlier.checkpoint, "proof": _texts(earlier.proof)},
        "entries": [{"leaf": each.leaf.decode("ascii"), "proof": _texts(each.proof)} for each in bundle.entries],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def parse(content: bytes) -> UnverifiedBundle:
    """A bundle that nobody has verified.

    Raises:
        WireError: too large, no bundle, or in another spelling than :func:`encode` gives it.
    """
    if len(content) > MAX_BUNDLE_BYTES:
        raise _refused(f"at most {MAX_BUNDLE_BYTES} bytes", str(len(content)))
    try:
        document = json.loads(content)
        of = document["format"]
        earlier = document["earlier"]
        found = UnverifiedBundle(
            keys=tuple(notes.parse_verifier_key(each) for each in document["keys"]),
            checkpoint=str(document["checkpoint"]),
            earlier=None
            if earlier is None
            else Earlier(checkpoint=str(earlier["checkpoint"]), proof=_proof(earlier["proof"])),
            entries=tuple(_entry(each) for each in document["entries"][: MAX_ENTRIES + 1]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refused("a proof bundle", f"another file ({error!s:.60})") from error
    if of != FORMAT:
        raise _refused(f"the format {FORMAT!r}", f"{of!r:.60}")
    if len(found.entries) > MAX_ENTRIES or not found.keys:
        raise _refused(f"keys, and at most {MAX_ENTRIES} entries", f"{len(found.keys)} keys, or more entries")
    if encode(found) != content:
        raise _refused("the one spelling of a bundle", "another one: a byte of it was changed")
    return found


def verify(
    bundle: UnverifiedBundle, log: VerifierKey, *, witnesses: Sequence[VerifierKey] = (), least: int = 0
) -> VerifiedBundle:
    """What a bundle proves to who trusts the key of its log.

    (1) the bundle is of that log; (2) log and named witnesses have signed the checkpoint, and nobody else; (3) at least
    ``least`` of the ``witnesses`` who are trusted are among them; (4) each entry is in the tree of the checkpoint, and
    none is there twice; (5) the tree begins with that of the earlier checkpoint, which the log signed too.

    Raises:
        SignatureError: (1), (2) or (3).
        ProofError: (4) or (5).
        WireError: a part of it breaks its format.
    """
    if bundle.keys[0] != log:  # (1)
        raise SignatureError(_NAME, expected=f"a bundle of {log.text}", got=bundle.keys[0].text, remedy=_REMEDY)
    document = bundle.checkpoint.encode()
    unverified, _ = checkpoints.parse(document)
    signed = checkpoints.verify(document, log, bundle.keys[1:])  # (2)
    named = [(each.name, each.key_id) for each in bundle.keys]
    if [(each.name, each.key_id) for each in unverified.signatures] != named:
        raise SignatureError(_NAME, expected="one signature of each key that it names", got="others", remedy=_REMEDY)
    trusted = {key.text for key, _ in signed.witnesses} & {each.text for each in witnesses}
    if len(trusted) < least:  # (3)
        raise SignatureError(
            _NAME, expected=f"cosignatures of {least} trusted witnesses", got=str(len(trusted)), remedy=_REMEDY
        )
    head, entries = signed.checkpoint.head, []
    for each in bundle.entries:  # (4)
        entry = parse_leaf(each.leaf)
        merkle.verify_inclusion(each.leaf, entry.number - 1, each.proof, head)
        entries.append(entry)
    if len({each.number for each in entries}) != len(entries):
        raise ProofError(_NAME, expected="each entry once", got="one of them twice")
    earlier = None
    if bundle.earlier is not None:  # (5)
        document = bundle.earlier.checkpoint.encode()
        if len(checkpoints.parse(document)[0].signatures) != 1:
            raise SignatureError(_NAME, expected="the log's signature alone", got="others", remedy=_REMEDY)
        earlier = checkpoints.verify(document, log).checkpoint
        merkle.verify_consistency(earlier.head, head, bundle.earlier.proof)
    return VerifiedBundle(
        checkpoint=signed.checkpoint, earlier=earlier, witnesses=signed.witnesses, entries=tuple(entries)
    )


def _entry(document: Mapping[str, Any]) -> ProvedLeaf:
    return ProvedLeaf(leaf=document["leaf"].encode("ascii"), proof=_proof(document["proof"]))


def _texts(proof: Proof) -> list[str]:
    return [base64.b64encode(each).decode("ascii") for each in proof]


def _proof(texts: Sequence[str]) -> Proof:
    if len(texts) > merkle.MAX_PROOF_HASHES:
        raise _refused(f"a proof of at most {merkle.MAX_PROOF_HASHES} hashes", str(len(texts)))
    try:
        return tuple(base64.b64decode(each, validate=True) for each in texts)
    except binascii.Error as error:
        raise _refused("hashes in base64", "other text") from error


def _refused(expected: str, got: str) -> WireError:
    return WireError(_NAME, expected=expected, got=got, remedy=_REMEDY)
