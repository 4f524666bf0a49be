# SPDX-License-Identifier: Apache-2.0
"""The watch: runs the detections over the records that came in since its last run, and keeps the findings.

How far it has read is recorded in the transaction that records what it found, so that a crash repeats nothing and loses
nothing. It starts no reaction: the planner reads findings as one of its inputs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import count as numbers
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    certificates as certificate_rows,
    check_ins as check_in_rows,
    devices as device_rows,
    findings as finding_rows,
    reports as report_rows,
)
from armillary.engines.records.schema.rows import CheckIn, Device, ErrorReportRow, Page, UnreadRefusal, UpdateOutcome
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise
from armillary.service.registry.outcome_names import Updated, updated
from armillary.service.watch import detections
from armillary.service.watch.detections import Observation
from armillary.service.watch.drops import Drops
from armillary.service.watch.heard_at_hub import HeardAtHub, of_shared_certificate
from armillary.wire.device.finding import KINDS, SEVERITIES, STATUSES, Finding

if TYPE_CHECKING:
    from armillary.service.watch.behaviour import Behaviour
    from armillary.service.watch.crash_groups import CrashGroups
    from armillary.service.watch.symbols import Symbols

# Rows read in one transaction, so that check-ins wait no longer than this takes to write.
STEP: Final = 500
# Certificates of the service are checked this often: they end in days, and many catalogs may have some.
ENDS_EVERY_S: Final = 3600
# Silence is checked so many times in the time after which a device is silent, and at most every minute: among a
# million devices a check takes half a second.
SILENCE_LOOKS: Final = 10
SILENCE_EVERY_S: Final = 60
# Silent devices named per run; the next run continues.
MAX_SILENT: Final = 1000

# Findings that one device may be named in by its own word: those that are not closed, and those of the last day. Beyond
# that its reports are only counted, in one finding. An honest device in trouble has a few.
MAX_FINDINGS_OF_DEVICE: Final = 32
DAY_S: Final = 86_400

Row = TypeVar("Row", CheckIn, ErrorReportRow, UpdateOutcome)
CountedRow = TypeVar("CountedRow", UnreadRefusal, ErrorReportRow)


class Watch:
    """Makes findings, lists them, and lets people acknowledge and close them."""

    def __init__(self, context: Context, wake: Callable[[], object] = lambda: None) -> None:
        self._context = context
        self.heard_at_hub = HeardAtHub(context, wake)
        self.drops = Drops({"hub": lambda: self.heard_at_hub.dropped, "behaviour": self._dropped_of_behaviour})
        self._looking = threading.Lock()
        self._silence_noted: frozenset[str] = frozenset()
        self._ending_noted: frozenset[str] = frozenset()
        self._ends_looked_at: int | None = None
        self._silence_looked_at: int | None = None
        self._most: int | None = None
        self.is_behind = False  # whether the last run has left something to read
        # Since when devices could check in: a device is not silent because the service was down.
        self.open_since = 0

    @cached_property
    def symbols(self) -> Symbols:
        """Symbols of builds, by which crashes get the names of functions."""
        from armillary.service.watch.symbols import Symbols  # noqa: PLC0415 - memory: where nothing crashes it is not used

        return Symbols(self._context)

    @cached_property
    def crashes(self) -> CrashGroups:
        """Crash groups."""
        from armillary.service.watch.crash_groups import CrashGroups  # noqa: PLC0415 - memory, as above

        return CrashGroups(self._context, self.symbols)

    @cached_property
    def behaviour(self) -> Behaviour:
        """What devices do, by window."""
        from armillary.service.watch.behaviour import Behaviour  # noqa: PLC0415 - memory, as above

        return Behaviour(self._context)

    # -- for people -----------------------------------------------------------------------------------------------

    def list(
        self,
        *,
        status: str | None = None,
        severity: str | None = None,
        kind: str | None = None,
        catalog: str | None = None,
        device_id: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[Finding]:
        """Findings, newest first; ``status`` may also be ``living`` (not closed)."""
        before = number_after(after)
        conditions = checked_conditions(status=status, severity=severity, kind=kind)

        def query(connection: Connection) -> Page[Finding]:
            if catalog is not None:
                conditions["catalog_id"] = catalog_or_raise(connection, catalog).catalog_id
            return finding_rows.page(
                connection, conditions=conditions, device_id=device_id, limit=bounded(limit), before=before
            )

        return self._context.records.read(query)

    def get(self, finding_id: UUID) -> Finding:
        """A finding; NotFoundError if there is none of this id."""
        return self._context.records.read(lambda c: _finding_or_raise(c, finding_id))

    def acknowledge(self, finding_id: UUID, *, actor: str) -> Finding:
        """Mark a finding as being dealt with: it no longer holds roll-outs."""
        return self._set(finding_id, "acknowledged", actor)

    def close(self, finding_id: UUID, *, actor: str) -> Finding:
        """Mark a finding as dealt with: the same observation opens a new one."""
        return self._set(finding_id, "closed", actor)

    def _set(self, finding_id: UUID, status: str, actor: str) -> Finding:
        def change(connection: Connection) -> Finding:
            found = _finding_or_raise(connection, finding_id)
            if found.status == "closed":
                raise ConflictError("the finding is closed", remedy="Seen again, it becomes a new finding.")
            finding_rows.set_status(connection, finding_id, status)
            self._context.audit(connection, actor, f"finding.{status}", str(finding_id), {"title": found.title})
            return _finding_or_raise(connection, finding_id)

        return self._context.records.write(change)

    # -- for other parts ------------------------------------------------------------------------------------------

    def observe(self, seen: Observation) -> Finding:
        """Record an observation that another part made, such as the monitor of the verifier."""
        return self._context.records.write(lambda c: record(c, seen, self._context.now()))

    def request_quarantine(self, device_id: str, said: Mapping[str, str]) -> None:
        """Record a platform rule's request to quarantine a device: see :func:`detections.of_quarantine_request`."""
        found = self._context.records.read(lambda c: device_rows.enrolled(c, device_id))
        catalog_id = None if found is None else found.catalog_id
        self.observe(detections.of_quarantine_request(device_id, catalog_id, said, self._context.now()))

    # -- the run --------------------------------------------------------------------------------------------------

    def run_once(self, most: int | None = None) -> int:
        """Read everything new; returns how many observations were recorded.

        With ``most`` only so many steps of each source: :attr:`is_behind` says whether there is more. So what acts on
        findings, and the planner, have their turn however much comes in.

        One run at a time: a caller that comes during another waits for it, and then reads what is new since.
        """
        with self._looking:
            self._most, self.is_behind = most, False
            seen = self._take_what_the_hub_heard()
            seen += self._follow("check_in", check_in_rows.refused_since, self._of_check_in)
            seen += self._follow_counted("refusal", report_rows.unread_refusals, self._of_refusal)
            seen += self._follow("error_report", report_rows.error_reports_since, self._of_report, self._group)
            seen += self._follow_counted("error_report", report_rows.unread_suppressions, self._of_report)
            seen += self._follow("outcome", report_rows.outcomes_since, self._of_outcome)
            seen += self._look_for_silence() + self._look_for_ends() + self._look_at_behaviour()
            return seen + self._look_at_drops()

    def _follow(
        self,
        source: str,
        read: Callable[..., Sequence[Row]],
        judge: Callable[[Connection, Row], Sequence[Observation | None]],
        count: Callable[[Sequence[Row], Connection], None] | None = None,
    ) -> int:
        """Judge the rows of a source after the noted position, a step at a time.

        ``count`` gets the rows in the transaction that notes the position, so that each is counted once.
        """
        seen = 0
        for _ in self._steps():

            def look(connection: Connection) -> tuple[int, int, Sequence[Observation], Sequence[Row]]:
                seen_before = finding_rows.position(connection, source)
                rows = read(connection, seen_before, limit=STEP)
                found = [one for row in rows for one in judge(connection, row) if one is not None]
                newest = rows[-1].number if len(rows) == STEP else report_rows.newest_number(connection, source)
                return seen_before, newest, found, rows

            seen_before, newest, found, rows = self._context.records.read(look)
            if newest <= seen_before:
                return seen
            also = None if count is None else partial(count, rows)
            if self._context.records.write(partial(self._keep, source, seen_before, newest, found, also)):
                seen += len(found)
        self.is_behind = True
        return seen

    def _follow_counted(
        self,
        table: str,
        read: Callable[..., Sequence[CountedRow]],
        judge: Callable[[Connection, CountedRow], Sequence[Observation | None]],
    ) -> int:
        """Judge what rows that are counted up have had since they were read, a step at a time."""
        seen = 0
        for _ in self._steps():

            def look(connection: Connection) -> tuple[dict[int, int], list[Observation]]:
                rows = read(connection, limit=STEP)
                found = [one for row in rows for one in judge(connection, row) if one is not None]
                return {row.number: row.count for row in rows}, found

            counts, found = self._context.records.read(look)
            if not counts:
                return seen
            if self._context.records.write(partial(self._keep_counted, table, counts, found)):
                seen += len(found)
            if len(counts) < STEP:
                return seen
        self.is_behind = True
        return seen

    def _steps(self) -> Iterator[int]:
        return iter(numbers() if self._most is None else range(self._most))

    def _keep_counted(
        self, table: str, counts: Mapping[int, int], found: Sequence[Observation], connection: Connection
    ) -> bool:
        """As :meth:`_keep`, for rows that are counted up: number -> how many were read."""
        if not report_rows.mark_read(connection, table, counts):
            return False
        for one in found:
            record(connection, one, self._context.now())
        return True

    def _keep(
        self,
        source: str,
        seen_before: int,
        last: int,
        found: Sequence[Observation],
        also: Callable[[Connection], None] | None,
        connection: Connection,
    ) -> bool:
        """Record what was found; False if another process has read these rows meanwhile: nothing is counted twice."""
        if finding_rows.position(connection, source) != seen_before:
            return False
        for one in found:
            record(connection, one, self._context.now())
        if also is not None:
            also(connection)
        finding_rows.set_position(connection, source, last)
        return True

    def _device(self, connection: Connection, device_id: str) -> Device | None:
        return device_rows.one(connection, device_id, **self._context.as_of)

    def _catalog_of(self, connection: Connection, device_id: str) -> UUID | None:
        device = self._device(connection, device_id)
        return None if device is None else device.catalog_id

    def _of_check_in(self, connection: Connection, row: CheckIn) -> Sequence[Observation | None]:
        if row.verdict == "attested":
            return []
        return [detections.of_check_in(row, self._catalog_of(connection, row.device_id))]

    def _of_refusal(self, connection: Connection, row: UnreadRefusal) -> Sequence[Observation | None]:
        self.behaviour.count(row.device_id, "refusals", row.count)
        return [detections.of_refusal(row, self._catalog_of(connection, row.device_id))]

    def _of_report(self, connection: Connection, row: ErrorReportRow) -> Sequence[Observation | None]:
        was_offered = (
            row.catalog_id is not None
            and row.image_id is not None
            and report_rows.image_was_offered(connection, row.device_id, row.catalog_id, row.image_id)
        )
        found = [detections.of_error_report(row, was_offered=was_offered)]
        if row.event_type in detections.COUNTED:
            self.behaviour.count(row.device_id, detections.COUNTED[row.event_type], row.count)
        if row.boot_count != report_rows.SUPPRESSED_BOOT:  # the service's own rows have no number of a device's
            found.append(detections.of_gap(row, report_rows.gap_before(connection, row.device_id, row.sequence)))
        if row.event_type == "SandboxWeakened":
            device = self._device(connection, row.device_id)
            found.append(None if device is None else detections.of_containment(device, row.description))
        return found

    def _group(self, rows: Sequence[ErrorReportRow], connection: Connection) -> None:
        """Count the crashes among error reports in their groups."""
        if any(row.event_type in detections.CRASHES for row in rows):
            self.crashes.note(connection, rows)

    def _of_outcome(self, connection: Connection, row: UpdateOutcome) -> Sequence[Observation | None]:
        catalog_id = self._catalog_of(connection, row.device_id)
        if catalog_id is None or row.deployment_id is None:
            return [detections.of_outcome(row, catalog_id, Updated(), was_offered=False)]
        (about,) = updated(connection, catalog_id, [row])
        if about.release_id == row.deployment_id:  # what was offered was the OS, and nothing with it
            was_offered = report_rows.release_was_offered(connection, row.device_id, row.deployment_id)
        else:
            was_offered = report_rows.deployment_was_offered(connection, row.device_id, catalog_id, row.deployment_id)
        return [detections.of_outcome(row, catalog_id, about, was_offered=was_offered)]

    def _look_for_silence(self) -> int:
        """Observe devices that fell silent since the last run; one that stays silent is observed once."""
        context = self._context
        now = context.now()
        every = min(SILENCE_EVERY_S, context.silent_after_s // SILENCE_LOOKS)
        looked_at = self._silence_looked_at
        if now - self.open_since < context.silent_after_s or (looked_at is not None and 0 <= now - looked_at < every):
            return 0
        self._silence_looked_at = now
        silent = context.records.read(
            lambda c: device_rows.silent(c, now=now, silent_after_s=context.silent_after_s, limit=MAX_SILENT)
        )
        fresh = [device for device in silent if device.device_id not in self._silence_noted]
        self._silence_noted = frozenset(device.device_id for device in silent)
        found = detections.of_silence(fresh, now)
        for one in found:
            self.observe(one)
        return len(found)

    def _take_what_the_hub_heard(self) -> int:
        """Record what was refused there, and observe devices whose certificate is in two places."""
        shared = self.heard_at_hub.take()
        for one in shared:
            found = self._context.records.read(partial(device_rows.enrolled, device_id=one.client))
            self.observe(of_shared_certificate(one, None if found is None else found.catalog_id, self._context.now()))
        return len(shared)

    def _dropped_of_behaviour(self) -> int:
        return self.behaviour.dropped if "behaviour" in self.__dict__ else 0

    def _look_at_drops(self) -> int:
        found = self.drops.look(self._context.now())
        for one in found:
            self.observe(one)
        return len(found)

    def _look_at_behaviour(self) -> int:
        """Observe devices that were unusual in the windows that are over; nothing where nothing was ever counted."""
        if "behaviour" not in self.__dict__:
            return 0
        found = self.behaviour.look()
        for one in found:
            self.observe(one)
        return len(found)

    def _look_for_ends(self) -> int:
        """Observe certificates of the service that end soon and were not renewed, each once."""
        now = self._context.now()
        if self._ends_looked_at is not None and 0 <= now - self._ends_looked_at < ENDS_EVERY_S:
            return 0
        self._ends_looked_at = now
        ending = self._context.records.read(
            lambda c: certificate_rows.without_successor(c, ends_before=now + detections.CA_WARNING_S)
        )
        fresh = [one for one in ending if one.serial not in self._ending_noted]
        self._ending_noted = frozenset(one.serial for one in ending)
        for one in fresh:
            self.observe(detections.of_certificate(one.kind, one.subject, one.not_after, now, one.catalog_id))
        return len(fresh)


def record(connection: Connection, seen: Observation, now: int) -> Finding:
    """Record an observation in the caller's transaction: a new finding, or one more of a finding that is not closed.

    What is new, or graver than it was, is kept for those who are notified, in the same transaction.
    """
    seen = _within_share(connection, seen, now)
    if seen.kind not in KINDS or seen.severity not in SEVERITIES:
        raise InvalidArgumentError(
            f"observation: expected a known kind and severity, got {seen.kind!r}, {seen.severity!r}",
            remedy="Use those of armillary.wire.device.finding.",
        )
    at = seen.at or now
    severity = seen.severity
    if seen.escalate_at and finding_rows.count_of(connection, seen.fingerprint) + seen.count >= seen.escalate_at:
        severity = seen.escalated
    observed = finding_rows.observe(
        connection,
        Finding(
            finding_id=uuid4(),
            fingerprint=seen.fingerprint,
            kind=seen.kind,
            severity=severity,
            title=seen.title,
            cause=seen.cause,
            device_ids=seen.device_ids,
            device_count=len(seen.device_ids),
            proposed_action=seen.proposed_action,
            status="open",
            count=seen.count,
            first_seen=at,
            last_seen=at,
            catalog_id=seen.catalog_id,
            group_id=seen.group_id,
            deployment_id=seen.deployment_id,
            rollout_id=seen.rollout_id,
            image_id=seen.image_id,
            component_id=seen.component_id,
            advisory_id=seen.advisory_id,
        ),
    )
    if observed.is_news:
        from armillary.engines.records.notifications import outbox  # noqa: PLC0415 - memory: at the first finding
        from armillary.wire.notification import event as notification  # noqa: PLC0415 - memory, as above

        news = notification.of_finding(observed.finding, graver=observed.before is not None)
        outbox.enqueue(connection, news, seen.catalog_id)
    return observed.finding


def _within_share(connection: Connection, seen: Observation, now: int) -> Observation:
    """The observation, or one that only counts it where its device has opened as many findings as it may."""
    if not seen.reported_by or finding_rows.names(connection, seen.fingerprint, seen.reported_by):
        return seen
    if finding_rows.named_in(connection, seen.reported_by, since=now - DAY_S) < MAX_FINDINGS_OF_DEVICE:
        return seen
    return detections.of_overflow(seen.reported_by, seen.catalog_id, seen.count, seen.at)


def _finding_or_raise(connection: Connection, finding_id: UUID) -> Finding:
    found = finding_rows.one(connection, finding_id)
    if found is None:
        raise no_such_finding(finding_id)
    return found


def checked_conditions(*, status: str | None, severity: str | None, kind: str | None) -> dict[str, object]:
    """Values of columns that findings are listed by; None is any. Raises InvalidArgumentError for another word."""
    conditions: dict[str, object] = {}
    for name, value, allowed in (
        ("status", status, (*STATUSES, "living")),
        ("severity", severity, SEVERITIES),
        ("kind", kind, tuple(KINDS)),
    ):
        if value is None:
            continue
        if value not in allowed:
            raise InvalidArgumentError(
                f"{name}: expected {', '.join(allowed)}, got {value!r:.40}", remedy="Use one of these words."
            )
        conditions[name] = value
    return conditions


def no_such_finding(finding_id: UUID) -> NotFoundError:
    """The error for a finding that does not exist, or is not of the caller's catalog."""
    return NotFoundError(f"finding {finding_id} does not exist", remedy="List them: armillary finding list.")
