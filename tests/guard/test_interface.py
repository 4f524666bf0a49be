# SPDX-License-Identifier: Apache-2.0
"""The DTDL interface of a profile says what is sent and what may be asked, in correct DTDL."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.wire.equipment.profile_documents import framed, machine, nodes, objects

from armillary.content import equipment
from armillary.guard.interface import bounds_text, dtdl_interface, model_id
from armillary.wire.dtdl.model import parse_model
from armillary.wire.equipment.profile import Profile
from armillary.wire.equipment.profile_reader import read_profile

PROFILES = {
    **{name: equipment.load(name) for name in equipment.names()},
    **{each["profile"]: read_profile(each) for each in (machine(), framed(), nodes(), objects())},
}
EACH = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


def contents(profile: Profile) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in dtdl_interface(profile)["contents"]}


@EACH
def test_an_interface_follows_every_rule_of_the_language(profile: Profile) -> None:
    interface = dtdl_interface(profile)
    parse_model([("interface", json.dumps(interface).encode())])
    assert interface["@id"] == model_id(profile)


@EACH
def test_all_that_is_sent_and_all_that_may_be_asked_is_in_it(profile: Profile) -> None:
    found = contents(profile)
    for point in profile.all_points:
        assert ("Property" if point.name == "simulated" else "Telemetry") in found[point.name]["@type"]
    for each in (*profile.derived, *profile.events):
        assert "Telemetry" in found[each.name]["@type"]
    commands = {each.name for each in profile.commands}
    assert {name for name, each in found.items() if each["@type"] == "Command"} == commands
    assert {"attempt", "quality", "profile", "profileVersion"} <= found.keys()
    assert ("alarm" in found) == bool(profile.alarms)
    assert ("recipe" in found) == (profile.recipe is not None)


def test_points_say_quantity_unit_and_range() -> None:
    found = contents(PROFILES["coffee"])
    assert found["brewTemp"] == {
        "@type": ["Telemetry", "Temperature", "NumberValue"],
        "name": "brewTemp",
        "displayName": "Brew temperature",
        "schema": "double",
        "unit": "degreeCelsius",
        "minValue": 0.0,
        "maxValue": 130.0,
    }
    assert found["inletWaterTds"]["displayUnit"] == "ppm"
    assert found["shotsTotal"]["schema"] == "long"
    assert [each["enumValue"] for each in found["state"]["schema"]["enumValues"]][:2] == ["idle", "heating"]
    assert found["faultBits"]["schema"] == "string"
    assert contents(PROFILES["cable"])["zone7_temperature"]["displayName"] == "Temperature 7"


def test_commands_say_their_bounds_and_take_nonce_and_expiry() -> None:
    found = contents(PROFILES["coffee"])
    fields = {each["name"]: each["schema"] for each in found["setBrewTemp"]["request"]["schema"]["fields"]}
    assert fields == {"value": "double", "nonce": "string", "expires": "dateTime"}
    commands = {each.name: bounds_text(each) for each in PROFILES["coffee"].commands}
    assert commands == {
        "setBrewTemp": "85 to 96 degreeCelsius, by at most 2 degreeCelsius, once in 60 s, while state is idle or "
        "heating, read back",
        "startClean": "always true, once in 3600 s, while state is idle, with consent at the equipment",
    }
    assert [each["name"] for each in found["startClean"]["request"]["schema"]["fields"]] == ["nonce", "expires"]
