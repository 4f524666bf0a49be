# SPDX-License-Identifier: Apache-2.0
"""Where an image package's metadata lies and which sections it has; the layout is in ``wire/image/package.py``."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from armillary.errors import WireError
from armillary.wire.image import section as image_section
from armillary.wire.image.section import FORMAT, Section

MAGIC = 0x4D345834
HEADER_BYTES = 8
# Header, identity and signature sections with their headers, total_len: nothing shorter says what it is.
METADATA_MINIMUM_BYTES = HEADER_BYTES + (4 + 36) + (4 + 24) + 4
# The SDK writes 148 bytes; three legacy sections of 4 KiB fit as well.
METADATA_LIMIT_BYTES = 16 * 1024
SECTION_LIMIT = 13  # one of each kind
ONE_BL_BLOCK_BYTES = 32
# Behind the metadata: a signature of 64 or 96 bytes, with a 1BL block before it or not.
TAIL_BYTES = (64, 96, 128)

_SECTION_HEADER = struct.Struct("<HH")  # id, data_len


@dataclass(frozen=True, slots=True)
class OneBlBlock:
    """The 32 bytes behind a first-stage boot loader's metadata. Not covered by the signature."""

    info: tuple[int, int, int]  # of unknown meaning
    chip_id: int  # chip family
    version: tuple[int, int, int]  # major, minor, patch
    security_version: int  # repeats the RV section

    def pack(self) -> bytes:
        """32 bytes."""
        return struct.pack("<8I", *self.info, self.chip_id, *self.version, self.security_version)

    @classmethod
    def unpack(cls, data: bytes, offset: int) -> OneBlBlock:
        """Read the 32 bytes at ``offset``; any values are allowed, as nothing is decided on them."""
        *info, chip_id, major, minor, patch, security_version = struct.unpack_from("<8I", data, offset)
        return cls((info[0], info[1], info[2]), chip_id, (major, minor, patch), security_version)


def find(data: bytes) -> tuple[int, int]:
    """Where the metadata begins and ends (offsets).

    Behind the metadata stand 64 bytes (a P-256 signature), 96 (a P-384 signature, or a 1BL block and a P-256
    signature) or 128 (block and P-384 signature); which of them only the metadata says. So each possible place of
    total_len is tried, and exactly one must lead to the magic number, at a multiple of 4; else it raises WireError.
    """
    found: list[tuple[int, int]] = []
    for tail in TAIL_BYTES:
        end = len(data) - tail
        if end < METADATA_MINIMUM_BYTES:
            break
        total = word(data, end - 4)
        if METADATA_MINIMUM_BYTES <= total <= min(METADATA_LIMIT_BYTES, end) and word(data, end - total) == MAGIC:
            found.append((end - total, end))
    if len(found) != 1:
        _refuse(data, len(found))
    start, end = found[0]
    if start % 4:
        raise WireError(FORMAT, offset=start, expected="metadata at a multiple of 4", got=f"byte {start}")
    return start, end


def _refuse(data: bytes, candidates: int) -> NoReturn:
    """Say why no metadata was found, for the usual signature of 64 bytes."""
    if candidates:
        raise WireError(FORMAT, expected="one place for the metadata", got=f"{candidates}: ambiguous")
    end = len(data) - TAIL_BYTES[0]
    if end < METADATA_MINIMUM_BYTES:
        raise WireError(
            FORMAT, expected=f"at least {METADATA_MINIMUM_BYTES + TAIL_BYTES[0]} bytes", got=f"{len(data)} bytes"
        )
    total = word(data, end - 4)
    limit = min(METADATA_LIMIT_BYTES, end)
    if METADATA_MINIMUM_BYTES <= total <= limit:
        raise WireError(
            FORMAT, offset=end - total, expected=f"magic {MAGIC:#010x}", got=f"{word(data, end - total):#010x}"
        )
    raise WireError(
        FORMAT, offset=end - 4, expected=f"a metadata length from {METADATA_MINIMUM_BYTES} to {limit}", got=str(total)
    )


def parse_sections(data: bytes, start: int, end: int, count: int) -> tuple[Section, ...]:
    """Read ``count`` sections that fill the bytes from ``start`` to ``end``.

    Raises WireError for overlapping, duplicate, unknown or missing bytes of a section.
    """
    if not 0 < count <= SECTION_LIMIT:
        raise WireError(FORMAT, offset=start - 4, expected=f"1 to {SECTION_LIMIT} sections", got=str(count))
    found: dict[int, Section] = {}
    offset = start
    for _ in range(count):
        if offset + 4 > end:
            raise WireError(FORMAT, offset=offset, expected="a section header", got="the end of the metadata")
        section_id, length = _SECTION_HEADER.unpack_from(data, offset)
        if offset + 4 + length > end:
            raise WireError(
                FORMAT, offset=offset + 2, expected=f"at most {end - offset - 4} bytes", got=f"{length} bytes"
            )
        if section_id in found:
            raise WireError(FORMAT, offset=offset, expected="each section once", got=f"{section_id:#06x} twice")
        found[section_id] = image_section.unpack(section_id, data[offset + 4 : offset + 4 + length], offset + 4)
        offset += 4 + length
    if offset != end:
        raise WireError(
            FORMAT, offset=offset, expected="sections that fill the metadata", got=f"{end - offset} bytes more"
        )
    return tuple(found.values())


def pack(sections: Sequence[Section]) -> bytes:
    """The metadata: header, sections in the given order, length. Raises WireError if a value does not fit its field."""
    packed = struct.pack("<II", MAGIC, len(sections))
    try:
        for section in sections:
            content = section.pack()
            packed += struct.pack("<HH", section.ID, len(content)) + content
    except struct.error as error:
        raise WireError(FORMAT, expected="values that fit their fields", got=str(error)) from error
    return packed + struct.pack("<I", len(packed) + 4)


def word(data: bytes, offset: int) -> int:
    """The little-endian u32 at ``offset``."""
    return int.from_bytes(data[offset : offset + 4], "little")
