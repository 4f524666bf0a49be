# SPDX-License-Identifier: Apache-2.0
"""The device process: opens the data folder, boots, then runs the loop of ``running.py``."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from armillary.boot import chain
from armillary.boot.profile import ChipProfile
from armillary.capability.board import board_platform
from armillary.capability.grant import Grant, PlatformLimits, platform_limits
from armillary.device.applications.applications import ApplicationStore
from armillary.device.applications.serial_ports import SerialPorts, hold_serial_ports
from armillary.device.applications.sideload import signers
from armillary.device.boot import recovery_regions
from armillary.device.boot.late_sandbox import tried_again
from armillary.device.boot.sandbox_told import report_weakness, sandbox_status
from armillary.device.boot.startup import BootRom, Startup, chip_profile, report_refused, report_start, start_up
from armillary.device.checkin.checkin import CheckIns
from armillary.device.checkin.daa import DeviceAuthentication
from armillary.device.checkin.endpoint import DeviceEndpoint, ServiceContext, tls_context
from armillary.device.checkin.hints import HintWatch
from armillary.device.checkin.renewal import TrustRenewal
from armillary.device.checkin.update_wait import UpdateWait
from armillary.device.host_services import HostServices
from armillary.device.install.installer import Installer
from armillary.device.interface.events import SystemEvents
from armillary.device.interface.interface import ApplicationInterface, no_sockets_left, socket_folder
from armillary.device.interface.peripherals.outside import outside_door
from armillary.device.offers import Offers
from armillary.device.peripherals.ownership import PeripheralMap
from armillary.device.peripherals.use import PeripheralUse, hold_peripherals
from armillary.device.repository.directives import Directives
from armillary.device.repository.source import mirror_session
from armillary.device.running import RunningDevice
from armillary.device.settings import DeviceSettings
from armillary.device.state.clock import DeviceClock
from armillary.device.state.configuration import DeviceConfiguration, load_configuration
from armillary.device.state.crash_dumps import DumpQueue
from armillary.device.state.journal import Journal
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.log_answers import LogAnswers
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.device.state.permission import AllowedState, allowed_state
from armillary.device.state.reports import ReportQueue
from armillary.device.state.status import write_status
from armillary.device.telemetry.sender import Sender
from armillary.engines.flash.file import FileFlash
from armillary.engines.real_time.selection import CoresOnDemand, with_cores_beside
from armillary.engines.root_of_trust.port import RootOfTrust
from armillary.engines.root_of_trust.selection import open_root_of_trust
from armillary.engines.sandbox.port import Sandbox, SandboxReport
from armillary.errors import BootRefusedError, DataFolderError
from armillary.wire.device.checkin import CheckinReply

if TYPE_CHECKING:
    import aiohttp

    from armillary.device.boot.slot_choice import SlotChoice
    from armillary.device.interface.table import MethodTable
    from armillary.device.repository.repository import DeviceRepository
    from armillary.engines.flash.os_disk import OsDisk


class Device:
    """One device in a data folder that ``provision`` has made.

    ``sandbox`` is used instead of the engine the device was made with (tests, simulators). ``boot_rom`` is the
    verifying stage; only the simulator's attacker passes another, which measures and does not verify, to show that the
    service notices. ``disk`` has the slots that the firmware starts, where the OS is the one that this process runs on.

    Raises:
        DataFolderError: there is no device in the folder.
        RootOfTrustError: its secret cannot be read.
    """

    def __init__(
        self,
        data: Path,
        *,
        settings: DeviceSettings | None = None,
        sandbox: Sandbox | None = None,
        boot_rom: BootRom = chain.boot,
        disk: OsDisk | None = None,
    ) -> None:
        self.folder = DeviceFolder(data)
        self.folder.check()
        self._settings = settings or DeviceSettings()
        files = FileFlash(self.folder.flash)
        self._disk = disk
        self._flash = files if disk is None else disk.flash(files)
        self.restarts_machine = False  # whether run() ended because the machine has to start again
        self.configuration: DeviceConfiguration = load_configuration(self._flash)
        self.root_of_trust: RootOfTrust = open_root_of_trust(
            self.configuration.root_of_trust, self.folder.root_of_trust
        )
        self._sandbox = sandbox
        self._boot_rom = boot_rom
        self.clock = DeviceClock(self._flash)
        self.journal = Journal(self.folder.log, self.clock.now)
        self._running: RunningDevice | None = None
        self._serial_ports = SerialPorts({}, self.journal)  # those of the settings are held while it runs
        self._peripherals = PeripheralUse()  # as the serial ports
        self._stop_requested = False
        self._stopping = asyncio.Event()
        self._host_services = HostServices(
            self._settings, self.folder, self._flash, self.clock, self.journal, self._status_changed, self.check_in_now
        )
        self._rest_s: int | None = None  # how long to rest before the restart that an application asked for
        self._events = SystemEvents(lambda: self.clock.signed, lambda: DeviceAuthentication(self.folder.daa).ready)
        self.journal.listen(self._events.hear)
        self._fixed_status: dict[str, object] = {
            "device_id": self.configuration.device_id,
            "pid": os.getpid(),
            "chip": self.configuration.chip,
            "os_version": self.configuration.os_version,
            "root_of_trust": self.root_of_trust.kind,
            "trust_tier": self.root_of_trust.tier,
            "device_endpoint": self.configuration.device_endpoint,
            "board": None if self._settings.board is None else self._settings.board.name,
        }

    @property
    def device_id(self) -> str:
        """128 lower-case hex digits."""
        return self.configuration.device_id

    def check_in_now(self) -> None:
        """Check in as soon as possible (SIGUSR1); before the start is over, one is due anyway."""
        if self._running is not None:
            self._running.check_in_now()

    def stop(self) -> None:
        """End :meth:`run`: stop applications, keep everything durable."""
        self._stop_requested = True
        self._stopping.set()
        if self._running is not None:
            self._running.stop()

    def restart(self, rest_s: int) -> None:
        """End what runs, wait so many seconds, boot again; nothing if the device stops anyway."""
        if self._running is not None and not self._stop_requested:
            self._rest_s = rest_s
            self._running.restart()

    async def run(self) -> None:
        """Be the device until :meth:`stop`: boot, run, and boot again whenever another OS is in force.

        On the disk of a device image it ends instead, and ``restarts_machine`` says so.

        Raises:
            BootRefusedError: verified boot stopped; nothing was started.
            DataFolderInUseError: another process is this device.
            HostError: a node that it was told is no serial port, or is held by another device.
            ManifestError: the board that it was told is of another chip.
        """
        platform = self._platform(chip_profile(self.configuration.chip))
        with (
            self.folder.hold(),
            no_sockets_left(self.folder.run),
            hold_serial_ports(self._settings.serial_ports, platform, self.journal) as self._serial_ports,
            hold_peripherals(self._settings.board, self.folder.exports) as self._peripherals,
            self._host_services.held(),
        ):
            while self._is_in_wanted_slot() and await self._run_one_boot():
                self.journal.write("restarting")
                await self._rest()
                if self._stop_requested:
                    self._write_status({"state": "stopped"})
                    return
                if self._disk is not None:
                    self.restarts_machine = True
                    self._is_in_wanted_slot()  # names the slot to start
                    return
                self.configuration = load_configuration(self._flash)

    @functools.cached_property
    def _slot(self) -> SlotChoice | None:
        """What the firmware is told of the slot that runs, on the disk of a device image."""
        if self._disk is None:
            return None
        from armillary.device.boot.slot_choice import slot_choice  # noqa: PLC0415 - on such a disk only

        parts = (self._flash, self.configuration, self.root_of_trust, self._boot_rom)
        return slot_choice(self._disk, *parts, self.journal, self._tell_refused)

    def _is_in_wanted_slot(self) -> bool:
        """Whether this process runs on the OS that is wanted; else the machine has to start again."""
        if self._slot is None or self._slot.is_wanted(Installer(self._flash, self.clock.now)):
            return True
        self.restarts_machine = True
        return False

    async def _run_one_boot(self) -> bool:
        """Boot and run; returns whether the device has to start again."""
        try:
            startup, report, sandbox, installer = await self._start_up()
        except BootRefusedError:
            if self._is_in_wanted_slot():
                raise
            return False  # the OS before it is in the other slot
        await asyncio.to_thread(self._host_services.boot)
        context = self._tls_context(startup.configuration)
        async with (
            self._endpoint(startup, context) as endpoint,
            mirror_session(self._settings.mirrors) as mirrors,
        ):
            check_ins = self._check_ins(startup, report, endpoint, installer)
            directives = self._directives(endpoint, mirrors)
            check_ins.directive_version = directives.reported_version
            for image in installer.check_images(startup.verify_other):
                self.journal.write("image-damaged", name=image.name, image_id=image.image_id)
            renewal = TrustRenewal(check_ins, context, self.root_of_trust, self.journal)
            hints = HintWatch(endpoint.hint, self.check_in_now, self.journal)

            async def after_check_in() -> None:
                await renewal.look()
                await self._host_services.report(endpoint)
                hints.check_in_answered()

            store = ApplicationStore(
                folder=self.folder,
                installer=installer,
                trusted=signers(self._flash, startup.configuration, now=self.clock.now()),
                platform=self._platform(startup.profile),
                flash_limit_bytes=startup.profile.limits.application_flash_bytes,
                device_id=self.configuration.device_id,
                serial_ports=self._serial_ports.of,
                addresses=self._settings.addresses,
            )
            telemetry = self._telemetry(check_ins)
            owners = PeripheralMap(lambda: not self._allowed().permissions.changes_peripherals)
            self._running = RunningDevice(
                settings=self._settings,
                check_ins=check_ins,
                store=store,
                sandbox=sandbox,
                journal=self.journal,
                offers=Offers(directives, self.journal, endpoint.download),
                publish=self._write_status,
                takes_deployments=lambda: self._allowed().permissions.takes_deployments,
                after_check_in=after_check_in,
                interface=self._interface(check_ins, owners, telemetry),
                owners=owners,
                cores=CoresOnDemand(sandbox),
            )
            if self._stop_requested:
                self._running.stop()

            def hear_sandbox(report: SandboxReport) -> None:
                check_ins.hear_sandbox(report)
                self._tell_sandbox(report)
                self.check_in_now()

            async with (
                tried_again(sandbox, hear_sandbox),
                outside_door(self._peripherals, socket_folder(self.folder.run)),
                hints,
                telemetry,
                self._own_api(self._running, check_ins, store),
            ):
                return await self._running.run()

    async def _rest(self) -> None:
        """Wait as long as an application asked for, or until the device is stopped."""
        seconds, self._rest_s = self._rest_s or 0, None
        if seconds:
            self._write_status({"state": "resting", "until": self.clock.now() + seconds})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    def _platform(self, profile: ChipProfile) -> PlatformLimits:
        """What a device of this chip has, on the board that it was told."""
        platform, board = with_cores_beside(platform_limits(profile)), self._settings.board
        return platform if board is None else board_platform(platform, board)

    def _status_changed(self) -> None:
        if self._running is not None:
            self._running.look()

    def _grant_of(self, component_id: UUID) -> Grant | None:
        """The grant of an application that is to run, of whichever component."""
        runs = () if self._running is None else self._running.supervisor.runs
        return {run.application.grant.component_id: run.application.grant for run in runs}.get(component_id)

    def _interface(self, check_ins: CheckIns, owners: PeripheralMap, telemetry: Sender) -> ApplicationInterface:
        """What answers applications, over the parts of this device that they may ask something of."""

        def make_table() -> MethodTable:
            from armillary.device.interface.methods import DeviceParts, method_table  # noqa: PLC0415 - if one asks

            return method_table(
                DeviceParts(
                    device_id=self.device_id,
                    journal=self.journal,
                    flash=self._flash,
                    clock=self.clock,
                    events=self._events,
                    daa=check_ins.daa,
                    power=self,
                    power_profiles=self._host_services.power_profiles,
                    check_in_now=self.check_in_now,
                    storage_folder=lambda component_id: self.folder.mutable / str(component_id),
                    peripherals=self._peripherals,
                    owners=owners,
                    grant_of=self._grant_of,
                    private_network=self._host_services.private_network,
                    wifi=self._host_services.wifi,
                    telemetry=telemetry,
                )
            )

        return ApplicationInterface(self.folder.run, make_table, self.journal, self.clock.monotonic)

    def _telemetry(self, check_ins: CheckIns) -> Sender:
        proxy = NetworkConfiguration(self._flash).proxy_in_use
        return Sender(self.device_id, lambda: check_ins.hub, self.folder.daa, proxy, self.journal)

    @contextlib.asynccontextmanager
    async def _own_api(
        self, running: RunningDevice, check_ins: CheckIns, store: ApplicationStore
    ) -> AsyncGenerator[None]:
        """Serve the device's own API, if it is asked for; it is loaded only then."""
        if self._settings.rest is None:
            yield
            return
        from armillary.device.debugging.sessions import DebugSessions  # noqa: PLC0415 - see above
        from armillary.device.rest.attached import AttachedDevice  # noqa: PLC0415
        from armillary.device.rest.server import RestAddress, serve, serve_again  # noqa: PLC0415
        from armillary.device.rest.staging import Staging  # noqa: PLC0415

        attached = AttachedDevice(
            settings=self._settings.rest,
            startup=check_ins.startup,
            flash=self._flash,
            folder=self.folder,
            clock=self.clock,
            journal=self.journal,
            installer=check_ins.installer,
            store=store,
            reports=check_ins.reports,
            daa=check_ins.daa,
            running=running,
            staging=Staging(self.folder.run / "staged", store.flash_limit_bytes),
            debugging=DebugSessions(self._settings.rest.host, self.journal),
            wifi=self._host_services.wifi,
            cellular=self._host_services.cellular,
            allowed=self._allowed,
            restart=self.restart,
            started=self.clock.monotonic(),
            trust_tier=self.root_of_trust.tier,
        )

        def told(address: RestAddress | None) -> None:
            self._fixed_status["rest"] = None if address is None else address.status()
            if address is not None:
                self.journal.write("rest-listening", **address.status())

        if "rest" in self._fixed_status or self._settings.rest.link:  # its loss ends no device that runs, no machine
            async with serve_again(attached, told):
                self._write_status({"state": "starting"})
                yield
            return
        async with serve(attached) as served:
            told(served)
            self._write_status({"state": "starting"})
            yield

    def _directives(self, endpoint: DeviceEndpoint, mirrors: aiohttp.ClientSession) -> Directives:
        """What takes directives; the repository behind it, and the TUF library, are loaded with the first one."""

        def open_it() -> DeviceRepository:
            from armillary.device.repository.opening import open_repository  # noqa: PLC0415 - see above

            return open_repository(
                endpoint.url,
                lambda: endpoint.session,
                self._settings.mirrors,
                mirrors,
                flash=self._flash,
                folder=self.folder.flash,
                clock=self.clock,
                journal=self.journal,
                proxy=NetworkConfiguration(self._flash).proxy_in_use,
            )

        return Directives(
            self._flash,
            self.clock,
            device_id=self.configuration.device_id,
            hardware=self.configuration.chip,
            open_repository=open_it,
        )

    async def prove_once(self) -> CheckinReply:
        """Boot, check in once without applications, return the service's reply (``armillary device attest``).

        Installs nothing: what is offered stays for the next normal check-in.

        Raises:
            BootRefusedError: verified boot stopped.
            DeviceFault: the service refused.
            ServiceUnreachableError: the service did not answer.
        """
        with self.folder.hold():
            startup, report, _, installer = await self._start_up()
            context = self._tls_context(startup.configuration)
            async with self._endpoint(startup, context) as endpoint:
                return await self._check_ins(startup, report, endpoint, installer).check_in(states={})

    def _endpoint(self, startup: Startup, context: ServiceContext) -> DeviceEndpoint:
        proxy = NetworkConfiguration(self._flash).proxy_in_use
        return DeviceEndpoint(startup.configuration.device_endpoint, context, proxy)

    def _check_ins(
        self, startup: Startup, report: SandboxReport, endpoint: DeviceEndpoint, installer: Installer
    ) -> CheckIns:
        daa = DeviceAuthentication(self.folder.daa)
        daa.keep_only_for(startup.session.log_head)
        reports = ReportQueue(self._flash, self.clock.now, startup.session.boot_count)
        report_start(startup, self._host_services.faults, self.journal, reports)
        report_weakness(report, reports)
        return CheckIns(
            configuration=startup.configuration,
            root_of_trust=self.root_of_trust.kind,
            startup=startup,
            sandbox=report,
            endpoint=endpoint,
            flash=self._flash,
            clock=self.clock,
            reports=reports,
            installer=installer,
            daa=daa,
            wait=UpdateWait(self._flash, self.clock.now, self._events.announce),
            dumps=DumpQueue(self._flash, self.journal, self.clock.now, startup.session.boot_count),
            log=LogAnswers(self.journal, self.clock.now),
        )

    async def _start_up(self) -> tuple[Startup, SandboxReport, Sandbox, Installer]:
        """Boot, and test the sandbox meanwhile; both are written to status and log."""
        self.folder.clear_run()
        if recovery_regions.is_left(self._flash):
            from armillary.device.boot.recovery import finish_recovery  # noqa: PLC0415 - once in a device's life

            if finish_recovery(self._flash, self.clock.now):
                self.configuration = load_configuration(self._flash)
        self._write_status({"state": "starting"})
        installer = Installer(self._flash, self.clock.now)
        tested = self._settings.begin_test(self._sandbox, self.configuration.sandbox)
        try:
            parts = (self._flash, self.configuration, self.root_of_trust, self._boot_rom, installer)
            startup = start_up(*parts) if self._slot is None else self._slot.boot(*parts)
        except Exception as error:  # whatever it is: what was begun ends first
            await asyncio.wait([tested])
            if isinstance(error, BootRefusedError):
                self._tell_refused(error)
            raise
        events = [{"component": event.component, "digest": event.digest.hex()} for event in startup.events]
        session = startup.session
        self._fixed_status |= {
            "os_version": startup.configuration.os_version,
            "boot_count": session.boot_count,
            "log_head": session.log_head.hex(),
            "boot_components": events,
        }
        self.journal.write("booted", boot_count=session.boot_count, log_head=session.log_head.hex(), components=events)
        sandbox, report = await tested
        self._tell_sandbox(report)
        return startup, report, sandbox, installer

    def _tell_refused(self, error: BootRefusedError) -> None:
        report_refused(error, self.journal, ReportQueue(self._flash, self.clock.now, self.root_of_trust.boot_count))
        self._write_status({"state": "boot-refused", "reason": error.message, "remedy": error.remedy})

    def _tell_sandbox(self, report: SandboxReport) -> None:
        self._fixed_status["sandbox"] = sandbox_status(report, self.configuration.sandbox)
        self.journal.write("sandbox", sandbox=report.sandbox, complete=report.complete, weaker=list(report.weaker))

    def _allowed(self) -> AllowedState:
        return allowed_state(self._flash, self.configuration, now=self.clock.now())

    def _write_status(self, changing: Mapping[str, object]) -> None:
        with contextlib.suppress(OSError, DataFolderError):  # a full or failing disk must not stop the device
            found = self._allowed()
            allowed = {"manufacturing_state": found.state.value, "capabilities": list(found.capabilities)}
            always = {"at": self.clock.now(), "serial_ports": self._serial_ports.status()}
            services = self._host_services.status()
            write_status(self.folder.status, {**self._fixed_status, **always, **services, **allowed, **changing})

    def _tls_context(self, configuration: DeviceConfiguration) -> ServiceContext:
        context = tls_context(configuration.service_root, self.clock)
        self.root_of_trust.authenticate(context, "".join(configuration.identity_certificate).encode())
        return context
