# SPDX-License-Identifier: Apache-2.0
"""What the page of alerts shows, as its address says it: state, severity, rule, device, segment, time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from armillary.console.frame.form import offered
from armillary.console.frame.times import RANGES, ranged
from armillary.console.language.say import say, shaped
from armillary.twin.rule.rule import SEVERITIES

# State -> what it is called. "open" is what needs somebody, and comes first.
STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "open": shaped(say("open"), str.capitalize),
        "active": say("Active"),
        "cleared": say("Cleared"),
        "acknowledged": say("Acknowledged"),
        "all": say("All"),
    }
)
# Characters of an address that are read of one filter.
MAX_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertQuery:
    """The filters of an address; "" filters nothing."""

    status: str = "open"  # of STATES
    severity: str = ""
    rule: str = ""  # id
    device: str = ""  # name, id or its first digits, as typed
    group: str = ""  # id of a saved query
    range: str = ""  # of RANGES
    start: str = ""  # time as typed, UTC
    end: str = ""

    def address(self, path: str = "/alerts", **changes: str) -> str:
        """The address of the same filters with ``changes``."""
        found = {**self.given(), **changes}
        query = urlencode({name: value for name, value in found.items() if value})
        return f"{path}?{query}" if query else path

    def given(self) -> dict[str, str]:
        """The filters that filter, by name; ``status`` always."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value}

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the state filters."""
        return len(self.given()) > 1

    def asked(self, now: int) -> dict[str, Any]:
        """The filters as sources take them, but for the device: ``since_ms`` and ``until_ms`` of the range.

        Raises:
            InvalidArgumentError: a time that was typed is none.
        """
        since, until = ranged(self.range, self.start, self.end, now)
        return {
            "rule": self.rule or None,
            "group": self.group or None,
            "severities": (self.severity,) if self.severity else (),
            "since_ms": None if since is None else since * 1000,
            "until_ms": None if until is None else until * 1000,
        }


def check_words(given: Mapping[str, str]) -> None:
    """Raise InvalidArgumentError for a state, severity or range that there is not: it would seem to filter."""
    for name, known in (("status", STATES), ("severity", SEVERITIES), ("range", RANGES)):
        offered(name, given.get(name, "").strip(), known)


def query_of(given: Mapping[str, str]) -> AlertQuery:
    """The filters of a query string or form; what :func:`check_words` refuses filters nothing."""
    known = {each.name: given.get(each.name, "").strip()[:MAX_CHARACTERS] for each in fields(AlertQuery)}
    known["status"] = known["status"] if known["status"] in STATES else "open"
    known["severity"] = known["severity"] if known["severity"] in SEVERITIES else ""
    known["range"] = known["range"] if known["range"] in RANGES else ""
    return AlertQuery(**known)
