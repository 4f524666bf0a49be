# SPDX-License-Identifier: Apache-2.0
"""Capability files: 392 bytes, one device, known capabilities."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.images import IMAGE, P256, pair

from armillary.errors import SignatureError, WireError
from armillary.wire.image import capability_file, package as image_package
from armillary.wire.image.section import Debug, Identity, TemporaryImage

DEVICE = "0123456789abcdef" * 8
KEY, CERTIFICATE = P256


def build(capabilities: Sequence[int] = (0xB,), device_id: str = DEVICE, **changes: object) -> bytes:
    values = {"image_id": IMAGE, "built": 1_700_000_000, "key": KEY, "certificate": CERTIFICATE} | changes
    return capability_file.build(device_id, capabilities, **values)


def test_layout():
    data = build([0xB, 0xD])
    assert len(data) == 392
    assert struct.unpack_from("<III", data) == (0x5CFD5CFD, 1, 204)
    assert data[12:76].hex() == DEVICE
    assert struct.unpack_from("<32I", data, 76) == (0xB, 0xD, *[0] * 30)
    package = image_package.parse(data)
    assert (package.image_type, package.name) == (13, "fw_config")
    assert str(package.component_id) == "4128b5d8-abc2-4155-9a33-8a1f31ed67ec"


@pytest.mark.parametrize("capabilities", [[0xB], [0xB, 0xD], list(capability_file.CAPABILITIES)])
def test_round_trip_and_verify(capabilities: list[int]):
    file = capability_file.verify(capability_file.parse(build(capabilities)), [CERTIFICATE], device_id=DEVICE.upper())
    assert file.capabilities == tuple(capabilities)
    assert file.device_id == DEVICE


def test_another_devices_file_is_refused():
    file = capability_file.parse(build(device_id="f" * 128))
    with pytest.raises(SignatureError, match="a file for device"):
        capability_file.verify(file, [CERTIFICATE], device_id=DEVICE)
    capability_file.verify(file, [CERTIFICATE], device_id="f" * 128)


def test_another_signers_file_is_refused():
    key, certificate = pair(ec.SECP256R1(), 8)
    file = capability_file.parse(build(key=key, certificate=certificate))
    with pytest.raises(SignatureError, match="thumbprint"):
        capability_file.verify(file, [CERTIFICATE], device_id=DEVICE)


def test_no_bit_can_be_changed():
    data = build()
    for position in range(len(data)):
        mutant = data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :]
        with pytest.raises(WireError):
            capability_file.verify(capability_file.parse(mutant), [CERTIFICATE], device_id=DEVICE)


@pytest.mark.parametrize(
    ("capabilities", "device_id", "reason"),
    [
        ([], DEVICE, "at least one"),
        ([5], DEVICE, "known capability"),
        ([0xB, 0xB], DEVICE, "once"),
        ([0xB, 0, 0xD], DEVICE, "zeros to the end"),
        ([2**32], DEVICE, "capability ids"),
        ([-1], DEVICE, "capability ids"),
        (list(range(40)), DEVICE, "capability ids"),
        ([0xB], DEVICE[:-2], "128 hex digits"),
        ([0xB], DEVICE + "00", "128 hex digits"),
        ([0xB], "x" * 128, "128 hex digits"),
    ],
)
def test_build_refuses(capabilities: list[int], device_id: str, reason: str):
    with pytest.raises(WireError, match=reason):
        build(capabilities, device_id)


def test_key_on_another_curve_is_refused():
    key, certificate = pair(ec.SECP384R1())
    with pytest.raises(SignatureError, match="P-256"):
        build(key=key, certificate=certificate)


def packaged(payload: bytes, *sections: object) -> bytes:
    chosen = sections or (Identity(13, capability_file.COMPONENT_ID, IMAGE), Debug(0, "fw_config"))
    return image_package.build(payload, sections=chosen, key=KEY, certificate=CERTIFICATE)


def payload(*, magic: int = 0x5CFD5CFD, version: int = 1, length: int = 204) -> bytes:
    return struct.pack("<III64s32I", magic, version, length, bytes(64), 0xB, *[0] * 31)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "392 bytes"),
    "one byte short": (build()[:-1], "392 bytes"),
    "one byte long": (build() + b"\0", "392 bytes"),
    "zeros": (bytes(392), "metadata length"),
    "magic": (packaged(payload(magic=1)), "0x5cfd5cfd"),
    "version 2": (packaged(payload(version=2)), "0x1"),
    "length 200": (packaged(payload(length=200)), "0xcc"),
    "another component": (packaged(payload(), Identity(13, IMAGE, IMAGE), Debug(0, "fw_config")), "component"),
    "another type": (
        packaged(payload(), Identity(10, capability_file.COMPONENT_ID, IMAGE), Debug(0, "fw_config")),
        "image type 13",
    ),
    "another name": (
        packaged(payload(), Identity(13, capability_file.COMPONENT_ID, IMAGE), Debug(0, "x")),
        "fw_config",
    ),
    "other sections": (
        packaged(
            payload()[:-8], Identity(13, capability_file.COMPONENT_ID, IMAGE), TemporaryImage(2), Debug(0, "fw_config")
        ),
        "sections ID, SG, DB",
    ),
    "sections in another order": (
        packaged(payload(), Debug(0, "fw_config"), Identity(13, capability_file.COMPONENT_ID, IMAGE)),
        "sections ID, SG, DB",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused(name: str):
    data, reason = HOSTILE[name]
    with pytest.raises(WireError, match=reason):
        capability_file.parse(data)


def test_hand_made_file_is_accepted_when_nothing_is_wrong():
    """Positive control of the table above."""
    assert capability_file.parse(packaged(payload())).capabilities == (0xB,)
