# SPDX-License-Identifier: Apache-2.0
"""Variables of the firmware of a machine: our keys for secure boot, and an entry for each slot."""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.keys import KeyPair
from armillary.device_image.tools import run
from armillary.engines.flash.boot_slots import LOADERS
from armillary.engines.flash.os_disk import slot_partition
from armillary.wire.disk.gpt_writing import Layout, named_guid
from armillary.wire.disk.load_option import encode_load_option

GLOBAL: Final = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
# Slot -> number of its entry.
ENTRIES: Final = {"a": 1, "b": 2}
_KEPT: Final = 7  # non-volatile, for boot services, at run time


def variables(layout: Layout, started: str, keys: Mapping[str, KeyPair], *, architecture: Architecture) -> bytes:
    """A variable store: secure boot on with these keys alone, slot A first, then slot B.

    ``started`` is the boot component that the firmware starts.
    """
    loader = LOADERS[architecture.machine]
    entries = [
        _variable(
            f"Boot{number:04X}",
            encode_load_option(f"Armillary slot {slot}", layout.partition(slot_partition(started, slot)), loader),
        )
        for slot, number in ENTRIES.items()
    ]
    order = _variable("BootOrder", struct.pack("<HH", *ENTRIES.values()))
    owner = str(named_guid("secure boot"))
    with tempfile.TemporaryDirectory(prefix="armillary-firmware-") as name:
        folder = Path(name)
        (folder / "boot.json").write_text(json.dumps({"version": 2, "variables": [*entries, order]}), "utf-8")
        run(
            [
                *(
                    "virt-fw-vars",
                    "--loglevel",
                    "error",
                    "--input",
                    architecture.empty_variables,
                    "--output",
                    folder / "variables",
                ),
                *("--set-pk", owner, keys["platform"].certificate, "--add-kek", owner, keys["exchange"].certificate),
                *("--add-db", owner, keys["signing"].certificate, "--secure-boot"),
                *("--set-json", folder / "boot.json"),
            ]
        )
        return (folder / "variables").read_bytes()


def _variable(name: str, data: bytes) -> dict[str, object]:
    return {"name": name, "guid": GLOBAL, "attr": _KEPT, "data": data.hex()}
