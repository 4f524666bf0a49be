# SPDX-License-Identifier: Apache-2.0
"""What is changed of a slot's signed file, and of U-Boot's environment, by who attacks a disk that U-Boot starts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from armillary.device_image.keys import secure_boot_keys
from armillary.device_image.tools import run
from armillary.device_image.uboot.signed_file import IMAGE_DATA, part_of, signed_again, verified_root
from armillary.engines.flash.uboot_slots import SECOND_COPY_BYTES
from armillary.wire.device_image.flattened_tree import (
    nodes_of,
    properties_of,
    with_node,
    with_value,
    without_property,
)
from armillary.wire.disk.uboot_environment import Copy, encode_copy

_SIGNATURE: Final = "/configurations/slot-a/signature"
_SIGNED_NODES: Final = f"{_SIGNATURE}/hashed-nodes"
_IMAGE: Final = re.compile(r"(/images/[^/\0]+)\0")
_TREE: Final = IMAGE_DATA.format("tree-a")


def flipped(image: str) -> Callable[[bytes, Path], bytes]:
    """One bit of the middle of an image in the file."""

    def change(signed: bytes, _: Path) -> bytes:
        place, size = properties_of(signed)[IMAGE_DATA.format(image)]
        changed = bytearray(signed)
        changed[place + size // 2] ^= 1
        return bytes(changed)

    return change


def _another_root(signed: bytes, _: Path) -> bytes:
    bound = verified_root(signed).root_hash.encode("ascii")
    return signed.replace(bound, bound[::-1])


def _another_configuration(signed: bytes, folder: Path) -> bytes:
    """The device tree of the other slot: each part has the right hash, the whole has not."""
    return _with(signed, folder, ["fdtput", "-t", "s"], "/configurations/slot-a", "fdt", "tree-b")


def _unsigned(signed: bytes, folder: Path) -> bytes:
    return _with(signed, folder, ["fdtput", "-r"], _SIGNATURE)


def signed_by_a_stranger(signed: bytes, folder: Path) -> bytes:
    """Whole and with the right hashes: it runs wherever the key is not asked for."""
    return signed_again(signed, secure_boot_keys(folder / "stranger")["signing"])


def _truncated(signed: bytes, _: Path) -> bytes:
    # What follows on the disk is the file that was there: zeros stand for flash that was never written.
    return signed[: len(signed) // 2].ljust(len(signed), b"\0")


def _plain_kernel(signed: bytes, _: Path) -> bytes:
    """What another U-Boot would start without asking for a signature."""
    return part_of(signed, IMAGE_DATA.format("kernel"))


def _images_copied(signed: bytes, _: Path) -> bytes:
    """A device tree of the attacker's, started under the signature of copies of the images.

    A U-Boot that has CVE-2026-46728 believes the list of signed nodes beside a signature (``hashed-nodes``), which
    nothing signs. Copies need no data: of those the signature has the hashes alone.
    """
    signed_nodes = part_of(signed, _SIGNED_NODES)
    images = _IMAGE.findall(signed_nodes.decode("ascii"))
    tree = part_of(signed, _TREE)
    tree = with_value(tree, "/chosen/bootargs", b"stranger=1 " + part_of(tree, "/chosen/bootargs"))
    changed = with_node(signed, "/images", "images", b"".join(_without_data(signed, image) for image in images))
    # With a last child that is not signed, nothing of the copies' own node is.
    changed = with_node(changed, "/images/images", "empty")
    changed = with_value(changed, _TREE, tree)
    changed = with_value(changed, "/images/tree-a/hash/value", hashlib.sha256(tree).digest())
    return with_value(changed, _SIGNED_NODES, signed_nodes.replace(b"/images/", b"/images/images/"))


def _without_data(signed: bytes, image: str) -> bytes:
    bare = without_property(signed, f"{image}/data")
    place, size = nodes_of(bare)[image]
    return bare[place : place + size]


CHANGES: Final[tuple[tuple[str, Callable[[bytes, Path], bytes]], ...]] = (
    ("signed file: one bit of the kernel", flipped("kernel")),
    ("signed file: one bit of the initial file system", flipped("initial")),
    ("signed file: one bit of the device tree", flipped("tree-a")),
    ("signed file: another root hash in the command line", _another_root),
    ("signed file: another configuration", _another_configuration),
    ("signed file: unsigned", _unsigned),
    ("signed file: signed by another key", signed_by_a_stranger),
    ("signed file: its images copied", _images_copied),
    ("signed file: truncated", _truncated),
    ("signed file: a kernel without one", _plain_kernel),
)


def forbidden_variables() -> bytes:
    """An environment whose copies are whole and say what would let a stranger's kernel start, if they were taken."""
    variables = {
        ".flags": "bootargs:sw,bootcmd:sw,start_a:sw,verify:sw",
        "boot_next": "a",
        "bootargs": "init=/bin/sh",
        "bootcmd": "setenv verify n; mmc read 0x50000000 0x2800 0x4000; bootm 0x50000000#slot-a",
        "start_a": "bootm start 0x50000000; bootm loados; bootm go",
        "verify": "n",
    }
    return _environment(encode_copy(Copy(1, variables)), encode_copy(Copy(2, variables)))


def hostile_values() -> bytes:
    """The variables that are taken, with values that are no slots but the ends of other commands."""
    variables = {"boot_next": 'a" = "a"; then setenv verify n; fi; if test "a', "boot_order": "b a; setenv verify n"}
    return _environment(encode_copy(Copy(1, variables)), encode_copy(Copy(2, variables)))


def damaged_copies() -> bytes:
    """Neither copy is whole; both would say that slot B is next."""
    copies = [bytearray(encode_copy(Copy(flag, {"boot_next": "b", "boot_order": "b a"}))) for flag in (1, 2)]
    for copy in copies:
        copy[20] ^= 1
    return _environment(*map(bytes, copies))


def _environment(first: bytes, second: bytes) -> bytes:
    return first.ljust(SECOND_COPY_BYTES, b"\0") + second


def _with(signed: bytes, folder: Path, command: list[str], *more: str) -> bytes:
    (folder / "slot.fit").write_bytes(signed)
    run([*command, "slot.fit", *more], folder=folder)
    return (folder / "slot.fit").read_bytes()
