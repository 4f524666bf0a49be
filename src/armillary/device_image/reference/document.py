# SPDX-License-Identifier: Apache-2.0
"""Writes ``reference-values.json``: what a boot of this image measures, and where each value comes from.

::

    chip        the chip profile whose machines they are for
    values      a list of {kind, pcr, digest, event_type}, as `attestation-policy firmware add` takes it
    origins     PCR -> "built" (calculated of the image) or "seen" (measured once by this very firmware), and by what
    stub_pcr    what PCR 11 holds: the parts of the unified image; a service does not judge it, PCR 4 has them all.
                Not where U-Boot starts the image
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from armillary.attest.firmware_reference import EVENT, FINAL, FirmwareValue, to_json
from armillary.device_image.tools import run
from armillary.wire.device_image import boot_measurements
from armillary.wire.device_image.boot_measurements import FORBIDDEN, KEYS_PCR, LOADER_PCR, STUB_PCR
from armillary.wire.device_image.secure_boot_variables import ALLOWED, EXCHANGE_KEYS, PLATFORM_KEY
from armillary.wire.device_image.uboot_measurements import (
    EMPTY_PCRS,
    VERSION_PCR,
    empty_value,
    slot_values,
    version_value,
)

FILE: Final = "reference-values.json"
BUILT: Final = "built"


def reference_values(
    image: bytes,
    keys: Mapping[str, bytes],
    *,
    chip: str,
    seen: tuple[str, tuple[FirmwareValue, ...]] = ("", ()),
) -> dict[str, Any]:
    """The document of a signed unified image; ``keys`` are Secure Boot's variables, ``seen`` is of ``seen_values``.

    WireError if the image is no program, or ``db`` has not one entry.
    """
    made = (
        *boot_measurements.boot_loader(image),
        *boot_measurements.secure_boot(
            platform=keys[PLATFORM_KEY.name],
            exchange=keys[EXCHANGE_KEYS.name],
            allowed=keys[ALLOWED.name],
            forbidden=keys.get(FORBIDDEN.name, b""),
        ),
    )
    values = [FirmwareValue(EVENT, each.pcr, each.digest, each.event_type) for each in made]
    package, others = seen
    origins = {str(pcr): f"seen of {package}" for pcr in sorted({each.pcr for each in others})}
    origins |= {str(LOADER_PCR): BUILT, str(KEYS_PCR): BUILT, str(STUB_PCR): BUILT}
    return {
        "chip": chip,
        "values": to_json([*others, *values]),
        "origins": origins,
        "stub_pcr": boot_measurements.stub_value(image).hex(),
    }


def uboot_reference_values(file: bytes, program: bytes, *, chip: str) -> dict[str, Any]:
    """The document of a slot's signed file and of U-Boot's program: all is calculated, as what each PCR holds.

    WireError if they are none.
    """
    made = [(VERSION_PCR, version_value(program))]
    made += [(pcr, empty_value()) for pcr in EMPTY_PCRS]
    made += [(LOADER_PCR, value) for value in slot_values(file).values()]
    return {
        "chip": chip,
        "values": to_json(FirmwareValue(FINAL, pcr, value) for pcr, value in made),
        "origins": {str(pcr): BUILT for pcr, _ in made},
    }


def key_variables(store: Path) -> dict[str, bytes]:
    """Name -> content of Secure Boot's variables in a firmware's store; HostError if virt-fw-vars does not read it."""
    wanted = {each.name for each in (PLATFORM_KEY, EXCHANGE_KEYS, ALLOWED, FORBIDDEN)}
    with tempfile.TemporaryDirectory(prefix="armillary-variables-") as folder:
        told = Path(folder) / "variables.json"
        run(["virt-fw-vars", "--loglevel", "error", "--input", store, "--output-json", told])
        found = json.loads(told.read_bytes())["variables"]
    return {one["name"]: bytes.fromhex(one["data"]) for one in found if one["name"] in wanted}


def write_document(folder: Path, document: Mapping[str, Any]) -> Path:
    """Write it beside the image; returns where."""
    path = folder / FILE
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return path
