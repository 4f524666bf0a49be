# SPDX-License-Identifier: Apache-2.0
"""An event: something that happened and that somebody may want to hear of, as it is kept until it was told.

The JSON form is what the outbox keeps and what webhooks carry as the data of a CloudEvent. Field names are stable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID, uuid5

from armillary.errors import WireError
from armillary.wire.device import finding as wire_finding
from armillary.wire.device.finding import SEVERITIES, Finding

# kind -> what it means. A kind is stable; its first word is the topic that channels choose by.
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "finding.opened": "The watch has a new finding.",
        "finding.graver": "A finding that was told has a higher severity now.",
        "action.proposed": "An action was proposed.",
        "action.waiting": "An action waits for a second person.",
        "action.running": "An action has begun.",
        "action.paused": "An action touches more devices than it may by itself, and waits for a person.",
        "action.done": "An action is done.",
        "action.cancelled": "An action was cancelled.",
        "action.expired": "An action was approved by nobody in time, or has ended by itself.",
        "action.undone": "What an action did was undone.",
        "action.failed": "An action could not be done.",
        "action.notice": "A playbook or an operator wants somebody to know.",
        "channel.test": "An operator tests a channel.",
    }
)
TOPICS: Final = ("finding", "action")  # that a channel can choose; a test goes to the channel that is tested
MAX_DATA_BYTES: Final = 64 << 10  # a finding names at most 100 devices of 128 characters: 13 KiB, and its texts
# Ids of findings' events are made of the finding's (RFC 9562 §5.5), so that an event that is made again has its id.
_NAMESPACE: Final = UUID("7b0d7c52-3f0e-5a39-9a3c-5f1d7f6f2f11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. ``data`` is a JSON object of at most :data:`MAX_DATA_BYTES`."""

    event_id: UUID  # the same however often it is told
    kind: str  # a key of KINDS
    severity: str  # one of SEVERITIES
    at: int  # when it happened; Unix seconds UTC
    title: str  # one sentence
    text: str  # what was seen and what to do, for people
    subject: str  # id of what it is about: a finding, an action
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.severity not in SEVERITIES:
            raise WireError(
                "event", expected="a known kind and severity", got=f"{self.kind!a:.40} {self.severity!a:.20}"
            )

    @property
    def topic(self) -> str:
        """The first word of its kind."""
        return self.kind.partition(".")[0]


def of_finding(found: Finding, *, graver: bool) -> Event:
    """The event of a finding that was opened, or that has become graver."""
    kind = "finding.graver" if graver else "finding.opened"
    return Event(
        event_id=uuid5(_NAMESPACE, f"{kind} {found.finding_id} {found.severity}"),
        kind=kind,
        severity=found.severity,
        at=found.last_seen,
        title=found.title,
        text=f"{found.cause}\n\n{found.proposed_action}",
        subject=str(found.finding_id),
        data=wire_finding.to_json(found),
    )


def to_json(event: Event) -> dict[str, Any]:
    """The event as a JSON object; its id is a string."""
    return {
        "event_id": str(event.event_id),
        "kind": event.kind,
        "severity": event.severity,
        "at": event.at,
        "title": event.title,
        "text": event.text,
        "subject": event.subject,
        "data": dict(event.data),
    }


def encode(event: Event) -> str:
    """The JSON text.

    Raises:
        WireError: it is larger than :data:`MAX_DATA_BYTES`.
    """
    text = json.dumps(to_json(event), ensure_ascii=True, separators=(",", ":"))
    if len(text) > MAX_DATA_BYTES:
        raise WireError("event", expected=f"at most {MAX_DATA_BYTES} bytes", got=str(len(text)))
    return text


def decode(text: str) -> Event:
    """The event of a text that :func:`encode` made; WireError for any other."""
    try:
        fields = json.loads(text)
        return Event(**{**fields, "event_id": UUID(fields["event_id"])})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WireError("event", expected="an event as it was kept", got=type(error).__name__) from error


def one_line(text: str) -> str:
    """A text without line ends and what else is not printable: parts of texts come from devices."""
    return " ".join(legible(text).split())


def legible(text: str) -> str:
    """A text that begins no escape sequence and hides nothing: what is not printable is a space; lines stay lines."""
    return "".join(each if each.isprintable() or each == "\n" else " " for each in text)
