# SPDX-License-Identifier: Apache-2.0
"""Notification channels: made by a form of their kind, tested with what came back, deleted; secrets are never shown."""

from __future__ import annotations

import re

import pytest
from tests.console.security_scene import SecurityScene

from armillary.console.security import pages_channels, pages_notifications
from armillary.service.notifications.options import KINDS
from armillary.wire.notification.event import TOPICS

SECRET = "a-secret-of-thirty-two-characters"
STATUS = {
    "waiting": 0, "delivered": 0, "given_up": 0, "dropped": 0, "failures": 0, "delivered_at": None, "failed_at": None,
    "error": "",
}  # fmt: skip


def test_every_kind_of_channel_has_its_form() -> None:
    assert set(pages_channels.KINDS) == set(KINDS)
    for kind in KINDS:
        made = pages_channels.new_sheet(kind, ["Contoso"], {}, None, whole=True)
        names = [each.name for each in made.forms[0].fields]
        assert names[:2] == ["name", "catalog"]
        assert ("secret" in names) == (kind in ("webhook", "otlp"))


def test_every_topic_can_be_chosen_alone_or_with_others_and_has_words() -> None:
    field = pages_notifications.topics_field(("alert", "finding"))
    offered = dict(field.choices)
    assert len(offered) == 2 ** len(TOPICS) - 1
    assert {"", *TOPICS, " ".join(TOPICS)} <= offered.keys()
    assert (offered[""], offered["alert"], offered[field.value]) == (
        "findings and actions", "alerts only", "findings and alerts",
    )  # fmt: skip
    assert pages_notifications.TOPIC_WORDS.keys() == set(TOPICS)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ({"delivered": 3}, "good"), ({"delivered": 3, "given_up": 1}, "bad"), ({"dropped": 1}, "bad"),
        ({"delivered": 3, "failures": 2}, "attention"), ({}, "unknown"),
    ],
)  # fmt: skip
def test_what_was_not_told_is_not_drawn_as_good(status: dict[str, int], kind: str) -> None:
    channel = {
        "channel_id": "c", "name": "Desk", "kind": "webhook", "catalog": None, "min_severity": "info",
        "topics": [], "finding_kinds": [], "status": STATUS | status,
    }  # fmt: skip
    overview = {"mail": {"is_set": False}, "events": [], "silent_rules": []}
    made = pages_channels.list_sheet([channel], overview, may_make=False, may_test=False, now=1)
    assert made.sections[0].rows[0][1].state.kind == kind
    assert (made.title == "1 channel, all told of everything.") == (kind == "good")


def test_options_are_those_of_the_form_and_what_is_empty_is_left_out() -> None:
    assert pages_channels.options_of("e-mail", {"to": "a@x.example, b@x.example"}) == {
        "to": ["a@x.example", "b@x.example"]
    }
    assert pages_channels.options_of("syslog", {"host": "h", "port": "6514", "ca": " "}) == {"host": "h", "port": 6514}
    assert pages_channels.options_of("syslog", {"port": "\u0661"}) == {"port": "\u0661"}, "the service refuses it"


def test_a_channel_is_made_tested_and_deleted(security_scene: SecurityScene) -> None:
    browser, kept = security_scene.browser("Administrator"), security_scene.service.notifications.channels
    refused = browser.post(
        "/new-notification-channel", kind="webhook", name="Desk", url="ftp://x.example/", secret=SECRET,
        min_severity="high",
    )  # fmt: skip
    assert (refused.status, 'value="ftp://x.example/"' in refused.text) == (400, True)
    assert SECRET not in refused.text
    made = browser.post(
        "/new-notification-channel", kind="webhook", name="Desk", url="https://hooks.example.com/T0KEN",
        secret=SECRET, min_severity="high", catalog="northwind",
    )  # fmt: skip
    assert made.status == 303, made.text
    here = made.headers["location"].partition("?")[0]
    page = browser.get(here).text
    assert "https://hooks.example.com" in page
    assert [each in page for each in (SECRET, "T0KEN")] == [False, False]
    assert browser.confirm(f"{here}/delete").status == 303
    assert [each.name for each in kept.list(None)] == ["Desk file"]

    file = f"/notification-channels/{security_scene.channel}"
    answer = browser.post(f"{file}/test")
    assert answer.status == 200
    assert "The test was taken: " in answer.text
    assert browser.post(f"{file}/retry").status == 303


def test_who_may_not_change_channels_is_offered_nothing(security_scene: SecurityScene) -> None:
    reader, here = security_scene.browser("Reader"), f"/notification-channels/{security_scene.channel}"
    assert not re.search(r"/(test|retry|choose|delete)", reader.get(here).text)
    assert "/new-notification-channel" not in reader.get("/notification-channels").text
    assert reader.get("/new-notification-channel").status == 403
    contributor = security_scene.browser("Contributor").get(here).text
    assert [f"{here}/{verb}" in contributor for verb in ("test", "choose", "delete")] == [True, False, False]
    assert f"{here}/test" not in reader.get("/notification-channels").text
    assert security_scene.browser("Contributor").post(f"{here}/choose", topic="action").status == 403


def test_one_page_says_who_is_told_of_what_and_a_channel_is_told_something_else(security_scene: SecurityScene) -> None:
    browser, notifications = security_scene.browser("Administrator"), security_scene.service.notifications
    made = browser.post(
        "/new-notification-channel", kind="e-mail", name="Night <desk>", to="night@example.com", min_severity="high",
        topic="finding", catalog="northwind",
    )  # fmt: skip
    here = made.headers["location"].partition("?")[0]
    try:
        page = browser.get("/notification-channels").text
        assert "No mail server" not in page
        assert "E-mails of channels and rules wait." in page
        night = "Night &lt;desk&gt; (of northwind, from high)"
        told = {
            each: _told(page, each) for each in ("Findings, critical", "Findings, medium", "Actions, and what", "Times")
        }
        assert [night in each for each in told.values()] == [True, False, False, True]
        assert f'action="{here}/test"' in page

        shown = browser.get(here).text
        assert '<option value="finding" selected>findings only</option>' in shown
        saved = browser.post(f"{here}/choose", topic="", min_severity="low", **{"kind_rollout-held": "on"})
        assert saved.status == 303, saved.text
        (mine,) = (each for each in notifications.channels.list("northwind") if each.name == "Night <desk>")
        assert (mine.topics, mine.finding_kinds, mine.min_severity) == ((), ("rollout-held",), "low")
        page = browser.get("/notification-channels").text
        changed = [
            _told(page, each) for each in ("Roll-outs that are halted", "Times", "Findings, low", "Actions, and what")
        ]
        assert ["Night" in each for each in changed] == [True, False, True, True]
        assert "checked> A roll-out was stopped" in browser.get(here).text.replace('" checked', " checked")
        assert "Night" not in _told(page, "Alerts of rules")
        saved = browser.post(f"{here}/choose", topic="finding alert", min_severity="high")
        assert saved.status == 303, saved.text
        (mine,) = (each for each in notifications.channels.list("northwind") if each.name == "Night <desk>")
        assert mine.topics == ("finding", "alert")
        assert '<option value="finding alert" selected>findings and alerts</option>' in browser.get(here).text
        page = browser.get("/notification-channels").text
        night = "Night &lt;desk&gt; (of northwind, chose alerts, from high)"
        assert (night in _told(page, "Alerts of rules"), "Night" in _told(page, "Actions, and what")) == (True, False)
        refused = browser.post(f"{here}/choose", topic="weather", min_severity="low")
        assert (refused.status, "topics: expected finding, action" in refused.text) == (400, True)
    finally:
        browser.confirm(f"{here}/delete")


def _told(page: str, event: str) -> str:
    """The row of an event."""
    return page.partition(f"<span>{event}")[2].partition("</tr>")[0]
