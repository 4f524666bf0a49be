# SPDX-License-Identifier: Apache-2.0
r"""The program that a firmware starts from a slot's first partition: a FAT16 file system with one file.

::

    at 11       bytes a sector u16, sectors a cluster u8, reserved sectors u16, tables u8, entries of the root folder
                u16; at 22 sectors a table u16; then the tables, the root folder, and clusters from number 2 on
    table       for each cluster u16: the next one, 0xFFF8 and above for the last
    entry       name 8 and ending 3 in capitals, filled with spaces, attributes u8; at 26 first cluster u16, bytes u32

All integers are little endian. An image may end early: what is missing of it is zero (``device_image/disk.py``).

Specification: Microsoft's FAT: General Overview of On-Disk Format, 1.03; UEFI 2.10 §3.5.1.1 (``\EFI\BOOT``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from armillary.errors import WireError

MAX_PROGRAM_BYTES: Final = 64 * 1024 * 1024  # a slot's first partition
MAX_FOLDER_BYTES: Final = 64 * 1024  # ours have one entry and two links
_WHAT: Final = "boot-partition"
_PATH: Final = (b"EFI", b"BOOT")
_ENDING: Final = b"EFI"
_ENTRY_BYTES: Final = 32
_FOLDER, _NO_FILE, _DELETED = 0x10, 0x08, 0xE5
_FIRST_CLUSTER, _LAST_CLUSTER = 2, 0xFFF0


class _Entry(NamedTuple):
    name: bytes
    ending: bytes
    attributes: int
    cluster: int
    size: int


def started_program(image: bytes) -> bytes:
    r"""The one program in ``EFI\BOOT``; WireError for a file system of another kind, or with none or several."""
    volume = _Volume(image)
    entries = volume.root()
    for name in _PATH:
        inside = [each for each in entries if each.name == name and not each.ending and each.attributes & _FOLDER]
        if len(inside) != 1:
            raise WireError(_WHAT, expected=f"a folder {name.decode()}", got=f"{len(inside)}")
        entries = _entries(volume.content(inside[0].cluster, MAX_FOLDER_BYTES))
    found = [each for each in entries if each.ending == _ENDING and not each.attributes & (_FOLDER | _NO_FILE)]
    if len(found) != 1 or found[0].size > MAX_PROGRAM_BYTES:
        raise WireError(_WHAT, expected=f"one program of at most {MAX_PROGRAM_BYTES} bytes", got=f"{len(found)}")
    content = volume.content(found[0].cluster, found[0].size)
    if len(content) < found[0].size:
        raise WireError(_WHAT, expected=f"a file of {found[0].size} bytes", got=f"clusters with {len(content)}")
    return content[: found[0].size]


class _Volume:
    """Where things are in a FAT16 file system."""

    def __init__(self, image: bytes) -> None:
        try:
            sector, a_cluster, reserved, tables, entries = struct.unpack_from("<HBHBH", image, 11)
            (a_table,) = struct.unpack_from("<H", image, 22)
        except struct.error as error:
            raise WireError(_WHAT, expected="a boot sector", got=f"{len(image)} bytes") from error
        if sector not in (512, 1024, 2048, 4096) or not a_cluster or not reserved or not tables or not a_table:
            raise WireError(_WHAT, expected="FAT16", got=image[:64].hex(), offset=11)
        self._image = image
        self._table = reserved * sector
        self._table_bytes = a_table * sector
        self._root = self._table + tables * self._table_bytes
        self._root_bytes = entries * _ENTRY_BYTES
        self._clusters = self._root + -(-self._root_bytes // sector) * sector
        self._cluster_bytes = a_cluster * sector

    def root(self) -> list[_Entry]:
        """The root folder's entries."""
        return _entries(self._at(self._root, min(self._root_bytes, MAX_FOLDER_BYTES)))

    def content(self, cluster: int, limit: int) -> bytes:
        """What is in a chain of clusters, up to ``limit`` bytes and the rest of a cluster."""
        parts: list[bytes] = []
        while _FIRST_CLUSTER <= cluster < _LAST_CLUSTER and len(parts) * self._cluster_bytes < limit:
            place = self._clusters + (cluster - _FIRST_CLUSTER) * self._cluster_bytes
            parts.append(self._at(place, self._cluster_bytes))
            if 2 * cluster + 2 > self._table_bytes:
                raise WireError(_WHAT, expected="a cluster of the table", got=f"{cluster}", offset=self._table)
            (cluster,) = struct.unpack("<H", self._at(self._table + 2 * cluster, 2))
        return b"".join(parts)

    def _at(self, place: int, size: int) -> bytes:
        return self._image[place : place + size].ljust(size, b"\0")


def _entries(folder: bytes) -> list[_Entry]:
    return list(_read(folder))


def _read(folder: bytes) -> Iterator[_Entry]:
    for at in range(0, len(folder) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
        entry = folder[at : at + _ENTRY_BYTES]
        if not entry[0]:  # the end of the folder
            return
        if entry[0] != _DELETED and not entry[11] & _NO_FILE:
            cluster, size = struct.unpack_from("<HI", entry, 26)
            yield _Entry(entry[:8].rstrip(), entry[8:11].rstrip(), entry[11], cluster, size)
