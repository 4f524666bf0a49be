# SPDX-License-Identifier: Apache-2.0
r"""Where the parts of a unified image are in its file: the sections of a PE program.

::

    "MZ", at byte 60 u32 where "PE\0\0" is; then u16 machine, u16 sections, 12 bytes, u16 size of the optional header,
    u16 flags, optional header; then for each section: 8 bytes name, u32 size in memory, u32 address, u32 size in the
    file, u32 place in the file, 16 bytes

Specification: Microsoft's PE format; which sections there are: the UAPI Group's Unified Kernel Image.
"""

from __future__ import annotations

import struct
from typing import Final

from armillary.errors import WireError

_SECTION: Final = struct.Struct("<8sIIII16x")
_HEAD_BYTES: Final = 24


def sections_of(image: bytes) -> dict[str, tuple[int, int]]:
    """Name -> (place in the file, bytes that count); WireError for what is no such program."""
    try:
        (at,) = struct.unpack_from("<I", image, 60)
        if image[:2] != b"MZ" or image[at : at + 4] != b"PE\0\0":
            raise WireError("unified-image", expected="a PE program", got=image[:2].hex(), offset=0)
        (count,) = struct.unpack_from("<H", image, at + 6)
        (optional,) = struct.unpack_from("<H", image, at + 20)
        first = at + _HEAD_BYTES + optional
        found = {}
        for index in range(count):
            name, in_memory, _, in_file, place = _SECTION.unpack_from(image, first + index * _SECTION.size)
            found[name.rstrip(b"\0").decode("ascii")] = (place, min(in_memory, in_file))
    except (struct.error, UnicodeDecodeError) as error:
        raise WireError("unified-image", expected="sections inside the file", got=str(error)) from error
    return found
