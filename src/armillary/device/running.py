# SPDX-License-Identifier: Apache-2.0
"""The loop of a booted device: checks in, installs, judges trials, runs applications, writes the status.

One loop is the only writer of the device's state; everything else (applications, signals) only wakes it. Every
durable step is atomic on flash, so ``kill -9`` at any time is a power cut and the next start goes on from there.

The loop ends by itself when another OS or trust store is in force than the one that booted, or applications need
another map of peripherals: the device starts again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from armillary.device.applications.admission import Application
from armillary.device.applications.applications import ApplicationStore
from armillary.device.applications.port import Interface
from armillary.device.applications.running_status import application_status
from armillary.device.applications.supervisor import Supervisor
from armillary.device.boot.late_sandbox import trial_time
from armillary.device.checkin.checkin import CheckIns, describe_steps
from armillary.device.checkin.fetch import ArtifactFetch
from armillary.device.checkin.proxy_trial import ProxyTrial
from armillary.device.checkin.refusals import Refusals
from armillary.device.checkin.schedule import CheckInSchedule
from armillary.device.install.taking_back import TakingBack
from armillary.device.installation import Begun, Installation
from armillary.device.offers import Offers, RefusedOffer, TakenOffer, offered_by
from armillary.device.peripherals.ownership import PeripheralMap
from armillary.device.settings import DeviceSettings
from armillary.device.state.journal import Journal
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.device.state.reports import Incident
from armillary.engines.real_time.port import RealTimeCores
from armillary.engines.sandbox.port import Launch, Sandbox
from armillary.errors import ArmillaryError, DataFolderError, ServiceUnreachableError
from armillary.update.delta.choice import stored_artifacts
from armillary.update.install.component import Kind
from armillary.update.install.plan import only_system
from armillary.update.install.record import InstallRecord, SlotImage
from armillary.update.install.transaction import InstallState
from armillary.update.install.trial import ApplicationHealth, Keep, TakeBack, judge
from armillary.wire.device.checkin import CheckinReply, Offer, OfferedImage
from armillary.wire.device.crash_dump import MachineState

FLASH_RETRY_S = 1.0  # a disk that is full is looked at again this often
FLUSH_S = 1.0  # error reports counted in memory reach flash within this time


class RunningDevice:
    """The loop of a booted device.

    ``publish`` is called with the changing part of the status after every change; ``takes_deployments`` at every offer:
    False while a capability file opens the device for development; ``after_check_in`` once the service has answered;
    it raises nothing.
    """

    def __init__(
        self,
        *,
        settings: DeviceSettings,
        check_ins: CheckIns,
        store: ApplicationStore,
        sandbox: Sandbox,
        journal: Journal,
        offers: Offers,
        publish: Callable[[Mapping[str, object]], None],
        takes_deployments: Callable[[], bool] = lambda: True,
        after_check_in: Callable[[], Awaitable[None]] | None = None,
        interface: Interface | None = None,
        owners: PeripheralMap | None = None,
        cores: RealTimeCores | None = None,
    ) -> None:
        self._settings = settings
        self._check_ins = check_ins
        self._installer = check_ins.installer
        self._reports = check_ins.reports
        self._clock = check_ins.clock
        self._wait = check_ins.wait
        self._store = store
        self._sandbox = sandbox
        self._journal = journal
        self._artifacts = ArtifactFetch(
            check_ins.endpoint,
            check_ins.flash,
            lambda: stored_artifacts(check_ins.installer.record, check_ins.startup.places),
            journal,
        )
        self._offers = offers
        self._publish = publish
        self._takes_deployments = takes_deployments
        self._after_check_in = after_check_in
        self._owners = owners or PeripheralMap()
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._restarts = False
        self.changes = asyncio.Lock()  # held while the installed set, or what runs of it, changes
        self._schedule = CheckInSchedule(
            self._clock.monotonic, retry_first_s=settings.retry_first_s, retry_limit_s=settings.retry_limit_s
        )
        self._installation = Installation(
            installer=self._installer,
            store=store,
            startup=check_ins.startup,
            flash=check_ins.flash,
            journal=journal,
            wait=self._wait,
        )
        self._proxy_trial = ProxyTrial(NetworkConfiguration(check_ins.flash), self._clock.now, journal, self._report)
        self._taken: TakenOffer | None = None  # what waits for its time
        self._taking_back = TakingBack(
            self._installer, check_ins.startup.verify_other, journal, self._report, self._clock.monotonic
        )
        self._trial_started = 0.0
        self._contact_asked = False
        self._refusals = Refusals(check_ins.flash)
        self.last_check_in: dict[str, object] = {}
        self.supervisor = Supervisor(
            sandbox,
            launch=self._launch,
            journal=journal,
            report=self._report,
            changed=self._wake.set,
            monotonic=self._clock.monotonic,
            deferrals=self._wait,
            crashed=self._crashed,
            interface=interface,
            cores=cores,
        )

    def check_in_now(self) -> None:
        """Check in as soon as possible; again if a check-in is under way, which may have begun before the reason."""
        self._schedule.ask()
        self._wake.set()

    def look(self) -> None:
        """Write the status again: something of it has changed."""
        self._wake.set()

    def stop(self) -> None:
        """End :meth:`run`."""
        self._restarts = False
        self._stopped.set()

    def restart(self) -> None:
        """End :meth:`run` so that the device starts again."""
        self._restarts = not self._stopped.is_set()
        self._stopped.set()

    async def run(self) -> bool:
        """Work until :meth:`stop` or until the device has to start again, which it returns.

        Applications are stopped and reports are durable when it returns.
        """
        loop = asyncio.create_task(self._loop(), name="device loop")
        stopped = asyncio.create_task(self._stopped.wait(), name="device stop")
        try:
            await asyncio.wait({loop, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended_by_itself = loop.done()
            for task in (loop, stopped):
                task.cancel()
            await asyncio.gather(loop, stopped, return_exceptions=True)
            await self.supervisor.stop()
            with contextlib.suppress(DataFolderError):
                self._reports.flush()
            starts_again = self._restarts or (ended_by_itself and self._is_behind())
            self._publish_status("restarting" if starts_again else "stopped")
        if ended_by_itself:
            loop.result()  # a defect ended the loop: let it be seen
        return self._restarts or (ended_by_itself and not self._stopped.is_set())

    def _is_behind(self) -> bool:
        """Whether another OS, trust store or map of peripherals is in force than the one that booted."""
        return self._owners.needs_restart or self._check_ins.startup.is_behind(self._installer.record)

    async def _loop(self) -> None:
        async with self.changes:
            await self.run_active(only_ready=True)
        if not self._is_behind():
            await self._check_in()
            async with self.changes:
                await self.run_active()
        while not self._is_behind():
            self._wake.clear()
            trial_wait_s = await self._settle()
            if len(self._reports):
                self._schedule.soon(is_error=self._reports.has_errors)
            wait_s, offer_wait_s = self._schedule.wait_s, self._wait.wait_s()
            if self._is_behind():
                return
            if wait_s <= 0:
                await self._check_in()
                continue
            if offer_wait_s <= 0:
                await self._begin_due()
                continue
            self._publish_status("running")
            flush_wait_s = FLUSH_S if self._reports.unsaved else wait_s
            await self._sleep(min(wait_s, trial_wait_s, offer_wait_s, flush_wait_s))

    async def _settle(self) -> float:
        """Save what is unsaved and judge a trial; returns seconds until this has to be done again.

        A flash that fails now (a full disk) stops nothing that runs: it is tried again.
        """
        try:
            self._reports.flush()
            return await self._judge_trial()
        except DataFolderError as error:
            self._journal.write("flash-failed", reason=error.message)
            return FLASH_RETRY_S

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def run_active(self, *, only_ready: bool = False) -> None:
        """Run the applications of the record in force.

        With ``only_ready``, those that wait for their certificate are left for after the first check-in. Nothing is
        started on an OS that is not in force any more.
        """
        if self._is_behind():
            return
        loaded = await asyncio.to_thread(self._store.load, self._installer.record)
        for name, reason in loaded.failures:
            self._journal.write("application-refused", name=name, reason=reason)
        if loaded.failures and (trial := self._installer.record.trial) is not None and not trial.takes_over:
            again_s = 0.0
            with contextlib.suppress(DataFolderError):  # then the loop takes it back: what was not loaded never runs
                again_s = await self._take_back(TakeBack(f"{loaded.failures[0][0]}: {loaded.failures[0][1]}"))
            if not again_s:
                return
        if not self._owners.assign(application.grant for application in loaded.applications):
            self._journal.write("peripherals-locked")
            self._wake.set()  # whoever called: the loop ends, and the device starts again
            return
        applications = [
            application
            for application in loaded.applications
            if not only_ready or self._certified or application.grant.device_authentication is None
        ]
        await self.supervisor.run_set(applications)
        self._trial_started = self._clock.monotonic()
        self._contact_asked = False
        self.supervisor.begin_watch()

    async def _check_in(self) -> None:
        """Check in and act on the reply; plan the next time."""
        had_certificate, old_hub = self._check_ins.daa.ready, self._check_ins.hub
        self._schedule.begin()
        try:
            reply = await self._check_ins.check_in(states=self._states())
        except ArmillaryError as error:
            self._check_in_failed(error, self._schedule.failed(error))
            if isinstance(error, ServiceUnreachableError) and self._proxy_trial.failed():
                self.check_in_now()
            return
        self._schedule.succeeded(reply.next_check_in_s)
        self._refusals.hear(reply)
        self._remember(reply)
        self._publish_status("running")
        if had_certificate and not self._check_ins.daa.ready:
            self._journal.write("certificate-withdrawn", verdict=reply.verdict)
            await self._restart_certified()
        elif had_certificate and old_hub is not None and old_hub != self._check_ins.hub:
            self._journal.write("hub-moved", host=reply.hub_host, port=reply.hub_port)
            await self._restart_certified()
        await self._hear(reply)
        if self._check_ins.dumps is not None:
            with contextlib.suppress(DataFolderError):  # what could not be dropped is sent again, and known
                await self._check_ins.dumps.send(self._check_ins.endpoint)
        if self._check_ins.log is not None:
            await self._check_ins.log.send(self._check_ins.endpoint)
        if self._after_check_in is not None:
            await self._after_check_in()

    async def _restart_certified(self) -> None:
        """Restart applications whose certificate or hub address is out of date."""
        async with self.changes:
            await self.supervisor.restart(lambda application: application.grant.device_authentication is not None)

    @property
    def _certified(self) -> bool:
        """Whether an application that speaks to the hub has what it needs."""
        return self._check_ins.daa.ready and self._check_ins.hub is not None

    async def _hear(self, reply: CheckinReply) -> None:
        """Take note of what a reply offers, and begin it if its time has come."""
        if self._installer.state is not InstallState.IDLE:  # the service offers again once this is settled
            if reply.offer is not None or reply.directive is not None:
                self._wait.say("trial")
            return
        taken = await self._offers.take(reply)
        if isinstance(taken, RefusedOffer):
            self._wait.hear(None)
            self._wait.say(taken.reason, taken.error.message)
            if taken.again:
                self._offer_failed()
            return
        if taken is None:
            self._offer_settled()
        self._taken = taken
        self._wait.hear(None if taken is None else taken.offer)
        await self._begin_due()

    def _offer_failed(self) -> None:
        self._schedule.retry_offer()
        if self._proxy_trial.failed():
            self.check_in_now()

    def _offer_settled(self) -> None:
        self._schedule.offer_settled()
        self._proxy_trial.worked()

    async def _begin_due(self) -> None:
        """Begin what is offered if its time has come; else say why it waits."""
        before, offer = self._wait.reason, self._wait.due()
        if offer is not None and self._taken is not None:
            await self._take_offer(self._taken)
        elif self._wait.reason != before:
            self._journal.write("update-waits", reason=self._wait.reason.code, until=self._wait.reason.until)

    async def _take_offer(self, taken: TakenOffer) -> None:
        """Install an offer; a device that is open for development takes its OS alone."""
        wanted: Offer | None = taken.offer
        if not self._takes_deployments():
            self._journal.write("update-held-back", offer_id=taken.offer.offer_id, reason="application development")
            self._wait.say("development")
            wanted = only_system(taken.offer)
        if wanted is not None:
            async with self.changes:
                await self._install(wanted, taken)

    async def _install(self, offer: Offer, taken: TakenOffer) -> None:
        """Install the offered bundle up to the switch, and start the trial; a new OS waits for the restart."""
        running = {run.application.image_id for run in self.supervisor.runs if run.running is not None}

        async def fetch(image: OfferedImage) -> bytes:
            return await self._artifacts.fetch(image, taken.fetch)

        if self._installer.state is InstallState.IDLE:
            with contextlib.suppress(DataFolderError):  # then the OS is judged by all that fails
                self._refusals.keep()
        begun = await self._installation.begin(offer, fetch=fetch, running=running, check_room=taken.check_room)
        if begun in (Begun.REFUSED, Begun.SWITCHED):
            with contextlib.suppress(DataFolderError):  # the next offer tries again
                taken.settled()
        if begun is Begun.POSTPONED:
            self._offer_failed()
        else:
            self._offer_settled()
        if begun in (Begun.REFUSED, Begun.UNDER_WAY):
            self.check_in_now()
        elif begun is Begun.SWITCHED:
            await self.run_active()
            if self._installer.record.trial is None:
                self.check_in_now()  # removals only: confirmed already

    async def _judge_trial(self) -> float:
        """Settle a trial if it can be settled; returns seconds until it has to be looked at again."""
        record = self._installer.record
        trial = record.trial
        if trial is None:
            return float("inf")
        started, rules = trial_time(self._sandbox, self._trial_started, self._settings.trial)
        verdict = judge(
            self._health([image for image in record.active if image.image_id in trial.watched]),
            started=started,
            contact=self._schedule.contact,
            now=self._clock.monotonic(),
            rules=rules,
            with_os=record.system_on_trial,
            refusal=self._refusals.of_trial(trial) if record.os_on_trial else None,
        )
        if isinstance(verdict, Keep):
            self._installer.confirm()
            self._journal.write("update-confirmed", images=[i.name for i in self._installer.record.active])
            self.check_in_now()
            return float("inf")
        if isinstance(verdict, TakeBack):
            return await self._take_back(verdict) or float("inf")
        if verdict.needs_contact and not self._contact_asked:
            self._contact_asked = True
            self.check_in_now()
        return verdict.seconds

    def _health(self, images: Sequence[SlotImage]) -> tuple[ApplicationHealth, ...]:
        """Health of the images that should run; one that was not even loaded counts as not startable."""
        runs = self.supervisor.health({image.image_id for image in images})
        loaded = {run.application.image_id for run in self.supervisor.runs}
        missing = (image for image in images if image.kind is Kind.APPLICATION and image.image_id not in loaded)
        return runs + tuple(
            ApplicationHealth(image.name, None, 0, "its package is not acceptable") for image in missing
        )

    async def _take_back(self, verdict: TakeBack) -> float:
        """End the trial and run what is in force; returns after how many seconds to ask again if it stays on trial."""
        again_s = self._taking_back.settle(verdict, is_reached=self._schedule.contact is not None)
        if not again_s:
            await self.run_active()
            self.check_in_now()
        return again_s

    def _launch(self, application: Application) -> Launch:
        return self._store.launch(
            application, hub=self._check_ins.hub, device_authentication=self._check_ins.daa.folder
        )

    def _crashed(self, application: Application, state: MachineState) -> None:
        if self._check_ins.dumps is not None:
            try:
                self._check_ins.dumps.add(application.component_id, application.image_id, state)
            except ArmillaryError as error:  # the error report tells the crash; a full disk keeps no dump
                self._journal.write("crash-dump-not-kept", image_id=application.image_id, reason=error.message)

    def _report(self, incident: Incident) -> None:
        self._reports.add(incident)
        if not incident.event_type.endswith("Blocked"):  # these can be many: saved within FLUSH_S
            with contextlib.suppress(DataFolderError):  # the loop tries again and says so
                self._reports.flush()
        self._wake.set()

    def _states(self) -> dict[UUID, str]:
        return {run.application.image_id: run.state for run in self.supervisor.runs}

    def _remember(self, reply: CheckinReply) -> None:
        self.last_check_in = {
            "at": self._clock.now(),
            "accepted": True,
            "verdict": reply.verdict,
            "purpose": reply.purpose,
            "next_check_in_s": reply.next_check_in_s,
            "steps": describe_steps(reply),
        }
        self._journal.write(
            "check-in",
            verdict=reply.verdict,
            purpose=reply.purpose,
            next_check_in_s=reply.next_check_in_s,
            failed_steps=[f"({step.number}) {step.name}" for step in reply.steps if step.result == "fail"],
            offered=offered_by(reply),
        )

    def _check_in_failed(self, error: ArmillaryError, retry_s: float) -> None:
        self.last_check_in = {
            "at": self._clock.now(),
            "accepted": False,
            "code": error.code,
            "message": error.message,
            "remedy": error.remedy,
        }
        self._journal.write("check-in-failed", code=error.code, reason=error.message, retry_s=round(retry_s, 1))
        self._publish_status("running")

    def _publish_status(self, state: str) -> None:
        record = self._installer.record
        hub = self._check_ins.hub
        runs = {run.application.image_id: run for run in self.supervisor.runs}
        self._publish(
            {
                "state": state,
                "time_is_signed": self._clock.signed,
                "last_check_in": self.last_check_in or None,
                "check_ins": self._schedule.attempts,
                "next_check_in_at": self._clock.now() + max(0, round(self._schedule.wait_s)),
                "certificate_expires_at": self._check_ins.daa.expires(),
                "hub": None if hub is None else f"{hub[0]}:{hub[1]}",
                "installation": self._installer.state.value,
                "os": self._os_status(record),
                "update": {
                    "reason": self._wait.reason.code,
                    "detail": self._wait.reason.detail,
                    "until": self._wait.reason.until,
                },
                "error_reports_waiting": len(self._reports),
                "crash_dumps_waiting": 0 if self._check_ins.dumps is None else len(self._check_ins.dumps),
                "applications": [
                    application_status(image, record, runs.get(image.image_id), self._check_ins.sandbox)
                    for image in record.applications
                ],
            }
        )

    def _os_status(self, record: InstallRecord) -> dict[str, object]:
        """Which OS is in force, from which slots, and whether it is on trial."""
        startup = self._check_ins.startup
        return {
            "version": startup.configuration.os_version,
            "abi": record.os.abi,
            "on_trial": record.system_on_trial,
            "slots": {place.name: record.os_slot(place.name) for place in startup.places},
        }
