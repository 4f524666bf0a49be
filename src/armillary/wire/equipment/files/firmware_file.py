# SPDX-License-Identifier: Apache-2.0
"""A statement about a firmware, as its author signs it; the firmware itself is pinned by its hash.

As canonical JSON::

    {"format": 1, "profile": "guard/coffee", "version": 12, "size": 48000, "sha256": "..."}

``version`` is what the equipment shows when it runs.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Final

from armillary.wire.equipment.files.statement import MAX_VERSION, PROFILE_NAME, read_statement, statement, text, whole

MAX_FIRMWARE_BYTES: Final = 64 << 20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareFile:
    """A firmware, by its hash."""

    profile: str
    version: int
    size: int  # Bytes
    sha256: str  # Hexadecimal

    @property
    def payload(self) -> bytes:
        """What is signed."""
        return statement(asdict(self))


def read_firmware(payload: bytes) -> FirmwareFile:
    """Read the payload of a firmware's envelope. Raises ProfileError that names the member."""
    found = read_statement(payload, {"profile", "version", "size", "sha256"})
    return FirmwareFile(
        profile=text(found, "profile", PROFILE_NAME),
        version=whole(found, "version", 1, MAX_VERSION),
        size=whole(found, "size", 1, MAX_FIRMWARE_BYTES),
        sha256=text(found, "sha256", _SHA256),
    )
