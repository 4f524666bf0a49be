# SPDX-License-Identifier: Apache-2.0
"""A machine that is a device of a service of its own, to be attacked: enrolled, attested, switched off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from armillary.cli.device_image.trial_service import TrialService
from armillary.device_image.architecture.table import architecture_of
from armillary.device_image.tampering.attacks import End, Outcome
from armillary.device_image.tampering.listing import Attacks
from armillary.device_image.tampering.older_os import OlderOs
from armillary.device_image.tampering.playing import Victim, play_all
from armillary.device_image.virtual_machine import MachineSettings, prepare
from armillary.errors import HostError

# What the OS that the machine takes has, before the older one is put back.
NEWER: int = 2


@contextlib.contextmanager
def attacked_device(
    image: Path, folder: Path, *, within_s: float, keys: Path | None = None
) -> Iterator[tuple[Victim, TrialService]]:
    """Make both below ``folder``; the catalog demands what the build states of the image's start.

    ``keys`` is the folder of those that signed the image; None for that beside it.


    Raises:
        HostError: the machine is not attested.
    """
    told = folder / "enrolment.json"
    settings = MachineSettings(
        folder=folder / "machine", image=image, machine=architecture_of(image).name, enrolment=told
    )
    service = TrialService(folder / "service", image, keys=keys)  # first: it refuses a folder that is not its own
    prepare(settings)
    with contextlib.ExitStack() as stack:
        stack.callback(service.close)
        service.start()
        service.prepare(settings.folder, told)
        victim = Victim(settings, image, within_s=within_s)
        end, lines = victim.start()
        if end is not End.ATTESTED:
            raise HostError(
                f"the machine is not attested before any attack: {' | '.join(lines[-3:])}",
                remedy="Look at what it says: armillary device boot --machine.",
            )
        service.demand_reference_values()
        yield victim, service


def play_on_device(
    image: Path, folder: Path, chosen: Attacks, *, within_s: float, keys: Path | None = None
) -> Iterator[Outcome]:
    """Play attacks on a machine that is a device, then those by an older OS; each outcome as it comes.

    The machine takes an update only where an older OS is put back afterwards.
    """
    with attacked_device(image, folder, within_s=within_s, keys=keys) as (victim, service):
        yield from play_all(victim, chosen.on_device)
        if not chosen.by_older_os:
            return
        older = OlderOs(victim, lambda: service.publish_next(security_version=NEWER))
        older.take_update()
        for name in chosen.by_older_os:
            yield older.play(name)
