# SPDX-License-Identifier: Apache-2.0
"""Findings by kind as JSON documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armillary.wire.device.finding import KINDS, SEVERITIES

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def kinds(
    service: SecurityService, *, status: str | None, severity: str | None = None, catalog: str | None = None
) -> Document:
    """Kinds with findings, most severe first; ``newest`` is what :func:`acknowledge` takes as ``up_to``."""
    from armillary.service.watch.inbox import Inbox  # noqa: PLC0415 - memory: a service at rest does without

    found: dict[str, Document] = {}
    for each in Inbox(service.context).kinds(status=status, severity=severity, catalog=catalog):
        one = found.setdefault(
            each.kind,
            {
                "kind": each.kind,
                "means": KINDS.get(each.kind, ""),
                "severities": {},
                "findings": 0,
                "observations": 0,
                "first_seen": each.first_seen,
                "last_seen": 0,
                "newest": 0,
            },
        )
        one["severities"][each.severity] = each.findings
        one["findings"] += each.findings
        one["observations"] += each.observations
        one["first_seen"] = min(one["first_seen"], each.first_seen)
        one["last_seen"] = max(one["last_seen"], each.last_seen)
        one["newest"] = max(one["newest"], each.newest)
    ordered = sorted(found.values(), key=lambda one: (_gravity(one), one["last_seen"]), reverse=True)
    return {"items": ordered, "next": None}


def acknowledge(
    service: SecurityService, kind: str, *, up_to: int, severity: str | None, catalog: str | None, actor: str
) -> Document:
    """Acknowledge the open findings of a kind that somebody has seen; how many."""
    from armillary.service.watch.inbox import Inbox  # noqa: PLC0415 - as above

    inbox = Inbox(service.context)
    done = inbox.acknowledge_kind(kind, up_to=up_to, severity=severity, catalog=catalog, actor=actor)
    return {"kind": kind, "acknowledged": done}


def _gravity(one: Document) -> int:
    return max(SEVERITIES.index(each) for each in one["severities"])
