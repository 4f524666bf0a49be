# SPDX-License-Identifier: Apache-2.0
"""Installs applications by hand on a stopped device whose manufacturing state or capability file allows it.

What is loaded passes the same checks as what the service offers (``admission.py``). With a permission for development
one more signer counts: the certificate of a developer, kept in the flash region ``device/developers``. It counts only
while the permission lasts: without it, the next start does not run what only a developer signed.

There is no trial: a person stands beside the device. The service is told nothing; its next deployment takes the place
of what was loaded, unless a capability file for development holds deployments back.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_pem_x509_certificates

from armillary import content
from armillary.boot import profile
from armillary.capability.grant import platform_limits
from armillary.device.applications.applications import ApplicationStore
from armillary.device.applications.by_hand import check_load, install_now, keep_packages, plan_load, plan_removal
from armillary.device.install.installer import Installer
from armillary.device.state.configuration import DeviceConfiguration, load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.permission import allowed_state
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import Flash, read_or_none, replace_region
from armillary.errors import ConflictError, DeviceStateError
from armillary.update.install.record import SlotImage
from armillary.update.install.transaction import InstallState

DEVELOPERS_REGION: Final = "device/developers"
MAX_DEVELOPERS: Final = 8  # people who work on one device at a time


def signers(flash: Flash, configuration: DeviceConfiguration, *, now: int) -> tuple[Certificate, ...]:
    """Certificates whose keys may sign applications now: the service's, and developers' where that is allowed."""
    if not allowed_state(flash, configuration, now=now).permissions.accepts_test_key:
        return configuration.image_signers
    return (*configuration.image_signers, *_developers(flash))


def deploy(folder: DeviceFolder, data: bytes, developer: Certificate | None, *, now: int) -> SlotImage:
    """Install a package on a stopped device; an earlier one of the same component is replaced.

    The certificate of a ``developer`` is trusted from now on; with None only service-signed packages are taken.

    Raises:
        DeviceStateError: the device's state and capability file do not allow it.
        InstallError: the package is not acceptable; nothing was changed.
        WireError: it is no image package.
        ConflictError: an update is under way, or the image is installed already.
        DataFolderInUseError: the device runs.
    """
    folder.check()
    with folder.hold():
        flash = FileFlash(folder.flash)
        configuration = load_configuration(flash)
        _check_allowed(flash, configuration, developer, now)
        installer = _idle_installer(flash, now)
        load = plan_load(installer, [data])
        trusted = signers(flash, configuration, now=now)
        store = _store(folder, installer, configuration, trusted if developer is None else (*trusted, developer))
        check_load(store, load)
        if developer is not None:
            _trust(flash, developer)
        keep_packages(installer, load)
        install_now(installer, load.plan)
        return next(one for one in installer.record.active if one.image_id in load.packages)


def delete(folder: DeviceFolder, component_id: UUID, *, now: int) -> SlotImage:
    """Remove an installed application.

    Raises:
        DeviceStateError, ConflictError, DataFolderInUseError: as :func:`deploy`.
        NotFoundError: no such component.
    """
    folder.check()
    with folder.hold():
        flash = FileFlash(folder.flash)
        _check_allowed(flash, load_configuration(flash), None, now)
        installer = _idle_installer(flash, now)
        removed, plan = plan_removal(installer, component_id)
        install_now(installer, plan)
        return removed


def _check_allowed(flash: Flash, configuration: DeviceConfiguration, developer: Certificate | None, now: int) -> None:
    found = allowed_state(flash, configuration, now=now)
    if not found.permissions.loads_by_hand:
        raise DeviceStateError(
            f"the device is {found.state.value} and takes no application by hand" + _why(found.refused),
            remedy="Put a capability file in force: armillary device capability download, then select.",
        )
    if developer is not None and not found.permissions.accepts_test_key:
        raise DeviceStateError(
            "the device runs nothing that only a developer signed" + _why(found.refused),
            remedy="Load a package that the service signed, or select a capability file for ApplicationDevelopment.",
        )


def _why(refused: str) -> str:
    return f" ({refused})" if refused else ""


def _idle_installer(flash: Flash, now: int) -> Installer:
    installer = Installer(flash, lambda: now)
    if installer.state is not InstallState.IDLE:
        raise ConflictError(
            f"an update is under way ({installer.state})", remedy="Let the device run until it is reported."
        )
    return installer


def _store(
    folder: DeviceFolder, installer: Installer, configuration: DeviceConfiguration, trusted: tuple[Certificate, ...]
) -> ApplicationStore:
    chip = profile.parse(content.chip_document(configuration.chip))
    return ApplicationStore(
        folder=folder,
        installer=installer,
        trusted=trusted,
        platform=platform_limits(chip),
        flash_limit_bytes=chip.limits.application_flash_bytes,
        device_id=configuration.device_id,
    )


def _developers(flash: Flash) -> tuple[Certificate, ...]:
    data = read_or_none(flash, DEVELOPERS_REGION)
    try:
        return tuple(load_pem_x509_certificates(data)) if data else ()
    except ValueError:  # damaged: nobody is trusted by it
        return ()


def _trust(flash: Flash, developer: Certificate) -> None:
    known = _developers(flash)
    if developer not in known:
        kept = (*known, developer)[-MAX_DEVELOPERS:]
        replace_region(flash, DEVELOPERS_REGION, b"".join(one.public_bytes(Encoding.PEM) for one in kept))
