# SPDX-License-Identifier: Apache-2.0
"""The inbox of findings and the page of one: what they count, where they lead, what acknowledging a kind touches."""

from __future__ import annotations

import re
from dataclasses import replace
from uuid import uuid4

import pytest
from tests.console.console_server import RunningConsole
from tests.console.hub_scene import HubScene
from tests.console.plain_browser import signed_in
from tests.console.rehearsed_data import device_id, uid
from tests.console.security_scene import SecurityScene

from armillary.console.language.translation import translation
from armillary.console.security import finding_words, pages_finding, pages_findings
from armillary.console.security.pages_findings import Filters
from armillary.errors import InvalidArgumentError
from armillary.service.watch.detections import Observation
from armillary.wire.device.finding import KINDS

NOW = 1_900_000_000
KIND = {
    "kind": "hub-anomaly", "means": "Odd.", "severities": {"low": 120, "high": 1}, "findings": 121,
    "observations": 300, "first_seen": NOW - 50, "last_seen": NOW - 5, "newest": 400,
}  # fmt: skip
FOUND = {
    "finding_id": str(uuid4()), "kind": "vulnerability-in-field", "severity": "critical", "status": "open",
    "title": "12 devices run what CVE-2026-1/x affects, which is exploited", "cause": "django has a fault",
    "proposed_action": "look at it", "device_ids": [device_id(1)], "device_count": 12, "count": 1,
    "first_seen": NOW - 60, "last_seen": NOW - 60, "catalog_id": str(uuid4()), "rollout_id": None,
    "deployment_id": None, "image_id": None, "component_id": None,
    "advisory_id": "CVE-2026-1/x",
}  # fmt: skip
SEEN = Observation(
    kind="device-unknown",
    key=("inbox",),
    severity="high",
    title="A stranger knocked",
    cause="c",
    proposed_action="look",
)


def test_an_address_keeps_its_filters_and_a_word_that_is_none_is_refused() -> None:
    given = {"status": "closed", "severity": "high", "kind": "hub-anomaly", "catalog": "Contoso", "device": " Pump "}
    chosen = pages_findings.filters(given, ["Contoso"], whole=True)
    assert chosen == Filters("closed", "high", "hub-anomaly", "Contoso", "Pump")
    assert pages_findings.href(chosen) == (
        "/findings?status=closed&severity=high&kind=hub-anomaly&catalog=Contoso&device=Pump"
    )
    assert pages_findings.filters(dict.fromkeys(given, ""), ["Contoso"], whole=True) == Filters()
    assert pages_findings.filters({"device": "x' OR 1"}, ["Contoso"], whole=True) == Filters(device="x' OR 1")
    for name in ("status", "severity", "kind", "catalog"):
        with pytest.raises(InvalidArgumentError, match=f"{name}: expected .*got '5'"):
            pages_findings.filters({name: "5"}, ["Contoso"], whole=True)
    assert pages_findings.filters({"catalog": "5"}, ["Contoso"], whole=False) == Filters()
    assert pages_findings.filters(given, ["Contoso"], whole=False).catalog == "", "one of a catalog chooses none"
    assert [href for _, href, _ in pages_findings.statuses(Filters(kind="hub-anomaly"))] == [
        "/findings?kind=hub-anomaly",
        "/findings?status=acknowledged&kind=hub-anomaly",
        "/findings?status=closed&kind=hub-anomaly",
    ]


def test_every_kind_is_called_and_explained_in_german() -> None:
    german = translation("de").text
    for kind, means in KINDS.items():
        words = finding_words.kind_words(kind)
        assert (words, finding_words.kind_meaning(kind)) == (kind.replace("-", " "), means)
        assert german(words) != words
        assert german(finding_words.kind_meaning(kind)) != means
    assert finding_words.kind_meaning("new-kind", "What the API says.") == "What the API says."
    assert finding_words.kind_meaning("new-kind") == "A kind that is not known."


def test_the_first_line_counts_all_findings_and_not_those_of_the_page() -> None:
    page = {"items": [FOUND], "next": "9"}
    sentence = pages_findings.inbox_sentence(page, [KIND], Filters())
    assert sentence == "121 findings need you: 1 high and 120 low."
    nothing = {"items": [], "next": None}
    assert pages_findings.inbox_sentence(nothing, [], Filters()) == "Nothing needs you: no finding is open."
    assert pages_findings.inbox_sentence(nothing, [], Filters(kind="hub-anomaly")) == "No open finding is like this."


def test_acknowledging_a_kind_says_what_it_touches_and_asks_for_the_word_where_it_is_wide() -> None:
    asked = pages_findings.kind_confirmation(KIND, Filters(catalog="Contoso"))
    assert asked.title == "Acknowledge 121 open findings of the kind hub anomaly?"
    assert dict(asked.touches)["Touches"].startswith("121 open findings in Contoso: 1 high and 120 low.")
    assert (asked.word, dict(asked.hidden)["up_to"]) == ("acknowledge", "400")
    few = pages_findings.kind_confirmation({**KIND, "findings": 2, "severities": {"low": 2}}, Filters())
    assert few.word == ""
    assert pages_findings.kind_lines([KIND], Filters(), may_act=False, now=NOW)[0].acknowledge == ""
    assert pages_findings.kind_lines([KIND], Filters("closed"), may_act=True, now=NOW)[0].acknowledge == ""
    assert pages_findings.kind_lines([KIND], Filters(kind="hub-anomaly"), may_act=True, now=NOW) == ()


def test_a_finding_leads_to_what_it_is_about() -> None:
    def links(**more: object) -> dict[str, str]:
        made = pages_finding.finding_sheet({**FOUND, **more}, "Contoso", {}, [], may_act=True, now=NOW)
        return {row[0].text: row[1].href for row in made.sections[1].rows}

    assert links() == {"Advisory": "/advisories/CVE-2026-1%2Fx"}
    image = uid("image")
    found = links(kind="application-crashed", advisory_id=None, image_id=image, rollout_id="r")
    assert found == {
        "Roll-out": "/updates/r",
        "Image": f"/images/Contoso/{image}",
        "Crashes": f"/crashes?catalog=Contoso&image={image}",
    }
    assert links(advisory_id=None, image_id=image)["Image"]
    whole = pages_finding.finding_sheet({**FOUND, "image_id": image}, "", {}, [], may_act=False, now=NOW)
    assert (whole.buttons, len(whole.sections[1].rows)) == ((), 1), "without its catalog an image has no page"
    assert whole.sections[2].note == "12 devices, 11 more than are named"


def test_a_kind_is_acknowledged_and_what_came_since_the_page_is_asked_again(console: RunningConsole) -> None:
    browser, fleet = signed_in(console, "contributor-secret"), console.fleet
    page = browser.get("/findings").text
    assert 'href="/findings?kind=proof-replayed"' in page
    way = "/finding-kinds/proof-replayed/acknowledge"
    assert way in page
    assert browser.confirm(way).status == 303
    moved = [each["finding_id"] for each in fleet.seen if each["status"] == "acknowledged"]
    assert moved == [uid("proof-replayed")]
    again = browser.confirm("/finding-kinds/application-crashed/acknowledge", findings="7")
    assert (again.status, "This has changed since the page was opened" in again.text) == (409, True)
    assert browser.get(way).status == 404, "none of the kind is open any more"
    assert way not in signed_in(console, "reader-secret").get("/findings").text


def test_the_pages_of_a_service_filter_by_device_and_show_the_audit_line(hub_scene: HubScene) -> None:
    watch, device = hub_scene.running.service.watch, hub_scene.device.device_id
    found = watch.observe(replace(SEEN, device_ids=(device,)))
    elsewhere = watch.observe(replace(SEEN, key=("else",), title="Another stranger"))
    browser = hub_scene.browser("Contributor")
    mine = browser.get(f"/findings?device={device[:16]}").text
    assert (str(found.finding_id) in mine, str(elsewhere.finding_id) in mine) == (True, False)
    here = f"/findings/{found.finding_id}"
    page = browser.get(here).text
    assert "A stranger knocked." in page
    assert re.search(r'<form class="inline" method="post" action="' + here, page)
    assert browser.post(here, status="acknowledged", back=here).headers["location"].startswith(here)
    assert "What was done" in browser.get(here).text
    assert "Acknowledge</button>" not in hub_scene.browser("Reader").get(here).text
    for each in (found, elsewhere):
        watch.close(each.finding_id, actor="test")


def test_from_a_finding_one_becomes_aware(security_scene: SecurityScene) -> None:
    here = f"/findings/{security_scene.finding}"
    way = f'href="/new-case?subject=finding&amp;reference={security_scene.finding}&amp;catalog=northwind"'
    assert way in security_scene.browser("Contributor").get(here).text
    assert "/new-case" not in security_scene.browser("Reader").get(here).text


def test_a_filter_that_is_none_is_said_and_shows_nothing(hub_scene: HubScene) -> None:
    answer = hub_scene.browser("Reader").get("/findings?severity=5")
    assert (answer.status, "Severity: expected" in answer.text) == (400, True)
    assert hub_scene.browser("Reader").get("/findings?severity=high").status == 200
