# SPDX-License-Identifier: Apache-2.0
"""Data exports at work: each one follows its source, and moves its cursor when the other side has taken everything.

::

    source --read after the cursor--> whose? wanted? --enrich--> transform --deliver--> cursor moves (commit)
                                                                     |-- not now: again, later each time; nothing moves
                                                                     '-- never: dead letter, then the cursor moves

*At least once.* What was delivered and whose cursor had not moved when the service stopped is delivered again, with the
same ids. A destination that is down loses nothing as long as the source keeps it (``sources.py``); what was
deleted before its turn is counted as missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from armillary.engines.database.on_demand import OnDemand
from armillary.engines.documents.document import Document
from armillary.engines.documents.store import DocumentStore
from armillary.engines.exports.store import DeadBatch, ExportCursor, ExportStore
from armillary.engines.outbound.attempts import NeverError, NotNowError, backoff
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.engines.threads import in_thread
from armillary.errors import ArmillaryError
from armillary.platform.authored.groups import Groups
from armillary.platform.exports.destinations import open_destination
from armillary.platform.exports.limits import EnabledExports, enabled_first
from armillary.platform.exports.naming import RecordNaming
from armillary.platform.exports.port import DestinationPort, Outgoing
from armillary.platform.exports.replays import Replays
from armillary.platform.exports.sources import Sources, encode
from armillary.platform.templates.value_names import DeviceNaming
from armillary.twin.author.data_export import (
    DataExport,
    ExportRecord,
    batches,
    document_of,
    is_of_owner,
    is_wanted,
    needs_of_export,
    parse_export,
)
from armillary.twin.author.export_destination import DestinationKind
from armillary.twin.author.group import DeviceFacts, Group, Needs, is_member, needs_of_group, parse_group

if TYPE_CHECKING:
    from armillary.engines.exports.transform import Transform

# Entries of a source that are looked at together, and what goes out in one batch.
READ: Final = 500
BATCH_RECORDS: Final = 500
BATCH_BYTES: Final = 1 << 20
# How often a source is looked at when nothing came (seconds).
POLL_S: Final = 1.0
# When the disk gives nothing, it is tried again after this time (seconds).
TROUBLE_S: Final = 2.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ExportCounters:
    """What exports count since the start."""

    export_records: int = 0  # Records delivered
    export_failures: int = 0  # Attempts that failed and are made again
    export_dead: int = 0  # Records that were refused for good


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportStatus:
    """How an export is doing."""

    cursor: ExportCursor | None  # How far it is, and what it counted; None before it began
    newest: int  # Where its source is; ``behind`` is how many entries of the source it has not got to
    behind: int
    state: str  # ``disabled``, ``running``, ``waiting`` (an attempt failed) or ``stopped`` (see ``why``)
    why: str  # Why it is stopped or waits


class _Outlet:
    """The open destination and transform of one export, with a thread of its own: one that hangs delays no other."""

    def __init__(self, export_id: str) -> None:
        self.thread = ThreadPoolExecutor(1, f"hub-export-{export_id[:32]}")
        self.destination: DestinationPort | None = None
        self.transform: Transform | None = None

    def transformed(self, records: Sequence[Outgoing]) -> tuple[list[Outgoing], list[DeadBatch]]:
        """What the transform makes of records; those that it fails on are dead letters."""
        found: list[Outgoing] = []
        dead: list[DeadBatch] = []
        made = [] if self.transform is None else self.transform.apply([each.line for each in records])
        for record, (outputs, error) in zip(records, made, strict=True):
            if error:
                dead.append(_dead([record], f"the transform failed: {error}"))
            for number, line in enumerate(outputs):
                record_id = record.record_id if len(outputs) == 1 else f"{record.record_id}.{number}"
                found.append(Outgoing(line, record.device_id, record_id))
        return found, dead

    def deliver(self, records: Sequence[Outgoing], batch_id: str) -> list[DeadBatch]:
        """Deliver in batches; those that were refused for good."""
        dead: list[DeadBatch] = []
        at = 0
        for number, count in enumerate(batches([len(each.line) for each in records], BATCH_RECORDS, BATCH_BYTES)):
            batch = records[at : at + count]
            at += count
            try:
                if self.destination is not None:
                    self.destination.deliver(batch, f"{batch_id}-{number}")
            except NeverError as error:
                dead.append(_dead(batch if error.which is None else [batch[each] for each in error.which], str(error)))
        return dead

    def close(self) -> None:
        """Close destination, transform and thread; call it when nothing is being delivered."""
        if self.destination is not None:
            self.destination.close()
        if self.transform is not None:
            self.transform.close()
        self.thread.shutdown(wait=False)


class Exports:
    """Data exports at work."""

    def __init__(
        self,
        store: OnDemand[ExportStore],
        documents: DocumentStore,
        groups: Groups,
        naming: DeviceNaming,
        sources: Sources,
        hosts: AllowedHosts,
        folder: Path,
        clock: Callable[[], float],  # Unix time, seconds
    ) -> None:
        self._store = store
        self._documents = documents
        self._groups = groups
        self._naming = naming
        self._sources = sources
        self.hosts = hosts
        self._folder = folder
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._stopped: dict[str, str] = {}
        self.replays = Replays(store, documents, self.open_destination)
        self._counters = ExportCounters()
        self._woken = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    # For anybody, from any thread; they wait for the disk ---------------------------------------------------

    @property
    def store(self) -> ExportStore:
        """The file of cursors; made when first asked for."""
        return self._store.get()

    def folder_of(self, export_id: str) -> Path:
        """Where an export writes its files."""
        return self._folder / "exports" / export_id

    def status(self, document: Document) -> ExportStatus:
        """How an export is doing."""
        export = parse_export(document.content)
        cursor, newest = self.store.cursor(document.id), self._sources.newest(export.source)
        why = self._stopped.get(document.id, cursor.error if cursor is not None else "")
        state = "waiting" if why else "running"
        if not export.enabled:
            state = "disabled"
        elif document.id in self._stopped:
            state = "stopped"
        behind = max(0, newest - cursor.seq) if cursor is not None else 0
        return ExportStatus(cursor=cursor, newest=newest, behind=behind, state=state, why=why)

    def counts(self) -> dict[str, int]:
        """For metrics."""
        return {**dataclasses.asdict(self._counters), "exports_now": len(self._running) + len(self._ending)}

    # In the hub's loop --------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Continue every export at its cursor."""
        self._loop = asyncio.get_running_loop()
        if ExportStore.exists(self._folder):  # audit entries that a crash has left are moved
            await in_thread(self._store.get)
        self._documents.on_change.append(self._changed)
        self._looking = self._loop.create_task(self._look(), name="hub-exports")

    async def close(self) -> None:
        """Stop; what was delivered and not noted is delivered again by the next start."""
        self.replays.close()
        tasks = [] if self._looking is None else [self._looking]
        tasks += [task for _, task in self._running.values()] + list(self._ending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _changed(self, documents: Sequence[Document]) -> None:
        if any(each.kind in ("export", "group") for each in documents) and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._woken.set)

    async def _look(self) -> None:
        """Have one task for each enabled export, as its document and its group are now."""
        while True:
            self._woken.clear()
            try:
                await self._reconcile()
            except ArmillaryError as error:
                _log.error("hub.exports-not-looked-at", why=error.message)
                await asyncio.sleep(TROUBLE_S)
                continue
            await self._woken.wait()

    async def _reconcile(self) -> None:
        made = {each.id: each for each in await in_thread(lambda: self._documents.oldest_first("export"))}
        documents = [made[each] for each in enabled_first([*self._running, *self._ending], made)]
        enabled = EnabledExports()
        wanted: dict[str, tuple[str, DataExport, Group | None]] = {}
        self._stopped.clear()
        for document in documents:
            try:
                export = parse_export(document.content)
                mark, group = await in_thread(partial(self._group, export.group))
                if export.enabled:
                    enabled.take(export.catalog)
                    wanted[document.id] = (f"{document.etag} {mark}", export, group)
            except ArmillaryError as error:
                self._stopped[document.id] = error.message
        for export_id in [*self._running]:
            mark, task = self._running[export_id]
            if export_id not in wanted or wanted[export_id][0] != mark or task.done():
                task.cancel()
                del self._running[export_id]
                self._ending[export_id] = task  # until what it delivers just now is over: others do not wait for that
                task.add_done_callback(partial(self._ended, export_id))
        for export_id, (mark, export, group) in wanted.items():
            if export_id not in self._running and export_id not in self._ending:
                work = self._run(export_id, export, group)
                task = asyncio.get_running_loop().create_task(work, name=f"hub-export-{export_id}")
                self._running[export_id] = (mark, task)

    def _ended(self, export_id: str, task: asyncio.Task[None]) -> None:
        """It may begin anew, if it is still wanted."""
        if not task.cancelled():
            task.exception()  # seen: it is in the log
        self._ending.pop(export_id, None)
        self._woken.set()

    def _group(self, name: str | None) -> tuple[str, Group | None]:
        if name is None:
            return "", None
        document = self._documents.get("group", name)
        return document.etag, parse_group(document.content)

    async def _run(self, export_id: str, export: DataExport, group: Group | None) -> None:
        """Everything of one export; ends when it is changed or the hub closes."""
        outlet = _Outlet(export_id)
        try:
            while True:
                pause = TROUBLE_S
                try:
                    if outlet.destination is None:
                        outlet.destination = await in_thread(
                            lambda: self.open_destination(export_id, export), outlet.thread
                        )
                    if export.transform is not None and outlet.transform is None:
                        outlet.transform = await in_thread(lambda: _transform(export.transform or ""), outlet.thread)
                    pause = await self._step(export_id, export, group, outlet)
                except ArmillaryError as error:
                    self._stopped[export_id] = error.message
                    _log.error("hub.export-trouble", export=export_id, why=error.message)
                except Exception as fault:  # noqa: BLE001 - the outermost loop of an export: noted, and tried again
                    self._stopped[export_id] = f"a fault of this program ({type(fault).__name__})"
                    _log.exception("hub.export-fault", export=export_id)
                else:
                    self._stopped.pop(export_id, None)
                if pause:
                    await asyncio.sleep(pause)
        finally:
            outlet.close()

    async def _step(self, export_id: str, export: DataExport, group: Group | None, outlet: _Outlet) -> float:
        """One portion of the source; for how long there is nothing to do (seconds)."""
        cursor = await in_thread(lambda: self._cursor(export_id, export))
        now_ms = int(self._clock() * 1000)
        if cursor.due_ms > now_ms:
            return (cursor.due_ms - now_ms) / 1000
        portion = await in_thread(lambda: self._sources.read(export.source, cursor.seq, cursor.place, READ))
        if (portion.seq, portion.place) == (cursor.seq, cursor.place):
            return POLL_S
        chosen, of_owner = await in_thread(lambda: self._chosen(export, group, portion.records))
        own = portion.read if export.catalog is None else of_owner
        lines, failed = chosen, list[DeadBatch]()
        if outlet.transform is not None and chosen:
            lines, failed = await in_thread(lambda: outlet.transformed(chosen), outlet.thread)
        batch_id = f"{export_id}-{cursor.seq:012}-{cursor.place:06}"
        try:
            refused = await in_thread(lambda: outlet.deliver(lines, batch_id), outlet.thread)
        except NotNowError as error:
            self._counters.export_failures += 1
            wait_s = max(error.wait_s, backoff(cursor.failures))
            later = dataclasses.replace(
                cursor, failures=cursor.failures + 1, due_ms=now_ms + int(wait_s * 1000), error=str(error)
            )
            await in_thread(lambda: self.store.keep(export_id, later))
            return wait_s
        delivered = len(lines) - _count(refused)
        moved = dataclasses.replace(
            cursor,
            seq=portion.seq,
            place=portion.place,
            exported=cursor.exported + delivered,
            filtered=cursor.filtered + own - len(chosen),
            dead=cursor.dead + _count(failed + refused),
            missed=cursor.missed + portion.missed,
            failures=0,
            due_ms=0,
            error="",
            delivered_ms=now_ms if delivered else cursor.delivered_ms,
        )
        await in_thread(lambda: self.store.keep(export_id, moved, failed + refused, now_ms))
        self._counters.export_records += delivered
        self._counters.export_dead += _count(failed + refused)
        return 0.0

    def _cursor(self, export_id: str, export: DataExport) -> ExportCursor:
        cursor = self.store.cursor(export_id)
        if cursor is None:
            self._sources.begin(export.source)
            seq = (self._sources.beginning if export.from_beginning else self._sources.newest)(export.source)
            cursor = self.store.keep(export_id, ExportCursor(seq=seq))
        return cursor

    def _chosen(
        self, export: DataExport, group: Group | None, records: Sequence[ExportRecord]
    ) -> tuple[list[Outgoing], int]:
        """Records that go out, and how many there are of the catalog that the export is for."""
        needs = needs_of_export(export) | (Needs() if group is None else needs_of_group(group))
        ids = list(dict.fromkeys(each.device_id for each in records))
        known: dict[str, DeviceFacts] = {each.device_id: each for each in self._groups.facts(ids, needs)}
        naming = RecordNaming(self._naming)
        found: list[Outgoing] = []
        of_owner = 0
        for record in records:
            facts = known.get(record.device_id)
            of_owner += facts is not None and is_of_owner(export, record, facts)
            if facts is None or (group is not None and not is_member(group, facts)):
                continue
            if is_wanted(export, record, facts):
                named = naming.of(record) if export.names else {}
                line = encode(document_of(export, record, facts, named))
                found.append(Outgoing(line, record.device_id, record.id))
        return found, of_owner

    def open_destination(self, export_id: str, export: DataExport) -> DestinationPort:
        """Where an export goes, with its secret; whoever opens it closes it."""
        return open_destination(
            export.destination,
            # One that was there before goes to no place that was given without it (``operations.py``).
            secret=self.store.secret(export_id) if export.destination.options.get("signed") else None,
            allowed=self.hosts,
            folder=self.folder_of(export_id),
        )


def check_destination(allowed: AllowedHosts, export: DataExport) -> None:
    """Raise InvalidArgumentError if the setting of allowed hosts forbids a destination by its name."""
    from armillary.engines.outbound import webhook as rule_webhook  # noqa: PLC0415 - only with exports

    options = export.destination.options
    if export.destination.kind is DestinationKind.WEBHOOK:
        rule_webhook.check_url(options["url"], allowed)
    elif export.destination.kind is DestinationKind.S3:
        rule_webhook.check_url(options["endpoint"] + "/", allowed)
    elif export.destination.kind in (DestinationKind.MQTT, DestinationKind.KAFKA):
        scheme = "https" if options["tls"] else "http"
        servers = options.get("servers") or (f"{options['host']}:{options['port']}",)
        for server in servers:
            rule_webhook.check_url(f"{scheme}://{server}/", allowed)


def _transform(program: str) -> Transform:
    from armillary.engines.exports.transform import Transform  # noqa: PLC0415 - only with a transform

    return Transform(program)


def _dead(records: Sequence[Outgoing], why: str) -> DeadBatch:
    documents = [json.loads(each.line) for each in records]
    return DeadBatch(documents, [(each.device_id, each.record_id) for each in records], why)


def _count(dead: Sequence[DeadBatch]) -> int:
    return sum(len(each.records) for each in dead)
