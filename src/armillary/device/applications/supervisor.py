# SPDX-License-Identifier: Apache-2.0
"""Keeps applications running: start, restart with back-off, stop, and an error report for every exit.

An application is started again whenever it ends, as on Azure Sphere. The wait before a restart doubles from one
second to a minute and starts over after it ran for a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from armillary.device.applications.admission import Application
from armillary.device.applications.connection_counts import ConnectionCounts
from armillary.device.applications.crash_capture import CrashCapture
from armillary.device.applications.port import Deferrals, Interface, NoInterface, Run
from armillary.device.applications.storage_watch import watch
from armillary.device.boot.late_sandbox import until_it_holds
from armillary.device.state.backoff import Backoff
from armillary.device.state.journal import Journal
from armillary.device.state.reports import Incident
from armillary.engines.real_time.port import RealTimeCores
from armillary.engines.sandbox.port import (
    METHOD,
    AppEvent,
    CallsCrowded,
    ConnectionAttempt,
    ExitStatus,
    Launch,
    OutputLine,
    RunningApplication,
    Sandbox,
    ServerPort,
)
from armillary.errors import ArmillaryError, SandboxUnavailableError
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
# Protocols of refused attempts -> the event in the log; connection-blocked for all others.
_BLOCKED_EVENTS = {"listen": "listener-blocked", "listen-udp": "listener-blocked", METHOD: "capability-blocked"}
MEBIBYTE = 1024 * 1024
SIGNAL_CODE_UNKNOWN = 0  # a parent does not hear of it; Azure Sphere's form has a field for it


class ApplicationRun:
    """One application and the task that keeps it running."""

    def __init__(self, application: Application, core: str = "") -> None:
        self.application = application
        self.core = core  # what the core of a real-time application is; "" for a high-level one
        self.running: RunningApplication | None = None
        self.running_since: float | None = None
        self.exits = 0
        self.start_failure: str | None = None
        self.capture = CrashCapture(application)  # of the present run
        self.connections = ConnectionCounts()  # of all its runs
        self.is_debugged = False  # whether it was started for a debugger
        self._listeners: list[Callable[[OutputLine], None]] = []
        self.hung = asyncio.Event()  # the present run is to be ended
        self.hang_reason = ""  # why, once it is
        self.task: asyncio.Task[None] | None = None

    def listen(self, hear: Callable[[OutputLine], None]) -> Callable[[], None]:
        """Have somebody hear what it prints, until the function that is returned is called."""
        self._listeners.append(hear)
        return lambda: self._listeners.remove(hear)

    def tell(self, line: OutputLine) -> None:
        """Tell those who listen what it has printed."""
        for hear in tuple(self._listeners):
            hear(line)

    @property
    def state(self) -> str:
        """``running``, ``stopped`` (between two runs) or ``failed`` (cannot be started)."""
        if self.running is not None:
            return "running"
        return "failed" if self.start_failure is not None else "stopped"


class Supervisor:
    """Runs a set of applications.

    ``launch`` extracts an application's image and finds its folders; ``journal`` gets starts, exits, output and blocked
    connections; ``changed`` is called after every start and exit, so that a trial can be judged, and when an
    application puts off updates, of which ``deferrals`` hears; ``monotonic`` gives seconds that are never set;
    ``crashed`` gets what was captured of native crashes; ``interface`` gives each run its application interface;
    ``cores`` runs real-time applications.
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
        interface: Interface | None = None,
        cores: RealTimeCores | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._cores = cores
        self._launch = launch
        self._journal = journal
        self._report = report
        self._changed = changed
        self._monotonic = monotonic
        self._deferrals = deferrals
        self._crashed = crashed
        self._interface = interface or NoInterface()
        self._runs: dict[UUID, ApplicationRun] = {}
        self._halted: set[UUID] = set()  # images that a person has stopped

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
                run = ApplicationRun(application, self._core_of(application))
                if image_id not in self._halted:
                    self._begin(run)
            self._runs[image_id] = run

    async def halt(self, image_id: UUID) -> None:
        """Stop an application; it stays so until it is resumed, replaced by another image, or the device restarts."""
        self._halted.add(image_id)
        run = self._runs.get(image_id)
        if run is not None and run.task is not None:
            await self._stop(run)
            run.task = None

    def resume(self, image_id: UUID, *, debugged: bool = False) -> None:
        """Run an application that was halted; for a debugger no crash is captured, and no watchdog ends it."""
        self._halted.discard(image_id)
        run = self._runs.get(image_id)
        if run is not None:
            run.is_debugged = debugged
        if run is not None and run.task is None:
            self._begin(run)

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

    def _core_of(self, application: Application) -> str:
        return self._cores.kind if application.grant.real_time and self._cores is not None else ""

    def _begin(self, run: ApplicationRun) -> None:
        run.task = asyncio.create_task(self._keep_running(run), name=f"application {run.application.name}")

    async def _stop(self, run: ApplicationRun) -> None:
        if run.task is not None:
            run.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await run.task
        self._journal.write("application-stopped", name=run.application.name, image_id=run.application.image_id)

    async def _keep_running(self, run: ApplicationRun) -> None:
        backoff = Backoff(RESTART_FIRST_S, RESTART_LIMIT_S)
        application = run.application
        await until_it_holds(self._sandbox)
        while True:
            started = self._monotonic()
            status = await self._run_once(run)
            if status is not None:
                run.exits += 1
                crash = run.capture.record(status)
                self._report(describe(application, status, crash, run.hang_reason, run.core))
                if status.state is not None:
                    self._crashed(application, status.state)
                self._journal.write(
                    "application-exited",
                    name=application.name,
                    image_id=application.image_id,
                    exit_code=status.exit_code,
                    signal=status.signal,
                    **_used(status),
                    **_core_words(run.core, status),
                )
            if self._monotonic() - started >= STABLE_S:
                backoff.succeeded()
            self._changed()
            await asyncio.sleep(backoff.failed())

    async def _run_once(self, run: ApplicationRun) -> ExitStatus | None:
        """Start, wait for the end; None when it could not be started. Cancelled: stop it first."""
        run.capture, run.hang_reason = CrashCapture(run.application), ""
        run.hung = hung = asyncio.Event()
        seen = Run(
            application=run.application,
            on_event=lambda event: self._on_event(run, event),
            end=lambda reason: self._end_hung(run, hung, reason),
            defer=lambda minutes: self._defer(run.application, minutes),
            pid=lambda: None if run.running is None else run.running.pid,
            usage=lambda: None if run.running is None else run.running.usage(),
            restart_peak=lambda: run.running is not None and run.running.restart_memory_peak(),
        )
        async with self._interface.open(seen) as interface:
            return await self._run_with(run, interface)

    async def _run_with(self, run: ApplicationRun, interface: Path | None) -> ExitStatus | None:
        """As :meth:`_run_once`, with an interface that is open meanwhile."""
        application = run.application
        try:
            launch = await asyncio.to_thread(self._launch, application)
            running = await self._start(replace(launch, interface=interface, debugged=run.is_debugged), run)
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
            "application-started",
            name=application.name,
            image_id=application.image_id,
            pid=running.pid,
            **_core_words(run.core),
        )
        self._changed()
        watching = asyncio.create_task(self._watch_storage(run, launch))
        try:
            return await _end_of(running, run.hung)
        except asyncio.CancelledError:
            await running.stop(STOP_GRACE_S)
            raise
        finally:
            watching.cancel()
            self._journal.end_output(application.name)
            run.running, run.running_since = None, None
            self._deferrals.forget(application.component_id)

    async def _watch_storage(self, run: ApplicationRun, launch: Launch) -> None:
        if self._sandbox.name != "process":  # which encloses nothing
            await watch(launch, lambda over: self._end_full(run, launch, over=over))

    def _end_full(self, run: ApplicationRun, launch: Launch, *, over: bool) -> None:
        """End a run whose mutable storage has crossed its quota: the next may remove only, or write again."""
        application, quota_kb = run.application, launch.grant.mutable_storage_kb
        event = "storage-full" if over else "storage-free"
        self._journal.write(event, name=application.name, image_id=application.image_id, quota_kb=quota_kb)
        if over:
            self._report(storage_full(application, quota_kb))
        run.hung.set()

    def _end_hung(self, run: ApplicationRun, hung: asyncio.Event, reason: str) -> None:
        """End a run that does not answer any more; nothing if it is over."""
        if run.running is not None and run.hung is hung and not hung.is_set() and not run.is_debugged:
            run.hang_reason = reason
            self._journal.write(
                "application-hung", name=run.application.name, image_id=run.application.image_id, reason=reason
            )
            hung.set()

    async def _start(self, launch: Launch, run: ApplicationRun) -> RunningApplication:
        """Start; when cancelled meanwhile, let the start finish and stop what it started: nothing is left behind."""
        engine = self._cores if run.application.grant.real_time else self._sandbox
        if engine is None:
            raise SandboxUnavailableError(f"{run.application.name}: nothing here runs real-time applications")
        starting = asyncio.ensure_future(engine.start(launch, lambda event: self._on_event(run, event)))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            with contextlib.suppress(ArmillaryError, OSError):
                await (await starting).stop(STOP_GRACE_S)
            raise

    def _on_event(self, run: ApplicationRun, event: AppEvent) -> None:
        application = run.application
        if isinstance(event, ServerPort):
            self._note_port(application, event)
        elif isinstance(event, OutputLine):
            run.capture.hear(event.stream, event.text)
            run.tell(event)
            self._journal.output(application.name, event.stream, event.text)
            self._hear(application, event)
        elif isinstance(event, CallsCrowded):
            self._journal.write("calls-crowded", name=application.name, waiting=event.waiting)
            self._report(crowded(application, event))
        else:
            run.connections.note(event)
            self._tell_refusal(application, event)

    def _tell_refusal(self, application: Application, event: ConnectionAttempt) -> None:
        if not event.allowed:
            self._journal.write(
                _BLOCKED_EVENTS.get(event.protocol, "connection-blocked"),
                name=application.name,
                host=event.host,
                port=event.port,
                protocol=event.protocol,
                count=event.count,
            )
            self._report(blocked(application, event))

    def _note_port(self, application: Application, event: ServerPort) -> None:
        """A server port was opened, or another program of this host has it: then it is in the report of errors too."""
        place = {"protocol": event.protocol, "address": event.address, "port": event.port}
        if not event.problem:
            self._journal.write("server-port-open", name=application.name, **place)
            return
        self._journal.write("server-port-failed", name=application.name, **place, reason=event.problem)
        self._report(port_failed(application, event))

    def _hear(self, application: Application, line: OutputLine) -> None:
        """What an application says to the device: that it puts off updates, where it may."""
        if line.stream != "stdout" or deferral.CAPABILITY not in application.grant.privileges:
            return
        minutes = deferral.asked_minutes(line.text)
        if minutes is not None:
            self._defer(application, minutes)

    def _defer(self, application: Application, minutes: int) -> None:
        self._journal.write("update-deferred", name=application.name, minutes=minutes)
        self._deferrals.defer(application.component_id, minutes)
        self._changed()


async def _end_of(running: RunningApplication, hung: asyncio.Event) -> ExitStatus:
    """Wait for the end of a run, or make it when it hangs."""
    ended = asyncio.ensure_future(running.wait())
    hanging = asyncio.ensure_future(hung.wait())
    try:
        await asyncio.wait({ended, hanging}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            with contextlib.suppress(TimeoutError):  # it was killed, and ends once the kernel lets it go
                return await running.stop(STOP_GRACE_S)
        return await ended
    finally:
        ended.cancel()
        hanging.cancel()


def describe(
    application: Application,
    status: ExitStatus,
    crash: CrashRecord | None = None,
    hang_reason: str = "",
    core: str = "",
) -> Incident:
    """The error report of an exit, in Azure Sphere's literal forms, and what was captured of it.

    Of a real-time application it says what its ``core`` is, and how it stopped.
    Of a run that the watchdog ended, or that ran out of its memory, it says so after what Azure Sphere would say.
    """
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
    if core:
        fault = "" if status.core is None else f"; {status.core.describe()}"
        description = f"{description[:-1]}; core={core}{fault})"
    if hang_reason:
        description = f"{description[:-1]}; watchdog={hang_reason})"
    if status.usage is not None and status.usage.killed_for_memory:
        most = application.grant.limits.memory_bytes // MEBIBYTE
        description = f"{description[:-1]}; memory=out of memory: it reached its limit of {most} MiB)"
    return Incident(
        event_type=event_type, description=description, component_id=component_id, image_id=image_id, crash=crash
    )


def _core_words(core: str, status: ExitStatus | None = None) -> dict[str, object]:
    """What the journal says of the core of a real-time application."""
    if not core:
        return {}
    fault = None if status is None else status.core
    return {"core": core} if fault is None else {"core": core, "fault": fault.describe()}


def _used(status: ExitStatus) -> dict[str, object]:
    """What the journal says of a run that its control groups counted."""
    if status.usage is None:
        return {}
    names = ("memory_peak_bytes", "killed_for_memory", "processes_refused")
    return {name: value for name in names if (value := getattr(status.usage, name)) is not None}


def blocked(application: Application, attempt: ConnectionAttempt) -> Incident:
    """The error report of a refused connection, listener or method: what it wanted and is not allowed."""
    event_type = "ListenerBlocked" if attempt.protocol in LISTENS else "ConnectionBlocked"
    if attempt.protocol == METHOD:
        event_type, place = "CapabilityBlocked", f"method {attempt.host}"
    elif attempt.protocol in LISTENS:
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


def storage_full(application: Application, quota_kb: int) -> Incident:
    """The error report of an application that wrote more to its mutable storage than it was granted."""
    ids = f"component_id={application.component_id}; image_id={application.image_id}"
    return Incident(
        event_type="StorageFull",
        description=f"StorageFull (quota {quota_kb} KiB; {ids}): it may remove, and write nothing until enough is gone",
        component_id=application.component_id,
        image_id=application.image_id,
    )


def port_failed(application: Application, event: ServerPort) -> Incident:
    """The error report of a declared server port that could not be opened."""
    place = f"{event.protocol} port {event.port} at {event.address}"
    ids = f"component_id={application.component_id}; image_id={application.image_id}"
    return Incident(
        event_type="ListenerFailed",
        description=f"ListenerFailed ({place}; {ids}): {event.problem}",
        component_id=application.component_id,
        image_id=application.image_id,
    )


def crowded(application: Application, event: CallsCrowded) -> Incident:
    """The error report of calls that failed because too many of all applications wait."""
    ids = f"component_id={application.component_id}; image_id={application.image_id}"
    return Incident(
        event_type="CallsCrowded",
        description=f"CallsCrowded ({event.waiting} calls of it wait; {ids}): connects fail with ENOBUFS",
        component_id=application.component_id,
        image_id=application.image_id,
    )


def _cannot_start(application: Application, reason: str) -> Incident:
    return Incident(
        event_type="AppStartFailure",
        description=f"{application.name} could not be started: {reason}",
        component_id=application.component_id,
        image_id=application.image_id,
    )
