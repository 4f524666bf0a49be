# SPDX-License-Identifier: Apache-2.0
"""Image packages: any bytes are a package or a WireError; what parses is rebuilt from its parts byte for byte."""

from __future__ import annotations

from uuid import UUID

from armillary.errors import WireError
from armillary.wire.image import metadata as image_metadata, package as image_package
from armillary.wire.image.metadata import OneBlBlock
from armillary.wire.image.section import Abi, AbiProvides, Compression, ImagePolicy, LegacySection, RequiredFlashOffset
from fuzz.signer import signer

COMPONENT = UUID("2f074b0f-d99d-4692-82d9-ef93a7d6463c")
IMAGE = UUID("6415a939-c098-48cf-8e5c-02b52a9f0ffb")


def seeds() -> list[bytes]:
    found = []
    for curve in ("P-256", "P-384"):
        key, certificate = signer(curve)
        sections = image_package.standard_sections(
            image_type=10,
            component_id=COMPONENT,
            image_id=IMAGE,
            name="seed",
            built=1_700_000_000,
            temporary_flags=2,
            abi_depends=[Abi(12, 3)],
            security_version=1,
        )
        more = (
            AbiProvides((Abi(1, 2),)),
            Compression(4096, 1),
            ImagePolicy(3),
            RequiredFlashOffset(65536),
            LegacySection(0x474C, b"legacy"),
        )
        found.append(image_package.build(b"payload", sections=(*sections, *more), key=key, certificate=certificate))
        loader = image_package.standard_sections(
            image_type=1, component_id=COMPONENT, image_id=IMAGE, name="1bl", built=0, security_version=2
        )
        block = OneBlBlock((1, 2, 3), 4, (5, 6, 7), 2)
        found.append(image_package.build(b"loader", sections=loader, key=key, certificate=certificate, one_bl=block))
    return found


def fuzz(data: bytes) -> None:
    try:
        package = image_package.parse(data)
    except WireError:
        return
    block = package.unsigned_one_bl.pack() if package.unsigned_one_bl else b""
    assert package.payload + image_metadata.pack(package.sections) + block + package.signature == data
