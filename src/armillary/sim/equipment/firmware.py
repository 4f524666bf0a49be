# SPDX-License-Identifier: Apache-2.0
"""Firmware of a simulated machine: the window through which it is written, and the form of such a file.

======  =====  ======================================================
offset  bytes  what
======  =====  ======================================================
0       8      ``ARMSIMFW``: firmware of simulated equipment
8       2      version, big-endian: the raw value of the point that shows it
10      4      length of the whole file, big-endian
14      n      content
n + 14  4      CRC-32 of all before it, big-endian
======  =====  ======================================================
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Final

from armillary.wire.equipment.profile import FirmwareArea

MAGIC: Final = b"ARMSIMFW"
HEAD: Final = struct.Struct(">8sHI")
TAIL: Final = struct.Struct(">I")


def firmware_file(version: int, content: bytes) -> bytes:
    """A firmware that simulated machines start."""
    length = HEAD.size + len(content) + TAIL.size
    body = HEAD.pack(MAGIC, version, length) + content
    return body + TAIL.pack(zlib.crc32(body))


def version_in(image: bytes) -> int | None:
    """The version of a firmware that is whole; None for anything else."""
    if len(image) < HEAD.size + TAIL.size:
        return None
    magic, version, length = HEAD.unpack_from(image)
    if magic != MAGIC or not HEAD.size + TAIL.size <= length <= len(image):
        return None
    body, (checksum,) = image[: length - TAIL.size], TAIL.unpack_from(image, length - TAIL.size)
    return int(version) if zlib.crc32(body) == checksum else None


class FirmwareWindow:
    """What is written into the window, chunk by chunk, and which firmware runs."""

    def __init__(self, area: FirmwareArea, *, runs: int) -> None:
        self._area = area
        self._image = bytearray()
        self._running: int = runs
        self._before: int | None = None

    def take_coil(self, address: int, holding: Mapping[int, int]) -> int | None:
        """Do what a coil that is written true says; the version to start with, None: go on as before.

        A firmware that is not whole is not started, and what runs goes on.
        """
        area = self._area
        if address == area.write_coil:
            self._take_chunk(holding)
        elif address == area.commit_coil:
            version = version_in(bytes(self._image))
            if version is not None:
                self._running, self._before = version, self._running
                return version
        elif address == area.revert_coil and self._before is not None:
            self._running, self._before = self._before, self._running
            return self._running
        return None

    def _take_chunk(self, holding: Mapping[int, int]) -> None:
        area = self._area
        offset = holding.get(area.offset_address, 0) << 16 | holding.get(area.offset_address + 1, 0)
        window = range(area.address, area.address + area.words)
        data = b"".join(holding.get(address, 0).to_bytes(2, "big") for address in window)
        if offset == 0:
            self._image.clear()
        if offset + len(data) > area.limit_bytes + 2 * area.words:
            return
        self._image.extend(bytes(max(offset + len(data) - len(self._image), 0)))
        self._image[offset : offset + len(data)] = data
