# SPDX-License-Identifier: Apache-2.0
r"""Checkpoints of a log (C2SP tlog-checkpoint v1.0.0): the head of its tree as a signed note.

::

    origin\n                   who the log is
    size\n                     leaves, decimal
    base64(root hash)\n        32 bytes
    \n
    — origin ...\n             the log's own signature, by a key of the origin's name
    — witness ...\n            cosignatures

Deviations: no extension lines, since a log of ours writes none and a witness could not say anything about them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from armillary.errors import InconsistentLogError, ProofError, SignatureError, WireError
from armillary.wire.transparency import merkle, note as notes
from armillary.wire.transparency.merkle import HASH_BYTES, MAX_SIZE, TreeHead
from armillary.wire.transparency.note import UnverifiedNote, VerifierKey

_FORMAT: Final = "checkpoint"
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: its name and the head of its tree."""

    origin: str
    head: TreeHead

    @property
    def text(self) -> str:
        """The text of its note."""
        return f"{self.origin}\n{self.head.size}\n{base64.b64encode(self.head.root).decode('ascii')}\n"


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint that its log has signed, and the witnesses that have cosigned it.

    Attributes:
        witnesses: Those of the keys that were asked for whose cosignature was verified, with its time (Unix seconds).
    """

    checkpoint: Checkpoint
    witnesses: tuple[tuple[VerifierKey, int], ...]


def parse(document: bytes) -> tuple[UnverifiedNote, Checkpoint]:
    """A checkpoint that nobody has verified, and the note that it is in.

    Raises:
        WireError: it breaks its format.
    """
    note = notes.parse(document)
    lines = note.text[:-1].split("\n")
    if len(lines) != 3 or not lines[0]:
        raise WireError(_FORMAT, expected="the lines origin, size and root hash", got=f"{len(lines)} lines")
    origin, size, encoded = lines
    if _SIZE.fullmatch(size) is None or int(size) > MAX_SIZE:
        raise WireError(_FORMAT, expected=f"a size of 0 to {MAX_SIZE}", got=f"{size!r:.40}")
    try:
        root = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError(_FORMAT, expected="a root hash in base64", got=f"{encoded!r:.60}") from error
    found = Checkpoint(origin, TreeHead(int(size), root))
    if len(root) != HASH_BYTES or found.text != note.text:
        raise WireError(_FORMAT, expected=f"a root hash of {HASH_BYTES} bytes in one spelling", got=f"{encoded!r:.60}")
    return note, found


def verify(document: bytes, log: VerifierKey, witnesses: Sequence[VerifierKey] = ()) -> SignedCheckpoint:
    """A checkpoint that its log has signed. Cosignatures of ``witnesses`` are verified where they are there.

    Raises:
        WireError: it breaks its format.
        SignatureError: the log has not signed it, or a signature of one of the keys is not over it.
    """
    note, found = parse(document)
    signed = notes.verify(note, (log, *witnesses))
    if log not in signed.by or log.algorithm != notes.ED25519 or found.origin != log.name:
        raise SignatureError(
            _FORMAT, expected=f"a signature of {log.name}", got=f"a checkpoint of {found.origin!r:.80}"
        )
    seen = zip(signed.by, signed.times, strict=True)
    return SignedCheckpoint(found, tuple((key, at) for key, at in seen if at is not None))


def followed(seen: TreeHead | None, found: Checkpoint, proof: Sequence[bytes]) -> Checkpoint:
    """A checkpoint whose log has only grown since its head was ``seen``; None is before the first time.

    What a witness checks before it cosigns, and a log before it signs.

    Raises:
        InconsistentLogError: it has not, or the proof does not show it.
    """
    if seen is None:
        return found
    try:
        merkle.verify_consistency(seen, found.head, proof)
    except ProofError as error:
        raise InconsistentLogError(
            _FORMAT,
            expected=f"{found.origin} to continue its tree of {seen.size} entries with root {seen.root.hex()}",
            got=f"{found.head.size} entries with root {found.head.root.hex()}, which do not",
        ) from error
    return found
