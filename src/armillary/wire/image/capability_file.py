# SPDX-License-Identifier: Apache-2.0
"""Capability files: a signed permission for one device, such as loading applications under development.

An image package of exactly 392 bytes, little endian::

    0    magic 0x5CFD5CFD u32
    4    version 1 u32
    8    length 204 u32
    12   device id, 64 bytes
    76   32 slots of u32: capability ids, then zeros
    204  metadata: ID (type 13 FirmwareConfig, a fixed component), SG (ECDsa256), DB (name "fw_config")
    328  signature, 64 bytes

Ids 5 to 7 are not in use any more and are refused, as are repeated ids and anything after the first zero.

Source: azuresphere_imagemetadata 0.2.2 (whose reader takes the slots for 64 single bytes) and files issued by the
Azure Sphere security service in 2020 and 2024.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import SignatureError, WireError
from armillary.wire.image import package as image_package
from armillary.wire.image.package import ImagePackage, UnverifiedImagePackage
from armillary.wire.image.section import FIRMWARE_CONFIG, Debug, Identity, SigningKey

FORMAT = "capability-file"

FILE_BYTES = 392
PAYLOAD_BYTES = 204
MAGIC = 0x5CFD5CFD
VERSION = 1
SLOTS = 32
COMPONENT_ID = UUID("4128b5d8-abc2-4155-9a33-8a1f31ed67ec")
NAME = "fw_config"

ALLOW_TEST_KEY = 0x1
APP_DEVELOPMENT = 0xB
RF_TEST_MODE = 0xC
FIELD_SERVICING = 0xD
CAPABILITIES: Mapping[int, str] = {
    ALLOW_TEST_KEY: "AllowTestKey",
    0x2: "EnablePlutonDebug",
    0x3: "EnableHlosCoreDebug",
    0x4: "EnableN9Debug",
    0x8: "EnableHlosCoreConsole",
    0x9: "EnableSltLoader",
    0xA: "EnableSystemSoftwareDevelopment",
    APP_DEVELOPMENT: "EnableCustomerAppDevelopment",
    RF_TEST_MODE: "EnableRfTestMode",
    FIELD_SERVICING: "UnlockGatewayD",
}
# What the management API calls the capabilities that it issues; the third is ours: Azure Sphere gave it to factories.
API_NAMES: Mapping[str, int] = {
    "ApplicationDevelopment": APP_DEVELOPMENT,
    "FieldServicing": FIELD_SERVICING,
    "RfTestMode": RF_TEST_MODE,
}

_PAYLOAD = struct.Struct(f"<III64s{SLOTS}I")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedCapabilityFile:
    """A file that parses. Nobody has checked who signed it or for which device it is."""

    device_id: str  # that it names, 128 lower-case hex digits
    capabilities: tuple[int, ...]  # keys of CAPABILITIES, in the order of the file
    package: UnverifiedImagePackage


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityFile:
    """A file that a trusted key signed for the device that asked."""

    device_id: str  # 128 lower-case hex digits
    capabilities: tuple[int, ...]  # keys of CAPABILITIES
    package: ImagePackage


def build(
    device_id: str,
    capabilities: Iterable[int],
    *,
    image_id: UUID,
    built: int,
    key: ec.EllipticCurvePrivateKey,
    certificate: x509.Certificate,
) -> bytes:
    """Write and sign a file, 392 bytes.

    ``device_id`` is 128 hex digits, ``capabilities`` are keys of :data:`CAPABILITIES`, each once; ``built`` is in Unix
    seconds. ``key`` is on P-256; on devices it is a key of the service, never of a developer.

    Raises:
        WireError: a device id or capability that the format does not allow.
        SignatureError: the certificate is not of this key, or the key is not on P-256.
    """
    slots = tuple(capabilities)
    try:
        identifier = bytes.fromhex(device_id)
        payload = _PAYLOAD.pack(MAGIC, VERSION, PAYLOAD_BYTES, identifier, *slots, *[0] * (SLOTS - len(slots)))
    except (ValueError, struct.error) as error:
        raise WireError(FORMAT, expected="128 hex digits and capability ids", got=str(error)) from error
    if len(identifier) != 64:
        raise WireError(FORMAT, offset=12, expected="a device id of 128 hex digits", got=f"{len(device_id)} characters")
    sections = (Identity(FIRMWARE_CONFIG, COMPONENT_ID, image_id), Debug(built, NAME))
    if not isinstance(key.curve, ec.SECP256R1):
        raise SignatureError(FORMAT, expected="a key on P-256", got=f"a key on {key.curve.name}")
    data = image_package.build(payload, sections=sections, key=key, certificate=certificate)
    parse(data)
    return data


def parse(data: bytes) -> UnverifiedCapabilityFile:
    """Read a file; raises WireError for any byte that is not as the module's header says."""
    if len(data) != FILE_BYTES:
        raise WireError(FORMAT, expected=f"{FILE_BYTES} bytes", got=f"{len(data)} bytes")
    package = image_package.parse(data)
    if tuple(type(section) for section in package.sections) != (Identity, SigningKey, Debug):
        names = ", ".join(type(section).__name__ for section in package.sections)
        raise WireError(FORMAT, offset=PAYLOAD_BYTES, expected="sections ID, SG, DB", got=names)
    identity = package.identity
    if (identity.image_type, identity.component_id) != (FIRMWARE_CONFIG, COMPONENT_ID) or package.name != NAME:
        raise WireError(
            FORMAT,
            offset=PAYLOAD_BYTES,
            expected=f"image type {FIRMWARE_CONFIG}, component {COMPONENT_ID}, name {NAME}",
            got=f"{identity.image_type}, {identity.component_id}, {package.name}",
        )
    magic, version, length, device_id, *slots = _PAYLOAD.unpack(package.payload)
    for offset, expected, got in ((0, MAGIC, magic), (4, VERSION, version), (8, PAYLOAD_BYTES, length)):
        if expected != got:
            raise WireError(FORMAT, offset=offset, expected=f"{expected:#x}", got=f"{got:#x}")
    return UnverifiedCapabilityFile(device_id=device_id.hex(), capabilities=_read_slots(slots), package=package)


def verify(file: UnverifiedCapabilityFile, trusted: Sequence[x509.Certificate], *, device_id: str) -> CapabilityFile:
    """Check who signed a file and that it is for this device.

    Raises SignatureError if no trusted key signed it, or it names another device.
    """
    package = image_package.verify(file.package, trusted)
    if file.device_id != device_id.lower():
        raise SignatureError(
            FORMAT,
            offset=12,
            expected=f"a file for device {device_id[:16]}...",
            got=f"one for {file.device_id[:16]}...",
        )
    return CapabilityFile(device_id=file.device_id, capabilities=file.capabilities, package=package)


def _read_slots(slots: Sequence[int]) -> tuple[int, ...]:
    found: list[int] = []
    for index, slot in enumerate(slots):
        offset = 76 + 4 * index
        if slot == 0:
            if any(slots[index:]):
                raise WireError(FORMAT, offset=offset, expected="zeros to the end of the slots", got="more ids")
            break
        if slot not in CAPABILITIES:
            raise WireError(FORMAT, offset=offset, expected="a known capability id", got=f"{slot:#x}")
        if slot in found:
            raise WireError(FORMAT, offset=offset, expected="each capability once", got=f"{slot:#x} twice")
        found.append(slot)
    if not found:
        raise WireError(FORMAT, offset=76, expected="at least one capability", got="none")
    return tuple(found)
