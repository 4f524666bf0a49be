# SPDX-License-Identifier: Apache-2.0
"""Ids, and keys with their certificates, for tests of image packages: the same in every run."""

from __future__ import annotations

from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.wire.certificates.certificate import build_root_authority
from armillary.wire.image.section import Abi

COMPONENT = UUID("2f074b0f-d99d-4692-82d9-ef93a7d6463c")
IMAGE = UUID("6415a939-c098-48cf-8e5c-02b52a9f0ffb")
SDK_SECTIONS = {
    "image_type": 10,
    "component_id": COMPONENT,
    "image_id": IMAGE,
    "name": "blink",
    "built": 1_654_786_668,
    "temporary_flags": 2,
    "abi_depends": [Abi(12, 3)],
}


def pair(curve: ec.EllipticCurve, number: int = 7) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A private key and its certificate; another ``number`` gives another key."""
    key = ec.derive_private_key(number, curve)
    life = {"not_before": 1_700_000_000, "not_after": 2_000_000_000}
    return key, build_root_authority(key, name="test", serial=number, **life)


P256, P384 = pair(ec.SECP256R1()), pair(ec.SECP384R1())
