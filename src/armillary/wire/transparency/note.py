# SPDX-License-Identifier: Apache-2.0
r"""Signed notes (C2SP signed-note v1.0.0): text, and lines with signatures of those who say it.

::

    text\n
    \n
    — NAME base64(key id 4 || signature)\n        one line a signature, at least one

    key id       = SHA-256(NAME || 0x0A || algorithm 1 || public key)[:4]
    verifier key = NAME+hex(key id)+base64(algorithm 1 || public key 32)

Algorithms, both with Ed25519 (RFC 8032): 0x01 signs the text; 0x04 is a cosignature (C2SP tlog-cosignature): a time of
8 bytes, big endian, then the signature over ``cosignature/v1\ntime SECONDS\n`` and the text.

Deviations: notes are read in one spelling only (what is written again must equal what was read); at most 32 signatures
and 64 KiB; no ECDSA, RFC 6962 or ML-DSA signatures: those of unknown keys are carried along and never counted.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from armillary.errors import SignatureError, WireError

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
MAX_NOTE_BYTES: Final = 64 << 10
MAX_SIGNATURES: Final = 32  # verifiers take at least 16; one log and its witnesses are fewer
MAX_NAME_CHARACTERS: Final = 128
MAX_TIME: Final = (1 << 63) - 1  # a cosignature's, tlog-cosignature

_FORMAT: Final = "signed-note"
_PUBLIC_BYTES: Final = 32
_SIGNATURE_BYTES: Final = {ED25519: 64, COSIGNATURE: 72}
_NAME: Final = re.compile(rf"[^\s+]{{1,{MAX_NAME_CHARACTERS}}}")
_DASH: Final = "\u2014"
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")
_REMEDY: Final = "Get the note, or the key, again from who made it."


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Whose signatures count: a name, an algorithm and an Ed25519 public key of 32 bytes."""

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a signature line names the key, beside its name."""
        return sha256(self.name.encode() + b"\n" + bytes((self.algorithm,)) + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """The key as people carry it."""
        return f"{self.name}+{self.key_id.hex()}+{_base64(bytes((self.algorithm,)) + self.public)}"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """A line of a note; ``signature`` is what follows the key id."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line, with its end."""
        return f"{_DASH} {self.name} {_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class UnverifiedNote:
    """A note as it came: nobody may have said this."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @property
    def document(self) -> str:
        """The whole note."""
        return self.text + "\n" + "".join(each.line for each in self.signatures)


@dataclass(frozen=True, slots=True)
class SignedText:
    """The text of a note, and the keys whose signatures were verified, with a cosignature's time (Unix seconds)."""

    text: str
    by: tuple[VerifierKey, ...]
    times: tuple[int | None, ...]


def checked_name(name: str) -> str:
    """A key's name: without spaces and plus. Raises WireError."""
    if _NAME.fullmatch(name) is None or not name.isprintable():
        raise WireError(
            "verifier-key",
            expected=f"a name of 1 to {MAX_NAME_CHARACTERS} characters without spaces and +",
            got=f"{name!r:.60}",
            remedy="Choose a name like witness.example.com/w1.",
        )
    return name


def parse_verifier_key(text: str) -> VerifierKey:
    """A verifier key from its text.

    Raises:
        WireError: it is none, of another algorithm, or its key id is another key's.
    """
    name, key_id, encoded = [*text.strip().split("+", 2), "", ""][:3]
    decoded = _decoded(encoded, "verifier-key")
    checked_name(name)
    if len(decoded) != 1 + _PUBLIC_BYTES or decoded[0] not in _SIGNATURE_BYTES:
        raise WireError("verifier-key", expected="an Ed25519 key", got=f"{encoded!r:.60}", remedy=_REMEDY)
    key = VerifierKey(name, decoded[0], decoded[1:])
    if _KEY_ID.fullmatch(key_id) is None or bytes.fromhex(key_id) != key.key_id:
        raise WireError("verifier-key", expected=f"the key id {key.key_id.hex()}", got=f"{key_id!r:.20}")
    return key


def parse(document: bytes) -> UnverifiedNote:
    """A note that nobody has verified.

    Raises:
        WireError: it breaks its format, has too many signatures, or has another spelling than the one here.
    """
    if len(document) > MAX_NOTE_BYTES:
        raise WireError(_FORMAT, expected=f"at most {MAX_NOTE_BYTES} bytes", got=str(len(document)))
    try:
        whole = document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError(_FORMAT, expected="UTF-8", got="other bytes", offset=error.start) from error
    if any(each < " " and each != "\n" for each in whole):
        raise WireError(_FORMAT, expected="no control characters", got="some")
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not text or not lines.endswith("\n"):
        raise WireError(_FORMAT, expected="text, an empty line and signatures", got=f"{whole[-60:]!r}")
    signatures = tuple(_signature(line) for line in lines[:-1].split("\n")[: MAX_SIGNATURES + 1])
    if len(signatures) > MAX_SIGNATURES:
        raise WireError(_FORMAT, expected=f"at most {MAX_SIGNATURES} signatures", got="more")
    return UnverifiedNote(text + "\n", signatures)


def verify(note: UnverifiedNote, keys: Iterable[VerifierKey]) -> SignedText:
    """The text of a note that at least one of ``keys`` has signed; signatures of other keys do not count.

    Raises:
        SignatureError: none of them has, or the signature of one of them is not over this text.
    """
    known = {(key.name, key.key_id): key for key in keys}
    by: list[VerifierKey] = []
    times: list[int | None] = []
    for each in note.signatures:
        key = known.get((each.name, each.key_id))
        if key is not None and key not in by:
            times.append(_verified(note.text, key, each.signature))
            by.append(key)
    if not by:
        names = ", ".join(each.name for each in note.signatures)
        raise SignatureError(
            _FORMAT, expected=f"a signature of {' or '.join(_named(known))}", got=f"those of {names:.200}"
        )
    return SignedText(note.text, tuple(by), tuple(times))


def sign(text: str, name: str, key: Ed25519PrivateKey) -> NoteSignature:
    """The line of a signature over a text (which ends with a line end)."""
    return NoteSignature(name, verifier_key(name, ED25519, key).key_id, key.sign(text.encode()))


def cosign(text: str, name: str, key: Ed25519PrivateKey, at: int) -> NoteSignature:
    """The line of a witness's cosignature at ``at`` (Unix seconds)."""
    made = at.to_bytes(8, "big") + key.sign(_cosigned(text, at))
    return NoteSignature(name, verifier_key(name, COSIGNATURE, key).key_id, made)


def verifier_key(name: str, algorithm: int, key: Ed25519PrivateKey) -> VerifierKey:
    """The public half of a key under a name."""
    return VerifierKey(checked_name(name), algorithm, key.public_key().public_bytes_raw())


def parse_signature(line: str) -> NoteSignature:
    """A signature line of a note, with or without its line end. Raises WireError."""
    return _signature(line.removesuffix("\n"))


def _signature(line: str) -> NoteSignature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH or _NAME.fullmatch(parts[1]) is None:
        raise WireError(_FORMAT, expected=f"{_DASH} NAME SIGNATURE", got=f"{line!r:.80}")
    decoded = _decoded(parts[2], _FORMAT)
    if len(decoded) <= 4:
        raise WireError(_FORMAT, expected="a key id and a signature", got=f"{len(decoded)} bytes")
    return NoteSignature(parts[1], decoded[:4], decoded[4:])


def _verified(text: str, key: VerifierKey, signature: bytes) -> int | None:
    """The time of a cosignature, None for a plain signature. Raises SignatureError."""
    if len(signature) != _SIGNATURE_BYTES[key.algorithm]:
        raise SignatureError(_FORMAT, expected=f"a signature of {key.name}", got=f"{len(signature)} bytes")
    at = int.from_bytes(signature[:8], "big") if key.algorithm == COSIGNATURE else None
    if at is not None and at > MAX_TIME:
        raise SignatureError(_FORMAT, expected=f"a time of at most {MAX_TIME}", got=str(at))
    message = text.encode() if at is None else _cosigned(text, at)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature[-64:], message)
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(_FORMAT, expected=f"a signature of {key.name} over this text", got="another") from error
    return at


def _cosigned(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _named(known: Iterable[tuple[str, bytes]]) -> Sequence[str]:
    return [f"{name}+{key_id.hex()}" for name, key_id in known] or ["a known key"]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _decoded(text: str, what: str) -> bytes:
    """Base64 in its one spelling (RFC 4648 §4, §3.5)."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError(what, expected="base64", got=f"{text!r:.60}") from error
    if _base64(decoded) != text:
        raise WireError(what, expected="base64 in its one spelling", got=f"{text!r:.60}")
    return decoded
