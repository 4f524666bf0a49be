# SPDX-License-Identifier: Apache-2.0
"""Device certificates: any bytes are a certificate of a profile or a WireError; no mutant passes its issuer's check."""

from __future__ import annotations

from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding

from armillary.errors import WireError
from armillary.identity.device_id import device_id_of_key
from armillary.identity.dice import alias_key, identity_key
from armillary.wire.certificates import certificate as cert
from armillary.wire.encoding import cose

NOW = 1_790_000_000
LIFE = {"not_before": NOW - 60, "not_after": NOW + 86_400}
CATALOG_KEY, ISSUING_KEY, CLIENT_KEY = (alias_key(letter * 32) for letter in (b"a", b"i", b"c"))
DEVICE_ID = device_id_of_key(identity_key(b"u" * 32).public_key())
ROOT = cert.build_root_authority(CATALOG_KEY, name="root", serial=1, **LIFE)
ISSUING = cert.build_issuing_authority(
    ROOT, CATALOG_KEY, ISSUING_KEY.public_key(), catalog_id=UUID(int=1), serial=2, **LIFE
)
SPKI = cose.spki_from_point(cose.point_of(CLIENT_KEY.public_key()))
ISSUED = cert.DeviceCertificateTemplate(ISSUING, ISSUING_KEY).issue(
    SPKI, DEVICE_ID, "client", "software", 77, LIFE["not_before"], LIFE["not_after"]
)


def seeds() -> list[bytes]:
    identity = cert.build_identity_certificate(ROOT, CATALOG_KEY, device_id=DEVICE_ID, serial=3, **LIFE)
    return [ISSUED, identity.public_bytes(Encoding.DER), ROOT.public_bytes(Encoding.DER)]


def fuzz(data: bytes) -> None:
    for parse in (cert.parse_device_certificate, cert.parse_identity_certificate):
        try:
            parse(data)
        except WireError:
            continue
    try:
        parsed = cert.verify_issued_by(data, ISSUING, now=NOW)
    except WireError:
        return
    assert (parsed.device_id, parsed.spki, parsed.purpose, parsed.serial) == (DEVICE_ID, SPKI, "client", 77)
