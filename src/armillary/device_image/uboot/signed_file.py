# SPDX-License-Identifier: Apache-2.0
"""The signed file of a slot: kernel, initial file system and device tree in one, as U-Boot takes it (FIT).

It has a configuration for each slot, ``slot-a`` and ``slot-b``, each with a device tree of its own: that has the
command line, with the root hash and the slot. So both slots hold the same bytes. A configuration is signed with the
hashes of all that it names. Joining and signing are mkimage's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zstandard

from armillary.device_image.keys import KEY_BITS, KeyPair
from armillary.device_image.tools import run
from armillary.wire.device_image.command_line import VerifiedRoot, root_of
from armillary.wire.device_image.flattened_tree import properties_of

# The name under which U-Boot's control device tree has the key.
KEY: Final = "armillary"
# Where the file has the bytes of an image.
IMAGE_DATA: Final = "/images/{}/data"
# Where U-Boot's control device tree has the modulus of the key, big-endian.
_MODULUS: Final = f"/signature/key-{KEY}/rsa,modulus"
_ALGORITHM: Final = f"sha256,rsa{KEY_BITS}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelForm:
    """How the file has the kernel: U-Boot's words for its architecture and packing, and where it is unpacked to."""

    architecture: str
    compression: str
    load_at: int

    def packed(self, kernel: bytes) -> bytes:
        """The kernel as it goes into the file."""
        return zstandard.ZstdCompressor(level=19, threads=0).compress(kernel) if self.compression == "zstd" else kernel


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A slot's file, and U-Boot's control device tree with the key that it asks for."""

    content: bytes
    control_tree: bytes


def with_overlay(tree: bytes, overlay: str) -> bytes:
    """A device tree with what the source of an overlay adds; HostError with dtc's words if it does not fit."""
    with tempfile.TemporaryDirectory(prefix="armillary-tree-") as name:
        folder = Path(name)
        (folder / "base").write_bytes(tree)
        (folder / "overlay.dts").write_text(overlay, "utf-8")
        run(["dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-o", folder / "overlay", folder / "overlay.dts"])
        run(["fdtoverlay", "-i", folder / "base", "-o", folder / "joined", folder / "overlay"])
        return (folder / "joined").read_bytes()


def compiled(source: str) -> bytes:
    """A whole device tree of its source; HostError with dtc's words if it is wrong."""
    return run(["dtc", "-I", "dts", "-O", "dtb", "-"], data=source.encode())


def chosen(line: str) -> str:
    """The source of an overlay that puts a command line into a device tree."""
    fragment = f'fragment@0 {{ target-path = "/chosen"; __overlay__ {{ bootargs = "{line}"; }}; }};'
    return f"/dts-v1/;\n/plugin/;\n/ {{ {fragment} }};\n"


def join(
    kernel: bytes,
    initial: bytes,
    trees: Mapping[str, bytes],
    *,
    form: KernelForm,
    name: str,
    key: KeyPair,
    control_tree: bytes,
) -> SignedFile:
    """Join and sign; ``trees`` are by slot, ``form`` is the kernel's, ``name`` what the file is called in itself."""
    with tempfile.TemporaryDirectory(prefix="armillary-fit-") as temporary:
        folder = Path(temporary)
        (folder / "kernel").write_bytes(form.packed(kernel))
        (folder / "initial").write_bytes(initial)
        for slot, tree in trees.items():
            (folder / f"tree-{slot}").write_bytes(tree)
        (folder / f"{KEY}.key").write_bytes(key.key.read_bytes())
        (folder / f"{KEY}.crt").write_bytes(key.certificate.read_bytes())
        (folder / "control").write_bytes(control_tree)
        (folder / "slot.its").write_text(_source(name, tuple(trees), form), "utf-8")
        words = ["-f", "slot.its", "-k", ".", "-K", "control", "-r", "slot.fit"]
        run(["mkimage", *words], folder=folder)
        return SignedFile((folder / "slot.fit").read_bytes(), (folder / "control").read_bytes())


def signed_again(content: bytes, key: KeyPair) -> bytes:
    """A slot's file that was changed, with its hashes and signatures made anew."""
    with tempfile.TemporaryDirectory(prefix="armillary-fit-") as temporary:
        folder = Path(temporary)
        (folder / f"{KEY}.key").write_bytes(key.key.read_bytes())
        (folder / f"{KEY}.crt").write_bytes(key.certificate.read_bytes())
        (folder / "slot.fit").write_bytes(content)
        run(["mkimage", "-F", "-k", ".", "-r", "slot.fit"], folder=folder)
        return (folder / "slot.fit").read_bytes()


def part_of(tree: bytes, path: str) -> bytes:
    """The value of a property of a device tree, which a slot's file is too; KeyError if it has none there."""
    place, size = properties_of(tree)[path]
    return tree[place : place + size]


def key_of(control_tree: bytes) -> int:
    """The modulus of the RSA key that U-Boot asks for, 0 if it asks for none; WireError for no such tree."""
    try:
        return int.from_bytes(part_of(control_tree, _MODULUS))
    except KeyError:
        return 0


def verified_root(signed: bytes) -> VerifiedRoot:
    """The root file system that a slot's file binds."""
    tree = part_of(signed, IMAGE_DATA.format("tree-a"))
    return root_of(part_of(tree, "/chosen/bootargs").rstrip(b"\0").decode("ascii"))


def _source(name: str, slots: tuple[str, ...], form: KernelForm) -> str:
    """What mkimage makes the file of."""
    place = f"load = <{form.load_at:#x}>; entry = <{form.load_at:#x}>;"
    parts = [
        ("kernel", "kernel", f'os = "linux"; compression = "{form.compression}"; {place}'),
        ("initial", "ramdisk", 'os = "linux"; compression = "none";'),
        *((f"tree-{slot}", "flat_dt", 'compression = "none";') for slot in slots),
    ]
    images = [_image(part, kind, f'arch = "{form.architecture}"; {more}') for part, kind, more in parts]
    configurations = [
        f'slot-{slot} {{ kernel = "kernel"; ramdisk = "initial"; fdt = "tree-{slot}"; signature {{ '
        f'algo = "{_ALGORITHM}"; key-name-hint = "{KEY}"; sign-images = "kernel", "ramdisk", "fdt"; }}; }};'
        for slot in slots
    ]
    return (
        f'/dts-v1/;\n/ {{ description = "{name}"; #address-cells = <1>;\nimages {{\n{chr(10).join(images)}\n}};\n'
        f'configurations {{ default = "slot-{slots[0]}";\n{chr(10).join(configurations)}\n}};\n}};\n'
    )


def _image(name: str, kind: str, more: str) -> str:
    return f'{name} {{ data = /incbin/("{name}"); type = "{kind}"; {more} hash {{ algo = "sha256"; }}; }};'
