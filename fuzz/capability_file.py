# SPDX-License-Identifier: Apache-2.0
"""Capability files: any bytes are a file or a WireError; what parses holds known capabilities only."""

from __future__ import annotations

from uuid import UUID

from armillary.errors import WireError
from armillary.wire.image import capability_file
from fuzz.signer import signer


def seeds() -> list[bytes]:
    key, certificate = signer()
    image_id = UUID("6415a939-c098-48cf-8e5c-02b52a9f0ffb")
    return [
        capability_file.build("ab" * 64, capabilities, image_id=image_id, built=0, key=key, certificate=certificate)
        for capabilities in ([0xB], [0xB, 0xD, 0xC])
    ]


def fuzz(data: bytes) -> None:
    try:
        file = capability_file.parse(data)
    except WireError:
        return
    assert file.capabilities
    assert set(file.capabilities) <= set(capability_file.CAPABILITIES)
