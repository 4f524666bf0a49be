# SPDX-License-Identifier: Apache-2.0
"""What a guardian is told by files (``guardian.json``, recipes, firmware): read back as they were, or one error."""

from __future__ import annotations

import json

from armillary.guardian.configuration import configuration_document, read_configuration
from armillary.wire.equipment.faults import ConfigurationError, ProfileError
from armillary.wire.equipment.files.firmware_file import FirmwareFile, read_firmware
from armillary.wire.equipment.files.recipe_file import RecipeFile, read_recipe

CONFIGURATION = {
    "format": 1,
    "equipment": [{"name": "espresso1", "profile": "profiles/coffee.dsse", "link": {"host": "10.9.0.2", "port": 502}}],
    "profile_keys": ["-----BEGIN PUBLIC KEY-----"],
    "queue": {"bytes": 1 << 20, "age_s": 3600},
    "uplink": {"backfill_bytes_per_s": 5000},
}


def seeds() -> list[bytes]:
    return [
        json.dumps(CONFIGURATION).encode(),
        RecipeFile(profile="guard/coffee", name="winter", version=7, slot=0, values={"brewTemp": 93.5}).payload,
        FirmwareFile(profile="guard/coffee", version=12, size=9, sha256="0" * 64).payload,
    ]


def fuzz(data: bytes) -> None:
    try:
        configuration = read_configuration(data)
    except ConfigurationError:
        pass
    else:
        assert read_configuration(json.dumps(configuration_document(configuration)).encode()) == configuration
    for read in (read_recipe, read_firmware):
        try:
            found = read(data)
        except ProfileError:
            continue
        assert read(found.payload) == found
