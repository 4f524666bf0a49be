# SPDX-License-Identifier: Apache-2.0
"""The log of a device in the console: asked for, waited for, read with a trace, and where there is none, said."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.console.hub_devices.test_hub_devices_pages import said
from tests.console.hub_scene import HubScene

from armillary.console.device import pages_device_log as pages
from armillary.console.frame.sheet import Section
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.device_log import DeviceLog, encode_log
from armillary.wire.device.update_status import UpdateStatus

NOW = 1_800_000_000
ERRORS = Section(title="Error reports", columns=(), rows=[], none="None.")
REQUEST = {"asked_at": NOW - 20, "asked_by": "ann", "ends_at": NOW + 600_000}
ANSWER = {
    "asked_at": NOW - 900, "asked_by": "bob", "answered_at": NOW - 600, "kept_until": NOW + 9000,
    "line_count": 1200, "left_out": 7,
}  # fmt: skip
NEVER = {"device_id": "ab" * 64, "state": "never", "answers": True, "refused": "", "request": None, "answer": None}


def sheet(may_ask: bool = True, may_read: bool = True, **standing: Any) -> Any:
    return pages.log_sheet({**NEVER, **standing}, ERRORS, NOW, may_ask=may_ask, may_read=may_read)


@pytest.mark.parametrize(
    ("standing", "title"),
    [
        ({}, "Nothing of this device's log is here."),
        ({"answers": None}, "Nothing of this device's log is here."),
        (
            {"state": "waiting", "request": REQUEST},
            "Asked 20 s ago by ann. The device has not answered yet.",
        ),
        (
            {"state": "unanswered", "request": {**REQUEST, "ends_at": NOW - 1}},
            "Asked 20 s ago by ann. The device did not answer in time.",
        ),
        ({"state": "answered", "answer": ANSWER}, "1,200 lines of its log came 10 min ago."),
        ({"answers": False, "refused": "does not answer"}, "This device does not answer requests for its log."),
    ],
)
def test_the_first_line_says_where_the_log_stands(standing: dict[str, Any], title: str) -> None:
    assert sheet(**standing).title == title


def test_ways_on_are_those_that_the_operator_may_go() -> None:
    def ways(**given: Any) -> list[tuple[str, bool]]:
        return [(each.label, bool(each.refused)) for each in sheet(**given).buttons]

    assert ways() == [("Ask for the log", False)]
    assert ways(answer=ANSWER) == [("Read the log", False), ("Ask for the log", False)]
    assert ways(answer=ANSWER, may_ask=False, may_read=False) == []
    waiting = {"state": "waiting", "request": REQUEST, "refused": "was asked by ann and has not answered yet"}
    assert ways(answer=ANSWER, **waiting) == [("Read the log", False), ("Ask for the log", True)]


def test_facts_say_who_asked_and_when_it_came_also_of_the_answer_before() -> None:
    facts = [name for name, _ in sheet(state="waiting", request=REQUEST, answer=ANSWER).facts]
    assert facts[:3] == ["Asked", "Asked by", "Answered"]
    assert facts[3:] == [
        "Newest log: asked", "Newest log: asked by", "Newest log: came", "Newest log: lines",
        "Newest log: older lines on the device", "Newest log: kept until",
    ]  # fmt: skip


def test_the_page_of_lines_has_the_newest_and_says_how_many_it_has_not() -> None:
    lines = [f"2026-11-28 19:00:00  output  text={number}" for number in range(1200)]
    made = pages.lines_sheet({**ANSWER, "device_id": "ab" * 64, "lines": [*lines[:-1], "no time here"]}, NOW)
    (section,) = made.sections
    assert len(section.rows) == pages.SHOWN_LINES
    assert section.note == "oldest first; 907 older ones are not on this page"
    assert [cell.text for cell in section.rows[0]] == ["2026-11-28 19:00:00", "output  text=900"]
    assert [cell.text for cell in section.rows[-1]] == ["", "no time here"]
    assert made.every_s == 0, "a page that asks again by itself would be audited again and again"


@pytest.fixture
def device(hub_scene: HubScene) -> WireDevice:
    made = hub_scene.claimed()
    made.update_status, made.sends_log = UpdateStatus(abilities=("log",)), True
    return made


def audited(hub_scene: HubScene, device: WireDevice) -> list[str]:
    lines = hub_scene.running.service.audit.list(target=device.device_id).items
    return [line.operation for line in reversed(lines) if line.operation.endswith("-log")]


def test_a_person_asks_for_the_log_and_reads_it(hub_scene: HubScene, device: WireDevice) -> None:
    look, place = hub_scene.browser(), f"/devices/{device.device_id}/log"
    with device:
        device.check_in()
        assert "Nothing of this device's log is here." in said(look.get(place).text)
        asked = look.post(f"{place}/ask")
        assert (asked.status, asked.headers["location"].partition("?")[0]) == (303, place)
        page = look.get(asked.headers["location"])
        assert "Asked. It sends its log when it checks in" in page.text
        assert "The device has not answered yet." in said(page.text)
        assert look.post(f"{place}/ask").status == 409
        request_id = device.check_in().log_request
        assert isinstance(request_id, UUID)
        line = "2026-11-28 19:00:00  output  text=<script>alert(1)</script>\x1b[31m ü"
        log = DeviceLog(request_id=request_id, at=NOW, left_out=3, lines=(line, "x" * 2000))
        assert device.exchange("POST", "/v1/device-log", encode_log(log)).status == 200
    assert "2 lines of its log came" in said(look.get(place).text)
    assert audited(hub_scene, device) == ["device.ask-log"]
    read = look.get(f"{place}/lines")
    assert read.status == 200
    assert "output  text=&lt;script&gt;alert(1)&lt;/script&gt;[31m ü" in read.text
    assert "3 older ones are not on this page" in said(read.text)
    file = look.get(f"{place}/lines.txt")
    assert file.headers["content-type"] == "text/plain; charset=utf-8"
    assert file.headers["content-disposition"] == 'attachment; filename="device-log.txt"'
    assert file.text.splitlines()[0] == "2026-11-28 19:00:00  output  text=<script>alert(1)</script>[31m ü"
    assert audited(hub_scene, device) == ["device.ask-log", "device.read-log", "device.read-log"]


def test_a_reader_sees_where_it_stands_and_no_line(hub_scene: HubScene, device: WireDevice) -> None:
    look, place = hub_scene.browser("Reader"), f"/devices/{device.device_id}/log"
    page = look.get(place)
    assert page.status == 200
    assert "Ask for the log" not in page.text
    assert look.post(f"{place}/ask").status == 403
    assert look.get(f"{place}/lines").status == 403
    assert look.get(f"{place}/lines.txt").status == 403
    assert audited(hub_scene, device) == []


def test_of_what_is_not_there_that_is_said(hub_scene: HubScene, device: WireDevice) -> None:
    look = hub_scene.browser()
    assert look.get(f"/devices/{device.device_id}/log/lines").status == 404
    page = look.get("/hub-devices/cooler-1/log")
    assert page.status == 200
    assert "A hub device has no log that can be read here." in said(page.text)
    assert look.post("/hub-devices/cooler-1/log/ask").status == 404


def test_a_device_of_before_is_not_asked(hub_scene: HubScene, device: WireDevice) -> None:
    device.update_status, device.sends_log = UpdateStatus(), False
    with device:
        device.check_in()
    look, place = hub_scene.browser(), f"/devices/{device.device_id}/log"
    page = said(look.get(place).text)
    assert "This device does not answer requests for its log." in page
    assert look.post(f"{place}/ask").status == 409
    assert audited(hub_scene, device) == []
