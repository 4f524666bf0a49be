# SPDX-License-Identifier: Apache-2.0
"""CoRIM, both forms: any bytes are reference values that survive being written again, or a WireError."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from armillary.errors import WireError
from armillary.wire.attestation import corim, corim_fields
from fuzz.signer import signer

_VALUE = corim.Corim(
    corim_id=UUID(int=1),
    tag_id="26.11",
    chip="mt3620",
    os_version="26.11",
    components=tuple(
        corim_fields.ReferenceClaim(
            component_id=UUID(int=number + 5),
            image_type=number,
            layer=number,
            name=f"Stage{number}",
            image_id=UUID(int=number),
            security_version=1,
            digest=bytes((number,)) * 32,
            vendor="Armillary" if number else None,
        )
        for number in range(2)
    ),
    entities=(corim_fields.Entity(name="Armillary", roles=(0, 1), uri="https://armillary.example"),),
    not_before=1_790_000_000,
    not_after=1_800_000_000,
)


_UNSAID: dict[str, Any] = {"component_id": None, "image_type": None, "name": None, "element": "part"}
# Beyond this many a file that shares one class between measurements can be larger written out than it was.
_REWRITTEN = 32


def seeds() -> list[bytes]:
    little = replace(_VALUE, chip=None, components=tuple(replace(one, **_UNSAID) for one in _VALUE.components))
    foreign = corim.encode_corim(little).replace(b"\x01\x81\xd9\x01\xfa", b"\x03\xd8\x20\x61p\x01\x81\xd9\x01\xfa")
    foreign = foreign[:3] + bytes((foreign[3] + 1,)) + foreign[4:]  # one more field: a profile
    return [corim.encode_corim(_VALUE), foreign, corim.sign_corim(_VALUE, signer()[0], "Armillary", key_id=b"key")]


def fuzz(data: bytes) -> None:
    try:
        found = corim.parse_signed_corim(data).corim if corim.is_signed(data) else corim.parse_corim(data)
    except WireError:
        return
    if len(found.components) <= _REWRITTEN:
        assert corim.parse_corim(corim.encode_corim(found)) == found
