# SPDX-License-Identifier: Apache-2.0
"""Pages of guardians over a real service, without a browser: words, roles, commands and their answers."""

from __future__ import annotations

import html
import re
from datetime import datetime
from time import time
from typing import Any

import pytest
from tests.console.guardian_scene import MACHINE
from tests.console.guardians.conftest import GuardianScene

from armillary.console.guardians import pages_equipment, pages_guardians
from armillary.errors import InvalidArgumentError


def said(text: str) -> str:
    """The page's words."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_the_list_says_how_guardians_are(guardian_scene: GuardianScene) -> None:
    page = guardian_scene.browser("Reader").get("/guardians")
    assert page.status == 200
    words = said(page.text)
    assert "1 guardian before 2 pieces of equipment: 1 link up, 1 down and 3 attempts refused." in words
    assert "store-12 connected espresso1 and grinder 1 of 2 up 3 3 messages" in words


def test_a_guardian_shows_points_with_quality_attempts_link_and_queue(guardian_scene: GuardianScene) -> None:
    page = guardian_scene.browser("Reader").get(guardian_scene.place)
    words = said(page.text)
    assert "store-12 is connected; links: 1 of 2 up, 3 attempts refused and 3 messages waiting." in words
    assert "espresso1: simulated equipment by guard/coffee, version 3; link up" in words
    assert "92.5 °C good" in words
    assert "9.1 bar bad" in words
    assert "Alarm hot is raised: point brewTemp, value 97 °C, limit 96 °C" in words
    assert "setBrewTemp 140 °C refused by the guard rule value mallory" in words
    assert "shot.brewTemp 91.5 °C" in words
    assert "shot.seconds 27.4 s" in words
    assert "exchanges 900" in words
    assert "12 telemetry" in words
    assert "Review" not in words  # a Reader sends nothing
    assert f"/devices/{guardian_scene.guarded.device_id}" in page.text


def test_equipment_that_is_not_served_says_why(guardian_scene: GuardianScene) -> None:
    words = said(guardian_scene.browser("Reader").get(f"{guardian_scene.place}?equipment=grinder").text)
    assert "Its guardian does not serve it: its profile is not signed" in words
    assert "It is not registered here" in words


def test_a_device_leads_to_its_guardian_page(guardian_scene: GuardianScene) -> None:
    page = guardian_scene.browser("Reader").get(f"/devices/{guardian_scene.guarded.device_id}")
    assert f'href="{guardian_scene.place}"' in page.text


def test_a_command_is_reviewed_sent_once_and_its_answer_shown(guardian_scene: GuardianScene) -> None:
    browser, machine = guardian_scene.browser("Contributor"), guardian_scene.guarded.machine
    page = browser.get(guardian_scene.place)
    assert "The guard allows: 85 to 96" in said(page.text)
    form = f"{guardian_scene.place}/{MACHINE}/setBrewTemp"
    machine.asked.clear()
    review = browser.post(f"{form}/review", value="93.5")
    assert "espresso1: 93.5 °C?" in said(review.text)
    assert "What it refuses does not reach the equipment" in said(review.text)
    assert machine.asked == []  # not before it is confirmed
    done = browser.post(f"{form}/send", value="93.5")
    assert "done" in said(done.text)
    assert "is 93.5 °C, read back" in said(done.text)
    ((name, asked),) = machine.asked
    assert (name, asked["value"], len(asked["nonce"])) == ("setBrewTemp", 93.5, 22)
    assert 0 < datetime.fromisoformat(asked["expires"]).timestamp() - time() <= 61
    page = guardian_scene.browser("Administrator").get(guardian_scene.place)
    assert "setBrewTemp Contributor-token" in said(page.text)  # the audit log says who
    again = browser.post(f"{form}/send", value="93.5")
    assert again.status == 200
    assert machine.asked[1][1]["nonce"] != asked["nonce"]


def test_what_the_guard_refuses_is_told_with_its_rule(guardian_scene: GuardianScene) -> None:
    browser = guardian_scene.browser("Contributor")
    browser.get(guardian_scene.place)
    refused = said(browser.post(f"{guardian_scene.place}/{MACHINE}/setBrewTemp/send", value="140").text)
    assert "refused by the guard rule value: 140 is not in 85 to 96: Choose another value." in refused


@pytest.mark.parametrize("value", ["", "hot", "nan", "inf", "1e999"])
def test_what_is_no_value_is_told_at_the_form_and_not_sent(guardian_scene: GuardianScene, value: str) -> None:
    browser, machine = guardian_scene.browser("Contributor"), guardian_scene.guarded.machine
    browser.get(guardian_scene.place)
    machine.asked.clear()
    page = browser.post(f"{guardian_scene.place}/{MACHINE}/setBrewTemp/review", value=value)
    assert page.status == 400
    assert "value: expected a number" in said(page.text)
    assert machine.asked == []


def test_nobody_else_commands(guardian_scene: GuardianScene) -> None:
    reader = guardian_scene.browser("Reader")
    reader.get("/help")
    for verb in ("review", "send"):
        assert reader.post(f"{guardian_scene.place}/{MACHINE}/setBrewTemp/{verb}", value="93").status == 403
    contributor = guardian_scene.browser("Contributor")
    contributor.get("/help")
    for path in (f"{MACHINE}/none", "grinder/setBrewTemp"):
        assert contributor.post(f"{guardian_scene.place}/{path}/send", value="93").status == 404


def test_without_guardians_the_list_says_how_one_comes() -> None:
    sheet = pages_guardians.list_sheet({"items": [], "next": None}, is_part=False, now=0)
    assert sheet.title == "No guardian yet."
    assert sheet.command.startswith("armillary guardian ")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("double", " 92.5 ", 92.5),
        ("integer", "7", 7),
        ("boolean", "true", True),
        ("string", "x", "x"),
        (None, "x", None),
    ],
)
def test_values_are_read_by_kind(kind: str | None, text: str, value: Any) -> None:
    assert pages_equipment.value_of({"value": kind}, text) == value


@pytest.mark.parametrize(("kind", "text"), [("integer", "7.5"), ("boolean", "yes"), ("double", "1,5")])
def test_values_of_another_kind_are_refused(kind: str, text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="value: expected"):
        pages_equipment.value_of({"value": kind}, text)


@pytest.mark.parametrize(
    ("status", "word"), [(504, "did not answer"), (409, "something else stands"), (500, "answered 500")]
)
def test_other_answers_are_never_drawn_as_good(status: int, word: str) -> None:
    line = pages_equipment.answered({"display_name": "x", "symbol": ""}, {"status": status, "payload": [1]})
    assert line["state"]["kind"] == "bad"
    assert word in line["state"]["word"]
