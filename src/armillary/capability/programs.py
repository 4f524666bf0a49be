# SPDX-License-Identifier: Apache-2.0
"""What the programs of an image are: for which processor, or by which interpreter they run.

Pure: the service reads it at upload, a device and ``armillary capability explain`` before a start, and the sandbox when
a start failed.
Sources: ELF header (System V ABI), the first line of scripts as execve(2) reads it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from armillary.wire.image.asxipfs import Filesystem

# ELF e_machine (System V ABI) -> the word chip profiles use; what is not listed runs on no supported chip.
ELF_MACHINES: Final = {3: "x86", 40: "armv7", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
# As much of a file as the kernel looks at, and of a first line as it reads (BINPRM_BUF_SIZE).
HEAD_BYTES: Final = 256
_HEADER_BYTES: Final = 20


def architecture(program: bytes) -> str | None:
    """The word of chip profiles for the processor that an ELF file is for; None if it is no ELF file."""
    if program[:4] != b"\x7fELF" or len(program) < _HEADER_BYTES:
        return None
    order = ">" if program[5] == 2 else "<"
    (machine,) = struct.unpack_from(f"{order}H", program, 18)
    return ELF_MACHINES.get(machine, f"ELF machine {machine}")


def architectures(filesystem: Filesystem) -> frozenset[str]:
    """Those of all programs of an image; empty for scripts and data, which run anywhere."""
    found = (architecture(file.content) for file in filesystem.files.values() if file.executable)
    return frozenset(one for one in found if one is not None)


def interpreter(program: bytes) -> str | None:
    """The interpreter that a script's first line names, as the kernel reads it; None if it names none."""
    line = program[:HEAD_BYTES].partition(b"\n")[0]
    if not line.startswith(b"#!"):
        return None
    words = line[2:].replace(b"\t", b" ").split(b" ")
    named = next((word for word in words if word), b"")
    return named.decode("utf-8", "backslashreplace") or None
