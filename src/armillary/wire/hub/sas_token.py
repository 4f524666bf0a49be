# SPDX-License-Identifier: Apache-2.0
"""Shared access signatures, as clients of IoT Hub and its provisioning service send them as passwords and in headers.

``SharedAccessSignature sr={resource}&sig={signature}&se={expiry}[&skn={policy}]``: the resource and the signature are
percent-encoded; the signature is HMAC-SHA256 by a symmetric key over the encoded resource, a line feed and the expiry
(Unix seconds), in base64. A stolen key makes any number of tokens, and a stolen token works until it expires, which is
why tokens are an option here and certificates the rule.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from armillary.errors import SignatureError, WireError

FORMAT: Final = "sas token"
SCHEME: Final = "SharedAccessSignature"
# Three names, a signature of 44 characters, a resource of at most 300.
MAX_TOKEN_CHARS: Final = 2048
# A key is 256 random bits; what is shorter than 128 can be guessed, and HMAC hashes what is longer than a block.
KEY_BYTES: Final = 32
MIN_KEY_BYTES: Final = 16
MAX_KEY_BYTES: Final = 64
# The client's own libraries make tokens of an hour; one of more than a year is a password.
MAX_LIFETIME_S: Final = 366 * 24 * 3600

_NAMES: Final = frozenset({"sr", "sig", "se", "skn"})
_REMEDY: Final = "Make a new token with the device's key; the SDKs do it by themselves."


@dataclass(frozen=True, slots=True)
class UnverifiedSasToken:
    """A parsed token; not verified."""

    signed: bytes  # the bytes that the signature is over
    resource: str  # decoded, such as ``hub.example/devices/cable-7``
    signature: bytes  # 32 bytes
    expires: int  # Unix seconds
    policy: str  # claimed name of the key; empty for none


def parse_sas_token(text: str) -> UnverifiedSasToken:
    """Read a token; raises WireError if it is not of this form."""
    scheme, _, rest = text.partition(" ")
    if scheme != SCHEME or len(text) > MAX_TOKEN_CHARS or not text.isascii():
        raise _fault(f"{SCHEME} sr=...&sig=...&se=...", "something else")
    fields: dict[str, str] = {}
    for pair in rest.split("&"):
        name, equals, value = pair.partition("=")
        if not equals or name not in _NAMES or name in fields:
            raise _fault("sr, sig, se and skn, each once", ascii(name[:20]))
        fields[name] = value
    missing = {"sr", "sig", "se"} - fields.keys()
    if missing:
        raise _fault("sr, sig and se", f"none of {', '.join(sorted(missing))}")
    if not fields["se"].isdecimal() or len(fields["se"]) > 12:
        raise _fault("an expiry in Unix seconds", ascii(fields["se"][:20]))
    try:
        signature = base64.b64decode(unquote(fields["sig"]), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _fault("a signature in base64", str(error)) from None
    if len(signature) != 32:
        raise _fault("a signature of 32 bytes", f"{len(signature)} bytes")
    try:
        resource = unquote(fields["sr"], errors="strict")
    except UnicodeDecodeError:
        raise _fault("a resource in UTF-8", ascii(fields["sr"][:40])) from None
    signed = f"{fields['sr']}\n{fields['se']}".encode("ascii")
    return UnverifiedSasToken(signed, resource, signature, int(fields["se"]), unquote(fields.get("skn", "")))


def verify_sas_token(token: UnverifiedSasToken, *, resource: str, keys: Iterable[bytes], now: int) -> int:
    """Check a token that any of ``keys`` may have signed, and return its expiry; times in Unix seconds.

    ``resource`` is the path that it must be for, such as ``devices/cable-7``. A host before it is the client's name for
    this service, which may have several; the key is what binds a token to it.

    Raises:
        SignatureError: another resource, another key, over already, or longer than a year.
    """
    matches = [hmac.compare_digest(hmac.digest(key, token.signed, "sha256"), token.signature) for key in keys]
    if not any(matches):
        raise _refused("signed by a key of the device", "another signature")
    _, _, path = token.resource.partition("/")
    if not (
        hmac.compare_digest(token.resource.encode(), resource.encode())
        or hmac.compare_digest(path.encode(), resource.encode())
    ):
        raise _refused(f"for {resource:.80}", f"for {token.resource!a:.100}")
    if token.expires <= now:
        raise _refused("before its end", f"{now - token.expires} s after it")
    if token.expires > now + MAX_LIFETIME_S:
        raise _refused(f"a life of at most {MAX_LIFETIME_S} s", f"{token.expires - now} s")
    return token.expires


def sign_sas_token(resource: str, key: bytes, expires: int, policy: str = "") -> str:
    """A token for a resource (host and path) until ``expires``, Unix seconds; ``policy`` names the key of a service."""
    encoded = quote(resource, safe="")
    signature = base64.b64encode(hmac.digest(key, f"{encoded}\n{expires}".encode(), "sha256")).decode()
    text = f"{SCHEME} sr={encoded}&sig={quote(signature, safe='')}&se={expires}"
    return f"{text}&skn={quote(policy, safe='')}" if policy else text


def derive_device_key(group_key: bytes, registration_id: str) -> bytes:
    """The key of one device of an enrolment group: HMAC-SHA256 of its registration id by the group's key."""
    return hmac.digest(group_key, registration_id.encode("utf-8"), "sha256")


def decode_key(text: str) -> bytes:
    """A key from base64; raises WireError unless it is MIN_KEY_BYTES to MAX_KEY_BYTES long."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _fault("a key in base64", "something else") from None
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise _fault(f"a key of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes", f"{len(key)} bytes")
    return key


def encode_key(key: bytes) -> str:
    """A key in base64."""
    return base64.b64encode(key).decode("ascii")


def _fault(expected: str, got: str) -> WireError:
    return WireError(FORMAT, expected=expected, got=got, remedy=_REMEDY, code="wire.sas-token")


def _refused(expected: str, got: str) -> SignatureError:
    return SignatureError(FORMAT, expected=expected, got=got, remedy=_REMEDY)
