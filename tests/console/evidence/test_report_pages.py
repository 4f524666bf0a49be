# SPDX-License-Identifier: Apache-2.0
"""Vulnerability reports: what is due first, hostile text as text, each reading audited, each state's actions."""

from __future__ import annotations

import re

from tests.console.security_scene import SecurityScene

from armillary.console.evidence import pages_reports
from armillary.regulation import vulnerability_report as rules

NASTY = "<script>alert(1)</script>\n\u202egnp.exe & 'quotes'"


def test_every_state_and_action_is_drawn() -> None:
    assert set(pages_reports.STATES) == set(rules.STATES)
    assert set(pages_reports.ACTIONS) == set(rules.ACTIONS)


def test_the_inbox_says_what_is_due_first() -> None:
    one = {
        "reference": "VR-A", "state": "new", "received_at": 1, "due_action": "acknowledge", "due_at": 7200,
        "due_state": "overdue", "catalog": None, "product": None,
    }  # fmt: skip
    other = {**one, "reference": "VR-B", "due_at": 90_000, "due_state": "running"}
    made = pages_reports.list_sheet(
        {"items": [other, one], "next": None}, None, asked="open", is_part=False, now=14_400
    )
    assert made.title == "2 reports; first due: acknowledge receipt of VR-A, 2 h ago."
    assert [row[3].state.kind for row in made.sections[0].rows] == ["attention", "bad"]
    nothing = pages_reports.list_sheet({"items": [], "next": None}, None, asked="open", is_part=False, now=1)
    assert nothing.title == "No report is open."


def test_a_report_is_read_dealt_with_and_assigned(security_scene: SecurityScene) -> None:
    service = security_scene.service
    service.disclosure.policies.set({"contacts": ["mailto:psirt@northwind.example"], "is_open": True}, actor="test")
    handed = security_scene.running.call(
        "POST", "/api/v1/public/vulnerability-reports",
        {"title": "Kettles <b>boil</b>", "description": NASTY, "contact": "ann@example.com", "exploited": "yes"},
        token=None,
    )  # fmt: skip
    assert handed.status == 201, handed.raw
    reference = handed.body["reference"]
    here, browser = f"/vulnerability-reports/{reference}", security_scene.browser("Contributor")
    inbox = browser.get("/vulnerability-reports").text
    assert here in inbox
    assert "Kettles" not in inbox.partition('id="sheet"')[2], "what a report says is sealed until it is read"
    page = browser.get(here).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "Kettles &lt;b&gt;boil&lt;/b&gt;" in page
    read = [each for each in service.audit.list(limit=20).items if each.target == reference]
    assert any(each.actor == "Contributor-token" for each in read)
    offered = re.findall(r'<option value="(\w+)"', page.partition('id="actions"')[2].partition("</select>")[0])
    assert set(offered) == set(rules.TRANSITIONS["new"])
    assert browser.post(f"{here}/actions", action="acknowledge", note="thanked her").status == 303
    assert "thanked her" in browser.get(here).text
    refused = browser.post(f"{here}/actions", action="close", note="")
    assert refused.status in (400, 409)
    assert browser.post(f"{here}/assign", catalog="northwind", product="Kettles").status == 303
    assert "northwind / Kettles" in browser.get("/vulnerability-reports").text
    wrong = browser.post(f"{here}/assign", catalog="northwind", product="Toasters")
    assert (wrong.status, 'value="Toasters"' in wrong.text) == (400, True)
    assert f"/new-case?subject=vulnerability-report&amp;reference={reference}" in browser.get(here).text
    reader = security_scene.browser("Reader")
    assert "Do it</button>" not in reader.get(here).text
    assert reader.post(f"{here}/actions", action="work").status == 403
    assert browser.get("/vulnerability-reports/VR-AAAA-AAAA-AAAA").status == 404
