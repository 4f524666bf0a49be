# SPDX-License-Identifier: Apache-2.0
"""Jobs at work: due ones begin, runs act on their devices, results are written down before the next ones begin.

::

    job document --due, or somebody says so--> run: the group's members, in batches
        --marked as running (commit)--> action --result (commit)--> the next ones ...
                                           '-- an update: waiting (commit) --looked at now and then--> result (commit)

*At least once.* A device is marked before anything is sent to it. When the service stops in between, nobody knows
whether the device was reached: after the start it is done again, and its result says ``repeated``. A command that must
not come twice has to bear that itself.

A device that has changed hands since the run began is skipped. Everything here but the actions runs in threads; the
loop is the hub's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from armillary.engines.database.on_demand import OnDemand
from armillary.engines.database.outbox import AuditEntry
from armillary.engines.documents.document import Document, not_found
from armillary.engines.documents.store import MAX_LIMIT, DocumentStore
from armillary.engines.jobs.devices import DeviceOutcome, DeviceResult
from armillary.engines.jobs.store import JobRun, JobStore
from armillary.engines.threads import in_thread
from armillary.errors import (
    ArmillaryError,
    ConflictError,
    DeviceOfflineError,
    DeviceTimeoutError,
    InvalidArgumentError,
    NotFoundError,
    RateLimitedError,
)
from armillary.platform.authored.documents import every
from armillary.platform.authored.groups import Groups
from armillary.platform.jobs.updates import JobUpdates
from armillary.platform.ports import Devices, Directory, Updates
from armillary.platform.templates.device_templates import DeviceTemplates
from armillary.twin.author.job import (
    ActionKind,
    DeviceState,
    Job,
    RunState,
    after_failure,
    next_due,
    parse_job,
    plan_run,
)

# Devices of one run, and actions of all runs under way at once.
MAX_DEVICES: Final = 1_000_000
MAX_UNDER_WAY: Final = 500
# How long the schedule sleeps at most (seconds): a clock may be set.
LOOK_EVERY_S: Final = 30.0
# Tries of one action that the hub is too busy for, a second apart; they count as one.
BUSY_TRIES: Final = 10
# Tries to change a device's document that others change at the same time.
CONFLICT_TRIES: Final = 5
# Devices of a run that are waited for are looked at this often (seconds), so many at a time; a run of a great many less
# often, so that looking takes a small part of the time: a second more for each so many.
WAITING_LOOK_S: Final = 5.0
WAITING_PAGE: Final = 500
WAITING_PER_SECOND: Final = 1000
# A run that met trouble is taken up again after this time (seconds).
TROUBLE_S: Final = 1.0

_log = structlog.get_logger(__name__)


class Jobs:
    """Jobs at work."""

    def __init__(
        self,
        store: OnDemand[JobStore],
        documents: DocumentStore,
        groups: Groups,
        directory: Directory,
        devices: Devices,
        templates: DeviceTemplates,
        updates: Updates,
        clock: Callable[[], float],  # Unix time, seconds
    ) -> None:
        self._store = store
        self._documents = documents
        self._groups = groups
        self._directory = directory
        self._devices = devices
        self._templates = templates
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._schedule: asyncio.Task[None] | None = None
        self._runs: dict[int, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._under_way = 0
        self._places = asyncio.Semaphore(MAX_UNDER_WAY)
        self._updates = JobUpdates(devices.twins, directory, updates, self._now_ms)

    # For anybody, from any thread; they wait for the disk ---------------------------------------------------

    @property
    def store(self) -> JobStore:
        """The file of runs; made when first asked for."""
        return self._store.get()

    def begin(
        self,
        job_id: str,
        *,
        by: str,
        due: int | None = None,
        only_failed_of: int | None = None,
        only_skipped_of: int | None = None,
        within: str | None = None,
        entry: AuditEntry | None = None,
    ) -> JobRun:
        """Begin a run of a job, over its group or over the devices that an earlier run failed for or skipped.

        ``due`` is when a scheduled run was due, Unix seconds. With ``within`` only devices of this catalog take part,
        and the job has to be of it or of all catalogs. The audit entry's detail is made of the number
        of the run and how many devices it has.

        Raises:
            NotFoundError: no such job, group or run.
            ConflictError: a run of the job is under way.
            InvalidArgumentError: too many devices.
        """
        document = self._documents.get("job", job_id)
        job = parse_job(document.content)
        if self.store.is_under_way(job_id):
            raise ConflictError(
                f"job {job_id[:64]!a}: a run is under way", remedy="Wait for its end, or: armillary job cancel."
            )
        if within is not None and job.catalog is not None and job.catalog.lower() != within.lower():
            raise not_found("job", job_id)
        group = self._groups.get(job.group)
        narrowed = within if within is not None else job.catalog
        catalog = narrowed or group.catalog
        if only_failed_of is not None:
            devices = self._of_run(job_id, only_failed_of, DeviceState.FAILED)
        elif only_skipped_of is not None:
            devices = self._of_run(job_id, only_skipped_of, DeviceState.SKIPPED)
        else:
            devices = [each.device_id for each in self._groups.scan(group, catalog=narrowed)]
        if len(devices) > MAX_DEVICES:
            raise InvalidArgumentError(
                f"expected at most {MAX_DEVICES} devices, got {len(devices)}", remedy="Narrow the segment."
            )
        size = job.batch.devices(len(devices)) if job.batch is not None else MAX_DEVICES
        number = self.store.begin(
            job_id,
            document.content,
            devices,
            catalog=catalog,
            batch_size=size,
            by=by,
            due=due,
            now_ms=self._now_ms(),
            entry=entry,
        )
        self.wake()
        return self.store.run(job_id, number)

    def cancel(self, job_id: str, number: int, *, entry: AuditEntry | None = None) -> JobRun:
        """End a run: no other device begins; those under way still get their result. The audit entry is kept with it.

        Raises:
            NotFoundError, ConflictError: no such run; it has ended.
        """
        run = self.store.run(job_id, number)
        self.store.end(run.number, "cancelled", self._now_ms(), entry=entry)
        self.wake()
        return self.store.run(job_id, number)

    def forget(self, job_id: str) -> None:
        """Delete the runs of a job that is deleted: the next of its id may be somebody else's.

        Raises:
            ConflictError: one is under way.
        """
        if self._store.exists:
            self.check_idle(job_id)
            self.store.forget(job_id)

    def check_idle(self, job_id: str) -> None:
        """Raise ConflictError if a run of a job is under way."""
        if self._store.exists and self.store.is_under_way(job_id):
            raise ConflictError(f"job {job_id[:64]!a}: a run is under way", remedy="Cancel it first.")

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def counts(self) -> dict[str, int]:
        """For metrics: runs and devices under way."""
        return {"job_runs_now": len(self._runs), "job_devices_now": self._under_way}

    def wake(self) -> None:
        """Look soon; safe from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    # In the hub's loop --------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Continue the runs that were under way when the hub ended, and the schedule."""
        self._loop = asyncio.get_running_loop()
        if self._store.exists:
            lost = await in_thread(lambda: self.store.devices.recover(self._now_ms()))
            if lost:
                _log.warning("hub.job-devices-repeated", devices=lost)
        self._documents.on_change.append(self._changed)
        self._schedule = self._loop.create_task(self._look(), name="hub-jobs")

    async def close(self) -> None:
        """Stop; what is under way is done again by the next start."""
        tasks = [] if self._schedule is None else [self._schedule]
        tasks += [task for task, _ in self._runs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _wake(self) -> None:
        self._woken.set()
        for _, woken in self._runs.values():
            woken.set()

    def _changed(self, documents: Sequence[Document]) -> None:
        if any(each.kind == "job" for each in documents):
            self.wake()

    async def _look(self) -> None:
        while True:
            pause = LOOK_EVERY_S
            try:
                self._woken.clear()
                pause = await in_thread(self._begin_due)
                for run in await in_thread(self._unfinished):
                    if run.number not in self._runs:
                        self._drive_soon(run)
            except ArmillaryError as error:
                _log.error("hub.jobs-not-looked-at", why=error.message)
            except Exception:  # noqa: BLE001 - the outermost loop of the schedule: noted, and looked at again
                _log.exception("hub.jobs-fault")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()

    def _begin_due(self) -> float:
        """Begin what is due; seconds until the next."""
        now, pause = self._now_ms() // 1000, LOOK_EVERY_S
        for document in every(lambda after: self._documents.list("job", limit=MAX_LIMIT, after=after)):
            if document.content.get("start") is not None:
                pause = min(pause, self._begin_if_due(document, now))
        return pause

    def _begin_if_due(self, document: Document, now: int) -> float:
        try:
            job = parse_job(document.content)
            due = next_due(job, self.store.last_due(document.id), now)
            if due is None:
                return LOOK_EVERY_S
            if due > now:
                return float(due - now)
            self.begin(document.id, by="schedule", due=due)
        except ConflictError:
            return LOOK_EVERY_S  # the run before is still under way, perhaps for weeks; its end wakes
        except (NotFoundError, InvalidArgumentError) as error:
            _log.error("hub.job-not-begun", job=document.id, why=error.message)
        return LOOK_EVERY_S

    def _unfinished(self) -> list[JobRun]:
        return self.store.under_way() if self._store.exists else []

    def _of_run(self, job_id: str, number: int, state: DeviceState) -> list[str]:
        run, after, found = self.store.run(job_id, number), "", list[str]()
        while page := self.store.devices.results(run.number, state=state, after=after):
            found += [each.device_id for each in page]
            after = found[-1]
        return found

    def _drive_soon(self, run: JobRun) -> None:
        woken = asyncio.Event()
        task = asyncio.get_running_loop().create_task(self._drive(run, woken), name=f"hub-job-run-{run.number}")
        self._runs[run.number] = (task, woken)
        task.add_done_callback(lambda _: self._driven(run))

    def _driven(self, run: JobRun) -> None:
        self._runs.pop(run.number, None)
        self._woken.set()

    async def _drive(self, run: JobRun, woken: asyncio.Event) -> None:
        """Everything of one run, to its end."""
        active: set[asyncio.Task[DeviceOutcome]] = set()
        try:
            job = parse_job(run.definition)
            # Nobody else acts for this run: what is running was begun by somebody who was stopped.
            await in_thread(lambda: self.store.devices.recover(self._now_ms(), run.number))
            loop, look_at, updates = asyncio.get_running_loop(), 0.0, job.action.kind is ActionKind.UPDATE
            while True:
                woken.clear()
                if updates and loop.time() >= look_at:
                    waiting = await in_thread(lambda: self._look_at_waiting(run, job))
                    look_at = loop.time() + WAITING_LOOK_S + waiting / WAITING_PER_SECOND
                progress = await in_thread(lambda: self.store.progress(run.number))
                plan = plan_run(job, progress, self._now_ms())
                if plan.event is not None:
                    await self._end(run, plan.event)
                    continue
                if plan.start:
                    active |= await self._begin_actions(run, job, plan.start)
                if progress.state is not RunState.RUNNING and not active:
                    return
                pause = max(0.0, look_at - loop.time()) if updates else None
                active = await self._next(run, active, woken, plan.wake_ms, pause)
        except ArmillaryError as error:
            _log.error("hub.job-run-stopped", job=run.job_id, run=run.number, why=error.message)
            await asyncio.sleep(TROUBLE_S)  # the disk, mostly: the schedule picks the run up again
        except Exception:  # noqa: BLE001 - the outermost loop of a run: noted, and taken up again
            _log.exception("hub.job-run-fault", job=run.job_id, run=run.number)
            await asyncio.sleep(TROUBLE_S)
        finally:
            for task in active:
                task.cancel()

    def _look_at_waiting(self, run: JobRun, job: Job) -> int:
        """Write down what became of devices that are waited for; how many were looked at."""
        after, looked = "", 0
        while page := self.store.devices.results(
            run.number, state=DeviceState.WAITING, after=after, limit=WAITING_PAGE
        ):
            after, looked = page[-1].device_id, looked + len(page)
            outcomes = self._updates.look(job, page)
            if outcomes:
                self.store.devices.finish(run.number, outcomes, self._now_ms(), was=DeviceState.WAITING)
        return looked

    async def _end(self, run: JobRun, event: str) -> None:
        with contextlib.suppress(ConflictError):  # somebody cancelled it meanwhile
            await in_thread(lambda: self.store.end(run.number, event, self._now_ms()))

    async def _begin_actions(self, run: JobRun, job: Job, count: int) -> set[asyncio.Task[DeviceOutcome]]:
        """Mark devices as running, durably, then begin."""
        started = await in_thread(lambda: self.store.devices.start(run.number, count, self._now_ms()))
        ids = [each.device_id for each in started]
        known = await in_thread(lambda: self._directory.of(ids))
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[DeviceOutcome]] = set()
        for each in started:
            fields = known.get(each.device_id)
            owner = None if fields is None else str(fields.get("catalog") or "")
            stays = owner != "" if run.catalog is None else (owner or "").lower() == run.catalog.lower()
            tasks.add(loop.create_task(self._act(job, each, owner) if stays else _gone(each.device_id)))
        return tasks

    async def _next(
        self,
        run: JobRun,
        active: set[asyncio.Task[DeviceOutcome]],
        woken: asyncio.Event,
        wake_ms: int | None,
        pause: float | None,
    ) -> set[asyncio.Task[DeviceOutcome]]:
        """Wait for a result, a call or a time; results are written down. Returns what is still under way."""
        waiting = asyncio.ensure_future(woken.wait())
        timeout = None if wake_ms is None else max(0.0, (wake_ms - self._now_ms()) / 1000)
        if pause is not None:
            timeout = pause if timeout is None else min(timeout, pause)
        try:
            done, _ = await asyncio.wait({waiting, *active}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        outcomes = [task.result() for task in active if task in done]
        if outcomes:
            await in_thread(lambda: self.store.devices.finish(run.number, outcomes, self._now_ms()))
        return active - done

    async def _act(self, job: Job, device: DeviceResult, owner: str | None) -> DeviceOutcome:
        async with self._places:
            self._under_way += 1
            try:
                for last in range(BUSY_TRIES):
                    try:
                        return await self._once(job, device.device_id, owner)
                    except RateLimitedError as error:
                        if last == BUSY_TRIES - 1:
                            return self._failure(job, device, error)
                        await asyncio.sleep(1.0)
                    except (DeviceOfflineError, DeviceTimeoutError) as error:
                        return self._failure(job, device, error)
                    except ArmillaryError as error:  # no use in trying it again
                        return DeviceOutcome(device.device_id, "failed", answer=f"{error.code}: {error.message}")
                    except Exception as fault:  # noqa: BLE001 - the outermost loop of an action: noted as its result
                        _log.exception("hub.job-action-fault", device=device.device_id[:16])
                        why = f"a fault of this program ({type(fault).__name__})"
                        return DeviceOutcome(device.device_id, "failed", answer=why)
                raise AssertionError("the last try has returned")
            finally:
                self._under_way -= 1

    def _failure(self, job: Job, device: DeviceResult, error: ArmillaryError) -> DeviceOutcome:
        event = after_failure(job, device.attempts + 1)
        due_ms = self._now_ms() + job.retry_after_s * 1000
        return DeviceOutcome(device.device_id, event, answer=f"{error.code}: {error.message}", due_ms=due_ms)

    async def _once(self, job: Job, device_id: str, owner: str | None) -> DeviceOutcome:
        action = job.action
        if action.kind is ActionKind.UPDATE:
            return await in_thread(lambda: self._updates.begin(job, device_id, owner))
        if action.kind is ActionKind.COMMAND:
            result = await self._devices.invoke_method(
                device_id, action.command, action.payload, float(action.timeout_s)
            )
            answer = json.dumps(result.payload)
            event = "done" if 200 <= result.status < 300 else "failed"
            return DeviceOutcome(device_id, event, result.status, answer)
        if action.kind is ActionKind.SET_PROPERTY:
            twin = await asyncio.wrap_future(self._devices.twins.submit_desired(device_id, dict(action.properties)))
            return DeviceOutcome(device_id, "done", answer=json.dumps({"desired_version": twin.desired.version}))
        version = await in_thread(lambda: self._set_cloud(device_id, job))
        return DeviceOutcome(device_id, "done", answer=json.dumps({"document_version": version}))

    def _set_cloud(self, device_id: str, job: Job) -> int:
        by = f"job {job.name}"
        for _ in range(CONFLICT_TRIES):
            present = self._documents.find("device", device_id)
            body: dict[str, Any] = {} if present is None else dict(present.content)
            if body.get("template"):  # which knows what may be set
                self._templates.set_cloud(device_id, job.action.properties, by=by)
                return self._documents.get("device", device_id).version
            cloud = {**(body.get("cloud") or {}), **job.action.properties}
            body["cloud"] = {name: value for name, value in cloud.items() if value is not None}
            seen = "" if present is None else present.etag
            with contextlib.suppress(ConflictError):
                return self._documents.put("device", device_id, body, by=by, if_match=seen).version
        raise RateLimitedError(f"device {device_id[:16]}...: others change it all the time", retry_after_s=1)


async def _gone(device_id: str) -> DeviceOutcome:
    return DeviceOutcome(device_id, "gone", answer="the device is no longer the catalog's")
