# SPDX-License-Identifier: Apache-2.0
"""Playbooks as data: when the watch finds something, what is done about it, and what is only proposed.

A playbook is a map of these keys; what is not of this form is an error that names file, line and key::

    title: text                        for people
    id: a-z 0-9 -                      its name in commands
    description: text                  what it is for, and what it leaves alone
    enabled: true | false              until an operator says otherwise
    trigger:
      finding: kind, or list of kinds  of wire/device/finding.py
      severity: at least this          info, low, medium, high, critical; default: any
    conditions:                        all of them; may be left out
      devices: {at_least: n, at_most: n}   that the finding names
      catalogs: [names]                of which catalogs
    actions:                           in order
      - kind: of response/action.py
        mode: automatic | propose      default: propose
        ends_after_s: n                of a quarantine: when it ends by itself
        expires_after_s: n             when it expires that nobody approves

Two rules keep a playbook from becoming a weapon. What takes away what a device may do is automatic only on kinds of
findings that the service has seen itself, about the device that it spoke with; and what cannot be undone is proposed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from armillary.errors import WireError
from armillary.response.action import ADVISORY, KINDS as ACTION_KINDS
from armillary.wire.device.finding import KINDS as FINDING_KINDS, SEVERITIES

# Findings that rest on what the service saw on a device's own authenticated connection, and name that device: no other
# device can bring them about. All others rest on reports, on the absence of something, or on several devices.
SEEN_BY_SERVICE: Final = frozenset(
    {"attestation-failed", "proof-replayed", "proof-invalid", "identity-forked", "revoked-device-active"}
)
KEYS: Final = frozenset({"title", "id", "description", "enabled", "trigger", "conditions", "actions"})
MAX_ACTIONS: Final = 10
MAX_TEXT: Final = 2_000
MIN_EXPIRY_S: Final = 60
MAX_EXPIRY_S: Final = 30 * 86_400  # what nobody approves in a month, nobody wants
_ID: Final = re.compile("[a-z0-9]+(?:-[a-z0-9]+)*")
_REMEDY: Final = "docs/reference/playbooks.md has the form of playbooks."


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action of a playbook; ``ends_after_s`` and ``expires_after_s`` are None where it does not say."""

    kind: str
    is_automatic: bool = False
    ends_after_s: int | None = None
    expires_after_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """A playbook; ``catalogs`` are names in lower case, empty for all."""

    name: str
    title: str
    description: str
    is_enabled: bool
    kinds: frozenset[str]
    severity: str
    steps: tuple[Step, ...]
    at_least: int = 0
    at_most: int | None = None
    catalogs: frozenset[str] = frozenset()

    @property
    def severities(self) -> frozenset[str]:
        """Of which severities it takes findings."""
        return frozenset(SEVERITIES[SEVERITIES.index(self.severity) :])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a playbook stands, for errors; ``lines`` has the line of each key, by its path such as ``actions.0``."""

    file: str
    line: int
    lines: Mapping[str, int]


def playbook_from(document: Mapping[str, Any], place: Place) -> Playbook:
    """A playbook from its decoded document; raises WireError that names file, line and key."""
    reader = _Reader(place)
    reader.keys("", document, KEYS)
    for key in ("title", "description"):
        if not isinstance(document.get(key), str) or not 0 < len(document[key].strip()) <= MAX_TEXT:
            reader.fail(key, f"text of at most {MAX_TEXT} characters", document.get(key))
    name = document.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name) or len(name) > 64:
        reader.fail("id", "at most 64 of a-z, 0-9 and single dashes", name)
    if not isinstance(document.get("enabled"), bool):
        reader.fail("enabled", "true or false", document.get("enabled"))
    kinds, severity = reader.trigger(document.get("trigger"))
    at_least, at_most, catalogs = reader.conditions(document.get("conditions", {}))
    return Playbook(
        name=name,
        title=document["title"],
        description=document["description"],
        is_enabled=document["enabled"],
        kinds=kinds,
        severity=severity,
        steps=reader.steps(document.get("actions"), kinds),
        at_least=at_least,
        at_most=at_most,
        catalogs=catalogs,
    )


class _Reader:
    """Reads the parts of a playbook; each raises WireError with the place of what is wrong."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def fail(self, path: str, expected: str, got: object) -> NoReturn:
        """Raise WireError for the value at a path; the line is that of the nearest key that is there."""
        nearest = path
        while nearest and nearest not in self._place.lines:
            nearest = nearest.rpartition(".")[0]
        line = self._place.lines.get(nearest, self._place.line)
        raise WireError(
            f"{self._place.file} line {line}, {path or 'playbook'}",
            expected=expected,
            got=f"{got!r:.60}",
            remedy=_REMEDY,
        )

    def keys(self, path: str, document: Mapping[Any, Any], known: frozenset[str]) -> None:
        """Raise WireError for a key that is not known."""
        for key in document:
            if key not in known:
                self.fail(f"{path}.{key}" if path else str(key), f"one of {', '.join(sorted(known))}", key)

    def trigger(self, value: Any) -> tuple[frozenset[str], str]:
        """Kinds of findings, and the lowest severity."""
        if not isinstance(value, Mapping):
            self.fail("trigger", "a map with finding", value)
        self.keys("trigger", value, frozenset({"finding", "severity"}))
        kinds = value.get("finding")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not isinstance(kinds, list) or not kinds or any(each not in FINDING_KINDS for each in map(str, kinds)):
            self.fail("trigger.finding", f"kinds of findings: {', '.join(FINDING_KINDS)}", value.get("finding"))
        severity = value.get("severity", SEVERITIES[0])
        if severity not in SEVERITIES:
            self.fail("trigger.severity", f"one of {', '.join(SEVERITIES)}", severity)
        return frozenset(kinds), severity

    def conditions(self, value: Any) -> tuple[int, int | None, frozenset[str]]:
        """The fewest and the most devices, and catalogs."""
        if not isinstance(value, Mapping):
            self.fail("conditions", "a map", value)
        self.keys("conditions", value, frozenset({"devices", "catalogs"}))
        devices, catalogs = value.get("devices", {}), value.get("catalogs", [])
        if not isinstance(devices, Mapping):
            self.fail("conditions.devices", "a map with at_least and at_most", devices)
        self.keys("conditions.devices", devices, frozenset({"at_least", "at_most"}))
        at_least = self._number("conditions.devices.at_least", devices.get("at_least", 0), 0, 10**9)
        at_most = devices.get("at_most")
        if at_most is not None:
            at_most = self._number("conditions.devices.at_most", at_most, at_least, 10**9)
        if not isinstance(catalogs, list) or not all(isinstance(each, str) and each for each in catalogs):
            self.fail("conditions.catalogs", "names of catalogs", catalogs)
        return at_least, at_most, frozenset(each.casefold() for each in catalogs)

    def steps(self, value: Any, kinds: frozenset[str]) -> tuple[Step, ...]:
        """The actions."""
        if not isinstance(value, Sequence) or isinstance(value, str) or not 1 <= len(value) <= MAX_ACTIONS:
            self.fail("actions", f"a list of 1 to {MAX_ACTIONS} actions", value)
        return tuple(self._step(f"actions.{index}", each, kinds) for index, each in enumerate(value))

    def _step(self, path: str, value: Any, kinds: frozenset[str]) -> Step:
        if not isinstance(value, Mapping):
            self.fail(path, "a map with kind", value)
        self.keys(path, value, frozenset({"kind", "mode", "ends_after_s", "expires_after_s"}))
        name, mode = value.get("kind"), value.get("mode", "propose")
        if not isinstance(name, str) or name not in ACTION_KINDS or name == "raise-floor":
            usable = ", ".join(each for each in ACTION_KINDS if each != "raise-floor")
            self.fail(f"{path}.kind", f"one of {usable}", name)
        if mode not in ("automatic", "propose"):
            self.fail(f"{path}.mode", "automatic or propose", mode)
        kind, is_automatic = ACTION_KINDS[name], mode == "automatic"
        if is_automatic and kind.only_proposed:
            self.fail(f"{path}.mode", f"propose ({name}: {kind.only_proposed})", mode)
        if is_automatic and kind.restricts and not kinds <= SEEN_BY_SERVICE:
            reported = min(kinds - SEEN_BY_SERVICE)
            self.fail(f"{path}.mode", f"propose ({reported} rests on what devices say of one another)", mode)
        if (
            ADVISORY in kind.targets
            and len(kind.targets) == 2
            and name != "notify"
            and kinds != {"vulnerability-in-field"}
        ):
            self.fail(f"{path}.kind", "a finding about an advisory: vulnerability-in-field", name)
        ends, expires = value.get("ends_after_s"), value.get("expires_after_s")
        if ends is not None:
            if name != "quarantine":
                self.fail(f"{path}.ends_after_s", "an end of a quarantine only", ends)
            ends = self._number(f"{path}.ends_after_s", ends, 60, 366 * 86_400)
        if expires is not None:
            expires = self._number(f"{path}.expires_after_s", expires, MIN_EXPIRY_S, MAX_EXPIRY_S)
        return Step(kind=name, is_automatic=is_automatic, ends_after_s=ends, expires_after_s=expires)

    def _number(self, path: str, value: Any, low: int, high: int) -> int:
        if type(value) is not int or not low <= value <= high:
            self.fail(path, f"a number from {low} to {high}", value)
        return int(value)
