# SPDX-License-Identifier: Apache-2.0
"""Boot entries of UEFI firmware (variables ``Boot0000`` to ``BootFFFF``) that start a file on a partition.

::

    attributes u32, length of the path list u16, description UTF-16 with its end, path list, data
    path list: hard drive (type 4, subtype 1, 42 bytes): number u32, first LBA u64, sectors u64, GUID, format, kind
               file (type 4, subtype 4): UTF-16 with its end; end of the path (type 0x7F, subtype 0xFF)

A path may begin with nodes that lead to the disk; they are passed over, as firmware does with the short form.
Specification: UEFI 2.10, §3.1.3 (load options), §10.3.5.1 and §10.3.5.4 (device paths).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from armillary.errors import WireError
from armillary.wire.disk.gpt import Partition

ACTIVE: Final = 1  # LOAD_OPTION_ACTIVE: firmware starts it
MAX_OPTION_BYTES: Final = 4096  # what firmware writes has some hundred bytes

_WHAT: Final = "boot entry"
_HEADER: Final = struct.Struct("<IH")
_NODE: Final = struct.Struct("<BBH")
_HARD_DRIVE: Final = struct.Struct("<IQQ16sBB")
_MEDIA, _IS_DRIVE, _IS_FILE = 4, 1, 4
_GPT, _BY_GUID = 2, 2
_END: Final = _NODE.pack(0x7F, 0xFF, 4)


@dataclass(frozen=True, slots=True)
class LoadOption:
    """A boot entry; ``partition`` is None where it starts something that lies on no partition with a GUID."""

    description: str
    partition: UUID | None
    path: str = ""  # of the file on it, with backslashes
    is_active: bool = True  # whether firmware starts it


def decode_load_option(data: bytes) -> LoadOption:
    """The entry in ``data`` (without the four bytes of attributes that Linux puts before it); WireError if none is."""
    if len(data) > MAX_OPTION_BYTES:
        raise WireError(_WHAT, expected=f"at most {MAX_OPTION_BYTES} bytes", got=f"{len(data)}")
    try:
        attributes, path_bytes = _HEADER.unpack_from(data)
        description, paths_at = _text(data, _HEADER.size)
        paths = data[paths_at : paths_at + path_bytes]
        if len(paths) != path_bytes:
            raise WireError(_WHAT, expected=f"a path of {path_bytes} bytes", got=f"{len(paths)}")
        return LoadOption(description, *_place(paths), is_active=bool(attributes & ACTIVE))
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise WireError(_WHAT, expected="a load option", got=str(error)) from error


def encode_load_option(description: str, partition: Partition, path: str) -> bytes:
    """An active entry that starts the file at ``path`` (with backslashes) of a partition."""
    place = _HARD_DRIVE.pack(
        partition.number, partition.first_lba, partition.sectors, partition.guid.bytes_le, _GPT, _BY_GUID
    )
    name = _utf16(path)
    paths = (
        _NODE.pack(_MEDIA, _IS_DRIVE, _NODE.size + len(place))
        + place
        + _NODE.pack(_MEDIA, _IS_FILE, 4 + len(name))
        + name
    ) + _END
    return _HEADER.pack(ACTIVE, len(paths)) + _utf16(description) + paths


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le") + bytes(2)


def _text(data: bytes, start: int) -> tuple[str, int]:
    """The text at ``start`` and where the bytes after its end begin."""
    for at in range(start, len(data) - 1, 2):
        if data[at : at + 2] == b"\0\0":
            return data[start:at].decode("utf-16-le"), at + 2
    raise ValueError("the description has no end")


def _place(paths: bytes) -> tuple[UUID | None, str]:
    """The GUID of the first hard-drive node, and the file of the node after it."""
    guid, path, at = None, "", 0
    while at < len(paths):
        kind, subtype, size = _NODE.unpack_from(paths, at)
        if size < _NODE.size or at + size > len(paths):
            raise ValueError(f"a node of its path has {size} bytes")
        value = paths[at + _NODE.size : at + size]
        if (kind, subtype) == (_MEDIA, _IS_DRIVE) and len(value) == _HARD_DRIVE.size and guid is None:
            *_, drive, table, signature = _HARD_DRIVE.unpack(value)
            guid = UUID(bytes_le=drive) if (table, signature) == (_GPT, _BY_GUID) else None
        elif (kind, subtype) == (_MEDIA, _IS_FILE) and guid is not None and not path:
            path = value.decode("utf-16-le").split("\0", 1)[0]
        at += size
    return guid, path
