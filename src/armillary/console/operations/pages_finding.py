# SPDX-License-Identifier: Apache-2.0
"""The findings page: what needs me? Pure: API answers in, a view model out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from armillary.console.frame.states import SEVERITIES, SEVERITY, State, state_of
from armillary.console.frame.words import Called, Moment, called, counted, grouped, joined, moment, sentence

STATUSES = ("open", "acknowledged", "closed")
# Devices named on the page; the count says how many there are.
NAMED_DEVICES = 3

# status -> (new status, word on the button). A closed finding stays closed: seen again, a new one opens.
MOVES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "open": (("acknowledged", "Acknowledge"), ("closed", "Close")),
        "acknowledged": (("closed", "Close"),),
        "closed": (),
    }
)


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One finding: severity, cause, extent, proposed action and what can be done with it here."""

    id: str
    severity: State
    title: str
    cause: str
    extent: str
    devices: tuple[Called, ...]
    proposed: str
    status: str
    moves: tuple[tuple[str, str], ...]
    first: Moment | None
    last: Moment | None
    seen: str
    rollout_href: str


# Columns of the list, and what each is sorted by.
COLUMNS: Mapping[str, Callable[[FindingLine], object] | None] = MappingProxyType(
    {
        "Severity": lambda line: line.severity,
        "Finding": lambda line: line.title,
        "Extent": lambda line: line.extent,
        "Last seen": lambda line: line.last,
        "Do next": None,
        "Actions": None,
    }
)


def findings_sentence(items: Sequence[Mapping[str, Any]], status: str, *, more: bool) -> str:
    """First line: how many need somebody, by severity."""
    if not items:
        return {
            "open": "Nothing needs you: no finding is open.",
            "acknowledged": "No finding is acknowledged and waiting.",
        }.get(status, "No finding was closed yet.")
    counts = [
        f"{grouped(count)} {severity}"
        for severity in SEVERITIES
        if (count := sum(1 for item in items if item["severity"] == severity))
    ]
    verb = {"open": "needs" if len(items) == 1 else "need"}.get(status, "is" if len(items) == 1 else "are")
    rest = "you" if status == "open" else status
    number = counted(len(items), "finding")
    return f"{number}{' on this page' if more else ''} {verb} {rest}: {joined(counts)}."


def named_devices(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The devices that findings name, each once."""
    return sorted({device for item in items for device in item["device_ids"][:NAMED_DEVICES]})


def finding_line(item: Mapping[str, Any], names: Mapping[str, str], *, may_act: bool, now: int) -> FindingLine:
    """One finding of the list."""
    named = item["device_ids"][:NAMED_DEVICES]
    return FindingLine(
        id=item["finding_id"],
        severity=state_of(SEVERITY, item["severity"]),
        title=item["title"],
        cause=sentence(item["cause"]),
        extent=counted(item["device_count"], "device") if item["device_count"] else "no device",
        devices=tuple(called(device, names.get(device, "")) for device in named),
        proposed=sentence(item["proposed_action"]),
        status=item["status"],
        moves=MOVES.get(item["status"], ()) if may_act else (),
        first=moment(item["first_seen"], now),
        last=moment(item["last_seen"], now),
        seen="once" if item["count"] == 1 else f"{grouped(item['count'])} times",
        rollout_href=f"/updates/{item['rollout_id']}" if item["rollout_id"] else "",
    )


def by_severity(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Gravest first, then newest; a severity that is not known comes first, so that it is not overlooked."""
    order = {severity: index for index, severity in enumerate(SEVERITIES)}
    return sorted(items, key=lambda item: (order.get(item["severity"], -1), -item["last_seen"]))
