# SPDX-License-Identifier: Apache-2.0
"""CoRIM, both forms: any bytes are reference values that survive being written again, or a WireError."""

from __future__ import annotations

from uuid import UUID

from armillary.errors import WireError
from armillary.wire import corim
from fuzz.harness import main
from fuzz.signer import signer

_VALUE = corim.Corim(
    corim_id=UUID(int=1),
    tag_id="26.11",
    chip="mt3620",
    os_version="26.11",
    components=tuple(
        corim.ReferenceClaim(
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
    entities=(corim.Entity(name="Armillary", roles=(0, 1), uri="https://armillary.example"),),
    not_before=1_790_000_000,
    not_after=1_800_000_000,
)


def seeds() -> list[bytes]:
    return [corim.encode_corim(_VALUE), corim.sign_corim(_VALUE, signer()[0], "Armillary", key_id=b"key")]


def fuzz(data: bytes) -> None:
    try:
        found = corim.parse_signed_corim(data).corim if corim.is_signed(data) else corim.parse_corim(data)
    except WireError:
        return
    assert corim.parse_corim(corim.encode_corim(found)) == found


if __name__ == "__main__":
    main(fuzz, seeds)
