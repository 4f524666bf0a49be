# SPDX-License-Identifier: Apache-2.0
"""What values are called and in which unit they are, by templates: every capability of the shipped ones included."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from armillary.content import application_templates as shipped, equipment
from armillary.guard.interface import dtdl_interface
from armillary.sim.templates.plans import template_body
from armillary.twin.template.json_form import parse_template
from armillary.twin.template.template import Template
from armillary.twin.template.value_names import (
    MAX_CACHED,
    Naming,
    ValueName,
    ValueNames,
    as_fields,
    from_fields,
    quantity,
    unnamed,
)

VALVE = {"@type": "Enum", "valueSchema": "integer", "enumValues": [
    {"name": "shut", "displayName": "Shut", "enumValue": 0}, {"name": "open", "displayName": "Wide open", "enumValue": 1}]}  # fmt: skip
BLOOD = {"@type": "Object", "fields": [
    {"name": "sys", "displayName": "Systolic", "schema": "double"}, {"name": "raw", "schema": "double"}]}  # fmt: skip


def probe(identifier: str) -> dict[str, Any]:
    telemetry = {"@type": ["Telemetry", "Temperature"], "name": "t", "displayName": "Temperature", "schema": "double"}
    return {
        "@context": "dtmi:dtdl:context;2",
        "@id": identifier,
        "@type": "Interface",
        "contents": [{**telemetry, "unit": "degreeCelsius"}],
    }


MODELS = [
    {
        "@context": ["dtmi:dtdl:context;2", "dtmi:iotcentral:context;2"],
        "@id": "dtmi:a:root;1",
        "@type": "Interface",
        "displayName": "Root",
        "contents": [
            {"@type": ["Telemetry", "Temperature"], "name": "t", "displayName": {"de": "W\u00e4rme", "en": "Heat"},
             "schema": "double", "unit": "degreeFahrenheit"},
            {"@type": "Telemetry", "name": "bare_celsius", "schema": "double"},
            {"@type": "Telemetry", "name": "blood", "displayName": "Blood pressure", "schema": BLOOD},
            {"@type": "Telemetry", "name": "valve", "displayName": "Valve", "schema": VALVE},
            {"@type": ["Telemetry", "Location"], "name": "at", "displayName": "Place", "schema": "geopoint"},
            {"@type": "Telemetry", "name": "lanes", "displayName": "Lanes", "schema": {"@type": "Array", "elementSchema": "integer"}},
            {"@type": "Property", "name": "mode", "displayName": "Mode", "schema": "string", "writable": True},
            {"@type": "Command", "name": "flush", "displayName": "Flush it"},
            {"@type": "Component", "name": "in", "schema": "dtmi:a:probe;1"},
            {"@type": "Component", "name": "out", "schema": "dtmi:a:probe;1"},
        ],
    },
    probe("dtmi:a:probe;1"),
]  # fmt: skip


def template(**more: Any) -> Template:
    cloud = [{"name": "Max", "display_name": "Highest", "schema": "double", "unit": "degreeCelsius"}]
    body = {"display_name": "T", "root": "dtmi:a:root;1", "models": MODELS, "cloud_properties": cloud}
    return parse_template({**body, **more})


@pytest.fixture(scope="module")
def names() -> ValueNames:
    return ValueNames(template())


@pytest.mark.parametrize(
    ("name", "display", "symbol"),
    [
        ("t", "Heat", "\u00b0F"),
        ("in.t", "in: Temperature", "\u00b0C"),
        ("out.t", "out: Temperature", "\u00b0C"),
        ("bare_celsius", "bare_celsius", "\u00b0C"),
        ("blood.sys", "Blood pressure, Systolic", ""),
        ("blood.raw", "Blood pressure, raw", ""),
        ("at.lat", "Place, latitude", "\u00b0"),
        ("at.alt", "Place, altitude", "m"),
        ("lanes.3", "Lanes, 3", ""),
        ("mode", "Mode", ""),
        ("reported.mode", "Mode", ""),
        ("desired.mode", "Mode", ""),
        ("Max", "Highest", "\u00b0C"),
        ("cloud.Max", "Highest", "\u00b0C"),
        ("flush", "Flush it", ""),
        ("tags.site", "tags.site", ""),
        ("never_ms", "never_ms", "ms"),
    ],
)
def test_a_value_has_its_display_name_and_unit(names: ValueNames, name: str, display: str, symbol: str):
    found = Naming((names,)).of(name)
    assert (found.name, found.display_name, found.symbol) == (name, display, symbol)


def test_values_of_an_enum_have_words_and_figures_their_unit(names: ValueNames):
    valve, heat = names.of("valve"), names.of("t")
    assert valve is not None
    assert heat is not None
    assert [valve.text(each) for each in (0, 1, 1.0, 7, True)] == ["Shut", "Wide open", "Wide open", "7", "true"]
    assert [heat.text(each) for each in (30.5, "warm", False)] == ["30.5 \u00b0F", "warm", "false"]
    assert (quantity("21.5", "\u00b0"), quantity("21.5", "\u00b0C"), quantity("21.5", "")) == (
        "21.5\u00b0",
        "21.5 \u00b0C",
        "21.5",
    )
    assert from_fields(json.loads(json.dumps(as_fields(valve)))) == valve


def test_what_an_event_of_equipment_captured_is_called_and_measured_as_its_point():
    root = dtdl_interface(equipment.load("coffee"))
    names = Naming((ValueNames(parse_template({"display_name": "C", "root": root["@id"], "models": [root]})),))
    brew, shot = names.of("brewTemp"), names.of("shot")
    assert (brew.display_name != "brewTemp", brew.symbol) == (True, "\u00b0C")
    captured = names.of("shot.brewTemp")
    assert captured == replace(brew, name="shot.brewTemp", display_name=f"{shot.display_name}, {brew.display_name}")
    assert (names.of("shot.seconds").display_name, names.of("shot.seconds").symbol) == ("shot, seconds", "s")
    assert names.of("quality.brewTemp").display_name == f"Not good, {brew.display_name}"
    assert names.of("quality.brewTemp").symbol == ""
    # What says something of an alarm or a command is no point, whatever it is called.
    assert (names.of("alarm.value").symbol, names.of("attempt.value").symbol) == ("", "")


def test_of_other_templates_a_part_has_no_unit_but_its_own():
    blood = {"@type": "Telemetry", "name": "both", "displayName": "Both", "schema": {"@type": "Object", "fields": [{"name": "t", "schema": "double"}]}}  # fmt: skip
    model = {**MODELS[0], "contents": [*MODELS[0]["contents"], blood]}
    names = ValueNames(template(models=[model, *MODELS[1:]]))
    found = names.of("both.t")
    assert found is not None
    assert (found.display_name, found.symbol) == ("Both, t", "")


def test_a_name_that_people_gave_stands_as_they_gave_it():
    named = ValueNames(template(labels={"in.t": "Inlet"}))
    assert [Naming((named,)).of(each).display_name for each in ("in.t", "out.t")] == ["Inlet", "Temperature"]


def test_templates_that_disagree_about_a_unit_are_both_said():
    models = json.loads(json.dumps(MODELS))
    models[0]["contents"][0]["unit"] = "degreeCelsius"
    other = ValueNames(template(models=models))
    both = Naming((ValueNames(template()), other)).of("t")
    assert (both.display_name, both.symbol) == ("Heat", "\u00b0F or \u00b0C")
    assert Naming().of("t") == unnamed("t") == ValueName("t", "t")


def test_names_that_devices_make_up_are_not_cached_for_ever(names: ValueNames):
    for number in range(MAX_CACHED + 10):
        names.of(f"lanes.{number}")
    assert len(names._known) <= MAX_CACHED


def test_every_capability_of_the_shipped_templates_has_a_name_for_people():
    found = []
    for application in map(shipped.load, shipped.names()):
        for head in application.head["template"]:
            parsed = parse_template(template_body(head, json.loads(application.models[head["id"]])))
            table = ValueNames(parsed)
            found += [(each.name, table.of(each.name)) for each in parsed.capabilities.values()]
    assert len(found) == 271  # and a component
    machine = re.compile(r"[a-z][A-Z0-9]|[._]")  # a name that is a word stands for itself: Shock, Power
    assert [
        name for name, shown in found if shown is None or (shown.display_name == name and machine.search(name))
    ] == []
    assert sum(bool(shown and shown.symbol) for _, shown in found) == 95
