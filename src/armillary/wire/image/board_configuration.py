# SPDX-License-Identifier: Apache-2.0
"""Board configurations: what a board has wired to something that the operating system drives.

The payload of an image package of type 21 (CustomerBoardConfig) is a JSON object (RFC 8259, UTF-8). Keys, all
case-sensitive; a key that is not listed is refused::

    SchemaVersion   int      1, required
    Name            string   required; the image package stores its first 31 bytes
    ComponentId     string   GUID, required; the same from version to version
    Chip            string   name of the chip profile, required
    Peripherals     object   required; the keys and values of an app manifest's peripherals, values only

Every peripheral that is named here belongs to the board: no application gets it. That of an Ethernet controller, for
example, is an SPI master and the pin of its interrupt.

Azure Sphere has packages of this type, too; what is in them is not public, so the payload is Armillary's own. The
public documentation names one of them, ``lan-enc28j60-isu0-int5``, which ``content/boards`` has as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from armillary.errors import ManifestError
from armillary.wire.image import app_manifest, manifest_field as field
from armillary.wire.image.app_manifest import CAPABILITY_KEYS, NAME_LIMIT_CHARACTERS, PERIPHERAL_KEYS, Capabilities

if TYPE_CHECKING:
    from armillary.wire.image.package import ImagePackage, UnverifiedImagePackage

SCHEMA_VERSION: Final = 1
# A board names some dozen peripherals; 16 KiB leaves room for all that a chip has and bounds the JSON parser.
LIMIT_BYTES: Final = 16 * 1024
_CHIP = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # as in ``boot/profile.py``
_CHIP_LIMIT_CHARACTERS: Final = 64
_WHAT: Final = "board configuration"
_KEYS: Final = ("SchemaVersion", "Name", "ComponentId", "Chip", "Peripherals")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardConfiguration:
    """One board."""

    name: str  # shown to people
    component_id: UUID
    chip: str  # name of the chip profile that it is for
    peripherals: Capabilities  # those of ``PERIPHERAL_KEYS``; everything else at its default


def parse(data: bytes) -> BoardConfiguration:
    """Read a board configuration. Raises ManifestError for what is none, with the place of the first fault."""
    document = app_manifest.decode_json(data, what=_WHAT, limit=LIMIT_BYTES)
    field.known_keys(document, _KEYS, _WHAT)
    version = field.required(document, "SchemaVersion")
    if field.integer(version, "SchemaVersion", None, minimum=0, maximum=2**31) != SCHEMA_VERSION:
        raise field.wrong("SchemaVersion", str(SCHEMA_VERSION), version)
    chip = field.text(field.required(document, "Chip"), "Chip", limit=_CHIP_LIMIT_CHARACTERS)
    if not _CHIP.fullmatch(chip):
        raise field.wrong("Chip", "the name of a chip, such as mt3620", chip)
    return BoardConfiguration(
        name=field.text(field.required(document, "Name"), "Name", limit=NAME_LIMIT_CHARACTERS),
        component_id=field.guid(field.required(document, "ComponentId"), "ComponentId"),
        chip=chip,
        peripherals=_peripherals(field.required(document, "Peripherals")),
    )


def of_package(package: ImagePackage | UnverifiedImagePackage) -> BoardConfiguration:
    """The board configuration in a package, which names the same component; ManifestError for what is none."""
    found = parse(package.payload.rstrip(b"\0"))  # a payload is filled up to a multiple of four bytes
    if found.component_id != package.component_id:
        raise field.wrong("ComponentId", f"{package.component_id}, as the package", str(found.component_id))
    return found


def encode(configuration: BoardConfiguration) -> bytes:
    """Write a board configuration: compact JSON, fixed key order."""
    document: dict[str, Any] = {
        "SchemaVersion": SCHEMA_VERSION,
        "Name": configuration.name,
        "ComponentId": str(configuration.component_id),
        "Chip": configuration.chip,
        "Peripherals": app_manifest.capabilities_document(configuration.peripherals),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _peripherals(value: object) -> Capabilities:
    if not isinstance(value, Mapping):
        raise field.wrong("Peripherals", "an object", value)
    field.known_keys(value, PERIPHERAL_KEYS, "Peripherals")
    context, found = field.Context(names_allowed=False, storage_limit_kb=0), {}
    for key in PERIPHERAL_KEYS:
        attribute, read, error_id = CAPABILITY_KEYS[key]
        if key in value:
            found[attribute] = read(value[key], f"Peripherals.{key}", error_id, context)
    if not any(found.values()):
        raise ManifestError("Peripherals", expected="at least one peripheral", got="none")
    return Capabilities(**found)
