# SPDX-License-Identifier: Apache-2.0
"""Signed files for guardians: any bytes are an envelope or a SignatureError; no mutant carries another payload."""

from __future__ import annotations

import functools

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from armillary.engines.equipment.trusted_key import trusted_key
from armillary.errors import SignatureError
from armillary.wire.equipment.files.signing import PrivateKey, add_signature, public_key, sign
from armillary.wire.equipment.signed_file import PROFILE, TrustedKey, read_envelope, verify

PAYLOAD = b'{"profile":"guard/coffee","version":3}'


@functools.cache
def keys() -> tuple[PrivateKey, ...]:
    """One of each kind, always the same."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))), ec.derive_private_key(7, ec.SECP256R1())


def seeds() -> list[bytes]:
    first, second = keys()
    once = sign(PROFILE, PAYLOAD, first)
    return [once, sign(PROFILE, PAYLOAD, second), add_signature(read_envelope(once), second)]


@functools.cache
def trusted() -> tuple[TrustedKey, ...]:
    """As a guardian has them."""
    return tuple(trusted_key(public_key(each).pem.decode()) for each in keys())


def fuzz(data: bytes) -> None:
    try:
        verified = verify(data, trusted(), PROFILE)
    except SignatureError:
        return
    assert verified.payload == PAYLOAD
