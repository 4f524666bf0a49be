# SPDX-License-Identifier: Apache-2.0
"""Recovers a device by hand: the OS of the newest release, and what the service certifies and is known by now.

Whole or not at all, like an update over the air:

1. What the factory gives is checked as the boot would check it. A device that boots is not made into one that does not.
2. Each component that differs is stored beside the one that it replaces, ``recovery/<name>``, and read back.
3. One write decides: ``device/recovery`` holds the new configuration, the repository's root and the service's time.
   Before it the device is as it was; after it the recovery is carried out, be it by the next start, before anything
   boots.
4. Carried out: the components go into slot ``a``, the repository's root and the configuration into force, the install
   record forgets the OS that came over the air, a last time from the future gives way to the service's. Every step can
   be done again. Then ``device/recovery`` goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from armillary.boot import chain
from armillary.device.boot.provision import Factory, FactoryReply, boot_region, parse_reply, trust_repository
from armillary.device.boot.recovery_regions import DECIDED, STORED
from armillary.device.boot.startup import BootRom, chip_profile, load_minimums
from armillary.device.install.installer import Installer
from armillary.device.state.clock import put_back
from armillary.device.state.configuration import (
    DeviceConfiguration,
    decode_configuration,
    encode_configuration,
    load_configuration,
    store_configuration,
)
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import Flash, replace_region, store_region
from armillary.engines.root_of_trust.selection import open_root_of_trust
from armillary.errors import BootRefusedError, DataFolderError
from armillary.update.install.component import os_region
from armillary.wire.encoding import cbor

_LIMIT_BYTES: Final = 1024 * 1024  # a configuration and a root, each a quarter of it at most
_REASON: Final = "the device was recovered by hand"


def recover(folder: DeviceFolder, factory: Factory, *, now: int) -> tuple[str, ...]:
    """Write the boot components of the device's release again, and what the service certifies and is known by now.

    The identity certificate and the service's roots are replaced: this readmits a device that was switched off for
    longer than the service waits for it. A device that was told a time from the future believes the present one. Keys,
    boot counter, owner and applications stay as they are; the install record forgets the OS that was installed over the
    air, and a trial of one is taken back.

    Returns the names of the components that were different and are restored.

    Raises:
        BootRefusedError: what the factory gives would not boot here; nothing was changed.
        DataFolderError: there is no device, or the factory knows another one.
    """
    folder.check()
    with folder.hold():
        flash = FileFlash(folder.flash)
        configuration = load_configuration(flash)
        root = open_root_of_trust(configuration.root_of_trust, folder.root_of_trust)
        reply = parse_reply(factory(root.certificate_request().decode("ascii"), configuration.chip))
        if reply.device_id != configuration.device_id:
            raise DataFolderError(
                "the factory answered for another device", remedy="Use the service that made this device."
            )
        return restore(flash, reply, now=lambda: now)


def restore(
    flash: Flash, reply: FactoryReply, *, now: Callable[[], int], boot_rom: BootRom = chain.boot
) -> tuple[str, ...]:
    """Bring what the factory gave into force on the flash of a device that is switched off; see :func:`recover`."""
    finish_recovery(flash, now)
    configuration = load_configuration(flash)
    renewed = _renewed(configuration, reply)
    _check_boot(flash, reply, renewed, boot_rom)
    record = Installer(flash, now).record
    changed = tuple(
        name for name, package in reply.boot_components if flash.read(os_region(name, record.os_slot(name))) != package
    )
    for name, package in reply.boot_components:
        if flash.read(boot_region(name)) != package:
            store_region(flash, _stored(name), package)
    replace_region(flash, DECIDED, cbor.encode([encode_configuration(renewed), reply.repository_root, reply.time]))
    finish_recovery(flash, now)
    return changed


def finish_recovery(flash: Flash, now: Callable[[], int]) -> bool:
    """Carry out a recovery that was decided; whether there was one. A start does this first.

    What a recovery left behind that was not decided goes.
    """
    decided = flash.read(DECIDED)
    if decided is None:
        for region in flash.regions(STORED):
            flash.remove(region)
        return False
    configuration, root, time_s = _decode(decided)
    for region in flash.regions(STORED):
        flash.rename(region, boot_region(region.removeprefix(STORED)))
    trust_repository(flash, root)
    Installer(flash, now).forget_system(_REASON)
    if configuration != load_configuration(flash):
        store_configuration(flash, configuration)
    if time_s:
        put_back(flash, time_s)
    flash.remove(DECIDED)
    return True


def _renewed(configuration: DeviceConfiguration, reply: FactoryReply) -> DeviceConfiguration:
    return replace(
        configuration,
        os_version=reply.os_version,
        identity_certificate=reply.identity_certificate,
        service_root=reply.service_root,
        trusted_os_certificates=reply.trusted_os_certificates,
        trusted_image_certificates=reply.trusted_image_certificates,
        trust_stores=(),
        accepted_stores=(),
    )


def _check_boot(flash: Flash, reply: FactoryReply, renewed: DeviceConfiguration, boot_rom: BootRom) -> None:
    try:
        boot_rom(
            chip_profile(renewed.chip),
            dict(reply.boot_components),
            trusted=renewed.os_signers,
            minimum_security_versions=load_minimums(flash),
        )
    except BootRefusedError as error:
        raise BootRefusedError(
            f"OS {reply.os_version} of the service would not boot here, and nothing was changed: {error.message}",
            remedy="Publish a release for this chip whose security versions are not below the device's.",
        ) from error


def _stored(component: str) -> str:
    return STORED + component.lower()


def _decode(data: bytes) -> tuple[DeviceConfiguration, str, int]:
    value: Any = cbor.decode(data, what="recovery of a device", limit=_LIMIT_BYTES)
    configuration, root, *time_s = value  # one that was decided by a device of before has no time
    return decode_configuration(configuration), str(root), int(time_s[0]) if time_s else 0
