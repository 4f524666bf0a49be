# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import hmac

import pytest

from armillary.identity import dice
from armillary.identity.device_id import device_id_of_key

UDS = bytes(range(32))


def hkdf(secret: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869 §2, written again from the text as an oracle."""
    key = hmac.digest(salt or bytes(32), secret, "sha256")
    output, block = b"", b""
    while len(output) < size:
        block = hmac.digest(key, block + info + bytes([len(output) // 32 + 1]), "sha256")
        output += block
    return output[:size]


def test_cdi_is_the_documented_hkdf():
    measurement = hashlib.sha256(b"stage").digest()
    expected = hkdf(UDS, measurement, b"armillary CDI\x00\x00\x00\x05", 32)
    assert dice.derive_cdi(UDS, measurement=measurement, security_version=5) == expected


@pytest.mark.parametrize(
    ("make", "label"), [(dice.identity_key, b"armillary identity key"), (dice.alias_key, b"armillary alias key")]
)
def test_keys_are_the_documented_derivation(make: object, label: bytes):
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    expected = int.from_bytes(hkdf(UDS, b"", label, 48), "big") % (order - 1) + 1
    key = make(UDS)  # type: ignore[operator]
    assert key.private_numbers().private_value == expected
    assert make(UDS).private_numbers() == key.private_numbers()  # type: ignore[operator]


def test_identity_known_answer():
    """Fixes the derivation: changing it would give every device another identity."""
    assert device_id_of_key(dice.identity_key(UDS).public_key())[:32] == "433aa6f60627f27b0b6b4f2a4e0c08f8"


def test_every_input_changes_the_alias_key():
    def alias(uds: bytes = UDS, first: bytes = b"1" * 32, second: bytes = b"2" * 32, version: int = 1) -> int:
        cdi = dice.derive_cdi(uds, measurement=first, security_version=version)
        cdi = dice.derive_cdi(cdi, measurement=second, security_version=version)
        return dice.alias_key(cdi).private_numbers().private_value

    keys = {alias(), alias(uds=b"u" * 32), alias(first=b"x" * 32), alias(second=b"x" * 32), alias(version=2)}
    keys.add(alias(first=b"2" * 32, second=b"1" * 32))
    keys.add(dice.identity_key(UDS).private_numbers().private_value)
    assert len(keys) == 7


@pytest.mark.parametrize("secret", [b"", b"x" * 31, b"x" * 33])
def test_wrong_sizes_are_refused(secret: bytes):
    with pytest.raises(ValueError, match="32 bytes"):
        dice.identity_key(secret)
    with pytest.raises(ValueError, match="32 bytes"):
        dice.alias_key(secret)
    with pytest.raises(ValueError, match="32 bytes"):
        dice.derive_cdi(secret, measurement=bytes(32), security_version=0)
    with pytest.raises(ValueError, match="32 bytes"):
        dice.derive_cdi(bytes(32), measurement=secret, security_version=0)


@pytest.mark.parametrize("version", [-1, 2**32])
def test_wrong_versions_are_refused(version: int):
    with pytest.raises(ValueError, match="security version"):
        dice.derive_cdi(bytes(32), measurement=bytes(32), security_version=version)
