# SPDX-License-Identifier: Apache-2.0
"""ASXipFS: any bytes are a file system or a WireError; what parses can be written again and reads the same.

Mutants nearly always break the checksum, so each is tried as it is and with its checksum mended.
"""

from __future__ import annotations

import struct
import zlib

from armillary.errors import WireError
from armillary.wire.image import asxipfs


def seeds() -> list[bytes]:
    return [
        asxipfs.build({"app_manifest.json": b"{}", "bin/app": b"\x7fELF" * 9}, {"bin/app"}),
        asxipfs.build({"a/b/c": b"1", "a/b/d": b"", "a/e": b"2", "f": b"3" * 5000}),
    ]


def mend(data: bytes) -> bytes:
    """The same image with the length and checksum that its bytes call for."""
    image = bytearray(data[: asxipfs.SIZE_LIMIT_BYTES])
    image += bytes(-len(image) % asxipfs.ALIGNMENT_BYTES)
    if len(image) >= asxipfs.SUPERBLOCK_BYTES:
        struct.pack_into("<I", image, 4, len(image))
        image[32:36] = bytes(4)
        struct.pack_into("<I", image, 32, zlib.crc32(image))
    return bytes(image)


def fuzz(data: bytes) -> None:
    for image in (data, mend(data)):
        try:
            found = asxipfs.read(image)
        except WireError:
            continue
        files = {path: file.content for path, file in found.files.items()}
        executables = {path for path, file in found.files.items() if file.executable}
        if files:
            assert asxipfs.read(asxipfs.build(files, executables)) == found
