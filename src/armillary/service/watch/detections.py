# SPDX-License-Identifier: Apache-2.0
"""Detections: what a recorded event says is wrong, as an observation; one pure function per source, no clock, no SQL.

They are deterministic, and fixed in code, or for refusals in rules (``content/detections``): each names a fact, so that
a false alarm is a fault in the record and not in a threshold. The few thresholds stand at the top. Not here: the rules
that operators write for telemetry (``armillary.twin.rule``, ``armillary.platform.rules``).

A device is believed about an image or a deployment only where the service offered it to that device in the catalog that
the device is in: otherwise one device could speak about what others run. What it says of anything else is a finding
about the device alone (:func:`_of_unoffered`), which names no image and no deployment and holds no roll-out by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from armillary import content
from armillary.attest.steps import FORK_STEPS
from armillary.engines.records.queries.reports import SUPPRESSED, SUPPRESSED_BOOT
from armillary.engines.records.schema.rows import CheckIn, Device, ErrorReportRow, UnreadRefusal, UpdateOutcome
from armillary.wire.attestation.mechanisms import WAITING
from armillary.wire.device.finding import SEVERITIES

if TYPE_CHECKING:
    from armillary.detect.baseline import Unusual
    from armillary.detect.rules import Rule
    from armillary.service.registry.outcome_names import Updated

# Types of error reports that say that an application ended by itself.
CRASHES: Final = frozenset({"AppCrash", "AppExit"})
# Type of an error report that says that the sandbox refused something -> kind of finding, and what was tried.
BLOCKED: Final = {
    "ConnectionBlocked": ("connection-blocked", "tried to reach a host its manifest does not name"),
    "ListenerBlocked": ("listener-blocked", "tried to listen at a port its manifest does not name"),
    "CapabilityBlocked": ("capability-blocked", "asked its device for something its manifest does not name"),
}
# Type of an error report -> what it counts as for the baselines of behaviour (detect/baseline.py).
COUNTED: Final = {
    "AppCrash": "crashes",
    "AppExit": "crashes",
    "ConnectionBlocked": "blocked connections",
    "ListenerBlocked": "blocked connections",
    "CapabilityBlocked": "blocked connections",
    "DeviceReboot": "restarts",
    "BootFailure": "restarts",
}
# Crashes of one image after which it is no longer an accident: also what a roll-out is held by.
CRASH_LIMIT: Final = 3
# A certificate of the service that ends within this time and has no successor needs somebody: the shortest renewal
# begins 30 days before the end, so that renewals have failed for days by then.
CA_WARNING_S: Final = 25 * 86_400
CA_CRITICAL_S: Final = 7 * 86_400
# Reports that are counted as missing before one: a device makes 144 of one kind in a day. Numbers go up to 2^53, and a
# sum of some hundred of such gaps would be none that a database can keep.
MAX_MISSING: Final = 1_000_000
MAX_CAUSE_CHARACTERS: Final = 1000  # of a text that a device or a rule made


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One thing that was detected. Equal catalog, ``kind`` and ``key`` count into one finding until it is closed.

    Attributes:
        kind: A key of :data:`armillary.wire.device.finding.KINDS`.
        key: What makes two observations of a catalog the same, beside the kind.
        reported_by: The device that alone reported this; it counts against how many findings one device may open. ""
            for what the service has seen itself.
        escalate_at: Count of the finding from which its severity is ``escalated`` instead of ``severity``; 0 never.
    """

    kind: str
    key: tuple[str, ...]
    severity: str
    title: str
    cause: str
    proposed_action: str
    device_ids: tuple[str, ...] = ()
    count: int = 1
    at: int = 0
    catalog_id: UUID | None = None
    group_id: UUID | None = None
    deployment_id: UUID | None = None
    rollout_id: UUID | None = None
    image_id: UUID | None = None
    component_id: UUID | None = None
    advisory_id: str | None = None
    escalate_at: int = 0
    escalated: str = "high"
    reported_by: str = ""

    @property
    def fingerprint(self) -> str:
        """Identifies the finding that this belongs to; the same observation in two catalogs is two findings."""
        return in_catalog(self.catalog_id, sha256("\0".join((self.kind, *self.key)).encode()).hexdigest()[:32])


def in_catalog(catalog_id: UUID | None, seen: str) -> str:
    """The fingerprint within a catalog of an observation whose kind and key have the digest ``seen``.

    Migration 0016 computes the same.
    """
    return sha256(f"{catalog_id or ''}\0{seen}".encode()).hexdigest()[:32]


def of_check_in(check_in: CheckIn, catalog_id: UUID | None) -> Observation | None:
    """An update-only verdict: which step failed decides what it means."""
    failures = [step for step in check_in.steps if step.result == "fail"]
    failed = next((step for step in failures if step.number in FORK_STEPS), next(iter(failures), None))
    if failed is None:
        return None
    short = check_in.device_id[:16]
    seen = Observation(
        kind="attestation-failed",
        key=(str(catalog_id), str(failed.number)),
        severity="high",
        title=f"Devices fail appraisal step {failed.number} ({failed.name})",
        cause=f"Device {short}: {failed.detail} The step prevents: {failed.prevents}",
        proposed_action="They have an update certificate only. Recover their boot components from a release, or "
        "publish the release they run if it is genuine.",
        device_ids=(check_in.device_id,),
        at=check_in.at,
        catalog_id=catalog_id,
    )
    if failed.number not in FORK_STEPS:
        return seen
    return replace(
        seen,
        kind="identity-forked",
        key=(check_in.device_id,),
        severity="critical",
        title=f"Two machines may hold the identity of device {short}",
        cause=failed.detail,
        proposed_action="Neither gets a client certificate. Find out which is the original (or whether an old "
        "backup was put back), take the other away, then: armillary device release.",
    )


@cache
def shipped_rules() -> tuple[Rule, ...]:
    """The rules of ``content/detections``; WireError if one is wrong, which the tests of the content find first."""
    from armillary.detect.rule_file import read_rules  # noqa: PLC0415 - memory: the YAML library, at the first refusal

    return tuple(rule for name, text in content.detection_files().items() for rule in read_rules(text, name))


def of_refusal(refusal: UnreadRefusal, catalog_id: UUID | None) -> Observation | None:
    """A refused request that a rule of the service ``refusal`` matches."""
    from armillary.detect.rules import first_match  # noqa: PLC0415 - memory: at the first refusal, with the rules

    event: dict[str, str | int] = {
        "code": refusal.code,
        "message": refusal.message,
        "count": refusal.count,
        "total": refusal.total,
    }
    rule = first_match(shipped_rules(), "refusal", event)
    if rule is None:
        return None
    return Observation(
        kind=rule.kind,
        key=(refusal.device_id, refusal.code),
        severity=rule.severity,
        title=rule.title,
        cause=f"Device {refusal.device_id[:16]}: {refusal.message}",
        proposed_action=rule.action,
        device_ids=(refusal.device_id,),
        count=refusal.count,
        at=refusal.at,
        catalog_id=catalog_id,
    )


def of_error_report(report: ErrorReportRow, *, was_offered: bool) -> Observation | None:
    """An error report that says something is wrong; planned events do not.

    ``was_offered``: the service offered the report's image to this device, in the catalog that it is in.
    """
    if report.event_category != "Unplanned":
        return None
    if report.event_type in CRASHES or report.event_type in BLOCKED:
        return _of_image(report) if was_offered else _of_unoffered(report)
    if report.event_type == SUPPRESSED and report.boot_count == SUPPRESSED_BOOT:
        return of_overflow(report.device_id, report.catalog_id, report.count, report.received_at)
    # InstallReverted: the same fact comes as an update outcome, with its deployment
    if report.event_type == "BootFailure":
        return Observation(
            kind="attestation-failed",
            key=("boot", report.device_id),
            severity="high",
            title=f"Device {report.device_id[:16]} refused to boot a component",
            cause=report.description,
            proposed_action="Recover the component from a release; find out who changed it.",
            **_reported(report),
        )
    return None


def _reported(report: ErrorReportRow) -> dict[str, Any]:
    """The fields of an observation that rests on one device's error report."""
    return {
        "device_ids": (report.device_id,),
        "reported_by": report.device_id,
        "count": report.count,
        "at": report.received_at,
        "catalog_id": report.catalog_id,
    }


def _of_image(report: ErrorReportRow) -> Observation:
    """What a device says of an image that it was offered."""
    image, short = str(report.image_id), report.device_id[:16]
    kind, tried = BLOCKED.get(report.event_type, ("", ""))
    return Observation(
        kind=kind or "application-crashed",
        key=(image, report.description) if kind else (image,),
        severity="medium" if kind else "low",
        escalate_at=0 if kind else CRASH_LIMIT,
        title=f"Application image {image[:8]} {tried or 'crashes or exits'}",
        cause=f"Device {short}: {report.description}",
        proposed_action=f"Nothing got through. Ask the image's author: a forgotten {kind.partition('-')[0]}, or code "
        "that should not be there?"
        if kind
        else "Hold or roll back the roll-out that brought this image; fix and build a new one.",
        image_id=report.image_id,
        component_id=report.component_id,
        **_reported(report),
    )


def _of_unoffered(report: ErrorReportRow) -> Observation:
    """What a device says of an image that this service never offered it: about the device, not about the image."""
    short = report.device_id[:16]
    return Observation(
        kind=BLOCKED.get(report.event_type, ("application-crashed", ""))[0],
        key=("not offered", report.device_id),
        severity="low",
        title=f"Device {short} reports trouble with an application that it was not offered",
        cause=f"Device {short}: {report.description}",
        proposed_action="It was sideloaded for development, its deployment was deleted, or the device makes it up. It "
        "says nothing about the images of others.",
        **_reported(report),
    )


def of_outcome(
    outcome: UpdateOutcome, catalog_id: UUID | None, about: Updated, *, was_offered: bool
) -> Observation | None:
    """An update that a device of a catalog took back or could not make.

    ``was_offered``: the service offered what the outcome is ``about`` to this device, in that catalog.
    """
    if outcome.outcome == "confirmed":
        return None
    short = outcome.device_id[:16]
    seen = Observation(
        kind="install-reverted",
        key=("not offered", outcome.device_id),
        severity="low",
        title=f"Device {short} reports on an update that it was not offered",
        cause=f"Device {short}: {outcome.reason}",
        proposed_action="Its deployment was deleted, or the device makes it up. It says nothing of other updates.",
        device_ids=(outcome.device_id,),
        reported_by=outcome.device_id,
        at=outcome.received_at,
        catalog_id=catalog_id,
    )
    if not was_offered:
        return seen
    seen = replace(
        seen,
        key=(str(outcome.deployment_id), str(about.release_id or outcome.image_id)),
        severity="medium",
        title=f"{about.name or f'Image {str(outcome.image_id)[:8]}'} was reverted by devices",
        proposed_action="The devices run what they ran before. Do not deploy this image further.",
    )
    if about.release_id is not None:  # one finding for all components of the release, which is no deployment's
        return replace(
            seen, proposed_action="The devices run what they ran before. Withdraw the release, or publish another."
        )
    return replace(
        seen,
        deployment_id=outcome.deployment_id,
        image_id=outcome.image_id,
        component_id=outcome.component_id,
    )


def of_overflow(device_id: str, catalog_id: UUID | None, count: int, at: int) -> Observation:
    """The reports of one device beyond its share: they are only counted, in this finding."""
    short = device_id[:16]
    return Observation(
        kind="reports-suppressed",
        key=(device_id,),
        severity="medium",
        title=f"Device {short} reports more than is kept of one device",
        cause=f"Of device {short} reports are only counted that are beyond its share; its error reports of the type "
        f"{SUPPRESSED} say how many were not stored.",
        proposed_action="Look at what the device reports, and close what is dealt with. One that floods: armillary "
        "device revoke.",
        device_ids=(device_id,),
        count=count,
        at=at,
        catalog_id=catalog_id,
    )


def of_gap(report: ErrorReportRow, missing: int) -> Observation | None:
    """So many reports right before this one never came: a device numbers them, and keeps each until it arrived.

    The numbers are the device's own word: more than :data:`MAX_MISSING` are not believed.
    """
    if not missing:
        return None
    first, missing = report.sequence - missing, min(missing, MAX_MISSING)
    last, short = report.sequence - 1, report.device_id[:16]
    return Observation(
        kind="reports-missing",
        key=(report.device_id,),
        severity="medium",
        title=f"Error reports of device {short} never arrived",
        cause=f"Its reports {first} to {last} are missing; report {report.sequence} came at "
        f"{report.received_at} (Unix seconds).",
        proposed_action="Find out whether the device's storage was put back or fails, or whether something on it keeps "
        "reports from being sent.",
        device_ids=(report.device_id,),
        reported_by=report.device_id,
        count=missing,
        at=report.received_at,
        catalog_id=report.catalog_id,
    )


def of_behaviour(unusual: Unusual, device_id: str, catalog_id: UUID | None, now: int) -> Observation:
    """A device that does far more of something than is usual for it and for those that run the same."""
    short = device_id[:16]
    return Observation(
        kind="behaviour-unusual",
        key=(device_id, unusual.metric),
        severity="medium",
        title=f"Device {short} has unusually many {unusual.metric}",
        cause=f"{unusual.count} {unusual.metric} within five minutes, after others before; {unusual.expected:.2f} were "
        "expected, by its own past and that of the devices that run the same "
        f"(together {unusual.score:.0f} standard deviations above).",
        proposed_action="Look at its error reports and refusals. If they are not explained: armillary device "
        "quarantine, which leaves it its updates.",
        device_ids=(device_id,),
        reported_by=device_id,
        at=now,
        catalog_id=catalog_id,
    )


def of_quarantine_request(device_id: str, catalog_id: UUID | None, said: Mapping[str, str], now: int) -> Observation:
    """A platform rule asks that a device be quarantined; equal rule and device count into one finding.

    A person decides: what a device measures is its own word, and a rule that a tampered device can make fire must not
    be able to revoke its neighbours. ``said`` has the texts ``rule``, ``rule_id``, ``severity``, ``why`` and
    ``reason``.
    """
    severity, reason = said.get("severity", ""), said.get("reason", "")
    cause = f"Rule {said.get('rule', '')!r} fired: {said.get('why', '')}" + (f" {reason}" if reason else "")
    return Observation(
        kind="quarantine-requested",
        key=(device_id, said.get("rule_id", "")),
        severity=severity if severity in SEVERITIES else "high",
        title=f"A rule asks to quarantine device {device_id[:16]}",
        cause=cause[:MAX_CAUSE_CHARACTERS],
        proposed_action="Look at the device. To keep it apart: armillary device quarantine. Else close this finding.",
        device_ids=(device_id,),
        at=now,
        catalog_id=catalog_id,
    )


def of_silence(devices: Sequence[Device], now: int) -> list[Observation]:
    """Devices that stopped checking in: one finding per group, however many."""
    groups: dict[UUID | None, list[Device]] = {}
    for device in devices:
        groups.setdefault(device.group_id, []).append(device)
    return [
        Observation(
            kind="device-silent",
            key=(str(group_id),),
            severity="medium",
            title=f"Devices of {members[0].product}/{members[0].group} have stopped checking in",
            cause=f"Longest silent: device {members[0].device_id[:16]}, last seen at {members[0].last_check_in_at}.",
            proposed_action="Look whether they share a place, a network or an update.",
            device_ids=tuple(device.device_id for device in members),
            at=now,
            catalog_id=members[0].catalog_id,
            group_id=group_id,
        )
        for group_id, members in groups.items()
    ]


_VERIFIER: Final = {
    "stopped": ("critical", "The verifier has stopped: no device is let in", "It has not moved for {} s."),
    "behind": ("high", "The verifier does not keep up", "A check-in has waited {} s for the disk."),
    "down": ("medium", "The verifier was down", "It gave no sign of life for {} s and did not end as it should."),
    "worker": ("medium", "A device worker has died", "It had run for {} s and was started again."),
}


def of_verifier(state: str, seconds: int, now: int) -> Observation:
    """A verifier that is ``stopped``, ``behind``, or was ``down`` before this start, for so many seconds.

    ``worker``: a worker that died after so many seconds.
    """
    severity, title, cause = _VERIFIER[state]
    return Observation(
        kind="verifier-behind",
        key=(state,),
        severity=severity,
        title=title,
        cause=cause.format(seconds),
        proposed_action="Certificates of devices end after a day. Look at the host (processor, disk, memory) and at "
        "the service's log; restart the service if it stands still.",
        at=now,
    )


def of_certificate(kind: str, subject: str, not_after: int, now: int, catalog_id: UUID | None) -> Observation:
    """A certificate of the service that ends soon and has no successor."""
    return Observation(
        kind="certificate-expiring",
        key=(kind, subject, str(not_after)),
        severity="critical" if not_after <= now + CA_CRITICAL_S else "high",
        title=f"A {kind} certificate of the service ends in {max(0, not_after - now) // 86_400} days",
        cause=f"{subject} ends at {not_after} (Unix seconds) and was not renewed.",
        proposed_action="Renewals are made by themselves, daily and at each start. Look for failed ones in the "
        "service's log; restart the service when their cause is gone.",
        at=now,
        catalog_id=catalog_id,
    )


def of_containment(device: Device, said: str) -> Observation | None:
    """A device whose sandbox lacks mechanisms, by its own attested self-test; ``said`` is its report."""
    missing = [
        f"{name} ({state.removeprefix('missing: ')})" for name, state in device.enforcement if state != "enforced"
    ]
    if not missing:
        return None
    waits = device.sandbox == WAITING
    return Observation(
        kind="containment-weak",
        key=(str(device.group_id), ",".join(name for name, state in device.enforcement if state != "enforced")),
        severity="low",
        title="Devices run no application, because their sandbox does not hold"
        if waits
        else "Devices run applications with fewer containment mechanisms than Armillary has",
        cause=f"Device {device.device_id[:16]}: {said} It lacks {'; '.join(missing)}."[:MAX_CAUSE_CHARACTERS],
        proposed_action="A machine that was too slow goes on by itself. Where its kernel refuses, give it another OS."
        if waits
        else "Use a kernel and a sandbox that enforce them, or accept this in writing.",
        device_ids=(device.device_id,),
        at=device.last_check_in_at or 0,
        catalog_id=device.catalog_id,
        group_id=device.group_id,
    )
