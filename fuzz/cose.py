# SPDX-License-Identifier: Apache-2.0
"""COSE_Sign1: any bytes are a message or a WireError; a mutant never verifies with another payload."""

from __future__ import annotations

from armillary.errors import WireError
from armillary.identity.dice import alias_key
from armillary.wire.encoding import cbor, cose

KEY = alias_key(b"k" * 32)
PAYLOADS = (b"", b"payload", bytes(300))


def seeds() -> list[bytes]:
    general = b"\xd2" + cbor.encode([cbor.encode({1: -7, 3: 0}), {4: b"11"}, b"payload", bytes(64)])
    return [*(cose.encode_sign1(payload, KEY) for payload in PAYLOADS), general]


def fuzz(data: bytes) -> None:
    try:
        message = cose.parse_sign1(data)
        payload = cose.verify_sign1(message, KEY.public_key())
    except WireError:
        return
    assert payload in PAYLOADS, "a payload nobody signed"
