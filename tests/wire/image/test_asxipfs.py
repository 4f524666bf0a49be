# SPDX-License-Identifier: Apache-2.0
"""ASXipFS: the layout that the SDK writes, and every trick that a file system could play."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import pytest

from armillary.errors import WireError
from armillary.wire.image import asxipfs
from armillary.wire.image.asxipfs import File

APP = {"app_manifest.json": b'{"Name":"x"}', "bin/app": b"\x7fELF" * 2000}
# Where things lie in the image of APP: the same places as in the SDK's images.
MANIFEST_INODE, BIN_INODE, APP_INODE = 76, 108, 124


def image() -> bytearray:
    return bytearray(asxipfs.build(APP, {"bin/app"}))


def mended(data: bytearray) -> bytes:
    """With a checksum that fits, so that the fault behind it is reached."""
    data[32:36] = bytes(4)
    struct.pack_into("<I", data, 32, zlib.crc32(data))
    return bytes(data)


def test_layout_is_the_sdks():
    data = bytes(image())
    magic, size, flags, future = struct.unpack_from("<IIII", data)
    assert (magic, size, flags, future) == (0x28CD3D45, len(data), 3, 0)
    assert data[16:32] == b"Compressed ROMFS"
    assert data[48:64] == b"Compressed\0\0\0\0\0\0"
    assert struct.unpack_from("<III", data, 36) == (0, 0, 4), "edition, blocks, inodes with root and bin"
    zeroed = bytearray(data)
    zeroed[32:36] = bytes(4)
    assert zlib.crc32(zeroed) == struct.unpack_from("<I", data, 32)[0]
    # root, then app_manifest.json, bin, and bin's own directory
    assert struct.unpack_from("<HHII", data, 64) == (0o40755, 0, 48, 76 // 4 << 6)
    assert struct.unpack_from("<HHII", data, MANIFEST_INODE) == (0o101644, 0, 12, 4096 // 4 << 6 | 5)
    assert data[88:108] == b"app_manifest.json\0\0\0"
    assert struct.unpack_from("<HHII", data, BIN_INODE) == (0o40755, 0, 16, 124 // 4 << 6 | 1)
    assert struct.unpack_from("<HHII", data, APP_INODE) == (0o101755, 0, 8000, 8192 // 4 << 6 | 1)
    assert data[4096:4108] == APP["app_manifest.json"]
    assert len(data) == 16384


def test_round_trip_keeps_content_and_who_may_run():
    found = asxipfs.read(bytes(image()))
    assert found.files == {
        "app_manifest.json": File(APP["app_manifest.json"], executable=False),
        "bin/app": File(APP["bin/app"], executable=True),
    }


def test_order_of_the_arguments_does_not_matter():
    assert asxipfs.build(dict(reversed(APP.items())), ["bin/app"]) == bytes(image())


def test_nested_directories_and_empty_files():
    files = {"a/b/c/d.txt": b"1", "a/b/e.txt": b"", "a/f.txt": b"2" * 4096, "z": b"3"}
    found = asxipfs.read(asxipfs.build(files))
    assert {path: file.content for path, file in found.files.items()} == files
    assert not any(file.executable for file in found.files.values())


@pytest.mark.parametrize(
    ("files", "executables", "reason"),
    [
        ({}, [], "at least one file"),
        ({"/bin/app": b""}, [], "relative path"),
        ({"bin//app": b""}, [], "relative path"),
        ({"../app": b""}, [], "relative path"),
        ({"./app": b""}, [], "relative path"),
        ({"bin/": b""}, [], "relative path"),
        ({"": b""}, [], "relative path"),
        ({"a\\b": b""}, [], "relative path"),
        ({"a\0b": b""}, [], "relative path"),
        ({"a\nb": b""}, [], "relative path"),
        ({"ü": b""}, [], "relative path"),
        ({"n" * 253: b""}, [], "relative path"),
        ({"/".join("d" * 18): b""}, [], "relative path"),
        ({"bin": b"", "bin/app": b""}, [], "one thing"),
        ({"bin/app": b"", "bin": b""}, [], "one thing"),
        ({"app": b""}, ["other"], "executables that are among"),
        ({"app": bytes(2**24)}, [], "files of at most"),
    ],
)
def test_build_refuses(files: dict[str, bytes], executables: list[str], reason: str):
    with pytest.raises(WireError, match=reason):
        asxipfs.build(files, executables)


def test_build_refuses_more_inodes_than_read_accepts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(asxipfs, "INODE_LIMIT", 3)
    with pytest.raises(WireError, match="at most 3"):
        asxipfs.build(APP)


def put(offset: int, data: bytes) -> Callable[[bytearray], None]:
    def change(target: bytearray) -> None:
        target[offset : offset + len(data)] = data

    return change


def mode(at: int, value: int) -> Callable[[bytearray], None]:
    return put(at, struct.pack("<H", value))


def place(at: int, *, size: int, offset: int, name_words: int) -> Callable[[bytearray], None]:
    return put(at + 4, struct.pack("<II", size, offset // 4 << 6 | name_words))


def two_entries_swapped(target: bytearray) -> None:
    manifest, folder = target[76:108], target[108:124]
    target[76:92], target[92:124] = folder, manifest


HOSTILE: dict[str, tuple[Callable[[bytearray], None], str]] = {
    "magic": (put(0, b"\0"), "0x28cd3d45"),
    "size beyond the data": (put(4, struct.pack("<I", 2**31)), "0x4000"),
    "size below the data": (put(4, struct.pack("<I", 4096)), "0x4000"),
    "compressed (flags without XIP)": (put(8, b"\x01"), "0x3"),
    "future field": (put(12, b"\1"), "0x0"),
    "signature text": (put(16, b"compressed"), "Compressed ROMFS"),
    "edition": (put(36, b"\1"), "0x0"),
    "blocks": (put(40, b"\1"), "0x0"),
    "volume name": (put(48, b"x"), "Compressed"),
    "one inode fewer than there are": (put(44, b"\3"), "3 inodes"),
    "one inode more than there are": (put(44, b"\5"), "5 inodes"),
    "four billion inodes": (put(44, b"\xff" * 4), "inodes"),
    "root is a file": (mode(64, 0o101644), "root directory"),
    "character device": (mode(MANIFEST_INODE, 0o020666), "character device"),
    "block device": (mode(MANIFEST_INODE, 0o060666), "block device"),
    "symbolic link": (mode(MANIFEST_INODE, 0o120777), "symbolic link"),
    "named pipe": (mode(MANIFEST_INODE, 0o010644), "named pipe"),
    "socket": (mode(MANIFEST_INODE, 0o140644), "socket"),
    "set-user-id": (mode(APP_INODE, 0o104755), "changes user or group"),
    "set-group-id": (mode(APP_INODE, 0o102755), "changes user or group"),
    "set-user-id in place": (mode(APP_INODE, 0o105755), "changes user or group"),
    "world-writable": (mode(APP_INODE, 0o101777), "mode"),
    "not executed in place": (mode(APP_INODE, 0o100755), "mode"),
    "owner": (put(APP_INODE + 2, b"\1\0"), "owner and group 0"),
    "group": (put(APP_INODE + 7, b"\1"), "owner and group 0"),
    "name '..'": (put(BIN_INODE + 12, b"..\0\0"), "no '.' or '..'|a name after"),
    "name 'a/b'": (put(BIN_INODE + 12, b"b/n\0"), "without slashes"),
    "name with a control character": (put(BIN_INODE + 12, b"b\x1bn\0"), "printable ASCII"),
    "name with a zero inside": (put(BIN_INODE + 12, b"b\0n\0"), "printable ASCII"),
    "name with a byte above ASCII": (put(BIN_INODE + 12, b"b\xc3\xbc\0"), "printable ASCII"),
    "no name": (put(BIN_INODE + 12, bytes(4)), "a name after"),
    "padding of a whole word": (put(MANIFEST_INODE + 12, b"app".ljust(20, b"\0")), "fewer than 4"),
    "same name twice": (put(MANIFEST_INODE + 12, b"bin".ljust(20, b"\0")), "a name after|fewer than 4"),
    "names out of order": (two_entries_swapped, "a name after"),
    "name runs past its directory": (put(BIN_INODE + 8, struct.pack("<I", 124 // 4 << 6 | 63)), "inside its directory"),
    "content past the end": (place(APP_INODE, size=2**24 - 1, offset=8192, name_words=1), "inside the image"),
    "content at the last offset": (place(APP_INODE, size=8000, offset=2**28 - 4096, name_words=1), "inside the image"),
    "content in the superblock": (place(APP_INODE, size=16, offset=0, name_words=1), "inside the image"),
    "content not aligned": (place(APP_INODE, size=8000, offset=8196, name_words=1), "multiple of 4096"),
    "content of another file": (place(APP_INODE, size=8000, offset=4096, name_words=1), "overlaps"),
    "directory inside itself": (place(BIN_INODE, size=48, offset=76, name_words=1), "inodes|overlaps"),
    "directory is its own parent's second half": (place(BIN_INODE, size=16, offset=108, name_words=1), "inodes|levels"),
    "empty directory": (place(BIN_INODE, size=0, offset=124, name_words=1), "an empty one"),
    "directory with half an inode": (place(BIN_INODE, size=8, offset=124, name_words=1), "inode of 12 bytes"),
    "bytes that belong to nothing": (put(4096 + 100, b"x"), "zeros between"),
    "bytes behind the last file": (put(16383, b"x"), "zeros between"),
    "bytes behind the directories": (put(140, b"x"), "zeros between"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_image_is_refused(name: str):
    change, reason = HOSTILE[name]
    data = image()
    change(data)
    with pytest.raises(WireError, match=reason) as caught:
        asxipfs.read(mended(data))
    assert caught.value.format == "asxipfs"


def test_mending_alone_changes_nothing():
    """Positive control of the table above."""
    assert mended(image()) == bytes(image())
    asxipfs.read(mended(image()))


def test_checksum_mismatch_is_refused():
    data = image()
    data[4096] ^= 1
    with pytest.raises(WireError, match="crc32"):
        asxipfs.read(bytes(data))


@pytest.mark.parametrize("length", [0, 63, 76, 4095, 4097, 16383, 16385])
def test_other_lengths_are_refused(length: int):
    with pytest.raises(WireError):
        asxipfs.read((bytes(image()) + bytes(4096))[:length])


def test_many_inodes_that_share_content_do_not_multiply_it():
    """600 files of 15 MiB that all name the same bytes would be 9 GB if they were copied out before the check."""
    names = [f"{number:04d}" for number in range(600)]
    data = bytearray(asxipfs.build(dict.fromkeys(names, b"") | {"z": bytes(15 * 1024 * 1024)}))
    start = 4096 * 3  # of z: behind the directory
    for number in range(600):
        inode = 76 + 16 * number
        assert data[inode + 12 : inode + 16] == names[number].encode()
        struct.pack_into("<II", data, inode + 4, 15 * 1024 * 1024 - 4096, (start + 4096) // 4 << 6 | 1)
    with pytest.raises(WireError, match="overlaps"):
        asxipfs.read(mended(data))
