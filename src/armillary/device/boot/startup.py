# SPDX-License-Identifier: Apache-2.0
"""Starts a device: verifies and measures the boot chain, counts the boot, derives the keys.

Anti-rollback: the lowest security version that may boot is kept per image type in flash (``device/minimums``) and
raised once the service has attested a boot. A copy of old flash brings old minimums with it: on this tier the
service's own minimums are what holds (``attest.appraise``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from armillary import content
from armillary.boot import counter, profile
from armillary.boot.chain import BootRecord
from armillary.boot.profile import ChipProfile
from armillary.boot.slots import SlotTable
from armillary.device.boot.provision import boot_region
from armillary.device.state.configuration import DeviceConfiguration
from armillary.engines.flash.port import Flash, replace_region
from armillary.engines.root_of_trust.port import BootSession, RootOfTrust
from armillary.errors import BootRefusedError
from armillary.wire.attestation.event_log import BootEvent, encode_log
from armillary.wire.encoding import cbor

_MINIMUMS = "device/minimums"
_MAX_MINIMUMS_BYTES = 4096  # 29 image types
# The OS has one copy here; it counts as confirmed once the service attested it.
_ONLY_SLOT = "a"


# The first code that runs: decides whether the chain may start, and measures it; called as ``boot.chain.boot`` is.
BootRom = Callable[..., BootRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """The result of a boot: what was measured, in order, and the same encoded for check-ins.

    ``session`` is what this boot can prove.
    """

    profile: ChipProfile
    events: tuple[BootEvent, ...]
    event_log: bytes = field(repr=False)
    session: BootSession


def start_up(
    flash: Flash, configuration: DeviceConfiguration, root_of_trust: RootOfTrust, boot_rom: BootRom
) -> Startup:
    """Boot.

    Raises:
        BootRefusedError: verified boot stopped at a stage; nothing was derived and the boot was not counted.
        RootOfTrustError: the boot cannot be counted.
        NotFoundError: this version has no profile of the device's chip.
    """
    chip = profile.parse(content.chip_document(configuration.chip))
    packages = {component.name: flash.read(boot_region(component.name)) or b"" for component in chip.boot_components}
    record = boot_rom(chip, packages, trusted=configuration.os_signers, minimum_security_versions=load_minimums(flash))
    return Startup(
        profile=chip,
        events=record.events,
        event_log=encode_log(record.events),
        session=root_of_trust.begin_boot(record.events),
    )


def load_minimums(flash: Flash) -> Mapping[int, int]:
    """Image type -> lowest security version that may boot.

    BootRefusedError if the record is damaged: booting without it could start a stage known to be vulnerable.
    """
    data = flash.read(_MINIMUMS)
    if data is None:
        return {}
    value: Any = cbor.decode(data, what="security version minimums", limit=_MAX_MINIMUMS_BYTES)
    if not isinstance(value, dict) or not all(type(n) is int for pair in value.items() for n in pair):
        raise BootRefusedError("security version minimums: expected a map of numbers, got another value")
    return counter.merge_minimums({}, value)


def confirm_boot(flash: Flash, startup: Startup) -> None:
    """Raise the minimum security versions to those of a boot that the service has attested."""
    minimums = load_minimums(flash)
    table = SlotTable(active=_ONLY_SLOT)
    raised = counter.raise_minimums(minimums, startup.events, table=table, booted_slot=_ONLY_SLOT)
    if dict(raised) != dict(minimums):
        replace_region(flash, _MINIMUMS, cbor.encode(dict(raised)))
