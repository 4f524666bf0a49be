# SPDX-License-Identifier: Apache-2.0
"""The Authenticode digest of a PE program: what firmware measures of it, and what its signature is about.

Left out of the hash are what signing writes: the checksum, the entry of the certificate table, and the table itself at
the end of the file. A signed program and the same without its signature have one digest, unless signing padded it.

Specification: Microsoft's "Windows Authenticode Portable Executable Signature Format", "Calculating the PE Image Hash";
TCG PC Client Platform Firmware Profile 1.06, §10.2.3.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from armillary.errors import WireError

_WHAT: Final = "authenticode"
_HEAD_BYTES: Final = 24  # "PE\0\0" and the COFF header
_CHECKSUM_AT: Final = 64  # in the optional header
_PE32, _PE32_PLUS = 0x10B, 0x20B
# Where the data directories begin in the optional header, and which of them is the certificate table.
_DIRECTORIES_AT: Final = {_PE32: 96, _PE32_PLUS: 112}
_CERTIFICATES: Final = 4
_DIRECTORY_BYTES: Final = 8
_SECTION_BYTES: Final = 40


def authenticode_digest(image: bytes) -> bytes:
    """SHA-256, 32 bytes; WireError for what is no whole PE program."""
    try:
        return _digest(image)
    except struct.error as error:
        raise WireError(_WHAT, expected="a whole PE program", got=str(error)) from error


def _digest(image: bytes) -> bytes:
    (at,) = struct.unpack_from("<I", image, 60)
    if image[:2] != b"MZ" or image[at : at + 4] != b"PE\0\0":
        raise WireError(_WHAT, expected="a PE program", got=image[:2].hex(), offset=0)
    (count,) = struct.unpack_from("<H", image, at + 6)
    (optional_bytes,) = struct.unpack_from("<H", image, at + 20)
    optional = at + _HEAD_BYTES
    (magic,) = struct.unpack_from("<H", image, optional)
    if magic not in _DIRECTORIES_AT:
        raise WireError(_WHAT, expected="PE32 or PE32+", got=f"{magic:#x}", offset=optional)
    (headers,) = struct.unpack_from("<I", image, optional + 60)
    checksum = optional + _CHECKSUM_AT
    entry = optional + _DIRECTORIES_AT[magic] + _CERTIFICATES * _DIRECTORY_BYTES
    place, size = struct.unpack_from("<II", image, entry)
    hashed = hashlib.sha256(image[:checksum])
    hashed.update(image[checksum + 4 : entry])
    hashed.update(image[entry + _DIRECTORY_BYTES : headers])
    done = headers
    sections = (
        struct.unpack_from("<II", image, optional + optional_bytes + index * _SECTION_BYTES + 16)
        for index in range(count)
    )
    for length, start in sorted(sections, key=lambda each: each[1]):
        if start + length > len(image):
            raise WireError(_WHAT, expected=f"a section of {length} bytes inside the file", got=f"{len(image)} bytes")
        done += length
        if done > len(image):  # sections that overlap would be hashed again and again
            raise WireError(_WHAT, expected=f"sections of {len(image)} bytes in all", got=f"{done}")
        hashed.update(image[start : start + length])
    end = len(image) - size
    if size and place != end:
        raise WireError(_WHAT, expected=f"the certificate table at the end, at {end}", got=f"{place}", offset=entry)
    hashed.update(image[done:end])
    return hashed.digest()
