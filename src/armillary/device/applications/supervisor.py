# SPDX-License-Identifier: Apache-2.0
"""Keeps applications running: start, restart with back-off, stop, and an error report for every exit.

An application is started again whenever it ends, as on Azure Sphere. The wait before a restart doubles from one
second to a minute and starts over after it ran for a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from typing import Protocol
from uuid import UUID

from armillary.device.applications.admission import Application
from armillary.device.applications.crash_capture import CrashCapture
from armillary.device.state.backoff import Backoff
from armillary.device.state.journal import Journal
from armillary.device.state.reports import Incident
from armillary.engines.sandbox.port import (
    AppEvent,
    ConnectionAttempt,
    ExitStatus,
    Launch,
    OutputLine,
    RunningApplication,
    Sandbox,
)
from armillary.errors import ArmillaryError
from armillary.update.install.trial import ApplicationHealth
from armillary.update.schedule import deferral
from armillary.wire.device.crash_dump import MachineState
from armillary.wire.device.crash_record import CrashRecord
from armillary.wire.device.error_report import describe_exit

STOP_GRACE_S = 5.0  # SIGTERM to SIGKILL; long enough to close a connection
RESTART_FIRST_S = 1.0
RESTART_LIMIT_S = 60.0
STABLE_S = 60.0  # after running so long the back-off starts over
# Protocols of refused listeners -> what they would have listened with.
LISTENS = {"listen": "tcp", "listen-udp": "udp"}
SIGNAL_CODE_UNKNOWN = 0  # a parent does not hear of it; Azure Sphere's form has a field for it


class ApplicationRun:
    """One application and the task that keeps it running."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.running: RunningApplication | None = None
        self.running_since: float | None = None
        self.exits = 0
        self.start_failure: str | None = None
        self.capture = CrashCapture(application)  # of the present run
        self.task: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        """``running``, ``stopped`` (between two runs) or ``failed`` (cannot be started)."""
        if self.running is not None:
            return "running"
        return "failed" if self.start_failure is not None else "stopped"


class Deferrals(Protocol):
    """What hears that applications put off updates (``device/checkin/update_wait.py``)."""

    def defer(self, component_id: UUID, minutes: int) -> None:
        """An application puts off updates for so long from now; 0 takes it back."""

    def forget(self, component_id: UUID) -> None:
        """An application has ended."""


class Supervisor:
    """Runs a set of applications.

    ``launch`` extracts an application's image and finds its folders; ``journal`` gets starts, exits, output and blocked
    connections; ``changed`` is called after every start and exit, so that a trial can be judged, and when an
    application puts off updates, of which ``deferrals`` hears; ``monotonic`` gives seconds that are never set;
    ``crashed`` gets what was captured of native crashes.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        launch: Callable[[Application], Launch],
        journal: Journal,
        report: Callable[[Incident], None],
        changed: Callable[[], None],
        monotonic: Callable[[], float],
        deferrals: Deferrals,
        crashed: Callable[[Application, MachineState], None],
    ) -> None:
        self._sandbox = sandbox
        self._launch = launch
        self._journal = journal
        self._report = report
        self._changed = changed
        self._monotonic = monotonic
        self._deferrals = deferrals
        self._crashed = crashed
        self._runs: dict[UUID, ApplicationRun] = {}

    @property
    def runs(self) -> Sequence[ApplicationRun]:
        """The set, in the order it was given."""
        return tuple(self._runs.values())

    async def run_set(self, applications: Sequence[Application]) -> None:
        """Make ``applications`` the running set: stops what is not in it, keeps what is, starts the rest."""
        wanted = {application.image_id: application for application in applications}
        leaving = [run for image_id, run in self._runs.items() if image_id not in wanted]
        await asyncio.gather(*(self._stop(run) for run in leaving))
        kept = {image_id: run for image_id, run in self._runs.items() if image_id in wanted}
        self._runs = {}
        for image_id, application in wanted.items():
            run = kept.get(image_id)
            if run is None:
                run = ApplicationRun(application)
                run.task = asyncio.create_task(self._keep_running(run), name=f"application {application.name}")
            self._runs[image_id] = run

    async def restart(self, choose: Callable[[Application], bool]) -> None:
        """Stop and start again the applications that ``choose`` picks (their certificate was withdrawn)."""
        kept = [run.application for run in self.runs if not choose(run.application)]
        everything = [run.application for run in self.runs]
        await self.run_set(kept)
        await self.run_set(everything)

    async def stop(self) -> None:
        """Stop everything."""
        await self.run_set(())

    def begin_watch(self) -> None:
        """Start counting exits anew: a trial begins."""
        for run in self._runs.values():
            run.exits = 0

    def health(self, images: Collection[UUID]) -> tuple[ApplicationHealth, ...]:
        """The health of these images (by image id), by which a trial is judged."""
        return tuple(
            ApplicationHealth(run.application.name, run.running_since, run.exits, run.start_failure)
            for run in self._runs.values()
            if run.application.image_id in images
        )

    async def _stop(self, run: ApplicationRun) -> None:
        if run.task is not None:
            run.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await run.task
        self._journal.write("application-stopped", name=run.application.name, image_id=run.application.image_id)

    async def _keep_running(self, run: ApplicationRun) -> None:
        backoff = Backoff(RESTART_FIRST_S, RESTART_LIMIT_S)
        application = run.application
        while True:
            started = self._monotonic()
            status = await self._run_once(run)
            if status is not None:
                run.exits += 1
                self._report(describe(application, status, run.capture.record(status)))
                if status.state is not None:
                    self._crashed(application, status.state)
                self._journal.write(
                    "application-exited",
                    name=application.name,
                    image_id=application.image_id,
                    exit_code=status.exit_code,
                    signal=status.signal,
                )
            if self._monotonic() - started >= STABLE_S:
                backoff.succeeded()
            self._changed()
            await asyncio.sleep(backoff.failed())

    async def _run_once(self, run: ApplicationRun) -> ExitStatus | None:
        """Start, wait for the end; None when it could not be started. Cancelled: stop it first."""
        application = run.application
        run.capture = CrashCapture(application)
        try:
            launch = await asyncio.to_thread(self._launch, application)
            running = await self._start(launch, run)
        except (ArmillaryError, OSError) as error:
            message = error.message if isinstance(error, ArmillaryError) else str(error)
            if run.start_failure != message:
                self._report(_cannot_start(application, message))
            run.start_failure = message
            self._journal.write(
                "application-not-started", name=application.name, image_id=application.image_id, reason=message
            )
            return None
        run.start_failure = None
        run.running, run.running_since = running, self._monotonic()
        self._journal.write(
            "application-started", name=application.name, image_id=application.image_id, pid=running.pid
        )
        self._changed()
        try:
            return await running.wait()
        except asyncio.CancelledError:
            await running.stop(STOP_GRACE_S)
            raise
        finally:
            run.running, run.running_since = None, None
            self._deferrals.forget(application.component_id)

    async def _start(self, launch: Launch, run: ApplicationRun) -> RunningApplication:
        """Start; when cancelled meanwhile, let the start finish and stop what it started: nothing is left behind."""
        starting = asyncio.ensure_future(self._sandbox.start(launch, lambda event: self._on_event(run, event)))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            with contextlib.suppress(ArmillaryError, OSError):
                await (await starting).stop(STOP_GRACE_S)
            raise

    def _on_event(self, run: ApplicationRun, event: AppEvent) -> None:
        application = run.application
        if not isinstance(event, ConnectionAttempt):
            run.capture.hear(event.stream, event.text)
            self._journal.write("output", name=application.name, stream=event.stream, text=event.text)
            self._hear(application, event)
        elif not event.allowed:
            self._journal.write(
                "listener-blocked" if event.protocol in LISTENS else "connection-blocked",
                name=application.name,
                host=event.host,
                port=event.port,
                protocol=event.protocol,
                count=event.count,
            )
            self._report(blocked(application, event))

    def _hear(self, application: Application, line: OutputLine) -> None:
        """What an application says to the device: that it puts off updates, where it may."""
        if line.stream != "stdout" or deferral.CAPABILITY not in application.grant.privileges:
            return
        minutes = deferral.asked_minutes(line.text)
        if minutes is not None:
            self._journal.write("update-deferred", name=application.name, minutes=minutes)
            self._deferrals.defer(application.component_id, minutes)
            self._changed()


def describe(application: Application, status: ExitStatus, crash: CrashRecord | None = None) -> Incident:
    """The error report of an exit, in Azure Sphere's literal forms, and what was captured of it."""
    component_id, image_id = application.component_id, application.image_id
    if status.signal is not None:
        event_type = "AppCrash"
        description = describe_exit(
            component_id,
            image_id,
            exit_status=status.signal,
            signal=status.signal,
            signal_code=SIGNAL_CODE_UNKNOWN if status.state is None else status.state.code,
        )
    else:
        event_type = "AppExit"
        description = f"AppExit (exit_code={status.exit_code}; component_id={component_id}; image_id={image_id})"
    return Incident(
        event_type=event_type, description=description, component_id=component_id, image_id=image_id, crash=crash
    )


def blocked(application: Application, attempt: ConnectionAttempt) -> Incident:
    """The error report of a refused connection or listener: what the application wanted and is not allowed."""
    event_type = "ListenerBlocked" if attempt.protocol in LISTENS else "ConnectionBlocked"
    if attempt.protocol in LISTENS:
        place = f"{LISTENS[attempt.protocol]} port {attempt.port} at {attempt.host}"
    elif attempt.protocol == "lookup":
        place = f"lookup of {attempt.host}"
    else:
        place = f"{attempt.protocol} connection to {attempt.host}:{attempt.port}"
    return Incident(
        event_type=event_type,
        description=f"{event_type} ({place}; component_id={application.component_id}; image_id={application.image_id})",
        component_id=application.component_id,
        image_id=application.image_id,
        count=attempt.count,
    )


def _cannot_start(application: Application, reason: str) -> Incident:
    return Incident(
        event_type="AppStartFailure",
        description=f"{application.name} could not be started: {reason}",
        component_id=application.component_id,
        image_id=application.image_id,
    )
