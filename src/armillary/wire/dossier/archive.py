# SPDX-License-Identifier: Apache-2.0
"""The container of a dossier: a ZIP archive in one spelling only, so that every tool opens it and no byte is free.

Of PKWARE's APPNOTE 6.3.10: members are stored (method 0) one after the other from the first byte on, then the central
directory, then its end, and nothing else; no flags, extra fields, comments or ZIP64; each time is 1980-01-01 00:00.
What was read must be what :func:`encode` writes of it. So headers that say something else than the directory, bytes
between members or behind the end, and members in another order than theirs are refused.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Final

from armillary.errors import WireError

FORMAT: Final = "dossier"
# A fleet of a few hundred images with bills of 100 KiB; what has more room in it is made of several dossiers.
MAX_BYTES: Final = 64 << 20
MAX_PARTS: Final = 4000
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}(/[a-z0-9][a-z0-9._-]{0,79}){0,3}", re.ASCII)

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_DATE: Final = 0x21  # 1980-01-01
_FILE: Final = 0o100644 << 16  # what unpacks it makes a plain file
_REMEDY: Final = "Do not rely on it: it is damaged or was changed. Ask for another one: armillary dossier create."


def encode(parts: Mapping[str, bytes]) -> bytes:
    """The file of some parts, in their order.

    Raises:
        WireError: a name that cannot be, too many parts, or too large.
    """
    if not 0 < len(parts) <= MAX_PARTS or sum(map(len, parts.values())) > MAX_BYTES:
        raise refused(f"1 to {MAX_PARTS} parts of {MAX_BYTES} bytes together", f"{len(parts)}")
    members: list[bytes] = []
    directory: list[bytes] = []
    offset = 0
    for name, content in parts.items():
        encoded = _checked(name).encode("ascii")
        about = (0, 0, 0, _DATE, zlib.crc32(content), len(content), len(content), len(encoded), 0)
        member = _LOCAL.pack(b"PK\3\4", 10, *about) + encoded + content
        directory.append(_CENTRAL.pack(b"PK\1\2", 0x0314, 10, *about, 0, 0, 0, _FILE, offset) + encoded)
        members.append(member)
        offset += len(member)
    size = sum(map(len, directory))
    end = _END.pack(b"PK\5\6", 0, 0, len(parts), len(parts), size, offset, 0)
    return b"".join((*members, *directory, end))


def parse(content: bytes) -> dict[str, bytes]:
    """The parts of a file, in their order.

    Raises:
        WireError: too large, no archive, or in another spelling than :func:`encode` gives it.
    """
    if len(content) > 2 * MAX_BYTES:
        raise refused(f"at most {2 * MAX_BYTES} bytes", str(len(content)))
    parts = dict(_members(content))
    if encode(parts) != content:
        raise refused("the one spelling of an archive", "another one: a byte of it was changed")
    return parts


def _members(content: bytes) -> Iterable[tuple[str, bytes]]:
    offset, known = 0, set[str]()
    while content[offset : offset + 4] == b"PK\3\4":
        if len(content) < offset + _LOCAL.size:
            raise refused("a whole member", "a cut one")
        _, *_, size, _, length, _ = _LOCAL.unpack_from(content, offset)
        start = offset + _LOCAL.size + length
        encoded, part = content[offset + _LOCAL.size : start], content[start : start + size]
        if len(part) != size or not encoded.isascii():
            raise refused("a whole member", "a cut one")
        name = _checked(encoded.decode("ascii"))
        if name in known or len(known) == MAX_PARTS:
            raise refused(f"each part once, {MAX_PARTS} at most", f"{name} again, or more")
        known.add(name)
        yield name, part
        offset = start + size
    if not known:
        raise refused("a ZIP archive", "another file")


def _checked(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise refused("names of a-z 0-9 . _ - in at most four folders", f"{name!a:.100}")
    return name


def refused(expected: str, got: str) -> WireError:
    """The error for a file that is no dossier, or a changed one."""
    return WireError(FORMAT, expected=expected, got=got, remedy=_REMEDY)
