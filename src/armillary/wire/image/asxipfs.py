# SPDX-License-Identifier: Apache-2.0
"""ASXipFS: the file system inside an application's image package. cramfs layout, uncompressed, executed in place.

All little endian::

    0   magic 0x28CD3D45 u32       16  "Compressed ROMFS"        48  "Compressed", zeros to 16
    4   size u32, bytes            32  crc32 u32                 64  root inode
    8   flags u32 = 3              36  edition u32 = 0
    12  future u32 = 0             40  blocks u32 = 0
                                   44  files u32, inodes with the root and directories

    inode, 12 bytes: mode u16 | uid u16 | size u24, gid u8 | name length / 4 in 6 bits, offset / 4 in 26 bits
    followed by the name, padded with zeros to a multiple of 4

A directory's content is its inodes, sorted by name; a file's content lies raw at its offset, a multiple of 4 KiB.
The whole is a multiple of 4 KiB; crc32 is zlib's over all of it with the field itself zero.

Only three modes exist: directory 0o40755, file 0o101644, executable 0o101755 (the sticky bit says "in place").
Device nodes, links, set-id bits, other owners and odd names are refused: an image's file system is mounted by the
device, so whatever it can express, an application's author can place on the device. Shared or overlapping content,
bytes that belong to nothing, and empty directories are refused as well.

Source: packages built by the Azure Sphere SDK 19.x to 22.x, checked byte for byte; Linux ``cramfs_fs.h``.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from armillary.errors import WireError

FORMAT = "asxipfs"

MAGIC = 0x28CD3D45
FLAGS = 3  # version 2 file system id, sorted directories
SIGNATURE = b"Compressed ROMFS"
VOLUME_NAME = b"Compressed".ljust(16, b"\0")
SUPERBLOCK_BYTES = 64
INODE_BYTES = 12
ALIGNMENT_BYTES = 4096

DIRECTORY_MODE = 0o40755
FILE_MODE = 0o101644
EXECUTABLE_MODE = 0o101755

# The format's own limits: 24 bits of size, 6 bits of name length in words. The package limit bounds offsets.
FILE_LIMIT_BYTES = 2**24 - 1
NAME_LIMIT_BYTES = 252
# An interpreter's libraries fit several times; bounds the work that a small hostile image can ask for.
INODE_LIMIT = 8192
# Deeper than any package tree; Linux paths end at 4096 bytes.
DEPTH_LIMIT = 16
SIZE_LIMIT_BYTES = 256 * 1024 * 1024

_SUPERBLOCK = struct.Struct("<IIII16sIIII16s")
_KINDS = {
    stat.S_IFCHR: "a character device node",
    stat.S_IFBLK: "a block device node",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link",
}


@dataclass(frozen=True, slots=True)
class File:
    """One regular file."""

    content: bytes = field(repr=False)
    executable: bool


@dataclass(frozen=True, slots=True)
class Filesystem:
    """What an image holds."""

    files: Mapping[str, File]  # path without a leading slash (``bin/app``) -> file, sorted by path


@dataclass(frozen=True, slots=True)
class _Inode:
    at: int
    mode: int
    size: int
    offset: int
    name: bytes
    end: int


def build(files: Mapping[str, bytes], executables: Collection[str] = ()) -> bytes:
    """Write a file system; the same files give the same bytes.

    ``files`` are path without a leading slash -> content, and directories come from the paths; ``executables`` are the
    paths that may be run.

    Raises:
        WireError: a path that the format or this reader refuses, a file and a directory of one name, an
            executable that is not among the files, or content over a limit.
    """
    unknown = sorted(set(executables) - set(files))
    if unknown:
        raise WireError(FORMAT, expected="executables that are among the files", got=unknown[0])
    directories: list[tuple[str, dict[str, object]]] = [("", _tree(files))]
    for path, entries in directories:  # grows while it is walked: level by level
        directories.extend((f"{path}{name}/", child) for name, child in _sorted(entries) if isinstance(child, dict))
    order = [f"{path}{name}" for path, entries in directories for name, child in _sorted(entries) if child is None]
    inode_count = len(order) + len(directories)
    if inode_count > INODE_LIMIT:
        raise WireError(FORMAT, expected=f"at most {INODE_LIMIT} files and directories", got=str(inode_count))
    places, size = _place(directories, order, files)
    image = bytearray(size)
    _SUPERBLOCK.pack_into(image, 0, MAGIC, size, FLAGS, 0, SIGNATURE, 0, 0, 0, inode_count, VOLUME_NAME)
    image[SUPERBLOCK_BYTES : SUPERBLOCK_BYTES + INODE_BYTES] = _inode(DIRECTORY_MODE, b"", places[""])
    for path, entries in directories:
        at = places[path][0]
        for name, child in _sorted(entries):
            full = f"{path}{name}/" if isinstance(child, dict) else f"{path}{name}"
            mode = DIRECTORY_MODE if isinstance(child, dict) else EXECUTABLE_MODE if full in executables else FILE_MODE
            entry = _inode(mode, _padded(name), places[full])
            image[at : at + len(entry)] = entry
            at += len(entry)
    for path in order:
        start, length = places[path]
        image[start : start + length] = files[path]
    image[32:36] = struct.pack("<I", zlib.crc32(image))
    return bytes(image)


def read(data: bytes) -> Filesystem:
    """Read a file system strictly.

    Raises WireError for whatever the module's header lists as refused, a wrong checksum, or a limit.
    """
    inode_count = _check_superblock(data)
    root = _read_inode(data, SUPERBLOCK_BYTES, len(data))
    if root.mode != DIRECTORY_MODE or root.name:
        raise WireError(FORMAT, offset=SUPERBLOCK_BYTES, expected="a root directory without a name", got=_kind(root))
    used: list[tuple[int, int]] = [(0, SUPERBLOCK_BYTES + INODE_BYTES)]
    found: dict[str, _Inode] = {}
    pending: list[tuple[str, _Inode, int]] = [("", root, 0)]
    seen = 1
    while pending:
        path, directory, depth = pending.pop()
        if depth > DEPTH_LIMIT:
            raise WireError(FORMAT, offset=directory.at, expected=f"at most {DEPTH_LIMIT} levels", got="more")
        used.append((directory.offset, directory.size))
        for inode in _entries(data, directory):
            seen += 1
            if seen > min(inode_count, INODE_LIMIT):
                raise WireError(
                    FORMAT, offset=44, expected=f"{inode_count} inodes, at most {INODE_LIMIT}", got="more of them"
                )
            full = path + _name(inode)
            if inode.mode == DIRECTORY_MODE:
                pending.append((full + "/", inode, depth + 1))
            else:
                found[full] = _aligned(inode)
                if inode.size:
                    used.append((inode.offset, inode.size))
    if seen != inode_count:
        raise WireError(FORMAT, offset=44, expected=f"{inode_count} inodes", got=str(seen))
    _check_coverage(data, used)  # before contents are copied out: shared content would multiply
    return Filesystem(MappingProxyType({path: _file(data, inode) for path, inode in sorted(found.items())}))


def _check_superblock(data: bytes) -> int:
    if not SUPERBLOCK_BYTES + INODE_BYTES <= len(data) <= SIZE_LIMIT_BYTES or len(data) % ALIGNMENT_BYTES:
        raise WireError(
            FORMAT,
            expected=f"a multiple of {ALIGNMENT_BYTES} bytes, at most {SIZE_LIMIT_BYTES}",
            got=f"{len(data)} bytes",
        )
    magic, size, flags, future, signature, crc, edition, blocks, inode_count, name = _SUPERBLOCK.unpack_from(data)
    fixed = (
        (0, MAGIC, magic),
        (4, len(data), size),
        (8, FLAGS, flags),
        (12, 0, future),
        (16, SIGNATURE, signature),
        (36, 0, edition),
        (40, 0, blocks),
        (48, VOLUME_NAME, name),
    )
    for offset, expected, got in fixed:
        if expected != got:
            raise WireError(FORMAT, offset=offset, expected=_shown(expected), got=_shown(got))
    computed = zlib.crc32(data[36:], zlib.crc32(bytes(4), zlib.crc32(data[:32])))
    if computed != crc:
        raise WireError(FORMAT, offset=32, expected=f"crc32 {computed:#010x}", got=f"{crc:#010x}")
    return int(inode_count)


def _read_inode(data: bytes, at: int, limit: int) -> _Inode:
    if at + INODE_BYTES > limit:
        raise WireError(FORMAT, offset=at, expected="an inode of 12 bytes", got=f"{limit - at} bytes")
    mode, uid, size_gid, name_offset = struct.unpack_from("<HHII", data, at)
    if uid or size_gid >> 24:
        raise WireError(FORMAT, offset=at + 2, expected="owner and group 0", got=f"{uid} and {size_gid >> 24}")
    end = at + INODE_BYTES + 4 * (name_offset & 0x3F)
    if end > limit:
        raise WireError(FORMAT, offset=at + 8, expected="a name inside its directory", got="one that runs past it")
    inode = _Inode(at, mode, size_gid & 0xFFFFFF, 4 * (name_offset >> 6), data[at + INODE_BYTES : end], end)
    if mode not in (DIRECTORY_MODE, FILE_MODE, EXECUTABLE_MODE):
        raise WireError(FORMAT, offset=at, expected="a directory, file or executable", got=_kind(inode))
    if inode.size and not SUPERBLOCK_BYTES + INODE_BYTES <= inode.offset <= len(data) - inode.size:
        raise WireError(
            FORMAT,
            offset=at + 4,
            expected=f"content inside the image of {len(data)} bytes",
            got=f"{inode.size} bytes at {inode.offset}",
        )
    return inode


def _entries(data: bytes, directory: _Inode) -> Iterator[_Inode]:
    """The inodes of a directory, checked to be sorted and to fill it."""
    if not directory.size:
        raise WireError(FORMAT, offset=directory.at, expected="a directory with entries", got="an empty one")
    at = directory.offset
    end = at + directory.size
    previous = b""
    while at < end:
        inode = _read_inode(data, at, end)
        if inode.name.rstrip(b"\0") <= previous:
            raise WireError(
                FORMAT, offset=at, expected=f"a name after {previous!r}", got=repr(inode.name.rstrip(b"\0"))
            )
        previous = inode.name.rstrip(b"\0")
        yield inode
        at = inode.end


def _name(inode: _Inode) -> str:
    name = inode.name.rstrip(b"\0")
    if len(inode.name) - len(name) > 3 or not _allowed(name):
        raise WireError(
            FORMAT,
            offset=inode.at + INODE_BYTES,
            expected="a name of printable ASCII without slashes, no '.' or '..', padded with fewer than 4 zeros",
            got=repr(inode.name),
        )
    return name.decode("ascii")


def _allowed(name: bytes) -> bool:
    return (
        0 < len(name) <= NAME_LIMIT_BYTES
        and name not in (b".", b"..")
        and all(0x20 <= byte < 0x7F and byte not in b"/\\" for byte in name)
    )


def _aligned(inode: _Inode) -> _Inode:
    if inode.offset % ALIGNMENT_BYTES:
        raise WireError(
            FORMAT, offset=inode.at + 8, expected=f"content at a multiple of {ALIGNMENT_BYTES}", got=str(inode.offset)
        )
    return inode


def _file(data: bytes, inode: _Inode) -> File:
    return File(data[inode.offset : inode.offset + inode.size], inode.mode == EXECUTABLE_MODE)


def _check_coverage(data: bytes, used: list[tuple[int, int]]) -> None:
    """No byte belongs to two things, and bytes that belong to nothing are zero."""
    position = 0
    for start, size in [*sorted(used), (len(data), 0)]:
        if start < position:
            raise WireError(FORMAT, offset=start, expected="content of its own", got="content that overlaps")
        if data.count(0, position, start) != start - position:
            raise WireError(FORMAT, offset=position, expected="zeros between contents", got="other bytes")
        position = start + size


def _kind(inode: _Inode) -> str:
    kind = _KINDS.get(stat.S_IFMT(inode.mode))
    if kind is not None:
        return kind
    if inode.mode & (stat.S_ISUID | stat.S_ISGID):
        return f"mode {inode.mode:#o}, which changes user or group when run"
    return f"mode {inode.mode:#o}"


def _place(
    directories: list[tuple[str, dict[str, object]]], order: list[str], files: Mapping[str, bytes]
) -> tuple[dict[str, tuple[int, int]], int]:
    """Where each directory and file lies (offset, size; an empty file at 0), and the size of the whole."""
    places: dict[str, tuple[int, int]] = {}
    offset = SUPERBLOCK_BYTES + INODE_BYTES
    for path, entries in directories:
        size = sum(INODE_BYTES + len(_padded(name)) for name in entries)
        places[path] = (offset, size)
        offset += size
    for path in order:
        offset += -offset % ALIGNMENT_BYTES
        places[path] = (offset if files[path] else 0, len(files[path]))
        offset += len(files[path])
    total = offset + -offset % ALIGNMENT_BYTES
    if total > SIZE_LIMIT_BYTES:
        raise WireError(FORMAT, expected=f"at most {SIZE_LIMIT_BYTES} bytes", got=f"{total} bytes")
    return places, total


def _tree(files: Mapping[str, bytes]) -> dict[str, object]:
    """Nested dictionaries of the paths; None stands for a file."""
    tree: dict[str, object] = {}
    for path, content in files.items():
        *parents, name = path.split("/")
        if len(content) > FILE_LIMIT_BYTES:
            raise WireError(
                FORMAT, expected=f"files of at most {FILE_LIMIT_BYTES} bytes", got=f"{path}: {len(content)}"
            )
        if not all(part.isascii() and _allowed(part.encode()) for part in (*parents, name)) or (
            len(parents) > DEPTH_LIMIT
        ):
            raise WireError(
                FORMAT,
                expected=f"a relative path of printable ASCII names, at most {DEPTH_LIMIT} directories deep",
                got=repr(path),
            )
        directory = tree
        for parent in parents:
            child = directory.setdefault(parent, {})
            if not isinstance(child, dict):
                raise WireError(FORMAT, expected="a name for one thing", got=f"{path}: {parent} is a file as well")
            directory = child
        if name in directory:
            raise WireError(FORMAT, expected="a name for one thing", got=f"{path} is a directory as well")
        directory[name] = None
    if not tree:
        raise WireError(FORMAT, expected="at least one file", got="none")
    return tree


def _sorted(entries: dict[str, object]) -> list[tuple[str, object]]:
    return sorted(entries.items(), key=lambda entry: entry[0])


def _padded(name: str) -> bytes:
    encoded = name.encode("ascii")
    return encoded + bytes(-len(encoded) % 4)


def _inode(mode: int, name: bytes, place: tuple[int, int]) -> bytes:
    offset, size = place
    if size > FILE_LIMIT_BYTES:
        raise WireError(FORMAT, expected=f"a directory of at most {FILE_LIMIT_BYTES} bytes", got=f"{size} bytes")
    return struct.pack("<HHII", mode, 0, size, len(name) // 4 | (offset // 4) << 6) + name


def _shown(value: int | bytes) -> str:
    return f"{value:#x}" if isinstance(value, int) else repr(value)
