# SPDX-License-Identifier: Apache-2.0
"""The page of alerts: the first line in words, filters in the address, history, what many are asked before."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.console.alerts.pages_alerts import alert_sheet, device_section, many_confirmation, overview_sentence
from armillary.console.alerts.query import AlertQuery, check_words, query_of
from armillary.errors import InvalidArgumentError

NOW = 10_000


def alert(**more: Any) -> dict[str, Any]:
    return {
        "number": 7, "fired_ms": (NOW - 240) * 1000, "at_ms": (NOW - 240) * 1000, "over_ms": None, "severity": "critical",
        "rule_id": "hot", "rule_name": "Too hot", "device_id": "f2", "acknowledged_ms": None, "acknowledged_by": None,
        "note": "", "summary": "Temperature 30.5 °C was above 25 °C", "reason": "Temperature 30.5 °C > 25 °C",
        "trace": {"conditions": ["t is 30.5, > 25: met"]}, "rule_is_deleted": False, "catalog": "North",
        "deliveries": [], **more,
    }  # fmt: skip


def test_the_first_line_says_how_many_how_grave_and_the_gravest_in_words() -> None:
    found = {"open": 3, "severities": {"critical": 1, "low": 2}, "gravest": alert()}
    said = overview_sentence(found, "Freezer 2", NOW)
    assert said == "3 open, 1 critical: Temperature 30.5 °C > 25 °C, Freezer 2, for 4 min."
    over = {**found, "gravest": alert(over_ms=(NOW - 60) * 1000)}
    assert overview_sentence(over, "Freezer 2", NOW).endswith("Freezer 2, lasted 3 min.")
    assert overview_sentence({"open": 0, "severities": {}, "gravest": None}, "", NOW) == "No open alerts."


def test_filters_stand_in_the_address_and_unknown_words_are_refused() -> None:
    given = {"status": "cleared", "severity": "high", "rule": "hot", "device": "f2", "group": "g", "range": "24h"}
    query = query_of(given)
    assert query.address() == "/alerts?status=cleared&severity=high&rule=hot&device=f2&group=g&range=24h"
    assert query_of({"status": "x", "severity": "worst", "range": "9y"}) == AlertQuery()
    check_words({**given, "severity": " high "})
    for name, word in (("status", "x"), ("severity", "5"), ("range", "9y")):
        with pytest.raises(InvalidArgumentError, match=f"{name}: expected .*got '{word}'"):
            check_words({name: word})
    asked = query.asked(NOW * 100)
    assert (asked["since_ms"], asked["until_ms"], asked["severities"]) == ((NOW * 100 - 86_400) * 1000, None, ("high",))
    assert query_of({"start": "1970-01-01 01:00"}).asked(NOW)["since_ms"] == 3_600_000
    with pytest.raises(InvalidArgumentError, match="From: expected a time"):
        query_of({"start": "soon"}).asked(NOW)


def test_the_history_has_who_was_told_who_acknowledged_and_when_it_cleared_in_order() -> None:
    base = (NOW - 240) * 1000
    told = {"kind": "email", "to": "desk@example.com", "action": "desk", "attempts": 1, "error": ""}
    item = alert(
        acknowledged_ms=base + 90_000, acknowledged_by="ann", note="fan replaced", over_ms=base + 60_000,
        deliveries=[
            {**told, "state": "done", "changed_ms": base + 2_000},
            {**told, "kind": "webhook", "to": "x:443", "state": "dead", "changed_ms": base + 30_000, "attempts": 12,
             "error": "answered 500"},
        ],
    )  # fmt: skip
    sheet = alert_sheet(item, "Freezer 2", may_change=True, now=NOW)
    history = sheet.sections[0].rows
    assert [row[1].text.split(":")[0] for row in history] == [
        "Fired", "E-mail to desk@example.com", "Webhook to x", "Cleared", "Acknowledged by ann",
    ]  # fmt: skip
    assert [row[2].state.word for row in history if row[2].state] == [
        "critical", "delivered", "failed", "cleared", "acknowledged",
    ]  # fmt: skip
    assert history[2][2].reason == "answered 500, 12 attempts"
    assert history[4][1].reason == "fan replaced"
    assert sheet.forms == ()  # it is acknowledged
    alone = alert_sheet(alert(), "Freezer 2", may_change=True, now=NOW)
    assert alone.sections[0].rows[1][1].text == "Nobody was told: the rule had no actions"
    assert alone.forms[0].post == "/alerts/7/acknowledge"
    assert alert_sheet(alert(), "Freezer 2", may_change=False, now=NOW).forms == ()


def test_many_are_asked_for_with_their_count_and_their_filters() -> None:
    asked = many_confirmation(query_of({"severity": "high", "rule": "hot"}), 37, 812, "seen")
    assert asked.title == "Acknowledge 37 open alerts?"
    assert asked.touches[0][1] == "37 open alerts with severity high and rule hot, up to number 812."
    assert {("count", "37"), ("up_to", "812"), ("severity", "high")} <= set(asked.hidden)


def test_a_device_page_has_its_open_alerts_and_says_where_there_are_none() -> None:
    section = device_section([alert()], "f2", more=False, now=NOW)
    assert (section.rows[0][0].text, section.rows[0][0].href) == ("Temperature 30.5 °C > 25 °C", "/alerts/7")
    assert section.next_href == "/alerts?status=all&device=f2"
    assert device_section([], "f2", more=False, now=NOW).none == "No open alerts of this device."
