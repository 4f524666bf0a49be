# SPDX-License-Identifier: Apache-2.0
"""Artifacts of bridged devices: any file, such as a ``.swu`` or a ``.raucb``, with the names under which DDI shows it.

In the records an artifact is an image of its own kind: :data:`IMAGE_TYPE`, :data:`ARCHITECTURE`. It is not signed
here. Who checks it is the device's updater, with the key that the device's maker gave it.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID, uuid5

from armillary.errors import InvalidArgumentError
from armillary.wire.image.naming import VERSION_PATTERN, VERSION_RULE

# The kind of chip that bridged devices have in the records: none that this service knows.
CHIP: Final = "bridge"
CHIP_SKU: Final = "hawkBit"
# Of images: no chip profile has this architecture, so no device that attests is offered one.
ARCHITECTURE: Final = "bridge"
# Above every image type of Azure Sphere's packages (wire/image/section.py).
IMAGE_TYPE: Final = 0xB001
# A root file system; what a disk image of a gateway needs. Devices fetch it with ranges.
MAX_BYTES: Final = 4 << 30
# Suffix of the address that answers an artifact's MD5 sum (DDI: "downloads the MD5SUM file").
MD5_SUFFIX: Final = ".MD5SUM"

# Of one part of a deployment, "chunk" in DDI: name and version. swupdate copies both into JSON text as they are.
NAME_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,63}$"
FILE_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$"
# What kind of software it is; hawkBit's own words are os, bApp and jvm.
PART_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$"
DEFAULT_PART: Final = "os"

_RULES: Final = (
    ("name", re.compile(NAME_PATTERN), "1 to 64 letters, digits, spaces and . _ + -"),
    ("version", re.compile(VERSION_PATTERN), VERSION_RULE),
    ("filename", re.compile(FILE_PATTERN), "1 to 128 letters, digits and . _ + -"),
    ("part", re.compile(PART_PATTERN), "1 to 32 letters, digits and . _ -"),
)


def check_names(*, name: str, version: str, filename: str, part: str) -> None:
    """Raise InvalidArgumentError unless an artifact can have these names."""
    for (what, pattern, rule), value in zip(_RULES, (name, version, filename, part), strict=True):
        if pattern.fullmatch(value) is None:
            raise InvalidArgumentError(f"{what}: expected {rule}, got {value[:60]!a}", remedy="Choose another.")
    if filename.upper().endswith(MD5_SUFFIX):
        raise InvalidArgumentError(
            f"filename: {MD5_SUFFIX} at its end stands for the MD5 sum of another file", remedy="Rename the file."
        )


def component_id_of(catalog_id: UUID, name: str) -> UUID:
    """What an artifact is a version of: the same for all artifacts of a name in a catalog, so a deployment has one."""
    return uuid5(catalog_id, f"bridge artifact {name.lower()}")
