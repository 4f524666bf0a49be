# SPDX-License-Identifier: Apache-2.0
"""A simulated attacker who can read and write a device's data folder; tries what SECURITY.md says must not work.

Three attacks, on the real protocol:

- :func:`tamper` changes one byte of a boot component in flash.
- :func:`check_in_unverified` boots such a device with a boot ROM that measures but does not verify (a broken or
  defeated ROM), and checks in: shows what the service makes of it when the device does not stop by itself.
- :func:`replay` sends one accepted proof again, on the same connection and on a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from armillary.boot import chain
from armillary.device.boot.startup import start_up
from armillary.device.checkin.checkin import CheckIns
from armillary.device.checkin.daa import DeviceAuthentication
from armillary.device.checkin.endpoint import DeviceEndpoint, tls_context
from armillary.device.checkin.update_wait import UpdateWait
from armillary.device.install.installer import Installer
from armillary.device.process import Device
from armillary.device.state.configuration import load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.reports import ReportQueue
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import replace_region
from armillary.engines.root_of_trust.selection import open_root_of_trust
from armillary.engines.sandbox.selection import open_sandbox
from armillary.errors import ArmillaryError, DataFolderError
from armillary.update.install.component import os_region
from armillary.wire.device.checkin import CheckinReply, CheckinRequest


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The service's answers to one proof that was sent three times.

    Attributes:
        first: Verdict on the first, honest use: the positive control.
        same_connection: Error code of the second use, on the same connection; "accepted" if it went through.
        new_connection: The same for the third use, on a new connection.
    """

    first: str
    same_connection: str
    new_connection: str

    @property
    def refused(self) -> tuple[str, str]:
        """Both outcomes of the replays."""
        return self.same_connection, self.new_connection


def tamper(data: Path, component: str) -> int:
    """Flip one bit in the middle of a boot component of the device in ``data``; returns the offset of its byte.

    Raises:
        DataFolderError: the device has no such component.
    """
    flash = FileFlash(DeviceFolder(data).flash)
    region = os_region(component, Installer(flash, lambda: 0).record.os_slot(component))
    package = flash.read(region)
    if package is None:
        raise DataFolderError(f"{data}: no boot component {component}", remedy="Name one of the chip's components.")
    offset = len(package) // 2
    changed = bytearray(package)
    changed[offset] ^= 1
    replace_region(flash, region, bytes(changed))
    return offset


async def check_in_unverified(data: Path) -> CheckinReply:
    """Check in once as a device whose boot ROM measures truthfully and verifies nothing."""
    return await Device(data, boot_rom=partial(chain.boot, enforce=False)).prove_once()


async def replay(data: Path) -> ReplayResult:
    """Check in honestly as the device in ``data`` (its process must be stopped), then send the same bytes again."""
    folder = DeviceFolder(data)
    folder.check()
    with folder.hold():
        flash = FileFlash(folder.flash)
        configuration = load_configuration(flash)
        root = open_root_of_trust(configuration.root_of_trust, folder.root_of_trust)
        device = Device(data)
        installer = Installer(flash, device.clock.now)
        startup = start_up(flash, configuration, root, chain.boot, installer)
        context = tls_context(configuration.service_root, device.clock)
        root.authenticate(context, "".join(configuration.identity_certificate).encode())
        async with _Recorder(configuration.device_endpoint, context) as endpoint:
            reply = await CheckIns(
                flash=flash,
                configuration=startup.configuration,
                root_of_trust=root.kind,
                startup=startup,
                sandbox=open_sandbox(configuration.sandbox).self_test(),
                endpoint=endpoint,
                clock=device.clock,
                reports=ReportQueue(flash, device.clock.now, startup.session.boot_count),
                installer=installer,
                daa=DeviceAuthentication(folder.daa),
                wait=UpdateWait(flash, device.clock.now),
            ).check_in(states={})
            same_connection = await _outcome(endpoint, endpoint.recorded[-1])
        async with DeviceEndpoint(configuration.device_endpoint, context) as fresh:
            new_connection = await _outcome(fresh, endpoint.recorded[0])
    return ReplayResult(reply.verdict, same_connection, new_connection)


async def _outcome(endpoint: DeviceEndpoint, request: CheckinRequest) -> str:
    try:
        await endpoint.check_in(request)
    except ArmillaryError as error:
        return error.code
    return "accepted"


class _Recorder(DeviceEndpoint):
    """A connection that records what is sent and received."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]  # the parent's own
        self.recorded: list[CheckinRequest] = []

    async def check_in(self, request: CheckinRequest) -> CheckinReply:
        self.recorded.append(request)
        return await super().check_in(request)
