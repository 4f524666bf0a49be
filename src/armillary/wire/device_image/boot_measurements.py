# SPDX-License-Identifier: Apache-2.0
r"""What firmware and systemd's stub measure of an image that was built here, before its first program runs.

::

    variable    vendor GUID 16, characters u64, bytes u64, name UTF-16 without its end, content    PCR 7, its SHA-256
    program     PCR 4, its Authenticode digest
    section     PCR 11, SHA-256 of its name with a zero, then of its content; in the stub's order

The firmware measures Secure Boot's state and keys, then a separator, then which entry of ``db`` let a program start.
Integers are little endian. What it measures of itself (PCR 0 to 3) follows from no image: that can only be seen.

Specification: TCG PC Client Platform Firmware Profile 1.06, §3.3.4 (PCRs), §10.2.6 (``UEFI_VARIABLE_DATA``), §10.4.1
(events); systemd's ``systemd-stub(7)`` and ``src/fundamental/uki.h`` of version 257 for PCR 11.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from armillary.errors import WireError
from armillary.wire.device_image.authenticode import authenticode_digest
from armillary.wire.device_image.secure_boot_variables import (
    ALLOWED,
    EXCHANGE_KEYS,
    GLOBAL,
    IMAGE_SECURITY,
    PLATFORM_KEY,
    KeyVariable,
    only_entry,
)
from armillary.wire.device_image.unified_sections import sections_of

LOADER_PCR: Final = 4
KEYS_PCR: Final = 7
STUB_PCR: Final = 11
EV_SEPARATOR: Final = 0x04
EV_EFI_VARIABLE_DRIVER_CONFIG: Final = 0x8000_0001
EV_EFI_BOOT_SERVICES_APPLICATION: Final = 0x8000_0003
EV_EFI_ACTION: Final = 0x8000_0007
EV_EFI_VARIABLE_AUTHORITY: Final = 0x8000_00E0
STATE: Final = KeyVariable("SecureBoot", GLOBAL)
FORBIDDEN: Final = KeyVariable("dbx", IMAGE_SECURITY)
# What the firmware says of a boot entry: that it starts it, and that it came back, after which the next one follows.
CALLING: Final = b"Calling EFI Application from Boot Option"
RETURNING: Final = b"Returning from EFI Application from Boot Option"
_SEPARATOR: Final = bytes(4)
_ON: Final = b"\x01"
# Sections that systemd's stub measures, in its order.
STUB_SECTIONS: Final = (
    ".profile",
    ".linux",
    ".osrel",
    ".cmdline",
    ".initrd",
    ".ucode",
    ".splash",
    ".dtb",
    ".uname",
    ".sbat",
    ".pcrpkey",
)


class Measurement(NamedTuple):
    """One digest that goes into a PCR, and the type that the log gives it."""

    pcr: int
    event_type: int
    digest: bytes


def secure_boot(*, platform: bytes, exchange: bytes, allowed: bytes, forbidden: bytes) -> tuple[Measurement, ...]:
    """What goes into PCR 7 with Secure Boot on, in order, where the key of ``db``'s one entry signed the image.

    They are the contents of the variables, lists of signatures (``secure_boot_variables.encode_list``).

    Raises:
        WireError: ``allowed`` is not a list of one entry.
    """
    authority = only_entry(allowed)
    variables = (
        (STATE, _ON),
        (PLATFORM_KEY, platform),
        (EXCHANGE_KEYS, exchange),
        (ALLOWED, allowed),
        (FORBIDDEN, forbidden),
    )
    return (
        *(
            Measurement(KEYS_PCR, EV_EFI_VARIABLE_DRIVER_CONFIG, _variable(variable, content))
            for variable, content in variables
        ),
        Measurement(KEYS_PCR, EV_SEPARATOR, sha256(_SEPARATOR).digest()),
        Measurement(KEYS_PCR, EV_EFI_VARIABLE_AUTHORITY, _variable(ALLOWED, authority)),
    )


def boot_loader(image: bytes) -> tuple[Measurement, ...]:
    """What goes into PCR 4 where the firmware starts this program; WireError if it is none.

    The third says that a boot entry came back and the next one follows: it is in the log of a start that gave way to
    the other slot, and says nothing of what ran.
    """
    return (
        Measurement(LOADER_PCR, EV_EFI_ACTION, sha256(CALLING).digest()),
        Measurement(LOADER_PCR, EV_SEPARATOR, sha256(_SEPARATOR).digest()),
        Measurement(LOADER_PCR, EV_EFI_ACTION, sha256(RETURNING).digest()),
        Measurement(LOADER_PCR, EV_EFI_BOOT_SERVICES_APPLICATION, authenticode_digest(image)),
    )


def stub_value(image: bytes) -> bytes:
    """What PCR 11 holds when the kernel of a unified image begins; WireError if it is no program."""
    found = sections_of(image)
    digests: list[bytes] = []
    for name in STUB_SECTIONS:
        if name in found:
            place, size = found[name]
            digests += [sha256(name.encode() + b"\0").digest(), sha256(image[place : place + size]).digest()]
    if not digests:
        raise WireError(
            "unified-image", expected=f"sections such as {', '.join(STUB_SECTIONS[:3])}", got="none of them"
        )
    return extended(digests)


def extended(digests: Iterable[bytes], value: bytes = bytes(32)) -> bytes:
    """What a PCR holds that began with ``value``, once these digests went into it."""
    for digest in digests:
        value = sha256(value + digest).digest()
    return value


def _variable(variable: KeyVariable, content: bytes) -> bytes:
    name = variable.name.encode("utf-16-le")
    head = variable.vendor.bytes_le + struct.pack("<QQ", len(variable.name), len(content))
    return sha256(head + name + content).digest()
