# SPDX-License-Identifier: Apache-2.0
"""Notes on a package that was made or loaded: for what in its image no device, or this one, would start it."""

from __future__ import annotations

import platform as host

from armillary.capability.grant import PlatformLimits
from armillary.capability.image_checks import OWN_ROOT, architecture_fault, firmware_fault, sandbox_faults
from armillary.capability.programs import architectures
from armillary.cli.terminal.output import note
from armillary.wire.image.application import open_unverified
from armillary.wire.image.package import parse
from armillary.wire.image.section import APPLICATIONS


def note_hindrances(package: bytes, chip: PlatformLimits | None = None) -> None:
    """Say what hinders the start of an application; of a device's chip as well where it is known."""
    parsed = parse(package)
    if parsed.image_type != APPLICATIONS:
        return
    found = open_unverified(parsed)
    faults = [*sandbox_faults(found.manifest, found.filesystem, OWN_ROOT[0])]
    firmware = firmware_fault(found.manifest, found.filesystem)
    for each in (*faults, *(() if firmware is None else (firmware,))):
        note(f"It would not start: {each}. {each.remedy}")
    fault = None if chip is None else architecture_fault(found.manifest, found.filesystem, chip)
    if chip is not None and fault is not None:
        if architectures(found.filesystem) == {host.machine()}:
            note(
                f"It holds {fault.got}, {chip.name} is {chip.architecture}: a virtual device runs it on this "
                "computer's processor; the service gives it to devices of its own processor alone."
            )
        else:
            note(f"It would not start: {fault}. {fault.remedy}")
