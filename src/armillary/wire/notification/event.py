# SPDX-License-Identifier: Apache-2.0
"""An event: something that happened and that somebody may want to hear of, as it is kept until it was told.

The JSON form is what the outbox keeps and what webhooks carry as the data of a CloudEvent. Field names are stable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
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
        "alert.fired": "A rule fired: one of its actions names the channel, or the channel chose alerts.",
        "channel.test": "An operator tests a channel.",
    }
)
TOPICS: Final = ("finding", "action", "alert")  # that a channel can choose; a test goes to the channel that is named
MAX_BYTES: Final = 64 << 10  # of the JSON text; a finding names at most 100 devices of 128 characters: 13 KiB
# What is left of one that would be larger: characters of each text (up to 12 bytes as JSON), items of each list.
MAX_CUT: Final = 800
MAX_CUT_ITEMS: Final = 30
MAX_AT: Final = 253_402_300_799  # the last second of the year 9999, which RFC 3339 can write
# Ids of findings' events are made of the finding's (RFC 9562 §5.5), so that an event that is made again has its id.
_NAMESPACE: Final = UUID("7b0d7c52-3f0e-5a39-9a3c-5f1d7f6f2f11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. ``data`` is a JSON object."""

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
        if type(self.at) is not int or not 0 <= self.at <= MAX_AT:
            raise WireError("event", expected=f"a time of 0 to {MAX_AT}", got=f"{self.at!a:.40}")
        if not all(isinstance(each, str) for each in (self.title, self.text, self.subject)):
            raise WireError("event", expected="a title, a text and a subject", got="something else")
        if not isinstance(self.data, Mapping):
            raise WireError("event", expected="data that is an object", got=type(self.data).__name__)

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
        at=min(max(0, found.last_seen), MAX_AT),
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
    """The JSON text, at most :data:`MAX_BYTES`.

    What would be larger keeps the beginnings of its texts and lists, and says so: ``data.truncated`` is true. It is no
    error, because the event is kept in the transaction of what it tells of, which must not fail for its sake.
    """
    text = json.dumps(to_json(event), ensure_ascii=True, separators=(",", ":"))
    if len(text) <= MAX_BYTES:
        return text
    data = {**_beginning(dict(event.data)), "truncated": True}
    less = replace(
        event, title=event.title[:MAX_CUT], text=event.text[:MAX_CUT], subject=event.subject[:MAX_CUT], data=data
    )
    text = json.dumps(to_json(less), ensure_ascii=True, separators=(",", ":"))
    return text if len(text) <= MAX_BYTES else encode(replace(less, data={"truncated": True}))


def _beginning(value: Any) -> Any:
    """A JSON value with the beginnings of its texts and lists."""
    if isinstance(value, str):
        return value[:MAX_CUT]
    if isinstance(value, Mapping):
        return {name: _beginning(each) for name, each in islice(value.items(), MAX_CUT_ITEMS)}
    if isinstance(value, list):
        return [_beginning(each) for each in value[:MAX_CUT_ITEMS]]
    return value


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
