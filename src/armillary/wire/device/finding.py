# SPDX-License-Identifier: Apache-2.0
"""Findings of the watch, with cause, extent and proposed action, and their JSON form.

The API serves this form and webhooks carry it. Field names are stable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

SEVERITIES = ("info", "low", "medium", "high", "critical")  # rising
STATUSES = ("open", "acknowledged", "closed")

# kind -> what it means. A kind is stable; scripts may filter by it.
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "attestation-failed": "A device booted something the service cannot account for.",
        "proof-replayed": "A proof was presented a second time, or on another connection than its own.",
        "proof-invalid": "A proof does not verify: its signature, its key or its log is wrong.",
        "identity-forked": "One identity is used by two devices: boot counts run apart.",
        "certificate-shared": "One certificate is used in two places at the same time.",
        "refusals-burst": "Requests of a device are refused again and again, for a reason that is ordinary once.",
        "device-unknown": "A device that was never manufactured here asked to be let in.",
        "revoked-device-active": "A revoked device still tries.",
        "application-crashed": "An application crashes or exits again and again.",
        "connection-blocked": "An application tried to reach a host that its manifest does not name.",
        "listener-blocked": "An application tried to listen at a port that its manifest does not name.",
        "capability-blocked": "An application asked its device for something that its manifest does not name.",
        "install-reverted": "An update was reverted by devices.",
        "device-silent": "A device has not checked in for longer than it was asked to.",
        "containment-weak": "A device lacks containment mechanisms.",
        "verifier-behind": "The part that lets devices in has stopped, was down, or does not keep up.",
        "rollout-held": "A roll-out was stopped because too many devices failed.",
        "certificate-expiring": "A certificate of the service ends soon and has no successor.",
        "hub-anomaly": "The hub saw traffic that does not fit.",
        "reports-suppressed": "A device reports more than is kept of one device; the rest is counted.",
        "vulnerability-in-field": "Devices run what an advisory affects that is exploited or critical.",
        "feed-stale": "A feed of advisories is older than it may be: what it does not name is unknown.",
        "events-dropped": "More events came at once than the watch keeps; the rest was counted.",
        "reports-missing": "Error reports of a device never arrived: their numbers have a gap.",
        "behaviour-unusual": "A device does far more of something than it and its like used to.",
        "clock": "A time by which something must be reported, answered or renewed is near, or over.",
        "support-ending": "A product gets no more security updates soon, or none any more.",
        "vulnerability-reported": "Somebody told of a vulnerability; what they wrote is in the inbox of reports.",
        "quarantine-requested": "A rule of the application asks that a device be kept apart.",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One deduplicated observation."""

    finding_id: UUID
    fingerprint: str  # shared by equal observations while the finding is not closed
    kind: str  # a key of KINDS
    severity: str  # one of SEVERITIES
    title: str  # one sentence for the list
    cause: str  # what was observed, for people
    device_ids: tuple[str, ...]  # at most 100 of the devices; ``device_count`` counts all
    device_count: int
    proposed_action: str  # what a person should do next
    status: str  # one of STATUSES
    count: int  # of observations
    first_seen: int  # Unix seconds UTC, as is ``last_seen``
    last_seen: int
    catalog_id: UUID | None = None
    group_id: UUID | None = None
    deployment_id: UUID | None = None
    rollout_id: UUID | None = None
    image_id: UUID | None = None
    component_id: UUID | None = None
    advisory_id: str | None = None  # of the advisory that it is about


def to_json(finding: Finding) -> dict[str, Any]:
    """The finding as a JSON object: UUIDs as strings, times as integers."""
    values = asdict(finding)
    texts = {name: str(value) for name, value in values.items() if isinstance(value, UUID)}
    return values | texts | {"device_ids": list(finding.device_ids)}
