# SPDX-License-Identifier: Apache-2.0
"""Signed files for guardians: profiles, recipes and firmware in a DSSE envelope.

An envelope is JSON::

    {"payload": base64, "payloadType": "application/vnd.armillary.equipment-profile+json",
     "signatures": [{"keyid": sha256 of the public key, "sig": base64}]}

What is signed is ``"DSSEv1" SP len(type) SP type SP len(payload) SP payload`` (DSSE 1.0, PAE), so a signature of one
type is none of another. Keys are ECDSA on P-256 with SHA-256 (signature in DER) or Ed25519. A verifier tries every
trusted key that a signature may be of: the key id is a hint and proves nothing.

Keys come from elsewhere: a guardian has those of ``engines/equipment/trusted_key.py``, people those of
``files/signing.py``.

Source: github.com/secure-systems-lab/dsse, envelope.md and protocol.md, version 1.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from armillary.errors import SignatureError

PROFILE: Final = "application/vnd.armillary.equipment-profile+json"
RECIPE: Final = "application/vnd.armillary.equipment-recipe+json"
FIRMWARE: Final = "application/vnd.armillary.equipment-firmware"

# A profile has up to 1 MiB, in base64 and with its signatures 1.4; firmware is not in the envelope but its hash.
MAX_ENVELOPE_BYTES: Final = 2 << 20
MAX_SIGNATURES: Final = 16  # Of people who sign one file; each costs a verification
_WHAT: Final = "signed file"


class TrustedKey(Protocol):
    """A public key, P-256 or Ed25519, whose owner is trusted."""

    @property
    def key_id(self) -> str:
        """SHA-256 of its SubjectPublicKeyInfo (DER), in hexadecimal."""
        ...

    def check(self, signature: bytes, message: bytes) -> None:
        """Raise SignatureError unless the key's owner signed this message."""
        ...


@dataclass(frozen=True, slots=True)
class VerifiedPayload:
    """What a trusted key signed, as this type."""

    payload_type: str
    payload: bytes
    key_id: str  # Of the key whose signature held

    @property
    def sha256(self) -> str:
        """Of the payload, in hexadecimal."""
        return hashlib.sha256(self.payload).hexdigest()


@dataclass(frozen=True, slots=True)
class UnverifiedEnvelope:
    """An envelope that parses; who made it is not known."""

    payload_type: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]  # Key id, which is only a hint, and signature

    @property
    def signed_bytes(self) -> bytes:
        """What its signatures are over."""
        return pre_authentication(self.payload_type, self.payload)


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: DSSE protocol.md §Signature Definition, PAE."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def verify(envelope: bytes, keys: Sequence[TrustedKey], payload_type: str) -> VerifiedPayload:
    """The payload of an envelope that one of the keys signed as this type.

    Raises:
        SignatureError: no envelope, of another type, or of no key of these.
    """
    unverified = read_envelope(envelope)
    if unverified.payload_type != payload_type:
        raise SignatureError(_WHAT, expected=payload_type, got=ascii(unverified.payload_type)[:80])
    message = unverified.signed_bytes
    for _, signature in unverified.signatures:
        for key in keys:
            try:
                key.check(signature, message)
            except SignatureError:
                continue
            return VerifiedPayload(payload_type, unverified.payload, key.key_id)
    ids = [key.key_id for key in keys]
    changed = next((hint for hint, _ in unverified.signatures if hint in ids), None)
    if changed is not None:
        raise SignatureError(_WHAT, expected="what was signed", got=f"something else with the key id {changed[:16]}")
    trusted = ", ".join(each[:16] for each in ids) or "none"
    claimed = ", ".join(ascii(hint)[1:-1][:16] for hint, _ in unverified.signatures)
    raise SignatureError(_WHAT, expected=f"a signature of a trusted key ({trusted})", got=f"one of {claimed}")


def read_envelope(data: bytes) -> UnverifiedEnvelope:
    """The envelope of JSON bytes. Raises SignatureError if it is none."""
    if len(data) > MAX_ENVELOPE_BYTES:
        raise SignatureError(_WHAT, expected=f"at most {MAX_ENVELOPE_BYTES} bytes", got=f"{len(data)}")
    try:
        document = json.loads(data.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise SignatureError(_WHAT, expected="a DSSE envelope in JSON", got=f"{error!s:.80}") from error
    given = _members(document, {"payload", "payloadType", "signatures"})
    signatures, payload_type = given["signatures"], given["payloadType"]
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise SignatureError(_WHAT, expected=f"1 to {MAX_SIGNATURES} signatures", got="another number, or no list")
    if not isinstance(payload_type, str):
        raise SignatureError(_WHAT, expected="a text as payloadType", got=type(payload_type).__name__)
    found = []
    for each in signatures:
        inner = _members(each, {"sig"})
        hint = inner.get("keyid", "")
        if not isinstance(hint, str) or len(hint) > 256:
            raise SignatureError(_WHAT, expected="a short text as keyid", got=type(hint).__name__)
        found.append((hint, _decoded(inner["sig"])))
    return UnverifiedEnvelope(payload_type, _decoded(given["payload"]), tuple(found))


def written(envelope: UnverifiedEnvelope) -> bytes:
    """An envelope as JSON."""
    document = {
        "payload": base64.b64encode(envelope.payload).decode(),
        "payloadType": envelope.payload_type,
        "signatures": [
            {"keyid": hint, "sig": base64.b64encode(signature).decode()} for hint, signature in envelope.signatures
        ],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _members(value: object, required: set[str]) -> Mapping[str, object]:
    """A mapping with at least these keys: others are ignored, as DSSE asks."""
    if not isinstance(value, Mapping) or not required <= value.keys():
        raise SignatureError(_WHAT, expected=f"an object with {', '.join(sorted(required))}", got="something else")
    return value


def _decoded(value: object) -> bytes:
    """Base64, standard or URL-safe: envelope.md takes both."""
    if isinstance(value, str):
        try:
            return base64.b64decode(value.replace("-", "+").replace("_", "/").encode(), validate=True)
        except (binascii.Error, ValueError):
            pass
    raise SignatureError(_WHAT, expected="base64", got="something else")
