# SPDX-License-Identifier: Apache-2.0
"""The DICE ladder: from a unique device secret to one key per boot state.

::

    CDI_0 = UDS (32 bytes, unique per device, readable by the boot ROM only)
    CDI_n = HKDF-SHA-256(secret = CDI_n-1, salt = measurement n, info = "armillary CDI" || security version, 32 bytes)
    identity key = P-256 key from UDS          info "armillary identity key"   the same for life: the device id
    alias key    = P-256 key from the last CDI info "armillary alias key"      another one for every boot state

Each stage hands on only the next CDI and forgets its own. A changed component changes its measurement, so every
CDI after it and the alias key: software that was changed cannot even hold the key that would lie for it.

A private key comes from 48 bytes of HKDF output reduced modulo n - 1, plus 1: 128 bits more than the order, so
the bias is below 2^-128 (FIPS 186-5 A.2.1, "extra random bits").
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

UDS_BYTES: Final = 32
CDI_BYTES: Final = 32
MEASUREMENT_BYTES: Final = 32
MAX_SECURITY_VERSION: Final = 0xFFFF_FFFF

_CDI_LABEL: Final = b"armillary CDI"
_IDENTITY_LABEL: Final = b"armillary identity key"
_ALIAS_LABEL: Final = b"armillary alias key"
_KEY_MATERIAL_BYTES: Final = 48
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # n of P-256


def derive_cdi(parent: bytes, *, measurement: bytes, security_version: int) -> bytes:
    """The next layer's compound device identifier, 32 secret bytes.

    Args:
        parent: The UDS or the layer's own CDI, 32 bytes.
        measurement: SHA-256 of the next component's image package, 32 bytes.
        security_version: Its anti-rollback version.

    Raises:
        ValueError: an argument of the wrong size.
    """
    if len(parent) != CDI_BYTES or len(measurement) != MEASUREMENT_BYTES:
        raise ValueError("DICE: the parent secret and the measurement have 32 bytes each")
    if not 0 <= security_version <= MAX_SECURITY_VERSION:
        raise ValueError(f"DICE: security version from 0 to {MAX_SECURITY_VERSION}, got {security_version}")
    return _expand(parent, salt=measurement, info=_CDI_LABEL + security_version.to_bytes(4, "big"), size=CDI_BYTES)


def identity_key(uds: bytes) -> ec.EllipticCurvePrivateKey:
    """The device identity key (DeviceID), for the life of the device; ValueError unless the UDS has 32 bytes."""
    if len(uds) != UDS_BYTES:
        raise ValueError("DICE: a unique device secret has 32 bytes")
    return _key(uds, _IDENTITY_LABEL)


def alias_key(cdi: bytes) -> ec.EllipticCurvePrivateKey:
    """The alias key of the boot state that ``cdi`` stands for; ValueError unless it has 32 bytes."""
    if len(cdi) != CDI_BYTES:
        raise ValueError("DICE: a compound device identifier has 32 bytes")
    return _key(cdi, _ALIAS_LABEL)


def _key(secret: bytes, label: bytes) -> ec.EllipticCurvePrivateKey:
    material = _expand(secret, salt=None, info=label, size=_KEY_MATERIAL_BYTES)
    return ec.derive_private_key(int.from_bytes(material, "big") % (_ORDER - 1) + 1, ec.SECP256R1())


def _expand(secret: bytes, *, salt: bytes | None, info: bytes, size: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=size, salt=salt, info=info).derive(secret)
