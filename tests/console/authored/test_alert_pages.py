# SPDX-License-Identifier: Apache-2.0
"""Pages of alerts and traces: each comparison is said once, in people's words; a deleted rule is no link."""

from __future__ import annotations

from typing import Any

from armillary.console.alerts.pages_alerts import line_of
from armillary.console.authored.pages_rules import trace_sheet

DEVICE = "pump-1"


def _alert(**more: Any) -> dict[str, Any]:
    return {
        "number": 1, "fired_ms": 1000, "over_ms": None, "severity": "high", "rule_id": "hot", "rule_name": "Too hot",
        "device_id": DEVICE, "acknowledged_ms": None, "acknowledged_by": "", "summary": "Flow 41 was above 40",
        "trace": {}, "rule_is_deleted": False, **more,
    }  # fmt: skip


def test_an_alert_of_a_deleted_rule_leads_to_no_page_of_it() -> None:
    kept, gone = (line_of(_alert(rule_is_deleted=each), {DEVICE: "Pump 1"}, 9) for each in (False, True))
    assert (kept.rule_href, gone.rule_href, gone.rule, gone.device) == ("/rules/hot", "", "Too hot", "Pump 1")


def test_a_trace_says_each_comparison_once_and_without_machine_names() -> None:
    item = {
        "at_ms": 1000, "now_ms": 1000, "outcome": "not met", "cause": "message", "event": "a message.",
        "why": "a message: did not fire, because flow_rate is 35, > 40: not met.",
        "conditions": ["flow_rate is 35, > 40: not met"], "notes": ["late"],
        "summary": "Flow rate 35 L/min was not above 40 L/min",
    }  # fmt: skip
    trace = {"rule_id": "hot", "unconcerned": None, "state": "clear", "items": [item]}
    cell = trace_sheet("Too hot", trace, "Pump 1", 9).sections[0].rows[0][2]
    assert (cell.text, cell.reason) == ("Flow rate 35 L/min was not above 40 L/min.", "A message. · late")
    older = trace_sheet("Too hot", {**trace, "items": [{**item, "event": None, "summary": ""}]}, "Pump 1", 9)
    assert older.sections[0].rows[0][2].text == "A message: did not fire, because flow_rate is 35, > 40: not met."
