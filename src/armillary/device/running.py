# SPDX-License-Identifier: Apache-2.0
"""The loop of a booted device: checks in, installs, judges trials, runs applications, writes the status.

One loop is the only writer of the device's state; everything else (applications, signals) only wakes it. Every
durable step is atomic on flash, so ``kill -9`` at any time is a power cut and the next start goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from armillary.device.applications.admission import APPLICATION, Application
from armillary.device.applications.applications import ApplicationStore
from armillary.device.applications.supervisor import Supervisor
from armillary.device.checkin.checkin import CheckIns, describe_steps
from armillary.device.checkin.schedule import CheckInSchedule
from armillary.device.state.journal import Journal
from armillary.device.state.reports import Incident
from armillary.engines.sandbox.port import Launch, Sandbox
from armillary.errors import ArmillaryError, DataFolderError, InstallError
from armillary.update.plan import InstallPlan, plan_install
from armillary.update.record import SlotImage
from armillary.update.transaction import InstallState
from armillary.update.trial import DEFAULT_RULES, ApplicationHealth, Keep, TakeBack, TrialRules, judge
from armillary.wire.device.checkin import CheckinReply, Offer

RETRY_FIRST_S = 2.0
RETRY_LIMIT_S = 300.0  # a device that lost its service looks for it every five minutes at least
FLASH_RETRY_S = 1.0  # a disk that is full is looked at again this often
FLUSH_S = 1.0  # error reports counted in memory reach flash within this time


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """Times of one device process; waits in seconds, the first and the longest after failed check-ins.

    ``trial`` says when a new set of images is confirmed or taken back.
    """

    trial: TrialRules = DEFAULT_RULES
    retry_first_s: float = RETRY_FIRST_S
    retry_limit_s: float = RETRY_LIMIT_S


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
        publish: Callable[[Mapping[str, object]], None],
        takes_deployments: Callable[[], bool] = lambda: True,
        after_check_in: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._settings = settings
        self._check_ins = check_ins
        self._installer = check_ins.installer
        self._reports = check_ins.reports
        self._clock = check_ins.clock
        self._store = store
        self._journal = journal
        self._publish = publish
        self._takes_deployments = takes_deployments
        self._after_check_in = after_check_in
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._schedule = CheckInSchedule(
            self._clock.monotonic, retry_first_s=settings.retry_first_s, retry_limit_s=settings.retry_limit_s
        )
        self._trial_started = 0.0
        self._contact_asked = False
        self._last_check_in: dict[str, object] = {}
        self._supervisor = Supervisor(
            sandbox,
            launch=self._launch,
            journal=journal,
            report=self._report,
            changed=self._wake.set,
            monotonic=self._clock.monotonic,
        )

    def check_in_now(self) -> None:
        """Check in as soon as possible; again if a check-in is under way, which may have begun before the reason."""
        self._schedule.ask()
        self._wake.set()

    def stop(self) -> None:
        """End :meth:`run`."""
        self._stopped.set()

    async def run(self) -> None:
        """Work until :meth:`stop`; applications are stopped and reports are durable when it returns."""
        loop = asyncio.create_task(self._loop(), name="device loop")
        stopped = asyncio.create_task(self._stopped.wait(), name="device stop")
        try:
            await asyncio.wait({loop, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended_by_itself = loop.done()
            for task in (loop, stopped):
                task.cancel()
            await asyncio.gather(loop, stopped, return_exceptions=True)
            await self._supervisor.stop()
            with contextlib.suppress(DataFolderError):
                self._reports.flush()
            self._publish_status("stopped")
        if ended_by_itself:
            loop.result()  # a defect ended the loop: let it be seen

    async def _loop(self) -> None:
        await self._run_active(only_ready=True)
        await self._check_in()
        await self._run_active()
        while True:
            self._wake.clear()
            trial_wait_s = await self._settle()
            wait_s = self._schedule.wait_s
            if wait_s <= 0:
                await self._check_in()
                continue
            self._publish_status("running")
            await self._sleep(min(wait_s, trial_wait_s, FLUSH_S if self._reports.unsaved else wait_s))

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

    async def _run_active(self, *, only_ready: bool = False) -> None:
        """Run the applications of the record in force.

        With ``only_ready``, those that wait for their certificate are left for after the first check-in.
        """
        loaded = await asyncio.to_thread(self._store.load, self._installer.record)
        for name, reason in loaded.failures:
            self._journal.write("application-refused", name=name, reason=reason)
        if loaded.failures and self._installer.record.trial is not None:
            with contextlib.suppress(DataFolderError):  # then the loop takes it back: what was not loaded never runs
                await self._take_back(f"{loaded.failures[0][0]}: {loaded.failures[0][1]}")
            return
        applications = [
            application
            for application in loaded.applications
            if not only_ready or self._certified or application.grant.device_authentication is None
        ]
        await self._supervisor.run_set(applications)
        self._trial_started = self._clock.monotonic()
        self._contact_asked = False
        self._supervisor.begin_watch()

    async def _check_in(self) -> None:
        """Check in and act on the reply; plan the next time."""
        had_certificate, old_hub = self._check_ins.daa.ready, self._check_ins.hub
        self._schedule.begin()
        try:
            reply = await self._check_ins.check_in(states=self._states())
        except ArmillaryError as error:
            self._check_in_failed(error, self._schedule.failed(error))
            return
        self._schedule.succeeded(reply.next_check_in_s)
        self._remember(reply)
        self._publish_status("running")
        if had_certificate and not self._check_ins.daa.ready:
            self._journal.write("certificate-withdrawn", verdict=reply.verdict)
            await self._restart_certified()
        elif had_certificate and old_hub is not None and old_hub != self._check_ins.hub:
            self._journal.write("hub-moved", host=reply.hub_host, port=reply.hub_port)
            await self._restart_certified()
        if reply.offer is not None and not self._takes_deployments():
            self._journal.write("update-held-back", offer_id=reply.offer.offer_id, reason="application development")
        elif reply.offer is not None:
            await self._install(reply.offer)
        if self._after_check_in is not None:
            await self._after_check_in()

    async def _restart_certified(self) -> None:
        """Restart applications whose certificate or hub address is out of date."""
        await self._supervisor.restart(lambda application: application.grant.device_authentication is not None)

    @property
    def _certified(self) -> bool:
        """Whether an application that speaks to the hub has what it needs."""
        return self._check_ins.daa.ready and self._check_ins.hub is not None

    async def _install(self, offer: Offer) -> None:
        """Install the offered set of images: fetch and check all, stage, switch, start the trial."""
        if self._installer.state is not InstallState.IDLE:
            return  # a trial is under way or its outcome is on its way: the service offers again
        plan: InstallPlan | None = None
        try:
            plan = plan_install(self._installer.record, offer)
            if plan is None:
                return
            self._journal.write("update-offered", offer_id=offer.offer_id, images=[i.name for i in offer.images])
            packages = await self._fetch(plan)
            await asyncio.to_thread(self._store.admit_set, plan, packages)
            self._installer.stage(plan, packages)
            self._installer.switch(plan)
        except InstallError as error:
            self._journal.write("update-refused", offer_id=offer.offer_id, reason=error.message)
            if plan is not None:
                self._installer.refuse(plan, error.message)
                self.check_in_now()
            return
        except ArmillaryError as error:  # the download did not finish: the next check-in offers it again
            self._journal.write("update-postponed", offer_id=offer.offer_id, reason=error.message)
            self._schedule.retry_offer()
            return
        self._journal.write(
            "update-started", offer_id=offer.offer_id, images=[staged.target.name for staged in plan.fetch]
        )
        await self._run_active()
        if self._installer.record.trial is None:
            self.check_in_now()  # removals only: confirmed already

    async def _fetch(self, plan: InstallPlan) -> dict[UUID, bytes]:
        self._store.check_room(plan)
        return {
            staged.target.image_id: await self._check_ins.endpoint.download(staged.offered) for staged in plan.fetch
        }

    async def _judge_trial(self) -> float:
        """Settle a trial if it can be settled; returns seconds until it has to be looked at again."""
        trial = self._installer.record.trial
        if trial is None:
            return float("inf")
        new = [image for image in self._installer.record.active if image not in trial.previous]
        verdict = judge(
            self._health(new),
            started=self._trial_started,
            contact=self._schedule.contact,
            now=self._clock.monotonic(),
            rules=self._settings.trial,
        )
        if isinstance(verdict, Keep):
            self._installer.confirm()
            self._journal.write("update-confirmed", images=[i.name for i in self._installer.record.active])
            self.check_in_now()
            return float("inf")
        if isinstance(verdict, TakeBack):
            await self._take_back(verdict.reason)
            return float("inf")
        if verdict.needs_contact and not self._contact_asked:
            self._contact_asked = True
            self.check_in_now()
        return verdict.seconds

    def _health(self, images: Sequence[SlotImage]) -> tuple[ApplicationHealth, ...]:
        """Health of the images that should run; one that was not even loaded counts as not startable."""
        runs = self._supervisor.health({image.image_id for image in images})
        loaded = {run.application.image_id for run in self._supervisor.runs}
        missing = (image for image in images if image.image_type == APPLICATION and image.image_id not in loaded)
        return runs + tuple(
            ApplicationHealth(image.name, None, 0, "its package is not acceptable") for image in missing
        )

    async def _take_back(self, reason: str) -> None:
        """Revert the trial, report it, run the previous set."""
        names = ", ".join(image.name for image in self._installer.record.active)
        self._installer.revert(reason)
        self._journal.write("update-reverted", reason=reason)
        self._report(
            Incident(event_type="InstallReverted", event_class="OS", description=f"InstallReverted ({names}): {reason}")
        )
        await self._run_active()
        self.check_in_now()

    def _launch(self, application: Application) -> Launch:
        return self._store.launch(
            application, hub=self._check_ins.hub, device_authentication=self._check_ins.daa.folder
        )

    def _report(self, incident: Incident) -> None:
        self._reports.add(incident)
        if incident.event_type != "ConnectionBlocked":  # these can be many: saved within FLUSH_S
            with contextlib.suppress(DataFolderError):  # the loop tries again and says so
                self._reports.flush()
        self._wake.set()

    def _states(self) -> dict[UUID, str]:
        return {run.application.image_id: run.state for run in self._supervisor.runs}

    def _remember(self, reply: CheckinReply) -> None:
        self._last_check_in = {
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
            offer_id=None if reply.offer is None else reply.offer.offer_id,
        )

    def _check_in_failed(self, error: ArmillaryError, retry_s: float) -> None:
        self._last_check_in = {
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
        daa = self._check_ins.daa
        hub = self._check_ins.hub
        self._publish(
            {
                "state": state,
                "time_is_signed": self._clock.signed,
                "last_check_in": self._last_check_in or None,
                "check_ins": self._schedule.attempts,
                "next_check_in_at": self._clock.now() + max(0, round(self._schedule.wait_s)),
                "certificate_expires_at": daa.expires(),
                "hub": None if hub is None else f"{hub[0]}:{hub[1]}",
                "installation": self._installer.state.value,
                "error_reports_waiting": len(self._reports),
                "applications": [
                    {
                        "name": image.name,
                        "component_id": str(image.component_id),
                        "image_id": str(image.image_id),
                        "slot": image.slot,
                        "state": self._states().get(image.image_id, "stopped"),
                        "on_trial": record.trial is not None and image not in record.trial.previous,
                    }
                    for image in record.active
                ],
            }
        )
