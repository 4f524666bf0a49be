# SPDX-License-Identifier: Apache-2.0
"""The archive of the initial file system, as the kernel unpacks it: cpio's format *newc*.

::

    header     "070701", then 13 fields of 8 hex digits: inode, mode, uid, gid, links, time, size, device (4), name's
               length with its zero, 0
    name       and a zero, to the next multiple of 4 from the header's begin
    content    to the next multiple of 4
    ...        last an entry named TRAILER!!!

Times, owners and devices are zero and entries are in the order of their names: the same files give the same bytes.
Specification: ``Documentation/driver-api/early-userspace/buffer-format.rst`` of Linux.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from typing import Final

_END: Final = "TRAILER!!!"


def encode_archive(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """An archive of regular files, path (without a slash in front) -> (permissions, content), with their folders."""
    entries: dict[str, tuple[int, bytes]] = {}
    for path, (permissions, content) in files.items():
        parts = path.split("/")
        for end in range(1, len(parts)):
            entries.setdefault("/".join(parts[:end]), (stat.S_IFDIR | 0o755, b""))
        entries[path] = (stat.S_IFREG | permissions, content)
    names = sorted(entries)
    archive = b"".join(_entry(name, *entries[name], inode=number) for number, name in enumerate(names, 1))
    return archive + _entry(_END, 0, b"", inode=0)


def _entry(name: str, mode: int, content: bytes, *, inode: int) -> bytes:
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (inode, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode("ascii") + b"\0"
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
