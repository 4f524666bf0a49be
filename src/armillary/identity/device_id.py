# SPDX-License-Identifier: Apache-2.0
"""Device ids: 128 lower-case hex digits, X || Y of the device's P-256 identity key, as Azure Sphere's.

The id *is* the public key: who knows the id can check the device's signature, and no table can map an id to
another key.
"""

from __future__ import annotations

from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import WireError
from armillary.wire.encoding import cose

DeviceId: TypeAlias = str

DEVICE_ID_DIGITS = 128


def device_id_of_key(key: ec.EllipticCurvePublicKey) -> DeviceId:
    """The device id of an identity key; WireError unless it is a P-256 key."""
    return cose.point_of(key).hex()


def key_of_device_id(device_id: DeviceId) -> ec.EllipticCurvePublicKey:
    """The identity key a device id stands for (parsed once and kept); WireError for any other text."""
    return cose.public_key(device_id_bytes(device_id))


def spki_of_device_id(device_id: DeviceId) -> bytes:
    """DER SubjectPublicKeyInfo of the identity key: what the TLS peer of this device must show, 91 bytes."""
    return cose.spki_from_point(device_id_bytes(device_id))


def device_id_bytes(device_id: DeviceId) -> bytes:
    """The 64 bytes of a device id; WireError unless it is 128 lower-case hex digits."""
    return bytes.fromhex(parse_device_id(device_id))


def parse_device_id(text: str) -> DeviceId:
    """``text`` if it is a device id in its one spelling; WireError unless it is 128 lower-case hex digits."""
    if len(text) != DEVICE_ID_DIGITS or not set(text) <= set("0123456789abcdef"):
        raise WireError("device id", expected="128 lower-case hex digits", got=f"{text!r:.24} ({len(text)} characters)")
    return text
