# SPDX-License-Identifier: Apache-2.0
"""The unified image: kernel, initial file system and command line in one program for the firmware, signed as one.

Signing and checking are osslsigncode's, joining is systemd's ukify with systemd's stub.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import zstandard

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.kernel import Kernel
from armillary.device_image.keys import KeyPair
from armillary.device_image.tools import MADE_AT, run
from armillary.wire.device_image.command_line import VerifiedRoot, root_of
from armillary.wire.device_image.initial_files import encode_archive
from armillary.wire.device_image.unified_sections import sections_of

JOINER: Final = "ukify"


def verified_root(image: bytes) -> VerifiedRoot:
    """The root file system that a unified image binds."""
    place, size = sections_of(image)[".cmdline"]
    return root_of(image[place : place + size].decode("ascii").rstrip("\0\n"))


def compile_first_program(source: Path, compiler: str) -> bytes:
    """The first program as a static one."""
    with tempfile.TemporaryDirectory(prefix="armillary-init-") as folder:
        program = Path(folder) / "init"
        run(
            [
                *(
                    compiler,
                    "-std=gnu11",
                    "-Os",
                    "-static",
                    "-s",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    "-fstack-protector-strong",
                ),
                *("-Wl,--build-id=none", f"-ffile-prefix-map={source.parent}=.", "-o", program, source),
            ]
        )
        return program.read_bytes()


def initial_files(first_program: bytes, kernel: Kernel) -> bytes:
    """The compressed initial file system: the first program, and the kernel's modules in the order of loading.

    What is loaded only where it is needed is in an order of its own.
    """
    files = {"init": (0o755, first_program)}
    names = list(kernel.modules)
    at_once = len(names) - kernel.later
    for file, part in (("order", names[:at_once]), ("later", names[at_once:])):
        if part:
            files[f"modules/{file}"] = (0o644, "\n".join(part).encode() + b"\n")
    files |= {f"modules/{name}": (0o644, content) for name, content in kernel.modules.items()}
    return zstandard.ZstdCompressor(level=19, threads=0).compress(encode_archive(files))


def join(
    kernel: Kernel, initial: bytes, line: str, os_release: str, *, architecture: Architecture, stub: bytes
) -> bytes:
    """An unsigned unified image; ``stub`` is what the firmware runs of it first."""
    with tempfile.TemporaryDirectory(prefix="armillary-unified-") as name:
        folder = Path(name)
        (folder / "linux").write_bytes(kernel.image)
        (folder / "initrd").write_bytes(initial)
        (folder / "cmdline").write_text(line, "utf-8")
        (folder / "stub").write_bytes(stub)
        (folder / "os-release").write_text(os_release, "utf-8")
        run(
            [
                *(
                    JOINER,
                    "build",
                    "--efi-arch",
                    architecture.efi,
                    "--linux",
                    folder / "linux",
                    "--initrd",
                    folder / "initrd",
                ),
                *("--cmdline", f"@{folder}/cmdline", "--os-release", f"@{folder}/os-release"),
                *("--uname", kernel.release, "--stub", folder / "stub", "--output", folder / "unified.efi"),
            ]
        )
        return (folder / "unified.efi").read_bytes()


def sign(image: bytes, key: KeyPair) -> bytes:
    """The image with an Authenticode signature; its time is the fixed one, so equal images have equal signatures."""
    with tempfile.TemporaryDirectory(prefix="armillary-sign-") as name:
        plain, signed = Path(name) / "plain.efi", Path(name) / "signed.efi"
        plain.write_bytes(image)
        run(
            [
                *("osslsigncode", "sign", "-certs", key.certificate, "-key", key.key, "-h", "sha256"),
                *("-time", str(MADE_AT), "-in", plain, "-out", signed),
            ]
        )
        return signed.read_bytes()
