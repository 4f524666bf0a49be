# SPDX-License-Identifier: Apache-2.0
"""The processors that a slot's first partition is for, as what is started in it says.

Where UEFI firmware starts it, the program in its file system says so (PE: machine); where U-Boot does, the kernel in
the signed file (FIT: ``arch``).

Specification: Microsoft's PE format, "Machine Types"; U-Boot's flat image tree, ``arch``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from armillary.errors import WireError
from armillary.wire.device_image.boot_partition import started_program
from armillary.wire.device_image.flattened_tree import MAGIC, properties_of

# In the words of chip profiles.
_OF_PE: Final[Mapping[int, str]] = {0x8664: "x86_64", 0xAA64: "aarch64", 0x01C2: "armv7", 0x01C4: "armv7"}
_OF_FIT: Final[Mapping[bytes, str]] = {b"x86_64": "x86_64", b"arm64": "aarch64", b"arm": "armv7"}
_FIT: Final = MAGIC.to_bytes(4, "big")
_KERNEL: Final = "/images/kernel/arch"


def started_architecture(payload: bytes) -> str:
    """The architecture, or an empty text for one that has no word here.

    Raises:
        WireError: it is neither of the two, or does not say.
    """
    if payload.startswith(_FIT):
        place, size = properties_of(payload).get(_KERNEL, (0, 0))
        if not size:
            raise WireError("signed-file", expected=f"a property {_KERNEL}", got="none")
        return _OF_FIT.get(payload[place : place + size].rstrip(b"\0"), "")
    program = started_program(payload)
    try:
        (at,) = struct.unpack_from("<I", program, 60)
        (machine,) = struct.unpack_from("<H", program, at + 4)
    except struct.error as error:
        raise WireError("started-program", expected="a PE program", got=str(error)) from error
    if program[:2] != b"MZ" or program[at : at + 4] != b"PE\0\0":
        raise WireError("started-program", expected="a PE program", got=program[:2].hex(), offset=0)
    return _OF_PE.get(machine, "")
