# SPDX-License-Identifier: Apache-2.0
"""A guardian's section of its twin: read whole where it has its form, and never an error where it has another."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.wire.hub.guardian_report import (
    ATTEMPT_LIMIT,
    COUNTS_LIMIT,
    EQUIPMENT_LIMIT,
    TEXT_LIMIT,
    read_report,
)

ATTEMPT = {"command": "setBrewTemp", "value": 140, "outcome": "refused", "rule": "value", "by": "ada", "at": 1.5}
SECTION: dict[str, Any] = {
    "format": 1,
    "boot": "5f",
    "clock": "synced",
    "queue": {"messages": 3, "bytes": 81_920, "dropped": {"telemetry": 12}, "oldest_s": 4},
    "equipment": {
        "espresso1": {
            "profile": "guard/coffee",
            "version": 3,
            "link": "up",
            "counters": {"exchanges": 900, "timeouts": 1},
            "refused": {"value": 1},
            "attempts": [ATTEMPT],
        }
    },
}
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80)
JSON = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))


def test_a_section_is_read_whole() -> None:
    found = read_report(SECTION)
    assert found is not None
    assert (found.boot, found.clock) == ("5f", "synced")
    assert asdict(found.queue) == SECTION["queue"]
    (machine,) = found.equipment
    assert (machine.name, machine.profile, machine.version, machine.link) == ("espresso1", "guard/coffee", 3, "up")
    assert (machine.counters, machine.refused) == ({"exchanges": 900, "timeouts": 1}, {"value": 1})
    assert asdict(machine.attempts[0]) == ATTEMPT


@pytest.mark.parametrize("section", [None, 1, "x", [], [{"boot": "5f"}]])
def test_no_object_is_no_guardian(section: object) -> None:
    assert read_report(section) is None


def test_what_a_device_lies_about_is_cut() -> None:
    many: dict[str, Any] = {f"e{number}": {"attempts": [ATTEMPT] * 100} for number in range(1000)}
    many["e0"] = {
        "link": "fine",
        "version": -1,
        "profile": "x" * 1000,
        "counters": {**{f"c{number}": 1 for number in range(1000)}},
        "refused": {"value": True, "step": -1, "rate": 10**400, "span": 2.0, "unit": float("nan")},
    }
    found = read_report({"equipment": many, "clock": ["synced"], "queue": 7})
    assert found is not None
    assert (len(found.equipment), found.clock, found.queue.messages) == (EQUIPMENT_LIMIT, "unknown", 0)
    first = found.equipment[0]
    assert (first.link, first.version, len(first.profile), len(first.counters)) == (
        "unknown", None, TEXT_LIMIT, COUNTS_LIMIT,
    )  # fmt: skip
    assert first.refused == {"span": 2}
    assert len(found.equipment[1].attempts) == ATTEMPT_LIMIT


@pytest.mark.parametrize("at", [253_402_300_800, 2**53 - 1, 1e300, -1, True, "now"])
def test_a_time_that_no_calendar_has_is_unknown(at: object) -> None:
    found = read_report({"equipment": {"e": {"attempts": [ATTEMPT | {"at": at}]}}})
    assert found is not None
    assert found.equipment[0].attempts[0].at is None


def test_the_last_second_of_the_calendar_is_shown() -> None:
    found = read_report({"equipment": {"e": {"attempts": [ATTEMPT | {"at": 253_402_300_799.9}]}}})
    assert found is not None
    at = found.equipment[0].attempts[0].at
    assert at is not None
    assert datetime.fromtimestamp(int(at), UTC).year == 9999


@given(
    JSON, st.lists(st.sampled_from(["boot", "clock", "queue", "equipment", "e", "attempts", "counters"]), max_size=4)
)
def test_no_document_is_an_error(document: object, path: list[str]) -> None:
    for name in reversed(path):
        document = {name: document}
    found = read_report(document)
    if found is not None:
        json.dumps(asdict(found))
