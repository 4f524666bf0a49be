# SPDX-License-Identifier: Apache-2.0
"""Events and findings of every kind, and any that could be made."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from hypothesis import strategies as st

from armillary.wire.device import finding as wire_finding
from armillary.wire.device.finding import KINDS as FINDING_KINDS, SEVERITIES, STATUSES, Finding
from armillary.wire.notification import event as notification
from armillary.wire.notification.event import Event

NOW = 1_800_000_000
CATALOG = (UUID(int=7), "Contoso")
# Texts of devices: control characters, escape sequences, halves of characters, marks that turn the direction.
TEXT = st.text(max_size=60)
SURROGATES = st.text(st.characters(categories=["Cs", "Cc", "Lu", "Zl", "Cf"]), max_size=20)


def finding(kind: str = "hub-anomaly", **values: Any) -> Finding:
    given: dict[str, Any] = {
        "finding_id": uuid4(),
        "fingerprint": "f" * 32,
        "kind": kind,
        "severity": "high",
        "title": f"Something of the kind {kind}",
        "cause": "It was seen.",
        "device_ids": ("ab" * 64,),
        "device_count": 1,
        "proposed_action": "Look at it.",
        "status": "open",
        "count": 3,
        "first_seen": NOW - 60,
        "last_seen": NOW,
        "catalog_id": CATALOG[0],
        "advisory_id": "CVE-2026-12345" if kind == "vulnerability-in-field" else None,
    }
    return Finding(**{**given, **values})


def event(kind: str = "action.done", **values: Any) -> Event:
    given: dict[str, Any] = {
        "event_id": uuid4(), "kind": kind, "severity": "high", "at": NOW, "title": "t", "text": "x", "subject": "s",
        "data": {"kind": "quarantine"} if kind.startswith("action.") else {},
    }  # fmt: skip
    if kind.startswith("finding."):
        given["data"] = wire_finding.to_json(finding())
    return Event(**{**given, **values})


findings = st.builds(
    finding,
    kind=st.sampled_from(sorted(FINDING_KINDS)),
    severity=st.sampled_from(SEVERITIES),
    status=st.sampled_from(STATUSES),
    title=TEXT,
    cause=TEXT,
    proposed_action=TEXT,
    device_ids=st.lists(st.text("0123456789abcdef", min_size=128, max_size=128), max_size=3).map(tuple),
    device_count=st.integers(0, 10**6),
    count=st.integers(1, 10**6),
    last_seen=st.integers(NOW, 4 * 10**9),
    catalog_id=st.none() | st.uuids(),
    rollout_id=st.none() | st.uuids(),
    image_id=st.none() | st.uuids(),
    advisory_id=st.none()
    | st.sampled_from(["CVE-2026-1", "CVE-2026-99999", "GHSA-aaaa-bbbb-cccc", "PYSEC-2026-1", ""]),
)
events = st.builds(
    event,
    kind=st.sampled_from([kind for kind in notification.KINDS if not kind.startswith("finding.")]),
    severity=st.sampled_from(SEVERITIES),
    at=st.integers(0, 4 * 10**9),
    title=TEXT,
    text=TEXT,
    subject=TEXT,
    data=st.fixed_dictionaries(
        {"kind": st.sampled_from(["notify", "quarantine", "revoke", "halt", "deploy-fix", "x"])}
    ),
) | st.builds(lambda found, graver: notification.of_finding(found, graver=graver), findings, st.booleans())
