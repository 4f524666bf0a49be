# SPDX-License-Identifier: Apache-2.0
"""The life of one device in the order of time: operations, boots, certificates, updates, failures, findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from armillary.engines.records.schema.rows import (
    AuditLine,
    CheckIn,
    Device,
    ErrorReportRow,
    Refusal,
    UpdateOutcome,
)
from armillary.service.registry.audit import AuditLog
from armillary.service.registry.registry import Registry
from armillary.service.watch.watch import Watch
from armillary.wire.device.finding import Finding

# Records of one kind that a trace reads, the newest: check-ins of half a year at four a day fit, and the answer stays
# below a megabyte.
MAX_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a device.

    Attributes:
        at: Unix seconds UTC.
        kind: ``operation``, ``boot``, ``refusal``, ``update``, ``error`` or ``finding``.
        says: In words.
        record: What it rests on: ``audit 12``, ``check-in 7``, ``finding ...``.
    """

    at: int
    kind: str
    says: str
    record: str


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that the device was given for what it proved; ``last_at`` is when it was given last."""

    serial: str
    purpose: str
    given_at: int
    not_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTrace:
    """Everything known of a device.

    Attributes:
        events: Oldest first.
        audit: The lines about it, oldest first, with their hashes; empty for those who may not read the audit log.
        cut: Kinds of records of which only the newest :data:`MAX_ROWS` were read.
    """

    device: Device
    events: tuple[Event, ...]
    certificates: tuple[ClientCertificate, ...]
    findings: tuple[Finding, ...]
    audit: tuple[AuditLine, ...]
    cut: tuple[str, ...]


class DeviceTraces:
    """Traces of devices."""

    def __init__(self, registry: Registry, audit: AuditLog, watch: Watch) -> None:
        self._registry = registry
        self._audit = audit
        self._watch = watch

    def of(self, device_id: str, *, since: int = 0, with_audit: bool) -> DeviceTrace:
        """The trace of a device from ``since`` on (Unix seconds): an owner sees nothing of an earlier one.

        Raises:
            NotFoundError: it was never manufactured here.
        """
        device, history = self._registry.devices.get(device_id), self._registry.history
        known = device.device_id
        check_ins = history.check_ins(known, limit=MAX_ROWS)
        refusals = history.refusals(device_id=known, limit=MAX_ROWS)
        outcomes = history.outcomes(device_id=known, limit=MAX_ROWS)
        errors = history.error_reports(device_id=known, limit=MAX_ROWS)
        found = self._watch.list(device_id=known, limit=MAX_ROWS)
        lines = self._audit.list(target=known, limit=MAX_ROWS) if with_audit else None
        further = {
            "check-ins": check_ins.next_cursor,
            "refusals": refusals.next_cursor,
            "outcomes": outcomes.next_cursor,
            "error reports": errors.next_cursor,
            "findings": found.next_cursor,
            "audit": None if lines is None else lines.next_cursor,
        }
        events = (
            *_of_audit(() if lines is None else reversed(lines.items)),
            *_of_check_ins(reversed(check_ins.items)),
            *(_of_refusal(each) for each in reversed(refusals.items)),
            *(_of_outcome(each) for each in reversed(outcomes.items)),
            *(_of_error(each) for each in reversed(errors.items)),
            *(_of_finding(each) for each in reversed(found.items)),
        )
        return DeviceTrace(
            device=device,
            events=tuple(sorted((each for each in events if each.at >= since), key=lambda each: each.at)),
            certificates=_certificates(each for each in reversed(check_ins.items) if each.at >= since),
            findings=tuple(each for each in reversed(found.items) if each.first_seen >= since),
            audit=() if lines is None else tuple(each for each in reversed(lines.items) if each.at >= since),
            cut=tuple(kind for kind, cursor in further.items() if cursor is not None),
        )


def _of_audit(lines: Iterable[AuditLine]) -> Iterator[Event]:
    for each in lines:
        yield Event(each.at, "operation", f"{each.actor}: {each.operation}", f"audit {each.number}")


def _of_check_ins(check_ins: Iterable[CheckIn]) -> Iterator[Event]:
    """A boot for each check-in, oldest first, that says something new of what the device runs."""
    known: tuple[int, str, str] | None = None
    for each in check_ins:
        now = (each.boot_count, each.os_version, each.verdict)
        if now == known:
            continue
        known = now
        failed = "; ".join(step.name for step in each.steps if step.result == "fail")
        says = f"boot {each.boot_count}, OS {each.os_version or 'unknown'}: {each.verdict}"
        yield Event(each.at, "boot", says + (f" (failed: {failed})" if failed else ""), f"check-in {each.number}")


def _of_refusal(each: Refusal) -> Event:
    times = "" if each.count == 1 else f", {each.count} times"
    return Event(each.at, "refusal", f"refused: {each.code}{times}", f"refusal {each.number}")


def _of_outcome(each: UpdateOutcome) -> Event:
    why = f": {each.reason}" if each.reason else ""
    return Event(each.received_at, "update", f"image {each.image_id} {each.outcome}{why}", f"outcome {each.number}")


def _of_error(each: ErrorReportRow) -> Event:
    times = "" if each.count == 1 else f", {each.count} times"
    says = f"{each.event_class} {each.event_type}: {each.description}{times}"
    return Event(each.received_at, "error", says, f"error report {each.number}")


def _of_finding(each: Finding) -> Event:
    return Event(each.first_seen, "finding", f"{each.severity}: {each.title}", f"finding {each.finding_id}")


def _certificates(check_ins: Iterable[CheckIn]) -> tuple[ClientCertificate, ...]:
    """Of check-ins, oldest first: each certificate once, with when it was given first."""
    found: dict[str, ClientCertificate] = {}
    for each in check_ins:
        if each.certificate_serial:
            made = ClientCertificate(each.certificate_serial, each.purpose, each.at, each.certificate_not_after)
            found.setdefault(each.certificate_serial, made)
    return tuple(found.values())
