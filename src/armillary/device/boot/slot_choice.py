# SPDX-License-Identifier: Apache-2.0
"""Keeps the firmware and the install record of one mind about the slot that the device runs from.

The install record says which OS is wanted, the firmware which one came up. They differ after an update (the new one
has to be started) and when the wanted one did not come up: it panicked, or Secure Boot refused it, and the firmware
started the other. Then it is tried again, :data:`TRIES` times in all, since a power cut in the first seconds of a start
looks the same. After that the record takes it back, as it does with an OS that it has itself refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from armillary.device.install.installer import Installer
from armillary.engines.flash.boot_slots import BootSlots
from armillary.engines.flash.port import Flash, read_or_none, replace_region
from armillary.errors import BootRefusedError, WireError
from armillary.wire.encoding import cbor

TRIES: Final = 3
_REGION: Final = "device/slot-tries"
_MAX_BYTES: Final = 64


def agree_on_slot(
    flash: Flash, installer: Installer, slots: BootSlots, component: str, *, on_given_up: Callable[[str], None]
) -> bool:
    """Whether the slot that runs is the wanted one; else the machine has to start again, and the wanted one is next.

    ``component`` is what the firmware starts; ``on_given_up`` is told why, where another OS is wanted from now on.
    Durable when it returns.

    Raises:
        BootRefusedError: the wanted OS does not come up, and there is none before it.
        HostError: the firmware does not say which slot runs, or does not take what is next.
    """
    booted = slots.booted()
    wanted = installer.record.os_slot(component)
    if wanted != booted:
        tries = _tries(flash, wanted)
        if tries < TRIES:
            replace_region(flash, _REGION, cbor.encode([wanted, tries + 1]))
        else:
            reason = f"slot {wanted} was started {TRIES} times and did not come up, slot {booted} did"
            if not installer.boot_refused(reason):
                raise BootRefusedError(reason, remedy="Write the device image to the disk again.")
            wanted = installer.record.os_slot(component)
            on_given_up(reason)
    if wanted == booted:
        flash.remove(_REGION)
    slots.start_next(wanted, settled=installer.record.settled_os_slot(component))
    return wanted == booted


def _tries(flash: Flash, slot: str) -> int:
    """How often this slot was started in vain; a damaged count is none."""
    try:
        value: Any = cbor.decode(read_or_none(flash, _REGION) or b"\x80", what="slot tries", limit=_MAX_BYTES)
    except WireError:
        return 0
    match value:
        case [str(named), int(count)] if named == slot:
            return count
    return 0
