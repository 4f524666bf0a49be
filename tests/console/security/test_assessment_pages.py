# SPDX-License-Identifier: Apache-2.0
"""The pages of the seven properties: what they say of a fleet and of a device, and to whom."""

from __future__ import annotations

from docs.texts import of_the_api
from tests.console.hub_scene import HubScene

from armillary.console.language.translation import translation
from armillary.console.security.pages_assessment import device_sheet, fleet_sheet
from armillary.service.assessment.properties import PROPERTIES

DEVICE = "ab" * 64


def named(number: int) -> dict[str, str]:
    each = PROPERTIES[number]
    return {"name": each.name, "title": each.title, "question": each.question}


def fleet(present: int, absent: int) -> dict[str, object]:
    reasons = [
        {"state": word, "says": f"It is {word}.", "devices": count, "example": DEVICE, "evidence": []}
        for word, count in (("present", present), ("absent", absent))
        if count
    ]
    states = {"present": present, "absent": absent, "stale": 0, "out-of-scope": 0}
    return {
        "devices": present + absent,
        "tiers": {"tpm": present + absent} if present + absent else {},
        "properties": [{**named(number), "states": states, "reasons": reasons} for number in range(7)],
    }


def test_every_property_is_called_and_asked_in_german() -> None:
    german = translation("de").text
    for section, each in zip(fleet_sheet(fleet(1, 0), "", []).sections, PROPERTIES, strict=True):
        assert (section.title, section.note) == (each.title, each.question)
        assert german(section.title) != each.title
        assert german(section.note) != each.question


def test_what_a_property_answers_is_said_in_german_where_it_names_nothing() -> None:
    found = fleet(1, 0)
    found["properties"][0]["reasons"][0]["says"] = says = (
        "It is revoked: it gets no certificate, and nothing is expected of it."
    )
    assert says in set(of_the_api())
    cell = fleet_sheet(found, "", []).sections[0].rows[0][1]
    assert (cell.text, translation("de").text(cell.text)[:15]) == (says, "Es ist gesperrt")


def test_a_fleet_shows_what_holds_on_every_device() -> None:
    assert fleet_sheet(fleet(4, 0), "", []).title == "All of the seven properties hold on every device."
    made = fleet_sheet(fleet(1204, 1), "Contoso", ["Contoso", "Fabrikam"])
    assert made.title == "None of the seven properties holds on every device."
    assert [words for words, _, chosen in made.links if chosen] == ["Contoso"]
    assert len(made.sections) == 7
    first, second = made.sections[0].rows
    assert (first[2].text, second[3].href) == ("1,204", f"/devices/{DEVICE}/assessment")
    assert fleet_sheet(fleet(0, 0), "", []).title == "There is no device to assess."


def test_each_answer_of_a_device_leads_to_its_evidence() -> None:
    found = {
        "device_id": DEVICE,
        "tier": "tpm",
        "health": "attested",
        "properties": [
            {
                **named(number),
                "state": "present",
                "says": "So it is.",
                "evidence": [path.format(device=DEVICE) for path in PROPERTIES[number].evidence],
            }
            for number in range(7)
        ],
    }
    made = device_sheet(found, "Kettle")
    assert made.title == "Kettle shows 7 of the seven properties."
    here = f"/devices/{DEVICE}"
    assert [row[3].href for row in made.sections[0].rows] == [
        f"{here}/history", f"{here}/history", "/releases", here, here, f"{here}/log#errors", f"{here}/update",
    ]  # fmt: skip


def test_the_pages_of_a_service(hub_scene: HubScene) -> None:
    reader = hub_scene.browser("Reader")
    page = reader.get("/assessment").text
    for each in PROPERTIES:
        assert each.title in page
    assert 'href="/findings"' in page
    assert 'href="/assessment"' in reader.get("/findings").text
